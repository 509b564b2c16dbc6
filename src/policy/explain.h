/* Access rules in plain words, and what looks wrong in them, for who writes them. */
#ifndef MCP_EXPLAIN_H
#define MCP_EXPLAIN_H

#include <apr_pools.h>
#include <apr_tables.h>

typedef struct mcp_rule_t {
    const char *values;                   /* as written in McpOAuthAllow: names separated by spaces, or "*" */
    const apr_array_header_t *operations; /* const char *, each well-formed */
    const char *place;                    /* FILE:LINE, or NULL when it is not known */
} mcp_rule_t;

typedef struct mcp_implication_t {
    const char *value, *implied;
} mcp_implication_t;

typedef struct mcp_ruleset_t {
    const apr_array_header_t *rules;        /* mcp_rule_t, NULL: none */
    const apr_array_header_t *implications; /* mcp_implication_t, NULL: none */
    const apr_array_header_t *required;     /* const char *: scopes that every request needs anyway, NULL: none */
    const apr_array_header_t *asked;        /* const char *: values that something else asks for, NULL: none */
    int required_count; /* do they count as values of rules? Not when scopes and values are read from other claims */
} mcp_ruleset_t;

typedef struct mcp_right_t {
    const char *who;               /* "any valid token", or the values with who implies them: "a (or b, c) and d" */
    const apr_array_header_t *may; /* const char *: operations, groups written out, each once; "everything" alone */
} mcp_right_t;

/* All results and their texts live in p; control bytes in them are escaped. */

/* Who may do what: mcp_right_t in the order of the rules, those of equal values joined. */
apr_array_header_t *mcp_explain_rights(const mcp_ruleset_t *ruleset, apr_pool_t *p);

/* What no rule reaches, not even with every value at once (const char *): methods of the inventory (mcp_method_at) in its
 * order, then GET, DELETE and "response"; what is reached for some objects alone is there as well, with them:
 * "resources/read (only some: file:///docs/x)". */
apr_array_header_t *mcp_explain_unreached(const mcp_ruleset_t *ruleset, apr_pool_t *p);

/* Remarks (const char *): nobody may do initialize nor server/discover, so no client gets through the door; a rule that
 * allows nothing, or that others make useless (all that it allows is allowed by rules whose values its own values bring; of
 * two that make each other useless the later one), without the rules named so the rest means the same; a value that others
 * imply, though neither it nor anything that it implies is in a rule, required or asked for. */
apr_array_header_t *mcp_explain_remarks(const mcp_ruleset_t *ruleset, apr_pool_t *p);

/* text, safe to print on a terminal: bytes of control characters, of characters that turn the direction of writing, and
 * bytes that are no UTF-8 become \xHH. Returns text itself when there are none. */
const char *mcp_explain_clean(const char *text, apr_pool_t *p);

#endif
