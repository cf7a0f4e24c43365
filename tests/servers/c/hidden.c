/* Calls whose arguments lie in memory that no other process can read (memfd_secret), where nothing lies, or in plain memory:
 * `hidden secret|nothing|plain WHAT`. WHAT is one argument of an execve: path, argv, string, envp or variable, or it is send. Says the
 * errno, 0 for success; the shell says `ran`. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SIZE 65536
static char *plain, *other;

static char *at(const char *what, const char *is, long place)
{
    return (strcmp(what, is) ? plain : other) + place;
}

static void said(const char *name, long result)
{
    printf("%s:%d ", name, result < 0 ? errno : 0);
}

static void send_all(int is_there)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4444), .sin_addr.s_addr = inet_addr("192.88.1.10")};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct iovec *pieces = (void *)(other + 4096), whole = {other, 3};
    if (is_there) {
        strcpy(other, "key");
        *pieces = (struct iovec){"plain", 5};
    }
    struct msghdr header = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &whole, .msg_iovlen = 1};
    said("sendto", syscall(SYS_sendto, fd, other, 3, 0, &to, sizeof to));
    said("sendmsg", syscall(SYS_sendmsg, fd, &header, 0));
    header.msg_iov = pieces;
    said("pieces", syscall(SYS_sendmsg, fd, &header, 0));
}

int main(int argc, char **argv)
{
    int is_there = strcmp(argv[1], "nothing");
    plain = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    other = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (!strcmp(argv[1], "secret")) {
        int fd = syscall(447, 0);
        if (fd < 0 || ftruncate(fd, SIZE))
            return 97;
        other = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (plain == MAP_FAILED || other == MAP_FAILED)
        return 98;
    if (!is_there)
        munmap(other, SIZE);
    if (!strcmp(argv[2], "send"))
        return send_all(is_there), 0;
    char *path = at(argv[2], "path", 0), *string = at(argv[2], "string", 256), *variable = at(argv[2], "variable", 512);
    char **words = (void *)at(argv[2], "argv", 4096), **variables = (void *)at(argv[2], "envp", 8192);
    if (is_there || path == plain)
        strcpy(path, "/bin/sh");
    if (is_there || string == plain + 256)
        strcpy(string, "echo ran");
    if (is_there || variable == plain + 512)
        strcpy(variable, "PATH=/usr/bin:/bin");
    if (is_there || words == (void *)(plain + 4096))
        words[0] = "sh", words[1] = "-c", words[2] = string, words[3] = NULL;
    if (is_there || variables == (void *)(plain + 8192))
        variables[0] = variable, variables[1] = NULL;
    said("execve", syscall(SYS_execve, path, words, variables));
    return 0;
}
