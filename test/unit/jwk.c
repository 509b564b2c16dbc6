#include <dlfcn.h>

#include "base/limits.h"
#include "keys/jwk.h"
#include "keys/keyset.h"
#include "sign.h"
#include "tap.h"

#define RS_PS 0x3f /* the six RSA algorithms */

/* OpenSSL as the code under test sees it; fail makes one call go wrong. */
enum { FAIL_NONE, FAIL_FROMDATA, FAIL_CHECK, FAIL_INIT, FAIL_CONTEXT };
static int fail;

static void real_find(void *function, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    SIGN_MUST(found);
    memcpy(function, &found, sizeof(found));
}

int EVP_PKEY_fromdata(EVP_PKEY_CTX *ctx, EVP_PKEY **ppkey, int selection, OSSL_PARAM *param)
{
    int (*real)(EVP_PKEY_CTX *, EVP_PKEY **, int, OSSL_PARAM *);

    real_find(&real, "EVP_PKEY_fromdata");
    return real(ctx, ppkey, selection, param) == 1 && fail != FAIL_FROMDATA ? 1 : -2;
}

int EVP_PKEY_public_check(EVP_PKEY_CTX *ctx)
{
    int (*real)(EVP_PKEY_CTX *);

    real_find(&real, "EVP_PKEY_public_check");
    return fail == FAIL_CHECK ? -1 : real(ctx);
}

int EVP_DigestVerifyInit_ex(EVP_MD_CTX *ctx, EVP_PKEY_CTX **ppctx, const char *name, OSSL_LIB_CTX *libctx,
                            const char *props, EVP_PKEY *pkey, const OSSL_PARAM params[])
{
    int (*real)(EVP_MD_CTX *, EVP_PKEY_CTX **, const char *, OSSL_LIB_CTX *, const char *, EVP_PKEY *,
                const OSSL_PARAM *);

    real_find(&real, "EVP_DigestVerifyInit_ex");
    return fail == FAIL_INIT ? -1 : real(ctx, ppctx, name, libctx, props, pkey, params);
}

EVP_MD_CTX *EVP_MD_CTX_new(void)
{
    EVP_MD_CTX *(*real)(void);

    real_find(&real, "EVP_MD_CTX_new");
    return fail == FAIL_CONTEXT ? NULL : real();
}

/* The key of a JWK text, or NULL. */
static mcp_jwk_t *parse(const char *text, apr_pool_t *p)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    mcp_jwk_t *jwk;
    const char *reason;

    SIGN_MUST(json);
    reason = mcp_jwk_parse(&jwk, json, p);
    json_decref(json);
    return !reason && jwk ? jwk : NULL;
}

static int refused(const char *text, apr_pool_t *p)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY, NULL);
    mcp_jwk_t *jwk = (mcp_jwk_t *)&json;
    const char *reason;

    SIGN_MUST(json);
    reason = mcp_jwk_parse(&jwk, json, p);
    json_decref(json);
    return reason && *reason && !jwk;
}

