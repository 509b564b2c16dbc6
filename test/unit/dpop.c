#include "token/dpop.h"

#include <dlfcn.h>
#include <openssl/err.h>

#include "base/limits.h"
#include "keys/jwk.h"
#include "sign.h"
#include "tap.h"

#define SEC(n) apr_time_from_sec(n)
#define IAT SEC(1000000)
#define TOKEN "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
#define ATH "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
#define JKT "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

/* OpenSSL as the code under test sees it. */
static int fail;

static void real_find(void *function, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    SIGN_MUST(found);
    memcpy(function, &found, sizeof(found));
}

int EVP_Q_digest(OSSL_LIB_CTX *libctx, const char *name, const char *props, const void *data, size_t len,
                 unsigned char *md, size_t *mdlen)
{
    int (*real)(OSSL_LIB_CTX *, const char *, const char *, const void *, size_t, unsigned char *, size_t *);

    real_find(&real, "EVP_Q_digest");
    return real(libctx, name, props, data, len, md, mdlen) == 1 && !fail ? 1 : -1;
}

unsigned char *EVP_Q_mac(OSSL_LIB_CTX *libctx, const char *name, const char *props, const char *subalg,
                         const OSSL_PARAM *params, const void *key, size_t key_len, const unsigned char *data,
                         size_t len, unsigned char *out, size_t size, size_t *plen)
{
    unsigned char *(*real)(OSSL_LIB_CTX *, const char *, const char *, const char *, const OSSL_PARAM *, const void *,
                           size_t, const unsigned char *, size_t, unsigned char *, size_t, size_t *);

    real_find(&real, "EVP_Q_mac");
    out = real(libctx, name, props, subalg, params, key, key_len, data, len, out, size, plen);
    return fail ? NULL : out;
}

/* A client: key, its JWK and what a good proof of it says. */
typedef struct client_t {
    EVP_PKEY *pkey;
    const char *alg, *jwk, *header, *payload;
    char jkt[MCP_THUMBPRINT_CHARS + 1];
    mcp_dpop_expect_t expect;
} client_t;

static void client_make(client_t *client, EVP_PKEY *pkey, const char *alg, apr_pool_t *p)
{
    json_t *json;

    memset(client, 0, sizeof(*client));
    client->pkey = pkey;
    client->alg = alg;
    client->jwk = sign_jwk(client->pkey, "", p);
    client->header = apr_psprintf(p, "{\"typ\":\"dpop+jwt\",\"alg\":\"%s\",\"jwk\":%s}", alg, client->jwk);
    client->payload = "{\"jti\":\"e1j3V_bKic8-LAEB\",\"htm\":\"POST\",\"htu\":\"https://mcp.example.com/mcp\","
                      "\"iat\":1000000,\"ath\":\"" ATH "\"}";
    json = json_loads(client->jwk, 0, NULL);
    SIGN_MUST(json && mcp_jwk_thumbprint(client->jkt, json));
    json_decref(json);
    client->expect.method = "POST";
    client->expect.urls[0] = "https://mcp.example.com/mcp";
    client->expect.token = TOKEN;
    client->expect.token_len = strlen(TOKEN);
    client->expect.jkt = client->jkt;
}

static const char *replace(const char *text, const char *from, const char *to, apr_pool_t *p)
{
    const char *at = strstr(text, from);

    SIGN_MUST(at);
    return apr_pstrcat(p, apr_pstrmemdup(p, text, (apr_size_t)(at - text)), to, at + strlen(from), NULL);
}

static mcp_status_t verify(mcp_dpop_t *proof, const client_t *client, const char *text, apr_time_t now, apr_pool_t *p)
{
    mcp_status_t status = mcp_dpop_verify(proof, text, strlen(text), &client->expect, now, p);

    SIGN_MUST(!ERR_peek_error());
    SIGN_MUST((status == MCP_OK) == (proof->jti != NULL) && (status == MCP_OK || (!proof->nonce && !proof->not_after)));
    return status;
}

/* The verdict on a proof of these two texts, signed as it should be. */
static mcp_status_t check(const client_t *client, const char *header, const char *payload, apr_pool_t *p)
{
    mcp_dpop_t proof;

    return verify(&proof, client, sign_token(client->pkey, client->alg, header, payload, p), IAT, p);
}

static const char *slug(mcp_status_t status)
{
    return mcp_status_info(status)->slug;
}

