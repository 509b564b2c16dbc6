#include "policy/policy.h"

#include <stdlib.h>

#include "base/json.h"
#include "tap.h"

/* A policy without any demand, and a token that tests change. */
typedef struct fixture_t {
    mcp_policy_t policy;
    mcp_trust_t trust;
    mcp_token_t token;
    apr_pool_t *p;
    int negated, interned; /* of the conditions that are added */
} fixture_t;

static mcp_claim_path_t path_of(const char *text, apr_pool_t *p)
{
    mcp_claim_path_t path;

    mcp_claim_path_parse(&path, text, p);
    return path;
}

static const apr_array_header_t *paths_of(const char *a, const char *b, apr_pool_t *p)
{
    apr_array_header_t *paths = apr_array_make(p, 2, sizeof(mcp_claim_path_t));

    APR_ARRAY_PUSH(paths, mcp_claim_path_t) = path_of(a, p);
    if (b) {
        APR_ARRAY_PUSH(paths, mcp_claim_path_t) = path_of(b, p);
    }
    return paths;
}

static apr_array_header_t *texts_of(const char *a, const char *b, apr_pool_t *p)
{
    apr_array_header_t *texts = apr_array_make(p, 2, sizeof(const char *));

    APR_ARRAY_PUSH(texts, const char *) = a;
    if (b) {
        APR_ARRAY_PUSH(texts, const char *) = b;
    }
    return texts;
}

static fixture_t *fixture(const char *claims, apr_pool_t *p)
{
    fixture_t *f = apr_pcalloc(p, sizeof(*f));

    f->p = p;
    mcp_keycache_create(&f->trust.keys, p);
    f->trust.issuer = "https://sso.example.com";
    if (mcp_json_parse_object(&f->token.claims, claims, strlen(claims), 16, p) != MCP_OK) {
        printf("# not JSON: %s\n", claims);
    }
    f->token.trust = &f->trust;
    f->token.sub = "jane";
    f->token.client = "https://app.example/client.json";
    f->token.not_after = 2000;
    f->token.not_before = 1000;
    f->token.generation = 7;
    f->policy.scopes = mcp_scopes_create(p);
    f->policy.scope_paths = paths_of("scope", NULL, p);
    f->policy.acl_paths = f->policy.scope_paths;
    f->policy.user = path_of("sub", p);
    return f;
}

static apr_status_t release(void *data)
{
    free(data);
    return APR_SUCCESS;
}

/* The grant, made with a pool that is gone afterwards, and freed with p. */
static mcp_grant_t *grant_of(fixture_t *f)
{
    mcp_grant_t *grant;
    apr_pool_t *scratch;

    mcp_scopes_close(f->policy.scopes, f->p);
    apr_pool_create(&scratch, f->p);
    grant = mcp_grant_make(&f->token, &f->policy, 1700, scratch);
    apr_pool_destroy(scratch);
    apr_pool_cleanup_register(f->p, grant, release, apr_pool_cleanup_null);
    return grant;
}

static mcp_status_t status_of(fixture_t *f)
{
    return grant_of(f)->status;
}

static void require(fixture_t *f, const char *a, const char *b)
{
    f->policy.required_scopes = texts_of(a, b, f->p);
    mcp_scopes_intern(f->policy.scopes, a);
    if (b) {
        mcp_scopes_intern(f->policy.scopes, b);
    }
}

static mcp_status_t with_scopes(const char *claims, const char *a, const char *b, apr_pool_t *p)
{
    fixture_t *f = fixture(claims, p);

    require(f, a, b);
    return status_of(f);
}

