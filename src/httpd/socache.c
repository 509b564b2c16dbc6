#include "httpd/socache.h"

#include <ap_provider.h>
#include <ap_socache.h>
#include <http_core.h>
#include <http_log.h>
#include <util_mutex.h>

#include <apr_strings.h>

#include "base/clock.h"
#include "base/limits.h"
#include "httpd/issuer.h"

APLOG_USE_MODULE(mcp_oauth);

#define MUTEX_TYPE "mcp-oauth-cache"
#define NAMESPACE "mcp-oauth"
#define DEFAULT_SIZE "(4194304)" /* of shmcb, bytes: some thousand answers */
#define SLOW apr_time_from_sec(1)

/* Made by the parent, opened by each child. */
static struct {
    const ap_socache_provider_t *provider; /* NULL: no cache */
    ap_socache_instance_t *instance;
    apr_global_mutex_t *mutex; /* NULL: the provider needs none */
    mcp_breaker_t breaker;     /* of this process: a cache server that is down must not slow each request */
} cache;

int mcp_socache_pre_config(apr_pool_t *pconf)
{
    memset(&cache, 0, sizeof(cache));
    return ap_mutex_register(pconf, MUTEX_TYPE, NULL, APR_LOCK_DEFAULT, 0) == APR_SUCCESS ? OK : !OK;
}

static int wanted(void)
{
    int i, n = 0;

    for (i = 0; i < mcp_issuers_count(); i++) {
        n += mcp_issuer_at(i)->trusted && mcp_issuer_at(i)->introspector;
    }
    return n;
}

static apr_status_t cache_destroy(void *s)
{
    if (cache.provider) {
        cache.provider->destroy(cache.instance, s);
        cache.provider = NULL;
    }
    return APR_SUCCESS;
}

/* Such a semaphore stays taken when its holder is killed. */
static const char *mutex_make(server_rec *s, apr_pool_t *pconf)
{
    apr_status_t rv;

    if (!(cache.provider->flags & AP_SOCACHE_FLAG_NOTMPSAFE)) {
        return NULL;
    }
    rv = ap_global_mutex_create(&cache.mutex, NULL, MUTEX_TYPE, NULL, s, pconf, 0);
    if (rv != APR_SUCCESS) {
        return apr_psprintf(pconf, "its mutex cannot be made: %pm", &rv);
    }
    return apr_global_mutex_mech(cache.mutex) == APR_LOCK_POSIXSEM
               ? "Mutex posixsem outlasts a child that is killed; write Mutex default " MUTEX_TYPE
               : NULL;
}

static const char *cache_make(const char *name, const char *args, server_rec *s, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    static struct ap_socache_hints hints = { MCP_SEAL_ID_BYTES, 1536, apr_time_from_sec(30) };
    const char *error;
    apr_status_t rv;

    cache.provider = ap_lookup_provider(AP_SOCACHE_PROVIDER_GROUP, name, AP_SOCACHE_PROVIDER_VERSION);
    if (!cache.provider) {
        return apr_psprintf(pconf,
                            "there is no such provider; write LoadModule socache_%s_module "
                            "modules/mod_socache_%s.so",
                            name, name);
    }
    error = cache.provider->create(&cache.instance, args, ptemp, pconf);
    if (error) {
        return error;
    }
    if ((error = mutex_make(s, pconf))) {
        return error;
    }
    rv = cache.provider->init(cache.instance, NAMESPACE, &hints, s, pconf);
    if (rv != APR_SUCCESS) {
        return apr_psprintf(pconf, "it cannot be set up: %pm", &rv);
    }
    apr_pool_cleanup_register(pconf, s, cache_destroy, apr_pool_cleanup_null);
    return NULL;
}

