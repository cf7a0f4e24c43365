/* Another preload, whose constructor calls hooks, perhaps before the guard's own has run. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

__attribute__((constructor)) static void early(void)
{
    if (!getenv("EARLY"))
        return;
    unsetenv("EARLY");
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4446)};
    inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int result = connect(fd, (struct sockaddr *)&to, sizeof to);
    dprintf(1, "early connect: %d %d\n", result, errno);
    close(fd);
    result = system("exit 7");
    dprintf(1, "early system: %d\n", result);
    result = accept(-1, NULL, NULL);
    dprintf(1, "early accept: %d %d\n", result, errno);
}
