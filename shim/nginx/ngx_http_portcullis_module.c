/* ngx_http_portcullis_module: tells the Portcullis guard for which request nginx connects to an upstream.
 *
 * A worker interleaves requests, so the request is set around the connect and nowhere else: nginx asks for the peer
 * immediately before it connects, and the request begins there; it ends when the worker comes back to its event loop, or
 * when the next begins. Upstreams whose address is resolved at run time (a proxy_pass with variables) are not asked for in
 * this way: their connects carry no request, and the global policy holds.
 *
 * Licence: MIT OR Apache-2.0. */
#define _GNU_SOURCE
#include "../include/portcullis.h"

#include <dlfcn.h>
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

typedef struct {
    ngx_str_t profile;
} location_t;

/* The original initialiser of an upstream. */
typedef struct {
    ngx_http_upstream_srv_conf_t *upstream;
    ngx_http_upstream_init_peer_pt init;
} wrapped_t;

typedef struct {
    ngx_array_t wrapped; /* of wrapped_t */
} main_t;

/* The original way in which a request gets its peer. */
typedef struct {
    ngx_event_get_peer_pt get;
} request_t;

static portcullis_begin_function *guard_begin;
static portcullis_end_function *guard_end;
static portcullis_profile_function *guard_profile;

static uint64_t token;
static ngx_event_t end_event;
static ngx_connection_t end_connection;

static void *make_main(ngx_conf_t *cf);
static void *make_location(ngx_conf_t *cf);
static char *merge_location(ngx_conf_t *cf, void *parent, void *child);
static ngx_int_t after_configuration(ngx_conf_t *cf);

static ngx_command_t commands[] = {
    {ngx_string("portcullis_profile"), NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1,
     ngx_conf_set_str_slot, NGX_HTTP_LOC_CONF_OFFSET, offsetof(location_t, profile), NULL},
    ngx_null_command};

static ngx_http_module_t context = {
    NULL, after_configuration, make_main, NULL, NULL, NULL, make_location, merge_location,
};

ngx_module_t ngx_http_portcullis_module = {
    NGX_MODULE_V1, &context, commands, NGX_HTTP_MODULE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NGX_MODULE_V1_PADDING,
};

static void *make_main(ngx_conf_t *cf)
{
    main_t *conf = ngx_pcalloc(cf->pool, sizeof(main_t));
    if (conf == NULL || ngx_array_init(&conf->wrapped, cf->pool, 8, sizeof(wrapped_t)) != NGX_OK)
        return NULL;
    guard_begin = (portcullis_begin_function *)dlsym(RTLD_DEFAULT, "portcullis_request_begin");
    guard_end = (portcullis_end_function *)dlsym(RTLD_DEFAULT, "portcullis_request_end");
    guard_profile = (portcullis_profile_function *)dlsym(RTLD_DEFAULT, "portcullis_profile_known");
    return conf;
}

static void *make_location(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(location_t));
}

static char *merge_location(ngx_conf_t *cf, void *parent, void *child)
{
    location_t *under = parent, *over = child;
    char name[65];
    ngx_conf_merge_str_value(over->profile, under->profile, "");
    if (over->profile.len > 64)
        return "has a portcullis_profile of more than 64 bytes";
    if (over->profile.len && over->profile.data != under->profile.data && guard_profile) {
        *ngx_cpymem(name, over->profile.data, over->profile.len) = '\0';
        if (!guard_profile(name))
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "the Portcullis policy has no virtual host whose match has the profile %V",
                               &over->profile);
    }
    return NGX_CONF_OK;
}

static void end_request(ngx_event_t *event)
{
    (void)event;
    guard_end(token);
}

/* Copies a string of nginx's, which has no NUL, into a bounded one; what does not fit is cut. */
static const char *terminated(const ngx_str_t *text, char *into, size_t size)
{
    size_t len = ngx_min(text->len, size - 1);
    *ngx_cpymem(into, text->data, len) = '\0';
    return into;
}

