#include "token/session.h"

#include <apr_strings.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#include "base/base64url.h"
#include "base/limits.h"

#define MAC_BYTES 32
#define TAG_LEN 43 /* MCP_BASE64URL_ENCODED(MAC_BYTES) */

int mcp_session_key(unsigned char key[MCP_SESSION_KEY_BYTES], const void *secret, apr_size_t len)
{
    static const char label[] = "mod_mcp_oauth session binding";
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret, len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)label, sizeof(label) - 1),
        OSSL_PARAM_construct_end(),
    };
    /* Without a secret anybody could make the key. */
    int ok = secret && len && ctx && EVP_KDF_derive(ctx, key, MCP_SESSION_KEY_BYTES, params) == 1;

    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    if (!ok) {
        OPENSSL_cleanse(key, MCP_SESSION_KEY_BYTES);
        ERR_clear_error();
    }
    return ok;
}

/* Are len bytes of text an id that a backend may give? */
static int is_id(const char *text, apr_size_t len)
{
    if (!len || len > MCP_LIMIT_SESSION) {
        return 0;
    }
    for (apr_size_t i = 0; i < len; i++) {
        if (text[i] < 0x21 || text[i] > 0x7e) {
            return 0;
        }
    }
    return 1;
}

/* One part with its length before it; "" has one, NULL has none. */
static int part_update(EVP_MAC_CTX *ctx, const char *part)
{
    apr_uint64_t len = part ? strlen(part) : 0;
    unsigned char head[9] = { part != NULL };

    for (int i = 0; i < 8; i++) {
        head[i + 1] = (unsigned char)(len >> (56 - 8 * i));
    }
    return EVP_MAC_update(ctx, head, sizeof(head)) == 1 &&
           (!len || EVP_MAC_update(ctx, (const unsigned char *)part, (size_t)len) == 1);
}

static int mac_make(unsigned char mac[MAC_BYTES], EVP_MAC_CTX *ctx, const char *id, const mcp_principal_t *principal,
                    const unsigned char *key)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    size_t len = 0;

    return EVP_MAC_init(ctx, key, MCP_SESSION_KEY_BYTES, params) == 1 && part_update(ctx, principal->resource) &&
           part_update(ctx, principal->iss) && part_update(ctx, principal->sub) &&
           part_update(ctx, principal->client) && part_update(ctx, id) &&
           EVP_MAC_final(ctx, mac, &len, MAC_BYTES) == 1 && len == MAC_BYTES;
}

/* Writes the tag of id and a NUL. 0 when OpenSSL failed. */
static int tag_make(char tag[TAG_LEN + 1], const char *id, const mcp_principal_t *principal, const unsigned char *key)
{
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    unsigned char mac[MAC_BYTES];
    int ok = ctx && mac_make(mac, ctx, id, principal, key);

    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(hmac);
    if (!ok) {
        ERR_clear_error();
        return 0;
    }
    mcp_base64url_encode(tag, mac, MAC_BYTES);
    return 1;
}

const char *mcp_session_wrap(const char *id, const mcp_principal_t *principal, const unsigned char *key, apr_pool_t *p)
{
    apr_size_t len = id ? strnlen(id, MCP_LIMIT_SESSION + 1) : 0;
    char tag[TAG_LEN + 1];

    if (!principal || !key || !is_id(id, len) || !tag_make(tag, id, principal, key)) {
        return NULL;
    }
    return apr_pstrcat(p, id, ".", tag, NULL);
}

const char *mcp_session_unwrap(const char *wrapped, const mcp_principal_t *principal, const unsigned char *key,
                               apr_pool_t *p)
{
    apr_size_t len = wrapped ? strnlen(wrapped, MCP_LIMIT_SESSION + TAG_LEN + 2) : 0;
    char tag[TAG_LEN + 1];
    const char *id, *dot;

    if (!principal || !key || len <= TAG_LEN + 1 || len > MCP_LIMIT_SESSION + TAG_LEN + 1) {
        return NULL;
    }
    dot = wrapped + len - TAG_LEN - 1;
    if (*dot != '.' || !is_id(wrapped, (apr_size_t)(dot - wrapped))) {
        return NULL;
    }
    id = apr_pstrmemdup(p, wrapped, (apr_size_t)(dot - wrapped));
    if (!tag_make(tag, id, principal, key)) {
        return NULL;
    }
    /* Compared as text, in which a value has one spelling. */
    return CRYPTO_memcmp(tag, dot + 1, TAG_LEN) ? NULL : id;
}
