/* How each hooked function is called, by its name, and what gives a hit. */

static char *host(void)
{
    static char outside[] = "198.51.100.1";
    return outside;
}

static long child(long (*go)(void))
{
    int status = 0;
    pid_t pid = vfork();
    if (pid == 0) {
        go();
        _exit(100 + errno);
    }
    waitpid(pid, &status, 0);
    return status;
}

static char *const shell[] = {"sh", "-c", "exit 7", NULL}, *const nothing[] = {"true", NULL};
#define PATH (hit ? "/bin/sh" : "/bin/true")
#define BASE (hit ? "sh" : "true")
#define ARGV (hit ? shell : nothing)

static long execute(void)
{
    if (is("execve"))
        return f.of(PATH, ARGV, environ);
    if (is("execv"))
        return f.of(PATH, ARGV);
    if (is("execvp"))
        return f.of(BASE, ARGV);
    if (is("execvpe"))
        return f.of(BASE, ARGV, environ);
    if (is("execl"))
        return hit ? f.of(PATH, "sh", "-c", "exit 7", NULL) : f.of(PATH, "true", NULL);
    if (is("execlp"))
        return hit ? f.of("sh", "sh", "-c", "exit 7", NULL) : f.of("true", "true", NULL);
    if (is("execle"))
        return hit ? f.of(PATH, "sh", "-c", "exit 7", NULL, environ) : f.of(PATH, "true", NULL, environ);
    if (is("execveat"))
        return f.of(AT_FDCWD, PATH, ARGV, environ, 0);
    int fd = syscall(SYS_openat, AT_FDCWD, PATH, O_RDONLY | O_CLOEXEC);
    return f.of(fd, ARGV, environ);
}

/* The same in other forms. */
static long vary(void)
{
    static char *long_environment[1002], *long_arguments[1002] = {"sh", "-c", "exit 7"};
    static char deep[4096], file[4096];
    char *const loaded[] = {"/lib64/ld-linux-x86-64.so.2", hit ? "/bin/sh" : "/bin/true", "-c", "exit 7", NULL};
    for (int i = 0; i < 1000; i++)
        long_environment[i] = "SOME=VALUE", long_arguments[i + (i < 3 ? 3 : 0)] = "-c";
    for (int i = 0; i < 30; i++)
        strcat(deep, "/proc/self/root/usr/..");
    strcat(deep, PATH);
    strcpy(file, folder);
    strcat(file, varies("script") ? "/script" : "/plain");
    if (varies("missing"))
        return is("execvp") ? f.of("nowhere", ARGV) : f.of("/nowhere/sh", ARGV, environ);
    if (varies("environment"))
        return f.of(PATH, ARGV, long_environment);
    if (varies("arguments"))
        return f.of(PATH, long_arguments, environ);
    if (varies("deep"))
        return f.of(deep, ARGV, environ);
    if (varies("loader"))
        return f.of(loaded[0], loaded, environ);
    return is("execvp") ? f.of(file, ARGV) : f.of(file, ARGV, environ);
}

/* A name server of the caller's choice, at a port that nothing answers. */
static void choose(void)
{
    _res.nscount = 1;
    _res.retrans = _res.retry = 1;
    _res.nsaddr_list[0] = to;
    inet_pton(AF_INET, host(), &_res.nsaddr_list[0].sin_addr);
    if (!hit)
        _res.nsaddr_list[0].sin_port = htons(53);
}

static long resolve(void)
{
    struct hostent host, *found;
    int error;
    unsigned char *out = (unsigned char *)buffer, *query = (unsigned char *)bytes;
    if (strstr(name, "nquerydomain"))
        return f.of(&_res, "a", "example", 1, 1, out, 512);
    if (strstr(name, "querydomain"))
        return f.of("a", "example", 1, 1, out, 512);
    if (strstr(name, "nquery") || strstr(name, "nsearch"))
        return f.of(&_res, "a.example", 1, 1, out, 512);
    if (strstr(name, "query") || strstr(name, "search"))
        return f.of("a.example", 1, 1, out, 512);
    if (strstr(name, "nsend"))
        return f.of(&_res, query, 27, out, 512);
    if (strstr(name, "send"))
        return f.of(query, 27, out, 512);
    if (is("gethostbyname"))
        return f.of("localhost");
    if (is("gethostbyname2"))
        return f.of("localhost", AF_INET);
    if (is("gethostbyname_r"))
        return f.of("localhost", &host, buffer, sizeof buffer, &found, &error);
    return f.of("localhost", AF_INET, &host, buffer, sizeof buffer, &found, &error);
}

