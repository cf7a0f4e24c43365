/* Says in user and mount namespaces of its own what programs are (binfmt_misc, by each call that mounts), and starts a program of that
 * format: `formats FOLDER`. Prints for each call its errno, and how the program ended: 42 where the format's interpreter, a shell, ran it, 7
 * where it was refused. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0755);
    ssize_t done = write(fd, text, strlen(text));
    close(fd);
    return done == (ssize_t)strlen(text);
}

static int attach(int fs)
{
    if (fs < 0)
        return fs;
    if (syscall(SYS_fsconfig, fs, 6, NULL, NULL, 0))
        return -1;
    int made = syscall(SYS_fsmount, fs, 0, 0);
    return made < 0 ? made : syscall(SYS_move_mount, made, "", AT_FDCWD, "formats", 4);
}

static int mounted(int way)
{
    switch (way) {
    case 0:
        return mount("none", "formats", "binfmt_misc", 0, NULL);
    case 1:
        return syscall(SYS_mount, "none", "formats", "binfmt_misc", 0, NULL);
    case 2:
        return attach(fsopen("binfmt_misc", 0));
    default:
        return attach(syscall(SYS_fsopen, "binfmt_misc", 0));
    }
}

static int one(int way)
{
    char map[64], group[64];
    sprintf(map, "0 %d 1", geteuid());
    sprintf(group, "0 %d 1", getegid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
        return 100;
    put("/proc/self/setgroups", "deny");
    put("/proc/self/uid_map", map);
    put("/proc/self/gid_map", group);
    errno = 0;
    int failed = mounted(way);
    printf("%d ", failed ? errno : 0);
    fflush(stdout);
    if (!failed && !put("formats/register", ":shell:E::zzz::/bin/sh:"))
        return 101;
    char *const words[] = {"program.zzz", NULL}, *const none[] = {NULL};
    syscall(SYS_execve, "./program.zzz", words, none);
    return 7;
}

int main(int count, char **arguments)
{
    if (chdir(arguments[1]))
        return 99;
    mkdir("formats", 0755);
    put("program.zzz", "#!/bin/true\nexit 42\n");
    for (int way = 0; way < 4; way++) {
        fflush(stdout);
        pid_t child = fork();
        if (!child) {
            int code = one(way);
            fflush(stdout);
            _exit(code);
        }
        int status = 0;
        waitpid(child, &status, 0);
        printf("%d; ", WIFEXITED(status) ? WEXITSTATUS(status) : 99);
    }
    return 0;
}
