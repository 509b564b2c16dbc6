/* The compiled policy of one protected location, and what one token is granted by it. */
#ifndef MCP_POLICY_H
#define MCP_POLICY_H

#include <apr_pools.h>
#include <apr_tables.h>

#include "policy/acl.h"
#include "policy/scope.h"
#include "token/cache.h"
#include "token/claims.h"
#include "token/token.h"

typedef struct mcp_requirement_t {
    mcp_claim_path_t path;
    const apr_array_header_t *values; /* const char *: one of them must be among the claim's values, byte for byte */
} mcp_requirement_t;

typedef struct mcp_forward_t {
    mcp_claim_path_t path;
    const char *header;
} mcp_forward_t;

/* Immutable once made. Arrays may be NULL when empty. */
typedef struct mcp_policy_t {
    const apr_array_header_t *trusts;          /* const mcp_trust_t * */
    const apr_array_header_t *parties;         /* const char *: allowed client_id or azp; NULL: any */
    const apr_array_header_t *required_scopes; /* const char *, interned in scopes */
    const apr_array_header_t *required_claims; /* mcp_requirement_t */
    const apr_array_header_t *scope_paths;     /* mcp_claim_path_t: where scopes are read */
    const apr_array_header_t *acl_paths;       /* mcp_claim_path_t: whose values the rules name */
    mcp_scopes_t *scopes;                      /* closed */
    mcp_acl_t *acl;                            /* NULL: no rules are applied */
    mcp_claim_path_t user;                     /* whose text becomes REMOTE_USER */
    const apr_array_header_t *forwards;        /* mcp_forward_t */
} mcp_policy_t;

/* What is kept of a token: no claim tree, no token. One block that can live in the cache. */
typedef struct mcp_grant_t {
    mcp_cache_entry_t entry; /* first: times, key generation, size */
    mcp_status_t status;     /* MCP_OK, MCP_CLIENT_FORBIDDEN, MCP_SCOPE_MISSING, MCP_CLAIM_MISSING */
    const char *iss;
    const char *sub; /* these four: NULL when the token has none */
    const char *client;
    const char *user;
    const char *scope;         /* the values of scope_paths joined with one space; "" for none */
    mcp_valueset_t acl_values; /* the values of acl_paths, with what they imply */
    const char **forwards;     /* text for each of policy->forwards (mcp_claim_text), NULL: no header */
} mcp_grant_t;

/* Judges a verified token by the policy and keeps what later phases need, in one malloc'ed block (free() releases it; the
 * cache takes it over). Order of checks: client (client_id or azp in parties), scopes (all required ones, hierarchy
 * applied), claims (all lines). NULL only when there is no memory. */
mcp_grant_t *mcp_grant_make(const mcp_token_t *token, const mcp_policy_t *policy, apr_pool_t *scratch);

#endif
