#include "base/siphash.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "tap.h"

#define MANY 200

static apr_uint64_t hash_of(const unsigned char *key, const char *data, apr_size_t first, apr_size_t len)
{
    mcp_siphash_t hash;

    mcp_siphash_init(&hash, key);
    mcp_siphash_add(&hash, data, first);
    mcp_siphash_add(&hash, data + first, len - first);
    return mcp_siphash_end(&hash);
}

/* What OpenSSL makes of it, for comparison. */
static apr_uint64_t reference(const unsigned char *key, const char *data, apr_size_t len)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    size_t size = 8, out_len = 0;
    OSSL_PARAM params[] = { OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size), OSSL_PARAM_construct_end() };
    unsigned char out[8] = { 0 };
    apr_uint64_t hash = 0;
    int i, good;

    good = EVP_MAC_init(ctx, key, MCP_SIPHASH_KEY_BYTES, params) == 1 &&
           EVP_MAC_update(ctx, (const unsigned char *)data, len) == 1 &&
           EVP_MAC_final(ctx, out, &out_len, sizeof(out)) == 1 && out_len == 8;
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(mac);
    for (i = 7; i >= 0; i--) {
        hash = hash << 8 | out[i];
    }
    return good ? hash : 0;
}

static void test(apr_pool_t *p)
{
    unsigned char key[MCP_SIPHASH_KEY_BYTES];
    char data[MANY];
    apr_size_t len, first;
    int i, wrong = 0, pieces = 0, same = 0;

    for (i = 0; i < MCP_SIPHASH_KEY_BYTES; i++) {
        key[i] = (unsigned char)i;
    }
    for (i = 0; i < MANY; i++) {
        data[i] = (char)i;
    }
    OK(hash_of(key, data, 0, 15) == APR_UINT64_C(0xa129ca6149be45e5), "the test vector of the paper, appendix A");
    OK(hash_of(key, data, 0, 0) == APR_UINT64_C(0x726fdb47dd0e0e31), "of nothing");
    for (len = 0; len <= MANY; len++) {
        apr_uint64_t want = reference(key, data, len);

        wrong += hash_of(key, data, 0, len) != want;
        for (first = 0; first <= len; first++) {
            pieces += hash_of(key, data, first, len) != want;
        }
    }
    OK(!wrong, "0 to %d bytes, as OpenSSL has it: %d wrong", MANY, wrong);
    OK(!pieces, "in two pieces, however long they are: %d wrong", pieces);
    for (i = 0; i < 8 * MCP_SIPHASH_KEY_BYTES; i++) {
        key[i / 8] ^= (unsigned char)(1 << i % 8);
        same += hash_of(key, data, 3, 15) == APR_UINT64_C(0xa129ca6149be45e5) ||
                hash_of(key, data, 3, 15) != reference(key, data, 15);
        key[i / 8] ^= (unsigned char)(1 << i % 8);
    }
    OK(!same, "B03 each bit of the key counts: %d do not", same);
}