static void contents(apr_pool_t *p)
{
    fixture_t *f =
        fixture("{\"sub\":\"jane\",\"scope\":\"b  a c\",\"email\":\"j@x\",\"groups\":[\"g1\",\"g,2\"],\"n\":null}", p);
    apr_array_header_t *forwards = apr_array_make(p, 3, sizeof(mcp_forward_t));
    mcp_forward_t forward = { { NULL, NULL }, "X-Header" };
    mcp_grant_t *grant;
    const char *paths[] = { "email", "nothing", "groups", "n" }, *end;
    int a = mcp_scopes_intern(f->policy.scopes, "a"), i;

    for (i = 0; i < 4; i++) {
        forward.path = path_of(paths[i], p);
        APR_ARRAY_PUSH(forwards, mcp_forward_t) = forward;
    }
    f->policy.forwards = forwards;
    f->token.client = apr_pstrdup(p, f->token.client);
    grant = grant_of(f);
    OK(grant->status == MCP_OK, "nothing is demanded");
    OK(grant->entry.not_after == 2000 && grant->entry.not_before == 1000 && grant->entry.generation == 7 &&
           grant->entry.keys == f->trust.keys && grant->entry.until == 1700,
       "C01 C04 times and generation of the token");
    OK(!grant->binding.jkt && !grant->binding.x5t && !grant->auth_time, "bound to nobody");
    STR_IS(grant->iss, "https://sso.example.com", "TOK-16 issuer");
    STR_IS(grant->sub, "jane", "TOK-16 subject");
    STR_IS(grant->client, "https://app.example/client.json", "TOK-16 a client that is a URL");
    STR_IS(grant->user, "jane", "user");
    STR_IS(grant->scope, "b a c", "scopes, one space between");
    STR_IS(grant->forwards[0], "j@x", "first forwarded claim");
    OK(!grant->forwards[1] && !grant->forwards[3], "absent and null claims are no header");
    STR_IS(grant->forwards[2], "g1,g%2C2", "an array");
    OK(mcp_valueset_has(&grant->acl_values, a) && grant->acl_values.words == mcp_scopes_words(f->policy.scopes),
       "values of the rules");
    end = (const char *)grant + grant->entry.size;
    OK(grant->entry.size > sizeof(*grant) && grant->forwards[2] + strlen(grant->forwards[2]) + 1 == end &&
           grant->iss > (const char *)grant && grant->iss < end,
       "one block, and its size is known");
    OK((apr_uintptr_t)grant->forwards % sizeof(void *) == 0 &&
           (apr_uintptr_t)grant->acl_values.bits % sizeof(apr_uint32_t) == 0,
       "aligned");
    OK(grant->entry.size <= 2048, "section 5: at most 2 KiB");
}

static void absent(apr_pool_t *p)
{
    fixture_t *f = fixture("{\"realm\":{\"user\":\"u\\r\\nx\"}}", p);
    mcp_grant_t *grant;

    f->token.sub = f->token.client = NULL;
    f->policy.scope_paths = f->policy.acl_paths = NULL;
    grant = grant_of(f);
    OK(grant->status == MCP_OK && !grant->sub && !grant->client && !grant->user,
       "a token without subject, client and user");
    STR_IS(grant->scope, "", "no scopes");
    OK(grant->acl_values.words == 1 && grant->acl_values.bits[0] == 0, "no values");
    f->policy.user = path_of("realm.user", p);
    STR_IS(grant_of(f)->user, "u%0D%0Ax", "TOK-21 another claim is the user, control bytes encoded");
    memset(&f->policy.user, 0, sizeof(f->policy.user));
    OK(!grant_of(f)->user, "no path for the user");
}

static void parties(apr_pool_t *p)
{
    fixture_t *f = fixture("{}", p);

    OK(status_of(f) == MCP_OK, "any client");
    f->policy.parties = texts_of("other", "https://app.example/client.json", p);
    OK(status_of(f) == MCP_OK, "TOK-16 a listed client");
    f->token.client = "https://app.example/client.jso";
    OK(status_of(f) == MCP_CLIENT_FORBIDDEN, "another client");
    f->token.client = "Other";
    OK(status_of(f) == MCP_CLIENT_FORBIDDEN, "another case is another client");
    f->token.client = NULL;
    OK(status_of(f) == MCP_CLIENT_FORBIDDEN, "no client where one is demanded");
    f->policy.parties = apr_array_make(p, 1, sizeof(const char *));
    f->token.client = "other";
    OK(status_of(f) == MCP_CLIENT_FORBIDDEN, "an empty list allows nobody");
}

