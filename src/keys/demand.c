#include "keys/demand.h"

#include <apr_general.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/limits.h"

/* asked counts only while it is not before cool_until: nobody asks during a cool-down, so an older one was answered by the
 * very fetch that started the cool-down. It may come from a fetcher that was killed at its beginning, or from a process
 * that slept between looking and asking. */

/* A miss is one word, so that it is always whole: tag << 32 | until << 5 | count.
 * tag    32 bits of the digest, besides those that choose the place; 42 in all must agree for a kid to be taken for another
 * until  whole seconds of the monotonic clock, rounded up, modulo 2^27 (four years)
 * count  misses in a row, 0: the place is empty; 31 stands for more
 * Past until the kid may be asked for again, but count is kept for the doubling. It is forgotten when a newer kid takes the
 * place, or when it has been over for longer than the longest time that anything is remembered. */
#define COUNT_BITS 5
#define COUNT_MAX ((1u << COUNT_BITS) - 1)
#define SECOND_BITS 27
#define SECOND_MASK ((1u << SECOND_BITS) - 1)
/* Times up to this far away can be told from past ones. */
#define SECONDS_MAX (SECOND_MASK / 2)

typedef struct place_t {
    apr_uint32_t index, tag;
} place_t;

/* Compiler builtins and not APR's atomics, which have no 64 bits in places and which a thread sanitizer cannot see into. */
static apr_time_t load(const apr_time_t *word)
{
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static void store(apr_time_t *word, apr_time_t value)
{
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

static void swap(apr_time_t *word, apr_time_t from, apr_time_t to)
{
    __atomic_compare_exchange_n(word, &from, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

apr_status_t mcp_demand_init(mcp_demand_t *demand)
{
    memset(demand, 0, sizeof(*demand));
    return apr_generate_random_bytes(demand->secret, sizeof(demand->secret));
}

/* Where kid is remembered. Returns 0 when OpenSSL fails or kid is longer than any that gets here: nothing is remembered. */
static int find_place(place_t *place, const mcp_demand_t *demand, const char *kid)
{
    unsigned char text[sizeof(demand->secret) + MCP_LIMIT_KID], digest[EVP_MAX_MD_SIZE];
    apr_size_t len = strlen(kid);

    if (len > MCP_LIMIT_KID) {
        return 0;
    }
    memcpy(text, demand->secret, sizeof(demand->secret));
    memcpy(text + sizeof(demand->secret), kid, len);
    if (EVP_Q_digest(NULL, "SHA256", NULL, text, sizeof(demand->secret) + len, digest, NULL) != 1) {
        ERR_clear_error();
        return 0;
    }
    place->index = (digest[0] | (apr_uint32_t)digest[1] << 8) % MCP_DEMAND_MISSES;
    memcpy(&place->tag, digest + 4, sizeof(place->tag));
    return 1;
}

static apr_uint32_t count_of(apr_uint64_t miss, apr_uint32_t tag)
{
    return miss >> 32 == tag ? miss & COUNT_MAX : 0;
}

/* Seconds until a miss is over; 0 and below: it is. */
static apr_int64_t seconds_left(apr_uint64_t miss, apr_time_t now)
{
    apr_uint32_t left = ((apr_uint32_t)(miss >> COUNT_BITS) - (apr_uint32_t)apr_time_sec(now)) & SECOND_MASK;

    return left <= SECONDS_MAX ? (apr_int64_t)left : (apr_int64_t)left - SECOND_MASK - 1;
}

static int is_remembered(const mcp_demand_t *demand, const char *kid, apr_time_t now)
{
    apr_uint64_t miss;
    place_t place;

    if (!find_place(&place, demand, kid)) {
        return 0;
    }
    miss = __atomic_load_n(&demand->misses[place.index], __ATOMIC_RELAXED);
    return count_of(miss, place.tag) && seconds_left(miss, now) > 0;
}

static apr_time_t asked_for(const mcp_demand_t *demand)
{
    apr_time_t asked = load(&demand->asked);

    return asked && asked >= load(&demand->cool_until) ? asked : 0;
}

/* When the fetch began that runs, else when one was asked for; 0: neither. */
static apr_time_t under_way(const mcp_demand_t *demand)
{
    apr_time_t began = load(&demand->began), asked = asked_for(demand);

    if (began) {
        return began;
    }
    /* If it began just now, began was set before asked lost its meaning. */
    return asked ? asked : load(&demand->began);
}

/* Asks for a fetch unless there is one or it is too early. Returns as under_way. */
static apr_time_t ask(mcp_demand_t *demand, apr_time_t now)
{
    apr_time_t asked = load(&demand->asked), since = under_way(demand);

    if (since) {
        return since;
    }
    if (now >= load(&demand->cool_until)) {
        swap(&demand->asked, asked, now); /* or somebody else was faster */
    }
    return under_way(demand);
}

int mcp_demand_ask(mcp_demand_t *demand, const char *kid, apr_time_t now, apr_time_t *puntil)
{
    apr_time_t since;

    if (is_remembered(demand, kid, now)) {
        return 0;
    }
    since = ask(demand, now ? now : 1); /* 0 would be no time */
    if (!since || now >= since + MCP_DEMAND_WAIT) {
        return 0;
    }
    *puntil = since + MCP_DEMAND_WAIT;
    return 1;
}

/* Seconds, rounded up, for which the given number of misses in a row is remembered. */
static apr_interval_time_t memory(apr_uint32_t count, apr_interval_time_t cooldown, apr_interval_time_t longest)
{
    apr_interval_time_t time = cooldown;

    while (--count > 0 && time < longest) {
        time = time > longest / 2 ? longest : time * 2;
    }
    return time < apr_time_from_sec(SECONDS_MAX - 1) ? time : apr_time_from_sec(SECONDS_MAX - 1);
}

/* The word for one more miss; the same word while kid is still remembered. */
static apr_uint64_t missed_again(apr_uint64_t miss, apr_uint32_t tag, apr_time_t now, apr_interval_time_t cooldown,
                                 apr_interval_time_t longest)
{
    apr_uint32_t count = count_of(miss, tag), until;
    apr_int64_t left = seconds_left(miss, now);

    if (count && left > 0) {
        return miss;
    }
    if (count && apr_time_from_sec(-left) > memory(COUNT_MAX, cooldown, longest)) {
        count = 0;
    }
    count += count < COUNT_MAX;
    until = (apr_uint32_t)apr_time_sec(now + memory(count, cooldown, longest) + APR_USEC_PER_SEC - 1) & SECOND_MASK;
    return (apr_uint64_t)tag << 32 | until << COUNT_BITS | count;
}

void mcp_demand_missed(mcp_demand_t *demand, const char *kid, apr_time_t now, apr_interval_time_t cooldown,
                       apr_interval_time_t longest)
{
    apr_uint64_t miss, *word;
    place_t place;

    if (cooldown <= 0 || !find_place(&place, demand, kid)) {
        return;
    }
    word = &demand->misses[place.index];
    miss = __atomic_load_n(word, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(word, &miss, missed_again(miss, place.tag, now, cooldown, longest), 0,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        /* miss is what somebody else has written: of this kid, or to be overwritten */
    }
}

int mcp_demand_pending(const mcp_demand_t *demand)
{
    return asked_for(demand) != 0;
}

int mcp_demand_began(mcp_demand_t *demand, apr_time_t now, apr_interval_time_t cooldown)
{
    int asked;

    /* In this order there is no moment at which another fetch can be asked for. */
    store(&demand->began, now ? now : 1);
    asked = mcp_demand_pending(demand);
    if (asked) {
        store(&demand->cool_until, now + cooldown);
    }
    store(&demand->asked, 0);
    return asked;
}

void mcp_demand_ended(mcp_demand_t *demand)
{
    store(&demand->began, 0);
    __atomic_add_fetch(&demand->rounds, 1, __ATOMIC_RELEASE);
}

void mcp_demand_abandoned(mcp_demand_t *demand, apr_time_t now, apr_interval_time_t cooldown)
{
    apr_time_t began = load(&demand->began);

    if (!began) {
        return;
    }
    if (load(&demand->cool_until) == began + cooldown) { /* it was asked for */
        store(&demand->asked, now ? now : 1);
        store(&demand->cool_until, now);
    }
    mcp_demand_ended(demand);
}

apr_time_t mcp_demand_since(const mcp_demand_t *demand)
{
    return load(&demand->began);
}

apr_uint32_t mcp_demand_rounds(const mcp_demand_t *demand)
{
    return __atomic_load_n(&demand->rounds, __ATOMIC_ACQUIRE);
}
