#include "verify/verdict.h"

#include <string.h>

#include "base/limits.h"
#include "token/jws.h"
#include "verify/keys.h"

/* The check at which the judgement ended; what comes before it has passed, what comes behind it was not looked at. */
static void verdict_set(mcp_verdict_t *verdict, mcp_status_t status, mcp_token_step_t failed, const char *detail)
{
    int step;

    if (status != MCP_OK && failed >= MCP_STEP_DONE) {
        failed = MCP_STEP_PARSE; /* a refusal must not look as if everything had passed */
    }
    verdict->status = status;
    for (step = 0; step < (int)(status == MCP_OK ? MCP_STEP_DONE : failed); step++) {
        verdict->steps[step].outcome = MCP_CHECK_PASSED;
    }
    if (status != MCP_OK) {
        verdict->steps[failed].outcome = MCP_CHECK_FAILED;
        verdict->steps[failed].detail = detail ? detail : mcp_verdict_detail(status, failed);
    }
}

/* Why no key: of has_kid and known, the former is the token's, the latter whether the set has that kid. */
static const char *key_detail(int has_kid, int known)
{
    if (!has_kid) {
        return "The token names no key (kid), and no key of the set fits its algorithm";
    }
    return known ? "The key with the token's kid is not for the token's algorithm: see kty, crv and alg of the key"
                 : "The key set has no usable key with the token's kid; keys that are too weak, malformed or not for "
                   "signatures do not count";
}

/* --- all checks -------------------------------------------------------------------------------------------------- */

static int is_listed(const apr_array_header_t *list, const char *text)
{
    int i;

    for (i = 0; i < list->nelts; i++) {
        if (!strcmp(APR_ARRAY_IDX(list, i, const char *), text)) {
            return 1;
        }
    }
    return 0;
}

static void scope_judge(mcp_verdict_t *verdict, const mcp_token_t *token, const apr_array_header_t *wanted,
                        apr_pool_t *p)
{
    apr_array_header_t *held = apr_array_make(p, 8, sizeof(const char *));
    int i;

    mcp_claim_values(held, json_object_get(token->claims, "scope"), p);
    verdict->scope.outcome = MCP_CHECK_PASSED;
    for (i = 0; i < wanted->nelts; i++) {
        if (!is_listed(held, APR_ARRAY_IDX(wanted, i, const char *))) {
            verdict->status = MCP_SCOPE_MISSING;
            verdict->scope.outcome = MCP_CHECK_FAILED;
            verdict->scope.detail = "The token lacks a scope that was asked for: see its claim scope";
        }
    }
}

static const char *binding_detail(const mcp_binding_t *binding)
{
    if (binding->jkt && binding->x5t) {
        return "The token is bound to a DPoP key and to a client certificate: each request has to bring a proof of the "
               "one, and the other on its connection";
    }
    if (binding->jkt) {
        return "The token is bound to a DPoP key (cnf.jkt): each request has to bring a DPoP proof made with it";
    }
    return binding->x5t ? "The token is bound to a client certificate (cnf.x5t#S256): each request has to come on a "
                          "connection with it"
                        : NULL;
}

/* The kid is read again for the text alone: a token that came as far as to the keys can be parsed. */
static const char *lack_detail(const mcp_token_lack_t *lack, const char *token, apr_size_t len, apr_pool_t *p)
{
    mcp_jws_t *jws;

    if (mcp_jws_parse(&jws, token, len, MCP_JWS_TOKEN, p) != MCP_OK) {
        return NULL;
    }
    return key_detail(jws->kid != NULL, lack->kid == NULL);
}

static mcp_status_t keys_put(const char **pcause, mcp_keycache_t *keys, const mcp_options_t *options, apr_pool_t *p)
{
    mcp_keyset_t *set;

    *pcause = mcp_verify_keys(&set, options, p);
    if (*pcause) {
        return MCP_KEYS_UNAVAILABLE;
    }
    mcp_keycache_put(keys, set);
    return MCP_OK;
}

