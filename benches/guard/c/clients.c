/* Programs without the guard, whose calls the supervisor judges: `clients WAY NUMBER`.
 *   hostile   as many processes that send a datagram again and again, for forty seconds
 *   cold      as many processes that execute what is not there, with variables that have to be read from a disk, for forty seconds
 *   maze      as many processes that execute what is not there, by a path behind 39 links of 1,600 steps each, for forty seconds
 *   probe     sends as many, one in each millisecond, and prints how long each took, and how long a child of its own, which does nothing
 *             else, takes to answer a byte: what a call costs that another process answers, on processors that are as full. In nanoseconds */
#define _GNU_SOURCE
#include "../../../tests/servers/c/cold.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

static long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

static void cold(const char *program)
{
    static struct cold all;
    char folder[4096], *arguments[] = {"x", NULL};
    snprintf(folder, sizeof folder, "%s.d", program);
    make_cold(&all, folder);
    for (;;) {
        evict(&all);
        execve("/nonexistent/x", arguments, all.variables);
    }
}

static void maze(const char *program)
{
    enum { LINKS = 39, STEPS = 800 };
    char target[4096], name[64], *none[] = {NULL};
    snprintf(name, sizeof name, "%s.d", program);
    chdir(name);
    mkdir("d", 0777);
    for (int i = 0; i < LINKS; i++) {
        target[0] = 0;
        for (int step = 0; step < STEPS; step++)
            strcat(target, "d/../");
        sprintf(target + strlen(target), "l%d", i + 1);
        sprintf(name, "l%d", i);
        symlink(target, name);
    }
    for (;;)
        execve("l0", none, none);
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
            if (!strcmp(argv[1], "cold"))
                cold(argv[0]);
            if (!strcmp(argv[1], "maze"))
                maze(argv[0]);
            for (;;)
                sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to);
        }
    sleep(40);
    return 0;
}
