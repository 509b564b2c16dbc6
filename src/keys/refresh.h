/* When to fetch a key set again: a pure function of times and events, no clock and no randomness of its own.
 * All times are microseconds of one monotonic clock; random is a number in [0, 1). */
#ifndef MCP_REFRESH_H
#define MCP_REFRESH_H

#include <apr_time.h>

typedef enum {
    MCP_REFRESH_EMPTY,  /* never had a set; due at once, then with back-off */
    MCP_REFRESH_FRESH,  /* has a set that is not due yet */
    MCP_REFRESH_DUE,    /* has a set that should be fetched again now; no failure since it was loaded */
    MCP_REFRESH_STALE,  /* refreshing fails, the last good set still serves */
    MCP_REFRESH_EXPIRED /* refreshing fails, or has had no outcome for a minute, and max_stale is over: not to be used */
} mcp_refresh_state_t;

typedef struct mcp_refresh_conf_t {
    apr_interval_time_t min, max;  /* bounds of the interval after a success */
    apr_interval_time_t max_stale; /* how long a set serves after it should have been refreshed; 0: not at all */
} mcp_refresh_conf_t;

/* Plain data: it lies in memory that processes share. */
typedef struct mcp_refresh_t {
    int loaded;            /* is there a set */
    int failures;          /* in a row since the last success */
    apr_time_t loaded_at;  /* last success */
    apr_time_t refresh_at; /* when that set should be refreshed */
    apr_time_t next_try;   /* when to fetch next */
} mcp_refresh_t;

/* No set yet, due immediately. */
void mcp_refresh_init(mcp_refresh_t *refresh, apr_time_t now);

/* A set of an earlier run is there, loaded at loaded_at (which may be negative: before the clock began); a fetch is due
 * immediately. */
void mcp_refresh_restored(mcp_refresh_t *refresh, apr_time_t loaded_at, apr_time_t refresh_at, apr_time_t now);

/* The state comes from a run with other bounds: what they allow no more is brought forward. */
void mcp_refresh_rebound(mcp_refresh_t *refresh, const mcp_refresh_conf_t *conf, apr_time_t now);

mcp_refresh_state_t mcp_refresh_state(const mcp_refresh_t *refresh, const mcp_refresh_conf_t *conf, apr_time_t now);
int mcp_refresh_due(const mcp_refresh_t *refresh, apr_time_t now); /* fetch now? */
/* Until when may tokens be verified with the set, if no outcome changes that? INT64_MIN without one. */
apr_time_t mcp_refresh_usable_until(const mcp_refresh_t *refresh, const mcp_refresh_conf_t *conf);
/* Has a set been due for a minute without any outcome? Then nobody fetches. */
int mcp_refresh_silent(const mcp_refresh_t *refresh, apr_time_t now);
const char *mcp_refresh_name(mcp_refresh_state_t state); /* for logs: "fresh" … */

/* A good set came, or word that it is unchanged. lifetime: what the answer's caching headers allow (mcp_refresh_lifetime),
 * -1 for nothing said. The next fetch is at lifetime held within min and max, max without a lifetime, earlier by up to a
 * tenth at random so that servers do not fetch in step (never below min). */
void mcp_refresh_succeeded(mcp_refresh_t *refresh, const mcp_refresh_conf_t *conf, apr_interval_time_t lifetime,
                           apr_time_t now, double random);

/* No good set came. Next try after 1 s, doubling with each failure in a row up to min (to 3 s at most while no set is
 * usable, for then nothing can be answered), give or take a fifth at random, and once more at the moment when a stale set
 * expires if that comes first; the last good set and refresh_at stay as they are. */
void mcp_refresh_failed(mcp_refresh_t *refresh, const mcp_refresh_conf_t *conf, apr_time_t now, double random);

/* Freshness lifetime of an answer (RFC 9111 section 4.2.1) in microseconds, from its Cache-Control, Expires and Date
 * (each may be NULL): no-store, no-cache and max-age=0 give 0; max-age wins over Expires; Expires counts from Date, or
 * from wall when Date is missing or bad; an Expires that is no date is past (section 5.3) and gives 0; a malformed
 * max-age is no max-age; nothing said: -1. wall: the wall clock now. s-maxage is for shared caches
 * and ignored. */
apr_interval_time_t mcp_refresh_lifetime(const char *cache_control, const char *expires, const char *date,
                                         apr_time_t wall);

#endif
