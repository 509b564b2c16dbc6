#include "keys/keycache.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base64url.h"
#include "base/clock.h"
#include "tap.h"

#define READERS 16
#define SWAPS 300

static const char *key_set(const char *kid, apr_pool_t *p)
{
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    unsigned char raw[32];
    size_t len = sizeof(raw);
    char x[MCP_BASE64URL_ENCODED(sizeof(raw)) + 1];

    EVP_PKEY_get_raw_public_key(pkey, raw, &len);
    EVP_PKEY_free(pkey);
    mcp_base64url_encode(x, raw, len);
    return apr_psprintf(p, "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"%s\",\"x\":\"%s\"}]}", kid, x);
}

static mcp_keyset_t *parse(const char *text)
{
    mcp_keyset_t *set;

    return mcp_keyset_parse(&set, text, strlen(text)) ? NULL : set;
}

static void swaps(apr_pool_t *p)
{
    const char *a = key_set("a", p), *b = key_set("b", p);
    mcp_keyset_t *first = parse(a), *set, *held;
    mcp_keycache_t *cache;

    OK(first != NULL, "the key set of this test is usable");
    OK(mcp_keycache_create(&cache, p) == APR_SUCCESS, "a cache is made");
    OK(mcp_keycache_generation(cache) == 0, "its generation is 0");
    OK(!mcp_keycache_get(cache), "it is empty");
    mcp_keycache_put(cache, NULL);
    OK(mcp_keycache_generation(cache) == 0, "emptying an empty cache changes nothing");

    mcp_keycache_put(cache, first);
    OK(mcp_keycache_generation(cache) == 1, "the first set makes generation 1");
    OK((held = mcp_keycache_get(cache)) == first, "it is the current one");
    mcp_keycache_put(cache, parse(a));
    OK(mcp_keycache_generation(cache) == 1, "the same bytes again keep the generation");
    OK((set = mcp_keycache_get(cache)) == first, "and the set");
    mcp_keycache_put(cache, set);
    OK(mcp_keycache_generation(cache) == 1, "so does the very same set");

    mcp_keycache_put(cache, parse(b));
    OK(mcp_keycache_generation(cache) == 2, "C04 other bytes make the next generation");
    STR_IS(mcp_keyset_at(held, 0)->kid, "a", "K12 who took the old set still has it");
    OK((set = mcp_keycache_get(cache)) && set != held, "others get the new one");
    STR_IS(mcp_keyset_at(set, 0)->kid, "b", "with its key");
    mcp_keyset_release(held);

    mcp_keycache_put(cache, NULL);
    OK(mcp_keycache_generation(cache) == 3, "emptying makes the next generation");
    OK(!mcp_keycache_get(cache), "and nothing can be had");
    STR_IS(mcp_keyset_at(set, 0)->kid, "b", "but what was taken stays");
    mcp_keyset_release(set);
    mcp_keycache_put(cache, parse(b));
    OK(mcp_keycache_generation(cache) == 4, "the bytes from before it count as new");
}

static void limit(apr_pool_t *p)
{
    mcp_keycache_t *cache;
    mcp_keyset_t *set;

    mcp_keycache_create(&cache, p);
    mcp_keycache_put(cache, parse(key_set("a", p)));
    mcp_keycache_limit(cache, mcp_clock_monotonic() + apr_time_from_sec(60));
    OK((set = mcp_keycache_get(cache)) && mcp_keycache_generation(cache) == 1, "before its limit a set is used");
    mcp_keyset_release(set);
    mcp_keycache_limit(cache, mcp_clock_monotonic());
    OK(!mcp_keycache_get(cache), "R02 not from its limit on, with nobody to take it away");
    OK(mcp_keycache_generation(cache) == 0, "R02 nor what was verified with it");
    mcp_keycache_limit(cache, mcp_clock_monotonic() + apr_time_from_sec(60));
    OK((set = mcp_keycache_get(cache)) && mcp_keycache_generation(cache) == 1, "R02 a later limit brings both back");
    mcp_keyset_release(set);
}

/* Memory of the set that is still inside is freed with the pool: the leak checker sees to that. */
static void last_set(apr_pool_t *p)
{
    mcp_keycache_t *cache;
    mcp_keyset_t *set;
    apr_pool_t *owner;

    apr_pool_create(&owner, p);
    mcp_keycache_create(&cache, owner);
    mcp_keycache_put(cache, parse(key_set("a", p)));
    set = mcp_keycache_get(cache);
    apr_pool_destroy(owner);
    STR_IS(mcp_keyset_at(set, 0)->kid, "a", "a set outlives its cache while somebody holds it");
    mcp_keyset_release(set);
}

typedef struct race_t {
    mcp_keycache_t *cache;
    const char *texts[2];
    int done;
    apr_uint32_t reads, wrong;
} race_t;

/* A set's only key must be one of the two, readable to its last byte, and the generation must never step back. */
static void *read_sets(void *data)
{
    race_t *race = data;
    apr_uint32_t reads = 0, wrong = 0, last = 0;

    while (!__atomic_load_n(&race->done, __ATOMIC_ACQUIRE)) {
        apr_uint32_t generation = mcp_keycache_generation(race->cache);
        mcp_keyset_t *set;
        const mcp_jwk_t *found[2];

        set = mcp_keycache_get(race->cache);
        if (!set) { /* emptied in between, or not filled yet */
            sched_yield();
            continue;
        }
        wrong += generation < last;
        last = generation;
        wrong +=
            mcp_keyset_count(set) != 1 || mcp_keyset_at(set, 0)->kid[1] != '\0' ||
            !EVP_PKEY_is_a(mcp_keyset_at(set, 0)->pkey, "ED25519") ||
            mcp_keyset_find(found, 2, set, "a", MCP_ALG_EDDSA) + mcp_keyset_find(found, 2, set, "b", MCP_ALG_EDDSA) !=
                1;
        mcp_keyset_release(set);
        reads++;
    }
    __atomic_add_fetch(&race->reads, reads, __ATOMIC_RELAXED);
    __atomic_add_fetch(&race->wrong, wrong, __ATOMIC_RELAXED);
    return NULL;
}

static void race(apr_pool_t *p)
{
    race_t race = { .texts = { key_set("a", p), key_set("b", p) } };
    pthread_t threads[READERS];
    int i;

    mcp_keycache_create(&race.cache, p);
    for (i = 0; i < READERS; i++) {
        pthread_create(&threads[i], NULL, read_sets, &race);
    }
    for (i = 0; i < SWAPS; i++) {
        mcp_keycache_put(race.cache, parse(race.texts[i % 2]));
        if (i % 50 == 49) {
            mcp_keycache_put(race.cache, NULL);
            mcp_keycache_put(race.cache, parse(race.texts[i % 2]));
        }
        usleep(1000);
    }
    __atomic_store_n(&race.done, 1, __ATOMIC_RELEASE);
    for (i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
    }
    OK(race.reads > READERS, "K12 %d threads took sets while they were swapped", READERS);
    OK(race.wrong == 0, "K12 each was whole");
    OK(mcp_keycache_generation(race.cache) == SWAPS + 2 * (SWAPS / 50), "K12 each swap was counted");
}

static void test(apr_pool_t *p)
{
    swaps(p);
    limit(p);
    last_set(p);
    race(p);
}
