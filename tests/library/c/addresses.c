/* One odd way of handing an address to the kernel, or of sending without one: `addresses HOW WAY`, where HOW is libc (its
 * functions), syscall (its syscall(2)), high (the same, with a high bit in the number) or raw (the instruction). Prints
 * `RESULT ERRNO`. Built static as well. Every address is the test's own. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raw.h"

static enum { LIBC, SYSCALL, HIGH, RAW } how;

#define GO(call, number, a, b, c, d, e, f)                                                                            \
    (how == LIBC ? (long)(call)                                                                                       \
     : how == RAW ? raw(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))                     \
                  : syscall(how == HIGH ? (number) + (1L << 32) : (number), (long)(a), (long)(b), (long)(c), (long)(d), \
                            (long)(e), (long)(f)))
#define CONNECT(fd, at, len) GO(connect(fd, (void *)(at), len), SYS_connect, fd, at, len, 0, 0, 0)
#define SENDTO(fd, at, len) GO(sendto(fd, "x", 1, 0, (void *)(at), len), SYS_sendto, fd, "x", 1, 0, at, len)
#define SENDMSG(fd, at) GO(sendmsg(fd, at, 0), SYS_sendmsg, fd, at, 0, 0, 0, 0)
#define BIND(fd, at, len) GO(bind(fd, (void *)(at), len), SYS_bind, fd, at, len, 0, 0, 0)

static union {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    char bytes[256];
} to;

static void v4(int family, const char *address, int port)
{
    memset(&to, 0, sizeof to);
    to.v4.sin_family = family;
    to.v4.sin_port = htons(port);
    inet_pton(AF_INET, address, &to.v4.sin_addr);
}

static void v6(int family, const char *address, int port)
{
    memset(&to, 0, sizeof to);
    to.v6.sin6_family = family;
    to.v6.sin6_port = htons(port);
    inet_pton(AF_INET6, address, &to.v6.sin6_addr);
}

/* The last bytes of a page behind which there is none. */
static void *at_end(size_t len)
{
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(page + 4096, 4096, PROT_NONE);
    return memcpy(page + 4096 - len, &to, len);
}

static int udp(int family)
{
    return socket(family, SOCK_DGRAM, 0);
}

/* A socket that has learnt its own address by a connect to a port of nothing. */
static int quiet(void)
{
    struct sockaddr_in own = {0};
    socklen_t len = sizeof own;
    int fd = udp(AF_INET);
    v4(AF_INET, "192.88.1.10", 9);
    if (CONNECT(fd, &to, 16) || getsockname(fd, (void *)&own, &len) || own.sin_addr.s_addr != to.v4.sin_addr.s_addr)
        exit(3);
    return fd;
}

