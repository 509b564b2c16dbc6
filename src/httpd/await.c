#include "httpd/await.h"

#include <ap_mpm.h>
#include <scoreboard.h>

#include "base/clock.h"
#include "httpd/issuer.h"
#include "httpd/refresh.h"

/* How often one who waits looks: mutexes and conditions between processes do not outlive one that is killed. */
#define NAP apr_time_from_msec(10)
/* Places of the dead are free again this long after their time. */
#define SLACK apr_time_from_msec(100)

typedef enum { HOPELESS, NEWS, CROWDED } outcome_t;

/* What a verdict came from: nothing newer was published, no fetch had ended. */
typedef struct moment_t {
    apr_uint32_t serial, rounds;
} moment_t;

/* Connections that are kept alive belong to one process, so of its threads, too, some must stay free. */
static struct {
    int max, waiting;
    int generation; /* of children, as the parent counts */
} process;

void mcp_await_start(void)
{
    int threads;

    if (ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads) != APR_SUCCESS || threads < 2) {
        threads = 2; /* the one request of this process may wait */
    }
    process.max = threads - (threads + 7) / 8;
    process.waiting = 0;
    if (ap_mpm_query(AP_MPMQ_GENERATION, &process.generation) != APR_SUCCESS) {
        process.generation = 0;
    }
}

static moment_t moment_now(const mcp_issuer_t *issuer)
{
    /* The number of fetches first: their keys are published before they are counted. */
    apr_uint32_t rounds = mcp_demand_rounds(&issuer->slot->demand);

    return (moment_t){ .serial = mcp_keyshare_serial(&issuer->slot->keys), .rounds = rounds };
}

static int is_news(const mcp_issuer_t *issuer, moment_t seen)
{
    moment_t now = moment_now(issuer);

    return now.serial != seen.serial || now.rounds != seen.rounds;
}

/* Until when is it worth waiting? 0: not at all. */
static apr_time_t hope(mcp_issuer_t *issuer, const mcp_token_lack_t *lack, apr_time_t now, apr_time_t deadline)
{
    apr_time_t until = 0, since;

    if (lack->kid) {
        return mcp_demand_ask(&issuer->slot->demand, lack->kid, now, &until) && until > deadline ? deadline : until;
    }
    /* Without any set the first fetch is worth waiting for. What comes later has failed before, or its set has expired:
     * an issuer that is down must not keep workers busy. */
    if (__atomic_load_n(&issuer->settled, __ATOMIC_ACQUIRE)) {
        return 0;
    }
    since = mcp_demand_since(&issuer->slot->demand);
    return since && since + MCP_DEMAND_WAIT < deadline ? since + MCP_DEMAND_WAIT : deadline;
}

/* After a graceful restart nobody publishes any more what children of before could see. One that ends alone has siblings. */
static int is_of_before(void)
{
    const global_score *global = ap_get_scoreboard_global();

    return global && global->running_generation != process.generation;
}

static outcome_t in_vain(void)
{
    return is_of_before() ? CROWDED : HOPELESS; /* the children of now know more */
}

int mcp_await_enter(mcp_place_t *place, apr_time_t now, apr_time_t until)
{
    place->until = until + SLACK;
    place->index = -1;
    if (__atomic_add_fetch(&process.waiting, 1, __ATOMIC_RELAXED) <= process.max) {
        place->index = mcp_waiters_enter(mcp_share_waiters(), now, place->until);
    }
    if (place->index < 0) {
        __atomic_sub_fetch(&process.waiting, 1, __ATOMIC_RELAXED);
    }
    return place->index >= 0;
}

void mcp_await_leave(const mcp_place_t *place)
{
    mcp_waiters_leave(mcp_share_waiters(), place->index, place->until);
    __atomic_sub_fetch(&process.waiting, 1, __ATOMIC_RELAXED);
}

static outcome_t await(mcp_issuer_t *issuer, const mcp_token_lack_t *lack, moment_t seen, apr_time_t deadline)
{
    apr_time_t now = mcp_clock_monotonic(), until = hope(issuer, lack, now, deadline);
    mcp_place_t place;
    int news;

    if (until <= now) {
        return is_news(issuer, seen) ? NEWS : in_vain(); /* a whole fetch may have come and gone in between */
    }
    if (!mcp_await_enter(&place, now, until)) {
        return CROWDED;
    }
    while (!(news = is_news(issuer, seen)) && mcp_clock_monotonic() < until && !is_of_before()) {
        apr_sleep(NAP);
    }
    mcp_await_leave(&place);
    return news ? NEWS : in_vain();
}

/* Has this process got newer keys than the verdict came from, or does it get them now? */
static int catch_up(mcp_issuer_t *issuer, const mcp_token_lack_t *lack, moment_t seen, apr_pool_t *p)
{
    apr_pool_t *ptemp;

    if (seen.serial != __atomic_load_n(&issuer->serial, __ATOMIC_ACQUIRE)) {
        apr_pool_create(&ptemp, p); /* of its own: the request may become a stream that lives for days */
        mcp_refresh_follow(issuer, ptemp);
        apr_pool_destroy(ptemp);
    }
    return mcp_keycache_generation(issuer->keys) != lack->generation;
}

mcp_status_t mcp_await_verify(mcp_token_t **ptoken, mcp_token_lack_t *lack, request_rec *r, mcp_request_t *request,
                              const char *token, apr_size_t len)
{
    apr_time_t deadline = 0;
    apr_uint32_t answers = 0; /* that there had been when the key was found missing */
    outcome_t outcome = NEWS;
    mcp_issuer_t *issuer;
    mcp_status_t status;

    while (outcome == NEWS) {
        moment_t seen;

        status = mcp_token_verify(ptoken, lack, token, len, request->location->policy.trusts, apr_time_now(), r->pool);
        issuer = lack->trust ? mcp_issuer_find(r->server, lack->trust->issuer) : NULL;
        if (!issuer || !issuer->slot) {
            return status; /* final, or by a key file, which is not fetched, or there is no key source */
        }
        if (!deadline) {
            deadline = mcp_clock_monotonic() + MCP_DEMAND_WAIT;
            answers = mcp_demand_answers(&issuer->slot->demand);
        }
        seen = moment_now(issuer);
        if (!catch_up(issuer, lack, seen, r->pool)) {
            outcome = await(issuer, lack, seen, deadline);
        }
    }
    if (outcome == CROWDED) {
        request->crowded = 1;
        return MCP_KEYS_UNAVAILABLE;
    }
    /* Only a good answer tells that nobody knows the key: while fetches fail it may be there at the next one. */
    if (lack->kid && mcp_demand_answers(&issuer->slot->demand) != answers) {
        mcp_demand_missed(&issuer->slot->demand, lack->kid, mcp_clock_monotonic(), issuer->cooldown);
    }
    return status;
}
