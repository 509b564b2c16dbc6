#include <openssl/x509.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/limits.h"
#include "tap.h"
#include "world.h"

/* How far ahead the next look at a clock is, once: instead of the C library's. */
static int ahead;

int clock_gettime(clockid_t id, struct timespec *now)
{
    int rc = (int)syscall(SYS_clock_gettime, id, now);

    now->tv_sec += ahead;
    ahead = 0;
    return rc;
}

/* The verdict on a payload signed with the good RSA key. */
static mcp_status_t payload(const world_t *w, const char *text)
{
    return verify(w, sign_token(w->rsa, "RS256", head(w, "RS256", "rsa"), text, w->p));
}

/* The verdict on a header over good claims, signed RS256 with the good key. */
static mcp_status_t header(const world_t *w, const char *text)
{
    return verify(w, sign_token(w->rsa, "RS256", text, claims(w, ""), w->p));
}

static void test_good(const world_t *w)
{
    const struct {
        EVP_PKEY *pkey;
        const char *alg, *kid;
    } rows[] = { { w->rsa, "RS256", "rsa" },     { w->rsa, "RS384", "rsa" },
                 { w->rsa, "RS512", "rsa" },     { w->rsa, "PS256", "rsa" },
                 { w->rsa, "PS384", "rsa" },     { w->rsa, "PS512", "rsa" },
                 { w->p256, "ES256", "p256" },   { w->p384, "ES384", "p384" },
                 { w->p521, "ES512", "p521" },   { w->ed25519, "EdDSA", "ed25519" },
                 { w->ed448, "EdDSA", "ed448" }, { w->ed25519, "Ed25519", "ed25519" },
                 { w->ed448, "Ed448", "ed448" } };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *token =
            sign_token(rows[i].pkey, rows[i].alg, head(w, rows[i].alg, rows[i].kid), claims(w, ""), w->p);
        const char *bare = sign_token(rows[i].pkey, rows[i].alg, apr_psprintf(w->p, "{\"alg\":\"%s\"}", rows[i].alg),
                                      claims(w, ""), w->p);

        OK(verify(w, token) == MCP_OK, "1.1 a good %s token by %s", rows[i].alg, rows[i].kid);
        OK(verify(w, bare) == MCP_OK, "1.1 KEY-7 the same without kid: a key fits");
    }
}

static void test_result(const world_t *w)
{
    const char *text = claims(w, ",\"sub\":\"u1\",\"client_id\":\"c1\",\"azp\":\"c2\",\"nbf\":1799999999");
    const char *token = sign_token(w->rsa, "RS256", head(w, "RS256", "rsa"), text, w->p);
    mcp_token_t *result;

    OK(verify_at(&result, w, token, strlen(token), apr_time_from_sec(NOW)) == MCP_OK && result,
       "a token with all claims");
    if (!result) {
        return;
    }
    STR_IS(result->sub, "u1", "its sub");
    STR_IS(result->client, "c1", "client_id goes before azp");
    STR_IS(result->kid, "rsa", "its kid");
    OK(result->trust == &w->trust, "whose it is");
    OK(result->not_after == apr_time_from_sec(NOW + 300 + SKEW), "exp and skew");
    OK(result->not_before == apr_time_from_sec(NOW - 1 - SKEW), "nbf and skew");
    OK(result->generation == mcp_keycache_generation(w->trust.keys) && result->generation == 1,
       "K09 C04 the generation");
    STR_IS(json_string_value(json_object_get(result->claims, "azp")), "c2", "all claims");

    token = sign_token(w->rsa, "RS256", "{\"alg\":\"RS256\"}", claims(w, ",\"azp\":\"c2\""), w->p);
    verify_at(&result, w, token, strlen(token), apr_time_from_sec(NOW));
    STR_IS(result ? result->client : NULL, "c2", "azp where there is no client_id");
    OK(result && !result->sub && !result->kid, "no sub and no kid are NULL");
}

static void test_table_header(const world_t *w)
{
    static const struct {
        const char *text;
        mcp_status_t want;
    } rows[] = {
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", MCP_OK },
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[\"x-pol\"],\"x-pol\":1}", MCP_TOKEN_CRITICAL },
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"crit\":[]}", MCP_TOKEN_CRITICAL },
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"b64\":false,\"crit\":[\"b64\"]}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"none\",\"alg\":\"RS256\",\"kid\":\"rsa\"}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"alg\":\"none\",\"kid\":\"rsa\"}", MCP_TOKEN_HEADER },
        { "{\"kid\":\"rsa\"}", MCP_TOKEN_HEADER },
        { "{\"alg\":256,\"kid\":\"rsa\"}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"none\",\"kid\":\"rsa\"}", MCP_TOKEN_ALGORITHM },
        { "{\"alg\":\"nOnE\",\"kid\":\"rsa\"}", MCP_TOKEN_ALGORITHM },
        { "{\"alg\":\"rs256\",\"kid\":\"rsa\"}", MCP_TOKEN_ALGORITHM },
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"jwk\":{}}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"jku\":\"http://127.0.0.1/\"}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"zip\":\"DEF\"}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"kid\":\"nobody\"}", MCP_TOKEN_KEY_UNKNOWN },
        { "{\"alg\":\"RS256\",\"kid\":\"\"}", MCP_TOKEN_KEY_UNKNOWN },
        { "{\"alg\":\"RS256\",\"kid\":\"RSA\"}", MCP_TOKEN_KEY_UNKNOWN },
        { "{\"alg\":\"RS256\",\"kid\":\"p256\"}", MCP_TOKEN_KEY_UNKNOWN },
        { "{\"alg\":\"RS256\",\"kid\":\"weak\"}", MCP_TOKEN_KEY_UNKNOWN },
        { "{\"alg\":\"RS256\",\"kid\":7}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"RS256\",\"kid\":{\"a\":\"rsa\"}}", MCP_TOKEN_HEADER },
        { "{\"alg\":\"ES256\",\"kid\":\"rsa\"}", MCP_TOKEN_KEY_UNKNOWN },
        { "{\"alg\":\"ES256\"}", MCP_TOKEN_SIGNATURE },
        { "{\"alg\":\"PS256\",\"kid\":\"rsa\"}", MCP_TOKEN_SIGNATURE },
        { "{\"alg\":\"RS384\",\"kid\":\"rsa\"}", MCP_TOKEN_SIGNATURE },
        { "{\"alg\":\"EdDSA\",\"kid\":\"ed25519\"}", MCP_TOKEN_SIGNATURE },
        { "{\"alg\":\"HS256\",\"kid\":\"oct\"}", MCP_TOKEN_ALGORITHM },
        { "{\"alg\":\"RS256\",\"kid\":\"oct\"}", MCP_TOKEN_KEY_UNKNOWN },
        { "[\"RS256\"]", MCP_TOKEN_HEADER },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        OK(header(w, rows[i].text) == rows[i].want, "1.1 T01 T04 T05 T06 T10 T13 K14 TOK-4 TOK-10 TOK-11 %s: %s",
           rows[i].text, mcp_status_info(rows[i].want)->slug);
    }
}

