/* McpOAuthSessionBinding: a session is of no use to anybody but the principal that it was opened by. */
#ifndef MCP_HTTPD_SESSION_H
#define MCP_HTTPD_SESSION_H

#include "httpd/request.h"

/* In post_config: the key of McpOAuthSessionKey, or one that lives as long as the server, graceful restarts included.
 * Returns !OK when there is none to be had. */
int mcp_session_post_config(server_rec *s);

/* Judges Mcp-Session-Id of a request whose other headers have been judged, and puts the backend's id in its place:
 * MCP_SESSION_FOREIGN when it was not given to this principal. Requests of 2026-07-28 have no session: theirs is removed. */
mcp_status_t mcp_session_admit(request_rec *r, mcp_request_t *request);

/* Binds the id that the backend's answer gives out; one that cannot be bound is removed. */
void mcp_session_bind(request_rec *r, const mcp_request_t *request);

#endif
