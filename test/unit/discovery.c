#include "keys/discovery.h"

#include "base/limits.h"
#include "tap.h"

#define ISSUER "https://as.example/realms/mcp"

static void urls_are(apr_pool_t *p, const char *issuer, const char *one, const char *two, const char *three)
{
    const char *wanted[3] = { one, two, three };
    apr_array_header_t *urls = mcp_discovery_urls(issuer, p);
    int i, count = three ? 3 : two ? 2 : 0;

    OK(urls->nelts == count, "KEY-1 %s has %d well-known URLs", issuer, count);
    for (i = 0; i < count; i++) {
        STR_IS(i < urls->nelts ? APR_ARRAY_IDX(urls, i, const char *) : NULL, wanted[i], "KEY-1 form %d of %s", i,
               issuer);
    }
}

static void urls(apr_pool_t *p)
{
    urls_are(p, "https://h/a/b", "https://h/.well-known/oauth-authorization-server/a/b",
             "https://h/.well-known/openid-configuration/a/b", "https://h/a/b/.well-known/openid-configuration");
    urls_are(p, "https://h/a/b/", "https://h/.well-known/oauth-authorization-server/a/b",
             "https://h/.well-known/openid-configuration/a/b", "https://h/a/b/.well-known/openid-configuration");
    urls_are(p, "https://h", "https://h/.well-known/oauth-authorization-server",
             "https://h/.well-known/openid-configuration", NULL);
    urls_are(p, "https://h/", "https://h/.well-known/oauth-authorization-server",
             "https://h/.well-known/openid-configuration", NULL);
    urls_are(p, "http://127.0.0.1:8080/x", "http://127.0.0.1:8080/.well-known/oauth-authorization-server/x",
             "http://127.0.0.1:8080/.well-known/openid-configuration/x",
             "http://127.0.0.1:8080/x/.well-known/openid-configuration");
    urls_are(p, "https://h/a?tenant=1", NULL, NULL, NULL);
    urls_are(p, "https://h/a#b", NULL, NULL, NULL);
    urls_are(p, "urn:example:issuer", NULL, NULL, NULL);
    urls_are(p, "accounts.example", NULL, NULL, NULL);
}

static const char *parse(const char **pjwks_uri, const char *text, int allow_http, apr_pool_t *p)
{
    return mcp_discovery_parse(pjwks_uri, text, strlen(text), ISSUER, allow_http, p);
}

