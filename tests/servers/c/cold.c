// cold FOLDER: executes a shell whose environment is in pages of a file that another thread keeps out of memory: whoever reads them waits for the disk.
#define _GNU_SOURCE
#include "cold.h"
#include <errno.h>
#include <pthread.h>

static struct cold cold;

static void *keep_out(void *unused)
{
    for (;;)
        evict(&cold);
    return NULL;
}

int main(int argc, char **argv)
{
    char *arguments[] = {"sh", "-c", "echo ran", NULL};
    pthread_t thread;
    make_cold(&cold, argv[1]);
    pthread_create(&thread, NULL, keep_out, NULL);
    execve("/bin/sh", arguments, cold.variables);
    printf("execve: %d\n", errno);
    return 1;
}