int mcp_socache_post_config(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *s)
{
    const char *setting = mcp_server_of(s)->shared_cache, *name = setting, *args = NULL, *colon, *error;

    if (setting ? !strcasecmp(setting, "none") : !wanted()) {
        return OK;
    }
    if (!setting) {
        name = "shmcb";
        args = apr_pstrcat(ptemp, ap_runtime_dir_relative(ptemp, "mcp-oauth-cache"), DEFAULT_SIZE, NULL);
        if (!ap_lookup_provider(AP_SOCACHE_PROVIDER_GROUP, name, AP_SOCACHE_PROVIDER_VERSION)) {
            return OK;
        }
    }
    else if ((colon = strchr(setting, ':'))) {
        name = apr_pstrmemdup(ptemp, setting, colon - setting);
        args = colon[1] ? colon + 1 : NULL;
    }
    error = cache_make(name, args, s, pconf, ptemp);
    if (!error) {
        return OK;
    }
    cache.provider = NULL;
    ap_log_error(APLOG_MARK, setting ? APLOG_STARTUP | APLOG_EMERG : APLOG_WARNING, 0, s,
                 "MCP0964: McpOAuthSharedCache %s: %s", name, error);
    return setting ? !OK : OK;
}

void mcp_socache_start(server_rec *s, apr_pool_t *p)
{
    const char *file = cache.mutex ? apr_global_mutex_lockfile(cache.mutex) : NULL;
    apr_status_t rv = cache.mutex ? apr_global_mutex_child_init(&cache.mutex, file, p) : APR_SUCCESS;

    if (rv != APR_SUCCESS) {
        cache.provider = NULL;
        ap_log_error(APLOG_MARK, APLOG_WARNING, rv, s,
                     "MCP0332: the mutex " MUTEX_TYPE " cannot be opened, this process does without the shared cache");
    }
}

/* Each call may go over the network. 0: there is no cache, or it is left alone at the moment. */
static int begin(apr_time_t *pbegan)
{
    *pbegan = mcp_clock_monotonic();
    if (!cache.provider || !mcp_breaker_allows(&cache.breaker, *pbegan, apr_time_from_sec(60))) {
        return 0;
    }
    if (cache.mutex && apr_global_mutex_lock(cache.mutex) != APR_SUCCESS) {
        mcp_breaker_failed(&cache.breaker, *pbegan, 0);
        return 0;
    }
    return 1;
}

static void end(apr_time_t began, apr_status_t rv, server_rec *s)
{
    apr_time_t now = mcp_clock_monotonic();

    if (cache.mutex) {
        apr_global_mutex_unlock(cache.mutex);
    }
    if ((rv == APR_SUCCESS || APR_STATUS_IS_NOTFOUND(rv)) && now - began < SLOW) {
        mcp_breaker_succeeded(&cache.breaker);
    }
    else if (mcp_breaker_failed(&cache.breaker, now, 0)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, APR_STATUS_IS_NOTFOUND(rv) ? 0 : rv, s,
                     "MCP0333: the shared cache fails or is slow, it is left alone for a while");
    }
}

int mcp_socache_get(unsigned char *data, apr_size_t *plen, const unsigned char id[MCP_SEAL_ID_BYTES], server_rec *s,
                    apr_pool_t *p)
{
    unsigned int len = (unsigned int)*plen;
    apr_time_t began;
    apr_status_t rv;

    if (!begin(&began)) {
        return 0;
    }
    rv = cache.provider->retrieve(cache.instance, s, id, MCP_SEAL_ID_BYTES, data, &len, p);
    end(began, rv, s);
    *plen = len;
    return rv == APR_SUCCESS;
}

void mcp_socache_put(const unsigned char *data, apr_size_t len, const unsigned char id[MCP_SEAL_ID_BYTES],
                     apr_time_t until, server_rec *s, apr_pool_t *p)
{
    apr_time_t began;
    apr_status_t rv;

    if (begin(&began)) {
        rv = cache.provider->store(cache.instance, s, id, MCP_SEAL_ID_BYTES, until, (unsigned char *)data,
                                   (unsigned int)len, p);
        end(began, rv, s);
    }
}
