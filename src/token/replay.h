/* What has been used once must not be used again (RFC 9449 section 11.1). In memory that all processes share: plain data,
 * bounded, changed by atomic operations alone, so a process that is killed at any point leaves nothing locked. */
#ifndef MCP_REPLAY_H
#define MCP_REPLAY_H

#include <apr_time.h>

typedef struct mcp_replay_t mcp_replay_t;

/* Bytes that a memory of that many buckets (a power of two) of eight entries each takes, for who makes the memory; it has to
 * be aligned to 64 bytes. */
apr_size_t mcp_replay_bytes(int buckets);

/* Empty. */
void mcp_replay_init(mcp_replay_t *replay, int buckets);

/* Takes note of a use. digest: 32 bytes that nobody outside can choose; until: the wall clock time from which on the thing
 * is no good anyway; now: wall clock. Returns 1 for the first use; 0 for a second one, also when both happen at the same time
 * in two processes, and 0 when that cannot be told any more: a full bucket forgets what ends first, and from then on admits
 * only what ends later than that. So a flood makes the time shorter for which a use may be put off, and never lets one
 * happen twice. */
int mcp_replay_admit(mcp_replay_t *replay, const unsigned char digest[32], apr_time_t until, apr_time_t now);

#endif
