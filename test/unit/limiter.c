#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

/* The code under test, with a stop before each of its atomic operations: there another process may come in, or this one is
 * killed. */
static void stop(void);
#define __atomic_load_n(...) (stop(), __atomic_load_n(__VA_ARGS__))
#define __atomic_add_fetch(...) (stop(), __atomic_add_fetch(__VA_ARGS__))
#define __atomic_compare_exchange_n(...) (stop(), __atomic_compare_exchange_n(__VA_ARGS__))
#include "token/limiter.c"
#undef __atomic_load_n
#undef __atomic_add_fetch
#undef __atomic_compare_exchange_n

#define SEC ((apr_time_t)1000000)
#define NOW (1000 * SEC)
#define KEY 0x1234567890abcdeeu
#define CANARY 64
#ifdef __SANITIZE_THREAD__ /* slow, and only of interest where threads are */
#define MANY 20000
#define ALL_POINTS 0
#else
#define MANY 1000000
#define ALL_POINTS 1
#endif

static const mcp_rate_t MINUTE = { 60, 60 * SEC }, THREE = { 3, 30 * SEC };

/* In memory that child processes share, and with something behind it that must stay as it is. */
static mcp_limiter_t *make(int groups, apr_pool_t *p)
{
    apr_size_t bytes = mcp_limiter_bytes(groups);
    char *block = mmap(NULL, bytes + CANARY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (block == MAP_FAILED) {
        abort();
    }
    memset(block, 0x5a, bytes + CANARY);
    mcp_limiter_init((mcp_limiter_t *)(void *)block, groups);
    return (mcp_limiter_t *)(void *)block;
}

static void drop(mcp_limiter_t *limiter, int groups)
{
    munmap(limiter, mcp_limiter_bytes(groups) + CANARY);
}

static int is_bounded(const mcp_limiter_t *limiter, int groups)
{
    const char *end = (const char *)limiter + mcp_limiter_bytes(groups);
    int i;

    for (i = 0; i < CANARY && end[i] == 0x5a; i++) {
    }
    return i == CANARY;
}

/* No key has two entries, and no claim is left over. */
static int is_intact(const mcp_limiter_t *limiter, int groups)
{
    int g, i, k;

    for (g = 0; g < groups; g++) {
        for (i = 0; i < ENTRIES; i++) {
            apr_uint64_t key = limiter->groups[g].entries[i].key;

            if (key & 1) {
                return 0;
            }
            for (k = 0; k < i && key; k++) {
                if (limiter->groups[g].entries[k].key == key) {
                    return 0;
                }
            }
        }
    }
    return 1;
}

static apr_interval_time_t take(mcp_limiter_t *limiter, apr_uint64_t key, const mcp_rate_t *rate, apr_time_t now)
{
    return mcp_limiter_take(limiter, key, rate, 1, now);
}

/* How often one passes until none does, max times at most. */
static int drain(mcp_limiter_t *limiter, apr_uint64_t key, const mcp_rate_t *rate, apr_time_t now, int max)
{
    int n = 0;

    while (n < max && take(limiter, key, rate, now) == 0) {
        n++;
    }
    return n;
}

static apr_time_t ceiling(apr_time_t n, apr_time_t by)
{
    return (n + by - 1) / by;
}

/* Count at once; then each one exactly when it is there, over many periods, without drift. */
static int is_exact(mcp_limiter_t *limiter, apr_uint64_t key, mcp_rate_t rate, int more)
{
    int n = drain(limiter, key, &rate, NOW, rate.count + 1), i;

    if (n != rate.count) {
        return 0;
    }
    for (i = 1; i <= more; i++) {
        apr_time_t at_ = NOW + ceiling(i * rate.period, rate.count),
                   before = NOW + ceiling((i - 1) * rate.period, rate.count);

        if (at_ > before &&
            (take(limiter, key, &rate, before) != at_ - before || take(limiter, key, &rate, at_ - 1) != 1)) {
            return 0;
        }
        if (take(limiter, key, &rate, at_) != 0) {
            return 0;
        }
    }
    return 1;
}

static void test_exact(apr_pool_t *p)
{
    static const mcp_rate_t rates[] = { { 60, 60 * SEC },
                                        { 5, 10 * SEC },
                                        { 7, 10 * SEC },
                                        { 3, SEC },
                                        { 1, 1 },
                                        { 1, SEC },
                                        { 5, 5 },
                                        { 2, 3 },
                                        { 999, 1000 },
                                        { 1000, 1009 },
                                        { 1, 86400 * SEC },
                                        { 16384, 16385 },
                                        { 16384, 3600 * SEC + 1 },
                                        { 10000, SEC },
                                        { 100000, 60 * SEC } };
    mcp_limiter_t *limiter = make(64, p);
    apr_size_t i;

    OK(mcp_limiter_bytes(1) == 64 + 128 && mcp_limiter_bytes(1024) == 64 + 1024 * 128 &&
           mcp_limiter_bytes(0) == mcp_limiter_bytes(1),
       "a bucket takes 16 bytes");
    for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        int more = rates[i].count * 3 > 2000 ? rates[i].count * 3 : 2000;

        OK(is_exact(limiter, KEY + 2 * i, rates[i], more),
           "%d per %ld us: %d pass at once, then each in its microsecond, %d times", rates[i].count,
           (long)rates[i].period, rates[i].count, more);
    }
    OK(is_intact(limiter, 64) && is_bounded(limiter, 64), "and the memory is as it should be");
    drop(limiter, 64);
}

