/* McpOAuthRateLimit: what one user may do how often, on the whole server. */
#ifndef MCP_HTTPD_LIMIT_H
#define MCP_HTTPD_LIMIT_H

#include "httpd/request.h"

/* While configuration is read: no line has been seen yet; one has. */
void mcp_limit_reset(void);
void mcp_limit_wanted(void);

/* post_config: makes the buckets if a line needs them. They outlive restarts: a reload fills none. */
int mcp_limit_post_config(server_rec *s);

/* Takes what the operations of a request that the rules allow cost, one for each message of it, from every bucket they fall
 * into. MCP_OK; or MCP_RATE_LIMITED with request->retry_after, and nothing is taken. A request that httpd leads from one
 * place to another pays once. */
mcp_status_t mcp_limit_check(mcp_request_t *request, const mcp_operation_t *operations, int count, apr_pool_t *p);

#endif
