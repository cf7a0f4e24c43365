/* Prints its environment and whether its initial stack is in order, and starts the witness. */
#include <elf.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
int main(int count, char **arguments)
{
    char **end = environ, *witness[] = {"sh", arguments[1], "a b", "", 0};
    for (; *end; end++) puts(*end);
    unsigned long *vector = (unsigned long *)(end + 1), page = 0, entries = 0;
    for (; vector[0] != AT_NULL && entries < 64; vector += 2, entries++)
        if (vector[0] == AT_PAGESZ) page = vector[1];
    printf("page size %lu, arguments end: %d\n", page, arguments[count] == 0);
    fflush(stdout);
    pid_t child;
    int status;
    if (posix_spawn(&child, "/bin/sh", 0, 0, witness, environ) || waitpid(child, &status, 0) < 0) return 1;
    printf("ended with %d\n", WEXITSTATUS(status));
    return 5;
}
