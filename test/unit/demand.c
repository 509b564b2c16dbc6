#include "keys/demand.h"

#include <apr_thread_proc.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "tap.h"

#define SEC(n) ((apr_time_t)((n)*APR_USEC_PER_SEC))
#define START SEC(1000)
#define WAIT MCP_DEMAND_WAIT
#define COOL SEC(30)

/* Until when the request may wait, 0 for not at all. */
static apr_time_t ask(mcp_demand_t *demand, const char *kid, apr_time_t now)
{
    apr_time_t until = -1;
    int hope = mcp_demand_ask(demand, kid, now, &until);

    return hope == 1 ? until : hope == 0 && until == -1 ? 0 : -2;
}

/* Asks for a fetch that brings nothing. */
static void fetch(mcp_demand_t *demand, apr_time_t now)
{
    ask(demand, "any", now);
    mcp_demand_began(demand, now, COOL);
    mcp_demand_ended(demand, 1);
}

static void asking(void)
{
    mcp_demand_t demand;

    OK(WAIT == SEC(2), "R03 nobody waits longer than two seconds");
    memset(&demand, 0xff, sizeof(demand));
    OK(mcp_demand_init(&demand) == APR_SUCCESS, "made");
    OK(!mcp_demand_pending(&demand) && mcp_demand_rounds(&demand) == 0, "nothing is asked for at first");
    OK(ask(&demand, "a", START) == START + WAIT, "R06 an unknown kid asks for a fetch and waits two seconds");
    OK(mcp_demand_pending(&demand), "R06 which is told to who fetches");
    OK(ask(&demand, "b", START + 1) == START + WAIT, "R06 another one waits for the same fetch");
    OK(ask(&demand, "a", START + WAIT - 1) == START + WAIT, "R03 up to two seconds after it was asked for");
    OK(ask(&demand, "a", START + WAIT) == 0, "R03 and not a microsecond longer if nobody begins");
    OK(ask(&demand, "a", START + SEC(999)) == 0 && mcp_demand_pending(&demand), "however late it is");

    OK(mcp_demand_began(&demand, START + SEC(5), COOL) == 1, "the fetch begins because it was asked for");
    OK(!mcp_demand_pending(&demand), "and is not asked for any more");
    OK(ask(&demand, "a", START + SEC(5)) == START + SEC(5) + WAIT, "R06 one that runs is waited for");
    OK(ask(&demand, "a", START + SEC(5) + WAIT - 1) == START + SEC(5) + WAIT,
       "R03 up to two seconds from its beginning");
    OK(ask(&demand, "a", START + SEC(5) + WAIT) == 0, "R03 and not a microsecond longer");
    OK(!mcp_demand_pending(&demand), "K01 nobody asks for another one meanwhile");
    OK(mcp_demand_rounds(&demand) == 0, "it has not ended");
    mcp_demand_ended(&demand, 1);
    OK(mcp_demand_rounds(&demand) == 1 && mcp_demand_answers(&demand) == 1, "now it has, with a good answer");

    OK(ask(&demand, "a", START + SEC(5) + WAIT) == 0, "K01 no further fetch");
    OK(ask(&demand, "a", START + SEC(5) + COOL - 1) == 0 && demand.asked == 0, "K01 during the cool-down");
    OK(ask(&demand, "a", START + SEC(5) + COOL) == START + SEC(5) + COOL + WAIT && mcp_demand_pending(&demand),
       "K01 which counts from the beginning of the fetch");
}

static void unasked(void)
{
    mcp_demand_t demand;

    mcp_demand_init(&demand);
    OK(mcp_demand_began(&demand, START, COOL) == 0, "a fetch nobody asked for");
    OK(ask(&demand, "a", START + 1) == START + WAIT && !mcp_demand_pending(&demand), "R06 is waited for as well");
    mcp_demand_ended(&demand, 1);
    OK(ask(&demand, "a", START + 2) == START + 2 + WAIT && mcp_demand_pending(&demand), "but starts no cool-down");
    OK(mcp_demand_began(&demand, START + 3, 0) == 1, "a cool-down of nothing");
    mcp_demand_ended(&demand, 1);
    OK(ask(&demand, "a", START + 3) == START + 3 + WAIT, "is none");
    mcp_demand_init(&demand);
    OK(ask(&demand, "a", 0) > 0 && mcp_demand_pending(&demand), "the clock may stand at its beginning");
    OK(mcp_demand_began(&demand, 0, COOL) == 1 && ask(&demand, "a", 1) > 0 && !mcp_demand_pending(&demand),
       "also then");
}

