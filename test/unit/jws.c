#include <dlfcn.h>
#include <openssl/err.h>
#include <pthread.h>

#include "base/limits.h"
#include "sign.h"
#include "tap.h"
#include "token/jws.h"

/* OpenSSL as the code under test sees it; fail makes one call go wrong, answer is what a verification returns then. */
enum { FAIL_NONE, FAIL_CONTEXT, FAIL_COPY, FAIL_VERIFY, FAIL_PAIR };
static int fail, answer;

static void real_find(void *function, const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);

    SIGN_MUST(found);
    memcpy(function, &found, sizeof(found));
}

EVP_MD_CTX *EVP_MD_CTX_new(void)
{
    EVP_MD_CTX *(*real)(void);

    real_find(&real, "EVP_MD_CTX_new");
    return fail == FAIL_CONTEXT ? NULL : real();
}

int EVP_MD_CTX_copy_ex(EVP_MD_CTX *out, const EVP_MD_CTX *in)
{
    int (*real)(EVP_MD_CTX *, const EVP_MD_CTX *);

    real_find(&real, "EVP_MD_CTX_copy_ex");
    return real(out, in) == 1 && fail != FAIL_COPY ? 1 : answer;
}

int EVP_DigestVerify(EVP_MD_CTX *ctx, const unsigned char *sig, size_t siglen, const unsigned char *tbs, size_t tbslen)
{
    int (*real)(EVP_MD_CTX *, const unsigned char *, size_t, const unsigned char *, size_t);

    real_find(&real, "EVP_DigestVerify");
    return fail == FAIL_VERIFY ? answer : real(ctx, sig, siglen, tbs, tbslen);
}

ECDSA_SIG *ECDSA_SIG_new(void)
{
    ECDSA_SIG *(*real)(void);

    real_find(&real, "ECDSA_SIG_new");
    return fail == FAIL_PAIR ? NULL : real();
}

static mcp_status_t parse(mcp_jws_t **pjws, const char *token, apr_pool_t *p)
{
    mcp_jws_t *jws = (mcp_jws_t *)&jws;
    mcp_status_t status = mcp_jws_parse(&jws, token, strlen(token), MCP_JWS_TOKEN, p);

    SIGN_MUST((status == MCP_OK) == (jws != NULL));
    *pjws = jws;
    return status;
}

/* The verdict on a header that stands before a sound payload and something like a signature. */
static mcp_status_t header(const char *text, apr_pool_t *p)
{
    mcp_jws_t *jws;

    return parse(&jws, sign_join(sign_input(text, "{}", p), "signature", 9, p), p);
}

static mcp_jwk_t *key_of(EVP_PKEY *pkey, const char *members, apr_pool_t *p)
{
    json_t *json = json_loads(sign_jwk(pkey, members, p), 0, NULL);
    mcp_jwk_t *jwk;

    SIGN_MUST(json && !mcp_jwk_parse(&jwk, json, p));
    json_decref(json);
    return jwk;
}

