#include "httpd/counters.h"

#include <ap_mpm.h>
#include <http_log.h>

#include <apr_shm.h>
#include <apr_strings.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "httpd/issuer.h"
#include "httpd/metadata.h"

APLOG_USE_MODULE(mcp_oauth);

#define RETAINED "mod_mcp_oauth_counters"
#define LINE 64 /* bytes, of a processor's cache */
#define STRIPES_MAX 1024
#define SHADOW_ROWS 512
#define USAGE_ROWS 1024
#define OTHER "other"

/* Outlives restarts, and also the module, which may be another release after one. */
typedef struct retained_t {
    apr_pool_t *pool;   /* of the memory */
    const char *layout; /* what the numbers in it stand for */
    char *memory;
} retained_t;

/* Made by the parent, before children. */
static struct {
    apr_array_header_t *resources; /* const char * */
    mcp_meter_t *meter;
    mcp_tally_t *shadow, *usage;
    mcp_stripe_t *stripe; /* of this child */
} counters;

void mcp_counters_reset(void)
{
    memset(&counters, 0, sizeof(counters));
}

int mcp_counters_alive(pid_t pid)
{
    return kill(pid, 0) == 0 || errno == EPERM;
}

/* One for each process, and for those of before that still end their streams. */
static int stripes_count(void)
{
    int daemons;

    if (ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &daemons) != APR_SUCCESS || daemons < 1) {
        daemons = 1;
    }
    return daemons < STRIPES_MAX / 2 ? 2 * daemons + 1 : STRIPES_MAX;
}

static int introspectors_count(void)
{
    int i, n = 0;

    for (i = 0; i < mcp_issuers_count(); i++) {
        n += mcp_issuer_at(i)->introspector != NULL;
    }
    return n;
}

/* Meter, rows of Shadow, rows of usage, calls: each as well aligned as anything. */
static apr_size_t memory_bytes(int stripes)
{
    return APR_ALIGN(mcp_meter_bytes(stripes, counters.resources->nelts), LINE) +
           APR_ALIGN(mcp_tally_bytes(SHADOW_ROWS), LINE) + APR_ALIGN(mcp_tally_bytes(USAGE_ROWS), LINE) +
           introspectors_count() * APR_ALIGN(sizeof(mcp_calls_t), LINE);
}

/* By which memory of another configuration is told from this one's. */
static const char *layout_make(int stripes, apr_pool_t *p)
{
    const char *layout = apr_psprintf(p, "%s %d %lu %s", MCP_VERSION, stripes, (unsigned long)memory_bytes(stripes),
                                      apr_array_pstrcat(p, counters.resources, ' '));
    int i;

    for (i = 0; i < mcp_issuers_count(); i++) {
        if (mcp_issuer_at(i)->introspector) {
            layout = apr_pstrcat(p, layout, " ", mcp_issuer_at(i)->conf->name, NULL);
        }
    }
    return layout;
}

static void memory_place(char *at, int stripes, int is_new)
{
    int i;

    counters.meter = (mcp_meter_t *)at;
    at += APR_ALIGN(mcp_meter_bytes(stripes, counters.resources->nelts), LINE);
    counters.shadow = (mcp_tally_t *)at;
    at += APR_ALIGN(mcp_tally_bytes(SHADOW_ROWS), LINE);
    counters.usage = (mcp_tally_t *)at;
    at += APR_ALIGN(mcp_tally_bytes(USAGE_ROWS), LINE);
    for (i = 0; i < mcp_issuers_count(); i++) {
        if (mcp_issuer_at(i)->introspector) {
            mcp_issuer_at(i)->calls = (mcp_calls_t *)at;
            at += APR_ALIGN(sizeof(mcp_calls_t), LINE);
        }
    }
    if (is_new) {
        mcp_meter_init(counters.meter, stripes, counters.resources->nelts, apr_time_now());
        mcp_tally_init(counters.shadow, SHADOW_ROWS);
        mcp_tally_init(counters.usage, USAGE_ROWS);
    }
}

static apr_status_t memory_make(retained_t *retained, const char *layout, int stripes, server_rec *s)
{
    apr_size_t bytes = memory_bytes(stripes);
    apr_pool_t *pool;
    apr_shm_t *shm;
    apr_status_t rv;

    apr_pool_create(&pool, s->process->pool); /* not pconf: the next configuration may go on with it */
    apr_pool_tag(pool, "mcp_oauth_counters");
    if ((rv = apr_shm_create(&shm, bytes + LINE, NULL, pool)) != APR_SUCCESS) {
        apr_pool_destroy(pool);
        return rv;
    }
    if (retained->pool) {
        apr_pool_destroy(retained->pool); /* the parent lets go of it; children of before keep their own mapping */
    }
    retained->pool = pool;
    retained->layout = apr_pstrdup(pool, layout);
    retained->memory = (char *)APR_ALIGN((apr_uintptr_t)apr_shm_baseaddr_get(shm), LINE);
    return APR_SUCCESS;
}

