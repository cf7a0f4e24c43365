/* What a program in another root folder does with what the guard hands down: `elsewhere WAY ARGUMENT`. Ways: `policy`: starts a
 * shell with a sealed file in memory, of the bytes of the file ARGUMENT, in the place of all that is handed down; `sink`: the same
 * with the file ARGUMENT, opened to append; `chroot`: tries to enter the folder ARGUMENT, then starts a shell; `limit`: at a limit of
 * ARGUMENT descriptors; `rebind`: connects the sockets that are handed down to one of its own, bound to ARGUMENT, and says how many
 * messages of a shell's and its own come there; `shut`: shuts these sockets down for sending; `mute`: starts a shell with a descriptor
 * of the log in the place of each sink that ARGUMENT opens it as (`path`, `reading`), or with none (`closed`); `flags`: takes O_APPEND from the files and goes to their beginning; `threads`: says how many descriptors programs have that four threads start; `count` is such a program. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int start(posix_spawn_file_actions_t *actions, char *const *arguments)
{
    pid_t pid;
    int status, error = posix_spawn(&pid, arguments[0], actions, NULL, arguments, environ);
    if (error)
        return printf("%s\n", strerror(error)), -1;
    waitpid(pid, &status, 0);
    return status;
}

static int in_place(int fd)
{
    char *const shell[] = {"/bin/dash", "-c", "/bin/sh -c 'echo through'", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (int number = 900; number < 908; number++)
        posix_spawn_file_actions_adddup2(&actions, fd, number);
    return start(&actions, shell);
}

static int handed(int number, mode_t kind)
{
    struct stat stat;
    return fstat(number, &stat) == 0 && (stat.st_mode & S_IFMT) == kind;
}

/* The first number that is free will be the policy's, which stays. */
static int mute(const char *as)
{
    char *const shell[] = {"/bin/dash", "-c", "/bin/sh -c 'echo through'", NULL};
    posix_spawn_file_actions_t actions;
    char path[64];
    int log = -1, policy = 900, flags = strcmp(as, "path") ? O_RDONLY : O_PATH;
    posix_spawn_file_actions_init(&actions);
    for (int number = 900; number < 920; number++)
        if (handed(number, S_IFREG) && log < 0) {
            snprintf(path, sizeof path, "/proc/self/fd/%d", number);
            log = open(path, flags);
            if (log < 0)
                return perror(path), 94;
        }
    if (log < 0)
        return perror("log"), 95;
    while (fcntl(policy, F_GETFD) >= 0)
        policy++;
    for (int number = 900; number < 920; number++)
        if (number == policy)
            continue;
        else if (strcmp(as, "closed"))
            posix_spawn_file_actions_adddup2(&actions, log, number);
        else
            posix_spawn_file_actions_addclose(&actions, number);
    return start(&actions, shell) != 0;
}

static void *starts(void *sum)
{
    char *const count[] = {"/bin/elsewhere", "count", "", NULL};
    for (int turn = 0; turn < 20; turn++) {
        int status = start(NULL, count);
        __atomic_add_fetch((int *)sum, WEXITSTATUS(status), __ATOMIC_RELAXED);
    }
    return NULL;
}

static int rebind(const char *path)
{
    char *const shell[] = {"/bin/dash", "-c", "echo through", NULL};
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    int mine = socket(AF_UNIX, SOCK_DGRAM, 0), led = 0, came = 0;
    char byte;
    strncpy(own.sun_path, path, sizeof own.sun_path - 1);
    unlink(path);
    if (bind(mine, (struct sockaddr *)&own, sizeof own))
        return perror(path), 96;
    for (int number = 900; number < 920; number++)
        if (handed(number, S_IFSOCK)) {
            led += connect(number, (struct sockaddr *)&own, sizeof own) == 0;
            led += connect(dup(number), (struct sockaddr *)&own, sizeof own) == 0;
        }
    start(NULL, shell);
    while (recv(mine, &byte, 1, MSG_DONTWAIT) == 1)
        came++;
    /* The socket outlives this program. */
    if (fork() == 0) {
        for (int number = 0; number < 900; number++)
            if (number != mine)
                close(number);
        sleep(20);
        _exit(0);
    }
    return printf("led %d, came %d\n", led, came), 0;
}

int main(int count, char **arguments)
{
    if (count < 3)
        return 99;
    const char *way = arguments[1], *argument = arguments[2];
    setvbuf(stdout, NULL, _IONBF, 0);
    if (!strcmp(way, "policy")) {
        static char bytes[1 << 20];
        int from = open(argument, O_RDONLY), to = memfd_create("policy", MFD_ALLOW_SEALING);
        ssize_t len = read(from, bytes, sizeof bytes);
        if (len <= 0 || write(to, bytes, len) != len || fcntl(to, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE))
            return 98;
        return in_place(to) != 0;
    }
    if (!strcmp(way, "sink"))
        return in_place(open(argument, O_WRONLY | O_APPEND | O_CREAT, 0600)) != 0;
    if (!strcmp(way, "threads")) {
        pthread_t threads[4];
        int sum = 0;
        for (int number = 0; number < 4; number++)
            pthread_create(&threads[number], NULL, starts, &sum);
        for (int number = 0; number < 4; number++)
            pthread_join(threads[number], NULL);
        return printf("%d\n", sum), 0;
    }
    if (!strcmp(way, "count")) {
        int found = 0;
        for (int fd = 3; fd < 1100; fd++)
            found += fcntl(fd, F_GETFD) == 0;
        return found;
    }
    if (!strcmp(way, "rebind"))
        return rebind(argument);
    if (!strcmp(way, "mute"))
        return mute(argument);
    if (!strcmp(way, "shut"))
        for (int number = 900; number < 920; number++)
            if (handed(number, S_IFSOCK))
                printf("shut %d\n", shutdown(number, SHUT_WR));
    if (!strcmp(way, "flags"))
        for (int number = 900; number < 920; number++)
            if (handed(number, S_IFREG)) {
                fcntl(number, F_SETFL, fcntl(number, F_GETFL) & ~O_APPEND);
                printf("%ld\n", (long)lseek(number, 0, SEEK_SET));
            }
    if (!strcmp(way, "chroot"))
        printf("%d\n", chroot(argument));
    if (!strcmp(way, "limit")) {
        rlim_t number = atoi(argument);
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){number, number});
    }
    execl("/bin/dash", "/bin/dash", "-c", "/bin/sh -c 'echo through'", (char *)NULL);
    perror("dash");
    return 97;
}
