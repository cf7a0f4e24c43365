/* A CGI program without a shell that starts one in the way that its query names. What is started has the answer as its
 * standard output and error; where nothing is started, the answer is the error's number. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MARK "echo shell-$((40+2))"

int main(void)
{
    const char *way = getenv("QUERY_STRING");
    char *argv[] = { "report", "-c", MARK, NULL };
    char *mail[] = { "bash", "-c", "/usr/sbin/sendmail -t -i", NULL };
    printf("Content-Type: text/plain\r\n\r\n");
    fflush(stdout);
    dup2(1, 2);
    dup2(open("/dev/null", O_RDONLY), 0);
    if (!strcmp(way, "long-path")) {
        static char path[400 * 13 + 32];
        for (int count = 0; count < 400; count++)
            strcat(path, "/nonexistent:");
        setenv("PATH", strcat(path, "/usr/bin:/bin"), 1);
        execvp("sh", argv);
    } else if (!strcmp(way, "eacces")) {
        chdir("..");
        setenv("PATH", "one:www", 1);
        execvp("symlink", argv);
    } else if (!strcmp(way, "bash-env")) {
        setenv("BASH_ENV", "../start", 1);
        execv("/bin/bash", mail);
    } else if (!strcmp(way, "ps4")) {
        setenv("SHELLOPTS", "xtrace", 1);
        setenv("PS4", "$(" MARK ")", 1);
        execv("/bin/bash", mail);
    } else if (!strcmp(way, "no-descriptor")) {
        struct rlimit limit = { 64, 64 };
        setrlimit(RLIMIT_NOFILE, &limit);
        while (open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0)
            ;
        execv("symlink", argv);
    } else if (!strncmp(way, "own-", 4)) {
        execv(way + 4, argv);
    }
    printf("refused %d", errno);
    return 0;
}
