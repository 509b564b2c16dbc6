#include <pthread.h>
#include <stdlib.h>

#include "tap.h"

/* The code under test, with a stop before each of its atomic operations: there another process may come in. */
static void stop(void);
#define __atomic_load_n(...) (stop(), __atomic_load_n(__VA_ARGS__))
#define __atomic_compare_exchange_n(...) (stop(), __atomic_compare_exchange_n(__VA_ARGS__))
#include "token/replay.c"
#undef __atomic_load_n
#undef __atomic_compare_exchange_n

#define SEC(n) apr_time_from_sec(n)
#define NOW SEC(1000)

static mcp_replay_t *make(int buckets, apr_pool_t *p)
{
    mcp_replay_t *replay;
    void *block;

    if (posix_memalign(&block, 64, mcp_replay_bytes(buckets))) {
        abort();
    }
    replay = block;
    memset(replay, 0x5a, mcp_replay_bytes(buckets));
    mcp_replay_init(replay, buckets);
    apr_pool_cleanup_register(p, block, (apr_status_t(*)(void *))(void (*)(void))free, apr_pool_cleanup_null);
    return replay;
}

/* A digest that goes to that bucket and has that tag. */
static const unsigned char *digest_of(unsigned char digest[32], apr_uint32_t bucket, apr_uint32_t tag)
{
    memset(digest, 0x77, 32);
    memcpy(digest, &bucket, 4);
    memcpy(digest + 4, &tag, 4);
    return digest;
}

static int admit(mcp_replay_t *replay, apr_uint32_t tag, apr_time_t until, apr_time_t now)
{
    unsigned char digest[32];

    return mcp_replay_admit(replay, digest_of(digest, 0, tag), until, now);
}

static void test_once(apr_pool_t *p)
{
    mcp_replay_t *replay = make(16, p);
    int i, wrong = 0;

    OK(mcp_replay_bytes(16) >= 16 * 64 && mcp_replay_bytes(16) % 64 == 0, "buckets of 64 bytes");
    OK(admit(replay, 1, NOW + SEC(300), NOW), "the first use is admitted");
    OK(!admit(replay, 1, NOW + SEC(300), NOW), "POP-5 the second is not");
    OK(!admit(replay, 1, NOW + SEC(300), NOW + SEC(299)), "nor one in the last second");
    OK(admit(replay, 2, NOW + SEC(300), NOW), "another one is");
    OK(admit(replay, 0, NOW + SEC(300), NOW) && !admit(replay, 0, NOW + SEC(300), NOW), "tag 0 is a tag");
    OK(admit(replay, ~(apr_uint32_t)0, NOW + SEC(300), NOW) && !admit(replay, ~(apr_uint32_t)0, NOW + SEC(300), NOW),
       "so is the greatest");
    OK(!admit(replay, 3, NOW, NOW) && !admit(replay, 3, NOW - 1, NOW), "POP-5 what has ended is not admitted");
    OK(admit(replay, 3, NOW + 1, NOW) && !admit(replay, 3, NOW + 1, NOW), "what ends in a moment is, once");
    OK(!admit(replay, 4, NOW + SEC((apr_time_t)1 << 30) + SEC(1), NOW), "an end that nothing can have is refused");
    OK(!admit(replay, 4, SEC(10), -1), "so is a time before all");
    OK(admit(replay, 5, NOW + 500000, NOW + 100) && !admit(replay, 5, NOW + 500000, NOW + 499999),
       "an end within a second is remembered to its end");
    mcp_replay_init(replay, 16);
    for (i = 0; i < 8; i++) {
        wrong += !admit(replay, (apr_uint32_t)i, NOW + SEC(300), NOW);
    }
    OK(!wrong, "an empty bucket takes eight");
    OK(!admit(replay, 3, NOW + SEC(600), NOW + SEC(300) - 1),
       "a tag with a later end is refused as long as the first lasts");
    OK(admit(replay, 3, NOW + SEC(600), NOW + SEC(300)), "and is another one from then on");
    replay = make(0, p);
    OK(admit(replay, 1, NOW + SEC(300), NOW) && !admit(replay, 1, NOW + SEC(300), NOW),
       "a memory without buckets has one");
}

