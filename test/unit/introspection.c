#include "token/introspection.h"

#include <apr_escape.h>
#include <openssl/err.h>

#include "base/limits.h"
#include "tap.h"
#include "world.h"

#define URL "https://as.example.com/introspect"
#define CLIENT "s6BhdRkqt3"
#define SECRET "gX1fBat3bV"
#define TOKEN "mF_9.B5f-4.1JqM"
#define SIGNED_TYPE "application/token-introspection+jwt"
#define ACTIVE "{\"active\":true}"

/* An authorization server of one answer. It notes what it was asked, and is the baton of the call. */
typedef struct server_t {
    apr_status_t rv;
    const char *error;
    mcp_http_response_t response;
    mcp_http_request_t request; /* the last one */
    int calls;
} server_t;

static apr_status_t release_block(void *data)
{
    free(data);
    return APR_SUCCESS;
}

/* In a block of its very size, so that a sanitizer sees each byte too far. */
static const char *exact(const char *text, apr_size_t len, apr_pool_t *p)
{
    char *block = malloc(len ? len : 1);

    if (len) {
        memcpy(block, text, len);
    }
    apr_pool_cleanup_register(p, block, release_block, apr_pool_cleanup_null);
    return block;
}

static apr_status_t exchange(mcp_http_response_t **presponse, const char **perror, const mcp_http_request_t *request,
                             apr_pool_t *p)
{
    server_t *server = request->baton;

    server->request = *request;
    server->calls++;
    if (server->rv != APR_SUCCESS) {
        *perror = server->error;
        return server->rv;
    }
    *presponse = apr_pmemdup(p, &server->response, sizeof(server->response));
    if (server->response.body) {
        (*presponse)->body = exact(server->response.body, server->response.len, p);
    }
    return APR_SUCCESS;
}

static int cancelled(void *baton)
{
    return baton == NULL;
}

/* A client, whom it asks, and what comes back. */
typedef struct call_t {
    mcp_introspector_t client;
    mcp_endpoint_t endpoint;
    mcp_trust_t trust;
    server_t server;
    mcp_introspection_t answer;
    mcp_token_lack_t lack;
    apr_pool_t *p;
} call_t;

static void call_make(call_t *call, const world_t *w)
{
    memset(call, 0, sizeof(*call));
    call->client.client_id = CLIENT;
    call->client.secret = SECRET;
    call->client.timeout = apr_time_from_sec(5);
    call->endpoint.url = URL;
    call->endpoint.auth = MCP_CLIENT_AUTH_BASIC;
    call->trust = w->trust;
    call->server.response.status = 200;
    call->server.response.content_type = "application/json";
    call->p = w->p;
}

static mcp_status_t call_token(call_t *call, const char *token, apr_size_t len)
{
    const mcp_http_t http = { exchange };

    memset(&call->answer, 0xff, sizeof(call->answer));
    memset(&call->lack, 0xff, sizeof(call->lack));
    mcp_introspection_call(&call->answer, &call->lack, &call->client, &call->endpoint, &call->trust, token, len, &http,
                           cancelled, &call->server, apr_time_from_sec(NOW), call->p);
    SIGN_MUST(!ERR_peek_error());
    SIGN_MUST((call->answer.status == MCP_OK) == (call->answer.text != NULL));
    SIGN_MUST((call->answer.status == MCP_INTROSPECTION_UNAVAILABLE) == (call->answer.reason != NULL));
    return call->answer.status;
}

/* The verdict when the server answers with len bytes. */
static mcp_status_t call_body(call_t *call, const char *body, apr_size_t len)
{
    call->server.response.body = body;
    call->server.response.len = len;
    return call_token(call, TOKEN, strlen(TOKEN));
}

static mcp_status_t call_text(call_t *call, const char *body)
{
    return call_body(call, body, strlen(body));
}

/* The verdict on an answer of a fresh call with nothing unusual. */
static mcp_status_t plain(const world_t *w, const char *body)
{
    call_t call;

    call_make(&call, w);
    return call_text(&call, body);
}

/* --- the question ------------------------------------------------------------ */

static void test_request(const world_t *w)
{
    const mcp_http_request_t *request;
    call_t call;

    call_make(&call, w);
    call.client.proxy = "http://proxy.example";
    call.client.ca_file = "/etc/ca.pem";
    call.client.allow_http = 1;
    OK(call_text(&call, ACTIVE) == MCP_OK && call.server.calls == 1, "INT-1 one call for one token");
    request = &call.server.request;
    STR_IS(request->url, URL, "INT-1 the URL is as configured: the token is not in it");
    STR_IS(request->form, "token=mF_9.B5f-4.1JqM&token_type_hint=access_token", "INT-1 POST of a form");
    STR_IS(request->authorization, "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW", "INT-1 RFC 6749 2.3.1 HTTP Basic");
    STR_IS(request->accept, "application/json", "plain JSON is asked for");
    STR_IS(request->proxy, "http://proxy.example", "the proxy");
    STR_IS(request->ca_file, "/etc/ca.pem", "the CA file");
    OK(request->allow_http == 1 && request->timeout == apr_time_from_sec(5), "plain http and timeout as configured");
    OK(request->max_body == MCP_LIMIT_ANSWER && !request->etag, "R11 the size is limited, nothing is conditional");
    OK(request->cancelled == cancelled, "it can be cancelled");

    call.endpoint.auth = MCP_CLIENT_AUTH_POST;
    call.client.is_signed = 1;
    call.client.allow_http = 0;
    call_text(&call, ACTIVE);
    STR_IS(request->form,
           "token=mF_9.B5f-4.1JqM&token_type_hint=access_token&client_id=s6BhdRkqt3&client_secret=gX1fBat3bV",
           "INT-1 client_secret_post");
    OK(!request->authorization, "and then no Authorization");
    STR_IS(request->accept, SIGNED_TYPE, "INT-6 a signed answer is asked for");
    OK(!request->allow_http, "plain http only where it is configured");
}

