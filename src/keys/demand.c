#include "keys/demand.h"

#include <apr_general.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/limits.h"

/* asked counts only while it is not before cool_until: nobody asks during a cool-down, so an older one was answered by the
 * very fetch that started the cool-down. It may come from a fetcher that was killed at its beginning, or from a process
 * that slept between looking and asking. */

/* A miss is one word, so that it is always whole: tag << 32 | until.
 * tag    32 bits of the digest, besides those that choose the place; 42 in all must agree for a kid to be taken for another
 * until  whole seconds of the clock, rounded up, modulo 2^32; 0: the place is empty
 * A miss that is over stays until a newer kid takes its place. */

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

/* Where kid is remembered. Returns 0 when OpenSSL fails or kid is longer than any that comes here: nothing is remembered. */
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

static apr_uint32_t seconds(apr_time_t time)
{
    return (apr_uint32_t)apr_time_sec(time);
}

static int is_remembered(const mcp_demand_t *demand, const char *kid, apr_time_t now)
{
    apr_uint64_t miss;
    place_t place;

    if (!find_place(&place, demand, kid)) {
        return 0;
    }
    miss = __atomic_load_n(&demand->misses[place.index], __ATOMIC_RELAXED);
    /* The difference, for the seconds may have wrapped round in between. */
    return (apr_uint32_t)miss && miss >> 32 == place.tag && (apr_int32_t)((apr_uint32_t)miss - seconds(now)) > 0;
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

void mcp_demand_missed(mcp_demand_t *demand, const char *kid, apr_time_t now, apr_interval_time_t cooldown)
{
    apr_uint32_t until = seconds(now + cooldown + APR_USEC_PER_SEC - 1);
    place_t place;

    if (cooldown > 0 && find_place(&place, demand, kid)) {
        __atomic_store_n(&demand->misses[place.index], (apr_uint64_t)place.tag << 32 | (until ? until : 1),
                         __ATOMIC_RELAXED);
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

void mcp_demand_ended(mcp_demand_t *demand, int good)
{
    store(&demand->began, 0);
    __atomic_add_fetch(&demand->answers, good != 0, __ATOMIC_RELEASE);
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
    mcp_demand_ended(demand, 0);
}

apr_time_t mcp_demand_since(const mcp_demand_t *demand)
{
    return load(&demand->began);
}

apr_uint32_t mcp_demand_rounds(const mcp_demand_t *demand)
{
    return __atomic_load_n(&demand->rounds, __ATOMIC_ACQUIRE);
}

apr_uint32_t mcp_demand_answers(const mcp_demand_t *demand)
{
    return __atomic_load_n(&demand->answers, __ATOMIC_ACQUIRE);
}
