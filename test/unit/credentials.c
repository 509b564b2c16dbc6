#include "token/credentials.h"

#include "base/limits.h"
#include "tap.h"

/* The token, or the slug of the verdict; "!" for a token that comes with a bad verdict or lies outside of value. */
static const char *look(mcp_scheme_t *pscheme, const char *value, int bare, int dpop, const char *query, apr_pool_t *p)
{
    const char *token = "left over";
    apr_size_t len = 99;
    mcp_status_t status = mcp_credentials_find(&token, &len, pscheme, value, bare, dpop, query);

    if (status != MCP_OK) {
        return token || len ? "!" : mcp_status_info(status)->slug;
    }
    return token < value || token + len > value + strlen(value) ? "!" : apr_pstrmemdup(p, token, len);
}

/* Where DPoP is not spoken nothing is DPoP. */
static const char *find(const char *value, int bare, const char *query, apr_pool_t *p)
{
    mcp_scheme_t scheme = MCP_SCHEME_DPOP;
    const char *found = look(&scheme, value, bare, 0, query, p);

    return scheme == MCP_SCHEME_BEARER ? found : "!";
}

/* Where it is: scheme and what look gives. */
static const char *either(const char *value, int bare, const char *query, apr_pool_t *p)
{
    mcp_scheme_t scheme = (mcp_scheme_t)99;
    const char *found = look(&scheme, value, bare, 1, query, p);

    return apr_pstrcat(p,
                       scheme == MCP_SCHEME_DPOP     ? "DPoP "
                       : scheme == MCP_SCHEME_BEARER ? "Bearer "
                                                     : "! ",
                       found, NULL);
}

#define IS(value, want, ...) STR_IS(find((value), 0, NULL, p), (want), __VA_ARGS__)
#define BARE(value, want, ...) STR_IS(find((value), 1, NULL, p), (want), __VA_ARGS__)
#define QUERY(value, query, want, ...) STR_IS(find((value), 0, (query), p), (want), __VA_ARGS__)

static void good(apr_pool_t *p)
{
    IS("Bearer eyJ.a-b_c.D", "eyJ.a-b_c.D", "CHL-12 a token");
    IS("bEaReR T", "T", "CHL-12 the scheme is compared without case");
    IS("Bearer    T", "T", "CHL-12 several spaces");
    IS("  Bearer T \t", "T", "white space around the value");
    IS("Bearer az09-._~+/==", "az09-._~+/==", "CHL-12 all of token68, an opaque token");
}

static void missing(apr_pool_t *p)
{
    IS(NULL, "credentials-missing", "CHL-3 no field");
    IS("", "credentials-missing", "CHL-3 an empty field");
    IS(" \t", "credentials-missing", "CHL-3 a field of white space");
    BARE(NULL, "credentials-missing", "no field of another name");
    BARE("", "credentials-missing", "an empty field of another name");
    IS("Basic dXNlcjpwYXNz", "credentials-scheme", "CHL-3 Basic");
    IS("Basic dXNlcjpwYXNzCg==", "credentials-scheme", "CHL-3 Basic with padding");
    IS("DPoP eyJ.a.b", "credentials-scheme", "DPoP, where it is not spoken");
    IS("Negotiate", "credentials-scheme", "a scheme alone");
    IS("eyJ.a.b", "credentials-scheme", "a token without a scheme");
    IS("BearerT", "credentials-scheme", "another scheme that begins like Bearer");
    IS("Beare T", "credentials-scheme", "a shorter scheme");
    IS("\"Bearer\" T", "credentials-scheme", "a quoted scheme");
    IS("\xC3\xBC T", "credentials-scheme", "bytes beyond ASCII");
    IS("Bearer", "credentials-empty", "CHL-7 nothing after Bearer");
    IS("bearer   ", "credentials-empty", "CHL-7 nothing but spaces after Bearer");
    BARE("Bearer", "credentials-empty", "CHL-7 nothing after Bearer in another field");
}

static void malformed(apr_pool_t *p)
{
    static const char *const bad[] = { "Bearer a b",         "Bearer a\tb",
                                       "Bearer a=b",         "Bearer =",
                                       "Bearer a==b",        "Bearer \"T\"",
                                       "Bearer T;x",         "Bearer\tT",
                                       "Bearer=T",           "Bearer:T",
                                       "Bearer a$b",         "Bearer a%20b",
                                       "Bearer <T>",         "Bearer T\xC3\xBC",
                                       "Bearer a\x7F",       "Bearer {\"protected\":1}",
                                       "Bearer token=\"T\"", "Bearer a=\"b\", c=\"d\"",
                                       "Bearer/T",           "Bearer a=\"b\"," };
    int i;

    for (i = 0; i < (int)(sizeof(bad) / sizeof(*bad)); i++) {
        IS(bad[i], "token-malformed", "CHL-12 T12 not one token68: <%s>", bad[i]);
    }
    IS("Bearer T\r\nX", "token-malformed", "CHL-12 T12 line ends behind a token");
}