/* What is not kept of a digest cannot make a second use of it a first one. */
static void test_parts(apr_pool_t *p)
{
    mcp_replay_t *replay = make(4, p);
    unsigned char digest[32];
    apr_uint32_t i, k;
    int wrong = 0;

    OK(mcp_replay_admit(replay, digest_of(digest, 1, 9), NOW + SEC(300), NOW), "a digest");
    digest[31] ^= 1;
    OK(!mcp_replay_admit(replay, digest, NOW + SEC(300), NOW), "POP-5 another one with the same tag is refused");
    digest[8] ^= 1;
    OK(!mcp_replay_admit(replay, digest, NOW + SEC(300), NOW), "POP-5 wherever they differ behind it");
    OK(!mcp_replay_admit(replay, digest_of(digest, 5, 9), NOW + SEC(300), NOW),
       "POP-5 or beyond the buckets there are");
    OK(mcp_replay_admit(replay, digest_of(digest, 2, 9), NOW + SEC(300), NOW), "in another bucket it is another one");
    for (i = 0; i < 32; i++) {
        mcp_replay_t *fresh = make(1, p);

        wrong += !admit(fresh, 9, NOW + SEC(300), NOW) || !admit(fresh, 9 ^ (apr_uint32_t)1 << i, NOW + SEC(300), NOW);
    }
    OK(!wrong, "each of the 32 bits of a tag counts");
    mcp_replay_init(replay, 4);
    for (i = 0, wrong = 0; i < 4; i++) {
        for (k = 0; k < 8; k++) {
            wrong += !mcp_replay_admit(replay, digest_of(digest, i, k), NOW + SEC(300), NOW);
        }
        wrong += mcp_replay_admit(replay, digest_of(digest, i, 99), NOW + SEC(300), NOW);
    }
    OK(!wrong, "four buckets take 32, each eight");
}

static void test_full(apr_pool_t *p)
{
    mcp_replay_t *replay = make(1, p);
    apr_uint32_t i;
    int wrong = 0;

    for (i = 0; i < 8; i++) {
        wrong += !admit(replay, i, NOW + SEC(10 + i), NOW);
    }
    OK(!wrong, "eight that end at 10 to 17");
    OK(!admit(replay, 20, NOW + SEC(9), NOW) && !admit(replay, 20, NOW + SEC(10), NOW),
       "what ends no later than all of them is refused");
    OK(!admit(replay, 0, NOW + SEC(10), NOW), "and none is forgotten for it");
    OK(admit(replay, 21, NOW + SEC(12), NOW), "what ends later takes the place of the first to end");
    OK(!admit(replay, 0, NOW + SEC(10), NOW), "POP-5 which is refused although it is forgotten");
    OK(!admit(replay, 22, NOW + SEC(10), NOW), "as is all that ends no later, used or not");
    OK(admit(replay, 23, NOW + SEC(12), NOW), "again the first to end goes");
    OK(!admit(replay, 1, NOW + SEC(11), NOW) && !admit(replay, 21, NOW + SEC(12), NOW) &&
           !admit(replay, 23, NOW + SEC(12), NOW),
       "POP-5 none of them has a second use");
}

/* A bucket is full of what has ended: nothing is refused for it, and nothing comes back by it. */
static void test_ended(apr_pool_t *p)
{
    mcp_replay_t *replay = make(1, p);
    apr_uint32_t i;
    int wrong = 0;

    for (i = 0; i < 8; i++) {
        wrong += !admit(replay, i, NOW + SEC(10), NOW);
    }
    for (i = 10; i < 18; i++) {
        wrong += !admit(replay, i, NOW + SEC(11), NOW + SEC(10));
    }
    OK(!wrong, "what has ended makes room, eight times");
    OK(!admit(replay, 18, NOW + SEC(11), NOW + SEC(10)), "but not a ninth time");
    OK(!admit(replay, 3, NOW + SEC(10), NOW + SEC(9)),
       "POP-5 a use that was judged before, by somebody who then slept, is a second one");
}

