#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "token/claims.h"
#include "token/jws.h"
#include "token/token.h"

static const mcp_trust_t *trust_find(const apr_array_header_t *trusts, const json_t *iss)
{
    int i;

    for (i = 0; i < trusts->nelts; i++) {
        const mcp_trust_t *trust = APR_ARRAY_IDX(trusts, i, const mcp_trust_t *);

        if (mcp_json_is_text(iss, trust->issuer)) {
            return trust;
        }
    }
    return NULL;
}

/* The bit of a header typ; 0 for a kind that is no access token here (RFC 8725 section 3.11). */
static int type_of(const char *typ)
{
    if (!typ) {
        return MCP_TYPE_NONE;
    }
    if (!strcmp(typ, "at+jwt")) {
        return MCP_TYPE_AT_JWT;
    }
    return !strcmp(typ, "jwt") ? MCP_TYPE_JWT : 0;
}

static mcp_status_t signature_check(const mcp_jws_t *jws, mcp_keycache_t *keys, mcp_token_lack_t *lack)
{
    mcp_keyset_t *set = mcp_keycache_get(keys);
    mcp_status_t status;

    if (!set) {
        return MCP_KEYS_UNAVAILABLE;
    }
    status = mcp_jws_verify_set(&lack->kid, jws, set);
    mcp_keyset_release(set);
    return status;
}

/* A claim that has to be a string where it stands. Returns 0 if it is anything else. */
static int text_get(const char **ptext, const json_t *claims, const char *name)
{
    const json_t *value = json_object_get(claims, name);

    *ptext = json_string_value(value);
    return !value || json_is_string(value);
}

static int is_filled(const json_t *value)
{
    return json_is_string(value) && json_string_length(value);
}

static int is_text_array(const json_t *value)
{
    apr_size_t i;

    for (i = 0; i < json_array_size(value); i++) {
        if (!json_is_string(json_array_get(value, i))) {
            return 0;
        }
    }
    return json_is_array(value);
}

/* RFC 9068 sections 2.2 to 2.2.3 beyond what every token needs; that iat is a date has been checked. */
static int has_profile(const json_t *claims)
{
    const json_t *scope = json_object_get(claims, "scope"), *acr = json_object_get(claims, "acr");
    const json_t *auth_time = json_object_get(claims, "auth_time"), *amr = json_object_get(claims, "amr");

    return is_filled(json_object_get(claims, "sub")) && is_filled(json_object_get(claims, "client_id")) &&
           is_filled(json_object_get(claims, "jti")) && json_object_get(claims, "iat") &&
           (!scope || json_is_string(scope)) && (!acr || json_is_string(acr)) &&
           (!auth_time || json_is_number(auth_time)) && (!amr || is_text_array(amr));
}

static mcp_status_t claims_read(mcp_token_t *token)
{
    const char *client_id, *azp;

    if (!text_get(&token->sub, token->claims, "sub") || !text_get(&client_id, token->claims, "client_id") ||
        !text_get(&azp, token->claims, "azp") ||
        (token->generation && token->trust->types == MCP_TYPE_AT_JWT && !has_profile(token->claims))) {
        return MCP_TOKEN_CLAIMS;
    }
    token->client = client_id ? client_id : azp;
    return MCP_OK;
}

mcp_status_t mcp_token_check(mcp_token_t *result, mcp_token_step_t *pstep, int at_jwt, apr_time_t now, apr_pool_t *p)
{
    const mcp_trust_t *trust = result->trust;
    mcp_times_t times = { 0, 0 };
    mcp_status_t status;

    *pstep = MCP_STEP_KIND;
    status = mcp_claims_check_kind(result->claims, at_jwt);
    if (status == MCP_OK) {
        *pstep = MCP_STEP_TIMES;
        status = mcp_claims_check_times(&times, result->claims, trust->skew, now);
    }
    if (status == MCP_OK) {
        *pstep = MCP_STEP_AUDIENCE;
        status = mcp_claims_check_audience(result->claims, trust->audiences, trust->hierarchical, p);
    }
    if (status == MCP_OK) {
        *pstep = MCP_STEP_CLAIMS;
        status = claims_read(result);
    }
    if (status == MCP_OK) {
        *pstep = MCP_STEP_BINDING;
        status = mcp_claims_check_binding(&result->binding, result->claims);
    }
    if (status == MCP_OK) {
        *pstep = MCP_STEP_DONE;
    }
    result->not_after = times.not_after;
    result->not_before = times.not_before;
    return status;
}

