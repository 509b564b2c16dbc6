/* A token that is bound to its holder: does the one who sends it hold the key (DPoP) or the certificate (TLS)? */
#ifndef MCP_HTTPD_PROOF_H
#define MCP_HTTPD_PROOF_H

#include "httpd/request.h"

/* In post_config: makes the memory of used proofs, which outlives restarts, and the keys that go with it. */
int mcp_proof_post_config(server_rec *s);

/* Is the sender of r, who sent token (len bytes) with request->scheme, the one whom grant belongs to (RFC 9449 section 7,
 * RFC 8705 section 3)? Judged anew for each request; a DPoP proof is used up by that. */
mcp_status_t mcp_proof_check(request_rec *r, mcp_request_t *request, const mcp_grant_t *grant, const char *token,
                             apr_size_t len);

/* A nonce for the next proof (RFC 9449 section 8.2), in p; NULL when OpenSSL failed. */
const char *mcp_proof_nonce(apr_pool_t *p);

#endif