static long go(void)
{
    struct sockaddr *at = (struct sockaddr *)&to;
    int number = 0, flags = O_RDWR;
    socklen_t len = sizeof number;
    const char *path = hit ? "/proc/self/mem" : "/dev/null";
    pid_t pid = -1;
    long result = -2;
    if (starts("exec") || is("fexecve"))
        return child(*variant ? vary : execute);
    if (varies("request")) {
        const int parts[] = {8, 8, 8, 70, 8};
        for (int i = 0; i < 5; i++)
            result = f.of(served, buffer, parts[i]);
        return result;
    }
    if (is("connect") || is("__connect"))
        return varies("local") ? f.of(local, &path_of, sizeof path_of) : f.of(varies("datagram") ? udp : tcp, at, sizeof to);
    if (is("sendto"))
        return f.of(udp, bytes, 1, 0, at, sizeof to);
    if (is("sendmsg"))
        return f.of(udp, &header, 0);
    if (is("sendmmsg") || is("__sendmmsg"))
        return f.of(udp, many, varies("many") ? MANY : 1, 0);
    if (is("send") || is("__send"))
        return f.of(connected, bytes, 1, 0);
    if (is("write") || is("__write") || is("__write_nocancel"))
        return f.of(connected, bytes, 1);
    if (is("writev"))
        return f.of(connected, &piece, 1);
    if (is("sendfile") || is("sendfile64"))
        return f.of(connected, null, NULL, 1);
    if (is("splice"))
        return f.of(pipes[0], NULL, connected, NULL, 1, 0);
    if (is("bind")) {
        to.sin_port = htons(hit ? 4471 : 4480);
        return f.of(udp, at, sizeof to);
    }
    if (is("bindresvport"))
        return f.of(hit ? udp : tcp, NULL);
    if (is("listen"))
        return f.of(queue, 1);
    if (is("socket") || is("__socket"))
        return f.of(AF_INET, SOCK_STREAM, 0);
    if (is("setsockopt"))
        return hit ? f.of(udp, IPPROTO_IP, IP_OPTIONS, "\x83\x07\x04\xc0\x58\x01\x0a\0", 8)
                   : f.of(tcp, SOL_SOCKET, SO_REUSEADDR, &number, sizeof number);
    if (is("getsockopt"))
        return f.of(tcp, SOL_SOCKET, SO_TYPE, &number, &len);
    if (is("recvmsg")) {
        plain.msg_iov = &into;
        return f.of(udp, &plain, MSG_DONTWAIT);
    }
    if (is("recvmmsg")) {
        many[0].msg_hdr.msg_iov = &into;
        return f.of(udp, many, varies("many") ? MANY : 1, MSG_DONTWAIT, NULL);
    }
    if (is("accept"))
        return f.of(queue, NULL, NULL);
    if (is("accept4"))
        return f.of(queue, NULL, NULL, SOCK_CLOEXEC);
    if (is("read") || is("__read") || is("__read_nocancel"))
        return f.of(pipes[0], buffer, 1);
    if (is("__read_chk"))
        return f.of(pipes[0], buffer, 1, sizeof buffer);
    if (is("recv") || is("__recv"))
        return f.of(connected, buffer, 1, MSG_DONTWAIT);
    if (is("__recv_chk"))
        return f.of(connected, buffer, 1, sizeof buffer, MSG_DONTWAIT);
    if (is("recvfrom"))
        return f.of(connected, buffer, 1, MSG_DONTWAIT, NULL, NULL);
    if (is("__recvfrom_chk"))
        return f.of(connected, buffer, 1, sizeof buffer, MSG_DONTWAIT, NULL, NULL);
    if (is("getaddrinfo")) {
        struct addrinfo *list;
        return f.of("localhost", "80", NULL, &list);
    }
    if (is("putenv"))
        return f.of("STACKS=1");
    if (is("setenv"))
        return f.of("STACKS", "1", 1);
    if (is("dup"))
        return f.of(null);
    if (is("dup2") || is("__dup2"))
        return f.of(hit ? connected : null, 0);
    if (is("fcntl") || is("fcntl64") || is("__fcntl") || is("__libc_fcntl64")) {
        syscall(SYS_close, 0);
        return f.of(hit ? connected : null, hit ? F_DUPFD : F_GETFL, 0);
    }
    if (is("close") || is("__close") || is("__close_nocancel"))
        return f.of(open("/", O_RDONLY));
    if (is("close_range"))
        return f.of(700, 800, 0);
    if (is("closefrom"))
        return f.of(700);
    if (is("dup3"))
        return f.of(hit ? connected : null, 0, 0);
    if (is("posix_spawn_file_actions_adddup2"))
        return f.of(&actions, hit ? connected : null, 0);
    if (is("posix_spawn") || is("pidfd_spawn") || is("posix_spawnp") || is("pidfd_spawnp"))
        result = f.of(&pid, strchr(name, 'p') && name[strlen(name) - 1] == 'p' ? BASE : PATH, varies("actions") ? &actions : NULL, NULL, ARGV, environ);
    if (is("creat") || is("creat64"))
        return f.of(path, 0600);
    if (is("fopen") || is("fopen64") || is("_IO_fopen"))
        return f.of(path, "r+") != 0;
    if (is("freopen") || is("freopen64"))
        return f.of(path, "r+", stdin) != 0;
    if (is("open") || is("open64") || is("__open") || is("__open64") || is("__open_nocancel") || is("__open64_nocancel") ||
        is("__open_2") || is("__open64_2"))
        return f.of(path, flags, 0);
    if (starts("openat") || starts("__openat"))
        return f.of(AT_FDCWD, path, flags, 0);
    if (is("dlopen"))
        return f.of("libm.so.6", RTLD_NOW) != 0;
    if (is("dlsym"))
        return f.of(RTLD_DEFAULT, "connect") != 0;
    if (is("dlvsym"))
        return f.of(RTLD_DEFAULT, "connect", "GLIBC_2.2.5") != 0;
    if (is("pclose"))
        return stream ? f.of(stream) : -1;
    if (is("process_vm_writev"))
        return f.of(hit ? getppid() : 0, &piece, 1UL, &into, 1UL, 0UL);
    if (is("process_vm_readv"))
        return f.of(hit ? getppid() : 0, &into, 1UL, &piece, 1UL, 0UL);
    if (is("unshare"))
        return f.of(hit ? CLONE_NEWUTS : 0);
    if (is("setns"))
        return f.of(syscall(SYS_openat, AT_FDCWD, "/proc/self/ns/uts", O_RDONLY), 0);
    if (is("clone") || is("__clone")) {
        static char space[65536] __attribute__((aligned(16)));
        pid = f.of(done, space + sizeof space, SIGCHLD | (hit ? CLONE_NEWUTS : 0), NULL);
        return pid > 0 ? waitpid(pid, NULL, 0) > 0 : pid;
    }
    if (is("mount"))
        return f.of("none", "/nowhere", hit ? "binfmt_misc" : "tmpfs", 0UL, NULL);
    if (is("fsopen"))
        return f.of(hit ? "binfmt_misc" : "tmpfs", 0);
    if (is("_exit") || is("_Exit")) {
        if ((pid = vfork()) == 0)
            f.of(7);
        return waitpid(pid, NULL, 0) > 0;
    }
    if (is("fork") || is("__fork") || is("__libc_fork")) {
        if ((pid = (pid_t)f.of()) == 0)
            _exit(0);
        return waitpid(pid, NULL, 0) > 0;
    }
    if (is("setuid"))
        return f.of(0);
    if (is("setreuid"))
        return f.of(0, 0);
    if (is("setresuid"))
        return f.of(0, 0, 0);
    if (is("chroot"))
        return f.of("/nowhere");
    if (is("pthread_create") || is("thrd_create")) {
        pthread_t new;
        result = is("pthread_create") ? f.of(&new, NULL, thread, NULL) : f.of(&new, done, NULL);
        return pthread_join(new, NULL);
    }
    if (is("wordexp")) {
        static wordexp_t words;
        return f.of(hit ? "a $(exit 0) b" : "a b", &words, 0);
    }
    if (is("ptrace"))
        return f.of(hit ? PTRACE_ATTACH : PTRACE_PEEKDATA, 999999, NULL, NULL);
    if (is("prctl"))
        return f.of(PR_GET_DUMPABLE, 0UL, 0UL, 0UL, 0UL);
    if (is("syscall"))
        return hit ? f.of((long)SYS_connect, (long)tcp, at, (long)sizeof to) : f.of((long)SYS_getppid);
    if (is("rexec") || is("rexec_af")) {
        char *where = host();
        return f.of(&where, htons(4446), "a", "b", "true", NULL, AF_INET);
    }
    if (is("rcmd") || is("rcmd_af")) {
        char *where = host();
        return f.of(&where, htons(4446), "a", "b", "true", NULL, AF_INET);
    }
    if (is("system") || is("__libc_system"))
        return f.of(hit ? "exit 7" : "/bin/true");
    if (is("popen") || is("_IO_popen"))
        return (stream = (void *)f.of(hit ? "exit 7" : "/bin/true", "r")) != NULL;
    if (is("_IO_proc_open"))
        return -3;
    if (strstr(name, "res_") || starts("gethost"))
        return resolve();
    if (pid > 0 && starts("posix"))
        waitpid(pid, NULL, 0);
    return result;
}