static void token_judge(mcp_verdict_t *verdict, const char *text, apr_size_t len, const mcp_options_t *options,
                        apr_pool_t *p)
{
    mcp_trust_t trust = { .issuer = options->issuer,
                          .audiences = options->audiences,
                          .hierarchical = options->hierarchical,
                          .algs = options->algs ? options->algs : MCP_ALGS_DEFAULT,
                          .types = options->types ? options->types : MCP_TYPES_DEFAULT,
                          .skew = options->skew };
    apr_array_header_t *trusts = apr_array_make(p, 1, sizeof(const mcp_trust_t *));
    const char *detail = NULL;
    mcp_token_lack_t lack;
    mcp_token_t *token = NULL;
    mcp_status_t status;

    if (mcp_keycache_create(&trust.keys, p) != APR_SUCCESS) {
        verdict_set(verdict, MCP_INTERNAL, MCP_STEP_KEY, NULL);
        return;
    }
    APR_ARRAY_PUSH(trusts, const mcp_trust_t *) = &trust;
    status = mcp_token_verify(&token, &lack, text, len, trusts, options->now, p);
    if (status == MCP_KEYS_UNAVAILABLE && keys_put(&detail, trust.keys, options, p) == MCP_OK) {
        status = mcp_token_verify(&token, &lack, text, len, trusts, options->now, p);
    }
    if (status == MCP_TOKEN_KEY_UNKNOWN) {
        detail = lack_detail(&lack, text, len, p);
    }
    verdict_set(verdict, status, lack.step, detail);
    if (status == MCP_OK) {
        verdict->steps[MCP_STEP_BINDING].detail = binding_detail(&token->binding);
        scope_judge(verdict, token, options->scopes, p);
    }
}

/* --- the signature alone ----------------------------------------------------------------------------------------- */

static mcp_status_t signature_judge(const char **pdetail, const mcp_jws_t *jws, const mcp_keyset_t *set)
{
    const mcp_jwk_t *found[MCP_LIMIT_KEYS];
    int i, n = mcp_keyset_find(found, MCP_LIMIT_KEYS, set, jws->kid, jws->alg->alg);

    for (i = 0; i < n; i++) {
        if (mcp_jws_verify(jws, found[i]) == MCP_OK) {
            return MCP_OK;
        }
    }
    *pdetail = n ? NULL : key_detail(jws->kid != NULL, jws->kid && mcp_keyset_has(set, jws->kid));
    return n ? MCP_TOKEN_SIGNATURE : MCP_TOKEN_KEY_UNKNOWN;
}

static mcp_status_t jws_judge(mcp_token_step_t *pstep, const char **pdetail, const char *text, apr_size_t len,
                              const mcp_options_t *options, apr_pool_t *p)
{
    mcp_jws_t *jws;
    mcp_keyset_t *set;
    mcp_status_t status = mcp_jws_parse(&jws, text, len, MCP_JWS_ANY, p);

    *pstep = MCP_STEP_PARSE;
    if (status != MCP_OK) {
        return status;
    }
    *pstep = MCP_STEP_ALGORITHM;
    if (options->algs && !(options->algs & MCP_ALG_BIT(jws->alg->alg))) {
        return MCP_TOKEN_ALGORITHM;
    }
    *pstep = MCP_STEP_KEY;
    *pdetail = mcp_verify_keys(&set, options, p);
    if (*pdetail) {
        return MCP_KEYS_UNAVAILABLE;
    }
    status = signature_judge(pdetail, jws, set);
    mcp_keyset_release(set);
    *pstep = status == MCP_TOKEN_KEY_UNKNOWN ? MCP_STEP_KEY : MCP_STEP_SIGNATURE;
    return status;
}

/* What it does not look at is not said to have passed. */
static void unchecked_clear(mcp_verdict_t *verdict, const mcp_options_t *options)
{
    int step;

    for (step = 0; step < MCP_STEP_DONE; step++) {
        if (step != MCP_STEP_PARSE && step != MCP_STEP_KEY && step != MCP_STEP_SIGNATURE &&
            !(step == MCP_STEP_ALGORITHM && options->algs)) {
            memset(&verdict->steps[step], 0, sizeof(verdict->steps[step]));
        }
    }
}

void mcp_verdict_reach(mcp_verdict_t *verdict, const char *token, apr_size_t len, const mcp_options_t *options,
                       apr_pool_t *p)
{
    mcp_token_step_t step;
    const char *detail = NULL;
    mcp_status_t status;

    memset(verdict, 0, sizeof(*verdict));
    if (!options->signature_only) {
        token_judge(verdict, token, len, options, p);
        return;
    }
    status = jws_judge(&step, &detail, token, len, options, p);
    verdict_set(verdict, status, step, detail);
    unchecked_clear(verdict, options);
}
