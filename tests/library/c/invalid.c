/* Calls the kernel rejects: invalid addresses, messages, programs, arguments and environments. `invalid SUBJECT` prints the
 * result of each call. The test runs the program with and without the library, and compares what the two print. */
#include "probe/common.h"
#include <sys/mman.h>

/* A page that may not be touched: a wild pointer. */
static void *wild(void)
{
    return mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* Headers, addresses and lengths that the kernel refuses, for what sends and binds. */
static void bad_messages(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to;
    outside(&to, 4446);
    struct sockaddr_storage all;
    memset(&all, 0, sizeof all);
    memcpy(&all, &to, sizeof to);
    struct iovec piece = {"x", 1};
    void *const pointers[] = {NULL, (void *)8, (void *)0xffff800000000000};
    for (unsigned i = 0; i < sizeof pointers / sizeof *pointers; i++) {
        struct msghdr message = {.msg_name = pointers[i], .msg_namelen = 16, .msg_iov = &piece, .msg_iovlen = 1};
        struct mmsghdr messages[2] = {{.msg_hdr = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &piece, .msg_iovlen = 1}}, {message, 0}};
        char name[48];
        errno = 0;
        long result = sendto(fd, "x", 1, 0, pointers[i], 16);
        snprintf(name, sizeof name, "sendto-%u", i);
        say("bad-message", name, result, errno);
        errno = 0;
        result = sendmsg(fd, &message, 0);
        snprintf(name, sizeof name, "sendmsg-name-%u", i);
        say("bad-message", name, result, errno);
        errno = 0;
        result = sendmsg(fd, pointers[i], 0);
        snprintf(name, sizeof name, "sendmsg-header-%u", i);
        say("bad-message", name, result, errno);
        errno = 0;
        result = sendmmsg(fd, messages, 2, 0);
        snprintf(name, sizeof name, "sendmmsg-second-%u", i);
        say("bad-message", name, result, errno);
        errno = 0;
        result = sendmmsg(fd, pointers[i], 1, 0);
        snprintf(name, sizeof name, "sendmmsg-headers-%u", i);
        say("bad-message", name, result, errno);
        errno = 0;
        result = bind(fd, pointers[i], 16);
        snprintf(name, sizeof name, "bind-%u", i);
        say("bad-message", name, result, errno);
    }
    const int lengths[] = {0, 1, 15, 17, 128, 129, -1};
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char name[48];
        errno = 0;
        long result = sendto(fd, "x", 1, 0, (struct sockaddr *)&all, lengths[i]);
        snprintf(name, sizeof name, "sendto-length-%d", lengths[i]);
        say("bad-message", name, result, errno);
    }
    errno = 0;
    long result = sendmmsg(fd, NULL, 0, 0);
    say("bad-message", "sendmmsg-none", result, errno);
    errno = 0;
    result = listen(-1, 1);
    say("bad-message", "listen", result, errno);
    errno = 0;
    result = dup2(-1, 0);
    say("bad-message", "dup2", result, errno);
    errno = 0;
    result = syscall(SYS_connect, -1, &to, sizeof to);
    say("bad-message", "syscall", result, errno);
    errno = 0;
    result = syscall(100000);
    say("bad-message", "syscall-none", result, errno);
    close(fd);
}

static void bad_addresses(void)
{
    struct sockaddr_storage all;
    struct sockaddr_in to;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    outside(&to, 4446);
    memset(&all, 0, sizeof all);
    memcpy(&all, &to, sizeof to);
    const int lengths[] = {0, 1, 2, 8, 15, 16, 17, 28, 127, 128, 129, 4096, -1};
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char name[32];
        errno = 0;
        int result = connect(fd, (struct sockaddr *)&all, lengths[i]);
        snprintf(name, sizeof name, "connect-length-%d", lengths[i]);
        say("bad-address", name, result, errno);
    }
    const int families[] = {AF_UNSPEC, AF_UNIX, AF_NETLINK, 9999};
    for (unsigned i = 0; i < sizeof families / sizeof *families; i++) {
        char name[32];
        all.ss_family = families[i];
        errno = 0;
        int result = connect(fd, (struct sockaddr *)&all, sizeof(struct sockaddr_in));
        snprintf(name, sizeof name, "connect-family-%d", families[i]);
        say("bad-address", name, result, errno);
    }
    errno = 0;
    int result = connect(fd, NULL, 16);
    say("bad-address", "connect-null", result, errno);
    errno = 0;
    result = connect(fd, (struct sockaddr *)0xffff800000000000, 16);
    say("bad-address", "connect-kernel-space", result, errno);
    errno = 0;
    result = connect(-1, (struct sockaddr *)&to, sizeof to);
    say("bad-address", "connect-no-descriptor", result, errno);
    close(fd);
    bad_messages();
    int six = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 to6;
    memset(&to6, 0, sizeof to6);
    to6.sin6_family = AF_INET6;
    to6.sin6_port = htons(4446);
    inet_pton(AF_INET6, "2a0e:1::10", &to6.sin6_addr);
    for (int length = 22; length <= 30; length += 2) {
        char name[32];
        errno = 0;
        result = connect(six, (struct sockaddr *)&to6, length);
        snprintf(name, sizeof name, "connect-v6-length-%d", length);
        say("bad-address", name, result, errno);
    }
    close(six);
}

