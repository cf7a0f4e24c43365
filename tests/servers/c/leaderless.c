/* A process whose first thread has exited: /proc/PID has no memory, environment and files of it. Another thread reads the file that is
 * named, a FIFO, to its end. */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static void *reads(void *path)
{
    char byte;
    int fd = open(path, O_RDONLY);
    while (read(fd, &byte, 1) > 0)
        ;
    exit(0);
}

int main(int count, char **arguments)
{
    pthread_t thread;
    pthread_create(&thread, NULL, reads, arguments[1]);
    pthread_exit(NULL);
}
