/* mod_portcullis: tells the Portcullis guard which request a thread of Apache serves, from the server's own
 * configuration. Does nothing but say so once where the guard is not loaded.
 *
 * A request is set after it was read (the virtual host is final then, also for HTTP/2 and behind mod_remoteip), and again
 * when the file is known. The next request of the thread replaces it; a cleanup of the request's pool ends it, by a token
 * that names this request alone, since the pool may be destroyed on another thread and after the next has begun.
 *
 * Licence: MIT OR Apache-2.0. */
#include "../include/portcullis.h"

#include <dlfcn.h>

#include "httpd.h"

#include "http_config.h"
#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_request.h"

APLOG_USE_MODULE(portcullis);

static portcullis_begin_function *guard_begin;
static portcullis_end_function *guard_end;
static portcullis_profile_function *guard_profile;

/* The profiles that the configuration names, and where; of the configuration that is being read. */
struct named {
    const char *profile;
    const char *file;
    int line;
};
static apr_array_header_t *named;

struct directory {
    const char *profile;
};

static void *make_directory(apr_pool_t *pool, char *path)
{
    (void)path;
    return apr_pcalloc(pool, sizeof(struct directory));
}

static void *merge_directory(apr_pool_t *pool, void *base, void *added)
{
    struct directory *merged = apr_pcalloc(pool, sizeof *merged);
    const struct directory *under = base, *over = added;
    merged->profile = over->profile ? over->profile : under->profile;
    return merged;
}

static const char *set_profile(cmd_parms *cmd, void *config, const char *name)
{
    struct directory *directory = config;
    if (!*name || strlen(name) > 64)
        return "PortcullisProfile takes a name of 1 to 64 bytes";
    directory->profile = name;
    if (named) {
        struct named *entry = apr_array_push(named);
        entry->profile = name;
        entry->file = cmd->directive->filename;
        entry->line = cmd->directive->line_num;
    }
    return NULL;
}

static const command_rec commands[] = {
    AP_INIT_TAKE1("PortcullisProfile", set_profile, NULL, RSRC_CONF | ACCESS_CONF,
                  "the profile of the Portcullis policy that holds here"),
    {NULL}};

static int before_configuration(apr_pool_t *config, apr_pool_t *log, apr_pool_t *temporary)
{
    (void)log;
    (void)temporary;
    named = apr_array_make(config, 8, sizeof(struct named));
    guard_begin = (portcullis_begin_function *)dlsym(RTLD_DEFAULT, "portcullis_request_begin");
    guard_end = (portcullis_end_function *)dlsym(RTLD_DEFAULT, "portcullis_request_end");
    guard_profile = (portcullis_profile_function *)dlsym(RTLD_DEFAULT, "portcullis_profile_known");
    return OK;
}

static int after_configuration(apr_pool_t *config, apr_pool_t *log, apr_pool_t *temporary, server_rec *server)
{
    (void)config;
    (void)log;
    (void)temporary;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG)
        return OK;
    if (!guard_begin || !guard_end || !guard_profile) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, server,
                     "mod_portcullis: the guard is not loaded (LD_PRELOAD), so this module does nothing");
        return OK;
    }
    for (int i = 0; i < named->nelts; i++) {
        const struct named *entry = &APR_ARRAY_IDX(named, i, struct named);
        if (!guard_profile(entry->profile))
            ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server,
                         "mod_portcullis: %s:%d: the Portcullis policy has no virtual host whose match has the profile %s",
                         entry->file, entry->line, entry->profile);
    }
    return OK;
}

/* The token of a request, in its pool. */
struct begun {
    uint64_t token;
};

static apr_status_t end_request(void *data)
{
    guard_end(((struct begun *)data)->token);
    return APR_SUCCESS;
}

static void begin(request_rec *r, const char *script)
{
    const struct directory *directory = ap_get_module_config(r->per_dir_config, &portcullis_module);
    const request_rec *first = r;
    while (first->prev)
        first = first->prev;
    struct portcullis_request told = {
        .size = sizeof told,
        .server_name = r->server->server_hostname,
        .document_root = ap_document_root(r),
        .script = script,
        .method = r->method,
        .uri = first->unparsed_uri,
        .client = r->useragent_ip,
        .profile = directory ? directory->profile : NULL,
    };
    struct begun *begun = ap_get_module_config(r->request_config, &portcullis_module);
    if (!begun) {
        begun = apr_palloc(r->pool, sizeof *begun);
        ap_set_module_config(r->request_config, &portcullis_module, begun);
        apr_pool_cleanup_register(r->pool, begun, end_request, apr_pool_cleanup_null);
    }
    begun->token = guard_begin(&told);
}

static int request_was_read(request_rec *r)
{
    if (guard_begin && guard_end)
        begin(r, NULL);
    return DECLINED;
}

static int file_is_known(request_rec *r)
{
    /* What a subrequest looks up is done for the request that it belongs to. */
    if (guard_begin && guard_end && !r->main)
        begin(r, r->filename);
    return DECLINED;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_pre_config(before_configuration, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(after_configuration, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_read_request(request_was_read, NULL, NULL, APR_HOOK_LAST);
    ap_hook_fixups(file_is_known, NULL, NULL, APR_HOOK_LAST);
}

module AP_MODULE_DECLARE_DATA portcullis_module = {
    STANDARD20_MODULE_STUFF, make_directory, merge_directory, NULL, NULL, commands, register_hooks, 0,
};
