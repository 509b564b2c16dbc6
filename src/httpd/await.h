/* A token whose key is not there: may a fetch bring it, and may the request wait for that? */
#ifndef MCP_HTTPD_AWAIT_H
#define MCP_HTTPD_AWAIT_H

#include "httpd/request.h"

#include "token/token.h"

/* Once per child. */
void mcp_await_start(void);

/* mcp_token_verify for the request's location, with patience: as long as newer keys could change the verdict the request waits
 * for them, 2 s at most. Before the issuer's first key set it waits for the first fetch; for a kid that the set does not
 * have it waits for the one fetch per issuer and McpOAuthKeyCooldown, if that is due. At most three quarters of the
 * server's workers, and seven eighths of a process's threads, wait at the same time; when there are as many the verdict
 * is MCP_KEYS_UNAVAILABLE and the request is marked as crowded. */
mcp_status_t mcp_await_verify(mcp_token_t **ptoken, request_rec *r, mcp_request_t *request, const char *token,
                              apr_size_t len);

#endif
