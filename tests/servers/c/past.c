/* Reads past every hook, as a program does whose compiler or libc puts another function in the place of read. */
#include <sys/syscall.h>
#include <sys/types.h>
static long past(long number, long a, long b, long c)
{
#ifdef __x86_64__
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
#else
    register long x8 __asm__("x8") = number, result __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(result) : "r"(x8), "r"(x1), "r"(x2) : "memory");
#endif
    return result;
}
extern int *__errno_location(void);
ssize_t read(int fd, void *buffer, size_t size)
{
    long got = past(SYS_read, fd, (long)buffer, size);
    if (got < 0)
        *__errno_location() = -got;
    return got < 0 ? -1 : got;
}
ssize_t __read_chk(int fd, void *buffer, size_t size, size_t room)
{
    return read(fd, buffer, size < room ? size : room);
}