static void test_parts(apr_pool_t *p)
{
    static const char *const rows[][2] = {
        { "", "nothing" },
        { ".", "a dot" },
        { "..", "two dots" },
        { "...", "three dots" },
        { "eyJhbGciOiJFUzI1NiJ9", "TOK-12 one part" },
        { "eyJhbGciOiJFUzI1NiJ9.e30", "TOK-12 two parts" },
        { "eyJhbGciOiJFUzI1NiJ9.e30.", "T01 an empty signature" },
        { ".e30.AAAA", "an empty header" },
        { "eyJhbGciOiJFUzI1NiJ9..AAAA", "detached content" },
        { "eyJhbGciOiJFUzI1NiJ9.e30.AAAA.", "a dot at the end" },
        { "eyJhbGciOiJFUzI1NiJ9.e30.AAAA.AAAA", "TOK-12 four parts" },
        { "eyJhbGciOiJFUzI1NiJ9.e30.AAAA.AAAA.AAAA", "T09 TOK-14 five parts" },
        { "eyJhbGciOiJFUzI1NiJ9=.e30.AAAA", "T12 padding in the header" },
        { "eyJhbGciOiJFUzI1NiJ9.e30=.AAAA", "T12 padding in the payload" },
        { "eyJhbGciOiJFUzI1NiJ9.e30.AAA=", "T12 padding in the signature" },
        { "eyJhbGciOiJFUzI1NiJ9.e30.AA==", "T12 double padding" },
        { "eyJhbGciOiJFUzI1NiJ9.e31.AAAA", "T12 unused bits in the payload" },
        { "eyJhbGciOiJFUzI1NiJ9.e30.AAB", "T12 unused bits in the signature" },
        { "eyJhbGciOiJFUzI1NiJ9.e30.AA+A", "T12 a plus" },
        { "eyJhbGciOiJFUzI1NiJ9.e30.AA/A", "T12 a slash" },
        { "eyJhbGciOiJFUzI1NiJ9.e30.AA A", "T12 a space" },
        { " eyJhbGciOiJFUzI1NiJ9.e30.AAAA", "T12 a space in front" },
        { "eyJhbGciOiJFUzI1NiJ9.e30.AAAA\n", "T12 a line end" },
        { "eyJhbGciOiJFUzI1NiJ9.e30.AAAA\r\n", "T12 CR LF" },
        { "eyJhbGciOiJFUzI1NiJ9.?30.AAAA", "T12 a question mark" },
        { "{\"payload\":\"e30\",\"protected\":\"eyJhbGciOiJFUzI1NiJ9\",\"signature\":\"AAAA\"}",
          "K13 TOK-12 flattened JSON" },
        { "{\"payload\":\"a.b\",\"signatures\":[{\"x\":\"c.d\"}]}", "K13 TOK-12 general JSON" },
    };
    mcp_jws_t *jws;
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        OK(parse(&jws, rows[i][0], p) == MCP_TOKEN_MALFORMED, "%s: malformed", rows[i][1]);
    }
    OK(mcp_jws_parse(&jws, "eyJhbGciOiJFUzI1NiJ9.e30.AA\0A", 29, MCP_JWS_TOKEN, p) == MCP_TOKEN_MALFORMED,
       "T21 a NUL byte: malformed");
    OK(mcp_jws_parse(&jws, "eyJhbGciOiJFUzI1NiJ9.e30.AAAA!", 29, MCP_JWS_TOKEN, p) == MCP_OK,
       "bytes behind the end are not read");
    OK(jws && jws->payload_len == 2 && !memcmp(jws->payload, "{}", 2) && jws->signature_len == 3,
       "payload and signature");
    OK(jws && jws->input_len == 24 && !memcmp(jws->input, "eyJhbGciOiJFUzI1NiJ9.e30", 24), "TOK-13 what is signed");
}

static void test_length(apr_pool_t *p)
{
    static const char start[] = "eyJhbGciOiJFUzI1NiJ9.e30.";
    char *token = apr_palloc(p, MCP_LIMIT_TOKEN + 2);
    mcp_jws_t *jws;

    memset(token, 'A', MCP_LIMIT_TOKEN + 1);
    memcpy(token, start, strlen(start));
    OK(mcp_jws_parse(&jws, token, MCP_LIMIT_TOKEN, MCP_JWS_TOKEN, p) == MCP_OK,
       "a token of the greatest length is read");
    OK(mcp_jws_parse(&jws, token, MCP_LIMIT_TOKEN + 1, MCP_JWS_TOKEN, p) == MCP_TOKEN_TOO_LONG,
       "a byte over the limit is too long");
    memset(token, '.', MCP_LIMIT_TOKEN);
    OK(mcp_jws_parse(&jws, token, MCP_LIMIT_TOKEN, MCP_JWS_TOKEN, p) == MCP_TOKEN_MALFORMED, "T11 nothing but dots");
}

