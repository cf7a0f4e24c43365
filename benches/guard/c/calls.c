/* Makes one kind of call many times: `calls KIND COUNT`. Prints the nanoseconds per call. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void connects(const char *address, int port, long count)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, address, &to.sin_addr);
    /* A UDP connect sends nothing: what is measured is the call. */
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    for (long i = 0; i < count; i++)
        if (connect(fd, (struct sockaddr *)&to, sizeof to))
            exit(1);
}

static void spawns(char *const argv[], long count)
{
    for (long i = 0; i < count; i++) {
        pid_t child;
        int status;
        if (posix_spawn(&child, argv[0], NULL, NULL, argv, environ) || waitpid(child, &status, 0) < 0)
            exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    const char *kind = argv[1];
    long count = atol(argv[2]);
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    if (!strcmp(kind, "common-port"))
        connects("192.88.1.10", 443, count);
    else if (!strcmp(kind, "local-range"))
        connects("10.1.2.3", 4444, count);
    else if (!strcmp(kind, "allowlist"))
        connects("192.88.1.10", 5555, count);
    else if (!strcmp(kind, "audited"))
        connects("192.88.1.10", 4444, count);
    else if (!strcmp(kind, "exec"))
        spawns((char *const[]){"/bin/true", NULL}, count);
    else if (!strcmp(kind, "exec-audited"))
        spawns((char *const[]){"/bin/sh", "-c", ":", NULL}, count);
    else
        return 2;
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%.1f\n", ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / count);
    return 0;
}
