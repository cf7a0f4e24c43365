/* Maps as many pages, each apart from the next, as its argument says; then connects four times, past the hooks, and starts /bin/echo,
 * and prints what came of it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../library/c/raw.h"

int main(int count, char **arguments)
{
    for (int page = 0; page < atoi(arguments[1]); page++)
        mmap(0, 4096, page & 1 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(443)};
    inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
    for (int round = 0; round < 4; round++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        printf("%ld ", raw(SYS_connect, fd, (long)&to, sizeof to, 0, 0, 0));
        close(fd);
    }
    fflush(stdout);
    char *words[] = {"echo", "started", NULL}, *environment[] = {NULL};
    if (!fork()) {
        printf("%ld ", raw(SYS_execve, (long)"/bin/echo", (long)words, (long)environment, 0, 0, 0));
        fflush(stdout);
        _exit(9);
    }
    int status;
    wait(&status);
    printf("%x\n", status);
    return 0;
}
