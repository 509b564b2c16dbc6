#include "net/breaker.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>

#include "tap.h"

#define MS ((apr_time_t)1000)
#define SEC (1000 * MS)
#define START (5 * SEC) /* some moment of the monotonic clock */
#define LIMIT (4 * SEC) /* of a call */

/* So many failures, each of a call that was allowed. */
static int fail(mcp_breaker_t *breaker, apr_time_t now, int times)
{
    int opened = 0;

    while (times--) {
        opened += mcp_breaker_allows(breaker, now, LIMIT) && mcp_breaker_failed(breaker, now, 0);
    }
    return opened;
}

static mcp_breaker_t opened(apr_time_t now)
{
    mcp_breaker_t breaker = { 0 };

    fail(&breaker, now, MCP_BREAKER_FAILURES);
    return breaker;
}

static int is_zero(const mcp_breaker_t *breaker)
{
    return !breaker->open_until && !breaker->trial && !breaker->failures;
}

static void closed(apr_pool_t *p)
{
    mcp_breaker_t breaker = { 0 };
    int i;

    OK(mcp_breaker_allows(&breaker, 0, LIMIT) && mcp_breaker_until(&breaker) == 0, "R11 zero is closed");
    for (i = 0; i < 3; i++) {
        OK(mcp_breaker_allows(&breaker, START, LIMIT), "R11 closed, any number of calls may begin");
    }
    OK(!fail(&breaker, START, 2), "R11 two failures do not open");
    OK(mcp_breaker_allows(&breaker, START, LIMIT) && mcp_breaker_until(&breaker) <= START, "R11 calls go on");
    OK(!mcp_breaker_succeeded(&breaker, 0) && is_zero(&breaker), "R11 an answer wipes the count");
    OK(!fail(&breaker, START, 2) && mcp_breaker_allows(&breaker, START, LIMIT),
       "R11 two failures, an answer, two failures: closed");
    OK(fail(&breaker, START, 1) == 1, "R11 the third in a row opens, and says so");
    OK(!mcp_breaker_allows(&breaker, START, LIMIT), "R11 then no call may begin");
}

static void opening(apr_pool_t *p)
{
    static const int pauses[] = { 2, 4, 8, 16, 30, 30, 30 };
    mcp_breaker_t breaker = opened(START);
    apr_time_t now = START + SEC;
    int i;

    OK(mcp_breaker_until(&breaker) == now, "R11 open for a second");
    OK(!mcp_breaker_allows(&breaker, now - 1, LIMIT), "R11 to the last microsecond");
    for (i = 0; i < 7; i++) {
        OK(mcp_breaker_allows(&breaker, now, LIMIT), "R11 then one call tries");
        OK(!mcp_breaker_allows(&breaker, now, LIMIT), "R11 and no other");
        OK(!mcp_breaker_failed(&breaker, now, 0), "R11 its failure does not open what was open");
        OK(mcp_breaker_until(&breaker) == now + pauses[i] * SEC, "R11 but keeps it so for %d s", pauses[i]);
        OK(!mcp_breaker_allows(&breaker, now + pauses[i] * SEC - 1, LIMIT), "R11 to their last microsecond");
        now += pauses[i] * SEC;
    }
    OK(mcp_breaker_allows(&breaker, now, LIMIT), "R11 one more try");
    OK(mcp_breaker_succeeded(&breaker, 0), "R11 has an answer, which closes, and says so");
    OK(is_zero(&breaker) && mcp_breaker_allows(&breaker, now, LIMIT) && mcp_breaker_allows(&breaker, now, LIMIT),
       "R11 for all");
    OK(!mcp_breaker_succeeded(&breaker, 0), "R11 the next answer has nothing to close");
    OK(!fail(&breaker, now, 2) && fail(&breaker, now, 1) == 1, "R11 it takes three failures again");
    OK(mcp_breaker_until(&breaker) == now + SEC, "R11 and one second");
}

static void retry_after(apr_pool_t *p)
{
    mcp_breaker_t breaker = { 0 };
    apr_time_t now = START;

    OK(mcp_breaker_failed(&breaker, now, 7 * SEC) == 1, "R11 Retry-After opens at once");
    OK(mcp_breaker_until(&breaker) == now + 7 * SEC && !mcp_breaker_allows(&breaker, now + 7 * SEC - 1, LIMIT),
       "R11 for that long");
    now += 7 * SEC;
    OK(mcp_breaker_allows(&breaker, now, LIMIT) && !mcp_breaker_allows(&breaker, now, LIMIT),
       "R11 then one call tries");
    OK(!mcp_breaker_failed(&breaker, now, 3 * SEC) && mcp_breaker_until(&breaker) == now + 3 * SEC,
       "R11 told to wait again, it waits for that long");
    now += 3 * SEC;
    mcp_breaker_allows(&breaker, now, LIMIT);
    mcp_breaker_failed(&breaker, now, 0);
    OK(mcp_breaker_until(&breaker) == now + 4 * SEC, "R11 without a word it waits as after so many failures");
    memset(&breaker, 0, sizeof(breaker));
    OK(mcp_breaker_failed(&breaker, now, 60 * SEC + 1) && mcp_breaker_until(&breaker) == now + 60 * SEC,
       "R11 60 s at most, not a microsecond more");
    memset(&breaker, 0, sizeof(breaker));
    OK(mcp_breaker_failed(&breaker, now, INT64_MAX) && mcp_breaker_until(&breaker) == now + 60 * SEC,
       "R11 whatever the server asks for");
    memset(&breaker, 0, sizeof(breaker));
    OK(!mcp_breaker_failed(&breaker, now, -1) && mcp_breaker_until(&breaker) == 0 && breaker.failures == 1,
       "R11 less than nothing is nothing");
}

