#include "httpd/config.h"

#include <apr_strings.h>
#include <apr_thread_mutex.h>

/* One remembered merge: base and the section that holds the list gave result. */
typedef struct mcp_merge_t {
    const mcp_dir_t *base;
    mcp_dir_t *result;
    struct mcp_merge_t *next;
} mcp_merge_t;

/* A section can meet only so many others; beyond this something makes sections by itself, and nothing is remembered. */
#define MERGES_MAX 256

/* Set once per child, before it takes requests; NULL while configuration is read. */
static struct {
    apr_pool_t *pool;
    apr_thread_mutex_t *lock;
} running;

void *mcp_dir_create(apr_pool_t *p, char *path)
{
    mcp_dir_t *dir = apr_pcalloc(p, sizeof(*dir));

#define X(type, name, unset) dir->name = unset;
    MCP_DIR_VALUES(X)
#undef X
    dir->path = apr_pstrdup(p, path);
    dir->stable = !running.pool;
    return dir;
}

static mcp_dir_t *dir_merge(apr_pool_t *p, const mcp_dir_t *base, const mcp_dir_t *add)
{
    mcp_dir_t *dir = apr_pmemdup(p, base, sizeof(*dir));

    dir->section = NULL;
    dir->merges = NULL;
    dir->locations = NULL;
    dir->path = add->path ? add->path : base->path;
    dir->owner = base->owner ? base->owner : add->owner;
    dir->at = add->at ? add->at : base->at;
    dir->stable = !running.pool;
#define X(type, name, unset) \
    if (add->name != unset) { \
        dir->name = add->name; \
    }
    MCP_DIR_VALUES(X)
#undef X
#define X(name) \
    if (add->name) { \
        dir->name = base->name ? apr_array_append(p, base->name, add->name) : add->name; \
    }
    MCP_DIR_LINES(X)
#undef X
    return dir;
}

static mcp_dir_t *merge_find(const mcp_merge_t *list, const mcp_dir_t *base, int *count)
{
    for (*count = 0; list; list = list->next, ++*count) {
        if (list->base == base) {
            return list->result;
        }
    }
    return NULL;
}

void *mcp_dir_merge(apr_pool_t *p, void *basev, void *addv)
{
    const mcp_dir_t *base = basev;
    mcp_dir_t *add = addv, *result;
    mcp_merge_t *merge;
    int count;

    if (!running.pool || !base->stable || !add->stable) {
        return dir_merge(p, base, add);
    }
    result = merge_find(__atomic_load_n(&add->merges, __ATOMIC_ACQUIRE), base, &count);
    if (result || count >= MERGES_MAX) {
        return result ? result : dir_merge(p, base, add);
    }
    apr_thread_mutex_lock(running.lock);
    result = merge_find(add->merges, base, &count);
    if (!result) {
        merge = apr_palloc(running.pool, sizeof(*merge));
        merge->base = base;
        merge->result = result = dir_merge(running.pool, base, add);
        merge->next = add->merges;
        result->stable = 1;
        __atomic_store_n(&add->merges, merge, __ATOMIC_RELEASE);
    }
    apr_thread_mutex_unlock(running.lock);
    return result;
}

static apr_status_t config_stop(void *unused)
{
    mcp_config_reset();
    return APR_SUCCESS;
}

void mcp_config_run(apr_pool_t *p)
{
    apr_thread_mutex_create(&running.lock, APR_THREAD_MUTEX_DEFAULT, p);
    apr_pool_create(&running.pool, p); /* its own: only used under the lock */
    apr_pool_tag(running.pool, "mcp_oauth_merges");
    apr_pool_cleanup_register(p, NULL, config_stop, apr_pool_cleanup_null);
}

void mcp_config_reset(void)
{
    running.pool = NULL;
    running.lock = NULL;
}

mcp_issuer_conf_t *mcp_issuer_conf_create(const char *name, const ap_directive_t *at, apr_pool_t *p)
{
    mcp_issuer_conf_t *issuer = apr_pcalloc(p, sizeof(*issuer));

    issuer->name = name;
    issuer->at = at;
#define X(type, member, unset) issuer->member = unset;
    MCP_ISSUER_MEMBERS(X)
#undef X
    return issuer;
}

static mcp_issuer_conf_t *issuer_merge(apr_pool_t *p, const mcp_issuer_conf_t *base, const mcp_issuer_conf_t *add)
{
    mcp_issuer_conf_t *issuer = apr_pmemdup(p, base, sizeof(*issuer));

    issuer->at = add->at;
#define X(type, name, unset) \
    if (add->name != unset) { \
        issuer->name = add->name; \
    }
    MCP_ISSUER_MEMBERS(X)
#undef X
    return issuer;
}

void *mcp_server_create(apr_pool_t *p, server_rec *s)
{
    mcp_server_t *server = apr_pcalloc(p, sizeof(*server));

    server->issuers = apr_hash_make(p);
    server->cache_ttl = MCP_UNSET;
    server->cache_size = MCP_UNSET;
    return server;
}

void *mcp_server_merge(apr_pool_t *p, void *basev, void *addv)
{
    const mcp_server_t *base = basev, *add = addv;
    mcp_server_t *server = apr_pmemdup(p, base, sizeof(*server));
    apr_hash_index_t *i;

    server->issuers = apr_hash_copy(p, base->issuers);
    for (i = apr_hash_first(p, add->issuers); i; i = apr_hash_next(i)) {
        const void *name;
        apr_ssize_t len;
        void *inner;
        const mcp_issuer_conf_t *outer;

        apr_hash_this(i, &name, &len, &inner);
        outer = apr_hash_get(base->issuers, name, len);
        apr_hash_set(server->issuers, name, len, outer ? issuer_merge(p, outer, inner) : inner);
    }
    return server;
}

const mcp_dir_t *mcp_dir_of(const request_rec *r)
{
    return ap_get_module_config(r->per_dir_config, &mcp_oauth_module);
}

const mcp_server_t *mcp_server_of(const server_rec *s)
{
    return ap_get_module_config(s->module_config, &mcp_oauth_module);
}
