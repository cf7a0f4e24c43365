/* Says its environment, then executes the program of its arguments, if there are any. */
#include <stdio.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
    for (char **entry = environ; *entry; entry++)
        puts(*entry);
    fflush(stdout);
    if (argc < 2)
        return 0;
    execv(argv[1], argv + 1);
    return 96;
}
