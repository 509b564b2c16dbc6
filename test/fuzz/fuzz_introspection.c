/* Answers of an authorization server about a token: only one that says "active": true in strict JSON, signed as it should
 * be where that is asked for, is one. C06, RFC 7662, RFC 9701. Input: flags ('s' signed answers are wanted, 'r' the body as
 * it is, else it is the payload of an answer that is signed) NUL status NUL Content-Type NUL Retry-After NUL header of the
 * JWS NUL body. */
#include "fuzz_sign.h"

#include "base/json.h"
#include "base/limits.h"
#include "keys/keycache.h"
#include "token/introspection.h"

#define ISSUER "https://as.example.com"
#define AUDIENCE "https://mcp.example.com/mcp"
#define TOKEN "opaque+token/1=="
#define SECRET "s3cr3t of the client"

static mcp_http_response_t answer_given;

static apr_status_t exchange(mcp_http_response_t **presponse, const char **perror, const mcp_http_request_t *request,
                             apr_pool_t *p)
{
    *presponse = &answer_given;
    *perror = NULL;
    MUST(!strncmp(request->form, "token=opaque%2Btoken%2F1%3D%3D&token_type_hint=access_token", 59));
    MUST(request->max_body == MCP_LIMIT_ANSWER);
    return APR_SUCCESS;
}

static const mcp_trust_t *trust_get(void)
{
    static const char set_text[] = "{\"keys\":[" FUZZ_JWK "]}";
    static mcp_trust_t trust;
    apr_array_header_t *audiences;
    mcp_keyset_t *set;
    apr_pool_t *p;

    if (!trust.issuer) {
        fuzz_keep_begin();
        p = fuzz_pool();
        audiences = apr_array_make(p, 1, sizeof(const char *));
        APR_ARRAY_PUSH(audiences, const char *) = AUDIENCE;
        trust.audiences = audiences;
        trust.algs = MCP_ALGS_DEFAULT;
        trust.types = MCP_TYPES_DEFAULT;
        trust.skew = apr_time_from_sec(60);
        MUST(mcp_keycache_create(&trust.keys, p) == APR_SUCCESS);
        MUST(!mcp_keyset_parse(&set, set_text, sizeof(set_text) - 1));
        mcp_keycache_put(trust.keys, set);
        trust.issuer = ISSUER;
        fuzz_keep_end();
    }
    return &trust;
}

static int is_for_us(const json_t *aud, const char *who)
{
    for (size_t i = 0; i < json_array_size(aud); i++) {
        if (mcp_json_is_text(json_array_get(aud, i), who)) {
            return 1;
        }
    }
    return mcp_json_is_text(aud, who);
}

/* An answer is good as a token: does it say what a token has to say? */
static void check_judged(const json_t *json, const mcp_introspection_t *answer, apr_pool_t *p)
{
    const json_t *iss = json_object_get(json, "iss"), *exp = json_object_get(json, "exp");
    const char *type = json_string_value(json_object_get(json, "token_type"));
    const json_t *use = json_object_get(json, "token_use"), *cnf = json_object_get(json, "cnf");
    mcp_token_t *token;
    mcp_status_t status =
        mcp_introspection_judge(&token, answer->text, answer->len, trust_get(), apr_time_from_sec(60), FUZZ_NOW, p);

    MUST((status == MCP_OK) == (token != NULL) && status != MCP_TOKEN_INACTIVE);
    if (token) {
        MUST(is_for_us(json_object_get(json, "aud"), AUDIENCE));
        MUST(!iss || mcp_json_is_text(iss, ISSUER));
        MUST(!type || !strcasecmp(type, "Bearer") || (!strcasecmp(type, "DPoP") && json_object_get(cnf, "jkt")));
        MUST(!use || mcp_json_is_text(use, "access_token"));
        MUST(!exp || json_number_value(exp) + 60 > (double)apr_time_sec(FUZZ_NOW));
        MUST(token->not_after > FUZZ_NOW && !token->generation && !token->kid);
        MUST(!json_object_get(token->claims, "exp") == !exp);
    }
}

