/* Browser origins (RFC 6454; MCP Streamable HTTP, Security Warning: DNS rebinding). */
#ifndef MCP_ORIGIN_H
#define MCP_ORIGIN_H

#include <apr_pools.h>
#include <apr_tables.h>

typedef struct mcp_origins_t {
    int any;                          /* '*': every origin, also null */
    int loopback;                     /* http and https origins of loopback hosts, any port */
    const apr_array_header_t *listed; /* const char *, as mcp_url_t.origin writes them */
} mcp_origins_t;

/* May a page of this origin call? origin: value of the Origin field (not NULL). "null", several values and malformed ones
 * may only with any. Compared after normalization (case of scheme and host, default port). p for scratch. */
int mcp_origin_allowed(const mcp_origins_t *origins, const char *origin, apr_pool_t *p);

#endif
