/* A UDP socket that is connected and, by some way, used afterwards: `quiet ADDRESS PORT COPY WAY`. Prints the connect's result and
 * errno, then those of the way. With the copy "received", another process seems to have connected it. `quiet write FD` is the program
 * that others start. Nobody needs to listen: the first datagram goes. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raw.h"

extern char **environ;
int __fcntl(int, int, ...);

static int is(const char *one, const char *other)
{
    return !strcmp(one, other);
}

/* Sends the descriptor to this process itself. */
static int by_message(int fd, int many)
{
    int pair[2];
    char byte = 'x', room[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec piece = {&byte, 1};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room}};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message.msg_hdr);
    head->cmsg_level = SOL_SOCKET, head->cmsg_type = SCM_RIGHTS, head->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || sendmsg(pair[0], &message.msg_hdr, 0) != 1)
        return -1;
    memset(room, 0, sizeof room);
    message.msg_hdr.msg_controllen = sizeof room;
    if (many ? recvmmsg(pair[1], &message, 1, 0, NULL) != 1 : recvmsg(pair[1], &message.msg_hdr, 0) != 1)
        return -1;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message.msg_hdr)), sizeof fd);
    return fd;
}

static int copy(const char *how, int fd)
{
    if (is(how, "none") || is(how, "raw"))
        return fd;
    if (is(how, "dup"))
        return dup(fd);
    if (is(how, "dup2"))
        return dup2(fd, 70);
    if (is(how, "dup3"))
        return dup3(fd, 70, O_CLOEXEC);
    if (is(how, "F_DUPFD"))
        return fcntl(fd, F_DUPFD, 70);
    if (is(how, "F_DUPFD_CLOEXEC"))
        return fcntl64(fd, F_DUPFD_CLOEXEC, 70);
    if (is(how, "__fcntl"))
        return __fcntl(fd, F_DUPFD, 70);
    if (is(how, "SYS_fcntl"))
        return syscall(SYS_fcntl, fd, F_DUPFD, 70);
    if (is(how, "copy of a copy"))
        return fcntl(dup(fd), F_DUPFD_CLOEXEC, 70);
    if (is(how, "SCM_RIGHTS") || is(how, "received"))
        return by_message(fd, 0);
    if (is(how, "SCM_RIGHTS, recvmmsg"))
        return by_message(fd, 1);
    if (is(how, "pidfd_getfd"))
        return syscall(SYS_pidfd_getfd, syscall(SYS_pidfd_open, getpid(), 0), fd, 0);
    return -9;
}

static long send_by(const char *way, int fd)
{
    struct iovec piece = {"x", 1};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &piece, .msg_iovlen = 1}};
    int pipes[2];
    if (is(way, "nothing"))
        return 0;
    if (is(way, "send"))
        return send(fd, "x", 1, 0);
    if (is(way, "sendto"))
        return sendto(fd, "x", 1, 0, NULL, 0);
    if (is(way, "write"))
        return write(fd, "x", 1);
    if (is(way, "writev"))
        return writev(fd, &piece, 1);
    if (is(way, "sendmsg"))
        return sendmsg(fd, &message.msg_hdr, 0);
    if (is(way, "sendmmsg"))
        return sendmmsg(fd, &message, 1, 0);
    if (is(way, "sendfile"))
        return sendfile(fd, open("/etc/passwd", O_RDONLY), NULL, 1);
    if (is(way, "splice"))
        return pipe(pipes) || write(pipes[1], "x", 1) != 1 ? -2 : splice(pipes[0], NULL, fd, NULL, 1, 0);
    if (is(way, "stdio")) {
        FILE *stream = fdopen(fd, "w");
        return stream && fputc('x', stream) == 'x' && !fflush(stream) ? 1 : -1;
    }
    if (is(way, "dprintf"))
        return dprintf(fd, "x");
    if (is(way, "pwritev2"))
        return pwritev2(fd, &piece, 1, -1, RWF_HIPRI);
    if (is(way, "io_submit")) {
        struct iocb block = {.aio_fildes = fd, .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_buf = (uintptr_t)"x", .aio_nbytes = 1}, *list = &block;
        struct io_event event = {0};
        aio_context_t context = 0;
        if (syscall(SYS_io_setup, 1, &context) || syscall(SYS_io_submit, context, 1, &list) != 1
            || syscall(SYS_io_getevents, context, 1, 1, &event, NULL) != 1)
            return -2;
        errno = event.res < 0 ? -event.res : 0;
        return event.res < 0 ? -1 : event.res;
    }
    if (is(way, "instruction"))
        return raw(SYS_write, fd, (long)"x", 1, 0, 0, 0);
    if (is(way, "SYS_write"))
        return syscall(SYS_write, fd, "x", 1);
    if (is(way, "SYS_writev"))
        return syscall(SYS_writev, fd, &piece, 1);
    if (is(way, "SYS_sendto"))
        return syscall(SYS_sendto, fd, "x", 1, 0, NULL, 0);
    if (is(way, "SYS_sendmsg"))
        return syscall(SYS_sendmsg, fd, &message.msg_hdr, 0);
    if (is(way, "SYS_sendmmsg"))
        return syscall(SYS_sendmmsg, fd, &message, 1, 0);
    return -9;
}