static void test_header(apr_pool_t *p)
{
    static const struct {
        const char *text;
        mcp_status_t want;
    } rows[] = {
        { "{\"alg\":\"RS256\"}", MCP_OK },
        { " { \"alg\" : \"Ed448\" } ", MCP_OK },
        { "{\"alg\":\"RS256\",\"x5t\":\"AA\",\"x5c\":[\"AA\"],\"cty\":\"x\",\"unknown\":[{}]}", MCP_OK },
        { "{\"alg\":\"none\"}", MCP_TOKEN_ALGORITHM },
        { "{\"alg\":\"None\"}", MCP_TOKEN_ALGORITHM },
        { "{\"alg\":\"NONE\"}", MCP_TOKEN_ALGORITHM },
        { "{\"alg\":\"nOnE\"}", MCP_TOKEN_ALGORITHM },
        { "{\"alg\":\"\"}", MCP_TOKEN_ALGORITHM },
        { "{\"alg\":\"HS256\"}", MCP_TOKEN_ALGORITHM },
        { "{\"alg\":\"HS384\"}", MCP_TOKEN_ALGORITHM },
        { "{\"alg\":\"HS512\"}", MCP_TOKEN_ALGORITHM },
        { "{\"alg\":\"rs256\"}", MCP_TOKEN_ALGORITHM },
        { "{\"alg\":\"RS256 \"}", MCP_TOKEN_ALGORITHM },
        { "{\"alg\":\"RS1\"}", MCP_TOKEN_ALGORITHM },
        { "{\"alg\":\"ES256K\"}", MCP_TOKEN_ALGORITHM },
        { "{\"alg\":\"RSA-OAEP\"}", MCP_TOKEN_ALGORITHM },
        { "{}", MCP_TOKEN_HEADER },
        { "{\"ALG\":\"RS256\"}", MCP_TOKEN_HEADER },
        { "{\"alg\":1}", MCP_TOKEN_HEADER },
        { "{\"alg\":null}", MCP_TOKEN_HEADER },
        { "{\"alg\":[\"RS256\"]}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\\u0000\"}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"none\",\"alg\":\"RS256\"}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"al\\u0067\":\"RS256\"}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"kid\":\"a\",\"kid\":\"b\"}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"kid\":1}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"kid\":null}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"kid\":{\"a\":1}}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"kid\":\"a\\u0000\"}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"typ\":1}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"typ\":null}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"jku\":\"http://127.0.0.1/\"}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"x5u\":\"http://127.0.0.1/\"}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"zip\":\"DEF\"}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"enc\":\"A128GCM\"}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"b64\":false}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"b64\":true}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"b64\":false,\"crit\":[\"b64\"]}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"crit\":[\"x-pol\"],\"x-pol\":1}", MCP_TOKEN_CRITICAL },
        { "{\"alg\":\"RS256\",\"crit\":[\"x-pol\"]}", MCP_TOKEN_CRITICAL },
        { "{\"alg\":\"RS256\",\"crit\":[]}", MCP_TOKEN_CRITICAL },
        { "{\"alg\":\"RS256\",\"crit\":[\"alg\"]}", MCP_TOKEN_CRITICAL },
        { "{\"alg\":\"RS256\",\"crit\":[\"exp\"],\"exp\":1}", MCP_TOKEN_CRITICAL },
        { "{\"alg\":\"RS256\",\"crit\":\"x\"}", MCP_TOKEN_CRITICAL },
        { "{\"alg\":\"RS256\",\"crit\":null}", MCP_TOKEN_CRITICAL },
        { "{\"alg\":\"RS256\",\"crit\":false}", MCP_TOKEN_CRITICAL },
        { "[\"alg\",\"RS256\"]", MCP_TOKEN_HEADER },
        { "\"RS256\"", MCP_TOKEN_HEADER },
        { "1", MCP_TOKEN_HEADER },
        { "null", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\"", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\"}}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\"}{}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",}", MCP_TOKEN_HEADER },
        { "{'alg':'RS256'}", MCP_TOKEN_HEADER },
        { "\xef\xbb\xbf{\"alg\":\"RS256\"}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"x\":\"\xff\"}", MCP_TOKEN_HEADER },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        OK(header(rows[i].text, p) == rows[i].want, "T01 T03 T04 T06 T10 T13 K14 TOK-4 TOK-5 TOK-10 TOK-11 %s: %s",
           rows[i].text, mcp_status_info(rows[i].want)->slug);
    }
}

/* What each kind of JWS may have in its header. */
static void test_kinds(apr_pool_t *p)
{
    static const struct {
        const char *text;
        mcp_status_t token, proof, any;
    } rows[] = {
        { "{\"alg\":\"ES256\"}", MCP_OK, MCP_TOKEN_HEADER, MCP_OK },
        { "{\"alg\":\"ES256\",\"jwk\":{\"a\":1}}", MCP_TOKEN_HEADER, MCP_OK, MCP_OK },
        { "{\"alg\":\"ES256\",\"jwk\":{}}", MCP_TOKEN_HEADER, MCP_OK, MCP_OK },
        { "{\"alg\":\"ES256\",\"jwk\":\"{}\"}", MCP_TOKEN_HEADER, MCP_TOKEN_HEADER, MCP_OK },
        { "{\"alg\":\"ES256\",\"jwk\":[{}]}", MCP_TOKEN_HEADER, MCP_TOKEN_HEADER, MCP_OK },
        { "{\"alg\":\"ES256\",\"jwk\":null}", MCP_TOKEN_HEADER, MCP_TOKEN_HEADER, MCP_OK },
        { "{\"alg\":\"ES256\",\"jwk\":{},\"jku\":\"x\"}", MCP_TOKEN_HEADER, MCP_TOKEN_HEADER, MCP_OK },
        { "{\"alg\":\"ES256\",\"jwk\":{},\"x5u\":\"x\"}", MCP_TOKEN_HEADER, MCP_TOKEN_HEADER, MCP_OK },
        { "{\"alg\":\"ES256\",\"jwk\":{},\"zip\":\"x\"}", MCP_TOKEN_HEADER, MCP_TOKEN_HEADER, MCP_TOKEN_HEADER },
        { "{\"alg\":\"ES256\",\"jwk\":{},\"enc\":\"x\"}", MCP_TOKEN_HEADER, MCP_TOKEN_HEADER, MCP_TOKEN_HEADER },
        { "{\"alg\":\"ES256\",\"jwk\":{},\"b64\":true}", MCP_TOKEN_HEADER, MCP_TOKEN_HEADER, MCP_TOKEN_HEADER },
        { "{\"alg\":\"ES256\",\"jwk\":{},\"crit\":[]}", MCP_TOKEN_HEADER, MCP_TOKEN_CRITICAL, MCP_TOKEN_CRITICAL },
        { "{\"alg\":\"none\",\"jwk\":{}}", MCP_TOKEN_HEADER, MCP_TOKEN_ALGORITHM, MCP_TOKEN_ALGORITHM },
        { "{\"alg\":\"ES256\",\"jwk\":{},\"kid\":1}", MCP_TOKEN_HEADER, MCP_TOKEN_HEADER, MCP_TOKEN_HEADER },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const mcp_status_t wants[] = { rows[i].token, rows[i].proof, rows[i].any };
        const char *text = sign_join(sign_input(rows[i].text, "{}", p), "s", 1, p);
        int kind, wrong = 0;

        for (kind = MCP_JWS_TOKEN; kind <= MCP_JWS_ANY; kind++) {
            mcp_jws_t *jws;

            wrong += mcp_jws_parse(&jws, text, strlen(text), (mcp_jws_kind_t)kind, p) != wants[kind];
            wrong += wants[kind] == MCP_OK && !json_object_get(jws->header, "alg");
            wrong += wants[kind] == MCP_OK && json_is_object(jws->jwk) != (kind == MCP_JWS_PROOF);
        }
        OK(!wrong, "T05 T06 POP-3 a token, a proof, any JWS: %s", rows[i].text);
    }
}

