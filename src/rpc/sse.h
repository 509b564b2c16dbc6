/* Server-sent events as MCP servers stream them (HTML Living Standard, 9.2 Server-sent events). */
#ifndef MCP_SSE_H
#define MCP_SSE_H

#include <apr_pools.h>

/* Where in a stream one is; all zero at its begin. */
typedef struct mcp_sse_t {
    int in_line;  /* the present line has bytes */
    int comment;  /* and is a comment */
    int in_event; /* the present event has lines that are none */
    int after_cr; /* a LF would belong to the line end before it */
    int complete; /* nothing is pending but that LF */
} mcp_sse_t;

/* How many of the next len bytes of the stream belong to the present event, its blank line included; 0 when it does not end
 * within them. A comment between events counts as one, so that keep-alives wait for nothing. Lines end with LF, CR LF or a
 * lone CR; when the CR that ends an event is the last of the bytes and a LF comes later, that LF alone is returned like
 * an event: clients wait for it. Call it again with what is left. */
apr_size_t mcp_sse_scan(mcp_sse_t *sse, const char *data, apr_size_t len);

typedef struct mcp_event_t {
    const char *data; /* all data lines joined by LF, as a client does; NULL when there is no data line */
    apr_size_t len;
    int message; /* type message: no event field, or an empty one, or "message" */
} mcp_event_t;

/* Reads one complete event of len bytes. A byte order mark before the first field is skipped. data lives in p or in text. */
void mcp_event_read(mcp_event_t *event, const char *text, apr_size_t len, apr_pool_t *p);

/* The same event with other data: its other lines keep their bytes and order, the new data lines (data split at LF, and at
 * CR, which no data line can hold) stand where the first one stood, with the line end it had. An event without data line stays as it is. *plen bytes in p. */
const char *mcp_event_replace(apr_size_t *plen, const char *text, apr_size_t len, const char *data, apr_size_t data_len,
                              apr_pool_t *p);

#endif
