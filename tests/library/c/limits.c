/* Does what the guard looks at under a limit, and says what each call gave.
 *
 *   limits RESOURCE LIMIT SIGNAL alone|threads
 *
 * LIMIT is a number, or +N: so much more than is in use; with a `:` behind it only the soft one, which
 * is taken back before a last connection. SIGNAL is what is done about SIGXFSZ: default, ignored, handled, blocked,
 * waiting (blocked, and there is one). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static int came, is_threaded, sockets[12];
static char said[8192];
static size_t length;

/* What is said is kept: at the limit there may be no memory for a stream. */
static void say(const char *what, long result)
{
    length += snprintf(said + length, sizeof said - length, "%s %ld %d\n", what, result, result < 0 ? errno : 0);
    errno = 0;
}

static void count(int signal)
{
    came++;
}

static void *sleeps(void *nothing)
{
    for (;;)
        pause();
}

/* In a child process of one thread: what is in use (/proc is read without memory of its own). */
static long in_use(const char *name)
{
    char text[4096];
    int fd = open("/proc/self/status", O_RDONLY);
    text[read(fd, text, sizeof text - 1)] = 0;
    close(fd);
    return atol(strstr(text, name) + strlen(name)) * 1024;
}

static struct sockaddr_in to(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, "192.88.1.10", &address.sin_addr);
    return address;
}

static int status_of(pid_t child)
{
    int status = -1;
    if (child > 0)
        waitpid(child, &status, 0);
    return status;
}

static void calls(void)
{
    struct sockaddr_in address = to(4446);
    say("connect", connect(sockets[0], (void *)&address, sizeof address));
    address = to(4447);
    say("sendto", sendto(sockets[1], "x", 1, 0, (void *)&address, sizeof address));
    address = to(4448);
    struct iovec piece = {"x", 1};
    struct msghdr message = {.msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &piece, .msg_iovlen = 1};
    say("sendmsg", sendmsg(sockets[2], &message, 0));
    address = to(4449);
    struct mmsghdr messages[2] = {{.msg_hdr = message}, {.msg_hdr = message}};
    say("sendmmsg", sendmmsg(sockets[2], messages, 2, 0));
    say("syscall", syscall(SYS_connect, sockets[3], &address, sizeof address));
    address = to(80);
    say("allowed", connect(sockets[4], (void *)&address, sizeof address));
    address = to(4450);
    setsockopt(sockets[5], SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    fcntl(sockets[5], F_SETFL, O_NONBLOCK);
    say("bind", bind(sockets[5], (void *)&address, sizeof address));
    say("listen", listen(sockets[5], 1));
    address = to(4450);
    say("stream", connect(sockets[6], (void *)&address, sizeof address));
    int accepted = accept(sockets[5], 0, 0);
    say("accept", accepted < 0 ? -1 : 0);
    close(accepted);
    int null = open("/dev/null", O_WRONLY);
    say("open", null < 0 ? -1 : 0);
    close(null);
    int memory = open("/proc/self/mem", O_RDWR);
    say("memory", memory < 0 ? -1 : 0);
    close(memory);
    say("dup2", dup2(sockets[7], 0) < 0 ? -1 : 0);
    char *shell[] = {"sh", "-c", "exit 3", 0}, *none[] = {0};
    pid_t child = fork();
    if (!child) {
        execve("/bin/sh", shell, none);
        _exit(100);
    }
    say("fork", status_of(child));
    child = vfork();
    if (!child) {
        execv("/bin/sh", shell);
        _exit(100);
    }
    say("vfork", status_of(child));
    int error = posix_spawn(&child, "/bin/sh", 0, 0, shell, environ);
    say("spawn", error);
    say("spawned", error ? 0 : status_of(child));
    error = posix_spawnp(&child, "true", 0, 0, (char *[]){"true", 0}, environ);
    say("spawnp", error);
    say("spawned", error ? 0 : status_of(child));
    say("system", system("exit 5"));
    FILE *stream = popen("echo said", "r");
    say("popen", stream ? 0 : -1);
    if (stream) {
        char line[64] = "";
        say("line", fgets(line, sizeof line, stream) ? strlen(line) : -2);
        say("pclose", pclose(stream));
    }
    say("plugin", dlopen("libm.so.6", RTLD_NOW | RTLD_DEEPBIND) ? 0 : -2);
    void *room = malloc(64 << 10);
    say("malloc", room ? 0 : -1);
    free(room);
}

int main(int argc, char **argv)
{
    struct { const char *name; int resource; } known[] = {
        {"as", RLIMIT_AS}, {"data", RLIMIT_DATA}, {"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC},
        {"stack", RLIMIT_STACK}, {"memlock", RLIMIT_MEMLOCK}, {"sigpending", RLIMIT_SIGPENDING},
        {"msgqueue", RLIMIT_MSGQUEUE}, {"fsize", RLIMIT_FSIZE}, {"core", RLIMIT_CORE}, {"nice", RLIMIT_NICE},
    };
    int resource = -1;
    for (int i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, argv[1]))
            resource = known[i].resource;
    for (int i = 0; i < 12; i++)
        sockets[i] = socket(AF_INET, i == 1 || i == 2 || i == 4 ? SOCK_DGRAM : SOCK_STREAM, 0);
    is_threaded = !strcmp(argv[4], "threads");
    pthread_t thread;
    if (is_threaded)
        pthread_create(&thread, 0, sleeps, 0);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGXFSZ);
    if (!strcmp(argv[3], "ignored"))
        signal(SIGXFSZ, SIG_IGN);
    if (!strcmp(argv[3], "handled"))
        signal(SIGXFSZ, count);
    if (!strcmp(argv[3], "blocked") || !strcmp(argv[3], "waiting"))
        sigprocmask(SIG_BLOCK, &set, 0);
    if (!strcmp(argv[3], "waiting"))
        raise(SIGXFSZ);
    /* Limits of processes and signals are a user's, and root has none. */
    setgid(61234);
    if (setuid(61234))
        return 90;
    prctl(PR_SET_DUMPABLE, 1);
    rlim_t limit = atol(argv[2]);
    if (argv[2][0] == '+') {
        if (resource == RLIMIT_NOFILE) {
            int next = dup(1);
            close(next);
            limit += next;
        } else if (resource == RLIMIT_NPROC)
            limit += 1 + is_threaded;
        else
            limit += in_use(resource == RLIMIT_AS ? "VmSize:" : "VmData:");
    }
    struct rlimit before, limits = {limit, limit};
    getrlimit(resource, &before);
    if (limits.rlim_max > before.rlim_max || strchr(argv[2], ':'))
        limits.rlim_max = before.rlim_max;
    if (setrlimit(resource, &limits))
        return 91;
    calls();
    sigset_t waits;
    sigpending(&waits);
    say("came", came);
    say("waits", sigismember(&waits, SIGXFSZ));
    sigprocmask(SIG_BLOCK, 0, &waits);
    say("blocked", sigismember(&waits, SIGXFSZ));
    struct sigaction action;
    sigaction(SIGXFSZ, 0, &action);
    say("action", action.sa_handler == SIG_DFL ? 0 : action.sa_handler == SIG_IGN ? 1 : 2);
    struct rlimit after;
    getrlimit(resource, &after);
    say("limit", after.rlim_cur == limits.rlim_cur && after.rlim_max == limits.rlim_max);
    if (strchr(argv[2], ':')) {
        setrlimit(resource, &before);
        struct sockaddr_in address = to(4461);
        say("last", connect(sockets[11], (void *)&address, sizeof address));
    }
    write(1, said, length);
    _exit(0);
}
