/* What a program does where it has little stack: `small thread`, in threads of PTHREAD_STACK_MIN; `small handler`, in a signal
 * handler on an alternate stack of 8 KiB. `small left` leaves calls by siglongjmp from a handler, and starts programs in vfork
 * children; it says how much memory that took for good. `small shortage` can map nothing
 * more. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char *const shell[] = {"sh", "-c", "exit 7", NULL};
static struct sockaddr_in to;
static const char *word;

static int status_of(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static int do_connect(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), done = connect(fd, (void *)&to, sizeof to);
    close(fd);
    return done ? -errno : 0;
}

static int do_sendto(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0), done = sendto(fd, "x", 1, 0, (void *)&to, sizeof to);
    close(fd);
    return done < 0 ? -errno : done;
}

static int do_open(void)
{
    int fd = open("/proc/self/mem", O_RDWR);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? -errno : 0;
}

static int do_vfork(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execve("/bin/sh", shell, environ);
        _exit(100 + errno);
    }
    return status_of(pid);
}

static int do_execvp(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execvp("sh", shell);
        _exit(100 + errno);
    }
    return status_of(pid);
}

static int do_spawn(void)
{
    pid_t pid;
    int done = posix_spawn(&pid, "/bin/sh", NULL, NULL, shell, environ);
    return done ? -done : status_of(pid);
}

static int do_spawnp(void)
{
    pid_t pid;
    int done = posix_spawnp(&pid, "sh", NULL, NULL, shell, environ);
    return done ? -done : status_of(pid);
}

static int do_system(void)
{
    int done = system("exit 7");
    return done < 0 ? -errno : done;
}

static int do_popen(void)
{
    FILE *stream = popen("exit 7", "r");
    return stream ? pclose(stream) : -errno;
}

static const struct {
    const char *name;
    int (*of)(void);
} calls[] = {{"connect", do_connect}, {"sendto", do_sendto}, {"open", do_open}, {"vfork", do_vfork}, {"execvp", do_execvp},
    {"posix_spawn", do_spawn}, {"posix_spawnp", do_spawnp}, {"system", do_system}, {"popen", do_popen}};
#define CALLS ((int)(sizeof calls / sizeof *calls))

static volatile int result, number;

static void *in_thread(void *unused)
{
    result = calls[number].of();
    return NULL;
}

static void in_handler(int signal)
{
    result = calls[number].of();
}

static sigjmp_buf away;

static void leave(int signal)
{
    siglongjmp(away, 1);
}

static long size(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    fscanf(file, "%ld", &pages);
    fclose(file);
    return pages * 4;
}

static void *waits(void *unused)
{
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    for (;;)
        do_connect();
}

static void leaving(void)
{
    struct sigaction action = {.sa_handler = leave, .sa_flags = SA_NODEFER};
    struct itimerval often = {{0, 300}, {0, 300}}, never = {{0, 0}, {0, 0}};
    do_connect(), do_vfork(), do_spawn();
    long before = size();
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (volatile int i = 0; i < 2000; i++)
        if (!sigsetjmp(away, 1))
            for (int round = 0; round < 100; round++)
                do_connect();
    for (volatile int i = 0; i < 300; i++)
        if (!sigsetjmp(away, 1))
            do_spawn();
    setitimer(ITIMER_REAL, &never, NULL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    for (int i = 0; i < 300; i++)
        do_vfork();
    for (int i = 0; i < 50; i++) {
        pthread_t other;
        pthread_create(&other, NULL, waits, NULL);
        usleep(2000);
        pthread_cancel(other);
        pthread_join(other, NULL);
    }
    /* The sockets of calls that were left. */
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, NULL, &blocked);
    fprintf(stderr, "grown by %ld KiB\n", size() - before);
    printf("grown: %d\nblocked: %d\nconnect: %d\n", size() - before > 24576, sigismember(&blocked, SIGALRM), do_connect());
}

int main(int argc, char **argv)
{
    to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(4446)};
    inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
    word = argv[1];
    alarm(100);
    if (!strcmp(word, "left")) {
        leaving();
        return 0;
    }
    struct rlimit none = {1, 1};
    if (!strcmp(word, "shortage") && (printf("\n"), setrlimit(RLIMIT_AS, &none)))
        return 95;
    for (number = 0; number < CALLS; number++) {
        if (!strcmp(word, "shortage")) {
            /* libc's own posix_spawn maps its child's stack. */
            if (calls[number].of == do_spawn)
                break;
            in_handler(0);
        } else if (!strcmp(word, "thread")) {
            pthread_attr_t attributes;
            pthread_t other;
            pthread_attr_init(&attributes);
            pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN);
            if (pthread_create(&other, &attributes, in_thread, NULL))
                return 97;
            pthread_join(other, NULL);
        } else {
            /* A page that nobody can touch is below. */
            char *pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            mprotect(pages, 4096, PROT_NONE);
            stack_t stack = {.ss_sp = pages + 4096, .ss_size = 8192};
            if (sigaltstack(&stack, NULL))
                return 96;
            struct sigaction action = {.sa_handler = in_handler, .sa_flags = SA_ONSTACK};
            sigaction(SIGUSR1, &action, NULL);
            raise(SIGUSR1);
        }
        printf("%s %d\n", calls[number].name, result);
        fflush(stdout);
    }
    return 0;
}
