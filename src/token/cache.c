#include "token/cache.h"

#include <apr_thread_mutex.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS 16
#define SHARD_MIN 64 /* entries; below, the shares of the shards would differ too much */

/* Where an entry stands in a shard; malloc'ed apart from the entry, which may outlive it in the hands of readers. */
typedef struct node_t {
    unsigned char key[MCP_CACHE_KEY_BYTES];
    mcp_cache_entry_t *entry;
    apr_time_t since;             /* when it was put */
    struct node_t *chain;         /* next in the bucket */
    struct node_t *newer, *older; /* by use */
} node_t;

typedef struct shard_t {
    apr_thread_mutex_t *mutex;
    node_t **buckets;
    apr_uint32_t mask; /* buckets - 1, a power of two less one */
    apr_uint32_t max, count;
    node_t *newest, *oldest;
    apr_uint64_t hits, misses, bytes;
} shard_t;

struct mcp_cache_t {
    apr_interval_time_t ttl;
    int count; /* of shards */
    shard_t shards[SHARDS];
};

/* Compiler builtins and not APR's atomics, which a thread sanitizer cannot see into. */
static void retain(mcp_cache_entry_t *entry)
{
    __atomic_add_fetch(&entry->refs, 1, __ATOMIC_RELAXED);
}

static void release(mcp_cache_entry_t *entry)
{
    if (!__atomic_sub_fetch(&entry->refs, 1, __ATOMIC_ACQ_REL)) {
        free(entry);
    }
}

static apr_status_t release_reader(void *data)
{
    release(data);
    return APR_SUCCESS;
}

/* Keys are SHA-256: any of their bytes are as good as a hash, and nobody chooses them. */
static apr_uint32_t hash(const unsigned char *key)
{
    return (apr_uint32_t)key[1] | (apr_uint32_t)key[2] << 8 | (apr_uint32_t)key[3] << 16 | (apr_uint32_t)key[4] << 24;
}

static shard_t *shard_of(mcp_cache_t *cache, const unsigned char *key)
{
    return &cache->shards[key[0] % cache->count];
}

/* The link that points to the node of key, or to NULL at the end of its bucket. */
static node_t **find(const shard_t *shard, const unsigned char *key)
{
    node_t **link = &shard->buckets[hash(key) & shard->mask];

    while (*link && CRYPTO_memcmp((*link)->key, key, MCP_CACHE_KEY_BYTES)) {
        link = &(*link)->chain;
    }
    return link;
}

static void unlink_use(shard_t *shard, node_t *node)
{
    *(node->newer ? &node->newer->older : &shard->newest) = node->older;
    *(node->older ? &node->older->newer : &shard->oldest) = node->newer;
}

static void link_newest(shard_t *shard, node_t *node)
{
    node->newer = NULL;
    node->older = shard->newest;
    *(shard->newest ? &shard->newest->newer : &shard->oldest) = node;
    shard->newest = node;
}

static void drop(shard_t *shard, node_t **link)
{
    node_t *node = *link;

    *link = node->chain;
    unlink_use(shard, node);
    shard->count--;
    shard->bytes -= node->entry->size;
    release(node->entry);
    free(node);
}

static apr_status_t destroy(void *data)
{
    mcp_cache_t *cache = data;
    int i;

    for (i = 0; i < cache->count; i++) {
        shard_t *shard = &cache->shards[i];

        while (shard->oldest) {
            drop(shard, find(shard, shard->oldest->key));
        }
        free(shard->buckets);
        shard->buckets = NULL;
    }
    return APR_SUCCESS;
}

static apr_status_t make_shard(shard_t *shard, apr_uint32_t max, apr_pool_t *p)
{
    apr_uint32_t buckets = 1;

    while (buckets < max) {
        buckets *= 2;
    }
    shard->max = max;
    shard->mask = buckets - 1;
    shard->buckets = calloc(buckets, sizeof(node_t *));
    return shard->buckets ? apr_thread_mutex_create(&shard->mutex, APR_THREAD_MUTEX_DEFAULT, p) : APR_ENOMEM;
}

