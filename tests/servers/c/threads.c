/* What a thread of a static program does that has a view of its own: `threads VIEW FOLDER OWN`, which begins in FOLDER. The address
 * is 192.88.1.10. Prints what came of it, then executes `tool -c 'echo shell'` from the folder that it is in.
 *   shared    no view of its own
 *   folder    a working folder of its own: OWN
 *   files     descriptors of its own: where the others have a local socket or nothing, it has one of the internet
 *   ended     the first thread has ended */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STREAM = 50, DATAGRAM = 51 };

static char **arguments;

static struct sockaddr_in at(int port)
{
    struct sockaddr_in to = {AF_INET, htons(port)};
    inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
    return to;
}

static void say(const char *what, long result)
{
    printf("%s:%d ", what, result < 0 ? errno : 0);
}

static void own(int type, int number)
{
    int fd = socket(AF_INET, type, 0);
    dup2(fd, number);
    close(fd);
}

static void *calls(void *nothing)
{
    struct sockaddr_in allowed = at(443), refused = at(4444), open = at(6001);
    char *const tool[] = {"tool", "-c", "echo shell", NULL}, *const environment[] = {NULL};
    usleep(100000);
    if (!strcmp(arguments[1], "folder") && (unshare(CLONE_FS) || chdir(arguments[3])))
        say("folder", -1);
    if (!strcmp(arguments[1], "files")) {
        if (unshare(CLONE_FILES))
            say("files", -1);
        own(SOCK_STREAM, STREAM);
        own(SOCK_DGRAM, DATAGRAM);
    }
    say("refused", syscall(SYS_connect, STREAM, &refused, sizeof refused));
    own(SOCK_STREAM, STREAM);
    say("allowed", syscall(SYS_connect, STREAM, &allowed, sizeof allowed));
    say("sent", syscall(SYS_sendto, DATAGRAM, "x", 1, 0, &refused, sizeof refused));
    own(SOCK_DGRAM, DATAGRAM);
    say("bound", syscall(SYS_bind, DATAGRAM, &open, sizeof open));
    own(SOCK_STREAM, STREAM);
    say("named", syscall(SYS_bind, STREAM, &open, sizeof open));
    say("listens", syscall(SYS_listen, STREAM, 5));
    fflush(stdout);
    syscall(SYS_execve, "tool", tool, environment);
    say("tool", -1);
    exit(0);
}

int main(int count, char **words)
{
    pthread_t thread;
    arguments = words;
    chdir(words[2]);
    if (!strcmp(words[1], "files")) {
        int pair[2];
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
        dup2(pair[0], STREAM);
    } else {
        own(SOCK_STREAM, STREAM);
        own(SOCK_DGRAM, DATAGRAM);
    }
    pthread_create(&thread, NULL, calls, NULL);
    if (!strcmp(words[1], "ended"))
        pthread_exit(NULL);
    pthread_join(thread, NULL);
    return 0;
}
