#include "token/limiter.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#define ENTRIES 8
#define TRIES 256      /* each lost one is somebody else's success */
#define WAIT_BUSY 1000 /* microseconds: what is said when all are lost */
#define PARTS_BITS 14
#define PARTS_MAX ((apr_uint64_t)1 << PARTS_BITS)
#define NOW_MAX \
    ((apr_time_t)1 << 49) /* 17 years; with the longest period it is still less than the 50 bits there are */

/* A time is one word, so that it is always whole: microseconds << 14 | parts of one. What one of a rate's count is worth is
 * period / count microseconds, and its parts are the count-ths (in lowest terms), so nothing is rounded and times of buckets
 * still compare. Only a rate with more than 2^14 parts is rounded: each one is worth up to 2^-14 microseconds more. A full
 * bucket holds count of them all the same. */
typedef struct entry_t {
    apr_uint64_t key;  /* 0: never used; even: a key; odd: a claim */
    apr_uint64_t full; /* when the bucket is full again */
} entry_t;

typedef struct group_t {
    entry_t entries[ENTRIES];
} group_t;

struct mcp_limiter_t {
    apr_uint32_t mask;
    apr_uint32_t claims; /* how many there were */
    char unused[64 - 2 * sizeof(apr_uint32_t)];
    group_t groups[];
};

/* A key must not have two buckets. So an entry becomes a key's in two steps: a claim (part of the key, and a number that no other
 * claim has) takes the place of what is there, then the key takes the place of the claim. In between all other entries are
 * looked at: another claim of the key is removed; when the key is there, the claim itself is. Of two claims at least one is
 * there when the look on behalf of the other begins, so they cannot both end as the key. Whoever comes across a claim of his
 * key brings it to its end, so nobody waits, and one whose maker was killed is no worse than an unused entry. */
#define CLAIM_BITS 16 /* the lowest is 1, the others number it */

typedef struct pace_t {
    apr_uint64_t whole, part, parts; /* what one is worth: whole + part / parts microseconds */
} pace_t;

static int at_least_one(int groups)
{
    return groups > 1 ? groups : 1;
}

apr_size_t mcp_limiter_bytes(int groups)
{
    return sizeof(mcp_limiter_t) + (apr_size_t)at_least_one(groups) * sizeof(group_t);
}

void mcp_limiter_init(mcp_limiter_t *limiter, int groups)
{
    memset(limiter, 0, mcp_limiter_bytes(groups));
    limiter->mask = (apr_uint32_t)at_least_one(groups) - 1;
}

static int digest_text(EVP_MD_CTX *ctx, const char *text)
{
    apr_uint64_t len = text ? strlen(text) : ~(apr_uint64_t)0;

    return EVP_DigestUpdate(ctx, &len, sizeof(len)) == 1 && (!text || EVP_DigestUpdate(ctx, text, (size_t)len) == 1);
}

int mcp_limiter_key(apr_uint64_t *key, const char *const *texts, int n)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int i, ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;

    for (i = 0; i < n && ok; i++) {
        ok = digest_text(ctx, texts[i]);
    }
    ok = ok && EVP_DigestFinal_ex(ctx, digest, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    if (!ok) {
        ERR_clear_error();
        return 0;
    }
    memcpy(key, digest, sizeof(*key));
    return 1;
}

