/* The guard's variadic C, built with sanitizers: as many arguments as a program could have come out as they went in. */
#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

extern char **environ;
static size_t got;
static char *const *with;
static int sound;

static int take(char *const argv[], char *const envp[])
{
    sound = 1;
    for (got = 0; argv[got]; got++) {
        char wanted[24];
        snprintf(wanted, sizeof wanted, "%zu", got);
        sound &= !strcmp(argv[got], wanted);
    }
    with = envp;
    return -7;
}

/* In the place of the hooks, which the shim calls. */
int execve(const char *path, char *const argv[], char *const envp[])
{
    sound = !strcmp(path, "/a/path");
    return take(argv, envp);
}

int execvpe(const char *file, char *const argv[], char *const envp[])
{
    (void)file;
    return take(argv, envp);
}

int portcullis_shim_execl(const char *path, const char *arg, ...);
int portcullis_shim_execlp(const char *file, const char *arg, ...);
int portcullis_shim_execle(const char *path, const char *arg, ...);

#define CALL(count, ...)                                                               \
    do {                                                                               \
        char *own[] = {"A=b", NULL};                                                   \
        assert(portcullis_shim_execl("/a/path", __VA_ARGS__, (char *)NULL) == -7);     \
        assert(sound && got == (count) && with == environ);                            \
        assert(portcullis_shim_execlp("a", __VA_ARGS__, (char *)NULL) == -7);          \
        assert(sound && got == (count) && with == environ);                            \
        assert(portcullis_shim_execle("/a/path", __VA_ARGS__, (char *)NULL, own) == -7); \
        assert(sound && got == (count) && with == own);                                \
    } while (0)

int main(void)
{
    CALL(1, "0");
    CALL(2, "0", "1");
    CALL(33, "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17", "18",
        "19", "20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30", "31", "32");
    assert(portcullis_shim_execl("/a/path", NULL) == -7 && got == 0);
    puts("fine");
    return 0;
}
