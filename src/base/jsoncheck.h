/* Is it JSON (RFC 8259)? In one pass over the text, without recursion, and without building anything. */
#ifndef MCP_JSONCHECK_H
#define MCP_JSONCHECK_H

#include "base/jsontext.h"
#include "base/status.h"

/* Is data exactly one JSON value by the grammar, containers nested at most max_depth deep (the top-level one has depth 1;
 * max_depth beyond MCP_JSONTEXT_DEPTH counts as that)? White space around it is allowed, a byte order mark is not. What
 * strings stand for is not judged: lone surrogates, \u0000 and bytes that are no UTF-8 pass, as do numbers of any size and
 * members that stand twice. *pspan is the value. map: if not NULL, is filled for walks over the text, with at most half a byte for
 * each of the text. Time proportional to len. */
int mcp_jsoncheck_grammar(mcp_span_t *pspan, const char *data, apr_size_t len, int max_depth, mcp_jsonmap_t *map);

/* The same, and nothing that two parsers could read differently. *pspan is the value on MCP_OK only. The first fault of the
 * text counts; a NUL byte or a byte order mark before all others.
 * MCP_JSON_TEXT: a NUL byte, \u0000, a byte order mark, ill-formed UTF-8, a lone surrogate. MCP_JSON_DEPTH. MCP_JSON_VALUES:
 * more than MCP_LIMIT_VALUES. MCP_JSON_DUPLICATE: a member that stands twice in one object at any level, after unescaping
 * (RFC 8259 section 4); for a long object known at its end. MCP_JSON_NUMBER: one that a double rounds to infinity.
 * MCP_JSON_SYNTAX: the rest, also an empty text, and anything but white space behind the value. MCP_INTERNAL: no memory or no
 * random numbers, or 2 GiB of text. Time proportional to len, but for luck that nobody can force (base/siphash.h); less than 16
 * bytes for each member of open objects, and as many more for each of a long one while it ends. */
mcp_status_t mcp_jsoncheck_strict(mcp_span_t *pspan, const char *data, apr_size_t len, int max_depth,
                                  mcp_jsonmap_t *map);

#endif
