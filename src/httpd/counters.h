/* What the server counts: requests by resource and verdict, looks into the token cache, calls to introspection endpoints, rows
 * for the rules in Shadow and for users with a limit. In memory that all processes share; it outlives restarts as long as the
 * resources and issuers stay the same. */
#ifndef MCP_HTTPD_COUNTERS_H
#define MCP_HTTPD_COUNTERS_H

#include "httpd/request.h"

#include "base/meter.h"
#include "base/tally.h"

/* Configuration is about to be read: what was made with the one of before is gone. */
void mcp_counters_reset(void);

/* post_config: makes the memory, or goes on with that of before. */
int mcp_counters_post_config(apr_pool_t *pconf, server_rec *s);
/* Once per child: where it counts. */
void mcp_counters_start(void);

/* Under which number a resource is counted. */
int mcp_counters_index(const char *resource);

/* The verdict on request: counted once, however often httpd leads it from one place to another; of what rules in Shadow would
 * have refused also what it was, while request->message is there. */
void mcp_counters_request(const request_rec *r, mcp_request_t *request);
/* A look into the token cache of this process; what is in it by now. */
void mcp_counters_lookup(int hit);
void mcp_counters_cache(apr_uint64_t entries, apr_uint64_t bytes);
/* Something that is limited: let pass (limited 0) or refused (1). */
void mcp_counters_usage(const mcp_request_t *request, const mcp_limit_t *limit, int limited);

/* For the status: NULL before post_config. */
const mcp_meter_t *mcp_counters_meter(void);
const mcp_tally_t *mcp_counters_shadow_rows(void);
const mcp_tally_t *mcp_counters_usage_rows(void);
/* Resource identifiers (const char *) by number; the last one stands for what was not known at start. */
const apr_array_header_t *mcp_counters_resources(void);
int mcp_counters_alive(pid_t pid);

#endif
