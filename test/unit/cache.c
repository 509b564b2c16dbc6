#include "token/cache.h"

#include <apr_atomic.h>
#include <apr_thread_proc.h>
#include <stdlib.h>

#include "tap.h"

#define NOW apr_time_from_sec(1700000000)
#define TTL apr_time_from_sec(300)
#define HOUR apr_time_from_sec(3600)

/* The key set of RFC 8037 appendix A.2. */
static const char KEYS[] =
    "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

/* A block as a policy makes it: something lies behind the header. */
typedef struct block_t {
    mcp_cache_entry_t entry;
    int number;
} block_t;

static mcp_keycache_t *keycache(apr_pool_t *p)
{
    mcp_keycache_t *keys = NULL;
    mcp_keyset_t *set = NULL;

    mcp_keycache_create(&keys, p);
    mcp_keyset_parse(&set, KEYS, sizeof(KEYS) - 1);
    mcp_keycache_put(keys, set);
    mcp_keycache_put(keys, NULL); /* generation 2: nothing was ever verified with generation 0 */
    return keys;
}

static mcp_cache_entry_t *make(int number, mcp_keycache_t *keys)
{
    block_t *block = calloc(1, sizeof(*block));

    block->number = number;
    block->entry.not_after = NOW + HOUR;
    block->entry.keys = keys;
    block->entry.generation = keys ? mcp_keycache_generation(keys) : 0;
    block->entry.size = sizeof(*block);
    return &block->entry;
}

/* Keys as SHA-256 gives them: each byte depends on the number. */
static const unsigned char *key(unsigned char out[MCP_CACHE_KEY_BYTES], apr_uint32_t number)
{
    int i;

    for (i = 0; i < MCP_CACHE_KEY_BYTES; i++) {
        number = number * 1664525u + 1013904223u;
        out[i] = (unsigned char)(number >> 24);
    }
    return out;
}

static void put(mcp_cache_t *cache, int number, mcp_cache_entry_t *entry, apr_time_t now, apr_pool_t *p)
{
    unsigned char bytes[MCP_CACHE_KEY_BYTES];
    mcp_cache_entry_t *mine;
    apr_pool_t *sub;

    apr_pool_create(&sub, p);
    mcp_cache_put(&mine, cache, key(bytes, number), entry, now, sub);
    apr_pool_destroy(sub);
}

/* The status, after a look at the number of the entry. */
static mcp_status_t get(mcp_cache_t *cache, int number, apr_time_t now, apr_pool_t *p)
{
    unsigned char bytes[MCP_CACHE_KEY_BYTES];
    mcp_cache_entry_t *entry = (mcp_cache_entry_t *)bytes;
    mcp_status_t status;
    apr_pool_t *sub;

    apr_pool_create(&sub, p);
    status = mcp_cache_get(&entry, cache, key(bytes, number), now, sub);
    if ((status == MCP_OK) != (entry != NULL) || (entry && ((block_t *)entry)->number != number)) {
        status = MCP_STATUS_COUNT;
    }
    apr_pool_destroy(sub);
    return status;
}

static mcp_cache_t *create(int max, apr_pool_t *p)
{
    mcp_cache_t *cache = NULL;

    mcp_cache_create(&cache, max, TTL, p);
    return cache;
}

static void basics(apr_pool_t *p)
{
    mcp_keycache_t *keys = keycache(p);
    mcp_cache_t *cache = create(4, p);
    mcp_cache_stats_t stats;

    OK(mcp_cache_create(&cache, 0, TTL, p) == APR_EINVAL && !cache, "no cache for nothing");
    OK(mcp_cache_create(&cache, 1, TTL, p) == APR_SUCCESS && cache, "but for one entry");
    cache = create(4, p);
    OK(get(cache, 1, NOW, p) == MCP_INTERNAL, "nothing there at first");
    put(cache, 1, make(1, keys), NOW, p);
    OK(get(cache, 1, NOW, p) == MCP_OK && get(cache, 1, NOW, p) == MCP_OK, "found, and found again");
    OK(get(cache, 2, NOW, p) == MCP_INTERNAL, "another key is not there");
    mcp_cache_stats(&stats, cache);
    OK(stats.entries == 1 && stats.bytes == sizeof(block_t) && stats.hits == 2 && stats.misses == 2, "counted");
    put(cache, 1, make(1, keys), NOW, p);
    mcp_cache_stats(&stats, cache);
    OK(get(cache, 1, NOW, p) == MCP_OK && stats.entries == 1 && stats.bytes == sizeof(block_t),
       "an entry of the same key is replaced");
}