/* Each character that means something in a form, a pair or a URL. */
static void test_encoding(const world_t *w)
{
    static const char token[] = "a+/=~b&token=c%20\0d";
    unsigned char pair[256] = "";
    call_t call;
    const char *basic;

    call_make(&call, w);
    call.client.client_id = "rs:1 \xc3\xbc*";
    call.client.secret = "p@ss:w+rd&=%\"-._~";
    call.server.response.body = ACTIVE;
    call.server.response.len = strlen(ACTIVE);
    OK(call_token(&call, token, sizeof(token) - 1) == MCP_OK, "a token of any characters");
    STR_IS(call.server.request.form, "token=a%2B%2F%3D%7Eb%26token%3Dc%2520%00d&token_type_hint=access_token",
           "INT-1 cannot add or end a parameter");
    basic = call.server.request.authorization;
    SIGN_MUST(basic && !strncmp(basic, "Basic ", 6) && strlen(basic) < 300 && strlen(basic + 6) % 4 == 0);
    EVP_DecodeBlock(pair, (const unsigned char *)basic + 6, (int)strlen(basic + 6));
    STR_IS((const char *)pair, "rs%3A1+%C3%BC*:p%40ss%3Aw%2Brd%26%3D%25%22-._%7E",
           "RFC 6749 2.3.1 id and secret are encoded before they are joined");
    call.endpoint.auth = MCP_CLIENT_AUTH_POST;
    call_token(&call, token, 1);
    STR_IS(call.server.request.form,
           "token=a&token_type_hint=access_token&client_id=rs%3A1+%C3%BC*"
           "&client_secret=p%40ss%3Aw%2Brd%26%3D%25%22-._%7E",
           "INT-1 the same in the form, and of the token as many bytes as were given");
}

/* --- the answer -------------------------------------------------------------- */

static void test_active(const world_t *w)
{
    static const struct {
        const char *body;
        mcp_status_t want;
    } rows[] = {
        { ACTIVE, MCP_OK },
        { " {\"scope\":\"a b\", \"active\" : true}\r\n", MCP_OK },
        { "{\"active\":false}", MCP_TOKEN_INACTIVE },
        { "{\"active\":\"true\"}", MCP_TOKEN_INACTIVE },
        { "{\"active\":1}", MCP_TOKEN_INACTIVE },
        { "{\"active\":1.0}", MCP_TOKEN_INACTIVE },
        { "{\"active\":null}", MCP_TOKEN_INACTIVE },
        { "{\"active\":[]}", MCP_TOKEN_INACTIVE },
        { "{\"active\":[true]}", MCP_TOKEN_INACTIVE },
        { "{\"active\":{}}", MCP_TOKEN_INACTIVE },
        { "{\"Active\":true}", MCP_TOKEN_INACTIVE },
        { "{\"active \":true}", MCP_TOKEN_INACTIVE },
        { "{\"a\":{\"active\":true}}", MCP_TOKEN_INACTIVE },
        { "{\"token_introspection\":{\"active\":true}}", MCP_TOKEN_INACTIVE },
        { "{}", MCP_TOKEN_INACTIVE },
        { "[]", MCP_TOKEN_INACTIVE },
        { "[{\"active\":true}]", MCP_TOKEN_INACTIVE },
        { "true", MCP_TOKEN_INACTIVE },
        { "1", MCP_TOKEN_INACTIVE },
        { "null", MCP_TOKEN_INACTIVE },
        { "\"active\"", MCP_TOKEN_INACTIVE },
        { "active", MCP_INTROSPECTION_UNAVAILABLE },
        { "active=true", MCP_INTROSPECTION_UNAVAILABLE },
        { "", MCP_INTROSPECTION_UNAVAILABLE },
        { " ", MCP_INTROSPECTION_UNAVAILABLE },
        { "<html>active</html>", MCP_INTROSPECTION_UNAVAILABLE },
        { "{\"active\":true", MCP_INTROSPECTION_UNAVAILABLE },
        { "{\"active\":true}}", MCP_INTROSPECTION_UNAVAILABLE },
        { "{\"active\":true}{\"active\":true}", MCP_INTROSPECTION_UNAVAILABLE },
        { "{'active':true}", MCP_INTROSPECTION_UNAVAILABLE },
        { "{\"active\":True}", MCP_INTROSPECTION_UNAVAILABLE },
        { "\xef\xbb\xbf{\"active\":true}", MCP_INTROSPECTION_UNAVAILABLE },
        { "{\"active\":true,\"a\":\"\\u0000\"}", MCP_INTROSPECTION_UNAVAILABLE },
        { "{\"active\":true,\"a\":\"\xff\"}", MCP_INTROSPECTION_UNAVAILABLE },
        { "{\"active\":true,\"a\":1e400}", MCP_INTROSPECTION_UNAVAILABLE },
        { "{\"active\":false,\"active\":true}", MCP_INTROSPECTION_UNAVAILABLE },
        { "{\"active\":true,\"active\":false}", MCP_INTROSPECTION_UNAVAILABLE },
        { "{\"active\":true,\"\\u0061ctive\":false}", MCP_INTROSPECTION_UNAVAILABLE },
        { "{\"active\":true,\"aud\":\"a\",\"aud\":\"b\"}", MCP_INTROSPECTION_UNAVAILABLE },
        { "{\"active\":true,\"cnf\":{\"jkt\":\"a\",\"jkt\":\"b\"}}", MCP_INTROSPECTION_UNAVAILABLE },
    };
    call_t call;

    for (apr_size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        OK(plain(w, rows[i].body) == rows[i].want, "INT-2 INT-5 C06 T13 %s: %s",
           apr_pescape_echo(w->p, rows[i].body, 1), mcp_status_info(rows[i].want)->slug);
    }
    call_make(&call, w);
    OK(call_body(&call, "{\"active\":true}\0", 16) == MCP_INTROSPECTION_UNAVAILABLE, "C06 a NUL behind it");
    call_text(&call, " {\"active\" : true}\n");
    OK(call.answer.len == 19 && !memcmp(call.answer.text, " {\"active\" : true}\n", 19),
       "the text of an active answer is what the server sent");
    call_text(&call, "{\"active\":false}");
    OK(!call.answer.text && !call.answer.len && !call.answer.reason, "an inactive one has none");
    OK(call.lack.step == MCP_STEP_DONE && !call.lack.trust && !call.lack.kid, "newer keys would not help");
}

