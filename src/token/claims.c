#include "token/claims.h"

#include <apr_cstr.h>
#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64url.h"
#include "base/limits.h"
#include "net/url.h"

/* Is it a string that a C string can hold? Strict JSON has no NUL; others are refused here. */
static int is_text(const json_t *json)
{
    return json_is_string(json) && strlen(json_string_value(json)) == json_string_length(json);
}

int mcp_claim_path_parse(mcp_claim_path_t *path, const char *text, apr_pool_t *p)
{
    char *step = apr_palloc(p, strlen(text) + 1), *end = step;
    const char *s;

    path->text = apr_pstrdup(p, text);
    path->names = apr_array_make(p, 2, sizeof(const char *));
    for (s = text;; s++) {
        if (*s == '\\' && (s[1] == '.' || s[1] == '\\')) {
            *end++ = *++s;
        }
        else if (*s == '\\' || ((*s == '.' || !*s) && end == step)) {
            return 0;
        }
        else if (*s == '.' || !*s) {
            APR_ARRAY_PUSH(path->names, const char *) = apr_pstrmemdup(p, step, end - step);
            end = step;
        }
        else {
            *end++ = *s;
        }
        if (!*s) {
            return 1;
        }
    }
}

const json_t *mcp_claim_get(const json_t *claims, const mcp_claim_path_t *path)
{
    int i;

    for (i = 0; claims && i < path->names->nelts; i++) {
        claims = json_object_get(claims, APR_ARRAY_IDX(path->names, i, const char *));
    }
    return claims;
}

static void split(apr_array_header_t *out, const char *text, apr_pool_t *p)
{
    apr_size_t len;

    for (; *text; text += len) {
        text += strspn(text, " ");
        len = strcspn(text, " ");
        if (len) {
            APR_ARRAY_PUSH(out, const char *) = apr_pstrmemdup(p, text, len);
        }
    }
}

static int is_scalar(const json_t *json)
{
    return json_is_string(json) || json_is_number(json) || json_is_boolean(json);
}

static int is_array_of(const json_t *array, int (*is)(const json_t *))
{
    apr_size_t i;

    for (i = 0; i < json_array_size(array); i++) {
        if (!is(json_array_get(array, i))) {
            return 0;
        }
    }
    return json_is_array(array);
}

void mcp_claim_values(apr_array_header_t *out, const json_t *claim, apr_pool_t *p)
{
    apr_size_t i;

    if (is_text(claim)) {
        split(out, json_string_value(claim), p);
    }
    else if (is_array_of(claim, is_text)) {
        for (i = 0; i < json_array_size(claim); i++) {
            APR_ARRAY_PUSH(out, const char *) = apr_pstrdup(p, json_string_value(json_array_get(claim, i)));
        }
    }
}