/* What a process leaves behind that is killed between two instructions. */
/* A fetcher that stops on the way, or is found dead, must not cost the cool-down: nobody has learnt anything. */
static void abandoned(void)
{
    mcp_demand_t demand;

    mcp_demand_init(&demand);
    mcp_demand_abandoned(&demand, START, COOL);
    OK(!mcp_demand_pending(&demand) && mcp_demand_rounds(&demand) == 0, "no fetch runs: nothing to abandon");

    ask(&demand, "a", START);
    mcp_demand_abandoned(&demand, START + 1, COOL);
    OK(mcp_demand_pending(&demand) && ask(&demand, "b", START + 1) == START + WAIT,
       "one that was only asked for stays asked for");
    mcp_demand_began(&demand, START + SEC(1), COOL);
    mcp_demand_abandoned(&demand, START + SEC(4), COOL);
    OK(mcp_demand_pending(&demand), "R13 a fetch on demand that was cut off is asked for again");
    OK(ask(&demand, "a", START + SEC(4)) == START + SEC(4) + WAIT, "R06 R13 and waited for");
    OK(mcp_demand_rounds(&demand) == 1 && mcp_demand_answers(&demand) == 0, "who waited for the one cut off is told");
    OK(mcp_demand_began(&demand, START + SEC(5), COOL) == 1, "the next one begins");
    mcp_demand_ended(&demand, 1);
    OK(ask(&demand, "a", START + SEC(5)) == 0, "K01 and has its cool-down");

    mcp_demand_began(&demand, START + SEC(6), COOL);
    mcp_demand_abandoned(&demand, START + SEC(7), COOL);
    OK(!mcp_demand_pending(&demand) && ask(&demand, "a", START + SEC(7)) == 0,
       "K01 one of the schedule that was cut off changes no cool-down");
}

static void killed_fetcher(void)
{
    mcp_demand_t demand;

    mcp_demand_init(&demand);
    ask(&demand, "a", START);
    mcp_demand_began(&demand, START, COOL);
    OK(ask(&demand, "a", START + SEC(50)) == 0, "R13 a fetcher that was killed: nobody waits for it for long");
    mcp_demand_ended(&demand, 1);
    OK(mcp_demand_rounds(&demand) == 1 && ask(&demand, "a", START + SEC(50)) > 0, "R13 the next one clears that away");

    mcp_demand_init(&demand);
    ask(&demand, "a", START);
    demand.began = START + 1;
    mcp_demand_ended(&demand, 1);
    OK(mcp_demand_pending(&demand) && mcp_demand_began(&demand, START + 2, COOL) == 1,
       "R13 killed before the cool-down began: it is still asked for");

    mcp_demand_init(&demand);
    ask(&demand, "a", START);
    demand.began = START + 1;
    demand.cool_until = START + 1 + COOL;
    mcp_demand_ended(&demand, 1);
    OK(!mcp_demand_pending(&demand), "K01 killed after that: it is not asked for any more");
    OK(ask(&demand, "a", START + COOL) == 0, "K01 nor again during the cool-down");
    OK(mcp_demand_began(&demand, START + 2, COOL) == 0 && demand.cool_until == START + 1 + COOL && demand.asked == 0,
       "another fetch does not take it for its own");
    mcp_demand_ended(&demand, 1);
    demand.asked = START;
    OK(ask(&demand, "a", START + 1 + COOL) == START + 1 + COOL + WAIT && mcp_demand_pending(&demand),
       "K01 what was asked for before the cool-down does not stand in the way after it");
}

/* A process that saw no cool-down and asks when a whole fetch has come between. */
static void late_asker(void)
{
    mcp_demand_t demand;

    mcp_demand_init(&demand);
    fetch(&demand, START);
    demand.asked = START;
    OK(!mcp_demand_pending(&demand), "K01 who asks late causes no second fetch");
    OK(ask(&demand, "b", START + 1) == 0, "and keeps nobody waiting");
}

