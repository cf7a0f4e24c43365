/* Sends a datagram, makes room by removing its argument, and sends again, each to a port of its own. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void reach(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    printf("%d\n", sendto(udp, "x", 1, 0, (void *)&to, sizeof to) == 1 ? 0 : -1);
    close(udp);
}

int main(int count, char **words)
{
    reach(4446);
    reach(4447);
    unlink(words[1]);
    reach(4448);
    reach(4449);
    return 0;
}