static void test_refused(const world_t *w)
{
    static const int statuses[] = { 0,   100, 199, 201, 202, 203, 204, 206, 301, 302, 304, 307, 400, 401,
                                    403, 404, 405, 413, 422, 429, 500, 502, 503, 504, 511, 599, 999 };
    static const apr_status_t errors[] = { APR_TIMEUP, APR_EOF, APR_ENOSPC, APR_EACCES, APR_EGENERAL };
    call_t call;
    apr_size_t i;

    call_make(&call, w);
    for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        call.server.response.status = statuses[i];
        OK(call_text(&call, ACTIVE) == MCP_INTROSPECTION_UNAVAILABLE, "INT-5 R11 status %d, whatever the body says",
           statuses[i]);
        OK(call.answer.http == statuses[i], "R11 and tells the status %d", statuses[i]);
    }
    call.server.response.status = 500;
    call_text(&call, ACTIVE);
    STR_IS(call.answer.reason, URL ": HTTP status 500", "the reason has URL and status");
    call.server.response.status = 401;
    call_text(&call, "{\"error\":\"invalid_client\",\"secret\":\"" SECRET "\"}");
    OK(strstr(call.answer.reason, "401") && !strstr(call.answer.reason, SECRET) &&
           !strstr(call.answer.reason, "invalid_client"),
       "the reason of a 401 quotes neither secret nor answer");
    call.server.response.status = 200;
    OK(call_body(&call, NULL, 0) == MCP_INTROSPECTION_UNAVAILABLE, "INT-5 no body");
    STR_IS(call.answer.reason, URL ": the answer is empty", "has a reason of its own");
    call.client.is_signed = 1;
    OK(call_body(&call, NULL, 0) == MCP_INTROSPECTION_UNAVAILABLE, "INT-5 no body where it is to be signed");
    call.client.is_signed = 0;
    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        call.server.rv = errors[i];
        call.server.error = i ? "the reason" : NULL;
        OK(call_text(&call, ACTIVE) == MCP_INTROSPECTION_UNAVAILABLE && !call.answer.retry_after,
           "INT-5 R11 no answer: error %d", (int)i);
        OK(call.answer.http == (errors[i] == APR_ENOSPC ? 200 : 0), "R11 and whether there was one: error %d", (int)i);
    }
    STR_IS(call.answer.reason, URL ": the reason", "the reason is handed on");
}

static void test_retry_after(const world_t *w)
{
    static const struct {
        int status;
        const char *value;
        apr_int64_t want; /* seconds */
    } rows[] = { { 503, NULL, 0 },
                 { 503, "120", 120 },
                 { 429, "7", 7 },
                 { 429, "0", 0 },
                 { 500, "120", 0 },
                 { 401, "120", 0 },
                 { 200, "120", 0 },
                 { 503, "", 0 },
                 { 503, "-5", 0 },
                 { 503, "5s", 0 },
                 { 503, "1.5", 0 },
                 { 503, "soon", 0 },
                 { 503, "86400", 86400 },
                 { 503, "86401", 86400 },
                 { 503, "99999999999999999999999999", 86400 },
                 { 503, "Fri, 15 Jan 2027 08:00:30 GMT", 30 },
                 { 503, "Fri, 15 Jan 2027 07:59:30 GMT", 0 },
                 { 503, "Fri, 31 Dec 9999 23:59:59 GMT", 86400 } };
    call_t call;

    call_make(&call, w);
    for (apr_size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        call.server.response.status = rows[i].status;
        call.server.response.retry_after = rows[i].value;
        call_text(&call, "{}");
        OK(call.answer.retry_after == apr_time_from_sec(rows[i].want), "R11 %d with Retry-After %s: %d s",
           rows[i].status, rows[i].value ? rows[i].value : "missing", (int)rows[i].want);
    }
}

static const char *nested(int depth, apr_pool_t *p)
{
    char *text = apr_palloc(p, 2 * (apr_size_t)depth + 1);

    memset(text, '[', (apr_size_t)depth);
    memset(text + depth, ']', (apr_size_t)depth);
    text[2 * depth] = '\0';
    return text;
}

static void test_limits(const world_t *w)
{
    char *text = apr_palloc(w->p, MCP_LIMIT_ANSWER + 1);
    call_t call;

    memset(text, ' ', MCP_LIMIT_ANSWER + 1);
    memcpy(text, ACTIVE, strlen(ACTIVE));
    call_make(&call, w);
    OK(call_body(&call, text, MCP_LIMIT_ANSWER) == MCP_OK, "R11 an answer of MCP_LIMIT_ANSWER bytes");
    OK(call_body(&call, text, MCP_LIMIT_ANSWER + 1) == MCP_INTROSPECTION_UNAVAILABLE, "R11 one byte more");
    OK(plain(w, apr_pstrcat(w->p, "{\"active\":true,\"a\":", nested(MCP_LIMIT_JOSE_DEPTH - 1, w->p), "}", NULL)) ==
           MCP_OK,
       "MCP_LIMIT_JOSE_DEPTH containers inside each other");
    OK(plain(w, apr_pstrcat(w->p, "{\"active\":true,\"a\":", nested(MCP_LIMIT_JOSE_DEPTH, w->p), "}", NULL)) ==
           MCP_INTROSPECTION_UNAVAILABLE,
       "one more");
}

/* --- a signed answer --------------------------------------------------------- */

#define GOOD_HEADER "{\"typ\":\"token-introspection+jwt\",\"alg\":\"RS256\",\"kid\":\"rsa\"}"
#define GOOD_MEMBERS "\"iss\":\"" ISSUER "\",\"aud\":\"" CLIENT "\",\"iat\":1800000000"
#define GOOD_ANSWER "\"token_introspection\":{\"active\":true,\"aud\":\"" RESOURCE "\"}"
#define GOOD_PAYLOAD "{" GOOD_MEMBERS "," GOOD_ANSWER "}"

static void signed_make(call_t *call, const world_t *w)
{
    call_make(call, w);
    call->client.is_signed = 1;
    call->server.response.content_type = SIGNED_TYPE;
}

static mcp_status_t signed_call(call_t *call, const world_t *w, const char *header, const char *payload)
{
    return call_text(call, sign_token(w->rsa, "RS256", header, payload, w->p));
}

/* How long an answer may be kept. */
static void test_exp(const world_t *w)
{
    static const struct {
        const char *exp;
        apr_time_t want;
    } rows[] = { { "1800000300", apr_time_from_sec(1800000300) },
                 { "1800000300.5", apr_time_from_sec(1800000300) + 500000 },
                 { "1", apr_time_from_sec(1) },
                 { "253402300799", apr_time_from_sec(APR_INT64_C(253402300799)) },
                 { "253402300800", 0 },
                 { "1e300", 0 },
                 { "0", 0 },
                 { "-5", 0 },
                 { "null", 0 },
                 { "\"1800000300\"", 0 },
                 { "[1800000300]", 0 } };
    call_t call;

    for (apr_size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *answer = apr_pstrcat(w->p, "{\"active\":true,\"exp\":", rows[i].exp, "}", NULL);

        call_make(&call, w);
        OK(call_text(&call, answer) == MCP_OK && call.answer.exp == rows[i].want, "INT-4 C07 exp %s", rows[i].exp);
        signed_make(&call, w);
        OK(signed_call(&call, w, GOOD_HEADER,
                       apr_pstrcat(w->p, "{" GOOD_MEMBERS ",\"token_introspection\":", answer, "}", NULL)) == MCP_OK &&
               call.answer.exp == rows[i].want,
           "INT-4 C07 the same in a signed answer");
    }
    call_make(&call, w);
    OK(call_text(&call, ACTIVE) == MCP_OK && !call.answer.exp, "INT-4 no exp");
    OK(call_text(&call, "{\"active\":false,\"exp\":1800000300}") == MCP_TOKEN_INACTIVE && !call.answer.exp,
       "INT-4 that of an inactive answer does not count");
}

