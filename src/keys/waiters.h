/* How many requests of the whole server may wait for keys at the same time. In memory that all processes share; plain data,
 * changed by atomic operations alone. A place is taken for a limited time: a process that is killed while it waits gives
 * it back by doing nothing. Times are microseconds of the monotonic clock. */
#ifndef MCP_WAITERS_H
#define MCP_WAITERS_H

#include <apr_time.h>

typedef struct mcp_waiters_t {
    int max;            /* places, at least one */
    apr_time_t until[]; /* per place: taken until then; 0 or past: free */
} mcp_waiters_t;

/* Bytes that max places take, for who makes the memory. */
apr_size_t mcp_waiters_bytes(int max);

/* All places are free. */
void mcp_waiters_init(mcp_waiters_t *waiters, int max);

/* Takes a place until the given time. Returns its index for mcp_waiters_leave, -1 when all are taken. */
int mcp_waiters_enter(mcp_waiters_t *waiters, apr_time_t now, apr_time_t until);

/* Gives the place back that was taken until then; nothing happens if time has given it to somebody else meanwhile. */
void mcp_waiters_leave(mcp_waiters_t *waiters, int place, apr_time_t until);

#endif
