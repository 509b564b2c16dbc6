#include "token/introspection.h"

#include <apr_base64.h>
#include <apr_date.h>
#include <apr_strings.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "token/jws.h"

#define SIGNED_TYPE "token-introspection+jwt"
#define SIGNED_AGE apr_time_from_sec(300)
#define RETRY_MAX apr_time_from_sec(86400)

/* --- the question ------------------------------------------------------------ */

/* One value of application/x-www-form-urlencoded. */
static const char *encode(const char *text, apr_size_t len, apr_pool_t *p)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789*-._",
                      hex[] = "0123456789ABCDEF";
    char *out = apr_palloc(p, 3 * len + 1), *end = out;

    for (apr_size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c && strchr(plain, c)) {
            *end++ = (char)c;
        }
        else if (c == ' ') {
            *end++ = '+';
        }
        else {
            *end++ = '%';
            *end++ = hex[c >> 4];
            *end++ = hex[c & 15];
        }
    }
    *end = '\0';
    return out;
}

static const char *encode_text(const char *text, apr_pool_t *p)
{
    return encode(text, strlen(text), p);
}

static const char *basic(const mcp_introspector_t *introspector, apr_pool_t *p)
{
    const char *pair =
        apr_pstrcat(p, encode_text(introspector->client_id, p), ":", encode_text(introspector->secret, p), NULL);
    int len = (int)strlen(pair);
    char *coded = apr_palloc(p, (apr_size_t)apr_base64_encode_len(len));

    apr_base64_encode(coded, pair, len);
    return apr_pstrcat(p, "Basic ", coded, NULL);
}

static void request_make(mcp_http_request_t *request, const mcp_introspector_t *introspector,
                         const mcp_endpoint_t *endpoint, const char *token, apr_size_t len, apr_pool_t *p)
{
    const char *form = apr_pstrcat(p, "token=", encode(token, len, p), "&token_type_hint=access_token", NULL);

    memset(request, 0, sizeof(*request));
    if (endpoint->auth == MCP_CLIENT_AUTH_POST) {
        form = apr_pstrcat(p, form, "&client_id=", encode_text(introspector->client_id, p),
                           "&client_secret=", encode_text(introspector->secret, p), NULL);
    }
    else {
        request->authorization = basic(introspector, p);
    }
    request->url = endpoint->url;
    request->proxy = introspector->proxy;
    request->ca_file = introspector->ca_file;
    request->form = form;
    request->accept = introspector->is_signed ? "application/" SIGNED_TYPE : "application/json";
    request->allow_http = introspector->allow_http;
    request->timeout = introspector->timeout;
    request->max_body = MCP_LIMIT_ANSWER;
}

/* --- a signed answer --------------------------------------------------------- */

/* Is it that media type, whatever its parameters are? */
static int is_media_type(const char *value, const char *type)
{
    apr_size_t len = strlen(type);

    if (!value || strncasecmp(value, type, len)) {
        return 0;
    }
    value += len;
    value += strspn(value, " \t");
    return !*value || *value == ';';
}

/* exp may be missing here, and the checks of access tokens insist on it. Returns 1 when one was lent, which the caller
 * takes back. */
static int exp_lend(json_t *claims, apr_time_t now)
{
    return !json_object_get(claims, "exp") && !json_object_set_new(claims, "exp", json_integer(apr_time_sec(now) + 60));
}

static void exp_return(json_t *claims, int is_lent)
{
    if (is_lent) {
        json_object_del(claims, "exp");
    }
}

/* NULL, or the reason why no key vouches for it. */
static const char *keys_check(mcp_token_lack_t *lack, const mcp_jws_t *jws, const mcp_trust_t *trust)
{
    /* Before the keys: a set that comes in between makes the lack look old, never new. */
    mcp_token_lack_t found = { .step = MCP_STEP_KEY,
                               .trust = trust,
                               .generation = trust->keys ? mcp_keycache_generation(trust->keys) : 0 };
    mcp_keyset_t *set = trust->keys ? mcp_keycache_get(trust->keys) : NULL;
    mcp_status_t status = set ? mcp_jws_verify_set(&found.kid, jws, set) : MCP_KEYS_UNAVAILABLE;

    mcp_keyset_release(set);
    if (status == MCP_OK) {
        return NULL;
    }
    if (status == MCP_KEYS_UNAVAILABLE || found.kid) {
        *lack = found;
    }
    lack->step = status == MCP_TOKEN_SIGNATURE ? MCP_STEP_SIGNATURE : MCP_STEP_KEY;
    return status == MCP_KEYS_UNAVAILABLE    ? "there is no key set to verify the signed answer with"
           : status == MCP_TOKEN_KEY_UNKNOWN ? "the key set has no key for the signed answer"
                                             : "the signature of the answer is wrong";
}