static void test_signed_good(const world_t *w)
{
    const char *answer =
        " { \"active\" : true , \"sub\":\"\\u00fc\\/\", \"n\":[1, 2.5 ,true,null],\"scope\":\"a b\" } ";
    const char *jws = sign_token(w->rsa, "RS256", GOOD_HEADER, GOOD_PAYLOAD, w->p);
    mcp_token_t *token;
    call_t call;

    signed_make(&call, w);
    OK(call_text(&call, jws) == MCP_OK && call.lack.step == MCP_STEP_DONE && !call.lack.trust,
       "INT-6 an answer signed as it should be");
    STR_IS(call.answer.text, "{\"active\":true,\"aud\":\"" RESOURCE "\"}", "its text is the member alone");
    OK(call.answer.len == strlen(call.answer.text), "with its length");
    OK(mcp_introspection_judge(&token, call.answer.text, call.answer.len, &call.trust, apr_time_from_sec(60),
                               apr_time_from_sec(NOW), w->p) == MCP_OK,
       "INT-3 which can be judged");
    OK(verify(w, jws) == MCP_TOKEN_TYPE, "INT-7 it is no access token itself");
    signed_call(&call, w, GOOD_HEADER,
                apr_pstrcat(w->p, "{" GOOD_MEMBERS ",\"token_introspection\":", answer, "}", NULL));
    STR_IS(call.answer.text, "{\"active\":true,\"sub\":\"\xc3\xbc/\",\"n\":[1,2.5,true,null],\"scope\":\"a b\"}",
           "written compactly, nothing lost");
    OK(call_text(&call, sign_token(w->ed25519, "EdDSA", "{\"typ\":\"token-introspection+jwt\",\"alg\":\"EdDSA\"}",
                                   GOOD_PAYLOAD, w->p)) == MCP_OK,
       "INT-6 another key, without kid");
}

static void test_signed_header(const world_t *w)
{
    static const struct {
        const char *header;
        int good;
    } rows[] = {
        { GOOD_HEADER, 1 },
        { "{\"typ\":\"application/token-introspection+jwt\",\"alg\":\"RS256\"}", 1 },
        { "{\"typ\":\"Token-Introspection+JWT\",\"alg\":\"RS256\"}", 1 },
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", 0 },
        { "{\"typ\":\"at+jwt\",\"alg\":\"RS256\",\"kid\":\"rsa\"}", 0 },
        { "{\"typ\":\"JWT\",\"alg\":\"RS256\",\"kid\":\"rsa\"}", 0 },
        { "{\"typ\":\"\",\"alg\":\"RS256\",\"kid\":\"rsa\"}", 0 },
        { "{\"typ\":\"token-introspection\",\"alg\":\"RS256\",\"kid\":\"rsa\"}", 0 },
        { "{\"typ\":\"token-introspection+jwt2\",\"alg\":\"RS256\",\"kid\":\"rsa\"}", 0 },
        { "{\"typ\":\"token-introspection+jwt\",\"alg\":\"none\"}", 0 },
        { "{\"typ\":\"token-introspection+jwt\",\"alg\":\"HS256\"}", 0 },
        { "{\"typ\":\"token-introspection+jwt\",\"alg\":\"RS384\",\"kid\":\"rsa\"}", 0 },
        { "{\"typ\":\"token-introspection+jwt\",\"alg\":\"RS256\",\"kid\":\"p256\"}", 0 },
        { "{\"typ\":\"token-introspection+jwt\",\"alg\":\"RS256\",\"kid\":\"weak\"}", 0 },
        { "{\"typ\":\"token-introspection+jwt\",\"alg\":\"RS256\",\"kid\":\"rsa\",\"jwk\":{}}", 0 },
        { "{\"typ\":\"token-introspection+jwt\",\"alg\":\"RS256\",\"kid\":\"rsa\",\"jku\":\"https://a.example\"}", 0 },
        { "{\"typ\":\"token-introspection+jwt\",\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[\"exp\"]}", 0 },
        { "{\"typ\":\"at+jwt\",\"typ\":\"token-introspection+jwt\",\"alg\":\"RS256\",\"kid\":\"rsa\"}", 0 },
    };
    call_t call;

    signed_make(&call, w);
    for (apr_size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        OK(signed_call(&call, w, rows[i].header, GOOD_PAYLOAD) ==
               (rows[i].good ? MCP_OK : MCP_INTROSPECTION_UNAVAILABLE),
           "INT-6 %s: %s", rows[i].header, rows[i].good ? "good" : "refused");
    }
    signed_call(&call, w, "{\"typ\":\"at+jwt\",\"alg\":\"RS256\",\"kid\":\"rsa\"}", GOOD_PAYLOAD);
    OK(call.lack.step == MCP_STEP_TYPE && !call.lack.trust, "it is the typ that is refused");
}