static void begin_request(ngx_http_request_t *r)
{
    const ngx_http_core_srv_conf_t *server = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
    const ngx_http_core_loc_conf_t *core = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    const location_t *location = ngx_http_get_module_loc_conf(r, ngx_http_portcullis_module);
    char name[256], root[512], method[16], uri[1024], client[64], profile[65];
    struct portcullis_request told = {
        .size = sizeof told,
        .server_name = terminated(&server->server_name, name, sizeof name),
        .document_root = core->root_lengths ? NULL : terminated(&core->root, root, sizeof root),
        .method = terminated(&r->method_name, method, sizeof method),
        .uri = terminated(&r->unparsed_uri, uri, sizeof uri),
        .client = terminated(&r->connection->addr_text, client, sizeof client),
        .profile = location->profile.len ? terminated(&location->profile, profile, sizeof profile) : NULL,
    };
    token = guard_begin(&told);
    end_event.handler = end_request;
    end_event.data = &end_connection;
    end_event.log = ngx_cycle->log;
    end_connection.fd = (ngx_socket_t)-1;
    if (!end_event.posted) {
        ngx_post_event(&end_event, &ngx_posted_events);
    }
}

static ngx_int_t get_peer(ngx_peer_connection_t *peer, void *data)
{
    /* The log of a request's connection knows the request; it is how nginx itself names it in its log. */
    ngx_http_log_ctx_t *log = peer->log->data;
    ngx_http_request_t *r = log->current_request ? log->current_request : log->request;
    request_t *own = ngx_http_get_module_ctx(r, ngx_http_portcullis_module);
    if (own == NULL)
        return NGX_ERROR;
    ngx_int_t result = own->get(peer, data);
    if (result == NGX_OK)
        begin_request(r);
    return result;
}

static ngx_int_t init_peer(ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *upstream)
{
    main_t *conf = ngx_http_get_module_main_conf(r, ngx_http_portcullis_module);
    wrapped_t *wrapped = conf->wrapped.elts;
    for (ngx_uint_t i = 0; i < conf->wrapped.nelts; i++) {
        if (wrapped[i].upstream != upstream)
            continue;
        ngx_int_t result = wrapped[i].init(r, upstream);
        request_t *own = ngx_http_get_module_ctx(r, ngx_http_portcullis_module);
        if (own == NULL)
            own = ngx_palloc(r->pool, sizeof(request_t));
        if (result != NGX_OK || own == NULL)
            return result;
        own->get = r->upstream->peer.get;
        r->upstream->peer.get = get_peer;
        ngx_http_set_ctx(r, own, ngx_http_portcullis_module);
        return result;
    }
    return NGX_ERROR;
}

static ngx_int_t after_configuration(ngx_conf_t *cf)
{
    main_t *conf = ngx_http_conf_get_module_main_conf(cf, ngx_http_portcullis_module);
    ngx_http_upstream_main_conf_t *all = ngx_http_conf_get_module_main_conf(cf, ngx_http_upstream_module);
    ngx_http_upstream_srv_conf_t **upstreams = all->upstreams.elts;
    if (!guard_begin || !guard_end) {
        ngx_conf_log_error(NGX_LOG_NOTICE, cf, 0,
                           "the Portcullis guard is not loaded (LD_PRELOAD), so its module does nothing");
        return NGX_OK;
    }
    for (ngx_uint_t i = 0; i < all->upstreams.nelts; i++) {
        wrapped_t *wrapped = ngx_array_push(&conf->wrapped);
        if (wrapped == NULL)
            return NGX_ERROR;
        wrapped->upstream = upstreams[i];
        wrapped->init = upstreams[i]->peer.init;
        if (wrapped->init)
            upstreams[i]->peer.init = init_peer;
        else
            conf->wrapped.nelts--;
    }
    return NGX_OK;
}
