#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

/* The code under test, with a stop before what it writes: there somebody may look. */
static void stop(void);
#define __atomic_store_n(...) (stop(), __atomic_store_n(__VA_ARGS__))
#include "base/meter.c"
#undef __atomic_store_n

#define CANARY 64
#define STARTED ((apr_time_t)1700000000 * 1000000)

static mcp_meter_t *make(int stripes, int resources)
{
    apr_size_t bytes = mcp_meter_bytes(stripes, resources);
    char *block = mmap(NULL, bytes + CANARY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (block == MAP_FAILED) {
        abort();
    }
    memset(block + bytes, 0x5a, CANARY);
    mcp_meter_init((mcp_meter_t *)(void *)block, stripes, resources, STARTED);
    return (mcp_meter_t *)(void *)block;
}

static int is_bounded(const mcp_meter_t *meter, int stripes, int resources)
{
    const char *end = (const char *)meter + mcp_meter_bytes(stripes, resources);
    int i;

    for (i = 0; i < CANARY && end[i] == 0x5a; i++) {
    }
    return i == CANARY;
}

static void drop(mcp_meter_t *meter, int stripes, int resources)
{
    munmap(meter, mcp_meter_bytes(stripes, resources) + CANARY);
}

/* The processes below 100 are there, without those that died. */
static char dead[100];

static int alive(pid_t pid)
{
    return pid < 0 || (pid < 100 && !dead[pid]); /* less than 0 would ask for a group of processes */
}

static int is_there(pid_t pid)
{
    return kill(pid, 0) == 0;
}

static mcp_meter_totals_t totals_of(const mcp_meter_t *meter)
{
    mcp_meter_totals_t totals;

    memset(&totals, 0x5a, sizeof(totals));
    mcp_meter_totals(&totals, meter, alive);
    return totals;
}

static apr_uint64_t sum_of(const mcp_meter_t *meter, int resources)
{
    apr_uint64_t sum = 0;
    int resource, column;

    for (resource = 0; resource < resources; resource++) {
        for (column = 0; column < MCP_METER_COLUMNS; column++) {
            sum += mcp_meter_requests(meter, resource, column);
        }
    }
    return sum;
}

static void test_counts(apr_pool_t *p)
{
    mcp_meter_t *meter = make(3, 4);
    mcp_stripe_t *one = mcp_meter_join(meter, 1, alive), *two = mcp_meter_join(meter, 2, alive);
    int resource, column, i, wrong = 0;

    OK(mcp_meter_bytes(1, 1) % 64 == 0 && mcp_meter_bytes(8, 3) % 64 == 0 &&
           mcp_meter_bytes(8, 3) > mcp_meter_bytes(7, 3) && mcp_meter_bytes(8, 40) > mcp_meter_bytes(8, 3),
       "lines of 64 bytes");
    OK(one && two && one != two && (apr_size_t)one % 64 == 0 && (apr_size_t)two % 64 == 0,
       "each process has lines of its own");
    OK(sum_of(meter, 4) == 0 && totals_of(meter).started == STARTED, "all zero at first");
    for (resource = 0; resource < 4; resource++) {
        for (column = 0; column < MCP_METER_COLUMNS; column++) {
            for (i = 0; i <= resource * MCP_METER_COLUMNS + column; i++) {
                mcp_stripe_request(i % 3 ? one : two, resource, column);
            }
        }
    }
    for (resource = 0; resource < 4; resource++) {
        for (column = 0; column < MCP_METER_COLUMNS; column++) {
            wrong += mcp_meter_requests(meter, resource, column) !=
                     (apr_uint64_t)(resource * MCP_METER_COLUMNS + column + 1);
        }
    }
    OK(!wrong, "each column of each resource counts for itself, over all processes");
    OK(MCP_METER_SHADOW == MCP_METER_COLUMNS - 1 && mcp_meter_requests(meter, 0, MCP_METER_SHADOW) == MCP_METER_COLUMNS,
       "so does what was let pass");
    OK(is_bounded(meter, 3, 4), "and nothing else was written to");
    drop(meter, 3, 4);
}

static void test_bounds(apr_pool_t *p)
{
    mcp_meter_t *meter = make(1, 2);
    mcp_stripe_t *one = mcp_meter_join(meter, 1, alive), *shared = mcp_meter_join(meter, 2, alive);

    mcp_stripe_request(one, 2, 0);
    mcp_stripe_request(one, 2147483647, 0);
    mcp_stripe_request(one, -1, 0);
    mcp_stripe_request(shared, 2, 0);
    OK(mcp_meter_requests(meter, 1, 0) == 4 && mcp_meter_requests(meter, 0, 0) == 0,
       "beyond the last resource is the last one");
    mcp_stripe_request(one, 0, MCP_METER_COLUMNS);
    mcp_stripe_request(one, 1, MCP_METER_COLUMNS);
    mcp_stripe_request(one, 0, -1);
    mcp_stripe_request(shared, 1, MCP_METER_COLUMNS);
    OK(sum_of(meter, 2) == 4 && !totals_of(meter).hits && !totals_of(meter).misses && !totals_of(meter).bytes,
       "a column that is none is not counted");
    OK(!mcp_meter_requests(meter, 2, 0) && !mcp_meter_requests(meter, -1, 0) && !mcp_meter_requests(meter, 1, -1) &&
           !mcp_meter_requests(meter, 0, MCP_METER_COLUMNS),
       "nor read");
    OK(is_bounded(meter, 1, 2), "nothing is written behind the end");
    drop(meter, 1, 2);
    meter = make(0, 0);
    one = mcp_meter_join(meter, 1, alive);
    mcp_stripe_request(one, 0, 0);
    OK(mcp_meter_requests(meter, 0, 0) == 1 && totals_of(meter).processes == 1 && is_bounded(meter, 0, 0),
       "no stripe and no resource is one of each");
    drop(meter, 0, 0);
}

static void test_join(apr_pool_t *p)
{
    mcp_meter_t *meter = make(3, 1);
    mcp_stripe_t *stripes[5], *next;
    mcp_meter_totals_t totals;
    int i, k, same = 0;

    memset(dead, 0, sizeof(dead));
    for (i = 0; i < 5; i++) {
        stripes[i] = mcp_meter_join(meter, i + 1, alive);
        for (k = 0; k < i; k++) {
            same += stripes[i] == stripes[k];
        }
        mcp_stripe_request(stripes[i], 0, 0);
        mcp_stripe_lookup(stripes[i], 1);
        mcp_stripe_lookup(stripes[i], 0);
        mcp_stripe_lookup(stripes[i], 0);
        mcp_stripe_cache(stripes[i], 10, 1000);
    }
    OK(same == 1 && stripes[3] == stripes[4], "three have one each, the others share one");
    totals = totals_of(meter);
    OK(totals.hits == 5 && totals.misses == 10 && mcp_meter_requests(meter, 0, 0) == 5, "what they count is counted");
    OK(totals.processes == 3 && totals.entries == 30 && totals.bytes == 3000, "who is there is known of the three");
    mcp_stripe_cache(stripes[1], 1, 7);
    OK(totals_of(meter).entries == 21 && totals_of(meter).bytes == 2007, "a cache is what it is now");
    dead[2] = 1;
    totals = totals_of(meter);
    OK(totals.processes == 2 && totals.entries == 20 && totals.bytes == 2000, "a cache is gone with its process");
    OK(totals.hits == 5 && totals.misses == 10 && mcp_meter_requests(meter, 0, 0) == 5, "what it counted stays");
    next = mcp_meter_join(meter, 6, alive);
    totals = totals_of(meter);
    OK(next == stripes[1] && totals.processes == 3 && totals.entries == 20 && totals.bytes == 2000,
       "the next process takes the place, with an empty cache");
    mcp_stripe_request(next, 0, 0);
    mcp_stripe_lookup(next, 1);
    OK(totals_of(meter).hits == 6 && mcp_meter_requests(meter, 0, 0) == 6, "and counts on");
    OK(mcp_meter_join(meter, 7, alive) == stripes[4], "then there is none again");
    mcp_stripe_cache(stripes[2], 10, 1000);
    next = mcp_meter_join(meter, 3, alive);
    totals = totals_of(meter);
    OK(next == stripes[2] && totals.processes == 3 && totals.entries == 10 && totals.bytes == 1000,
       "one that has the number of an earlier one takes its place, not its cache");
    dead[1] = 1;
    dead[4] = 1;
    dead[6] = 1;
    OK(mcp_meter_join(meter, 3, alive) == stripes[2] && totals_of(meter).processes == 1,
       "even if another place is free before it");
    drop(meter, 3, 1);
    memset(dead, 0, sizeof(dead));
}

/* Who looks while a process takes a place. */
static struct {
    mcp_meter_t *meter;
    int looks, processes;
    apr_uint64_t entries, bytes;
} watch;

static void stop(void)
{
    mcp_meter_totals_t totals;

    if (watch.meter) {
        totals = totals_of(watch.meter);
        watch.looks++;
        watch.processes += totals.processes;
        watch.entries += totals.entries;
        watch.bytes += totals.bytes;
    }
}

/* Who was killed while it took a place leaves a place that can be taken. */
static void test_killed_join(apr_pool_t *p)
{
    mcp_meter_t *meter = make(1, 1);
    mcp_stripe_t *one = mcp_meter_join(meter, 1, alive);

    mcp_stripe_cache(one, 10, 1000);
    one->pid = -2;
    OK(totals_of(meter).processes == 0 && totals_of(meter).entries == 0,
       "who is about to take a place is not there yet");
    OK(mcp_meter_join(meter, 3, alive) != one, "nobody takes it away");
    dead[2] = 1;
    watch.meter = meter;
    OK(mcp_meter_join(meter, 3, alive) == one && totals_of(meter).processes == 1, "if it has died, the next one does");
    watch.meter = NULL;
    OK(watch.looks == 3 && !watch.processes && !watch.entries && !watch.bytes,
       "and never, not for a moment, has its cache");
    one->pid = -4;
    OK(mcp_meter_join(meter, 4, alive) == one && one->pid == 4, "one of the same number takes it as well");
    dead[2] = 0;
    drop(meter, 1, 1);
}

#define CHILDREN 12
#define EACH 2000

static void run_child(mcp_meter_t *meter, int number)
{
    mcp_stripe_t *stripe = mcp_meter_join(meter, getpid(), is_there);
    int i;

    mcp_stripe_cache(stripe, 5, 50);
    for (i = 0; i < EACH; i++) {
        mcp_stripe_request(stripe, i % 3, number % MCP_METER_COLUMNS);
        mcp_stripe_lookup(stripe, i % 4 == 0);
    }
}

/* Processes that come, count at once, and are killed: stripes for half of them. */
static void test_processes(apr_pool_t *p)
{
    mcp_meter_t *meter = make(CHILDREN / 2, 3);
    mcp_meter_totals_t totals;
    pid_t pids[CHILDREN];
    int round, i, status, begun = 0, gone = 0;
    apr_uint64_t all = 0;

    for (round = 0; round < 3; round++) {
        int ready[2];
        char c;

        if (pipe(ready)) {
            abort();
        }
        fflush(stdout);
        for (i = 0; i < CHILDREN; i++) {
            pids[i] = fork();
            if (!pids[i]) {
                alarm(60); /* should nobody come */
                run_child(meter, i);
                if (write(ready[1], "x", 1) == 1) {
                    pause();
                }
                _exit(1);
            }
        }
        for (i = 0; i < CHILDREN && read(ready[0], &c, 1) == 1; i++) {
        }
        all += CHILDREN * EACH;
        mcp_meter_totals(&totals, meter, is_there);
        begun +=
            totals.processes == CHILDREN / 2 && totals.entries == 5 * CHILDREN / 2 && totals.bytes == 50 * CHILDREN / 2;
        for (i = 0; i < CHILDREN; i++) {
            if (pids[i] <= 0 || kill(pids[i], SIGKILL) || waitpid(pids[i], &status, 0) != pids[i]) {
                abort();
            }
        }
        mcp_meter_totals(&totals, meter, is_there);
        gone += totals.processes == 0 && totals.entries == 0 && totals.bytes == 0 &&
                totals.hits + totals.misses == all && totals.hits == all / 4 && sum_of(meter, 3) == all;
        close(ready[0]);
        close(ready[1]);
    }
    OK(begun == 3, "the caches of those that are there are counted, of %d processes with %d stripes, three times",
       CHILDREN, CHILDREN / 2);
    OK(gone == 3, "when they are killed nothing that they counted is lost");
    OK(mcp_meter_requests(meter, 0, 0) == 3 * ((EACH + 2) / 3) && is_bounded(meter, CHILDREN / 2, 3),
       "nor counted elsewhere");
    drop(meter, CHILDREN / 2, 3);
}

#define THREADS 6

typedef struct worker_t {
    mcp_meter_t *meter;
    mcp_stripe_t *stripe;
    mcp_calls_t *calls;
    int id;
} worker_t;

static void *work(void *data)
{
    worker_t *worker = data;
    mcp_meter_totals_t totals;
    mcp_calls_t calls;
    int i;

    if (!worker->stripe) {
        worker->stripe = mcp_meter_join(worker->meter, 10 + worker->id, alive);
    }
    for (i = 0; i < 20000; i++) {
        mcp_stripe_request(worker->stripe, i % 2, i % MCP_METER_COLUMNS);
        mcp_stripe_lookup(worker->stripe, i % 2);
        mcp_stripe_cache(worker->stripe, 1, 2);
        mcp_calls_ended(worker->calls, i, i % 2);
        if (i % 1000 == 0) {
            mcp_meter_totals(&totals, worker->meter, alive);
            mcp_calls_read(&calls, worker->calls);
        }
    }
    return NULL;
}

/* own: each thread is a process of its own; else they are threads of one. */
static void test_threads(int own, apr_pool_t *p)
{
    mcp_meter_t *meter = make(4, 2);
    mcp_stripe_t *stripe = own ? NULL : mcp_meter_join(meter, 1, alive);
    mcp_calls_t calls = { 0 }, copy;
    worker_t workers[THREADS];
    pthread_t threads[THREADS];
    mcp_meter_totals_t totals;
    int i;

    for (i = 0; i < THREADS; i++) {
        workers[i].meter = meter;
        workers[i].stripe = stripe;
        workers[i].calls = &calls;
        workers[i].id = i;
        if (pthread_create(&threads[i], NULL, work, &workers[i])) {
            abort();
        }
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    totals = totals_of(meter);
    mcp_calls_read(&copy, &calls);
    OK(sum_of(meter, 2) == THREADS * 20000 && totals.hits == THREADS * 10000 && totals.misses == THREADS * 10000,
       "%d threads of %s: no count is lost", THREADS, own ? "as many processes" : "one process");
    OK(totals.processes == (own ? 4 : 1) && totals.entries == (own ? 4 : 1), "and each has its place");
    OK(copy.answered == THREADS * 10000 && copy.failed == THREADS * 10000 &&
           copy.duration == (apr_uint64_t)THREADS * 199990000,
       "no call either");
    drop(meter, 4, 2);
}

static void test_calls(apr_pool_t *p)
{
    static const apr_interval_time_t bounds[] = { 5000,   10000,   25000,   50000,   100000,  250000,
                                                  500000, 1000000, 2500000, 5000000, 10000000 };
    mcp_calls_t calls = { 0 }, copy;
    int i, wrong = 0;

    for (i = 0; i < MCP_CALLS_BUCKETS; i++) {
        wrong += mcp_calls_bound(i) != bounds[i];
        mcp_calls_ended(&calls, bounds[i], 1);
        mcp_calls_ended(&calls, bounds[i] + 1, 0);
    }
    memset(&copy, 0x5a, sizeof(copy));
    mcp_calls_read(&copy, &calls);
    OK(!wrong && mcp_calls_bound(-1) == 5000 && mcp_calls_bound(MCP_CALLS_BUCKETS) == 10000000, "the bounds");
    for (i = 1; i < MCP_CALLS_BUCKETS; i++) {
        wrong += copy.buckets[i] != 2;
    }
    OK(!wrong && copy.buckets[0] == 1, "a bound belongs to its bucket, a microsecond more to the next");
    OK(copy.answered == 11 && copy.failed == 11 && copy.duration == 2 * 19440000 + 11 && !copy.cached,
       "longer ones are counted as well");
    mcp_calls_ended(&calls, -5, 1);
    mcp_calls_ended(&calls, 0, 1);
    mcp_calls_cached(&calls);
    mcp_calls_read(&copy, &calls);
    OK(copy.buckets[0] == 3 && copy.duration == 2 * 19440000 + 11 && copy.answered == 13,
       "less than nothing is nothing");
    OK(copy.cached == 1, "what was not asked is no call");
}

static void test(apr_pool_t *p)
{
    test_counts(p);
    test_bounds(p);
    test_join(p);
    test_killed_join(p);
    test_calls(p);
    test_processes(p);
    test_threads(0, p);
    test_threads(1, p);
}
