/* A static program that connects to a pool of PHP-FPM's: `pool_client HOW TO [REQUEST]`. TO is a path, or ADDRESS PORT with a colon
 * between. Prints `through` or `refused ERRNO`; with a file of a request, sends that and prints `answered` or `unanswered`.
 *   plain         by itself
 *   nested        the last of thirty generations
 *   orphan        a process whose parents have ended
 *   relative      by a path that begins in the socket's folder
 *   descriptor    by a path that begins at a descriptor of the socket's folder
 *   chroot        in a user namespace, by a path that begins in the socket's folder, which is its root
 *   mount         in a user and mount namespace, by a file over which it is mounted
 *   fastopen      by sendto with MSG_FASTOPEN */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
    printf("%s: %d", what, errno);
    fflush(stdout);
    _exit(1);
}

int main(int count, char **arguments)
{
    char *how = arguments[1], to[256], folder[256], *colon;
    struct sockaddr_un local = {AF_UNIX};
    struct sockaddr_in at = {AF_INET};
    struct sockaddr *address = (struct sockaddr *)&local;
    socklen_t size = sizeof local;
    strcpy(to, arguments[2]);
    strcpy(folder, to);
    dirname(folder);
    if (!strcmp(how, "nested"))
        for (int generation = 0; generation < 30; generation++) {
            pid_t child = fork();
            if (child) {
                waitpid(child, NULL, 0);
                return 0;
            }
        }
    if (!strcmp(how, "orphan")) {
        if (fork())
            return 0;
        setsid();
        pid_t parent = getpid();
        if (fork())
            return 0;
        /* Whoever takes it then: the first process, or one that takes orphans. */
        while (getppid() == parent)
            usleep(1000);
    }
    if (!strcmp(how, "relative")) {
        if (chdir(folder))
            fail("chdir");
        sprintf(to, "../%s/%s", basename(strdup(folder)), basename(strdup(arguments[2])));
    }
    if (!strcmp(how, "descriptor"))
        sprintf(to, "/proc/self/fd/%d/%s", open(folder, O_PATH), basename(strdup(arguments[2])));
    if (!strcmp(how, "chroot")) {
        if (unshare(CLONE_NEWUSER) || chroot(folder))
            fail("chroot");
        sprintf(to, "/../%s", basename(strdup(arguments[2])));
    }
    if (!strcmp(how, "mount")) {
        char *over = "/etc/hostname";
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) || mount(to, over, NULL, MS_BIND, NULL))
            fail("mount");
        strcpy(to, over);
    }
    strncpy(local.sun_path, to, sizeof local.sun_path - 1);
    if ((colon = strchr(to, ':'))) {
        *colon = 0;
        inet_pton(AF_INET, to, &at.sin_addr);
        at.sin_port = htons(atoi(colon + 1));
        address = (struct sockaddr *)&at;
        size = sizeof at;
    }
    int fd = socket(address->sa_family, SOCK_STREAM, 0);
    long done = strcmp(how, "fastopen") ? connect(fd, address, size) : sendto(fd, "x", 1, MSG_FASTOPEN, address, size);
    if (done < 0)
        printf("refused %d", errno);
    else if (count < 4)
        printf("through");
    else {
        char bytes[8192];
        int request = open(arguments[3], O_RDONLY);
        ssize_t len = read(request, bytes, sizeof bytes);
        write(fd, bytes, len);
        printf(read(fd, bytes, sizeof bytes) > 0 ? "answered" : "unanswered");
    }
    fflush(stdout);
    return 0;
}
