/* Every ceiling on input that somebody else controls, in one place. Each has a test one byte above it. */
#ifndef MCP_LIMITS_H
#define MCP_LIMITS_H

#define MCP_LIMIT_TOKEN 16384             /* bytes of a compact JWS; httpd's own header limit is usually lower */
#define MCP_LIMIT_KID 256                 /* bytes of a key id, in a token or a key set */
#define MCP_LIMIT_JOSE_DEPTH 16           /* containers inside each other in a JOSE header or a claims set */
#define MCP_LIMIT_DOCUMENT (1024 * 1024)  /* bytes of a fetched document: key set, metadata */
#define MCP_LIMIT_DOC_DEPTH 32            /* containers inside each other in a fetched document */
#define MCP_LIMIT_KEYS 128                /* usable keys kept from one key set */
#define MCP_LIMIT_CANDIDATES 8            /* keys tried for one token */
#define MCP_LIMIT_RSA_MIN 2048            /* bits, RFC 7518 section 3.3 */
#define MCP_LIMIT_RSA_MAX 8192            /* bits: verification time grows with the square */
#define MCP_LIMIT_TIME 253402300799.0     /* seconds: 9999-12-31T23:59:59Z, no NumericDate is later */
#define MCP_LIMIT_VALUES 131072           /* values in one JSON text: some 200 bytes each where a tree is made of it */
#define MCP_LIMIT_NAME 8192               /* bytes of a method, tool or prompt name or a URI that is judged */
#define MCP_LIMIT_ID 1024                 /* bytes of the text of a JSON-RPC id */
#define MCP_LIMIT_LISTEN 1024             /* entries of one subscriptions/listen */
#define MCP_LIMIT_BATCH 64                /* messages of one batch */
#define MCP_LIMIT_LIST (16 * 1024 * 1024) /* bytes of a backend's JSON answer or event that is held to be filtered */
#define MCP_LIMIT_LIST_DEPTH 256          /* containers inside each other in such a text */
#define MCP_LIMIT_SESSION 1024            /* bytes of a backend's session id that is bound */
#define MCP_LIMIT_PROOF 8192              /* bytes of a DPoP proof */
#define MCP_LIMIT_PROOF_CLAIM 1024        /* bytes of the jti, htu or nonce of a proof */
#define MCP_LIMIT_ANSWER (64 * 1024)      /* bytes of an introspection answer */
#define MCP_LIMIT_SHARED 12288            /* bytes of an introspection answer that is kept for other processes */

#endif