static void times(apr_pool_t *p)
{
    mcp_cache_t *cache = create(8, p);
    mcp_keycache_t *keys = keycache(p);
    mcp_cache_entry_t *entry = make(1, keys);

    entry->not_after = NOW + apr_time_from_sec(3);
    entry->not_before = NOW - apr_time_from_sec(3);
    put(cache, 1, entry, NOW, p);
    OK(get(cache, 1, NOW + apr_time_from_sec(3) - 1, p) == MCP_OK, "C01 TOK-18 a microsecond before not_after");
    OK(get(cache, 1, NOW + apr_time_from_sec(3), p) == MCP_TOKEN_EXPIRED, "C01 TOK-18 refused from not_after on");
    OK(get(cache, 1, NOW, p) == MCP_OK, "R15 the clock set back a little: judged anew");
    OK(get(cache, 1, NOW - apr_time_from_sec(3), p) == MCP_OK, "R15 at not_before");
    OK(get(cache, 1, NOW - apr_time_from_sec(3) - 1, p) == MCP_TOKEN_NOT_YET,
       "R15 the clock set back before not_before");
    OK(get(cache, 1, NOW - TTL, p) == MCP_INTERNAL, "R15 the clock set back far: the age is unknown, verify anew");
    OK(get(cache, 1, NOW, p) == MCP_INTERNAL, "R15 and the entry is gone");

    put(cache, 2, make(2, keys), NOW, p);
    OK(get(cache, 2, NOW + TTL - 1, p) == MCP_OK, "the ttl is not over");
    OK(get(cache, 2, NOW + TTL, p) == MCP_INTERNAL, "the ttl is over: verify anew, also after a hit just before");
    OK(get(cache, 2, NOW, p) == MCP_INTERNAL, "and the entry is gone");
    put(cache, 3, make(3, keys), NOW, p);
    put(cache, 3, make(3, keys), NOW + TTL - 1, p);
    OK(get(cache, 3, NOW + TTL, p) == MCP_OK, "the ttl counts from the last put");
}

static void generations(apr_pool_t *p)
{
    mcp_cache_t *cache = create(8, p);
    mcp_keycache_t *keys = keycache(p), *others = keycache(p);
    mcp_keyset_t *set = NULL;

    put(cache, 1, make(1, keys), NOW, p);
    put(cache, 2, make(2, others), NOW, p);
    OK(!mcp_keyset_parse(&set, KEYS, sizeof(KEYS) - 1), "a key set");
    mcp_keycache_put(keys, set);
    OK(get(cache, 1, NOW, p) == MCP_INTERNAL, "C04 the key set has changed: verify anew");
    OK(get(cache, 1, NOW, p) == MCP_INTERNAL, "C04 and the entry is gone");
    OK(get(cache, 2, NOW, p) == MCP_OK, "C04 another issuer's entries stay");
    put(cache, 1, make(1, keys), NOW, p);
    OK(get(cache, 1, NOW, p) == MCP_OK, "C04 verified under the new set");
    mcp_keycache_put(keys, NULL);
    OK(get(cache, 1, NOW, p) == MCP_INTERNAL, "C04 no keys any more");
    mcp_keycache_limit(keys, 0);
    put(cache, 4, make(4, keys), NOW, p);
    OK(get(cache, 4, NOW, p) == MCP_INTERNAL, "C04 R02 what was verified when the set had expired is good at no time");
}

static mcp_cache_entry_t *make_until(int number, mcp_keycache_t *keys, apr_time_t until)
{
    mcp_cache_entry_t *entry = make(number, keys);

    entry->until = until;
    return entry;
}

