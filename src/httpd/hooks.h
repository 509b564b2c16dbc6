/* Where the module meets httpd's phases. */
#ifndef MCP_HTTPD_HOOKS_H
#define MCP_HTTPD_HOOKS_H

#include <apr_pools.h>

/* register_hooks of the module record. */
void mcp_hooks_register(apr_pool_t *p);

#endif
