#include "base/siphash.h"

#define ROTATE(x, bits) ((x) << (bits) | (x) >> (64 - (bits)))

static apr_uint64_t word_of(const unsigned char *s)
{
    return (apr_uint64_t)s[0] | (apr_uint64_t)s[1] << 8 | (apr_uint64_t)s[2] << 16 | (apr_uint64_t)s[3] << 24 |
           (apr_uint64_t)s[4] << 32 | (apr_uint64_t)s[5] << 40 | (apr_uint64_t)s[6] << 48 | (apr_uint64_t)s[7] << 56;
}

static void rounds(apr_uint64_t *v, int count)
{
    while (count-- > 0) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = ROTATE(v[1], 13) ^ v[0];
        v[3] = ROTATE(v[3], 16) ^ v[2];
        v[0] = ROTATE(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = ROTATE(v[1], 17) ^ v[2];
        v[3] = ROTATE(v[3], 21) ^ v[0];
        v[2] = ROTATE(v[2], 32);
    }
}

static void word_add(apr_uint64_t *v, apr_uint64_t word)
{
    v[3] ^= word;
    rounds(v, 2);
    v[0] ^= word;
}

static void byte_add(mcp_siphash_t *hash, unsigned char byte)
{
    hash->word |= (apr_uint64_t)byte << 8 * (hash->len++ & 7);
    if (!(hash->len & 7)) {
        word_add(hash->v, hash->word);
        hash->word = 0;
    }
}

void mcp_siphash_init(mcp_siphash_t *hash, const unsigned char *key)
{
    apr_uint64_t k0 = word_of(key), k1 = word_of(key + 8);

    hash->v[0] = k0 ^ APR_UINT64_C(0x736f6d6570736575);
    hash->v[1] = k1 ^ APR_UINT64_C(0x646f72616e646f6d);
    hash->v[2] = k0 ^ APR_UINT64_C(0x6c7967656e657261);
    hash->v[3] = k1 ^ APR_UINT64_C(0x7465646279746573);
    hash->word = hash->len = 0;
}

void mcp_siphash_add(mcp_siphash_t *hash, const char *data, apr_size_t len)
{
    const unsigned char *s = (const unsigned char *)data, *end = s + len;

    while (s < end && hash->len & 7) {
        byte_add(hash, *s++);
    }
    for (; end - s >= 8; s += 8) {
        word_add(hash->v, word_of(s));
        hash->len += 8;
    }
    while (s < end) {
        byte_add(hash, *s++);
    }
}

apr_uint64_t mcp_siphash_end(mcp_siphash_t *hash)
{
    apr_uint64_t *v = hash->v;

    word_add(v, hash->word | hash->len << 56);
    v[2] ^= 0xff;
    rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
