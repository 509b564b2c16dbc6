/* Asking the authorization server about a token (RFC 7662), in plain JSON or signed (RFC 9701). */
#ifndef MCP_INTROSPECTION_H
#define MCP_INTROSPECTION_H

#include <apr_pools.h>
#include <apr_time.h>

#include "base/status.h"
#include "keys/endpoint.h"
#include "net/http.h"
#include "token/token.h"

/* Whom to ask, and as whom. Immutable. */
typedef struct mcp_introspector_t {
    const char *client_id, *secret; /* of this resource server at the authorization server */
    int is_signed;                  /* only signed answers count */
    const char *proxy, *ca_file;    /* as in mcp_http_request_t */
    int allow_http;
    apr_interval_time_t timeout; /* of the call, in microseconds */
} mcp_introspector_t;

/* What a call brought. */
typedef struct mcp_introspection_t {
    mcp_status_t status; /* MCP_OK: active; MCP_TOKEN_INACTIVE; MCP_INTROSPECTION_UNAVAILABLE: nothing was said */
    const char *text;    /* of MCP_OK: the introspection answer, a JSON object in UTF-8, in p */
    apr_size_t len;
    apr_time_t exp; /* of MCP_OK: as it says, in microseconds; 0 when it is missing or no NumericDate */
    apr_interval_time_t retry_after; /* of MCP_INTROSPECTION_UNAVAILABLE: what the server asked for, 0 for nothing */
    int http;                        /* status of the answer, 0: there was none */
    const char
        *reason; /* of MCP_INTROSPECTION_UNAVAILABLE: for the log, in p or static; quotes neither answer nor secret */
} mcp_introspection_t;

/* One call (RFC 7662 section 2.1): POST token and token_type_hint=access_token as a form, with the credentials in
 * Authorization (form-urlencoded first, RFC 6749 section 2.3.1) or in the form, as endpoint says; Accept:
 * application/json, or application/token-introspection+jwt. token: len bytes of token68.
 * MCP_OK: status 200 and a strict JSON object whose "active" is true, at most MCP_LIMIT_ANSWER bytes.
 * MCP_TOKEN_INACTIVE: status 200 and any other JSON value. MCP_INTROSPECTION_UNAVAILABLE: no answer, any other status,
 * no strict JSON, no memory.
 * Signed (RFC 9701 section 5), else unavailable: Content-Type application/token-introspection+jwt; a JWS of at most
 * MCP_LIMIT_TOKEN bytes with exactly that typ, by a key of trust->keys with an alg of trust->algs; iss is
 * trust->issuer, aud holds client_id or one of trust->audiences, iat is a NumericDate, give or take trust->skew not later than now and at most
 * five minutes old, exp and nbf hold when present; the answer is the object token_introspection. lack (may be NULL):
 * as mcp_token_verify fills it when a newer key set might help.
 * trust: of the issuer that is asked. cancelled, baton: as in mcp_http_request_t. now: wall clock. */
void mcp_introspection_call(mcp_introspection_t *answer, mcp_token_lack_t *lack, const mcp_introspector_t *introspector,
                            const mcp_endpoint_t *endpoint, const mcp_trust_t *trust, const char *token, apr_size_t len,
                            const mcp_http_t *http, int (*cancelled)(void *baton), void *baton, apr_time_t now,
                            apr_pool_t *p);

/* Is an active answer (text, len) one about an access token for us (RFC 7662 section 4)? Not every authorization
 * server says everything: exp may be missing (*ptoken is good until now + life then) and so may iss; but aud must be
 * there. MCP_TOKEN_CLAIMS: no strict JSON object, or a claim of the wrong type; MCP_TOKEN_INACTIVE: active is not
 * true; MCP_TOKEN_ISSUER: iss is there and not that of trust; MCP_TOKEN_TYPE: token_type there and neither Bearer nor
 * DPoP (without case), DPoP without cnf.jkt, token_use there and not access_token, or a kind that
 * mcp_claims_check_kind refuses of an at+jwt; then as mcp_token_check says. kid is NULL and generation 0. */
mcp_status_t mcp_introspection_judge(mcp_token_t **ptoken, const char *text, apr_size_t len, const mcp_trust_t *trust,
                                     apr_interval_time_t life, apr_time_t now, apr_pool_t *p);

#endif
