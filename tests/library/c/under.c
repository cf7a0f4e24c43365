/* Does what most programs do, under a filter that ends whoever makes one system call: `under NUMBER LIBRARY`, with `-` for no library.
 * It executes itself under the filter, and prints what came of each thing that it does. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void say(const char *what, long result)
{
    printf("%s %ld %d\n", what, result, result < 0 ? errno : 0);
    fflush(stdout);
}

static int work(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(1)};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    int stream = socket(AF_INET, SOCK_STREAM, 0), datagram = socket(AF_INET, SOCK_DGRAM, 0), status = -1;
    say("connect", connect(stream, (void *)&to, sizeof to));
    say("sendto", sendto(datagram, "x", 1, 0, (void *)&to, sizeof to));
    say("listen", listen(socket(AF_INET, SOCK_STREAM, 0), 1));
    FILE *file = fopen("/etc/passwd", "r");
    say("fopen", file != NULL);
    pid_t child;
    char *const words[] = {"true", NULL};
    say("posix_spawn", posix_spawn(&child, "/bin/true", NULL, NULL, words, environ) || waitpid(child, &status, 0) != child);
    say("status", status);
    say("system", system("exit 3"));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 1)
        return work();
    struct sock_filter ends[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, atoi(argv[1]), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof ends / sizeof *ends, ends};
    if (strcmp(argv[2], "-"))
        setenv("LD_PRELOAD", argv[2], 1);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
        return 97;
    execv(argv[0], (char *[]){argv[0], NULL});
    return 96;
}