static void test_good(apr_pool_t *p)
{
    static const struct {
        const char *kind, *members;
        mcp_algs_t algs;
    } rows[] = {
        { "RSA2048", "", RS_PS },
        { "RSA2048", "\"alg\":\"PS384\",", MCP_ALG_BIT(MCP_ALG_PS384) },
        { "P-256", "", MCP_ALG_BIT(MCP_ALG_ES256) },
        { "P-384", "\"use\":\"sig\",", MCP_ALG_BIT(MCP_ALG_ES384) },
        { "P-521", "\"alg\":\"ES512\",", MCP_ALG_BIT(MCP_ALG_ES512) },
        { "Ed25519", "", MCP_ALG_BIT(MCP_ALG_EDDSA) | MCP_ALG_BIT(MCP_ALG_ED25519) },
        { "Ed448", "", MCP_ALG_BIT(MCP_ALG_EDDSA) | MCP_ALG_BIT(MCP_ALG_ED448) },
        { "Ed25519", "\"alg\":\"EdDSA\",", MCP_ALG_BIT(MCP_ALG_EDDSA) },
        { "Ed25519", "\"alg\":\"Ed25519\",", MCP_ALG_BIT(MCP_ALG_ED25519) },
        { "P-256", "\"key_ops\":[\"sign\",\"verify\"],", MCP_ALG_BIT(MCP_ALG_ES256) },
        { "P-256", "\"x5c\":[7],\"x5u\":\"http://x/\",\"d\":\"AAAA\",", MCP_ALG_BIT(MCP_ALG_ES256) },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        EVP_PKEY *pkey = sign_key(rows[i].kind, p);
        mcp_jwk_t *jwk = parse(sign_jwk(pkey, rows[i].members, p), p);
        int alg;

        OK(jwk && jwk->algs == rows[i].algs, "K08 %s {%s} may verify what it is for", rows[i].kind, rows[i].members);
        OK(jwk && EVP_PKEY_eq(jwk->pkey, pkey) == 1, "and it is the key");
        for (alg = 0; jwk && alg < MCP_ALG_COUNT; alg++) {
            if (!jwk->verifiers[alg] != !(jwk->algs & MCP_ALG_BIT(alg))) {
                OK(0, "a verifier for each of its algorithms and no other: %d", alg);
            }
        }
        if (jwk) {
            OK(!jwk->kid, "no kid");
        }
    }
}

static void test_private(apr_pool_t *p)
{
    EVP_PKEY *pkey = sign_key("P-256", p);
    mcp_jwk_t *jwk = parse(sign_jwk(pkey, "\"d\":\"AQ\",\"kid\":\"k\",", p), p);
    BIGNUM *d = NULL;

    OK(jwk && EVP_PKEY_get_bn_param(jwk->pkey, OSSL_PKEY_PARAM_PRIV_KEY, &d) != 1,
       "K10 only the public part is loaded");
    BN_free(d);
    STR_IS(jwk ? jwk->kid : NULL, "k", "its kid is kept");
    OK(jwk && jwk->exposed, "K10 and it is noted that the private part was there");
    jwk = parse(sign_jwk(pkey, "", p), p);
    OK(jwk && !jwk->exposed, "K10 which is not said of others");
}

/* Members that make a good key unusable. */
static void test_members(apr_pool_t *p)
{
    static const char *const rows[] = { "\"use\":\"enc\",",
                                        "\"use\":\"SIG\",",
                                        "\"use\":\"\",",
                                        "\"use\":1,",
                                        "\"use\":null,",
                                        "\"key_ops\":[\"sign\"],",
                                        "\"key_ops\":[],",
                                        "\"key_ops\":\"verify\",",
                                        "\"key_ops\":[\"verify\",1],",
                                        "\"key_ops\":null,",
                                        "\"alg\":\"RS256\",",
                                        "\"alg\":\"ES384\",",
                                        "\"alg\":\"HS256\",",
                                        "\"alg\":\"none\",",
                                        "\"alg\":\"es256\",",
                                        "\"alg\":\"ES256K\",",
                                        "\"alg\":\"ES25\",",
                                        "\"alg\":\"\",",
                                        "\"alg\":\"ECDH-ES\",",
                                        "\"alg\":256,",
                                        "\"alg\":null,",
                                        "\"kid\":1,",
                                        "\"kid\":null,",
                                        "\"kid\":{},",
                                        "\"kid\":[\"a\"]," };
    EVP_PKEY *pkey = sign_key("P-256", p);
    char kid[MCP_LIMIT_KID + 2];
    mcp_jwk_t *jwk;
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        OK(refused(sign_jwk(pkey, rows[i], p), p), "K08 left out: %s", rows[i]);
    }
    memset(kid, 'k', sizeof(kid));
    kid[MCP_LIMIT_KID] = '\0';
    jwk = parse(sign_jwk(pkey, apr_psprintf(p, "\"kid\":\"%s\",", kid), p), p);
    STR_IS(jwk ? jwk->kid : NULL, kid, "K14 the longest kid is kept");
    kid[MCP_LIMIT_KID] = 'k';
    kid[MCP_LIMIT_KID + 1] = '\0';
    OK(refused(sign_jwk(pkey, apr_psprintf(p, "\"kid\":\"%s\",", kid), p), p), "K14 a kid one byte longer is not");
}

