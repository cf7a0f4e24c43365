/* Calls popen, pclose, system and their kin, and says what came of it: `shells CASE`. Two runs that behave alike say the same,
 * byte for byte. What is said goes to a descriptor of its own, since some cases close the standard ones. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>
#include <wordexp.h>

enum { OUT = 9 };
#define COUNT(array) (sizeof(array) / sizeof *(array))

static void say(const char *format, ...)
{
    int kept = errno;
    char line[8192];
    va_list rest;
    va_start(rest, format);
    int len = vsnprintf(line, sizeof line, format, rest);
    va_end(rest);
    if (len > (int)sizeof line - 1)
        len = sizeof line - 1;
    if (write(OUT, line, len) != len)
        _exit(99);
    errno = kept;
}

static void done(const char *what, long result)
{
    say("%s: %ld errno %d\n", what, result, errno);
    errno = 0;
}

/* What a child has open, without what differs from run to run. */
#define DESCRIPTORS "for fd in 0 1 2 3 4 5 6 7 8 10 11 12 13 14; do " \
    "[ -e /proc/$$/fd/$fd ] || [ -L /proc/$$/fd/$fd ] || continue; t=$(readlink /proc/$$/fd/$fd); echo $fd ${t%%:*}; done >&9; :"

static void *show(FILE *stream)
{
    if (!stream)
        return NULL;
    int fd = fileno(stream);
    say("  descriptor %d flags %d status %x\n", fd, fcntl(fd, F_GETFD), fcntl(fd, F_GETFL));
    return stream;
}

static void modes(void)
{
    const char *modes[] = {"r", "w", "re", "we", "er", "ree", "rw", "", "e", "rr", "x", "r+", "rb"};
    for (size_t i = 0; i < COUNT(modes); i++) {
        errno = 0;
        FILE *stream = popen(modes[i][0] == 'w' ? "cat >&9" : "exit 3", modes[i]);
        done(modes[i], stream != NULL);
        if (show(stream)) {
            fputs("given\n", stream);
            done("ferror", ferror(stream));
            done("pclose", pclose(stream));
        }
    }
}

static void reading(void)
{
    char buffer[200000];
    FILE *stream = popen("seq 1 30000; exit 7", "r");
    size_t got = fread(buffer, 1, 70000, stream);
    say("fread %zu %c feof %d\n", got, buffer[69999], feof(stream) != 0);
    say("read %zd %c\n", read(fileno(stream), buffer, 10), buffer[0]);
    got = fread(buffer, 1, sizeof buffer, stream);
    say("fread %zu feof %d\n", got, feof(stream) != 0);
    done("pclose", pclose(stream));
    stream = popen("echo line one; echo line two; kill -9 $$", "r");
    while (fgets(buffer, sizeof buffer, stream))
        say("%s", buffer);
    done("pclose", pclose(stream));
    stream = popen("seq 1 5000; exit 1", "r");
    say("%d ", fgetc(stream));
    usleep(200000);
    say("%zd\n", read(fileno(stream), buffer, 5000));
    done("fclose", fclose(stream));
    stream = popen("printf 'a\\303\\244b'", "r");
    say("ungetc %d wide %d\n", ungetc('x', stream), fwide(stream, 0));
    say("%d %d\n", fgetc(stream), fgetc(stream));
    errno = 0;
    done("fseek", fseek(stream, 0, SEEK_SET));
    done("ftell", ftell(stream));
    done("fputc", fputc('a', stream));
    done("pclose", pclose(stream));
    char *line = NULL;
    size_t size = 0;
    stream = popen("seq 1 3", "r");
    setvbuf(stream, NULL, _IONBF, 0);
    while (getline(&line, &size, stream) > 0)
        say("%s", line);
    done("pclose", pclose(stream));
    stream = popen("echo left", "r");
    usleep(100000);
    done("pclose unread", pclose(stream));
}

static void writing(void)
{
    signal(SIGPIPE, SIG_IGN);
    FILE *stream = popen("wc -c >&9; exit 5", "w");
    for (int i = 0; i < 30000; i++)
        fprintf(stream, "%d\n", i);
    say("fflush %d\n", fflush(stream));
    fputs("rest", stream);
    done("pclose", pclose(stream));
    for (int code = 0; code < 2; code++) {
        char command[64];
        sprintf(command, "exec 0<&-; exit %d", code);
        stream = popen(command, "w");
        usleep(200000);
        fputs("nobody reads this", stream);
        errno = 0;
        done("pclose with data", pclose(stream));
        stream = popen(command, "w");
        usleep(200000);
        fputs("nobody reads this", stream);
        errno = 0;
        done("fflush", fflush(stream));
        done("ferror", ferror(stream) != 0);
        errno = 0;
        done("fclose", fclose(stream));
    }
    int ends[2];
    char line[16] = "";
    if (pipe(ends) || dup2(ends[1], 8) < 0)
        abort();
    stream = popen("cat >&8", "w");
    setvbuf(stream, NULL, _IOLBF, 0);
    fputs("line\n", stream);
    errno = 0;
    done("fgetc", fgetc(stream));
    close(fileno(stream));
    errno = 0;
    done("pclose of a closed descriptor", pclose(stream));
    done("wait", wait(NULL) > 0);
    done("read", read(ends[0], line, sizeof line));
    say("%s", line);
    close(ends[0]);
    close(ends[1]);
    close(8);
}