/* The claims that RFC 9068 section 2.2 requires; every token has iss, exp and aud. */
#define PROFILE ",\"sub\":\"s\",\"client_id\":\"c\",\"jti\":\"j\",\"iat\":1"

static void test_typ(world_t *w)
{
    static const struct {
        const char *typ;
        int bit;
    } rows[] = { { "", MCP_TYPE_NONE },
                 { "\"typ\":\"at+jwt\",", MCP_TYPE_AT_JWT },
                 { "\"typ\":\"application/AT+JWT\",", MCP_TYPE_AT_JWT },
                 { "\"typ\":\"JWT\",", MCP_TYPE_JWT },
                 { "\"typ\":\"application/jwt\",", MCP_TYPE_JWT },
                 { "\"typ\":\"\",", 0 },
                 { "\"typ\":\"none\",", 0 },
                 { "\"typ\":\"jwt+at\",", 0 },
                 { "\"typ\":\"at+jwt \",", 0 },
                 { "\"typ\":\"JOSE\",", 0 },
                 { "\"typ\":\"logout+jwt\",", 0 },
                 { "\"typ\":\"dpop+jwt\",", 0 },
                 { "\"typ\":\"secevent+jwt\",", 0 },
                 { "\"typ\":\"oauth-id-jag+jwt\",", 0 },
                 { "\"typ\":\"token-introspection+jwt\",", 0 } };
    int types, wrong;
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *token = sign_token(w->rsa, "RS256", apr_psprintf(w->p, "{%s\"alg\":\"RS256\"}", rows[i].typ),
                                       claims(w, PROFILE), w->p);

        for (types = 0, wrong = 0; types <= MCP_TYPES_DEFAULT; types++) {
            w->trust.types = types;
            wrong += verify(w, token) != (types & rows[i].bit ? MCP_OK : MCP_TOKEN_TYPE);
        }
        OK(!wrong, "1.1 T19 TOK-7 INT-7 header {%s} is accepted as configured", rows[i].typ);
    }
    w->trust.types = MCP_TYPES_DEFAULT;
}

/* Strict and lenient at the same time: the verdict of the strict mode on a token that the lenient one accepts. */
static mcp_status_t strict(world_t *w, const char *text)
{
    const char *token = sign_token(w->rsa, "RS256", head(w, "RS256", "rsa"), text, w->p);
    mcp_status_t status;

    OK(verify(w, token) == MCP_OK, "TOK-8 the lenient mode takes %s", text);
    w->trust.types = MCP_TYPE_AT_JWT;
    status = verify(w, token);
    w->trust.types = MCP_TYPES_DEFAULT;
    return status;
}

static void test_profile(world_t *w)
{
    static const char *const members[] = { ",\"sub\":\"s\"", ",\"client_id\":\"c\"", ",\"jti\":\"j\"", ",\"iat\":1" };
    static const char *const empty[] = { ",\"sub\":\"\",\"client_id\":\"c\",\"jti\":\"j\",\"iat\":1",
                                         ",\"sub\":\"s\",\"client_id\":\"\",\"jti\":\"j\",\"iat\":1",
                                         ",\"sub\":\"s\",\"client_id\":\"c\",\"jti\":\"\",\"iat\":1",
                                         ",\"sub\":\"s\",\"client_id\":\"c\",\"jti\":7,\"iat\":1",
                                         ",\"sub\":\"s\",\"azp\":\"c\",\"jti\":\"j\",\"iat\":1" };
    int i, j;

    for (i = 0; i <= 4; i++) {
        const char *some = "";

        for (j = 0; j < 4; j++) {
            some = j == i ? some : apr_pstrcat(w->p, some, members[j], NULL);
        }
        OK(strict(w, claims(w, some)) == (i == 4 ? MCP_OK : MCP_TOKEN_CLAIMS),
           "TOK-8 only at+jwt accepted, claim %d of 4 missing", i);
        OK(strict(w, claims(w, empty[i])) == MCP_TOKEN_CLAIMS, "TOK-8 claims that say nothing: {%s}", empty[i]);
    }
}

/* RFC 9068 sections 2.2.1 and 2.2.3: not required, but of these types where they stand. */
static void test_profile_types(world_t *w)
{
    static const char *const good[] = {
        ",\"scope\":\"a b\"",          ",\"scope\":\"\"", ",\"acr\":\"mfa\"",          ",\"auth_time\":1799999000",
        ",\"auth_time\":1799999000.5", ",\"amr\":[]",     ",\"amr\":[\"pwd\",\"otp\"]"
    };
    static const char *const bad[] = {
        ",\"scope\":null",      ",\"scope\":[\"a\"]",  ",\"scope\":7",        ",\"acr\":null",
        ",\"acr\":1",           ",\"acr\":[\"mfa\"]",  ",\"auth_time\":null", ",\"auth_time\":\"1799999000\"",
        ",\"auth_time\":true",  ",\"amr\":null",       ",\"amr\":\"pwd\"",    ",\"amr\":{\"pwd\":1}",
        ",\"amr\":[\"pwd\",1]", ",\"amr\":[[\"pwd\"]]"
    };
    apr_size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        OK(strict(w, claims(w, apr_pstrcat(w->p, PROFILE, good[i], NULL))) == MCP_OK, "TOK-8 {%s} is of its type",
           good[i]);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        OK(strict(w, claims(w, apr_pstrcat(w->p, PROFILE, bad[i], NULL))) == MCP_TOKEN_CLAIMS,
           "TOK-8 {%s} is not of its type", bad[i]);
    }
}

