/* Makes one kind of call many times: `calls KIND COUNT`. Prints the nanoseconds per call. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* Becomes a server, as its guard sees it: forks, and accepts a connection. */
static void serve(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(sa_family_t) + 1 + snprintf(at.sun_path + 1, 40, "portcullis-serve-%d", getpid());
    pid_t child = fork();
    if (!child)
        _exit(0);
    int status, listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    if (waitpid(child, &status, 0) != child || bind(listener, (struct sockaddr *)&at, len) || listen(listener, 1)
        || connect(client, (struct sockaddr *)&at, len))
        exit(1);
    int server = accept(listener, NULL, NULL);
    if (server < 0 || close(server) || close(client) || close(listener))
        exit(1);
}

static void connects(const char *address, int port, long count)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, address, &to.sin_addr);
    /* A UDP connect sends nothing: what is measured is the call. */
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    for (long i = 0; i < count; i++)
        if (connect(fd, (struct sockaddr *)&to, sizeof to))
            exit(1);
}

/* Each is an event. Nobody listens there, so each is refused, by the guard or by the kernel. */
static void forbidden(long count)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4444)};
    inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    for (long i = 0; i < count; i++)
        connect(fd, (struct sockaddr *)&to, sizeof to);
}

/* Another address with every call. */
static void spread(int port, long count)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    for (long i = 0; i < count; i++) {
        to.sin_addr.s_addr = htonl(0xc0580000 + i % 0x10000);
        if (connect(fd, (struct sockaddr *)&to, sizeof to))
            exit(1);
    }
}

/* A TCP connection on loopback, made and closed. */
static void tcp(long count)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof at;
    inet_pton(AF_INET, "127.0.0.1", &at.sin_addr);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&at, len) || listen(listener, 16)
        || getsockname(listener, (struct sockaddr *)&at, &len))
        exit(1);
    /* Closed by a reset, so that no port is left waiting. */
    struct linger now = {1, 0};
    for (long i = 0; i < count; i++) {
        int client = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        if (connect(client, (struct sockaddr *)&at, sizeof at))
            exit(1);
        int server = accept(listener, NULL, NULL);
        if (server < 0 || close(client) || close(server))
            exit(1);
    }
}

static void reads(long count)
{
    char buffer[8];
    int fd = open("/dev/zero", O_RDONLY);
    for (long i = 0; i < count; i++)
        if (read(fd, buffer, sizeof buffer) != sizeof buffer)
            exit(1);
}

/* Datagrams to a socket of this process: with an address each, or on a connection. Whether one is sent by sendmsg. */
static void sends(int addressed, int by_message, long count)
{
    struct sockaddr_in own = {.sin_family = AF_INET};
    socklen_t len = sizeof own;
    inet_pton(AF_INET, "127.0.0.1", &own.sin_addr);
    int to = socket(AF_INET, SOCK_DGRAM, 0), fd = socket(AF_INET, SOCK_DGRAM, 0);
    char buffer[8] = {0};
    struct iovec piece = {buffer, sizeof buffer};
    if (bind(to, (struct sockaddr *)&own, sizeof own) || getsockname(to, (struct sockaddr *)&own, &len))
        exit(1);
    if (!addressed && connect(fd, (struct sockaddr *)&own, sizeof own))
        exit(1);
    struct msghdr message = {.msg_name = addressed ? &own : NULL, .msg_namelen = addressed ? sizeof own : 0,
        .msg_iov = &piece, .msg_iovlen = 1};
    for (long i = 0; i < count; i++) {
        long sent = by_message ? sendmsg(fd, &message, 0)
            : sendto(fd, buffer, sizeof buffer, 0, addressed ? (struct sockaddr *)&own : NULL, addressed ? sizeof own : 0);
        if (sent != sizeof buffer || recv(to, buffer, sizeof buffer, 0) != sizeof buffer)
            exit(1);
    }
}

static void dups(long count)
{
    int fd = open("/dev/zero", O_RDONLY);
    for (long i = 0; i < count; i++)
        if (dup2(fd, 40) != 40)
            exit(1);
}

static void controls(long count)
{
    int fd = open("/dev/zero", O_RDONLY);
    for (long i = 0; i < count; i++)
        if (fcntl(fd, F_GETFL) < 0)
            exit(1);
}

static void binds(long count)
{
    for (long i = 0; i < count; i++) {
        struct sockaddr_in own = {.sin_family = AF_INET};
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        if (bind(fd, (struct sockaddr *)&own, sizeof own) || close(fd))
            exit(1);
    }
}

static void lookups(long count)
{
    for (long i = 0; i < count; i++) {
        struct addrinfo *list;
        if (getaddrinfo("localhost", NULL, NULL, &list))
            exit(1);
        freeaddrinfo(list);
    }
}

static void others(long count)
{
    for (long i = 0; i < count; i++)
        if (syscall(SYS_getppid) < 0)
            exit(1);
}

