/* Threads that start shells at once, each for a request of its own: `crowd WAY THREADS ROUNDS VARIABLES PRELOAD ROOM`. WAY is popen,
 * system or spawn; the environment has VARIABLES more variables, and LD_PRELOAD is of PRELOAD bytes; with ROOM, no more than that
 * many bytes can be mapped. Says how many shells were given another thread's request, no guard, another LD_PRELOAD, or were not
 * started, with the last errno. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../shim/include/portcullis.h"

extern char **environ;
static const char *way;
static int threads, rounds, variables;
static char *preload, folder[] = "/tmp/crowd-XXXXXX";
static portcullis_begin_function *begin;
static atomic_int wrong, unguarded, preloads, failed, last;
static pthread_barrier_t barrier;

/* What the shell was given, from a file or a stream: the environment as the kernel laid it down. */
static void look(FILE *from, const char *host)
{
    size_t size = 0, len = 0, got;
    char *text = NULL;
    do {
        text = realloc(text, size += 1 << 20);
        got = fread(text + len, 1, size - len, from);
        len += got;
    } while (got);
    int guarded = 0, own = 0, loads = !preload;
    for (char *at = text; at < text + len; at += strlen(at) + 1) {
        guarded |= !strncmp(at, "PORTCULLIS_CONTEXT=", 19);
        own |= !strncmp(at, "PORTCULLIS_REQUEST=", 19) && strstr(at, host);
        if (preload && !strncmp(at, "LD_PRELOAD=", 11))
            loads |= strlen(at) > strlen(preload) && !strcmp(at + strlen(at) - strlen(preload), preload);
    }
    unguarded += !guarded;
    wrong += guarded && !own;
    preloads += !loads;
    free(text);
}

static void fail(int error)
{
    failed++;
    last = error;
}

static void one(int number, const char *host)
{
    char command[256], path[128];
    snprintf(path, sizeof path, "%s/%d", folder, number);
    snprintf(command, sizeof command, "exec cat /proc/$$/environ > %s", path);
    if (!strcmp(way, "popen")) {
        FILE *stream = popen("exec cat /proc/$$/environ", "r");
        if (!stream)
            return fail(errno);
        look(stream, host);
        if (pclose(stream))
            fail(0);
        return;
    }
    if (!strcmp(way, "system")) {
        int status = system(command);
        if (status)
            return fail(status == -1 ? errno : status);
    } else {
        pid_t child;
        int status, error = posix_spawn(&child, "/bin/sh", NULL, NULL, (char *[]){"sh", "-c", command, NULL}, environ);
        if (error)
            return fail(error);
        waitpid(child, &status, 0);
        if (status)
            return fail(status);
    }
    FILE *file = fopen(path, "r");
    look(file, host);
    fclose(file);
}

static void *serve(void *argument)
{
    int number = (int)(long)argument;
    char host[64];
    snprintf(host, sizeof host, "site%d.example", number);
    struct portcullis_request request = {.size = sizeof request, .server_name = host, .method = "GET", .uri = "/", .script = "/srv/index.php"};
    begin(&request);
    pthread_barrier_wait(&barrier);
    for (int round = 0; round < rounds; round++)
        one(number, host);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 7)
        return 98;
    way = argv[1], threads = atoi(argv[2]), rounds = atoi(argv[3]), variables = atoi(argv[4]);
    begin = (portcullis_begin_function *)dlsym(RTLD_DEFAULT, "portcullis_request_begin");
    if (!begin || !mkdtemp(folder))
        return 97;
    char **more = calloc(variables + 3, sizeof *more), *path = NULL;
    for (int i = 0; i < variables; i++)
        asprintf(&more[i], "V%d=", i);
    asprintf(&more[variables], "PATH=%s", getenv("PATH"));
    if (atoi(argv[5])) {
        const char *one = "/lib/x86_64-linux-gnu/././././././././././././././libdl.so.2";
        preload = calloc(1, atoi(argv[5]) + strlen(one) + 2);
        while (strlen(preload) < (size_t)atoi(argv[5]))
            strcat(strcat(preload, *preload ? ":" : ""), one);
        asprintf(&more[variables + 1], "LD_PRELOAD=%s", preload);
    }
    environ = more;
    pthread_barrier_init(&barrier, NULL, threads);
    pthread_t ids[threads];
    if (atoi(argv[6])) {
        long pages = 0;
        FILE *statm = fopen("/proc/self/statm", "r");
        if (fscanf(statm, "%ld", &pages) != 1)
            return 96;
        fclose(statm);
        struct rlimit limit = {pages * 4096 + atoi(argv[6]), RLIM_INFINITY};
        setrlimit(RLIMIT_AS, &limit);
        serve(NULL);
    } else {
        for (long i = 0; i < threads; i++)
            pthread_create(&ids[i], NULL, serve, (void *)i);
        for (int i = 0; i < threads; i++)
            pthread_join(ids[i], NULL);
    }
    printf("wrong %d unguarded %d preloads %d failed %d errno %d\n", wrong, unguarded, preloads, failed, last);
    free(path);
    for (int i = 0; i < threads; i++) {
        asprintf(&path, "%s/%d", folder, i);
        unlink(path);
    }
    rmdir(folder);
    return 0;
}
