#include "token/claims.h"

#include "base/json.h"
#include "tap.h"

static json_t *parse(const char *text, apr_pool_t *p)
{
    json_t *json;

    if (mcp_json_parse(&json, text, strlen(text), 16, p) != MCP_OK) {
        printf("# not JSON: %s\n", text);
    }
    return json;
}

/* ---- paths ---- */

/* The steps of a path in brackets, NULL when it is refused. */
static const char *steps(const char *text, apr_pool_t *p)
{
    mcp_claim_path_t path;
    const char *out = "";
    int i;

    if (!mcp_claim_path_parse(&path, text, p)) {
        return NULL;
    }
    for (i = 0; i < path.names->nelts; i++) {
        out = apr_pstrcat(p, out, "[", APR_ARRAY_IDX(path.names, i, const char *), "]", NULL);
    }
    return strcmp(path.text, text) ? NULL : out;
}

static const json_t *get(const json_t *claims, const char *text, apr_pool_t *p)
{
    mcp_claim_path_t path;

    return mcp_claim_path_parse(&path, text, p) ? mcp_claim_get(claims, &path) : NULL;
}

static void paths(apr_pool_t *p)
{
    static const char *const bad[] = { "", ".", "a.", ".a", "a..b", "\\", "a\\", "a\\b", "a.\\x", "a\\.b." };
    json_t *claims =
        parse("{\"sub\":\"u\",\"realm_access\":{\"roles\":[\"a\"],\"x\":{\"y\":1}},\"https://e.x/r\":2,\"a\\\\b\":3,"
              "\"list\":[{\"a\":1}],\"0\":4}",
              p);
    int i;

    STR_IS(steps("sub", p), "[sub]", "one step");
    STR_IS(steps("realm_access.roles", p), "[realm_access][roles]", "two steps");
    STR_IS(steps("https://e\\.x/r.a\\\\b", p), "[https://e.x/r][a\\b]", "escaped dot and backslash");
    STR_IS(steps("\\..\\\\", p), "[.][\\]", "steps of nothing but an escape");
    STR_IS(steps(" a .b", p), "[ a ][b]", "spaces belong to the name");
    for (i = 0; i < (int)(sizeof(bad) / sizeof(*bad)); i++) {
        OK(!steps(bad[i], p), "bad path <%s>", bad[i]);
    }
    OK(json_is_string(get(claims, "sub", p)), "a claim at the top");
    OK(json_integer_value(get(claims, "realm_access.x.y", p)) == 1, "a claim three steps down");
    OK(json_integer_value(get(claims, "https://e\\.x/r", p)) == 2, "a claim with dots in its name");
    OK(json_integer_value(get(claims, "a\\\\b", p)) == 3, "a claim with a backslash in its name");
    OK(!get(claims, "realm_access.nothing", p) && !get(claims, "nothing.roles", p) && !get(claims, "Sub", p),
       "absent claims");
    OK(!get(claims, "sub.x", p) && !get(claims, "list.0", p) && !get(claims, "list.a", p),
       "strings and arrays are not entered");
    OK(!get(NULL, "sub", p) && !get(parse("[]", p), "sub", p), "T14 no claims, claims that are no object");
}

/* ---- values ---- */

static const char *values(const char *text, apr_pool_t *p)
{
    apr_array_header_t *out = apr_array_make(p, 1, sizeof(const char *));

    mcp_claim_values(out, text ? parse(text, p) : NULL, p);
    return apr_pstrcat(p, "|", apr_array_pstrcat(p, out, '|'), "|", NULL);
}

