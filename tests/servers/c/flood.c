/* `flood NUMBER` leaves so many processes that have each made a call which a supervisor evaluates; says the number of the process with
 * which they end. `flood connect` says the errno of a connection to 192.88.1.10:4444, and of one of a child. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

static void nowhere(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    connect(-1, (void *)&to, sizeof to);
}

static int somewhere(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4444), .sin_addr.s_addr = inet_addr("192.88.1.10")};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int error = connect(fd, (void *)&to, sizeof to) ? errno : 0;
    close(fd);
    return error;
}

int main(int argc, char **argv)
{
    char byte = 0;
    int done[2], each[2], status, number = atoi(argv[1]);
    if (!strcmp(argv[1], "connect")) {
        int own = somewhere();
        if (!fork())
            _exit(somewhere());
        wait(&status);
        printf("own:%d child:%d", own, WEXITSTATUS(status));
        return 0;
    }
    if (pipe(done) || pipe(each))
        return 97;
    nowhere();
    int keeper = fork();
    if (keeper) {
        close(done[1]);
        if (read(done[0], &byte, 1) != 1)
            return 98;
        printf("%d", keeper);
        return 0;
    }
    alarm(120);
    setsid();
    nowhere();
    close(0), close(1), close(2);
    int own = getpid();
    for (int i = 0; i < number; i++) {
        int child = fork();
        if (child < 0)
            _exit(1);
        if (child)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != own)
            _exit(1);
        nowhere();
        if (write(each[1], "", 1) == 1)
            for (;;)
                pause();
    }
    for (int i = 0; i < number; i++)
        if (read(each[0], &byte, 1) != 1)
            _exit(1);
    if (write(done[1], "", 1) == 1)
        for (;;)
            pause();
}
