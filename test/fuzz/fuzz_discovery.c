/* The metadata of an authorization server: only that of the issuer that was asked for, and only URLs that may be fetched.
 * K11, RFC 8414. Input: flags ('h' plain http is allowed) NUL issuer NUL document. */
#include "fuzz.h"

#include "base/json.h"
#include "keys/discovery.h"
#include "keys/endpoint.h"
#include "net/url.h"

static void check_url(const char *text, const json_t *metadata, const char *name, int allow_http, apr_pool_t *p)
{
    mcp_url_t url;

    MUST(mcp_json_is_text(json_object_get(metadata, name), text) && mcp_url_parse(&url, text, p));
    MUST(!strcmp(url.scheme, "https") || url.loopback || allow_http);
}

static void check_document(const char *text, size_t len, const char *issuer, int allow_http, apr_pool_t *p)
{
    json_t *metadata = fuzz_json_wide(text, len, p), *opened;
    const char *jwks_uri, *reason = mcp_discovery_parse(&jwks_uri, text, len, issuer, allow_http, p);
    mcp_endpoint_t endpoint;
    const char *endpoint_reason = mcp_endpoint_parse(&endpoint, text, len, issuer, allow_http, p);

    MUST(!reason == (jwks_uri != NULL));
    MUST(!endpoint_reason || !endpoint.url);
    if (!mcp_discovery_open(&opened, text, len, issuer)) {
        MUST(mcp_json_is_text(json_object_get(opened, "issuer"), issuer));
        json_decref(opened);
    }
    else {
        MUST(reason && endpoint_reason && !opened);
    }
    if (jwks_uri) {
        check_url(jwks_uri, metadata, "jwks_uri", allow_http, p);
    }
    if (endpoint.url) {
        check_url(endpoint.url, metadata, "introspection_endpoint", allow_http, p);
        MUST(endpoint.auth == MCP_CLIENT_AUTH_BASIC || endpoint.auth == MCP_CLIENT_AUTH_POST);
    }
}

/* Where the document is looked for is never another server. */
static void check_urls(const char *issuer, apr_pool_t *p)
{
    apr_array_header_t *urls = mcp_discovery_urls(issuer, p);
    mcp_url_t own, url;

    MUST(urls->nelts == 0 || (mcp_url_parse(&own, issuer, p) && urls->nelts >= 2 && urls->nelts <= 3));
    for (int i = 0; i < urls->nelts; i++) {
        MUST(mcp_url_parse(&url, fuzz_at(urls, i), p) && !strcmp(url.origin, own.origin));
        MUST(strstr(url.path, "/.well-known/") && !url.query && !url.fragment);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    fuzz_input_t input = fuzz_open(data, size, p);
    int allow_http = strchr(fuzz_next(&input), 'h') != NULL;
    const char *issuer = fuzz_next(&input), *text;
    size_t len;

    text = fuzz_rest(&len, &input);
    check_urls(issuer, p);
    check_document(text, len, issuer, allow_http, p);
    apr_pool_destroy(p);
    return 0;
}
