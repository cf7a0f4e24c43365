/* `held_back ADDRESS`: sends a byte to an allowed peer, which the kernel holds back (MSG_MORE), connects the socket to a port of ADDRESS,
 * and has it sent (UDP_CORK). Prints how many bytes each of the two has received: both are this process's, and loopback waits for nobody. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <sys/socket.h>

/* A socket on a free port of an address, which is put into `at`. */
static int receiver(const char *address, struct sockaddr_in *at)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t len = sizeof *at;
    at->sin_family = AF_INET, at->sin_port = 0;
    inet_pton(AF_INET, address, &at->sin_addr);
    bind(fd, (struct sockaddr *)at, len);
    getsockname(fd, (struct sockaddr *)at, &len);
    return fd;
}

static int received(int fd)
{
    char bytes[8];
    int len = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    return len < 0 ? 0 : len;
}

int main(int count, char **arguments)
{
    struct sockaddr_in allowed, other;
    int first = receiver("127.0.0.1", &allowed), second = receiver(arguments[1], &other);
    int fd = socket(AF_INET, SOCK_DGRAM, 0), off = 0;
    sendto(fd, "x", 1, MSG_MORE, (struct sockaddr *)&allowed, sizeof allowed);
    connect(fd, (struct sockaddr *)&other, sizeof other);
    setsockopt(fd, IPPROTO_UDP, UDP_CORK, &off, sizeof off);
    printf("%d %d\n", received(first), received(second));
    return 0;
}