static void value_lists(apr_pool_t *p)
{
    apr_array_header_t *out = apr_array_make(p, 1, sizeof(const char *));
    json_t *nul = json_stringn("a\0b", 3), *array = json_pack("[s, O]", "x", nul);

    STR_IS(values("\"a b:c https://x/y\"", p), "|a|b:c|https://x/y|", "TOK-15 a string is split at spaces");
    STR_IS(values("\"  a   b  \"", p), "|a|b|", "TOK-15 several spaces are one");
    STR_IS(values("\"a\\tb,c\"", p), "|a\tb,c|", "TOK-15 nothing but a space divides");
    STR_IS(values("\"A a\"", p), "|A|a|", "TOK-15 case is kept");
    STR_IS(values("[\"a b\",\"c\"]", p), "|a b|c|", "an array of strings is taken as it is");
    STR_IS(values("[\"a\",1]", p), "||", "TOK-15 one number in an array: nothing");
    STR_IS(values("[[\"a\"]]", p), "||", "TOK-15 nested array: nothing");
    STR_IS(values("[\"a\",null]", p), "||", "TOK-15 null in an array: nothing");
    STR_IS(values("{\"a\":1}", p), "||", "TOK-15 object: nothing");
    STR_IS(values("7", p), "||", "TOK-15 number: nothing");
    STR_IS(values("true", p), "||", "TOK-15 true: nothing");
    STR_IS(values("\"\"", p), "||", "empty string: nothing");
    STR_IS(values("[]", p), "||", "empty array: nothing");
    STR_IS(values(NULL, p), "||", "no claim: nothing");
    APR_ARRAY_PUSH(out, const char *) = "before";
    mcp_claim_values(out, nul, p);
    mcp_claim_values(out, array, p);
    OK(out->nelts == 1, "T21 a string with a NUL gives nothing, alone or in an array");
    mcp_claim_values(out, parse("\"a\"", p), p);
    STR_IS(apr_array_pstrcat(p, out, '|'), "before|a", "values are appended");
    json_decref(array);
    json_decref(nul);
}

/* ---- text ---- */

static const char *text_of(const char *json, apr_pool_t *p)
{
    return mcp_claim_text(parse(json, p), p);
}

static void texts(apr_pool_t *p)
{
    json_t *nul = json_stringn("a\0b", 3);

    STR_IS(text_of("\"Jane Doe <jane@example.com>\"", p), "Jane Doe <jane@example.com>", "text as it is");
    STR_IS(text_of("42", p), "42", "an integer");
    STR_IS(text_of("-9223372036854775808", p), "-9223372036854775808", "the smallest integer");
    STR_IS(text_of("0.1", p), "0.1", "a real has no more digits than it needs");
    STR_IS(text_of("1795000000.25", p), "1795000000.25", "a real of many digits");
    STR_IS(text_of("0.30000000000000004", p), "0.30000000000000004", "a real keeps all digits that it needs");
    STR_IS(text_of("true", p), "true", "true");
    STR_IS(text_of("false", p), "false", "false");
    STR_IS(text_of("[\"a\",\"b\",3,true]", p), "a,b,3,true", "an array of scalars");
    STR_IS(text_of("[\"a,b\",\"c\"]", p), "a%2Cb,c", "a comma inside a joined value");
    STR_IS(text_of("\"a,b\"", p), "a,b", "a comma in a value alone");
    STR_IS(text_of("\"100%\"", p), "100%25", "a percent sign");
    STR_IS(text_of("\"a\\r\\nX-Admin: 1\\t\"", p), "a%0D%0AX-Admin: 1%09", "TOK-21 line ends cannot end the field");
    STR_IS(text_of("\"J\\u00fcrgen \\u20ac\\u007f~\"", p), "J%C3%BCrgen %E2%82%AC%7F~",
           "TOK-21 bytes beyond ASCII and DEL");
    STR_IS(mcp_claim_text(nul, p), "a%00b", "T21 a NUL does not end the text");
    STR_IS(text_of("\" a b \"", p), "%20a b%20", "a space at either end");
    STR_IS(text_of("\" \"", p), "%20", "nothing but a space");
    STR_IS(text_of("\"  \"", p), "%20%20", "nothing but two spaces");
    STR_IS(text_of("{\"a\":[1, {\"b\":\"x,y\"}],\"c\":0.1}", p), "{\"a\":[1,{\"b\":\"x,y\"}],\"c\":0.1}",
           "an object as compact JSON");
    STR_IS(text_of("[\"a\",{\"b\":\"\\u00fc%\\n\"}]", p), "[\"a\",{\"b\":\"%C3%BC%25\\n\"}]",
           "an array with an object as JSON");
    STR_IS(text_of("[\"a\",null]", p), "[\"a\",null]", "an array with null as JSON");
    STR_IS(text_of("[[]]", p), "[[]]", "an array of an array as JSON");
    OK(!text_of("null", p) && !text_of("\"\"", p) && !text_of("[]", p) && !text_of("{}", p) && !mcp_claim_text(NULL, p),
       "null, empty values and no claim give no text");
    OK(!text_of("[\"\"]", p), "an array of one empty string gives no text");
    json_decref(nul);
}

/* ---- times ---- */