/* RFC 9449 figures 2 and 13. */
static void test_examples(apr_pool_t *p)
{
    static const char head[] =
        "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0Rs"
        "cEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2"
        "In19.";
    static const char resource[] =
        "eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0"
        "ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9."
        "2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA";
    static const char server[] =
        "eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwi"
        "aWF0IjoxNTYyMjYyNjE2fQ."
        "2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg";
    client_t client = { 0 };
    mcp_dpop_t proof;

    client.expect.method = "GET";
    client.expect.urls[0] = "https://resource.example.org/protectedresource";
    client.expect.token = TOKEN;
    client.expect.token_len = strlen(TOKEN);
    client.expect.jkt = JKT;
    OK(verify(&proof, &client, apr_pstrcat(p, head, resource, NULL), SEC(1562262618), p) == MCP_OK,
       "POP-2 POP-3 the proof of RFC 9449 section 7.1 is good");
    STR_IS(proof.jti, "e1j3V_bKic8-LAEB", "its jti");
    OK(!proof.nonce && proof.not_after == SEC(1562262918), "no nonce, its end");
    OK(verify(&proof, &client, apr_pstrcat(p, head, resource, NULL), SEC(1562262918), p) == MCP_DPOP_TIME,
       "POP-3 and at its end it is over");
    client.expect.method = "POST";
    client.expect.urls[0] = "https://server.example.com/token";
    OK(verify(&proof, &client, apr_pstrcat(p, head, server, NULL), SEC(1562262616), p) == MCP_DPOP_TOKEN,
       "POP-3 the proof of section 4.1, for a token endpoint, lacks ath and nothing else");
}

static void test_algs(apr_pool_t *p)
{
    static const char *const rows[][2] = {
        { "RSA2048", "RS256" }, { "RSA2048", "RS384" }, { "RSA2048", "RS512" }, { "RSA2048", "PS256" },
        { "RSA2048", "PS384" }, { "RSA2048", "PS512" }, { "P-256", "ES256" },   { "P-384", "ES384" },
        { "P-521", "ES512" },   { "Ed25519", "EdDSA" }, { "Ed448", "EdDSA" },   { "Ed25519", "Ed25519" },
        { "Ed448", "Ed448" },
    };
    client_t client, other;
    EVP_PKEY *pkeys[2] = { NULL, NULL };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        mcp_dpop_t proof;
        const char *good;

        if (!i || strcmp(rows[i][0], rows[i - 1][0])) {
            pkeys[0] = sign_key(rows[i][0], p);
            pkeys[1] = sign_key(rows[i][0], p);
        }
        client_make(&client, pkeys[0], rows[i][1], p);
        client_make(&other, pkeys[1], rows[i][1], p);
        good = sign_token(client.pkey, client.alg, client.header, client.payload, p);
        OK(verify(&proof, &client, good, IAT, p) == MCP_OK, "POP-3 %s with %s is good", rows[i][1], rows[i][0]);
        OK(verify(&proof, &client, sign_token(other.pkey, client.alg, client.header, client.payload, p), IAT, p) ==
               MCP_DPOP_SIGNATURE,
           "POP-3 by another key than the one in it is not");
        OK(verify(&proof, &other, good, IAT, p) == MCP_DPOP_KEY, "POP-3 nor by a key the token is not bound to");
    }
    OK(MCP_DPOP_ALGS == 0xfff, "POP-4 twelve algorithms");
    client_make(&client, sign_key("RSA1024", p), "RS256", p);
    OK(check(&client, client.header, client.payload, p) == MCP_DPOP_HEADER, "POP-3 K06 an RSA key of 1024 bits");
    client_make(&client, sign_key("P-384", p), "ES256", p);
    OK(check(&client, client.header, client.payload, p) == MCP_DPOP_HEADER, "POP-3 TOK-4 ES256 with P-384");
    client_make(&client, sign_key("Ed448", p), "Ed25519", p);
    OK(check(&client, client.header, client.payload, p) == MCP_DPOP_HEADER, "POP-3 TOK-4 Ed25519 with Ed448");
}

typedef struct row_t {
    const char *from, *to;
    mcp_status_t want;
} row_t;

