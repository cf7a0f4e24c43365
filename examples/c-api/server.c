/* A server of one's own that tells the guard which request it serves: the whole use of the C API.
 *
 *     cc -o server server.c && LD_PRELOAD=.../libportcullis.so ./server 8084
 *
 * It answers any request with what `true` in a shell gave, on two threads, and runs as well without the guard. */
#define _GNU_SOURCE
#include "../../shim/include/portcullis.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static portcullis_begin_function *guard_begin;
static portcullis_end_function *guard_end;
static int listener;

static void serve(int client, char *request)
{
    char *uri = strchr(request, ' ');
    char *end = uri ? strchr(uri + 1, ' ') : NULL;
    if (!end)
        return;
    *uri++ = '\0';
    *end = '\0';
    struct portcullis_request told = {
        .size = sizeof told,
        .server_name = strstr(uri, "blog") ? "blog.example" : "shop.example",
        .document_root = "/srv",
        .method = request,
        .uri = uri,
        .client = "127.0.0.1",
        .profile = strstr(uri, "admin") ? "admin" : NULL,
    };
    uint64_t token = guard_begin ? guard_begin(&told) : 0;
    int status = system("true");
    if (guard_end)
        guard_end(token);
    /* Between two requests there is none. */
    if (strstr(uri, "after"))
        status = system("true");
    dprintf(client, "HTTP/1.0 200 OK\r\n\r\n%d\n", status);
}

static void *work(void *unused)
{
    for (;;) {
        int client = accept(listener, NULL, NULL);
        char request[4096];
        ssize_t got = client < 0 ? -1 : read(client, request, sizeof request - 1);
        if (got > 0) {
            request[got] = '\0';
            serve(client, request);
        }
        if (client >= 0)
            close(client);
    }
    return unused;
}

int main(int argc, char **argv)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    at.sin_port = htons(argc > 1 ? atoi(argv[1]) : 8084);
    guard_begin = (portcullis_begin_function *)dlsym(RTLD_DEFAULT, "portcullis_request_begin");
    guard_end = (portcullis_end_function *)dlsym(RTLD_DEFAULT, "portcullis_request_end");
    int one = 1;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 64)) {
        perror("server");
        return 1;
    }
    pthread_t other;
    pthread_create(&other, NULL, work, NULL);
    work(NULL);
}
