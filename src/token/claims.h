/* Claims of an access token (RFC 7519 section 4, RFC 9068 section 4) and paths into them. */
#ifndef MCP_CLAIMS_H
#define MCP_CLAIMS_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include <jansson.h>

#include "base/status.h"

/* A dotted path such as realm_access.roles; a dot in a name is written "\.", a backslash "\\". */
typedef struct mcp_claim_path_t {
    const char *text;          /* as configured */
    apr_array_header_t *names; /* const char *, one per step */
} mcp_claim_path_t;

/* Returns 0 for an empty path, an empty step, or a backslash before anything else. */
int mcp_claim_path_parse(mcp_claim_path_t *path, const char *text, apr_pool_t *p);

/* The claim at the path, borrowed, or NULL. Arrays are not entered. */
const json_t *mcp_claim_get(const json_t *claims, const mcp_claim_path_t *path);

/* Appends the values of a claim to out (const char * in p): a string is split at spaces (RFC 6749 section 3.3), an array
 * of strings is taken as it is; anything else, also an array with one non-string, gives nothing. claim may be NULL. */
void mcp_claim_values(apr_array_header_t *out, const json_t *claim, apr_pool_t *p);

/* The claim as text for a header or a variable: string, number, true or false as they are, arrays of those joined with
 * ",", objects and other arrays as compact JSON. NULL for null, "" and []. '%', bytes outside 0x20-0x7E, a space at either
 * end, and commas inside joined values are percent-encoded, so the result is one safe header value. In p. */
const char *mcp_claim_text(const json_t *claim, apr_pool_t *p);

/* Microseconds of a NumericDate (RFC 7519 section 2): a JSON number, fractions allowed, not negative, not beyond
 * MCP_LIMIT_TIME. 0 for anything else, also NULL. */
int mcp_claims_date(apr_time_t *date, const json_t *json);

typedef struct mcp_times_t {
    apr_time_t not_after;  /* exp plus skew: refuse from then on */
    apr_time_t not_before; /* nbf minus skew, 0 without nbf: refuse before */
} mcp_times_t;

/* Checks exp (required), nbf and iat (when present) against now (RFC 7519 sections 4.1.4 to 4.1.6). A NumericDate is a
 * JSON number, fractions allowed, not negative, not beyond MCP_LIMIT_TIME. skew in microseconds.
 * MCP_TOKEN_CLAIMS: missing exp or a value that is no NumericDate; MCP_TOKEN_EXPIRED: now >= exp + skew (a negative exp,
 * too); MCP_TOKEN_NOT_YET: nbf or iat later than now + skew. */
mcp_status_t mcp_claims_check_times(mcp_times_t *times, const json_t *claims, apr_interval_time_t skew, apr_time_t now);

/* Does aud (a string or an array of strings; anything else never) hold one of accepted (const char *), byte for byte?
 * hierarchical: also an aud that is an absolute URL of the same origin whose path is a whole-segment prefix of the path of
 * an accepted one; no path and a terminating slash make no difference; no query, no fragment. MCP_TOKEN_AUDIENCE if not. */
mcp_status_t mcp_claims_check_audience(const json_t *claims, const apr_array_header_t *accepted, int hierarchical,
                                       apr_pool_t *p);

/* Refuses what is no access token although it is signed (RFC 8725 section 3.11), MCP_TOKEN_TYPE: at_hash, c_hash or
 * events present, nonce present unless at_jwt, a payload typ of ID, Refresh, Offline or Logout (Keycloak).
 * at_jwt: the header said at+jwt. */
mcp_status_t mcp_claims_check_kind(const json_t *claims, int at_jwt);

/* What the token is bound to (RFC 7800): whoever presents it has to prove that it is his. NULL: not bound that way. */
typedef struct mcp_binding_t {
    const char *jkt; /* thumbprint of a DPoP key (RFC 9449 section 6.1), base64url of 32 bytes */
    const char *x5t; /* x5t#S256 of a client certificate (RFC 8705 section 3.1), the same */
} mcp_binding_t;

/* Reads cnf; the texts belong to claims. MCP_TOKEN_BOUND: it is no object, empty, has a member other than these two, or one
 * that is no base64url of 32 bytes: nobody here could check it. */
mcp_status_t mcp_claims_check_binding(mcp_binding_t *binding, const json_t *claims);

/* When the user authenticated (auth_time, OpenID Connect Core section 2), 0 when it is missing or no NumericDate; and how
 * (acr), NULL when it is missing or no string. The text belongs to claims. */
apr_time_t mcp_claims_auth_time(const json_t *claims);
const char *mcp_claims_acr(const json_t *claims);

#endif
