/* Counters by names that nobody knows beforehand (users, operations), in memory that processes share: a table of fixed size
 * in which the row unused longest makes room. Plain data, changed by atomic operations alone; a process that is killed at any
 * point costs one row at most, and that for a second only. */
#ifndef MCP_TALLY_H
#define MCP_TALLY_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

#define MCP_TALLY_LABELS 6
#define MCP_TALLY_LABEL 112 /* bytes of one label that are kept, its end included */
#define MCP_TALLY_COUNTS 2

typedef struct mcp_tally_t mcp_tally_t;

/* Bytes for that many rows (a multiple of 8, > 0), for who makes the memory; it has to be aligned to 64 bytes. */
apr_size_t mcp_tally_bytes(int rows);
void mcp_tally_init(mcp_tally_t *tally, int rows);

/* Adds one to count (0 or 1) of the row with exactly these labels (n of them, UTF-8, NULL is ""), made on first sight; now:
 * wall clock. A longer label is cut at the end of a character, and still differs from others with the same beginning. When
 * all eight places of the row's group are taken, the one that was counted least recently goes, and what it had counts as
 * others'. When several processes are in each other's way again and again, the one counts as others', and never waits. */
void mcp_tally_count(mcp_tally_t *tally, const char *const *labels, int n, int count, apr_time_t now);

typedef struct mcp_tally_row_t {
    const char *labels[MCP_TALLY_LABELS]; /* UTF-8, "" for none */
    apr_uint64_t counts[MCP_TALLY_COUNTS];
    apr_time_t last; /* wall clock of the last count */
} mcp_tally_row_t;

/* The rows (mcp_tally_row_t, in p), most counts first, equal ones by label; others: what the rows that had to go had. */
apr_array_header_t *mcp_tally_read(apr_uint64_t others[MCP_TALLY_COUNTS], const mcp_tally_t *tally, apr_pool_t *p);

#endif
