// A program without hooks that executes others by paths of which a supervisor may see another file than the kernel. Says how
// many of the programs ended with 42, as a shell does that gets "exit 42", and how many were refused.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int shells, refused, others;
static char *const none[] = {"A=b", NULL};
static char *const words[] = {"true", "-c", "exit 42", NULL};

static char *shared;
static char *other;
static int in_memory;

static int flip(void *unused) {
    for (int times = 0; !in_memory || times < 100; times++) {
        strcpy(shared, other);
        for (volatile int wait = 0; wait < 20000; wait++) {}
        strcpy(shared, "/bin/true");
        for (volatile int wait = 0; wait < 20000; wait++) {}
    }
    syscall(SYS_exit_group, 0);
    return 0;
}

static void run(const char *path, char *const *argv) {
    pid_t child = fork();
    if (child == 0) {
        if (in_memory) clone(flip, (char *)malloc(65536) + 65536, CLONE_VM, NULL);
        syscall(SYS_execve, path, argv, none);
        _exit(errno == EACCES ? 7 : 8);
    }
    int status = 0;
    waitpid(child, &status, 0);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 99;
    if (code == 42) shells++;
    else if (code == 7) refused++;
    else others++;
}

static void put(const char *path, const char *text) {
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0755);
    if (write(fd, text, strlen(text)) < 0) exit(1);
    close(fd);
}

static void copy(const char *from, const char *to) {
    int in = open(from, O_RDONLY), out = open(to, O_CREAT | O_TRUNC | O_WRONLY, 0755);
    static char room[1 << 20];
    ssize_t got;
    while ((got = read(in, room, sizeof room)) > 0)
        if (write(out, room, got) != got) exit(1);
    close(in);
    close(out);
}

// The working folder has bin/true, a link to a shell, and is on every descriptor.
static void opened(void) {
    char path[100], line[100];
    mkdir("bin", 0755);
    symlink("/bin/dash", "bin/true");
    symlink("/proc/self/fd", "fds");
    symlink("/proc", "processes");
    int folder = open(".", O_RDONLY | O_DIRECTORY);
    for (int number = 3; number < 40; number++)
        if (number != folder) dup2(folder, number);
    const char *forms[] = {"/dev/fd/%d/bin/true", "//proc/self/fd/%d/bin/true", "/proc/./self/fd/%d/bin/true",
                           "/dev/../proc/thread-self/fd/%d/bin/true", "fds/%d/bin/true", "processes/self/fd/%d/bin/true",
                           "/proc/self/cwd/bin/../fds/%d/bin/true", "/proc/self/root/dev/fd/%d/./bin//true"};
    for (int form = 0; form < 8; form++)
        for (int number = 3; number < 40; number++) {
            sprintf(path, forms[form], number);
            run(path, words);
        }
    for (int number = 3; number < 40; number++) {
        sprintf(line, "#!/dev/fd/%d/bin/true\nexit 42\n", number);
        put("script", line);
        char *const script[] = {"script", NULL};
        run("script", script);
        sprintf(path, "/dev/fd/%d/bin/true", number);
        char *const loader[] = {"ld.so", path, "-c", "exit 42", NULL};
        run("/lib64/ld-linux-x86-64.so.2", loader);
    }
    put("relative", "#!bin/true\nexit 42\n");
    char *const relative[] = {"relative", NULL};
    run("relative", relative);
    run("bin/true", words);
}

// The system's own program by a descriptor: works by each of these names.
static void benign(void) {
    int file = open("/bin/true", O_RDONLY);
    dup2(file, 40);
    symlink("/proc/self/fd/40", "own");
    const char *paths[] = {"/dev/fd/40", "/proc/self/fd/40", "//proc/self/fd/40", "/proc/thread-self/fd/40",
                           "/proc/self/root/bin/true", "/bin/../bin/true", "own"};
    for (int number = 0; number < 7; number++) {
        pid_t child = fork();
        if (child == 0) {
            syscall(SYS_execve, paths[number], words, none);
            _exit(errno);
        }
        int status = 0;
        waitpid(child, &status, 0);
        printf("%d ", WEXITSTATUS(status));
    }
}

static void *room(int flags, int fd) {
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE, flags, fd, 0);
}

// Another process exchanges what a path leads to, while this one executes it.
static void swap(const char *way, const char *self) {
    const char *path = "one";
    other = "/bin/dash";
    char *const *argv = words;
    pid_t swapper = 0;
    if (!strcmp(way, "link")) {
        symlink("/bin/true", "one");
        symlink("/bin/dash", "two");
    } else if (!strcmp(way, "folder")) {
        mkdir("one", 0755);
        mkdir("two", 0755);
        symlink("/bin/true", "one/true");
        symlink("/bin/dash", "two/true");
        path = "one/true";
    } else if (!strcmp(way, "file")) {
        copy("/bin/true", "one");
        copy("/bin/dash", "two");
    } else if (!strcmp(way, "interpreter")) {
        put("script", "#!one\nexit 42\n");
        symlink("/bin/true", "one");
        symlink("/bin/dash", "two");
        path = "script";
    } else if (!strcmp(way, "shared")) {
        path = shared = room(MAP_SHARED | MAP_ANONYMOUS, -1);
    } else if (!strcmp(way, "mapped")) {
        put("text", "/bin/true");
        int fd = open("text", O_RDWR);
        ftruncate(fd, 4096);
        shared = room(MAP_SHARED, fd);
        path = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    } else if (!strcmp(way, "memory")) {
        // The same memory, and no thread: what runs then is this program again, which looks whether it may do something.
        path = shared = room(MAP_PRIVATE | MAP_ANONYMOUS, -1);
        other = (char *)self;
        static char *const again[] = {"again", "try", NULL};
        argv = again;
        strcpy(shared, "/bin/true");
        in_memory = 1;
    }
    if (shared && !in_memory) {
        strcpy(shared, "/bin/true");
        swapper = fork();
        if (!swapper) flip(NULL);
    }
    if (!swapper && !in_memory) {
        swapper = fork();
        while (!swapper) {
            syscall(SYS_renameat2, AT_FDCWD, "one", AT_FDCWD, "two", 2);
            usleep(20);
        }
    }
    time_t end = time(NULL) + 3;
    while (time(NULL) < end && shells < 5) run(path, argv);
    if (swapper) kill(swapper, SIGKILL);
}

int main(int count, char **args) {
    if (count == 2) {
        // Executed by `memory`: 42 where the next program goes, 7 where it does not.
        run("/bin/true", words);
        return refused ? 9 : 42;
    }
    if (chdir(args[2])) return 1;
    if (!strcmp(args[1], "opened")) opened();
    else if (!strcmp(args[1], "benign")) benign();
    else swap(args[1], args[3]);
    printf("shells:%d refused:%d others:%d", shells, refused, others);
    return 0;
}
