/* Introspection answers in a cache that others can read and write: sealed, so that nobody who has not the client
 * secret can read one, make one up, or put one in another token's place. */
#ifndef MCP_SEAL_H
#define MCP_SEAL_H

#include <apr_pools.h>
#include <apr_time.h>

#include "base/status.h"

#define MCP_SEAL_KEY_BYTES 32
#define MCP_SEAL_ID_BYTES 32
#define MCP_SEAL_OVERHEAD 64 /* bytes at most that sealing adds */

/* Makes the key of one introspection client (HKDF-SHA256 with a label of this use as salt, over secret; its info is
 * the SHA-256 of issuer, url and client_id, each with its length): servers of the same configuration have the same.
 * url may be NULL. 0 when the secret is empty, or OpenSSL failed. */
int mcp_seal_key(unsigned char key[MCP_SEAL_KEY_BYTES], const char *secret, const char *issuer, const char *url,
                 const char *client_id);

/* The name of a token in that cache: HMAC-SHA256 over the token. */
int mcp_seal_id(unsigned char id[MCP_SEAL_ID_BYTES], const unsigned char key[MCP_SEAL_KEY_BYTES], const char *token,
                apr_size_t len);

/* What is kept of an answer. */
typedef struct mcp_sealed_t {
    mcp_status_t status; /* MCP_OK or MCP_TOKEN_INACTIVE */
    apr_time_t until;    /* wall clock, microseconds: no good from then on */
    const char *text;    /* of MCP_OK: the answer's JSON */
    apr_size_t len;
} mcp_sealed_t;

/* Seals with AES-256-GCM under a key of this id, a fresh random nonce, and id as additional data. *pdata (in p) and
 * *plen are what may be stored. 0 when OpenSSL failed, the status is another, or len is over MCP_LIMIT_SHARED. */
int mcp_seal_close(const unsigned char **pdata, apr_size_t *plen, const mcp_sealed_t *sealed,
                   const unsigned char id[MCP_SEAL_ID_BYTES], const unsigned char key[MCP_SEAL_KEY_BYTES],
                   apr_pool_t *p);

/* Opens what was stored under id; the text lives in p. 0: not sealed with this key for this id, of another version, or
 * damaged. Whether it is still good is for the caller to say. */
int mcp_seal_open(mcp_sealed_t *sealed, const unsigned char *data, apr_size_t len,
                  const unsigned char id[MCP_SEAL_ID_BYTES], const unsigned char key[MCP_SEAL_KEY_BYTES],
                  apr_pool_t *p);

#endif