const char *mcp_token_step_name(mcp_token_step_t step)
{
    static const char *const names[] = {
#define X(name, text) text,
        MCP_TOKEN_STEPS(X)
#undef X
    };

    return (unsigned int)step < MCP_STEP_DONE ? names[step] : "done";
}

/* Whose token does it say it is, and may it look like this? */
static mcp_status_t trust_check(mcp_token_t *token, mcp_token_step_t *pstep, const mcp_jws_t *jws,
                                const apr_array_header_t *trusts)
{
    const json_t *iss = json_object_get(token->claims, "iss");

    *pstep = MCP_STEP_PAYLOAD;
    if (!json_is_string(iss)) {
        return MCP_TOKEN_CLAIMS;
    }
    *pstep = MCP_STEP_ISSUER;
    token->trust = trust_find(trusts, iss);
    if (!token->trust) {
        return MCP_TOKEN_ISSUER;
    }
    *pstep = MCP_STEP_ALGORITHM;
    if (!(token->trust->algs & MCP_ALG_BIT(jws->alg->alg))) {
        return MCP_TOKEN_ALGORITHM;
    }
    *pstep = MCP_STEP_TYPE;
    return (token->trust->types & type_of(jws->typ)) ? MCP_OK : MCP_TOKEN_TYPE;
}

/* Takes the keys as they are now. Could newer ones change the verdict? */
static mcp_status_t keys_check(mcp_token_t *token, mcp_token_lack_t *lack, const mcp_jws_t *jws)
{
    mcp_keycache_t *keys = token->trust->keys;
    /* Before the keys: a set that changes in between makes the result look old, never new. */
    mcp_token_lack_t found = { .trust = token->trust, .generation = keys ? mcp_keycache_generation(keys) : 0 };
    mcp_status_t status = MCP_KEYS_UNAVAILABLE;

    token->generation = found.generation;
    if (found.generation) { /* a set that comes only now does not count: 0 must not look as if no key were needed */
        status = signature_check(jws, keys, &found);
    }
    if (status == MCP_KEYS_UNAVAILABLE || (status == MCP_TOKEN_KEY_UNKNOWN && found.kid)) {
        *lack = found;
    }
    lack->step = status == MCP_KEYS_UNAVAILABLE || status == MCP_TOKEN_KEY_UNKNOWN ? MCP_STEP_KEY : MCP_STEP_SIGNATURE;
    return status;
}

/* Everything up to the signature; the rest stands in the claims alone. */
static mcp_status_t jws_check(mcp_token_t *token, mcp_token_lack_t *lack, const mcp_jws_t *jws,
                              const apr_array_header_t *trusts, apr_pool_t *p)
{
    mcp_status_t status;

    lack->step = MCP_STEP_PAYLOAD;
    if (mcp_json_parse_object(&token->claims, (const char *)jws->payload, jws->payload_len, MCP_LIMIT_JOSE_DEPTH, p) !=
        MCP_OK) {
        return MCP_TOKEN_CLAIMS;
    }
    status = trust_check(token, &lack->step, jws, trusts);
    if (status == MCP_OK) {
        status = keys_check(token, lack, jws);
    }
    /* What could never be an access token need not wait for keys, nor be shown to anybody. */
    if (status == MCP_KEYS_UNAVAILABLE &&
        mcp_claims_check_kind(token->claims, type_of(jws->typ) == MCP_TYPE_AT_JWT) != MCP_OK) {
        memset(lack, 0, sizeof(*lack));
        lack->step = MCP_STEP_KIND;
        return MCP_TOKEN_TYPE;
    }
    return status;
}

mcp_status_t mcp_token_verify(mcp_token_t **ptoken, mcp_token_lack_t *lack, const char *token, apr_size_t len,
                              const apr_array_header_t *trusts, apr_time_t now, apr_pool_t *p)
{
    mcp_token_t *result = apr_pcalloc(p, sizeof(*result));
    mcp_token_lack_t unread;
    mcp_jws_t *jws;
    mcp_status_t status;

    *ptoken = NULL;
    lack = lack ? lack : &unread;
    memset(lack, 0, sizeof(*lack));
    lack->step = MCP_STEP_PARSE;
    status = mcp_jws_parse(&jws, token, len, MCP_JWS_TOKEN, p);
    if (status == MCP_OK) {
        status = jws_check(result, lack, jws, trusts, p);
    }
    if (status == MCP_OK) {
        status = mcp_token_check(result, &lack->step, type_of(jws->typ) == MCP_TYPE_AT_JWT, now, p);
    }
    if (status != MCP_OK) {
        return status;
    }
    result->kid = jws->kid;
    *ptoken = result;
    return MCP_OK;
}
