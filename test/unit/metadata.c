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

static const char *document(const apr_array_header_t *scopes, const char *more, apr_pool_t *p)
{
    mcp_metadata_t metadata = { "https://mcp.example.com/mcp", list("https://sso.example.com/realms/mcp", NULL, p),
                                scopes, NULL };
    json_t *json = NULL;

    if (more && mcp_json_parse_object(&json, more, strlen(more), 8, p) != MCP_OK) {
        return "bad test";
    }
    metadata.more = json;
    return mcp_metadata_write(&metadata, p);
}

#define HEAD \
    "{\"resource\":\"https://mcp.example.com/mcp\",\"authorization_servers\":[\"https://sso.example.com/realms/" \
    "mcp\"]," \
    "\"bearer_methods_supported\":[\"header\"]"

static void documents(apr_pool_t *p)
{
    mcp_metadata_t two = { "http://localhost:8080", list("https://a", "https://b/", p), NULL, NULL };

    STR_IS(document(NULL, NULL, p), HEAD "}", "PRM-3 the least document, no empty members");
    STR_IS(document(list(NULL, NULL, p), NULL, p), HEAD "}", "PRM-3 no \"scopes_supported\":[]");
    STR_IS(document(list("mcp:read", "a/b", p), NULL, p), HEAD ",\"scopes_supported\":[\"mcp:read\",\"a/b\"]}",
           "PRM-9 scopes in their order");
    STR_IS(document(list("s", NULL, p),
                    "{\"resource_name\":\"N \\u00fc "
                    "\\\"q\\\"\",\"resource_name#de\":\"D\",\"dpop_bound_access_tokens_required\":false,\"n\":0}",
                    p),
           HEAD ",\"scopes_supported\":[\"s\"],\"resource_name\":\"N \xC3\xBC \\\"q\\\"\",\"resource_name#de\":\"D\","
                "\"dpop_bound_access_tokens_required\":false,\"n\":0}",
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

static void names(apr_pool_t *p)
{
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
    names(p);
    paths(p);
}
