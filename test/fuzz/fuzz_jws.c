/* Tokens as they come, and tokens signed by a key that is trusted: what is accepted is read once more by jansson alone.
 * T01 to T19. Input: a token; or, with a NUL in it, header NUL payload, to be signed. */
#include "fuzz_sign.h"

#include "base/base64url.h"
#include "base/json.h"
#include "base/limits.h"
#include "keys/keycache.h"
#include "token/jws.h"
#include "token/token.h"

#define ISSUER "https://as.example.com"
#define AUDIENCE "https://mcp.example.com/mcp"
#define SKEW apr_time_from_sec(60)

static mcp_keycache_t *cache_make(const char *set_text, apr_pool_t *p)
{
    mcp_keycache_t *cache;
    mcp_keyset_t *set;

    MUST(mcp_keycache_create(&cache, p) == APR_SUCCESS && !mcp_keyset_parse(&set, set_text, strlen(set_text)));
    mcp_keycache_put(cache, set);
    return cache;
}

/* Two issuers that are trusted; the key is that of the first one alone. */
static const apr_array_header_t *trusts_get(void)
{
    static apr_array_header_t *trusts;
    static mcp_trust_t ours, other;
    apr_array_header_t *audiences;
    apr_pool_t *p;

    if (!trusts) {
        fuzz_keep_begin();
        p = fuzz_pool();
        audiences = apr_array_make(p, 1, sizeof(const char *));
        APR_ARRAY_PUSH(audiences, const char *) = AUDIENCE;
        ours.issuer = ISSUER;
        ours.audiences = audiences;
        ours.algs = MCP_ALGS_DEFAULT;
        ours.types = MCP_TYPES_DEFAULT;
        ours.skew = SKEW;
        other = ours;
        other.issuer = "https://other.example.com";
        ours.keys =
            cache_make("{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"x\":\"" FUZZ_KEY_X "\"}]}", p);
        other.keys = cache_make("{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"x\":"
                                "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}",
                                p);
        trusts = apr_array_make(p, 2, sizeof(const mcp_trust_t *));
        APR_ARRAY_PUSH(trusts, const mcp_trust_t *) = &ours;
        APR_ARRAY_PUSH(trusts, const mcp_trust_t *) = &other;
        fuzz_keep_end();
    }
    return trusts;
}