static void test_header(const client_t *client, apr_pool_t *p)
{
    static const row_t rows[] = {
        { "dpop+jwt", "DPoP+JWT", MCP_OK },
        { "dpop+jwt", "application/dpop+jwt", MCP_OK },
        { "\"alg\":", "\"x\":1,\"kid\":\"a\",\"alg\":", MCP_OK },
        { "{\"kty\"", "{\"use\":\"sig\",\"key_ops\":[\"verify\"],\"alg\":\"ES256\",\"ext\":true,\"kty\"", MCP_OK },
        { "dpop+jwt", "JWT", MCP_DPOP_HEADER },
        { "dpop+jwt", "at+jwt", MCP_DPOP_HEADER },
        { "dpop+jwt", "dpop+jwt ", MCP_DPOP_HEADER },
        { "dpop+jwt", "dpop", MCP_DPOP_HEADER },
        { "\"dpop+jwt\"", "7", MCP_DPOP_HEADER },
        { "\"typ\":\"dpop+jwt\",", "", MCP_DPOP_HEADER },
        { "\"alg\":\"ES256\"", "\"alg\":\"none\"", MCP_DPOP_HEADER },
        { "\"alg\":\"ES256\"", "\"alg\":\"HS256\"", MCP_DPOP_HEADER },
        { "\"alg\":\"ES256\"", "\"alg\":\"ES384\"", MCP_DPOP_HEADER },
        { "\"alg\":\"ES256\"", "\"alg\":\"RS256\"", MCP_DPOP_HEADER },
        { "\"alg\":\"ES256\"", "\"alg\":\"es256\"", MCP_DPOP_HEADER },
        { "\"alg\":\"ES256\"", "\"alg\":256", MCP_DPOP_HEADER },
        { "\"alg\":\"ES256\",", "", MCP_DPOP_HEADER },
        { "\"alg\":", "\"crit\":[\"b64\"],\"b64\":false,\"alg\":", MCP_DPOP_HEADER },
        { "\"alg\":", "\"crit\":[],\"alg\":", MCP_DPOP_HEADER },
        { "\"alg\":", "\"zip\":\"DEF\",\"alg\":", MCP_DPOP_HEADER },
        { "\"alg\":", "\"jku\":\"https://a/\",\"alg\":", MCP_DPOP_HEADER },
        { "\"alg\":", "\"x5u\":\"https://a/\",\"alg\":", MCP_DPOP_HEADER },
        { "\"alg\":", "\"alg\":\"ES256\",\"alg\":", MCP_DPOP_HEADER },
        { "\"jwk\":", "\"jwk\":{},\"jwk\":", MCP_DPOP_HEADER },
        { "{\"kty\"", "{\"kty\":\"EC\",\"kty\"", MCP_DPOP_HEADER },
        { "\"jwk\":", "\"jwk\":\"x\",\"a\":", MCP_DPOP_HEADER },
        { "\"jwk\":", "\"jwk\":null,\"a\":", MCP_DPOP_HEADER },
        { "\"jwk\":", "\"jwk\":[],\"a\":", MCP_DPOP_HEADER },
        { "\"jwk\":", "\"jwk\":{},\"a\":", MCP_DPOP_HEADER },
        { "\"jwk\":", "\"JWK\":", MCP_DPOP_HEADER },
        { "{\"kty\"", "{\"d\":\"AQ\",\"kty\"", MCP_DPOP_HEADER },
        { "{\"kty\"", "{\"d\":null,\"kty\"", MCP_DPOP_HEADER },
        { "{\"kty\"", "{\"p\":\"AQ\",\"kty\"", MCP_DPOP_HEADER },
        { "{\"kty\"", "{\"q\":\"AQ\",\"kty\"", MCP_DPOP_HEADER },
        { "{\"kty\"", "{\"dp\":\"AQ\",\"kty\"", MCP_DPOP_HEADER },
        { "{\"kty\"", "{\"dq\":\"AQ\",\"kty\"", MCP_DPOP_HEADER },
        { "{\"kty\"", "{\"qi\":\"AQ\",\"kty\"", MCP_DPOP_HEADER },
        { "{\"kty\"", "{\"oth\":[],\"kty\"", MCP_DPOP_HEADER },
        { "{\"kty\"", "{\"k\":\"AQ\",\"kty\"", MCP_DPOP_HEADER },
        { "\"kty\":\"EC\"", "\"kty\":\"oct\"", MCP_DPOP_HEADER },
        { "\"kty\":\"EC\"", "\"kty\":\"OKP\"", MCP_DPOP_HEADER },
        { "P-256", "P-384", MCP_DPOP_HEADER },
        { "P-256", "secp256k1", MCP_DPOP_HEADER },
        { "\"x\":\"", "\"x\":\"AA", MCP_DPOP_HEADER },
        { "\"y\":", "\"z\":", MCP_DPOP_HEADER },
        { "{\"kty\"", "{\"use\":\"enc\",\"kty\"", MCP_DPOP_HEADER },
        { "{\"kty\"", "{\"key_ops\":[\"sign\"],\"kty\"", MCP_DPOP_HEADER },
        { "{\"kty\"", "{\"alg\":\"ES384\",\"kty\"", MCP_DPOP_HEADER },
        { "{\"typ\"", "[{\"typ\"", MCP_DPOP_MALFORMED },
        { "{\"typ\"", "{typ", MCP_DPOP_MALFORMED },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        OK(check(client, replace(client->header, rows[i].from, rows[i].to, p), client->payload, p) == rows[i].want,
           "POP-3 %s for %s: %s", rows[i].to, rows[i].from, slug(rows[i].want));
    }
}