static int remembered(mcp_demand_t *demand, const char *kid, apr_time_t now)
{
    demand->asked = demand->began = demand->cool_until = 0;
    return ask(demand, kid, now) == 0;
}

static void misses(void)
{
    mcp_demand_t demand;
    int i;

    mcp_demand_init(&demand);
    OK(!remembered(&demand, "a", START), "K01 there is hope for a kid that was never missed");
    mcp_demand_missed(&demand, "a", START, COOL);
    OK(remembered(&demand, "a", START) && remembered(&demand, "a", START + COOL - 1),
       "K01 one that was missed is remembered for the cool-down");
    OK(!remembered(&demand, "a", START + COOL), "K01 and not longer: nobody can keep a key to come out");
    OK(!remembered(&demand, "b", START), "K01 this kid alone");
    for (i = 0; i < 50; i++) {
        mcp_demand_missed(&demand, "a", START + COOL + i, COOL);
    }
    OK(remembered(&demand, "a", START + COOL) && !remembered(&demand, "a", START + COOL * 2 + SEC(1)),
       "K01 however often it is missed");
}

static void rounding(void)
{
    mcp_demand_t demand;

    mcp_demand_init(&demand);
    mcp_demand_missed(&demand, "a", START + 1, COOL);
    OK(remembered(&demand, "a", START + COOL + 1) && remembered(&demand, "a", START + SEC(31) - 1),
       "a miss between two seconds: rounded up");
    OK(!remembered(&demand, "a", START + SEC(31)), "to the next second");
    mcp_demand_missed(&demand, "b", START, SEC(0.25));
    OK(remembered(&demand, "b", START + SEC(1) - 1) && !remembered(&demand, "b", START + SEC(1)), "so is a short one");
    mcp_demand_missed(&demand, "c", START + 1, 0);
    OK(!remembered(&demand, "c", START + 1), "without a cool-down nothing is remembered");
}

static void far_times(void)
{
    static const apr_int64_t wrap = APR_INT64_C(1) << 32;
    mcp_demand_t demand;
    apr_time_t now = SEC(wrap) - SEC(10);

    mcp_demand_init(&demand);
    mcp_demand_missed(&demand, "a", now, COOL);
    OK(remembered(&demand, "a", now) && remembered(&demand, "a", now + COOL - 1),
       "R15 when the count of seconds wraps");
    OK(!remembered(&demand, "a", now + COOL), "R15 a miss ends in time");
    mcp_demand_missed(&demand, "b", SEC(wrap) - COOL, COOL);
    OK(remembered(&demand, "b", SEC(wrap) - 1), "R15 also when its end is second 0");
    mcp_demand_init(&demand);
    OK(!remembered(&demand, "a", SEC(wrap) - 1) && !remembered(&demand, "a", SEC(1)), "an empty place is no miss");
}

static const char *numbered(char *kid, apr_size_t size, const char *name, int n)
{
    apr_snprintf(kid, size, "%s-%d", name, n);
    return kid;
}