/* What cannot be written as 2^14ths of a microsecond is rounded to the safe side. */
static void test_rounded(apr_pool_t *p)
{
    static const mcp_rate_t rates[] = { { 16387, 16411 },
                                        { 99991, 60 * SEC },
                                        { 1000003, 86400 * SEC },
                                        { 1000000007, 3600 * SEC },
                                        { 2147483647, 2147483648 },
                                        { 2147483647, MCP_LIMITER_PERIOD_MAX },
                                        { 1, MCP_LIMITER_PERIOD_MAX / 2 } };
    apr_size_t i;

    for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        mcp_limiter_t *limiter = make(1, p);
        const mcp_rate_t *rate = &rates[i];
        apr_time_t one = ceiling(rate->period, rate->count), now = NOW_MAX - 3 * rate->period - 4 * SEC, later_;
        int all = rate->count;

        now = now > NOW ? now : NOW;
        OK((all == 1 || mcp_limiter_take(limiter, KEY, rate, all - 1, now) == 0) &&
               take(limiter, KEY, rate, now) == 0 && take(limiter, KEY, rate, now) == one,
           "%d per %ld us: exactly so many are in a full bucket", all, (long)rate->period);
        OK(take(limiter, KEY, rate, now + one - 1) == 1 && take(limiter, KEY, rate, now + one) == 0,
           "one more in its microsecond");
        later_ = mcp_limiter_take(limiter, KEY, rate, all, now + one);
        OK(later_ >= rate->period - 1 && later_ <= rate->period + 1 + all / (1 << 14) + 1,
           "all of them again after the period");
        OK(mcp_limiter_take(limiter, KEY, rate, all, now + one + later_ - 1) == 1 &&
               mcp_limiter_take(limiter, KEY, rate, all, now + one + later_) == 0,
           "not a microsecond before");
        drop(limiter, 1);
    }
}

/* The latest of all times still fits in. */
static void test_last(apr_pool_t *p)
{
    static const mcp_rate_t rates[] = { { 2147483647, MCP_LIMITER_PERIOD_MAX }, { 3, MCP_LIMITER_PERIOD_MAX } };
    mcp_limiter_t *limiter = make(1, p);
    int i;

    for (i = 0; i < 2; i++) {
        apr_uint64_t key = KEY + 2 * (apr_uint64_t)i;

        OK(mcp_limiter_take(limiter, key, &rates[i], rates[i].count, NOW_MAX) == 0 &&
               take(limiter, key, &rates[i], NOW_MAX) == ceiling(rates[i].period, rates[i].count),
           "%d per ten years, after 17 years", rates[i].count);
    }
    drop(limiter, 1);
}

