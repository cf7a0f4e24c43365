/* Each way to something that the guard cannot judge, by its name; prints what the call gave, and errno. A program that is
 * started ends with 0 and says nothing. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* A system call that no hook sees. */
static long raw(long number, long a, long b, long c)
{
    long done;
    __asm__ volatile("syscall" : "=a"(done) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    if (done < 0) {
        errno = -done;
        return -1;
    }
    return done;
}

/* A system call of the guard's fails from now on, as behind a filter of somebody's. */
static void fails(int number)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOMEM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
        exit(2);
}

static char *no_arguments[] = {"x", NULL};

/* What a program that is started gives: its status, or the error with which it is not. */
static long started(const char *path, char **arguments, int how)
{
    int pipes[2];
    if (pipe2(pipes, O_CLOEXEC))
        exit(2);
    pid_t child = fork();
    if (!child) {
        if (how == 1 && (setgid(33) || setuid(33)))
            _exit(3);
        struct rlimit none = {0, 1024};
        if (how == 2)
            setrlimit(RLIMIT_NOFILE, &none);
        if (how == 3)
            environ = NULL;
        execve(path, arguments, environ);
        int error = errno;
        write(pipes[1], &error, sizeof error);
        _exit(4);
    }
    close(pipes[1]);
    int error = 0, status = 0;
    int failed = read(pipes[0], &error, sizeof error) > 0;
    waitpid(child, &status, 0);
    errno = error;
    return failed ? -1 : status;
}

/* A copy of a program of the system. */
static void copy(const char *from, const char *to, int mode, int user)
{
    char buffer[65536];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
    for (long got; (got = read(in, buffer, sizeof buffer)) > 0;)
        write(out, buffer, got);
    close(in);
    close(out);
    chown(to, user, user);
    chmod(to, mode);
}

static void text(const char *to, const char *content)
{
    FILE *file = fopen(to, "w");
    fputs(content, file);
    fclose(file);
    chmod(to, 0755);
}

/* A program whose path is longer than a path can be. */
static long far(void)
{
    char name[201];
    memset(name, 'd', 200);
    name[200] = 0;
    for (int i = 0; i < 25; i++) {
        mkdir(name, 0755);
        if (chdir(name))
            exit(2);
    }
    copy("/bin/true", "x", 0755, 0);
    return started("x", no_arguments, 0);
}

static long by_action(void)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 50, "/bin/true", O_RDONLY, 0);
    pid_t child;
    int status = 0, error = posix_spawn(&child, "/proc/self/fd/50", &actions, NULL, no_arguments, environ);
    if (!error)
        waitpid(child, &status, 0);
    errno = error;
    return error ? -1 : status;
}

/* A program that is nowhere, along a PATH, with all descriptors taken. */
static long nowhere(void)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "./new", O_WRONLY | O_CREAT, 0600);
    setenv("PATH", "::/nonexistent:/usr/nonexistent", 1);
    struct rlimit few = {20, 1024};
    setrlimit(RLIMIT_NOFILE, &few);
    while (dup(0) >= 0)
        ;
    pid_t child;
    errno = posix_spawnp(&child, "portcullis-nowhere", &actions, NULL, no_arguments, environ);
    return errno ? -1 : 0;
}

static long bound(int udp)
{
    struct sockaddr_in at = {AF_INET, htons(4471), {htonl(INADDR_LOOPBACK)}};
    return bind(socket(AF_INET, udp ? SOCK_DGRAM : SOCK_STREAM, 0), (void *)&at, sizeof at);
}

static long listening(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    fails(SYS_getsockname);
    return listen(fd, 1);
}

static long sent(void)
{
    struct sockaddr_in at = {AF_UNSPEC, htons(9), {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    fails(SYS_getsockopt);
    return sendto(fd, "x", 1, 0, (void *)&at, sizeof at);
}

static long opened(int number)
{
    fails(number);
    return open("/dev/null", O_WRONLY) < 0 ? -1 : 0;
}

/* An address whose second half another thread would have to give. */
static long half(void)
{
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(page + 4096, 4096);
    return raw(SYS_bind, socket(AF_INET, SOCK_STREAM, 0), (long)(page + 4096 - 8), 16);
}

/* Of a process whose memory only a privileged one may read. */
static long hidden(void)
{
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    struct sockaddr_in at = {AF_INET, htons(9), {htonl(INADDR_LOOPBACK)}};
    return raw(SYS_connect, socket(AF_INET, SOCK_DGRAM, 0), (long)&at, sizeof at);
}

#define WAY(name, call) if (!strcmp(argv[1], name)) { errno = 0; done = (call); error = errno; }

int main(int argc, char **argv)
{
    long done = -2;
    int error = 0;
    char *loader[] = {"ld.so", "--not-an-option", "/bin/true", NULL};
    char *named[] = {"ld.so", "portcullis-none", NULL};
    if (argc != 3 || chdir(argv[2]))
        return 2;
    WAY("an option of the loader", started("/lib64/ld-linux-x86-64.so.2", loader, 0))
    WAY("a program without a folder for the loader", started("/lib64/ld-linux-x86-64.so.2", named, 0))
    WAY("no free descriptor", started("/bin/true", no_arguments, 2))
    WAY("a program that cannot be read", (copy("/bin/true", "x", 0111, 65534), started("./x", no_arguments, 1)))
    WAY("a path that is too long", far())
    WAY("an interpreter that cannot be read", (copy("/bin/true", "i", 0111, 65534), text("x", "#!./i\n"), started("./x", no_arguments, 1)))
    WAY("a text", (text("x", "true\n"), started("./x", no_arguments, 0)))
    WAY("an interpreter that is a text", (text("i", "true\n"), text("x", "#!./i\n"), started("./x", no_arguments, 0)))
    WAY("a file action", by_action())
    WAY("a program of root's that cannot be read", (copy("/bin/true", "x", 0711, 0), started("./x", no_arguments, 1)))
    WAY("a program that is nowhere", nowhere())
    WAY("a swapped program", started("./link", no_arguments, 0))
    WAY("fstat that fails", opened(SYS_fstat))
    WAY("getsockname that fails", listening())
    WAY("getsockopt that fails", sent())
    WAY("a system call of x32", syscall(0x40000000 | 520, "/bin/true", no_arguments, environ))
    WAY("flags that cannot be read", syscall(SYS_clone3, -8192L, 88))
    WAY("half an address", half())
    WAY("memory that cannot be read", hidden())
    if (done == -2)
        return 3;
    printf("%ld %s\n", done, strerror(error));
    return 0;
}