static void collisions(void)
{
    mcp_demand_t demand, *old;
    char kid[64];
    int i, wrong = 0, lost = 0, kept = 0, words = 0;

    mcp_demand_init(&demand);
    for (i = 0; i < MCP_DEMAND_MISSES / 2; i++) {
        mcp_demand_missed(&demand, numbered(kid, sizeof(kid), "bad", i), START, COOL);
        lost += !remembered(&demand, kid, START);
    }
    for (i = 0; i < MCP_DEMAND_MISSES / 2; i++) {
        kept += remembered(&demand, numbered(kid, sizeof(kid), "bad", i), START);
    }
    for (i = 0; i < 5000; i++) {
        wrong += remembered(&demand, numbered(kid, sizeof(kid), "good", i), START);
    }
    OK(wrong == 0, "K05 no kid stands for another one");
    OK(lost == 0, "a kid is remembered from the moment it is missed");
    /* 512 kids in 1024 places: 1024 * (1 - exp(-1/2)) = 403 of them are expected to keep their own. */
    OK(kept > 340 && kept < MCP_DEMAND_MISSES / 2, "most of them keep their places: %d", kept);

    old = malloc(sizeof(*old));
    for (i = 0; i < 100000; i++) {
        mcp_demand_missed(&demand, numbered(kid, sizeof(kid), "flood", i), START, COOL);
        lost += i % 100 == 0 && !remembered(&demand, kid, START);
    }
    *old = demand;
    for (i = 0; i < 1000; i++) {
        wrong += remembered(&demand, numbered(kid, sizeof(kid), "good", i), START);
    }
    for (i = 0, kept = 0; i < 100000; i += 10) {
        kept += remembered(&demand, numbered(kid, sizeof(kid), "flood", i), START);
    }
    for (i = 0; i < MCP_DEMAND_MISSES; i++) {
        words += demand.misses[i] != 0;
    }
    OK(wrong == 0 && lost == 0, "K01 100,000 kids later a fresh one is still fresh and a new miss remembered");
    OK(words == MCP_DEMAND_MISSES && kept > 50 && kept < 200, "of them only the newest are known: one in a hundred, %d",
       kept);
    OK(!CRYPTO_memcmp(old->secret, demand.secret, sizeof(demand.secret)) && demand.rounds == 0,
       "and nothing else is touched");
    free(old);
}

static void secrets(void)
{
    mcp_demand_t one, other;
    char kid[MCP_LIMIT_KID + 2];
    int i, same = 0;

    mcp_demand_init(&one);
    mcp_demand_init(&other);
    OK(CRYPTO_memcmp(one.secret, other.secret, sizeof(one.secret)) != 0, "K01 each has its own secret");
    for (i = 0; i < 100; i++) {
        mcp_demand_missed(&one, numbered(kid, sizeof(kid), "kid", i), START, COOL);
        mcp_demand_missed(&other, kid, START, COOL);
    }
    for (i = 0; i < MCP_DEMAND_MISSES; i++) {
        same += one.misses[i] && one.misses[i] == other.misses[i];
    }
    OK(same == 0, "K01 so that nobody can work out which kids share a place");

    mcp_demand_init(&one);
    mcp_demand_missed(&one, "", START, COOL);
    OK(remembered(&one, "", START) && !remembered(&one, "a", START), "an empty kid is one like any other");
    memset(kid, 'k', sizeof(kid));
    kid[MCP_LIMIT_KID] = '\0';
    mcp_demand_missed(&one, kid, START, COOL);
    OK(remembered(&one, kid, START), "K14 the longest kid is remembered");
    kid[MCP_LIMIT_KID] = 'k';
    kid[MCP_LIMIT_KID + 1] = '\0';
    mcp_demand_missed(&one, kid, START, COOL);
    OK(!remembered(&one, kid, START), "K14 one byte more is not, nor taken for the shorter one");
    OK(ask(&one, kid, START + 1) > 0 && ask(&one, kid, START + 2) > 0, "and may ask as any other");
}

/* A thousand unknown kids each second for five minutes; who fetches looks twice in a second and needs 300 ms. */
static void flood(void)
{
    mcp_demand_t demand;
    apr_time_t now, end = START + SEC(300), ends = 0, last = 0;
    int fetches = 0, early = 0, waiting = 0, n = 0;
    char kid[32];

    mcp_demand_init(&demand);
    for (now = START; now < end; now += SEC(0.001)) {
        if (n % 10 == 0) {
            apr_time_t until = ask(&demand, numbered(kid, sizeof(kid), "random", n), now);
            waiting += until != 0;
            early += until != 0 && (until <= now || until > now + WAIT);
        }
        if (ends && now >= ends) {
            mcp_demand_ended(&demand, 0); /* K02: with an empty set or none */
            ends = 0;
        }
        if (!ends && n % 500 == 0 && mcp_demand_pending(&demand)) {
            fetches += mcp_demand_began(&demand, now, COOL);
            early += last && now < last + COOL;
            last = now;
            ends = now + SEC(0.3);
        }
        n++;
    }
    OK(fetches == 10, "R08 K01 K02 an unknown-kid flood: a fetch every 30 s, %d in 300 s", fetches);
    OK(early == 0, "R08 never before the cool-down is over, nobody waits for longer than two seconds");
    OK(waiting > 0 && waiting * 20 < n / 10, "R08 the others are answered at once");
}