static void doubled(apr_pool_t *p)
{
    static const char *const two[] = { "Bearer a, Bearer b",
                                       "Bearer a, Bearer a",
                                       "Bearer a,Bearer b",
                                       "bearer a, BEARER b",
                                       "Basic x, Bearer a",
                                       "Bearer a, Basic x",
                                       "Basic x, Basic y",
                                       "Bearer, Bearer a",
                                       "Bearer a, Bearer",
                                       "Bearer a,",
                                       ", Bearer a",
                                       ",",
                                       "Bearer a, b",
                                       "Bearer a, b==",
                                       "Bearer a, b=c",
                                       "Bearer a== , Bearer b",
                                       "Bearer , Bearer a",
                                       "Negotiate, Bearer a",
                                       "Basic eA==, Bearer a",
                                       "Digest a=b, c=\"d\", Bearer a",
                                       "Digest a=b, Basic eA==",
                                       "Digest a=\"b\", Bearer",
                                       "Bearer a b, Bearer c",
                                       "Bearer a=\"b\", Bearer c",
                                       "DPoP a, DPoP b",
                                       "Digest a=\"\\\"\", Bearer a",
                                       "Digest a=\\, Bearer a",
                                       "Digest a=\"b\", =c",
                                       "Bearer \"a, b\", Bearer c" };
    static const char *const one[] = {
        "Digest username=\"Mufasa\", realm=\"a, Bearer b\", uri=\"/\", response=\"6629\"",
        "Digest a = \"b\" , c = d",
        "Digest a=\"\\\", Bearer b\", c=d",
        "Digest a=b, , c=d",
        "Digest a=b,",
        "Digest a=\"b, c\\",
        "AWS4-HMAC-SHA256 Credential=AKIA/2013/s3/aws4_request, SignedHeaders=host;range, Signature=fe5f"
    };
    int i;

    for (i = 0; i < (int)(sizeof(two) / sizeof(*two)); i++) {
        IS(two[i], "credentials-doubled", "CHL-7 K04 two values: <%s>", two[i]);
    }
    for (i = 0; i < (int)(sizeof(one) / sizeof(*one)); i++) {
        IS(one[i], "credentials-scheme", "one value with commas: <%s>", one[i]);
        BARE(one[i], "credentials-scheme", "one value with commas in another field: <%s>", one[i]);
    }
}

static void bare(apr_pool_t *p)
{
    BARE("eyJ.a.b", "eyJ.a.b", "a bare token");
    BARE(" eyJ.a.b ", "eyJ.a.b", "a bare token with white space around");
    BARE("ab/c+d==", "ab/c+d==", "a bare opaque token");
    BARE("Bearer eyJ.a.b", "eyJ.a.b", "Bearer in another field");
    BARE("BEARER  T", "T", "BEARER in another field");
    BARE("bearerT", "bearerT", "a bare token that begins like Bearer");
    BARE("Basic eA==", "credentials-scheme", "another scheme in another field");
    BARE("a, b", "credentials-doubled", "CHL-7 two bare tokens");
    BARE("a,b==", "credentials-doubled", "CHL-7 two bare tokens, the second with padding");
    BARE("a/b, c", "credentials-doubled", "CHL-7 two bare opaque tokens");
    BARE("a , b", "credentials-doubled", "CHL-7 two bare tokens and spaces");
    BARE("Bearer a, b", "credentials-doubled", "CHL-7 one with Bearer, one without");
    BARE("a, Bearer b", "credentials-doubled", "CHL-7 one without Bearer, one with");
    BARE("Basic eA==, Bearer b", "credentials-doubled", "CHL-7 two schemes in another field");
    BARE("a$b", "token-malformed", "no token68");
    BARE("a/b c", "token-malformed", "two words");
    BARE("==", "token-malformed", "nothing but padding");
}