static void test_kinds(const world_t *w)
{
    const char *nonce = claims(w, ",\"nonce\":\"n\"");

    OK(payload(w, claims(w, ",\"at_hash\":\"x\"")) == MCP_TOKEN_TYPE, "T19 TOK-7 an ID token: at_hash");
    OK(payload(w, claims(w, ",\"events\":{}")) == MCP_TOKEN_TYPE, "T19 TOK-7 a logout token: events");
    OK(payload(w, claims(w, ",\"typ\":\"ID\"")) == MCP_TOKEN_TYPE, "T19 TOK-7 an ID token of Keycloak");
    OK(payload(w, nonce) == MCP_OK, "nonce in an at+jwt is harmless");
    OK(verify(w, sign_token(w->rsa, "RS256", "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", nonce, w->p)) == MCP_TOKEN_TYPE,
       "T19 nonce in a JWT makes an ID token");
}

#define DIGEST "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" /* of RFC 9449 section 6.1 */

static void test_binding(const world_t *w)
{
    const char *text = claims(w, ",\"cnf\":{\"jkt\":\"" DIGEST "\"}");
    const char *token = sign_token(w->rsa, "RS256", head(w, "RS256", "rsa"), text, w->p);
    mcp_token_t *result;

    verify_at(&result, w, token, strlen(token), apr_time_from_sec(NOW));
    OK(result && !result->binding.x5t, "POP-1 a token that is bound to a key is a token");
    STR_IS(result ? result->binding.jkt : NULL, DIGEST, "POP-1 to this key: the sender has to prove it");
    text = claims(w, ",\"cnf\":{\"x5t#S256\":\"" DIGEST "\"}");
    token = sign_token(w->rsa, "RS256", head(w, "RS256", "rsa"), text, w->p);
    verify_at(&result, w, token, strlen(token), apr_time_from_sec(NOW));
    OK(result && !result->binding.jkt, "POP-8 a token that is bound to a certificate is a token");
    STR_IS(result ? result->binding.x5t : NULL, DIGEST, "POP-8 to this one");
    token = sign_token(w->rsa, "RS256", head(w, "RS256", "rsa"), claims(w, ""), w->p);
    verify_at(&result, w, token, strlen(token), apr_time_from_sec(NOW));
    OK(result && !result->binding.jkt && !result->binding.x5t, "one that is not bound");
    OK(payload(w, claims(w, ",\"cnf\":{\"jkt\":\"x\"}")) == MCP_TOKEN_BOUND &&
           payload(w, claims(w, ",\"cnf\":{\"jwk\":{}}")) == MCP_TOKEN_BOUND,
       "POP-1 bound to what nobody can check");
}

/* What mcp_token_check says of claims that no signature vouches for. */
static mcp_status_t checked(mcp_token_t *token, mcp_token_step_t *pstep, const world_t *w, const char *text, int at_jwt)
{
    memset(token, 0, sizeof(*token));
    token->trust = &w->trust;
    SIGN_MUST(mcp_json_parse_object(&token->claims, text, strlen(text), MCP_LIMIT_JOSE_DEPTH, w->p) == MCP_OK);
    return mcp_token_check(token, pstep, at_jwt, apr_time_from_sec(NOW), w->p);
}

/* Each token fails at one check only, and at all that come behind it. */
static void test_check(const world_t *w)
{
    static const struct {
        const char *text;
        int at_jwt;
        mcp_status_t want;
        mcp_token_step_t step;
    } rows[] = {
        { "{\"typ\":\"ID\",\"exp\":1,\"sub\":7,\"cnf\":1}", 1, MCP_TOKEN_TYPE, MCP_STEP_KIND },
        { "{\"nonce\":\"n\",\"exp\":1}", 0, MCP_TOKEN_TYPE, MCP_STEP_KIND },
        { "{\"nonce\":\"n\",\"exp\":1,\"sub\":7,\"cnf\":1}", 1, MCP_TOKEN_EXPIRED, MCP_STEP_TIMES },
        { "{\"sub\":7,\"cnf\":1}", 1, MCP_TOKEN_CLAIMS, MCP_STEP_TIMES },
        { "{\"exp\":1800000300,\"nbf\":1800003600}", 1, MCP_TOKEN_NOT_YET, MCP_STEP_TIMES },
        { "{\"exp\":1800000300,\"sub\":7,\"cnf\":1}", 1, MCP_TOKEN_AUDIENCE, MCP_STEP_AUDIENCE },
        { "{\"exp\":1800000300,\"aud\":\"" RESOURCE "\",\"sub\":7,\"cnf\":1}", 1, MCP_TOKEN_CLAIMS, MCP_STEP_CLAIMS },
        { "{\"exp\":1800000300,\"aud\":\"" RESOURCE "\",\"cnf\":1}", 1, MCP_TOKEN_BOUND, MCP_STEP_BINDING },
        { "{\"exp\":1800000300,\"aud\":\"" RESOURCE "\"}", 0, MCP_OK, MCP_STEP_DONE },
    };
    mcp_token_step_t step;
    mcp_token_t token;
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        OK(checked(&token, &step, w, rows[i].text, rows[i].at_jwt) == rows[i].want && step == rows[i].step,
           "TOK-7 %s: %s at %s", rows[i].text, mcp_status_info(rows[i].want)->slug, mcp_token_step_name(rows[i].step));
    }
    checked(&token, &step, w,
            "{\"exp\":1800000300,\"nbf\":1799999999,\"aud\":\"" RESOURCE
            "\",\"sub\":\"u\",\"azp\":\"a\",\"cnf\":{\"jkt\":\"" DIGEST "\"}}",
            0);
    STR_IS(token.sub, "u", "its sub");
    STR_IS(token.client, "a", "its client");
    STR_IS(token.binding.jkt, DIGEST, "its key");
    OK(token.not_after == apr_time_from_sec(NOW + 300 + SKEW) &&
           token.not_before == apr_time_from_sec(NOW - 1 - SKEW) && !token.kid && !token.generation,
       "its times; kid and generation are left to who has a signature");
}

