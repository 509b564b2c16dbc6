#include "keys/keycache.h"

#include <pthread.h>
#include <time.h>

/* Plain pthreads: APR's condition variable waits on the wall clock, and a clock set back would hold requests for as
 * long as it was set back. */
struct mcp_keycache_t {
    pthread_mutex_t mutex; /* guards set, and each change of generation */
    pthread_cond_t filled;
    mcp_keyset_t *set;
    apr_uint32_t generation;
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
    pthread_cond_destroy(&cache->filled);
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
    rv = make_cond(&cache->filled);
    if (rv) {
        pthread_mutex_destroy(&cache->mutex);
        return rv;
    }
    apr_pool_cleanup_register(p, cache, destroy, apr_pool_cleanup_null);
    *pcache = cache;
    return APR_SUCCESS;
}

static struct timespec time_after(apr_interval_time_t wait)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)apr_time_sec(wait);
    at.tv_nsec += (long)apr_time_usec(wait) * 1000;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000L;
    }
    return at;
}

/* With the mutex held. A wakeup without a set, be it spurious or late, waits on for the same deadline. */
static void await_set(mcp_keycache_t *cache, apr_interval_time_t wait)
{
    struct timespec deadline = time_after(wait);

    while (!cache->set) {
        if (pthread_cond_timedwait(&cache->filled, &cache->mutex, &deadline)) {
            return;
        }
    }
}

apr_status_t mcp_keycache_get(mcp_keyset_t **pset, mcp_keycache_t *cache, apr_interval_time_t wait)
{
    pthread_mutex_lock(&cache->mutex);
    if (!cache->set && wait > 0) {
        await_set(cache, wait);
    }
    *pset = cache->set ? mcp_keyset_retain(cache->set) : NULL;
    pthread_mutex_unlock(&cache->mutex);
    return *pset ? APR_SUCCESS : APR_TIMEUP;
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
        pthread_cond_broadcast(&cache->filled);
    }
    pthread_mutex_unlock(&cache->mutex);
    /* Outside the mutex: the last release frees keys, and requests need not wait for that. */
    mcp_keyset_release(unused);
}

apr_uint32_t mcp_keycache_generation(mcp_keycache_t *cache)
{
    return __atomic_load_n(&cache->generation, __ATOMIC_ACQUIRE);
}
