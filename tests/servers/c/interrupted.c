/* Signals while a program is announced: `interrupted COUNT PROGRAM` executes PROGRAM, which is this one without hooks, as often as that,
 * each time from a process to which a signal comes every 50 microseconds and whose handler does not restart calls; prints in how many
 * `interrupted connect` could not connect to 192.88.1.10:4444. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void came(int number)
{
}

int main(int count, char **arguments)
{
    int failed = 0, status;
    if (!strcmp(arguments[1], "connect")) {
        struct sockaddr_in to = {AF_INET, htons(4444)};
        inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
        return connect(socket(AF_INET, SOCK_DGRAM, 0), (struct sockaddr *)&to, sizeof to) ? 1 : 0;
    }
    for (int round = atoi(arguments[1]); round; round--) {
        pid_t child = fork();
        if (!child) {
            /* What is ignored where there is no handler, as after exec; timers end there. */
            struct sigaction action = {.sa_handler = came};
            struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGWINCH};
            struct itimerspec often = {{0, 50000}, {0, 50000}};
            timer_t timer;
            sigaction(SIGWINCH, &action, NULL);
            timer_create(CLOCK_MONOTONIC, &event, &timer);
            timer_settime(timer, 0, &often, NULL);
            execl(arguments[2], arguments[2], "connect", NULL);
            _exit(errno);
        }
        waitpid(child, &status, 0);
        failed += status != 0;
    }
    printf("failed %d", failed);
    return 0;
}
