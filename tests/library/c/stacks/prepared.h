/* What the calls of stacks.c need, made before they are measured. */

static const char *name, *variant = "", *folder;
static int hit;
/* The function, in the types that are called. */
static union {
    void *at;
    long (*of)();
} f;
static struct sockaddr_in to;
static int tcp, udp, connected, listener, null, pipes[2], queue;
static FILE *stream;
static char buffer[4096], bytes[4096] = "x";
static struct iovec piece = {bytes, 1};
static struct msghdr header = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &piece, .msg_iovlen = 1};
static struct msghdr plain = {.msg_iov = &piece, .msg_iovlen = 1};
#define MANY 100
static struct mmsghdr many[MANY];
static struct iovec into = {buffer, 1};
static posix_spawn_file_actions_t actions;
static int served, local;
static struct sockaddr_un path_of = {.sun_family = AF_UNIX, .sun_path = "/nowhere/socket"};
/* A FastCGI request that changes PHP's settings: BEGIN_REQUEST, PARAMS, the end of them. */
static const unsigned char request[] = {1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 4, 0, 1, 0, 70, 0, 0,
    15, 25, 'S', 'C', 'R', 'I', 'P', 'T', '_', 'F', 'I', 'L', 'E', 'N', 'A', 'M', 'E',
    '/', 's', 'r', 'v', '/', 's', 'h', 'o', 'p', '/', 'p', 'u', 'b', 'l', 'i', 'c', '/', 'i', 'n', 'd', 'e', 'x', '.', 'p', 'h',
    9, 19, 'P', 'H', 'P', '_', 'V', 'A', 'L', 'U', 'E', 'a', 'l', 'l', 'o', 'w', '_', 'u', 'r', 'l', '_', 'i', 'n', 'c', 'l', 'u', 'd', 'e', '=', '1',
    1, 4, 0, 1, 0, 0, 0, 0};

/* The title of a worker of PHP-FPM, where a title is written: over the arguments. */
static char *title;

static int is(const char *other)
{
    return !strcmp(name, other);
}

static int varies(const char *other)
{
    return !strcmp(variant, other);
}

static int starts(const char *other)
{
    return !strncmp(name, other, strlen(other));
}

static int done(void *unused)
{
    return 0;
}

static void *thread(void *unused)
{
    return NULL;
}

/* Everything that a call needs is made before, so that nothing else is done on the stack. */
static void prepare(void)
{
    int port = hit ? 4446 : 4447;
    to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, hit ? "192.88.1.10" : "127.0.0.1", &to.sin_addr);
    posix_spawn_file_actions_init(&actions);
    for (int i = 0; i < MANY; i++)
        many[i].msg_hdr = header;
    if (varies("dns"))
        to.sin_port = htons(53);
    if (varies("nowhere"))
        to.sin_addr.s_addr = 0;
    tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
    queue = socket(AF_INET, SOCK_STREAM, 0), local = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_in own = {.sin_family = AF_INET};
    socklen_t len = sizeof own;
    inet_pton(AF_INET, "127.0.0.1", &own.sin_addr);
    own.sin_port = htons(is("listen") && hit ? 4470 : is("bind") ? 4481 : 4480);
    int on = 1;
    setsockopt(queue, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(queue, (void *)&own, sizeof own))
        perror("bind");
    if (!is("listen"))
        syscall(SYS_listen, queue, 8);
    getsockname(queue, (void *)&own, &len);
    connected = socket(AF_INET, SOCK_STREAM, 0);
    if (!is("listen") && connect(connected, (void *)&own, sizeof own))
        perror("connect");
    if (varies("actions")) {
        posix_spawn_file_actions_addchdir_np(&actions, "/usr");
        posix_spawn_file_actions_addopen(&actions, 7, hit ? "/proc/self/mem" : "/dev/null", O_RDWR, 0);
        posix_spawn_file_actions_adddup2(&actions, 7, 8);
    }
    null = open("/dev/null", O_RDWR);
    pipe(pipes);
    write(pipes[1], bytes, 64);
    if (is("pclose"))
        stream = popen(hit ? "exit 7" : "/bin/true", "r");
    if (strstr(name, "res_"))
        res_init();
}