static void test_shapes(apr_pool_t *p)
{
    static const char *const rows[] = { "[]",
                                        "\"RSA\"",
                                        "1",
                                        "null",
                                        "{}",
                                        "{\"kty\":1}",
                                        "{\"kty\":null}",
                                        "{\"kty\":\"rsa\"}",
                                        "{\"kty\":\"RSA\"}",
                                        "{\"kty\":\"RSA\",\"n\":1,\"e\":3}",
                                        "{\"kty\":\"RSA\",\"n\":null,\"e\":\"AQAB\"}",
                                        "{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"\"}",
                                        "{\"kty\":\"EC\"}",
                                        "{\"kty\":\"EC\",\"crv\":\"P-256\"}",
                                        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":1,\"y\":[]}",
                                        "{\"kty\":\"EC\",\"crv\":7,\"x\":\"AA\",\"y\":\"AA\"}",
                                        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}",
                                        "{\"kty\":\"AKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}",
                                        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":{}}",
                                        "{\"kty\":\"oct\",\"k\":\"AAAA\"}",
                                        "{\"kty\":\"oct\",\"k\":\"AAAA\",\"alg\":\"HS256\",\"use\":\"sig\"}",
                                        "{\"kty\":\"AKP\",\"alg\":\"ML-DSA-44\",\"pub\":\"AA\"}" };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        OK(refused(rows[i], p), "K09 K10 KEY-8 left out: %s", rows[i]);
    }
}

/* An RSA JWK with a modulus of that many bits, 2^(bits-1) + 1, behind zeros zero bytes, and that exponent. */
static const char *rsa_text(int bits, int zeros, const char *e, apr_pool_t *p)
{
    int len = zeros + (bits + 7) / 8;
    unsigned char *n = apr_pcalloc(p, (apr_size_t)len);

    n[zeros] = (unsigned char)(1 << ((bits - 1) % 8));
    n[len - 1] |= 1;
    return apr_psprintf(p, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}", sign_b64(n, (size_t)len, p), e);
}

static const char *exponent(const char *bytes, size_t len, apr_pool_t *p)
{
    return rsa_text(2048, 0, sign_b64(bytes, len, p), p);
}

static void test_rsa(apr_pool_t *p)
{
    unsigned char even[256] = { 0x80 };

    OK(parse(rsa_text(MCP_LIMIT_RSA_MIN, 0, "AQAB", p), p) != NULL, "TOK-6 an RSA key of 2048 bits is taken");
    OK(refused(rsa_text(MCP_LIMIT_RSA_MIN - 1, 0, "AQAB", p), p), "TOK-6 K06 one of 2047 bits is not");
    OK(refused(rsa_text(MCP_LIMIT_RSA_MIN - 1, 1, "AQAB", p), p), "K06 nor when a zero byte makes it longer");
    OK(refused(rsa_text(1024, 0, "AQAB", p), p), "K06 nor one of 1024 bits");
    OK(parse(rsa_text(MCP_LIMIT_RSA_MAX, 0, "AQAB", p), p) != NULL, "an RSA key of 8192 bits is taken");
    OK(parse(rsa_text(MCP_LIMIT_RSA_MAX, 1, "AQAB", p), p) != NULL, "also with a zero byte in front");
    OK(refused(rsa_text(MCP_LIMIT_RSA_MAX + 1, 0, "AQAB", p), p), "K06 one of 8193 bits is not");
    OK(refused(rsa_text(65536, 0, "AQAB", p), p), "K06 nor one of 65536 bits");
    OK(refused(apr_psprintf(p, "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"%s\"}", sign_b64(even, sizeof(even), p)), p),
       "K06 an even modulus is left out");
    OK(refused(rsa_text(2048, 0, "", p), p), "K06 no exponent");
    OK(refused(exponent("\0", 1, p), p), "K06 exponent 0");
    OK(refused(exponent("\1", 1, p), p), "K06 exponent 1");
    OK(refused(exponent("\0\1", 2, p), p), "K06 exponent 1 behind a zero byte");
    OK(refused(exponent("\2", 1, p), p), "K06 exponent 2");
    OK(parse(exponent("\3", 1, p), p) != NULL, "exponent 3 is taken");
    OK(refused(exponent("\4", 1, p), p), "K06 exponent 4");
    OK(refused(exponent("\1\0\0", 3, p), p), "K06 exponent 65536");
    OK(parse(exponent("\xff\0\0\0\0\0\0\1", 8, p), p) != NULL, "an exponent of 64 bits is taken");
    OK(refused(exponent("\1\0\0\0\0\0\0\0\1", 9, p), p), "K06 one of 65 bits is not");
    OK(refused(rsa_text(2048, 0, "AQAB=", p), p), "T12 padding in a key is refused");
    OK(refused(rsa_text(2048, 0, "AQA/", p), p), "T12 base64 in a key is refused");
}

