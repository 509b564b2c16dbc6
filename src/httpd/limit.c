#include "httpd/limit.h"

#include <http_log.h>

#include <apr_shm.h>
#include <apr_strings.h>

#include "base/clock.h"
#include "httpd/counters.h"
#include "token/limiter.h"

APLOG_USE_MODULE(mcp_oauth);

#define RETAINED "mod_mcp_oauth_limits " MCP_VERSION
#define GROUPS 65536 /* of eight buckets: half a million users at the same time, in 8 MiB */
#define SALT 16      /* bytes */
#define LINE 64      /* bytes, of a processor's cache */

/* Outlives restarts. */
typedef struct retained_t {
    mcp_limiter_t *limiter;
    char salt[2 * SALT + 1]; /* so that nobody who chooses names can choose whose buckets are beside his */
} retained_t;

static int wanted;                        /* while configuration is read */
static const struct retained_t *retained; /* made by the parent, before children */

void mcp_limit_reset(void)
{
    wanted = 0;
    retained = NULL;
}

void mcp_limit_wanted(void)
{
    wanted = 1;
}

static apr_status_t retained_fill(retained_t *made, apr_pool_t *p)
{
    unsigned char salt[SALT];
    apr_shm_t *shm;
    apr_status_t rv = apr_generate_random_bytes(salt, sizeof(salt));

    if (rv == APR_SUCCESS) {
        ap_bin2hex(salt, sizeof(salt), made->salt);
        rv = apr_shm_create(&shm, mcp_limiter_bytes(GROUPS) + LINE, NULL, p);
    }
    if (rv == APR_SUCCESS) {
        made->limiter = (mcp_limiter_t *)APR_ALIGN((apr_uintptr_t)apr_shm_baseaddr_get(shm), LINE);
        mcp_limiter_init(made->limiter, GROUPS);
    }
    return rv;
}

int mcp_limit_post_config(server_rec *s)
{
    retained_t *made = ap_retained_data_get(RETAINED);
    apr_status_t rv;

    if (!wanted) {
        return OK;
    }
    if (!made) {
        made = ap_retained_data_create(RETAINED, sizeof(*made));
    }
    if (!made->limiter && (rv = retained_fill(made, s->process->pool)) != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, rv, s,
                     "MCP0967: the memory for counters and rate limits cannot be made; raise the system's limits");
        return !OK;
    }
    retained = made;
    return OK;
}

static int is_about(const mcp_request_t *request, const mcp_limit_t *limit, const mcp_operation_t *operation,
                    apr_pool_t *p)
{
    return mcp_acl_check(NULL, limit->acl, &request->location->nobody, operation, 1, p) == MCP_OK;
}

/* What a request costs in this bucket: a batch as many as its messages, all else one. */
static int cost_of(const mcp_request_t *request, const mcp_limit_t *limit, const mcp_operation_t *operations, int count,
                   apr_pool_t *p)
{
    int i, cost = 0;

    for (i = 0; i < count; i++) {
        const mcp_operation_t whole = { MCP_OPERATION_METHOD, operations[i].via, MCP_OBJECT_NONE, NULL, NULL };

        cost +=
            is_about(request, limit, &operations[i], p) || (operations[i].via && is_about(request, limit, &whole, p));
    }
    return cost > 1 && !(request->message && request->message->kind == MCP_MESSAGE_BATCH) ? 1 : cost;
}

static int key_of(apr_uint64_t *key, const mcp_request_t *request, const mcp_limit_t *limit)
{
    const mcp_grant_t *grant = request->grant;
    char rate[64];
    const char *texts[] = { retained->salt, request->location->resource, rate, limit->operation, grant->iss, grant->sub,
                            grant->client };

    apr_snprintf(rate, sizeof(rate), "%d/%" APR_TIME_T_FMT, limit->rate.count, limit->rate.period);
    return mcp_limiter_key(key, texts, sizeof(texts) / sizeof(*texts));
}

/* Puts back what was taken. */
static void give_back(const mcp_request_t *request, const apr_uint64_t *keys, const int *taken)
{
    const apr_array_header_t *limits = request->location->limits;
    int i;

    for (i = 0; i < limits->nelts; i++) {
        if (taken[i]) {
            mcp_limiter_give(retained->limiter, keys[i], &APR_ARRAY_IDX(limits, i, mcp_limit_t).rate, taken[i]);
        }
    }
}

/* Takes from one bucket: 0, or how long it would take until that could be done, in microseconds. */
static apr_interval_time_t take(int *taken, apr_uint64_t key, const mcp_limit_t *limit, int cost, apr_time_t now)
{
    apr_interval_time_t wait = mcp_limiter_take(retained->limiter, key, &limit->rate, cost, now);

    *taken = wait ? 0 : cost;
    return wait < 0 ? limit->rate.period : wait; /* less than 0: more messages than the bucket ever holds */
}

static mcp_status_t refuse(mcp_request_t *request, const mcp_limit_t *limit, apr_interval_time_t wait)
{
    request->retry_after = (int)apr_time_sec(wait + APR_USEC_PER_SEC - 1);
    mcp_counters_usage(request, limit, 1);
    return MCP_RATE_LIMITED;
}

mcp_status_t mcp_limit_check(mcp_request_t *request, const mcp_operation_t *operations, int count, apr_pool_t *p)
{
    const apr_array_header_t *limits = request->location->limits;
    const mcp_limit_t *refusing = NULL;
    apr_time_t now = mcp_clock_monotonic();
    apr_interval_time_t wait, longest = 0;
    apr_uint64_t *keys;
    int i, cost, *taken;

    if (!limits || request->limited) {
        return MCP_OK;
    }
    keys = apr_pcalloc(p, limits->nelts * sizeof(*keys));
    taken = apr_pcalloc(p, limits->nelts * sizeof(*taken));
    for (i = 0; i < limits->nelts; i++) {
        const mcp_limit_t *limit = &APR_ARRAY_IDX(limits, i, mcp_limit_t);

        if (!(cost = cost_of(request, limit, operations, count, p))) {
            continue;
        }
        if (!retained || !key_of(&keys[i], request, limit)) {
            give_back(request, keys, taken);
            return MCP_INTERNAL;
        }
        wait = take(&taken[i], keys[i], limit, cost, now);
        refusing = wait > longest ? limit : refusing;
        longest = wait > longest ? wait : longest;
    }
    if (refusing) {
        give_back(request, keys, taken);
        return refuse(request, refusing, longest);
    }
    for (i = 0; i < limits->nelts; i++) {
        if (taken[i]) {
            mcp_counters_usage(request, &APR_ARRAY_IDX(limits, i, mcp_limit_t), 0);
        }
    }
    request->limited = 1;
    return MCP_OK;
}