/* Far more than there is room for. */
static void test_flood(apr_pool_t *p)
{
    mcp_replay_t *replay = make(4, p);
    int used[600] = { 0 }, i, k, twice = 0, all = 0;
    unsigned char digest[32];

    for (k = 0; k < 4; k++) {
        for (i = 0; i < 600; i++) {
            apr_uint32_t n = (apr_uint32_t)i * 2654435761u; /* each with its own end, in no order */
            int ok = mcp_replay_admit(replay, digest_of(digest, n >> 8, n), NOW + SEC(1 + n % 299), NOW);

            twice += ok && used[i];
            used[i] |= ok;
        }
    }
    for (i = 0; i < 600; i++) {
        all += used[i];
    }
    OK(!twice && all >= 32 && all < 600, "POP-5 a flood never makes a second use possible: %d of 600 admitted", all);
    OK(mcp_replay_admit(replay, digest_of(digest, 1, 7), NOW + SEC(300), NOW) &&
           !mcp_replay_admit(replay, digest_of(digest, 1, 7), NOW + SEC(300), NOW),
       "and what ends later than it passes");
    OK(mcp_replay_admit(replay, digest_of(digest, 0, 8), NOW + SEC(301), NOW + SEC(300)),
       "as does all when it is over");
}

/* Seconds are kept modulo 2^32. */
static void test_wrap(apr_pool_t *p)
{
    static const apr_int64_t starts[] = { 0x7fffffff - 20, 0xffffffff - 20, 0x17fffffff - 20 };
    int s, wrong = 0;
    apr_uint32_t i;

    for (s = 0; s < 3; s++) {
        mcp_replay_t *replay = make(1, p);

        for (i = 0; i < 60; i++) {
            apr_time_t now = SEC(starts[s] + i);

            wrong += !admit(replay, i, now + SEC(5), now);
            wrong += admit(replay, i, now + SEC(5), now + SEC(1));
            wrong += i >= 4 && admit(replay, i - 4, now + SEC(1), now);
        }
        wrong += !admit(replay, 0, SEC(starts[s] + 1000), SEC(starts[s] + 990));
        mcp_replay_init(replay, 1);
        wrong += !admit(replay, 0, SEC(starts[s] + 21), SEC(starts[s])); /* a multiple of 2^31 */
        wrong += admit(replay, 0, SEC(starts[s] + 21), SEC(starts[s]));
    }
    OK(!wrong, "the years 2038, 2106 and 2174");
}

/* What other processes do while a use of tag 1 (ending at 50) is under way. */
static int other_same(mcp_replay_t *replay)
{
    return admit(replay, 1, NOW + SEC(50), NOW);
}

static int flood(mcp_replay_t *replay, apr_time_t now)
{
    apr_uint32_t i;

    for (i = 0; i < 20; i++) {
        admit(replay, 100 + i, now + SEC(60 + i), now);
    }
    return 0;
}

static int other_flood(mcp_replay_t *replay)
{
    return flood(replay, NOW);
}

/* When the use has ended. */
static int other_late(mcp_replay_t *replay)
{
    return flood(replay, NOW + SEC(50));
}

static int other_few(mcp_replay_t *replay)
{
    admit(replay, 100, NOW + SEC(60), NOW);
    admit(replay, 101, NOW + SEC(45), NOW);
    return 0;
}

#define STOPS 2

/* Each stop: operations until then, and who comes in. */
static struct {
    mcp_replay_t *replay;
    int count, points[STOPS], won;
    int (*others[STOPS])(mcp_replay_t *replay);
} at;

static void stop(void)
{
    mcp_replay_t *replay = at.replay;
    int i;

    if (!replay) {
        return;
    }
    at.replay = NULL; /* who comes in is not stopped */
    for (i = 0; i < STOPS; i++) {
        at.won += at.points[i] == at.count && at.others[i](replay);
    }
    at.count++;
    at.replay = replay;
}

/* So many entries, of which the first have ended, the others end at 40 and later. */
static void fill(mcp_replay_t *replay, int entries, int ended)
{
    int i;

    for (i = 0; i < entries; i++) {
        apr_time_t now = i < ended ? NOW - SEC(30) : NOW;

        admit(replay, 200 + (apr_uint32_t)i, now + SEC(i < ended ? 30 - i : 40 + 2 * i), now);
    }
}

