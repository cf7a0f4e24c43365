/* One way to the memory of a process or to a namespace, by its number; prints what the call gave, and errno. Does nothing with
 * what it got. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

int __open_2(const char *, int);
int __open64_2(const char *, int);
int __openat_2(int, const char *, int);
int __openat64_2(int, const char *, int);
int __open(const char *, int, ...);
int __open64(const char *, int, ...);

static char stack[65536] __attribute__((aligned(16)));
static char byte = 'x', other;

static int leave(void *unused) { return 0; }

static long opened(FILE *stream) { return stream ? fileno(stream) : -1; }

static long written(void)
{
    struct iovec from = {&byte, 1}, to = {&other, 1};
    return process_vm_writev(getpid(), &from, 1, &to, 1, 0);
}

/* What a tracer does first, to a child of its own. */
static long traced(int request, int by_number)
{
    pid_t child = fork();
    if (!child) {
        pause();
        _exit(0);
    }
    long done = by_number ? syscall(SYS_ptrace, request, child, 0, 0) : ptrace(request, child, 0, 0);
    int error = errno;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    errno = error;
    return done;
}

/* By clone3, whose child ends at once. */
static long cloned(uint64_t flags)
{
    uint64_t arguments[11] = {flags, [4] = SIGCHLD};
    long child = syscall(SYS_clone3, arguments, sizeof arguments);
    if (!child)
        _exit(0);
    return child;
}

static long cloned_by_number(long flags)
{
    long child = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (!child)
        _exit(0);
    return child;
}

static long through_link(void)
{
    char name[] = "/tmp/portcullis-reach-XXXXXX";
    int fd = mkstemp(name);
    close(fd);
    unlink(name);
    if (symlink("/proc/self/mem", name))
        exit(2);
    long done = open(name, O_WRONLY);
    int error = errno;
    unlink(name);
    errno = error;
    return done;
}

static long through_descriptor(void)
{
    char path[64];
    snprintf(path, sizeof path, "/dev/fd/%d", open("/proc/self/mem", O_RDONLY));
    return open(path, O_RDWR);
}

static long in_folder(void)
{
    return openat(open("/proc/self", O_PATH | O_DIRECTORY), "mem", O_RDWR);
}

static long relative(void)
{
    if (chdir("/proc/self/task"))
        exit(2);
    return open64("../mem", O_RDWR);
}

/* By a file action: what the new program gets is this process's memory. */
static long by_action(const char *path)
{
    char *arguments[] = {"true", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 7, path, O_RDWR, 0);
    pid_t child;
    int error = posix_spawn(&child, "/bin/true", &actions, NULL, arguments, NULL);
    posix_spawn_file_actions_destroy(&actions);
    errno = error;
    if (error)
        return -1;
    waitpid(child, NULL, 0);
    errno = 0;
    return 7;
}

static long by_how(uint64_t flags)
{
    uint64_t how[3] = {flags, 0, 0};
    return syscall(SYS_openat2, AT_FDCWD, "/proc/self/mem", how, sizeof how);
}

#define WAY(name, call) if (!strcmp(argv[1], name)) { errno = 0; done = (call); error = errno; }

int main(int argc, char **argv)
{
    long done = -2;
    int error = 0;
    if (argc != 2)
        return 2;
    WAY("open", open("/proc/self/mem", O_RDWR))
    WAY("a file action", by_action("/proc/self/mem"))
    WAY("a file action to another file", by_action("/dev/null"))
    WAY("open64", open64("/proc/thread-self/mem", O_WRONLY))
    WAY("__open", __open("/proc/self/mem", O_RDWR))
    WAY("__open64", __open64("/proc/self/mem", O_RDWR))
    WAY("__open_2", __open_2("/proc/self/mem", O_RDWR))
    WAY("__open64_2", __open64_2("/proc/self/mem", O_RDWR))
    WAY("openat", openat(AT_FDCWD, "/proc/self/mem", O_RDWR))
    WAY("openat64", openat64(AT_FDCWD, "/proc/self/mem", O_RDWR))
    WAY("__openat_2", __openat_2(AT_FDCWD, "/proc/self/mem", O_RDWR))
    WAY("__openat64_2", __openat64_2(AT_FDCWD, "/proc/self/mem", O_RDWR))
    WAY("creat", creat("/proc/self/mem", 0600))
    WAY("creat64", creat64("/proc/self/mem", 0600))
    WAY("fopen", opened(fopen("/proc/self/mem", "r+")))
    WAY("fopen64", opened(fopen64("/proc/self/mem", "wb")))
    WAY("freopen", opened(freopen("/proc/self/mem", "r+", stdin)))
    WAY("freopen64", opened(freopen64("/proc/self/mem", "w+", stdin)))
    WAY("a symlink", through_link())
    WAY("/dev/fd", through_descriptor())
    WAY("a folder's descriptor", in_folder())
    WAY("a relative path", relative())
    WAY("openat by number", syscall(SYS_openat, AT_FDCWD, "/proc/self/mem", O_RDWR))
    WAY("openat2 by number", by_how(O_RDWR))
    WAY("another mount of proc", open("/run/portcullis/proc/self/mem", O_RDWR))
    WAY("a bind mount of it", open("/run/portcullis/file", O_RDWR))
    WAY("process_vm_writev", written())
    WAY("ptrace attach", traced(PTRACE_ATTACH, 0))
    WAY("ptrace seize", traced(PTRACE_SEIZE, 0))
    WAY("ptrace by number", traced(PTRACE_SEIZE, 1))
    WAY("unshare", unshare(CLONE_NEWUTS))
    WAY("unshare by number", syscall(SYS_unshare, CLONE_NEWUTS))
    WAY("unshare time", unshare(0x80))
    WAY("setns", setns(open("/proc/self/ns/uts", O_RDONLY), CLONE_NEWUTS))
    WAY("setns by number", syscall(SYS_setns, open("/proc/self/ns/uts", O_RDONLY), 0))
    WAY("clone", clone(leave, stack + sizeof stack, CLONE_NEWUTS | SIGCHLD, NULL))
    WAY("clone by number", cloned_by_number(CLONE_NEWUTS))
    WAY("clone3 by number", cloned(CLONE_NEWUTS))
    /* What is none. */
    WAY("open to read", open("/proc/self/mem", O_RDONLY))
    WAY("open to read by number", by_how(O_RDONLY))
    WAY("fopen to read", opened(fopen("/proc/self/mem", "r")))
    WAY("another file of proc", open("/proc/self/comm", O_WRONLY))
    WAY("an ordinary file", open("/run/portcullis/mem", O_RDWR | O_CREAT, 0600))
    WAY("no file", open("/run/portcullis/none/mem", O_RDWR))
    WAY("a wild pointer", open((const char *)8, O_RDWR))
    WAY("ptrace nothing", ptrace(PTRACE_DETACH, getpid(), 0, 0))
    WAY("ptrace traceme", ptrace(PTRACE_TRACEME, 0, 0, 0))
    WAY("unshare files", unshare(CLONE_FILES | CLONE_FS))
    WAY("clone a process", clone(leave, stack + sizeof stack, SIGCHLD, NULL))
    WAY("clone as vfork does", clone(leave, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL))
    WAY("clone a process by number", cloned_by_number(0))
    WAY("clone3 a process", cloned(0))
    WAY("clone3 of nothing", syscall(SYS_clone3, NULL, 88))
    if (done == -2)
        return 2;
    printf("%s %s", done < 0 ? "no" : "yes", strerror(error));
    return 0;
}
