/* Paths to try a pattern of the configuration with. */
#ifndef MCP_SAMPLE_H
#define MCP_SAMPLE_H

#include <apr_pools.h>
#include <apr_tables.h>

/* A few paths that a regular expression, or a pattern of apr_fnmatch, may match: alternatives one after the other, optional
 * parts left out and put in (const char *, in p, each with a slash at its beginning). They are guesses: hold them against the
 * pattern. */
apr_array_header_t *mcp_sample_regex(const char *regex, apr_pool_t *p);
apr_array_header_t *mcp_sample_fnmatch(const char *pattern, apr_pool_t *p);

#endif