static void test_signed_payload(const world_t *w)
{
    static const struct {
        const char *payload;
        mcp_status_t want;
    } rows[] = {
#define BAD MCP_INTROSPECTION_UNAVAILABLE
#define ISS "\"iss\":\"" ISSUER "\","
#define AUD "\"aud\":\"" CLIENT "\","
#define IAT "\"iat\":1800000000,"
        { GOOD_PAYLOAD, MCP_OK },
        { "{" AUD IAT GOOD_ANSWER "}", BAD },
        { "{\"iss\":\"" OTHER_ISSUER "\"," AUD IAT GOOD_ANSWER "}", BAD },
        { "{\"iss\":\"" ISSUER "/\"," AUD IAT GOOD_ANSWER "}", BAD },
        { "{\"iss\":\"https://as.example.com/realms/mc\"," AUD IAT GOOD_ANSWER "}", BAD },
        { "{\"iss\":[\"" ISSUER "\"]," AUD IAT GOOD_ANSWER "}", BAD },
        { "{\"iss\":null," AUD IAT GOOD_ANSWER "}", BAD },
        { "{" ISS IAT GOOD_ANSWER "}", BAD },
        { "{" ISS "\"aud\":\"other\"," IAT GOOD_ANSWER "}", BAD },
        { "{" ISS "\"aud\":\"s6BhdRkqt\"," IAT GOOD_ANSWER "}", BAD },
        { "{" ISS "\"aud\":\"" RESOURCE "\"," IAT GOOD_ANSWER "}", MCP_OK },
        { "{" ISS "\"aud\":\"" RESOURCE "/\"," IAT GOOD_ANSWER "}", BAD },
        { "{" ISS "\"aud\":[]," IAT GOOD_ANSWER "}", BAD },
        { "{" ISS "\"aud\":[\"other\",\"another\"]," IAT GOOD_ANSWER "}", BAD },
        { "{" ISS "\"aud\":[\"other\",\"" CLIENT "\"]," IAT GOOD_ANSWER "}", MCP_OK },
        { "{" ISS "\"aud\":true," IAT GOOD_ANSWER "}", BAD },
        { "{" ISS AUD GOOD_ANSWER "}", BAD },
        { "{" ISS AUD "\"iat\":\"1800000000\"," GOOD_ANSWER "}", BAD },
        { "{" ISS AUD "\"iat\":null," GOOD_ANSWER "}", BAD },
        { "{" ISS AUD "\"iat\":-1," GOOD_ANSWER "}", BAD },
        { "{" ISS AUD "\"iat\":0," GOOD_ANSWER "}", BAD },
        { "{" ISS AUD "\"iat\":1800000060," GOOD_ANSWER "}", MCP_OK },
        { "{" ISS AUD "\"iat\":1800000061," GOOD_ANSWER "}", BAD },
        { "{" ISS AUD "\"iat\":1799999640," GOOD_ANSWER "}", MCP_OK },
        { "{" ISS AUD "\"iat\":1799999639," GOOD_ANSWER "}", BAD },
        { "{" ISS AUD "\"iat\":1799999999.5," GOOD_ANSWER "}", MCP_OK },
        { "{" ISS AUD "\"iat\":1e300," GOOD_ANSWER "}", BAD },
        { "{" ISS AUD IAT "\"exp\":1800000001," GOOD_ANSWER "}", MCP_OK },
        { "{" ISS AUD IAT "\"exp\":1799999941," GOOD_ANSWER "}", MCP_OK },
        { "{" ISS AUD IAT "\"exp\":1799999940," GOOD_ANSWER "}", BAD },
        { "{" ISS AUD IAT "\"exp\":0," GOOD_ANSWER "}", BAD },
        { "{" ISS AUD IAT "\"exp\":\"1800000100\"," GOOD_ANSWER "}", BAD },
        { "{" ISS AUD IAT "\"exp\":null," GOOD_ANSWER "}", BAD },
        { "{" ISS AUD IAT "\"nbf\":1800000060," GOOD_ANSWER "}", MCP_OK },
        { "{" ISS AUD IAT "\"nbf\":1800000061," GOOD_ANSWER "}", BAD },
        { "{" ISS AUD IAT "\"nbf\":\"\"," GOOD_ANSWER "}", BAD },
        { "{" GOOD_MEMBERS "}", BAD },
        { "{" GOOD_MEMBERS ",\"active\":true}", BAD },
        { "{" GOOD_MEMBERS ",\"token_introspection\":null}", BAD },
        { "{" GOOD_MEMBERS ",\"token_introspection\":true}", BAD },
        { "{" GOOD_MEMBERS ",\"token_introspection\":[{\"active\":true}]}", BAD },
        { "{" GOOD_MEMBERS ",\"token_introspection\":\"{\\\"active\\\":true}\"}", BAD },
        { "{" GOOD_MEMBERS "," GOOD_ANSWER "," GOOD_ANSWER "}", BAD },
        { "{" GOOD_MEMBERS ",\"token_introspection\":{\"active\":false,\"active\":true}}", BAD },
        { "[" GOOD_PAYLOAD "]", BAD },
        { "active", BAD },
        { "{" GOOD_MEMBERS ",\"token_introspection\":{}}", MCP_TOKEN_INACTIVE },
        { "{" GOOD_MEMBERS ",\"token_introspection\":{\"active\":false}}", MCP_TOKEN_INACTIVE },
        { "{" GOOD_MEMBERS ",\"token_introspection\":{\"active\":\"true\"}}", MCP_TOKEN_INACTIVE },
        { "{" GOOD_MEMBERS ",\"token_introspection\":{\"active\":1}}", MCP_TOKEN_INACTIVE },
        { "{" GOOD_MEMBERS ",\"active\":true,\"token_introspection\":{\"active\":null}}", MCP_TOKEN_INACTIVE },
    };
    call_t call;

    signed_make(&call, w);
    for (apr_size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        OK(signed_call(&call, w, GOOD_HEADER, rows[i].payload) == rows[i].want, "INT-6 C06 T13 %s: %s", rows[i].payload,
           mcp_status_info(rows[i].want)->slug);
        SIGN_MUST(!call.lack.trust && !call.lack.kid);
    }
    signed_call(&call, w, GOOD_HEADER, "{" ISS "\"aud\":\"somebody\"," IAT GOOD_ANSWER "}");
    OK(strstr(call.answer.reason, "somebody else") && !strstr(call.answer.reason, "\""), "the reason quotes no answer");
}

static void test_signed_form(const world_t *w)
{
    static const struct {
        const char *type;
        int good;
    } rows[] = { { SIGNED_TYPE, 1 },
                 { "Application/Token-Introspection+JWT", 1 },
                 { SIGNED_TYPE "; charset=utf-8", 1 },
                 { SIGNED_TYPE " ;a=b", 1 },
                 { SIGNED_TYPE "x", 0 },
                 { SIGNED_TYPE ", application/json", 0 },
                 { "application/token-introspection+jw", 0 },
                 { "application/json", 0 },
                 { "application/jwt", 0 },
                 { "", 0 },
                 { NULL, 0 } };
    const char *good = sign_token(w->rsa, "RS256", GOOD_HEADER, GOOD_PAYLOAD, w->p);
    call_t call;

    for (apr_size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        signed_make(&call, w);
        call.server.response.content_type = rows[i].type;
        OK(call_text(&call, good) == (rows[i].good ? MCP_OK : MCP_INTROSPECTION_UNAVAILABLE),
           "INT-6 Content-Type %s: %s", rows[i].type ? rows[i].type : "missing", rows[i].good ? "good" : "refused");
    }
    signed_make(&call, w);
    OK(call_text(&call, ACTIVE) == MCP_INTROSPECTION_UNAVAILABLE, "INT-6 plain JSON called signed: refused");
    call.server.response.content_type = "application/json";
    OK(call_text(&call, ACTIVE) == MCP_INTROSPECTION_UNAVAILABLE, "INT-6 plain JSON: refused");
    OK(call_text(&call, "{\"active\":false}") == MCP_INTROSPECTION_UNAVAILABLE, "INT-6 also when it says inactive");
    call.server.response.content_type = SIGNED_TYPE;
    OK(call_text(&call, apr_pstrcat(w->p, good, ".x", NULL)) == MCP_INTROSPECTION_UNAVAILABLE, "INT-6 four parts");
    OK(call_text(&call, apr_pstrcat(w->p, good, "\n", NULL)) == MCP_INTROSPECTION_UNAVAILABLE, "INT-6 a line end");
    OK(call_body(&call, good, strlen(good) - 4) == MCP_INTROSPECTION_UNAVAILABLE, "INT-6 cut off");
    OK(call_text(&call, sign_input(GOOD_HEADER, GOOD_PAYLOAD, w->p)) == MCP_INTROSPECTION_UNAVAILABLE,
       "INT-6 two parts");
    call.server.response.status = 400;
    OK(call_text(&call, good) == MCP_INTROSPECTION_UNAVAILABLE, "INT-5 another status");
    call.server.response.status = 200;
    call.client.is_signed = 0;
    OK(call_text(&call, good) == MCP_INTROSPECTION_UNAVAILABLE, "INT-6 a signed answer nobody asked for is no JSON");
}

