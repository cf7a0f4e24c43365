/* Says all that a program can observe of how it was started: `observed WAY WHICH COUNT` starts itself by WAY with the
 * environment WHICH and COUNT variables more, then says it; `observed` says it at once. */
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char **constructed;

__attribute__((constructor)) static void construct(int argc, char **argv, char **envp)
{
    constructed = envp;
}

static void say(int argc, char **argv, char **envp)
{
    printf("same vector: %d %d %d\n", envp == environ, envp == constructed, envp == argv + argc + 1);
    for (int at = 0; at <= argc; at++)
        printf("argument %s\n", argv[at] ? argv[at] : "(null)");
    size_t count = 0;
    for (; envp[count]; count++)
        printf("variable %s\n", envp[count]);
    /* As programs without libc find it. */
    ElfW(auxv_t) *walked = (void *)(envp + count + 1);
    ElfW(auxv_t) kernels[64];
    int fd = open("/proc/self/auxv", O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, kernels, sizeof kernels);
    close(fd);
    size_t number = 0;
    for (;; walked++) {
        if (walked->a_type == AT_IGNORE)
            continue;
        int is_kernels = (number + 1) * sizeof *kernels <= (size_t)size && !memcmp(walked, &kernels[number], sizeof *walked);
        printf("auxiliary %lu %s\n", walked->a_type, is_kernels ? "as the kernel's" : "not the kernel's");
        if (walked->a_type != AT_NULL && getauxval(walked->a_type) != walked->a_un.a_val)
            printf("  getauxval differs\n");
        number++;
        if (walked->a_type == AT_NULL || !is_kernels)
            break;
    }
    DIR *folder = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(folder));)
        if (*entry->d_name != '.' && atoi(entry->d_name) != dirfd(folder))
            printf("descriptor %s\n", entry->d_name);
    closedir(folder);
    FILE *status = fopen("/proc/self/status", "r");
    for (char line[512]; fgets(line, sizeof line, status);)
        /* How many signals are queued is the user's, not the process's. */
        if ((!strncmp(line, "Sig", 3) && line[3] != 'Q') || !strncmp(line, "Shd", 3) || !strncmp(line, "NoNewPrivs", 10) || !strncmp(line, "Threads", 7))
            fputs(line, stdout);
    fclose(status);
    for (int which = 0; which < RLIM_NLIMITS; which++) {
        struct rlimit limit;
        getrlimit(which, &limit);
        printf("limit %d %lu %lu\n", which, (unsigned long)limit.rlim_cur, (unsigned long)limit.rlim_max);
    }
    fflush(stdout);
}

static char *made(const char *name, const char *value)
{
    char *text;
    return asprintf(&text, "%s=%s", name, value) < 0 ? NULL : text;
}

int main(int argc, char **argv, char **envp)
{
    if (argc == 1 || argc == 2) {
        say(argc, argv, envp);
        return 0;
    }
    const char *way = argv[1], *which = argv[2];
    size_t count = atoi(argv[3]), at = 0;
    char **given = calloc(count + 16, sizeof *given);
    given[at++] = "FIRST=1";
    if (!strcmp(which, "own"))
        given[at++] = "LD_PRELOAD=libm.so.6";
    else if (!strcmp(which, "separators"))
        given[at++] = "LD_PRELOAD= libm.so.6  libdl.so.2:";
    else if (!strcmp(which, "empty"))
        given[at++] = "LD_PRELOAD=";
    else if (!strcmp(which, "twice"))
        given[at++] = "LD_PRELOAD=libdl.so.2", given[at++] = "SECOND=2", given[at++] = "LD_PRELOAD=libm.so.6";
    else if (!strcmp(which, "almost"))
        given[at++] = "LD_PRELOADS=x", given[at++] = "LD_PRELOAD";
    else if (!strcmp(which, "long")) {
        char text[4000] = "";
        while (strlen(text) < 3900)
            strcat(text, "libm.so.6 :");
        given[at++] = made("LD_PRELOAD", text);
    } else if (!strcmp(which, "guard"))
        /* The order that somebody gave: the guard between two others. */
        given[at++] = made("LD_PRELOAD", argv[4]);
    for (size_t number = 0; number < count; number++) {
        char name[32];
        sprintf(name, "N%zu", number);
        given[at++] = made(name, "value");
    }
    given[at++] = "LAST=1";
    char *const words[] = {argv[0], "an argument", NULL};
    int status = 0;
    pid_t child = 0;
    signal(SIGUSR2, SIG_IGN);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGWINCH);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
    if (!strcmp(way, "posix_spawn")) {
        if (posix_spawn(&child, argv[0], NULL, NULL, words, given))
            return 97;
    } else if (!strcmp(way, "replace"))
        execve(argv[0], words, given);
    else {
        child = !strcmp(way, "vfork") ? vfork() : fork();
        if (!child) {
            if (!strcmp(way, "execvp")) {
                environ = given;
                execvp(argv[0], words);
            } else if (!strcmp(way, "fexecve"))
                fexecve(open(argv[0], O_RDONLY | O_CLOEXEC), words, given);
            else
                execve(argv[0], words, given);
            _exit(96);
        }
    }
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}
