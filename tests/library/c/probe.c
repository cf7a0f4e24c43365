/* Calls every hooked function under a condition and prints what came of it. `probe CONDITION...`; the same program is
 * run with and without the guard, and what the two print is compared. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

extern char **environ;

#define SHELL "/bin/sh"
static char *const shell_argv[] = {"sh", "-c", "exit 7", NULL};

/* Prints without stdio's locks and buffers. */
static void say(const char *condition, const char *action, long result, int error)
{
    char line[256];
    int n = snprintf(line, sizeof line, "%s %s: %ld %d\n", condition, action, result, error);
    if (write(1, line, n) < 0)
        _exit(99);
}

static int outside(struct sockaddr_in *to, int port)
{
    memset(to, 0, sizeof *to);
    to->sin_family = AF_INET;
    to->sin_port = htons(port);
    return inet_pton(AF_INET, "192.88.1.10", &to->sin_addr);
}

static void do_connect(const char *condition)
{
    struct sockaddr_in to;
    outside(&to, 4446);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    errno = 0;
    int result = connect(fd, (struct sockaddr *)&to, sizeof to);
    say(condition, "connect", result, errno);
    close(fd);
}

static void do_accept(const char *condition)
{
    errno = 0;
    int result = accept(-1, NULL, NULL);
    say(condition, "accept", result, errno);
    errno = 0;
    result = accept4(-1, NULL, NULL, SOCK_CLOEXEC);
    say(condition, "accept4", result, errno);
}

/* Datagrams, a listener, descriptors and syscall(2): what neither allocates nor locks, so that it holds anywhere. */
static void do_others(const char *condition)
{
    struct sockaddr_in to;
    outside(&to, 4446);
    struct iovec piece = {"x", 1};
    struct mmsghdr message = {.msg_hdr = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &piece, .msg_iovlen = 1}};
    int fd = socket(AF_INET, SOCK_DGRAM, 0), listener = socket(AF_INET, SOCK_STREAM, 0), pipes[2];
    errno = 0;
    long result = sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to);
    say(condition, "sendto", result, errno);
    errno = 0;
    result = sendmsg(fd, &message.msg_hdr, 0);
    say(condition, "sendmsg", result, errno);
    errno = 0;
    result = sendmmsg(fd, &message, 1, 0);
    say(condition, "sendmmsg", result, errno);
    errno = 0;
    int stream = socket(AF_INET, SOCK_STREAM, 0);
    errno = 0;
    result = syscall(SYS_connect, stream, &to, sizeof to);
    say(condition, "syscall-connect", result, errno);
    close(stream);
    say(condition, "syscall-other", syscall(SYS_getppid) > 0, 0);
    to.sin_port = 0;
    errno = 0;
    result = bind(listener, (struct sockaddr *)&to, sizeof to);
    say(condition, "bind", result, errno);
    errno = 0;
    result = listen(listener, 1);
    say(condition, "listen", result, errno);
    close(fd), close(listener);
    if (pipe(pipes))
        _exit(98);
    errno = 0;
    int copy = dup(pipes[0]);
    say(condition, "dup", copy > 2, errno);
    say(condition, "dup2", dup2(pipes[0], copy) == copy, 0);
    say(condition, "dup3", dup3(pipes[1], copy, O_CLOEXEC) == copy, 0);
    close(pipes[0]), close(pipes[1]), close(copy);
}

static void do_words(const char *condition)
{
    wordexp_t words;
    int result = wordexp("a $(exit 0) b", &words, 0);
    say(condition, "wordexp", result, result ? 0 : (int)words.we_wordc);
    result = wordexp("a b", &words, WRDE_NOCMD);
    say(condition, "wordexp-plain", result, result ? 0 : (int)words.we_wordc);
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST}, *list = NULL;
    result = getaddrinfo("192.88.1.10", "80", &hints, &list);
    say(condition, "getaddrinfo", result, list != NULL);
    if (list)
        freeaddrinfo(list);
}

static int exec_number(int number)
{
    int fd;
    switch (number) {
    case 0: return execve(SHELL, shell_argv, environ);
    case 1: return execv(SHELL, shell_argv);
    case 2: return execvp("sh", shell_argv);
    case 3: return execvpe("sh", shell_argv, environ);
    case 4: return execl(SHELL, "sh", "-c", "exit 7", NULL);
    case 5: return execlp("sh", "sh", "-c", "exit 7", NULL);
    case 6: return execle(SHELL, "sh", "-c", "exit 7", NULL, environ);
    case 7:
        fd = open(SHELL, O_RDONLY | O_CLOEXEC);
        return fexecve(fd, shell_argv, environ);
    case 8: return execveat(AT_FDCWD, SHELL, shell_argv, environ, 0);
    case 9:
        fd = open(SHELL, O_PATH | O_CLOEXEC);
        return execveat(fd, "", shell_argv, environ, AT_EMPTY_PATH);
    case 10: return execve("/nowhere/sh", shell_argv, environ);
    default: return execve("/etc/passwd", shell_argv, environ);
    }
}
static const char *const exec_names[] = {"execve", "execv", "execvp", "execvpe", "execl", "execlp", "execle",
    "fexecve", "execveat", "execveat-empty", "execve-missing", "execve-not-executable"};
