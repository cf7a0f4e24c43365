/* Starts a program again and again, and counts what ran: 0 and 42 are the statuses of the two programs that its path leads to in turn.
   As the program itself, it says by which name the kernel has it, and its arguments. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#ifdef EVIL
int main(void) { return 42; }
#else
static pid_t begin(const char *way, char *path, char **arguments) {
    pid_t child = -1;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (strcmp(way, "spawn") == 0) return posix_spawn(&child, path, NULL, NULL, arguments, environ) ? -1 : child;
    if (strcmp(way, "closing") == 0) {
        posix_spawn_file_actions_addclosefrom_np(&actions, 3);
        return posix_spawn(&child, path, &actions, NULL, arguments, environ) ? -1 : child;
    }
    child = fork();
    if (child == 0) {
        if (strcmp(way, "execvp") == 0) execvp(path, arguments);
        else execve(path, arguments, environ);
        _exit(126);
    }
    return child;
}

int main(int count, char **words) {
    if (count > 4 && strcmp(words[1], "start") == 0) {
        int seen[3] = {0}, status;
        time_t end = time(NULL) + atoi(words[3]);
        char *arguments[] = {"program", "one", NULL};
        do {
            pid_t child = begin(words[2], words[4], arguments);
            if (child < 0) { seen[2]++; continue; }
            waitpid(child, &status, 0);
            seen[WEXITSTATUS(status) == 0 ? 0 : WEXITSTATUS(status) == 42 ? 1 : 2]++;
        } while (time(NULL) < end);
        printf("first %d second %d none %d\n", seen[0], seen[1], seen[2]);
        return 0;
    }
    printf("%s", (char *)getauxval(AT_EXECFN));
    for (int at = 0; at < count; at++) printf(" %s", words[at]);
    printf("\n");
}
#endif
