/* A program of cases, `NAME CASE`, each of which says what calls did. What is said goes to a descriptor of its own, since some cases
 * close the standard ones. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OUT = 9 };
#define COUNT(array) (sizeof(array) / sizeof *(array))

static void say(const char *format, ...)
{
    int kept = errno;
    char line[8192];
    va_list rest;
    va_start(rest, format);
    int len = vsnprintf(line, sizeof line, format, rest);
    va_end(rest);
    if (len > (int)sizeof line - 1)
        len = sizeof line - 1;
    if (write(OUT, line, len) != len)
        _exit(99);
    errno = kept;
}

static void done(const char *what, long result)
{
    say("%s: %ld errno %d\n", what, result, errno);
    errno = 0;
}

struct one_case {
    const char *name;
    void (*run)(void);
};

static int run_case(const struct one_case *cases, size_t count, int argc, char **argv)
{
    if (argc < 2 || dup2(1, OUT) != OUT)
        return 98;
    for (size_t i = 0; i < count; i++)
        if (!strcmp(cases[i].name, argv[1])) {
            cases[i].run();
            return 0;
        }
    return 97;
}