static void scopes(apr_pool_t *p)
{
    fixture_t *f;

    OK(with_scopes("{\"scope\":\"a b\"}", "a", NULL, p) == MCP_OK, "TOK-15 the scope is there");
    OK(with_scopes("{\"scope\":\"b a\"}", "a", "b", p) == MCP_OK, "both are there");
    OK(with_scopes("{\"scope\":\"a\"}", "a", "b", p) == MCP_SCOPE_MISSING, "all are needed: the second is missing");
    OK(with_scopes("{\"scope\":\"b\"}", "a", "b", p) == MCP_SCOPE_MISSING, "all are needed: the first is missing");
    OK(with_scopes("{\"scope\":\"A\"}", "a", NULL, p) == MCP_SCOPE_MISSING, "TOK-15 case counts");
    OK(with_scopes("{\"scope\":\"ab a:b\"}", "a", NULL, p) == MCP_SCOPE_MISSING, "TOK-15 whole scopes only");
    OK(with_scopes("{}", "a", NULL, p) == MCP_SCOPE_MISSING, "no scope claim");
    OK(with_scopes("{\"scope\":[\"a\",1]}", "a", NULL, p) == MCP_SCOPE_MISSING, "TOK-15 wrong type: no scopes");
    OK(with_scopes("{\"scope\":{\"a\":1}}", "a", NULL, p) == MCP_SCOPE_MISSING, "TOK-15 an object: no scopes");
    OK(with_scopes("{\"scp\":\"a\"}", "a", NULL, p) == MCP_SCOPE_MISSING, "TOK-15 another claim is not read");

    f = fixture("{\"scope\":\"a\",\"scp\":[\"b\"]}", p);
    require(f, "a", "b");
    f->policy.scope_paths = paths_of("scope", "scp", p);
    OK(status_of(f) == MCP_OK, "several claims are united");
    STR_IS(grant_of(f)->scope, "a b", "and joined");

    f = fixture("{\"scope\":\"x\"}", p);
    f->policy.required_scopes = texts_of("x", NULL, p);
    OK(status_of(f) == MCP_SCOPE_MISSING, "a scope that the policy does not know is held by nobody");
}

static void hierarchy(apr_pool_t *p)
{
    fixture_t *f = fixture("{\"scope\":\"admin\",\"roles\":[\"admin\"]}", p);
    int read, admin, i;

    require(f, "read", NULL);
    OK(status_of(f) == MCP_SCOPE_MISSING, "nothing is implied");
    f = fixture("{\"scope\":\"admin\",\"roles\":[\"admin\"]}", p);
    require(f, "read", NULL);
    mcp_scopes_imply(f->policy.scopes, "admin", "write");
    mcp_scopes_imply(f->policy.scopes, "write", "read");
    OK(status_of(f) == MCP_OK, "an implied scope is held, transitively");
    read = mcp_scopes_intern(f->policy.scopes, "read");
    OK(mcp_valueset_has(&grant_of(f)->acl_values, read), "and the rules see it");

    f = fixture("{\"scope\":\"read\"}", p);
    require(f, "admin", NULL);
    mcp_scopes_imply(f->policy.scopes, "admin", "read");
    OK(status_of(f) == MCP_SCOPE_MISSING, "not the other way round");

    f = fixture("{\"scope\":\"a\",\"roles\":[\"admin\",\"x y\"]}", p);
    admin = mcp_scopes_intern(f->policy.scopes, "admin");
    for (i = 0; i < 100; i++) {
        mcp_scopes_intern(f->policy.scopes, apr_psprintf(p, "s%d", i));
    }
    read = mcp_scopes_intern(f->policy.scopes, "x y");
    i = mcp_scopes_intern(f->policy.scopes, "a");
    f->policy.acl_paths = paths_of("roles", NULL, p);
    OK(mcp_valueset_has(&grant_of(f)->acl_values, admin) && mcp_valueset_has(&grant_of(f)->acl_values, read) &&
           !mcp_valueset_has(&grant_of(f)->acl_values, i) && grant_of(f)->acl_values.words == 4,
       "the rules read another claim, its values as they are, in a set of several words");
    STR_IS(grant_of(f)->scope, "a", "the scope is still that of the scope claim");
    require(f, "admin", NULL);
    OK(status_of(f) == MCP_SCOPE_MISSING, "a role is no scope");
}

static mcp_status_t with_claim(const char *claims, const char *path, const char *a, const char *b, apr_pool_t *p)
{
    fixture_t *f = fixture(claims, p);
    apr_array_header_t *lines = apr_array_make(p, 2, sizeof(mcp_requirement_t));
    mcp_requirement_t line;

    line.path = path_of("must", p);
    line.values = texts_of("yes", NULL, p);
    APR_ARRAY_PUSH(lines, mcp_requirement_t) = line;
    line.path = path_of(path, p);
    line.values = texts_of(a, b, p);
    APR_ARRAY_PUSH(lines, mcp_requirement_t) = line;
    f->policy.required_claims = lines;
    return status_of(f);
}

