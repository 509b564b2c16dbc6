/* WWW-Authenticate (RFC 6750 section 3, RFC 9449 section 7.1, RFC 9470 section 3, RFC 9728 section 5.1). */
#ifndef MCP_CHALLENGE_H
#define MCP_CHALLENGE_H

#include <apr_pools.h>

typedef struct mcp_challenge_t { /* NULL members are left out */
    const char *scheme;          /* "Bearer" or "DPoP" */
    const char *realm;
    const char *resource_metadata;
    const char *scope;
    const char *error;
    const char *error_description;
    const char *acr_values; /* separated by spaces */
    const char *max_age;    /* seconds */
    const char *algs;       /* of DPoP proofs, separated by spaces */
} mcp_challenge_t;

/* Writes 'SCHEME realm="…", resource_metadata="…", scope="…", error="…", error_description="…", acr_values="…",
 * max_age="…", algs="…"' in p, in this order. Each
 * value becomes a quoted-string: '"' and '\' are escaped in realm; bytes that RFC 6750 does not allow in the others, and
 * control bytes and bytes beyond ASCII in realm, are left out, so no value can end the field. An empty value is left out. */
const char *mcp_challenge_make(const mcp_challenge_t *challenge, apr_pool_t *p);

#endif
