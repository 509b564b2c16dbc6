/* Secrets that a directive names and does not hold. */
#ifndef MCP_HTTPD_SECRET_H
#define MCP_HTTPD_SECRET_H

#include "httpd/config.h"

/* For setters: reads what file:PATH or env:NAME names, without the line end that editors leave, into cmd->pool. NULL, or an error
 * text that names the directive and never the secret: anything else as argument, not there, fewer than least or more than
 * 4096 bytes, a NUL in it. A file that everybody may read is worth a remark. */
const char *mcp_secret_read(mcp_secret_t **psecret, cmd_parms *cmd, const char *arg, apr_size_t least);

#endif
