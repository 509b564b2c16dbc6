/* Scope and role values: the names a policy knows, who implies whom, and the set that one token holds. */
#ifndef MCP_SCOPE_H
#define MCP_SCOPE_H

#include <apr_pools.h>
#include <apr_tables.h>

/* All names one policy mentions, numbered from 0. Built once, then read-only. */
typedef struct mcp_scopes_t mcp_scopes_t;
/* A set of those names; words is the same for all sets of one mcp_scopes_t. */
typedef struct mcp_valueset_t {
    apr_uint32_t *bits;
    int words;
} mcp_valueset_t;

mcp_scopes_t *mcp_scopes_create(apr_pool_t *p);
int mcp_scopes_intern(mcp_scopes_t *scopes, const char *name); /* the number of name, given out on first sight */
const char *mcp_scopes_name(const mcp_scopes_t *scopes, int number);
void mcp_scopes_imply(mcp_scopes_t *scopes, const char *value, const char *implied);
/* Ends the building: works out who implies whom, transitively; cycles are allowed (all of them are equal then). */
void mcp_scopes_close(mcp_scopes_t *scopes, apr_pool_t *p);
int mcp_scopes_words(const mcp_scopes_t *scopes); /* apr_uint32_t a set needs, at least 1 */

/* The known ones among values (const char *) and all that they imply. Needs a closed scopes. */
void mcp_scopes_collect(mcp_valueset_t *set, const mcp_scopes_t *scopes, const apr_array_header_t *values,
                        apr_pool_t *p);
int mcp_valueset_has(const mcp_valueset_t *set, int number);

/* Is text one scope-token (RFC 6749 section 3.3: %x21 / %x23-5B / %x5D-7E)? */
int mcp_scope_valid(const char *text);

#endif
