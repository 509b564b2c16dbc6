/* SipHash-2-4 (Aumasson and Bernstein, 2012): a hash for tables whose entries strangers choose. Without its key nobody can find
 * texts that share a slot. */
#ifndef MCP_SIPHASH_H
#define MCP_SIPHASH_H

#include <apr.h>

#define MCP_SIPHASH_KEY_BYTES 16

typedef struct mcp_siphash_t {
    apr_uint64_t v[4], word; /* word: of bytes that are not eight yet */
    apr_uint64_t len;        /* bytes so far */
} mcp_siphash_t;

/* Begins a hash under the MCP_SIPHASH_KEY_BYTES at key. */
void mcp_siphash_init(mcp_siphash_t *hash, const unsigned char *key);

/* Goes on with len bytes; in how many pieces they come does not matter. */
void mcp_siphash_add(mcp_siphash_t *hash, const char *data, apr_size_t len);

/* The hash of all that was added, which ends it. */
apr_uint64_t mcp_siphash_end(mcp_siphash_t *hash);

#endif
