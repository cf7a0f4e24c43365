/* Threads that start programs at the same time, by fork, vfork and posix_spawn. */
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
static void *start(void *how)
{
    char *words[] = {"true", 0};
    long good = 0;
    for (int n = 0; n < 20; n++) {
        pid_t child = -1;
        int status = -1;
        if (how == (void *)0) child = fork();
        else if (how == (void *)1) child = vfork();
        else posix_spawn(&child, "/bin/true", 0, 0, words, environ);
        if (child == 0) { execv("/bin/true", words); _exit(9); }
        good += waitpid(child, &status, 0) == child && status == 0;
    }
    return (void *)good;
}
int main(void)
{
    pthread_t threads[6];
    for (long n = 0; n < 6; n++) pthread_create(&threads[n], 0, start, (void *)(n % 3));
    for (int n = 0; n < 6; n++) {
        void *good;
        pthread_join(threads[n], &good);
        printf("%ld\n", (long)good);
    }
    return 0;
}
