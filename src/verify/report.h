/* The verdict as the JSON object that the command prints. */
#ifndef MCP_VERIFY_REPORT_H
#define MCP_VERIFY_REPORT_H

#include <apr_pools.h>
#include <jansson.h>

#include "verify/verdict.h"

/* In p; NULL only when there is no memory. The token's header and claims are in it as far as they can be read, its
 * signature is not. with_scope: scopes were asked for. */
json_t *mcp_report_make(const mcp_verdict_t *verdict, int with_scope, const char *token, apr_size_t len, apr_pool_t *p);

/* Its text in p: ASCII without control characters but line feeds, whatever a token holds. NULL if there is none. */
const char *mcp_report_text(const json_t *report, apr_pool_t *p);

#endif