static long one(const char *way)
{
    struct iovec piece = {"x", 1};
    struct mmsghdr message = {.msg_hdr = {.msg_name = &to, .msg_namelen = 16, .msg_iov = &piece, .msg_iovlen = 1}};
    struct msghdr *header = &message.msg_hdr;
    v4(AF_INET, "192.88.1.10", 4444);
    if (!strcmp(way, "long sendmsg")) {
        header->msg_namelen = 144;
        return SENDMSG(udp(AF_INET), header);
    }
    if (!strcmp(way, "long sendmmsg")) {
        header->msg_namelen = 0x7fffffff;
        int fd = udp(AF_INET);
        return GO(sendmmsg(fd, &message, 1, 0), SYS_sendmmsg, fd, &message, 1, 0, 0, 0);
    }
    if (!strcmp(way, "long sendmsg fast open")) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        header->msg_namelen = 129;
        return GO(sendmsg(fd, header, MSG_FASTOPEN), SYS_sendmsg, fd, header, MSG_FASTOPEN, 0, 0, 0);
    }
    if (!strcmp(way, "unaligned at the end of a page")) {
        v6(AF_INET6, "2a0e:1::10", 4444);
        int fd = udp(AF_INET6);
        return SENDTO(fd, at_end(27), 27);
    }
    if (!strcmp(way, "connect at the end of a page"))
        return CONNECT(socket(AF_INET, SOCK_STREAM, 0), at_end(16), 16);
    if (!strcmp(way, "of 128 bytes"))
        return SENDTO(udp(AF_INET), at_end(128), 128);
    if (!strcmp(way, "v4 on v6")) {
        int fd = udp(AF_INET6);
        return SENDTO(fd, &to, 16);
    }
    to.v4.sin_family = AF_UNSPEC;
    if (!strcmp(way, "no family sendto"))
        return SENDTO(udp(AF_INET), &to, 16);
    if (!strcmp(way, "no family sendmsg"))
        return SENDMSG(udp(AF_INET), header);
    if (!strcmp(way, "no family raw")) {
        int fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
        return SENDTO(fd, &to, 16);
    }
    if (!strcmp(way, "no family v6 raw")) {
        v6(AF_UNSPEC, "2a0e:1::10", 0);
        int fd = socket(AF_INET6, SOCK_RAW, IPPROTO_UDP);
        return SENDTO(fd, &to, 28);
    }
    if (!strcmp(way, "bind at the end of a page")) {
        v4(AF_INET, "0.0.0.0", 4471);
        return BIND(udp(AF_INET), at_end(16), 16);
    }
    if (!strcmp(way, "bind of no family")) {
        v4(AF_UNSPEC, "0.0.0.0", 4471);
        return BIND(udp(AF_INET), &to, 16);
    }
    /* The kernel says what is wrong, in its own order. */
    if (!strcmp(way, "connect no descriptor"))
        return CONNECT(-1, 8, 16);
    if (!strcmp(way, "connect nowhere"))
        return CONNECT(udp(AF_INET), 8, 16);
    if (!strcmp(way, "connect beyond"))
        return CONNECT(udp(AF_INET), -8, 16);
    if (!strcmp(way, "connect negative"))
        return CONNECT(udp(AF_INET), &to, -1);
    if (!strcmp(way, "connect long"))
        return CONNECT(udp(AF_INET), &to, 129);
    if (!strcmp(way, "connect empty"))
        return CONNECT(udp(AF_INET), 8, 0);
    if (!strcmp(way, "connect short")) {
        v4(AF_INET, "192.88.1.10", 4444);
        return CONNECT(udp(AF_INET), at_end(15), 15);
    }
    if (!strcmp(way, "sendto long"))
        return SENDTO(udp(AF_INET), &to, 129);
    if (!strcmp(way, "sendto empty"))
        return SENDTO(udp(AF_INET), &to, 0);
    if (!strcmp(way, "sendto no family short"))
        return SENDTO(udp(AF_INET), at_end(15), 15);
    if (!strcmp(way, "sendto no family v6"))
        return SENDTO(udp(AF_INET6), &to, 28);
    if (!strcmp(way, "sendmsg negative")) {
        header->msg_namelen = -1;
        return SENDMSG(udp(AF_INET), header);
    }
    if (!strcmp(way, "sendmsg nowhere"))
        return SENDMSG(udp(AF_INET), (void *)8);
    if (!strcmp(way, "sendmsg name nowhere")) {
        header->msg_name = (void *)8;
        return SENDMSG(udp(AF_INET), header);
    }
    if (!strcmp(way, "sendmsg empty name")) {
        header->msg_namelen = 0;
        return SENDMSG(udp(AF_INET), header);
    }
    if (!strcmp(way, "bind nowhere"))
        return BIND(udp(AF_INET), 8, 16);
    if (!strcmp(way, "bind long"))
        return BIND(udp(AF_INET), &to, 129);
    if (!strcmp(way, "bind no family v6"))
        return BIND(udp(AF_INET6), &to, 28);
#ifdef __x86_64__
    if (!strcmp(way, "x32"))
        return GO(-1, 0x40000000L | SYS_connect, udp(AF_INET), &to, 16, 0, 0, 0);
