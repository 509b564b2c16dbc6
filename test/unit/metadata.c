#include "policy/metadata.h"

#include "base/json.h"
#include "tap.h"

static apr_array_header_t *list(const char *a, const char *b, apr_pool_t *p)
{
    apr_array_header_t *array = apr_array_make(p, 2, sizeof(const char *));

    if (a) {
        APR_ARRAY_PUSH(array, const char *) = a;
    }
    if (b) {
        APR_ARRAY_PUSH(array, const char *) = b;
    }
    return array;
}

/* The document with its authorization server, and more. */
static const char *written(mcp_metadata_t *metadata, const char *more, apr_pool_t *p)
{
    json_t *json = NULL;

    if (more && mcp_json_parse_object(&json, more, strlen(more), 8, p) != MCP_OK) {
        return "bad test";
    }
    metadata->authorization_servers = list("https://sso.example.com/realms/mcp", NULL, p);
    metadata->more = json;
    return mcp_metadata_write(metadata, p);
}

static const char *document(const apr_array_header_t *scopes, const char *more, apr_pool_t *p)
{
    mcp_metadata_t metadata = { .resource = "https://mcp.example.com/mcp", .scopes_supported = scopes };

    return written(&metadata, more, p);
}

#define HEAD \
    "{\"resource\":\"https://mcp.example.com/mcp\",\"authorization_servers\":[\"https://sso.example.com/realms/" \
    "mcp\"]," \
    "\"bearer_methods_supported\":[\"header\"]"

static void documents(apr_pool_t *p)
{
    mcp_metadata_t two = { .resource = "http://localhost:8080",
                           .authorization_servers = list("https://a", "https://b/", p) };

    STR_IS(document(NULL, NULL, p), HEAD "}", "PRM-3 the least document, no empty members");
    STR_IS(document(list(NULL, NULL, p), NULL, p), HEAD "}", "PRM-3 no \"scopes_supported\":[]");
    STR_IS(document(list("mcp:read", "a/b", p), NULL, p), HEAD ",\"scopes_supported\":[\"mcp:read\",\"a/b\"]}",
           "PRM-9 scopes in their order");
    STR_IS(document(list("s", NULL, p),
                    "{\"resource_name\":\"N \\u00fc "
                    "\\\"q\\\"\",\"resource_name#de\":\"D\",\"x_required\":false,\"n\":0}",
                    p),
           HEAD ",\"scopes_supported\":[\"s\"],\"resource_name\":\"N \xC3\xBC \\\"q\\\"\",\"resource_name#de\":\"D\","
                "\"x_required\":false,\"n\":0}",
           "PRM-11 further members in their order, false and 0 are values");
    STR_IS(document(NULL, "{\"signed_metadata\":\"eyJ.a.b\",\"z\":[1,{\"a\":0.1}],\"a\":{\"b\":[]}}", p),
           HEAD ",\"signed_metadata\":\"eyJ.a.b\",\"z\":[1,{\"a\":0.1}],\"a\":{\"b\":[]}}",
           "PRM-12 a static signed_metadata, nested values");
    STR_IS(document(NULL, "{\"a\":null,\"b\":\"\",\"c\":[],\"d\":{}}", p), HEAD "}",
           "PRM-3 further empty members are left out");
    STR_IS(document(NULL,
                    "{\"resource\":\"https://evil\",\"authorization_servers\":[\"https://"
                    "evil\"],\"bearer_methods_supported\":[\"query\"],"
                    "\"scopes_supported\":[\"x\"],\"Resource\":\"r\"}",
                    p),
           HEAD ",\"Resource\":\"r\"}", "PRM-11 further members do not replace our own");
    STR_IS(mcp_metadata_write(&two, p),
           "{\"resource\":\"http://localhost:8080\",\"authorization_servers\":[\"https://a\",\"https://b/\"],"
           "\"bearer_methods_supported\":[\"header\"]}",
           "PRM-6 several servers, each as it was written");
}

#define DPOP ",\"dpop_signing_alg_values_supported\":[\"RS256\",\"ES256\"]"
#define CERTIFICATES "\"tls_client_certificate_bound_access_tokens\":"

static const char *bound(const apr_array_header_t *scopes, const apr_array_header_t *algs, int required,
                         int certificates, const char *more, apr_pool_t *p)
{
    mcp_metadata_t metadata = { .resource = "https://mcp.example.com/mcp",
                                .scopes_supported = scopes,
                                .dpop_algs = algs,
                                .dpop_required = required,
                                .certificates = certificates };

    return written(&metadata, more, p);
}