static void test_signed_keys(const world_t *w)
{
    const char *access = "{\"iss\":\"" ISSUER "\",\"aud\":[\"" RESOURCE "\",\"" CLIENT "\"],\"iat\":1800000000,"
                         "\"exp\":1800000300,\"active\":true," GOOD_ANSWER "}";
    const char *good = sign_token(w->rsa, "RS256", GOOD_HEADER, GOOD_PAYLOAD, w->p);
    call_t call;

    signed_make(&call, w);
    OK(call_text(&call, sign_token(w->stranger, "RS256", GOOD_HEADER, GOOD_PAYLOAD, w->p)) ==
               MCP_INTROSPECTION_UNAVAILABLE &&
           call.lack.step == MCP_STEP_SIGNATURE && !call.lack.trust,
       "INT-6 another issuer's key of the same kid: refused, and newer keys would not help");
    OK(signed_call(&call, w, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"at+jwt\"}", access) ==
           MCP_INTROSPECTION_UNAVAILABLE,
       "INT-6 an access token of the issuer is no answer");
    OK(signed_call(&call, w, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", access) == MCP_INTROSPECTION_UNAVAILABLE,
       "INT-6 nor is one without typ");
    call.trust.algs = MCP_ALG_BIT(MCP_ALG_ES256);
    OK(call_text(&call, good) == MCP_INTROSPECTION_UNAVAILABLE && call.lack.step == MCP_STEP_ALGORITHM &&
           !call.lack.trust,
       "INT-6 an alg that is not allowed: refused");
    OK(call_text(&call, sign_hmac(SECRET, strlen(SECRET), "SHA256",
                                  "{\"typ\":\"token-introspection+jwt\",\"alg\":\"HS256\"}", GOOD_PAYLOAD, w->p)) ==
           MCP_INTROSPECTION_UNAVAILABLE,
       "INT-6 signed with the client secret: refused");
    signed_make(&call, w);
    OK(signed_call(&call, w, "{\"typ\":\"token-introspection+jwt\",\"alg\":\"RS256\",\"kid\":\"new\"}", GOOD_PAYLOAD) ==
               MCP_INTROSPECTION_UNAVAILABLE &&
           call.lack.trust == &call.trust && call.lack.step == MCP_STEP_KEY &&
           call.lack.generation == mcp_keycache_generation(call.trust.keys),
       "INT-6 a kid that the set does not have: newer keys might help");
    STR_IS(call.lack.kid, "new", "with this kid");
    signed_call(&call, w, "{\"typ\":\"token-introspection+jwt\",\"alg\":\"ES256\",\"kid\":\"rsa\"}", GOOD_PAYLOAD);
    OK(call.lack.step == MCP_STEP_KEY && !call.lack.trust, "a kid that is not for this alg: they would not");
    call.trust.keys = cache_make(NULL, w->p);
    OK(call_text(&call, good) == MCP_INTROSPECTION_UNAVAILABLE && call.lack.trust == &call.trust && !call.lack.kid &&
           !call.lack.generation,
       "INT-6 no key set: it might help");
    call.trust.keys = NULL;
    OK(call_text(&call, good) == MCP_INTROSPECTION_UNAVAILABLE, "INT-6 an issuer without any keys: refused");
}

/* The callers may have no use for the lack. */
static void test_no_lack(const world_t *w)
{
    const char *body = sign_token(
        w->rsa, "RS256", "{\"typ\":\"token-introspection+jwt\",\"alg\":\"RS256\",\"kid\":\"x\"}", GOOD_PAYLOAD, w->p);
    const mcp_http_t http = { exchange };
    call_t call;

    signed_make(&call, w);
    call.server.response.body = body;
    call.server.response.len = strlen(body);
    mcp_introspection_call(&call.answer, NULL, &call.client, &call.endpoint, &call.trust, TOKEN, 3, &http, cancelled,
                           &call.server, apr_time_from_sec(NOW), w->p);
    OK(call.answer.status == MCP_INTROSPECTION_UNAVAILABLE, "a lack that nobody wants");
}

/* --- is it an access token for us? ------------------------------------------- */

static mcp_status_t judge_into(mcp_token_t **ptoken, const mcp_trust_t *trust, const char *text, apr_pool_t *p)
{
    mcp_status_t status;

    *ptoken = (mcp_token_t *)ptoken;
    status = mcp_introspection_judge(ptoken, exact(text, strlen(text), p), strlen(text), trust, apr_time_from_sec(60),
                                     apr_time_from_sec(NOW), p);
    SIGN_MUST((status == MCP_OK) == (*ptoken != NULL));
    return status;
}

static mcp_status_t judge(const mcp_trust_t *trust, const char *text, apr_pool_t *p)
{
    mcp_token_t *token;

    return judge_into(&token, trust, text, p);
}

/* Members of an active answer that is good for us without them. */
static void test_judge_members(const world_t *w)
{
    static const struct {
        const char *members;
        mcp_status_t want;
    } rows[] = {
#define JKT "\"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I\""
        { "", MCP_OK },
        { "\"iss\":\"" ISSUER "\"", MCP_OK },
        { "\"iss\":\"" OTHER_ISSUER "\"", MCP_TOKEN_ISSUER },
        { "\"iss\":\"" ISSUER "/\"", MCP_TOKEN_ISSUER },
        { "\"iss\":\"\"", MCP_TOKEN_ISSUER },
        { "\"iss\":[\"" ISSUER "\"]", MCP_TOKEN_CLAIMS },
        { "\"iss\":null", MCP_TOKEN_CLAIMS },
        { "\"exp\":1800000001", MCP_OK },
        { "\"exp\":1799999941", MCP_OK },
        { "\"exp\":1799999940", MCP_TOKEN_EXPIRED },
        { "\"exp\":0", MCP_TOKEN_EXPIRED },
        { "\"exp\":-1", MCP_TOKEN_EXPIRED },
        { "\"exp\":null", MCP_TOKEN_CLAIMS },
        { "\"exp\":\"1800000300\"", MCP_TOKEN_CLAIMS },
        { "\"exp\":true", MCP_TOKEN_CLAIMS },
        { "\"exp\":1e18", MCP_TOKEN_CLAIMS },
        { "\"nbf\":1800000060", MCP_OK },
        { "\"nbf\":1800000061", MCP_TOKEN_NOT_YET },
        { "\"nbf\":1800000061,\"exp\":1800000300", MCP_TOKEN_NOT_YET },
        { "\"nbf\":\"0\"", MCP_TOKEN_CLAIMS },
        { "\"iat\":1800000060", MCP_OK },
        { "\"iat\":1800000061", MCP_TOKEN_NOT_YET },
        { "\"iat\":0", MCP_OK },
        { "\"iat\":{}", MCP_TOKEN_CLAIMS },
        { "\"token_type\":\"Bearer\"", MCP_OK },
        { "\"token_type\":\"bEARER\"", MCP_OK },
        { "\"token_type\":\"DPoP\",\"cnf\":{\"jkt\":" JKT "}", MCP_OK },
        { "\"token_type\":\"dpop\",\"cnf\":{\"jkt\":" JKT "}", MCP_OK },
        { "\"token_type\":\"Bearer\",\"cnf\":{\"jkt\":" JKT "}", MCP_OK },
        { "\"token_type\":\"DPoP\"", MCP_TOKEN_TYPE },
        { "\"token_type\":\"DPoP\",\"cnf\":{}", MCP_TOKEN_TYPE },
        { "\"token_type\":\"DPoP\",\"cnf\":" JKT, MCP_TOKEN_TYPE },
        { "\"token_type\":\"DPoP\",\"cnf\":{\"x5t#S256\":" JKT "}", MCP_TOKEN_TYPE },
        { "\"token_type\":\"DPoP\",\"cnf\":{\"jkt\":7}", MCP_TOKEN_TYPE },
        { "\"token_type\":\"DPoP\",\"jkt\":" JKT, MCP_TOKEN_TYPE },
        { "\"token_type\":\"N_A\"", MCP_TOKEN_TYPE },
        { "\"token_type\":\"mac\"", MCP_TOKEN_TYPE },
        { "\"token_type\":\"Bearer \"", MCP_TOKEN_TYPE },
        { "\"token_type\":\"\"", MCP_TOKEN_TYPE },
        { "\"token_type\":\"refresh_token\"", MCP_TOKEN_TYPE },
        { "\"token_type\":null", MCP_TOKEN_CLAIMS },
        { "\"token_type\":[\"Bearer\"]", MCP_TOKEN_CLAIMS },
        { "\"token_use\":\"access_token\"", MCP_OK },
        { "\"token_use\":\"refresh_token\"", MCP_TOKEN_TYPE },
        { "\"token_use\":\"id_token\"", MCP_TOKEN_TYPE },
        { "\"token_use\":\"Access_Token\"", MCP_TOKEN_TYPE },
        { "\"token_use\":\"\"", MCP_TOKEN_TYPE },
        { "\"token_use\":1", MCP_TOKEN_CLAIMS },
        { "\"typ\":\"Bearer\"", MCP_OK },
        { "\"typ\":\"ID\"", MCP_TOKEN_TYPE },
        { "\"typ\":\"Refresh\"", MCP_TOKEN_TYPE },
        { "\"nonce\":\"n\"", MCP_OK },
        { "\"at_hash\":\"h\"", MCP_TOKEN_TYPE },
        { "\"events\":{}", MCP_TOKEN_TYPE },
        { "\"cnf\":{\"jkt\":" JKT "}", MCP_OK },
        { "\"cnf\":{\"x5t#S256\":" JKT "}", MCP_OK },
        { "\"cnf\":{\"jkt\":" JKT ",\"x5t#S256\":" JKT "}", MCP_OK },
        { "\"cnf\":{}", MCP_TOKEN_BOUND },
        { "\"cnf\":null", MCP_TOKEN_BOUND },
        { "\"cnf\":\"x\"", MCP_TOKEN_BOUND },
        { "\"cnf\":{\"jwk\":{}}", MCP_TOKEN_BOUND },
        { "\"cnf\":{\"jkt\":" JKT ",\"kid\":\"k\"}", MCP_TOKEN_BOUND },
        { "\"cnf\":{\"jkt\":\"short\"}", MCP_TOKEN_BOUND },
        { "\"sub\":\"u\",\"client_id\":\"c\",\"username\":\"x\",\"scope\":\"a b\",\"jti\":\"j\"", MCP_OK },
        { "\"sub\":7", MCP_TOKEN_CLAIMS },
        { "\"client_id\":null", MCP_TOKEN_CLAIMS },
        { "\"azp\":[]", MCP_TOKEN_CLAIMS },
        { "\"a\":1,\"a\":2", MCP_TOKEN_CLAIMS },
        { "\"a\":\"\\u0000\"", MCP_TOKEN_CLAIMS },
    };

    for (apr_size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *text = apr_pstrcat(w->p, "{\"active\":true,\"aud\":\"" RESOURCE "\"", *rows[i].members ? "," : "",
                                       rows[i].members, "}", NULL);

        OK(judge(&w->trust, text, w->p) == rows[i].want, "INT-3 C07 T13 {%s}: %s", rows[i].members,
           mcp_status_info(rows[i].want)->slug);
    }
}

static void test_judge_audience(const world_t *w)
{
    static const struct {
        const char *members;
        mcp_status_t want, hierarchical;
    } rows[] = {
        { "", MCP_TOKEN_AUDIENCE, MCP_TOKEN_AUDIENCE },
        { ",\"aud\":null", MCP_TOKEN_AUDIENCE, MCP_TOKEN_AUDIENCE },
        { ",\"aud\":\"\"", MCP_TOKEN_AUDIENCE, MCP_TOKEN_AUDIENCE },
        { ",\"aud\":7", MCP_TOKEN_AUDIENCE, MCP_TOKEN_AUDIENCE },
        { ",\"aud\":{\"a\":\"" RESOURCE "\"}", MCP_TOKEN_AUDIENCE, MCP_TOKEN_AUDIENCE },
        { ",\"aud\":[]", MCP_TOKEN_AUDIENCE, MCP_TOKEN_AUDIENCE },
        { ",\"aud\":\"https://other.example.com/mcp\"", MCP_TOKEN_AUDIENCE, MCP_TOKEN_AUDIENCE },
        { ",\"aud\":\"" CLIENT "\"", MCP_TOKEN_AUDIENCE, MCP_TOKEN_AUDIENCE },
        { ",\"aud\":\"" RESOURCE "\"", MCP_OK, MCP_OK },
        { ",\"aud\":[\"a\",\"" RESOURCE "\"]", MCP_OK, MCP_OK },
        { ",\"aud\":[\"a\",\"b\"]", MCP_TOKEN_AUDIENCE, MCP_TOKEN_AUDIENCE },
        { ",\"aud\":\"https://mcp.example.com\"", MCP_TOKEN_AUDIENCE, MCP_OK },
        { ",\"aud\":\"" RESOURCE "/x\"", MCP_TOKEN_AUDIENCE, MCP_TOKEN_AUDIENCE },
    };
    mcp_trust_t trust = w->trust;

    for (apr_size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *text = apr_pstrcat(w->p, "{\"active\":true", rows[i].members, "}", NULL);

        trust.hierarchical = 0;
        OK(judge(&trust, text, w->p) == rows[i].want, "INT-3 %s: %s", text, mcp_status_info(rows[i].want)->slug);
        trust.hierarchical = 1;
        OK(judge(&trust, text, w->p) == rows[i].hierarchical, "INT-3 the same hierarchically: %s",
           mcp_status_info(rows[i].hierarchical)->slug);
    }
}

static void test_judge_text(const world_t *w)
{
    static const struct {
        const char *text;
        mcp_status_t want;
    } rows[] = { { "", MCP_TOKEN_CLAIMS },
                 { "true", MCP_TOKEN_CLAIMS },
                 { "[]", MCP_TOKEN_CLAIMS },
                 { "{\"active\":true,", MCP_TOKEN_CLAIMS },
                 { "{\"aud\":\"" RESOURCE "\"}", MCP_TOKEN_INACTIVE },
                 { "{\"active\":\"true\",\"aud\":\"" RESOURCE "\"}", MCP_TOKEN_INACTIVE },
                 { "{\"active\":false,\"aud\":\"" RESOURCE "\"}", MCP_TOKEN_INACTIVE } };

    for (apr_size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        OK(judge(&w->trust, rows[i].text, w->p) == rows[i].want, "C06 %s: %s", rows[i].text,
           mcp_status_info(rows[i].want)->slug);
    }
}

static void test_judge_result(const world_t *w)
{
    const char *least = "{\"active\":true,\"aud\":\"" RESOURCE "\"}";
    mcp_trust_t trust = w->trust;
    mcp_token_t *token;

    judge_into(&token, &trust,
               "{\"active\":true,\"aud\":\"" RESOURCE "\",\"sub\":\"u1\",\"client_id\":\"c1\",\"scope\":\"a b\","
               "\"exp\":1800000300,\"nbf\":1799999999,\"cnf\":{\"jkt\":" JKT ",\"x5t#S256\":" JKT "}}",
               w->p);
    SIGN_MUST(token);
    STR_IS(token->sub, "u1", "its sub");
    STR_IS(token->client, "c1", "its client");
    STR_IS(json_string_value(json_object_get(token->claims, "scope")), "a b", "all its claims");
    OK(token->trust == &trust && !token->kid && !token->generation, "C04 no key of ours vouches for it");
    OK(token->not_after == apr_time_from_sec(NOW + 300 + SKEW), "INT-4 C07 good until exp, whatever the life");
    OK(token->not_before == apr_time_from_sec(NOW - 1 - SKEW), "and from nbf on");
    OK(token->binding.jkt && token->binding.x5t, "INT-3 bound to key and certificate");

    judge_into(&token, &trust, least, w->p);
    SIGN_MUST(token);
    OK(token->not_after == apr_time_from_sec(NOW + 60), "INT-4 without exp good for the life given");
    OK(!json_object_get(token->claims, "exp") && json_object_size(token->claims) == 2, "and nothing was made up");
    OK(!token->sub && !token->client && !token->not_before && !token->binding.jkt && !token->binding.x5t,
       "what was not said is not there");
    trust.skew = 0;
    OK(mcp_introspection_judge(&token, ACTIVE, strlen(ACTIVE), &trust, 0, apr_time_from_sec(NOW), w->p) ==
           MCP_TOKEN_AUDIENCE,
       "INT-3 active alone is not enough");
    OK(mcp_introspection_judge(&token, least, strlen(least), &trust, 0, apr_time_from_sec(NOW), w->p) == MCP_OK &&
           token->not_after == apr_time_from_sec(NOW),
       "INT-4 without exp and with no life: good for this very request");

    trust.types = MCP_TYPE_AT_JWT;
    OK(judge(&trust, "{\"active\":true,\"aud\":\"" RESOURCE "\",\"sub\":\"u1\"}", w->p) == MCP_OK,
       "TOK-8 the profile of RFC 9068 is for JWTs, not for what is said about an opaque token");
}

/* RFC 7662 section 2.2, the example. */
static void test_judge_example(const world_t *w)
{
    const char *text = "{\"active\": true, \"client_id\": \"l238j323ds-23ij4\", \"username\": \"jdoe\","
                       "\"scope\": \"read write dolphin\", \"sub\": \"Z5O3upPC88QrAjx00dis\","
                       "\"aud\": \"https://protected.example.net/resource\", \"iss\": \"https://server.example.com/\","
                       "\"exp\": 1419356238, \"iat\": 1419350238, \"extension_field\": \"twenty-seven\"}";
    mcp_trust_t trust = trust_make("https://server.example.com/", MCP_ALGS_DEFAULT, NULL, w->p);
    mcp_token_t *token;

    trust.audiences = list_make("https://protected.example.net/resource", w->p);
    OK(mcp_introspection_judge(&token, text, strlen(text), &trust, 1, apr_time_from_sec(1419350300), w->p) == MCP_OK,
       "RFC 7662 section 2.2 the example");
    OK(mcp_introspection_judge(&token, text, strlen(text), &trust, 1, apr_time_from_sec(1419356238 + SKEW), w->p) ==
               MCP_TOKEN_EXPIRED &&
           !token,
       "C07 and after its exp");
}

static void test(apr_pool_t *p)
{
    world_t w;

    world_make(&w, p);
    test_request(&w);
    test_encoding(&w);
    test_active(&w);
    test_refused(&w);
    test_retry_after(&w);
    test_limits(&w);
    test_exp(&w);
    test_signed_good(&w);
    test_signed_header(&w);
    test_signed_payload(&w);
    test_signed_form(&w);
    test_signed_keys(&w);
    test_no_lack(&w);
    test_judge_members(&w);
    test_judge_audience(&w);
    test_judge_text(&w);
    test_judge_result(&w);
    test_judge_example(&w);
}
