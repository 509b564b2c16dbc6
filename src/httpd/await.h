/* A token whose key is not there: may a fetch bring it, and may the request wait for that? */
#ifndef MCP_HTTPD_AWAIT_H
#define MCP_HTTPD_AWAIT_H

#include "httpd/request.h"

#include "token/token.h"

/* Once per child. */
void mcp_await_start(void);

/* A place among those who wait for an authorization server: at most three quarters of the server's workers do so at the same
 * time, and seven eighths of a process's threads. */
typedef struct mcp_place_t {
    int index;
    apr_time_t until;
} mcp_place_t;

/* Takes a place until that time (monotonic) at the latest. 0: there is none. Each place taken is left. */
int mcp_await_enter(mcp_place_t *place, apr_time_t now, apr_time_t until);
void mcp_await_leave(const mcp_place_t *place);

/* mcp_token_verify for the request's location, with patience: as long as newer keys could change the verdict the request waits
 * for them, 2 s at most. Before the issuer's first key set it waits for the first fetch; for a kid that the set does not
 * have it waits for the one fetch per issuer and McpOAuthKeyCooldown, if that is due. When all places are taken the verdict
 * is MCP_KEYS_UNAVAILABLE and the request is marked as crowded. lack: as mcp_token_verify fills it. */
mcp_status_t mcp_await_verify(mcp_token_t **ptoken, mcp_token_lack_t *lack, request_rec *r, mcp_request_t *request,
                              const char *token, apr_size_t len);

#endif
