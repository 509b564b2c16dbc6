/* Absolute http and https URLs, as configuration and authorization servers give them (RFC 3986). */
#ifndef MCP_URL_H
#define MCP_URL_H

#include <apr_pools.h>

typedef struct mcp_url_t {
    const char *scheme; /* lower case: http or https (any scheme for mcp_url_parse_origin) */
    const char *host;   /* lower case, IPv6 in brackets */
    unsigned port;      /* 1 to 65535; the default of the scheme when none is named, 0 if it has no default */
    const char *origin; /* scheme://host, and :port unless it is the default (RFC 6454 section 6.2) */
    const char *path;   /* as written, from the first slash on; "" when there is none */
    const char *query;  /* without '?', NULL when there is none */
    int fragment;       /* is there a '#' */
    int loopback;       /* is host localhost, *.localhost, 127.0.0.0/8 or [::1] */
} mcp_url_t;

/* Parses an absolute http or https URL. Returns 0 for anything else, also user information, an empty host, a bad port,
 * control characters, spaces, bytes beyond ASCII. What it fills in lives in p. */
int mcp_url_parse(mcp_url_t *url, const char *text, apr_pool_t *p);

/* Parses an origin (RFC 6454): any scheme, a host, an optional port, and nothing behind it. Returns 0 for anything else. */
int mcp_url_parse_origin(mcp_url_t *url, const char *text, apr_pool_t *p);

/* A URL in the form in which equal ones have equal texts, without query and fragment (RFC 3986 sections 6.2.2 and 6.2.3):
 * scheme and host in lower case, no default port, escapes of unreserved characters resolved and others in upper case, no dot
 * segments, "/" for an empty path. Slashes stay as many as they are, and %2F stays %2F. NULL if text is no URL. */
const char *mcp_url_normalize(const char *text, apr_pool_t *p);

/* base, then path, with exactly one slash between them. */
const char *mcp_url_join(const char *base, const char *path, apr_pool_t *p);

#endif
