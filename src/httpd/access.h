/* The access checker: everything that is decided before a body is read (design section 2.1). */
#ifndef MCP_HTTPD_ACCESS_H
#define MCP_HTTPD_ACCESS_H

#include "httpd/request.h"

/* access_checker hook: DECLINED when the request may go on or is not ours, else the status of our answer. */
int mcp_access_checker(request_rec *r);

/* The verdict of the access checker on r, made anew if it was lost on the way (a fast redirect drops it). */
mcp_request_t *mcp_access_verdict(request_rec *r, const mcp_location_t *location);

/* Once per child: the cache of verdicts, in p. */
apr_status_t mcp_access_start(const server_rec *main_server, apr_pool_t *p);

#endif
