#include "httpd/socache.h"

#include <ap_provider.h>
#include <ap_socache.h>
#include <http_core.h>
#include <http_log.h>
#include <util_mutex.h>

#include <apr_strings.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/limits.h"
#include "httpd/courier.h"
#include "httpd/issuer.h"

APLOG_USE_MODULE(mcp_oauth);

#define MUTEX_TYPE "mcp-oauth-cache"
#define NAMESPACE "mcp-oauth"
#define DEFAULT_SIZE "(4194304)"     /* of shmcb, bytes: some thousand answers */
#define WAIT apr_time_from_msec(500) /* that a request spends on it */

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

static const ap_socache_provider_t *provider_find(const char *name)
{
    return ap_lookup_provider(AP_SOCACHE_PROVIDER_GROUP, name, AP_SOCACHE_PROVIDER_VERSION);
}

static const char *cache_make(const char *name, const char *args, server_rec *s, apr_pool_t *pconf, apr_pool_t *ptemp)
{
    static struct ap_socache_hints hints = { MCP_SEAL_ID_BYTES, 1536, apr_time_from_sec(30) };
    const char *error;
    apr_status_t rv;

    if ((error = mcp_socache_check(name, pconf))) {
        return error;
    }
    cache.provider = provider_find(name);
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

/* The setting's two parts. name NULL: no cache. */
static void setting_split(const char **pname, const char **pargs, const char *setting, apr_pool_t *p)
{
    const char *colon = strchr(setting, ':');

    *pname = strcasecmp(setting, "none") ? apr_pstrmemdup(p, setting, strcspn(setting, ":")) : NULL;
    *pargs = colon && colon[1] ? colon + 1 : NULL;
}

const char *mcp_socache_check(const char *setting, apr_pool_t *p)
{
    const char *name, *args;

    setting_split(&name, &args, setting, p);
    return !name || provider_find(name)
               ? NULL
               : apr_psprintf(p,
                              "there is no provider %s; write LoadModule socache_%s_module modules/mod_socache_%s.so",
                              name, name, name);
}

int mcp_socache_post_config(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *s)
{
    const char *setting = mcp_server_of(s)->shared_cache, *name = "shmcb", *args, *error;

    if (setting) {
        setting_split(&name, &args, setting, ptemp);
    }
    else {
        args = apr_pstrcat(ptemp, ap_runtime_dir_relative(ptemp, "mcp-oauth-cache"), DEFAULT_SIZE, NULL);
    }
    if (!wanted() || !name || (!setting && !provider_find(name))) {
        return OK;
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

/* 0: there is no cache, or it is left alone at the moment. */
static int begin(apr_time_t *pbegan)
{
    *pbegan = mcp_clock_monotonic();
    return cache.provider && mcp_breaker_allows(&cache.breaker, *pbegan, apr_time_from_sec(60));
}

static void end(apr_time_t began, int failed, apr_status_t rv, server_rec *s)
{
    apr_time_t now = mcp_clock_monotonic();

    if (!failed && now - began < WAIT) {
        if (APR_STATUS_IS_NOTFOUND(rv)) {
            mcp_breaker_passed(&cache.breaker); /* which may as well mean that nobody is there */
        }
        else {
            mcp_breaker_succeeded(&cache.breaker, now);
        }
    }
    else if (mcp_breaker_failed(&cache.breaker, now, 0)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, rv, s,
                     "MCP0333: the shared cache fails or is slow, it is left alone for a while");
    }
}

/* One call of the provider, with all that it needs. */
typedef struct errand_t {
    mcp_job_t job;
    int is_store;
    server_rec *s;
    apr_time_t until;
    apr_status_t rv;
    unsigned int len;
    unsigned char id[MCP_SEAL_ID_BYTES];
    unsigned char data[MCP_LIMIT_SHARED + MCP_SEAL_OVERHEAD];
} errand_t;

static void errand_run(mcp_job_t *job, apr_pool_t *p)
{
    errand_t *errand = (errand_t *)job;

    if (errand->is_store && errand->until - apr_time_now() < APR_USEC_PER_SEC) {
        errand->rv = APR_SUCCESS; /* it has waited too long; some providers count in seconds, without a sign */
    }
    else if (errand->is_store) {
        errand->rv = cache.provider->store(cache.instance, errand->s, errand->id, MCP_SEAL_ID_BYTES, errand->until,
                                           errand->data, errand->len, p);
    }
    else {
        errand->rv = cache.provider->retrieve(cache.instance, errand->s, errand->id, MCP_SEAL_ID_BYTES, errand->data,
                                              &errand->len, p);
    }
}

/* What lies in memory is called at once, with the mutex; what may be behind a network, by threads that may hang. */
static int errand_send(errand_t *errand, apr_pool_t *p)
{
    if (!cache.mutex) {
        return mcp_courier_run(&errand->job, WAIT);
    }
    errand->job.refs = 1;
    if (apr_global_mutex_lock(cache.mutex) != APR_SUCCESS) {
        return 0;
    }
    errand_run(&errand->job, p);
    apr_global_mutex_unlock(cache.mutex);
    return 1;
}

static errand_t *errand_make(const unsigned char *id, apr_size_t len, server_rec *s)
{
    errand_t *errand = len <= sizeof(errand->data) ? malloc(sizeof(*errand)) : NULL;

    if (errand) {
        errand->job.work = errand_run;
        errand->s = s;
        errand->len = (unsigned int)len;
        memcpy(errand->id, id, MCP_SEAL_ID_BYTES);
    }
    return errand;
}

int mcp_socache_get(unsigned char *data, apr_size_t *plen, const unsigned char id[MCP_SEAL_ID_BYTES], server_rec *s,
                    apr_pool_t *p)
{
    apr_time_t began;
    errand_t *errand;
    int done, found = 0;

    if (!begin(&began) || !(errand = errand_make(id, *plen, s))) {
        return 0;
    }
    errand->is_store = 0;
    done = errand_send(errand, p);
    if (done && errand->rv == APR_SUCCESS && errand->len <= *plen) {
        memcpy(data, errand->data, errand->len);
        *plen = errand->len;
        found = 1;
    }
    end(began, !done || (errand->rv != APR_SUCCESS && !APR_STATUS_IS_NOTFOUND(errand->rv)),
        done ? errand->rv : APR_TIMEUP, s);
    mcp_courier_release(&errand->job);
    return found;
}

/* To a provider, "not found" is also that there is no cache server: of a value to be kept it can be nothing else. */
void mcp_socache_put(const unsigned char *data, apr_size_t len, const unsigned char id[MCP_SEAL_ID_BYTES],
                     apr_time_t until, server_rec *s, apr_pool_t *p)
{
    apr_time_t began;
    errand_t *errand;
    int done;

    if (until - apr_time_now() < APR_USEC_PER_SEC || !begin(&began) || !(errand = errand_make(id, len, s))) {
        return; /* some providers count in seconds */
    }
    errand->is_store = 1;
    errand->until = until;
    memcpy(errand->data, data, len);
    done = errand_send(errand, p);
    end(began, !done || errand->rv != APR_SUCCESS, done ? errand->rv : APR_TIMEUP, s);
    mcp_courier_release(&errand->job);
}