#define NOW apr_time_from_sec(1700000000)
#define SKEW apr_time_from_sec(60)

static mcp_status_t times(const char *claims, apr_pool_t *p)
{
    mcp_times_t times;

    return mcp_claims_check_times(&times, parse(claims, p), SKEW, NOW);
}

static void expiry(apr_pool_t *p)
{
    static const char *const bad[] = { "null",
                                       "true",
                                       "[1800000000]",
                                       "{}",
                                       "\"1800000000\"",
                                       "\"\"",
                                       "1e300",
                                       "253402300800",
                                       "253402300799.5",
                                       "9223372036854775807",
                                       "18446744073709551616" };
    mcp_times_t t;
    int i;

    OK(times("{\"exp\":1700000100}", p) == MCP_OK, "T15 exp ahead");
    OK(times("{}", p) == MCP_TOKEN_CLAIMS, "T16 TOK-9 exp is required");
    OK(times("{\"nbf\":1,\"iat\":1}", p) == MCP_TOKEN_CLAIMS, "T16 nbf and iat do not replace exp");
    OK(mcp_claims_check_times(&t, NULL, SKEW, NOW) == MCP_TOKEN_CLAIMS, "no claims at all");
    for (i = 0; i < (int)(sizeof(bad) / sizeof(*bad)); i++) {
        OK(times(apr_psprintf(p, "{\"exp\":%s}", bad[i]), p) == MCP_TOKEN_CLAIMS, "T15 exp %s", bad[i]);
        OK(times(apr_psprintf(p, "{\"exp\":1800000000,\"nbf\":%s}", bad[i]), p) == MCP_TOKEN_CLAIMS, "T15 nbf %s",
           bad[i]);
        OK(times(apr_psprintf(p, "{\"exp\":1800000000,\"iat\":%s}", bad[i]), p) == MCP_TOKEN_CLAIMS, "T15 iat %s",
           bad[i]);
    }
    OK(times("{\"exp\":253402300799}", p) == MCP_OK, "T15 the latest time there is");
    OK(times("{\"exp\":-1}", p) == MCP_TOKEN_EXPIRED && times("{\"exp\":-1e300}", p) == MCP_TOKEN_EXPIRED &&
           times("{\"exp\":-0.5}", p) == MCP_TOKEN_EXPIRED,
       "T15 a negative exp");
    OK(times("{\"exp\":1800000000,\"nbf\":-1}", p) == MCP_TOKEN_CLAIMS &&
           times("{\"exp\":1800000000,\"iat\":-1}", p) == MCP_TOKEN_CLAIMS,
       "T15 a negative nbf or iat is no date");
    OK(times("{\"exp\":-1,\"nbf\":\"x\"}", p) == MCP_TOKEN_CLAIMS, "a malformed nbf is seen before an old exp");
    OK(times("{\"exp\":1699999941}", p) == MCP_OK, "TOK-9 59 s ago, within the skew");
    OK(times("{\"exp\":1699999940}", p) == MCP_TOKEN_EXPIRED, "TOK-9 60 s ago: the skew is over");
    OK(times("{\"exp\":1699999940.5}", p) == MCP_OK && times("{\"exp\":1699999939.9}", p) == MCP_TOKEN_EXPIRED,
       "T15 a fraction counts");
    OK(times("{\"exp\":0}", p) == MCP_TOKEN_EXPIRED, "exp 0 is long ago, not absent");
    OK(mcp_claims_check_times(&t, parse("{\"exp\":1700000000.25}", p), SKEW, NOW) == MCP_OK &&
           t.not_after == NOW + 250000 + SKEW && t.not_before == 0,
       "not_after is exp plus skew, not_before is 0 without nbf");
    OK(mcp_claims_check_times(&t, parse("{\"exp\":1700000000}", p), SKEW, t.not_after) == MCP_TOKEN_EXPIRED &&
           mcp_claims_check_times(&t, parse("{\"exp\":1700000000}", p), SKEW, t.not_after - 1) == MCP_OK,
       "C01 refused from not_after on, good one microsecond before");
    OK(mcp_claims_check_times(&t, parse("{\"exp\":1700000000}", p), 0, NOW) == MCP_TOKEN_EXPIRED,
       "RFC 7519 4.1.4 without skew: now < exp");
    OK(mcp_claims_check_times(&t, parse("{\"exp\":4294967297,\"nbf\":4294967296}", p), 0,
                              apr_time_from_sec(4294967296)) == MCP_OK,
       "T15 beyond 2038 and 2106");
}