static void test_cost(apr_pool_t *p)
{
    static const mcp_rate_t none[] = { { 0, SEC }, { -1, SEC }, { 60, 59 },
                                       { 1, 0 },   { 1, -5 },   { 1, MCP_LIMITER_PERIOD_MAX + 1 } };
    mcp_limiter_t *limiter = make(1, p);
    apr_size_t i;
    int cost;

    OK(mcp_limiter_take(limiter, KEY, &MINUTE, 61, NOW) == -1, "more than a bucket holds never passes");
    OK(mcp_limiter_take(limiter, KEY, &MINUTE, 0, NOW) == -1 &&
           mcp_limiter_take(limiter, KEY, &MINUTE, -1, NOW) == -1 &&
           mcp_limiter_take(limiter, KEY, &MINUTE, 2147483647, NOW) == -1,
       "nor does nothing, or less");
    OK(mcp_limiter_take(limiter, KEY, &MINUTE, 60, NOW) == 0, "and takes nothing: all are there");
    OK(mcp_limiter_take(limiter, KEY, &MINUTE, 61, NOW) == -1, "-1 also when it is empty");
    for (cost = 1; cost <= 60 && mcp_limiter_take(limiter, KEY, &MINUTE, cost, NOW) == cost * SEC; cost++) {
    }
    OK(cost == 61, "who wants n waits until n are there, and takes nothing until then");
    OK(mcp_limiter_take(limiter, KEY, &MINUTE, 7, NOW + 7 * SEC - 1) == 1 &&
           mcp_limiter_take(limiter, KEY, &MINUTE, 7, NOW + 7 * SEC) == 0 &&
           take(limiter, KEY, &MINUTE, NOW + 7 * SEC) == SEC,
       "then they are there");
    OK(mcp_limiter_take(limiter, KEY, &MINUTE, 60, NOW + 3600 * SEC) == 0 &&
           take(limiter, KEY, &MINUTE, NOW + 3600 * SEC) == SEC,
       "after an hour's rest no more than count");
    for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        OK(mcp_limiter_take(limiter, KEY + 2, &none[i], 1, NOW) == -1, "%d per %ld us is no rate: nothing passes",
           none[i].count, (long)none[i].period);
        mcp_limiter_give(limiter, KEY, &none[i], 1);
    }
    OK(take(limiter, KEY, &MINUTE, NOW + 3600 * SEC) == SEC, "nor is anything put back by one");
    drop(limiter, 1);
}

static void test_give(apr_pool_t *p)
{
    mcp_limiter_t *limiter = make(1, p);

    mcp_limiter_give(limiter, KEY, &MINUTE, 1);
    OK(drain(limiter, KEY, &MINUTE, NOW, 99) == 60, "nothing is put into a bucket that is full anyway");
    mcp_limiter_give(limiter, KEY, &MINUTE, 5);
    OK(drain(limiter, KEY, &MINUTE, NOW, 99) == 5, "what is put back can be taken again");
    mcp_limiter_give(limiter, KEY, &MINUTE, 61);
    mcp_limiter_give(limiter, KEY, &MINUTE, 0);
    mcp_limiter_give(limiter, KEY, &MINUTE, -60);
    OK(take(limiter, KEY, &MINUTE, NOW) == SEC, "what cannot have been taken cannot be put back");
    mcp_limiter_give(limiter, KEY, &MINUTE, 60);
    mcp_limiter_give(limiter, KEY, &MINUTE, 60);
    mcp_limiter_give(limiter, KEY, &MINUTE, 60);
    OK(drain(limiter, KEY, &MINUTE, NOW, 99) == 60, "more than it holds never fits in");
    OK(mcp_limiter_take(limiter, KEY + 2, &THREE, 1, 0) == 0, "at the beginning of time");
    mcp_limiter_give(limiter, KEY + 2, &THREE, 3);
    OK(drain(limiter, KEY + 2, &THREE, 0, 99) == 3, "there is nothing before it");
    drop(limiter, 1);
}