apr_status_t mcp_cache_create(mcp_cache_t **pcache, int max, apr_interval_time_t ttl, apr_pool_t *p)
{
    mcp_cache_t *cache = apr_pcalloc(p, sizeof(*cache));
    apr_status_t rv;
    int i;

    *pcache = NULL;
    if (max <= 0) {
        return APR_EINVAL;
    }
    cache->ttl = ttl;
    cache->count = max / SHARD_MIN < 1 ? 1 : max / SHARD_MIN > SHARDS ? SHARDS : max / SHARD_MIN;
    apr_pool_cleanup_register(p, cache, destroy, apr_pool_cleanup_null);
    for (i = 0; i < cache->count; i++) {
        rv = make_shard(&cache->shards[i], max / cache->count + (i < max % cache->count), p);
        if (rv != APR_SUCCESS) {
            return rv;
        }
    }
    *pcache = cache;
    return APR_SUCCESS;
}

/* Times far behind count as too old as well: the clock was set back, and nobody knows the age. */
static int is_within(apr_time_t since, apr_interval_time_t life, apr_time_t now)
{
    return now - since < life && since - now < life;
}

/* May it still be used? What no key of ours vouched for is bounded by its times alone. */
static int is_current(const node_t *node, apr_interval_time_t ttl, apr_time_t now)
{
    const mcp_cache_entry_t *entry = node->entry;

    if (!is_within(node->since, ttl, now) ||
        (entry->until && !is_within(node->since, entry->until - node->since, now))) {
        return 0;
    }
    return !entry->keys || (entry->generation && entry->generation == mcp_keycache_generation(entry->keys));
}

/* What the times of an entry say, with the shard locked. A refused entry stays, it answers faster than a verification,
 * but it does not become newer. */
static mcp_status_t judge(shard_t *shard, node_t *node, apr_time_t now)
{
    if (now >= node->entry->not_after) {
        return MCP_TOKEN_EXPIRED;
    }
    if (now < node->entry->not_before) {
        return MCP_TOKEN_NOT_YET;
    }
    unlink_use(shard, node);
    link_newest(shard, node);
    retain(node->entry);
    return MCP_OK;
}

mcp_status_t mcp_cache_get(mcp_cache_entry_t **pentry, mcp_cache_t *cache, const unsigned char *key, apr_time_t now,
                           apr_pool_t *p)
{
    shard_t *shard = shard_of(cache, key);
    mcp_status_t status = MCP_INTERNAL;
    node_t **link;

    *pentry = NULL;
    apr_thread_mutex_lock(shard->mutex);
    link = find(shard, key);
    if (*link && !is_current(*link, cache->ttl, now)) {
        drop(shard, link);
        shard->misses++;
    }
    else if (*link) {
        status = judge(shard, *link, now);
        *pentry = status == MCP_OK ? (*link)->entry : NULL;
        shard->hits++;
    }
    else {
        shard->misses++;
    }
    apr_thread_mutex_unlock(shard->mutex);
    if (*pentry) {
        apr_pool_cleanup_register(p, *pentry, release_reader, apr_pool_cleanup_null);
    }
    return status;
}

static void insert(shard_t *shard, node_t *node)
{
    node_t **link = find(shard, node->key);

    if (*link) {
        drop(shard, link);
    }
    else if (shard->count == shard->max) {
        drop(shard, find(shard, shard->oldest->key));
    }
    link = &shard->buckets[hash(node->key) & shard->mask];
    node->chain = *link;
    *link = node;
    link_newest(shard, node);
    shard->count++;
    shard->bytes += node->entry->size;
}

void mcp_cache_put(mcp_cache_entry_t **pentry, mcp_cache_t *cache, const unsigned char *key, mcp_cache_entry_t *entry,
                   apr_time_t now, apr_pool_t *p)
{
    shard_t *shard = shard_of(cache, key);
    node_t *node = malloc(sizeof(*node));

    entry->refs = 1;
    apr_pool_cleanup_register(p, entry, release_reader, apr_pool_cleanup_null);
    *pentry = entry;
    if (!node) {
        return;
    }
    entry->refs++;
    memcpy(node->key, key, MCP_CACHE_KEY_BYTES);
    node->entry = entry;
    node->since = now;
    apr_thread_mutex_lock(shard->mutex);
    insert(shard, node);
    apr_thread_mutex_unlock(shard->mutex);
}

void mcp_cache_stats(mcp_cache_stats_t *stats, mcp_cache_t *cache)
{
    int i;

    memset(stats, 0, sizeof(*stats));
    for (i = 0; i < cache->count; i++) {
        shard_t *shard = &cache->shards[i];

        apr_thread_mutex_lock(shard->mutex);
        stats->hits += shard->hits;
        stats->misses += shard->misses;
        stats->entries += shard->count;
        stats->bytes += shard->bytes;
        apr_thread_mutex_unlock(shard->mutex);
    }
}