static void check_signed(const json_t *payload)
{
    const json_t *iat = json_object_get(payload, "iat");
    double age = (double)apr_time_sec(FUZZ_NOW) - json_number_value(iat);

    MUST(mcp_json_is_text(json_object_get(payload, "iss"), ISSUER));
    MUST(is_for_us(json_object_get(payload, "aud"), AUDIENCE) || is_for_us(json_object_get(payload, "aud"), "client"));
    MUST(json_is_number(iat) && age >= -61 && age <= 361);
    MUST(json_is_object(json_object_get(payload, "token_introspection")));
}

static void check(const mcp_introspection_t *answer, const mcp_token_lack_t *lack, int is_signed, const char *payload,
                  size_t len, apr_pool_t *p)
{
    json_t *json;

    MUST(answer->status == MCP_OK || answer->status == MCP_TOKEN_INACTIVE ||
         answer->status == MCP_INTROSPECTION_UNAVAILABLE);
    MUST((answer->status == MCP_OK) == (answer->text != NULL));
    MUST((answer->status == MCP_INTROSPECTION_UNAVAILABLE) == (answer->reason != NULL));
    MUST(!answer->reason || (!strstr(answer->reason, SECRET) && !strstr(answer->reason, "opaque")));
    MUST(answer->retry_after >= 0 && answer->retry_after <= apr_time_from_sec(86400));
    MUST(answer->status == MCP_INTROSPECTION_UNAVAILABLE ||
         (answer_given.status == 200 && lack->step == MCP_STEP_DONE));
    if (answer->status != MCP_INTROSPECTION_UNAVAILABLE && is_signed && payload) {
        check_signed(fuzz_json_wide(payload, len, p));
    }
    if (answer->status == MCP_OK) {
        json = fuzz_json_wide(answer->text, answer->len, p);
        MUST(json_is_object(json) && json_is_true(json_object_get(json, "active")));
        MUST(answer->exp >= 0 && answer->len <= MCP_LIMIT_ANSWER);
        check_judged(json, answer, p);
    }
}

static void call(int is_signed, const char *payload, size_t len, apr_pool_t *p)
{
    mcp_introspector_t introspector = { "client", SECRET, is_signed, NULL, NULL, 0, apr_time_from_sec(1) };
    mcp_endpoint_t endpoint = { "https://as.example.com/introspect", MCP_CLIENT_AUTH_BASIC };
    mcp_http_t http = { exchange };
    mcp_introspection_t answer;
    mcp_token_lack_t lack;

    mcp_introspection_call(&answer, &lack, &introspector, &endpoint, trust_get(), TOKEN, strlen(TOKEN), &http, NULL,
                           NULL, FUZZ_NOW, p);
    check(&answer, &lack, is_signed, payload, len, p);
    if (is_signed && payload && answer.status == MCP_OK) {
        answer_given.body = fuzz_forge(answer_given.body, len, p);
        mcp_introspection_call(&answer, &lack, &introspector, &endpoint, trust_get(), TOKEN, strlen(TOKEN), &http, NULL,
                               NULL, FUZZ_NOW, p);
        MUST(answer.status == MCP_INTROSPECTION_UNAVAILABLE);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    fuzz_input_t input = fuzz_open(data, size, p);
    const char *flags = fuzz_next(&input), *header, *body;
    int is_signed = strchr(flags, 's') != NULL, is_raw = strchr(flags, 'r') != NULL || !is_signed;
    size_t len;

    memset(&answer_given, 0, sizeof(answer_given));
    answer_given.status = (int)(strtoul(fuzz_next(&input), NULL, 10) % 1000);
    answer_given.content_type = fuzz_maybe(&input);
    answer_given.retry_after = fuzz_maybe(&input);
    header = fuzz_next(&input);
    body = fuzz_rest(&len, &input);
    answer_given.body = is_raw ? body : fuzz_sign(header, body, len, p);
    answer_given.len = is_raw ? len : strlen(answer_given.body);
    call(is_signed, is_raw ? NULL : body, len, p);
    apr_pool_destroy(p);
    return 0;
}