/* NULL, or the reason why the JWS is no introspection answer of this issuer, whatever it says. */
static const char *jws_check(mcp_token_lack_t *lack, const mcp_jws_t *jws, const mcp_trust_t *trust)
{
    if (!jws->typ || strcmp(jws->typ, SIGNED_TYPE)) {
        lack->step = MCP_STEP_TYPE;
        return "the signed answer has another typ than " SIGNED_TYPE;
    }
    if (!(trust->algs & MCP_ALG_BIT(jws->alg->alg))) {
        lack->step = MCP_STEP_ALGORITHM;
        return "the signed answer has an alg that is not allowed";
    }
    return keys_check(lack, jws, trust);
}

/* Is it as fresh as an answer to a question of just now has to be? */
static int is_fresh(json_t *payload, apr_interval_time_t skew, apr_time_t now)
{
    apr_time_t iat;
    int is_lent = exp_lend(payload, now);
    mcp_times_t times;
    mcp_status_t status = mcp_claims_check_times(&times, payload, skew, now);

    exp_return(payload, is_lent);
    return status == MCP_OK && mcp_claims_date(&iat, json_object_get(payload, "iat")) && now - iat <= SIGNED_AGE + skew;
}

/* This server is known as a client, and as the resource that it protects. */
static int is_for_us(const json_t *payload, const char *client_id, const apr_array_header_t *audiences, apr_pool_t *p)
{
    apr_array_header_t *accepted = apr_array_copy(p, audiences);

    APR_ARRAY_PUSH(accepted, const char *) = client_id;
    return mcp_claims_check_audience(payload, accepted, 0, p) == MCP_OK;
}

/* What the payload says about the answer itself, RFC 9701 section 5. NULL, or the reason to refuse it. */
static const char *payload_check(mcp_token_lack_t *lack, json_t *payload, const mcp_introspector_t *introspector,
                                 const mcp_trust_t *trust, apr_time_t now, apr_pool_t *p)
{
    lack->step = MCP_STEP_ISSUER;
    if (!mcp_json_is_text(json_object_get(payload, "iss"), trust->issuer)) {
        return "the signed answer is of another issuer";
    }
    lack->step = MCP_STEP_AUDIENCE;
    if (!is_for_us(payload, introspector->client_id, trust->audiences, p)) {
        return "the signed answer is for somebody else";
    }
    lack->step = MCP_STEP_TIMES;
    if (!is_fresh(payload, trust->skew, now)) {
        return "the signed answer is not of now";
    }
    lack->step = MCP_STEP_CLAIMS;
    return json_is_object(json_object_get(payload, "token_introspection"))
               ? NULL
               : "the signed answer has no object token_introspection";
}

/* *pjson: what an answer that is signed as it should be says about the token. NULL, or the reason to refuse it. */
static const char *signed_open(json_t **pjson, mcp_token_lack_t *lack, const mcp_introspector_t *introspector,
                               const mcp_trust_t *trust, const mcp_http_response_t *response, apr_time_t now,
                               apr_pool_t *p)
{
    const char *reason;
    json_t *payload;
    mcp_jws_t *jws;

    lack->step = MCP_STEP_PARSE;
    if (!is_media_type(response->content_type, "application/" SIGNED_TYPE)) {
        return "the answer is not of type application/" SIGNED_TYPE;
    }
    if (mcp_jws_parse(&jws, response->body, response->len, MCP_JWS_TOKEN, p) != MCP_OK) {
        return "the answer is no JWS that could be accepted";
    }
    reason = jws_check(lack, jws, trust);
    if (reason) {
        return reason;
    }
    lack->step = MCP_STEP_PAYLOAD;
    if (mcp_json_parse_object(&payload, (const char *)jws->payload, jws->payload_len, MCP_LIMIT_JOSE_DEPTH, p) !=
        MCP_OK) {
        return "the payload of the signed answer is no strict JSON object";
    }
    reason = payload_check(lack, payload, introspector, trust, now, p);
    if (!reason) {
        lack->step = MCP_STEP_DONE;
        *pjson = json_object_get(payload, "token_introspection");
    }
    return reason;
}

