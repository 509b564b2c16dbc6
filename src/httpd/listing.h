/* McpOAuthFilterLists: the backend's lists without what the rules would refuse. */
#ifndef MCP_HTTPD_LISTING_H
#define MCP_HTTPD_LISTING_H

#include "httpd/request.h"

/* If the answer to this request, which has been judged and allowed, can hold a list: filters it, and makes sure that it can be
 * read. request->message is the one judged, NULL for GET. A GET stream may repeat the answers to earlier requests
 * (Transports, Resumability), so it is filtered too. */
void mcp_listing_begin(request_rec *r, mcp_request_t *request);

void mcp_listing_register(void);

#endif
