// posix_spawn with lists of file actions that are made from a number: what the new program finds, a line for each list.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static unsigned state;

static unsigned below(unsigned limit)
{
    state = state * 1664525 + 1013904223;
    return (state >> 8) % limit;
}

/* What this program has: its folder, its file, and its descriptors. */
static int shows(const char *into)
{
    char text[65536], target[4096];
    int used = 0, number[512], count = 0;
    for (int which = 0; which < 2; which++) {
        ssize_t length = readlink(which ? "/proc/self/exe" : "/proc/self/cwd", target, sizeof target - 1);
        used += sprintf(text + used, " %.*s", length < 0 ? 0 : (int)length, target);
    }
    for (int fd = 0; fd < 512; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            number[count++] = fd;
    for (int at = 0; at < count; at++) {
        char path[32];
        sprintf(path, "/proc/self/fd/%d", number[at]);
        ssize_t length = readlink(path, target, sizeof target - 1);
        // The number of a socket or pipe differs from run to run.
        if (memchr(target, '[', length > 0 ? length : 0))
            length = (char *)memchr(target, '[', length) - target;
        used += sprintf(text + used, " %d=%.*s", number[at], length < 0 ? 0 : (int)length, target);
    }
    int file = open(into, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    return write(file, text, used) == used ? 7 : 8;
}

static void any_action(posix_spawn_file_actions_t *actions, int top)
{
    static char long_name[5000];
    memset(long_name, 'x', sizeof long_name - 1);
    const char *folders[] = {"a", "b", "..", "/", "nowhere", "file", long_name, "/usr"};
    const char *files[] = {"/dev/null", "file", "/usr/lib", "/usr", "nowhere"};
    switch (below(top < 0 ? 800 : 40)) {
    case 0:
        posix_spawn_file_actions_addchdir_np(actions, folders[below(top < 0 ? 3 : 8)]);
        break;
    case 1:
        posix_spawn_file_actions_addfchdir_np(actions, below(abs(top)));
        break;
    case 2:
        posix_spawn_file_actions_addclosefrom_np(actions, 3 + below(400));
        break;
    case 3:
    case 4:
        posix_spawn_file_actions_addclose(actions, below(abs(top)));
        break;
    case 6:
    case 7:
    case 8:
    case 9:
        posix_spawn_file_actions_addopen(actions, below(abs(top)), files[below(top < 0 ? 4 : 5)], O_RDONLY, 0);
        break;
    default:
        posix_spawn_file_actions_adddup2(actions, below(top < 0 ? 500 : 8) ? 10 + 3 * below(10) : below(40), below(abs(top)));
    }
}

static void says(const char *what, posix_spawn_file_actions_t *actions, const char *path, const char *into)
{
    char *words[] = {"actions", "show", (char *)into, NULL}, said[65536] = "";
    pid_t child;
    int status = 0;
    unlink(into);
    int error = posix_spawn(&child, path, actions, NULL, words, environ);
    if (!error)
        waitpid(child, &status, 0);
    int file = open(into, O_RDONLY);
    if (file >= 0) {
        ssize_t length = read(file, said, sizeof said - 1);
        said[length < 0 ? 0 : length] = 0;
        close(file);
    }
    printf("%s: %d %x%s\n", what, error, status, said);
    posix_spawn_file_actions_destroy(actions);
}

/* Connected to an own listener. */
static int connected(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&here, size) || listen(listener, 1)
        || getsockname(listener, (struct sockaddr *)&here, &size) || connect(fd, (struct sockaddr *)&here, size))
        abort();
    return fd;
}

int main(int count, char **words)
{
    if (count == 3 && !strcmp(words[1], "show"))
        return shows(words[2]);
    char into[4096];
    snprintf(into, sizeof into, "%s/said", words[2]);
    if (chdir(words[2]))
        abort();
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (!strcmp(words[1], "any")) {
        int folder = open("a", O_RDONLY | O_DIRECTORY);
        for (int fd = 10; fd < 40; fd += 3)
            dup2(folder, fd);
        posix_spawn_file_actions_destroy(&actions);
        for (unsigned seed = 1; seed <= 400; seed++) {
            char what[32];
            sprintf(what, "%u", seed);
            state = seed;
            posix_spawn_file_actions_init(&actions);
            int length = seed % 5 ? below(8) : below(400), top = seed % 3 ? 40 : -400;
            for (int at = 0; at < length; at++)
                any_action(&actions, top);
            says(what, &actions, seed % 2 ? "./program" : words[0], into);
        }
    } else if (!strcmp(words[1], "connection")) {
        int fd = connected();
        for (int to = 100; to < 300; to++)
            posix_spawn_file_actions_adddup2(&actions, to == 100 ? fd : to - 1, to);
        posix_spawn_file_actions_adddup2(&actions, 299, 0);
        says("connection", &actions, words[0], into);
    } else {
        // What the new process has as descriptor 50 is another folder than the caller's.
        dup2(open("a", O_RDONLY | O_DIRECTORY), 50);
        int other = open("b", O_RDONLY | O_DIRECTORY);
        posix_spawn_file_actions_adddup2(&actions, other, 50);
        posix_spawn_file_actions_addchdir_np(&actions, "/proc/self/fd/50");
        says("process", &actions, "./program", into);
    }
}