static void test_claims(const client_t *client, apr_pool_t *p)
{
    static const row_t rows[] = {
        { "{", "{\"nonce\":\"n\",\"exp\":1,\"unknown\":[{}],", MCP_OK },
        { "1000000", "1000000.5", MCP_OK },
        { "1000000", "1e6", MCP_OK },
        { "1000000", "\"1000000\"", MCP_DPOP_CLAIMS },
        { "1000000", "null", MCP_DPOP_CLAIMS },
        { "1000000", "true", MCP_DPOP_CLAIMS },
        { "1000000", "[1000000]", MCP_DPOP_CLAIMS },
        { "1000000", "-1", MCP_DPOP_CLAIMS },
        { "1000000", "1e300", MCP_DPOP_CLAIMS },
        { "1000000", "253402300800", MCP_DPOP_CLAIMS },
        { "1000000", "9223372036854775807", MCP_DPOP_CLAIMS },
        { "1000000", "253402300799", MCP_DPOP_TIME },
        { "1000000", "0", MCP_DPOP_TIME },
        { "1000000", "0.5", MCP_DPOP_TIME },
        { "1000000", "1e999", MCP_DPOP_MALFORMED },
        { "\"iat\"", "\"IAT\"", MCP_DPOP_CLAIMS },
        { "\"jti\"", "\"id\"", MCP_DPOP_CLAIMS },
        { "\"e1j3V_bKic8-LAEB\"", "\"\"", MCP_DPOP_CLAIMS },
        { "\"e1j3V_bKic8-LAEB\"", "1", MCP_DPOP_CLAIMS },
        { "\"e1j3V_bKic8-LAEB\"", "null", MCP_DPOP_CLAIMS },
        { "\"e1j3V_bKic8-LAEB\"", "\"a\\u0000\"", MCP_DPOP_MALFORMED },
        { "\"htm\"", "\"m\"", MCP_DPOP_CLAIMS },
        { "\"POST\"", "\"\"", MCP_DPOP_CLAIMS },
        { "\"POST\"", "[\"POST\"]", MCP_DPOP_CLAIMS },
        { "\"htu\"", "\"u\"", MCP_DPOP_CLAIMS },
        { "\"https://mcp.example.com/mcp\"", "\"\"", MCP_DPOP_CLAIMS },
        { "\"https://mcp.example.com/mcp\"", "{}", MCP_DPOP_CLAIMS },
        { "\"" ATH "\"", "1", MCP_DPOP_CLAIMS },
        { "\"" ATH "\"", "null", MCP_DPOP_CLAIMS },
        { "{", "{\"nonce\":1,", MCP_DPOP_CLAIMS },
        { "{", "{\"nonce\":null,", MCP_DPOP_CLAIMS },
        { "\"POST\"", "\"post\"", MCP_DPOP_METHOD },
        { "\"POST\"", "\"GET\"", MCP_DPOP_METHOD },
        { "\"POST\"", "\"POST \"", MCP_DPOP_METHOD },
        { "\"ath\"", "\"at_hash\"", MCP_DPOP_TOKEN },
        { ATH, "", MCP_DPOP_TOKEN },
        { ATH, ATH "=", MCP_DPOP_TOKEN },
        { ATH, ATH "A", MCP_DPOP_TOKEN },
        { "ksmQEo", "ksmQE", MCP_DPOP_TOKEN },
        { "ksmQEo", "ksmQEp", MCP_DPOP_TOKEN },
        { "fUHy", "fUHz", MCP_DPOP_TOKEN },
        { "{", "{\"iat\":1000000,", MCP_DPOP_MALFORMED },
        { "{", "{\"jti\":\"x\",", MCP_DPOP_MALFORMED },
        { "{", "{\"a\":{\"b\":1,\"b\":2},", MCP_DPOP_MALFORMED },
        { "{", "[{", MCP_DPOP_MALFORMED },
        { "}", "", MCP_DPOP_MALFORMED },
        { "}", "}x", MCP_DPOP_MALFORMED },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        OK(check(client, client->header, replace(client->payload, rows[i].from, rows[i].to, p), p) == rows[i].want,
           "POP-3 %s for %s: %s", rows[i].to, rows[i].from, slug(rows[i].want));
    }
    OK(check(client, client->header, "[]", p) == MCP_DPOP_MALFORMED, "POP-3 T14 an array for a payload");
}

