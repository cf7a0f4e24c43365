/* A small server that does everything that a guard looks at, once or twice, and prints what came of it: a line each. What it
 * prints is the same with a guard that only looks on as without one. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
__attribute__((weak)) void fault_begin(void);

/* A result and its errno; where nothing failed, the errno that was there before has to be there still. */
#define SAY(name, call)                                                        \
    do {                                                                       \
        errno = 77;                                                            \
        long result = (call);                                                  \
        int error = errno;                                                     \
        printf("%s %ld %d\n", name, result, error);                            \
        fflush(stdout);                                                        \
    } while (0)

static struct sockaddr_in to(const char *address, int port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, address, &at.sin_addr);
    return at;
}

static void serve(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    socklen_t len = sizeof(sa_family_t) + 1 + snprintf(at.sun_path + 1, 40, "portcullis-victim-%d", getpid());
    int status, listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    pid_t child = fork();
    if (!child)
        _exit(0);
    waitpid(child, &status, 0);
    bind(listener, (struct sockaddr *)&at, len);
    listen(listener, 1);
    connect(client, (struct sockaddr *)&at, len);
    int server = accept(listener, NULL, NULL);
    printf("accept %d\n", server >= 0);
    close(server), close(client), close(listener);
}

static void stream(const char *address, int port)
{
    struct sockaddr_in at = to(address, port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    SAY("connect", connect(fd, (struct sockaddr *)&at, sizeof at));
    close(fd);
}

/* One line: a guard that cannot judge what is sent refuses the connect. */
static void datagram(const char *address, int port)
{
    struct sockaddr_in at = to(address, port);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    SAY("connect and send", connect(fd, (struct sockaddr *)&at, sizeof at) ? -1 : send(fd, "x", 1, 0));
    close(fd);
}

static int send_to(const char *address, int port)
{
    struct sockaddr_in at = to(address, port);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct iovec piece = {"x", 1};
    struct msghdr message = {.msg_name = &at, .msg_namelen = sizeof at, .msg_iov = &piece, .msg_iovlen = 1};
    struct mmsghdr two[2] = {{message, 0}, {message, 0}};
    SAY("sendto", sendto(fd, "x", 1, 0, (struct sockaddr *)&at, sizeof at));
    SAY("sendmsg", sendmsg(fd, &message, 0));
    SAY("sendmmsg", sendmmsg(fd, two, 2, 0));
    return close(fd);
}

static long spawned(const char *path, char *const argv[])
{
    pid_t child;
    int status = 0, error = posix_spawn(&child, path, NULL, NULL, argv, environ);
    if (error)
        return -error;
    waitpid(child, &status, 0);
    return status;
}

/* Starts a program that inherits a connected datagram socket. */
static long handed_down(char *const argv[])
{
    struct sockaddr_in at = to("192.88.1.10", 4445);
    int fd = socket(AF_INET, SOCK_DGRAM, 0), copy = -1;
    long status = connect(fd, (struct sockaddr *)&at, sizeof at) || (copy = fcntl(fd, F_DUPFD, 70)) < 70 ? 0 : spawned(argv[0], argv);
    close(fd);
    close(copy);
    return status;
}

static long forked(void)
{
    int status = 0;
    pid_t child = fork();
    if (!child) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(99);
    }
    waitpid(child, &status, 0);
    return status;
}

static long popened(void)
{
    char line[16] = "";
    FILE *pipe = popen("echo said", "r");
    if (!pipe)
        return -1;
    char *got = fgets(line, sizeof line, pipe);
    int status = pclose(pipe);
    return got && !strcmp(line, "said\n") ? status : -2;
}

static long resolved(void)
{
    struct addrinfo *list = NULL;
    long error = getaddrinfo("localhost", NULL, NULL, &list);
    if (!error)
        freeaddrinfo(list);
    return error;
}

static long listened(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in at = to("127.0.0.1", 5555);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    SAY("bind", bind(fd, (struct sockaddr *)&at, sizeof at));
    long result = listen(fd, 1);
    int error = errno;
    close(fd);
    errno = error;
    return result;
}

/* Descriptors below those that a guard holds. */
static long descriptors(void)
{
    long count = 0;
    DIR *folder = opendir("/proc/self/fd");
    struct dirent *entry;
    while (folder && (entry = readdir(folder)))
        count += entry->d_name[0] != '.' && atoi(entry->d_name) < 200;
    if (folder)
        closedir(folder);
    return count;
}

int main(void)
{
    char byte, *just[] = {"/bin/true", NULL}, *shell[] = {"/bin/sh", "-c", ":", NULL};
    int pipes[2];
    if (fault_begin)
        fault_begin();
    serve();
    for (int round = 0; round < 2; round++) {
        stream("192.88.1.10", 4444);
        datagram("192.88.1.10", 443);
        datagram("192.88.1.10", 4444);
        datagram("10.1.2.3", 4444);
        send_to("10.1.2.3", 4444);
        send_to("192.88.1.10", 4444);
        printf("true %ld\n", spawned(just[0], just));
        printf("handed down %ld\n", handed_down(just));
        printf("shell %ld\n", spawned(shell[0], shell));
        printf("fork %ld\n", forked());
        printf("system %d\n", system(":"));
        printf("popen %ld\n", popened());
        printf("localhost %ld\n", resolved());
        SAY("listen", listened());
        if (pipe(pipes) || write(pipes[1], "x", 1) != 1)
            return 1;
        SAY("read", read(pipes[0], &byte, 1));
        SAY("dup2", dup2(pipes[0], 700));
        SAY("close", close(700) + close(pipes[0]) + close(pipes[1]));
        if (!round)
            SAY("setuid", setuid(33));
    }
    printf("descriptors %ld\n", descriptors());
    return 0;
}
