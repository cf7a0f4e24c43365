/* How servers read a request, as far as a compiler sees it: which call, of what, into what, how much of it. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct header {
    unsigned char version, type, id[2], length[2], padding, reserved;
};

/* PHP-FPM: a whole record's head, then its content, into arrays on the stack, again after a signal. */
static ssize_t whole(int fd, void *to, size_t count)
{
    size_t got = 0;
    while (got != count) {
        errno = 0;
        ssize_t now = read(fd, (char *)to + got, count - got);
        if (now > 0)
            got += now;
        else if (now == 0 || errno != EINTR)
            return now == 0 ? (ssize_t)got : now;
    }
    return got;
}

int php_fpm(int fd, char *to)
{
    struct header head;
    unsigned char content[0xffff + 8];
    if (whole(fd, &head, sizeof head) != sizeof head)
        return 0;
    size_t length = head.length[0] << 8 | head.length[1];
    if (whole(fd, content, length + head.padding) < 0)
        return 0;
    memcpy(to, content, length);
    return length;
}

/* libfcgi: one buffer of a stream, as much as is left of it. */
struct stream {
    int fd;
    size_t filled;
    char buffer[8192];
};

int libfcgi(struct stream *stream)
{
    ssize_t got = read(stream->fd, stream->buffer + stream->filled, sizeof stream->buffer - stream->filled);
    if (got > 0)
        stream->filled += got;
    return got;
}

/* nginx: recv into what the request's buffer has left; readv into a chain. */
ssize_t nginx_recv(int fd, struct stream *request, size_t size)
{
    ssize_t got;
    do
        got = recv(fd, request->buffer, size, 0);
    while (got == -1 && errno == EINTR);
    return got;
}

ssize_t nginx_chain(int fd, struct stream *streams, int count)
{
    struct iovec parts[16];
    for (int at = 0; at < count && at < 16; at++) {
        parts[at].iov_base = streams[at].buffer;
        parts[at].iov_len = sizeof streams[at].buffer;
    }
    return readv(fd, parts, count);
}

/* Apache, by APR: read after a poll, recvfrom of a datagram. */
ssize_t apache_read(int fd, struct stream *stream, size_t size, int timeout)
{
    struct pollfd waits = { .fd = fd, .events = POLLIN };
    ssize_t got = read(fd, stream->buffer, size);
    while (got == -1 && (errno == EINTR || errno == EAGAIN) && poll(&waits, 1, timeout) == 1)
        got = read(fd, stream->buffer, size);
    return got;
}

ssize_t apache_from(int fd, size_t size, struct sockaddr_storage *from)
{
    char buffer[512];
    socklen_t length = sizeof *from;
    ssize_t got = recvfrom(fd, buffer, size, 0, (struct sockaddr *)from, &length);
    return got > 0 ? buffer[got - 1] : got;
}
