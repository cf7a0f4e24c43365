/* The descriptor of a stream that was opened just now: fileno(3) without a call, which the guard could not make before its
 * constructor has found libc's. The field is part of glibc's binary interface (bits/types/struct_FILE.h). */
#include <stdio.h>

int portcullis_shim_fileno(const FILE *stream);

int portcullis_shim_fileno(const FILE *stream)
{
    return stream->_fileno;
}
