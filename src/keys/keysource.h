/* Where the key set of one issuer comes from, and one attempt to get it: file, URL, or discovery and then URL. */
#ifndef MCP_KEYSOURCE_H
#define MCP_KEYSOURCE_H

#include <apr_pools.h>
#include <apr_time.h>

#include "keys/keyset.h"
#include "net/http.h"

typedef struct mcp_keysource_t {
    /* configuration, set by the owner, immutable */
    const char *issuer;          /* exact iss */
    const char *file;            /* absolute path, or NULL */
    const char *url;             /* absolute URL, or NULL; with file NULL as well: discovery */
    const char *proxy, *ca_file; /* as in mcp_http_request_t */
    int allow_http;
    apr_interval_time_t timeout; /* for one whole attempt, discovery included */
    /* what the last attempts left behind, owned by the attempts; zero at first */
    apr_time_t file_mtime; /* of the text last read */
    apr_off_t file_size;
} mcp_keysource_t;

/* One attempt. Returns NULL and a new set in *pset (the caller releases it) with *plifetime as mcp_refresh_lifetime gives
 * it for the key set's own answer, or the reason of the failure for the log (in p or static; it names the URL that
 * failed and never quotes an answer). Discovery tries each well-known form until one gives a usable document and is done
 * anew each time, so a changed jwks_uri is followed. An answer must be 200; redirects are refused. wall: wall clock now.
 * cancelled, baton: as in mcp_http_request_t. */
const char *mcp_keysource_fetch(mcp_keyset_t **pset, apr_interval_time_t *plifetime, mcp_keysource_t *source,
                                const mcp_http_t *http, int (*cancelled)(void *baton), void *baton, apr_time_t wall,
                                apr_pool_t *p);

/* For a file: does it differ in time or size from what was last read, or can it not be examined? 0 for any other source. */
int mcp_keysource_changed(const mcp_keysource_t *source, apr_pool_t *p);

#endif