/* What an authorization server said about a token: no key vouches for it, and it may be taken back at any time. */
static void untils(apr_pool_t *p)
{
    mcp_cache_t *cache = create(8, p);
    mcp_keycache_t *keys = keycache(p);
    const apr_time_t soon = NOW + apr_time_from_sec(60);

    put(cache, 1, make_until(1, NULL, soon), NOW, p);
    OK(get(cache, 1, soon - 1, p) == MCP_OK, "C07 without keys: used before until");
    OK(get(cache, 1, soon, p) == MCP_INTERNAL, "C07 TOK-18 not from until on, long before exp and ttl");
    OK(get(cache, 1, NOW, p) == MCP_INTERNAL, "C07 and the entry is gone");
    put(cache, 2, make_until(2, NULL, NOW + HOUR), NOW, p);
    OK(get(cache, 2, NOW + TTL - 1, p) == MCP_OK && get(cache, 2, NOW + TTL, p) == MCP_INTERNAL,
       "C07 the ttl ends it before a later until");
    put(cache, 3, make(3, NULL), NOW, p);
    OK(get(cache, 3, NOW + TTL - 1, p) == MCP_OK && get(cache, 3, NOW + TTL, p) == MCP_INTERNAL,
       "without keys and until the ttl alone counts");
    put(cache, 4, make_until(4, NULL, NOW), NOW, p);
    OK(get(cache, 4, NOW, p) == MCP_INTERNAL, "C07 until is over at once");
    put(cache, 4, make_until(4, NULL, NOW - HOUR), NOW, p);
    OK(get(cache, 4, NOW - HOUR - 1, p) == MCP_INTERNAL && get(cache, 4, NOW, p) == MCP_INTERNAL,
       "C07 until was over before: at no time");
    put(cache, 5, make_until(5, NULL, soon), NOW, p);
    OK(get(cache, 5, NOW - apr_time_from_sec(60) + 1, p) == MCP_OK, "R15 the clock set back a little");
    OK(get(cache, 5, NOW - apr_time_from_sec(60), p) == MCP_INTERNAL,
       "R15 set back by more than it may live: the age is unknown");
    put(cache, 6, make_until(6, NULL, soon), NOW + apr_time_from_sec(30), p);
    OK(get(cache, 6, soon, p) == MCP_INTERNAL, "C07 put later, it ends at the same time");

    put(cache, 7, make_until(7, keys, soon), NOW, p);
    OK(get(cache, 7, soon - 1, p) == MCP_OK && get(cache, 7, soon, p) == MCP_INTERNAL,
       "C01 with keys until counts as well");
    put(cache, 7, make_until(7, keys, soon), NOW, p);
    mcp_keycache_limit(keys, 0);
    OK(get(cache, 7, NOW, p) == MCP_INTERNAL, "C04 with keys until does not stand for the generation");
    put(cache, 8, make_until(8, keys, soon), NOW, p);
    OK(get(cache, 8, NOW, p) == MCP_INTERNAL, "C04 generation 0 under keys is good at no time, whatever until says");
}

static void eviction(apr_pool_t *p)
{
    mcp_cache_t *cache = create(4, p), *one = create(1, p);
    mcp_keycache_t *keys = keycache(p);
    mcp_cache_entry_t *entry;
    mcp_cache_stats_t stats;
    int i;

    for (i = 1; i <= 4; i++) {
        put(cache, i, make(i, keys), NOW, p);
    }
    OK(get(cache, 1, NOW, p) == MCP_OK, "full, and the oldest is used");
    put(cache, 5, make(5, keys), NOW, p);
    mcp_cache_stats(&stats, cache);
    OK(stats.entries == 4, "R09 one more than fits: not one more");
    OK(get(cache, 2, NOW, p) == MCP_INTERNAL, "R09 the one unused longest went");
    OK(get(cache, 1, NOW, p) == MCP_OK && get(cache, 3, NOW, p) == MCP_OK && get(cache, 4, NOW, p) == MCP_OK &&
           get(cache, 5, NOW, p) == MCP_OK,
       "R09 the others stayed");
    put(cache, 1, make(1, keys), NOW, p);
    put(cache, 6, make(6, keys), NOW, p);
    OK(get(cache, 3, NOW, p) == MCP_INTERNAL && get(cache, 1, NOW, p) == MCP_OK,
       "R09 replacing makes it newest and needs no place");

    entry = make(7, keys);
    entry->not_after = NOW + 1;
    put(cache, 7, entry, NOW, p); /* 5 6 1 7, the oldest first; 4 went */
    OK(get(cache, 5, NOW, p) == MCP_OK && get(cache, 6, NOW, p) == MCP_OK && get(cache, 1, NOW, p) == MCP_OK &&
           get(cache, 7, NOW + 1, p) == MCP_TOKEN_EXPIRED,
       "the expired one is the oldest");
    put(cache, 8, make(8, keys), NOW, p);
    OK(get(cache, 7, NOW + 1, p) == MCP_INTERNAL && get(cache, 5, NOW, p) == MCP_OK,
       "asking for an expired one does not keep it");

    put(one, 1, make(1, keys), NOW, p);
    put(one, 2, make(2, keys), NOW, p);
    OK(get(one, 1, NOW, p) == MCP_INTERNAL && get(one, 2, NOW, p) == MCP_OK, "R09 a cache for one");
}

