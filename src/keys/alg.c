#include <string.h>

#include "keys/alg.h"

/* In the order of mcp_alg_t. */
/* clang-format off */
static const mcp_alg_info_t table[MCP_ALG_COUNT] = {
    { "RS256",   MCP_ALG_RS256,   MCP_KEY_RSA, NULL,      "SHA256", 0, 0 },
    { "RS384",   MCP_ALG_RS384,   MCP_KEY_RSA, NULL,      "SHA384", 0, 0 },
    { "RS512",   MCP_ALG_RS512,   MCP_KEY_RSA, NULL,      "SHA512", 0, 0 },
    { "PS256",   MCP_ALG_PS256,   MCP_KEY_RSA, NULL,      "SHA256", 1, 0 },
    { "PS384",   MCP_ALG_PS384,   MCP_KEY_RSA, NULL,      "SHA384", 1, 0 },
    { "PS512",   MCP_ALG_PS512,   MCP_KEY_RSA, NULL,      "SHA512", 1, 0 },
    { "ES256",   MCP_ALG_ES256,   MCP_KEY_EC,  "P-256",   "SHA256", 0, 32 },
    { "ES384",   MCP_ALG_ES384,   MCP_KEY_EC,  "P-384",   "SHA384", 0, 48 },
    { "ES512",   MCP_ALG_ES512,   MCP_KEY_EC,  "P-521",   "SHA512", 0, 66 },
    { "EdDSA",   MCP_ALG_EDDSA,   MCP_KEY_OKP, NULL,      NULL,     0, 0 },
    { "Ed25519", MCP_ALG_ED25519, MCP_KEY_OKP, "Ed25519", NULL,     0, 0 },
    { "Ed448",   MCP_ALG_ED448,   MCP_KEY_OKP, "Ed448",   NULL,     0, 0 },
};
/* clang-format on */

const mcp_alg_info_t *mcp_alg_find(const char *name, apr_size_t len)
{
    int i;

    for (i = 0; i < MCP_ALG_COUNT; i++) {
        if (strlen(table[i].name) == len && !memcmp(table[i].name, name, len)) {
            return &table[i];
        }
    }
    return NULL;
}

const mcp_alg_info_t *mcp_alg_info(mcp_alg_t alg)
{
    return (unsigned)alg < MCP_ALG_COUNT ? &table[alg] : NULL;
}

apr_array_header_t *mcp_alg_names(mcp_algs_t algs, apr_pool_t *p)
{
    apr_array_header_t *names = apr_array_make(p, MCP_ALG_COUNT, sizeof(const char *));
    int i;

    for (i = 0; i < MCP_ALG_COUNT; i++) {
        if (algs & MCP_ALG_BIT(i)) {
            APR_ARRAY_PUSH(names, const char *) = table[i].name;
        }
    }
    return names;
}