static void claims(apr_pool_t *p)
{
    OK(with_claim("{\"must\":\"yes\",\"g\":{\"r\":[\"x\",\"b\"]}}", "g.r", "a", "b", p) == MCP_OK,
       "one value of an array, deep inside");
    OK(with_claim("{\"must\":\"yes\",\"g\":\"x b\"}", "g", "a", "b", p) == MCP_OK,
       "one value of a string that is split");
    OK(with_claim("{\"must\":\"yes\",\"g\":[\"x b\"]}", "g", "a", "b", p) == MCP_CLAIM_MISSING,
       "a string in an array is not split");
    OK(with_claim("{\"must\":\"yes\",\"g\":\"B\"}", "g", "a", "b", p) == MCP_CLAIM_MISSING, "byte for byte");
    OK(with_claim("{\"must\":\"yes\",\"g\":\"bb\"}", "g", "a", "b", p) == MCP_CLAIM_MISSING, "whole values");
    OK(with_claim("{\"must\":\"yes\"}", "g", "a", "b", p) == MCP_CLAIM_MISSING, "absent");
    OK(with_claim("{\"g\":\"a\"}", "g", "a", "b", p) == MCP_CLAIM_MISSING, "all lines must hold");
    OK(with_claim("{\"must\":\"yes\",\"g\":7}", "g", "7", NULL, p) == MCP_CLAIM_MISSING, "a number has no values");
}

static void order(apr_pool_t *p)
{
    fixture_t *f = fixture("{\"scope\":\"s\"}", p);
    apr_array_header_t *lines = apr_array_make(p, 1, sizeof(mcp_requirement_t));
    mcp_requirement_t line;

    line.path = path_of("g", p);
    line.values = texts_of("a", NULL, p);
    APR_ARRAY_PUSH(lines, mcp_requirement_t) = line;
    f->policy.required_claims = lines;
    f->policy.parties = texts_of("other", NULL, p);
    require(f, "a", NULL);
    OK(status_of(f) == MCP_CLIENT_FORBIDDEN, "the client is judged first");
    STR_IS(grant_of(f)->scope, "s", "a refused token is described all the same");
    f->policy.parties = NULL;
    f->policy.acrs = texts_of("mfa", NULL, p);
    OK(status_of(f) == MCP_AUTHENTICATION_WEAK, "STP-1 then how the user authenticated");
    f->policy.acrs = NULL;
    OK(status_of(f) == MCP_SCOPE_MISSING, "then the scopes");
    f->policy.required_scopes = NULL;
    OK(status_of(f) == MCP_CLAIM_MISSING, "then the claims");
}

/* ---- binding ---- */

#define DIGEST "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" /* of RFC 9449 section 6.1 */

static void bindings(apr_pool_t *p)
{
    fixture_t *f = fixture("{\"scope\":\"a\"}", p);
    char *jkt = apr_pstrdup(p, DIGEST), *x5t = apr_pstrdup(p, "x" DIGEST);
    mcp_grant_t *grant;
    apr_size_t size = grant_of(f)->entry.size;
    const char *end;

    f->token.binding.jkt = jkt;
    f->token.binding.x5t = x5t;
    grant = grant_of(f);
    memset(jkt, '-', strlen(jkt));
    memset(x5t, '-', strlen(x5t));
    STR_IS(grant->binding.jkt, DIGEST, "POP-1 the key is kept, without the token");
    STR_IS(grant->binding.x5t, "x" DIGEST, "POP-8 and the certificate");
    end = (const char *)grant + grant->entry.size;
    OK(grant->entry.size == size + 2 * sizeof(DIGEST) + 1 && grant->binding.jkt > (const char *)grant &&
           grant->binding.x5t + sizeof(DIGEST) + 1 == end,
       "in the same block");
    f->token.binding.jkt = NULL;
    grant = grant_of(f);
    OK(!grant->binding.jkt && grant->binding.x5t, "POP-8 one of them alone");
}

/* ---- authentication ---- */

static mcp_status_t with_acr(const char *claims, const char *a, const char *b, apr_pool_t *p)
{
    fixture_t *f = fixture(claims, p);

    f->policy.acrs = texts_of(a, b, p);
    return status_of(f);
}