/* ---- threads ---- */

#define THREADS 16
#define ISSUERS 2000
#define STEP SEC(0.02)
#define FETCHES 12        /* wanted */
#define QUESTIONS 1000000 /* of each thread at most */

typedef struct race_t {
    mcp_demand_t demand[ISSUERS];
    pthread_barrier_t gate;
    apr_time_t until[THREADS][ISSUERS];
    int met[ISSUERS];
    int threads;
} race_t;

/* The first one waits a moment for the second, so that both ask together. */
static void meet(int *met)
{
    int i;

    __atomic_add_fetch(met, 1, __ATOMIC_SEQ_CST);
    for (i = 0; i < 5000 && __atomic_load_n(met, __ATOMIC_SEQ_CST) < 2; i++) {
        /* only a moment: there may be one processor */
    }
}

static void *APR_THREAD_FUNC racer(apr_thread_t *thread, void *data)
{
    race_t *race = data;
    int i, number = __atomic_fetch_add(&race->threads, 1, __ATOMIC_SEQ_CST);

    pthread_barrier_wait(&race->gate);
    for (i = 0; i < ISSUERS; i++) {
        meet(&race->met[i]);
        race->until[number][i] = ask(&race->demand[i], "a", START + number);
    }
    return NULL;
}

static void run(apr_thread_start_t body, void *data, apr_thread_t **thread, apr_pool_t *p)
{
    int i;

    for (i = 0; i < THREADS; i++) {
        if (apr_thread_create(&thread[i], NULL, body, data, p) != APR_SUCCESS) {
            printf("Bail out! no thread\n");
            exit(1);
        }
    }
}

static void join(apr_thread_t **thread)
{
    apr_status_t rv;
    int i;

    for (i = 0; i < THREADS; i++) {
        apr_thread_join(&rv, thread[i]);
    }
}

/* Everybody asks each issuer once, all in the same order. */
static void one_wins(apr_pool_t *p)
{
    apr_thread_t *thread[THREADS];
    race_t *race = calloc(1, sizeof(*race));
    int i, n, asked = 0, began = 0, other = 0;

    pthread_barrier_init(&race->gate, NULL, THREADS);
    for (i = 0; i < ISSUERS; i++) {
        mcp_demand_init(&race->demand[i]);
    }
    run(racer, race, thread, p);
    join(thread);
    for (i = 0; i < ISSUERS; i++) {
        for (n = 0; n < THREADS; n++) {
            other += race->until[n][i] != race->demand[i].asked + WAIT;
        }
        asked += mcp_demand_pending(&race->demand[i]);
        began += mcp_demand_began(&race->demand[i], START + SEC(1), COOL);
        began += mcp_demand_began(&race->demand[i], START + SEC(1), COOL);
    }
    OK(asked == ISSUERS && began == ISSUERS, "K01 sixteen threads at once ask for one fetch");
    OK(other == 0, "R06 and all wait for it, until two seconds after the one who was first");
    pthread_barrier_destroy(&race->gate);
    free(race);
}

typedef struct arena_t {
    mcp_demand_t demand;
    apr_time_t now; /* goes on by a step with each question */
    int stop, running, hopes, wrong;
} arena_t;

