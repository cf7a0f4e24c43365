/* Goes where the guard's policy cannot be seen, or takes away what was handed down, then starts a program: `hide WAY ARGUMENT
 * PROGRAM ARGUMENTS...`. Ways: `nothing`; `user`: a user namespace of its own; `mount`: that, and
 * a mount namespace in which ARGUMENT is empty; `alone`: that, and there are no files in memory; `link`, `relative`: that, with a symlink to sh in it, called by its path or from
 * there; `bind`: sh is mounted over PROGRAM; `context`: PORTCULLIS_CONTEXT is ARGUMENT, or is not there where that is empty. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        perror(path);
        exit(100);
    }
    close(fd);
}

static void enter(int more)
{
    char map[64], group[64];
    sprintf(map, "0 %d 1", geteuid());
    sprintf(group, "0 %d 1", getegid());
    if (unshare(CLONE_NEWUSER | more)) {
        perror("unshare");
        exit(101);
    }
    put("/proc/self/setgroups", "deny");
    put("/proc/self/uid_map", map);
    put("/proc/self/gid_map", group);
}

/* Has a system call fail from now on. */
static int refuse(int number)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, filter};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int count, char **arguments)
{
    if (count < 4)
        return 99;
    const char *way = arguments[1], *argument = arguments[2];
    if (!strcmp(way, "user"))
        enter(0);
    if (!strcmp(way, "mount") || !strcmp(way, "alone")) {
        enter(CLONE_NEWNS);
        if (mount("none", argument, "tmpfs", 0, NULL)) {
            perror("mount");
            return 102;
        }
    }
    if (!strcmp(way, "alone") && refuse(SYS_memfd_create)) {
        perror("seccomp");
        return 105;
    }
    if (!strcmp(way, "link") || !strcmp(way, "relative")) {
        enter(CLONE_NEWNS);
        if (mount("none", argument, "tmpfs", 0, NULL) || symlink("/bin/sh", arguments[3])) {
            perror("link");
            return 102;
        }
        if (!strcmp(way, "relative")) {
            if (chdir(argument))
                return 104;
            arguments[3] = "./tool";
        }
    }
    if (!strcmp(way, "bind")) {
        enter(CLONE_NEWNS);
        if (mount("/bin/dash", arguments[3], NULL, MS_BIND, NULL)) {
            perror("bind");
            return 102;
        }
    }
    if (!strcmp(way, "context")) {
        unsetenv("PORTCULLIS_CONTEXT");
        if (*argument)
            setenv("PORTCULLIS_CONTEXT", argument, 1);
    }
    execvp(arguments[3], arguments + 3);
    perror(arguments[3]);
    return 103;
}
