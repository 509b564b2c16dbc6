/* What the server has done and what it knows: the handler mcp-oauth-status, and a section of mod_status. */
#ifndef MCP_HTTPD_STATUS_H
#define MCP_HTTPD_STATUS_H

#include <httpd.h>

/* handler hook. */
int mcp_status_handler(request_rec *r);

/* mod_status's own hook: flags says whether plain lines are wanted. */
int mcp_status_section(request_rec *r, int flags);

#endif
