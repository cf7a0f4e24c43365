/* A thread that starts a program, unwound from within posix_spawn: by a look for its callers, and by its end. With -DBEHIND the
 * library that stands behind the guard and does that. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#ifdef BEHIND
int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
    char *const argv[], char *const envp[])
{
    void *at[64];
    int count = backtrace(at, 64), found = 0;
    char **names = backtrace_symbols(at, count);
    for (int i = 0; i < count; i++)
        found += strstr(names[i], "starts_a_program") != NULL;
    free(names);
    printf("caller: %d\n", found);
    if (getenv("UNWOUND")) {
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
        pthread_cancel(pthread_self());
    }
    int (*next)() = dlsym(RTLD_NEXT, "posix_spawn");
    return next(pid, path, actions, attributes, argv, envp);
}
#else
extern char **environ;

static void ended(void *unused)
{
    printf("cleanup\n");
}

void *starts_a_program(void *unused)
{
    char *const argv[] = {"sh", "-c", "exit 7", NULL};
    pid_t pid;
    int status;
    pthread_cleanup_push(ended, NULL);
    posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ);
    waitpid(pid, &status, 0);
    printf("status: %d\n", status);
    pthread_cleanup_pop(0);
    return NULL;
}

int main(void)
{
    for (int i = 0; i < 3; i++) {
        pthread_t other;
        void *result;
        pthread_create(&other, NULL, starts_a_program, NULL);
        pthread_join(other, &result);
        printf("cancelled: %d\n", result == PTHREAD_CANCELED);
        if (i)
            setenv("UNWOUND", "1", 1);
    }
    return 0;
}
#endif
