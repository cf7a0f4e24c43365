/* A signal handler, in a process without threads, changes descriptors while a call is judged, for as many milliseconds as the
   second argument says. Says how often it had what is refused, and of how many.
   bind    puts a datagram socket in the place of a stream, for which the port is not refused
   memory  keeps a copy of each descriptor that a refused open gives */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { PLACE = 60, KEPT = 61 };
static int harmless, wanted, next = -1;
static volatile sig_atomic_t turn;

static void handler(int signal)
{
    if (next >= 0) dup2(next, KEPT);
    else dup2(turn++ % 2 ? harmless : wanted, PLACE);
    (void)signal;
}

static long milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(int count, char **words)
{
    if (count < 3) return 1;
    int binds = !strcmp(words[1], "bind");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(5555)};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, 0);
    if (!binds) {
        next = dup(0);
        close(next);
    }
    long end = milliseconds() + atol(words[2]), hits = 0, tries = 0;
    for (; milliseconds() < end; tries++) {
        struct itimerval timer = {.it_value = {.tv_usec = 1 + tries % 60}}, none = {0};
        if (binds) {
            harmless = socket(AF_INET, SOCK_STREAM, 0);
            wanted = socket(AF_INET, SOCK_DGRAM, 0);
            dup2(harmless, PLACE);
        }
        setitimer(ITIMER_REAL, &timer, 0);
        for (volatile int n = 0; n < tries * 7 % 300; n++) {}
        if (binds) {
            bind(PLACE, (void *)&address, sizeof address);
        } else {
            int fd = open("/proc/self/mem", O_RDWR);
            if (fd >= 0) close(fd);
        }
        setitimer(ITIMER_REAL, &none, 0);
        if (binds) {
            struct sockaddr_in own = {0};
            socklen_t size = sizeof own;
            getsockname(wanted, (void *)&own, &size);
            hits += own.sin_port != 0;
            close(PLACE);
            close(harmless);
            close(wanted);
        } else {
            char link[64] = "";
            readlink("/proc/self/fd/61", link, sizeof link - 1);
            int flags = fcntl(KEPT, F_GETFL);
            hits += flags >= 0 && !(flags & O_PATH) && (flags & O_ACCMODE) == O_RDWR && strstr(link, "/mem");
            close(KEPT);
        }
    }
    printf("%s %ld of %ld\n", words[1], hits, tries);
    return 0;
}
