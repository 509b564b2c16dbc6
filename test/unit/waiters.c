#include "keys/waiters.h"

#include <apr_thread_proc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define SEC(n) ((apr_time_t)((n)*APR_USEC_PER_SEC))
#define NOW SEC(1000)
#define UNTIL (NOW + SEC(2))

/* On the heap and no byte larger than said, for the sanitizer to watch. */
static mcp_waiters_t *make(int max)
{
    apr_size_t bytes = mcp_waiters_bytes(max);
    mcp_waiters_t *waiters = malloc(bytes);

    memset(waiters, 0x7f, bytes);
    mcp_waiters_init(waiters, max);
    return waiters;
}

/* Takes places until there are none. Returns how many there were, -1 if one of them came twice. */
static int fill(mcp_waiters_t *waiters, apr_time_t now, apr_time_t until)
{
    char seen[256] = { 0 };
    int place, n = 0;

    while ((place = mcp_waiters_enter(waiters, now, until)) >= 0) {
        if (place >= waiters->max || seen[place] || n > 255) {
            return -1;
        }
        seen[place] = 1;
        n++;
    }
    return n;
}

static void places(void)
{
    static const int sizes[] = { 1, 2, 3, 7, 64, 255 };
    apr_size_t i;
    int k;

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (k = 0; k < 3; k++) {
            mcp_waiters_t *waiters = make(sizes[i]);
            OK(fill(waiters, NOW + k, UNTIL) == sizes[i], "R03 of %d places %d are taken, from any start", sizes[i],
               sizes[i]);
            OK(mcp_waiters_enter(waiters, NOW, UNTIL) == -1 && mcp_waiters_enter(waiters, NOW + 1, UNTIL) == -1,
               "R03 and no more");
            free(waiters);
        }
    }
}

static void least(void)
{
    mcp_waiters_t *none = make(0), *negative = make(-5);

    OK(none->max == 1 && fill(none, NOW, UNTIL) == 1, "there is at least one place");
    OK(negative->max == 1 && fill(negative, 0, 1) == 1, "whatever is asked for");
    OK(mcp_waiters_bytes(0) == mcp_waiters_bytes(1) &&
           mcp_waiters_bytes(2) == mcp_waiters_bytes(1) + sizeof(apr_time_t),
       "each takes one word");
    free(none);
    free(negative);
}

static void leaving(void)
{
    mcp_waiters_t *waiters = make(3);

    OK(fill(waiters, NOW, UNTIL) == 3, "all are taken");
    mcp_waiters_leave(waiters, 1, UNTIL);
    OK(mcp_waiters_enter(waiters, NOW, UNTIL + 1) == 1, "R03 a place that is left is free");
    OK(mcp_waiters_enter(waiters, NOW, UNTIL) == -1, "just that one");
    mcp_waiters_leave(waiters, 1, UNTIL);
    OK(mcp_waiters_enter(waiters, NOW, UNTIL) == -1, "it is not given back with a time that is not its own");
    mcp_waiters_leave(waiters, -1, 3); /* the word before the places holds max */
    mcp_waiters_leave(waiters, 3, UNTIL);
    OK(waiters->max == 3 && mcp_waiters_enter(waiters, NOW, UNTIL) == -1, "what is no place is not left");
    mcp_waiters_leave(waiters, 0, UNTIL);
    mcp_waiters_leave(waiters, 0, UNTIL);
    OK(fill(waiters, NOW, UNTIL) == 1, "a place left twice is one");
    free(waiters);
}

static void by_time(void)
{
    mcp_waiters_t *waiters = make(2);

    mcp_waiters_enter(waiters, NOW, UNTIL);
    mcp_waiters_enter(waiters, NOW, UNTIL + 1);
    OK(mcp_waiters_enter(waiters, UNTIL - 1, UNTIL + SEC(2)) == -1, "R13 a holder that never leaves keeps its place");
    OK(waiters->until[mcp_waiters_enter(waiters, UNTIL, UNTIL + SEC(2))] == UNTIL + SEC(2),
       "R13 until its time is over");
    OK(mcp_waiters_enter(waiters, UNTIL, UNTIL + SEC(2)) == -1, "R13 to the microsecond");
    OK(fill(waiters, UNTIL + 1, UNTIL + SEC(3)) == 1, "R13 each its own");
    mcp_waiters_leave(waiters, 0, UNTIL);
    mcp_waiters_leave(waiters, 1, UNTIL);
    mcp_waiters_leave(waiters, 0, UNTIL + 1);
    mcp_waiters_leave(waiters, 1, UNTIL + 1);
    OK(mcp_waiters_enter(waiters, UNTIL + 1, UNTIL + SEC(3)) == -1,
       "R03 who comes late does not give away another's place");
    OK(fill(waiters, UNTIL + SEC(9), UNTIL + SEC(11)) == 2, "R13 all come back by time");
    free(waiters);
}

/* ---- threads ---- */

#define THREADS 16
#define PLACES 5
#define ROUNDS 20000

typedef struct crowd_t {
    mcp_waiters_t *waiters;
    apr_time_t later; /* makes each until another one */
    int held, most, entered, refused, shared;
    int owners[PLACES];
} crowd_t;

