/* Programs without the guard, whose calls the supervisor judges: `clients WAY NUMBER`.
 *   hostile   as many processes that send a datagram again and again, for twenty seconds
 *   probe     sends as many, one in each millisecond, and prints how long each took, and how long a child of its own, which does nothing
 *             else, takes to answer a byte: what a call costs that another process answers, on processors that are as full. In nanoseconds */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

int main(int argc, char **argv)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4444)};
    inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
    int fd = socket(AF_INET, SOCK_DGRAM, 0), number = atoi(argv[2]);
    if (!strcmp(argv[1], "probe")) {
        char byte = 0;
        int pair[2];
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
        if (!fork()) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            while (read(pair[1], &byte, 1) == 1)
                write(pair[1], &byte, 1);
        }
        for (int i = 0; i < number; i++) {
            long begun = now();
            sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to);
            printf("%ld ", now() - begun);
            usleep(1000);
            begun = now();
            write(pair[0], &byte, 1);
            read(pair[0], &byte, 1);
            printf("%ld\n", now() - begun);
            usleep(1000);
        }
        return 0;
    }
    for (int i = 0; i < number; i++)
        if (!fork()) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;)
                sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to);
        }
    sleep(20);
    return 0;
}
