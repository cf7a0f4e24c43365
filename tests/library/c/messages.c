/* sendmmsg(2) in the cases in which it stops. With "refused": to ports of which some are refused. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int by_number;
static char big[8 << 20];
static struct iovec small = {"x", 1}, huge = {big, sizeof big}, wild = {(void *)8, 4}, none;

static int send_all(int fd, struct mmsghdr *all, unsigned count, int flags)
{
    return by_number ? syscall(SYS_sendmmsg, fd, all, count, flags) : sendmmsg(fd, all, count, flags);
}

static struct sockaddr_in at(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, "192.88.1.10", &address.sin_addr);
    return address;
}

static int receiver(int kind, int port)
{
    int fd = socket(AF_INET, kind | SOCK_NONBLOCK, 0), room = 4 << 20;
    struct sockaddr_in own = at(port);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    if (bind(fd, (void *)&own, sizeof own))
        abort();
    return fd;
}

static int drain(int fd)
{
    int count = 0;
    char byte[64];
    while (fd >= 0 && recv(fd, byte, sizeof byte, 0) >= 0)
        count++;
    return count;
}

static void say(const char *name, int fd, struct mmsghdr *all, unsigned count, int flags, int to)
{
    errno = 0;
    int sent = send_all(fd, all, count, flags), error = errno;
    printf("%s: %d %d %u %u %u; arrived %d\n", name, sent, error, all[0].msg_len, count > 1 ? all[1].msg_len : 0,
           count > 2 ? all[2].msg_len : 0, drain(to));
}

static void say_short(const char *name, int fd, struct mmsghdr *all, int to)
{
    errno = 0;
    int sent = send_all(fd, all, 5, 0), error = errno;
    printf("%s: %d %d; arrived %d\n", name, sent, error, drain(to));
}

/* Messages of one byte each to a port; 0 for none. */
static struct mmsghdr *fill(struct mmsghdr *all, int count, struct sockaddr_in *to)
{
    memset(all, 0, count * sizeof *all);
    for (int i = 0; i < count; i++) {
        all[i].msg_hdr.msg_iov = &small;
        all[i].msg_hdr.msg_iovlen = 1;
        all[i].msg_hdr.msg_name = to;
        all[i].msg_hdr.msg_namelen = to ? sizeof *to : 0;
    }
    return all;
}

static void refused(void)
{
    static struct mmsghdr all[16];
    int out = socket(AF_INET, SOCK_DGRAM, 0), to = receiver(SOCK_DGRAM, 5555);
    struct sockaddr_in good = at(5555), bad = at(4446);
    fill(all, 3, &good)[0].msg_hdr.msg_name = &bad;
    say("refused as the first", out, all, 3, 0, to);
    fill(all, 3, &good)[1].msg_hdr.msg_name = &bad;
    say("refused as the second", out, all, 3, 0, to);
    fill(all, 10, &good)[5].msg_hdr.msg_name = &bad;
    bad.sin_port = htons(4447);
    say("refused as the sixth of ten", out, all, 10, 0, to);
    say("refused as none", out, fill(all, 3, &good), 3, 0, to);
}

static void streams(void)
{
    struct mmsghdr all[3];
    struct sockaddr_in server = at(5556);
    int room = 4096;
    for (int kind = 0; kind < 3; kind++) {
        int ends[2];
        if (kind == 2) {
            int listener = receiver(SOCK_STREAM, 5556);
            listen(listener, 1);
            ends[0] = socket(AF_INET, SOCK_STREAM, 0);
            connect(ends[0], (void *)&server, sizeof server);
            ends[1] = accept(listener, 0, 0);
            while (ends[1] < 0)
                ends[1] = accept(listener, 0, 0);
            close(listener);
        } else {
            socketpair(AF_UNIX, kind ? SOCK_SEQPACKET : SOCK_STREAM, 0, ends);
        }
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
        fill(all, 3, 0)[0].msg_hdr.msg_iov = &huge;
        int sent = send_all(ends[0], all, 3, 0);
        printf("%s: %d %d\n", kind == 2 ? "stream taken in part" : kind ? "packets" : "local stream", sent, all[1].msg_len);
        fill(all, 3, 0)[1].msg_hdr.msg_iov = &huge;
        sent = send_all(ends[0], all, 3, MSG_DONTWAIT);
        printf("and again: %d %d\n", sent, errno);
        close(ends[1]);
        sent = send_all(ends[0], all, 3, 0);
        printf("closed: %d %d\n", sent, errno);
        close(ends[0]);
    }
}