static void not_before(apr_pool_t *p)
{
    mcp_times_t t;

    OK(times("{\"exp\":1800000000,\"nbf\":1700000060}", p) == MCP_OK, "TOK-9 nbf ahead by the skew");
    OK(times("{\"exp\":1800000000,\"nbf\":1700000060.01}", p) == MCP_TOKEN_NOT_YET, "T16 nbf ahead by more");
    OK(times("{\"exp\":1800000000,\"nbf\":1700003600}", p) == MCP_TOKEN_NOT_YET, "T16 nbf in an hour");
    OK(times("{\"exp\":1800000000,\"iat\":1700000060}", p) == MCP_OK, "iat ahead by the skew");
    OK(times("{\"exp\":1800000000,\"iat\":1700003600}", p) == MCP_TOKEN_NOT_YET, "1.1 iat in an hour");
    OK(times("{\"exp\":1600000000,\"nbf\":1800000000}", p) == MCP_TOKEN_EXPIRED, "both: expired");
    OK(mcp_claims_check_times(&t, parse("{\"exp\":1800000000,\"nbf\":1690000000.5,\"iat\":1700000000}", p), SKEW,
                              NOW) == MCP_OK &&
           t.not_before == apr_time_from_sec(1690000000) + 500000 - SKEW,
       "not_before is nbf minus skew");
    OK(times("{\"exp\":1800000000,\"nbf\":0,\"iat\":0}", p) == MCP_OK, "nbf 0 and iat 0");
}

/* ---- audience ---- */

#define OURS "https://mcp.example.com/mcp"

static int audience(const char *claims, int hierarchical, const char *accepted, apr_pool_t *p)
{
    apr_array_header_t *list = apr_array_make(p, 2, sizeof(const char *));

    APR_ARRAY_PUSH(list, const char *) = "urn:other";
    APR_ARRAY_PUSH(list, const char *) = accepted;
    return mcp_claims_check_audience(parse(claims, p), list, hierarchical, p);
}

static int aud(const char *value, int hierarchical, const char *accepted, apr_pool_t *p)
{
    return audience(apr_psprintf(p, "{\"aud\":\"%s\"}", value), hierarchical, accepted, p) == MCP_OK;
}

static void exact(apr_pool_t *p)
{
    static const char *const bad[] = { "https://mcp.example.com/mc",
                                       "https://mcp.example.com/mcp2",
                                       "https://mcp.example.com/mcp/x",
                                       "https://mcp.example.com",
                                       "https://mcp.example.com/",
                                       "https://mcp.example.com/mcp/",
                                       "https://mcp.example.com/MCP",
                                       "https://MCP.example.com/mcp",
                                       "HTTPS://mcp.example.com/mcp",
                                       "https://mcp.example.com:443/mcp",
                                       "https://mcp.example.com/%6Dcp",
                                       "https://mcp.example.com/mcp?",
                                       "https://mcp.example.com/mcp#",
                                       "http://mcp.example.com/mcp",
                                       "https://mcp.example.com/./mcp",
                                       " https://mcp.example.com/mcp",
                                       "https://mcp.example.com/mcp ",
                                       "https://mcp.example.com/mcp https://x",
                                       "*",
                                       "" };
    static const char *const shapes[] = { "{}",
                                          "{\"aud\":null}",
                                          "{\"aud\":1}",
                                          "{\"aud\":true}",
                                          "{\"aud\":[]}",
                                          "{\"aud\":{}}",
                                          "{\"aud\":{\"" OURS "\":1}}",
                                          "{\"aud\":[\"" OURS "\",1]}",
                                          "{\"aud\":[[\"" OURS "\"]]}",
                                          "{\"Aud\":\"" OURS "\"}",
                                          "{\"aud\":[\"a\",\"b\"]}" };
    json_t *nul = json_pack("{s: s%}", "aud", OURS "\0x", sizeof(OURS) + 1),
           *array = json_pack("{s: [s%]}", "aud", OURS "\0x", sizeof(OURS) + 1);
    apr_array_header_t *list = apr_array_make(p, 1, sizeof(const char *));
    int i;

    OK(aud(OURS, 0, OURS, p), "T17 TOK-1 a string");
    OK(audience("{\"aud\":[\"https://other\",\"" OURS "\"]}", 0, OURS, p) == MCP_OK,
       "T17 TOK-1 an array with ours second");
    OK(aud("urn:other", 0, OURS, p), "another accepted audience");
    for (i = 0; i < (int)(sizeof(bad) / sizeof(*bad)); i++) {
        OK(!aud(bad[i], 0, OURS, p), "T17 TOK-1 exact only: <%s>", bad[i]);
    }
    for (i = 0; i < (int)(sizeof(shapes) / sizeof(*shapes)); i++) {
        OK(audience(shapes[i], 0, OURS, p) == MCP_TOKEN_AUDIENCE, "T17 TOK-1 %s", shapes[i]);
        OK(audience(shapes[i], 1, OURS, p) == MCP_TOKEN_AUDIENCE, "T17 TOK-1 hierarchical %s", shapes[i]);
    }
    OK(mcp_claims_check_audience(parse("{\"aud\":\"" OURS "\"}", p), list, 1, p) == MCP_TOKEN_AUDIENCE,
       "T17 nothing accepted, nothing passes");
    APR_ARRAY_PUSH(list, const char *) = OURS;
    OK(nul && mcp_claims_check_audience(nul, list, 0, p) == MCP_TOKEN_AUDIENCE &&
           mcp_claims_check_audience(array, list, 0, p) == MCP_TOKEN_AUDIENCE,
       "T21 a NUL does not end an audience");
    json_decref(nul);
    json_decref(array);
}

