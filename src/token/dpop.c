#include "token/dpop.h"

#include <apr_strings.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/base64url.h"
#include "base/json.h"
#include "base/limits.h"
#include "keys/jwk.h"
#include "net/url.h"
#include "token/claims.h"
#include "token/jws.h"

#define SHA256_BYTES 32
#define SHA256_CHARS 43 /* MCP_BASE64URL_ENCODED(SHA256_BYTES) */
#define NONCE_TIME_BYTES 8
#define NONCE_TAG_BYTES 16
#define NONCE_BYTES (NONCE_TIME_BYTES + NONCE_TAG_BYTES)
#define NONCE_CHARS 32 /* MCP_BASE64URL_ENCODED(NONCE_BYTES) */
#define NONCE_AHEAD apr_time_from_sec(60)

static mcp_status_t parse(mcp_jws_t **pjws, json_t **pclaims, const char *text, apr_size_t len, apr_pool_t *p)
{
    mcp_status_t status;

    if (len > MCP_LIMIT_PROOF) {
        return MCP_DPOP_MALFORMED;
    }
    status = mcp_jws_parse(pjws, text, len, MCP_JWS_PROOF, p);
    if (status != MCP_OK) {
        return status == MCP_TOKEN_MALFORMED || !mcp_jws_is(text, len, p) ? MCP_DPOP_MALFORMED : MCP_DPOP_HEADER;
    }
    status =
        mcp_json_parse_object(pclaims, (const char *)(*pjws)->payload, (*pjws)->payload_len, MCP_LIMIT_JOSE_DEPTH, p);
    return status == MCP_OK ? MCP_OK : MCP_DPOP_MALFORMED;
}

/* Any of RFC 7518's private members makes it a private key, whatever its kty. */
static int is_private(const json_t *jwk)
{
    static const char *const names[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (json_object_get(jwk, names[i])) {
            return 1;
        }
    }
    return 0;
}

static mcp_status_t header_check(mcp_jwk_t **pkey, const mcp_jws_t *jws, apr_pool_t *p)
{
    if (!jws->typ || strcmp(jws->typ, "dpop+jwt") || is_private(jws->jwk)) {
        return MCP_DPOP_HEADER;
    }
    if (mcp_jwk_parse(pkey, jws->jwk, p) || !((*pkey)->algs & MCP_ALG_BIT(jws->alg->alg))) {
        return MCP_DPOP_HEADER;
    }
    return MCP_OK;
}

/* The text of a claim of 1 to MCP_LIMIT_PROOF_CLAIM bytes, NULL for anything else. */
static const char *text_get(const json_t *claims, const char *name)
{
    const json_t *value = json_object_get(claims, name);
    apr_size_t len = json_string_length(value);

    return len && len <= MCP_LIMIT_PROOF_CLAIM ? json_string_value(value) : NULL;
}

typedef struct claims_t {
    const char *jti, *htm, *htu, *nonce; /* only nonce may be NULL */
    const json_t *ath;                   /* a string, or NULL */
    apr_time_t iat;
} claims_t;

static mcp_status_t claims_read(claims_t *read, const json_t *claims)
{
    read->jti = text_get(claims, "jti");
    read->htm = text_get(claims, "htm");
    read->htu = text_get(claims, "htu");
    read->ath = json_object_get(claims, "ath");
    read->nonce = json_string_value(json_object_get(claims, "nonce"));
    if (!read->jti || !read->htm || !read->htu || !mcp_claims_date(&read->iat, json_object_get(claims, "iat"))) {
        return MCP_DPOP_CLAIMS;
    }
    if ((read->ath && !json_is_string(read->ath)) || (json_object_get(claims, "nonce") && !read->nonce) ||
        json_string_length(json_object_get(claims, "nonce")) > MCP_LIMIT_PROOF_CLAIM) {
        return MCP_DPOP_CLAIMS;
    }
    return MCP_OK;
}

static int is_url(const char *htu, const char *const *urls, apr_pool_t *p)
{
    const char *got = mcp_url_normalize(htu, p);
    int i;

    for (i = 0; got && i < 2; i++) {
        const char *want = urls[i] ? mcp_url_normalize(urls[i], p) : NULL;

        if (want && !strcmp(got, want)) {
            return 1;
        }
    }
    return 0;
}

/* Is it the base64url text of token's SHA-256? */
static int is_hash_of(const json_t *ath, const char *token, apr_size_t len)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char text[SHA256_CHARS + 1];

    if (!token || json_string_length(ath) != SHA256_CHARS) {
        return 0;
    }
    if (EVP_Q_digest(NULL, "SHA256", NULL, token, len, digest, NULL) != 1) {
        ERR_clear_error();
        return 0;
    }
    mcp_base64url_encode(text, digest, SHA256_BYTES);
    return CRYPTO_memcmp(text, json_string_value(ath), SHA256_CHARS) == 0;
}

static int is_key(const json_t *jwk, const char *jkt)
{
    char thumbprint[MCP_THUMBPRINT_CHARS + 1];

    return jkt && strlen(jkt) == MCP_THUMBPRINT_CHARS && mcp_jwk_thumbprint(thumbprint, jwk) &&
           CRYPTO_memcmp(thumbprint, jkt, MCP_THUMBPRINT_CHARS) == 0;
}

