/* What makes others wait, past every hook: `waiters WAY NUMBER`; the address is 192.88.1.10:8080, where nobody accepts.
 *   connect   as many processes that connect, and wait
 *   flip      as many that connect sockets that do not wait, or do: another thread says so all the time
 * Says `ready`, and ends after eight seconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile int fd = -1;

static void *flip(void *nothing)
{
    for (;;) {
        fcntl(fd, F_SETFL, 0);
        fcntl(fd, F_SETFL, O_NONBLOCK);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(8080)};
    inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
    for (int i = atoi(argv[2]); i > 0; i--) {
        if (fork())
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        alarm(8);
        if (!strcmp(argv[1], "flip")) {
            pthread_t other;
            pthread_create(&other, NULL, flip, NULL);
        }
        for (;;) {
            int next = socket(AF_INET, SOCK_STREAM | (!strcmp(argv[1], "flip") ? SOCK_NONBLOCK : 0), 0);
            fd = next;
            if (connect(next, (struct sockaddr *)&to, sizeof to) && errno == EACCES)
                pause();
            close(next);
        }
    }
    puts("ready");
    fflush(stdout);
    sleep(8);
    return 0;
}
