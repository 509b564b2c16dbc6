/* Patterns of access rules: '*' matches any run of bytes, also none; "\*" is a star and "\\" a backslash; the rest is exact. */
#ifndef MCP_PATTERN_H
#define MCP_PATTERN_H

#include <apr_pools.h>

typedef struct mcp_pattern_t {
    int exact;           /* no star in it: literal is all there is */
    const char *literal; /* exact: the whole unescaped text; else what stands before the first star */
    apr_size_t literal_len;
    const char **parts; /* unescaped literals between the stars, parts[0] == literal, the last one may be "" */
    int count;          /* of parts, stars + 1 */
} mcp_pattern_t;

/* Returns NULL, or what is malformed (static text): empty, a backslash before anything but '*' and '\'. Lives in p. */
const char *mcp_pattern_compile(mcp_pattern_t *pattern, const char *text, apr_pool_t *p);

/* Does the pattern match all of text? Time at most proportional to the product of both lengths, no recursion. */
int mcp_pattern_match(const mcp_pattern_t *pattern, const char *text);

/* Is there a text that both match? Time and memory at most proportional to the product of both lengths, no recursion. */
int mcp_pattern_meets(const mcp_pattern_t *a, const mcp_pattern_t *b);

/* Does a match every text that b matches? What a star of b stands for is taken by a star of a alone, so yes is always true, and
 * no is too unless the literals of a use up all bytes there are. Time at most proportional to the product of both lengths, no memory, no recursion. */
int mcp_pattern_covers(const mcp_pattern_t *a, const mcp_pattern_t *b);

/* The pattern of all URIs that a URI template may become: an expression {...} stands for any run of bytes, a brace that is
 * not closed too; the rest is exact (RFC 6570 section 2). */
void mcp_pattern_of_template(mcp_pattern_t *pattern, const char *uri_template, apr_pool_t *p);

#endif
