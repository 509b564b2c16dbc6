#include "httpd/await.h"

#include "base/clock.h"
#include "httpd/issuer.h"

/* Places of the dead are free again this long after their time. */
#define SLACK apr_time_from_msec(100)

typedef enum { HOPELESS, NEWS, TIMED_OUT, CROWDED } outcome_t;

/* Is there something newer than what the verdict came from: another child has published, and this one follows within a
 * tick, or it has followed since? */
static int is_outdated(const mcp_issuer_t *issuer, const mcp_token_lack_t *lack)
{
    return mcp_keyshare_serial(&issuer->slot->keys) != __atomic_load_n(&issuer->serial, __ATOMIC_ACQUIRE) ||
           mcp_keycache_news(issuer->keys) != lack->news;
}

/* Until when is it worth waiting? 0: not at all. */
static apr_time_t hope(mcp_issuer_t *issuer, const mcp_token_lack_t *lack, apr_time_t now, apr_time_t deadline)
{
    apr_time_t until = deadline;

    if (!issuer || !issuer->slot) {
        return 0; /* a key file is not fetched */
    }
    if (is_outdated(issuer, lack)) {
        return deadline;
    }
    if (lack->kid && mcp_demand_ask(&issuer->slot->demand, lack->kid, now, &until)) {
        return until < deadline ? until : deadline;
    }
    /* Without any set: what is gone again has expired, and the refresher is at it. */
    if (!lack->kid && !__atomic_load_n(&issuer->had_keys, __ATOMIC_ACQUIRE)) {
        return deadline;
    }
    return is_outdated(issuer, lack) ? deadline : 0; /* a whole fetch may have come and gone in between */
}

static outcome_t await(mcp_issuer_t *issuer, const mcp_token_lack_t *lack, apr_time_t deadline)
{
    apr_time_t now = mcp_clock_monotonic(), until = hope(issuer, lack, now, deadline), taken = until + SLACK;
    int place, news;

    if (until <= now) {
        return HOPELESS;
    }
    place = mcp_waiters_enter(mcp_share_waiters(), now, taken);
    if (place < 0) {
        return CROWDED;
    }
    news = mcp_keycache_await(issuer->keys, lack->news, until);
    mcp_waiters_leave(mcp_share_waiters(), place, taken);
    return news ? NEWS : TIMED_OUT;
}

mcp_status_t mcp_await_verify(mcp_token_t **ptoken, request_rec *r, mcp_request_t *request, const char *token,
                              apr_size_t len)
{
    apr_time_t deadline = 0;
    mcp_issuer_t *issuer;
    mcp_token_lack_t lack;
    mcp_status_t status;
    outcome_t outcome;
    int waited = 0;

    for (;;) {
        status = mcp_token_verify(ptoken, &lack, token, len, request->location->policy.trusts, apr_time_now(), r->pool);
        if (!lack.trust) {
            return status;
        }
        issuer = mcp_issuer_find(r->server, lack.trust->issuer);
        deadline = deadline ? deadline : mcp_clock_monotonic() + MCP_DEMAND_WAIT;
        outcome = await(issuer, &lack, deadline);
        waited |= outcome == NEWS || outcome == TIMED_OUT;
        if (outcome != NEWS) {
            break;
        }
    }
    if (outcome == CROWDED) {
        request->crowded = 1;
        return MCP_KEYS_UNAVAILABLE;
    }
    if (waited && lack.kid) {
        mcp_demand_missed(&issuer->slot->demand, lack.kid, mcp_clock_monotonic(), issuer->cooldown, issuer->bounds.min);
    }
    return status;
}
