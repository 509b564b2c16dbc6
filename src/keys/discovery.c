#include "keys/discovery.h"

#include <apr_strings.h>
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "net/url.h"

#define WELL_KNOWN_OAUTH "/.well-known/oauth-authorization-server"
#define WELL_KNOWN_OPENID "/.well-known/openid-configuration"

static void add(apr_array_header_t *urls, const char *origin, const char *first, const char *second)
{
    APR_ARRAY_PUSH(urls, const char *) = apr_pstrcat(urls->pool, origin, first, second, NULL);
}

apr_array_header_t *mcp_discovery_urls(const char *issuer, apr_pool_t *p)
{
    apr_array_header_t *urls = apr_array_make(p, 3, sizeof(const char *));
    const char *path;
    apr_size_t len;
    mcp_url_t url;

    /* An issuer has neither query nor fragment (RFC 8414 section 2); there is no rule where to put one. */
    if (!mcp_url_parse(&url, issuer, p) || url.query || url.fragment) {
        return urls;
    }
    len = strlen(url.path);
    path = apr_pstrmemdup(p, url.path, len && url.path[len - 1] == '/' ? len - 1 : len);
    add(urls, url.origin, WELL_KNOWN_OAUTH, path);
    add(urls, url.origin, WELL_KNOWN_OPENID, path);
    if (*path) {
        add(urls, url.origin, path, WELL_KNOWN_OPENID);
    }
    return urls;
}

const char *mcp_discovery_open(json_t **pmetadata, const char *text, apr_size_t len, const char *issuer)
{
    json_t *metadata;

    *pmetadata = NULL;
    if (len > MCP_LIMIT_DOCUMENT) {
        return "the metadata is too long";
    }
    if (mcp_json_parse_object(&metadata, text, len, MCP_LIMIT_DOC_DEPTH, NULL) != MCP_OK) {
        return "the metadata is not a JSON object";
    }
    if (!mcp_json_is_text(json_object_get(metadata, "issuer"), issuer)) {
        json_decref(metadata);
        return "the issuer of the metadata is not the configured one";
    }
    *pmetadata = metadata;
    return NULL;
}

const char *mcp_discovery_take_url(const char **purl, const json_t *metadata, const char *name, int allow_http,
                                   apr_pool_t *p)
{
    const json_t *value = json_object_get(metadata, name);
    mcp_url_t url;

    *purl = NULL;
    if (!json_is_string(value)) {
        return apr_psprintf(p, "the metadata has no %s", name);
    }
    if (json_string_length(value) > MCP_LIMIT_NAME) {
        return apr_psprintf(p, "the %s of the metadata is too long", name);
    }
    if (!mcp_url_parse(&url, json_string_value(value), p)) {
        return apr_psprintf(p, "the %s of the metadata is not an absolute https URL", name);
    }
    if (strcmp(url.scheme, "https") && !url.loopback && !allow_http) {
        return apr_psprintf(p, "the %s of the metadata is plain http", name);
    }
    *purl = apr_pstrdup(p, json_string_value(value));
    return NULL;
}

const char *mcp_discovery_parse(const char **pjwks_uri, const char *text, apr_size_t len, const char *issuer,
                                int allow_http, apr_pool_t *p)
{
    json_t *metadata;
    const char *reason = mcp_discovery_open(&metadata, text, len, issuer);

    *pjwks_uri = NULL;
    if (reason) {
        return reason;
    }
    reason = mcp_discovery_take_url(pjwks_uri, metadata, "jwks_uri", allow_http, p);
    json_decref(metadata);
    return reason;
}