static void test_forms(const client_t *client, apr_pool_t *p)
{
    const char *input = sign_input(client->header, client->payload, p);
    size_t len, raw_len;
    unsigned char *raw = sign_raw(&raw_len, client->pkey, "ES256", input, p);
    unsigned char *der = sign_openssl(&len, client->pkey, "ES256", input, p);
    const char *good = sign_join(input, raw, raw_len, p), *dot = strchr(good, '.');
    mcp_dpop_t proof;

    OK(verify(&proof, client, good, IAT, p) == MCP_OK, "a good proof");
    OK(verify(&proof, client, sign_join(input, der, len, p), IAT, p) == MCP_DPOP_SIGNATURE,
       "POP-3 T08 a signature in DER");
    raw[5] ^= 1;
    OK(verify(&proof, client, sign_join(input, raw, raw_len, p), IAT, p) == MCP_DPOP_SIGNATURE,
       "POP-3 a bit of the signature");
    OK(verify(&proof, client,
              sign_hmac(client->jwk, strlen(client->jwk), "SHA256", replace(client->header, "ES256", "HS256", p),
                        client->payload, p),
              IAT, p) == MCP_DPOP_HEADER,
       "POP-3 T02 an HMAC with the public key");
    OK(verify(&proof, client, "", IAT, p) == MCP_DPOP_MALFORMED, "POP-3 an empty field");
    OK(verify(&proof, client, TOKEN, IAT, p) == MCP_DPOP_MALFORMED, "POP-3 an opaque token");
    OK(verify(&proof, client, apr_pstrcat(p, good, ", ", good, NULL), IAT, p) == MCP_DPOP_MALFORMED,
       "POP-2 two proofs in one field");
    OK(verify(&proof, client, apr_pstrcat(p, good, ".AA", NULL), IAT, p) == MCP_DPOP_MALFORMED, "POP-3 four parts");
    OK(verify(&proof, client, apr_pstrcat(p, good, "=", NULL), IAT, p) == MCP_DPOP_MALFORMED, "POP-3 T12 padding");
    OK(verify(&proof, client, apr_pstrcat(p, " ", good, NULL), IAT, p) == MCP_DPOP_MALFORMED, "POP-3 a space");
    OK(verify(&proof, client, apr_pstrmemdup(p, good, (apr_size_t)(strrchr(good, '.') + 1 - good)), IAT, p) ==
           MCP_DPOP_MALFORMED,
       "POP-3 no signature");
    OK(verify(&proof, client,
              apr_pstrcat(p, apr_pstrmemdup(p, good, (apr_size_t)(dot - good)), ".", strrchr(good, '.'), NULL), IAT,
              p) == MCP_DPOP_MALFORMED,
       "POP-3 no payload");
}

/* A text with a member in front that holds len more bytes. */
static const char *padded(const char *text, int len, apr_pool_t *p)
{
    char *fill = apr_palloc(p, (apr_size_t)len + 1);

    memset(fill, 'x', (apr_size_t)len);
    fill[len] = '\0';
    return apr_psprintf(p, "{\"xx\":\"%s\",%s", fill, text + 1);
}

