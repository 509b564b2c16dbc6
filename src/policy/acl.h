/* Access rules: who may do what. Additive; what no rule allows is refused. */
#ifndef MCP_ACL_H
#define MCP_ACL_H

#include <apr_pools.h>
#include <apr_tables.h>

#include "base/status.h"
#include "policy/pattern.h"
#include "policy/scope.h"
#include "rpc/method.h"

typedef struct mcp_acl_t mcp_acl_t;

/* Is operation well-formed (design section 3.2)? Returns NULL, or what is wrong and what to write (in p). *pwarning: NULL, or
 * a remark (a method that no revision knows). For use while configuration is read. */
const char *mcp_acl_check_operation(const char **pwarning, const char *operation, apr_pool_t *p);

/* No rules yet. scopes must outlive it. */
mcp_acl_t *mcp_acl_create(mcp_scopes_t *scopes, apr_pool_t *p);

/* Adds one rule: values (split at spaces, all needed; "*" = any valid token) may do each of operations (const char *, each
 * well-formed). Its names are interned. Call mcp_scopes_close after the last rule and before the first check. */
void mcp_acl_allow(mcp_acl_t *acl, const char *values, const apr_array_header_t *operations);

/* May a token that holds held do all count operations? MCP_OK; MCP_ACL_DENIED when one of them is allowed to nobody;
 * MCP_ACL_SCOPE otherwise, then *pneeded (const char *, in p, may be NULL if not wanted) is the smallest set of values that
 * would allow all of them together, held ones included, in the order of the rules: per operation the rule with the fewest
 * values beyond those already chosen, then with the fewest values the token lacks, then the first. Equal for equal
 * input. Time does not grow with the number of rules that name something else exactly or by another literal prefix. */
mcp_status_t mcp_acl_check(const apr_array_header_t **pneeded, const mcp_acl_t *acl, const mcp_valueset_t *held,
                           const mcp_operation_t *operations, int count, apr_pool_t *p);

/* Could a token that holds held do operation for at least one object that matches object? Where operation->object would
 * stand, object is a pattern: of a URI template, say. A rule covers part of it when some text matches both. */
int mcp_acl_reaches(const mcp_acl_t *acl, const mcp_valueset_t *held, const mcp_operation_t *operation,
                    const mcp_pattern_t *object);

/* What a server can offer (MCP, capabilities of servers). */
enum {
    MCP_FEATURE_TOOLS = 1,       /* tools/... */
    MCP_FEATURE_RESOURCES = 2,   /* resources/... */
    MCP_FEATURE_PROMPTS = 4,     /* prompts/... */
    MCP_FEATURE_COMPLETIONS = 8, /* completion/complete */
    MCP_FEATURE_LOGGING = 16,    /* logging/setLevel */
    MCP_FEATURE_TASKS = 32       /* tasks/... */
};

/* The features of which at least one operation is allowed to a token that holds held: a set of MCP_FEATURE_*. */
unsigned mcp_acl_features(const mcp_acl_t *acl, const mcp_valueset_t *held);

#endif
