#include "httpd/share.h"

#include <ap_mpm.h>
#include <http_log.h>
#include <util_mutex.h>

#include <apr_shm.h>
#include <apr_strings.h>

#include "base/clock.h"
#include "httpd/issuer.h"

APLOG_USE_MODULE(mcp_oauth);

#define MUTEX_TYPE "mcp-oauth-refresh"
#define RETAINED "mod_mcp_oauth_share"

/* Outlives restarts, and also the module, which may be another release after one. */
typedef struct retained_t {
    apr_pool_t *pool; /* of the memory */
    char layout[32];
    int count;
    mcp_slot_t *slots;
} retained_t;

static struct {
    mcp_waiters_t *waiters;
} shared;

int mcp_share_pre_config(apr_pool_t *pconf)
{
    shared.waiters = NULL;
    return ap_mutex_register(pconf, MUTEX_TYPE, NULL, APR_LOCK_DEFAULT, 0) == APR_SUCCESS ? OK : !OK;
}

mcp_waiters_t *mcp_share_waiters(void)
{
    return shared.waiters;
}

/* Three quarters of the requests that the server can work on at the same time, and never none. */
static int waiters_max(void)
{
    int daemons, threads;

    if (ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &daemons) != APR_SUCCESS || daemons < 1) {
        daemons = 1;
    }
    if (ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads) != APR_SUCCESS || threads < 1) {
        threads = 1;
    }
    return daemons * threads * 3 / 4 > 0 ? daemons * threads * 3 / 4 : 1;
}

static int is_shared(const mcp_issuer_t *issuer)
{
    return issuer->trusted && !issuer->source.file && !issuer->keyless;
}

static int slots_count(void)
{
    int i, n = 0;

    for (i = 0; i < mcp_issuers_count(); i++) {
        n += is_shared(mcp_issuer_at(i));
    }
    return n;
}

static int breakers_count(void)
{
    int i, n = 0;

    for (i = 0; i < mcp_issuers_count(); i++) {
        n += mcp_issuer_at(i)->introspector != NULL;
    }
    return n;
}

static void breakers_place(mcp_breaker_t *breakers)
{
    int i;

    for (i = 0; i < mcp_issuers_count(); i++) {
        if (mcp_issuer_at(i)->introspector) {
            memset(breakers, 0, sizeof(*breakers));
            mcp_issuer_at(i)->breaker = breakers++;
        }
    }
}

/* What an earlier generation knew of the same source. */
static void slot_inherit(const mcp_issuer_t *issuer, const retained_t *retained, apr_pool_t *ptemp)
{
    mcp_slot_t *slot = issuer->slot;
    int i;

    for (i = 0; i < retained->count; i++) {
        const mcp_slot_t *old = &retained->slots[i];
        mcp_keyrecord_t record;
        char *text;

        if (!strncmp(old->identity, slot->identity, sizeof(old->identity))) {
            if (mcp_keyshare_read(&record, &text, &old->keys, ptemp)) {
                mcp_refresh_rebound(&record.refresh, &issuer->bounds, mcp_clock_monotonic());
                mcp_keyshare_publish(&slot->keys, &record, text);
            }
            slot->demand = old->demand;
            /* What runs is for the children of before. */
            mcp_demand_abandoned(&slot->demand, mcp_clock_monotonic(), issuer->cooldown);
            return;
        }
    }
}

/* Such a semaphore stays taken when its holder is killed: nobody would fetch any more. */
static int election_bad(const mcp_issuer_t *issuer, server_rec *s)
{
    if (apr_proc_mutex_mech(issuer->election) != APR_LOCK_POSIXSEM) {
        return 0;
    }
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, s,
                 "MCP0959: Mutex posixsem outlasts a child that is killed, and nobody would fetch keys any more; write "
                 "Mutex default " MUTEX_TYPE);
    return 1;
}

static apr_status_t slots_make(retained_t *retained, mcp_slot_t *slots, server_rec *s, apr_pool_t *pconf,
                               apr_pool_t *ptemp)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; i < mcp_issuers_count() && rv == APR_SUCCESS; i++) {
        mcp_issuer_t *issuer = mcp_issuer_at(i);

        if (!is_shared(issuer)) {
            continue;
        }
        issuer->slot = slots++;
        apr_cpystrn(issuer->slot->identity, issuer->identity, sizeof(issuer->slot->identity));
        rv = mcp_demand_init(&issuer->slot->demand);
        slot_inherit(issuer, retained, ptemp);
        if (rv == APR_SUCCESS) {
            rv = ap_proc_mutex_create(&issuer->election, NULL, MUTEX_TYPE, apr_itoa(pconf, i), s, pconf, 0);
        }
    }
    return rv;
}