/* How often the use was admitted with the others at these two points; 9 when there is no such point. */
static int play(mcp_replay_t *replay, int first, int second, const int *filled)
{
    int won, count;

    mcp_replay_init(replay, 1);
    fill(replay, filled[0], filled[1]);
    at.points[0] = first;
    at.points[1] = second;
    at.count = at.won = 0;
    at.replay = replay;
    won = admit(replay, 1, NOW + SEC(50), NOW);
    at.replay = NULL;
    count = at.count;
    won += at.won + admit(replay, 1, NOW + SEC(50), NOW);
    return second < count ? won : 9;
}

/* Another process comes in at each single point, and one more at each one from there on. */
static void test_stops(apr_pool_t *p)
{
    static int (*const others[])(mcp_replay_t *) = { other_same, other_flood, other_late, other_few };
    static const int fills[][2] = { { 0, 0 }, { 3, 0 }, { 7, 0 }, { 8, 0 }, { 8, 3 }, { 8, 8 }, { 3, 3 } };
    mcp_replay_t *replay = make(1, p);
    apr_size_t o, f;

    at.others[0] = other_same;
    for (o = 0; o < sizeof(others) / sizeof(others[0]); o++) {
        at.others[1] = others[o];
        for (f = 0; f < sizeof(fills) / sizeof(fills[0]); f++) {
            int first = 0, second = 0, games = 0, once = 0, twice = 0, won;

            while ((won = play(replay, first, second, fills[f])) != 9 || second > first) {
                games += won != 9;
                once += won == 1;
                twice += won != 9 && won > 1;
                first += won == 9;
                second = won == 9 ? first : second + 1;
            }
            OK(!twice && games > 30 && once == games,
               "POP-5 processes 0 and %d, %d games, %d entries, %d of them ended", (int)o, games, fills[f][0],
               fills[f][1]);
        }
    }
}

#define THREADS 4
#define ROUNDS 3000

typedef struct game_t {
    mcp_replay_t *replay;
    pthread_barrier_t *barrier;
    int flood; /* between its uses each thread admits so many others that end later */
    int wins[ROUNDS];
    int id;
} game_t;

static void *game_run(void *data)
{
    game_t *game = data;
    int round, i;

    for (round = 0; round < ROUNDS; round++) {
        apr_time_t until = NOW + SEC(100 + 10 * round);
        apr_uint32_t tag = (apr_uint32_t)round * 1000;

        pthread_barrier_wait(game->barrier);
        for (i = 0; i < game->id; i++) { /* not all at the very same point */
            game->wins[round] += admit(game->replay, tag, until, NOW);
        }
        for (i = 0; i < game->flood; i++) {
            admit(game->replay, tag + 1 + (apr_uint32_t)(game->id * 100 + i), until + SEC(1), NOW);
        }
        game->wins[round] += admit(game->replay, tag, until, NOW);
    }
    return NULL;
}

static void test_race(int flood, apr_pool_t *p)
{
    mcp_replay_t *replay = make(1, p);
    game_t *games = apr_pcalloc(p, THREADS * sizeof(*games));
    pthread_barrier_t barrier;
    pthread_t threads[THREADS];
    int i, round, wins = 0, twice = 0;

    pthread_barrier_init(&barrier, NULL, THREADS);
    for (i = 0; i < THREADS; i++) {
        games[i].replay = replay;
        games[i].barrier = &barrier;
        games[i].flood = flood;
        games[i].id = i;
        if (pthread_create(&threads[i], NULL, game_run, &games[i])) {
            abort();
        }
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&barrier);
    for (round = 0; round < ROUNDS; round++) {
        int sum = 0;

        for (i = 0; i < THREADS; i++) {
            sum += games[i].wins[round];
        }
        wins += sum;
        twice += sum > 1;
    }
    OK(!twice && wins > ROUNDS / 100, "POP-5 %d threads, a flood of %d: %d of %d rounds have a winner, none has two",
       THREADS, flood, wins, ROUNDS);
}

static void test(apr_pool_t *p)
{
    test_once(p);
    test_parts(p);
    test_full(p);
    test_ended(p);
    test_flood(p);
    test_wrap(p);
    test_stops(p);
    test_race(0, p);
    test_race(3, p);
    test_race(12, p);
}
