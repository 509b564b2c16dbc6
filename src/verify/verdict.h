/* What became of each check of one token. */
#ifndef MCP_VERDICT_H
#define MCP_VERDICT_H

#include <apr_pools.h>

#include "base/status.h"
#include "token/token.h"
#include "verify/options.h"

typedef enum { MCP_CHECK_SKIPPED, MCP_CHECK_PASSED, MCP_CHECK_FAILED } mcp_outcome_t;

typedef struct mcp_check_t {
    mcp_outcome_t outcome;
    const char *detail; /* help for people, NULL for none */
} mcp_check_t;

typedef struct mcp_verdict_t {
    mcp_status_t status;
    mcp_check_t steps[MCP_STEP_DONE]; /* by mcp_token_step_t */
    mcp_check_t scope;                /* where scopes were asked for */
} mcp_verdict_t;

/* Judges a token as the options say. Keys are fetched only for a token whose verdict depends on them. */
void mcp_verdict_reach(mcp_verdict_t *verdict, const char *token, apr_size_t len, const mcp_options_t *options,
                       apr_pool_t *p);

/* Fixed text for people about a check that failed, NULL when there is nothing to say. */
const char *mcp_verdict_detail(mcp_status_t status, mcp_token_step_t step);

#endif
