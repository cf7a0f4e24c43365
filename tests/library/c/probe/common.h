/* What probe.c and invalid.c share: the line that they print for each call, and the calls that both make. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define SHELL "/bin/sh"
static char *const shell_argv[] = {"sh", "-c", "exit 7", NULL};

/* Prints without stdio's locks and buffers. */
static void say(const char *condition, const char *action, long result, int error)
{
    char line[256];
    int n = snprintf(line, sizeof line, "%s %s: %ld %d\n", condition, action, result, error);
    if (write(1, line, n) < 0)
        _exit(99);
}

static int outside(struct sockaddr_in *to, int port)
{
    memset(to, 0, sizeof *to);
    to->sin_family = AF_INET;
    to->sin_port = htons(port);
    return inet_pton(AF_INET, "192.88.1.10", &to->sin_addr);
}

static void reap(const char *condition, const char *action, pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    say(condition, action, WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), 0);
}

static void do_pipes(const char *condition)
{
    errno = 0;
    FILE *stream = popen("exit 7", "r");
    int error = errno;
    say(condition, "popen", stream != NULL, stream ? 0 : error);
    if (stream) {
        int status = pclose(stream);
        say(condition, "pclose", WEXITSTATUS(status), 0);
    }
    errno = 0;
    int status = system("exit 7");
    say(condition, "system", status == -1 ? -1 : WEXITSTATUS(status), status == -1 ? errno : 0);
    say(condition, "system-null", system(NULL) != 0, 0);
}
