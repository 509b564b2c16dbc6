/* Is this an access token of an issuer we trust? All of RFC 7515, RFC 7519, RFC 8725 and RFC 9068 that applies, in order. */
#ifndef MCP_TOKEN_H
#define MCP_TOKEN_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>
#include <jansson.h>

#include "base/status.h"
#include "keys/alg.h"
#include "keys/keycache.h"
#include "token/claims.h"

/* Header typ values, a set of bits. */
enum { MCP_TYPE_AT_JWT = 1, MCP_TYPE_JWT = 2, MCP_TYPE_NONE = 4, MCP_TYPES_DEFAULT = 7 };

/* What one location accepts of one issuer. Immutable while requests use it. */
typedef struct mcp_trust_t {
    const char *issuer;                  /* exact iss */
    const apr_array_header_t *audiences; /* const char *, at least one */
    int hierarchical;                    /* see mcp_claims_check_audience */
    mcp_algs_t algs;
    int types; /* MCP_TYPE_* */
    apr_interval_time_t skew;
    mcp_keycache_t *keys; /* of this issuer alone */
} mcp_trust_t;

typedef struct mcp_token_t {
    json_t *claims;           /* the verified claims set */
    const mcp_trust_t *trust; /* whose token it is */
    const char *kid;          /* of the header, NULL for none */
    const char *sub;          /* string or NULL */
    const char *client;       /* client_id, else azp; NULL for none (RFC 9068 section 2.2, OpenID Connect) */
    apr_time_t not_after;     /* mcp_times_t */
    apr_time_t not_before;
    apr_uint32_t generation; /* of trust->keys, read before the keys were taken; 0: no key of ours vouches for it */
    mcp_binding_t binding;   /* the texts belong to claims */
} mcp_token_t;

/* The checks in their order. */
#define MCP_TOKEN_STEPS(X) \
    X(PARSE, "jws") \
    X(PAYLOAD, "payload") \
    X(ISSUER, "issuer") \
    X(ALGORITHM, "algorithm") \
    X(TYPE, "type") \
    X(KEY, "key") \
    X(SIGNATURE, "signature") \
    X(KIND, "kind") \
    X(TIMES, "times") \
    X(AUDIENCE, "audience") \
    X(CLAIMS, "claims") \
    X(BINDING, "binding")

typedef enum {
#define X(name, text) MCP_STEP_##name,
    MCP_TOKEN_STEPS(X)
#undef X
        MCP_STEP_DONE
} mcp_token_step_t;

/* How far the judgement came; and what a token could not be judged for: newer keys might help. */
typedef struct mcp_token_lack_t {
    mcp_token_step_t step;    /* the check that failed, MCP_STEP_DONE when none did */
    const mcp_trust_t *trust; /* whose keys; NULL: newer keys would not help */
    const char *kid;          /* the key that the set does not have; NULL when there is no set */
    apr_uint32_t generation;  /* of trust->keys, read before the keys were taken */
} mcp_token_lack_t;

/* Verifies a token of len bytes against trusts (const mcp_trust_t *). now: wall clock. *ptoken lives in p; on any verdict but
 * MCP_OK it is NULL, and lack (which may be NULL) says which check failed and whether newer keys could change it.
 * Order: parse (MCP_TOKEN_MALFORMED, _HEADER, _CRITICAL, _ALGORITHM), payload a strict JSON object with a string iss
 * (MCP_TOKEN_CLAIMS), issuer trusted (MCP_TOKEN_ISSUER), alg allowed (MCP_TOKEN_ALGORITHM), typ accepted (MCP_TOKEN_TYPE),
 * keys (MCP_KEYS_UNAVAILABLE, MCP_TOKEN_KEY_UNKNOWN), signature (MCP_TOKEN_SIGNATURE), then the claims as token/claims.h
 * says: kind, times, audience; sub, client_id and azp must be strings when present, and where only at+jwt is accepted all
 * of sub, client_id, iat and jti must be there and not empty, and scope, acr, auth_time and amr of their types when
 * present (RFC 9068 sections 2.2, 2.2.1, 2.2.3) (MCP_TOKEN_CLAIMS); then the binding (MCP_TOKEN_BOUND); that the sender is whom
 * it is bound to is for the caller to see. Without a kid every key that fits the alg is tried, at most
 * MCP_LIMIT_CANDIDATES. Never waits. */
mcp_status_t mcp_token_verify(mcp_token_t **ptoken, mcp_token_lack_t *lack, const char *token, apr_size_t len,
                              const apr_array_header_t *trusts, apr_time_t now, apr_pool_t *p);

/* Name of a check for people and programs; "done" for MCP_STEP_DONE. */
const char *mcp_token_step_name(mcp_token_step_t step);

/* What every access token has to say, whoever vouches for it: kind, times, audience, claims and binding of result->claims by
 * result->trust, in this order as mcp_token_verify says. Fills in the rest of result but kid and generation. *pstep is the
 * check that failed, or MCP_STEP_DONE. at_jwt: the header said at+jwt. What the
 * profile of RFC 9068 requires is required of JWTs, so not with a generation of 0. */
mcp_status_t mcp_token_check(mcp_token_t *result, mcp_token_step_t *pstep, int at_jwt, apr_time_t now, apr_pool_t *p);

#endif
