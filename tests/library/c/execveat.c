/* execveat of a program, a link to it, a script and a folder, by path and by descriptor, with every flag: what comes of each. The
   folder is the argument; somebody else may change what is in it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void try(const char *name, int at, const char *path, int flags)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        char *words[] = {"program", 0}, *variables[] = {"A=b", 0};
        syscall(SYS_execveat, at, path, words, variables, flags);
        printf("%s %x: %d\n", name, flags, errno);
        fflush(stdout);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    if (status) printf("%s %x: ended with %x\n", name, flags, status);
}

int main(int count, char **words)
{
    static const int flags[] = {0, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, 0x40, 0x4000, -1};
    static const char *names[] = {"program", "link", "script", "dangling", "none", "folder"};
    char path[512];
    int folder = open(words[1], O_RDONLY | O_DIRECTORY);
    for (unsigned f = 0; f < sizeof flags / sizeof *flags; f++) {
        for (unsigned n = 0; n < sizeof names / sizeof *names; n++) {
            try(names[n], folder, names[n], flags[f]);
            snprintf(path, sizeof path, "%s/%s", words[1], names[n]);
            try(names[n], -1, path, flags[f]);
            int fd = open(path, O_PATH | O_NOFOLLOW);
            try(names[n], fd, "", flags[f]);
            close(fd);
            fd = open(path, O_RDONLY);
            try(names[n], fd, "", flags[f]);
            close(fd);
        }
        try("no folder", 999, "program", flags[f]);
        try("nothing", AT_FDCWD, "", flags[f]);
    }
    return count != 2;
}
