/* Closes all descriptors but the standard ones, in a child, before it starts a shell: `closing WAY`. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void close_all(const char *way)
{
    if (!strcmp(way, "close"))
        for (int fd = 3; fd < 1024; fd++)
            close(fd);
    if (!strcmp(way, "until none"))
        for (int was_open = 1; was_open;) {
            was_open = 0;
            for (int fd = 3; fd < 1024; fd++)
                was_open += close(fd) == 0;
        }
    if (!strcmp(way, "close_range"))
        close_range(3, ~0U, 0);
    if (!strcmp(way, "pieces")) {
        close_range(3, 900, 0);
        close_range(901, 901, CLOSE_RANGE_UNSHARE);
        close_range(902, ~0U, 0);
    }
    if (!strcmp(way, "closefrom"))
        closefrom(3);
    if (!strcmp(way, "syscall"))
        syscall(SYS_close_range, 3, ~0U, 0);
    if (!strcmp(way, "syscall of one"))
        for (int fd = 3; fd < 1024; fd++)
            syscall(SYS_close, fd);
    if (!strcmp(way, "duplicate")) {
        int null = open("/", O_RDONLY);
        for (int fd = 4; fd < 1024; fd++)
            dup2(null, fd);
    }
}

/* Puts others in the places of all descriptors, in a child that shares the memory and not the descriptors. */
static void replace_in_vfork_child(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        for (int fd = 4; fd < 1024; fd++)
            if (fcntl(fd, F_GETFD) >= 0)
                dup2(1, fd);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
}

int main(int count, char **arguments)
{
    int status;
    if (count > 1 && !strcmp(arguments[1], "vfork"))
        replace_in_vfork_child();
    pid_t pid = count < 2 ? -1 : fork();
    if (pid == 0) {
        close_all(arguments[1]);
        execl("/bin/dash", "/bin/dash", "-c", "/bin/sh -c 'echo through'", (char *)NULL);
        _exit(97);
    }
    return waitpid(pid, &status, 0) != pid || status != 0;
}
