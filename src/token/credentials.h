/* The access token in a request's header field (RFC 6750 section 2.1, RFC 9110 section 11.4). */
#ifndef MCP_CREDENTIALS_H
#define MCP_CREDENTIALS_H

#include <apr.h>

#include "base/status.h"

typedef enum { MCP_SCHEME_BEARER, MCP_SCHEME_DPOP } mcp_scheme_t;

/* Finds the token in value, the field's value as httpd merged it (several lines joined with ", "), NULL when there is
 * none. bare: the field is not Authorization, so the token may stand without "Bearer ". dpop: the scheme DPoP (RFC 9449
 * section 7.1) is spoken as well as Bearer. query: the request's raw query, or NULL. *ptoken points into value, *pscheme is set
 * whenever one of the two was found, also beside a refusal.
 * MCP_CREDENTIALS_MISSING: no or an empty field (a token in the query alone is no credential); _SCHEME: a scheme that is
 * not spoken; _EMPTY: nothing after the scheme; _DOUBLED: two values (RFC 9110 section 5.3), of whatever schemes, but not
 * the commas between the auth-params of one value such as Digest; _QUERY: a token, and an access_token parameter in the
 * query as well; MCP_TOKEN_MALFORMED: not one token68; MCP_TOKEN_TOO_LONG: over MCP_LIMIT_TOKEN.
 * The scheme is compared without case, then one or more spaces. */
mcp_status_t mcp_credentials_find(const char **ptoken, apr_size_t *plen, mcp_scheme_t *pscheme, const char *value,
                                  int bare, int dpop, const char *query);

/* Has a raw query a parameter access_token, its name percent-decoded? query may be NULL. Such a value is never read, and
 * must not be written to a log either (OAuth 2.1 section 7.1). */
int mcp_credentials_in_query(const char *query);

#endif