static size_t add(char *to, const char *name, const char *value)
{
    size_t names = strlen(name), values = strlen(value);
    to[0] = names, to[1] = values;
    memcpy(to + 2, name, names);
    memcpy(to + 2 + names, value, values);
    return 2 + names + values;
}

/* A request as nginx sends it, and as PHP-FPM reads it: an accept and five reads of exact sizes. */
static void requests(long count)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "\0portcullis-bench"};
    socklen_t len = sizeof(sa_family_t) + 17;
    char params[2048], stream[4096];
    size_t size = 0;
    size += add(params + size, "SERVER_SOFTWARE", "nginx/1.22.1");
    size += add(params + size, "SERVER_NAME", "h5.example");
    size += add(params + size, "DOCUMENT_ROOT", "/srv/h5/public");
    size += add(params + size, "SCRIPT_FILENAME", "/srv/h5/public/index.php");
    size += add(params + size, "REQUEST_METHOD", "GET");
    size += add(params + size, "REQUEST_URI", "/index.php?page=1");
    size += add(params + size, "REMOTE_ADDR", "127.0.0.1");
    for (int i = 0; i < 12; i++)
        size += add(params + size, "HTTP_SOME_HEADER_OF_THE_CLIENT", "a value");
    const char begin[16] = {1, 1, 0, 1, 0, 8, 0, 0, 0, 1};
    const char head[8] = {1, 4, 0, 1, size >> 8, size, 0, 0}, end[8] = {1, 4, 0, 1};
    size_t total = 0;
    memcpy(stream, begin, 16), total = 16;
    memcpy(stream + total, head, 8), total += 8;
    memcpy(stream + total, params, size), total += size;
    memcpy(stream + total, end, 8), total += 8;
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&at, len) || listen(listener, 8))
        exit(1);
    for (long i = 0; i < count; i++) {
        char buffer[2048];
        int client = socket(AF_UNIX, SOCK_STREAM, 0);
        if (connect(client, (struct sockaddr *)&at, len) || write(client, stream, total) != (ssize_t)total)
            exit(1);
        int server = accept(listener, NULL, NULL);
        const size_t sizes[] = {8, 8, 8, size, 8};
        for (int j = 0; j < 5; j++)
            if (read(server, buffer, sizes[j]) != (ssize_t)sizes[j])
                exit(1);
        close(server);
        close(client);
    }
}

/* close is no hook. */
static void opens(int flags, long count)
{
    for (long i = 0; i < count; i++) {
        int fd = open("/dev/null", flags);
        if (fd < 0)
            exit(1);
        close(fd);
    }
}

static void spawns(char *const argv[], long count)
{
    for (long i = 0; i < count; i++) {
        pid_t child;
        int status;
        if (posix_spawn(&child, argv[0], NULL, NULL, argv, environ) || waitpid(child, &status, 0) < 0)
            exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    const char *kind = argv[1];
    long count = atol(argv[2]);
    struct timespec from, to;
    /* There, the connection of a request is the first. */
    if (strcmp(kind, "fastcgi"))
        serve();
    clock_gettime(CLOCK_MONOTONIC, &from);
    if (!strcmp(kind, "common-port"))
        connects("192.88.1.10", 443, count);
    else if (!strcmp(kind, "local-range"))
        connects("10.1.2.3", 4444, count);
    else if (!strcmp(kind, "allowlist"))
        connects("192.88.1.10", 5555, count);
    else if (!strcmp(kind, "audited") || !strcmp(kind, "denied"))
        forbidden(count);
    else if (!strcmp(kind, "tcp"))
        tcp(count);
    else if (!strcmp(kind, "spread"))
        spread(443, count);
    else if (!strcmp(kind, "send"))
        sends(0, 0, count);
    else if (!strcmp(kind, "sendto"))
        sends(1, 0, count);
    else if (!strcmp(kind, "sendmsg"))
        sends(0, 1, count);
    else if (!strcmp(kind, "sendmsg-to"))
        sends(1, 1, count);
    else if (!strcmp(kind, "dup2"))
        dups(count);
    else if (!strcmp(kind, "fcntl"))
        controls(count);
    else if (!strcmp(kind, "bind"))
        binds(count);
    else if (!strcmp(kind, "open-read"))
        opens(O_RDONLY, count);
    else if (!strcmp(kind, "open-write"))
        opens(O_WRONLY, count);
    else if (!strcmp(kind, "getaddrinfo"))
        lookups(count);
    else if (!strcmp(kind, "syscall"))
        others(count);
    else if (!strcmp(kind, "read"))
        reads(count);
    else if (!strcmp(kind, "fastcgi"))
        requests(count);
    else if (!strcmp(kind, "exec"))
        spawns((char *const[]){"/bin/true", NULL}, count);
    else if (!strcmp(kind, "exec-audited"))
        spawns((char *const[]){"/bin/sh", "-c", ":", NULL}, count);
    else
        return 2;
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("%.1f\n", ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / count);
    return 0;
}
