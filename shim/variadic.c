/* The variadic exec functions, which stable Rust cannot define: arguments become a vector, as in any libc. */
#include <stdarg.h>
#include <stddef.h>

extern char **environ;
/* These two are the hooks of src/hooks/exec.rs. */
int execve(const char *path, char *const argv[], char *const envp[]);
int execvpe(const char *file, char *const argv[], char *const envp[]);
int portcullis_shim_execl(const char *path, const char *arg, ...);
int portcullis_shim_execlp(const char *file, const char *arg, ...);
int portcullis_shim_execle(const char *path, const char *arg, ...);

/* The number of arguments, the first one included, without the closing NULL. */
static size_t count(const char *arg, va_list rest)
{
    size_t n = 0;
    for (; arg; arg = va_arg(rest, const char *))
        n++;
    return n;
}

/* Fills ARGV and leaves REST behind the closing NULL, where execle has its environment. */
#define FILL(argv, arg, rest)                          \
    do {                                               \
        size_t at = 0;                                 \
        for (const char *a = (arg); a; a = va_arg(rest, const char *)) \
            (argv)[at++] = (char *)a;                  \
        (argv)[at] = NULL;                             \
    } while (0)

int portcullis_shim_execl(const char *path, const char *arg, ...)
{
    va_list rest;
    va_start(rest, arg);
    size_t n = count(arg, rest);
    va_end(rest);
    char *argv[n + 1];
    va_start(rest, arg);
    FILL(argv, arg, rest);
    va_end(rest);
    return execve(path, argv, environ);
}

int portcullis_shim_execlp(const char *file, const char *arg, ...)
{
    va_list rest;
    va_start(rest, arg);
    size_t n = count(arg, rest);
    va_end(rest);
    char *argv[n + 1];
    va_start(rest, arg);
    FILL(argv, arg, rest);
    va_end(rest);
    return execvpe(file, argv, environ);
}

int portcullis_shim_execle(const char *path, const char *arg, ...)
{
    va_list rest;
    va_start(rest, arg);
    size_t n = count(arg, rest);
    va_end(rest);
    char *argv[n + 1];
    va_start(rest, arg);
    FILL(argv, arg, rest);
    char *const *envp = va_arg(rest, char *const *);
    va_end(rest);
    return execve(path, argv, envp);
}
