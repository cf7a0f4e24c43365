/* Starts 300 programs by vfork, with 500 variables and 200 arguments, and says by how many KiB this process has grown:
 * `vforks one|threads|failing PROGRAM`; `threads`: each from a thread of its own; `failing`: after a program that is not there. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char *given[502], *words[202];
static const char *how, *program;

static void *start(void *unused)
{
    int status;
    pid_t child = vfork();
    if (!child) {
        if (!strcmp(how, "failing"))
            execvpe("/nowhere", words, given);
        execvpe(program, words, given);
        _exit(96);
    }
    waitpid(child, &status, 0);
    if (status)
        abort();
    return NULL;
}

static long size(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (fscanf(file, "%ld", &pages) != 1)
        abort();
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void one(void)
{
    pthread_t thread;
    if (strcmp(how, "threads"))
        start(NULL);
    else if (pthread_create(&thread, NULL, start, NULL) || pthread_join(thread, NULL))
        abort();
}

int main(int argc, char **argv)
{
    how = argv[1], program = argv[2];
    for (int at = 0; at < 500; at++)
        if (asprintf(&given[at], "N%d=value", at) < 0)
            return 1;
    words[0] = "program";
    for (int at = 1; at < 200; at++)
        words[at] = "word";
    one();
    long before = size();
    for (int at = 0; at < 300; at++)
        one();
    printf("%ld\n", size() - before);
    return 0;
}
