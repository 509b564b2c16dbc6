#include "keys/keycache.h"

#include <apr_thread_mutex.h>
#include <stdint.h>

#include "base/clock.h"

struct mcp_keycache_t {
    apr_thread_mutex_t *mutex; /* guards set, and each change of generation */
    mcp_keyset_t *set;
    apr_uint32_t generation;
    apr_time_t until;
};

static int is_usable(const mcp_keycache_t *cache)
{
    return mcp_clock_monotonic() < __atomic_load_n(&cache->until, __ATOMIC_ACQUIRE);
}

static apr_status_t release(void *data)
{
    mcp_keycache_t *cache = data;

    mcp_keyset_release(cache->set);
    cache->set = NULL;
    return APR_SUCCESS;
}

apr_status_t mcp_keycache_create(mcp_keycache_t **pcache, apr_pool_t *p)
{
    mcp_keycache_t *cache = apr_pcalloc(p, sizeof(*cache));
    apr_status_t rv = apr_thread_mutex_create(&cache->mutex, APR_THREAD_MUTEX_DEFAULT, p);

    cache->until = INT64_MAX;
    *pcache = rv == APR_SUCCESS ? cache : NULL;
    if (*pcache) {
        apr_pool_cleanup_register(p, cache, release, apr_pool_cleanup_null);
    }
    return rv;
}

void mcp_keycache_limit(mcp_keycache_t *cache, apr_time_t until)
{
    __atomic_store_n(&cache->until, until, __ATOMIC_RELEASE);
}

mcp_keyset_t *mcp_keycache_get(mcp_keycache_t *cache)
{
    mcp_keyset_t *set;

    if (!is_usable(cache)) {
        return NULL;
    }
    apr_thread_mutex_lock(cache->mutex);
    set = cache->set ? mcp_keyset_retain(cache->set) : NULL;
    apr_thread_mutex_unlock(cache->mutex);
    return set;
}

void mcp_keycache_put(mcp_keycache_t *cache, mcp_keyset_t *set)
{
    mcp_keyset_t *unused;

    apr_thread_mutex_lock(cache->mutex);
    if (set == cache->set || (set && cache->set && mcp_keyset_equal(set, cache->set))) {
        unused = set;
    }
    else {
        unused = cache->set;
        cache->set = set;
        /* After the set: who reads the new number and then asks for the set is given the new one. */
        __atomic_add_fetch(&cache->generation, 1, __ATOMIC_RELEASE);
    }
    apr_thread_mutex_unlock(cache->mutex);
    /* Outside the mutex: the last release frees keys, and requests need not wait for that. */
    mcp_keyset_release(unused);
}

apr_uint32_t mcp_keycache_generation(mcp_keycache_t *cache)
{
    return is_usable(cache) ? __atomic_load_n(&cache->generation, __ATOMIC_ACQUIRE) : 0;
}
