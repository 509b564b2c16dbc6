/* One public key of a key set (RFC 7517, RFC 7518 section 6, RFC 8037). */
#ifndef MCP_JWK_H
#define MCP_JWK_H

#include <apr_pools.h>
#include <jansson.h>
#include <openssl/evp.h>

#include "keys/alg.h"

typedef struct mcp_jwk_t {
    const char *kid; /* NULL when the key has none */
    mcp_algs_t algs; /* the algorithms this very key may verify: by kty and crv, narrowed by its "alg" */
    EVP_PKEY *pkey;  /* public part only; immutable, shared by threads */
    int exposed;     /* its private part was there as well: whoever can read the key set can sign with it */
    EVP_MD_CTX *verifiers[MCP_ALG_COUNT]; /* prepared for each of algs, else NULL; immutable, copied for each use */
} mcp_jwk_t;

/* Makes a verification key of a JWK. Returns NULL and sets *pjwk (in p, OpenSSL's part freed by cleanup of p), or the
 * reason why the key is to be left out (static text, RFC 7517 section 5): unknown kty, crv or alg; "use" other than
 * "sig"; "key_ops" without "verify"; a kid that is no string or too long; RSA below 2048 or above 8192 bits, an even
 * modulus or one of the ROCA generator (CVE-2017-15361), an exponent that is even, below 3 or over 64 bits; EC
 * coordinates of the wrong length or not on the curve, an Edwards key of the wrong length; kty "oct"; not an object.
 * A member "d" (RFC 7517 section 9.2) is noted, but only the public part is loaded. Of x5c, x5u nothing is used. */
const char *mcp_jwk_parse(mcp_jwk_t **pjwk, const json_t *jwk, apr_pool_t *p);

/* The thumbprint of a public key (RFC 7638, SHA-256; RFC 8037 section 2 for OKP), base64url, NUL-terminated: the members that
 * make the key alone count, in their order. 0 when kty is unknown, such a member is missing or no string, or OpenSSL
 * failed. */
#define MCP_THUMBPRINT_CHARS 43
int mcp_jwk_thumbprint(char thumbprint[MCP_THUMBPRINT_CHARS + 1], const json_t *jwk);

#endif
