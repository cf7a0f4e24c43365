/* What musl does otherwise than glibc, or lays out otherwise. Prints a line for each call: `musl FOLDER`. The folder has `plain`, an
 * executable file of no known format, and `link`, which leads to this program. As `musl show` it prints what it has and acts; as `musl
 * shells` it does that by two shells; as `sh` it is a shell that executes one program. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wordexp.h>

extern char **environ;
static char *self;

#define say(what, call)                                                          \
    do {                                                                         \
        errno = 0;                                                               \
        long result_ = call;                                                     \
        dprintf(1, "%s: %ld %d\n", what, result_, result_ < 0 ? errno : 0);     \
    } while (0)

static struct sockaddr_in outside(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, "192.88.1.10", &to.sin_addr);
    return to;
}

/* Headers whose unnamed parts are what was there before, as in any program that sets the members alone. */
static void messages(void)
{
    struct sockaddr_in to = outside(4446);
    struct iovec piece = {"x", 1};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    for (int with = 0; with < 2; with++) {
        struct mmsghdr many;
        memset(&control, 0xff, sizeof control);
        memset(&many, 0xff, sizeof many);
        many.msg_hdr.msg_name = &to;
        many.msg_hdr.msg_namelen = sizeof to;
        many.msg_hdr.msg_iov = &piece;
        many.msg_hdr.msg_iovlen = 1;
        many.msg_hdr.msg_flags = 0;
        many.msg_hdr.msg_control = with ? &control : NULL;
        many.msg_hdr.msg_controllen = with ? sizeof control : 0;
        control.header.cmsg_len = CMSG_LEN(sizeof(int));
        control.header.cmsg_level = IPPROTO_IP;
        control.header.cmsg_type = IP_TTL;
        memcpy(CMSG_DATA(&control.header), &(int){9}, sizeof(int));
        say("sendmsg", sendmsg(fd, &many.msg_hdr, 0));
        say("sendmmsg", sendmmsg(fd, &many, 1, 0));
        many.msg_hdr.msg_name = NULL;
        many.msg_hdr.msg_namelen = 0;
        say("sendmsg to nobody", sendmsg(fd, &many.msg_hdr, 0));
    }
    say("sendmsg of nothing", sendmsg(fd, NULL, 0));
    close(fd);
}

static void spawned(const char *what, int error, pid_t child)
{
    int status = 0;
    if (!error)
        waitpid(child, &status, 0);
    dprintf(1, "%s: %d, status %x\n", what, error, status);
}

static void actions(const char *folder)
{
    char *words[] = {"musl", "show", NULL};
    pid_t child = 0;
    posix_spawn_file_actions_t list;
    posix_spawn_file_actions_init(&list);
    posix_spawn_file_actions_addchdir_np(&list, folder);
    posix_spawn_file_actions_addopen(&list, 17, "plain", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&list, 17, 18);
    posix_spawn_file_actions_adddup2(&list, 17, 17);
    posix_spawn_file_actions_addclose(&list, 18);
    spawned("actions", posix_spawn(&child, "./link", &list, NULL, words, environ), child);
    posix_spawn_file_actions_addopen(&list, 19, "nowhere", O_RDONLY, 0);
    spawned("failing actions", posix_spawn(&child, "./link", &list, NULL, words, environ), child);
    posix_spawn_file_actions_destroy(&list);
}

static void searches(const char *folder)
{
    char *words[] = {"plain", NULL}, path[4096];
    pid_t child = 0;
    say("execvp nothing", execvp("", words));
    say("execvp nowhere", execvp("nowhere", words));
    say("fexecve", fexecve(-1, words, environ));
    say("fexecve without arguments", fexecve(-1, NULL, NULL));
    snprintf(path, sizeof path, "%s/plain:%s", folder, folder);
    setenv("PATH", path, 1);
    say("execvp of no format", execvp("plain", words));
    say("execlp of no format", execlp("plain", "plain", NULL));
    spawned("posix_spawnp of no format", posix_spawnp(&child, "plain", NULL, NULL, words, environ), child);
    unsetenv("PATH");
    say("execvp without PATH", execvp("plain", words));
    spawned("posix_spawnp without PATH", posix_spawnp(&child, "plain", NULL, NULL, words, environ), child);
    setenv("PATH", "/usr/bin:/bin", 1);
}

static void read_all(const char *what, FILE *stream, int (*end)(FILE *))
{
    char text[4096];
    while (fgets(text, sizeof text, stream))
        dprintf(1, "%s: %s", what, text);
    say(what, end(stream));
}

static void shells(void)
{
    char command[4200];
    snprintf(command, sizeof command, "exec %s show", self);
    FILE *first = popen(command, "r"), *second = popen("cat", "w");
    if (second) {
        fputs("through cat\n", second);
        say("pclose of the second", pclose(second));
    }
    if (first)
        read_all("popen", first, pclose);
    // The descriptor of a stream that fclose closed belongs to another file then.
    for (int turn = 0; turn < 3; turn++) {
        FILE *closed = popen("echo closed", "re");
        if (closed)
            read_all("fclose", closed, fclose);
        int other = open("/dev/null", O_RDONLY);
        snprintf(command, sizeof command, "test -e /proc/self/fd/%d && echo there", other);
        FILE *again = popen(command, "rx");
        if (again)
            read_all("popen again", again, pclose);
        close(other);
    }
    say("popen of no kind", popen("exit", "x") ? 0 : -1);
    say("popen of no kind but e", popen("exit", "e") ? 0 : -1);
    snprintf(command, sizeof command, "exec %s show", self);
    say("system", system(command));
    say("system of nothing", system(NULL));
    wordexp_t words;
    int result = wordexp("a $(echo b c) ~", &words, 0);
    dprintf(1, "wordexp: %d %zu\n", result, result ? 0 : words.we_wordc);
}

static int show(void)
{
    struct sockaddr_in to = outside(4446);
    char folder[4096];
    int fd = socket(AF_INET, SOCK_STREAM, 0), error = connect(fd, (struct sockaddr *)&to, sizeof to) ? errno : 0;
    close(fd);
    dprintf(1, "show: connect %d, 17 %d, 18 %d, in %s\n", error, fcntl(17, F_GETFD), fcntl(18, F_GETFD),
        getcwd(folder, sizeof folder));
    return 7;
}

/* Executes the words behind `exec` of a command. */
static int shell(char *command)
{
    char *words[8] = {0};
    int count = 0;
    for (char *word = strtok(command, " "); word && count < 7; word = strtok(NULL, " "))
        words[count++] = word;
    execv(words[1], words + 1);
    return 127;
}

/* The one by popen, the other by system. */
static int by_shells(void)
{
    char command[4200];
    snprintf(command, sizeof command, "exec %s show", self);
    FILE *stream = popen(command, "r");
    if (stream)
        read_all("popen", stream, pclose);
    say("system", system(command));
    return 0;
}

int main(int count, char **words)
{
    self = words[0];
    if (count > 2 && !strcmp(words[0], "sh"))
        return shell(words[2]);
    if (count > 1 && !strcmp(words[1], "shells"))
        return by_shells();
    if (count > 1 && !strcmp(words[1], "show"))
        return show();
    messages();
    actions(words[1]);
    searches(words[1]);
    shells();
    return 0;
}
