/* Toward the backend: what it must not see goes, who calls is said (design section 2.7). */
#ifndef MCP_HTTPD_FORWARD_H
#define MCP_HTTPD_FORWARD_H

#include "httpd/request.h"

/* An allowed request: token, Upgrade, method overrides and forged identity headers go, also out of Connection; then the
 * claims of the grant are written. After the body was read, right before mod_proxy (MergeTrailers adds fields until then). */
void mcp_forward_protected(request_rec *r, const mcp_request_t *request);

/* A request to an exception (McpOAuth Off) inside a location that forwards claims: nobody else may write those headers. */
void mcp_forward_unprotected(request_rec *r);

#endif
