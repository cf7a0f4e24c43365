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

/* Declares ARGV, an array of the arguments from ARG on, and REST, which stands behind their closing NULL: there execle has its
 * environment. */
#define ARGUMENTS(argv, arg, rest)                     \
    va_list rest;                                      \
    va_start(rest, arg);                               \
    size_t n = count(arg, rest);                       \
    va_end(rest);                                      \
    char *argv[n + 1];                                 \
    va_start(rest, arg);                               \
    argv[0] = (char *)arg;                             \
    for (size_t at = 1; at <= n; at++)                 \
        argv[at] = va_arg(rest, char *)

int portcullis_shim_execl(const char *path, const char *arg, ...)
{
    ARGUMENTS(argv, arg, rest);
    va_end(rest);
    return execve(path, argv, environ);
}

int portcullis_shim_execlp(const char *file, const char *arg, ...)
{
    ARGUMENTS(argv, arg, rest);
    va_end(rest);
    return execvpe(file, argv, environ);
}

int portcullis_shim_execle(const char *path, const char *arg, ...)
{
    ARGUMENTS(argv, arg, rest);
    char *const *envp = va_arg(rest, char *const *);
    va_end(rest);
    return execve(path, argv, envp);
}
