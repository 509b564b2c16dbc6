/* JWS signature algorithms (RFC 7518 section 3.1, RFC 8037, RFC 9864). Symmetric ones and "none" do not exist here. */
#ifndef MCP_ALG_H
#define MCP_ALG_H

#include <apr_tables.h>

typedef enum {
    MCP_ALG_RS256,
    MCP_ALG_RS384,
    MCP_ALG_RS512,
    MCP_ALG_PS256,
    MCP_ALG_PS384,
    MCP_ALG_PS512,
    MCP_ALG_ES256,
    MCP_ALG_ES384,
    MCP_ALG_ES512,
    MCP_ALG_EDDSA,   /* RFC 8037: Ed25519 and Ed448 keys */
    MCP_ALG_ED25519, /* RFC 9864, fully specified */
    MCP_ALG_ED448,
    MCP_ALG_COUNT
} mcp_alg_t;

/* A set of algorithms, bit 1 << mcp_alg_t. */
typedef apr_uint32_t mcp_algs_t;
#define MCP_ALG_BIT(alg) ((mcp_algs_t)1 << (alg))
/* What the McpOAuthAlgorithms default holds: all but the two fully specified Edwards names. */
#define MCP_ALGS_DEFAULT (MCP_ALG_BIT(MCP_ALG_ED25519) - 1)

typedef enum { MCP_KEY_RSA, MCP_KEY_EC, MCP_KEY_OKP } mcp_key_type_t;

typedef struct mcp_alg_info_t {
    const char *name; /* exact "alg" value */
    mcp_alg_t alg;
    mcp_key_type_t kty;
    const char *curve;  /* the only JWK "crv" it goes with, NULL: no curve (RSA) or any Edwards curve (EdDSA) */
    const char *digest; /* OpenSSL's name; NULL for Edwards curves */
    int pss;            /* RSASSA-PSS, salt as long as the digest (RFC 7518 section 3.5) */
    int coordinate;     /* EC: bytes of R and of S (RFC 7518 section 3.4) */
} mcp_alg_info_t;

/* The algorithm of that exact, case-sensitive name of len bytes, or NULL. Static memory. */
const mcp_alg_info_t *mcp_alg_find(const char *name, apr_size_t len);
const mcp_alg_info_t *mcp_alg_info(mcp_alg_t alg);

/* The names of a set in the order above: const char *, in p. */
apr_array_header_t *mcp_alg_names(mcp_algs_t algs, apr_pool_t *p);

#endif
