/* Token buckets in memory that all processes share: bounded, changed by atomic operations alone, so a process that is killed
 * at any point leaves nothing locked. A bucket is one time (the generic cell rate algorithm): when it will be full again. */
#ifndef MCP_LIMITER_H
#define MCP_LIMITER_H

#include <apr_pools.h>
#include <apr_time.h>

typedef struct mcp_limiter_t mcp_limiter_t;

#define MCP_LIMITER_PERIOD_MAX ((apr_interval_time_t)3652 * 86400 * 1000000) /* ten years */

typedef struct mcp_rate_t {
    int count;                  /* what a full bucket holds, > 0 */
    apr_interval_time_t period; /* microseconds in which an empty one fills, evenly; count to MCP_LIMITER_PERIOD_MAX */
} mcp_rate_t;

/* Bytes that a memory of that many groups (a power of two) of eight buckets takes, for who makes the memory; it has to be
 * aligned to 64 bytes. */
apr_size_t mcp_limiter_bytes(int groups);
/* Empty: every bucket is full. */
void mcp_limiter_init(mcp_limiter_t *limiter, int groups);

/* Which bucket: the first bytes of SHA-256 over n texts (NULL differs from ""), each with its length, so no two lists of
 * texts read the same. 0: OpenSSL failed. */
int mcp_limiter_key(apr_uint64_t *key, const char *const *texts, int n);

/* Takes cost (> 0) from the bucket of key; now: monotonic clock (0 to 17 years). Returns 0 when it was there; else nothing is
 * taken, and the microseconds are returned after which it will be there; a cost over rate->count never is, nor is anything at
 * a rate out of bounds: -1. A bucket that is not in the memory is full. When all eight places of a group are in use, the
 * bucket that is nearest to being full is forgotten. Processes that first see a key in the same moment find one bucket. */
apr_interval_time_t mcp_limiter_take(mcp_limiter_t *limiter, apr_uint64_t key, const mcp_rate_t *rate, int cost,
                                     apr_time_t now);
/* Puts back what was taken for something that then did not happen. */
void mcp_limiter_give(mcp_limiter_t *limiter, apr_uint64_t key, const mcp_rate_t *rate, int cost);

#endif
