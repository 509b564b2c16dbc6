/* Start-up: is every protected location able to protect? Nothing else of httpd's life starts before this says yes. */
#ifndef MCP_HTTPD_CHECK_H
#define MCP_HTTPD_CHECK_H

#include "httpd/config.h"

#include <http_core.h>

/* check_config hook, so "httpd -t" runs it as well. Collects the issuers, makes the metadata documents, reports every
 * location that would not protect, with file, line, directive and the cure. */
int mcp_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s);

/* A remark on the configuration: printed at once by "httpd -t", else kept for mcp_remarks_log, because a daemon has no
 * standard error any more when it reads its configuration for good, and no log yet. text lives in pconf. */
void mcp_remark(server_rec *s, const char *id, const ap_directive_t *at, const char *text);
void mcp_remarks_reset(apr_pool_t *pconf);
/* post_config: writes what was kept to the error log. */
void mcp_remarks_log(void);

/* One <Location> or <LocationMatch> with directives of ours. */
typedef struct mcp_section_t {
    server_rec *server;
    const core_dir_config *core; /* its path or pattern */
    mcp_dir_t *dir;              /* what stands in it */
    mcp_dir_t *effective; /* what a request for its path gets; of a pattern: itself over the server's settings alone */
} mcp_section_t;

/* Those that a server has, its own behind those of the main server (mcp_section_t, in p); once the configuration is read. */
apr_array_header_t *mcp_sections_of(server_rec *s, apr_pool_t *p);

/* Does the section apply to a request for path? As httpd's own location walk decides it. */
int mcp_section_applies(const core_dir_config *section, const char *path);
int mcp_section_is_pattern(const core_dir_config *section);

/* What a request for path gets on a server, all sections that apply merged; NULL: nothing is said for it. */
const mcp_dir_t *mcp_sections_merge(server_rec *s, const char *path, apr_pool_t *p);

#endif