static void queries(apr_pool_t *p)
{
    QUERY("Bearer T", "access_token=U", "credentials-query", "CHL-7 H05 field and query");
    QUERY("Bearer T", "a=b&access_token=U", "credentials-query", "CHL-7 H05 second parameter");
    QUERY("Bearer T", "a=b;access_token=U", "credentials-query", "CHL-7 H05 semicolons divide for some");
    QUERY("Bearer T", "access_token", "credentials-query", "CHL-7 H05 a parameter without a value");
    QUERY("Bearer T", "access_token=", "credentials-query", "CHL-7 H05 an empty parameter");
    QUERY("Bearer T", "access_token&a=b", "credentials-query", "CHL-7 H05 without a value in front of another");
    QUERY("Bearer T", "access%5Ftoken=U", "credentials-query", "CHL-7 H05 the name percent-encoded");
    QUERY("Bearer T", "%61%63%63%65%73%73%5f%74%6f%6b%65%6e=U", "credentials-query",
          "CHL-7 H05 all of the name percent-encoded");
    QUERY("Bearer a b", "access_token=U", "credentials-query", "CHL-7 H05 also with a malformed token");
    QUERY("Bearer T", "access_tokens=U&xaccess_token=U&a=access_token&Access_Token=1&access_toke", "T",
          "other parameters");
    QUERY("Bearer T", "bccess_token=U&access_uoken=U&access_tokeo&access~token", "T", "names of other letters");
    QUERY("Bearer T", "%4xccess_token=U&%xAccess_token=U", "T", "no hexadecimal digits");
    QUERY("Bearer T", "access%5", "T", "a truncated escape");
    QUERY("Bearer T", "access_toke%", "T", "a lone percent sign");
    QUERY("Bearer T", "access%5ftoken%00=U", "T", "a name that goes on");
    QUERY("Bearer T", "", "T", "an empty query");
    QUERY(NULL, "access_token=U", "credentials-missing", "CHL-13 H05 the query alone is no credential");
    QUERY("", "access_token=U", "credentials-missing", "CHL-13 H05 the query and an empty field");
    QUERY("Basic eA==", "access_token=U", "credentials-scheme", "CHL-13 the query and another scheme");
    STR_IS(find("T", 1, "access_token=U", p), "credentials-query", "CHL-7 H05 another field and query");
}

static void dpop(apr_pool_t *p)
{
    static const struct {
        const char *value, *want;
        int bare;
    } rows[] = {
        { "DPoP eyJ.a.b", "DPoP eyJ.a.b", 0 },
        { "dpop  T==", "DPoP T==", 0 },
        { " DPOP T \t", "DPoP T", 0 },
        { "Bearer T", "Bearer T", 0 },
        { "DPoP", "DPoP credentials-empty", 0 },
        { "DPoP  ", "DPoP credentials-empty", 0 },
        { "DPoP a b", "DPoP token-malformed", 0 },
        { "DPoP\tT", "DPoP token-malformed", 0 },
        { "DPoP=T", "DPoP token-malformed", 0 },
        { "DPoP token=\"T\"", "DPoP token-malformed", 0 },
        { "DPoP a, DPoP b", "DPoP credentials-doubled", 0 },
        { "DPoP a, Bearer a", "DPoP credentials-doubled", 0 },
        { "DPoP , Bearer a", "DPoP credentials-doubled", 0 },
        { "Bearer a, DPoP a", "Bearer credentials-doubled", 0 },
        { "Basic eA==, DPoP a", "Bearer credentials-doubled", 0 },
        { "DPoPT", "Bearer credentials-scheme", 0 },
        { "DPoPx T", "Bearer credentials-scheme", 0 },
        { "DPo T", "Bearer credentials-scheme", 0 },
        { "Basic eA==", "Bearer credentials-scheme", 0 },
        { "HOBA T", "Bearer credentials-scheme", 0 },
        { "", "Bearer credentials-missing", 0 },
        { "DPoP eyJ.a.b", "DPoP eyJ.a.b", 1 },
        { "DPoP", "DPoP credentials-empty", 1 },
        { "DPoPT", "Bearer DPoPT", 1 },
        { "eyJ.a.b", "Bearer eyJ.a.b", 1 },
        { "Bearer T", "Bearer T", 1 },
        { "DPoP a, b", "DPoP credentials-doubled", 1 },
        { "a, DPoP b", "Bearer credentials-doubled", 1 },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        STR_IS(either(rows[i].value, rows[i].bare, NULL, p), rows[i].want, "RFC 9449 7.1 <%s>%s: %s", rows[i].value,
               rows[i].bare ? " in another field" : "", rows[i].want);
    }
    STR_IS(either(NULL, 0, NULL, p), "Bearer credentials-missing", "no field");
    STR_IS(either("DPoP T", 0, "access_token=U", p), "DPoP credentials-query", "CHL-7 H05 field and query, DPoP");
    BARE("DPoP T", "credentials-scheme", "DPoP in another field, where it is not spoken");
    BARE("DPoP", "DPoP", "a bare token of that name, where it is not spoken");
}

static void lengths(apr_pool_t *p)
{
    const apr_size_t most = MCP_LIMIT_TOKEN;
    char *value = apr_palloc(p, most + 9);

    memcpy(value, "Bearer ", 7);
    memset(value + 7, 'a', most + 1);
    value[7 + most] = '\0';
    OK(strlen(find(value, 0, NULL, p)) == most, "a token as long as allowed");
    OK(strlen(find(value + 7, 1, NULL, p)) == most, "a bare token as long as allowed");
    value[7 + most] = 'a';
    value[8 + most] = '\0';
    IS(value, "token-too-long", "one byte longer");
    BARE(value + 7, "token-too-long", "a bare token one byte longer");
}

static void test(apr_pool_t *p)
{
    good(p);
    missing(p);
    malformed(p);
    doubled(p);
    bare(p);
    queries(p);
    dpop(p);
    lengths(p);
}
