/* A program that calls what another preload may stand before, itself and by libraries that it loads, and says what came of it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

typedef int Connect(int, const struct sockaddr *, socklen_t);

static void say(const char *what, long result)
{
    int was = errno;
    dprintf(1, "%s %ld %s\n", what, result < 0 ? result : result > 0, result < 0 ? strerrorname_np(was) : "");
}

static void seen(const char *when)
{
    char text[256] = "";
    void (*counts)(char *) = (void (*)(char *))dlsym(RTLD_DEFAULT, "preload_counts");
    if (counts)
        counts(text);
    dprintf(1, "%s:%s\n", when, text);
}

static long outside(Connect *how)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4446)};
    inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    long result = how ? how(fd, (struct sockaddr *)&to, sizeof to) : -2;
    int was = errno;
    close(fd);
    errno = was;
    return result;
}

static void inside(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof to;
    int fd = socket(AF_INET, SOCK_STREAM, 0), other = socket(AF_INET, SOCK_STREAM, 0);
    say("bind", bind(fd, (struct sockaddr *)&to, sizeof to));
    say("listen", listen(fd, 1));
    getsockname(fd, (struct sockaddr *)&to, &len);
    say("connect to loopback", connect(other, (struct sockaddr *)&to, sizeof to));
    int accepted = accept(fd, NULL, NULL);
    say("accept", accepted);
    say("write", write(other, "x", 1));
    char byte;
    say("read", read(accepted, &byte, 1));
    say("sendto", sendto(other, "y", 1, 0, NULL, 0));
    int nothing = open("/dev/null", O_RDWR | O_CREAT, 0600);
    say("open", nothing);
    say("dup2", dup2(nothing, 50));
    struct addrinfo *found = NULL, hints = {.ai_flags = AI_NUMERICHOST};
    say("getaddrinfo", getaddrinfo("127.0.0.1", "80", &hints, &found));
    FILE *shell = popen("exit 5", "r");
    say("popen", shell != NULL);
    say("pclose", shell && WEXITSTATUS(pclose(shell)) == 5);
    say("system", WEXITSTATUS(system("exit 6")) == 6);
    pid_t child = fork();
    if (!child) {
        execl("/bin/sh", "sh", "-c", "exit 7", NULL);
        _exit(1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    say("execl", WEXITSTATUS(status) == 7);
}

static void by_library(const char *path, const char *flags_name, int flags)
{
    char text[128];
    void *library = dlopen(path, flags);
    Connect *how = library ? (Connect *)dlsym(library, "helper_connect") : NULL;
    sprintf(text, "connect by a library, %s", flags_name);
    say(text, outside(how));
}

/* The variables but those of the loader, which name the guard, and what stands in the place of an odd one of the guard's. */
static void variables(void)
{
    extern char **environ;
    for (char **at = environ; *at; at++)
        if (strncmp(*at, "LD_PRELOAD=", 11) && strcmp(*at, "PORTCULLIS_PADDING="))
            dprintf(1, "variable %s\n", *at);
}

int main(int count, char **words)
{
    variables();
    inside();
    seen("called");
    say("connect", outside(connect));
    seen("called");
    by_library(words[1], "lazy", RTLD_LAZY | RTLD_LOCAL);
    seen("called");
    by_library(words[2], "now", RTLD_NOW | RTLD_LOCAL);
    seen("called");
    say("connect by RTLD_DEFAULT", outside((Connect *)dlsym(RTLD_DEFAULT, "connect")));
    seen("called");
    /* These go past the preload. */
    say("connect of libc", outside((Connect *)dlsym(dlopen("libc.so.6", RTLD_LAZY), "connect")));
#if defined(__aarch64__)
    const char *version = "GLIBC_2.17";
#else
    const char *version = "GLIBC_2.2.5";
#endif
    say("connect of libc by its version", outside((Connect *)dlvsym(dlopen("libc.so.6", RTLD_LAZY), "connect", version)));
    by_library(words[3], "deepbound", RTLD_LAZY | RTLD_LOCAL | RTLD_DEEPBIND);
    seen("called");
    return 0;
}