/* A modulus that is 1 modulo each small prime looks like the broken generator's. */
static void test_roca(apr_pool_t *p)
{
    static const int primes[] = { 3,   5,   7,   11,  13,  17,  19,  23,  29,  31,  37,  41,  43,
                                  47,  53,  59,  61,  67,  71,  73,  79,  83,  89,  97,  101, 103,
                                  107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167 };
    BIGNUM *n = BN_new();
    unsigned char bytes[256];
    apr_size_t i;

    SIGN_MUST(n && BN_one(n));
    for (i = 0; i < sizeof(primes) / sizeof(primes[0]); i++) {
        SIGN_MUST(BN_mul_word(n, (BN_ULONG)primes[i]));
    }
    SIGN_MUST(BN_lshift(n, n, 2048 - BN_num_bits(n)) && BN_add_word(n, 1) && BN_bn2binpad(n, bytes, 256) == 256);
    OK(refused(apr_psprintf(p, "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"%s\"}", sign_b64(bytes, 256, p)), p),
       "K06 a modulus of the ROCA generator is left out");
    SIGN_MUST(BN_add_word(n, 4) && BN_bn2binpad(n, bytes, 256) == 256); /* 5 is no power of 65537 modulo 11 */
    OK(parse(apr_psprintf(p, "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"%s\"}", sign_b64(bytes, 256, p)), p) != NULL,
       "its neighbour is taken");
    BN_free(n);
}

static const char *ec_text(const char *crv, const void *x, size_t x_len, const void *y, size_t y_len, apr_pool_t *p)
{
    return apr_psprintf(p, "{\"kty\":\"EC\",\"crv\":\"%s\",\"x\":\"%s\",\"y\":\"%s\"}", crv, sign_b64(x, x_len, p),
                        sign_b64(y, y_len, p));
}