/* Compiler builtins and not APR's atomics, which have no 64 bits in places and which a thread sanitizer cannot see into. */
static apr_uint64_t load(const apr_uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static int swap(apr_uint64_t *word, apr_uint64_t from, apr_uint64_t to)
{
    return __atomic_compare_exchange_n(word, &from, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Returns 0 when the rate is none, or cost more than a bucket holds. */
static int find_pace(pace_t *pace, const mcp_rate_t *rate, int cost)
{
    apr_uint64_t period = (apr_uint64_t)rate->period, count = (apr_uint64_t)rate->count, a = period, b = count, rest;

    if (rate->count <= 0 || rate->period < rate->count || rate->period > MCP_LIMITER_PERIOD_MAX || cost <= 0 ||
        cost > rate->count) {
        return 0;
    }
    for (; count > PARTS_MAX && b; b = rest) { /* a becomes what divides both */
        rest = a % b;
        a = b;
    }
    if (count > PARTS_MAX) {
        period /= a;
        count /= a;
    }
    pace->whole = period / count;
    pace->part = period % count;
    pace->parts = count;
    if (count > PARTS_MAX) {
        pace->part = (pace->part * PARTS_MAX + count - 1) / count;
        pace->parts = PARTS_MAX;
    }
    return 1;
}

static apr_uint64_t at(apr_uint64_t whole, apr_uint64_t part)
{
    return whole << PARTS_BITS | part;
}

static apr_uint64_t whole_of(apr_uint64_t time)
{
    return time >> PARTS_BITS;
}

static apr_uint64_t part_of(apr_uint64_t time)
{
    return time & (PARTS_MAX - 1);
}

/* What n are worth. No more than the count of the rate: n * whole is no more than its period, n * part less than 2^45. */
static apr_uint64_t worth(const pace_t *pace, int n)
{
    apr_uint64_t parts = (apr_uint64_t)n * pace->part;

    return at((apr_uint64_t)n * pace->whole + parts / pace->parts, parts % pace->parts);
}

static apr_uint64_t later(apr_uint64_t time, apr_uint64_t span, const pace_t *pace)
{
    apr_uint64_t part = part_of(time) + part_of(span), carry = part >= pace->parts;

    return at(whole_of(time) + whole_of(span) + carry, part - (carry ? pace->parts : 0));
}

static apr_uint64_t earlier(apr_uint64_t time, apr_uint64_t span, const pace_t *pace)
{
    apr_uint64_t borrow = part_of(time) < part_of(span);

    return time <= span ? 0
                        : at(whole_of(time) - whole_of(span) - borrow,
                             part_of(time) + (borrow ? pace->parts : 0) - part_of(span));
}

/* Even, and not 0. */
static apr_uint64_t key_of(apr_uint64_t key)
{
    key &= ~(apr_uint64_t)1;
    return key ? key : 2;
}

static group_t *find_group(mcp_limiter_t *limiter, apr_uint64_t key)
{
    return &limiter->groups[(apr_uint32_t)(key >> 1) & limiter->mask];
}

static int is_claim(apr_uint64_t word)
{
    return word & 1;
}

static int is_claim_of(apr_uint64_t word, apr_uint64_t key)
{
    return is_claim(word) && word >> CLAIM_BITS == key >> CLAIM_BITS;
}

static entry_t *find(group_t *group, apr_uint64_t key)
{
    int i;

    for (i = 0; i < ENTRIES; i++) {
        if (load(&group->entries[i].key) == key) {
            return &group->entries[i];
        }
    }
    return NULL;
}

static entry_t *find_claim(apr_uint64_t *pclaim, group_t *group, apr_uint64_t key)
{
    int i;

    for (i = 0; i < ENTRIES; i++) {
        *pclaim = load(&group->entries[i].key);
        if (is_claim_of(*pclaim, key)) {
            return &group->entries[i];
        }
    }
    return NULL;
}

/* The first whose bucket is full, else the one that will be full first. One that somebody else claims comes after the full.
 * NULL: by now there is something of the key. */
static entry_t *choose(apr_uint64_t *pword, group_t *group, apr_uint64_t key, apr_uint64_t now)
{
    apr_uint64_t least = ~(apr_uint64_t)0;
    entry_t *entry, *chosen = NULL;

    for (entry = group->entries; entry < group->entries + ENTRIES; entry++) {
        apr_uint64_t word = load(&entry->key), full = load(&entry->full);

        if (word == key || is_claim_of(word, key)) {
            return NULL;
        }
        full = full > now ? full : (apr_uint64_t)is_claim(word);
        if (full < least) {
            least = full;
            chosen = entry;
            *pword = word;
        }
    }
    return chosen;
}

static entry_t *make_claim(apr_uint64_t *pclaim, mcp_limiter_t *limiter, group_t *group, apr_uint64_t key,
                           apr_uint64_t now)
{
    apr_uint64_t number = __atomic_add_fetch(&limiter->claims, 1, __ATOMIC_SEQ_CST), word = 0;
    entry_t *entry = choose(&word, group, key, now);

    *pclaim = key >> CLAIM_BITS << CLAIM_BITS | (number << 1 & 0xffff) | 1;
    return entry && swap(&entry->key, word, *pclaim) ? entry : NULL;
}

/* Looks at all entries but the claimed one. Returns 1 when nothing there stands against the claim any more. */
static int oust(entry_t *claimed, apr_uint64_t claim, group_t *group, apr_uint64_t key)
{
    entry_t *entry;

    for (entry = group->entries; entry < group->entries + ENTRIES; entry++) {
        apr_uint64_t word = entry == claimed ? 0 : load(&entry->key);

        if (word == key) {
            swap(&claimed->key, claim, 0);
            return 0;
        }
        if (is_claim_of(word, key) && !swap(&entry->key, word, 0)) {
            return 0;
        }
    }
    return 1;
}

/* Brings key nearer to having an entry. */
static void settle(mcp_limiter_t *limiter, group_t *group, apr_uint64_t key, apr_uint64_t now)
{
    apr_uint64_t claim, full;
    entry_t *entry = find_claim(&claim, group, key);

    if (!entry) {
        entry = make_claim(&claim, limiter, group, key, now);
    }
    if (!entry) {
        return;
    }
    full = load(&entry->full);
    /* What is left of the one that is forgotten, not of the key that somebody else has meanwhile brought in. */
    if (full > now && (load(&entry->key) != claim || !swap(&entry->full, full, 0))) {
        return;
    }
    if (oust(entry, claim, group, key)) {
        swap(&entry->key, claim, key);
    }
}

/* Returns 0 when it was not done, or to a bucket that was no longer that of key: then it is undone. */
static int change(entry_t *entry, apr_uint64_t key, apr_uint64_t from, apr_uint64_t to)
{
    if (!swap(&entry->full, from, to)) {
        return 0;
    }
    if (load(&entry->key) == key) {
        return 1;
    }
    swap(&entry->full, to, from);
    return 0;
}

/* How many microseconds from the time limit on. */
static apr_interval_time_t wait_of(apr_uint64_t time, apr_uint64_t limit)
{
    return (apr_interval_time_t)(whole_of(time) - whole_of(limit) + (part_of(time) > part_of(limit)));
}

apr_interval_time_t mcp_limiter_take(mcp_limiter_t *limiter, apr_uint64_t key, const mcp_rate_t *rate, int cost,
                                     apr_time_t now)
{
    apr_uint64_t start = at((apr_uint64_t)now, 0), limit, full, to;
    group_t *group;
    entry_t *entry;
    pace_t pace;
    int i;

    if (!find_pace(&pace, rate, cost)) {
        return -1;
    }
    key = key_of(key);
    group = find_group(limiter, key);
    limit = later(start, worth(&pace, rate->count), &pace);
    for (i = 0; i < TRIES && now >= 0 && now <= NOW_MAX; i++) {
        entry = find(group, key);
        if (!entry) {
            settle(limiter, group, key, start);
            continue;
        }
        full = load(&entry->full);
        to = later(full > start ? full : start, worth(&pace, cost), &pace);
        if (to > limit && load(&entry->key) == key) {
            return wait_of(to, limit);
        }
        if (to <= limit && change(entry, key, full, to)) {
            return 0;
        }
    }
    return WAIT_BUSY;
}

void mcp_limiter_give(mcp_limiter_t *limiter, apr_uint64_t key, const mcp_rate_t *rate, int cost)
{
    group_t *group;
    entry_t *entry;
    pace_t pace;
    int i;

    if (!find_pace(&pace, rate, cost)) {
        return;
    }
    key = key_of(key);
    group = find_group(limiter, key);
    for (i = 0; i < TRIES; i++) {
        apr_uint64_t full;

        entry = find(group, key);
        if (!entry) {
            return; /* full */
        }
        full = load(&entry->full);
        if (change(entry, key, full, earlier(full, worth(&pace, cost), &pace))) {
            return;
        }
    }
}