static void hierarchical(apr_pool_t *p)
{
    static const char *const good[] = { "https://h.example/a/b",   "https://h.example/a/b/", "https://h.example/a",
                                        "https://h.example/a/",    "https://h.example",      "https://h.example/",
                                        "https://H.example:443/a", "HTTPS://h.example/a",    "urn:other" };
    static const char *const bad[] = { "https://h.example/a/b/c",
                                       "https://h.example/a/bc",
                                       "https://h.example/b",
                                       "https://h.example/A",
                                       "https://h.example/%61",
                                       "https://h.example//",
                                       "https://h.example/a//",
                                       "https://h.example/a?",
                                       "https://h.example/a?x",
                                       "https://h.example/a#",
                                       "https://h.example/?",
                                       "http://h.example/a",
                                       "https://h.example:8443",
                                       "https://example/a",
                                       "https://x.h.example/a",
                                       "https://h.example.evil",
                                       "https://u@h.example/a",
                                       "h.example/a",
                                       "/a",
                                       "//h.example/a",
                                       "https://",
                                       "a",
                                       "",
                                       "urn:othe",
                                       "ftp://h.example/a",
                                       "https://h.example/./",
                                       "https://h.example/a/../a" };
    int i;

    for (i = 0; i < (int)(sizeof(good) / sizeof(*good)); i++) {
        OK(aud(good[i], 1, "https://h.example/a/b", p), "hierarchical: <%s> covers /a/b", good[i]);
    }
    for (i = 0; i < (int)(sizeof(bad) / sizeof(*bad)); i++) {
        OK(!aud(bad[i], 1, "https://h.example/a/b", p), "hierarchical: <%s> does not cover /a/b", bad[i]);
    }
    OK(!aud("https://h.example/a", 0, "https://h.example/a/b", p), "exact: a path above does not cover");
    OK(aud("https://h.example/a/b", 1, "https://h.example/a/b/", p) &&
           aud("https://h.example/a/b/", 1, "https://h.example/a/b/", p),
       "hierarchical: a slash at the end of the accepted one makes no difference");
    OK(aud("https://h.example", 1, "https://h.example/", p) && aud("https://h.example/", 1, "https://h.example", p),
       "hierarchical: no path is the same as one slash");
    OK(!aud("https://h.example/a", 1, "https://h.example", p), "hierarchical: never upwards");
    OK(aud("https://h.example:8443/a", 1, "https://h.example:8443/a/b", p) &&
           !aud("https://h.example/a", 1, "https://h.example:8443/a/b", p),
       "hierarchical: the port belongs to the origin");
    OK(audience("{\"aud\":[\"x\",\"https://h.example/\"]}", 1, "https://h.example/a", p) == MCP_OK,
       "hierarchical: second of an array");
    OK(aud("api-client", 1, "api-client", p) && !aud("api", 1, "api/client", p),
       "hierarchical: what is no URL is exact");
    OK(aud("https://h.example/?q", 1, "https://h.example/?q", p), "hierarchical: the very same text passes");
}

