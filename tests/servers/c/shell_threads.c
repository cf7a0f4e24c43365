/* Calls popen, pclose and system while signals come, threads are cancelled and children are forked: `shell_threads CASE`. Two runs
 * that behave alike say the same, byte for byte. */
#define _GNU_SOURCE
#include "cases.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>

static volatile int handled;

static void handler(int signal)
{
    (void)signal;
    handled++;
}

#define SIGNALS "exec grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status >&9"

static void dispositions(void)
{
    int signals[] = {SIGINT, SIGQUIT, SIGCHLD};
    for (size_t i = 0; i < COUNT(signals); i++) {
        struct sigaction now;
        sigaction(signals[i], NULL, &now);
        say("  %d: %s flags %x", signals[i], now.sa_handler == SIG_IGN ? "ignored" : now.sa_handler == SIG_DFL ? "default" : "handled", now.sa_flags);
    }
    sigset_t mask;
    pthread_sigmask(0, NULL, &mask);
    say("  blocked:");
    for (int signal = 1; signal < 65; signal++)
        if (sigismember(&mask, signal) == 1)
            say(" %d", signal);
    say("\n");
}

static void *look_at(void *thread)
{
    char path[64], line[256];
    usleep(150000);
    sprintf(path, "/proc/self/task/%d/status", (int)(long)thread);
    FILE *status = fopen(path, "r");
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, "SigBlk", 6) || !strncmp(line, "SigIgn", 6))
            say("  meanwhile %s", line);
    fclose(status);
    dispositions();
    return NULL;
}

static void signalled(void)
{
    struct sigaction own = {.sa_handler = handler};
    sigset_t mask;
    pthread_t thread;
    for (int how = 0; how < 4; how++) {
        if (how == 1)
            signal(SIGINT, SIG_IGN);
        if (how == 2)
            sigaction(SIGINT, &own, NULL), sigaction(SIGQUIT, &own, NULL);
        if (how == 3) {
            sigemptyset(&mask), sigaddset(&mask, SIGUSR1), sigaddset(&mask, SIGINT);
            sigprocmask(SIG_BLOCK, &mask, NULL);
        }
        say("how %d\n", how);
        done("system", system(SIGNALS));
        FILE *stream = popen(SIGNALS, "r");
        done("pclose", pclose(stream));
        pthread_create(&thread, NULL, look_at, (void *)(long)gettid());
        done("system", system("sleep 0.4"));
        pthread_join(thread, NULL);
        dispositions();
    }
    sigprocmask(SIG_UNBLOCK, &mask, NULL);
    sigaction(SIGALRM, &own, NULL);
    sigaction(SIGCHLD, &own, NULL);
    struct { const char *what; int sys; } ways[] = {{"system", 1}, {"pclose", 0}};
    for (size_t i = 0; i < COUNT(ways); i++) {
        handled = 0;
        FILE *stream = ways[i].sys ? NULL : popen("sleep 0.4; exit 3", "r");
        struct { long a, b, c, d; } timer = {0, 0, 0, 100000};
        setitimer(ITIMER_REAL, (void *)&timer, NULL);
        errno = 0;
        done(ways[i].what, ways[i].sys ? system("sleep 0.4; exit 3") : pclose(stream));
        say("handled %d\n", handled);
    }
    FILE *stream = popen("sleep 0.4; echo late", "r");
    struct { long a, b, c, d; } timer = {0, 0, 0, 100000};
    setitimer(ITIMER_REAL, (void *)&timer, NULL);
    errno = 0;
    done("fgetc, interrupted", fgetc(stream));
    say("ferror %d\n", ferror(stream) != 0);
    clearerr(stream);
    done("fgetc", fgetc(stream));
    done("pclose", pclose(stream));
    pid_t child = fork();
    if (!child) {
        signal(SIGINT, SIG_DFL);
        done("system", system("kill -INT $PPID; sleep 0.1; exit 8"));
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    say("status %x\n", status);
}

static FILE *shared;

static void *in_system(void *command)
{
    return (void *)(long)system(command);
}

static void *in_read(void *nothing)
{
    (void)nothing;
    return (void *)(long)fgetc(shared);
}

static void *in_pclose(void *nothing)
{
    (void)nothing;
    int status = pclose(shared);
    say("pclose in a thread that is cancelled: %x\n", status);
    pthread_testcancel();
    return NULL;
}

static void *try_lock(void *nothing)
{
    (void)nothing;
    return (void *)(long)ftrylockfile(shared);
}

static void cancelled(void)
{
    pthread_t thread, other;
    void *result;
    pthread_create(&thread, NULL, in_system, "sleep 5; echo alive >&9");
    usleep(200000);
    dispositions();
    pthread_cancel(thread);
    pthread_join(thread, &result);
    done("cancelled", result == PTHREAD_CANCELED);
    done("wait", waitpid(-1, NULL, WNOHANG));
    dispositions();
    pthread_create(&thread, NULL, in_system, "sleep 0.6; exit 3");
    pthread_create(&other, NULL, in_system, "sleep 0.3; exit 4");
    usleep(150000);
    dispositions();
    pthread_join(other, &result);
    done("other", (long)result);
    dispositions();
    done("system", system("exit 5"));
    dispositions();
    pthread_join(thread, &result);
    done("thread", (long)result);
    dispositions();
    shared = popen("sleep 0.5; echo x", "r");
    pthread_create(&thread, NULL, in_read, NULL);
    usleep(100000);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    done("cancelled", result == PTHREAD_CANCELED);
    done("fgetc", fgetc(shared));
    done("pclose", pclose(shared));
    shared = popen("sleep 0.4; exit 3", "r");
    pthread_create(&thread, NULL, in_pclose, NULL);
    usleep(100000);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    done("cancelled", result == PTHREAD_CANCELED);
    shared = popen("exit 0", "r");
    flockfile(shared);
    pthread_create(&thread, NULL, try_lock, NULL);
    pthread_join(thread, &result);
    done("ftrylockfile", result != NULL);
    funlockfile(shared);
    pthread_create(&thread, NULL, try_lock, NULL);
    pthread_join(thread, &result);
    done("ftrylockfile", result != NULL);
}

static void *again_and_again(void *nothing)
{
    (void)nothing;
    for (int i = 0; i < 60; i++) {
        FILE *stream = popen("exit 3", "r");
        if (system("exit 3") != 3 << 8 || !stream || pclose(stream) != 3 << 8)
            say("wrong\n");
    }
    return NULL;
}

static void forked(void)
{
    pthread_t threads[6];
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_create(&threads[i], NULL, again_and_again, NULL);
    for (int i = 0; i < 60; i++) {
        pid_t child = fork();
        if (!child) {
            alarm(20);
            FILE *stream = popen("exit 4", "r");
            _exit(stream && pclose(stream) == 4 << 8 && system("exit 2") == 2 << 8 ? 5 : 6);
        }
        int status;
        waitpid(child, &status, 0);
        if (status != 5 << 8)
            say("child %x\n", status);
    }
    for (size_t i = 0; i < COUNT(threads); i++)
        pthread_join(threads[i], NULL);
    dispositions();
}

int main(int argc, char **argv)
{
    static const struct one_case cases[] = {{"signalled", signalled}, {"cancelled", cancelled}, {"forked", forked}};
    return run_case(cases, COUNT(cases), argc, argv);
}
