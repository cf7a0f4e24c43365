/* Starts each of its arguments in three ways, and says with which error that fails. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int count, char **paths)
{
    for (int i = 1; i < count; i++) {
        char *argv[] = {"x", 0};
        for (int way = 0; way < 3; way++) {
            int pid, status, error = 0;
            fflush(stdout);
            if (way == 2) {
                error = posix_spawn(&pid, paths[i], 0, 0, argv, environ);
            } else if (!(pid = fork())) {
                way ? execvp(paths[i], argv) : execve(paths[i], argv, environ);
                _exit(200 + errno % 50);
            }
            if (!error) {
                waitpid(pid, &status, 0);
                error = WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
            }
            printf("%s %d: %d\n", paths[i], way, error);
        }
    }
    return 0;
}
