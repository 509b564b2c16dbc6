#include "token/seal.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>

#include "base/limits.h"

/* Stored are version, nonce, what is sealed, tag; sealed are verdict, until (most significant byte first), text. */
#define FORM_VERSION 1
#define NONCE_AT 1
#define NONCE_BYTES 12
#define BODY_AT (NONCE_AT + NONCE_BYTES)
#define HEAD_BYTES 9 /* of the body: verdict and until */
#define TAG_BYTES 16
#define STORED_MIN (BODY_AT + HEAD_BYTES + TAG_BYTES)

enum { VERDICT_ACTIVE = 1, VERDICT_INACTIVE = 2 };

#define DIGEST_BYTES 32

static void number_put(unsigned char *out, apr_uint64_t number)
{
    for (int i = 7; i >= 0; i--) {
        out[i] = number & 0xff;
        number >>= 8;
    }
}

static apr_uint64_t number_get(const unsigned char *data)
{
    apr_uint64_t number = 0;

    for (int i = 0; i < 8; i++) {
        number = number << 8 | data[i];
    }
    return number;
}

/* With its length in front no part can pass for some of another, nor nothing for an empty text. */
static int part_update(EVP_MD_CTX *ctx, const char *part)
{
    apr_size_t len = part ? strlen(part) : 0;
    unsigned char head[9] = { part != NULL };

    number_put(head + 1, len);
    return EVP_DigestUpdate(ctx, head, sizeof(head)) == 1 && (!len || EVP_DigestUpdate(ctx, part, len) == 1);
}

static int parts_digest(unsigned char *digest, const char *issuer, const char *url, const char *client_id)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = ctx && EVP_DigestInit_ex2(ctx, EVP_sha256(), NULL) == 1 && part_update(ctx, issuer) &&
             part_update(ctx, url) && part_update(ctx, client_id) && EVP_DigestFinal_ex(ctx, digest, NULL) == 1;

    EVP_MD_CTX_free(ctx);
    return ok;
}

static int expand(unsigned char *key, const char *secret, unsigned char *digest)
{
    static const char label[] = "mod_mcp_oauth introspection cache";
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)label, sizeof(label) - 1),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, strlen(secret)),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, digest, DIGEST_BYTES),
        OSSL_PARAM_construct_end(),
    };
    int ok = ctx && EVP_KDF_derive(ctx, key, MCP_SEAL_KEY_BYTES, params) == 1;

    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return ok;
}

int mcp_seal_key(unsigned char key[MCP_SEAL_KEY_BYTES], const char *secret, const char *issuer, const char *url,
                 const char *client_id)
{
    unsigned char digest[DIGEST_BYTES];
    /* Without a secret anybody could make the key. */
    int ok = secret && *secret && parts_digest(digest, issuer, url, client_id) && expand(key, secret, digest);

    if (!ok) {
        OPENSSL_cleanse(key, MCP_SEAL_KEY_BYTES);
        ERR_clear_error();
    }
    return ok;
}

static int mac(unsigned char out[DIGEST_BYTES], const unsigned char *key, const void *data, apr_size_t len)
{
    size_t out_len = 0;
    int ok = EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, MCP_SEAL_KEY_BYTES, data, len, out, DIGEST_BYTES,
                       &out_len) &&
             out_len == DIGEST_BYTES;

    if (!ok) {
        ERR_clear_error();
    }
    return ok;
}

int mcp_seal_id(unsigned char id[MCP_SEAL_ID_BYTES], const unsigned char key[MCP_SEAL_KEY_BYTES], const char *token,
                apr_size_t len)
{
    return mac(id, key, token, len);
}

/* Each token has a cipher key of its own, so that random nonces never run out. Its input begins as no token does: it is
 * nobody's name. */
static int cipher_key(unsigned char out[DIGEST_BYTES], const unsigned char *key, const unsigned char *id)
{
    unsigned char data[1 + MCP_SEAL_ID_BYTES] = { 0 };

    memcpy(data + 1, id, MCP_SEAL_ID_BYTES);
    return mac(out, key, data, sizeof(data));
}

