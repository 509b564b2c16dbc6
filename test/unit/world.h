/* A world for token tests: two issuers with keys of the same kids, and a location that trusts both. */
#ifndef MCP_WORLD_H
#define MCP_WORLD_H

#include "keys/keycache.h"
#include "sign.h"
#include "token/token.h"

#define ISSUER "https://as.example.com/realms/mcp"
#define OTHER_ISSUER "https://other.example.com"
#define RESOURCE "https://mcp.example.com/mcp"
#define NOW 1800000000 /* seconds */
#define SKEW 60
#define EVERY_ALG (MCP_ALG_BIT(MCP_ALG_COUNT) - 1)

typedef struct world_t {
    apr_pool_t *p;
    EVP_PKEY *rsa, *weak, *p256, *p384, *p521, *ed25519, *ed448, *stranger;
    mcp_trust_t trust, other; /* two issuers with different keys of the same kids */
    apr_array_header_t *trusts;
} world_t;

static inline mcp_keycache_t *cache_make(const char *keyset, apr_pool_t *p)
{
    mcp_keycache_t *cache;
    mcp_keyset_t *set = NULL;

    SIGN_MUST(mcp_keycache_create(&cache, p) == APR_SUCCESS);
    if (keyset) {
        SIGN_MUST(!mcp_keyset_parse(&set, keyset, strlen(keyset)));
        mcp_keycache_put(cache, set);
    }
    return cache;
}

static inline apr_array_header_t *list_make(const void *entry, apr_pool_t *p)
{
    apr_array_header_t *list = apr_array_make(p, 2, sizeof(const void *));

    APR_ARRAY_PUSH(list, const void *) = entry;
    return list;
}

static inline mcp_trust_t trust_make(const char *issuer, mcp_algs_t algs, const char *keyset, apr_pool_t *p)
{
    mcp_trust_t trust;

    trust.issuer = issuer;
    trust.audiences = list_make(RESOURCE, p);
    trust.hierarchical = 0;
    trust.algs = algs;
    trust.types = MCP_TYPES_DEFAULT;
    trust.skew = apr_time_from_sec(SKEW);
    trust.keys = cache_make(keyset, p);
    return trust;
}

static inline void world_make(world_t *w, apr_pool_t *p)
{
    w->p = p;
    w->rsa = sign_key("RSA2048", p);
    w->weak = sign_key("RSA1024", p);
    w->p256 = sign_key("P-256", p);
    w->p384 = sign_key("P-384", p);
    w->p521 = sign_key("P-521", p);
    w->ed25519 = sign_key("Ed25519", p);
    w->ed448 = sign_key("Ed448", p);
    w->stranger = sign_key("RSA2048", p);
    w->trust = trust_make(
        ISSUER, EVERY_ALG,
        sign_keyset(p, sign_jwk(w->rsa, "\"kid\":\"rsa\",", p), sign_jwk(w->weak, "\"kid\":\"weak\",", p),
                    sign_jwk(w->p256, "\"kid\":\"p256\",", p), sign_jwk(w->p384, "\"kid\":\"p384\",", p),
                    sign_jwk(w->p521, "\"kid\":\"p521\",", p), sign_jwk(w->ed25519, "\"kid\":\"ed25519\",", p),
                    sign_jwk(w->ed448, "\"kid\":\"ed448\",", p), "{\"kty\":\"oct\",\"kid\":\"oct\",\"k\":\"c2VjcmV0\"}",
                    NULL),
        p);
    w->other = trust_make(OTHER_ISSUER, MCP_ALGS_DEFAULT,
                          sign_keyset(p, sign_jwk(w->stranger, "\"kid\":\"rsa\",", p), NULL), p);
    w->trusts = list_make(&w->trust, p);
    APR_ARRAY_PUSH(w->trusts, const mcp_trust_t *) = &w->other;
}

static inline mcp_status_t verify_at(mcp_token_t **ptoken, const world_t *w, const char *token, apr_size_t len,
                                     apr_time_t now)
{
    mcp_token_t *result = (mcp_token_t *)&result;
    mcp_token_lack_t lack;
    mcp_status_t status = mcp_token_verify(&result, &lack, token, len, w->trusts, now, w->p);

    SIGN_MUST((status == MCP_OK) == (result != NULL) && (status == MCP_OK) == (lack.step == MCP_STEP_DONE));
    *ptoken = result;
    return status;
}

static inline mcp_status_t verify(const world_t *w, const char *token)
{
    mcp_token_t *result;

    return verify_at(&result, w, token, strlen(token), apr_time_from_sec(NOW));
}

static inline const char *head(const world_t *w, const char *alg, const char *kid)
{
    return apr_psprintf(w->p, "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"at+jwt\"}", alg, kid);
}

/* A claims set that is good but for the members that follow exp and iss. */
static inline const char *claims(const world_t *w, const char *members)
{
    return apr_psprintf(w->p, "{\"iss\":\"" ISSUER "\",\"aud\":\"" RESOURCE "\",\"exp\":%d%s}", NOW + 300, members);
}

static inline const char *timed(const world_t *w, const char *members)
{
    return apr_psprintf(w->p, "{\"iss\":\"" ISSUER "\",\"aud\":\"" RESOURCE "\"%s}", members);
}

#endif
