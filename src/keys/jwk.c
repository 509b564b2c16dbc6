#include <string.h>

#include <apr_strings.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "base/base64url.h"
#include "base/json.h"
#include "base/limits.h"
#include "keys/jwk.h"

#define MODULUS_MAX (MCP_LIMIT_RSA_MAX / 8)
#define COORDINATE_MAX 66
#define ED448_BYTES 57
#define THUMBPRINT_BYTES 32 /* of SHA-256 */

/* Decodes a base64url member of at most size bytes, give or take the decoder's slack. Returns 0 if it is none. */
static int bytes_get(unsigned char *out, apr_size_t size, apr_size_t *plen, const json_t *jwk, const char *name)
{
    const json_t *value = json_object_get(jwk, name);
    apr_size_t len = value ? json_string_length(value) : 0;

    return len && MCP_BASE64_DECODED_MAX(len) <= size && mcp_base64url_decode(out, plen, json_string_value(value), len);
}

static int is_for_verifying(const json_t *jwk)
{
    const json_t *use = json_object_get(jwk, "use"), *ops = json_object_get(jwk, "key_ops"), *op;
    apr_size_t i;
    int found = !ops;

    if (use && !mcp_json_is_text(use, "sig")) {
        return 0;
    }
    json_array_foreach(ops, i, op)
    {
        if (!json_is_string(op)) {
            return 0;
        }
        found |= mcp_json_is_text(op, "verify");
    }
    return found;
}

/* The algorithms of a key type and curve (NULL for RSA), narrowed by "alg"; none at all is a reason to leave it out. */
static mcp_algs_t algs_of(const json_t *jwk, mcp_key_type_t kty, const char *curve)
{
    const json_t *name = json_object_get(jwk, "alg");
    mcp_algs_t algs = 0;
    int i;

    for (i = 0; i < MCP_ALG_COUNT; i++) {
        const mcp_alg_info_t *alg = mcp_alg_info((mcp_alg_t)i);

        if (alg->kty == kty && (!alg->curve || (curve && !strcmp(alg->curve, curve)))) {
            algs |= MCP_ALG_BIT(i);
        }
    }
    if (name) {
        const mcp_alg_info_t *alg =
            json_is_string(name) ? mcp_alg_find(json_string_value(name), json_string_length(name)) : NULL;

        algs &= alg ? MCP_ALG_BIT(alg->alg) : 0;
    }
    return algs;
}

static EVP_PKEY *pkey_make(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;

    if (ctx && EVP_PKEY_fromdata_init(ctx) == 1 && EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    return pkey;
}

/* OpenSSL wants integers in the byte order of the machine. */
static int to_native(unsigned char *bytes, apr_size_t len)
{
    BIGNUM *number = BN_bin2bn(bytes, (int)len, NULL);
    int ok = number && BN_bn2nativepad(number, bytes, (int)len) == (int)len;

    BN_free(number);
    return ok;
}

/* A broken generator's moduli (CVE-2017-15361) are a power of 65537 modulo each small prime; others hardly ever are. */
static int is_roca(const unsigned char *n, apr_size_t len)
{
    static const unsigned char primes[] = { 3,   5,   7,   11,  13,  17,  19,  23,  29,  31,  37,  41,  43,
                                            47,  53,  59,  61,  67,  71,  73,  79,  83,  89,  97,  101, 103,
                                            107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167 };
    apr_size_t i, j;

    for (i = 0; i < sizeof(primes); i++) {
        unsigned prime = primes[i], rest = 0, power = 1;

        for (j = 0; j < len; j++) {
            rest = (rest << 8 | n[j]) % prime;
        }
        do {
            power = power * 65537 % prime;
        } while (power != rest && power != 1);
        if (power != rest) {
            return 0;
        }
    }
    return 1;
}

static int bit_length(const unsigned char *number, apr_size_t len)
{
    int bits = (int)len * 8;
    unsigned mask;

    for (mask = 0x80; len && mask && !(number[0] & mask); mask >>= 1) {
        bits--;
    }
    return bits;
}

/* Some issuers write a zero byte in front that should not be there (RFC 7518 section 6.3.1.1); it does no harm. */
static void zeros_strip(unsigned char **pnumber, apr_size_t *plen)
{
    while (*plen && **pnumber == 0) {
        (*pnumber)++;
        (*plen)--;
    }
}

static const char *rsa_parse(EVP_PKEY **ppkey, const json_t *jwk)
{
    unsigned char modulus[MODULUS_MAX + 8], exponent[16], *n = modulus, *e = exponent;
    apr_size_t n_len, e_len;
    OSSL_PARAM params[3];
    int bits;

    if (!bytes_get(n, sizeof(modulus), &n_len, jwk, "n") || !bytes_get(e, sizeof(exponent), &e_len, jwk, "e")) {
        return "RSA modulus or exponent missing, not base64url or too long";
    }
    zeros_strip(&n, &n_len);
    zeros_strip(&e, &e_len);
    bits = bit_length(n, n_len);
    if (bits < MCP_LIMIT_RSA_MIN || bits > MCP_LIMIT_RSA_MAX || !(n[n_len - 1] & 1)) {
        return "RSA modulus of a forbidden size, or even";
    }
    if (e_len < 1 || e_len > 8 || !(e[e_len - 1] & 1) || (e_len == 1 && e[0] < 3)) {
        return "RSA exponent even, below 3 or over 64 bits";
    }
    if (is_roca(n, n_len)) {
        return "RSA modulus of a broken generator";
    }
    if (!to_native(n, n_len) || !to_native(e, e_len)) {
        return "OpenSSL failed";
    }
    params[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n, n_len);
    params[1] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e, e_len);
    params[2] = OSSL_PARAM_construct_end();
    *ppkey = pkey_make("RSA", params);
    /* If memory was short meanwhile, OpenSSL's key does not know its own size, and no signature would fit it. */
    if (*ppkey && EVP_PKEY_get_size(*ppkey) != (int)n_len) {
        EVP_PKEY_free(*ppkey);
        *ppkey = NULL;
    }
    return *ppkey ? NULL : "RSA key refused by OpenSSL";
}