static mcp_status_t claims_check(const claims_t *claims, const mcp_dpop_expect_t *expect, apr_time_t now, apr_pool_t *p)
{
    if (!expect->method || strcmp(claims->htm, expect->method)) {
        return MCP_DPOP_METHOD;
    }
    if (!is_url(claims->htu, expect->urls, p)) {
        return MCP_DPOP_URL;
    }
    if (claims->iat + MCP_DPOP_WINDOW <= now || claims->iat - MCP_DPOP_WINDOW > now) {
        return MCP_DPOP_TIME;
    }
    return is_hash_of(claims->ath, expect->token, expect->token_len) ? MCP_OK : MCP_DPOP_TOKEN;
}

mcp_status_t mcp_dpop_verify(mcp_dpop_t *proof, const char *text, apr_size_t len, const mcp_dpop_expect_t *expect,
                             apr_time_t now, apr_pool_t *p)
{
    mcp_jws_t *jws;
    mcp_jwk_t *key;
    json_t *json;
    claims_t claims;
    mcp_status_t status;

    memset(proof, 0, sizeof(*proof));
    if ((status = parse(&jws, &json, text, len, p)) != MCP_OK || (status = header_check(&key, jws, p)) != MCP_OK) {
        return status;
    }
    if (mcp_jws_verify(jws, key) != MCP_OK) {
        return MCP_DPOP_SIGNATURE;
    }
    if ((status = claims_read(&claims, json)) != MCP_OK || (status = claims_check(&claims, expect, now, p)) != MCP_OK) {
        return status;
    }
    if (!is_key(jws->jwk, expect->jkt)) {
        return MCP_DPOP_KEY;
    }
    proof->jti = claims.jti;
    proof->nonce = claims.nonce;
    proof->not_after = claims.iat + MCP_DPOP_WINDOW;
    return MCP_OK;
}

static void number_put(unsigned char *out, apr_uint64_t number, int bytes)
{
    while (bytes--) {
        out[bytes] = (unsigned char)number;
        number >>= 8;
    }
}

/* One key serves two ends; the label in front keeps what is made for one from being good for the other. */
static int mac_make(unsigned char mac[SHA256_BYTES], const unsigned char *key, const unsigned char *data,
                    apr_size_t len)
{
    size_t mac_len = 0;

    if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, MCP_DPOP_KEY_BYTES, data, len, mac, SHA256_BYTES,
                  &mac_len) &&
        mac_len == SHA256_BYTES) {
        return 1;
    }
    ERR_clear_error();
    return 0;
}

int mcp_dpop_digest(unsigned char digest[32], const unsigned char key[MCP_DPOP_KEY_BYTES], const char *jkt,
                    const char *jti)
{
    apr_size_t jkt_len = strlen(jkt), jti_len = strlen(jti);
    unsigned char data[5 + MCP_LIMIT_PROOF_CLAIM + 4 + MCP_LIMIT_PROOF_CLAIM];

    if (jkt_len > MCP_LIMIT_PROOF_CLAIM || jti_len > MCP_LIMIT_PROOF_CLAIM) {
        return 0;
    }
    data[0] = 'j';
    number_put(data + 1, jkt_len, 4);
    memcpy(data + 5, jkt, jkt_len);
    number_put(data + 5 + jkt_len, jti_len, 4);
    memcpy(data + 9 + jkt_len, jti, jti_len);
    return mac_make(digest, key, data, 9 + jkt_len + jti_len);
}

/* The bytes of a nonce of that second. */
static int nonce_bytes(unsigned char bytes[NONCE_BYTES], const unsigned char *key, apr_uint64_t second)
{
    unsigned char data[1 + NONCE_TIME_BYTES] = { 'n' }, mac[SHA256_BYTES];

    number_put(data + 1, second, NONCE_TIME_BYTES);
    if (!mac_make(mac, key, data, sizeof(data))) {
        return 0;
    }
    memcpy(bytes, data + 1, NONCE_TIME_BYTES);
    memcpy(bytes + NONCE_TIME_BYTES, mac, NONCE_TAG_BYTES);
    return 1;
}

const char *mcp_dpop_nonce_make(const unsigned char key[MCP_DPOP_KEY_BYTES], apr_time_t now, apr_pool_t *p)
{
    unsigned char bytes[NONCE_BYTES];
    char *nonce;

    if (!nonce_bytes(bytes, key, (apr_uint64_t)apr_time_sec(now))) {
        return NULL;
    }
    nonce = apr_palloc(p, NONCE_CHARS + 1);
    mcp_base64url_encode(nonce, bytes, NONCE_BYTES);
    return nonce;
}

int mcp_dpop_nonce_check(apr_interval_time_t *page, const char *nonce, const unsigned char key[MCP_DPOP_KEY_BYTES],
                         apr_time_t now)
{
    unsigned char got[MCP_BASE64_DECODED_MAX(NONCE_CHARS)], want[NONCE_BYTES];
    apr_uint64_t second = 0;
    apr_interval_time_t age;
    apr_size_t len;
    int i;

    *page = 0;
    if (!nonce || strlen(nonce) != NONCE_CHARS || !mcp_base64url_decode(got, &len, nonce, NONCE_CHARS)) {
        return 0;
    }
    for (i = 0; i < NONCE_TIME_BYTES; i++) {
        second = second << 8 | got[i];
    }
    if (!nonce_bytes(want, key, second) || CRYPTO_memcmp(got, want, NONCE_BYTES) != 0) {
        return 0;
    }
    /* Ours, so it is a time and not any number. */
    age = now - apr_time_from_sec((apr_time_t)second);
    if (age > MCP_DPOP_NONCE_LIFE || age < -NONCE_AHEAD) {
        return 0;
    }
    *page = age > 0 ? age : 0;
    return 1;
}
