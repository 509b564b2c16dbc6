/* A token that only its issuer can tell about: ask, once, and remember for a while. */
#ifndef MCP_HTTPD_INTROSPECT_H
#define MCP_HTTPD_INTROSPECT_H

#include "httpd/issuer.h"
#include "httpd/request.h"

/* Once per child; lives in p. */
apr_status_t mcp_introspect_start(apr_pool_t *p);

/* The verdict on a token by the answer of its issuer, who has an introspector; trust: what the request's location accepts of
 * him. The answer comes from this process's memory of inactive tokens, from the shared cache, or from a call, one for all
 * threads that want it. *ptoken lives in r->pool, *puntil is the time (wall clock) until when the answer may be remembered.
 * MCP_INTROSPECTION_UNAVAILABLE: it cannot be known at the moment; request->retry_after says when, request->crowded that too
 * many wait already. Else as mcp_introspection_judge says. Waits for a call, at most twice the issuer's time limit. */
mcp_status_t mcp_introspect(mcp_token_t **ptoken, apr_time_t *puntil, request_rec *r, mcp_request_t *request,
                            mcp_issuer_t *issuer, const mcp_trust_t *trust, const char *token, apr_size_t len);

#endif
