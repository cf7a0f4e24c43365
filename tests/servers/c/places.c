/* As USER of GROUP and also of MORE: does it start each program (`start`), or could it put another one in its place (`try`)? One 1 or 0 a line. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int starts(char *path) {
    pid_t child = fork();
    if (child == 0) {
        char *arguments[] = {path, NULL};
        execve(path, arguments, environ);
        _exit(errno == EACCES ? 126 : 127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int opens(const char *path, int flags) {
    int fd = open(path, flags, 0644);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static int replaces(const char *path) {
    char folder[4096], next[4096];
    if (chmod(path, 0777) == 0 || opens(path, O_WRONLY)) return 1;
    snprintf(folder, sizeof folder, "%s", path);
    dirname(folder);
    chmod(folder, 0777);
    snprintf(next, sizeof next, "%s/new", folder);
    if (opens(next, O_WRONLY | O_CREAT)) return 1;
    for (int level = 0; level < 2; level++) {
        char above[4096];
        snprintf(above, sizeof above, "%s", folder);
        dirname(above);
        chmod(above, 0777);
        snprintf(next, sizeof next, "%s/new", above);
        if (rename(folder, next) == 0) return 1;
        strcpy(folder, above);
    }
    return 0;
}

int main(int count, char **words) {
    gid_t group = atoi(words[2]), more = atoi(words[3]);
    uid_t user = atoi(words[1]);
    if (setgroups(1, &more) || setresgid(group, group, group) || setresuid(user, user, user)) return 1;
    for (int at = 5; at < count; at++) printf("%d\n", words[4][0] == 's' ? starts(words[at]) : replaces(words[at]));
}
