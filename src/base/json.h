/* Strict JSON (RFC 8259) on jansson: what two parsers could read differently is refused. */
#ifndef MCP_JSON_H
#define MCP_JSON_H

#include <apr_pools.h>
#include <jansson.h>

#include "base/status.h"

/* From now on the process ends when jansson needs memory and there is none, as APR has it end: jansson 2.14 does not notice
 * that the buffer of a text could not grow, and goes on without a byte of it, or beyond the block. For a process that never
 * unloads this code (a child of httpd), before it has threads. */
void mcp_json_init(void);

/* Parses len bytes of UTF-8 as exactly one JSON value of any kind, after mcp_jsoncheck_strict has judged them: its errors, and
 * *pjson = NULL. Containers may nest max_depth deep; the top-level one has depth 1. The value belongs to p (json_decref by
 * cleanup), or to the caller when p is NULL. Integers beyond 64 bits become reals. */
mcp_status_t mcp_json_parse(json_t **pjson, const char *data, apr_size_t len, int max_depth, apr_pool_t *p);

/* The same for a document that must be a JSON object: everything else is MCP_JSON_SYNTAX. */
mcp_status_t mcp_json_parse_object(json_t **pobject, const char *data, apr_size_t len, int max_depth, apr_pool_t *p);

/* Is key the name in another spelling: equal under simple case folding (ASCII, U+017F, U+212A), and not identical?
 * Some decoders take such a key for the name. key is NUL-terminated UTF-8. */
int mcp_json_is_variant(const char *key, const char *name);

/* Is value (NULL: no) a string of exactly this text? Compared with its length, for a NUL ends no string. */
int mcp_json_is_text(const json_t *value, const char *text);

#endif