static void test_table_times(const world_t *w)
{
    static const struct {
        const char *members;
        mcp_status_t want;
    } rows[] = {
        { ",\"exp\":1800000300", MCP_OK },
        { ",\"exp\":1800000300.5", MCP_OK },
        { ",\"exp\":1.8000003e9", MCP_OK },
        { ",\"exp\":1799999970", MCP_OK }, /* 30 s ago, within the skew */
        { ",\"exp\":1799999700", MCP_TOKEN_EXPIRED },
        { ",\"exp\":1799999940", MCP_TOKEN_EXPIRED }, /* at the second */
        { ",\"exp\":0", MCP_TOKEN_EXPIRED },
        { "", MCP_TOKEN_CLAIMS },
        { ",\"exp\":\"1800000300\"", MCP_TOKEN_CLAIMS },
        { ",\"exp\":null", MCP_TOKEN_CLAIMS },
        { ",\"exp\":true", MCP_TOKEN_CLAIMS },
        { ",\"exp\":[1800000300]", MCP_TOKEN_CLAIMS },
        { ",\"exp\":{}", MCP_TOKEN_CLAIMS },
        { ",\"exp\":1e300", MCP_TOKEN_CLAIMS },
        { ",\"exp\":1e999", MCP_TOKEN_CLAIMS },
        { ",\"exp\":9223372036854775807", MCP_TOKEN_CLAIMS },
        { ",\"exp\":18446744073709551617", MCP_TOKEN_CLAIMS },
        { ",\"exp\":1,\"exp\":1800000300", MCP_TOKEN_CLAIMS },
        { ",\"exp\":1800000300,\"e\\u0078p\":1800000300", MCP_TOKEN_CLAIMS },
        { ",\"exp\":1800000300,\"nbf\":1800003600", MCP_TOKEN_NOT_YET },
        { ",\"exp\":1800000300,\"nbf\":\"1800003600\"", MCP_TOKEN_CLAIMS },
        { ",\"exp\":1800000300,\"nbf\":\"1\"", MCP_TOKEN_CLAIMS },
        { ",\"exp\":1800000300,\"nbf\":1800000030", MCP_OK },
        { ",\"exp\":1800000300,\"iat\":1800003600", MCP_TOKEN_NOT_YET },
        { ",\"exp\":1800000300,\"iat\":\"1\"", MCP_TOKEN_CLAIMS },
        { ",\"exp\":1800000300,\"iat\":1799999999", MCP_OK },
    };
    mcp_status_t status;
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        OK(payload(w, timed(w, rows[i].members)) == rows[i].want, "1.1 T13 T15 T16 TOK-9 {%s}: %s", rows[i].members,
           mcp_status_info(rows[i].want)->slug);
    }
    status = payload(w, timed(w, ",\"exp\":-1"));
    OK(status == MCP_TOKEN_EXPIRED || status == MCP_TOKEN_CLAIMS, "1.1 T15 a negative exp is refused");
}

static void test_table_payload(const world_t *w)
{
    static const char *const rows[] = { "[]",
                                        "[{}]",
                                        "\"x\"",
                                        "1",
                                        "null",
                                        "true",
                                        "{}",
                                        "{",
                                        "{}{}",
                                        "{\"exp\":1800000300,\"aud\":\"" RESOURCE "\"}",
                                        "{\"iss\":null,\"exp\":1800000300,\"aud\":\"" RESOURCE "\"}",
                                        "{\"iss\":1,\"exp\":1800000300,\"aud\":\"" RESOURCE "\"}",
                                        "{\"iss\":[\"" ISSUER "\"],\"exp\":1800000300,\"aud\":\"" RESOURCE "\"}",
                                        "{\"iss\":\"" ISSUER "\\u0000\",\"exp\":1800000300,\"aud\":\"" RESOURCE "\"}",
                                        "{\"iss\":\"" ISSUER "\",\"iss\":\"" ISSUER
                                        "\",\"exp\":1800000300,\"aud\":\"" RESOURCE "\"}",
                                        "\xef\xbb\xbf{}",
                                        "{\"iss\":\"\xff\"}" };
    static const char *const members[] = {
        ",\"sub\":\"a\\u0000b\"",   ",\"sub\":7",          ",\"sub\":null",
        ",\"sub\":[\"a\"]",         ",\"client_id\":7",    ",\"client_id\":\"a\\u0000\"",
        ",\"client_id\":null",      ",\"azp\":{}",         ",\"client_id\":\"c\",\"azp\":7",
        ",\"scope\":\"a\\u0000b\"", ",\"sub\":\"\\ud800\""
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        OK(payload(w, rows[i]) == MCP_TOKEN_CLAIMS, "1.1 T14 T18 TOK-12 payload no. %d is no claims set with an issuer",
           (int)i);
    }
    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        OK(payload(w, claims(w, members[i])) == MCP_TOKEN_CLAIMS, "1.1 T21 {%s}: refused", members[i]);
    }
    OK(verify(w, sign_join(apr_pstrcat(w->p, sign_b64_text("{\"alg\":\"RS256\"}", w->p), ".", sign_b64("{}\0", 3, w->p),
                                       NULL),
                           "s", 1, w->p)) == MCP_TOKEN_CLAIMS,
       "T21 a NUL byte behind the claims set");
}

static mcp_status_t issued_by(const world_t *w, const char *iss, EVP_PKEY *pkey)
{
    const char *text = apr_psprintf(w->p, "{\"iss\":\"%s\",\"aud\":\"" RESOURCE "\",\"exp\":1800000300}", iss);

    return verify(w, sign_token(pkey, "RS256", head(w, "RS256", "rsa"), text, w->p));
}

static void test_issuer(const world_t *w)
{
    static const char *const rows[] = { "",
                                        "https://as.example.com",
                                        ISSUER "/",
                                        ISSUER "x",
                                        "https://as.example.com/realms/mc",
                                        "https://AS.example.com/realms/mcp",
                                        "https://as.example.com:443/realms/mcp",
                                        "http://as.example.com/realms/mcp",
                                        " " ISSUER,
                                        ISSUER " ",
                                        "https://as.example.com/realms/%6dcp" };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        OK(issued_by(w, rows[i], w->rsa) == MCP_TOKEN_ISSUER, "1.1 T18 TOK-3 iss \"%s\" is nobody's", rows[i]);
    }
    OK(issued_by(w, ISSUER, w->rsa) == MCP_OK, "the first issuer");
    OK(issued_by(w, OTHER_ISSUER, w->stranger) == MCP_OK, "the second issuer");
    OK(issued_by(w, ISSUER, w->stranger) == MCP_TOKEN_SIGNATURE,
       "K05 TOK-3 the second's key, same kid, in the first's name");
    OK(issued_by(w, OTHER_ISSUER, w->rsa) == MCP_TOKEN_SIGNATURE, "K05 TOK-3 and the other way round");
}

