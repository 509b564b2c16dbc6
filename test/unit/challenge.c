#include "policy/challenge.h"

#include "tap.h"

#define METADATA "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"

static const char *make(const char *realm, const char *metadata, const char *scope, const char *error,
                        const char *description, apr_pool_t *p)
{
    mcp_challenge_t challenge = { "Bearer", realm, metadata, scope, error, description, NULL, NULL, NULL };

    return mcp_challenge_make(&challenge, p);
}

static const char *make_other(const char *scheme, const char *error, const char *acrs, const char *age,
                              const char *algs, apr_pool_t *p)
{
    mcp_challenge_t challenge = { .scheme = scheme, .error = error, .acr_values = acrs, .max_age = age, .algs = algs };

    return mcp_challenge_make(&challenge, p);
}

static int is_ascii(const char *text)
{
    for (; *text >= 0x20 && *text <= 0x7E; text++)
        ;
    return !*text;
}

/* Every byte but NUL, once in each member: one field of ASCII whose quotes are where they belong. */
static void every_byte(apr_pool_t *p)
{
    static const char plain[] =
        " !#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~";
    char all[256];
    const char *made;
    int i;

    for (i = 0; i < 255; i++) {
        all[i] = (char)(i + 1);
    }
    all[255] = '\0';
    made = make(NULL, all, all, all, all, p);
    OK(is_ascii(made), "O01 CHL-2 hostile values: one field of printable ASCII");
    STR_IS(made,
           apr_pstrcat(p, "Bearer resource_metadata=\"", plain, "\", scope=\"", plain, "\", error=\"", plain,
                       "\", error_description=\"", plain, "\"", NULL),
           "O01 CHL-2 only what RFC 6750 allows is kept, no value can end the field");
    STR_IS(make_other("DPoP", NULL, all, all, all, p),
           apr_pstrcat(p, "DPoP acr_values=\"", plain, "\", max_age=\"", plain, "\", algs=\"", plain, "\"", NULL),
           "O01 STP-1 the others no less");
    made = make(all, NULL, NULL, NULL, NULL, p);
    OK(is_ascii(made) && strstr(made, "!\\\"#") && strstr(made, "[\\\\]"),
       "O01 realm: quote and backslash escaped, the rest as above");
    OK(strlen(made) == strlen("Bearer realm=\"\"") + strlen(plain) + 4, "O01 realm: nothing else came or went");
}

static void test(apr_pool_t *p)
{
    const mcp_challenge_t all = { "DPoP", "r", "m", "s", "e", "d", "a", "1", "g" };

    STR_IS(make("MCP", METADATA, "a b:c", "invalid_token", "The access token expired", p),
           "Bearer realm=\"MCP\", resource_metadata=\"" METADATA "\", scope=\"a b:c\", error=\"invalid_token\", "
           "error_description=\"The access token expired\"",
           "CHL-2 all members, in this order");
    STR_IS(make(NULL, METADATA, NULL, NULL, NULL, p), "Bearer resource_metadata=\"" METADATA "\"",
           "CHL-3 no error without credentials");
    STR_IS(make(NULL, METADATA, "", "", "", p), "Bearer resource_metadata=\"" METADATA "\"",
           "empty values are left out");
    STR_IS(make("\r\n\x7F\xC3\xBC", NULL, "\"\\", "x", NULL, p), "Bearer error=\"x\"",
           "values with nothing to keep are left out");
    STR_IS(make("a\", error=\"b", METADATA, NULL, NULL, NULL, p),
           "Bearer realm=\"a\\\", error=\\\"b\", resource_metadata=\"" METADATA "\"",
           "O01 a quote in realm does not end it");
    STR_IS(make("a\\", NULL, NULL, NULL, NULL, p), "Bearer realm=\"a\\\\\"",
           "O01 a backslash at the end of realm does not hide the quote");
    STR_IS(make(NULL, NULL, "a\", x=\"b", NULL, NULL, p), "Bearer scope=\"a, x=b\"",
           "O01 a quote in scope is left out");
    STR_IS(make(NULL, NULL, NULL, "e", "one\r\nSet-Cookie: x\xE2\x80\xA8two", p),
           "Bearer error=\"e\", error_description=\"oneSet-Cookie: xtwo\"",
           "O01 CHL-2 line ends in a description do not end the field");
    STR_IS(make(NULL, NULL, NULL, NULL, NULL, p), "Bearer", "nothing to say");
    STR_IS(make_other("DPoP", "use_dpop_nonce", NULL, NULL, "RS256 ES256", p),
           "DPoP error=\"use_dpop_nonce\", algs=\"RS256 ES256\"", "RFC 9449 7.1 what DPoP proofs may be signed with");
    STR_IS(make_other("DPoP", NULL, NULL, NULL, NULL, p), "DPoP", "another scheme and nothing to say");
    STR_IS(make_other("Bearer", "insufficient_user_authentication", "mfa phr", "300", NULL, p),
           "Bearer error=\"insufficient_user_authentication\", acr_values=\"mfa phr\", max_age=\"300\"",
           "STP-1 what the user has to do");
    STR_IS(make_other("Bearer", "insufficient_user_authentication", NULL, "0", "", p),
           "Bearer error=\"insufficient_user_authentication\", max_age=\"0\"", "STP-1 one of them alone");
    STR_IS(make_other("Bearer", NULL, "mfa\", x=\"y", "3\r\n0", NULL, p),
           "Bearer acr_values=\"mfa, x=y\", max_age=\"30\"", "O01 STP-1 no value can end the field");
    STR_IS(mcp_challenge_make(&all, p),
           "DPoP realm=\"r\", resource_metadata=\"m\", scope=\"s\", error=\"e\", error_description=\"d\", "
           "acr_values=\"a\", max_age=\"1\", algs=\"g\"",
           "CHL-2 everything, in this order");
    every_byte(p);
}