static void test_empty(apr_pool_t *p)
{
    static const char empty[] = "eyJhbGciOiJFUzI1NiJ9..AAAA", bare[] = "eyJhbGciOiJFUzI1NiJ9.e30.";
    mcp_jws_t *jws;

    OK(mcp_jws_parse(&jws, empty, strlen(empty), MCP_JWS_ANY, p) == MCP_OK && jws->payload_len == 0 &&
           jws->input_len == 21,
       "any JWS may have an empty payload");
    OK(mcp_jws_parse(&jws, empty, strlen(empty), MCP_JWS_PROOF, p) == MCP_TOKEN_MALFORMED, "a proof may not");
    OK(mcp_jws_parse(&jws, bare, strlen(bare), MCP_JWS_ANY, p) == MCP_TOKEN_MALFORMED,
       "T01 but none an empty signature");
}

/* What is a JWS, good or bad, and what only its issuer knows about. */
static void test_is(apr_pool_t *p)
{
    static const struct {
        const char *head;
        int is;
    } rows[] = {
        { "{\"alg\":\"ES256\"}", 1 },
        { " \t\r\n{}", 1 },
        { "{\"alg\":\"none\"}", 1 },
        { "{\"alg\":1,\"alg\":2}", 1 },
        { "{\"n\":1e999}", 1 },
        { "{\"a\":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}", 1 },
        { "[]", 0 },
        { "[{\"a\":1,\"a\":2}]", 0 },
        { "\"x\"", 0 },
        { "1", 0 },
        { " ", 0 },
        { "{", 0 },
        { "{}x", 0 },
        { "{alg}", 0 },
        { "{\xff\xfe}", 0 },
    };
    static const char *const texts[] = { "", ".", "..", "...", "opaque", "opa.que", "opa.que.token",
                                         "2YotnFZFEjr1zCsicMWpAA", "eyJhbGciOiJFUzI1NiJ9",
                                         /* {"alg":"dir","enc":"A128GCM"}: a JWE */
                                         "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0.AA.AA.AA.AA",
                                         "eyJhbGciOiJFUzI1NiJ9=.e30.AA", "e3+.e30.AA", ".e30.AA" };
    /* Some parsers drop empty parts at the end, and what is left is a good token (T24). */
    static const char *const dotted[] = { "eyJhbGciOiJFUzI1NiJ9.",
                                          "eyJhbGciOiJFUzI1NiJ9.e30",
                                          "eyJhbGciOiJFUzI1NiJ9.e30.AA.",
                                          "eyJhbGciOiJFUzI1NiJ9.e30.AA...",
                                          "eyJhbGciOiJFUzI1NiJ9.e30.AA.AA",
                                          "eyJhbGciOiJFUzI1NiJ9.e30.AA.AA.AA",
                                          "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0.AA.AA",
                                          "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0.AA.AA.AA.AA.",
                                          "eyJhbGciOiJkaXIiLCJlbmMiOjF9.AA.AA.AA.AA" };
    apr_size_t i;

    for (i = 0; i < sizeof(dotted) / sizeof(dotted[0]); i++) {
        OK(mcp_jws_is(dotted[i], strlen(dotted[i]), p), "T24 '%s' is a bad JWS, whatever its dots", dotted[i]);
    }
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *text = sign_join(sign_input(rows[i].head, "x", p), "s", 1, p);

        OK(mcp_jws_is(text, strlen(text), p) == rows[i].is, "T24 %s is %s", text, rows[i].is ? "a JWS" : "none");
    }
    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        OK(!mcp_jws_is(texts[i], strlen(texts[i]), p), "T24 '%s' is none", texts[i]);
    }
    OK(mcp_jws_is("eyJhbGciOiJFUzI1NiJ9..", 22, p), "T24 T01 one without payload and signature is one, a bad one");
    OK(mcp_jws_is("eyJhbGciOiJFUzI1NiJ9.!.?", 24, p), "T24 whatever stands there");
}

