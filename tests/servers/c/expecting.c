/* A server of one worker: `expecting PORT FIFO [signal]`. For its connection one thread runs a shell by wordexp, which waits for somebody to
 * write to FIFO; meanwhile another starts a shell by system calls of its own, past libc; with `signal` the same thread does, in a handler. Says `done` on the connection. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

#include "../../library/c/raw.h"

static char words[256];
static volatile int expander;

static void *expand(void *nothing)
{
    wordexp_t result;
    expander = syscall(SYS_gettid);
    return (void *)(long)wordexp(words, &result, 0);
}

/* Whether the other thread has a child. */
static int has_child(void)
{
    char path[64], child;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", expander);
    int fd = open(path, O_RDONLY);
    int has = fd >= 0 && read(fd, &child, 1) == 1;
    close(fd);
    return has;
}

static volatile int status;

/* Past libc. */
static void start_shell(int number)
{
    char *arguments[] = {"sh", "-c", "exit 7", NULL}, *environment[] = {NULL};
    long child = raw(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
    if (child == 0) {
        raw(SYS_execve, (long)"/bin/sh", (long)arguments, (long)environment, 0, 0, 0);
        raw(SYS_exit_group, 1, 0, 0, 0, 0, 0);
    }
    int done = -1;
    waitpid(child, &done, 0);
    status = done;
}

static void serve(int connection, const char *fifo, int by_signal)
{
    pthread_t thread;
    snprintf(words, sizeof words, "$(read line < %s)", fifo);
    pthread_create(&thread, NULL, expand, NULL);
    while (!expander || !has_child())
        usleep(1000);
    status = -1;
    if (by_signal)
        pthread_kill(thread, SIGUSR1);
    else
        start_shell(0);
    while (status == -1)
        usleep(1000);
    close(open(fifo, O_WRONLY));
    pthread_join(thread, NULL);
    dprintf(connection, "%d done\n", WEXITSTATUS(status));
    close(connection);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 98;
    struct sigaction action = {.sa_handler = start_shell, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {AF_INET, htons(atoi(argv[1])), {htonl(INADDR_LOOPBACK)}};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1))
        return 97;
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            serve(accept(listener, NULL, NULL), argv[2], argc > 3);
    }
    wait(NULL);
    return 0;
}
