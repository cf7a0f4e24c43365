// Memory of the program's own where a stack of the guard's was, or might be taken to be.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

extern char **environ;
static ucontext_t caller, coroutine;
static int results[80];

static void in_coroutine(void)
{
    printf("coroutine: %d\n", system("true"));
}

/* A vfork child executes a program from a stack that its parent unmaps; what is mapped next is a coroutine's. */
static void coroutines(void)
{
    char *words[] = {"true", NULL};
    pid_t child = vfork();
    if (!child) {
        execve("/bin/true", words, environ);
        _exit(1);
    }
    waitpid(child, NULL, 0);
    struct rlimit limit = {4UL << 30, RLIM_INFINITY};
    setrlimit(RLIMIT_AS, &limit);
    printf("system: %d\n", system("true"));
    for (size_t size = 16 << 10; size <= 128 << 10; size += 16 << 10) {
        char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(stack, 0x41, size);
        getcontext(&coroutine);
        coroutine.uc_stack.ss_sp = stack;
        coroutine.uc_stack.ss_size = size;
        coroutine.uc_link = &caller;
        makecontext(&coroutine, in_coroutine, 0);
        swapcontext(&caller, &coroutine);
    }
}

static void *waits(void *at)
{
    *(int *)at = system("sleep 0.5");
    return NULL;
}

/* More calls at once, none of them left, in threads of the smallest stack. */
static void many(void)
{
    pthread_t threads[80];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN);
    for (int at = 0; at < 80; at++)
        pthread_create(&threads[at], &attributes, waits, &results[at]);
    for (int at = 0; at < 80; at++) {
        pthread_join(threads[at], NULL);
        printf("%d: %d\n", at, results[at]);
    }
}

/* The address that the kernel clears is one that nothing lies at. */
static void named(void)
{
    static char text[2000][16];
    static char *variables[2001];
    char *words[] = {"echo", "executed", NULL};
    for (int at = 0; at < 2000; at++) {
        sprintf(text[at], "V%d=1", at);
        variables[at] = text[at];
    }
    syscall(SYS_set_tid_address, 0x10000);
    execve("/bin/echo", words, variables);
}

int main(int count, char **words)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (count > 1 && !strcmp(words[1], "coroutines"))
        coroutines();
    else if (count > 1 && !strcmp(words[1], "many"))
        many();
    else
        named();
}
