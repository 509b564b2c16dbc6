/* JSON text read in place (RFC 8259): spans of the text instead of values, for what must be passed on byte for byte. */
#ifndef MCP_JSONTEXT_H
#define MCP_JSONTEXT_H

#include <apr_pools.h>

#define MCP_JSONTEXT_DEPTH 1024

/* Part of a text, not NUL-terminated, no white space around it. */
typedef struct mcp_span_t {
    const char *text;
    apr_size_t len;
} mcp_span_t;

/* Steps over the string whose opening quote is at s, closing quote included; end when it is not closed. What is wrong
 * with it is added to *pfaults, also for a text that nothing has accepted. */
enum {
    MCP_STRING_MALFORMED = 1, /* not closed, a raw control character, an escape that there is not */
    MCP_STRING_HALF = 2       /* an escape that stands for half a character (a lone surrogate) */
};
const char *mcp_jsontext_skip(unsigned *pfaults, const char *s, const char *end);

/* Is data exactly one JSON value by the grammar of RFC 8259, containers nested at most max_depth deep (the top-level one
 * has depth 1; max_depth beyond MCP_JSONTEXT_DEPTH counts as that)? White space around it is allowed, a byte order mark is
 * not. What strings stand for is not judged: lone surrogates, \u0000 and bytes that are no UTF-8 pass, as do numbers of any
 * size and members that stand twice. *pspan is the value. Without recursion, time proportional to len. */
int mcp_jsontext_check(mcp_span_t *pspan, const char *data, apr_size_t len, int max_depth);

/* Walks over the members of an object or the elements of an array in a text that mcp_jsontext_check or mcp_json_parse has
 * accepted. */
typedef struct mcp_jsonwalk_t {
    const char *at, *end;
    int type; /* '{' or '[' */
} mcp_jsonwalk_t;

/* Begins a walk; returns '{' or '[', or 0 when container is neither. White space before it is skipped. */
int mcp_jsonwalk_open(mcp_jsonwalk_t *walk, mcp_span_t container);

/* The next member or element; returns 0 at the end. key: what stands between its quotes, still escaped; text is NULL in an
 * array. key may be NULL. */
int mcp_jsonwalk_next(mcp_span_t *key, mcp_span_t *value, mcp_jsonwalk_t *walk);

/* Does an escaped key (between its quotes) stand for name? */
int mcp_jsontext_is(mcp_span_t key, const char *name);

/* The string that a value (its quotes included) stands for, in p. NULL when it is no string, or one that the gate would
 * refuse: with a NUL, a lone surrogate, or ill-formed UTF-8. */
const char *mcp_jsontext_string(mcp_span_t value, apr_pool_t *p);

/* The same for an escaped key between its quotes. */
const char *mcp_jsontext_key(mcp_span_t key, apr_pool_t *p);

/* The value of the member of that name in an object; returns 0 if absent. */
int mcp_jsontext_member(mcp_span_t *value, mcp_span_t object, const char *name);

#endif