/* One coordinate, left-padded to the full length of the curve (RFC 7518 section 6.2.1.2). */
static int coordinate_get(unsigned char *out, apr_size_t want, const json_t *jwk, const char *name)
{
    unsigned char bytes[COORDINATE_MAX + 8];
    apr_size_t len;

    if (!bytes_get(bytes, sizeof(bytes), &len, jwk, name) || len != want) {
        return 0;
    }
    memcpy(out, bytes, len);
    return 1;
}

static int is_valid_point(EVP_PKEY *pkey)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    int ok = ctx && EVP_PKEY_public_check(ctx) == 1;

    EVP_PKEY_CTX_free(ctx);
    return ok;
}

static const char *ec_parse(EVP_PKEY **ppkey, const json_t *jwk, const mcp_alg_info_t *curve)
{
    unsigned char point[1 + 2 * COORDINATE_MAX];
    char group[8];
    apr_size_t len = (apr_size_t)curve->coordinate;
    OSSL_PARAM params[3];

    point[0] = POINT_CONVERSION_UNCOMPRESSED;
    if (!coordinate_get(point + 1, len, jwk, "x") || !coordinate_get(point + 1 + len, len, jwk, "y")) {
        return "EC coordinate missing, not base64url or of the wrong length";
    }
    apr_cpystrn(group, curve->curve, sizeof(group));
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
    params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * len);
    params[2] = OSSL_PARAM_construct_end();
    *ppkey = pkey_make("EC", params);
    if (*ppkey && !is_valid_point(*ppkey)) {
        EVP_PKEY_free(*ppkey);
        *ppkey = NULL;
    }
    return *ppkey ? NULL : "EC point not on the curve";
}

static const char *okp_parse(EVP_PKEY **ppkey, const json_t *jwk, const mcp_alg_info_t *curve)
{
    unsigned char bytes[ED448_BYTES + 8];
    apr_size_t len;

    if (!bytes_get(bytes, sizeof(bytes), &len, jwk, "x")) {
        return "Edwards key missing, not base64url or too long";
    }
    *ppkey = EVP_PKEY_new_raw_public_key_ex(NULL, curve->curve, NULL, bytes, len);
    return *ppkey ? NULL : "Edwards key of the wrong length";
}

/* The algorithm that stands for the key's "crv", NULL if there is none of that type. */
static const mcp_alg_info_t *curve_of(const json_t *jwk, mcp_key_type_t kty)
{
    const json_t *crv = json_object_get(jwk, "crv");
    int i;

    for (i = 0; i < MCP_ALG_COUNT; i++) {
        const mcp_alg_info_t *alg = mcp_alg_info((mcp_alg_t)i);

        if (alg->kty == kty && alg->curve && mcp_json_is_text(crv, alg->curve)) {
            return alg;
        }
    }
    return NULL;
}

/* Makes the key proper and says what it may verify. */
static const char *key_parse(EVP_PKEY **ppkey, mcp_algs_t *palgs, const json_t *jwk)
{
    const json_t *kty = json_object_get(jwk, "kty");
    const mcp_alg_info_t *curve = NULL;
    mcp_key_type_t type;

    if (mcp_json_is_text(kty, "RSA")) {
        type = MCP_KEY_RSA;
    }
    else if (mcp_json_is_text(kty, "EC")) {
        type = MCP_KEY_EC;
    }
    else if (mcp_json_is_text(kty, "OKP")) {
        type = MCP_KEY_OKP;
    }
    else {
        return mcp_json_is_text(kty, "oct") ? "symmetric key" : "unknown kty";
    }
    if (type != MCP_KEY_RSA && !(curve = curve_of(jwk, type))) {
        return "unknown crv";
    }
    *palgs = algs_of(jwk, type, curve ? curve->curve : NULL);
    if (!*palgs) {
        return "alg unknown or not of this kty and crv";
    }
    if (type == MCP_KEY_RSA) {
        return rsa_parse(ppkey, jwk);
    }
    return type == MCP_KEY_EC ? ec_parse(ppkey, jwk, curve) : okp_parse(ppkey, jwk, curve);
}