/* The process that tried was killed: nobody tells how it ended. */
static void killed(apr_pool_t *p)
{
    mcp_breaker_t breaker = opened(START);
    apr_time_t now = START + 2 * SEC;

    OK(mcp_breaker_allows(&breaker, now, LIMIT), "R11 a call tries and never ends");
    OK(mcp_breaker_until(&breaker) == now + LIMIT, "R11 the next may begin when it has taken too long");
    OK(!mcp_breaker_allows(&breaker, now + LIMIT - 1, LIMIT), "R11 not before");
    now += LIMIT;
    OK(mcp_breaker_allows(&breaker, now, LIMIT), "R11 but then");
    OK(!mcp_breaker_allows(&breaker, now, LIMIT), "R11 and one alone");
    mcp_breaker_failed(&breaker, now, 0);
    OK(mcp_breaker_until(&breaker) == now + 2 * SEC, "R11 a killed call counts for nothing");
    breaker = opened(START);
    OK(mcp_breaker_allows(&breaker, START + SEC, 0) && !mcp_breaker_allows(&breaker, START + SEC, 0) &&
           mcp_breaker_allows(&breaker, START + SEC + 1, 0),
       "R11 a call without time does not bar the way");
}

/* Outcomes of calls that began before it opened. */
static void late(apr_pool_t *p)
{
    mcp_breaker_t breaker = opened(START);
    apr_time_t now = START + SEC;
    int i;

    for (i = 0; i < 50; i++) {
        OK(!mcp_breaker_failed(&breaker, START + i * 40 * MS, 0) && mcp_breaker_until(&breaker) == now,
           "R11 a late failure changes nothing while no call tries");
    }
    OK(mcp_breaker_allows(&breaker, now, LIMIT) && !mcp_breaker_failed(&breaker, now + 10, 0) &&
           mcp_breaker_until(&breaker) == now + 10 + 2 * SEC,
       "R11 while one does, it counts as its own");
    OK(!mcp_breaker_failed(&breaker, now + 20, 0) && mcp_breaker_until(&breaker) == now + 10 + 2 * SEC,
       "R11 and then that one's no more: doubled once");
    mcp_breaker_failed(&breaker, now + 20, SEC);
    OK(mcp_breaker_until(&breaker) == now + 10 + 2 * SEC, "R11 a late Retry-After does not shorten");
    mcp_breaker_failed(&breaker, now + 20, 9 * SEC);
    OK(mcp_breaker_until(&breaker) == now + 20 + 9 * SEC, "R11 but prolongs");
    now += 20 + 9 * SEC;
    OK(mcp_breaker_allows(&breaker, now, LIMIT) && !mcp_breaker_failed(&breaker, now, 0) &&
           mcp_breaker_until(&breaker) == now + 4 * SEC,
       "R11 without counting as a try");
    mcp_breaker_succeeded(&breaker, 0);
    OK(is_zero(&breaker) && mcp_breaker_allows(&breaker, now, LIMIT), "R11 a late answer closes");
    breaker = opened(START);
    mcp_breaker_passed(&breaker);
    OK(!mcp_breaker_allows(&breaker, START, LIMIT), "R11 what says nothing about others closes nothing");
    mcp_breaker_allows(&breaker, START + SEC, LIMIT);
    mcp_breaker_passed(&breaker);
    OK(is_zero(&breaker) && !mcp_breaker_well(&breaker), "R11 unless that is what the call that tries brings");
    mcp_breaker_succeeded(&breaker, START);
    OK(mcp_breaker_well(&breaker) == START, "R11 an answer is remembered");
    mcp_breaker_succeeded(&breaker, START + SEC / 2);
    mcp_breaker_failed(&breaker, START + SEC, 0);
    OK(mcp_breaker_well(&breaker) == START, "R11 with a second's accuracy, through a failure");
    mcp_breaker_succeeded(&breaker, START + 3 * SEC);
    OK(mcp_breaker_well(&breaker) == START + 3 * SEC, "R11 the last one");
    breaker = opened(START);
    mcp_breaker_allows(&breaker, START + SEC, LIMIT);
    mcp_breaker_succeeded(&breaker, 0);
    mcp_breaker_failed(&breaker, START + SEC, 0);
    OK(breaker.failures == 1 && mcp_breaker_allows(&breaker, START + SEC, LIMIT),
       "R11 the try that fails after that is the first failure of a closed one");
}