static void test_audience(const world_t *w)
{
    static const struct {
        const char *members;
        mcp_status_t want;
    } rows[] = {
        { ",\"aud\":\"" RESOURCE "\"", MCP_OK },
        { ",\"aud\":[\"x\",\"" RESOURCE "\"]", MCP_OK },
        { "", MCP_TOKEN_AUDIENCE },
        { ",\"aud\":\"https://mcp.example.com/other\"", MCP_TOKEN_AUDIENCE },
        { ",\"aud\":\"" RESOURCE "/\"", MCP_TOKEN_AUDIENCE },
        { ",\"aud\":\"https://mcp.example.com\"", MCP_TOKEN_AUDIENCE },
        { ",\"aud\":[]", MCP_TOKEN_AUDIENCE },
        { ",\"aud\":null", MCP_TOKEN_AUDIENCE },
        { ",\"aud\":7", MCP_TOKEN_AUDIENCE },
        { ",\"aud\":{\"a\":\"" RESOURCE "\"}", MCP_TOKEN_AUDIENCE },
        { ",\"aud\":\"" RESOURCE "\",\"aud\":\"" RESOURCE "\"", MCP_TOKEN_CLAIMS },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        OK(payload(w, apr_psprintf(w->p, "{\"iss\":\"" ISSUER "\",\"exp\":1800000300%s}", rows[i].members)) ==
               rows[i].want,
           "1.1 TOK-1 {%s}: %s", rows[i].members, mcp_status_info(rows[i].want)->slug);
    }
}

/* The text of the public key in every form an attacker may take for a secret. */
static void test_confusion(const world_t *w)
{
    static const char *const digests[] = { "SHA256", "SHA384", "SHA512" };
    unsigned char pem[2048], *der = NULL;
    const char *n = sign_number(w->rsa, OSSL_PKEY_PARAM_RSA_N, 0, w->p), *jwk = sign_jwk(w->rsa, "", w->p);
    int der_len = i2d_PUBKEY(w->rsa, &der), pem_len = EVP_EncodeBlock(pem, der, der_len), i, k;
    const char *text = apr_psprintf(w->p, "-----BEGIN PUBLIC KEY-----\n%.*s\n-----END PUBLIC KEY-----\n", pem_len, pem);
    const struct {
        const void *data;
        int len;
    } secrets[] = { { text, (int)strlen(text) },
                    { text, (int)strlen(text) - 1 },
                    { der, der_len },
                    { n, (int)strlen(n) },
                    { jwk, (int)strlen(jwk) },
                    { "", 0 },
                    { "secret", 6 } };

    for (i = 0; i < 3; i++) {
        for (k = 0; k < 7; k++) {
            const char *hs =
                apr_psprintf(w->p, "{\"alg\":\"HS%s\",\"kid\":\"%s\"}", digests[i] + 3, k == 6 ? "oct" : "rsa");
            const char *rs = "{\"alg\":\"RS256\",\"kid\":\"rsa\"}";

            OK(verify(w, sign_hmac(secrets[k].data, (size_t)secrets[k].len, digests[i], hs, claims(w, ""), w->p)) ==
                   MCP_TOKEN_ALGORITHM,
               "1.1 T02 T03 TOK-4 KEY-8 HS%s, secret no. %d", digests[i] + 3, k);
            OK(verify(w, sign_hmac(secrets[k].data, (size_t)secrets[k].len, digests[i], rs, claims(w, ""), w->p)) ==
                   MCP_TOKEN_SIGNATURE,
               "T02 the same MAC under RS256");
        }
    }
    OPENSSL_free(der);
}

static void test_none(const world_t *w)
{
    static const char *const names[] = { "none", "None", "NONE", "nOnE", "" };
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *input = sign_input(apr_psprintf(w->p, "{\"alg\":\"%s\"}", names[i]), claims(w, ""), w->p);

        OK(verify(w, apr_pstrcat(w->p, input, ".", NULL)) == MCP_TOKEN_MALFORMED, "1.1 T01 TOK-5 %s, nothing signed",
           names[i]);
        OK(verify(w, apr_pstrcat(w->p, input, NULL)) == MCP_TOKEN_MALFORMED, "T01 %s, two parts", names[i]);
        OK(verify(w, apr_pstrcat(w->p, input, ".AA", NULL)) == MCP_TOKEN_ALGORITHM, "T01 %s, a zero byte", names[i]);
    }
}

static void test_embedded(const world_t *w)
{
    const char *jwk = sign_jwk(w->stranger, "", w->p);
    const char *text = apr_psprintf(w->p, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"jwk\":%s}", jwk);

    OK(verify(w, sign_token(w->stranger, "RS256", text, claims(w, ""), w->p)) == MCP_TOKEN_HEADER,
       "1.1 T05 TOK-11 own jwk");
    OK(verify(w, sign_token(w->stranger, "RS256", "{\"alg\":\"RS256\",\"x5c\":[\"AA\"]}", claims(w, ""), w->p)) ==
           MCP_TOKEN_SIGNATURE,
       "T05 TOK-11 x5c is no source of keys");
    OK(verify(w, sign_token(w->weak, "RS256", "{\"alg\":\"RS256\"}", claims(w, ""), w->p)) == MCP_TOKEN_SIGNATURE,
       "1.1 K06 TOK-6 a 1024-bit key of the set verifies nothing");
    OK(verify(w, sign_token(w->weak, "RS256", head(w, "RS256", "weak"), claims(w, ""), w->p)) == MCP_TOKEN_KEY_UNKNOWN,
       "1.1 K06 TOK-6 it is as if it were not there");
}

static void test_ecdsa(const world_t *w)
{
    const char *input = sign_input(head(w, "ES256", "p256"), claims(w, ""), w->p);
    unsigned char zero[64] = { 0 }, *der;
    size_t len;

    OK(verify(w, sign_join(input, zero, 64, w->p)) == MCP_TOKEN_SIGNATURE, "1.1 T07 ES256 all zero");
    der = sign_openssl(&len, w->p256, "ES256", input, w->p);
    OK(verify(w, sign_join(input, der, len, w->p)) == MCP_TOKEN_SIGNATURE, "1.1 T08 TOK-6 ES256 in DER");
}