/* What the child came to, which ended with its errno. */
static long came_to(pid_t child)
{
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return -3;
    errno = WEXITSTATUS(status);
    return errno ? -1 : 1;
}

/* Starts this program to write to the descriptor `to`, which is `fd` where that is put there. */
static long start(const char *how, int fd, int to)
{
    char number[12], *argv[] = {"quiet", "write", number, NULL};
    char path[4096] = "";
    sprintf(number, "%d", to);
    if (readlink("/proc/self/exe", path, sizeof path - 1) < 0)
        return -4;
    if (is(how, "exec"))
        return execv(path, argv);
    pid_t child;
    if (is(how, "vfork")) {
        child = vfork();
        if (!child) {
            execv(path, argv);
            _exit(99);
        }
        return came_to(child);
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (fd != to)
        posix_spawn_file_actions_adddup2(&actions, fd, to);
    errno = posix_spawn(&child, path, &actions, NULL, argv, environ);
    return errno ? -1 : came_to(child);
}

static long use(const char *way, int fd)
{
    struct sockaddr_in near = {.sin_family = AF_INET, .sin_port = htons(4448), .sin_addr.s_addr = inet_addr("127.0.0.1")};
    struct sockaddr nothing = {.sa_family = AF_UNSPEC};
    const char *rest = strchr(way, ':');
    if (rest && !strncmp(way, "fork", 4)) {
        pid_t child = fork();
        if (!child)
            _exit(send_by(rest + 1, fd) == 1 ? 0 : errno);
        return came_to(child);
    }
    if (rest && strstr(way, "closed"))
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (!strncmp(way, "start", 5))
        return start(rest + 1, fd, fd);
    if (!strncmp(way, "put", 3))
        return start(rest + 1, fd, 80);
    /* The program may not be found, and this process goes on; or it is started, and this process goes on. */
    if (is(way, "no program"))
        return execl("/nowhere", "nowhere", NULL) == -1 ? write(fd, "x", 1) : -2;
    if (is(way, "program and write"))
        return start("vfork", fd, -1), errno = 0, write(fd, "x", 1);
    if (is(way, "reconnect"))
        return connect(fd, (void *)&near, sizeof near) ? -2 : write(fd, "x", 1);
    if (is(way, "sendto elsewhere"))
        return sendto(fd, "x", 1, 0, (void *)&near, sizeof near);
    if (is(way, "disconnect"))
        return connect(fd, &nothing, sizeof nothing) ? -2 : sendto(fd, "x", 1, 0, (void *)&near, sizeof near);
    return send_by(way, fd);
}

int main(int argc, char **argv)
{
    if (is(argv[1], "write"))
        return write(atoi(argv[2]), "x", 1) == 1 ? 0 : errno;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(argv[2]))};
    int is_v4 = inet_pton(AF_INET, argv[1], &v4.sin_addr) == 1;
    inet_pton(AF_INET6, argv[1], &v6.sin6_addr);
    int is_raw = is(argv[3], "raw"), fd = socket(is_v4 ? AF_INET : AF_INET6, is_raw ? SOCK_RAW : SOCK_DGRAM, is_raw ? IPPROTO_UDP : 0);
    errno = 0;
    struct sockaddr *to = is_v4 ? (void *)&v4 : (void *)&v6;
    socklen_t size = is_v4 ? sizeof v4 : sizeof v6;
    /* Past libc, as the process of one who is not guarded. */
    int done = is(argv[3], "received") ? raw(SYS_connect, fd, (long)to, size, 0, 0, 0) : connect(fd, to, size);
    char said[64];
    int length = sprintf(said, "%d %d, ", done, errno);
    if (write(1, said, length) != length)
        return 98;
    fd = copy(argv[3], fd);
    errno = 0;
    long result = use(argv[4], fd);
    int error = result < 0 ? errno : 0;
    length = sprintf(said, "%ld %d\n", result, error);
    return write(1, said, length) != length;
}
