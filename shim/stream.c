/* The descriptor of a stream, whose place in the stream only C's header names. For src/hooks/stream.rs. */
#include <stdio.h>

__attribute__((visibility("hidden"))) void portcullis_set_fileno(FILE *stream, int fd)
{
    stream->_fileno = fd;
}
