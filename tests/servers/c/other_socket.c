/* Another thread puts another socket in the place of the descriptor of a call, for as many milliseconds as the second argument
   says, and a third one in the place of every descriptor that comes and goes. Says how often the call was made on the socket for
   which it is refused, and of how many. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PLACE = 60, FIRST = 61, MANY = 64, HIGH = 768, KEPT = HIGH + MANY };
static _Atomic int harmless, wanted, stop;

static void *swap(void *nothing)
{
    while (!stop) {
        dup2(harmless, PLACE);
        dup2(wanted, PLACE);
    }
    return nothing;
}

/* The lowest free numbers, and round ones. */
static void *guess(void *nothing)
{
    while (!stop)
        for (int n = 0; n < MANY && !stop; n++) {
            dup2(wanted, HIGH + n % 2);
            dup2(wanted, FIRST + n);
            close(FIRST + n);
            close(HIGH + n % 2);
        }
    return nothing;
}

static struct sockaddr_in at(const char *host, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    return address;
}

static int stream(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    struct sockaddr_in address = at("0.0.0.0", port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
    if (port && bind(fd, (void *)&address, sizeof address)) { perror("bind"); exit(1); }
    return fd;
}

static long milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(int count, char **arguments)
{
    if (count < 3) return 1;
    int listens = !strcmp(arguments[1], "listen"), sends = !strcmp(arguments[1], "send");
    long end = milliseconds() + atol(arguments[2]);
    struct sockaddr_in far = at("192.88.1.10", sends ? 5556 : 9);
    int receiver = socket(AF_INET, SOCK_DGRAM, 0), pair[2];
    /* A connected stream looks at no address; a datagram is sent to it. */
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    int server = stream(0), peer = stream(0);
    struct sockaddr_in near = at("127.0.0.1", 0);
    socklen_t length = sizeof near;
    if (sends) {
        bind(receiver, (void *)&far, sizeof far);
        bind(server, (void *)&near, sizeof near);
        listen(server, 1);
        getsockname(server, (void *)&near, &length);
        if (connect(peer, (void *)&near, sizeof near)) { perror("connect"); return 1; }
    }
    harmless = listens ? pair[0] : sends ? peer : socket(AF_INET, SOCK_DGRAM, 0);
    wanted = sends ? socket(AF_INET, SOCK_DGRAM, 0) : stream(listens ? 5555 : 0);
    dup2(harmless, PLACE);
    dup2(harmless, KEPT);
    pthread_t thread, other;
    pthread_create(&thread, 0, swap, 0);
    pthread_create(&other, 0, guess, 0);
    long hits = 0, tries = 0;
    for (; milliseconds() < end; tries++) {
        int done = 0;
        char byte;
        if (listens) {
            int value = 0;
            socklen_t size = sizeof value;
            listen(PLACE, 5);
            getsockopt(wanted, SOL_SOCKET, SO_ACCEPTCONN, &value, &size);
            done = value;
        } else if (sends) {
            sendto(PLACE, "x", 1, MSG_DONTWAIT, (void *)&far, sizeof far);
            done = recv(receiver, &byte, 1, MSG_DONTWAIT) == 1;
        } else {
            connect(PLACE, (void *)&far, sizeof far);
            length = sizeof near;
            done = !getpeername(wanted, (void *)&near, &length);
        }
        hits += done;
        if (done && !sends) {
            int old = wanted;
            wanted = stream(listens ? 5555 : 0);
            close(old);
        }
    }
    stop = 1;
    pthread_join(thread, 0);
    pthread_join(other, 0);
    int left = 0;
    for (int fd = FIRST; fd < 4096; fd++) left += fcntl(fd, F_GETFD) >= 0;
    printf("%s %ld of %ld, left %d\n", arguments[1], hits, tries, left);
    return 0;
}
