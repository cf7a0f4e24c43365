/* A process with threads makes the calls whose verdict hangs on the socket. A line for each: its result, errno, what can be seen
   of it afterwards. With "ports" there is a socket without ports, so that every connection's verdict does. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int wait_for_end[2];
static volatile sig_atomic_t handled, accepts = -1;

static void *thread(void *nothing)
{
    char byte;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, 0);
    return nothing + read(wait_for_end[0], &byte, 1);
}

static void handler(int signal)
{
    int before = errno;
    handled++;
    /* Makes room for who waits to be accepted. */
    while (accepts >= 0 && accept(accepts, 0, 0) >= 0) {}
    errno = before;
    (void)signal;
}

static struct sockaddr_in at(const char *host, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    return address;
}

static int port_of(int fd)
{
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    return getsockname(fd, (void *)&address, &size) ? -1 : ntohs(address.sin_port);
}

static const char *peer_of(int fd)
{
    static char text[64];
    struct sockaddr_in address = {0};
    socklen_t size = sizeof address;
    if (getpeername(fd, (void *)&address, &size)) return strerror(errno);
    sprintf(text, "%s:%d", inet_ntoa(address.sin_addr), ntohs(address.sin_port));
    return text;
}

#define SAY(name, call, more) do { errno = 77; long done = (call); int as = errno; \
    printf("%s: %ld %d; %s\n", name, done, as, more); } while (0)
#define TO(address) (void *)&(address), sizeof (address)

static int listener(int port, int backlog)
{
    struct sockaddr_in address = at("127.0.0.1", port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    SAY("bind a stream", bind(fd, TO(address)), port_of(fd) == port ? "bound" : "not");
    SAY("listen", listen(fd, backlog), "");
    return fd;
}

static void waiting(int flags)
{
    int full = listener(5560 + !!flags, 0), first = socket(AF_INET, SOCK_STREAM, 0), second = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = at("0.0.0.0", 5560 + !!flags);
    SAY("to a listener", connect(first, TO(address)), peer_of(first));
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(SIGALRM, &action, 0);
    handled = 0;
    accepts = flags ? full : -1;
    struct itimerval timer = {.it_value = {.tv_usec = 200000}};
    setitimer(ITIMER_REAL, &timer, 0);
    SAY("to a full listener", connect(second, TO(address)), handled ? "handled" : "not");
    accepts = -1;
    close(full); close(first); close(second);
}

int main(int count, char **arguments)
{
    if (count > 1 && !strcmp(arguments[1], "ports") && socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) < 0) return 1;
    pthread_t other;
    char byte;
    if (pipe(wait_for_end) || pthread_create(&other, 0, thread, 0)) return 1;
    struct sockaddr_in far = at("192.88.1.10", 9), nowhere = at("0.0.0.0", 5571), near = at("127.0.0.1", 5571);
    dup2(1, 768);

    int fd = socket(AF_INET, SOCK_STREAM, 0);
    SAY("listen on no port", listen(fd, 1), port_of(fd) > 0 ? "has one" : "has none");
    SAY("listen once more", listen(fd, 1), "");
    SAY("bind what listens", bind(fd, TO(near)), "");
    SAY("listen on no socket", listen(0, 1), "");
    SAY("listen on nothing", listen(999, 1), "");
    SAY("bind nothing", bind(999, TO(near)), "");
    int receiver = socket(AF_INET, SOCK_DGRAM, 0);
    SAY("bind a datagram", bind(receiver, TO(near)), port_of(receiver) == 5571 ? "bound" : "not");
    int sender = socket(AF_INET, SOCK_DGRAM, 0);
    SAY("bind the same", bind(sender, TO(near)), "");
    SAY("listen on a datagram", listen(sender, 1), "");
    SAY("a quiet connect", connect(sender, TO(far)), peer_of(sender));
    close(sender);
    sender = socket(AF_INET, SOCK_DGRAM, 0);
    SAY("a datagram to no host", sendto(sender, "x", 1, 0, TO(nowhere)), recv(receiver, &byte, 1, MSG_DONTWAIT) == 1 ? "arrived" : "no");
    struct sockaddr_in none = near;
    none.sin_family = AF_UNSPEC;
    SAY("a datagram to no family", sendto(sender, "x", 1, 0, TO(none)), recv(receiver, &byte, 1, MSG_DONTWAIT) == 1 ? "arrived" : "no");
    struct iovec piece = {"xy", 2};
    struct mmsghdr messages[6];
    for (int n = 0; n < 6; n++)
        messages[n] = (struct mmsghdr){.msg_hdr = {.msg_name = &nowhere, .msg_namelen = sizeof nowhere, .msg_iov = &piece, .msg_iovlen = 1}};
    SAY("a message to no host", sendmsg(sender, &messages[0].msg_hdr, 0), recv(receiver, &byte, 1, MSG_DONTWAIT) == 1 ? "arrived" : "no");
    SAY("two messages", sendmmsg(sender, messages, 2, 0), messages[1].msg_len == 2 ? "both" : "no");
    SAY("six messages", sendmmsg(sender, messages, 6, 0), messages[5].msg_len == 2 ? "all" : "no");
    int arrived = 0;
    while (recv(receiver, &byte, 1, MSG_DONTWAIT) == 1) arrived++;
    printf("%d arrived\n", arrived);

    waiting(0);
    waiting(SA_RESTART);
    int server = listener(5570, 8);
    struct sockaddr_in to = at("0.0.0.0", 5570), closed = at("0.0.0.0", 5572);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    SAY("to a closed port", connect(fd, TO(closed)), peer_of(fd));
    SAY("to an open one", connect(fd, TO(to)), peer_of(fd));
    SAY("once more", connect(fd, TO(to)), peer_of(fd));
    int accepted = accept(server, 0, 0);
    far.sin_port = htons(5556);
    SAY("a stream with an address", sendto(fd, "xyz", 3, 0, TO(far)), recv(accepted, messages, 9, MSG_DONTWAIT) == 3 ? "arrived" : "no");
    messages[0].msg_hdr.msg_name = &far;
    SAY("the same in a message", sendmsg(fd, &messages[0].msg_hdr, 0), recv(accepted, messages, 1, MSG_DONTWAIT) == 1 ? "arrived" : "no");
    int fresh = socket(AF_INET, SOCK_STREAM, 0);
    SAY("one without a peer", sendto(fresh, "x", 1, MSG_NOSIGNAL, TO(far)), "");
    int pair[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    SAY("a local one", sendto(pair[0], "x", 1, 0, TO(far)), "");
    fcntl(fresh, F_SETFL, O_NONBLOCK);
    SAY("without waiting", connect(fresh, TO(to)), "");

    printf("next %d, 768 is %s\n", socket(AF_INET, SOCK_DGRAM, 0), fcntl(768, F_GETFD) >= 0 ? "open" : "closed");
    SAY("no child", waitpid(-1, 0, __WALL), "");
    return write(wait_for_end[1], "", 1) != 1 || pthread_join(other, 0);
}
