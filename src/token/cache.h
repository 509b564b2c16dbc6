/* Verdicts on tokens that were good, per process: bounded, least recently used out first, never trusted beyond their time. */
#ifndef MCP_CACHE_H
#define MCP_CACHE_H

#include <apr_pools.h>
#include <apr_time.h>

#include "base/status.h"
#include "keys/keycache.h"

#define MCP_CACHE_KEY_BYTES 32 /* SHA-256 of the whole token and of the policy it was judged by */

typedef struct mcp_cache_t mcp_cache_t;

/* One remembered verdict: a single malloc'ed block that starts with this header; free() releases all of it. */
typedef struct mcp_cache_entry_t {
    apr_time_t not_after, not_before; /* as in mcp_token_t, checked at each hit */
    apr_time_t until;                 /* wall clock: not used from then on, however long ttl is; 0: ttl alone counts */
    mcp_keycache_t *keys; /* whose generation it was verified under; must outlive the cache. NULL: no keys */
    apr_uint32_t generation;
    apr_size_t size;   /* bytes of the whole block */
    apr_uint32_t refs; /* the cache's own business */
} mcp_cache_entry_t;

/* At most max entries (> 0), each for at most ttl microseconds. Lives in p. Threads may use it at the same time. */
apr_status_t mcp_cache_create(mcp_cache_t **pcache, int max, apr_interval_time_t ttl, apr_pool_t *p);

/* Finds an entry by the full key. MCP_OK: *pentry is valid until p goes (its reference is released by cleanup of p), the
 * caller must not change it. MCP_TOKEN_EXPIRED, MCP_TOKEN_NOT_YET: it was found, and its time says no. MCP_INTERNAL: not
 * there, too old for the ttl, or its key set has changed: verify anew. */
mcp_status_t mcp_cache_get(mcp_cache_entry_t **pentry, mcp_cache_t *cache, const unsigned char *key, apr_time_t now,
                           apr_pool_t *p);

/* Remembers entry under key; takes the block over in any case. *pentry is the caller's to read until p goes, like a hit. An
 * entry of the same key is replaced; at max the one unused longest goes. */
void mcp_cache_put(mcp_cache_entry_t **pentry, mcp_cache_t *cache, const unsigned char *key, mcp_cache_entry_t *entry,
                   apr_time_t now, apr_pool_t *p);

typedef struct mcp_cache_stats_t {
    apr_uint64_t hits, misses, entries, bytes;
} mcp_cache_stats_t;
void mcp_cache_stats(mcp_cache_stats_t *stats, mcp_cache_t *cache);

#endif
