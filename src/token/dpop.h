/* DPoP proofs: the sender of a request shows that he has the key his token is bound to (RFC 9449). */
#ifndef MCP_DPOP_H
#define MCP_DPOP_H

#include <apr_pools.h>
#include <apr_time.h>

#include "base/status.h"
#include "keys/alg.h"

/* How far iat may lie from the time of the server, in both directions. */
#define MCP_DPOP_WINDOW apr_time_from_sec(300)

/* All algorithms there are: none of them is symmetric (RFC 9449 section 4.3, check 5). */
#define MCP_DPOP_ALGS (MCP_ALG_BIT(MCP_ALG_COUNT) - 1)

/* What a proof has to be about. */
typedef struct mcp_dpop_expect_t {
    const char *method; /* of the request, exact case */
    const char
        *urls[2];      /* absolute http or https URLs that the request may have been sent to; the second may be NULL */
    const char *token; /* the access token as it was sent */
    apr_size_t token_len;
    const char *jkt; /* of the token: thumbprint of the one key that may sign */
} mcp_dpop_expect_t;

typedef struct mcp_dpop_t {
    const char *jti;      /* in p */
    const char *nonce;    /* in p; NULL for none: whether one is needed, and which, is for the caller to say */
    apr_time_t not_after; /* iat plus MCP_DPOP_WINDOW: from then on the proof is no good any more */
} mcp_dpop_t;

/* The checks of RFC 9449 section 4.3 but for nonce and replay, in this order, each with its own verdict. text: the value of
 * the DPoP field, of len bytes.
 * MCP_DPOP_MALFORMED: over MCP_LIMIT_PROOF, not a compact JWS with a JSON object in it (two values that were joined with ", "
 * are none; the caller looks for those); MCP_DPOP_HEADER: typ is not dpop+jwt, alg does not exist here (all are
 * asymmetric), crit, b64, jku and the like, jwk missing, unusable (as in a key set; "use" or "key_ops" that forbid it), private
 * or not for alg; MCP_DPOP_SIGNATURE: not by that key; MCP_DPOP_CLAIMS: jti, htm, htu not strings of 1 to
 * MCP_LIMIT_PROOF_CLAIM bytes, iat no NumericDate, ath or nonce no string; MCP_DPOP_METHOD: htm differs; MCP_DPOP_URL: htu, without
 * its query and fragment, is none of urls after normalization (RFC 3986 sections 6.2.2 and 6.2.3: case of scheme
 * and host, default port, percent-encoding, dot segments, empty path); MCP_DPOP_TIME: iat outside of the window around now;
 * MCP_DPOP_TOKEN: ath is missing or not the SHA-256 of token; MCP_DPOP_KEY: the thumbprint of jwk is not jkt. The last two
 * are compared in constant time. */
mcp_status_t mcp_dpop_verify(mcp_dpop_t *proof, const char *text, apr_size_t len, const mcp_dpop_expect_t *expect,
                             apr_time_t now, apr_pool_t *p);

#define MCP_DPOP_KEY_BYTES 32

/* Names a proof in a replay memory: HMAC-SHA256 with a key of the server over jkt and jti, each with its length, so that
 * nobody can choose where it goes. 0 when OpenSSL failed. */
int mcp_dpop_digest(unsigned char digest[32], const unsigned char key[MCP_DPOP_KEY_BYTES], const char *jkt,
                    const char *jti);

/* Nonces without any state (RFC 9449 sections 8, 9): base64url of the time in seconds and of a tag over it, with a key that
 * all processes have. In p; NULL when OpenSSL failed. now: wall clock. */
#define MCP_DPOP_NONCE_LIFE apr_time_from_sec(300)
const char *mcp_dpop_nonce_make(const unsigned char key[MCP_DPOP_KEY_BYTES], apr_time_t now, apr_pool_t *p);

/* Is it one of ours, not older than MCP_DPOP_NONCE_LIFE (and not more than a minute from the future: other servers may have
 * the same key)? *page is its age in microseconds then, never negative. nonce may be NULL: it is none. */
int mcp_dpop_nonce_check(apr_interval_time_t *page, const char *nonce, const unsigned char key[MCP_DPOP_KEY_BYTES],
                         apr_time_t now);

#endif
