/* Says that it is another virtual host's: `claim FROM TO` writes TO, of the same length, over FROM in the request that it was handed
 * down, in its environment as the kernel has it; then it connects to where only some may, past the hooks, and prints the errno; and a
 * child the same. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../library/c/raw.h"

/* A field of /proc/self/stat behind the name, by its number in proc_pid_stat(5). */
static unsigned long field(int number)
{
    char text[2048] = "", *at;
    FILE *file = fopen("/proc/self/stat", "r");
    fread(text, 1, sizeof text - 1, file);
    fclose(file);
    at = strrchr(text, ')') + 1;
    for (int count = 3; count < number; count++)
        at = strchr(at + 1, ' ');
    return strtoul(at, NULL, 10);
}

int main(int count, char **arguments)
{
    int found = 0;
    char *end = (char *)field(51);
    for (char *entry = (char *)field(50); entry < end; entry += strlen(entry) + 1) {
        char *at;
        if (strncmp(entry, "PORTCULLIS_REQUEST=", 19))
            continue;
        while ((at = strstr(entry, arguments[1])) && strcmp(arguments[1], arguments[2]))
            memcpy(at, arguments[2], strlen(arguments[2])), found++;
        printf("claims:%d ", found);
    }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4444)};
    inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
    for (int round = 0; round < 2; round++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        long done = raw(SYS_connect, fd, (long)&to, sizeof to, 0, 0, 0);
        printf("%s:%d ", round ? "child" : "own", done ? errno : 0);
        fflush(stdout);
        close(fd);
        if (!round) {
            int child = fork();
            if (child) {
                waitpid(child, NULL, 0);
                break;
            }
        }
    }
    return 0;
}
