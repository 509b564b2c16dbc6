/* Start-up: is every protected location able to protect? Nothing else of httpd's life starts before this says yes. */
#ifndef MCP_HTTPD_CHECK_H
#define MCP_HTTPD_CHECK_H

#include "httpd/config.h"

/* check_config hook, so "httpd -t" runs it as well. Collects the issuers, makes the metadata documents, reports every
 * location that would not protect, with file, line, directive and the cure. */
int mcp_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);

/* Are remarks printed now? A start reads the configuration twice; once is enough. */
int mcp_check_speaks(void);

#endif
