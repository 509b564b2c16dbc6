/* A circuit breaker for calls to one server: after failures in a row nobody calls for a while, then one call tries. In
 * memory that processes share: plain data, zero at first, changed by atomic operations alone. Times are microseconds of
 * the monotonic clock. */
#ifndef MCP_BREAKER_H
#define MCP_BREAKER_H

#include <apr_time.h>

#define MCP_BREAKER_FAILURES 3 /* in a row that open it */

typedef struct mcp_breaker_t {
    apr_time_t open_until; /* 0: closed */
    apr_time_t trial;      /* until when the one call that tries may take; 0: none does */
    apr_uint32_t failures; /* in a row */
    apr_time_t well;       /* when a call last had an answer; 0: never */
} mcp_breaker_t;

/* May a call begin now? While it is open, no; when the time is over, one caller gets 1 and the others 0 until that call
 * ends, or has taken longer than limit microseconds (its process was killed). */
int mcp_breaker_allows(mcp_breaker_t *breaker, apr_time_t now, apr_interval_time_t limit);

/* The call had an answer: closed, also by one that began before it opened. Returns 1 when it was not before. */
int mcp_breaker_succeeded(mcp_breaker_t *breaker, apr_time_t now);

/* It had an answer that says nothing about others: closed, if this was the call that tries, and nothing else. */
void mcp_breaker_passed(mcp_breaker_t *breaker);

/* When a call last had an answer; 0: never. */
apr_time_t mcp_breaker_well(const mcp_breaker_t *breaker);

/* It had none. MCP_BREAKER_FAILURES in a row open it for 1 s, doubling with each call that tries in vain up to 30 s;
 * retry_after (0 or less: nothing said) opens it at once for that long, 60 s at most, and a call that tries in vain
 * after that doubles as well. Calls that began before it opened and fail afterwards change nothing while no call tries,
 * as they say nothing new; while one does, the first failure counts as its own, once. Only a retry_after beyond the
 * time it is open until counts from them. Returns 1 when this failure opened it (from closed). */
int mcp_breaker_failed(mcp_breaker_t *breaker, apr_time_t now, apr_interval_time_t retry_after);

/* When a call may begin again: now or earlier if it may at once. While a call tries, when that has taken too long. */
apr_time_t mcp_breaker_until(const mcp_breaker_t *breaker);

#endif