static void test_limits(const client_t *client, apr_pool_t *p)
{
    static const char *const froms[] = { "e1j3V_bKic8-LAEB", "POST", "https://mcp.example.com/mcp" };
    static const mcp_status_t wants[] = { MCP_OK, MCP_DPOP_METHOD, MCP_DPOP_URL };
    char text[MCP_LIMIT_PROOF_CLAIM + 2];
    mcp_dpop_t proof;
    const char *large = "";
    int i;

    memset(text, 'a', sizeof(text));
    for (i = 0; i < 3; i++) {
        text[MCP_LIMIT_PROOF_CLAIM] = '\0';
        OK(check(client, client->header, replace(client->payload, froms[i], text, p), p) == wants[i],
           "POP-3 %s as long as it may be", froms[i]);
        text[MCP_LIMIT_PROOF_CLAIM] = 'a';
        text[MCP_LIMIT_PROOF_CLAIM + 1] = '\0';
        OK(check(client, client->header, replace(client->payload, froms[i], text, p), p) == MCP_DPOP_CLAIMS,
           "POP-3 and one byte longer");
    }
    OK(check(client, client->header, apr_psprintf(p, "{\"nonce\":\"%s\",%s", text, client->payload + 1), p) ==
           MCP_DPOP_CLAIMS,
       "POP-5 a nonce one byte too long");
    text[MCP_LIMIT_PROOF_CLAIM] = '\0';
    OK(check(client, client->header, apr_psprintf(p, "{\"nonce\":\"%s\",%s", text, client->payload + 1), p) == MCP_OK,
       "POP-5 and the longest");
    for (i = 5000; strlen(large) < MCP_LIMIT_PROOF; i++) {
        large = sign_token(client->pkey, client->alg, client->header, padded(client->payload, i, p), p);
    }
    OK(strlen(large) == MCP_LIMIT_PROOF && verify(&proof, client, large, IAT, p) == MCP_OK, "POP-3 the largest proof");
    large = sign_token(client->pkey, client->alg, client->header, padded(client->payload, i, p), p);
    OK(verify(&proof, client, large, IAT, p) == MCP_DPOP_MALFORMED, "POP-3 a larger one");
    OK(strlen(large) <= MCP_LIMIT_PROOF + 2, "by a byte or two");
}

static void test_time(const client_t *client, apr_pool_t *p)
{
    const char *text = sign_token(client->pkey, client->alg, client->header,
                                  apr_psprintf(p, "{\"nonce\":\"abc\",%s", client->payload + 1), p);
    mcp_dpop_t proof;

    OK(verify(&proof, client, text, IAT + SEC(300) - 1, p) == MCP_OK, "POP-3 good until 300 s after iat");
    OK(proof.not_after == IAT + SEC(300), "which is its end");
    STR_IS(proof.nonce, "abc", "POP-5 its nonce is handed on");
    OK(verify(&proof, client, text, IAT + SEC(300), p) == MCP_DPOP_TIME, "POP-3 and then no more");
    OK(verify(&proof, client, text, IAT - SEC(300), p) == MCP_OK, "POP-3 good from 300 s before");
    OK(verify(&proof, client, text, IAT - SEC(300) - 1, p) == MCP_DPOP_TIME, "POP-3 and not sooner");
}

static void test_urls(const client_t *client, apr_pool_t *p)
{
    static const struct {
        const char *htu;
        mcp_status_t want;
    } rows[] = {
        { "HTTPS://MCP.Example.COM/mcp", MCP_OK },
        { "https://mcp.example.com:443/mcp", MCP_OK },
        { "https://mcp.example.com/%6d%63p", MCP_OK },
        { "https://mcp.example.com/x/../mcp", MCP_OK },
        { "https://mcp.example.com/./mcp", MCP_OK },
        { "https://mcp.example.com/mcp?a=b", MCP_OK },
        { "https://mcp.example.com/mcp#f", MCP_OK },
        { "https://other.example.com/a%2Fb", MCP_OK },
        { "https://other.example.com/a%2fb", MCP_OK },
        { "https://other.example.com/a/b", MCP_DPOP_URL },
        { "https://mcp.example.com/mcp/", MCP_DPOP_URL },
        { "https://mcp.example.com/MCP", MCP_DPOP_URL },
        { "https://mcp.example.com//mcp", MCP_DPOP_URL },
        { "https://mcp.example.com/mcp/tools", MCP_DPOP_URL },
        { "https://mcp.example.com/", MCP_DPOP_URL },
        { "https://mcp.example.com", MCP_DPOP_URL },
        { "https://mcp.example.com:8443/mcp", MCP_DPOP_URL },
        { "https://mcp.example.com./mcp", MCP_DPOP_URL },
        { "http://mcp.example.com/mcp", MCP_DPOP_URL },
        { "https://evil.example.com/mcp", MCP_DPOP_URL },
        { "https://user@mcp.example.com/mcp", MCP_DPOP_URL },
        { "https://mcp.example.com@evil.example.com/mcp", MCP_DPOP_URL },
        { "/mcp", MCP_DPOP_URL },
        { "mcp", MCP_DPOP_URL },
        { "https://mcp.example.com/mcp ", MCP_DPOP_URL },
        { "https://mcp.example.com/%6", MCP_DPOP_URL },
    };
    client_t two = *client;
    apr_size_t i;

    two.expect.urls[1] = "https://other.example.com/a%2Fb";
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *payload = replace(client->payload, "https://mcp.example.com/mcp", rows[i].htu, p);

        OK(check(&two, client->header, payload, p) == rows[i].want, "POP-3 htu %s: %s", rows[i].htu,
           slug(rows[i].want));
    }
    OK(check(client, client->header, replace(client->payload, "mcp.example.com/mcp", "other.example.com/a%2Fb", p),
             p) == MCP_DPOP_URL,
       "POP-3 a second URL only where there is one");
    two.expect.urls[0] = "HTTPS://MCP.example.com:443/a/%2e%2E/mcp?q";
    OK(check(&two, client->header, client->payload, p) == MCP_OK, "what is expected is normalized as well");
}

