/* Says that it is another virtual host's: `claim FROM TO PROGRAM...` writes TO, of the same length, over FROM in the request that it
 * was handed down, in its own memory; then it connects to where only some may, and prints the errno; or executes PROGRAM. Static. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int count, char **arguments)
{
    int found = 0;
    for (char **entry = environ; *entry; entry++) {
        char *at;
        if (strncmp(*entry, "PORTCULLIS_REQUEST=", 19))
            continue;
        while ((at = strstr(*entry, arguments[1])) && strcmp(arguments[1], arguments[2]))
            memcpy(at, arguments[2], strlen(arguments[2])), found++;
    }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4444)};
    inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
    for (int round = 0; round < 2; round++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        int done = connect(fd, (struct sockaddr *)&to, sizeof to);
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
