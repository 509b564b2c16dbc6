#include "net/breaker.h"

#define SECOND ((apr_interval_time_t)1000000)
#define PAUSE_MAX (30 * SECOND)
#define RETRY_MAX (60 * SECOND)
#define FAILURES_MAX (MCP_BREAKER_FAILURES + 5) /* from then on the pause is the longest */
#define TIME_MAX ((apr_time_t)0x7fffffffffffffff)

static apr_time_t get(const apr_time_t *word)
{
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static int change(apr_time_t *word, apr_time_t from, apr_time_t to)
{
    return __atomic_compare_exchange_n(word, &from, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static int count(apr_uint32_t *word, apr_uint32_t from, apr_uint32_t to)
{
    return __atomic_compare_exchange_n(word, &from, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static apr_time_t later(apr_time_t now, apr_interval_time_t span)
{
    return now > TIME_MAX - span ? TIME_MAX : now + span;
}

static apr_interval_time_t pause_after(apr_uint32_t failures)
{
    apr_interval_time_t pause = SECOND;

    for (; failures > MCP_BREAKER_FAILURES && pause < PAUSE_MAX; failures--) {
        pause *= 2;
    }
    return pause < PAUSE_MAX ? pause : PAUSE_MAX;
}

int mcp_breaker_allows(mcp_breaker_t *breaker, apr_time_t now, apr_interval_time_t limit)
{
    apr_time_t open = get(&breaker->open_until), trial = get(&breaker->trial), mine = later(now, limit > 0 ? limit : 1);

    if (!open) {
        return 1;
    }
    if (now < open || now < trial || !change(&breaker->trial, trial, mine)) {
        return 0;
    }
    /* A trial may have ended between the looks at the two words. */
    if (get(&breaker->open_until) == open) {
        return 1;
    }
    change(&breaker->trial, mine, 0);
    return !get(&breaker->open_until);
}

apr_time_t mcp_breaker_well(const mcp_breaker_t *breaker)
{
    return get(&breaker->well);
}

int mcp_breaker_succeeded(mcp_breaker_t *breaker, apr_time_t now)
{
    if (get(&breaker->well) + SECOND < now) { /* no more often than it is of use */
        __atomic_store_n(&breaker->well, now, __ATOMIC_SEQ_CST);
    }
    /* Almost always there is nothing to change, and a write would take the line from all other processors. */
    if (__atomic_load_n(&breaker->failures, __ATOMIC_SEQ_CST)) {
        __atomic_store_n(&breaker->failures, 0, __ATOMIC_SEQ_CST);
    }
    if (!get(&breaker->open_until) || !__atomic_exchange_n(&breaker->open_until, 0, __ATOMIC_SEQ_CST)) {
        return 0;
    }
    __atomic_store_n(&breaker->trial, 0, __ATOMIC_SEQ_CST);
    return 1;
}

void mcp_breaker_passed(mcp_breaker_t *breaker)
{
    if (get(&breaker->trial)) {
        __atomic_store_n(&breaker->failures, 0, __ATOMIC_SEQ_CST);
        __atomic_store_n(&breaker->open_until, 0, __ATOMIC_SEQ_CST);
        __atomic_store_n(&breaker->trial, 0, __ATOMIC_SEQ_CST);
    }
}

/* Counts up to MCP_BREAKER_FAILURES, or goes there at once. Returns 1 when it is there. */
static int is_enough(mcp_breaker_t *breaker, int at_once)
{
    apr_uint32_t failures, next;

    do {
        failures = __atomic_load_n(&breaker->failures, __ATOMIC_SEQ_CST);
        next = at_once ? MCP_BREAKER_FAILURES : failures + 1;
    } while (failures < MCP_BREAKER_FAILURES && !count(&breaker->failures, failures, next));
    return failures >= MCP_BREAKER_FAILURES || next == MCP_BREAKER_FAILURES;
}

/* open: until when it is. The word open_until decides which of several failures at once is the one that counts. */
static void failed_open(mcp_breaker_t *breaker, apr_time_t open, apr_time_t now, apr_interval_time_t retry_after)
{
    apr_time_t trial = get(&breaker->trial), until;
    apr_uint32_t failures = __atomic_load_n(&breaker->failures, __ATOMIC_SEQ_CST), next = failures;
    int tried = trial && now >= open;

    if (!open || (!tried && !retry_after)) {
        return;
    }
    next += tried && failures < FAILURES_MAX;
    until = later(now, retry_after ? retry_after : pause_after(next));
    if (until > open && change(&breaker->open_until, open, until) && tried) {
        count(&breaker->failures, failures, next);
        change(&breaker->trial, trial, 0);
    }
}

int mcp_breaker_failed(mcp_breaker_t *breaker, apr_time_t now, apr_interval_time_t retry_after)
{
    apr_time_t open = get(&breaker->open_until);

    retry_after = retry_after < 0 ? 0 : retry_after < RETRY_MAX ? retry_after : RETRY_MAX;
    if (!open) {
        if (!is_enough(breaker, retry_after != 0)) {
            return 0;
        }
        if (change(&breaker->open_until, 0, later(now, retry_after ? retry_after : SECOND))) {
            return 1;
        }
        open = get(&breaker->open_until);
    }
    failed_open(breaker, open, now, retry_after);
    return 0;
}

apr_time_t mcp_breaker_until(const mcp_breaker_t *breaker)
{
    apr_time_t open = get(&breaker->open_until), trial = get(&breaker->trial);

    return open && trial > open ? trial : open;
}