/* Containers inside each other, the header itself included. */
static const char *nested(int depth, apr_pool_t *p)
{
    char *open = apr_palloc(p, (apr_size_t)depth), *close = apr_palloc(p, (apr_size_t)depth);

    memset(open, '[', (apr_size_t)depth);
    memset(close, ']', (apr_size_t)depth);
    return apr_psprintf(p, "{\"alg\":\"ES256\",\"x\":%.*s%.*s}", depth - 1, open, depth - 1, close);
}

static void test_limits(apr_pool_t *p)
{
    char kid[MCP_LIMIT_KID + 2];
    mcp_jws_t *jws;

    memset(kid, 'k', sizeof(kid));
    kid[MCP_LIMIT_KID] = '\0';
    OK(header(apr_psprintf(p, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", kid), p) == MCP_OK, "K14 the longest kid is read");
    kid[MCP_LIMIT_KID] = 'k';
    kid[MCP_LIMIT_KID + 1] = '\0';
    OK(header(apr_psprintf(p, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", kid), p) == MCP_TOKEN_HEADER,
       "K14 one byte more is not");
    OK(header(nested(MCP_LIMIT_JOSE_DEPTH, p), p) == MCP_OK, "the deepest header is read");
    OK(header(nested(MCP_LIMIT_JOSE_DEPTH + 1, p), p) == MCP_TOKEN_HEADER, "one level more is not");
    parse(&jws, "eyJhbGciOiJFUzI1NiJ9.e30.AAAA", p);
    OK(jws && !jws->kid && !jws->typ && jws->alg->alg == MCP_ALG_ES256, "no kid and no typ are NULL");
    parse(&jws, sign_join(sign_input("{\"alg\":\"PS512\",\"kid\":\"../\\r\\n'--\"}", "{}", p), "s", 1, p), p);
    STR_IS(jws ? jws->kid : NULL, "../\r\n'--", "K14 a kid is data, whatever it holds");
}

static void test_typ(apr_pool_t *p)
{
    static const char *const rows[][2] = { { "at+jwt", "at+jwt" },
                                           { "AT+JWT", "at+jwt" },
                                           { "application/at+jwt", "at+jwt" },
                                           { "Application/AT+JWT", "at+jwt" },
                                           { "JWT", "jwt" },
                                           { "application/", "" },
                                           { "application/application/at+jwt", "application/application/at+jwt" },
                                           { "application/x/y", "application/x/y" },
                                           { "text/at+jwt", "text/at+jwt" },
                                           { "", "" },
                                           { "logout+jwt", "logout+jwt" } };
    mcp_jws_t *jws;
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *text = apr_psprintf(p, "{\"alg\":\"ES256\",\"typ\":\"%s\"}", rows[i][0]);

        parse(&jws, sign_join(sign_input(text, "{}", p), "s", 1, p), p);
        STR_IS(jws ? jws->typ : NULL, rows[i][1], "TOK-7 typ %s is %s", rows[i][0], rows[i][1]);
    }
}

typedef struct pair_t {
    EVP_PKEY *pkey;
    mcp_jwk_t *key;
    const char *kind;
} pair_t;

/* A token whose signature is the given bytes, checked with a key. */
static mcp_status_t check(const char *alg, const void *signature, size_t len, const mcp_jwk_t *key, apr_pool_t *p)
{
    const char *head = apr_psprintf(p, "{\"alg\":\"%s\"}", alg);
    mcp_jws_t *jws;

    SIGN_MUST(parse(&jws, sign_join(sign_input(head, "{}", p), signature, len, p), p) == MCP_OK);
    return mcp_jws_verify(jws, key);
}

static unsigned char *make(size_t *plen, EVP_PKEY *pkey, const char *alg, apr_pool_t *p)
{
    return sign_raw(plen, pkey, alg, sign_input(apr_psprintf(p, "{\"alg\":\"%s\"}", alg), "{}", p), p);
}

static int fits(const char *kind, const char *alg)
{
    static const char *const rows[][2] = { { "RSA", "RS" },      { "RSA", "PS" },         { "P-256", "ES256" },
                                           { "P-384", "ES384" }, { "P-521", "ES512" },    { "Ed", "EdDSA" },
                                           { "Ed448", "Ed448" }, { "Ed25519", "Ed25519" } };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!strncmp(kind, rows[i][0], strlen(rows[i][0])) && !strncmp(alg, rows[i][1], strlen(rows[i][1]))) {
            return 1;
        }
    }
    return 0;
}

/* Each algorithm against each kind of key. */
static void test_matrix(const pair_t *pairs, int n, apr_pool_t *p)
{
    int alg, i, wrong;

    for (alg = 0; alg < MCP_ALG_COUNT; alg++) {
        const char *name = mcp_alg_info((mcp_alg_t)alg)->name;

        for (i = 0, wrong = 0; i < n; i++) {
            int good = fits(pairs[i].kind, name);
            size_t len = 64;
            unsigned char *signature = good ? make(&len, pairs[i].pkey, name, p) : apr_pcalloc(p, len);

            wrong += check(name, signature, len, pairs[i].key, p) != (good ? MCP_OK : MCP_TOKEN_SIGNATURE);
            signature[len / 2] ^= 0x10;
            wrong += check(name, signature, len, pairs[i].key, p) != MCP_TOKEN_SIGNATURE;
        }
        OK(!wrong, "TOK-4 TOK-6 %s is verified by the keys it fits and by no other", name);
    }
}

static void test_foreign(const pair_t *pairs, apr_pool_t *p)
{
    static const char *const algs[] = { "RS256", "PS256", "ES256", "EdDSA" };
    static const char *const kinds[] = { "RSA2048", "RSA2048", "P-256", "Ed25519" };
    int i;

    for (i = 0; i < 4; i++) {
        EVP_PKEY *other = sign_key(kinds[i], p);
        size_t len;
        unsigned char *signature = make(&len, other, algs[i], p);
        const pair_t *pair = pairs;

        while (strcmp(pair->kind, kinds[i])) {
            pair++;
        }
        OK(check(algs[i], signature, len, pair->key, p) == MCP_TOKEN_SIGNATURE, "TOK-3 %s by a foreign key", algs[i]);
        OK(check(algs[i], signature, len, key_of(other, "", p), p) == MCP_OK, "which its own verifies");
    }
}

/* A key that names its algorithm verifies no other, even one of the same family. */
static void test_binding(const pair_t *rsa, apr_pool_t *p)
{
    mcp_jwk_t *bound = key_of(rsa->pkey, "\"alg\":\"PS256\",", p);
    size_t len;
    unsigned char *signature = make(&len, rsa->pkey, "RS256", p);

    OK(check("RS256", signature, len, bound, p) == MCP_TOKEN_SIGNATURE, "K08 RS256 under a key for PS256");
    OK(check("PS256", signature, len, bound, p) == MCP_TOKEN_SIGNATURE, "TOK-4 a PKCS#1 signature under PS256");
    signature = make(&len, rsa->pkey, "PS256", p);
    OK(check("PS256", signature, len, bound, p) == MCP_OK, "PS256 under it");
    signature = make(&len, rsa->pkey, "PS384", p);
    OK(check("PS256", signature, len, rsa->key, p) == MCP_TOKEN_SIGNATURE, "TOK-4 a PS384 signature under PS256");
}

/* RFC 7518 section 3.5: the salt is as long as the digest. */
static void test_pss_salt(const pair_t *rsa, apr_pool_t *p)
{
    static const int salts[] = { 0, 20, 31, 32, 33, RSA_PSS_SALTLEN_MAX };
    const char *input = sign_input("{\"alg\":\"PS256\"}", "{}", p);
    unsigned char out[256];
    apr_size_t i;

    for (i = 0; i < sizeof(salts) / sizeof(salts[0]); i++) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        EVP_PKEY_CTX *pctx;
        size_t len = sizeof(out);

        SIGN_MUST(ctx && EVP_DigestSignInit_ex(ctx, &pctx, "SHA256", NULL, NULL, rsa->pkey, NULL) == 1 &&
                  EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
                  EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, salts[i]) == 1 &&
                  EVP_DigestSign(ctx, out, &len, (const unsigned char *)input, strlen(input)) == 1);
        EVP_MD_CTX_free(ctx);
        OK(check("PS256", out, len, rsa->key, p) == (salts[i] == 32 ? MCP_OK : MCP_TOKEN_SIGNATURE),
           "TOK-6 PS256 with a salt of %d bytes", salts[i]);
    }
}