static void test_table_text(const world_t *w)
{
    const char *good = sign_token(w->rsa, "RS256", head(w, "RS256", "rsa"), claims(w, ""), w->p);
    apr_size_t len = strlen(good);
    char *text, *last, *dots = apr_palloc(w->p, 7001);
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    static const char *const ends[] = { "==", "=", ".", ".x", "..", "+", "/", " ", "\n", "\r\n", "\t", "%20", "," };
    mcp_token_t *result;
    apr_size_t i;

    OK(verify(w, good) == MCP_OK, "1.1 a good token");
    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        OK(verify(w, apr_pstrcat(w->p, good, ends[i], NULL)) == MCP_TOKEN_MALFORMED,
           "1.1 T12 TOK-12 something behind: %d", (int)i);
        OK(verify(w, apr_pstrcat(w->p, ends[i], good, NULL)) == MCP_TOKEN_MALFORMED, "T12 TOK-12 the same in front");
    }
    OK(verify_at(&result, w, good, len + 1, apr_time_from_sec(NOW)) == MCP_TOKEN_MALFORMED,
       "T21 its NUL is no part of it");
    text = apr_pstrdup(w->p, good);
    last = text + len - 1;
    SIGN_MUST(strchr(alphabet, *last));
    *last = alphabet[strchr(alphabet, *last) - alphabet + 1];
    OK(verify(w, text) == MCP_TOKEN_MALFORMED, "1.1 T12 a last character that differs in unused bits");
    memset(dots, '.', 7000);
    dots[7000] = '\0';
    OK(verify(w, dots) == MCP_TOKEN_MALFORMED, "1.1 T11 7000 dots");
    OK(verify(w, apr_pstrcat(w->p, good, ".AAAA.AAAA", NULL)) == MCP_TOKEN_MALFORMED, "T09 TOK-14 five parts");
    OK(verify(w, apr_psprintf(w->p, "{\"token\":\"%s\"}", good)) == MCP_TOKEN_MALFORMED, "K13 TOK-12 JSON around it");
}

static void test_allowed(world_t *w)
{
    const char *token = sign_token(w->p256, "ES256", head(w, "ES256", "p256"), claims(w, ""), w->p);

    w->trust.algs = MCP_ALG_BIT(MCP_ALG_RS256);
    OK(verify(w, token) == MCP_TOKEN_ALGORITHM, "T01 TOK-4 an algorithm that is not configured");
    w->trust.algs = MCP_ALG_BIT(MCP_ALG_ES256);
    OK(verify(w, token) == MCP_OK, "the one that is");
    w->trust.algs = MCP_ALGS_DEFAULT;
    token = sign_token(w->ed25519, "Ed25519", head(w, "Ed25519", "ed25519"), claims(w, ""), w->p);
    OK(verify(w, token) == MCP_TOKEN_ALGORITHM, "Ed25519 by its own name is off by default");
    w->trust.algs = EVERY_ALG;
}

