/* Calls popen, pclose, system, wordexp and their kin, and says what came of it: `shells CASE`. Two runs that behave alike say the
 * same, byte for byte. */
#define _GNU_SOURCE
#include "cases.h"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <wchar.h>
#include <wordexp.h>

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
    static const struct one_case cases[] = {
        {"modes", modes}, {"reading", reading}, {"writing", writing}, {"streams", streams}, {"standard", standard}, {"limits", limits},
        {"statuses", statuses}, {"words", words},
    };
    return run_case(cases, COUNT(cases), argc, argv);
}
