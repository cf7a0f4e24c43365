/* Another preload, of the kind that WAY names: how it finds the functions of libc that stand behind its own, and when. It counts
 * how often each of its functions is called by others than itself. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__aarch64__)
#define FIRST_VERSION "GLIBC_2.17"
#else
#define FIRST_VERSION "GLIBC_2.2.5"
#endif
#define STRING(word) #word
#define NAME(word) STRING(word)

static int is(const char *way) { return !strcmp(NAME(WAY), way); }

/* The function behind this library's own. */
static void *behind(const char *name)
{
    if (is("handle") || is("closed") || is("sysv") || is("path")) {
        /* As the cwrap family, torsocks and others find it. */
        static void *libc;
        if (!libc)
            libc = dlopen(is("path") ? LIBC : "libc.so.6", RTLD_LAZY | (is("closed") ? RTLD_NOLOAD : 0));
        return dlsym(libc, name);
    }
    if (is("version"))
        return dlvsym(RTLD_NEXT, name, FIRST_VERSION);
    return dlsym(RTLD_NEXT, name);
}

#define BEHIND(name)                                   \
    static __typeof__(&name) real;                     \
    if (!real)                                         \
        real = (__typeof__(&name))behind(#name);       \
    if (!real)                                         \
        dprintf(2, "no %s\n", #name)

static int counts[8];
void preload_counts(char *into)
{
    for (int i = 0; i < 8; i++)
        into += sprintf(into, " %d", counts[i]);
}

/* A library that this one loads for itself, bound past every preload. */
static int by_helper(int fd, const struct sockaddr *to, socklen_t len)
{
    static int (*helper)(int, const struct sockaddr *, socklen_t);
    if (!helper) {
        void *library = dlopen(getenv("HELPER"), RTLD_LAZY | RTLD_LOCAL | RTLD_DEEPBIND);
        helper = library ? (int (*)(int, const struct sockaddr *, socklen_t))dlsym(library, "helper_connect") : NULL;
    }
    return helper(fd, to, len);
}

int connect(int fd, const struct sockaddr *to, socklen_t len)
{
    counts[0]++;
    if (is("syscall"))
        return syscall(SYS_connect, fd, to, len);
    if (is("deep"))
        return by_helper(fd, to, len);
    BEHIND(connect);
    return real(fd, to, len);
}

ssize_t read(int fd, void *into, size_t size)
{
    counts[1]++;
    if (is("syscall"))
        return syscall(SYS_read, fd, into, size);
    BEHIND(read);
    return real(fd, into, size);
}

int dup2(int from, int to)
{
    counts[2]++;
    if (is("syscall"))
        return syscall(SYS_dup3, from, to, 0);
    BEHIND(dup2);
    return real(from, to);
}

int bind(int fd, const struct sockaddr *to, socklen_t len)
{
    counts[3]++;
    if (is("syscall"))
        return syscall(SYS_bind, fd, to, len);
    BEHIND(bind);
    return real(fd, to, len);
}

int accept(int fd, struct sockaddr *from, socklen_t *len)
{
    counts[4]++;
    if (is("syscall"))
        return syscall(SYS_accept, fd, from, len);
    BEHIND(accept);
    return real(fd, from, len);
}

ssize_t sendto(int fd, const void *data, size_t size, int flags, const struct sockaddr *to, socklen_t len)
{
    counts[5]++;
    if (is("syscall"))
        return syscall(SYS_sendto, fd, data, size, flags, to, len);
    BEHIND(sendto);
    return real(fd, data, size, flags, to, len);
}

int open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    int mode = va_arg(rest, int);
    va_end(rest);
    counts[6]++;
    if (is("syscall"))
        return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    BEHIND(open);
    return real(path, flags, mode);
}

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **found)
{
    counts[7]++;
    BEHIND(getaddrinfo);
    return real(host, port, hints, found);
}

#ifdef ITERATE
/* As fakechroot has it. */
int dl_iterate_phdr(int (*each)(struct dl_phdr_info *, size_t, void *), void *data)
{
    int (*real)(int (*)(struct dl_phdr_info *, size_t, void *), void *) = dlsym(RTLD_NEXT, "dl_iterate_phdr");
    dlsym(RTLD_NEXT, "connect");
    return real(each, data);
}
#endif

#ifdef WRAP
/* As tools have it that want to see what is loaded, or that give functions of their own. */
void *dlsym(void *handle, const char *name)
{
    static void *(*real)(void *, const char *);
    if (!real)
        real = (void *(*)(void *, const char *))dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.34");
    return real(handle, name);
}

