/* JSON text read in place (RFC 8259): spans of the text instead of values, for what must be passed on byte for byte. */
#ifndef MCP_JSONTEXT_H
#define MCP_JSONTEXT_H

#include <apr_pools.h>
#include <apr_tables.h>

#define MCP_JSONTEXT_DEPTH 1024

/* Part of a text, not NUL-terminated, no white space around it. */
typedef struct mcp_span_t {
    const char *text;
    apr_size_t len;
} mcp_span_t;

/* Steps over the string whose opening quote is at s, closing quote included; end when it is not closed. */
const char *mcp_jsontext_skip(const char *s, const char *end);

/* Where the long values of a text end, those down to a few levels, so that a walk over what is around them does not read them
 * again. From mcp_jsoncheck_grammar or mcp_jsoncheck_strict. */
typedef struct mcp_jsonmap_t {
    apr_pool_t *p;             /* for longs; the caller's to set */
    const char *data;          /* the whole text */
    apr_array_header_t *longs; /* mcp_jsonlong_t in the order of their begins; NULL: there are none */
} mcp_jsonmap_t;

typedef struct mcp_jsonlong_t {
    apr_uint32_t begin, end; /* bytes from data */
} mcp_jsonlong_t;

/* Walks over the members of an object or the elements of an array in a text that mcp_jsoncheck_grammar or mcp_jsoncheck_strict has
 * accepted. */
typedef struct mcp_jsonwalk_t {
    const char *at, *end;
    int type; /* '{' or '[' */
    const mcp_jsonmap_t *map;
    int next; /* of map->longs, that may be ahead */
} mcp_jsonwalk_t;

/* Begins a walk; returns '{' or '[', or 0 when container is neither. White space before it is skipped. map: of the text that
 * container is in; NULL does as well, and takes longer. */
int mcp_jsonwalk_open(mcp_jsonwalk_t *walk, mcp_span_t container, const mcp_jsonmap_t *map);

/* The next member or element; returns 0 at the end. key: what stands between its quotes, still escaped; text is NULL in an
 * array. key may be NULL. */
int mcp_jsonwalk_next(mcp_span_t *key, mcp_span_t *value, mcp_jsonwalk_t *walk);

/* Does an escaped key (between its quotes) stand for name? */
int mcp_jsontext_is(mcp_span_t key, const char *name);

/* How an escaped key (between its quotes, without a NUL) and name compare. The name has less than MCP_JSONTEXT_NAME / 3 bytes,
 * and begins in ASCII. */
#define MCP_JSONTEXT_NAME 160
enum { MCP_NAME_OTHER, MCP_NAME_SAME, MCP_NAME_VARIANT /* mcp_json_is_variant */ };
int mcp_jsontext_match(mcp_span_t key, const char *name);

/* The string that a value (its quotes included) stands for, in p. NULL when it is no string, or one that the gate would
 * refuse: with a NUL, a lone surrogate, or ill-formed UTF-8. */
const char *mcp_jsontext_string(mcp_span_t value, apr_pool_t *p);

/* The same for an escaped key between its quotes. */
const char *mcp_jsontext_key(mcp_span_t key, apr_pool_t *p);

#endif
