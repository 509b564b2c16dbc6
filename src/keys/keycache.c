#include "keys/keycache.h"

#include <pthread.h>
#include <time.h>

/* Plain pthreads: APR's condition variable waits on the wall clock, and a clock set back would hold requests for as
 * long as it was set back. */
struct mcp_keycache_t {
    pthread_mutex_t mutex; /* guards set, and each change of the numbers */
    pthread_cond_t told;
    mcp_keyset_t *set;
    apr_uint32_t generation, news;
};

static apr_status_t make_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    int rv = pthread_condattr_init(&attr);

    if (rv) {
        return rv;
    }
    rv = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (!rv) {
        rv = pthread_cond_init(cond, &attr);
    }
    pthread_condattr_destroy(&attr);
    return rv;
}

static apr_status_t destroy(void *data)
{
    mcp_keycache_t *cache = data;

    mcp_keyset_release(cache->set);
    cache->set = NULL;
    pthread_cond_destroy(&cache->told);
    pthread_mutex_destroy(&cache->mutex);
    return APR_SUCCESS;
}

apr_status_t mcp_keycache_create(mcp_keycache_t **pcache, apr_pool_t *p)
{
    mcp_keycache_t *cache = apr_pcalloc(p, sizeof(*cache));
    apr_status_t rv;

    *pcache = NULL;
    rv = pthread_mutex_init(&cache->mutex, NULL);
    if (rv) {
        return rv;
    }
    rv = make_cond(&cache->told);
    if (rv) {
        pthread_mutex_destroy(&cache->mutex);
        return rv;
    }
    apr_pool_cleanup_register(p, cache, destroy, apr_pool_cleanup_null);
    *pcache = cache;
    return APR_SUCCESS;
}

mcp_keyset_t *mcp_keycache_get(mcp_keycache_t *cache)
{
    mcp_keyset_t *set;

    pthread_mutex_lock(&cache->mutex);
    set = cache->set ? mcp_keyset_retain(cache->set) : NULL;
    pthread_mutex_unlock(&cache->mutex);
    return set;
}

/* With the mutex held. */
static void tell(mcp_keycache_t *cache)
{
    __atomic_add_fetch(&cache->news, 1, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&cache->told);
}

void mcp_keycache_put(mcp_keycache_t *cache, mcp_keyset_t *set)
{
    mcp_keyset_t *unused;

    pthread_mutex_lock(&cache->mutex);
    if (set == cache->set || (set && cache->set && mcp_keyset_equal(set, cache->set))) {
        unused = set;
    }
    else {
        unused = cache->set;
        cache->set = set;
        /* After the set: who reads the new number and then asks for the set is given the new one. */
        __atomic_add_fetch(&cache->generation, 1, __ATOMIC_RELEASE);
        tell(cache);
    }
    pthread_mutex_unlock(&cache->mutex);
    /* Outside the mutex: the last release frees keys, and requests need not wait for that. */
    mcp_keyset_release(unused);
}

apr_uint32_t mcp_keycache_generation(mcp_keycache_t *cache)
{
    return __atomic_load_n(&cache->generation, __ATOMIC_ACQUIRE);
}

void mcp_keycache_tell(mcp_keycache_t *cache)
{
    pthread_mutex_lock(&cache->mutex);
    tell(cache);
    pthread_mutex_unlock(&cache->mutex);
}

apr_uint32_t mcp_keycache_news(mcp_keycache_t *cache)
{
    return __atomic_load_n(&cache->news, __ATOMIC_ACQUIRE);
}

int mcp_keycache_await(mcp_keycache_t *cache, apr_uint32_t seen, apr_time_t until)
{
    struct timespec deadline = { .tv_sec = (time_t)apr_time_sec(until), .tv_nsec = (long)apr_time_usec(until) * 1000 };
    int timed_out = 0, news;

    pthread_mutex_lock(&cache->mutex);
    while (cache->news == seen && !timed_out) {
        timed_out = pthread_cond_timedwait(&cache->told, &cache->mutex, &deadline) != 0;
    }
    news = cache->news != seen;
    pthread_mutex_unlock(&cache->mutex);
    return news;
}
