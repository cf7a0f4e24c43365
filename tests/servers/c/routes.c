#define _GNU_SOURCE
/* Ways by which packets go elsewhere than the socket's address says, and sockets to which a port says nothing. Each prints what its
   last call gave. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *allowed = "fd00:9::9", *outside = "2a00:bad::10";

/* A segment routing header (RFC 8754) whose last segment is the allowed address, and whose first is another. */
static unsigned char header[40] = {0, 4, 4, 1, 1, 0, 0, 0};

static int end(const char *what, long done)
{
    printf("%s %d\n", what, done < 0 ? errno : 0);
    return 0;
}

static struct sockaddr_in6 at(const char *address, int port)
{
    struct sockaddr_in6 at = {AF_INET6, htons(port)};
    inet_pton(AF_INET6, address, &at.sin6_addr);
    return at;
}

static int set(int kind, int level, int option, const void *value, int len)
{
    int fd = socket(level == IPPROTO_IP ? AF_INET : AF_INET6, kind, 0);
    if (setsockopt(fd, level, option, value, len)) {
        end("set", -1);
        exit(0);
    }
    return fd;
}

static long message(int level, int kind, const void *data, size_t size, struct sockaddr *to, size_t len)
{
    union {
        struct cmsghdr head;
        char room[128];
    } control = {{CMSG_LEN(size), level, kind}};
    memcpy(CMSG_DATA(&control.head), data, size);
    struct iovec piece = {"x", 1};
    struct msghdr message = {to, len, &piece, 1, &control, CMSG_SPACE(size)};
    return sendmsg(socket(to->sa_family, SOCK_DGRAM, 0), &message, 0);
}

static const char echo[9] = {8, 0, 0, 0, 0, 0, 0, 1};

static long sent(int fd, struct sockaddr *to, size_t len)
{
    return connect(fd, to, len) ? -1 : send(fd, echo, sizeof echo, 0);
}

int main(int count, char **arguments)
{
    const char *way = count > 1 ? arguments[1] : "";
    struct sockaddr_in6 to = at(allowed, 4445);
    struct sockaddr_in v4 = {AF_INET, htons(80), {inet_addr("192.88.1.10")}};
    inet_pton(AF_INET6, allowed, header + 8);
    inet_pton(AF_INET6, outside, header + 24);
    /* The older header has the addresses in the order of the way; the kernel takes type 2 with one (linux/ipv6.h). */
    unsigned char two[24] = {0, 2, 2, 1};
    inet_pton(AF_INET6, outside, two + 8);
    if (!strcmp(way, "option"))
        return end("sendto", sendto(set(SOCK_DGRAM, IPPROTO_IPV6, 57, header, 40), "x", 1, 0, (void *)&to, sizeof to));
    if (!strcmp(way, "older option"))
        return end("sendto", sendto(set(SOCK_DGRAM, IPPROTO_IPV6, 5, two, 24), "x", 1, 0, (void *)&to, sizeof to));
    if (!strcmp(way, "nothing set"))
        return end("sendto", sendto(set(SOCK_DGRAM, IPPROTO_IPV6, 57, NULL, 0), "x", 1, 0, (void *)&to, sizeof to));
    if (!strcmp(way, "other option")) {
        int hops = 9;
        return end("connect", connect(set(SOCK_STREAM, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, 4), (void *)&to, sizeof to));
    }
    if (!strcmp(way, "flow label")) {
        /* struct in6_flowlabel_req: destination, label, action (get), sharing, flags (create), then the options. */
        unsigned char request[32 + 56] = {0};
        inet_pton(AF_INET6, allowed, request);
        request[20] = 0, request[21] = 255, request[22] = 1;
        struct cmsghdr head = {CMSG_LEN(40), IPPROTO_IPV6, 57};
        memcpy(request + 32, &head, sizeof head);
        memcpy(request + 32 + sizeof head, header, 40);
        set(SOCK_STREAM, IPPROTO_IPV6, 32, request, sizeof request);
        return end("label", 0);
    }
    if (!strcmp(way, "message"))
        return end("sendmsg", message(IPPROTO_IPV6, 57, header, 40, (void *)&to, sizeof to));
    if (!strcmp(way, "source route")) {
        unsigned char loose[8] = {131, 7, 4, 192, 88, 1, 10};
        return end("route", set(SOCK_DGRAM, IPPROTO_IP, IP_OPTIONS, loose, 8));
    }
    /* Options that change no destination: fillers, and the record of the way. */
    unsigned char record[8] = {1, 7, 7, 4}, fillers[4] = {1, 1, 1, 0}, half[8] = {131, 6, 4, 192, 88, 1};
    unsigned char loose[8] = {131, 7, 4, 192, 88, 1, 10};
    if (!strcmp(way, "record"))
        return end("sendto", sendto(set(SOCK_DGRAM, IPPROTO_IP, IP_OPTIONS, record, 8), "x", 1, 0, (void *)&v4, sizeof v4));
    if (!strcmp(way, "fillers"))
        return end("sendto", sendto(set(SOCK_DGRAM, IPPROTO_IP, IP_OPTIONS, fillers, 4), "x", 1, 0, (void *)&v4, sizeof v4));
    if (!strcmp(way, "half a route"))
        return end("set", set(SOCK_DGRAM, IPPROTO_IP, IP_OPTIONS, half, 8));
    if (!strcmp(way, "message with a route"))
        return end("sendmsg", message(IPPROTO_IP, IP_RETOPTS, loose, 8, (void *)&v4, sizeof v4));
    if (!strcmp(way, "message with a record"))
        return end("sendmsg", message(IPPROTO_IP, IP_RETOPTS, record, 8, (void *)&v4, sizeof v4));
    if (!strcmp(way, "ping"))
        return end("sendto", sendto(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), echo, 9, 0, (void *)&v4, sizeof v4));
    if (!strcmp(way, "ping behind")) {
        /* What was allowed of a socket with ports. */
        connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&v4, sizeof v4);
        return end("send", sent(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), (void *)&v4, sizeof v4));
    }
    if (!strcmp(way, "ping handed on") || !strcmp(way, "ping among many")) {
        /* To itself: as it comes from another process. What was allowed of a socket with ports is remembered by then. */
        int ends[2], ping = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
        socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
        if (fork() == 0) {
            struct iovec piece = {"x", 1};
            union {
                struct cmsghdr head;
                char room[32];
            } control = {{CMSG_LEN(4), SOL_SOCKET, SCM_RIGHTS}};
            memcpy(CMSG_DATA(&control.head), &ping, 4);
            struct msghdr message = {NULL, 0, &piece, 1, &control, CMSG_SPACE(4)};
            sendmsg(ends[0], &message, 0);
            _exit(0);
        }
        char byte;
        struct iovec piece = {&byte, 1};
        union {
            struct cmsghdr head;
            char room[32];
        } control;
        struct msghdr message = {NULL, 0, &piece, 1, &control, sizeof control};
        struct mmsghdr many = {message};
        if (!strcmp(way, "ping handed on") ? recvmsg(ends[1], &message, 0) < 0 : recvmmsg(ends[1], &many, 1, 0, NULL) != 1)
            return 1;
        memcpy(&ping, CMSG_DATA(&control.head), 4);
        return end("send", sent(ping, (void *)&v4, sizeof v4));
    }
    return 1;
}
