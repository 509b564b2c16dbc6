#include <string.h>

#include <apr_strings.h>
#include <openssl/ec.h>
#include <openssl/err.h>

#include "base/base64url.h"
#include "base/json.h"
#include "base/limits.h"
#include "token/jws.h"

#define DER_MAX 144 /* an ECDSA signature on P-521 takes at most 139 bytes */

typedef struct part_t {
    const char *text;
    apr_size_t len;
} part_t;

/* Exactly three parts; the look-out for a fourth stops at the third dot. */
static int split(part_t *parts, const char *token, apr_size_t len)
{
    const char *end = token + len;
    const char *dot1 = memchr(token, '.', len);
    const char *dot2 = dot1 ? memchr(dot1 + 1, '.', (apr_size_t)(end - dot1 - 1)) : NULL;

    if (!dot2 || memchr(dot2 + 1, '.', (apr_size_t)(end - dot2 - 1))) {
        return 0;
    }
    parts[0].text = token;
    parts[0].len = (apr_size_t)(dot1 - token);
    parts[1].text = dot1 + 1;
    parts[1].len = (apr_size_t)(dot2 - dot1 - 1);
    parts[2].text = dot2 + 1;
    parts[2].len = (apr_size_t)(end - dot2 - 1);
    return 1;
}

static const unsigned char *part_decode(apr_size_t *plen, const part_t *part, apr_pool_t *p)
{
    unsigned char *out = apr_palloc(p, MCP_BASE64_DECODED_MAX(part->len));

    return mcp_base64url_decode(out, plen, part->text, part->len) ? out : NULL;
}

static int has_any(const json_t *header, const char *const *names)
{
    for (; *names; names++) {
        if (json_object_get(header, *names)) {
            return 1;
        }
    }
    return 0;
}

/* Members that change what is signed or belong to encryption, and those that point to a key. */
static int has_forbidden(const json_t *header, mcp_jws_kind_t kind)
{
    static const char *const changing[] = { "zip", "enc", "b64", NULL }, *const pointing[] = { "jku", "x5u", NULL };
    const json_t *jwk = json_object_get(header, "jwk");

    if (has_any(header, changing)) {
        return 1;
    }
    if (kind == MCP_JWS_ANY) {
        return 0;
    }
    return has_any(header, pointing) || (kind == MCP_JWS_PROOF ? !json_is_object(jwk) : jwk != NULL);
}

static const char *typ_normalize(const char *typ, apr_pool_t *p)
{
    static const char prefix[] = "application/";
    char *text = apr_pstrdup(p, typ), *c;

    for (c = text; *c; c++) {
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + ('a' - 'A')) : *c;
    }
    if (!strncmp(text, prefix, sizeof(prefix) - 1) && !strchr(text + sizeof(prefix) - 1, '/')) {
        return text + sizeof(prefix) - 1;
    }
    return text;
}

static mcp_status_t header_read(mcp_jws_t *jws, const json_t *header, mcp_jws_kind_t kind, apr_pool_t *p)
{
    const json_t *alg = json_object_get(header, "alg"), *kid = json_object_get(header, "kid");
    const json_t *typ = json_object_get(header, "typ");

    if (!json_is_string(alg) || (kid && !json_is_string(kid)) || (typ && !json_is_string(typ)) ||
        (kid && json_string_length(kid) > MCP_LIMIT_KID) || has_forbidden(header, kind)) {
        return MCP_TOKEN_HEADER;
    }
    if (json_object_get(header, "crit")) {
        return MCP_TOKEN_CRITICAL;
    }
    jws->alg = mcp_alg_find(json_string_value(alg), json_string_length(alg));
    if (!jws->alg) {
        return MCP_TOKEN_ALGORITHM;
    }
    jws->header = header;
    jws->jwk = kind == MCP_JWS_PROOF ? json_object_get(header, "jwk") : NULL;
    jws->kid = kid ? json_string_value(kid) : NULL;
    jws->typ = typ ? typ_normalize(json_string_value(typ), p) : NULL;
    return MCP_OK;
}

mcp_status_t mcp_jws_parse(mcp_jws_t **pjws, const char *token, apr_size_t len, mcp_jws_kind_t kind, apr_pool_t *p)
{
    mcp_jws_t *jws;
    const unsigned char *head;
    apr_size_t head_len;
    part_t parts[3];
    json_t *header;
    mcp_status_t status;

    *pjws = NULL;
    if (len > MCP_LIMIT_TOKEN) {
        return MCP_TOKEN_TOO_LONG;
    }
    if (!split(parts, token, len) || !parts[0].len || !parts[2].len || (!parts[1].len && kind != MCP_JWS_ANY)) {
        return MCP_TOKEN_MALFORMED;
    }
    jws = apr_pcalloc(p, sizeof(*jws));
    head = part_decode(&head_len, &parts[0], p);
    jws->payload = part_decode(&jws->payload_len, &parts[1], p);
    jws->signature = part_decode(&jws->signature_len, &parts[2], p);
    if (!head || !jws->payload || !jws->signature) {
        return MCP_TOKEN_MALFORMED;
    }
    jws->input = token;
    jws->input_len = parts[0].len + 1 + parts[1].len;
    if (mcp_json_parse_object(&header, (const char *)head, head_len, MCP_LIMIT_JOSE_DEPTH, p) != MCP_OK) {
        return MCP_TOKEN_HEADER;
    }
    status = header_read(jws, header, kind, p);
    *pjws = status == MCP_OK ? jws : NULL;
    return status;
}