static void *APR_THREAD_FUNC asker(apr_thread_t *thread, void *data)
{
    arena_t *arena = data;
    apr_uint32_t random = (apr_uint32_t)((apr_uintptr_t)thread >> 4);
    char kid[32];
    int i;

    for (i = 0; i < QUESTIONS && !__atomic_load_n(&arena->stop, __ATOMIC_SEQ_CST); i++) {
        apr_time_t until, now = __atomic_add_fetch(&arena->now, STEP, __ATOMIC_SEQ_CST);
        random = random * 1664525u + 1013904223u;
        until = ask(&arena->demand, numbered(kid, sizeof(kid), "kid", (int)(random >> 20)), now);
        if (until) {
            __atomic_add_fetch(&arena->hopes, 1, __ATOMIC_RELAXED);
            if (until <= now || until > __atomic_load_n(&arena->now, __ATOMIC_SEQ_CST) + WAIT) {
                __atomic_add_fetch(&arena->wrong, 1, __ATOMIC_RELAXED);
            }
        }
        if (random >> 30 == 0) {
            mcp_demand_missed(&arena->demand, kid, now, COOL);
        }
        apr_thread_yield();
    }
    __atomic_sub_fetch(&arena->running, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* One who fetches, now because it was asked for, now on its own, while all others ask all the time. */
static void storm(apr_pool_t *p)
{
    apr_thread_t *thread[THREADS];
    int i, fetches = 0, early = 0, again = 0;
    apr_time_t last = 0;
    arena_t arena;

    memset(&arena, 0, sizeof(arena));
    mcp_demand_init(&arena.demand);
    arena.now = START;
    arena.running = THREADS;
    run(asker, &arena, thread, p);
    for (i = 0; __atomic_load_n(&arena.running, __ATOMIC_SEQ_CST); i++) {
        int pending = mcp_demand_pending(&arena.demand);
        apr_time_t now = __atomic_load_n(&arena.now, __ATOMIC_SEQ_CST);
        if (pending || i % 7 == 0) {
            if (mcp_demand_began(&arena.demand, now, COOL)) {
                early += last && now < last + COOL;
                last = now;
                __atomic_store_n(&arena.stop, ++fetches >= FETCHES, __ATOMIC_SEQ_CST);
            }
            again += pending && mcp_demand_pending(&arena.demand);
            apr_thread_yield();
            again += pending && mcp_demand_pending(&arena.demand);
            mcp_demand_ended(&arena.demand, 1);
        }
        apr_thread_yield();
    }
    join(thread);
    OK(fetches >= FETCHES, "R06 sixteen threads ask and ask: %d fetches", fetches);
    OK(early == 0 && again == 0, "K01 never before the cool-down is over, none asked for while one runs");
    OK(arena.hopes > 0 && arena.wrong == 0, "R03 whoever waits does so for two seconds at most");
}

/* ---- processes ---- */

static void ask_for_ever(mcp_demand_t *demand)
{
    char kid[32];
    int n;

    alarm(10); /* in case there is nobody to kill it */
    for (n = 0;; n++) {
        apr_time_t now = START + SEC(n);
        ask(demand, numbered(kid, sizeof(kid), "kid", n), now);
        mcp_demand_missed(demand, kid, now, COOL);
        mcp_demand_began(demand, now, 1);
        mcp_demand_ended(demand, 1);
    }
}

/* Children that ask, miss and fetch until they are killed, wherever they are. */
static void killed(void)
{
    mcp_demand_t *demand = mmap(NULL, sizeof(*demand), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int i, wrong = 0;
    char kid[32];

    if (demand == MAP_FAILED) {
        printf("Bail out! no memory\n");
        exit(1);
    }
    mcp_demand_init(demand);
    fflush(stdout);
    for (i = 0; i < 24; i++) {
        pid_t child = fork();
        if (child < 0) {
            wrong++; /* and no kill(-1) */
            continue;
        }
        if (child == 0) {
            ask_for_ever(demand);
        }
        usleep(500 + i * 37);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        mcp_demand_ended(demand, 1);
        demand->cool_until = START;
        numbered(kid, sizeof(kid), "fresh", i);
        wrong += demand->began != 0 || ask(demand, kid, START + SEC(i)) == -2;
        wrong += mcp_demand_pending(demand) != mcp_demand_began(demand, START + SEC(i), COOL);
        mcp_demand_ended(demand, 1);
        wrong += ask(demand, kid, START + SEC(i) + COOL) != START + SEC(i) + COOL + WAIT;
        mcp_demand_missed(demand, kid, START, COOL);
        wrong += !remembered(demand, kid, START);
    }
    OK(wrong == 0, "R13 24 processes killed at any instruction leave nothing locked and nothing wrong");
    munmap(demand, sizeof(*demand));
}

static void test(apr_pool_t *p)
{
    asking();
    unasked();
    abandoned();
    killed_fetcher();
    late_asker();
    misses();
    rounding();
    far_times();
    collisions();
    secrets();
    flood();
    killed();
    one_wins(p);
    storm(p);
}