#define CHILD(name, call)                        \
    do {                                         \
        pid_t child = fork();                    \
        if (child == 0) {                        \
            call;                                \
            _exit(100 + errno);                  \
        }                                        \
        reap("bad-exec", name, child);           \
    } while (0)

static void bad_execs(void)
{
    char *const *nowhere = wild();
    char *const with_wild[] = {"sh", wild(), NULL};
    static char big[2 << 20];
    memset(big, 'x', sizeof big - 1);
    char *const with_big[] = {"sh", "-c", big, NULL};
    char *const invalid[] = {"sh", "-c", "exit 5 # \xff\xfe\x01\n", NULL};
    static char *many[100002];
    for (int i = 0; i < 100001; i++)
        many[i] = "x";
    many[0] = "sh", many[1] = "-c", many[2] = "exit 6";
    char *const no_environment[] = {NULL};
    CHILD("null-path", execve(NULL, shell_argv, environ));
    CHILD("wild-path", execve((char *)nowhere, shell_argv, environ));
    CHILD("empty-path", execve("", shell_argv, environ));
    CHILD("empty-file", execvp("", shell_argv));
    CHILD("null-argv", execve(SHELL, NULL, environ));
    CHILD("wild-argv", execve(SHELL, nowhere, environ));
    CHILD("wild-argument", execve(SHELL, with_wild, environ));
    CHILD("null-envp", execve(SHELL, shell_argv, NULL));
    CHILD("wild-envp", execve(SHELL, shell_argv, nowhere));
    CHILD("empty-envp", execve(SHELL, shell_argv, no_environment));
    CHILD("big-argument", execve(SHELL, with_big, environ));
    CHILD("invalid-utf8", execve(SHELL, invalid, environ));
    CHILD("many-arguments", execve(SHELL, many, environ));
    CHILD("many-arguments-vp", execvp("sh", many));
    pid_t child;
    say("bad-exec", "spawn-null-path", posix_spawn(&child, NULL, NULL, NULL, shell_argv, environ), 0);
    say("bad-exec", "spawn-wild-path", posix_spawn(&child, (char *)nowhere, NULL, NULL, shell_argv, environ), 0);
    say("bad-exec", "spawn-wild-envp", posix_spawn(&child, SHELL, NULL, NULL, shell_argv, nowhere), 0);
    CHILD("bad-descriptor", fexecve(-1, shell_argv, environ));
    CHILD("bad-flags", execveat(AT_FDCWD, SHELL, shell_argv, environ, 0x40000000));
    static char long_path[5000];
    memset(long_path, '/', sizeof long_path - 1);
    CHILD("long-path", execve(long_path, shell_argv, environ));
    static char *large[2001];
    static char entries[2000][32];
    for (int i = 0; i < 2000; i++) {
        snprintf(entries[i], sizeof entries[i], "VARIABLE_%d=value", i);
        large[i] = entries[i];
    }
    char *const counts[] = {"sh", "-c", "test \"$VARIABLE_1999\" = value && exit 8", NULL};
    CHILD("large-environment", execve(SHELL, counts, large));
    environ = large;
    do_pipes("large-environment");
    environ = NULL;
    do_pipes("no-environment");
}

int main(int argc, char **argv)
{
    alarm(60);
    const char *subject = argc > 1 ? argv[1] : "";
    if (!strcmp(subject, "addresses"))
        bad_addresses();
    else if (!strcmp(subject, "programs"))
        bad_execs();
    else
        return 97;
    return 0;
}
