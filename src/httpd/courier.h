/* Calls that may hang for ever, such as a cache server's that was stopped: made by threads of our own, so that a request waits
 * for one only as long as it wants to. */
#ifndef MCP_HTTPD_COURIER_H
#define MCP_HTTPD_COURIER_H

#include <apr_pools.h>
#include <apr_time.h>

/* One call: work(job, p) is run once; what it reads and writes lies in memory of its own. p is cleared after each call. */
typedef struct mcp_job_t {
    void (*work)(struct mcp_job_t *job, apr_pool_t *p);
    /* the courier's own */
    int refs, done;
    struct mcp_job_t *next;
} mcp_job_t;

/* Once per child: the threads start with the first job, and end with p (the process ends if one hangs then). */
apr_status_t mcp_courier_start(apr_pool_t *p);

/* Runs a job, which is the first member of a malloc'ed block, and waits for it, at most timeout microseconds. 1: it is done, and
 * the caller may read the block until mcp_courier_release. 0: not in time, or not begun because an earlier one hangs; the
 * block must not be touched any more but by mcp_courier_release. */
int mcp_courier_run(mcp_job_t *job, apr_interval_time_t timeout);
void mcp_courier_release(mcp_job_t *job);

#endif
