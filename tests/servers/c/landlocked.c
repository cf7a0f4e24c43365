/* Gives up connecting and opening ports by TCP, as a sandboxed helper does, and tries both: itself, in a child, and in the child of
   a child that has ended. With an argument it gives up a right to files instead. Without libc's functions. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void attempt(const char *who)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(4444)};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int connected = syscall(SYS_connect, fd, &address, sizeof address, 0, 0, 0) ? errno : 0;
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_port = htons(45678);
    int bound = syscall(SYS_bind, fd, &address, sizeof address, 0, 0, 0) ? errno : 0;
    close(fd);
    printf("%s %d %d\n", who, connected, bound);
    fflush(stdout);
}

int main(int count, char **arguments)
{
    struct { uint64_t files, net; } handled = {count > 1, count > 1 ? 0 : 3};
    (void)arguments;
    attempt("before");
    int rules = syscall(444, &handled, sizeof handled, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    printf("restricted %ld\n", syscall(446, rules, 0));
    fflush(stdout);
    attempt("itself");
    if (!fork()) {
        attempt("child");
        int parent = getpid();
        if (!fork()) {
            while (getppid() == parent) usleep(1000);
            attempt("grandchild");
        }
        _exit(0);
    }
    wait(0);
    return 0;
}
