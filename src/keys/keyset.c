#include <string.h>

#include <apr_atomic.h>
#include <apr_pools.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/json.h"
#include "base/limits.h"
#include "keys/keyset.h"

#define DIGEST_BYTES 32

struct mcp_keyset_t {
    apr_pool_t *pool; /* of the set alone: it may die in any thread */
    volatile apr_uint32_t refs;
    unsigned char digest[DIGEST_BYTES]; /* of the text */
    int count, skipped;
    const mcp_jwk_t *keys[MCP_LIMIT_KEYS];
};

static int set_create(mcp_keyset_t **pset)
{
    apr_allocator_t *allocator;
    apr_pool_t *pool;

    if (apr_allocator_create(&allocator) != APR_SUCCESS) {
        return 0;
    }
    if (apr_pool_create_ex(&pool, NULL, NULL, allocator) != APR_SUCCESS) {
        apr_allocator_destroy(allocator);
        return 0;
    }
    apr_allocator_owner_set(allocator, pool);
    apr_pool_tag(pool, "mcp_keyset");
    *pset = apr_pcalloc(pool, sizeof(**pset));
    (*pset)->pool = pool;
    (*pset)->refs = 1;
    return 1;
}

static void keys_parse(mcp_keyset_t *set, const json_t *keys)
{
    const json_t *key;
    apr_size_t i;

    json_array_foreach(keys, i, key)
    {
        mcp_jwk_t *jwk;

        /* Once more: memory may have been short, and a set that lacks a key serves until the issuer changes its text. */
        if (set->count == MCP_LIMIT_KEYS ||
            (mcp_jwk_parse(&jwk, key, set->pool) && mcp_jwk_parse(&jwk, key, set->pool))) {
            set->skipped++;
        }
        else {
            set->keys[set->count++] = jwk;
        }
    }
}

/* Fills the set from a parsed document. */
static const char *set_fill(mcp_keyset_t *set, const json_t *document, const char *text, apr_size_t len)
{
    const json_t *keys = json_object_get(document, "keys");

    if (!json_is_array(keys)) {
        return "the key set has no array of keys";
    }
    if (EVP_Q_digest(NULL, "SHA256", NULL, text, len, set->digest, NULL) != 1) {
        ERR_clear_error();
        return "SHA-256 failed";
    }
    keys_parse(set, keys);
    return set->count ? NULL : "the key set has no usable key";
}

const char *mcp_keyset_parse(mcp_keyset_t **pset, const char *text, apr_size_t len)
{
    mcp_keyset_t *set;
    json_t *document;
    const char *reason;

    *pset = NULL;
    if (len > MCP_LIMIT_DOCUMENT) {
        return "the key set is too large";
    }
    if (mcp_json_parse_object(&document, text, len, MCP_LIMIT_DOC_DEPTH, NULL) != MCP_OK) {
        return "the key set is not a strict JSON object";
    }
    if (!set_create(&set)) {
        json_decref(document);
        return "no memory for the key set";
    }
    reason = set_fill(set, document, text, len);
    json_decref(document);
    if (reason) {
        mcp_keyset_release(set);
        return reason;
    }
    *pset = set;
    return NULL;
}

mcp_keyset_t *mcp_keyset_retain(mcp_keyset_t *set)
{
    apr_atomic_inc32(&set->refs);
    return set;
}

void mcp_keyset_release(mcp_keyset_t *set)
{
    if (set && !apr_atomic_dec32(&set->refs)) {
        apr_pool_destroy(set->pool);
    }
}

int mcp_keyset_equal(const mcp_keyset_t *a, const mcp_keyset_t *b)
{
    return !CRYPTO_memcmp(a->digest, b->digest, DIGEST_BYTES);
}

int mcp_keyset_count(const mcp_keyset_t *set)
{
    return set->count;
}

int mcp_keyset_skipped(const mcp_keyset_t *set)
{
    return set->skipped;
}

int mcp_keyset_exposed(const mcp_keyset_t *set)
{
    int i, n = 0;

    for (i = 0; i < set->count; i++) {
        n += set->keys[i]->exposed;
    }
    return n;
}

const mcp_jwk_t *mcp_keyset_at(const mcp_keyset_t *set, int i)
{
    return set->keys[i];
}

int mcp_keyset_find(const mcp_jwk_t **found, int max, const mcp_keyset_t *set, const char *kid, mcp_alg_t alg)
{
    int i, n = 0;

    for (i = 0; i < set->count && n < max; i++) {
        const mcp_jwk_t *key = set->keys[i];

        if ((key->algs & MCP_ALG_BIT(alg)) && (!kid || (key->kid && !strcmp(key->kid, kid)))) {
            found[n++] = key;
        }
    }
    return n;
}

int mcp_keyset_has(const mcp_keyset_t *set, const char *kid)
{
    int i;

    for (i = 0; i < set->count; i++) {
        if (set->keys[i]->kid && !strcmp(set->keys[i]->kid, kid)) {
            return 1;
        }
    }
    return 0;
}
