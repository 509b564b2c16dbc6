/* Proofs of possession, RFC 9449: signed by the key that the input names or not, what is accepted is about this request
 * and this token. Input: header NUL payload, to be signed; or, without a NUL, a proof or a nonce as it comes. */
#include "fuzz_sign.h"

#include "base/base64url.h"
#include "base/json.h"
#include "base/limits.h"
#include "keys/jwk.h"
#include "net/url.h"
#include "token/dpop.h"

#define TOKEN "a.token.of-somebody"
#define URL "https://mcp.example.com/mcp"

static const mcp_dpop_expect_t *expect_get(void)
{
    static char jkt[MCP_THUMBPRINT_CHARS + 1];
    static mcp_dpop_expect_t expect;
    json_t *jwk;

    if (!expect.method) {
        jwk = json_loads(FUZZ_JWK, 0, NULL);
        MUST(jwk && mcp_jwk_thumbprint(jkt, jwk));
        json_decref(jwk);
        expect.urls[0] = URL;
        expect.token = TOKEN;
        expect.token_len = strlen(TOKEN);
        expect.jkt = jkt;
        expect.method = "POST";
    }
    return &expect;
}

static json_t *part_json(const char *text, size_t len, apr_pool_t *p)
{
    unsigned char *bytes = apr_palloc(p, MCP_BASE64_DECODED_MAX(len));
    apr_size_t bytes_len;

    MUST(mcp_base64url_decode(bytes, &bytes_len, text, len));
    return fuzz_json_wide((const char *)bytes, bytes_len, p);
}

static void check_accepted(const mcp_dpop_t *proof, const char *text, apr_pool_t *p)
{
    static const char *const forbidden[] = { "crit", "b64", "zip", "enc", "jku", "x5u" };
    const char *dot = strchr(text, '.'), *second = strchr(dot + 1, '.');
    const json_t *header = part_json(text, (size_t)(dot - text), p), *jwk = json_object_get(header, "jwk");
    const json_t *claims = part_json(dot + 1, (size_t)(second - dot - 1), p);
    const char *alg = json_string_value(json_object_get(header, "alg"));
    double iat = json_number_value(json_object_get(claims, "iat")), now = (double)apr_time_sec(FUZZ_NOW);
    mcp_dpop_t other;

    MUST(!strcmp(alg, "EdDSA") || !strcmp(alg, "Ed25519"));
    MUST(mcp_json_is_text(json_object_get(jwk, "x"), FUZZ_KEY_X) && !json_object_get(jwk, "d"));
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(*forbidden); i++) {
        MUST(!json_object_get(header, forbidden[i]));
    }
    MUST(mcp_json_is_text(json_object_get(claims, "htm"), "POST"));
    MUST(!strcmp(mcp_url_normalize(json_string_value(json_object_get(claims, "htu")), p), URL));
    MUST(iat > now - 301 && iat < now + 301 && json_object_get(claims, "ath"));
    MUST(mcp_json_is_text(json_object_get(claims, "jti"), proof->jti) && *proof->jti);
    MUST(!proof->nonce == !json_object_get(claims, "nonce") && proof->not_after > FUZZ_NOW);
    MUST(mcp_dpop_verify(&other, text, strlen(text), expect_get(), proof->not_after, p) == MCP_DPOP_TIME);
    for (size_t i = 0; i < FUZZ_SIGNATURE_CHARS; i += 29) {
        const char *forged = fuzz_forge(text, i, p);

        MUST(mcp_dpop_verify(&other, forged, strlen(forged), expect_get(), FUZZ_NOW, p) != MCP_OK);
    }
}

/* Is it any good for somebody else's token, method or key? */
static void check_others(const char *text, apr_pool_t *p)
{
    mcp_dpop_expect_t others[4] = { *expect_get(), *expect_get(), *expect_get(), *expect_get() };
    mcp_dpop_t proof;

    others[0].method = "GET";
    others[1].token = "another.token";
    others[1].token_len = strlen(others[1].token);
    others[2].jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
    others[3].urls[0] = URL "/x";
    for (int i = 0; i < 4; i++) {
        MUST(mcp_dpop_verify(&proof, text, strlen(text), &others[i], FUZZ_NOW, p) != MCP_OK && !proof.jti);
    }
}

static void check_proof(const char *text, size_t len, apr_pool_t *p)
{
    mcp_dpop_t proof;
    mcp_status_t status = mcp_dpop_verify(&proof, text, len, expect_get(), FUZZ_NOW, p);

    MUST((status == MCP_OK) == (proof.jti != NULL) && (status == MCP_OK || mcp_status_info(status)->http == 401));
    if (status == MCP_OK) {
        text = apr_pstrmemdup(p, text, len);
        check_accepted(&proof, text, p);
        check_others(text, p);
    }
}

static void check_nonce(const char *text, apr_pool_t *p)
{
    static const unsigned char key[MCP_DPOP_KEY_BYTES] = { 1, 2, 3 };
    const char *ours = mcp_dpop_nonce_make(key, FUZZ_NOW, p);
    apr_interval_time_t age;
    unsigned char digest[32], other[32];

    MUST(ours && mcp_dpop_nonce_check(&age, ours, key, FUZZ_NOW) && age == 0);
    MUST(!mcp_dpop_nonce_check(&age, ours, key, FUZZ_NOW + MCP_DPOP_NONCE_LIFE + 1));
    MUST(!mcp_dpop_nonce_check(&age, text, key, FUZZ_NOW) || age <= MCP_DPOP_NONCE_LIFE);
    if (strlen(text) && strlen(text) < MCP_LIMIT_PROOF_CLAIM) {
        /* Where one text ends and the other begins makes a difference. */
        MUST(mcp_dpop_digest(digest, key, text, "j") &&
             mcp_dpop_digest(other, key, apr_pstrcat(p, text, "j", NULL), ""));
        MUST(memcmp(digest, other, sizeof(digest)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    size_t len;
    const char *text = fuzz_jws(&len, data, size, p);

    check_proof(text, len, p);
    if (!size || !memchr(data, 0, size)) {
        check_nonce(fuzz_text(data, size, p), p);
    }
    apr_pool_destroy(p);
    return 0;
}