/* ---- kind ---- */

static mcp_status_t kind(const char *claims, int at_jwt, apr_pool_t *p)
{
    return mcp_claims_check_kind(parse(claims, p), at_jwt);
}

static void kinds(apr_pool_t *p)
{
    static const char *const foreign[] = { "{\"at_hash\":\"x\"}",   "{\"at_hash\":null}",   "{\"c_hash\":\"x\"}",
                                           "{\"events\":{}}",       "{\"typ\":\"ID\"}",     "{\"typ\":\"Refresh\"}",
                                           "{\"typ\":\"Offline\"}", "{\"typ\":\"Logout\"}", "{\"typ\":\"id\"}" };
    int i;

    OK(kind("{\"sub\":\"u\"}", 0, p) == MCP_OK && kind("{}", 1, p) == MCP_OK, "TOK-7 an access token");
    OK(kind("{\"typ\":\"Bearer\"}", 0, p) == MCP_OK, "TOK-7 Keycloak's access token");
    for (i = 0; i < (int)(sizeof(foreign) / sizeof(*foreign)); i++) {
        OK(kind(foreign[i], 0, p) == MCP_TOKEN_TYPE && kind(foreign[i], 1, p) == MCP_TOKEN_TYPE, "TOK-7 %s",
           foreign[i]);
    }
    OK(kind("{\"nonce\":\"x\"}", 0, p) == MCP_TOKEN_TYPE, "TOK-7 nonce: an ID token");
    OK(kind("{\"nonce\":\"x\"}", 1, p) == MCP_OK, "nonce in what the header calls an access token");
    OK(kind("{\"cnf\":{}}", 0, p) == MCP_OK && kind("{\"cnf\":null}", 1, p) == MCP_OK,
       "what the token is bound to is another question");
}

/* ---- binding ---- */

#define DIGEST "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" /* of RFC 9449 section 6.1 */
#define OTHER "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dgw"

/* "jkt|x5t" of claims with more members, the slug when they are refused. */
static const char *binding(const char *members, apr_pool_t *p)
{
    mcp_binding_t found = { "left over", "left over" };
    mcp_status_t status = mcp_claims_check_binding(&found, parse(apr_psprintf(p, "{\"sub\":\"u\"%s}", members), p));

    if (status != MCP_OK) {
        return found.jkt || found.x5t ? "left over" : mcp_status_info(status)->slug;
    }
    return apr_pstrcat(p, found.jkt ? found.jkt : "", "|", found.x5t ? found.x5t : "", NULL);
}