static void test_ec(apr_pool_t *p)
{
    EVP_PKEY *pkey = sign_key("P-256", p);
    unsigned char point[65], x[34] = { 0 }, y[34] = { 0 }, field[32];
    size_t len;
    BIGNUM *prime = NULL;

    SIGN_MUST(EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &len) == 1);
    memcpy(x + 1, point + 1, 32);
    memcpy(y + 1, point + 33, 32);
    OK(parse(ec_text("P-256", x + 1, 32, y + 1, 32, p), p) != NULL, "the point is taken");
    OK(refused(ec_text("P-256", x, 33, y + 1, 32, p), p), "K07 x a byte too long");
    OK(refused(ec_text("P-256", x + 1, 32, y, 33, p), p), "K07 y a byte too long");
    OK(refused(ec_text("P-256", x + 1, 31, y + 1, 32, p), p), "K07 x a byte too short");
    OK(refused(ec_text("P-256", x + 1, 32, y + 1, 31, p), p), "K07 y a byte too short");
    OK(refused(ec_text("P-256", x, 33, y + 2, 31, p), p), "K07 a byte moved from y to x");
    OK(refused(ec_text("P-256", "", 0, y + 1, 32, p), p), "K07 x empty");
    OK(refused(ec_text("P-384", x + 1, 32, y + 1, 32, p), p), "K07 the point under another curve");
    OK(refused(ec_text("secp256k1", x + 1, 32, y + 1, 32, p), p), "K07 a curve we do not serve");
    OK(refused(ec_text("Ed25519", x + 1, 32, y + 1, 32, p), p), "K07 an Edwards curve with kty EC");
    OK(refused(ec_text("p-256", x + 1, 32, y + 1, 32, p), p), "K07 the curve in another case");
    y[32] ^= 1;
    OK(refused(ec_text("P-256", x + 1, 32, y + 1, 32, p), p), "K07 a point beside the curve");
    memset(x, 0, sizeof(x));
    memset(y, 0, sizeof(y));
    OK(refused(ec_text("P-256", x, 32, y, 32, p), p), "K07 all zero");
    SIGN_MUST(EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_EC_P, &prime) == 1 && BN_bn2binpad(prime, field, 32) == 32);
    OK(refused(ec_text("P-256", field, 32, point + 33, 32, p), p), "K07 x equal to the field's prime");
    BN_free(prime);
}

static void test_okp(apr_pool_t *p)
{
    static const struct {
        const char *crv;
        size_t len;
        int good;
    } rows[] = { { "Ed25519", 32, 1 }, { "Ed25519", 31, 0 }, { "Ed25519", 33, 0 }, { "Ed448", 57, 1 },
                 { "Ed448", 56, 0 },   { "Ed448", 58, 0 },   { "Ed448", 32, 0 },   { "Ed25519", 57, 0 },
                 { "X25519", 32, 0 },  { "X448", 56, 0 },    { "P-256", 32, 0 },   { "ed25519", 32, 0 } };
    unsigned char x[58];
    apr_size_t i;

    memset(x, 0x42, sizeof(x));
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *text =
            apr_psprintf(p, "{\"kty\":\"OKP\",\"crv\":\"%s\",\"x\":\"%s\"}", rows[i].crv, sign_b64(x, rows[i].len, p));

        OK(rows[i].good ? parse(text, p) != NULL : refused(text, p), "K07 OKP %s with %d bytes is %s", rows[i].crv,
           (int)rows[i].len, rows[i].good ? "taken" : "left out");
    }
}

static void test_faults(apr_pool_t *p)
{
    const char *rsa = rsa_text(2048, 0, "AQAB", p), *ec = sign_jwk(sign_key("P-256", p), "", p);
    int i;

    for (i = FAIL_NONE + 1; i <= FAIL_CONTEXT; i++) {
        fail = i;
        OK(refused(ec, p), "T23 OpenSSL fails at step %d: EC key left out", i);
        OK(i == FAIL_CHECK || refused(rsa, p), "T23 OpenSSL fails at step %d: RSA key left out", i);
    }
    fail = FAIL_NONE;
    OK(parse(rsa, p) && parse(ec, p), "without failure both are taken");
}

static const char *thumbprint(const char *text, apr_pool_t *p)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    char out[MCP_THUMBPRINT_CHARS + 1] = "?";
    int ok;

    SIGN_MUST(json);
    ok = mcp_jwk_thumbprint(out, json);
    json_decref(json);
    return ok ? apr_pstrdup(p, out) : *out ? "something" : NULL;
}