/* --- the answer -------------------------------------------------------------- */

static void give_up(mcp_introspection_t *answer, const char *url, const char *reason, apr_pool_t *p)
{
    answer->status = MCP_INTROSPECTION_UNAVAILABLE;
    answer->reason = apr_psprintf(p, "%s: %s", url, reason);
}

/* Retry-After (RFC 9110 section 10.2.3) of an answer that says to come later; 0 for nothing of use. */
static apr_interval_time_t retry_after(const mcp_http_response_t *response, apr_time_t now)
{
    const char *value = response->retry_after;
    apr_size_t digits = value ? strspn(value, "0123456789") : 0;
    apr_interval_time_t delay;

    if (!value || (response->status != 429 && response->status != 503)) {
        return 0;
    }
    if (digits && !value[digits]) {
        delay = digits > 9 ? RETRY_MAX : apr_time_from_sec(strtol(value, NULL, 10));
    }
    else {
        delay = apr_date_parse_http(value) - now; /* APR_DATE_BAD is 0: long ago */
    }
    return delay < 0 ? 0 : delay > RETRY_MAX ? RETRY_MAX : delay;
}

/* Only the JSON value true makes it active, RFC 7662 section 2.2. */
static mcp_status_t verdict(const json_t *json)
{
    return json_is_object(json) && json_is_true(json_object_get(json, "active")) ? MCP_OK : MCP_TOKEN_INACTIVE;
}

static apr_time_t exp_get(const json_t *json)
{
    apr_time_t exp;

    return mcp_claims_date(&exp, json_object_get(json, "exp")) ? exp : 0;
}

/* The object as text in p, NULL without memory. */
static const char *dump(const json_t *json, apr_pool_t *p)
{
    char *text = json_dumps(json, JSON_COMPACT);
    const char *copy = apr_pstrdup(p, text);

    free(text);
    return copy;
}

static void take_plain(mcp_introspection_t *answer, const char *url, const mcp_http_response_t *response, apr_pool_t *p)
{
    json_t *json;

    if (mcp_json_parse(&json, response->body, response->len, MCP_LIMIT_JOSE_DEPTH, p) != MCP_OK) {
        give_up(answer, url, "the answer is no strict JSON", p);
        return;
    }
    answer->status = verdict(json);
    if (answer->status == MCP_OK) {
        answer->text = response->body;
        answer->len = response->len;
        answer->exp = exp_get(json);
    }
}

static void take_signed(mcp_introspection_t *answer, mcp_token_lack_t *lack, const char *url,
                        const mcp_introspector_t *introspector, const mcp_trust_t *trust,
                        const mcp_http_response_t *response, apr_time_t now, apr_pool_t *p)
{
    json_t *json = NULL;
    const char *reason = signed_open(&json, lack, introspector, trust, response, now, p);

    if (!reason && verdict(json) == MCP_OK) {
        answer->text = dump(json, p);
        answer->exp = exp_get(json);
        reason = answer->text ? NULL : "no memory";
    }
    if (reason) {
        give_up(answer, url, reason, p);
        return;
    }
    answer->status = verdict(json);
    answer->len = answer->text ? strlen(answer->text) : 0;
}

/* NULL, or the reason why the response is no answer, whatever its body says. */
static const char *response_check(const mcp_http_response_t *response, apr_pool_t *p)
{
    if (!response->body && response->status == 200) {
        return "the answer is empty";
    }
    if (response->status != 200) {
        return apr_psprintf(p, "HTTP status %d%s", response->status,
                            response->status == 401 ? ", are client id and secret right?" : "");
    }
    return response->len > MCP_LIMIT_ANSWER ? "the answer is too long" : NULL;
}