static void hold(crowd_t *crowd, int place, int number)
{
    int held = __atomic_add_fetch(&crowd->held, 1, __ATOMIC_SEQ_CST);
    int most = __atomic_load_n(&crowd->most, __ATOMIC_SEQ_CST);

    while (held > most &&
           !__atomic_compare_exchange_n(&crowd->most, &most, held, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        /* most is what another one has written */
    }
    if (__atomic_exchange_n(&crowd->owners[place], number, __ATOMIC_SEQ_CST)) {
        __atomic_add_fetch(&crowd->shared, 1, __ATOMIC_SEQ_CST);
    }
    if (number % 3 == 0) {
        apr_thread_yield();
    }
    __atomic_store_n(&crowd->owners[place], 0, __ATOMIC_SEQ_CST);
    __atomic_sub_fetch(&crowd->held, 1, __ATOMIC_SEQ_CST);
}

static void *APR_THREAD_FUNC visitor(apr_thread_t *thread, void *data)
{
    crowd_t *crowd = data;
    int i;

    for (i = 1; i <= ROUNDS; i++) {
        apr_time_t until = UNTIL + __atomic_add_fetch(&crowd->later, 1, __ATOMIC_RELAXED) % 7;
        int place = mcp_waiters_enter(crowd->waiters, NOW + i % 11, until);

        if (place < 0) {
            __atomic_add_fetch(&crowd->refused, 1, __ATOMIC_RELAXED);
            apr_thread_yield();
            continue;
        }
        __atomic_add_fetch(&crowd->entered, 1, __ATOMIC_RELAXED);
        hold(crowd, place, i);
        mcp_waiters_leave(crowd->waiters, place, until);
    }
    return NULL;
}

/* Sixteen threads in one crowd, to their end. The caller frees it with its waiters. */
static crowd_t *crowd_run(apr_thread_start_t visit, apr_pool_t *p)
{
    crowd_t *crowd = calloc(1, sizeof(*crowd));
    apr_thread_t *thread[THREADS];
    apr_status_t rv, worst = APR_SUCCESS;
    int i;

    crowd->waiters = make(PLACES);
    for (i = 0; i < THREADS; i++) {
        rv = apr_thread_create(&thread[i], NULL, visit, crowd, p);
        worst = rv ? rv : worst;
    }
    for (i = 0; i < THREADS && !worst; i++) {
        apr_thread_join(&rv, thread[i]);
    }
    OK(worst == APR_SUCCESS, "sixteen threads come and go");
    return crowd;
}

static void threads(apr_pool_t *p)
{
    crowd_t *crowd = crowd_run(visitor, p);

    OK(crowd->entered + crowd->refused == THREADS * ROUNDS, "each of them as often as it was to");
    OK(crowd->most <= PLACES && crowd->shared == 0,
       "R03 never more than %d inside, at most %d were; none shares a place", PLACES, crowd->most);
    OK(crowd->most > 1 && crowd->refused > 0, "and it was crowded");
    OK(fill(crowd->waiters, NOW, UNTIL) == PLACES, "in the end all places are free");
    free(crowd->waiters);
    free(crowd);
}

/* Time goes on, nobody leaves: places are only won back from the past. */
static void *APR_THREAD_FUNC squatter(apr_thread_t *thread, void *data)
{
    crowd_t *crowd = data;
    int i;

    for (i = 0; i < 100; i++) {
        if (mcp_waiters_enter(crowd->waiters, NOW + SEC(i), NOW + SEC(i + 1)) >= 0) {
            __atomic_add_fetch(&crowd->owners[0], 1, __ATOMIC_RELAXED);
        }
    }
    return NULL;
}

static void without_leaving(apr_pool_t *p)
{
    crowd_t *crowd = crowd_run(squatter, p);

    OK(crowd->owners[0] >= PLACES && crowd->owners[0] <= 100 * PLACES,
       "R13 in 100 seconds each place is taken for 100 times at most: %d", crowd->owners[0]);
    free(crowd->waiters);
    free(crowd);
}

/* ---- processes ---- */

static void enter_and_die(mcp_waiters_t *waiters, int i)
{
    alarm(10); /* in case it does not */
    while (mcp_waiters_enter(waiters, NOW + i, UNTIL) >= 0) {
        /* all there are */
    }
    raise(SIGKILL);
    _exit(1);
}

static void killed(void)
{
    apr_size_t bytes = mcp_waiters_bytes(PLACES);
    mcp_waiters_t *waiters = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int i, n = 0, status;

    if (waiters == MAP_FAILED) {
        printf("Bail out! no memory\n");
        exit(1);
    }
    mcp_waiters_init(waiters, PLACES);
    fflush(stdout);
    for (i = 0; i < 4; i++) {
        pid_t child = fork();
        if (child == 0) {
            enter_and_die(waiters, i);
        }
        n += child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    }
    OK(n == 4 && mcp_waiters_enter(waiters, UNTIL - 1, UNTIL + 1) == -1,
       "R13 the places of killed processes are taken");
    OK(fill(waiters, UNTIL, UNTIL + SEC(2)) == PLACES, "R13 and come back by time");
    munmap(waiters, bytes);
}

static void test(apr_pool_t *p)
{
    places();
    least();
    leaving();
    by_time();
    killed();
    threads(p);
    without_leaving(p);
}
