/* McpOAuthKeyStore: the last good key sets outlast a full restart. */
#ifndef MCP_HTTPD_STORE_H
#define MCP_HTTPD_STORE_H

#include "httpd/issuer.h"

/* In post_config: makes and checks the directory; says once if it cannot be used. */
void mcp_store_post_config(apr_pool_t *pconf, server_rec *s);

/* Reads what is stored for the issuer into p, as a record and its text. Returns 0 when there is nothing that may still be
 * used; why a file is ignored is logged once for the whole server. */
int mcp_store_read(mcp_keyrecord_t *record, const char **ptext, mcp_issuer_t *issuer, const server_rec *s,
                   apr_pool_t *p);

/* Stores the record and its text; a failure is logged once until it works again. */
void mcp_store_write(mcp_issuer_t *issuer, const mcp_keyrecord_t *record, const char *text, const server_rec *s,
                     apr_pool_t *ptemp);

#endif
