/* Mcp-Session-Id bound to a principal without any state: the id that clients see carries a keyed tag (MCP Security Best
 * Practices, Session Hijacking; Transports, Session Management, revisions up to 2025-11-25). */
#ifndef MCP_SESSION_H
#define MCP_SESSION_H

#include <apr_pools.h>

#define MCP_SESSION_KEY_BYTES 32

/* Whose session it is; NULL differs from "". */
typedef struct mcp_principal_t {
    const char *resource; /* resource identifier of the location */
    const char *iss, *sub, *client;
} mcp_principal_t;

/* Makes the key of secret text of any length but none (HKDF-SHA256 with a label of this use). 0: no secret, or OpenSSL
 * failed. */
int mcp_session_key(unsigned char key[MCP_SESSION_KEY_BYTES], const void *secret, apr_size_t len);

/* The id of a backend as clients get it: id.TAG, TAG being base64url of HMAC-SHA256 over the principal's parts (each with its
 * length, so no two principals read the same) and id. In p. NULL: id is not visible ASCII (%x21-7E), empty, over
 * MCP_LIMIT_SESSION bytes, or OpenSSL failed: then no id must reach the client. */
const char *mcp_session_wrap(const char *id, const mcp_principal_t *principal, const unsigned char *key, apr_pool_t *p);

/* The backend's id of what a client sent; NULL when the tag is not that of this principal (compared in constant time), or
 * there is none. In p. */
const char *mcp_session_unwrap(const char *wrapped, const mcp_principal_t *principal, const unsigned char *key,
                               apr_pool_t *p);

#endif