void *dlopen(const char *path, int flags)
{
    static void *(*real)(const char *, int);
    if (!real)
        real = (void *(*)(const char *, int))dlvsym(RTLD_NEXT, "dlopen", "GLIBC_2.34");
    return real(path, flags);
}

#endif

#ifdef TABLE
/* This one too, and found without any call, in libc's own table. */
void *dlvsym(void *handle, const char *name, const char *version)
{
    static void *(*real)(void *, const char *, const char *);
    if (!real) {
        /* Without dlsym, which is this library's own. */
        struct link_map *map = _r_debug.r_map;
        for (; map; map = map->l_next) {
            const char *strings = NULL;
            const ElfW(Sym) *symbols = NULL;
            if (!strstr(map->l_name, "/libc.so.6"))
                continue;
            for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag; entry++) {
                if (entry->d_tag == DT_STRTAB)
                    strings = (const char *)entry->d_un.d_ptr;
                if (entry->d_tag == DT_SYMTAB)
                    symbols = (const ElfW(Sym) *)entry->d_un.d_ptr;
            }
            for (const ElfW(Sym) *symbol = symbols + 1; !real; symbol++)
                if (!strcmp(strings + symbol->st_name, "dlvsym"))
                    real = (void *(*)(void *, const char *, const char *))(map->l_addr + symbol->st_value);
        }
    }
    return real(handle, name, version);
}
#endif

#ifdef INJECT
extern char **environ;
/* Another way to the environment than libc's. */
char *getenv(const char *name)
{
    size_t len = strlen(name);
    for (char **at = environ; at && *at; at++)
        if (!strncmp(*at, name, len) && (*at)[len] == '=')
            return *at + len + 1;
    return NULL;
}
#endif

#ifdef MALLOC
/* The loader itself calls these, before libc has begun. */
static char arena[1 << 16];
static size_t taken;
static int is_resolving;

static void *next(const char *name)
{
    is_resolving++;
    void *found = dlsym(RTLD_NEXT, name);
    is_resolving--;
    return found;
}

static void *of_arena(size_t size)
{
    void *at = arena + taken;
    taken += (size + 15) & ~15UL;
    return at;
}

void *malloc(size_t size)
{
    static void *(*real)(size_t);
    if (is_resolving)
        return of_arena(size);
    if (!real)
        real = (void *(*)(size_t))next("malloc");
    return real(size);
}

void *calloc(size_t count, size_t size)
{
    static void *(*real)(size_t, size_t);
    if (is_resolving)
        return of_arena(count * size);
    if (!real)
        real = (void *(*)(size_t, size_t))next("calloc");
    return real(count, size);
}

void *realloc(void *was, size_t size)
{
    static void *(*real)(void *, size_t);
    if (!real)
        real = (void *(*)(void *, size_t))next("realloc");
    return real(was, size);
}

void free(void *at)
{
    static void (*real)(void *);
    if ((char *)at >= arena && (char *)at < arena + sizeof arena)
        return;
    if (!real)
        real = (void (*)(void *))next("free");
    real(at);
}
#endif

/* Calls hooks before other constructors have run. */
__attribute__((constructor)) static void early(void)
{
#ifdef INJECT
    /* As the injectors of tracers do: variables for what runs here, and themselves for what is started. */
    char preload[4096] = "";
    if (getenv("LD_PRELOAD"))
        strncpy(preload, getenv("LD_PRELOAD"), sizeof preload - 1);
    setenv("INJECTED", "yes", 1);
    setenv("LD_PRELOAD", preload, 1);
    unsetenv("HELPER");
    setenv("ANOTHER", "one", 0);
#endif
    if (is("early") && !getenv("EARLY")) {
        setenv("EARLY", "1", 1);
        int ends[2], fd = open("/dev/null", O_RDWR);
        char byte = 0;
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int outcome = connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&to, sizeof to);
        dprintf(1, "early connect %d %d\n", outcome, errno);
        dprintf(1, "early read %zd\n", read(fd, &byte, 1));
        dprintf(1, "early dup2 %d\n", dup2(fd, 99));
        dprintf(1, "early system %d\n", system("exit 3"));
        dprintf(1, "early dlsym %d\n", dlsym(RTLD_DEFAULT, "connect") != NULL);
        memset(counts, 0, sizeof counts);
    }
}
