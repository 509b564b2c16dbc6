/* The memory that all processes of the server share: the keys of each fetched issuer, the demand for more, who may wait. */
#ifndef MCP_HTTPD_SHARE_H
#define MCP_HTTPD_SHARE_H

#include "httpd/config.h"

#include "keys/demand.h"
#include "keys/keyshare.h"
#include "keys/waiters.h"

/* One issuer's part. Only the child that holds the issuer's election mutex writes to keys. */
typedef struct mcp_slot_t {
    char identity[65];      /* mcp_keysource_identity: whose keys these are, "" for nobody's */
    apr_uint32_t complaint; /* was it said that the stored keys are of no use? */
    apr_uint32_t silent;    /* was it said that nobody fetches? */
    mcp_demand_t demand;
    mcp_keyshare_t keys;
} mcp_slot_t;

/* In pre_config: makes the mutex known to the Mutex directive. */
int mcp_share_pre_config(apr_pool_t *pconf);

/* In post_config: makes the memory with a slot for each trusted issuer whose keys are fetched, and its election mutex, and a
 * breaker for each that is asked about tokens. What
 * the configuration before knew under the same identity is taken over, so a restart costs no fetch. The memory lives until
 * the next restart in the parent, and in each child until it ends. */
int mcp_share_post_config(apr_pool_t *pconf, server_rec *s);

/* Once per child: opens the election mutexes. A child for which that fails says so, and leaves fetching to others. */
void mcp_share_start(const server_rec *s, apr_pool_t *p);

/* Three quarters of the server's workers; NULL when no keys are fetched and nobody is asked about tokens. */
mcp_waiters_t *mcp_share_waiters(void);

#endif