/* Five parts are an encrypted token (RFC 7516 section 3.1) if the header names the cipher. */
static int is_encrypted(const json_t *header, const char *token, apr_size_t len)
{
    int dots = 0;

    while (len--) {
        dots += token[len] == '.';
    }
    return dots == 4 && json_is_string(json_object_get(header, "enc"));
}

int mcp_jws_is(const char *token, apr_size_t len, apr_pool_t *p)
{
    const char *dot = memchr(token, '.', len);
    part_t first = { token, dot ? (apr_size_t)(dot - token) : 0 };
    const unsigned char *head;
    apr_size_t head_len, i = 0;
    json_t *header;
    mcp_status_t status;
    int encrypted;

    if (!dot || len > MCP_LIMIT_TOKEN || !(head = part_decode(&head_len, &first, p))) {
        return 0;
    }
    while (i < head_len && memchr(" \t\r\n", head[i], 4)) {
        i++;
    }
    if (i == head_len || head[i] != '{') {
        return 0;
    }
    /* What is JSON but not ours, such as a member that stands twice, must not choose who judges the token (T24). */
    status = mcp_json_parse_object(&header, (const char *)head, head_len, MCP_LIMIT_JOSE_DEPTH, NULL);
    encrypted = is_encrypted(header, token, len);
    json_decref(header);
    return status != MCP_JSON_SYNTAX && status != MCP_JSON_TEXT && !encrypted;
}

/* OpenSSL takes ECDSA signatures in DER only. Returns its length, 0 for a value that is no R || S of this curve. */
static int der_encode(unsigned char *der, const unsigned char *raw, apr_size_t len, int coordinate)
{
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = NULL, *s = NULL;
    int der_len = 0;

    if (pair && len == 2 * (apr_size_t)coordinate) {
        r = BN_bin2bn(raw, coordinate, NULL);
        s = BN_bin2bn(raw + coordinate, coordinate, NULL);
    }
    if (r && s && !BN_is_zero(r) && !BN_is_zero(s) && ECDSA_SIG_set0(pair, r, s) == 1) {
        r = s = NULL; /* now the pair's */
        der_len = i2d_ECDSA_SIG(pair, NULL);
        der_len = der_len > 0 && der_len <= DER_MAX ? i2d_ECDSA_SIG(pair, &der) : 0;
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return der_len > 0 ? der_len : 0;
}

static int verify(const mcp_jws_t *jws, const EVP_MD_CTX *verifier, const unsigned char *signature, apr_size_t len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = ctx && EVP_MD_CTX_copy_ex(ctx, verifier) == 1 &&
             EVP_DigestVerify(ctx, signature, len, (const unsigned char *)jws->input, jws->input_len) == 1;

    EVP_MD_CTX_free(ctx);
    return ok;
}

mcp_status_t mcp_jws_verify(const mcp_jws_t *jws, const mcp_jwk_t *key)
{
    const unsigned char *signature = jws->signature;
    apr_size_t len = jws->signature_len;
    unsigned char der[DER_MAX];
    const EVP_MD_CTX *verifier = key->verifiers[jws->alg->alg]; /* only for what the key may verify */
    int ok = verifier != NULL;

    /* OpenSSL would take a PSS signature without its leading zeros: a second spelling of one token. */
    if (ok && jws->alg->kty == MCP_KEY_RSA) {
        ok = len == (apr_size_t)EVP_PKEY_get_size(key->pkey);
    }
    else if (ok && jws->alg->kty == MCP_KEY_EC) {
        len = (apr_size_t)der_encode(der, signature, len, jws->alg->coordinate);
        signature = der;
        ok = len > 0;
    }
    ok = ok && verify(jws, verifier, signature, len);
    ERR_clear_error(); /* after success too: OpenSSL 3.5 reports what it then can do without */
    return ok ? MCP_OK : MCP_TOKEN_SIGNATURE;
}

mcp_status_t mcp_jws_verify_set(const char **pkid, const mcp_jws_t *jws, const mcp_keyset_t *set)
{
    const mcp_jwk_t *found[MCP_LIMIT_CANDIDATES];
    mcp_status_t status = MCP_TOKEN_KEY_UNKNOWN;
    int i, n = mcp_keyset_find(found, MCP_LIMIT_CANDIDATES, set, jws->kid, jws->alg->alg);

    for (i = 0; i < n && status != MCP_OK; i++) {
        status = mcp_jws_verify(jws, found[i]);
    }
    /* A key of that name which is not for this alg is the issuer's word: a newer set would not say otherwise. */
    *pkid = jws->kid && !mcp_keyset_has(set, jws->kid) ? jws->kid : NULL;
    return status;
}
