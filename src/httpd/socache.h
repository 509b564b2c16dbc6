/* McpOAuthSharedCache: what was answered about tokens, for all processes and perhaps all machines, in one of httpd's socache
 * providers. Nothing in it is trusted (token/seal.h), and nothing depends on it. */
#ifndef MCP_HTTPD_SOCACHE_H
#define MCP_HTTPD_SOCACHE_H

#include "httpd/config.h"

#include "token/seal.h"

/* In pre_config: makes the mutex known to the Mutex directive. */
int mcp_socache_pre_config(apr_pool_t *pconf);

/* Is the provider of a setting there? NULL, or what to write. For setters: modules are loaded before. */
const char *mcp_socache_check(const char *setting, apr_pool_t *p);

/* In post_config: makes the cache if an issuer is asked about tokens. Logs and returns an error when the provider that is named
 * does not exist or cannot be made; the default is left out then. */
int mcp_socache_post_config(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *s);

/* Once per child. */
void mcp_socache_start(server_rec *s, apr_pool_t *p);

/* Is there a value under id? data has room for *plen bytes. A cache that fails or is slow is left alone for a
 * while; half a second is all that a request waits for it. */
int mcp_socache_get(unsigned char *data, apr_size_t *plen, const unsigned char id[MCP_SEAL_ID_BYTES], server_rec *s,
                    apr_pool_t *p);

/* Keeps a value until that time of the wall clock. */
void mcp_socache_put(const unsigned char *data, apr_size_t len, const unsigned char id[MCP_SEAL_ID_BYTES],
                     apr_time_t until, server_rec *s, apr_pool_t *p);

#endif
