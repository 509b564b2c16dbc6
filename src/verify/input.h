/* What the command reads: files and standard input, up to a ceiling. */
#ifndef MCP_INPUT_H
#define MCP_INPUT_H

#include <apr_pools.h>

/* Reads a file, or standard input for NULL, up to most bytes into p. Where there is more, *plen is most + 1. Returns NULL,
 * or the system's reason (in p), which does not name the file. */
const char *mcp_input_read(const char **pdata, apr_size_t *plen, const char *path, apr_size_t most, apr_pool_t *p);

/* Leaves out the white space around a token, and one "Bearer " in front of it. */
void mcp_input_trim(const char **ptoken, apr_size_t *plen);

#endif
