#include "base/meter.h"

#include <string.h>

#define LINE 64

struct mcp_stripe_t {
    pid_t pid;     /* whose it is; 0: nobody's; less than 0: of process -pid, which is about to take it */
    int resources; /* the same in all */
    apr_uint64_t entries, bytes, hits, misses;
    apr_uint64_t counts[]; /* resources times MCP_METER_COLUMNS */
};

struct mcp_meter_t {
    apr_time_t started;
    apr_size_t stride; /* bytes from one stripe to the next */
    int stripes; /* without the shared one, which comes after them and is never anybody's: of those that found no other
                        * one it cannot be told who is there, and what they have */
    int resources;
    int crowded; /* has somebody had to take the shared one? */
    char unused[LINE - sizeof(apr_time_t) - sizeof(apr_size_t) - 3 * sizeof(int)];
    char data[];
};

static int at_least_one(int n)
{
    return n > 1 ? n : 1;
}

static apr_size_t stride_of(int resources)
{
    apr_size_t counts = (apr_size_t)at_least_one(resources) * MCP_METER_COLUMNS;

    return (sizeof(mcp_stripe_t) + counts * sizeof(apr_uint64_t) + LINE - 1) / LINE * LINE;
}

apr_size_t mcp_meter_bytes(int stripes, int resources)
{
    return sizeof(mcp_meter_t) + ((apr_size_t)at_least_one(stripes) + 1) * stride_of(resources);
}

static mcp_stripe_t *stripe_of(const mcp_meter_t *meter, int i)
{
    return (mcp_stripe_t *)(void *)(meter->data + (apr_size_t)i * meter->stride);
}

void mcp_meter_init(mcp_meter_t *meter, int stripes, int resources, apr_time_t started)
{
    meter->started = started;
    meter->stride = stride_of(resources);
    meter->stripes = at_least_one(stripes);
    meter->resources = at_least_one(resources);
}