/* All is wrong at first; each step puts one thing right. */
static void test_order(const client_t *client, apr_pool_t *p)
{
    static const mcp_status_t wants[] = { MCP_DPOP_HEADER, MCP_DPOP_SIGNATURE, MCP_DPOP_CLAIMS,
                                          MCP_DPOP_METHOD, MCP_DPOP_URL,       MCP_DPOP_TIME,
                                          MCP_DPOP_TOKEN,  MCP_DPOP_KEY,       MCP_OK };
    EVP_PKEY *other = sign_key("P-256", p);
    int i;

    for (i = 0; i < (int)(sizeof(wants) / sizeof(wants[0])); i++) {
        client_t now = *client;
        const char *payload = i > 2 ? client->payload : replace(client->payload, "jti", "id", p);
        mcp_dpop_t proof;

        now.header = i > 0 ? client->header : replace(client->header, "dpop+", "", p);
        now.expect.method = i > 3 ? "POST" : "PUT";
        now.expect.urls[0] = i > 4 ? client->expect.urls[0] : "https://mcp.example.com/other";
        now.expect.token = i > 6 ? TOKEN : "another token";
        now.expect.token_len = strlen(now.expect.token);
        now.expect.jkt = i > 7 ? client->jkt : JKT;
        OK(verify(&proof, &now, sign_token(i > 1 ? client->pkey : other, "ES256", now.header, payload, p),
                  i > 5 ? IAT : IAT + SEC(300), p) == wants[i],
           "POP-3 check %d: %s", i, slug(wants[i]));
    }
}

/* Nothing to compare with, nothing is admitted. */
static void test_closed(const client_t *client, apr_pool_t *p)
{
    client_t none = *client;

    none.expect.method = NULL;
    OK(check(&none, client->header, client->payload, p) == MCP_DPOP_METHOD, "no method");
    none = *client;
    none.expect.urls[0] = NULL;
    OK(check(&none, client->header, client->payload, p) == MCP_DPOP_URL, "no URL");
    none.expect.urls[0] = "not a URL";
    OK(check(&none, client->header, client->payload, p) == MCP_DPOP_URL, "none that is one");
    none = *client;
    none.expect.token = NULL;
    OK(check(&none, client->header, client->payload, p) == MCP_DPOP_TOKEN, "no token");
    none = *client;
    none.expect.token_len--;
    OK(check(&none, client->header, client->payload, p) == MCP_DPOP_TOKEN, "POP-3 a byte less of the token");
    none = *client;
    none.expect.jkt = NULL;
    OK(check(&none, client->header, client->payload, p) == MCP_DPOP_KEY, "no thumbprint");
    none.expect.jkt = "";
    OK(check(&none, client->header, client->payload, p) == MCP_DPOP_KEY, "an empty one");
    none.expect.jkt = apr_pstrcat(p, client->jkt, "=", NULL);
    OK(check(&none, client->header, client->payload, p) == MCP_DPOP_KEY, "one that is padded");
    fail = 1;
    OK(check(client, client->header, client->payload, p) == MCP_DPOP_TOKEN, "T23 OpenSSL cannot hash the token");
    fail = 0;
    OK(check(client, client->header, client->payload, p) == MCP_OK, "else it is good");
}