/* Many are made until one begins with a zero byte; without it, it is the same number but not the same bytes. */
static void test_rsa_length(const pair_t *rsa, apr_pool_t *p)
{
    size_t len;
    unsigned char *signature = make(&len, rsa->pkey, "PS256", p);
    unsigned char *longer = apr_pcalloc(p, len + 1);
    int tries;

    memcpy(longer + 1, signature, len);
    OK(check("PS256", longer, len + 1, rsa->key, p) == MCP_TOKEN_SIGNATURE, "T12 an RSA signature behind a zero byte");
    OK(check("PS256", signature, len - 1, rsa->key, p) == MCP_TOKEN_SIGNATURE, "T08 an RSA signature a byte short");
    for (tries = 0; signature[0] && tries < 20000; tries++) {
        signature = make(&len, rsa->pkey, "PS256", p);
    }
    OK(!signature[0] && check("PS256", signature, len, rsa->key, p) == MCP_OK,
       "an RSA signature that begins with zero");
    OK(check("PS256", signature + 1, len - 1, rsa->key, p) == MCP_TOKEN_SIGNATURE, "T12 is refused without the zero");
}

static void number_put(unsigned char *out, int width, const BIGNUM *number)
{
    SIGN_MUST(BN_bn2binpad(number, out, width) == width);
}

