/* Another preload behind the guard, which plays the other thread: between judgement and use it changes what the program
 * gave. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int connect(int fd, const struct sockaddr *address, socklen_t len)
{
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
    struct sockaddr_in **given = dlsym(RTLD_DEFAULT, "given_address");
    if (given && *given)
        (*given)->sin_port = htons(4447);
    return real(fd, address, len);
}

int execve(const char *path, char *const argv[], char *const envp[])
{
    int (*real)(const char *, char *const[], char *const[]) = dlsym(RTLD_NEXT, "execve");
    char **given = dlsym(RTLD_DEFAULT, "given_path");
    if (given && *given)
        strcpy(*given, "/bin/false");
    return real(path, argv, envp);
}
