/* Calls of which the supervisor has much to look at: `long_calls WAY COUNT`. Says what came of the last one. Ways: `exec`, `sendmmsg`:
 * a short one; `one string`: an environment of one long string, many times; `scattered`: arguments in a page each; `mapped`: many
 * arguments, and many mappings of a file; `pieces`: sendmmsg of as many messages, of as many pieces, as there can be. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MANY = 16000, PAGE = 4096 };

static char *vector[MANY + 1] = {"x"}, *other[] = {"x", NULL};

static int sent(int count)
{
    static struct iovec pieces[1024];
    static struct mmsghdr messages[1024];
    static char byte[] = "x";
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9999), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0), done = 0;
    for (int at = 0; at < 1024; at++) {
        pieces[at] = (struct iovec){byte, 1};
        messages[at].msg_hdr = (struct msghdr){.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = pieces, .msg_iovlen = count};
    }
    while (done < count) {
        int now = sendmmsg(fd, messages + done, count - done, 0);
        if (now <= 0)
            break;
        done += now;
    }
    close(fd);
    return done;
}

int main(int count, char **arguments)
{
    const char *way = count < 3 ? "" : arguments[1], *file = "/etc/passwd";
    char **environment = other;
    int result = 0;
    if (!strcmp(way, "one string")) {
        static char string[16 * 1024];
        memset(string, 'x', sizeof string - 1);
        for (int at = 0; at < MANY; at++)
            vector[at] = string;
        environment = vector;
        file = "/usr/bin/true";
    }
    if (!strcmp(way, "scattered")) {
        char *memory = mmap(NULL, (size_t)MANY * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (int at = 0; at < MANY; at++)
            vector[at] = strcpy(memory + (size_t)at * PAGE, "x");
    }
    if (!strcmp(way, "mapped")) {
        int fd = open("/usr/bin/true", O_RDONLY);
        for (int at = 0; at < 8000; at++)
            mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
        for (int at = 0; at < MANY; at++)
            vector[at] = "x";
    }
    for (int turn = atoi(arguments[2]); turn > 0; turn--) {
        if (!strcmp(way, "sendmmsg") || !strcmp(way, "pieces"))
            result = sent(way[0] == 's' ? 1 : 1024);
        else
            result = execve(file, environment == other ? vector : other, environment);
    }
    return printf("%d %d\n", result, errno), 0;
}
