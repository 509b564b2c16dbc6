/* Where an issuer publishes its metadata, and what we take from it (RFC 8414, OpenID Connect Discovery 1.0). */
#ifndef MCP_DISCOVERY_H
#define MCP_DISCOVERY_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <jansson.h>

/* The well-known URLs of an issuer (an absolute URL) in the order to try: RFC 8414 section 3.1 inserted form, OpenID
 * Connect inserted form, OpenID Connect appended form; the last two are one when the issuer has no path. An issuer's
 * terminating slash is left out (RFC 8414 section 3.1). Array of const char * in p. */
apr_array_header_t *mcp_discovery_urls(const char *issuer, apr_pool_t *p);

/* Reads a metadata document. Returns NULL and *pmetadata, which the caller releases, or the reason (static) why it is
 * unusable: not strict JSON, not an object, over MCP_LIMIT_DOCUMENT; "issuer" missing or not identical to issuer (RFC
 * 8414 section 3.3). */
const char *mcp_discovery_open(json_t **pmetadata, const char *text, apr_size_t len, const char *issuer);

/* Takes the URL called name from it. Returns NULL and *purl in p, or the reason (in p): missing, not a string, over
 * MCP_LIMIT_NAME, not an absolute URL, or plain http to a host other than loopback while allow_http is 0. */
const char *mcp_discovery_take_url(const char **purl, const json_t *metadata, const char *name, int allow_http,
                                   apr_pool_t *p);

/* Takes jwks_uri from a metadata document: both in one. Returns NULL and *pjwks_uri in p, or the reason (in p or
 * static). */
const char *mcp_discovery_parse(const char **pjwks_uri, const char *text, apr_size_t len, const char *issuer,
                                int allow_http, apr_pool_t *p);

#endif
