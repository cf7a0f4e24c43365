/* What a static program does with sockets, past every hook: `raw_sockets WAY [ARGUMENT]`; the address is 192.88.1.10:4444. Prints what
 * came of it.
 *   local PATH, local-threads PATH   connects to a local socket; with another thread beside it
 *   sends         one datagram each by sendto and by sendmsg, two by sendmmsg
 *   control       a datagram with IP_TTL, and one with IP_RETOPTS
 *   rights        a descriptor over a local socket
 *   pipe          a message on a stream that is shut: the result, and whether SIGPIPE came
 *   stream SIZE   as many bytes on a stream, which the other end is slow to read
 *   nonblocking   the same on one that does not wait, until it says EAGAIN
 *   race          datagrams, while another thread writes another port into their address
 *   exec PATH     executes it */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_in to;
static volatile sig_atomic_t signals, stop;

static void came(int number)
{
    signals++;
}

static void say(long result)
{
    printf("%ld:%d ", result, result < 0 ? errno : 0);
}

static void *idle(void *nothing)
{
    pause();
    return NULL;
}

static void *flip(void *nothing)
{
    volatile unsigned short *port = &to.sin_port;
    while (!stop)
        *port = *port == htons(4444) ? htons(4445) : htons(4444);
    return NULL;
}

static int stream(int flags)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof to))
        say(-1);
    fcntl(fd, F_SETFL, flags);
    return fd;
}

static long message(int fd, void *name, struct iovec *pieces, int count, void *control, size_t size)
{
    struct msghdr header = {.msg_name = name, .msg_namelen = name ? sizeof to : 0, .msg_iov = pieces, .msg_iovlen = count};
    header.msg_control = control;
    header.msg_controllen = size;
    return sendmsg(fd, &header, 0);
}

static long with_control(int fd, void *name, int level, int type, int value)
{
    union {
        char bytes[CMSG_SPACE(sizeof value)];
        struct cmsghdr align;
    } control = {0};
    struct iovec piece = {"c", 1};
    control.align = (struct cmsghdr){CMSG_LEN(sizeof value), level, type};
    memcpy(CMSG_DATA(&control.align), &value, sizeof value);
    return message(fd, name, &piece, 1, control.bytes, sizeof control.bytes);
}

int main(int count, char **arguments)
{
    char *way = arguments[1], *argument = count > 2 ? arguments[2] : "";
    pthread_t thread;
    to.sin_family = AF_INET;
    to.sin_port = htons(4444);
    inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
    setvbuf(stdout, NULL, _IONBF, 0);
    signal(SIGPIPE, came);
    if (!strncmp(way, "local", 5)) {
        struct sockaddr_un at = {AF_UNIX};
        strncpy(at.sun_path, argument, sizeof at.sun_path - 1);
        if (way[5])
            pthread_create(&thread, NULL, idle, NULL);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        say(connect(fd, (struct sockaddr *)&at, sizeof at));
    } else if (!strcmp(way, "sends")) {
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        struct iovec pieces[] = {{"two ", 4}, {"pieces", 6}}, first = {"first", 5}, second = {"second!", 7};
        struct mmsghdr many[2] = {
            {{.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &first, .msg_iovlen = 1}},
            {{.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &second, .msg_iovlen = 1}},
        };
        say(sendto(fd, "one", 3, 0, (struct sockaddr *)&to, sizeof to));
        say(message(fd, &to, pieces, 2, NULL, 0));
        say(sendmmsg(fd, many, 2, 0));
        printf("%u %u", many[0].msg_len, many[1].msg_len);
    } else if (!strcmp(way, "control")) {
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        say(with_control(fd, &to, IPPROTO_IP, IP_TTL, 9));
        /* A security option (RFC 1108), for which the kernel wants CAP_NET_RAW. */
        say(with_control(fd, &to, IPPROTO_IP, IP_RETOPTS, 0x0482));
    } else if (!strcmp(way, "rights")) {
        int pair[2];
        socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
        say(with_control(pair[0], NULL, SOL_SOCKET, SCM_RIGHTS, 1));
    } else if (!strcmp(way, "pipe")) {
        struct iovec piece = {"x", 1};
        int fd = stream(0);
        shutdown(fd, SHUT_WR);
        say(message(fd, NULL, &piece, 1, NULL, 0));
        printf("%d", signals);
    } else if (!strcmp(way, "stream") || !strcmp(way, "nonblocking")) {
        long left = atol(argument), sent;
        struct iovec piece = {calloc(1, 1 << 16), 1 << 16};
        int fd = stream(way[0] == 'n' ? O_NONBLOCK : 0);
        for (; left > 0; left -= sent) {
            piece.iov_len = left < 1 << 16 ? left : 1 << 16;
            if ((sent = message(fd, NULL, &piece, 1, NULL, 0)) < 0)
                break;
        }
        say(sent < 0 ? sent : left);
    } else if (!strcmp(way, "race")) {
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        struct iovec piece = {"r", 1};
        pthread_create(&thread, NULL, flip, NULL);
        for (int round = 0; round < 3000; round++)
            round % 2 ? sendto(fd, "r", 1, 0, (struct sockaddr *)&to, sizeof to) : message(fd, &to, &piece, 1, NULL, 0);
        stop = 1;
        pthread_join(thread, NULL);
        printf("done");
    } else if (!strcmp(way, "exec")) {
        char *const own[] = {argument, NULL}, *const nothing[] = {NULL};
        say(execve(argument, own, nothing));
    }
    return 0;
}
