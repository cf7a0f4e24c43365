/* Sends and connects with sizes, flags, pointers and lengths that nobody means: `odd_sends`. The address is 192.88.1.10:4444. Prints the
 * result and the errno of each. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define SAY(call) errno = 0, result = (call), printf(#call "=%ld:%d\n", result, errno)

static long message(int fd, void *name, unsigned length, void *data, size_t size, size_t count, int flags)
{
    struct iovec pieces[2] = {{"x", 1}, {data, size}};
    struct msghdr header = {.msg_name = name, .msg_namelen = length, .msg_iov = pieces, .msg_iovlen = count};
    return sendmsg(fd, &header, flags);
}

int main(void)
{
    static char big[1 << 18];
    struct sockaddr_in to = {AF_INET, htons(4444)};
    struct sockaddr *at = (struct sockaddr *)&to;
    int u = socket(AF_INET, SOCK_DGRAM, 0), s = socket(AF_INET, SOCK_STREAM, 0), closed = 99, pair[2], v6;
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long result;
    inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
    munmap(page + 4096, 4096);
    pipe(pair);
    SAY(sendto(u, "x", 1, 0, at, 16));
    SAY(sendto(u, "x", (size_t)-1, 0, at, 16));
    SAY(sendto(u, "x", (size_t)1 << 62, 0, at, 16));
    SAY(sendto(u, "x", (size_t)1 << 31, 0, at, 16));
    SAY(sendto(u, big, 65507, 0, at, 16));
    SAY(sendto(u, big, 65508, 0, at, 16));
    SAY(sendto(u, big, 65536, 0, at, 16));
    SAY(sendto(u, big, sizeof big, 0, at, 16));
    SAY(sendto(u, NULL, 0, 0, at, 16));
    SAY(sendto(u, NULL, 5, 0, at, 16));
    SAY(sendto(u, (void *)8, 10, 0, at, 16));
    SAY(sendto(u, (void *)8, 70000, 0, at, 16));
    SAY(sendto(u, page + 4090, 10, 0, at, 16));
    SAY(sendto(u, page + 4090, 10, MSG_OOB, at, 16));
    SAY(sendto(u, (void *)-1, 10, 0, at, 16));
    SAY(sendto(u, "x", 1, -1, at, 16));
    SAY(sendto(u, "x", 1, (int)0x80000000, at, 16));
    SAY(sendto(u, "x", 1, MSG_OOB, at, 16));
    SAY(sendto(u, "x", 1, MSG_ERRQUEUE, at, 16));
    SAY(sendto(u, "x", 1, 0x40000, at, 16));
    SAY(sendto(u, "x", 1, 0, at, 129));
    SAY(sendto(u, "x", 1, 0, at, -1));
    SAY(sendto(u, "x", 1, 0, (void *)-1, 16));
    SAY(sendto(closed, "x", 1, 0, at, 16));
    SAY(sendto(closed, "x", 1, 0, at, 129));
    SAY(sendto(pair[1], "x", 1, 0, at, 16));
    SAY(sendto(pair[1], "x", 1, 0, at, -1));
    SAY(message(u, at, 16, "y", 1, 2, 0));
    SAY(message(u, at, 16, "y", (size_t)-1, 2, 0));
    SAY(message(u, at, 16, (void *)8, 3, 2, 0));
    SAY(message(u, at, 16, (void *)8, 3, 2, MSG_OOB));
    SAY(message(u, at, 16, page + 4090, 10, 2, 0));
    SAY(message(u, at, 16, big, 70000, 2, 0));
    SAY(message(u, at, 16, "y", 1, 2, (int)0x80000000));
    SAY(message(u, at, 16, "y", 1, 2, -1));
    SAY(message(u, at, 16, "y", 1, 1025, 0));
    SAY(message(u, at, -1, "y", 1, 2, 0));
    SAY(message(closed, at, 16, "y", 1, 2, 0));
    SAY(message(s, at, 16, "y", 1, 2, MSG_NOSIGNAL));
    SAY(sendto(s, "x", 1, MSG_NOSIGNAL, at, 16));
    SAY(connect(s, at, 129));
    SAY(connect(s, at, -1));
    SAY(connect(s, at, 0));
    SAY(connect(s, (void *)-1, 16));
    SAY(connect(s, (void *)-1, 0));
    SAY(connect(closed, at, 16));
    SAY(connect(closed, at, 129));
    SAY(connect(closed, (void *)-1, 16));
    SAY(connect(pair[0], at, 16));
    SAY(connect(pair[0], at, 129));
    SAY(bind(u, at, 129));
    SAY(bind(u, (void *)-1, 16));
    SAY(bind(closed, at, 16));
    SAY(bind(closed, at, 129));
    SAY(bind(pair[0], at, -1));
    SAY(listen(closed, 1));
    SAY(listen(pair[0], 1));
    SAY(connect(s, at, 16));
    SAY(message(s, NULL, 0, (void *)8, 3, 2, MSG_NOSIGNAL));
    SAY(sendto(s, (void *)8, 70000, MSG_NOSIGNAL, at, 16));
    SAY(sendto(s, (void *)8, 1 << 20, MSG_NOSIGNAL, at, 16));
    SAY(sendto(s, "x", 1, MSG_NOSIGNAL, at, 16));
    return 0;
}
