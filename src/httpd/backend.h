/* Which backend a URL of mod_proxy names. */
#ifndef MCP_HTTPD_BACKEND_H
#define MCP_HTTPD_BACKEND_H

#include <apr_pools.h>
#include <apr_tables.h>

/* Appends the backend of url (const char *, in p): "host:port" without scheme, as one server listens there whatever it is asked
 * in (the names of this machine are all "localhost"), "unix:/path", or "balancer://name". Returns 0 when it cannot be told
 * because it depends on the request. A back reference behind host and port is taken for a path. */
int mcp_backends_add(apr_array_header_t *backends, const char *url, apr_pool_t *p);

int mcp_backend_is_balancer(const char *url);
/* "balancer://name" of such a URL, in small letters. */
const char *mcp_backend_balancer(const char *url, apr_pool_t *p);

/* url without user, password and query: it is there to be shown. */
const char *mcp_backend_show(const char *url, apr_pool_t *p);

#endif
