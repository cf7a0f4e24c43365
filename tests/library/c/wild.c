/* Calls with memory that cannot be read or cannot be written, each in a child: what the kernel says, or the signal. The word names
   by what they are made. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
extern int bindresvport(int, struct sockaddr_in *);
static int by_number;
static char *wild, *fixed;
static struct iovec small = {"x", 1};
static struct sockaddr_in there;
static struct mmsghdr many[8];

#define CALL(name, ...) (by_number ? syscall(SYS_##name, __VA_ARGS__) : name(__VA_ARGS__))

static int udp(void) { return socket(AF_INET, SOCK_DGRAM, 0); }

static struct mmsghdr *filled(int count)
{
    memset(many, 0, sizeof many);
    for (int i = 0; i < count; i++) {
        many[i].msg_hdr.msg_iov = &small;
        many[i].msg_hdr.msg_iovlen = 1;
        many[i].msg_hdr.msg_name = &there;
        many[i].msg_hdr.msg_namelen = sizeof there;
    }
    return many;
}

/* Messages of which the first `writable` are in memory that can be written. */
static struct mmsghdr *fixed_from(int writable, int count)
{
    char *pages = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct mmsghdr *at = (void *)(pages + 4096 - writable * sizeof *at);
    memcpy(at, filled(count), count * sizeof *at);
    mprotect(pages + 4096, 4096, PROT_READ);
    return at;
}

static struct msghdr *into_fixed(void)
{
    struct msghdr header = {.msg_iov = &small, .msg_iovlen = 0};
    mprotect(fixed, 4096, PROT_READ | PROT_WRITE);
    memcpy(fixed, &header, sizeof header);
    mprotect(fixed, 4096, PROT_READ);
    return (void *)fixed;
}

static int receiver(void)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof own;
    int fd = udp(), out = udp();
    bind(fd, (void *)&own, sizeof own);
    getsockname(fd, (void *)&own, &len);
    sendto(out, "x", 1, 0, (void *)&own, len);
    return fd;
}

static int listening(void)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof own;
    int fd = socket(AF_INET, SOCK_STREAM, 0), out = socket(AF_INET, SOCK_STREAM, 0);
    bind(fd, (void *)&own, sizeof own);
    listen(fd, 4);
    getsockname(fd, (void *)&own, &len);
    connect(out, (void *)&own, len);
    return fd;
}

static struct msghdr header(void *name, socklen_t size, void *pieces, size_t count, void *control, size_t len)
{
    struct msghdr header = {name, size, pieces, count, control, len, 0};
    return header;
}

static long counted(int to, long sent)
{
    char byte;
    int arrived = 0, error = errno;
    while (recv(to, &byte, 1, MSG_DONTWAIT) >= 0)
        arrived++;
    errno = error;
    return sent * 100 + (sent < 0 ? -arrived : arrived);
}