/* Far more entries than shards: all that fit are kept. */
static void many(apr_pool_t *p)
{
    mcp_cache_t *cache = create(1000000, p);
    mcp_cache_stats_t stats;
    int i, found = 0;

    for (i = 0; i < 3000; i++) {
        put(cache, i, make(i, NULL), NOW, p);
    }
    for (i = 0; i < 3000; i++) {
        found += get(cache, i, NOW, p) == MCP_OK;
    }
    mcp_cache_stats(&stats, cache);
    OK(found == 3000 && stats.entries == 3000, "a cache for a million entries keeps each of 3000");
}

static void bounds(apr_pool_t *p)
{
    static const int sizes[] = { 15, 16, 63, 64, 127, 128, 129, 1000, 1031 };
    mcp_keycache_t *keys = keycache(p);
    mcp_cache_stats_t stats;
    int i, n, found;

    for (i = 0; i < (int)(sizeof(sizes) / sizeof(*sizes)); i++) {
        mcp_cache_t *cache = create(sizes[i], p);

        for (n = 0; n < 4 * sizes[i]; n++) {
            put(cache, n, make(n, keys), NOW, p);
        }
        for (n = 0, found = 0; n < 4 * sizes[i]; n++) {
            found += get(cache, n, NOW, p) == MCP_OK;
        }
        mcp_cache_stats(&stats, cache);
        OK(stats.entries == (apr_uint64_t)sizes[i] && found == sizes[i] && stats.bytes == sizes[i] * sizeof(block_t),
           "R09 exactly %d entries, four times as many put", sizes[i]);
    }
}

/* The hot ones are asked for again and again between many that come once. */
static void hot(apr_pool_t *p)
{
    mcp_cache_t *cache = create(1000, p);
    mcp_keycache_t *keys = keycache(p);
    int i, hits = 0;

    for (i = 0; i < 20000; i++) {
        if (get(cache, i % 100, NOW, p) == MCP_OK) {
            hits++;
        }
        else {
            put(cache, i % 100, make(i % 100, keys), NOW, p);
        }
        put(cache, 100 + i, make(100 + i, keys), NOW, p);
    }
    OK(hits >= 19000, "R09 hot entries stay while others pass through: %d of 20000", hits);
}

/* Keys that share shard and bucket, and differ in one late byte. */
static void collisions(apr_pool_t *p)
{
    mcp_cache_t *cache = create(32, p);
    mcp_keycache_t *keys = keycache(p);
    mcp_cache_entry_t *entry;
    unsigned char bytes[MCP_CACHE_KEY_BYTES] = { 0 };
    int i, good = 0;

    for (i = 5; i < MCP_CACHE_KEY_BYTES; i++) {
        bytes[i] = 1;
        mcp_cache_put(&entry, cache, bytes, make(i, keys), NOW, p);
        bytes[i] = 0;
    }
    for (i = 5; i < MCP_CACHE_KEY_BYTES; i++) {
        bytes[i] = 1;
        good += mcp_cache_get(&entry, cache, bytes, NOW, p) == MCP_OK && ((block_t *)entry)->number == i;
        bytes[i] = 0;
    }
    OK(good == MCP_CACHE_KEY_BYTES - 5, "C02 keys of one bucket that differ in one byte are told apart");
    OK(mcp_cache_get(&entry, cache, bytes, NOW, p) == MCP_INTERNAL, "C02 a key with none of them is not there");
    bytes[31] = 2;
    OK(mcp_cache_get(&entry, cache, bytes, NOW, p) == MCP_INTERNAL, "C02 another last byte is another key");
}