static void acrs(apr_pool_t *p)
{
    fixture_t *f = fixture("{\"acr\":\"mfa\"}", p);

    OK(with_acr("{\"acr\":\"phr\"}", "mfa", "phr", p) == MCP_OK, "STP-1 one of the listed ways");
    OK(with_acr("{\"acr\":\"0\"}", "mfa", "phr", p) == MCP_AUTHENTICATION_WEAK, "STP-1 another way");
    OK(with_acr("{\"acr\":\"MFA\"}", "mfa", NULL, p) == MCP_AUTHENTICATION_WEAK &&
           with_acr("{\"acr\":\"mfa \"}", "mfa", NULL, p) == MCP_AUTHENTICATION_WEAK &&
           with_acr("{\"acr\":\"mfa phr\"}", "mfa", "phr", p) == MCP_AUTHENTICATION_WEAK,
       "STP-1 byte for byte, one value");
    OK(with_acr("{}", "mfa", NULL, p) == MCP_AUTHENTICATION_WEAK &&
           with_acr("{\"acr\":null}", "mfa", NULL, p) == MCP_AUTHENTICATION_WEAK &&
           with_acr("{\"acr\":[\"mfa\"]}", "mfa", NULL, p) == MCP_AUTHENTICATION_WEAK &&
           with_acr("{\"acr\":1}", "1", NULL, p) == MCP_AUTHENTICATION_WEAK &&
           with_acr("{\"amr\":[\"mfa\"]}", "mfa", NULL, p) == MCP_AUTHENTICATION_WEAK,
       "STP-2 an acr that is missing or no string satisfies nothing");
    f->policy.acrs = apr_array_make(p, 1, sizeof(const char *));
    OK(status_of(f) == MCP_AUTHENTICATION_WEAK, "STP-1 an empty list allows nothing");
}

#define SECOND APR_USEC_PER_SEC
#define AT apr_time_from_sec(1700000000)

/* The verdict at AT + age where at most 300 s are allowed, on a grant of that status. */
static mcp_status_t aged(fixture_t *f, mcp_status_t status, apr_interval_time_t age)
{
    mcp_grant_t *grant = grant_of(f);

    grant->status = status;
    f->policy.max_auth_age = 300 * SECOND;
    return mcp_grant_judge(grant, &f->policy, 60 * SECOND, AT + age);
}

static void ages(apr_pool_t *p)
{
    static const mcp_status_t later[] = { MCP_OK, MCP_SCOPE_MISSING, MCP_CLAIM_MISSING };
    static const mcp_status_t earlier[] = { MCP_CLIENT_FORBIDDEN, MCP_AUTHENTICATION_WEAK };
    fixture_t *f = fixture("{\"auth_time\":1700000000}", p);
    static const char *const unknown[] = { "{}",
                                           "{\"iat\":1700000000}",
                                           "{\"auth_time\":null}",
                                           "{\"auth_time\":0}",
                                           "{\"auth_time\":\"1700000000\"}",
                                           "{\"auth_time\":-1700000000}" };
    int i;

    OK(grant_of(f)->auth_time == AT, "STP-1 the time is kept");
    for (i = 0; i < 3; i++) {
        OK(aged(f, later[i], 0) == later[i] && aged(f, later[i], 300 * SECOND) == later[i], "STP-1 recent enough: %s",
           mcp_status_info(later[i])->slug);
        OK(aged(f, later[i], 300 * SECOND + 1) == MCP_AUTHENTICATION_OLD,
           "STP-1 STP-2 a microsecond too old comes before %s", mcp_status_info(later[i])->slug);
    }
    for (i = 0; i < 2; i++) {
        OK(aged(f, earlier[i], 0) == earlier[i] && aged(f, earlier[i], 301 * SECOND) == earlier[i],
           "STP-1 %s comes first", mcp_status_info(earlier[i])->slug);
    }
    OK(aged(f, MCP_OK, -60 * SECOND) == MCP_OK, "STP-1 as far in the future as clocks may differ");
    OK(aged(f, MCP_OK, -60 * SECOND - 1) == MCP_AUTHENTICATION_OLD, "STP-1 and farther: nobody knows the age");
    for (i = 0; i < (int)(sizeof(unknown) / sizeof(*unknown)); i++) {
        OK(aged(fixture(unknown[i], p), MCP_OK, 0) == MCP_AUTHENTICATION_OLD, "STP-2 unknown is too old: %s",
           unknown[i]);
    }
    f = fixture("{}", p);
    f->policy.max_auth_age = AT + SECOND;
    OK(mcp_grant_judge(grant_of(f), &f->policy, 0, AT) == MCP_AUTHENTICATION_OLD,
       "STP-2 unknown is not the year 1970, which would be recent enough here");
    f->policy.max_auth_age = 0;
    OK(mcp_grant_judge(grant_of(f), &f->policy, 0, AT + apr_time_from_sec(86400 * 365)) == MCP_OK &&
           mcp_grant_judge(grant_of(fixture("{}", p)), &f->policy, 0, AT) == MCP_OK,
       "no greatest age is asked for");
}

