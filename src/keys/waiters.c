#include "keys/waiters.h"

#include <stddef.h>
#include <string.h>

static int at_least_one(int max)
{
    return max > 1 ? max : 1;
}

apr_size_t mcp_waiters_bytes(int max)
{
    return offsetof(mcp_waiters_t, until) + (apr_size_t)at_least_one(max) * sizeof(apr_time_t);
}

void mcp_waiters_init(mcp_waiters_t *waiters, int max)
{
    memset(waiters, 0, mcp_waiters_bytes(max));
    waiters->max = at_least_one(max);
}

/* Compiler builtins and not APR's atomics, which a thread sanitizer cannot see into. */
static int swap(apr_time_t *word, apr_time_t from, apr_time_t to)
{
    return __atomic_compare_exchange_n(word, &from, to, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

int mcp_waiters_enter(mcp_waiters_t *waiters, apr_time_t now, apr_time_t until)
{
    /* Not everybody begins at the same place: those who come at the same time would all fight for the first one. */
    int i, place = (int)((apr_uint64_t)now % (apr_uint64_t)waiters->max);

    for (i = 0; i < waiters->max; i++) {
        apr_time_t taken = __atomic_load_n(&waiters->until[place], __ATOMIC_RELAXED);
        if (taken <= now && swap(&waiters->until[place], taken, until)) {
            return place;
        }
        place = place + 1 < waiters->max ? place + 1 : 0;
    }
    return -1;
}

void mcp_waiters_leave(mcp_waiters_t *waiters, int place, apr_time_t until)
{
    if (place >= 0 && place < waiters->max) {
        swap(&waiters->until[place], until, 0);
    }
}