int mcp_counters_post_config(apr_pool_t *pconf, server_rec *s)
{
    retained_t *retained = ap_retained_data_get(RETAINED);
    int stripes = stripes_count(), is_new;
    const char *layout;
    apr_status_t rv;

    counters.resources = mcp_documents_resources(pconf);
    APR_ARRAY_PUSH(counters.resources, const char *) = OTHER;
    layout = layout_make(stripes, pconf);
    if (!retained) {
        retained = ap_retained_data_create(RETAINED, sizeof(*retained));
    }
    is_new = !retained->pool || strcmp(retained->layout, layout);
    if (is_new && (rv = memory_make(retained, layout, stripes, s)) != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, rv, s,
                     "MCP0967: the memory for counters and rate limits cannot be made; raise the system's limits");
        return !OK;
    }
    memory_place(retained->memory, stripes, is_new);
    return OK;
}

void mcp_counters_start(void)
{
    counters.stripe = counters.meter ? mcp_meter_join(counters.meter, getpid(), mcp_counters_alive) : NULL;
}

int mcp_counters_index(const char *resource)
{
    int i, last = counters.resources ? counters.resources->nelts - 1 : 0;

    for (i = 0; i < last; i++) {
        if (!strcmp(APR_ARRAY_IDX(counters.resources, i, const char *), resource)) {
            break;
        }
    }
    return i;
}

/* Also at another protected location that httpd was led to, such as one with an error document. */
static int is_counted(const request_rec *r)
{
    const mcp_request_t *request = NULL;

    for (r = r->prev; r && !(request && request->counted); r = r->prev) {
        request = mcp_request_of(r);
    }
    return request && request->counted;
}

/* mod_rewrite leads it elsewhere next: what is said there is the verdict. */
static int is_passing(const request_rec *r, const mcp_request_t *request)
{
    return request->status == MCP_OK && r->handler && !strcmp(r->handler, "redirect-handler");
}

/* What the rules in Shadow would have refused, and which values it needs. */
static void shadow_count(const request_rec *r, const mcp_request_t *request)
{
    const char *method = mcp_request_method(request), *object = mcp_request_object(request);
    const char *labels[] = {
        request->location->resource,
        apr_pstrcat(r->pool, method ? method : r->method, object ? ":" : NULL, object, NULL),
        request->needed ? apr_array_pstrcat(r->pool, request->needed, ' ') : NULL,
    };

    mcp_tally_count(counters.shadow, labels, 3, 0, apr_time_now());
}

/* A sub-request is part of a request that is counted, or of one that is not ours. */
void mcp_counters_request(const request_rec *r, mcp_request_t *request)
{
    if (is_passing(r, request)) {
        return;
    }
    if (counters.stripe && !request->counted && !r->main && !is_counted(r)) {
        mcp_stripe_request(counters.stripe, request->location->counter,
                           mcp_request_shadowed(request) ? MCP_METER_SHADOW : (int)request->status);
        if (mcp_request_shadowed(request)) {
            shadow_count(r, request);
        }
    }
    request->counted = 1;
}

void mcp_counters_lookup(int hit)
{
    if (counters.stripe) {
        mcp_stripe_lookup(counters.stripe, hit);
    }
}

void mcp_counters_cache(apr_uint64_t entries, apr_uint64_t bytes)
{
    if (counters.stripe) {
        mcp_stripe_cache(counters.stripe, entries, bytes);
    }
}

void mcp_counters_usage(const mcp_request_t *request, const mcp_limit_t *limit, int limited)
{
    const mcp_grant_t *grant = request->grant;
    const char *labels[] = {
        request->location->resource, grant->iss, grant->sub, grant->client, limit->operation, limit->text
    };

    mcp_tally_count(counters.usage, labels, 6, limited, apr_time_now());
}

const mcp_meter_t *mcp_counters_meter(void)
{
    return counters.meter;
}

const mcp_tally_t *mcp_counters_shadow_rows(void)
{
    return counters.shadow;
}

const mcp_tally_t *mcp_counters_usage_rows(void)
{
    return counters.usage;
}

const apr_array_header_t *mcp_counters_resources(void)
{
    return counters.resources;
}