#endif
    /* Sockets that were connected quietly. */
    if (!strcmp(way, "quiet"))
        return close(quiet());
    int fd = quiet();
    if (!strcmp(way, "quiet sendto"))
        return SENDTO(fd, 0, 0);
    if (!strcmp(way, "quiet send"))
        return how == LIBC ? send(fd, "x", 1, 0) : SENDTO(fd, 0, 0);
    if (!strcmp(way, "quiet write"))
        return GO(write(fd, "x", 1), SYS_write, fd, "x", 1, 0, 0, 0);
    if (!strcmp(way, "quiet writev"))
        return GO(writev(fd, &piece, 1), SYS_writev, fd, &piece, 1, 0, 0, 0);
    if (!strcmp(way, "quiet sendmsg")) {
        header->msg_name = NULL;
        return SENDMSG(fd, header);
    }
    if (!strcmp(way, "quiet sendmmsg")) {
        header->msg_name = NULL;
        return GO(sendmmsg(fd, &message, 1, 0), SYS_sendmmsg, fd, &message, 1, 0, 0, 0);
    }
    if (!strcmp(way, "quiet sendfile")) {
        int from = open("/etc/passwd", O_RDONLY);
        return GO(sendfile(fd, from, NULL, 1), SYS_sendfile, fd, from, 0, 1, 0, 0);
    }
    if (!strcmp(way, "quiet splice")) {
        int pipes[2];
        if (pipe(pipes) || write(pipes[1], "x", 1) != 1)
            return -2;
        return GO(splice(pipes[0], NULL, fd, NULL, 1, 0), SYS_splice, pipes[0], 0, fd, 0, 1, 0);
    }
    if (!strcmp(way, "quiet duplicate"))
        return write(GO(dup(fd), SYS_dup, fd, 0, 0, 0, 0, 0), "x", 1);
    if (!strcmp(way, "quiet fork")) {
        int status, child = fork();
        if (!child)
            _exit(write(fd, "x", 1) == 1 ? 0 : errno);
        waitpid(child, &status, 0);
        errno = WEXITSTATUS(status);
        return errno ? -1 : 1;
    }
    if (!strcmp(way, "quiet no family v6")) {
        int fd6 = udp(AF_INET6);
        v6(AF_INET6, "2a0e:1::10", 9);
        if (CONNECT(fd6, &to, 28))
            return -2;
        v6(AF_UNSPEC, "2a0e:1::10", 9);
        return SENDTO(fd6, &to, 28);
    }
    /* Where it may send, it sends. */
    if (!strcmp(way, "quiet then allowed")) {
        v4(AF_INET, "127.0.0.1", 4448);
        return CONNECT(fd, &to, 16) ? -2 : GO(write(fd, "x", 1), SYS_write, fd, "x", 1, 0, 0, 0);
    }
    if (!strcmp(way, "quiet then sendto allowed")) {
        v4(AF_INET, "127.0.0.1", 4448);
        return SENDTO(fd, &to, 16);
    }
    if (!strcmp(way, "quiet then closed")) {
        close(fd);
        int pipes[2];
        return pipe(pipes) ? -2 : GO(write(pipes[1], "x", 1), SYS_write, pipes[1], "x", 1, 0, 0, 0);
    }
    /* What no hook sees: its own instruction, whatever the connect was made by. */
    if (!strcmp(way, "quiet past libc"))
        return raw(SYS_write, fd, (long)"x", 1, 0, 0, 0);
    if (!strcmp(way, "quiet inherited")) {
        char number[12], *argv[] = {"/proc/self/exe", "raw", "write to", number, NULL};
        sprintf(number, "%d", fd);
        execv(argv[0], argv);
    }
    return -3;
}

int main(int argc, char **argv)
{
    how = !strcmp(argv[1], "libc") ? LIBC : !strcmp(argv[1], "syscall") ? SYSCALL : !strcmp(argv[1], "high") ? HIGH : RAW;
    errno = 0;
    long result = !strcmp(argv[2], "write to") ? raw(SYS_write, atoi(argv[3]), (long)"x", 1, 0, 0, 0) : one(argv[2]);
    int error = result < 0 ? errno : 0;
    printf("%ld %d\n", result, error);
    return 0;
}