static void bindings(apr_pool_t *p)
{
    static const char *const bad[] = { "null",
                                       "true",
                                       "7",
                                       "\"\"",
                                       "\"" DIGEST "\"",
                                       "[]",
                                       "[\"jkt\"]",
                                       "[{\"jkt\":\"" DIGEST "\"}]",
                                       "{}",
                                       "{\"jwk\":{}}",
                                       "{\"kid\":\"a\"}",
                                       "{\"x5t\":\"" DIGEST "\"}",
                                       "{\"x5t#s256\":\"" DIGEST "\"}",
                                       "{\"JKT\":\"" DIGEST "\"}",
                                       "{\"jkt\":\"" DIGEST "\",\"kid\":\"a\"}",
                                       "{\"x5t#S256\":\"" OTHER "\",\"jwk\":{}}",
                                       "{\"jkt\":\"" DIGEST "\",\"x5t#S256\":\"" OTHER "\",\"kid\":\"a\"}",
                                       "{\"jkt\":\"" DIGEST "\",\"x5t#S256\":null}",
                                       "{\"jkt\":\"" DIGEST "\",\"x5t#S256\":\"x\"}",
                                       "{\"jkt\":\"\",\"x5t#S256\":\"" OTHER "\"}" };
    static const char *const values[] = { "null",
                                          "7",
                                          "true",
                                          "{}",
                                          "[\"" DIGEST "\"]",
                                          "\"\"",
                                          "\"x\"",
                                          "\"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4\"",
                                          "\"" DIGEST "A\"",
                                          "\"" DIGEST "=\"",
                                          "\" " DIGEST "\"",
                                          "\"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4J\"",
                                          "\"0ZcOCORZNYy+DWpqq30jZyJGHTN0d2HglBV3uiguA4I\"",
                                          "\"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4 \"" };
    mcp_binding_t found = { "left over", "left over" };
    json_t *nul = json_pack("{s:{s:s%}}", "cnf", "jkt", DIGEST "\0x", sizeof(DIGEST) + 1);
    int i;

    STR_IS(binding("", p), "|", "not bound");
    STR_IS(binding(",\"cnf\":{\"jkt\":\"" DIGEST "\"}", p), DIGEST "|", "POP-1 bound to a key");
    STR_IS(binding(",\"cnf\":{\"x5t#S256\":\"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2\"}", p), "token-bound",
           "POP-8 the example of RFC 8705 section 3.1 has unused bits that are not zero: no digest looks like that");
    STR_IS(binding(",\"cnf\":{\"x5t#S256\":\"" OTHER "\"}", p), "|" OTHER, "POP-8 bound to a certificate");
    STR_IS(binding(",\"cnf\":{\"x5t#S256\":\"" OTHER "\",\"jkt\":\"" DIGEST "\"}", p), DIGEST "|" OTHER,
           "POP-1 POP-8 bound to both");
    for (i = 0; i < (int)(sizeof(bad) / sizeof(*bad)); i++) {
        STR_IS(binding(apr_pstrcat(p, ",\"cnf\":", bad[i], NULL), p), "token-bound", "POP-1 nobody can check cnf %s",
               bad[i]);
    }
    for (i = 0; i < (int)(sizeof(values) / sizeof(*values)); i++) {
        STR_IS(binding(apr_psprintf(p, ",\"cnf\":{\"jkt\":%s}", values[i]), p), "token-bound", "POP-1 jkt %s",
               values[i]);
        STR_IS(binding(apr_psprintf(p, ",\"cnf\":{\"x5t#S256\":%s}", values[i]), p), "token-bound", "POP-8 x5t#S256 %s",
               values[i]);
    }
    OK(nul && mcp_claims_check_binding(&found, nul) == MCP_TOKEN_BOUND && !found.jkt && !found.x5t,
       "T21 a NUL does not end a thumbprint");
    OK(mcp_claims_check_binding(&found, NULL) == MCP_OK && !found.jkt && !found.x5t, "no claims at all");
    json_decref(nul);
}

/* ---- authentication ---- */

static apr_time_t auth_time(const char *value, apr_pool_t *p)
{
    return mcp_claims_auth_time(parse(apr_psprintf(p, "{\"auth_time\":%s}", value), p));
}

static const char *acr(const char *value, apr_pool_t *p)
{
    return mcp_claims_acr(parse(apr_psprintf(p, "{\"acr\":%s}", value), p));
}

static void authentication(apr_pool_t *p)
{
    static const char *const bad[] = {
        "null",  "true",         "\"1700000000\"",      "[1700000000]",        "{}", "-1", "-0.5",
        "1e300", "253402300800", "9223372036854775807", "18446744073709551616"
    };
    json_t *nul = json_pack("{s:s%}", "acr", "mfa\0x", 5);
    int i;

    OK(auth_time("1700000000", p) == NOW && auth_time("1700000000.25", p) == NOW + 250000, "STP-1 auth_time");
    for (i = 0; i < (int)(sizeof(bad) / sizeof(*bad)); i++) {
        OK(auth_time(bad[i], p) == 0, "STP-2 auth_time %s is unknown", bad[i]);
    }
    OK(mcp_claims_auth_time(parse("{\"iat\":1700000000}", p)) == 0 && mcp_claims_auth_time(NULL) == 0,
       "STP-2 auth_time is missing: iat does not stand in");
    STR_IS(acr("\"urn:mace:incommon:iap:silver\"", p), "urn:mace:incommon:iap:silver", "STP-1 acr");
    OK(!acr("null", p) && !acr("1", p) && !acr("[\"mfa\"]", p) && !acr("{}", p), "STP-2 an acr that is no string");
    OK(!mcp_claims_acr(parse("{\"amr\":[\"mfa\"]}", p)) && !mcp_claims_acr(NULL), "STP-2 acr is missing");
    OK(nul && !mcp_claims_acr(nul), "T21 a NUL does not end an acr");
    json_decref(nul);
}

static void test(apr_pool_t *p)
{
    paths(p);
    value_lists(p);
    texts(p);
    expiry(p);
    not_before(p);
    exact(p);
    hierarchical(p);
    kinds(p);
    bindings(p);
    authentication(p);
}
