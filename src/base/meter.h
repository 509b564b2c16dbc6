/* What the whole server has counted, in memory that its processes share: plain data, changed by atomic operations alone. Each
 * process counts in a stripe of its own, so no two of them fight for a counter, and totals are sums over the stripes. What a
 * process has counted stays when it ends. */
#ifndef MCP_METER_H
#define MCP_METER_H

#include <sys/types.h>

#include <apr.h>
#include <apr_time.h>

#include "base/status.h"

typedef struct mcp_meter_t mcp_meter_t;
typedef struct mcp_stripe_t mcp_stripe_t;

/* A column of its own beside the verdicts: let pass, though the rules would refuse. */
#define MCP_METER_SHADOW MCP_STATUS_COUNT
#define MCP_METER_COLUMNS (MCP_STATUS_COUNT + 1)

/* Bytes for that many stripes (> 0) and resources (> 0), for who makes the memory; it has to be aligned to 64 bytes. */
apr_size_t mcp_meter_bytes(int stripes, int resources);
/* Nothing has been counted. meter: zero bytes, of which only those are touched that are needed; started: wall clock now. */
void mcp_meter_init(mcp_meter_t *meter, int stripes, int resources, apr_time_t started);

/* A stripe for process pid: a free one, or one whose process alive says is gone; when there is none, the last one, which is
 * shared then. Once per process. alive: is there a process of that number? */
mcp_stripe_t *mcp_meter_join(mcp_meter_t *meter, pid_t pid, int (*alive)(pid_t pid));

/* One request to that resource (0 to resources - 1; beyond: the last one) ended so: column is a mcp_status_t or
 * MCP_METER_SHADOW. */
void mcp_stripe_request(mcp_stripe_t *stripe, int resource, int column);
/* One look into this process's token cache, and what is in the cache now. */
void mcp_stripe_lookup(mcp_stripe_t *stripe, int hit);
void mcp_stripe_cache(mcp_stripe_t *stripe, apr_uint64_t entries, apr_uint64_t bytes);

typedef struct mcp_meter_totals_t {
    apr_time_t started;          /* wall clock: since when it has been counted */
    int processes;               /* that are there now */
    apr_uint64_t hits, misses;   /* of token caches, since then */
    apr_uint64_t entries, bytes; /* in the token caches of the processes that are there */
} mcp_meter_totals_t;
void mcp_meter_totals(mcp_meter_totals_t *totals, const mcp_meter_t *meter, int (*alive)(pid_t pid));

/* Requests to that resource that ended so; 0 beyond either bound. */
apr_uint64_t mcp_meter_requests(const mcp_meter_t *meter, int resource, int column);

/* Calls to one other server. In shared memory, too; zero at first. */
#define MCP_CALLS_BUCKETS 11
typedef struct mcp_calls_t {
    apr_uint64_t answered, failed;
    apr_uint64_t cached;   /* not made: the answer was known in this server or in a cache it shares */
    apr_uint64_t duration; /* microseconds, of all calls together */
    apr_uint64_t
        buckets[MCP_CALLS_BUCKETS]; /* calls that took mcp_calls_bound(i) at most, and longer than the one before */
} mcp_calls_t;
/* 5 ms, 10, 25, 50, 100, 250, 500, 1 s, 2.5 s, 5 s, 10 s: microseconds. */
apr_interval_time_t mcp_calls_bound(int bucket);
/* One call ended after duration microseconds (less than 0 counts as 0). */
void mcp_calls_ended(mcp_calls_t *calls, apr_interval_time_t duration, int answered);
void mcp_calls_cached(mcp_calls_t *calls);
/* A copy, each number whole. */
void mcp_calls_read(mcp_calls_t *copy, const mcp_calls_t *calls);

#endif