static void accepted(apr_pool_t *p)
{
    const char *uri;

    OK(!parse(&uri, "{\"x\":[1],\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://keys.example/k?v=1\"}", 0, p),
       "a metadata document is usable");
    STR_IS(uri, "https://keys.example/k?v=1", "its jwks_uri is taken as it is, whatever the host");
    OK(!parse(&uri, "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"http://localhost:1/k\"}", 0, p),
       "http on loopback is fine");
    OK(!parse(&uri, "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"http://h/k\"}", 1, p), "http elsewhere if allowed");
    STR_IS(uri, "http://h/k", "then it is taken");
    OK(!parse(&uri, "{\"issuer\":\"https:\\/\\/as.example\\/realms\\/mcp\",\"jwks_uri\":\"https://h/k\"}", 0, p),
       "escapes in the issuer mean the same text");
}

static void refused(apr_pool_t *p)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "", "empty" },
        { "<html>", "R04 HTML" },
        { "{}", "R04 an empty object" },
        { "[]", "an array" },
        { "null", "null" },
        { "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://h/k\"", "R04 truncated JSON" },
        { "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://h/k\"}x", "trailing data" },
        { "{\"issuer\":\"" ISSUER "\",\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://h/k\"}", "a member twice" },
        { "{\"issuer\":\"" ISSUER "/\",\"jwks_uri\":\"https://h/k\"}", "KEY-2 an issuer with a slash more" },
        { "{\"issuer\":\"https://AS.example/realms/mcp\",\"jwks_uri\":\"https://h/k\"}", "KEY-2 in other case" },
        { "{\"issuer\":\"https://as.example/realms/mc\",\"jwks_uri\":\"https://h/k\"}", "KEY-2 a prefix" },
        { "{\"issuer\":\"https://evil.example\",\"jwks_uri\":\"https://h/k\"}", "KEY-2 another issuer" },
        { "{\"issuer\":\"" ISSUER "\\u0000\",\"jwks_uri\":\"https://h/k\"}", "KEY-2 a NUL behind the issuer" },
        { "{\"issuer\":[\"" ISSUER "\"],\"jwks_uri\":\"https://h/k\"}", "KEY-2 an array of issuers" },
        { "{\"Issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://h/k\"}", "KEY-2 no issuer" },
        { "{\"issuer\":\"" ISSUER "\"}", "no jwks_uri" },
        { "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":null}", "jwks_uri null" },
        { "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"\"}", "jwks_uri empty" },
        { "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"/k\"}", "jwks_uri relative" },
        { "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"file:///etc/passwd\"}", "K11 jwks_uri of a file" },
        { "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://u:s@h/k\"}", "K11 jwks_uri with user information" },
        { "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://h/k\\r\\nX: y\"}", "K11 jwks_uri with line ends" },
        { "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"http://h/k\"}", "KEY-3 jwks_uri in plain http" },
        { "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"http://localhost.evil.example/k\"}", "KEY-3 a false localhost" },
    };
    const char *uri;
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *reason;
        uri = "untouched";
        reason = parse(&uri, cases[i].text, 0, p);
        OK(reason && *reason && !uri, "refused: %s", cases[i].why);
    }
}

/* What other endpoints are found by. */
static void pieces(apr_pool_t *p)
{
    static const char text[] = "{\"issuer\":\"" ISSUER "\",\"a\":\"https://h/a\",\"b\":\"http://h/b\",\"c\":7}";
    const char *url = "untouched", *reason;
    json_t *metadata;

    OK(!mcp_discovery_open(&metadata, text, strlen(text), ISSUER) && metadata, "a document need not name a key set");
    OK(!mcp_discovery_take_url(&url, metadata, "a", 0, p), "a URL of any name is taken from it");
    STR_IS(url, "https://h/a", "as it is");
    reason = mcp_discovery_take_url(&url, metadata, "b", 0, p);
    STR_IS(reason, "the b of the metadata is plain http", "KEY-3 the reason calls it by its name");
    OK(!url, "KEY-3 and nothing is taken");
    OK(!mcp_discovery_take_url(&url, metadata, "b", 1, p) && url, "unless it is allowed");
    STR_IS(mcp_discovery_take_url(&url, metadata, "c", 0, p), "the metadata has no c", "a number is none");
    OK(!url, "and nothing is taken");
    STR_IS(mcp_discovery_take_url(&url, metadata, "d", 0, p), "the metadata has no d", "nor is what is missing");
    json_decref(metadata);
    OK(mcp_discovery_open(&metadata, text, strlen(text), ISSUER "/") && !metadata, "KEY-2 of another issuer: nothing");
    OK(mcp_discovery_open(&metadata, text, strlen(text) - 1, ISSUER) && !metadata, "R04 of half a document: nothing");
}

/* A usable document of exactly len bytes, filled up with white space. */
static const char *padded(apr_size_t len, apr_pool_t *p)
{
    static const char text[] = "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://h/k\"}";
    char *document = apr_palloc(p, len);

    memset(document, ' ', len);
    memcpy(document, text, sizeof(text) - 1);
    return document;
}

static const char *long_uri(apr_size_t len, apr_pool_t *p)
{
    char *uri = apr_palloc(p, len + 1);

    memset(uri, 'a', len);
    memcpy(uri, "https://h/", 10);
    uri[len] = '\0';
    return apr_pstrcat(p, "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"", uri, "\"}", NULL);
}

static const char *nested(int depth, apr_pool_t *p)
{
    char *open = apr_pcalloc(p, depth), *close = apr_pcalloc(p, depth);

    memset(open, '[', depth - 1);
    memset(close, ']', depth - 1);
    return apr_pstrcat(p, "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://h/k\",\"x\":", open, close, "}", NULL);
}

static void ceilings(apr_pool_t *p)
{
    apr_size_t len = MCP_LIMIT_DOCUMENT;
    const char *uri;

    OK(!mcp_discovery_parse(&uri, padded(len, p), len, ISSUER, 0, p), "K11 a document of the limit is usable");
    OK(mcp_discovery_parse(&uri, padded(len + 1, p), len + 1, ISSUER, 0, p), "K11 one byte more is not");
    OK(!parse(&uri, nested(MCP_LIMIT_DOC_DEPTH, p), 0, p), "K11 nesting of the limit is usable");
    OK(parse(&uri, nested(MCP_LIMIT_DOC_DEPTH + 1, p), 0, p), "K11 one deeper is not");
    OK(!parse(&uri, long_uri(MCP_LIMIT_NAME, p), 0, p), "K11 a jwks_uri of the limit is usable");
    OK(parse(&uri, long_uri(MCP_LIMIT_NAME + 1, p), 0, p), "K11 one byte more is not");
}

static void test(apr_pool_t *p)
{
    urls(p);
    accepted(p);
    refused(p);
    pieces(p);
    ceilings(p);
}