/* Compiler builtins and not APR's atomics, which have no 64 bits in places and which a thread sanitizer cannot see into. */
static apr_uint64_t get(const apr_uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void set(apr_uint64_t *word, apr_uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static void add(apr_uint64_t *word, apr_uint64_t value)
{
    __atomic_add_fetch(word, value, __ATOMIC_RELAXED);
}

/* Of a process that has the same number as pid had, and asks only once: it is an earlier one. */
static int is_free(pid_t owner, pid_t pid, int (*alive)(pid_t pid))
{
    owner = owner < 0 ? -owner : owner;
    return !owner || owner == pid || !alive(owner);
}

/* The caches of who was here before are gone with it, and must not be taken for the new one's, not even for a moment. */
static int take(mcp_stripe_t *stripe, int resources, pid_t pid, int (*alive)(pid_t pid))
{
    pid_t owner = __atomic_load_n(&stripe->pid, __ATOMIC_ACQUIRE);

    if (!is_free(owner, pid, alive) ||
        !__atomic_compare_exchange_n(&stripe->pid, &owner, -pid, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        return 0;
    }
    set(&stripe->entries, 0);
    set(&stripe->bytes, 0);
    stripe->resources = resources;
    __atomic_store_n(&stripe->pid, pid, __ATOMIC_RELEASE);
    return 1;
}

/* Has anybody ever counted there? They are taken in order: none behind an unused one is used, but for the shared one. What
 * nobody has touched is not to be touched by readers either, as it would take memory. */
static int is_used(const mcp_meter_t *meter, int i)
{
    return i < meter->stripes ? __atomic_load_n(&stripe_of(meter, i)->pid, __ATOMIC_ACQUIRE) != 0
                              : __atomic_load_n(&meter->crowded, __ATOMIC_ACQUIRE);
}

mcp_stripe_t *mcp_meter_join(mcp_meter_t *meter, pid_t pid, int (*alive)(pid_t pid))
{
    int i;

    for (i = 0; i < meter->stripes && is_used(meter, i); i++) {
        pid_t owner = __atomic_load_n(&stripe_of(meter, i)->pid, __ATOMIC_ACQUIRE);

        if ((owner == pid || owner == -pid) && take(stripe_of(meter, i), meter->resources, pid, alive)) {
            return stripe_of(meter, i);
        }
    }
    for (i = 0; i < meter->stripes; i++) {
        if (take(stripe_of(meter, i), meter->resources, pid, alive)) {
            return stripe_of(meter, i);
        }
    }
    __atomic_store_n(&stripe_of(meter, meter->stripes)->resources, meter->resources, __ATOMIC_RELAXED);
    __atomic_store_n(&meter->crowded, 1, __ATOMIC_RELEASE);
    return stripe_of(meter, meter->stripes);
}

void mcp_stripe_request(mcp_stripe_t *stripe, int resource, int column)
{
    int last = __atomic_load_n(&stripe->resources, __ATOMIC_RELAXED) - 1; /* who joins the crowd writes it again */

    if (resource < 0 || resource > last) {
        resource = last;
    }
    if (column >= 0 && column < MCP_METER_COLUMNS) {
        add(&stripe->counts[(apr_size_t)resource * MCP_METER_COLUMNS + (apr_size_t)column], 1);
    }
}

void mcp_stripe_lookup(mcp_stripe_t *stripe, int hit)
{
    add(hit ? &stripe->hits : &stripe->misses, 1);
}

void mcp_stripe_cache(mcp_stripe_t *stripe, apr_uint64_t entries, apr_uint64_t bytes)
{
    set(&stripe->entries, entries);
    set(&stripe->bytes, bytes);
}

void mcp_meter_totals(mcp_meter_totals_t *totals, const mcp_meter_t *meter, int (*alive)(pid_t pid))
{
    int i;

    memset(totals, 0, sizeof(*totals));
    totals->started = meter->started;
    for (i = 0; i <= meter->stripes && is_used(meter, i); i++) {
        const mcp_stripe_t *stripe = stripe_of(meter, i);
        pid_t owner = __atomic_load_n(&stripe->pid, __ATOMIC_ACQUIRE);

        totals->hits += get(&stripe->hits);
        totals->misses += get(&stripe->misses);
        if (owner > 0 && alive(owner)) {
            totals->processes++;
            totals->entries += get(&stripe->entries);
            totals->bytes += get(&stripe->bytes);
        }
    }
}

apr_uint64_t mcp_meter_requests(const mcp_meter_t *meter, int resource, int column)
{
    apr_uint64_t sum = 0;
    int i;

    if (resource < 0 || resource >= meter->resources || column < 0 || column >= MCP_METER_COLUMNS) {
        return 0;
    }
    for (i = 0; i <= meter->stripes && is_used(meter, i); i++) {
        sum += get(&stripe_of(meter, i)->counts[(apr_size_t)resource * MCP_METER_COLUMNS + (apr_size_t)column]);
    }
    return sum;
}

static const apr_interval_time_t BOUNDS[MCP_CALLS_BUCKETS] = { 5000,   10000,   25000,   50000,   100000,  250000,
                                                               500000, 1000000, 2500000, 5000000, 10000000 };

apr_interval_time_t mcp_calls_bound(int bucket)
{
    return BOUNDS[bucket < 0 ? 0 : bucket < MCP_CALLS_BUCKETS ? bucket : MCP_CALLS_BUCKETS - 1];
}

void mcp_calls_ended(mcp_calls_t *calls, apr_interval_time_t duration, int answered)
{
    int i = 0;

    duration = duration > 0 ? duration : 0;
    while (i < MCP_CALLS_BUCKETS && duration > BOUNDS[i]) {
        i++;
    }
    if (i < MCP_CALLS_BUCKETS) {
        add(&calls->buckets[i], 1);
    }
    add(&calls->duration, (apr_uint64_t)duration);
    add(answered ? &calls->answered : &calls->failed, 1);
}

void mcp_calls_cached(mcp_calls_t *calls)
{
    add(&calls->cached, 1);
}

void mcp_calls_read(mcp_calls_t *copy, const mcp_calls_t *calls)
{
    int i;

    copy->answered = get(&calls->answered);
    copy->failed = get(&calls->failed);
    copy->cached = get(&calls->cached);
    copy->duration = get(&calls->duration);
    for (i = 0; i < MCP_CALLS_BUCKETS; i++) {
        copy->buckets[i] = get(&calls->buckets[i]);
    }
}