int main(int count, char **words)
{
    static struct mmsghdr all[2000];
    if (count > 1 && !strcmp(words[1], "refused"))
        return refused(), 0;
    by_number = count > 1 && !strcmp(words[1], "syscall");
    int out = socket(AF_INET, SOCK_DGRAM, 0), to = receiver(SOCK_DGRAM, 4446);
    struct sockaddr_in good = at(4446), nobody = at(4449), odd = at(4446);
    odd.sin_family = 77;
    signal(SIGPIPE, SIG_IGN);
    streams();
    say("three", out, fill(all, 3, &good), 3, 0, to);
    say("none", out, fill(all, 3, &good), 0, 0, to);
    say("none of a bad descriptor", -1, all, 0, 0, to);
    say("a bad descriptor", -1, all, 3, 0, to);
    say("no socket", 0, all, 3, 0, to);
    fill(all, 3, &good)[1].msg_hdr.msg_iov = &huge;
    say("too long as the second", out, all, 3, 0, to);
    say("too long as the first", out, all + 1, 2, 0, to);
    fill(all, 3, &good)[1].msg_hdr.msg_namelen = 2;
    say("a short address as the second", out, all, 3, 0, to);
    fill(all, 3, &good)[1].msg_hdr.msg_namelen = -1;
    say("a negative address as the second", out, all, 3, 0, to);
    fill(all, 3, &good)[1].msg_hdr.msg_namelen = 1000;
    say("a long address as the second", out, all, 3, 0, to);
    fill(all, 3, &good)[1].msg_hdr.msg_name = (void *)8;
    say("a wild address as the second", out, all, 3, 0, to);
    fill(all, 3, &good)[2].msg_hdr.msg_name = &odd;
    say("another family as the third", out, all, 3, 0, to);
    fill(all, 3, &good)[1].msg_hdr.msg_name = 0;
    say("no address as the second", out, all, 3, 0, to);
    fill(all, 3, &good)[1].msg_hdr.msg_iov = &wild;
    say("wild bytes as the second", out, all, 3, 0, to);
    fill(all, 3, &good)[2].msg_hdr.msg_iovlen = 2000;
    say("too many pieces as the third", out, all, 3, 0, to);
    fill(all, 3, &good)[1].msg_hdr.msg_iov = &none;
    say("nothing as the second", out, all, 3, 0, to);
    say("out of band", out, fill(all, 3, &good), 3, MSG_OOB, to);
    say("for one", out, fill(all, 3, &good), 3, MSG_WAITFORONE, to);
    say("unknown flags", out, fill(all, 3, &good), 3, 0x100000, to);
    say("ten", out, fill(all, 10, &good), 10, 0, to);
    fill(all, 10, &good)[7].msg_hdr.msg_iov = &huge;
    say("too long as the eighth", out, all, 10, 0, to);
    say("2,000 messages", out, fill(all, 2000, &good), 2000, 0, to);

    /* sendto is the kernel's, too, whatever it is made of. */
    const size_t sizes[] = {0, 1, 65507, 65508, 1UL << 31, 1UL << 62, -1};
    const int flags[] = {0, MSG_OOB, MSG_DONTWAIT, 0x80000000, 0x40000000, -1};
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < 6; k++) {
            errno = 0;
            long sent = by_number ? syscall(SYS_sendto, out, big, sizes[i], flags[k], &good, sizeof good)
                                  : sendto(out, big, sizes[i], flags[k], (void *)&good, sizeof good);
            int error = errno;
            printf("sendto %zu %x: %ld %d; arrived %d\n", sizes[i], flags[k], sent, error, drain(to));
        }

    /* An error that came back for an earlier datagram is told by the next call, once. */
    int quiet = socket(AF_INET, SOCK_DGRAM, 0);
    connect(quiet, (void *)&nobody, sizeof nobody);
    send(quiet, "x", 1, 0);
    usleep(20000);
    say("an error that waits", quiet, fill(all, 3, 0), 3, 0, -1);
    usleep(20000);
    say("an error of the last call's", quiet, fill(all, 3, 0), 3, 0, -1);

    /* Two messages at the end of what is mapped, and none there. */
    char *pages = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(pages + 2 * 4096, 4096);
    struct mmsghdr *last = (void *)(pages + 2 * 4096 - 2 * sizeof *last);
    say_short("unmapped behind two", out, fill(last, 2, &good), to);
    last = (void *)((char *)last + 32);
    say_short("unmapped in the second", out, fill(last, 1, &good), to);
    say_short("unmapped", out, (void *)8, to);
    say_short("nowhere", out, 0, to);
    return 0;
}