/* Waiters, breakers, then the slots, each as well aligned as anything. */
static apr_size_t waiters_bytes(int max)
{
    return APR_ALIGN(mcp_waiters_bytes(max), 64);
}

static apr_size_t head_bytes(int max, int breakers)
{
    return waiters_bytes(max) + APR_ALIGN(breakers * sizeof(mcp_breaker_t), 64);
}

static apr_status_t share_make(retained_t *retained, server_rec *s, apr_pool_t *pconf)
{
    int count = slots_count(), max = waiters_max(), breakers = breakers_count();
    apr_size_t head = head_bytes(max, breakers);
    apr_pool_t *pool, *ptemp;
    mcp_slot_t *slots = NULL;
    apr_status_t rv = APR_SUCCESS;
    apr_shm_t *shm;

    /* Not pconf: that is cleared before the next configuration can take over what is in here. */
    apr_pool_create(&pool, s->process->pool);
    apr_pool_tag(pool, "mcp_oauth_share");
    apr_pool_create(&ptemp, pool);
    if (count + breakers && (rv = apr_shm_create(&shm, head + count * sizeof(mcp_slot_t), NULL, pool)) == APR_SUCCESS) {
        shared.waiters = apr_shm_baseaddr_get(shm);
        mcp_waiters_init(shared.waiters, max);
        breakers_place((mcp_breaker_t *)((char *)shared.waiters + waiters_bytes(max)));
        slots = (mcp_slot_t *)((char *)shared.waiters + head);
        rv = slots_make(retained, slots, s, pconf, ptemp);
    }
    apr_pool_destroy(ptemp);
    if (rv != APR_SUCCESS) {
        apr_pool_destroy(pool);
        return rv;
    }
    if (retained->pool) {
        apr_pool_destroy(retained->pool); /* the parent lets go of it; children of before keep their own mapping */
    }
    retained->pool = pool;
    retained->slots = slots;
    retained->count = count;
    return APR_SUCCESS;
}

int mcp_share_post_config(apr_pool_t *pconf, server_rec *s)
{
    const char *layout = apr_psprintf(pconf, "%s %lu", MCP_VERSION, (unsigned long)sizeof(mcp_slot_t));
    retained_t *retained = ap_retained_data_get(RETAINED);
    apr_status_t rv;
    int i;

    if (!retained) {
        retained = ap_retained_data_create(RETAINED, sizeof(*retained));
    }
    if (strcmp(retained->layout, layout)) {
        retained->count = 0; /* of another release: not to be read */
        apr_cpystrn(retained->layout, layout, sizeof(retained->layout));
    }
    rv = share_make(retained, s, pconf);
    if (rv != APR_SUCCESS) {
        ap_log_error(
            APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, rv, s,
            "MCP0960: the memory or the mutexes that the processes share cannot be made; raise the system's limits, or "
            "choose another mechanism with Mutex ... " MUTEX_TYPE);
        return !OK;
    }
    for (i = 0; i < mcp_issuers_count(); i++) {
        if (mcp_issuer_at(i)->slot && election_bad(mcp_issuer_at(i), s)) {
            return !OK;
        }
    }
    return OK;
}

void mcp_share_start(const server_rec *s, apr_pool_t *p)
{
    apr_status_t rv;
    int i;

    for (i = 0; i < mcp_issuers_count(); i++) {
        mcp_issuer_t *issuer = mcp_issuer_at(i);

        if (!issuer->slot) {
            continue;
        }
        rv = apr_proc_mutex_child_init(&issuer->election, apr_proc_mutex_lockfile(issuer->election), p);
        if (rv != APR_SUCCESS) {
            issuer->election = NULL;
            ap_log_error(APLOG_MARK, APLOG_WARNING, rv, s,
                         "MCP0321: issuer %s: the mutex " MUTEX_TYPE " cannot be opened, this process leaves fetching "
                         "keys to others",
                         issuer->conf->name);
        }
    }
}