static json_t *part_json(const char *text, size_t len, apr_pool_t *p)
{
    unsigned char *bytes = apr_palloc(p, MCP_BASE64_DECODED_MAX(len));
    apr_size_t bytes_len;

    MUST(mcp_base64url_decode(bytes, &bytes_len, text, len));
    return fuzz_json_wide((const char *)bytes, bytes_len, p);
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static int is_one_of(const char *text, const char *const *texts)
{
    while (*texts && strcasecmp(text, *texts)) {
        texts++;
    }
    return *texts != NULL;
}

static void check_header(const json_t *header)
{
    static const char *const forbidden[] = { "crit", "zip", "enc", "b64", "jku", "x5u", "jwk", NULL };
    static const char *const types[] = { "at+jwt", "application/at+jwt", "jwt", "application/jwt", NULL };
    const json_t *kid = json_object_get(header, "kid"), *typ = json_object_get(header, "typ");

    MUST(json_is_object(header) && mcp_json_is_text(json_object_get(header, "alg"), "EdDSA"));
    for (int i = 0; forbidden[i]; i++) {
        MUST(!json_object_get(header, forbidden[i]));
    }
    MUST(!kid || mcp_json_is_text(kid, "k"));
    MUST(!typ || (json_is_string(typ) && is_one_of(json_string_value(typ), types)));
}

static int is_for_us(const json_t *aud)
{
    for (size_t i = 0; i < json_array_size(aud); i++) {
        if (mcp_json_is_text(json_array_get(aud, i), AUDIENCE)) {
            return 1;
        }
    }
    return mcp_json_is_text(aud, AUDIENCE);
}

static void check_claims(const json_t *claims, const mcp_token_t *token)
{
    const json_t *exp = json_object_get(claims, "exp"), *nbf = json_object_get(claims, "nbf");
    const json_t *iat = json_object_get(claims, "iat"), *cnf = json_object_get(claims, "cnf");
    double now = (double)apr_time_sec(FUZZ_NOW);

    MUST(mcp_json_is_text(json_object_get(claims, "iss"), ISSUER));
    MUST(json_is_number(exp) && json_number_value(exp) + 60 > now && json_number_value(exp) < 253402300800.0);
    MUST(!nbf || (json_is_number(nbf) && json_number_value(nbf) <= now + 60));
    MUST(!iat || (json_is_number(iat) && json_number_value(iat) <= now + 60));
    MUST(is_for_us(json_object_get(claims, "aud")));
    MUST(!json_object_get(claims, "at_hash") && !json_object_get(claims, "c_hash") &&
         !json_object_get(claims, "events"));
    MUST(!cnf || (text_of(cnf, "jkt") ? 1 : 0) + (text_of(cnf, "x5t#S256") ? 1 : 0) == (int)json_object_size(cnf));
    MUST(!token->sub == !json_object_get(claims, "sub"));
    MUST(!token->sub || !strcmp(token->sub, text_of(claims, "sub")));
    MUST(token->not_after > FUZZ_NOW && token->not_before <= FUZZ_NOW && token->generation);
    MUST(!token->binding.jkt || strlen(token->binding.jkt) == 43);
}

static void check_accepted(const char *text, const mcp_token_t *token, apr_pool_t *p)
{
    const char *dot = strchr(text, '.'), *second = strchr(dot + 1, '.');
    mcp_token_t *forged;

    check_header(part_json(text, (size_t)(dot - text), p));
    check_claims(part_json(dot + 1, (size_t)(second - dot - 1), p), token);
    for (size_t i = 0; i < FUZZ_SIGNATURE_CHARS; i += 17) {
        const char *other = fuzz_forge(text, i, p);

        MUST(mcp_token_verify(&forged, NULL, other, strlen(other), trusts_get(), FUZZ_NOW, p) != MCP_OK && !forged);
    }
    MUST(mcp_token_verify(&forged, NULL, text, strlen(text) - 1, trusts_get(), FUZZ_NOW, p) != MCP_OK);
    MUST(mcp_token_verify(&forged, NULL, text, strlen(text), trusts_get(), token->not_after, p) == MCP_TOKEN_EXPIRED);
}

static void check_verify(const char *text, size_t len, apr_pool_t *p)
{
    mcp_token_t *token;
    mcp_token_lack_t lack;
    mcp_status_t status = mcp_token_verify(&token, &lack, text, len, trusts_get(), FUZZ_NOW, p);

    MUST((status == MCP_OK) == (token != NULL) && (status == MCP_OK) == (lack.step == MCP_STEP_DONE));
    MUST(status == MCP_OK || status == MCP_KEYS_UNAVAILABLE || mcp_status_info(status)->http == 401);
    if (token) {
        check_accepted(apr_pstrmemdup(p, text, len), token, p);
    }
}

/* The stages before anything is believed, for each kind of JWS. */
static void check_parse(const char *text, size_t len, apr_pool_t *p)
{
    mcp_jws_t *token, *proof, *any;
    mcp_status_t status = mcp_jws_parse(&token, text, len, MCP_JWS_TOKEN, p);

    MUST((status == MCP_OK) == (token != NULL));
    MUST((mcp_jws_parse(&proof, text, len, MCP_JWS_PROOF, p) == MCP_OK) == (proof != NULL));
    MUST((mcp_jws_parse(&any, text, len, MCP_JWS_ANY, p) == MCP_OK) == (any != NULL));
    MUST(!token || !proof); /* one must have a key in it, the other must not */
    MUST((!token && !proof) || any);
    MUST(!any || mcp_jws_is(text, len, p));
    if (any) {
        MUST(any->input == text && any->input_len < len && text[any->input_len] == '.');
        MUST(!memchr(text + any->input_len + 1, '.', len - any->input_len - 1));
        MUST(MCP_BASE64URL_ENCODED(any->signature_len) == len - any->input_len - 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    size_t len;
    const char *text = fuzz_jws(&len, data, size, p);

    check_parse(text, len, p);
    check_verify(text, len, p);
    apr_pool_destroy(p);
    return 0;
}
