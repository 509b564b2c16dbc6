/* Authorization that composes with httpd's own: Require mcp-scope, Require mcp-claim, AuthType mcp-oauth (design section 3.4). */
#ifndef MCP_HTTPD_AUTHZ_H
#define MCP_HTTPD_AUTHZ_H

#include "policy/policy.h"

#include <httpd.h>

/* Configuration is about to be read: no line has been seen yet. Later lines (of .htaccess) are refused once a child has begun. */
void mcp_authz_reset(apr_pool_t *pconf);
void mcp_authz_start(void);

/* What the lines of the whole configuration ask about tokens (mcp_condition_t), by number; NULL for nothing. Each token is
 * judged by all of them when it is verified, so a line costs a request one bit. */
const apr_array_header_t *mcp_authz_conditions(void);

/* Providers and hooks. What mod_authz_core refuses in a protected location becomes an answer of ours: 403, with the scope that
 * would help if one would. */
void mcp_authz_register(apr_pool_t *p);

#endif
