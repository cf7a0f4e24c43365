/* A library that connects. */
#include <sys/socket.h>
int helper_connect(int fd, const struct sockaddr *to, socklen_t len) { return connect(fd, to, len); }
