#include "token/flight.h"

#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define BUCKETS 64

typedef struct bucket_t {
    apr_thread_mutex_t *mutex;
    apr_thread_cond_t *landed; /* some flight of this bucket has landed */
    mcp_flight_t *first;       /* those in the air */
} bucket_t;

struct mcp_flights_t {
    bucket_t buckets[BUCKETS];
};

/* malloc'ed: it may outlive any request on board. The bucket's mutex guards it; data stays as it is once landed. */
struct mcp_flight_t {
    unsigned char key[MCP_FLIGHT_KEY_BYTES];
    bucket_t *bucket;
    mcp_flight_t *next;
    unsigned refs; /* on board */
    int landed;
    void *data;
    apr_size_t len;
};

apr_status_t mcp_flights_create(mcp_flights_t **pflights, apr_pool_t *p)
{
    mcp_flights_t *flights = apr_pcalloc(p, sizeof(*flights));
    apr_status_t rv = APR_SUCCESS;
    int i;

    *pflights = NULL;
    for (i = 0; i < BUCKETS && rv == APR_SUCCESS; i++) {
        rv = apr_thread_mutex_create(&flights->buckets[i].mutex, APR_THREAD_MUTEX_DEFAULT, p);
        if (rv == APR_SUCCESS) {
            rv = apr_thread_cond_create(&flights->buckets[i].landed, p);
        }
    }
    if (rv == APR_SUCCESS) {
        *pflights = flights;
    }
    return rv;
}

/* The flight of that key that is in the air, or NULL; with the bucket locked. */
static mcp_flight_t *find(const bucket_t *bucket, const unsigned char *key)
{
    mcp_flight_t *flight = bucket->first;

    while (flight && CRYPTO_memcmp(flight->key, key, MCP_FLIGHT_KEY_BYTES)) {
        flight = flight->next;
    }
    return flight;
}

static mcp_flight_t *begin(bucket_t *bucket, const unsigned char *key)
{
    mcp_flight_t *flight = calloc(1, sizeof(*flight));

    if (flight) {
        memcpy(flight->key, key, MCP_FLIGHT_KEY_BYTES);
        flight->bucket = bucket;
        flight->next = bucket->first;
        bucket->first = flight;
    }
    return flight;
}

/* Takes it out of the air, if it still is there; with the bucket locked. */
static void end(const mcp_flight_t *flight)
{
    mcp_flight_t **link = &flight->bucket->first;

    while (*link && *link != flight) {
        link = &(*link)->next;
    }
    if (*link) {
        *link = flight->next;
    }
}

mcp_flight_t *mcp_flight_board(mcp_flights_t *flights, const unsigned char key[MCP_FLIGHT_KEY_BYTES], int *ppilot)
{
    /* Keys are hashes: any of their bytes is as good as another. */
    bucket_t *bucket = &flights->buckets[key[0] % BUCKETS];
    mcp_flight_t *flight;

    apr_thread_mutex_lock(bucket->mutex);
    flight = find(bucket, key);
    *ppilot = !flight;
    if (!flight) {
        flight = begin(bucket, key);
        *ppilot = flight != NULL;
    }
    if (flight) {
        flight->refs++;
    }
    apr_thread_mutex_unlock(bucket->mutex);
    return flight;
}

void mcp_flight_land(mcp_flight_t *flight, const void *data, apr_size_t len)
{
    void *copy = data ? malloc(len ? len : 1) : NULL;

    if (copy && len) {
        memcpy(copy, data, len);
    }
    apr_thread_mutex_lock(flight->bucket->mutex);
    flight->data = copy;
    flight->len = copy ? len : 0;
    flight->landed = 1;
    end(flight);
    apr_thread_cond_broadcast(flight->bucket->landed);
    apr_thread_mutex_unlock(flight->bucket->mutex);
}

int mcp_flight_wait(mcp_flight_t *flight, apr_interval_time_t timeout, const void **pdata, apr_size_t *plen)
{
    apr_time_t now = mcp_clock_monotonic(), deadline = now + timeout;
    int landed;

    apr_thread_mutex_lock(flight->bucket->mutex);
    /* Others of the bucket wake us as well, and the condition follows the wall clock: the deadline is ours. */
    while (!flight->landed && now < deadline) {
        apr_thread_cond_timedwait(flight->bucket->landed, flight->bucket->mutex, deadline - now);
        now = mcp_clock_monotonic();
    }
    landed = flight->landed;
    *pdata = flight->data;
    *plen = flight->len;
    apr_thread_mutex_unlock(flight->bucket->mutex);
    return landed;
}

void mcp_flight_leave(mcp_flight_t *flight)
{
    bucket_t *bucket = flight->bucket;
    int is_last;

    apr_thread_mutex_lock(bucket->mutex);
    is_last = !--flight->refs;
    if (is_last) {
        end(flight);
    }
    apr_thread_mutex_unlock(bucket->mutex);
    if (is_last) {
        free(flight->data);
        free(flight);
    }
}
