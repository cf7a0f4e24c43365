/* The descriptor of a stream: fileno(3) without a call, which the guard could not make before its constructor has found
 * libc's, and its counterpart. The field is part of glibc's binary interface (bits/types/struct_FILE.h). */
#include <stdio.h>

int portcullis_shim_fileno(const FILE *stream);
void portcullis_set_fileno(FILE *stream, int fd);

int portcullis_shim_fileno(const FILE *stream)
{
    return stream->_fileno;
}

void portcullis_set_fileno(FILE *stream, int fd)
{
    stream->_fileno = fd;
}
