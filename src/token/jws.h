/* JWS compact serialization (RFC 7515 sections 3.1, 5.2, 7.1) as access tokens use it. */
#ifndef MCP_JWS_H
#define MCP_JWS_H

#include <apr_pools.h>
#include <jansson.h>

#include "base/status.h"
#include "keys/alg.h"
#include "keys/jwk.h"
#include "keys/keyset.h"

/* What a JWS is for decides which header members it may have. */
typedef enum {
    MCP_JWS_TOKEN, /* access token, signed introspection answer: nothing in it may point to a key */
    MCP_JWS_PROOF, /* DPoP proof (RFC 9449 section 4.2): its key is in the member jwk */
    MCP_JWS_ANY    /* any JWS: what points to a key is ignored, the payload may be empty */
} mcp_jws_kind_t;

typedef struct mcp_jws_t {
    const mcp_alg_info_t *alg;
    const json_t *header; /* the whole of it */
    const json_t *jwk;    /* of a proof, an object; else NULL */
    const char *kid;      /* NULL when the header has none */
    const char *typ;      /* lower case, without "application/" (RFC 7515 section 4.1.9); NULL when absent */
    const char *input;    /* signing input, points into the token */
    apr_size_t input_len;
    const unsigned char *payload; /* decoded, not NUL-terminated */
    apr_size_t payload_len;
    const unsigned char *signature;
    apr_size_t signature_len;
} mcp_jws_t;

/* Splits and decodes a token of len bytes; everything lives in p, the token must outlive the result. Nothing is believed
 * yet. MCP_TOKEN_TOO_LONG; MCP_TOKEN_MALFORMED: not exactly three strict base64url parts, all non-empty (the payload may be
 * empty in MCP_JWS_ANY); MCP_TOKEN_HEADER: header not a strict JSON object, alg not a string, kid not a string or over
 * MCP_LIMIT_KID, typ not a string, one of zip, enc, b64 present, one of jku, x5u present (not in MCP_JWS_ANY), jwk present
 * in MCP_JWS_TOKEN or no object in MCP_JWS_PROOF; MCP_TOKEN_CRITICAL: crit present (nothing is understood, RFC 7515
 * section 4.1.11); MCP_TOKEN_ALGORITHM: an alg that does not exist here. */
mcp_status_t mcp_jws_parse(mcp_jws_t **pjws, const char *token, apr_size_t len, mcp_jws_kind_t kind, apr_pool_t *p);

/* Is it meant as a JWS: is what stands before its first dot base64url of a JSON object? Then it is judged as one, even if it
 * is a bad one: what follows must not choose who judges it, for some read "JWS." and "JWS..." as that JWS. But five
 * parts with "enc" are a JWE. What is no JWS, only its issuer can tell about. */
int mcp_jws_is(const char *token, apr_size_t len, apr_pool_t *p);

/* Verifies the signature with a key that may verify its alg (RFC 7518 sections 3.3 to 3.5, RFC 8037 section 3.1): MCP_OK,
 * else MCP_TOKEN_SIGNATURE, also when OpenSSL fails. EC signatures are R || S of exactly twice the coordinate. */
mcp_status_t mcp_jws_verify(const mcp_jws_t *jws, const mcp_jwk_t *key);

/* The same with the keys of a set that may have signed it, at most MCP_LIMIT_CANDIDATES: MCP_OK, MCP_TOKEN_SIGNATURE, or
 * MCP_TOKEN_KEY_UNKNOWN when there is none. *pkid is the kid that a newer set might have, NULL when a newer one would not
 * help; it belongs to jws. */
mcp_status_t mcp_jws_verify_set(const char **pkid, const mcp_jws_t *jws, const mcp_keyset_t *set);

#endif
