/* The C API of the Portcullis guard, for modules inside a server that know which request a thread serves.
 *
 * The functions are in libportcullis.so, which LD_PRELOAD loads. A module looks for them once, and does nothing where
 * they are not there:
 *
 *     portcullis_begin_function *begin = (portcullis_begin_function *)dlsym(RTLD_DEFAULT, "portcullis_request_begin");
 *
 * Licence: MIT OR Apache-2.0. */
#ifndef PORTCULLIS_H
#define PORTCULLIS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the guard is told of a request. Every string ends in NUL or is NULL for unknown, is copied, and is cut at the bound
 * given here in bytes. */
struct portcullis_request {
    size_t size;               /* sizeof(struct portcullis_request) */
    const char *server_name;   /* from the server's own configuration, never the Host header; 256 */
    const char *document_root; /* absolute path; 512 */
    const char *script;        /* absolute path of the file that is run; 512 */
    const char *method;        /* 16 */
    const char *uri;           /* as the client sent it, the query included; 1024 */
    const char *client;        /* the client's address; 64 */
    const char *profile;       /* a profile that the server's configuration names; 64 */
};

/* The calling thread serves this request from now on, instead of any before it. The result names it for
 * portcullis_request_end; it is never 0. Does not block and does not allocate from the program's heap. */
typedef uint64_t portcullis_begin_function(const struct portcullis_request *request);
uint64_t portcullis_request_begin(const struct portcullis_request *request);

/* The request is over; may be called on any thread. Does nothing where the thread that began it serves another by now. */
typedef void portcullis_end_function(uint64_t token);
void portcullis_request_end(uint64_t token);

/* Whether the policy has a virtual host whose match names this profile: 1 or 0. */
typedef int portcullis_profile_function(const char *profile);
int portcullis_profile_known(const char *profile);

#ifdef __cplusplus
}
#endif

#endif
