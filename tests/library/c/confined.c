/* Programs that forbid themselves system calls. WORDS: the action of the filter (kill, thread, trap, strict), how it is loaded (prctl,
 * seccomp, number), what it lets beside write and exit, what the program does then, and an empty file. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr_in to = {.sin_family = AF_INET};
static int udp;
static const char *empty;

static int reach(int port)
{
    to.sin_port = htons(port);
    return sendto(udp, "x", 1, 0, (void *)&to, sizeof to) == 1 ? 0 : errno;
}

static void confine(const char *action, const char *how, long lets)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 5, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 4, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, lets < 0 ? SYS_write : lets, 2, 0),
        /* Broad: only one call is forbidden. */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, lets < -1 ? -lets : SYS_swapon, 0, lets < -1),
        BPF_STMT(BPF_RET | BPF_K, !strcmp(action, "trap")     ? SECCOMP_RET_TRAP
                                  : !strcmp(action, "thread") ? SECCOMP_RET_KILL_THREAD
                                                              : SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    int done;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!strcmp(action, "strict"))
        done = !strcmp(how, "prctl") ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) : syscall(SYS_seccomp, 0, 0, 0);
    else if (!strcmp(how, "prctl"))
        done = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
    else if (!strcmp(how, "number"))
        done = syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
    else
        done = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
    if (done)
        _exit(99);
}

static int act(const char *what)
{
    to.sin_port = htons(4447);
    if (!strcmp(what, "connect"))
        return connect(udp, (void *)&to, sizeof to) ? errno : 50;
    if (!strcmp(what, "connect and send"))
        return connect(udp, (void *)&to, sizeof to) || write(udp, "x", 1) != 1 ? errno : 59;
    /* Of an empty file, which the kernel does not run. */
    if (!strcmp(what, "connect and execve"))
        return connect(udp, (void *)&to, sizeof to) || execve(empty, (char *[]){"empty", 0}, (char *[]){0}) ? errno : 0;
    if (!strcmp(what, "sendto"))
        return sendto(udp, "x", 1, 0, (void *)&to, sizeof to) == 1 ? 51 : errno;
    if (!strcmp(what, "bind"))
        return bind(udp, (void *)&to, sizeof to) ? errno : 52;
    if (!strcmp(what, "listen"))
        return listen(udp, 1) ? errno : 53;
    if (!strcmp(what, "execve"))
        return execve("/bin/nothing", (char *[]){"nothing", 0}, (char *[]){0}) ? errno : 0;
    if (!strcmp(what, "openat"))
        return syscall(SYS_openat, -100, "/dev/null", 2) < 0 ? errno : 54;
    if (!strcmp(what, "dup2"))
        return dup2(udp, 0) ? errno : 55;
    if (!strcmp(what, "refused filter"))
        return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 8) ? errno : 0;
    if (!strcmp(what, "forbidden"))
        return syscall(SYS_getuid), 56;
    if (!strcmp(what, "exit"))
        exit(57);
    return 58;
}

static const struct { const char *name; long number; } calls[] = {
    {"connect", SYS_connect}, {"sendto", SYS_sendto}, {"bind", SYS_bind}, {"listen", SYS_listen}, {"execve", SYS_execve},
    {"openat", SYS_openat}, {"dup2", SYS_dup2}, {"prctl", SYS_prctl}, {"nothing", -1}, {"all but one", -SYS_swapon},
    {"all but shutdown", -SYS_shutdown}, {"all but getpeername", -SYS_getpeername}, {"all but fcntl", -SYS_fcntl},
};

int main(int count, char **words)
{
    empty = words[5];
    udp = socket(AF_INET, SOCK_DGRAM, 0);
    inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
    int first = 0;
    for (int i = 0; i < 5; i++)
        first |= reach(4446);
    pid_t child = fork();
    if (!child) {
        long lets = -1;
        for (size_t k = 0; k < sizeof calls / sizeof *calls; k++)
            if (!strcmp(calls[k].name, words[3]))
                lets = calls[k].number;
        confine(words[1], words[2], lets);
        int result = act(words[4]);
        /* The strict mode has no exit_group. */
        if (!strcmp(words[1], "strict"))
            syscall(SYS_exit, result);
        _exit(result);
    }
    int status;
    waitpid(child, &status, 0);
    printf("%d %s %d; %d\n", first, WIFEXITED(status) ? "ended" : "killed",
           WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), reach(4448));
    return 0;
}