static apr_uint64_t next(apr_uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* The same as water: what a microsecond brings is count, what one costs is period. */
typedef struct water_t {
    apr_int64_t level;
    apr_time_t since;
} water_t;

static apr_interval_time_t drink(water_t *water, const mcp_rate_t *rate, int cost, apr_time_t now)
{
    apr_int64_t full = rate->count * rate->period, want = cost * rate->period;

    water->level += (now - water->since) * rate->count;
    water->level = water->level < full ? water->level : full;
    water->since = now;
    if (water->level < want) {
        return ceiling(want - water->level, rate->count);
    }
    water->level -= want;
    return 0;
}

static void test_model(apr_pool_t *p)
{
    mcp_limiter_t *limiter = make(1, p);
    apr_uint64_t random = 88172645463325252u;
    int game, i, wrong = 0, passed = 0, refused = 0;

    for (game = 0; game < 300; game++) {
        mcp_rate_t rate = { 1 + (int)(next(&random) % (game % 3 ? 40 : 5000)), 0 };
        water_t water = { 0, NOW };
        apr_time_t now = NOW;

        mcp_limiter_init(limiter, 1);
        rate.period = rate.count + (apr_time_t)(next(&random) % (apr_uint64_t)(game % 2 ? 100 * rate.count : 60 * SEC));
        water.level = rate.count * rate.period;
        for (i = 0; i < 400 && !wrong; i++) {
            int cost = 1 + (int)(next(&random) % (apr_uint64_t)(i % 5 ? rate.count / 8 + 1 : rate.count));
            apr_interval_time_t wait = mcp_limiter_take(limiter, KEY, &rate, cost, now),
                                want = drink(&water, &rate, cost, now);

            wrong += wait != want;
            passed += !wait;
            refused += wait > 0;
            if (!wait && next(&random) % 8 == 0) {
                mcp_limiter_give(limiter, KEY, &rate, cost);
                water.level += cost * rate.period;
            }
            now += next(&random) % 3 ? (apr_time_t)(next(&random) % (apr_uint64_t)(rate.period / rate.count * 2 + 1))
                                     : wait;
            now += next(&random) % 50 ? 0 : rate.period;
        }
        if (wrong) {
            printf("# game %d, %d per %ld us, take %d\n", game, rate.count, (long)rate.period, i);
            break;
        }
    }
    OK(!wrong && passed > 10000 && refused > 10000,
       "300 games with a model: the same to the microsecond (%d passed, %d not)", passed, refused);
    drop(limiter, 1);
}

static void test_clock(apr_pool_t *p)
{
    mcp_limiter_t *limiter = make(1, p);
    int i, n = 0;

    OK(drain(limiter, KEY, &MINUTE, NOW, 99) == 60, "a bucket is emptied");
    OK(take(limiter, KEY, &MINUTE, NOW - 5) == SEC + 5, "who is 5 us behind waits 5 us longer");
    OK(take(limiter, KEY, &MINUTE, NOW + SEC) == 0 && take(limiter, KEY, &MINUTE, NOW + SEC - 5) == SEC + 5 &&
           take(limiter, KEY, &MINUTE, NOW + SEC) == SEC,
       "and takes nothing from others");
    for (i = 0; i < 60000; i++) { /* ten minutes, each step 10 ms, with a clock that goes to and fro */
        n += take(limiter, KEY, &MINUTE, NOW + SEC + i * (SEC / 100) - (i % 3) * 7) == 0;
    }
    OK(n == 599, "ten minutes with a clock that goes to and fro: %d pass", n);
    OK(take(limiter, KEY + 2, &MINUTE, -1) > 0 && take(limiter, KEY + 2, &MINUTE, NOW_MAX + 1) > 0 &&
           take(limiter, KEY + 2, &MINUTE, INT64_MAX) > 0,
       "a time that no clock shows: refused");
    OK(take(limiter, KEY + 2, &MINUTE, 0) == 0 && take(limiter, KEY + 2, &MINUTE, NOW_MAX) == 0,
       "from 0 to 17 years it is good");
    drop(limiter, 1);
}

static void test_forgotten(apr_pool_t *p)
{
    mcp_limiter_t *limiter = make(1, p);
    apr_uint64_t k;
    int wrong = 0;

    for (k = 0; k < 8;
         k++) { /* of the key 2k + 2 three have been taken, the earlier the later it comes: 5 is nearest to full */
        apr_time_t now = NOW + (apr_time_t)((k + 3) % 8) * SEC;

        wrong += drain(limiter, 2 * k + 2, &THREE, now, 99) != 3;
    }
    for (k = 0; k < 8; k++) {
        wrong += take(limiter, 2 * k + 2, &THREE, NOW + 8 * SEC) <= 0;
    }
    OK(!wrong, "eight keys have a bucket each");
    OK(take(limiter, 100, &THREE, NOW + 8 * SEC) == 0, "the ninth gets one as well");
    for (k = 0; k < 8; k++) {
        wrong += k != 5 && take(limiter, 2 * k + 2, &THREE, NOW + 8 * SEC) <= 0;
    }
    OK(!wrong && drain(limiter, 100, &THREE, NOW + 8 * SEC, 99) == 2,
       "seven of them are still empty, and the ninth counts");
    OK(drain(limiter, 12, &THREE, NOW + 8 * SEC, 99) == 3,
       "the one that was nearest to full had to go: it is full again");
    mcp_limiter_init(limiter, 1);
    for (k = 0; k < 8; k++) {
        drain(limiter, 2 * k + 2, &THREE, k == 3 || k == 6 ? NOW - 31 * SEC : NOW, 99);
    }
    OK(drain(limiter, 100, &THREE, NOW, 99) == 3 && drain(limiter, 102, &THREE, NOW, 99) == 3,
       "two are full again, two new ones come");
    for (k = 0, wrong = 0; k < 8; k++) {
        wrong += k != 3 && k != 6 && take(limiter, 2 * k + 2, &THREE, NOW) <= 0;
    }
    OK(!wrong && take(limiter, 100, &THREE, NOW) > 0 && take(limiter, 102, &THREE, NOW) > 0, "and none is forgotten");
    OK(is_intact(limiter, 1), "no key has two");
    mcp_limiter_init(limiter, 1);
    limiter->groups[0].entries[0].key = 0x7771;
    OK(take(limiter, KEY, &THREE, NOW) == 0 && limiter->groups[0].entries[0].key == 0x7771,
       "who is about to get a place is left alone as long as there are others");
    drop(limiter, 1);
}

static void test_flood(apr_pool_t *p)
{
    mcp_limiter_t *limiter = make(16, p);
    apr_uint64_t random = 7;
    int i, refused = 0;

    for (i = 0; i < MANY; i++) {
        refused += take(limiter, next(&random), &THREE, NOW + i) != 0;
    }
    OK(!refused && is_intact(limiter, 16) && is_bounded(limiter, 16), "%d keys in 128 places: all pass, nothing grows",
       MANY);
    mcp_limiter_init(limiter, 16);
    OK(drain(limiter, KEY, &MINUTE, NOW, 99) == 60, "a bucket is emptied");
    for (i = 0; i < MANY / 10; i++) { /* with one taken each they are nearer to full */
        take(limiter, next(&random), &THREE, NOW);
    }
    OK(take(limiter, KEY, &MINUTE, NOW) == SEC, "and not forgotten for others that have taken less");
    drop(limiter, 16);
}

static apr_uint64_t key_of_texts(const char *a, const char *b, const char *c, int n)
{
    const char *texts[3];
    apr_uint64_t key = 0;

    texts[0] = a;
    texts[1] = b;
    texts[2] = c;
    return mcp_limiter_key(&key, texts, n) ? key : 0;
}

static void test_key(apr_pool_t *p)
{
    mcp_limiter_t *limiter = make(4, p);
    apr_uint64_t k, keys[9];
    int i, j, same = 0, wrong = 0;

    i = 0;
    keys[i++] = key_of_texts("a", "bc", NULL, 2);
    keys[i++] = key_of_texts("ab", "c", NULL, 2);
    keys[i++] = key_of_texts("abc", "", NULL, 2);
    keys[i++] = key_of_texts("abc", NULL, NULL, 2);
    keys[i++] = key_of_texts("abc", NULL, NULL, 3);
    keys[i++] = key_of_texts("abc", NULL, NULL, 1);
    keys[i++] = key_of_texts(NULL, "abc", NULL, 2);
    keys[i++] = key_of_texts("", "abc", NULL, 2);
    keys[i++] = key_of_texts("bc", "a", NULL, 2);
    for (i = 0; i < 9; i++) {
        for (j = 0; j < i; j++) {
            same += keys[i] == keys[j];
        }
    }
    OK(!same && keys[0], "no two lists of texts read the same");
    OK(keys[0] == key_of_texts("a", "bc", "d", 2) && key_of_texts(NULL, NULL, NULL, 0), "equal ones do");
    for (k = 0; k < 16; k += 2) { /* 0 and 2 are one */
        wrong += k != 2 && drain(limiter, k, &THREE, NOW, 99) != 3;
        wrong += take(limiter, k, &THREE, NOW) <= 0 || take(limiter, k + 1, &THREE, NOW) <= 0;
    }
    wrong +=
        drain(limiter, ~(apr_uint64_t)0, &THREE, NOW, 99) != 3 || take(limiter, ~(apr_uint64_t)0, &THREE, NOW) <= 0;
    OK(!wrong && is_intact(limiter, 4), "there is no key that has no bucket");
    drop(limiter, 4);
}

/* What other processes do while a take of KEY is under way; what they take of it is counted. */
static int other_same(mcp_limiter_t *limiter)
{
    return drain(limiter, KEY, &THREE, NOW, 1);
}

static int other_all(mcp_limiter_t *limiter)
{
    return drain(limiter, KEY, &THREE, NOW, 99);
}

/* Comes to a full bucket and brings it back. */
static int other_loan(mcp_limiter_t *limiter)
{
    if (take(limiter, KEY, &THREE, NOW) == 0) {
        mcp_limiter_give(limiter, KEY, &THREE, 1);
    }
    return 0;
}

static int other_key(mcp_limiter_t *limiter)
{
    take(limiter, 2, &THREE, NOW);
    return 0;
}

/* So many keys that all are forgotten. */
static int other_flood(mcp_limiter_t *limiter)
{
    apr_uint64_t k;

    for (k = 0; k < 9; k++) {
        drain(limiter, 200 + 2 * k, &MINUTE, NOW, 60);
    }
    return 0;
}

/* Another process makes a bucket in the place of that one, and is not yet so far that it takes from it. */
static int other_settles(mcp_limiter_t *limiter)
{
    int i;

    for (i = 0; i < 9 && !find(limiter->groups, 2); i++) {
        settle(limiter, limiter->groups, 2, (apr_uint64_t)NOW << PARTS_BITS);
    }
    return 0;
}

/* Another process that makes a bucket of the same key in another place, slowly: it has looked before the key was there. */
static apr_uint64_t slow_claim;
static int slow_looked;

static int slow_begins(mcp_limiter_t *limiter)
{
    entry_t *entry = &limiter->groups[0].entries[6];

    slow_claim = 0;
    slow_looked = 0;
    if (entry->key != KEY && !is_claim_of(entry->key, KEY) && entry->full <= (apr_uint64_t)NOW << PARTS_BITS) {
        slow_claim = entry->key = KEY >> CLAIM_BITS << CLAIM_BITS | 0xf0f1;
    }
    return 0;
}

static int slow_looks(mcp_limiter_t *limiter)
{
    if (slow_claim && !oust(&limiter->groups[0].entries[6], slow_claim, limiter->groups, KEY)) {
        slow_claim = 0;
    }
    slow_looked = 1;
    return 0;
}

static int slow_ends(mcp_limiter_t *limiter)
{
    if (slow_claim) {
        swap(&limiter->groups[0].entries[6].key, slow_claim, KEY);
        slow_claim = 0;
    }
    return 0;
}

static int slow_goes_on(mcp_limiter_t *limiter)
{
    if (!slow_looked) {
        slow_looks(limiter);
    }
    return slow_ends(limiter);
}

#define STOPS 2

/* Each stop: operations until then, and who comes in; or where this process is killed. */
static struct {
    mcp_limiter_t *limiter;
    int count, kill, points[STOPS], won, refused;
    int (*others[STOPS])(mcp_limiter_t *limiter);
} at_stop;

static void stop(void)
{
    mcp_limiter_t *limiter = at_stop.limiter;
    int i;

    if (!limiter) {
        return;
    }
    if (at_stop.count == at_stop.kill) {
        raise(SIGKILL);
    }
    at_stop.limiter = NULL; /* who comes in is not stopped */
    for (i = 0; i < STOPS; i++) {
        at_stop.won += at_stop.points[i] == at_stop.count && at_stop.others[i] ? at_stop.others[i](limiter) : 0;
    }
    at_stop.count++;
    at_stop.limiter = limiter;
}

/* So many buckets of other keys, of which the first are full again. */
static void fill(mcp_limiter_t *limiter, int entries, int full)
{
    int i;

    for (i = 0; i < entries; i++) {
        drain(limiter, 100 + 2 * (apr_uint64_t)i, &THREE, i < full ? NOW - 100 * SEC + i : NOW - i, 3);
    }
}

/* How many passed in all, with the others at these two points; -1 when there is no such point. */
static int play(mcp_limiter_t *limiter, int first, int second, const int *filled)
{
    int won, count;

    mcp_limiter_init(limiter, 1);
    fill(limiter, filled[0], filled[1]);
    at_stop.points[0] = first;
    at_stop.points[1] = second;
    at_stop.count = at_stop.won = 0;
    at_stop.kill = -1;
    at_stop.limiter = limiter;
    won = take(limiter, KEY, &THREE, NOW) == 0;
    at_stop.limiter = NULL;
    at_stop.refused = !won;
    slow_goes_on(limiter);
    count = at_stop.count;
    won += at_stop.won + drain(limiter, KEY, &THREE, NOW, 99);
    return second < count ? won : -1;
}

static const int FILLS[][2] = { { 0, 0 }, { 3, 0 }, { 8, 3 }, { 8, 8 }, { 3, 3 }, { 7, 0 }, { 8, 0 } };

/* Another process comes in at each single point, and one more at each one from there on. */
static void test_stops(apr_pool_t *p)
{
    static const struct {
        int (*others[2])(mcp_limiter_t *);
        int least, most, fills; /* the last ones leave no room for two keys: the nearest to full is forgotten */
        int refused;            /* nothing may be left for the one that is under way */
        const char *name;
    } plays[] = { { { other_same, other_same }, 3, 3, 7, 0, "the same twice" },
                  { { other_all, other_same }, 3, 3, 7, 1, "all, and the same" },
                  { { other_same, other_key }, 3, 3, 5, 0, "the same, and another one" },
                  { { other_key, other_same }, 3, 3, 5, 0, "another one, and the same" },
                  { { other_key, other_key }, 3, 3, 5, 0, "another one twice" },
                  { { other_loan, other_same }, 3, 3, 7, 0, "a loan, and the same" },
                  { { other_settles, other_same }, 3, 3, 5, 0, "another one that settles, and the same" },
                  { { slow_begins, slow_goes_on }, 3, 3, 7, 0, "a slow one" },
                  { { slow_begins, slow_looks }, 3, 3, 7, 0, "a slow one that ends later" },
                  { { slow_begins, other_all }, 3, 3, 7, 1, "a slow one that looks later, and all" },
                  { { other_flood, NULL }, 3, 6, 7, 0, "a flood" },
                  { { other_flood, other_same }, 3, 6, 7, 1, "a flood, and the same" },
                  { { other_all, other_flood }, 3, 6, 7, 1, "all, and a flood" } };
    mcp_limiter_t *limiter = make(1, p);
    apr_size_t o, f;

    for (o = 0; o < sizeof(plays) / sizeof(plays[0]); o++) {
        int games = 0, fewest = 99, most = 0, torn = 0;

        at_stop.others[0] = plays[o].others[0];
        at_stop.others[1] = plays[o].others[1];
        for (f = 0; f < (apr_size_t)plays[o].fills; f++) {
            int first = 0, second = 0, won;

            while ((won = play(limiter, first, second, FILLS[f])) >= 0 || second > first) {
                games += won >= 0;
                fewest = won >= 0 && won < fewest ? won : fewest;
                most = won > most ? won : most;
                torn += !is_intact(limiter, 1) || (won >= 0 && at_stop.refused && !plays[o].refused);
                torn += won >= 0 && plays[o].others[0] == other_settles && drain(limiter, 2, &THREE, NOW, 99) != 3;
                first += won < 0;
                second = won < 0 ? first : second + 1;
            }
        }
        OK(fewest >= plays[o].least && most <= plays[o].most && games > 500 && !torn,
           "%s comes in: %d to %d of 3 pass in %d games", plays[o].name, fewest, most, games);
    }
    drop(limiter, 1);
}

/* A process is killed at each single point. */
static void test_killed(apr_pool_t *p)
{
    mcp_limiter_t *limiter = make(1, p);
    apr_size_t f;

    at_stop.others[0] = at_stop.others[1] = NULL;
    for (f = 0; f < sizeof(FILLS) / sizeof(FILLS[0]); f++) {
        int point, status = 0, fewest = 99, most = 0, kept = 0, games = 0, i;

        for (point = 0; !status || WIFSIGNALED(status); point++) {
            pid_t pid;

            mcp_limiter_init(limiter, 1);
            fill(limiter, FILLS[f][0], FILLS[f][1]);
            fflush(stdout);
            pid = fork();
            if (!pid) {
                at_stop.count = 0;
                at_stop.kill = point;
                at_stop.limiter = limiter;
                take(limiter, KEY, &THREE, NOW);
                _exit(0);
            }
            if (pid < 0 || waitpid(pid, &status, 0) != pid) {
                abort();
            }
            if (!WIFSIGNALED(status)) {
                break;
            }
            i = drain(limiter, KEY, &THREE, NOW, 99);
            fewest = i < fewest ? i : fewest;
            most = i > most ? i : most;
            for (i = 0; i < 8; i++) { /* later all places can be used */
                drain(limiter, 300 + 2 * (apr_uint64_t)i, &THREE, NOW + 100 * SEC, 3);
            }
            for (i = 0; i < 8; i++) {
                kept += take(limiter, 300 + 2 * (apr_uint64_t)i, &THREE, NOW + 100 * SEC) > 0;
            }
            games++;
        }
        OK(fewest >= 2 && most <= 3 && games > 20 && kept == 8 * games,
           "killed at each of %d points, %d buckets, %d of them full: %d to %d pass, no place is lost", games,
           FILLS[f][0], FILLS[f][1], fewest, most);
    }
    drop(limiter, 1);
}

#define THREADS 6
#define ROUNDS 400
#define PASSES 50

static const mcp_rate_t FIFTY = { PASSES, 3600 * SEC };

typedef struct game_t {
    mcp_limiter_t *limiter;
    pthread_barrier_t *barrier;
    int id, known, others;
    int wins[ROUNDS];
} game_t;

static void *game_run(void *data)
{
    game_t *game = data;
    int round, i;

    for (round = 0; round < ROUNDS; round++) {
        apr_time_t now = NOW + round * 7200 * SEC; /* everything is full again */
        apr_uint64_t key = game->known ? KEY : KEY + 0x100000 * (apr_uint64_t)round;

        pthread_barrier_wait(game->barrier);
        for (i = 0; i < PASSES; i++) {
            game->wins[round] += take(game->limiter, key, &FIFTY, now) == 0;
            if (game->others) {
                take(game->limiter, key + 0x1000000000 * (1 + (apr_uint64_t)((i + game->id) % game->others)), &THREE,
                     now);
            }
        }
    }
    return NULL;
}

static mcp_limiter_t *race(game_t *games, int known, int others, apr_pool_t *p)
{
    mcp_limiter_t *limiter = make(1, p);
    pthread_barrier_t barrier;
    pthread_t threads[THREADS];
    int i;

    memset(games, 0, THREADS * sizeof(*games));
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (i = 0; i < THREADS; i++) {
        games[i].limiter = limiter;
        games[i].barrier = &barrier;
        games[i].id = i;
        games[i].known = known;
        games[i].others = others;
        if (pthread_create(&threads[i], NULL, game_run, &games[i])) {
            abort();
        }
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&barrier);
    return limiter;
}

/* All want what only some of them may have. known: it is one key in all rounds, and there before; others: so many other keys
 * come in between. */
static void test_race(int known, int others, apr_pool_t *p)
{
    game_t *games = apr_palloc(p, THREADS * sizeof(*games));
    mcp_limiter_t *limiter = race(games, known, others, p);
    int i, round, least = THREADS * PASSES, most = 0;

    for (round = 0; round < ROUNDS; round++) {
        int sum = 0;

        for (i = 0; i < THREADS; i++) {
            sum += games[i].wins[round];
        }
        least = sum < least ? sum : least;
        most = sum > most ? sum : most;
    }
    if (others > 7) { /* more keys than places: what is forgotten is full again */
        OK(least >= PASSES - THREADS && is_intact(limiter, 1), "%d threads, %d other keys: no key has two buckets",
           THREADS, others);
    }
    else {
        OK(most == PASSES && least >= PASSES - (others ? THREADS : 0) && is_intact(limiter, 1),
           "%d threads, a key %s, %d other ones: %d to %d of %d pass in %d rounds", THREADS,
           known ? "that is known" : "at first sight", others, least, most, PASSES, ROUNDS);
    }
    drop(limiter, 1);
}

#define PROCESSES 4

static void test_processes(apr_pool_t *p)
{
    mcp_limiter_t *limiter = make(2, p); /* of the second group one word is the sign to begin */
    apr_uint64_t *ready = &limiter->groups[1].entries[0].full;
    int round, i, status, wrong = 0;
    pid_t pids[PROCESSES];

    limiter->mask = 0;
    for (round = 0; round < 40; round++) {
        int sum = 0;

        *ready = 0;
        fflush(stdout);
        for (i = 0; i < PROCESSES; i++) {
            pids[i] = fork();
            if (!pids[i]) {
                __atomic_add_fetch(ready, 1, __ATOMIC_SEQ_CST);
                for (i = 0; i < 1000000 && __atomic_load_n(ready, __ATOMIC_SEQ_CST) < PROCESSES; i++) {
                }
                _exit(drain(limiter, KEY + 0x100000 * (apr_uint64_t)round, &FIFTY, NOW + round * 7200 * SEC, 99));
            }
        }
        for (i = 0; i < PROCESSES; i++) {
            if (pids[i] < 0 || waitpid(pids[i], &status, 0) != pids[i] || !WIFEXITED(status)) {
                abort();
            }
            sum += WEXITSTATUS(status);
        }
        wrong += sum != PASSES;
    }
    OK(!wrong && is_intact(limiter, 1), "%d processes that first see a key: exactly %d pass, 40 times", PROCESSES,
       PASSES);
    drop(limiter, 2);
}

static void test(apr_pool_t *p)
{
    test_exact(p);
    test_rounded(p);
    test_last(p);
    test_cost(p);
    test_give(p);
    test_model(p);
    test_clock(p);
    test_forgotten(p);
    test_flood(p);
    test_key(p);
    if (ALL_POINTS) {
        test_stops(p);
        test_killed(p);
    }
    test_processes(p);
    test_race(1, 0, p);
    test_race(0, 0, p);
    test_race(1, 6, p);
    test_race(0, 6, p);
    test_race(0, 12, p);
}
