/* What fcntl says of its commands, by each of its names. With "standard NAME", only a connection is put on standard input by the one
 * of that name: prints its result and errno. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int __fcntl(int, int, ...);
#ifdef __x86_64__
/* As programs have it that were linked before glibc 2.28, and since. */
__asm__(".symver old_fcntl, fcntl@GLIBC_2.2.5");
__asm__(".symver new_fcntl, fcntl64@GLIBC_2.28");
int old_fcntl(int, int, ...);
int new_fcntl(int, int, ...);
#else
#define old_fcntl fcntl
#define new_fcntl fcntl64
#endif

/* In variables, so that the compiler knows nothing of their arguments. */
static int (*volatile first)(int, int, ...) = fcntl;
static int (*volatile second)(int, int, ...) = fcntl64;

static int by_syscall(int fd, int command, ...)
{
    __builtin_va_list list;
    __builtin_va_start(list, command);
    long argument = __builtin_va_arg(list, long);
    __builtin_va_end(list);
    return syscall(SYS_fcntl, fd, command, argument);
}

typedef int function(int, int, ...);
static const struct { const char *name; function *of; } names[] = {
    {"fcntl", fcntl}, {"fcntl64", fcntl64}, {"__fcntl", __fcntl}, {"old", old_fcntl}, {"new", new_fcntl}, {"syscall", by_syscall},
};
#define NAMES (sizeof names / sizeof *names)

#define SAY(call)                                                      \
    do {                                                               \
        errno = 0;                                                     \
        int result = (call);                                           \
        dprintf(1, "%s %s: %d %d\n", name, #call, result, errno);      \
    } while (0)

static int standard(function *f)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (void *)&at, len) || listen(listener, 1) || getsockname(listener, (void *)&at, &len)
        || connect(fd, (void *)&at, len))
        return 97;
    close(0);
    errno = 0;
    int result = f(fd, F_DUPFD, 0), error = errno;
    /* Nothing is left there that was refused. */
    dprintf(1, "%d %d, %d\n", result, error, fcntl(0, F_GETFD));
    /* Elsewhere, a copy is harmless. */
    return f(fd, F_DUPFD, 3) < 0;
}

static void all(const char *name, function *f)
{
    int file = open("/dev/zero", O_RDWR), pipes[2], pair[2], memory = memfd_create("memory", MFD_ALLOW_SEALING);
    int regular = open(".", O_TMPFILE | O_RDWR, 0600);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1L << 40, .l_len = 1}, asked = lock;
    struct f_owner_ex owner = {.type = F_OWNER_PID, .pid = getpid()};
    pipe(pipes), socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    SAY(f(file, F_DUPFD, 90));
    SAY(f(file, F_DUPFD, 90));
    SAY(f(file, F_DUPFD_CLOEXEC, 95));
    SAY(f(90, F_GETFD));
    SAY(f(95, F_GETFD));
    SAY(f(95, F_SETFD, 0));
    SAY(f(95, F_GETFD));
    SAY(f(-1, F_DUPFD, 0));
    SAY(f(77, F_DUPFD, 0));
    SAY(f(file, F_DUPFD, -1));
    SAY(f(file, F_DUPFD, 1 << 30));
    SAY(f(file, F_DUPFD_CLOEXEC, 0x7fffffff));
    close(90), close(91), close(95);
    SAY(f(file, F_GETFL) & O_ACCMODE);
    SAY(f(file, F_SETFL, O_NONBLOCK));
    SAY(!!(f(file, F_GETFL) & O_NONBLOCK));
    SAY(f(-1, F_GETFL));
    SAY(f(regular, F_SETLK, &lock));
    SAY(f(regular, F_GETLK, &asked));
    SAY(f(regular, F_SETLKW, &lock));
    lock.l_type = F_UNLCK;
    SAY(f(regular, F_SETLK, &lock));
    lock.l_type = F_WRLCK, lock.l_pid = 0;
    SAY(f(regular, F_OFD_SETLK, &lock));
    SAY(f(regular, F_OFD_SETLKW, &lock));
    SAY(f(regular, F_SETLK, (void *)8));
    SAY(f(regular, F_SETLK, NULL));
    SAY(f(regular, F_GETLK, (void *)0xffff800000000000));
    SAY(f(pair[0], F_SETOWN, getpid()));
    SAY(f(pair[0], F_GETOWN) == getpid());
    SAY(f(pair[0], F_SETOWN_EX, &owner));
    owner.pid = 0;
    SAY(f(pair[0], F_GETOWN_EX, &owner));
    SAY(owner.pid == getpid());
    SAY(f(pair[0], F_GETOWN_EX, (void *)8));
    SAY(f(pair[0], F_SETSIG, SIGUSR1));
    SAY(f(pair[0], F_GETSIG));
    SAY(f(pipes[0], F_SETPIPE_SZ, 8192));
    SAY(f(pipes[0], F_GETPIPE_SZ));
    SAY(f(file, F_SETPIPE_SZ, 8192));
    SAY(f(memory, F_ADD_SEALS, F_SEAL_GROW));
    SAY(f(memory, F_GET_SEALS));
    SAY(f(file, F_ADD_SEALS, F_SEAL_GROW));
    SAY(f(regular, F_SETLEASE, F_RDLCK));
    SAY(f(file, 4242, 1));
    SAY(f(file, -1));
    close(file), close(regular), close(memory);
    for (int i = 0; i < 2; i++)
        close(pipes[i]), close(pair[i]);
}

int main(int argc, char **argv)
{
    for (size_t i = 0; i < NAMES; i++) {
        if (argc > 2 && !strcmp(argv[2], names[i].name))
            return standard(names[i].of);
        if (argc == 1)
            all(names[i].name, names[i].of);
    }
    if (argc == 1)
        all("pointer", first), all("pointer 64", second);
    return 0;
}
