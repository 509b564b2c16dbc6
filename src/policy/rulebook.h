/* A set of access rules, read to be compared: which operations each rule allows, and which rules cover which. */
#ifndef MCP_RULEBOOK_H
#define MCP_RULEBOOK_H

#include "policy/explain.h"
#include "policy/scope.h"
#include "policy/selector.h"

/* A set of operations that rules allow as one. */
typedef struct mcp_atom_t {
    int all; /* everything there is */
    mcp_operation_kind_t kind;
    const char *method;           /* NULL: those of the pattern, with any object */
    const mcp_pattern_t *methods; /* where method is NULL */
    mcp_object_t object_kind;     /* NONE: it touches no object */
    const mcp_pattern_t *object;  /* which objects; NULL for NONE */
    const char *via;              /* subscriptions/listen, for entries of it; else NULL */
} mcp_atom_t;

typedef struct mcp_line_t {
    const mcp_rule_t *rule;
    apr_array_header_t *numbers;   /* int: its values, each once; none: any valid token */
    apr_array_header_t *selectors; /* mcp_selector_t, no group among them */
    mcp_valueset_t brings;         /* its values, those that are required anyway, and all that these imply */
} mcp_line_t;

typedef struct mcp_rulebook_t {
    apr_pool_t *pool;
    const mcp_ruleset_t *ruleset;
    mcp_scopes_t *scopes;      /* closed */
    int names;                 /* how many it knows */
    apr_array_header_t *lines; /* mcp_line_t: the rules, but for those without a value, which allow nothing */
    mcp_pattern_t any;         /* "*" */
} mcp_rulebook_t;

#define MCP_LINE(book, i) (&APR_ARRAY_IDX((book)->lines, i, mcp_line_t))
#define MCP_SELECTOR(line, i) (&APR_ARRAY_IDX((line)->selectors, i, mcp_selector_t))

/* ruleset must outlive the book, which lives in p. */
void mcp_rulebook_read(mcp_rulebook_t *book, const mcp_ruleset_t *ruleset, apr_pool_t *p);

/* What a selector that is no group allows, taken apart (mcp_atom_t, in p). Together they are all of it, no more; none: it
 * allows nothing. */
apr_array_header_t *mcp_rulebook_atoms(const mcp_rulebook_t *book, const mcp_selector_t *selector, apr_pool_t *p);

/* Does the selector allow all of the atom (some: at least a part of it)? As mcp_acl_check judges; all of it only when one
 * selector alone does. */
int mcp_atom_covered(const mcp_atom_t *atom, const mcp_selector_t *selector, int some);
int mcp_line_covers(const mcp_line_t *line, const mcp_atom_t *atom);

/* Are the values of two lines the same? Does whoever has those of line, and what is required, have those of other? */
int mcp_line_equals(const mcp_line_t *line, const mcp_line_t *other);
int mcp_line_brings(const mcp_line_t *line, const mcp_line_t *other);

#endif