void mcp_introspection_call(mcp_introspection_t *answer, mcp_token_lack_t *lack, const mcp_introspector_t *introspector,
                            const mcp_endpoint_t *endpoint, const mcp_trust_t *trust, const char *token, apr_size_t len,
                            const mcp_http_t *http, int (*cancelled)(void *baton), void *baton, apr_time_t now,
                            apr_pool_t *p)
{
    mcp_http_response_t *response = NULL;
    mcp_http_request_t request;
    mcp_token_lack_t unread;
    const char *reason = NULL;
    apr_status_t rv;

    memset(answer, 0, sizeof(*answer));
    answer->status = MCP_INTROSPECTION_UNAVAILABLE;
    lack = lack ? lack : &unread;
    memset(lack, 0, sizeof(*lack));
    lack->step = MCP_STEP_DONE;
    request_make(&request, introspector, endpoint, token, len, p);
    request.cancelled = cancelled;
    request.baton = baton;
    rv = http->exchange(&response, &reason, &request, p);
    if (rv != APR_SUCCESS || !response) {
        answer->http = APR_STATUS_IS_ENOSPC(rv) ? 200 : 0; /* too long an answer is one */
        give_up(answer, endpoint->url, reason ? reason : "failed", p);
        return;
    }
    answer->retry_after = retry_after(response, now);
    answer->http = response->status;
    reason = response_check(response, p);
    if (reason) {
        give_up(answer, endpoint->url, reason, p);
    }
    else if (introspector->is_signed) {
        take_signed(answer, lack, endpoint->url, introspector, trust, response, now, p);
    }
    else {
        take_plain(answer, endpoint->url, response, p);
    }
}

/* --- is it an access token for us? ------------------------------------------- */

/* A member that has to be a string where it stands. Returns 0 if it is anything else. */
static int text_get(const char **ptext, const json_t *claims, const char *name)
{
    const json_t *value = json_object_get(claims, name);

    *ptext = json_string_value(value);
    return !value || (json_is_string(value) && strlen(*ptext) == json_string_length(value));
}

/* May a token of that token_type be one for us? An unbound token of type DPoP would pass as a bearer token. */
static int is_type_good(const char *type, const json_t *claims)
{
    if (!type || !strcasecmp(type, "Bearer")) {
        return 1;
    }
    return !strcasecmp(type, "DPoP") && json_is_string(json_object_get(json_object_get(claims, "cnf"), "jkt"));
}

/* What only an introspection answer says. */
static mcp_status_t members_check(const json_t *claims, const char *issuer)
{
    const char *iss, *type, *use;

    if (!text_get(&iss, claims, "iss") || !text_get(&type, claims, "token_type") ||
        !text_get(&use, claims, "token_use")) {
        return MCP_TOKEN_CLAIMS;
    }
    if (verdict(claims) != MCP_OK) {
        return MCP_TOKEN_INACTIVE;
    }
    if (iss && strcmp(iss, issuer)) {
        return MCP_TOKEN_ISSUER;
    }
    return is_type_good(type, claims) && (!use || !strcmp(use, "access_token")) ? MCP_OK : MCP_TOKEN_TYPE;
}

mcp_status_t mcp_introspection_judge(mcp_token_t **ptoken, const char *text, apr_size_t len, const mcp_trust_t *trust,
                                     apr_interval_time_t life, apr_time_t now, apr_pool_t *p)
{
    mcp_token_t *result = apr_pcalloc(p, sizeof(*result));
    mcp_token_step_t step;
    mcp_status_t status;
    int is_lent;

    *ptoken = NULL;
    if (mcp_json_parse_object(&result->claims, text, len, MCP_LIMIT_JOSE_DEPTH, p) != MCP_OK) {
        return MCP_TOKEN_CLAIMS;
    }
    status = members_check(result->claims, trust->issuer);
    if (status != MCP_OK) {
        return status;
    }
    result->trust = trust;
    is_lent = exp_lend(result->claims, now);
    status = mcp_token_check(result, &step, 1, now, p);
    exp_return(result->claims, is_lent);
    if (status != MCP_OK) {
        return status;
    }
    if (is_lent) {
        result->not_after = now + life;
    }
    *ptoken = result;
    return MCP_OK;
}
