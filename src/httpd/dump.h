/* "httpd -t -D DUMP_MCP_OAUTH": what is protected, and how, in plain words on standard output. */
#ifndef MCP_HTTPD_DUMP_H
#define MCP_HTTPD_DUMP_H

#include <httpd.h>

/* test_config hook. */
void mcp_dump(apr_pool_t *pconf, server_rec *s);

#endif
