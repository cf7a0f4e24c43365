/* One way of doing what the guard looks for: `ways HOW WAY`, where HOW is libc (its functions), syscall (its syscall(2)) or
 * raw (the instruction). Prints `RESULT ERRNO`; a way that executes prints nothing where that succeeds. Built static as
 * well. Every address is the test's own. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raw.h"

extern char **environ;

#if defined(__x86_64__)
/* The same for i386: the arguments and what they point to must lie below 4 GiB. */
static long raw32(long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory", "r8", "r9", "r10", "r11");
    result = (int)result;
    if (result < 0 && result > -4096) {
        errno = -result;
        return -1;
    }
    return result;
}
#endif

static enum { LIBC, SYSCALL, RAW } how;

#define GO(call, number, a, b, c, d, e, f)                                                        \
    (how == LIBC ? (long)(call)                                                                   \
     : how == SYSCALL ? syscall(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)) \
                      : raw(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)))

static struct sockaddr_in outside;

static int udp(void)
{
    return socket(AF_INET, SOCK_DGRAM, 0);
}

static long one(const char *way)
{
    struct sockaddr *to = (struct sockaddr *)&outside;
    struct iovec piece = {"x", 1};
    struct mmsghdr message = {.msg_hdr = {.msg_name = to, .msg_namelen = sizeof outside, .msg_iov = &piece, .msg_iovlen = 1}};
    char *const shell[] = {"sh", "-c", "exit 7", NULL};
    outside.sin_family = AF_INET;
    outside.sin_port = htons(4446);
    inet_pton(AF_INET, "192.88.1.10", &outside.sin_addr);
    if (!strcmp(way, "connect")) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        return GO(connect(fd, to, sizeof outside), SYS_connect, fd, to, sizeof outside, 0, 0, 0);
    }
    if (!strcmp(way, "connect nonblocking")) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        outside.sin_port = htons(4444);
        long done = GO(connect(fd, to, sizeof outside), SYS_connect, fd, to, sizeof outside, 0, 0, 0);
        return done == 0 || errno == EINPROGRESS ? 0 : done;
    }
    if (!strcmp(way, "connect common port")) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        outside.sin_port = htons(8080);
        return GO(connect(fd, to, sizeof outside), SYS_connect, fd, to, sizeof outside, 0, 0, 0);
    }
    if (!strcmp(way, "sendto")) {
        int fd = udp();
        return GO(sendto(fd, "x", 1, 0, to, sizeof outside), SYS_sendto, fd, "x", 1, 0, to, sizeof outside);
    }
    if (!strcmp(way, "sendto connected")) {
        int fd = udp(), other = udp();
        struct sockaddr_in own = {.sin_family = AF_INET};
        socklen_t len = sizeof own;
        inet_pton(AF_INET, "127.0.0.1", &own.sin_addr);
        bind(other, (struct sockaddr *)&own, sizeof own);
        getsockname(other, (struct sockaddr *)&own, &len);
        connect(fd, (struct sockaddr *)&own, sizeof own);
        return GO(sendto(fd, "x", 1, 0, NULL, 0), SYS_sendto, fd, "x", 1, 0, 0, 0);
    }
    if (!strcmp(way, "sendto fast open")) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        return GO(sendto(fd, "x", 1, MSG_FASTOPEN, to, sizeof outside), SYS_sendto, fd, "x", 1, MSG_FASTOPEN, to, sizeof outside);
    }
    if (!strcmp(way, "sendmsg")) {
        int fd = udp();
        return GO(sendmsg(fd, &message.msg_hdr, 0), SYS_sendmsg, fd, &message.msg_hdr, 0, 0, 0, 0);
    }
    if (!strcmp(way, "sendmmsg")) {
        int fd = udp();
        return GO(sendmmsg(fd, &message, 1, 0), SYS_sendmmsg, fd, &message, 1, 0, 0, 0);
    }
    if (!strcmp(way, "listen")) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        outside.sin_port = htons(4470);
        if (bind(fd, to, sizeof outside))
            return -2;
        return GO(listen(fd, 1), SYS_listen, fd, 1, 0, 0, 0, 0);
    }
    if (!strcmp(way, "bind udp")) {
        int fd = udp();
        outside.sin_port = htons(4471);
        return GO(bind(fd, to, sizeof outside), SYS_bind, fd, to, sizeof outside, 0, 0, 0);
    }
    if (!strcmp(way, "execve"))
        return GO(execve("/bin/sh", shell, environ), SYS_execve, "/bin/sh", shell, environ, 0, 0, 0);
    if (!strcmp(way, "execveat"))
        return GO(execveat(AT_FDCWD, "/bin/sh", shell, environ, 0), SYS_execveat, AT_FDCWD, "/bin/sh", shell, environ, 0, 0);
    if (!strcmp(way, "execveat by descriptor")) {
        int fd = open("/bin/sh", O_RDONLY | O_CLOEXEC);
        return GO(execveat(fd, "", shell, environ, AT_EMPTY_PATH), SYS_execveat, fd, "", shell, environ, AT_EMPTY_PATH, 0);
    }
    if (!strcmp(way, "execve in memory")) {
        static char page[1 << 20];
        int from = open("/bin/true", O_RDONLY), to = memfd_create("x", 0);
        for (long got; (got = read(from, page, sizeof page)) > 0;)
            if (write(to, page, got) != got)
                return -2;
        char *const argv[] = {"x", NULL};
        return GO(fexecve(to, argv, environ), SYS_execveat, to, "", argv, environ, AT_EMPTY_PATH, 0);
    }
    if (!strcmp(way, "execve forged")) {
        char *const argv[] = {"true", NULL}, *const forged[] = {"PORTCULLIS_REQUEST=11100000000000000000000000000000000000000000", NULL};
        return GO(execve("/bin/true", argv, forged), SYS_execve, "/bin/true", argv, forged, 0, 0, 0);
    }
    if (!strcmp(way, "io_uring")) {
        struct io_uring_params parameters = {0};
        long fd = GO(syscall(SYS_io_uring_setup, 1, &parameters), SYS_io_uring_setup, 1, &parameters, 0, 0, 0, 0);
        return fd < 0 ? fd : 0;
    }
#if defined(__x86_64__)
    if (!strncmp(way, "i386 ", 5)) {
        char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        memcpy(low, &outside, sizeof outside);
        if (!strcmp(way, "i386 connect"))
            return raw32(362, fd, (long)low, sizeof outside);
        if (!strcmp(way, "i386 socketcall")) {
            int *words = (int *)(low + 64);
            words[0] = fd, words[1] = (int)(long)low, words[2] = sizeof outside;
            return raw32(102, 3, (long)words, 0);
        }
        if (!strcmp(way, "i386 execve")) {
            int *argv = (int *)(low + 128);
            strcpy(low + 256, "/bin/sh"), strcpy(low + 272, "-c"), strcpy(low + 288, "exit 7");
            argv[0] = (int)(long)(low + 256), argv[1] = (int)(long)(low + 272), argv[2] = (int)(long)(low + 288), argv[3] = 0;
            return raw32(11, (long)(low + 256), (long)argv, 0);
        }
    }
#endif
    fprintf(stderr, "no such way: %s\n", way);
    exit(98);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 98;
    how = !strcmp(argv[1], "libc") ? LIBC : !strcmp(argv[1], "syscall") ? SYSCALL : RAW;
    alarm(20);
    errno = 0;
    long result = one(argv[2]);
    printf("%ld %d\n", result, result < 0 ? errno : 0);
    return 0;
}
