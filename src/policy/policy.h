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

/* Something that is true of a token or not, and that others ask about later. */
typedef struct mcp_condition_t {
    /* const char *: it has one of these, hierarchy applied; NULL: it is about a claim */
    const apr_array_header_t *scopes;
    /* One of the values is the whole text of the claim, or of one of an array, or one of several words; true, false and
     * integers as JSON writes them. */
    mcp_requirement_t claim;
    int negated; /* what holds is refused: a claim that cannot be compared counts as one that holds */
} mcp_condition_t;

/* Immutable once made. Arrays may be NULL when empty. */
typedef struct mcp_policy_t {
    const apr_array_header_t *trusts;          /* const mcp_trust_t * */
    const apr_array_header_t *parties;         /* const char *: allowed client_id or azp; NULL: any */
    const apr_array_header_t *required_scopes; /* const char *, interned in scopes */
    const apr_array_header_t *required_claims; /* mcp_requirement_t */
    const apr_array_header_t
        *conditions; /* mcp_condition_t; not required here. Their scopes are interned where names imply others */
    const apr_array_header_t *acrs;        /* const char *: one of them must be the acr, byte for byte; NULL: any */
    apr_interval_time_t max_auth_age;      /* microseconds since auth_time at most; 0: any */
    const apr_array_header_t *scope_paths; /* mcp_claim_path_t: where scopes are read */
    const apr_array_header_t *acl_paths;   /* mcp_claim_path_t: whose values the rules name */
    mcp_scopes_t *scopes;                  /* closed */
    mcp_acl_t *acl;                        /* NULL: no rules are applied */
    mcp_claim_path_t user;                 /* whose text becomes REMOTE_USER */
    const apr_array_header_t *forwards;    /* mcp_forward_t */
} mcp_policy_t;

/* What is kept of a token: no claim tree, no token. One block that can live in the cache. */
typedef struct mcp_grant_t {
    mcp_cache_entry_t entry; /* first: times, key generation, size */
    mcp_status_t status;     /* MCP_OK, MCP_CLIENT_FORBIDDEN, MCP_AUTHENTICATION_WEAK, MCP_SCOPE_MISSING,
                              * MCP_CLAIM_MISSING */
    apr_time_t auth_time;    /* 0: unknown */
    mcp_binding_t binding;   /* whom the token belongs to: to be proven with each request */
    const char *iss;
    const char *sub; /* these four: NULL when the token has none */
    const char *client;
    const char *user;
    const char *scope;         /* the values of scope_paths joined with one space; "" for none */
    mcp_valueset_t conditions; /* the numbers of those of policy->conditions that hold */
    mcp_valueset_t acl_values; /* the values of acl_paths, with what they imply */
    const char **forwards;     /* text for each of policy->forwards (mcp_claim_text), NULL: no header */
} mcp_grant_t;

/* Judges a verified token by the policy and keeps what later phases need, in one malloc'ed block (free() releases it; the
 * cache takes it over). Order of checks: client (client_id or azp in parties), scopes (all required ones, hierarchy
 * applied), claims (all lines); in between, after the client, how the user authenticated (acr, RFC 9470 section 5).
 * until: as in mcp_cache_entry_t. NULL only when there is no memory. */
mcp_grant_t *mcp_grant_make(const mcp_token_t *token, const mcp_policy_t *policy, apr_time_t until,
                            apr_pool_t *scratch);

/* The verdict on a grant as of now (wall clock): its status, unless the user's authentication is too old by then, which
 * comes before scopes and claims (RFC 9470 section 3: MCP_AUTHENTICATION_OLD; an unknown or future auth_time is too old).
 * A max_auth_age of 0 asks for nothing. skew in microseconds: how far auth_time may lie in the future. */
mcp_status_t mcp_grant_judge(const mcp_grant_t *grant, const mcp_policy_t *policy, apr_interval_time_t skew,
                             apr_time_t now);

#endif