/* A cipher that has seen the additional data: version and id. NULL when OpenSSL failed. */
static EVP_CIPHER_CTX *cipher_begin(int is_closing, const unsigned char *nonce, const unsigned char *id,
                                    const unsigned char *key)
{
    static const unsigned char version = FORM_VERSION;
    unsigned char secret[DIGEST_BYTES];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len, ok;

    ok = ctx && cipher_key(secret, key, id) &&
         EVP_CipherInit_ex2(ctx, EVP_aes_256_gcm(), secret, nonce, is_closing, NULL) == 1 &&
         EVP_CipherUpdate(ctx, NULL, &len, &version, 1) == 1 &&
         EVP_CipherUpdate(ctx, NULL, &len, id, MCP_SEAL_ID_BYTES) == 1;
    OPENSSL_cleanse(secret, sizeof(secret));
    if (!ok) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    return ctx;
}

/* Seals len bytes at body in place, and puts the tag behind them. */
static int body_close(unsigned char *body, int len, const unsigned char *nonce, const unsigned char *id,
                      const unsigned char *key)
{
    EVP_CIPHER_CTX *ctx = cipher_begin(1, nonce, id, key);
    int done = 0, rest = 0;
    int ok = ctx && EVP_CipherUpdate(ctx, body, &done, body, len) == 1 && done == len &&
             EVP_CipherFinal_ex(ctx, body + len, &rest) == 1 && !rest &&
             EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, body + len) == 1;

    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

int mcp_seal_close(const unsigned char **pdata, apr_size_t *plen, const mcp_sealed_t *sealed,
                   const unsigned char id[MCP_SEAL_ID_BYTES], const unsigned char key[MCP_SEAL_KEY_BYTES],
                   apr_pool_t *p)
{
    int is_active = sealed->status == MCP_OK;
    apr_size_t len = is_active ? sealed->len : 0;
    unsigned char *data, *body;

    *pdata = NULL;
    *plen = 0;
    if (len > MCP_LIMIT_SHARED || (!is_active && sealed->status != MCP_TOKEN_INACTIVE)) {
        return 0;
    }
    data = apr_palloc(p, STORED_MIN + len);
    body = data + BODY_AT;
    data[0] = FORM_VERSION;
    body[0] = is_active ? VERDICT_ACTIVE : VERDICT_INACTIVE;
    number_put(body + 1, (apr_uint64_t)sealed->until);
    if (len) {
        memcpy(body + HEAD_BYTES, sealed->text, len);
    }
    if (RAND_bytes(data + NONCE_AT, NONCE_BYTES) != 1 ||
        !body_close(body, (int)(HEAD_BYTES + len), data + NONCE_AT, id, key)) {
        ERR_clear_error();
        return 0;
    }
    *pdata = data;
    *plen = STORED_MIN + len;
    return 1;
}

/* Opens len bytes at body, with the tag behind them, into out. */
static int body_open(unsigned char *out, const unsigned char *body, int len, const unsigned char *nonce,
                     const unsigned char *id, const unsigned char *key)
{
    EVP_CIPHER_CTX *ctx = cipher_begin(0, nonce, id, key);
    int done = 0, rest = 0;
    int ok = ctx && EVP_CipherUpdate(ctx, out, &done, body, len) == 1 && done == len &&
             EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, (void *)(body + len)) == 1 &&
             EVP_CipherFinal_ex(ctx, out + len, &rest) == 1 && !rest;

    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

int mcp_seal_open(mcp_sealed_t *sealed, const unsigned char *data, apr_size_t len,
                  const unsigned char id[MCP_SEAL_ID_BYTES], const unsigned char key[MCP_SEAL_KEY_BYTES], apr_pool_t *p)
{
    unsigned char *body;

    memset(sealed, 0, sizeof(*sealed));
    sealed->status = MCP_INTERNAL;
    if (len < STORED_MIN || len > STORED_MIN + MCP_LIMIT_SHARED || data[0] != FORM_VERSION) {
        return 0;
    }
    len -= STORED_MIN;
    body = apr_palloc(p, HEAD_BYTES + len + 1);
    if (!body_open(body, data + BODY_AT, (int)(HEAD_BYTES + len), data + NONCE_AT, id, key)) {
        ERR_clear_error();
        return 0;
    }
    if (body[0] != VERDICT_ACTIVE && (body[0] != VERDICT_INACTIVE || len)) {
        return 0;
    }
    body[HEAD_BYTES + len] = '\0';
    sealed->status = body[0] == VERDICT_ACTIVE ? MCP_OK : MCP_TOKEN_INACTIVE;
    sealed->until = (apr_time_t)number_get(body + 1);
    sealed->text = sealed->status == MCP_OK ? (const char *)body + HEAD_BYTES : NULL;
    sealed->len = len;
    return 1;
}
