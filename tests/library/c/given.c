/* Connects to a listener of its own and executes /bin/true, while another changes both meanwhile (next.c). Prints the
 * port that the listener has from getpeername, and the exit status. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
struct sockaddr_in *given_address;
char *given_path;

int main(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(4446)}, to, peer;
    socklen_t len = sizeof peer;
    inet_pton(AF_INET, "192.88.1.10", &at.sin_addr);
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1))
        return 1;
    to = at;
    given_address = &to;
    int result = connect(fd, (struct sockaddr *)&to, sizeof to);
    memset(&peer, 0, sizeof peer);
    getpeername(fd, (struct sockaddr *)&peer, &len);
    printf("connect %d %d\n", result, ntohs(peer.sin_port));
    fflush(stdout);
    char path[64] = "/bin/true", *argv[] = {"true", NULL};
    int status;
    if (!fork()) {
        given_path = path;
        execve(path, argv, environ);
        _exit(99);
    }
    wait(&status);
    printf("execve %d\n", WEXITSTATUS(status));
}
