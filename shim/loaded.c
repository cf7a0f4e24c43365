/* What the loader has loaded, by its own list (link.h): the only way to it without a call of a function that another library
 * may have put in libc's place. Weak, since it is the loader's, which this library is not linked with. */
#include <link.h>
#include <stddef.h>

extern struct r_debug _r_debug __attribute__((weak));
/* The same of musl's loader. */
extern struct r_debug *_dl_debug_addr __attribute__((weak));
extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));

const struct link_map *portcullis_shim_loaded(void);
const void *portcullis_shim_dynamic(void);
int portcullis_shim_is_musl(void);

/* The program; the others in the order in which they were loaded. */
const struct link_map *portcullis_shim_loaded(void)
{
    if (&_r_debug)
        return _r_debug.r_map;
    return &_dl_debug_addr && _dl_debug_addr ? _dl_debug_addr->r_map : NULL;
}

/* Whether the loader is musl's. */
int portcullis_shim_is_musl(void)
{
    return !&_r_debug && &_dl_debug_addr;
}

/* The dynamic section of this library, by which it is known in the list. */
const void *portcullis_shim_dynamic(void)
{
    return _DYNAMIC;
}
