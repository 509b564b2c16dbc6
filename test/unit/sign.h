/* Keys and tokens for tests, made at run time with OpenSSL alone: nothing of the code under test is used here. */
#ifndef MCP_SIGN_H
#define MCP_SIGN_H

#include <apr_pools.h>
#include <apr_strings.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A test that cannot make its keys is no test. */
#define SIGN_MUST(cond) \
    do { \
        if (!(cond)) { \
            printf("Bail out! %s:%d: %s\n", __FILE__, __LINE__, #cond); \
            exit(1); \
        } \
    } while (0)

static inline const char *sign_b64(const void *data, size_t len, apr_pool_t *p)
{
    char *text = apr_palloc(p, (len + 2) / 3 * 4 + 1), *c;

    EVP_EncodeBlock((unsigned char *)text, data, (int)len);
    for (c = text; *c && *c != '='; c++) {
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    }
    *c = '\0';
    return text;
}

static inline const char *sign_b64_text(const char *text, apr_pool_t *p)
{
    return sign_b64(text, strlen(text), p);
}

static inline apr_status_t sign_key_free(void *data)
{
    EVP_PKEY_free(data);
    return APR_SUCCESS;
}

/* kind: RSA with its bits ("RSA2048"), a curve ("P-256"), "Ed25519" or "Ed448". */
static inline EVP_PKEY *sign_key(const char *kind, apr_pool_t *p)
{
    EVP_PKEY *pkey = NULL;

    if (!strncmp(kind, "RSA", 3)) {
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)strtoul(kind + 3, NULL, 10));
    }
    else if (!strncmp(kind, "P-", 2)) {
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
    }
    else {
        pkey = EVP_PKEY_Q_keygen(NULL, NULL, kind);
    }
    SIGN_MUST(pkey);
    apr_pool_cleanup_register(p, pkey, sign_key_free, apr_pool_cleanup_null);
    return pkey;
}

static inline const char *sign_number(EVP_PKEY *pkey, const char *name, int width, apr_pool_t *p)
{
    BIGNUM *number = NULL;
    unsigned char *bytes;
    int len;

    SIGN_MUST(EVP_PKEY_get_bn_param(pkey, name, &number) == 1);
    len = width ? width : BN_num_bytes(number);
    bytes = apr_palloc(p, (apr_size_t)len);
    SIGN_MUST(BN_bn2binpad(number, bytes, len) == len);
    BN_free(number);
    return sign_b64(bytes, (size_t)len, p);
}

/* The public JWK; members stand in front, each with a comma behind it: "\"kid\":\"a\",". */
static inline const char *sign_jwk(EVP_PKEY *pkey, const char *members, apr_pool_t *p)
{
    unsigned char raw[57];
    size_t len = sizeof(raw);
    int width = (EVP_PKEY_get_bits(pkey) + 7) / 8;

    if (EVP_PKEY_is_a(pkey, "RSA")) {
        return apr_psprintf(p, "{%s\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}", members,
                            sign_number(pkey, OSSL_PKEY_PARAM_RSA_N, 0, p),
                            sign_number(pkey, OSSL_PKEY_PARAM_RSA_E, 0, p));
    }
    if (EVP_PKEY_is_a(pkey, "EC")) {
        return apr_psprintf(p, "{%s\"kty\":\"EC\",\"crv\":\"P-%d\",\"x\":\"%s\",\"y\":\"%s\"}", members,
                            EVP_PKEY_get_bits(pkey), sign_number(pkey, OSSL_PKEY_PARAM_EC_PUB_X, width, p),
                            sign_number(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, width, p));
    }
    SIGN_MUST(EVP_PKEY_get_raw_public_key(pkey, raw, &len) == 1);
    return apr_psprintf(p, "{%s\"kty\":\"OKP\",\"crv\":\"%s\",\"x\":\"%s\"}", members,
                        EVP_PKEY_is_a(pkey, "ED25519") ? "Ed25519" : "Ed448", sign_b64(raw, len, p));
}

/* {"keys":[...]} of JWK texts, the last argument NULL. */
static inline const char *sign_keyset(apr_pool_t *p, ...)
{
    const char *text = "", *jwk;
    va_list args;

    va_start(args, p);
    while ((jwk = va_arg(args, const char *))) {
        text = apr_pstrcat(p, text, *text ? "," : "", jwk, NULL);
    }
    va_end(args);
    return apr_pstrcat(p, "{\"keys\":[", text, "]}", NULL);
}

/* What OpenSSL itself gives: DER for EC. alg decides digest and padding, only its look matters ("RS256", "EdDSA"). */
static inline unsigned char *sign_openssl(size_t *plen, EVP_PKEY *pkey, const char *alg, const char *input,
                                          apr_pool_t *p)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx;
    const char *digest = alg[0] == 'E' && alg[1] == 'd' ? NULL : apr_pstrcat(p, "SHA", alg + 2, NULL);
    unsigned char *out = apr_palloc(p, 2048);

    *plen = 2048;
    SIGN_MUST(ctx && EVP_DigestSignInit_ex(ctx, &pctx, digest, NULL, NULL, pkey, NULL) == 1);
    if (alg[0] == 'P') {
        SIGN_MUST(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1);
        SIGN_MUST(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1);
    }
    SIGN_MUST(EVP_DigestSign(ctx, out, plen, (const unsigned char *)input, strlen(input)) == 1);
    EVP_MD_CTX_free(ctx);
    return out;
}

/* What a JWS takes: R || S for EC. */
static inline unsigned char *sign_raw(size_t *plen, EVP_PKEY *pkey, const char *alg, const char *input, apr_pool_t *p)
{
    unsigned char *out = sign_openssl(plen, pkey, alg, input, p);

    if (EVP_PKEY_is_a(pkey, "EC")) {
        const unsigned char *der = out;
        int width = (EVP_PKEY_get_bits(pkey) + 7) / 8;
        ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)*plen);

        SIGN_MUST(pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, width) == width &&
                  BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + width, width) == width);
        ECDSA_SIG_free(pair);
        *plen = 2 * (size_t)width;
    }
    return out;
}

static inline const char *sign_join(const char *input, const void *signature, size_t len, apr_pool_t *p)
{
    return apr_pstrcat(p, input, ".", sign_b64(signature, len, p), NULL);
}

static inline const char *sign_input(const char *header, const char *payload, apr_pool_t *p)
{
    return apr_pstrcat(p, sign_b64_text(header, p), ".", sign_b64_text(payload, p), NULL);
}

/* A compact JWS of header and payload texts as they are; alg is what it is really signed with. */
static inline const char *sign_token(EVP_PKEY *pkey, const char *alg, const char *header, const char *payload,
                                     apr_pool_t *p)
{
    const char *input = sign_input(header, payload, p);
    size_t len;
    unsigned char *signature = sign_raw(&len, pkey, alg, input, p);

    return sign_join(input, signature, len, p);
}

/* The same with an HMAC (digest "SHA256"), for attackers who turn a public key into a secret. */
static inline const char *sign_hmac(const void *secret, size_t secret_len, const char *digest, const char *header,
                                    const char *payload, apr_pool_t *p)
{
    const char *input = sign_input(header, payload, p);
    unsigned char mac[EVP_MAX_MD_SIZE];
    size_t len = 0;

    SIGN_MUST(EVP_Q_mac(NULL, "HMAC", NULL, digest, NULL, secret, secret_len, (const unsigned char *)input,
                        strlen(input), mac, sizeof(mac), &len));
    return sign_join(input, mac, len, p);
}

#endif
