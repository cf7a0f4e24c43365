/* Goes where the guard's library is not, or is another file, then executes a program: `cover WAY LIBRARY TREE PROGRAM
 * ARGUMENTS...`. Ways: `nothing`; `bind`: another library is mounted over it; `empty`: nothing is in its folder; `chroot`: that, in a root
 * directory; `pivot`: likewise, by pivot_root; `own`: a root directory in which it is the caller's own file. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OTHER "/lib/x86_64-linux-gnu/libm.so.6"

static void must(int failed, const char *what)
{
    if (failed) {
        perror(what);
        exit(100);
    }
}

static void put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    must(fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text), path);
    close(fd);
}

static void enter(int more)
{
    char map[64], group[64];
    sprintf(map, "0 %d 1", geteuid());
    sprintf(group, "0 %d 1", getegid());
    must(unshare(CLONE_NEWUSER | more), "unshare");
    put("/proc/self/setgroups", "deny");
    put("/proc/self/uid_map", map);
    put("/proc/self/gid_map", group);
}

int main(int count, char **arguments)
{
    if (count < 5)
        return 99;
    const char *way = arguments[1], *library = arguments[2], *tree = arguments[3];
    char there[600], folder[600];
    sprintf(there, "%s%s", tree, library);
    if (!strcmp(way, "bind")) {
        enter(CLONE_NEWNS);
        must(mount(OTHER, library, NULL, MS_BIND, NULL), "mount");
    } else if (!strcmp(way, "empty")) {
        enter(CLONE_NEWNS);
        strcpy(folder, library);
        *strrchr(folder, '/') = 0;
        must(mount("none", folder, "tmpfs", 0, NULL), "mount");
    } else if (!strcmp(way, "chroot") || !strcmp(way, "pivot")) {
        enter(CLONE_NEWNS);
        must(mount("/", tree, NULL, MS_BIND | MS_REC, NULL), "mount");
        strcpy(folder, there);
        *strrchr(folder, '/') = 0;
        must(mount("none", folder, "tmpfs", 0, NULL), "tmpfs");
        must(chdir(tree), "chdir");
        if (!strcmp(way, "chroot")) {
            must(chroot("."), "chroot");
        } else {
            must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
            must(umount2(".", MNT_DETACH), "umount");
        }
    } else if (!strcmp(way, "own")) {
        static char room[1 << 21];
        int in = open(OTHER, O_RDONLY), out = open(there, O_CREAT | O_WRONLY, 0755);
        ssize_t got = read(in, room, sizeof room);
        must(got <= 0 || write(out, room, got) != got, "copy");
        close(out);
        enter(0);
        must(chdir(tree) || chroot("."), "chroot");
    }
    execv(arguments[4], arguments + 4);
    perror("refused");
    return 7;
}