static void bindings(apr_pool_t *p)
{
    const apr_array_header_t *algs = list("RS256", "ES256", p);

    STR_IS(bound(NULL, algs, 0, 0, NULL, p), HEAD DPOP "}", "POP-7 DPoP is spoken");
    STR_IS(bound(NULL, list(NULL, NULL, p), 0, 0, NULL, p), HEAD "}", "POP-7 no algorithm: it is not");
    STR_IS(bound(NULL, algs, 1, 0, NULL, p), HEAD DPOP ",\"dpop_bound_access_tokens_required\":true}",
           "POP-7 nothing else is spoken");
    STR_IS(bound(NULL, algs, 0, 0,
                 "{\"dpop_signing_alg_values_supported\":[\"none\"],\"dpop_bound_access_tokens_required\":true}", p),
           HEAD DPOP "}", "POP-7 further members do not say otherwise");
    STR_IS(bound(NULL, NULL, 0, 0,
                 "{\"dpop_signing_alg_values_supported\":[\"none\"],\"dpop_bound_access_tokens_required\":false}", p),
           HEAD "}", "POP-7 nor where it is not spoken");
    STR_IS(bound(NULL, NULL, 0, 1, NULL, p), HEAD "," CERTIFICATES "true}", "POP-8 client certificates are asked for");
    STR_IS(bound(NULL, NULL, 0, 1, "{" CERTIFICATES "false}", p), HEAD "," CERTIFICATES "false}",
           "POP-8 the administrator says no");
    STR_IS(bound(NULL, NULL, 0, 0, "{" CERTIFICATES "true}", p), HEAD "," CERTIFICATES "true}",
           "POP-8 the administrator says yes");
    STR_IS(bound(NULL, NULL, 0, 1, "{" CERTIFICATES "null}", p), HEAD "}",
           "POP-8 the administrator says nothing of it");
    STR_IS(bound(list("s", NULL, p), algs, 1, 1, "{\"resource_name\":\"N\"}", p),
           HEAD ",\"scopes_supported\":[\"s\"]" DPOP ",\"dpop_bound_access_tokens_required\":true,"
                "\"resource_name\":\"N\"," CERTIFICATES "true}",
           "POP-7 POP-8 everything, in this order");
}

static void names(apr_pool_t *p)
{
    OK(mcp_metadata_check_name("dpop_signing_alg_values_supported") &&
           mcp_metadata_check_name("dpop_bound_access_tokens_required"),
       "POP-7 what the directive of DPoP writes");
    OK(!mcp_metadata_check_name("tls_client_certificate_bound_access_tokens"), "POP-8 only the administrator knows");
    OK(!mcp_metadata_check_name("resource_name") && !mcp_metadata_check_name("resource_name#de") &&
           !mcp_metadata_check_name("resource_documentation#") && !mcp_metadata_check_name("x"),
       "PRM-11 any other name");
    OK(mcp_metadata_check_name("") != NULL, "PRM-11 an empty name");
    OK(mcp_metadata_check_name("resource") && mcp_metadata_check_name("authorization_servers") &&
           mcp_metadata_check_name("bearer_methods_supported") && mcp_metadata_check_name("scopes_supported"),
       "PRM-11 what other directives write");
}

static const char *path(const char *resource, apr_pool_t *p)
{
    mcp_url_t url;

    return mcp_url_parse(&url, resource, p) ? mcp_metadata_path("/.well-known/oauth-protected-resource", &url, p)
                                            : NULL;
}

static void paths(apr_pool_t *p)
{
    STR_IS(path("https://h/mcp", p), "/.well-known/oauth-protected-resource/mcp", "PRM-2 between host and path");
    STR_IS(path("https://h/mcp/", p), "/.well-known/oauth-protected-resource/mcp/",
           "PRM-2 a slash behind a path stays");
    STR_IS(path("https://h/a/b%20c", p), "/.well-known/oauth-protected-resource/a/b%20c", "PRM-2 the path as written");
    STR_IS(path("https://h/", p), "/.well-known/oauth-protected-resource", "PRM-2 one slash counts as no path");
    STR_IS(path("https://h", p), "/.well-known/oauth-protected-resource", "PRM-2 no path");
    STR_IS(path("https://h//", p), "/.well-known/oauth-protected-resource//", "PRM-2 two slashes are a path");
    STR_IS(path("https://h:8443/mcp?x=1", p), "/.well-known/oauth-protected-resource/mcp",
           "PRM-2 the query is no part of the path");
}

static void test(apr_pool_t *p)
{
    documents(p);
    bindings(p);
    names(p);
    paths(p);
}
