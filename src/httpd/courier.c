#include "httpd/courier.h"

#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>
#include <apr_thread_proc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

#define THREADS 2
#define QUEUE_MAX 64
#define CLOSE_WAIT apr_time_from_sec(1)

/* Of this child. */
static struct {
    apr_pool_t *pool; /* NULL: none yet, or it ends */
    apr_abortfunc_t abort;
    apr_thread_mutex_t *lock;
    apr_thread_cond_t *wanted, *done; /* a job came; one is done */
    mcp_job_t *first, **last;
    int queued, threads, busy, closed;
    apr_time_t since[THREADS]; /* when the job began that thread works on; 0: none */
} courier;

static void unref(mcp_job_t *job)
{
    if (!__atomic_sub_fetch(&job->refs, 1, __ATOMIC_ACQ_REL)) {
        free(job);
    }
}

void mcp_courier_release(mcp_job_t *job)
{
    unref(job);
}

/* With the lock held. */
static mcp_job_t *job_take(void)
{
    mcp_job_t *job = courier.first;

    courier.first = job->next;
    courier.last = courier.first ? courier.last : &courier.first;
    courier.queued--;
    return job;
}

static void *APR_THREAD_FUNC thread_main(apr_thread_t *thread, void *slot)
{
    apr_time_t *since = slot;
    apr_pool_t *p;

    /* Without a parent: the child's pool belongs to other threads. */
    apr_status_t rv = apr_pool_create_unmanaged_ex(&p, courier.abort, NULL);

    apr_thread_mutex_lock(courier.lock);
    if (rv != APR_SUCCESS) {
        courier.threads--;
        apr_thread_mutex_unlock(courier.lock);
        return NULL;
    }
    while (!courier.closed) {
        mcp_job_t *job;

        if (!courier.first) {
            apr_thread_cond_wait(courier.wanted, courier.lock);
            continue;
        }
        job = job_take();
        *since = mcp_clock_monotonic();
        courier.busy++;
        apr_thread_mutex_unlock(courier.lock);
        job->work(job, p);
        apr_pool_clear(p);
        apr_thread_mutex_lock(courier.lock);
        courier.busy--;
        *since = 0;
        job->done = 1;
        apr_thread_cond_broadcast(courier.done);
        unref(job);
    }
    apr_pool_destroy(p);
    courier.threads--;
    apr_thread_mutex_unlock(courier.lock);
    return NULL;
}

/* prefork may have interrupted the holder of the lock to end the process; so nothing is waited for but time. */
static void lock_or_exit(apr_time_t until)
{
    while (apr_thread_mutex_trylock(courier.lock) != APR_SUCCESS) {
        if (mcp_clock_monotonic() > until) {
            _exit(0);
        }
        apr_sleep(apr_time_from_msec(1));
    }
}

/* Before the memory goes that they work on. One that hangs cannot be told to stop; the process ends then. */
static apr_status_t courier_close(void *unused)
{
    apr_time_t until = mcp_clock_monotonic() + CLOSE_WAIT;

    lock_or_exit(until);
    courier.closed = 1;
    if (courier.threads) {
        apr_thread_cond_broadcast(courier.wanted);
    }
    while (courier.threads) {
        apr_thread_mutex_unlock(courier.lock);
        if (mcp_clock_monotonic() > until) {
            _exit(0);
        }
        apr_sleep(apr_time_from_msec(1));
        lock_or_exit(until);
    }
    courier.pool = NULL;
    apr_thread_mutex_unlock(courier.lock);
    return APR_SUCCESS;
}

apr_status_t mcp_courier_start(apr_pool_t *p)
{
    apr_status_t rv = apr_thread_mutex_create(&courier.lock, APR_THREAD_MUTEX_DEFAULT, p);

    if (rv == APR_SUCCESS) {
        rv = apr_thread_cond_create(&courier.wanted, p);
    }
    if (rv == APR_SUCCESS) {
        rv = apr_thread_cond_create(&courier.done, p);
    }
    if (rv == APR_SUCCESS) {
        courier.last = &courier.first;
        rv = apr_pool_create(&courier.pool, p);
        courier.abort = apr_pool_abort_get(p);
        apr_pool_pre_cleanup_register(p, NULL, courier_close);
    }
    return rv;
}

/* With the lock held: threads for the first job. 0 when there is none at all. */
static int threads_make(void)
{
    apr_threadattr_t *attr;
    apr_thread_t *thread;
    sigset_t all, before;

    if (courier.threads || apr_threadattr_create(&attr, courier.pool) != APR_SUCCESS) {
        return courier.threads;
    }
    apr_threadattr_detach_set(attr, 1);
    /* Signals are for the threads of the MPM, whose handlers must not run in these. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (courier.threads < THREADS && apr_thread_create(&thread, attr, thread_main, &courier.since[courier.threads],
                                                          courier.pool) == APR_SUCCESS) {
        courier.threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return courier.threads;
}

/* With the lock held: does a job take longer than anybody waits for one? */
static int hangs(apr_time_t now, apr_interval_time_t timeout)
{
    int i;

    for (i = 0; i < THREADS; i++) {
        if (courier.since[i] && now - courier.since[i] > timeout) {
            return 1;
        }
    }
    return courier.queued >= QUEUE_MAX;
}

int mcp_courier_run(mcp_job_t *job, apr_interval_time_t timeout)
{
    apr_time_t now = mcp_clock_monotonic(), until = now + timeout;
    int done;

    job->refs = 1;
    job->done = 0;
    job->next = NULL;
    if (!courier.pool) {
        return 0;
    }
    apr_thread_mutex_lock(courier.lock);
    if (!courier.closed && !hangs(now, timeout) && threads_make()) {
        job->refs = 2;
        *courier.last = job;
        courier.last = &job->next;
        courier.queued++;
        apr_thread_cond_signal(courier.wanted);
    }
    while (job->refs == 2 && !job->done && (now = mcp_clock_monotonic()) < until) {
        apr_thread_cond_timedwait(courier.done, courier.lock, until - now);
    }
    done = job->done;
    apr_thread_mutex_unlock(courier.lock);
    return done;
}
