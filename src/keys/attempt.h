/* One attempt to learn something of an issuer: some requests within one time limit, and discovery (RFC 8414, OpenID
 * Connect Discovery 1.0). */
#ifndef MCP_ATTEMPT_H
#define MCP_ATTEMPT_H

#include <apr_pools.h>
#include <apr_time.h>

#include "keys/keysource.h"
#include "net/http.h"

typedef struct mcp_attempt_t {
    const mcp_keysource_t *source; /* its issuer, proxy, ca_file and allow_http are read */
    const mcp_http_t *http;
    int (*cancelled)(void *baton); /* as in mcp_http_request_t */
    void *baton;
    apr_time_t deadline; /* monotonic */
    int over;            /* time is up or it was cancelled: nothing more is to be tried; 0 at first */
    int unclear;         /* something failed, and not because there is no such document (404 or 410); 0 at first */
    apr_pool_t *p;       /* reasons live here, and what is found */
} mcp_attempt_t;

/* Takes what is wanted from a metadata document into found, with what it needs in attempt->p. Returns NULL, or why it
 * is not there (in attempt->p or static). */
typedef const char *(*mcp_attempt_take_t)(void *found, const mcp_attempt_t *attempt, const char *text, apr_size_t len);

/* One answer with status 200, or 304 when there is an etag (NULL: none) to ask with, in p. Returns NULL, or the reason
 * of the failure: it names the URL and never quotes an answer. */
const char *mcp_attempt_get(mcp_http_response_t **presponse, mcp_attempt_t *attempt, const char *url, const char *etag,
                            apr_pool_t *p);

/* Tries each well-known form until take is content. Returns NULL, or the reasons of all. */
const char *mcp_attempt_discover(mcp_attempt_t *attempt, mcp_attempt_take_t take, void *found);

#endif
