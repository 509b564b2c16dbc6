/* The key set that the command verifies with. */
#ifndef MCP_VERIFY_KEYS_H
#define MCP_VERIFY_KEYS_H

#include "keys/keyset.h"
#include "verify/options.h"

/* Reads, fetches or discovers it as the options say; a file may also hold one JWK alone. Returns NULL, and the caller
 * releases *pset, or the cause of the failure (in p or static). */
const char *mcp_verify_keys(mcp_keyset_t **pset, const mcp_options_t *options, apr_pool_t *p);

#endif
