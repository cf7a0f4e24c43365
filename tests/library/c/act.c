/* Connects to an uncommon port and starts two shells; prints what came of each. In a program, and in a library of its own. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int (*by_pointer)(int, const struct sockaddr *, socklen_t) = connect;

static void go(const char *who, const char *how, int (*call)(int, const struct sockaddr *, socklen_t))
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(4446) };
    inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    errno = 0;
    int result = call(fd, (struct sockaddr *)&to, sizeof to);
    int error = errno;
    printf("%s: %s %d %d\n", who, how, result, error);
    close(fd);
}

void act(const char *who)
{
    go(who, "connect", connect);
    go(who, "by pointer", by_pointer);
    errno = 0;
    int result = system("exit 3");
    int error = errno;
    printf("%s: system %d %d\n", who, result, error);
    errno = 0;
    FILE *stream = popen("exit 5", "r");
    error = errno;
    result = stream ? pclose(stream) : -1;
    printf("%s: popen %d %d\n", who, result, error);
}