/* What may be refused before a key is needed does not need one. */
static void test_no_keys(world_t *w)
{
    mcp_keycache_t *keys = w->trust.keys;

    w->trust.keys = cache_make(NULL, w->p);
    OK(header(w, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}") == MCP_KEYS_UNAVAILABLE,
       "K02 R01 no key set yet is no fault of the token");
    OK(header(w, "{\"alg\":\"RS256\",\"typ\":\"logout+jwt\"}") == MCP_TOKEN_TYPE, "a wrong typ needs no keys");
    OK(issued_by(w, "x", w->rsa) == MCP_TOKEN_ISSUER, "nor does a foreign issuer");
    w->trust.keys = keys;
    OK(header(w, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}") == MCP_OK, "with keys it is good");
}

/* The signature is judged before the claims are believed. */
static void test_order(const world_t *w)
{
    const char *token = sign_token(w->stranger, "RS256", head(w, "RS256", "rsa"), timed(w, ",\"exp\":1"), w->p);

    OK(verify(w, token) == MCP_TOKEN_SIGNATURE, "TOK-13 expired and forged: forged");
}

/* A cache of n keys that did not sign, and then the one that did; members go into all of them. */
static mcp_keycache_t *crowd(const world_t *w, int n, const char *members)
{
    const char *keys = "", *jwk = sign_jwk(w->stranger, members, w->p);

    while (n-- > 0) {
        keys = apr_pstrcat(w->p, keys, jwk, ",", NULL);
    }
    return cache_make(apr_psprintf(w->p, "{\"keys\":[%s%s]}", keys, sign_jwk(w->rsa, members, w->p)), w->p);
}

/* Keys of one kid, and keys without kid: all that fit are tried, within the limit. */
static void test_candidates(const world_t *w)
{
    const char *bare = sign_token(w->rsa, "RS256", "{\"alg\":\"RS256\"}", claims(w, ""), w->p);
    const char *named = sign_token(w->rsa, "RS256", head(w, "RS256", "a"), claims(w, ""), w->p);
    world_t x = *w;

    x.trusts = list_make(&x.trust, w->p);
    x.trust.keys = crowd(w, 1, "");
    OK(verify(&x, bare) == MCP_OK, "KEY-7 two keys without kid, the second one signed");
    OK(verify(&x, named) == MCP_TOKEN_KEY_UNKNOWN, "a kid needs a key that has it");
    x.trust.keys = crowd(w, 1, "\"kid\":\"a\",");
    OK(verify(&x, named) == MCP_OK, "KEY-7 two keys of one kid, the second one signed");
    x.trust.keys = crowd(w, MCP_LIMIT_CANDIDATES - 1, "");
    OK(verify(&x, bare) == MCP_OK, "the last of the greatest number of keys that is tried");
    x.trust.keys = crowd(w, MCP_LIMIT_CANDIDATES, "");
    OK(verify(&x, bare) == MCP_TOKEN_SIGNATURE, "one key more is not tried");
}

/* A set with broken keys works (KEY-4); a withdrawn key ends its tokens at once. */
static void test_rotation(const world_t *w)
{
    world_t x = *w;
    const char *token = sign_token(w->rsa, "RS256", head(w, "RS256", "k"), claims(w, ""), w->p), *text;
    mcp_keyset_t *set;

    x.trusts = list_make(&x.trust, w->p);
    x.trust.keys =
        cache_make(sign_keyset(w->p, "1,{},{\"kty\":5}", sign_jwk(w->rsa, "\"kid\":\"k\",", w->p), NULL), w->p);
    OK(verify(&x, token) == MCP_OK, "K09 KEY-4 the good key of a set with broken ones");
    text = sign_keyset(w->p, sign_jwk(w->stranger, "\"kid\":\"k2\",", w->p), NULL);
    SIGN_MUST(!mcp_keyset_parse(&set, text, strlen(text)));
    mcp_keycache_put(x.trust.keys, set);
    OK(verify(&x, token) == MCP_TOKEN_KEY_UNKNOWN, "its key withdrawn");
    mcp_keycache_put(x.trust.keys, NULL);
    OK(verify(&x, token) == MCP_KEYS_UNAVAILABLE, "no set any more");
}

static mcp_token_lack_t lack_of(mcp_status_t expected, const world_t *w, const char *token, const char *what)
{
    mcp_token_lack_t lack = { .kid = "left over", .generation = 99 };
    mcp_token_t *result;

    OK(mcp_token_verify(&result, &lack, token, strlen(token), w->trusts, apr_time_from_sec(NOW), w->p) == expected,
       "%s", what);
    return lack;
}

/* Which verdicts could newer keys change? Everything else must not make anybody fetch. */
static void test_lack(const world_t *w)
{
    world_t x = *w;
    const char *good = sign_token(w->rsa, "RS256", head(w, "RS256", "rsa"), claims(w, ""), w->p);
    const char *unknown = sign_token(w->rsa, "RS256", head(w, "RS256", "new"), claims(w, ""), w->p);
    const char *other_alg = sign_token(w->rsa, "RS256", head(w, "RS256", "p256"), claims(w, ""), w->p);
    const char *forged = sign_token(w->stranger, "RS256", head(w, "RS256", "rsa"), claims(w, ""), w->p);
    const char *bare = sign_token(w->stranger, "RS256", "{\"alg\":\"RS256\"}", claims(w, ""), w->p);
    const char *late = sign_token(w->rsa, "RS256", head(w, "RS256", "rsa"),
                                  "{\"iss\":\"" ISSUER "\",\"aud\":\"" RESOURCE "\",\"exp\":1}", w->p);
    mcp_token_lack_t lack = lack_of(MCP_TOKEN_KEY_UNKNOWN, w, unknown, "a kid that the set does not have");

    OK(lack.trust && !strcmp(lack.trust->issuer, ISSUER), "R06 newer keys of its issuer could help");
    STR_IS(lack.kid, "new", "R06 this one");
    OK(!lack_of(MCP_OK, w, good, "a good token").trust, "lacks nothing");
    OK(!lack_of(MCP_TOKEN_KEY_UNKNOWN, w, other_alg, "a kid that is there, for another alg").trust,
       "K01 newer keys would not help");
    OK(!lack_of(MCP_TOKEN_SIGNATURE, w, forged, "a bad signature").trust, "K01 is final");
    OK(!lack_of(MCP_TOKEN_SIGNATURE, w, bare, "a bad signature without kid").trust, "K01 too");
    OK(!lack_of(MCP_TOKEN_EXPIRED, w, late, "an expired token").trust, "as well");
    OK(!lack_of(MCP_TOKEN_MALFORMED, w, "a.b", "no token").trust, "even more");

    x.trusts = list_make(&x.trust, w->p);
    x.trust.keys = cache_make(NULL, w->p);
    lack = lack_of(MCP_KEYS_UNAVAILABLE, &x, good, "no set at all");
    OK(lack.trust == &x.trust && !lack.kid && lack.generation == 0, "R01 any set could help");
    mcp_keycache_put(x.trust.keys, mcp_keycache_get(w->trust.keys));
    mcp_keycache_put(x.trust.keys, NULL);
    lack = lack_of(MCP_KEYS_UNAVAILABLE, &x, good, "none any more");
    OK(lack.generation == 2, "it says what the verdict came from");
    x.trust.keys = crowd(w, 0, "\"kid\":\"rsa\",");
    mcp_keycache_limit(x.trust.keys, 0);
    lack = lack_of(MCP_KEYS_UNAVAILABLE, &x, good, "R02 a set that may not be used any more");
    OK(lack.trust == &x.trust && lack.generation == 0, "R02 a fresh one could help");
    x.trust.keys = NULL;
    lack = lack_of(MCP_KEYS_UNAVAILABLE, &x, good, "an issuer without keys");
    OK(lack.trust == &x.trust && !lack.kid, "it says whom to ask");
    lack = lack_of(MCP_TOKEN_TYPE, &x,
                   sign_token(w->rsa, "RS256", head(w, "RS256", "rsa"), claims(w, ",\"at_hash\":\"x\""), w->p),
                   "T19 an ID token, whatever its keys");
    OK(!lack.trust && lack.step == MCP_STEP_KIND, "T24 and nobody is asked about it");
}

/* The set may not be used, then it may, all within one judgement: generation 0 must not come with a good token, for that is
 * what the cache takes for a token that needs no keys. */
static void test_revived(const world_t *w)
{
    const char *token = sign_token(w->rsa, "RS256", head(w, "RS256", "rsa"), claims(w, ""), w->p);
    world_t x = *w;

    x.trusts = list_make(&x.trust, w->p);
    x.trust.keys = crowd(w, 0, "\"kid\":\"rsa\",");
    mcp_keycache_limit(x.trust.keys, mcp_clock_monotonic() + apr_time_from_sec(1000));
    OK(verify(&x, token) == MCP_OK, "a set that may be used");
    ahead = 2000;
    OK(verify(&x, token) == MCP_KEYS_UNAVAILABLE && !ahead, "C04 R02 a set that comes back meanwhile does not count");
    OK(verify(&x, token) == MCP_OK, "R02 the next time it does");
}

/* The check that failed, and no other than that. */
static void test_steps(const world_t *w)
{
    static const char *const names[] = { "jws",       "payload", "issuer", "algorithm", "type",   "key",
                                         "signature", "kind",    "times",  "audience",  "claims", "binding" };
    const char *good = claims(w, ""), *rs = head(w, "RS256", "rsa");
    const struct {
        const char *header, *payload;
        EVP_PKEY *pkey;
        mcp_token_step_t step;
    } rows[] = { { "{\"alg\":\"none\"}", "[]", w->rsa, MCP_STEP_PARSE },
                 { "{\"alg\":\"RS256\",\"typ\":\"x\"}", "[]", w->rsa, MCP_STEP_PAYLOAD },
                 { "{\"alg\":\"RS256\",\"typ\":\"x\"}", "{\"iss\":7}", w->rsa, MCP_STEP_PAYLOAD },
                 { "{\"alg\":\"ES256\",\"typ\":\"x\"}", "{\"iss\":\"x\"}", w->p256, MCP_STEP_ISSUER },
                 { "{\"alg\":\"Ed25519\",\"typ\":\"x\"}", "{\"iss\":\"" OTHER_ISSUER "\"}", w->ed25519,
                   MCP_STEP_ALGORITHM },
                 { "{\"alg\":\"RS256\",\"typ\":\"x\",\"kid\":\"new\"}", good, w->rsa, MCP_STEP_TYPE },
                 { "{\"alg\":\"RS256\",\"kid\":\"new\"}", good, w->rsa, MCP_STEP_KEY },
                 { "{\"alg\":\"RS256\",\"kid\":\"p256\"}", good, w->rsa, MCP_STEP_KEY },
                 { rs, timed(w, ""), w->stranger, MCP_STEP_SIGNATURE },
                 { rs, claims(w, ",\"events\":1"), w->rsa, MCP_STEP_KIND },
                 { rs, timed(w, ""), w->rsa, MCP_STEP_TIMES },
                 { rs, "{\"iss\":\"" ISSUER "\",\"exp\":1800000300,\"sub\":7}", w->rsa, MCP_STEP_AUDIENCE },
                 { rs, claims(w, ",\"sub\":7"), w->rsa, MCP_STEP_CLAIMS },
                 { rs, claims(w, ",\"cnf\":7"), w->rsa, MCP_STEP_BINDING },
                 { rs, good, w->rsa, MCP_STEP_DONE } };
    mcp_token_t *result;
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *alg = rows[i].pkey == w->p256 ? "ES256" : rows[i].pkey == w->ed25519 ? "EdDSA" : "RS256";
        const char *token = sign_token(rows[i].pkey, alg, rows[i].header, rows[i].payload, w->p);
        mcp_token_lack_t lack = { .step = MCP_STEP_DONE };

        mcp_token_verify(&result, &lack, token, strlen(token), w->trusts, apr_time_from_sec(NOW), w->p);
        STR_IS(mcp_token_step_name(lack.step), mcp_token_step_name(rows[i].step), "%s %s: %s", rows[i].header,
               rows[i].payload, mcp_token_step_name(rows[i].step));
    }
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        STR_IS(mcp_token_step_name((mcp_token_step_t)i), names[i], "the checks in their order: %s", names[i]);
    }
    OK(i == MCP_STEP_DONE && !strcmp(mcp_token_step_name(MCP_STEP_DONE), "done") &&
           !strcmp(mcp_token_step_name((mcp_token_step_t)99), "done"),
       "and nothing behind them");
}

