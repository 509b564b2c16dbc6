/* Start-up: is every protected location able to protect? Nothing else of httpd's life starts before this says yes. */
#ifndef MCP_HTTPD_CHECK_H
#define MCP_HTTPD_CHECK_H

#include "httpd/config.h"

/* check_config hook, so "httpd -t" runs it as well. Collects the issuers, makes the metadata documents, reports every
 * location that would not protect, with file, line, directive and the cure. */
int mcp_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);

/* A remark on the configuration: printed at once by "httpd -t", else kept for mcp_remarks_log, because a daemon has no
 * standard error any more when it reads its configuration for good, and no log yet. text lives in pconf. */
void mcp_remark(server_rec *s, const char *id, const ap_directive_t *at, const char *text);
void mcp_remarks_reset(apr_pool_t *pconf);
/* post_config: writes what was kept to the error log. */
void mcp_remarks_log(void);

#endif
