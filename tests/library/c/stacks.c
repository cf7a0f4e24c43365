/* How much stack each hooked function needs: `stacks hit|miss FOLDER NAME[:VARIANT]...` calls each in a thread on a painted stack
 * and prints `NAME BYTES RESULT`, or `NAME absent`. A hit is what the guard looks for; a miss is the same where it is nobody's
 * business. What executes a program does that in a vfork child, whose stack that is. FOLDER has a script and a file without a
 * format. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <resolv.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>
#include <wordexp.h>

extern char **environ;

#define SIZE (512 << 10)
#define PAINT 0xa5

#include "stacks/prepared.h"
#include "stacks/calls.h"

static unsigned char *stack;
static long used, result;

__attribute__((noinline)) static void measure(void)
{
    unsigned char *own = __builtin_frame_address(0), *low = stack;
    for (unsigned char *at = stack; at < own - 256; at++)
        *(volatile unsigned char *)at = PAINT;
    errno = 0;
    result = go();
    while (*(volatile unsigned char *)low == PAINT)
        low++;
    used = own - low;
}

static void *on_stack(void *unused)
{
    if (strstr(name, "res_")) {
        res_init();
        choose();
    }
    if (varies("request")) {
        served = accept(queue, NULL, NULL);
        write(connected, request, sizeof request);
    }
    measure();
    return NULL;
}

static void one(void)
{
    static char copy[64];
    const char *whole = name, *colon = strchr(name, ':');
    if (colon) {
        memcpy(copy, name, colon - name);
        name = copy, variant = colon + 1;
    }
    f.at = dlsym(RTLD_DEFAULT, name);
    if (varies("request"))
        strcpy(title, "php-fpm: pool shop");
    if (!f.at) {
        printf("%s absent\n", name);
        return;
    }
    prepare();
    stack = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, SIZE);
    pthread_t other;
    if (pthread_create(&other, &attributes, on_stack, NULL))
        abort();
    pthread_join(other, NULL);
    printf("%s %ld %ld\n", whole, used, (long)(int)result);
    if (result == -2)
        fprintf(stderr, "%s: nothing calls it\n", whole);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 98;
    hit = !strcmp(argv[1], "hit");
    folder = strdup(argv[2]);
    title = argv[0];
    for (int i = 3; i < argc; i++) {
        name = strdup(argv[i]);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            alarm(30);
            one();
            fflush(stdout);
            _exit(0);
        }
        int status;
        waitpid(pid, &status, 0);
        if (status)
            printf("%s died %d\n", name, WTERMSIG(status));
    }
    return 0;
}