/* Everything that can be looked up once is; a token costs a copy of this and the mathematics. */
static EVP_MD_CTX *verifier_make(const mcp_alg_info_t *alg, EVP_PKEY *pkey)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx = NULL;

    if (ctx && EVP_DigestVerifyInit_ex(ctx, &pctx, alg->digest, NULL, NULL, pkey, NULL) == 1 &&
        (!alg->pss || (EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
                       EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1))) {
        return ctx;
    }
    EVP_MD_CTX_free(ctx);
    return NULL;
}

static apr_status_t jwk_cleanup(void *data)
{
    mcp_jwk_t *jwk = data;
    int i;

    for (i = 0; i < MCP_ALG_COUNT; i++) {
        EVP_MD_CTX_free(jwk->verifiers[i]);
    }
    EVP_PKEY_free(jwk->pkey);
    return APR_SUCCESS;
}

/* Takes pkey over. Returns NULL if this OpenSSL cannot do one of the algorithms. */
static mcp_jwk_t *jwk_make(EVP_PKEY *pkey, mcp_algs_t algs, const json_t *kid, apr_pool_t *p)
{
    mcp_jwk_t *jwk = apr_pcalloc(p, sizeof(*jwk));
    int i;

    jwk->pkey = pkey;
    jwk->algs = algs;
    apr_pool_cleanup_register(p, jwk, jwk_cleanup, apr_pool_cleanup_null);
    for (i = 0; i < MCP_ALG_COUNT; i++) {
        if ((algs & MCP_ALG_BIT(i)) && !(jwk->verifiers[i] = verifier_make(mcp_alg_info((mcp_alg_t)i), pkey))) {
            apr_pool_cleanup_run(p, jwk, jwk_cleanup);
            return NULL;
        }
    }
    jwk->kid = kid ? apr_pstrmemdup(p, json_string_value(kid), json_string_length(kid)) : NULL;
    return jwk;
}

const char *mcp_jwk_parse(mcp_jwk_t **pjwk, const json_t *jwk, apr_pool_t *p)
{
    const json_t *kid = json_object_get(jwk, "kid");
    EVP_PKEY *pkey = NULL;
    mcp_algs_t algs = 0;
    const char *reason;

    *pjwk = NULL;
    if (kid && (!json_is_string(kid) || json_string_length(kid) > MCP_LIMIT_KID)) {
        return "kid not a string or too long";
    }
    if (!is_for_verifying(jwk)) {
        return "use or key_ops not for verifying signatures";
    }
    reason = key_parse(&pkey, &algs, jwk);
    if (!reason && !(*pjwk = jwk_make(pkey, algs, kid, p))) {
        reason = "OpenSSL cannot verify with this key";
    }
    if (reason) {
        ERR_clear_error();
        return reason;
    }
    (*pjwk)->exposed = json_object_get(jwk, "d") != NULL;
    return NULL;
}

/* One member in RFC 7638's form. Its value is hashed as it is, so it must not be able to end the text it stands in. */
static int member_hash(EVP_MD_CTX *ctx, const json_t *jwk, const char *name, const char *front)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const json_t *value = json_object_get(jwk, name);
    const char *text = json_string_value(value);
    apr_size_t len = json_string_length(value);

    if (!text || strspn(text, allowed) != len) {
        return 0;
    }
    return EVP_DigestUpdate(ctx, front, strlen(front)) == 1 && EVP_DigestUpdate(ctx, "\"", 1) == 1 &&
           EVP_DigestUpdate(ctx, name, strlen(name)) == 1 && EVP_DigestUpdate(ctx, "\":\"", 3) == 1 &&
           EVP_DigestUpdate(ctx, text, len) == 1 && EVP_DigestUpdate(ctx, "\"", 1) == 1;
}

/* The members that make a key of this type, in the order of their names; NULL for a type unknown here. */
static const char *const *members_of(const json_t *jwk)
{
    static const char *const rsa[] = { "e", "kty", "n", NULL }, *const ec[] = { "crv", "kty", "x", "y", NULL };
    static const char *const okp[] = { "crv", "kty", "x", NULL };
    const json_t *kty = json_object_get(jwk, "kty");

    return mcp_json_is_text(kty, "RSA")   ? rsa
           : mcp_json_is_text(kty, "EC")  ? ec
           : mcp_json_is_text(kty, "OKP") ? okp
                                          : NULL;
}

int mcp_jwk_thumbprint(char thumbprint[MCP_THUMBPRINT_CHARS + 1], const json_t *jwk)
{
    const char *const *names = members_of(jwk);
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = names ? EVP_MD_CTX_new() : NULL;
    int i, ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;

    for (i = 0; ok && names[i]; i++) {
        ok = member_hash(ctx, jwk, names[i], i ? "," : "{");
    }
    ok = ok && EVP_DigestUpdate(ctx, "}", 1) == 1 && EVP_DigestFinal_ex(ctx, digest, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    thumbprint[0] = '\0';
    if (!ok) {
        ERR_clear_error();
        return 0;
    }
    mcp_base64url_encode(thumbprint, digest, THUMBPRINT_BYTES);
    return 1;
}