static void extremes(apr_pool_t *p)
{
    mcp_breaker_t breaker = opened(START);
    apr_time_t now = START;
    int i, longest = 1;

    for (i = 0; i < 5000; i++) {
        now = mcp_breaker_until(&breaker);
        longest &= mcp_breaker_allows(&breaker, now, LIMIT) && !mcp_breaker_failed(&breaker, now, 0);
        longest &= mcp_breaker_until(&breaker) - now <= 30 * SEC;
    }
    OK(longest && mcp_breaker_until(&breaker) == now + 30 * SEC, "R11 5000 failures: 30 s");
    breaker = opened(START);
    breaker.failures = UINT32_MAX;
    now = START + SEC;
    mcp_breaker_allows(&breaker, now, LIMIT);
    mcp_breaker_failed(&breaker, now, 0);
    OK(mcp_breaker_until(&breaker) == now + 30 * SEC && breaker.failures == UINT32_MAX, "R11 the count does not wrap");
    memset(&breaker, 0, sizeof(breaker));
    breaker.failures = UINT32_MAX;
    OK(mcp_breaker_failed(&breaker, now, 0) == 1 && mcp_breaker_until(&breaker) == now + SEC,
       "R11 one that was killed while it opened leaves that to the next failure");
    breaker = opened(INT64_MAX - 5);
    OK(mcp_breaker_until(&breaker) == INT64_MAX && !mcp_breaker_allows(&breaker, INT64_MAX - 1, LIMIT),
       "R11 the end of time is no overflow");
    OK(mcp_breaker_allows(&breaker, INT64_MAX, INT64_MAX), "R11 nor is the longest call");
}

#define THREADS 8

typedef struct crowd_t {
    mcp_breaker_t breaker;
    apr_time_t now;
    int task, ready, yes; /* how many were answered yes */
} crowd_t;

enum { TASK_TRY, TASK_FAIL, TASK_TRY_AND_FAIL, TASK_SUCCEED };

static void *member(void *data)
{
    crowd_t *crowd = data;
    int yes = 0;

    __atomic_add_fetch(&crowd->ready, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&crowd->ready, __ATOMIC_SEQ_CST) < THREADS) {
        sched_yield();
    }
    if (crowd->task == TASK_FAIL) {
        yes = mcp_breaker_failed(&crowd->breaker, crowd->now, 0);
    }
    else if (crowd->task == TASK_SUCCEED) {
        yes = mcp_breaker_succeeded(&crowd->breaker, 0);
    }
    else if (mcp_breaker_allows(&crowd->breaker, crowd->now, LIMIT)) {
        yes = 1;
        if (crowd->task == TASK_TRY_AND_FAIL) {
            mcp_breaker_failed(&crowd->breaker, crowd->now, 0);
        }
    }
    __atomic_add_fetch(&crowd->yes, yes, __ATOMIC_SEQ_CST);
    return NULL;
}

/* All at once; how many were answered yes. */
static int together(crowd_t *crowd, int task, apr_time_t now)
{
    pthread_t threads[THREADS];
    int i;

    crowd->task = task;
    crowd->now = now;
    crowd->ready = crowd->yes = 0;
    for (i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, member, crowd)) {
            abort();
        }
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    return crowd->yes;
}

static void concurrency(apr_pool_t *p)
{
    int round, openers = 1, seconds = 1, trials = 1, ended = 1, doubled = 1, closers = 1;
    apr_time_t now = START;

    for (round = 0; round < 200; round++) {
        crowd_t crowd = { 0 };

        openers &= together(&crowd, TASK_FAIL, now) == 1;
        seconds &= mcp_breaker_until(&crowd.breaker) == now + SEC;
        trials &= together(&crowd, TASK_TRY, now + SEC) == 1;
        together(&crowd, TASK_FAIL, now + SEC);
        doubled &= mcp_breaker_until(&crowd.breaker) == now + 3 * SEC;
        ended &= together(&crowd, TASK_TRY_AND_FAIL, now + 3 * SEC) == 1;
        doubled &= mcp_breaker_until(&crowd.breaker) == now + 7 * SEC;
        closers &= together(&crowd, TASK_SUCCEED, now) == 1 && is_zero(&crowd.breaker);
    }
    OK(openers, "R11 eight failures at once: exactly one opens it");
    OK(seconds, "R11 for one second");
    OK(trials, "R11 eight that want to try at once: exactly one may");
    OK(ended, "R11 nor may a second in the moment when the first fails");
    OK(doubled, "R11 and eight failures double once");
    OK(closers, "R11 eight answers at once: exactly one closes it");
}

static void test(apr_pool_t *p)
{
    closed(p);
    opening(p);
    retry_after(p);
    killed(p);
    late(p);
    extremes(p);
    concurrency(p);
}
