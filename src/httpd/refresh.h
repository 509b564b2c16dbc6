/* The background work of one child: keeps the key sets of all issuers fresh. One child of the server fetches for all of
 * them; the others follow what it publishes. No request ever fetches. */
#ifndef MCP_HTTPD_REFRESH_H
#define MCP_HTTPD_REFRESH_H

#include "httpd/issuer.h"

/* In post_config, before mod_watchdog's: one watchdog thread per trusted issuer that is fetched from and child, so that
 * one that hangs stops no other. */
int mcp_refresh_post_config(apr_pool_t *pconf, server_rec *s);

/* Makes this process use what is published for the issuer, if it does not yet. Threads may call at the same time. */
void mcp_refresh_follow(mcp_issuer_t *issuer, apr_pool_t *ptemp);

/* Once per child, before its watchdog threads and its first request: takes over the keys that the server already has, or the
 * stored ones. What that needs for long lives in p. APR's error when a lock cannot be made. */
apr_status_t mcp_refresh_start(const server_rec *s, apr_pool_t *p);

#endif