/* A set came and went. Returns the generation, for 0 is that of nothing. */
static apr_uint32_t keys_change(mcp_keycache_t *keys)
{
    static const char text[] = /* of RFC 8037 appendix A.2 */
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
    mcp_keyset_t *set = NULL;

    mcp_keyset_parse(&set, text, sizeof(text) - 1);
    mcp_keycache_put(keys, set);
    mcp_keycache_put(keys, NULL);
    return mcp_keycache_generation(keys);
}

/* Two policies, one token: each decides for itself and remembers it under its own key. */
static void cached(apr_pool_t *p)
{
    static const unsigned char keys[2][MCP_CACHE_KEY_BYTES] = { { 1 }, { 2 } };
    fixture_t *one = fixture("{\"scope\":\"a\"}", p), *two = fixture("{\"scope\":\"a\"}", p);
    mcp_cache_entry_t *entry;
    mcp_cache_t *cache;
    apr_pool_t *scratch;

    require(two, "b", NULL);
    mcp_scopes_close(one->policy.scopes, p);
    mcp_scopes_close(two->policy.scopes, p);
    one->token.generation = keys_change(one->trust.keys);
    two->token.generation = keys_change(two->trust.keys);
    mcp_cache_create(&cache, 4, 1000, p);
    apr_pool_create(&scratch, p);
    mcp_cache_put(&entry, cache, keys[0], &mcp_grant_make(&one->token, &one->policy, 0, scratch)->entry, 1500, scratch);
    mcp_cache_put(&entry, cache, keys[1], &mcp_grant_make(&two->token, &two->policy, 0, scratch)->entry, 1500, scratch);
    apr_pool_destroy(scratch);
    OK(mcp_cache_get(&entry, cache, keys[0], 1999, p) == MCP_OK && ((mcp_grant_t *)entry)->status == MCP_OK &&
           !strcmp(((mcp_grant_t *)entry)->scope, "a"),
       "C03 a grant comes out of the cache as it went in");
    OK(mcp_cache_get(&entry, cache, keys[1], 1999, p) == MCP_OK && ((mcp_grant_t *)entry)->status == MCP_SCOPE_MISSING,
       "C03 another policy has its own verdict");
    OK(mcp_cache_get(&entry, cache, keys[0], 2000, p) == MCP_TOKEN_EXPIRED &&
           mcp_cache_get(&entry, cache, keys[0], 999, p) == MCP_TOKEN_NOT_YET,
       "C01 its times are checked at each hit");
}

/* What the authorization server said about a token needs no keys, and ends when it was said to. */
static void introspected(apr_pool_t *p)
{
    static const unsigned char key[MCP_CACHE_KEY_BYTES] = { 1 };
    fixture_t *f = fixture("{\"scope\":\"a\"}", p);
    mcp_cache_entry_t *entry;
    mcp_grant_t *grant;
    mcp_cache_t *cache;
    apr_pool_t *scratch;

    f->token.generation = 0;
    mcp_scopes_close(f->policy.scopes, p);
    mcp_cache_create(&cache, 4, 1000, p);
    apr_pool_create(&scratch, p);
    grant = mcp_grant_make(&f->token, &f->policy, 1700, scratch);
    OK(!grant->entry.keys && grant->entry.until == 1700, "C07 no keys, but a time");
    mcp_cache_put(&entry, cache, key, &grant->entry, 1500, scratch);
    apr_pool_destroy(scratch);
    OK(mcp_cache_get(&entry, cache, key, 1699, p) == MCP_OK && ((mcp_grant_t *)entry)->status == MCP_OK,
       "C07 it is used until then");
    OK(mcp_cache_get(&entry, cache, key, 1700, p) == MCP_INTERNAL, "C07 TOK-18 and not any more from then on");
}

