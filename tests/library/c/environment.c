/* Changes its environment by HOW, then starts a program by WAY that says whether the guard is in it, and what it sees in its
 * environment: `environment HOW WAY`. First says what this program itself sees. */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define SCRIPT "grep -q libportcullis.so /proc/self/maps && printf 'guarded ' || printf 'bare '; " \
               "echo \"[${LD_PRELOAD-}] [${PORTCULLIS_CONTEXT-}] [${PORTCULLIS_REQUEST-}] [${PORTCULLIS_KEY-}] [${OWN-}]\""

int main(int argc, char **argv)
{
    if (argc != 3)
        return 98;
    const char *how = argv[1], *way = argv[2];
    char *own[] = {"OWN=given", NULL}, **given = NULL;
    const char *preload = getenv("LD_PRELOAD"), *context = getenv("PORTCULLIS_CONTEXT");
    printf("sees [%s] [%s]\n", preload ? preload : "", context ? context : "");
    fflush(stdout);
    if (!strcmp(how, "clearenv"))
        clearenv();
    else if (!strcmp(how, "unsetenv"))
        unsetenv("LD_PRELOAD"), unsetenv("PORTCULLIS_CONTEXT"), unsetenv("PORTCULLIS_REQUEST");
    else if (!strcmp(how, "setenv"))
        setenv("LD_PRELOAD", "", 1), setenv("PORTCULLIS_CONTEXT", "1;m;0;0;0;0:0;;x", 1), setenv("OWN", "set", 1);
    else if (!strcmp(how, "putenv"))
        putenv("LD_PRELOAD="), putenv("PORTCULLIS_REQUEST="), putenv("OWN=put");
    else if (!strcmp(how, "environ"))
        environ = own;
    else if (!strcmp(how, "null"))
        environ = NULL;
    else if (!strcmp(how, "given"))
        given = own;
    char *const words[] = {"sh", "-c", SCRIPT, NULL};
    char **vector = given ? given : environ;
    pid_t child;
    if (!strcmp(way, "popen")) {
        FILE *pipe = popen(SCRIPT, "r");
        char line[512];
        while (pipe && fgets(line, sizeof line, pipe))
            fputs(line, stdout);
        return pipe ? pclose(pipe) : 1;
    }
    if (!strcmp(way, "system"))
        return system(SCRIPT);
    if (!strcmp(way, "posix_spawn")) {
        if (posix_spawn(&child, "/bin/sh", NULL, NULL, words, vector))
            return 97;
    } else {
        child = fork();
        if (!child) {
            if (!strcmp(way, "execve"))
                execve("/bin/sh", words, vector);
            else if (!strcmp(way, "execvpe"))
                execvpe("sh", words, vector);
            else if (!strcmp(way, "execv"))
                execv("/bin/sh", words);
            _exit(96);
        }
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}
