/* Threads that connect, send, read, fork and start programs at once, with signals in between whose handler connects too:
 * `threads THREADS ROUNDS`. Prints how many of each went as they should, which is all of them. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static atomic_long connected, programs, forks, shells, handled, wrong;
static long rounds;

static int datagram(const char *address, int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, address, &at.sin_addr);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int done = fd < 0 ? -1 : connect(fd, (struct sockaddr *)&at, sizeof at);
    close(fd);
    return done;
}

static void on_alarm(int signal)
{
    (void)signal;
    int before = errno;
    if (datagram("192.88.1.10", 4445))
        wrong++;
    handled++;
    errno = before;
}

static void ended(pid_t child, atomic_long *count)
{
    int status;
    pid_t got;
    while ((got = waitpid(child, &status, 0)) < 0 && errno == EINTR)
        ;
    if (got == child && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        ++*count;
    else
        wrong++;
}

static void *work(void *number)
{
    long thread = (long)number;
    char *just[] = {"/bin/true", NULL}, *shell[] = {"/bin/sh", "-c", ":", NULL};
    for (long round = 0; round < rounds; round++) {
        if (datagram("192.88.1.10", 443) || datagram("10.1.2.3", 4444)
            || datagram("192.88.1.10", 20000 + (thread * 1000 + round) % 500))
            wrong++;
        else
            connected++;
        pid_t child;
        switch ((thread + round) % 3) {
        case 0:
            if (posix_spawn(&child, just[0], NULL, NULL, just, environ))
                wrong++;
            else
                ended(child, &programs);
            break;
        case 1:
            child = fork();
            if (!child) {
                /* The child of a process with threads: only this one is in it. */
                datagram("192.88.1.10", 4446);
                execve(just[0], just, environ);
                _exit(9);
            }
            ended(child, &forks);
            break;
        default:
            if (posix_spawn(&child, shell[0], NULL, NULL, shell, environ))
                wrong++;
            else
                ended(child, &shells);
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    long threads = atol(argv[1]);
    rounds = atol(argv[2]);
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, 1000}, {0, 1000}};
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(sa_family_t) + 1 + snprintf(at.sun_path + 1, 40, "portcullis-threads-%d", getpid());
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    pid_t child = fork();
    if (!child)
        _exit(0);
    waitpid(child, NULL, 0);
    if (bind(listener, (struct sockaddr *)&at, len) || listen(listener, 1) || connect(client, (struct sockaddr *)&at, len)
        || accept(listener, NULL, NULL) < 0)
        return 1;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    pthread_t all[64];
    for (long thread = 0; thread < threads && thread < 64; thread++)
        pthread_create(&all[thread], NULL, work, (void *)thread);
    for (long thread = 0; thread < threads && thread < 64; thread++)
        pthread_join(all[thread], NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
    printf("%ld %ld %ld %ld\n", connected, programs, forks, shells);
    fprintf(stderr, "%ld signals\n", handled);
    return wrong != 0;
}