/* The examples of RFC 7638 section 3.1, RFC 8037 appendix A.3 and RFC 9449 section 6.1. */
static void test_thumbprint_examples(apr_pool_t *p)
{
    static const char okp[] =
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"";
    static const char ec[] = "{\"kty\":\"EC\",\"x\":\"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs\","
                             "\"y\":\"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA\",\"crv\":\"P-256\"}";
    static const char rsa[] =
        "{\"kty\":\"RSA\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFx"
        "uhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Qv"
        "zqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr"
        "3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\",\"e\":\"AQAB\",\"alg\":\"RS256\",\"kid\":\"2011-04-"
        "29\"}";

    STR_IS(thumbprint(rsa, p), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", "POP-3 the example of RFC 7638");
    STR_IS(thumbprint(apr_pstrcat(p, okp, "}", NULL), p), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
           "POP-3 the example of RFC 8037");
    STR_IS(thumbprint(apr_pstrcat(p, okp, ",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"}", NULL), p),
           "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "also of the private key");
    STR_IS(thumbprint(ec, p), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", "POP-3 the example of RFC 9449");
}

static void test_thumbprint(apr_pool_t *p)
{
    static const char *const rows[] = {
        "[]",
        "null",
        "{}",
        "{\"kty\":\"oct\",\"k\":\"AAAA\"}",
        "{\"kty\":\"rsa\",\"n\":\"AA\",\"e\":\"AA\"}",
        "{\"kty\":\"RSA\",\"n\":\"AA\"}",
        "{\"kty\":\"RSA\",\"e\":\"AA\"}",
        "{\"kty\":\"RSA\",\"n\":\"AA\",\"e\":3}",
        "{\"kty\":\"RSA\",\"n\":null,\"e\":\"AA\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\"}",
        "{\"kty\":\"EC\",\"x\":\"AA\",\"y\":\"AA\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":[\"AA\"]}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"A\\\"A\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"A\\\\A\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAA=\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\\u0000\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"A\u00e9\"}",
    };
    static const char one[] = "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}";
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        STR_IS(thumbprint(rows[i], p), NULL, "POP-3 no thumbprint: %s", rows[i]);
    }
    OK(strcmp(thumbprint(one, p), thumbprint("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AB\"}", p)),
       "another key, another thumbprint");
    fail = FAIL_CONTEXT;
    STR_IS(thumbprint(one, p), NULL, "T23 OpenSSL fails: no thumbprint");
    fail = FAIL_NONE;
}

static mcp_keyset_t *set_parse(const char *text)
{
    mcp_keyset_t *set;

    return mcp_keyset_parse(&set, text, strlen(text)) ? NULL : set;
}

static int set_refused(const char *text)
{
    mcp_keyset_t *set = (mcp_keyset_t *)&text;
    const char *reason = mcp_keyset_parse(&set, text, strlen(text));

    return reason && *reason && !set;
}

/* 20 broken members and one good key. */
static void test_set_broken(apr_pool_t *p)
{
    static const char *const broken =
        "1,null,true,\"x\",[],{},{\"kty\":7},{\"kty\":\"RSA\",\"n\":5,\"e\":5},{\"kid\":3,\"kty\":\"EC\"},"
        "{\"kty\":\"oct\",\"k\":\"AAAA\",\"kid\":\"good\"},{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":1,\"y\":2},"
        "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AAAA\"},{\"kty\":\"RSA\"},{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":"
        "\"AQAB\"},"
        "{\"kty\":\"RSA\",\"n\":[],\"e\":{}},{\"use\":5},{\"key_ops\":5},{\"alg\":5},{\"kty\":\"\"},{\"x5c\":[1]}";
    EVP_PKEY *good = sign_key("P-256", p);
    const char *text = sign_keyset(p, broken, sign_jwk(good, "\"kid\":\"good\",", p), NULL);
    const mcp_jwk_t *found[2];
    mcp_keyset_t *set = set_parse(text);

    OK(set && mcp_keyset_count(set) == 1 && mcp_keyset_skipped(set) == 20,
       "K09 KEY-4 20 broken members and one good key");
    OK(set && mcp_keyset_find(found, 2, set, "good", MCP_ALG_ES256) == 1 && EVP_PKEY_eq(found[0]->pkey, good) == 1,
       "K09 the good one is found");
    OK(set && mcp_keyset_at(set, 0) == found[0], "and is the first");
    mcp_keyset_release(set);
    mcp_keyset_release(NULL);
}

static void test_set_shapes(apr_pool_t *p)
{
    const char *jwk = sign_jwk(sign_key("P-256", p), "", p);
    const char *good = sign_keyset(p, jwk, NULL);
    mcp_keyset_t *set = set_parse(good);
    char *large;

    OK(set != NULL, "a set of one key");
    mcp_keyset_release(set);
    OK(set_refused(""), "K02 nothing");
    OK(set_refused("<html>"), "K02 HTML");
    OK(set_refused("{}"), "K02 an empty object");
    OK(set_refused("{\"keys\":[]}"), "K02 no keys");
    OK(set_refused("{\"keys\":{}}"), "keys not an array");
    OK(strcmp(mcp_keyset_parse(&set, "{\"keys\":{}}", 11), mcp_keyset_parse(&set, "{\"keys\":[]}", 11)),
       "which is another reason than an empty one");
    OK(set_refused("{\"keys\":null}"), "keys null");
    OK(set_refused(jwk), "a single JWK");
    OK(set_refused(apr_pstrcat(p, "[", jwk, "]", NULL)), "an array of JWKs");
    OK(set_refused("{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}"), "KEY-8 nothing but a symmetric key");
    OK(set_refused(apr_pstrcat(p, good, "x", NULL)), "trailing data");
    OK(set_refused(apr_pstrndup(p, good, strlen(good) - 1)), "truncated");
    OK(set_refused(apr_psprintf(p, "{\"keys\":[%s],\"keys\":[%s]}", jwk, jwk)), "T13 keys twice");
    OK(set_refused(sign_keyset(p, sign_jwk(sign_key("P-256", p), "\"kty\":\"EC\",", p), NULL)),
       "T13 kty twice in a key");
    large = apr_palloc(p, MCP_LIMIT_DOCUMENT + 2);
    memset(large, ' ', MCP_LIMIT_DOCUMENT + 1);
    memcpy(large, good, strlen(good));
    large[MCP_LIMIT_DOCUMENT] = '\0';
    set = set_parse(large);
    OK(set != NULL, "K11 the largest document is read");
    mcp_keyset_release(set);
    large[MCP_LIMIT_DOCUMENT] = ' ';
    large[MCP_LIMIT_DOCUMENT + 1] = '\0';
    OK(set_refused(large), "K11 one byte more is not");
}

static void test_set_limits(apr_pool_t *p)
{
    static const char *const kids[] = { "", "\"kid\":\"last\"," };
    EVP_PKEY *pkey = sign_key("Ed25519", p);
    const char *text = "";
    const mcp_jwk_t *found[MCP_LIMIT_KEYS + 2];
    mcp_keyset_t *set;
    int i;

    for (i = 0; i <= MCP_LIMIT_KEYS; i++) {
        text = apr_pstrcat(p, text, i ? "," : "", sign_jwk(pkey, kids[i == MCP_LIMIT_KEYS], p), NULL);
    }
    set = set_parse(sign_keyset(p, text, NULL));
    OK(set && mcp_keyset_count(set) == MCP_LIMIT_KEYS && mcp_keyset_skipped(set) == 1,
       "K11 a key over the limit is left out");
    OK(set && mcp_keyset_find(found, MCP_LIMIT_KEYS + 2, set, NULL, MCP_ALG_EDDSA) == MCP_LIMIT_KEYS,
       "all others are there");
    OK(set && !mcp_keyset_find(found, 1, set, "last", MCP_ALG_EDDSA), "it was the last");
    OK(set && mcp_keyset_find(found, 3, set, NULL, MCP_ALG_EDDSA) == 3 && found[2] == mcp_keyset_at(set, 2),
       "no more are found than asked for, in order");
    mcp_keyset_release(set);
}

static int find_count(const mcp_keyset_t *set, const char *kid, mcp_alg_t alg)
{
    const mcp_jwk_t *found[8];

    return mcp_keyset_find(found, 8, set, kid, alg);
}

static void test_set_find(apr_pool_t *p)
{
    EVP_PKEY *rsa = sign_key("RSA2048", p), *ec = sign_key("P-256", p);
    mcp_keyset_t *set =
        set_parse(sign_keyset(p, sign_jwk(rsa, "\"kid\":\"a\",", p), sign_jwk(ec, "\"kid\":\"a\",", p),
                              sign_jwk(ec, "", p), sign_jwk(rsa, "\"kid\":\"b\",\"alg\":\"PS256\",", p),
                              sign_jwk(rsa, "\"kid\":\"a\",", p), sign_jwk(ec, "\"kid\":\"\",", p), NULL));

    OK(set && mcp_keyset_count(set) == 6, "six keys");
    if (!set) {
        return;
    }
    OK(find_count(set, "a", MCP_ALG_RS256) == 2, "KEY-7 both keys of one kid that fit the algorithm");
    OK(find_count(set, "a", MCP_ALG_ES256) == 1, "KEY-7 the kid's other key for the other algorithm");
    OK(find_count(set, "b", MCP_ALG_PS256) == 1, "K08 the algorithm a key names");
    OK(find_count(set, "b", MCP_ALG_RS256) == 0, "K08 no other");
    OK(find_count(set, NULL, MCP_ALG_RS256) == 2, "KEY-7 without kid all that fit");
    OK(find_count(set, NULL, MCP_ALG_ES256) == 3, "KEY-7 whatever their kid");
    OK(find_count(set, "", MCP_ALG_ES256) == 1, "an empty kid is a kid");
    OK(find_count(set, "A", MCP_ALG_RS256) == 0, "K14 a kid is exact");
    OK(find_count(set, "a ", MCP_ALG_RS256) == 0, "K14 to its end");
    OK(find_count(set, NULL, MCP_ALG_ES384) == 0, "no key, no candidate");
    mcp_keyset_release(set);
}

static void test_set_equal(apr_pool_t *p)
{
    const char *text = sign_keyset(p, sign_jwk(sign_key("P-256", p), "", p), NULL);
    mcp_keyset_t *a = set_parse(text), *b = set_parse(text), *c = set_parse(apr_pstrcat(p, text, " ", NULL));

    OK(a && b && mcp_keyset_equal(a, b), "the same bytes make equal sets");
    OK(a && c && !mcp_keyset_equal(a, c), "one blank more makes another");
    OK(a && mcp_keyset_retain(a) == a, "a reference more");
    mcp_keyset_release(a);
    OK(a && mcp_keyset_count(a) == 1, "K12 lives until the last is released");
    mcp_keyset_release(a);
    mcp_keyset_release(b);
    mcp_keyset_release(c);
}

static void test_alg(void)
{
    int i, wrong = 0;

    for (i = 0; i < MCP_ALG_COUNT; i++) {
        const mcp_alg_info_t *alg = mcp_alg_info((mcp_alg_t)i);

        wrong += !alg || (int)alg->alg != i || mcp_alg_find(alg->name, strlen(alg->name)) != alg;
    }
    OK(!wrong, "T03 the table of algorithms is in the order of the enumeration");
    OK(!mcp_alg_info(MCP_ALG_COUNT) && !mcp_alg_info((mcp_alg_t)-1), "beyond it there is none");
    OK(!mcp_alg_find("HS256", 5) && !mcp_alg_find("none", 4) && !mcp_alg_find("", 0),
       "T01 T03 TOK-5 no symmetric one, no none");
    OK(!mcp_alg_find("RS25", 4) && !mcp_alg_find("RS2567", 6) && !mcp_alg_find("rs256", 5) &&
           !mcp_alg_find("RS256\0", 6),
       "TOK-4 exact names only");
}

static void test(apr_pool_t *p)
{
    test_alg();
    test_good(p);
    test_private(p);
    test_members(p);
    test_shapes(p);
    test_rsa(p);
    test_roca(p);
    test_ec(p);
    test_okp(p);
    test_faults(p);
    test_thumbprint_examples(p);
    test_thumbprint(p);
    test_set_broken(p);
    test_set_shapes(p);
    test_set_limits(p);
    test_set_find(p);
    test_set_equal(p);
}
