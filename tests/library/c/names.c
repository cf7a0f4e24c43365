/* Resolves names, one after the other, by HOW, and connects to the address that the last has: `names HOW PORT NAME...`.
 * Prints the connect's errno. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

static struct in_addr found;

static int from_host(const struct hostent *host)
{
    if (!host || !host->h_addr_list[0])
        return -1;
    memcpy(&found, host->h_addr_list[0], sizeof found);
    return 0;
}

static int from_answer(const unsigned char *answer, int length)
{
    ns_msg message;
    ns_rr record;
    if (length < 0 || ns_initparse(answer, length, &message))
        return -1;
    for (int i = 0; i < ns_msg_count(message, ns_s_an); i++)
        if (!ns_parserr(&message, ns_s_an, i, &record) && ns_rr_type(record) == ns_t_a) {
            memcpy(&found, ns_rr_rdata(record), sizeof found);
            return 0;
        }
    return -1;
}

static void by_ares(void *done, int status, int timeouts, struct hostent *host)
{
    *(int *)done = status == ARES_SUCCESS && !from_host(host) ? 1 : -1;
}

static int ares(const char *name)
{
    ares_channel channel;
    int done = 0;
    if (ares_library_init(ARES_LIB_INIT_ALL) || ares_init(&channel))
        return -1;
    ares_gethostbyname(channel, name, AF_INET, by_ares, &done);
    while (!done) {
        fd_set readers, writers;
        struct timeval time = {5, 0};
        FD_ZERO(&readers);
        FD_ZERO(&writers);
        int count = ares_fds(channel, &readers, &writers);
        if (count)
            select(count, &readers, &writers, NULL, &time);
        ares_process(channel, &readers, &writers);
    }
    ares_destroy(channel);
    return done > 0 ? 0 : -1;
}

static int resolve(const char *how, const char *name)
{
    char buffer[4096];
    struct hostent host, *result = NULL;
    unsigned char answer[1024];
    int error;
    if (!strcmp(how, "getaddrinfo")) {
        struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
        if (getaddrinfo(name, NULL, &hints, &list))
            return -1;
        found = ((struct sockaddr_in *)list->ai_addr)->sin_addr;
        freeaddrinfo(list);
        return 0;
    }
    if (!strcmp(how, "gethostbyname"))
        return from_host(gethostbyname(name));
    if (!strcmp(how, "gethostbyname2"))
        return from_host(gethostbyname2(name, AF_INET));
    if (!strcmp(how, "gethostbyname_r"))
        return gethostbyname_r(name, &host, buffer, sizeof buffer, &result, &error) ? -1 : from_host(result);
    if (!strcmp(how, "gethostbyname2_r"))
        return gethostbyname2_r(name, AF_INET, &host, buffer, sizeof buffer, &result, &error) ? -1 : from_host(result);
    if (!strcmp(how, "res_query"))
        return from_answer(answer, res_query(name, ns_c_in, ns_t_a, answer, sizeof answer));
    if (!strcmp(how, "res_search"))
        return from_answer(answer, res_search(name, ns_c_in, ns_t_a, answer, sizeof answer));
    if (!strcmp(how, "res_querydomain"))
        return from_answer(answer, res_querydomain(name, "", ns_c_in, ns_t_a, answer, sizeof answer));
    if (!strncmp(how, "res_n", 5)) {
        struct __res_state state = {0};
        if (res_ninit(&state))
            return -1;
        int length = !strcmp(how, "res_nquery") ? res_nquery(&state, name, ns_c_in, ns_t_a, answer, sizeof answer)
            : !strcmp(how, "res_nsearch") ? res_nsearch(&state, name, ns_c_in, ns_t_a, answer, sizeof answer)
            : res_nquerydomain(&state, name, "", ns_c_in, ns_t_a, answer, sizeof answer);
        return from_answer(answer, length);
    }
    return !strcmp(how, "c-ares") ? ares(name) : -1;
}

int main(int argc, char **argv)
{
    alarm(30);
    for (int i = 3; i < argc; i++)
        if (resolve(argv[1], argv[i])) {
            printf("%s is not resolved\n", argv[i]);
            return 1;
        }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2])), .sin_addr = found};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    errno = 0;
    connect(fd, (struct sockaddr *)&to, sizeof to);
    printf("%d\n", errno);
    return 0;
}
