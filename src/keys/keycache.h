/* The current key set of one issuer in one process: swapped by the refresher, taken by requests without waiting. */
#ifndef MCP_KEYCACHE_H
#define MCP_KEYCACHE_H

#include <apr_pools.h>
#include <apr_time.h>

#include "keys/keyset.h"

typedef struct mcp_keycache_t mcp_keycache_t;

/* An empty cache; it lives in p, and its last set is released by cleanup of p. APR's error if a lock cannot be made. */
apr_status_t mcp_keycache_create(mcp_keycache_t **pcache, apr_pool_t *p);

/* The set may be used until that time of mcp_clock_monotonic; afterwards it is as if there were none, until this is called
 * with a later one. Until the first call there is no limit. */
void mcp_keycache_limit(mcp_keycache_t *cache, apr_time_t until);

/* Takes a reference on the current set; the caller releases it. NULL when there is none, or it may not be used any more.
 * Threads may call at the same time. */
mcp_keyset_t *mcp_keycache_get(mcp_keycache_t *cache);

/* Makes set the current one (its reference is taken over; NULL empties the cache). The generation grows unless the old set
 * was made of the same bytes; then the old one is kept and set is released. */
void mcp_keycache_put(mcp_keycache_t *cache, mcp_keyset_t *set);

/* Counts the changes of the set; 0 before the first, and while the set may not be used. What was verified under another
 * generation must be verified again. Two atomic loads and a look at the clock. */
apr_uint32_t mcp_keycache_generation(mcp_keycache_t *cache);

#endif