static void test_digest(apr_pool_t *p)
{
    unsigned char key[MCP_DPOP_KEY_BYTES] = { 1 }, other[MCP_DPOP_KEY_BYTES] = { 2 }, a[32], b[32];
    char *text = apr_pcalloc(p, MCP_LIMIT_PROOF_CLAIM + 2);
    size_t len;

    OK(mcp_dpop_digest(a, key, JKT, "jti") && mcp_dpop_digest(b, key, JKT, "jti") && !memcmp(a, b, 32),
       "POP-5 one proof, one digest");
    OK(mcp_dpop_digest(b, key, JKT, "jtj") && memcmp(a, b, 32), "POP-5 another jti, another digest");
    OK(mcp_dpop_digest(b, key, ATH, "jti") && memcmp(a, b, 32), "POP-5 another key of the client");
    OK(mcp_dpop_digest(b, other, JKT, "jti") && memcmp(a, b, 32), "POP-5 another key of the server");
    OK(mcp_dpop_digest(a, key, "ab", "c") && mcp_dpop_digest(b, key, "a", "bc") && memcmp(a, b, 32),
       "POP-5 a character moved from jkt to jti");
    SIGN_MUST(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, sizeof(key),
                        (const unsigned char *)"j\0\0\0\1a\0\0\0\2bc", 12, a, sizeof(a), &len));
    OK(!memcmp(a, b, 32), "each stands behind its length");
    memset(text, 'j', MCP_LIMIT_PROOF_CLAIM);
    OK(mcp_dpop_digest(a, key, text, text), "the longest texts");
    text[MCP_LIMIT_PROOF_CLAIM] = 'j';
    OK(!mcp_dpop_digest(a, key, JKT, text) && !mcp_dpop_digest(a, key, text, "jti"), "a byte more is refused");
    fail = 1;
    OK(!mcp_dpop_digest(a, key, JKT, "jti"), "T23 OpenSSL fails");
    fail = 0;
}

static void test_nonce(apr_pool_t *p)
{
    unsigned char key[MCP_DPOP_KEY_BYTES] = { 1 }, other[MCP_DPOP_KEY_BYTES] = { 2 };
    static const char *const junk[] = { "", "n", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "////////////////////////////////",
                                        "________________________________" };
    const char *nonce = mcp_dpop_nonce_make(key, IAT + 700000, p);
    apr_interval_time_t age = -1;
    apr_size_t i;
    int wrong = 0;

    OK(nonce && mcp_dpop_nonce_check(&age, nonce, key, IAT + 700000) && age == 700000, "POP-5 a nonce is ours");
    OK(nonce && strlen(nonce) == 32 &&
           strspn(nonce, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == 32,
       "POP-5 of characters that RFC 9449 section 8.1 allows");
    OK(mcp_dpop_nonce_check(&age, nonce, key, IAT + SEC(150)) && age == SEC(150), "and knows its age");
    OK(mcp_dpop_nonce_check(&age, nonce, key, IAT + SEC(300)) && age == SEC(300), "POP-5 it lives for 300 s");
    OK(!mcp_dpop_nonce_check(&age, nonce, key, IAT + SEC(300) + 1), "POP-5 and no longer");
    OK(mcp_dpop_nonce_check(&age, nonce, key, IAT - SEC(60)) && age == 0, "one of a minute from now has no age");
    OK(!mcp_dpop_nonce_check(&age, nonce, key, IAT - SEC(60) - 1), "a later one is none");
    OK(!mcp_dpop_nonce_check(&age, nonce, other, IAT), "POP-5 with another key it is none");
    OK(!mcp_dpop_nonce_check(&age, NULL, key, IAT), "POP-5 NULL is none");
    for (i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
        OK(!mcp_dpop_nonce_check(&age, junk[i], key, IAT), "POP-5 junk %d is none", (int)i);
    }
    for (i = 0; i < 32; i++) {
        char *bad = apr_pstrdup(p, nonce);

        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        wrong += mcp_dpop_nonce_check(&age, bad, key, IAT);
        bad = apr_pstrmemdup(p, nonce, i);
        wrong += mcp_dpop_nonce_check(&age, bad, key, IAT);
    }
    OK(!wrong, "POP-5 each character counts, those of the time and those of the tag");
    OK(!mcp_dpop_nonce_check(&age, apr_pstrcat(p, nonce, "A", NULL), key, IAT) &&
           !mcp_dpop_nonce_check(&age, apr_pstrcat(p, nonce, "=", NULL), key, IAT),
       "POP-5 T12 nothing behind it");
    STR_IS(mcp_dpop_nonce_make(key, IAT, p), nonce, "one nonce for each second");
    OK(strcmp(mcp_dpop_nonce_make(key, IAT + SEC(1), p), nonce), "the next second has another");
    fail = 1;
    OK(!mcp_dpop_nonce_make(key, IAT, p) && !mcp_dpop_nonce_check(&age, nonce, key, IAT), "T23 OpenSSL fails");
    fail = 0;
}

static void test(apr_pool_t *p)
{
    client_t client;

    client_make(&client, sign_key("P-256", p), "ES256", p);
    test_examples(p);
    test_algs(p);
    test_header(&client, p);
    test_claims(&client, p);
    test_forms(&client, p);
    test_limits(&client, p);
    test_time(&client, p);
    test_urls(&client, p);
    test_order(&client, p);
    test_closed(&client, p);
    test_digest(p);
    test_nonce(p);
}