static void test_depth(const world_t *w)
{
    char arrays[2 * MCP_LIMIT_JOSE_DEPTH + 1];

    memset(arrays, '[', MCP_LIMIT_JOSE_DEPTH);
    memset(arrays + MCP_LIMIT_JOSE_DEPTH, ']', MCP_LIMIT_JOSE_DEPTH);
    arrays[2 * MCP_LIMIT_JOSE_DEPTH - 1] = '\0';
    OK(payload(w, claims(w, apr_pstrcat(w->p, ",\"x\":", arrays + 1, NULL))) == MCP_OK, "the deepest claims set");
    arrays[2 * MCP_LIMIT_JOSE_DEPTH - 1] = ']';
    arrays[2 * MCP_LIMIT_JOSE_DEPTH] = '\0';
    OK(payload(w, claims(w, apr_pstrcat(w->p, ",\"x\":", arrays, NULL))) == MCP_TOKEN_CLAIMS,
       "one level more is refused");
}

/* The verdict on an exactly sized copy, so that the sanitizer sees reads beyond, with memory of its own. */
static mcp_status_t verify_copy(const world_t *w, const char *token, apr_size_t len)
{
    world_t x = *w;
    char *copy = malloc(len ? len : 1);
    mcp_token_t *result;
    mcp_status_t status;

    SIGN_MUST(copy && apr_pool_create(&x.p, w->p) == APR_SUCCESS);
    memcpy(copy, token, len);
    status = verify_at(&result, &x, copy, len, apr_time_from_sec(NOW));
    free(copy);
    apr_pool_destroy(x.p);
    return status;
}

/* Every prefix of a token, and each byte of it flipped once. */
static void test_mutations(const world_t *w, EVP_PKEY *pkey, const char *alg, const char *kid)
{
    char *token = apr_pstrdup(w->p, sign_token(pkey, alg, head(w, alg, kid), claims(w, ",\"sub\":\"u\""), w->p));
    apr_size_t len = strlen(token), i;
    int good = 0, server = 0;
    mcp_status_t status;

    for (i = 0; i < len; i++) {
        status = verify_copy(w, token, i);
        good += status == MCP_OK;
        server += mcp_status_info(status)->http >= 500;
        token[i] ^= (char)(1 << i % 8);
        status = verify_copy(w, token, len);
        token[i] ^= (char)(1 << i % 8);
        good += status == MCP_OK;
        server += mcp_status_info(status)->http >= 500;
    }
    OK(!good, "T20 TOK-13 %s: no prefix and no flipped byte is accepted", alg);
    OK(!server, "T20 %s: nor taken for a fault of the server", alg);
    OK(verify_copy(w, token, len) == MCP_OK, "T20 %s: the token itself is good", alg);
}

static void test(apr_pool_t *p)
{
    world_t w;

    world_make(&w, p);
    test_good(&w);
    test_result(&w);
    test_table_header(&w);
    test_typ(&w);
    test_profile(&w);
    test_profile_types(&w);
    test_kinds(&w);
    test_binding(&w);
    test_check(&w);
    test_table_times(&w);
    test_table_payload(&w);
    test_issuer(&w);
    test_audience(&w);
    test_confusion(&w);
    test_none(&w);
    test_embedded(&w);
    test_ecdsa(&w);
    test_table_text(&w);
    test_allowed(&w);
    test_no_keys(&w);
    test_order(&w);
    test_candidates(&w);
    test_rotation(&w);
    test_lack(&w);
    test_revived(&w);
    test_steps(&w);
    test_depth(&w);
    test_mutations(&w, w.rsa, "RS256", "rsa");
    test_mutations(&w, w.p256, "ES256", "p256");
    test_mutations(&w, w.ed25519, "EdDSA", "ed25519");
}
