/* Executes what the kernel does not run: `failing PRIVATE PUBLIC`, two folders of which only root may look into the first. In both are
 * `there` and `folder/`, and no `missing`; in PUBLIC are scripts whose interpreters are in PRIVATE, a link to itself, a link to `there`, and a
 * file that nobody may execute. Prints the errno of each. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static char *const own[] = {"x", NULL}, *const nothing[] = {NULL}, **const wild = (char **)8;

static void say(const char *what)
{
    printf("%s:%d ", what, errno);
}

int main(int count, char **arguments)
{
    static char path[8192], long_path[8192];
    const char *const names[] = {"there", "missing", "folder", "folder/missing", "there/missing", "../missing",
                                 "script-there", "script-missing", "script-folder", "self", "plain"};
    setvbuf(stdout, NULL, _IONBF, 0);
    for (int folder = 1; folder < 3; folder++)
        for (int index = 0; index < sizeof names / sizeof *names; index++) {
            char *const *environment = nothing;
            snprintf(path, sizeof path, "%s/%s", arguments[folder], names[index]);
            for (int way = 0; way < 4; way++) {
                /* This one runs. */
                if (folder == 2 && index == 0 && way == 0)
                    continue;
                if (way == 3)
                    chdir(arguments[folder]);
                errno = 0;
                execve(way == 3 ? names[index] : path, way == 1 ? wild : way == 3 && index == 0 ? wild : own, way == 2 ? wild : nothing);
                say(names[index]);
                chdir("/");
            }
        }
    memset(long_path, '/', 5000);
    execve(long_path, own, nothing), say("long");
    execve("", own, nothing), say("empty");
    execve(NULL, own, nothing), say("null");
    execve((char *)8, wild, wild), say("wild");
    snprintf(path, sizeof path, "%s/link", arguments[2]);
    syscall(SYS_execveat, AT_FDCWD, path, own, nothing, AT_SYMLINK_NOFOLLOW), say("link");
    return 0;
}