static long one(int which)
{
    struct msghdr message;
    socklen_t len = sizeof there;
    struct sockaddr_in other = {.sin_family = AF_INET6};
    int zero = 0, to;
    switch (which) {
    case 0: return bindresvport(-1, 0);
    case 1: return bindresvport(-1, &other);
    case 2: return bindresvport(open("/dev/null", O_RDWR), 0);
    case 3: return bindresvport(open("/dev/null", O_RDWR), &other);
    case 4: return bindresvport(9999, 0);
    case 5: return CALL(setsockopt, -1, IPPROTO_IP, IP_OPTIONS, "\1\1\1\1", 4);
    case 6: return CALL(setsockopt, 0, IPPROTO_IP, IP_OPTIONS, "\1\1\1\1", 4);
    case 7: return CALL(setsockopt, 9999, IPPROTO_IPV6, 57, "\1\1\1\1", 4);
    case 8: return CALL(getsockopt, -1, IPPROTO_SCTP, 111, &zero, &len);
    case 9: return CALL(connect, -1, (void *)8, 16);
    case 10: return CALL(listen, -1, 1);
    case 11: return CALL(listen, 0, 1);
    case 12: return by_number ? syscall(SYS_fsopen, wild, 0) : fsopen(wild, 0);
    case 13: return by_number ? syscall(SYS_fsopen, 0, 0) : fsopen(0, 0);
    case 14: return CALL(mount, 0, "/", wild, 0, 0);
    case 15: return CALL(mount, 0, wild, wild, 0, 0);
    case 16: return CALL(mount, 0, "/not there", wild, 0, 0);
    case 17: setuid(65534); return CALL(mount, 0, "/", wild, 0, 0);
    case 18: setuid(65534); return by_number ? syscall(SYS_fsopen, wild, 0) : fsopen(wild, 0);
    case 19: setuid(65534); return by_number ? syscall(SYS_fsopen, wild, 99) : fsopen(wild, 99);
    case 20: return by_number ? syscall(SYS_fsopen, wild, 99) : fsopen(wild, 99);
    case 21: to = receiver(); return counted(to, CALL(sendmmsg, udp(), (void *)wild, 3, 0));
    case 22: case 23: case 24: case 25: case 26:
        to = receiver();
        len = sizeof there;
        getsockname(to, (void *)&there, &len);
        return counted(to, CALL(sendmmsg, udp(), fixed_from((which - 22) * 3 / 2, which == 26 ? 8 : 6), which == 26 ? 8 : 6, 0));
    case 27: return CALL(sendmmsg, -1, fixed_from(0, 3), 3, 0);
    case 28: return CALL(recvmsg, receiver(), into_fixed(), MSG_DONTWAIT);
    case 29: return CALL(recvmsg, receiver(), (void *)8, MSG_DONTWAIT);
    case 30: return CALL(recvmsg, receiver(), (void *)wild, MSG_DONTWAIT);
    case 31: return CALL(recvmmsg, receiver(), fixed_from(0, 3), 3, MSG_DONTWAIT, 0);
    case 32: return CALL(recvmmsg, receiver(), (void *)wild, 3, MSG_DONTWAIT, 0);
    case 33: return CALL(recvmmsg, receiver(), filled(3), 3, MSG_DONTWAIT, (void *)wild);
    case 34: return CALL(accept, listening(), (void *)fixed, &len);
    case 35: return CALL(accept, listening(), (void *)&other, (void *)fixed);
    case 36: return CALL(accept, listening(), (void *)wild, &len);
    case 37: return CALL(accept, listening(), (void *)&other, (void *)wild);
    case 38: return CALL(accept4, listening(), (void *)wild, &len, 0);
    case 39: return CALL(accept4, listening(), (void *)fixed, (void *)fixed, 0);
    case 40: return CALL(recvfrom, receiver(), fixed, 1, 0, 0, 0);
    case 41: return CALL(recvfrom, receiver(), &zero, 1, 0, (void *)fixed, &len);
    case 42: return CALL(recvfrom, receiver(), &zero, 1, 0, (void *)&other, (void *)wild);
    case 43: return CALL(read, receiver(), wild, 1);
    case 44: return CALL(read, receiver(), fixed, 1);
    case 45: return CALL(write, udp(), wild, 1);
    case 46: return CALL(writev, udp(), (void *)wild, 1);
    case 47: return CALL(sendfile, udp(), 0, (void *)wild, 1);
    case 48: return CALL(sendfile, udp(), open("/proc/self/exe", O_RDONLY), (void *)fixed, 1);
    case 49: return CALL(splice, 0, (void *)wild, 1, 0, 1, 0);
    case 50: return CALL(getsockopt, udp(), SOL_SOCKET, SO_TYPE, fixed, &len);
    case 51: return CALL(getsockopt, udp(), SOL_SOCKET, SO_TYPE, &zero, (void *)fixed);
    case 52: return CALL(getsockopt, udp(), SOL_SOCKET, SO_TYPE, wild, (void *)wild);
    case 53: return CALL(setsockopt, udp(), SOL_SOCKET, SO_REUSEADDR, wild, 4);
    case 54: message = header(&there, sizeof there, wild, 1, 0, 0); return CALL(sendmsg, udp(), &message, 0);
    case 55: message = header(&there, sizeof there, &small, 1, wild, 32); return CALL(sendmsg, udp(), &message, 0);
    case 56: message = header(0, 0, wild, 1, 0, 0); return CALL(sendmsg, udp(), &message, 0);
    case 57: return CALL(execve, wild, 0, 0);
    case 58: return CALL(execve, "/bin/true", (void *)wild, environ);
    case 59: return CALL(execve, "/bin/true", 0, (void *)wild);
    case 60: fixed[0] = 0; return 0;
    case 61: return posix_spawn((void *)fixed, "/bin/true", 0, 0, (char *[]){"true", 0}, environ);
    case 62: return by_number ? syscall(SYS_openat, AT_FDCWD, wild, O_RDWR) : open(wild, O_RDWR);
    case 63: return syscall(SYS_seccomp, 1, 0, wild);
    case 64: return CALL(sendto, udp(), wild, 1, 0, (void *)&there, sizeof there);
    case 65: message = header(&there, sizeof there, &small, 1, (void *)8, 32); return CALL(sendmsg, udp(), &message, 0);
    case 66: return CALL(dup2, -1, 1);
    case 67: return CALL(execve, "/bin/true", (char *[]){wild, 0}, environ);
    }
    return -1000;
}

int main(int count, char **words)
{
    by_number = count > 1 && !strcmp(words[1], "syscall");
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    wild = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(wild, 4096);
    wild = mmap(wild, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    fixed = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    there.sin_family = AF_INET;
    there.sin_port = htons(4446);
    inet_pton(AF_INET, "127.0.0.1", &there.sin_addr);
    close(0);
    open("/dev/null", O_RDWR);
    for (int i = 0; i < 68; i++) {
        fflush(stdout);
        int pid = fork(), status;
        if (!pid) {
            errno = 0;
            long got = one(i);
            printf("%d: %ld %d\n", i, got, got < 0 ? errno : 0);
            fflush(stdout);
            _exit(0);
        }
        waitpid(pid, &status, 0);
        if (WIFSIGNALED(status))
            printf("%d: signal %d\n", i, WTERMSIG(status));
    }
    return 0;
}
