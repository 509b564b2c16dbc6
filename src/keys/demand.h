/* Fetches on demand for keys nobody knows: who may cause one, who waits for it and how long. One per issuer, in memory that
 * all processes share; plain data, changed by atomic operations alone, so that a killed process leaves nothing locked.
 * All times are microseconds of the monotonic clock, which is one for all processes. */
#ifndef MCP_DEMAND_H
#define MCP_DEMAND_H

#include <apr_time.h>

#define MCP_DEMAND_WAIT apr_time_from_sec(2) /* the longest anybody waits for one fetch, from its beginning */
#define MCP_DEMAND_MISSES 1024               /* kids remembered as unknown; a power of two */

typedef struct mcp_demand_t {
    unsigned char secret[16];               /* so that nobody can choose a kid that stands for another one */
    apr_time_t asked;                       /* when the fetch was asked for that has not begun yet; 0: none */
    apr_time_t began;                       /* when the fetch that runs began; 0: none runs */
    apr_time_t cool_until;                  /* no fetch is asked for before */
    apr_uint32_t rounds;                    /* fetches that have ended */
    apr_uint32_t answers;                   /* of these, with a good answer */
    apr_uint64_t misses[MCP_DEMAND_MISSES]; /* see demand.c */
} mcp_demand_t;

/* Nothing asked, nothing remembered. APR's error if there is no randomness. */
apr_status_t mcp_demand_init(mcp_demand_t *demand);

/* A token names a kid (NUL-terminated) that the current set does not have. Returns 1 and in *puntil the time until which the
 * request may wait for a fetch that could bring it: one that runs or has been asked for, else one that is asked for now.
 * Returns 0 when nothing can be hoped for: that fetch is late by MCP_DEMAND_WAIT, the cool-down is not over, or the kid
 * is remembered as unknown. */
int mcp_demand_ask(mcp_demand_t *demand, const char *kid, apr_time_t now, apr_time_t *puntil);

/* A good answer that came while a request waited does not have kid either. It is remembered for cooldown: not longer, for
 * whoever makes up the name of a key to come must not keep it out. Bounded: a newer kid may take the place of an older. */
void mcp_demand_missed(mcp_demand_t *demand, const char *kid, apr_time_t now, apr_interval_time_t cooldown);

/* For the one who fetches. Is a fetch asked for? It begins (which starts the cool-down if it was asked for, and returns
 * whether it was); it has ended, with a good answer or without. */
int mcp_demand_pending(const mcp_demand_t *demand);
int mcp_demand_began(mcp_demand_t *demand, apr_time_t now, apr_interval_time_t cooldown);
void mcp_demand_ended(mcp_demand_t *demand, int good);

/* The fetch that runs, if there is one, will have no outcome: its fetcher stops, or was killed as a new one finds. It has
 * ended; if it was asked for, it is asked for once more, without a cool-down. cooldown: as it began with. */
void mcp_demand_abandoned(mcp_demand_t *demand, apr_time_t now, apr_interval_time_t cooldown);

/* When the fetch that runs began; 0: none runs. */
apr_time_t mcp_demand_since(const mcp_demand_t *demand);

/* Counts the fetches that have ended, and those with a good answer. */
apr_uint32_t mcp_demand_rounds(const mcp_demand_t *demand);
apr_uint32_t mcp_demand_answers(const mcp_demand_t *demand);

#endif
