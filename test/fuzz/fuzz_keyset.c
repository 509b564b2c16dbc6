/* Key sets: whatever is published, no key of the result is symmetric, private, weak, or for an algorithm that is not its
 * own. K06 to K10. */
#include "fuzz.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "base/limits.h"
#include "keys/keyset.h"

static const mcp_algs_t rsa_algs = MCP_ALG_BIT(MCP_ALG_ES256) - 1;

/* The algorithms that a key of OpenSSL may verify. */
static mcp_algs_t algs_of(const EVP_PKEY *pkey)
{
    if (EVP_PKEY_is_a(pkey, "RSA")) {
        return rsa_algs;
    }
    if (EVP_PKEY_is_a(pkey, "EC")) {
        int bits = EVP_PKEY_get_bits(pkey);

        return bits == 256   ? MCP_ALG_BIT(MCP_ALG_ES256)
               : bits == 384 ? MCP_ALG_BIT(MCP_ALG_ES384)
               : bits == 521 ? MCP_ALG_BIT(MCP_ALG_ES512)
                             : 0;
    }
    if (EVP_PKEY_is_a(pkey, "ED25519")) {
        return MCP_ALG_BIT(MCP_ALG_EDDSA) | MCP_ALG_BIT(MCP_ALG_ED25519);
    }
    return EVP_PKEY_is_a(pkey, "ED448") ? MCP_ALG_BIT(MCP_ALG_EDDSA) | MCP_ALG_BIT(MCP_ALG_ED448) : 0;
}

static void check_public(EVP_PKEY *pkey)
{
    unsigned char bytes[128];
    size_t len = sizeof(bytes);
    BIGNUM *secret = NULL, *modulus = NULL, *exponent = NULL;

    MUST(EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_D, &secret) != 1);
    MUST(EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_PRIV_KEY, &secret) != 1);
    MUST(EVP_PKEY_get_raw_private_key(pkey, bytes, &len) != 1);
    if (EVP_PKEY_is_a(pkey, "RSA")) {
        MUST(EVP_PKEY_get_bits(pkey) >= 2048 && EVP_PKEY_get_bits(pkey) <= 8192);
        MUST(EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &modulus) == 1 && BN_is_odd(modulus));
        MUST(EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 && BN_is_odd(exponent));
        MUST(BN_num_bits(exponent) >= 2 && BN_num_bits(exponent) <= 64);
        BN_free(modulus);
        BN_free(exponent);
    }
}

static void check_key(const mcp_keyset_t *set, const mcp_jwk_t *key)
{
    const mcp_jwk_t *found[MCP_LIMIT_KEYS];
    int among = 0;

    MUST(key->algs && !(key->algs & ~algs_of(key->pkey)));
    MUST(!key->kid || (strlen(key->kid) <= MCP_LIMIT_KID && mcp_keyset_has(set, key->kid)));
    check_public(key->pkey);
    for (int alg = 0; alg < MCP_ALG_COUNT; alg++) {
        int may = (key->algs & MCP_ALG_BIT(alg)) != 0;
        int n = mcp_keyset_find(found, MCP_LIMIT_KEYS, set, key->kid, (mcp_alg_t)alg);

        MUST((key->verifiers[alg] != NULL) == may);
        for (int i = 0; i < n; i++) {
            MUST(found[i]->algs & MCP_ALG_BIT(alg));
            MUST(!key->kid || (found[i]->kid && !strcmp(found[i]->kid, key->kid)));
            MUST(found[i] != key || may);
            among |= found[i] == key;
        }
        MUST(!may || n);
    }
    MUST(among);
}

/* Of members that do not make the key, nothing changes its thumbprint. */
static void check_thumbprint(const json_t *jwk, apr_pool_t *p)
{
    char one[MCP_THUMBPRINT_CHARS + 1], two[MCP_THUMBPRINT_CHARS + 1];
    json_t *changed = json_copy((json_t *)jwk);
    mcp_jwk_t *key;
    int ok = mcp_jwk_thumbprint(one, jwk);

    MUST(strlen(one) == (ok ? MCP_THUMBPRINT_CHARS : 0));
    MUST(!!mcp_jwk_parse(&key, jwk, p) == !key);
    MUST(!key || ok);
    if (json_is_object(changed)) {
        json_object_set_new(changed, "kid", json_string("another"));
        json_object_set_new(changed, "alg", json_string("none"));
        MUST(mcp_jwk_parse(&key, changed, p) && !key);
        json_object_del(changed, "alg");
        json_object_set_new(changed, "use", json_string("enc"));
        MUST(mcp_jwk_thumbprint(two, changed) == ok && !strcmp(one, two));
        MUST(mcp_jwk_parse(&key, changed, p) && !key);
        json_object_del(changed, "use");
        json_object_set_new(changed, "key_ops", json_pack("[s]", "sign"));
        MUST(mcp_jwk_parse(&key, changed, p) && !key);
    }
    json_decref(changed);
}

static void check_set(mcp_keyset_t *set, const char *text, size_t len, const json_t *json)
{
    const json_t *keys = json_object_get(json, "keys");
    mcp_keyset_t *again;
    int count = mcp_keyset_count(set);

    MUST(json_is_array(keys) && count > 0 && count <= MCP_LIMIT_KEYS);
    MUST((size_t)count + (size_t)mcp_keyset_skipped(set) == json_array_size(keys));
    MUST(mcp_keyset_exposed(set) <= count);
    for (int i = 0; i < count; i++) {
        check_key(set, mcp_keyset_at(set, i));
    }
    MUST(!mcp_keyset_parse(&again, text, len) && mcp_keyset_equal(set, again) && mcp_keyset_count(again) == count);
    mcp_keyset_release(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    const char *text = fuzz_bytes(data, size, p);
    json_t *json = fuzz_json(text, size, p);
    const json_t *keys = json_object_get(json, "keys"), *jwk;
    mcp_keyset_t *set;
    size_t i;
    int failed = mcp_keyset_parse(&set, text, size) != NULL;

    MUST(failed == !set);
    if (set) {
        check_set(set, text, size, json);
        mcp_keyset_release(set);
    }
    json_array_foreach(keys, i, jwk)
    {
        check_thumbprint(jwk, p);
    }
    apr_pool_destroy(p);
    return 0;
}