static void readers(apr_pool_t *p)
{
    mcp_keycache_t *keys = keycache(p);
    mcp_cache_entry_t *putter, *reader, *again;
    unsigned char bytes[MCP_CACHE_KEY_BYTES];
    apr_pool_t *own, *request, *other;
    mcp_cache_t *cache;

    apr_pool_create(&own, p);
    apr_pool_create(&request, p);
    apr_pool_create(&other, p);
    cache = create(1, own);
    mcp_cache_put(&putter, cache, key(bytes, 1), make(1, keys), NOW, request);
    OK(((block_t *)putter)->number == 1 && putter->refs == 2, "who puts an entry may read it");
    mcp_cache_get(&reader, cache, key(bytes, 1), NOW, request);
    mcp_cache_get(&again, cache, key(bytes, 1), NOW, other);
    OK(reader == putter && again == putter && putter->refs == 4, "readers share the one block");
    put(cache, 2, make(2, keys), NOW, p);
    OK(get(cache, 1, NOW, p) == MCP_INTERNAL && putter->refs == 3 && ((block_t *)reader)->number == 1,
       "an entry that was pushed out lives on for its readers");
    apr_pool_destroy(other);
    OK(putter->refs == 2, "a reader's reference goes with its pool");
    mcp_cache_get(&again, cache, key(bytes, 2), NOW, request);
    apr_pool_destroy(own);
    OK(again->refs == 1 && ((block_t *)again)->number == 2, "a reader outlives the cache");
    apr_pool_destroy(request);
}

/* ---- threads ---- */

#define THREADS 4
#define ROUNDS 5000

typedef struct shared_t {
    mcp_cache_t *cache;
    mcp_keycache_t *keys;
    apr_uint32_t wrong, hits;
} shared_t;

static void *APR_THREAD_FUNC work(apr_thread_t *thread, void *data)
{
    shared_t *shared = data;
    apr_uint32_t random = (apr_uint32_t)(apr_uintptr_t)thread;
    unsigned char bytes[MCP_CACHE_KEY_BYTES];
    mcp_cache_entry_t *entry;
    apr_pool_t *p;
    int i, number;

    apr_pool_create(&p, NULL);
    for (i = 0; i < ROUNDS; i++) {
        random = random * 1664525u + 1013904223u;
        number = (int)(random >> 16) % 300;
        if (mcp_cache_get(&entry, shared->cache, key(bytes, number), NOW, p) != MCP_OK) {
            mcp_cache_put(&entry, shared->cache, bytes, make(number, shared->keys), NOW, p);
        }
        else {
            apr_atomic_inc32(&shared->hits);
        }
        if (((block_t *)entry)->number != number) {
            apr_atomic_inc32(&shared->wrong);
        }
        if (i % 16 == 0) {
            apr_pool_clear(p);
        }
    }
    apr_pool_destroy(p);
    return NULL;
}

static void threads(apr_pool_t *p)
{
    apr_thread_t *thread[THREADS];
    apr_status_t rv, worst = APR_SUCCESS;
    mcp_cache_stats_t stats;
    shared_t shared = { NULL, NULL, 0, 0 };
    int i;

    shared.cache = create(200, p);
    shared.keys = keycache(p);
    for (i = 0; i < THREADS; i++) {
        rv = apr_thread_create(&thread[i], NULL, work, &shared, p);
        worst = rv ? rv : worst;
    }
    for (i = 0; i < 200; i++) {
        mcp_keyset_t *set = NULL;

        if (i % 2) {
            mcp_keyset_parse(&set, KEYS, sizeof(KEYS) - 1);
        }
        mcp_keycache_put(shared.keys, set);
        mcp_cache_stats(&stats, shared.cache);
        worst = stats.entries > 200 ? APR_EGENERAL : worst;
    }
    for (i = 0; i < THREADS; i++) {
        apr_thread_join(&rv, thread[i]);
    }
    mcp_cache_stats(&stats, shared.cache);
    OK(worst == APR_SUCCESS && stats.entries <= 200, "threads never exceed the bound");
    OK(shared.wrong == 0 && shared.hits > 0, "threads find what belongs to the key");
    OK(stats.hits == shared.hits && stats.hits + stats.misses == THREADS * ROUNDS, "every lookup is counted");
}

static void test(apr_pool_t *p)
{
    basics(p);
    times(p);
    generations(p);
    untils(p);
    eviction(p);
    many(p);
    bounds(p);
    hot(p);
    collisions(p);
    readers(p);
    threads(p);
}
