/* Claims: times, audience, kind, binding, and what is taken out of them by a path. Input: path NUL claims. */
#include "fuzz.h"

#include <strings.h>

#include "base/json.h"
#include "base/limits.h"
#include "net/url.h"
#include "token/claims.h"

#define SKEW apr_time_from_sec(60)
#define AUDIENCE "https://mcp.example.com/mcp/v1"

static int is_date(const json_t *value)
{
    double number = json_number_value(value);

    return json_is_number(value) && number >= 0 && number <= MCP_LIMIT_TIME;
}

static void check_times(const json_t *claims)
{
    const json_t *exp = json_object_get(claims, "exp"), *nbf = json_object_get(claims, "nbf");
    const json_t *iat = json_object_get(claims, "iat");
    mcp_times_t times, later;
    mcp_status_t status = mcp_claims_check_times(&times, claims, SKEW, FUZZ_NOW);
    double now = (double)apr_time_sec(FUZZ_NOW);

    if ((nbf && !is_date(nbf)) || (iat && !is_date(iat)) || !json_is_number(exp)) {
        MUST(status == MCP_TOKEN_CLAIMS);
    }
    else if (!is_date(exp)) {
        MUST(status == (json_number_value(exp) < 0 ? MCP_TOKEN_EXPIRED : MCP_TOKEN_CLAIMS));
    }
    else if (status == MCP_OK) {
        MUST(json_number_value(exp) + 60 > now && times.not_after > FUZZ_NOW && times.not_before <= FUZZ_NOW);
        MUST((!nbf || json_number_value(nbf) <= now + 60) && (!iat || json_number_value(iat) <= now + 60));
        MUST(mcp_claims_check_times(&later, claims, SKEW, times.not_after) == MCP_TOKEN_EXPIRED);
        MUST(mcp_claims_check_times(&later, claims, SKEW, times.not_after - 1) == MCP_OK);
        MUST(!nbf || times.not_before <= 0 ||
             mcp_claims_check_times(&later, claims, SKEW, times.not_before - 1) != MCP_OK);
    }
    else {
        MUST(status == MCP_TOKEN_EXPIRED ? json_number_value(exp) + 60 <= now : status == MCP_TOKEN_NOT_YET);
        MUST(status != MCP_TOKEN_NOT_YET || (nbf && json_number_value(nbf) > now + 60) ||
             (iat && json_number_value(iat) > now + 60));
    }
}

/* May aud stand for the accepted one: the same, or a place above it. */
static int is_accepted(const json_t *aud, int hierarchical, apr_pool_t *p)
{
    const char *text = json_string_value(aud);
    mcp_url_t url;
    size_t len;

    if (!text || strlen(text) != json_string_length(aud)) {
        return 0;
    }
    if (!strcmp(text, AUDIENCE)) {
        return 1;
    }
    if (!hierarchical || !mcp_url_parse(&url, text, p) || url.query || url.fragment ||
        strcmp(url.origin, "https://mcp.example.com")) {
        return 0;
    }
    len = strlen(url.path);
    len -= len && url.path[len - 1] == '/';
    return !strncmp(url.path, "/mcp/v1", len) && (len == 0 || len == 4 || len == 7);
}

static void check_audience(const json_t *claims, apr_pool_t *p)
{
    const json_t *aud = json_object_get(claims, "aud");
    apr_array_header_t *accepted = apr_array_make(p, 1, sizeof(const char *));

    APR_ARRAY_PUSH(accepted, const char *) = AUDIENCE;
    for (int hierarchical = 0; hierarchical < 2; hierarchical++) {
        mcp_status_t status = mcp_claims_check_audience(claims, accepted, hierarchical, p);
        int good = is_accepted(aud, hierarchical, p), all_texts = 1;

        for (size_t i = 0; i < json_array_size(aud); i++) {
            const json_t *one = json_array_get(aud, i);

            all_texts &= json_is_string(one) && strlen(json_string_value(one)) == json_string_length(one);
            good |= is_accepted(one, hierarchical, p);
        }
        MUST(status == (good && all_texts ? MCP_OK : MCP_TOKEN_AUDIENCE));
    }
}

static void check_kind(const json_t *claims)
{
    static const char *const kinds[] = { "ID", "Refresh", "Offline", "Logout" };
    const char *typ = json_string_value(json_object_get(claims, "typ"));
    int bad =
        json_object_get(claims, "at_hash") || json_object_get(claims, "c_hash") || json_object_get(claims, "events");

    for (int i = 0; i < 4; i++) {
        bad |= typ && !strcasecmp(typ, kinds[i]);
    }
    MUST(mcp_claims_check_kind(claims, 1) == (bad ? MCP_TOKEN_TYPE : MCP_OK));
    bad |= json_object_get(claims, "nonce") != NULL;
    MUST(mcp_claims_check_kind(claims, 0) == (bad ? MCP_TOKEN_TYPE : MCP_OK));
}

