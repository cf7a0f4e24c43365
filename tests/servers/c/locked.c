/* A socket whose lock a thread holds: its send buffer is full of packets that wait for a neighbour that does not answer, and a corked send
   waits for room. Other threads make calls on it by direct system calls. "locked ADDRESS PORT SECONDS WRITERS CALLERS WAY"
   "locked ADDRESS PORT 0 0 COUNT once": connects new sockets ("streams": of streams), and says how long the longest call took, in
   milliseconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in to = {.sin_family = AF_INET}, nowhere = {.sin_family = AF_INET};
static int held;
static double end;
static const char *way;
static long calls, refused;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static long raw_connect(int fd, struct sockaddr_in *address) {
    return syscall(SYS_connect, fd, address, sizeof *address);
}

static void *hold(void *unused) {
    char bytes[1200] = {0};
    int cork = 0;
    while (now() < end) {
        for (int k = 0; k < 500 && send(held, bytes, sizeof bytes, MSG_DONTWAIT) > 0; k++) {
        }
        send(held, bytes, sizeof bytes, MSG_MORE);
        setsockopt(held, IPPROTO_UDP, 1, &cork, sizeof cork);
    }
    return 0;
}

static void *call(void *unused) {
    while (now() < end) {
        long done = -1;
        if (!strcmp(way, "connect"))
            done = raw_connect(held, &to);
        else if (!strcmp(way, "nowhere"))
            done = raw_connect(held, &nowhere);
        else if (!strcmp(way, "listen"))
            done = syscall(SYS_listen, held, 1);
        else if (!strcmp(way, "bind"))
            done = syscall(SYS_bind, held, &nowhere, sizeof nowhere);
        else if (!strcmp(way, "send"))
            done = syscall(SYS_sendto, held, "x", 1, MSG_DONTWAIT, 0, 0);
        else if (!strcmp(way, "stream")) {
            int fd = socket(AF_INET, SOCK_STREAM, 0);
            done = raw_connect(fd, &to);
            close(fd);
        } else if (!strcmp(way, "many")) {
            struct iovec piece = {"x", 1};
            struct mmsghdr two[2] = {{{0, 0, &piece, 1}}, {{0, 0, &piece, 1}}};
            done = syscall(SYS_sendmmsg, held, two, 2, 0);
        }
        __sync_fetch_and_add(&calls, 1);
        if (done < 0 && errno == EACCES) {
            __sync_fetch_and_add(&refused, 1);
            usleep(10000);
        }
    }
    return 0;
}

int main(int count, char **words) {
    pthread_t thread;
    int one = 1;
    inet_pton(AF_INET, words[1], &to.sin_addr);
    to.sin_port = htons(atoi(words[2]));
    nowhere.sin_port = htons(4446);
    way = words[6];
    if (!strcmp(way, "once") || !strcmp(way, "streams")) {
        double longest = 0;
        int done = 0;
        for (int k = 0; k < atoi(words[5]); k++) {
            int fd = socket(AF_INET, way[0] == 'o' ? SOCK_DGRAM : SOCK_STREAM, 0);
            double begun = now();
            if (raw_connect(fd, &to) < 0)
                done = errno;
            if (now() - begun > longest)
                longest = now() - begun;
            close(fd);
        }
        printf("%d %d", done, (int)(longest * 1000));
        return 0;
    }
    end = now() + atof(words[3]);
    held = socket(AF_INET, SOCK_DGRAM, 0);
    setsockopt(held, SOL_SOCKET, SO_SNDBUF, &one, sizeof one);
    if (connect(held, (void *)&to, sizeof to))
        perror("connect");
    for (int k = 0; k < atoi(words[4]); k++)
        pthread_create(&thread, 0, hold, 0);
    if (atoi(words[4]))
        usleep(500000);
    for (int k = 0; k < atoi(words[5]); k++)
        pthread_create(&thread, 0, call, 0);
    while (now() < end)
        usleep(50000);
    printf("calls %ld refused %ld", calls, refused);
    fflush(stdout);
    _exit(0);
}