static void condition_add(fixture_t *f, const char *a, const char *b, const char *path)
{
    apr_array_header_t *conditions = (apr_array_header_t *)f->policy.conditions;
    mcp_condition_t condition = { path ? NULL : texts_of(a, b, f->p), { { NULL, NULL }, NULL }, f->negated };

    if (!conditions) {
        f->policy.conditions = conditions = apr_array_make(f->p, 4, sizeof(mcp_condition_t));
    }
    if (path) {
        condition.claim.path = path_of(path, f->p);
        condition.claim.values = texts_of(a, b, f->p);
    }
    else if (f->interned) {
        mcp_scopes_intern(f->policy.scopes, a);
        mcp_scopes_intern(f->policy.scopes, b ? b : a);
    }
    APR_ARRAY_PUSH(conditions, mcp_condition_t) = condition;
}

/* What Require lines ask: the numbers of those that hold. */
static const char *conditions_of(fixture_t *f)
{
    const mcp_grant_t *grant = grant_of(f);
    const char *text = "";
    int i;

    for (i = 0; i < f->policy.conditions->nelts; i++) {
        if (mcp_valueset_has(&grant->conditions, i)) {
            text = apr_psprintf(f->p, "%s%d ", text, i);
        }
    }
    return text;
}

static void conditions(apr_pool_t *p)
{
    fixture_t *f = fixture("{\"scope\":\"big calc\",\"roles\":[\"sales\",\"two words\"],\"n\":{\"x\":\"a b\"}}", p);
    int i;

    mcp_scopes_imply(f->policy.scopes, "big", "small");
    f->interned = 1;
    condition_add(f, "calc", NULL, NULL);
    condition_add(f, "cal", "calc:x", NULL);
    condition_add(f, "other", "small", NULL);
    condition_add(f, "other", NULL, NULL);
    condition_add(f, "sales", NULL, "roles");
    condition_add(f, "words", "two", "roles");
    condition_add(f, "nobody", "two words", "roles");
    condition_add(f, "b", NULL, "n.x");
    condition_add(f, "a", NULL, "n");
    condition_add(f, "a", NULL, "missing");
    STR_IS(conditions_of(f), "0 2 4 6 7 ", "3.4 one of the scopes, implied ones too; one of the values, byte for byte");
    OK(status_of(fixture("{}", p)) == MCP_OK, "3.4 they demand nothing by themselves");

    f = fixture("{\"t\":true,\"f\":false,\"n\":3,\"r\":3.0,\"o\":{\"x\":1},\"z\":null,\"s\":\"Human Resources\","
                "\"m\":[1,\"x y\",true],\"h\":[{}],\"w\":[\"a\",\"b\"]}",
                p);
    for (i = 0; i < 2; i++, f->negated = 1) {
        condition_add(f, "true", NULL, "t");
        condition_add(f, "false", NULL, "f");
        condition_add(f, "3", NULL, "n");
        condition_add(f, "Human Resources", NULL, "s");
        condition_add(f, "Resources", NULL, "s");
        condition_add(f, "x y", NULL, "m");
        condition_add(f, "1", NULL, "m");
        condition_add(f, "true", NULL, "f");
        condition_add(f, "null", NULL, "z");
        condition_add(f, "3", NULL, "r");
        condition_add(f, "x", NULL, "o");
        condition_add(f, "x", NULL, "h");
        condition_add(f, "c", NULL, "w");
    }
    STR_IS(
        conditions_of(f), "0 1 2 3 4 5 6 13 14 15 16 17 18 19 22 23 24 ",
        "3.4 whole texts, true, false and integers; what cannot be compared is refused where its absence is asked for");

    f = fixture("{\"scope\":[\"last\"]}", p);
    for (i = 0; i < 32; i++) {
        condition_add(f, "never", NULL, NULL);
    }
    condition_add(f, "last", NULL, NULL);
    STR_IS(conditions_of(f), "32 ", "3.4 more of them than one word has bits");
    OK(!mcp_valueset_has(&grant_of(f)->conditions, 33), "3.4 a line that the policy does not know does not hold");
    f = fixture("{\"scope\":\"a\"}", p);
    OK(grant_of(f)->conditions.words == 0 && !mcp_valueset_has(&grant_of(f)->conditions, 0), "3.4 none at all");
}

static void test(apr_pool_t *p)
{
    conditions(p);
    contents(p);
    absent(p);
    parties(p);
    scopes(p);
    hierarchy(p);
    claims(p);
    order(p);
    bindings(p);
    acrs(p);
    ages(p);
    cached(p);
    introspected(p);
}
