/* The introspection endpoint of an authorization server, and how to authenticate there (RFC 8414 section 2). */
#ifndef MCP_ENDPOINT_H
#define MCP_ENDPOINT_H

#include <apr_pools.h>

#include "keys/keysource.h"

/* AUTO: as the metadata says; only in configuration. */
typedef enum { MCP_CLIENT_AUTH_BASIC, MCP_CLIENT_AUTH_POST, MCP_CLIENT_AUTH_AUTO } mcp_client_auth_t;

typedef struct mcp_endpoint_t {
    const char *url;
    mcp_client_auth_t auth;
} mcp_endpoint_t;

/* Takes introspection_endpoint and introspection_endpoint_auth_methods_supported from a metadata document, as
 * mcp_discovery_parse takes jwks_uri. auth is BASIC unless the methods are listed and client_secret_post is among them
 * while client_secret_basic is not. url is NULL when there is no such endpoint. Returns NULL, or the reason why the
 * document is unusable (in p or static): also a list that is none, or names neither method. */
const char *mcp_endpoint_parse(mcp_endpoint_t *endpoint, const char *text, apr_size_t len, const char *issuer,
                               int allow_http, apr_pool_t *p);

/* Finds it by discovery at source->issuer (source: issuer, proxy, ca_file, allow_http and timeout are read), as
 * mcp_keysource_fetch finds a key set: a document that is unusable or names none is passed over for the next form.
 * Returns NULL with *endpoint filled (in p), or the reason for the log; then url is NULL, and auth that of the last
 * good document (BASIC if there was none), for those who know the URL from elsewhere. pabsent: set to 1 when the server
 * answered for each well-known form that there is no such document (404 or 410), or a good document names no
 * introspection endpoint, or the issuer is no URL: trying again soon makes no sense; else 0. */
const char *mcp_endpoint_discover(mcp_endpoint_t *endpoint, int *pabsent, const mcp_keysource_t *source,
                                  const mcp_http_t *http, int (*cancelled)(void *baton), void *baton, apr_pool_t *p);

#endif
