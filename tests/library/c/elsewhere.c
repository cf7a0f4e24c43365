/* Serves a connection of its own, then acts by itself, by a program that it starts (itself, as `child`), and by each library named, which is
 * loaded with RTLD_DEEPBIND. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef RTLD_DEEPBIND
#define RTLD_DEEPBIND 0
#endif

void act(const char *who);

int main(int count, char **words)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    setbuf(stdout, NULL);
    if (count == 2 && !strcmp(words[1], "child")) {
        act("child");
        return 0;
    }
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1)
        || getsockname(listener, (struct sockaddr *)&at, &length) || connect(client, (struct sockaddr *)&at, length))
        return 2;
    int served = accept(listener, NULL, NULL);
    if (served < 0)
        return 2;
    printf("page %ld\n", sysconf(_SC_PAGESIZE));
    act("program");
    pid_t pid = fork();
    if (pid == 0) {
        execl(words[1], words[1], "child", NULL);
        _exit(1);
    }
    waitpid(pid, NULL, 0);
    for (int index = 2; index < count; index++) {
        void *library = dlopen(words[index], RTLD_NOW | RTLD_DEEPBIND);
        void (*its)(const char *) = library ? (void (*)(const char *))dlsym(library, "act") : NULL;
        if (!its)
            return 3;
        its("library");
    }
    return 0;
}
