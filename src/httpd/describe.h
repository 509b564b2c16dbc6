/* One protected location in plain words. */
#ifndef MCP_HTTPD_DESCRIBE_H
#define MCP_HTTPD_DESCRIBE_H

#include "httpd/location.h"
#include "httpd/sheet.h"

/* What clients are told, who may come in, and who may do what. alone: is it the only resource of its server? */
void mcp_describe_clients(const mcp_sheet_t *sheet, const mcp_location_t *location, int alone);
void mcp_describe_tokens(const mcp_sheet_t *sheet, const mcp_location_t *location);
void mcp_describe_rights(const mcp_sheet_t *sheet, const mcp_location_t *location);
/* What the MCP server gets, and what is kept away from it. */
void mcp_describe_server(const mcp_sheet_t *sheet, const mcp_location_t *location);

/* What looks wrong about its rules and settings: one line each. */
void mcp_describe_warnings(const mcp_sheet_t *sheet, const mcp_location_t *location);
void mcp_describe_warning(const mcp_sheet_t *sheet, const char *text);

/* FILE:LINE */
const char *mcp_describe_place(const ap_directive_t *d, apr_pool_t *p);

#endif
