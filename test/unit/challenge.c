#include "policy/challenge.h"

#include "tap.h"

#define METADATA "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"

static const char *make(const char *realm, const char *metadata, const char *scope, const char *error,
                        const char *description, apr_pool_t *p)
{
    mcp_challenge_t challenge = { realm, metadata, scope, error, description };

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
    made = make(all, NULL, NULL, NULL, NULL, p);
    OK(is_ascii(made) && strstr(made, "!\\\"#") && strstr(made, "[\\\\]"),
       "O01 realm: quote and backslash escaped, the rest as above");
    OK(strlen(made) == strlen("Bearer realm=\"\"") + strlen(plain) + 4, "O01 realm: nothing else came or went");
}

static void test(apr_pool_t *p)
{
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
    every_byte(p);
}
