/* Takes /proc away, and starts each of its arguments by posix_spawn. */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int count, char **paths)
{
    printf("proc %d\n", umount2("/proc", MNT_DETACH) ? access("/proc/self", F_OK) : 0);
    for (int i = 1; i < count; i++) {
        int pid, status = 0;
        fflush(stdout);
        int error = posix_spawn(&pid, paths[i], 0, 0, (char *[]){"x", "y", 0}, environ);
        if (!error)
            waitpid(pid, &status, 0);
        printf("%d: %d %d\n", i, error, status);
    }
    return 0;
}
