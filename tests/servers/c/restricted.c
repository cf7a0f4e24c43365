/* With a number: so many processes that give up a right by Landlock and live on for some seconds. Without one: a program with
   threads that opens a port, and a child of it that does. Without libc's functions. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void *idle(void *nothing)
{
    sleep(5);
    return nothing;
}

static void attempt(const char *who)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(45678)};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    pthread_t thread;
    pthread_create(&thread, 0, idle, 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int bound = syscall(SYS_bind, fd, &address, sizeof address, 0, 0, 0) ? errno : 0;
    close(fd);
    printf("%s %d\n", who, bound);
    fflush(stdout);
}

int main(int count, char **words)
{
    struct { uint64_t files; } handled = {1 << 12};
    if (count < 2) {
        attempt("itself");
        if (!fork()) {
            attempt("child");
            _exit(0);
        }
        wait(0);
        return 0;
    }
    int pipes[2], many = atoi(words[1]);
    pipe(pipes);
    for (int i = 0; i < many; i++)
        if (!fork()) {
            int rules = syscall(444, &handled, sizeof handled, 0);
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            char failed = syscall(446, rules, 0) != 0;
            write(pipes[1], &failed, 1);
            int null = open("/dev/null", O_RDWR);
            for (int fd = 0; fd < 3; fd++)
                dup2(null, fd);
            for (int fd = 3; fd < 1024; fd++)
                close(fd);
            sleep(8);
            _exit(0);
        }
    int restricted = 0;
    for (int i = 0; i < many; i++) {
        char failed = 1;
        read(pipes[0], &failed, 1);
        restricted += !failed;
    }
    printf("restricted %d\n", restricted);
    return 0;
}
