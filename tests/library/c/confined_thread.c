/* One thread forbids itself, on pain of the process's life, what the guard calls; others connect, each to a port of its own. With
   "all" the filter is every thread's. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

static int is_all;
static sem_t loaded, go;

static void reach(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int error = connect(fd, (void *)&to, sizeof to) ? errno : 0;
    char line[32];
    write(1, line, snprintf(line, sizeof line, "%d: %d\n", port, error));
    close(fd);
}

static void *other(void *port)
{
    reach((int)(long)port);
    return 0;
}

static int other_too(void *port)
{
    reach((int)(long)port);
    return 0;
}

static void in_thread(int port)
{
    pthread_t thread;
    pthread_create(&thread, 0, other, (void *)(long)port);
    pthread_join(thread, 0);
}

static void *confined(void *nothing)
{
    const int forbidden[] = {SYS_getsockopt, SYS_openat, SYS_sendto, SYS_fcntl, SYS_gettid, SYS_getpid};
    struct sock_filter code[16] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0)};
    int count = sizeof forbidden / sizeof *forbidden;
    for (int i = 0; i < count; i++)
        code[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, forbidden[i], count - i, 0);
    code[1 + count] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[2 + count] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    struct sock_fprog program = {3 + count, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, is_all ? SECCOMP_FILTER_FLAG_TSYNC : 0, &program))
        _exit(99);
    reach(4450);
    sem_post(&loaded);
    sem_wait(&go);
    return 0;
}

static void *parent(void *nothing)
{
    is_all = 0;
    sem_post(&go);
    confined(0);
    in_thread(4456);
    return 0;
}

int main(int count, char **words)
{
    is_all = count > 1 && !strcmp(words[1], "all");
    pthread_t thread;
    pthread_create(&thread, 0, confined, 0);
    sem_wait(&loaded);
    reach(4451);
    in_thread(4452);
    thrd_t threads;
    thrd_create(&threads, other_too, (void *)4453L);
    thrd_join(threads, 0);
    if (!fork()) {
        reach(4454);
        in_thread(4457);
        _exit(0);
    }
    wait(0);
    sem_post(&go);
    pthread_join(thread, 0);
    /* Has the other's place in memory. */
    in_thread(4455);
    if (count > 1 && !strcmp(words[1], "parent")) {
        pthread_create(&thread, 0, parent, 0);
        pthread_join(thread, 0);
    }
    return 0;
}