static void check_binding(const json_t *claims)
{
    const json_t *cnf = json_object_get(claims, "cnf");
    mcp_binding_t binding;
    mcp_status_t status = mcp_claims_check_binding(&binding, claims);

    MUST(cnf || (status == MCP_OK && !binding.jkt && !binding.x5t));
    if (cnf && status == MCP_OK) { /* whatever it says, somebody has to check it */
        MUST((binding.jkt != NULL) + (binding.x5t != NULL) == (int)json_object_size(cnf) && json_object_size(cnf));
        MUST(!binding.jkt || strlen(binding.jkt) == 43);
        MUST(!binding.x5t || strlen(binding.x5t) == 43);
    }
    MUST(status == MCP_OK || status == MCP_TOKEN_BOUND);
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One safe field value, and a text can be had back from it. */
static void check_text(const json_t *claim, apr_pool_t *p)
{
    const char *text = mcp_claim_text(claim, p);
    char *back, *end;

    MUST(text || !claim || json_is_null(claim) || !json_string_length(claim));
    if (!text) {
        return;
    }
    MUST(*text && *text != ' ' && text[strlen(text) - 1] != ' ');
    back = end = apr_palloc(p, strlen(text) + 1);
    for (const char *c = text; *c; c++) {
        MUST(*c >= 0x20 && *c <= 0x7e);
        if (*c == '%') {
            MUST(hex(c[1]) >= 0 && hex(c[2]) >= 0);
            *end++ = (char)(hex(c[1]) << 4 | hex(c[2]));
            c += 2;
        }
        else {
            *end++ = *c;
        }
    }
    MUST(!json_is_string(claim) || ((size_t)(end - back) == json_string_length(claim) &&
                                    !memcmp(back, json_string_value(claim), (size_t)(end - back))));
    MUST(!json_is_integer(claim) || json_integer_value(claim) == strtoll(text, NULL, 10));
}

static void check_values(const json_t *claim, apr_pool_t *p)
{
    apr_array_header_t *values = apr_array_make(p, 4, sizeof(const char *));

    mcp_claim_values(values, claim, p);
    MUST(json_is_string(claim) || json_is_array(claim) || !values->nelts);
    MUST(!json_is_array(claim) || !values->nelts || values->nelts == (int)json_array_size(claim));
    for (int i = 0; i < values->nelts; i++) {
        const char *value = fuzz_at(values, i);

        MUST(json_is_array(claim) ? mcp_json_is_text(json_array_get(claim, (size_t)i), value)
                                  : *value && !strchr(value, ' ') && strstr(json_string_value(claim), value));
    }
}

/* The path is what its names make with their dots escaped. */
static void check_path(const mcp_claim_path_t *path, const char *text, apr_pool_t *p)
{
    const char *made = "";

    for (int i = 0; i < path->names->nelts; i++) {
        MUST(*fuzz_at(path->names, i));
        made = apr_pstrcat(p, made, i ? "." : "", NULL);
        for (const char *c = fuzz_at(path->names, i); *c; c++) {
            made = apr_pstrcat(p, made, *c == '.' || *c == '\\' ? "\\" : "", apr_pstrmemdup(p, c, 1), NULL);
        }
    }
    MUST(path->names->nelts && !strcmp(made, text) && !strcmp(path->text, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    fuzz_input_t input = fuzz_open(data, size, p);
    const char *path_text = fuzz_next(&input), *text;
    mcp_claim_path_t path;
    json_t *claims, *any;
    size_t len;
    int has_path = strlen(path_text) <= 200 && mcp_claim_path_parse(&path, path_text, p);

    if (has_path) {
        check_path(&path, path_text, p);
    }
    text = fuzz_rest(&len, &input);
    if (mcp_json_parse_object(&claims, text, len, MCP_LIMIT_JOSE_DEPTH, p) == MCP_OK) {
        check_times(claims);
        check_audience(claims, p);
        check_kind(claims);
        check_binding(claims);
        MUST(!mcp_claims_acr(claims) || json_is_string(json_object_get(claims, "acr")));
        MUST(mcp_claims_auth_time(claims) == 0 || is_date(json_object_get(claims, "auth_time")));
        if (has_path) {
            check_text(mcp_claim_get(claims, &path), p);
            check_values(mcp_claim_get(claims, &path), p);
        }
    }
    if (mcp_json_parse(&any, text, len, MCP_LIMIT_JOSE_DEPTH, p) == MCP_OK) {
        check_text(any, p);
        check_values(any, p);
    }
    apr_pool_destroy(p);
    return 0;
}