/* Compact JSON in p with as few digits as give the same numbers again: 0.1 and not 0.10000000000000001. */
static const char *dump(const json_t *json, apr_pool_t *p)
{
    const char *text = NULL;
    int digits, same = 0;

    for (digits = 15; digits <= 17 && !same; digits++) {
        char *dumped = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        json_t *again = dumped ? json_loads(dumped, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;

        same = json_equal(json, again) || digits == 17;
        text = same && dumped ? apr_pstrdup(p, dumped) : NULL;
        json_decref(again);
        free(dumped);
    }
    return text;
}

static void append(apr_array_header_t *out, char c, int encoded)
{
    static const char digits[] = "0123456789ABCDEF";

    if (encoded) {
        APR_ARRAY_PUSH(out, char) = '%';
        APR_ARRAY_PUSH(out, char) = digits[(unsigned char)c >> 4];
        APR_ARRAY_PUSH(out, char) = digits[(unsigned char)c & 15];
    }
    else {
        APR_ARRAY_PUSH(out, char) = c;
    }
}

/* Appends a string as it is, anything else as JSON; also: one more character to encode, 0 for none. */
static void append_value(apr_array_header_t *out, const json_t *json, char also, apr_pool_t *p)
{
    const char *text = json_is_string(json) ? json_string_value(json) : dump(json, p);
    apr_size_t i, len = json_is_string(json) ? json_string_length(json) : text ? strlen(text) : 0;

    for (i = 0; i < len; i++) {
        append(out, text[i], text[i] < 0x20 || text[i] > 0x7E || text[i] == '%' || (also && text[i] == also));
    }
}

const char *mcp_claim_text(const json_t *claim, apr_pool_t *p)
{
    apr_array_header_t *out = apr_array_make(p, 64, 1);
    const char *text;
    apr_size_t i, len;
    int first, last;

    if (!claim || json_is_null(claim) || (json_is_object(claim) && !json_object_size(claim))) {
        return NULL;
    }
    if (is_array_of(claim, is_scalar)) {
        for (i = 0; i < json_array_size(claim); i++) {
            if (i) {
                append(out, ',', 0);
            }
            append_value(out, json_array_get(claim, i), ',', p);
        }
    }
    else {
        append_value(out, claim, 0, p);
    }
    if (!out->nelts) {
        return NULL;
    }
    text = apr_pstrmemdup(p, out->elts, out->nelts);
    len = out->nelts;
    first = *text == ' ';
    last = len > 1 && text[len - 1] == ' ';
    return apr_pstrcat(p, first ? "%20" : "", apr_pstrmemdup(p, text + first, len - first - last), last ? "%20" : "",
                       NULL);
}

/* A cast out of range would be undefined. */
int mcp_claims_date(apr_time_t *date, const json_t *json)
{
    double seconds = json_number_value(json);

    if (!json_is_number(json) || !(seconds >= 0 && seconds <= MCP_LIMIT_TIME)) {
        return 0;
    }
    *date =
        json_is_integer(json) ? apr_time_from_sec(json_integer_value(json)) : (apr_time_t)(seconds * APR_USEC_PER_SEC);
    return 1;
}

mcp_status_t mcp_claims_check_times(mcp_times_t *times, const json_t *claims, apr_interval_time_t skew, apr_time_t now)
{
    const json_t *exp = json_object_get(claims, "exp"), *nbf = json_object_get(claims, "nbf");
    const json_t *iat = json_object_get(claims, "iat");
    apr_time_t exp_date, nbf_date = 0, iat_date = 0;

    times->not_after = times->not_before = 0;
    if ((nbf && !mcp_claims_date(&nbf_date, nbf)) || (iat && !mcp_claims_date(&iat_date, iat))) {
        return MCP_TOKEN_CLAIMS;
    }
    if (!mcp_claims_date(&exp_date, exp)) {
        return json_is_number(exp) && json_number_value(exp) < 0 ? MCP_TOKEN_EXPIRED : MCP_TOKEN_CLAIMS;
    }
    times->not_after = exp_date + skew;
    times->not_before = nbf ? nbf_date - skew : 0;
    if (now >= times->not_after) {
        return MCP_TOKEN_EXPIRED;
    }
    return now < times->not_before || (iat && now < iat_date - skew) ? MCP_TOKEN_NOT_YET : MCP_OK;
}

/* Is path, without its terminating slash, whole segments from the start of of? */
static int is_above(const char *path, const char *of)
{
    apr_size_t len = strlen(path);

    if (len && path[len - 1] == '/') {
        len--;
    }
    return !strncmp(path, of, len) && (of[len] == '/' || !of[len]);
}

static int covers(const char *aud, const char *accepted, apr_pool_t *p)
{
    mcp_url_t a, b;

    return mcp_url_parse(&a, aud, p) && !a.query && !a.fragment && mcp_url_parse(&b, accepted, p) &&
           !strcmp(a.origin, b.origin) && is_above(a.path, b.path);
}

static int is_accepted(const json_t *aud, const apr_array_header_t *accepted, int hierarchical, apr_pool_t *p)
{
    const char *text = json_string_value(aud), *own;
    int i;

    for (i = 0; i < accepted->nelts; i++) {
        own = APR_ARRAY_IDX(accepted, i, const char *);
        if (!strcmp(text, own) || (hierarchical && covers(text, own, p))) {
            return 1;
        }
    }
    return 0;
}

mcp_status_t mcp_claims_check_audience(const json_t *claims, const apr_array_header_t *accepted, int hierarchical,
                                       apr_pool_t *p)
{
    const json_t *aud = json_object_get(claims, "aud");
    apr_size_t i;

    if (is_text(aud)) {
        return is_accepted(aud, accepted, hierarchical, p) ? MCP_OK : MCP_TOKEN_AUDIENCE;
    }
    if (!is_array_of(aud, is_text)) {
        return MCP_TOKEN_AUDIENCE;
    }
    for (i = 0; i < json_array_size(aud); i++) {
        if (is_accepted(json_array_get(aud, i), accepted, hierarchical, p)) {
            return MCP_OK;
        }
    }
    return MCP_TOKEN_AUDIENCE;
}

static int is_foreign_type(const json_t *typ)
{
    static const char *const kinds[] = { "ID", "Refresh", "Offline", "Logout" };
    int i;

    for (i = 0; json_is_string(typ) && i < (int)(sizeof(kinds) / sizeof(*kinds)); i++) {
        if (!apr_cstr_casecmp(json_string_value(typ), kinds[i])) {
            return 1;
        }
    }
    return 0;
}

mcp_status_t mcp_claims_check_kind(const json_t *claims, int at_jwt)
{
    if (json_object_get(claims, "at_hash") || json_object_get(claims, "c_hash") || json_object_get(claims, "events") ||
        (!at_jwt && json_object_get(claims, "nonce")) || is_foreign_type(json_object_get(claims, "typ"))) {
        return MCP_TOKEN_TYPE;
    }
    return MCP_OK;
}

#define DIGEST_BYTES 32 /* of SHA-256 */

/* One text for one digest, so that it can be compared as text. */
static int is_digest(const json_t *json)
{
    unsigned char digest[MCP_BASE64_DECODED_MAX(MCP_BASE64URL_ENCODED(DIGEST_BYTES))];
    apr_size_t len = json_string_length(json);

    return json_is_string(json) && len == MCP_BASE64URL_ENCODED(DIGEST_BYTES) &&
           mcp_base64url_decode(digest, &len, json_string_value(json), len);
}

mcp_status_t mcp_claims_check_binding(mcp_binding_t *binding, const json_t *claims)
{
    const json_t *cnf = json_object_get(claims, "cnf");
    const json_t *jkt = json_object_get(cnf, "jkt"), *x5t = json_object_get(cnf, "x5t#S256");
    apr_size_t known = (jkt ? 1 : 0) + (x5t ? 1 : 0);

    binding->jkt = binding->x5t = NULL;
    if (!cnf) {
        return MCP_OK;
    }
    if (!known || json_object_size(cnf) != known || (jkt && !is_digest(jkt)) || (x5t && !is_digest(x5t))) {
        return MCP_TOKEN_BOUND;
    }
    binding->jkt = json_string_value(jkt);
    binding->x5t = json_string_value(x5t);
    return MCP_OK;
}

apr_time_t mcp_claims_auth_time(const json_t *claims)
{
    apr_time_t date;

    return mcp_claims_date(&date, json_object_get(claims, "auth_time")) ? date : 0;
}

const char *mcp_claims_acr(const json_t *claims)
{
    const json_t *acr = json_object_get(claims, "acr");

    return is_text(acr) ? json_string_value(acr) : NULL;
}