/* Out of range r and s (CVE-2022-21449), among them r + n and s + n where they fit. */
static void test_ec_range(const pair_t *pair, const char *alg, apr_pool_t *p)
{
    size_t len, i;
    unsigned char *good = make(&len, pair->pkey, alg, p), *bad = apr_palloc(p, len);
    int width = (int)len / 2, wrong = 0, r, s;
    BIGNUM *order = NULL;
    unsigned char values[5][66];

    SIGN_MUST(EVP_PKEY_get_bn_param(pair->pkey, OSSL_PKEY_PARAM_EC_ORDER, &order) == 1);
    memset(values, 0, sizeof(values));
    values[1][width - 1] = 1;
    number_put(values[2], width, order);
    SIGN_MUST(BN_add_word(order, 1));
    number_put(values[3], width, order);
    memset(values[4], 0xff, sizeof(values[4]));
    for (r = 0; r < 6; r++) {
        for (s = 0; s < 6; s++) {
            memcpy(bad, r < 5 ? values[r] : good, (size_t)width);
            memcpy(bad + width, s < 5 ? values[s] : good + width, (size_t)width);
            wrong += check(alg, bad, len, pair->key, p) != (r == 5 && s == 5 ? MCP_OK : MCP_TOKEN_SIGNATURE);
        }
    }
    OK(!wrong, "T07 %s: 0, 1, n, n + 1 and all ones for r and s", alg);
    for (i = 1; i < len; i++) {
        wrong += check(alg, good, i, pair->key, p) != MCP_TOKEN_SIGNATURE;
    }
    OK(!wrong, "T08 %s: each shorter signature", alg);
    BN_free(order);
}

static void test_ec_der(const pair_t *pair, const char *alg, apr_pool_t *p)
{
    const char *input = sign_input(apr_psprintf(p, "{\"alg\":\"%s\"}", alg), "{}", p);
    size_t len, raw_len;
    unsigned char *der = sign_openssl(&len, pair->pkey, alg, input, p), *raw = make(&raw_len, pair->pkey, alg, p);
    unsigned char *wide = apr_pcalloc(p, raw_len + 2);

    OK(check(alg, der, len, pair->key, p) == MCP_TOKEN_SIGNATURE, "T08 TOK-6 %s in DER", alg);
    memcpy(wide + 1, raw, raw_len / 2);
    memcpy(wide + 2 + raw_len / 2, raw + raw_len / 2, raw_len / 2);
    OK(check(alg, wide, raw_len + 2, pair->key, p) == MCP_TOKEN_SIGNATURE, "T08 %s with wider numbers", alg);
    memcpy(wide, raw, raw_len);
    OK(check(alg, wide, raw_len + 1, pair->key, p) == MCP_TOKEN_SIGNATURE, "T08 %s with a byte behind", alg);
    OK(check(alg, wide, raw_len, pair->key, p) == MCP_OK, "T08 %s as it should be", alg);
}

static void test_faults(const pair_t *pairs, int n, apr_pool_t *p)
{
    static const int answers[] = { 0, -1, -2, 2, 256 };
    static const char *const algs[] = { "RS256", "ES256", "EdDSA" };
    int a, i, step;

    for (a = 0; a < 3; a++) {
        for (i = 0; !fits(pairs[i].kind, algs[a]) && i < n; i++) {
        }
        for (step = FAIL_CONTEXT; step <= FAIL_PAIR; step++) {
            size_t len, k;
            unsigned char *signature = make(&len, pairs[i].pkey, algs[a], p);
            int wrong = 0;

            for (k = 0; k < sizeof(answers) / sizeof(answers[0]); k++) {
                fail = step;
                answer = answers[k];
                if (step != FAIL_PAIR || a == 1) {
                    wrong += check(algs[a], signature, len, pairs[i].key, p) != MCP_TOKEN_SIGNATURE;
                }
                fail = FAIL_NONE;
                wrong += ERR_peek_error() != 0;
            }
            wrong += check(algs[a], signature, len, pairs[i].key, p) != MCP_OK;
            OK(!wrong, "T23 %s: OpenSSL fails at step %d, anything but 1 is a refusal", algs[a], step);
        }
    }
}