#define EXECS ((int)(sizeof exec_names / sizeof *exec_names))

static void reap(const char *condition, const char *action, pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    say(condition, action, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), 0);
}

static void do_execs_by_fork(const char *condition)
{
    for (int i = 0; i < EXECS; i++) {
        pid_t child = fork();
        if (child == 0) {
            exec_number(i);
            _exit(100 + errno);
        }
        reap(condition, exec_names[i], child);
    }
}

static void do_spawns(const char *condition)
{
    pid_t child;
    int result = posix_spawn(&child, SHELL, NULL, NULL, shell_argv, environ);
    say(condition, "posix_spawn", result, 0);
    if (!result)
        reap(condition, "posix_spawn", child);
    result = posix_spawnp(&child, "sh", NULL, NULL, shell_argv, environ);
    say(condition, "posix_spawnp", result, 0);
    if (!result)
        reap(condition, "posix_spawnp", child);
    errno = 0;
    result = posix_spawn(&child, "/nowhere/sh", NULL, NULL, shell_argv, environ);
    say(condition, "posix_spawn-missing", result, 0);
}

static void do_execs_by_vfork(const char *condition)
{
    pid_t other = vfork();
    if (other == 0) {
        do_connect(condition);
        do_accept(condition);
        do_others(condition);
        do_spawns(condition);
        _exit(0);
    }
    reap(condition, "calls", other);
    for (volatile int i = 0; i < EXECS; i++) {
        pid_t child = vfork();
        if (child == 0) {
            exec_number(i);
            _exit(100 + errno);
        }
        reap(condition, exec_names[i], child);
    }
}

static void do_pipes(const char *condition)
{
    errno = 0;
    FILE *stream = popen("exit 7", "r");
    int error = errno;
    say(condition, "popen", stream != NULL, stream ? 0 : error);
    if (stream) {
        int status = pclose(stream);
        say(condition, "pclose", WEXITSTATUS(status), 0);
    }
    errno = 0;
    int status = system("exit 7");
    say(condition, "system", status == -1 ? -1 : WEXITSTATUS(status), status == -1 ? errno : 0);
    say(condition, "system-null", system(NULL) != 0, 0);
}

static void everything(const char *condition)
{
    do_connect(condition);
    do_accept(condition);
    do_others(condition);
    do_words(condition);
    do_execs_by_fork(condition);
    do_spawns(condition);
    do_pipes(condition);
}

static void on_signal(int number)
{
    (void)number;
    everything("signal-handler");
}

static void *on_small_stack(void *condition)
{
    everything(condition);
    return NULL;
}

static volatile int stop;

static void *hold_malloc(void *unused)
{
    (void)unused;
    while (!stop)
        free(malloc(64 + (random() & 0xfff)));
    return NULL;
}

/* A fork while another thread is inside malloc; the child then comes to the hook with that lock as it was. */
static void after_fork(void)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, hold_malloc, NULL);
    for (int i = 0; i < 30; i++) {
        pid_t child = fork();
        if (child == 0) {
            do_connect("after-fork");
            do_spawns("after-fork");
            exec_number(i % EXECS);
            _exit(100 + errno);
        }
        reap("after-fork", exec_names[i % EXECS], child);
    }
    stop = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static void at_exit(void)
{
    everything("exit-handler");
}

__attribute__((destructor)) static void at_the_end(void)
{
    if (getenv("PROBE_DESTRUCTOR"))
        everything("destructor");
}

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
    for (int i = 1; i < argc; i++) {
        const char *condition = argv[i];
        if (!strcmp(condition, "plain")) {
            everything(condition);
        } else if (!strcmp(condition, "vfork")) {
            do_execs_by_vfork(condition);
        } else if (!strcmp(condition, "signal-handler")) {
            signal(SIGUSR1, on_signal);
            raise(SIGUSR1);
        } else if (!strcmp(condition, "small-stack")) {
            pthread_t thread;
            pthread_attr_t attributes;
            pthread_attr_init(&attributes);
            pthread_attr_setstacksize(&attributes, 64 * 1024);
            if (pthread_create(&thread, &attributes, on_small_stack, (void *)condition))
                return 98;
            pthread_join(thread, NULL);
        } else if (!strcmp(condition, "after-fork")) {
            after_fork();
        } else if (!strcmp(condition, "exit-handler")) {
            atexit(at_exit);
        } else if (!strcmp(condition, "bad-address")) {
            bad_addresses();
        } else if (!strcmp(condition, "bad-exec")) {
            bad_execs();
        }
    }
    return 0;
}