static void streams(void)
{
    FILE *a = popen("cat", "w"), *b = popen("sleep 0.1", "r"), *c = popen("cat", "we");
    say("%d %d %d\n", fileno(a), fileno(b), fileno(c));
    FILE *d = popen(DESCRIPTORS, "r");
    done("pclose", pclose(d));
    d = popen(DESCRIPTORS, "w");
    done("pclose", pclose(d));
    done("system", system(DESCRIPTORS));
    done("fclose", fclose(a));
    d = popen(DESCRIPTORS, "r");
    done("pclose", pclose(d));
    /* The third one's number is taken by something else. */
    dup2(OUT, fileno(c));
    d = popen(DESCRIPTORS, "r");
    done("pclose", pclose(d));
    done("pclose", pclose(b));
    done("pclose", pclose(c));
    FILE *many[40];
    for (size_t i = 0; i < COUNT(many); i++)
        many[i] = popen("exit 0", "r");
    d = popen(DESCRIPTORS, "r");
    done("pclose", pclose(d));
    for (size_t i = 0; i < COUNT(many); i++)
        say("%d ", pclose(many[i]));
    say("\n");
    FILE *plain = fopen("/dev/null", "r");
    done("pclose of a file", pclose(plain));
}

static void standard(void)
{
    const char *kinds[] = {"r", "w"};
    for (int closed = 0; closed < 4; closed++)
        for (size_t kind = 0; kind < COUNT(kinds); kind++) {
            pid_t child = fork();
            if (!child) {
                for (int fd = 0; fd < 2; fd++)
                    if (closed & 1 << fd)
                        close(fd);
                FILE *stream = show(popen(DESCRIPTORS, kinds[kind]));
                done("pclose", stream ? pclose(stream) : 99);
                done("system", system(DESCRIPTORS));
                _exit(0);
            }
            waitpid(child, NULL, 0);
        }
}

static void limits(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    for (int room = 0; room < 5; room++) {
        pid_t child = fork();
        if (!child) {
            for (int fd = 3; fd < 60; fd++)
                if (fd != OUT)
                    dup2(2, fd);
            limit.rlim_cur = 60;
            setrlimit(RLIMIT_NOFILE, &limit);
            for (int fd = 60 - room; fd < 60; fd++)
                close(fd);
            errno = 0;
            FILE *stream = popen("exit 4", "r");
            done("popen", stream != NULL);
            if (stream)
                done("pclose", pclose(stream));
            stream = popen("cat > /dev/null", "w");
            done("popen", stream != NULL);
            if (stream)
                done("pclose", pclose(stream));
            done("system", system("exit 6"));
            _exit(0);
        }
        waitpid(child, NULL, 0);
    }
    char *big = malloc(3 << 20);
    memset(big, 'a', 3 << 20);
    big[140000] = 0;
    errno = 0;
    done("system too long", system(big));
    done("popen too long", popen(big, "r") != NULL);
    if (chroot("/proc/self/fd") == 0) {
        errno = 0;
        done("system without a shell", system("exit 0"));
        done("system(NULL) without a shell", system(NULL));
        done("popen without a shell", popen("exit 0", "r") != NULL);
        done("wait", wait(NULL));
    }
}

static void statuses(void)
{
    const char *commands[] = {"", "exit 0", "exit 7", "kill -9 $$", "kill -2 $$", "/nonexistent 2>/dev/null", ": >/nonexistent/a 2>/dev/null"};
    for (size_t i = 0; i < COUNT(commands); i++) {
        errno = 1234;
        done(commands[i], system(commands[i]));
    }
    errno = 1234;
    done("NULL", system(NULL));
    FILE *stream = popen("exit 2", "r");
    errno = 1234;
    done("popen", pclose(stream));
    errno = 0;
    done("arguments", system("tr '\\0' '|' < /proc/$$/cmdline >&9; echo >&9"));
    done("environment", system("env | grep -v ^_= | sort >&9"));
    stream = popen("tr '\\0' '|' < /proc/$$/cmdline >&9; env | grep -v ^_= | sort >&9; pwd >&9", "r");
    done("pclose", pclose(stream));
    signal(SIGCHLD, SIG_IGN);
    errno = 0;
    done("system, SIGCHLD ignored", system("exit 3"));
    stream = popen("exit 3", "r");
    done("pclose, SIGCHLD ignored", pclose(stream));
    signal(SIGCHLD, SIG_DFL);
    stream = popen("exit 3", "r");
    pid_t child = fork();
    if (!child) {
        errno = 0;
        done("pclose in a child", pclose(stream));
        stream = popen("exit 4", "r");
        done("pclose in a child", pclose(stream));
        done("system in a child", system("exit 5"));
        _exit(0);
    }
    waitpid(child, NULL, 0);
    done("pclose", pclose(stream));
}

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

static void words(void)
{
    const char *texts[] = {"a b", "$(echo one two) `echo three`", "${UNSET:=set} $UNSET", "$((1+2))", "$(exit 3)", "\"$(", "a|b", "*.nonexistent ~root"};
    int flags[] = {0, WRDE_NOCMD, WRDE_UNDEF, WRDE_SHOWERR};
    for (size_t i = 0; i < COUNT(texts); i++)
        for (size_t flag = 0; flag < COUNT(flags); flag++) {
            wordexp_t result;
            int code = wordexp(texts[i], &result, flags[flag]);
            say("%s %d: %d", texts[i], flags[flag], code);
            for (size_t word = 0; code == 0 && word < result.we_wordc; word++)
                say(" [%s]", result.we_wordv[word]);
            say("\n");
            unsetenv("UNSET");
        }
}

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*run)(void); } cases[] = {
        {"modes", modes}, {"reading", reading}, {"writing", writing}, {"streams", streams}, {"standard", standard}, {"limits", limits},
        {"statuses", statuses}, {"signalled", signalled}, {"cancelled", cancelled}, {"forked", forked}, {"words", words},
    };
    if (argc < 2 || dup2(1, OUT) != OUT)
        return 98;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (!strcmp(cases[i].name, argv[1])) {
            cases[i].run();
            return 0;
        }
    return 97;
}