/* What must not depend on OpenSSL's opinion: here it says yes to everything. */
static void test_yes(const pair_t *pair, apr_pool_t *p)
{
    unsigned char bytes[64] = { 0 };

    fail = FAIL_VERIFY;
    answer = 1;
    OK(check("ES256", bytes, 64, pair->key, p) == MCP_TOKEN_SIGNATURE, "T07 r = s = 0");
    bytes[0] = 1;
    OK(check("ES256", bytes, 64, pair->key, p) == MCP_TOKEN_SIGNATURE, "T07 s = 0");
    memset(bytes, 0, sizeof(bytes));
    bytes[63] = 1;
    OK(check("ES256", bytes, 64, pair->key, p) == MCP_TOKEN_SIGNATURE, "T07 r = 0");
    OK(check("ES384", bytes, 64, pair->key, p) == MCP_TOKEN_SIGNATURE, "T03 TOK-4 an algorithm of another curve");
    OK(check("RS256", bytes, 64, pair->key, p) == MCP_TOKEN_SIGNATURE, "T03 TOK-4 an algorithm of another kind of key");
    bytes[0] = 1;
    OK(check("ES256", bytes, 63, pair->key, p) == MCP_TOKEN_SIGNATURE, "T08 a byte short");
    OK(check("ES256", bytes, 64, pair->key, p) == MCP_OK, "the rest is OpenSSL's");
    fail = FAIL_NONE;
}

static void test_error_queue(const pair_t *rsa, apr_pool_t *p)
{
    size_t len;
    unsigned char *signature = make(&len, rsa->pkey, "RS256", p);

    signature[7] ^= 1;
    check("RS256", signature, len, rsa->key, p);
    OK(!ERR_peek_error(), "a refusal leaves no error behind in the thread");
}

typedef struct job_t {
    const mcp_jws_t *jws;
    const mcp_jwk_t *key;
    int good;
} job_t;

static void *job_run(void *data)
{
    job_t *job = data;
    int i;

    for (i = 0; i < 200; i++) {
        job->good += mcp_jws_verify(job->jws, job->key) == MCP_OK;
    }
    return NULL;
}

static void test_threads(const pair_t *rsa, apr_pool_t *p)
{
    pthread_t threads[4];
    job_t jobs[4];
    mcp_jws_t *jws;
    int i, good = 0;

    SIGN_MUST(parse(&jws, sign_token(rsa->pkey, "PS256", "{\"alg\":\"PS256\"}", "{}", p), p) == MCP_OK);
    for (i = 0; i < 4; i++) {
        jobs[i].jws = jws;
        jobs[i].key = rsa->key;
        jobs[i].good = 0;
        SIGN_MUST(!pthread_create(&threads[i], NULL, job_run, &jobs[i]));
    }
    for (i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        good += jobs[i].good;
    }
    OK(good == 800, "K12 four threads verify with one key");
}

static void test(apr_pool_t *p)
{
    static const char *const kinds[] = { "RSA2048", "P-256", "P-384", "P-521", "Ed25519", "Ed448" };
    pair_t pairs[6];
    int i;

    test_parts(p);
    test_length(p);
    test_header(p);
    test_kinds(p);
    test_empty(p);
    test_is(p);
    test_limits(p);
    test_typ(p);
    for (i = 0; i < 6; i++) {
        pairs[i].kind = kinds[i];
        pairs[i].pkey = sign_key(kinds[i], p);
        pairs[i].key = key_of(pairs[i].pkey, "", p);
    }
    test_matrix(pairs, 6, p);
    test_foreign(pairs, p);
    test_binding(&pairs[0], p);
    test_pss_salt(&pairs[0], p);
    test_rsa_length(&pairs[0], p);
    for (i = 0; i < 3; i++) {
        const char *alg = mcp_alg_info((mcp_alg_t)(MCP_ALG_ES256 + i))->name;

        test_ec_range(&pairs[1 + i], alg, p);
        test_ec_der(&pairs[1 + i], alg, p);
    }
    test_faults(pairs, 6, p);
    test_yes(&pairs[1], p);
    test_error_queue(&pairs[0], p);
    test_threads(&pairs[0], p);
}
