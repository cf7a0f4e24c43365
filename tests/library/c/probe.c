/* Calls every hooked function under a condition and prints the result of each call: `probe CONDITION...`. The test runs the
 * program with and without the library, and compares what the two print. invalid.c has the calls that the kernel rejects. */
#include "probe/common.h"
#include <pthread.h>
#include <signal.h>
#include <wordexp.h>

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
        }
    }
    return 0;
}
