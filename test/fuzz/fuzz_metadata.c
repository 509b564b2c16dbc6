/* The protected resource metadata document: strict JSON with exactly what is configured, RFC 9728. Input: flags NUL
 * resource NUL authorization servers NUL scopes NUL DPoP algorithms NUL further members as JSON; several texts are divided
 * by LF. */
#include "fuzz.h"

#include "base/json.h"
#include "base/limits.h"
#include "policy/metadata.h"

static int all_utf8(const apr_array_header_t *texts)
{
    int i = 0;

    while (i < texts->nelts && fuzz_is_utf8(fuzz_at(texts, i), strlen(fuzz_at(texts, i)))) {
        i++;
    }
    return i == texts->nelts;
}

static void check_list(const json_t *document, const char *name, const apr_array_header_t *texts, int always)
{
    const json_t *list = json_object_get(document, name);

    MUST(!list == !(texts->nelts || always));
    MUST(!list || (json_is_array(list) && (int)json_array_size(list) == texts->nelts));
    for (int i = 0; list && i < texts->nelts; i++) {
        MUST(mcp_json_is_text(json_array_get(list, (size_t)i), fuzz_at(texts, i)));
    }
}

static int is_empty(const json_t *value)
{
    return json_is_null(value) || (json_is_string(value) && !json_string_length(value)) ||
           (json_is_array(value) && !json_array_size(value)) || (json_is_object(value) && !json_object_size(value));
}

/* Members that other directives write cannot be set, empty ones are left out, the rest is there as it was given. */
static size_t check_more(const json_t *document, const json_t *more)
{
    const char *name;
    json_t *value;
    size_t count = 0;

    json_object_foreach((json_t *)more, name, value)
    {
        const json_t *there = json_object_get(document, name);

        if (!mcp_metadata_check_name(name)) {
            MUST(is_empty(value) ? !there || !strncmp(name, "tls_", 4) : there != NULL);
            MUST(!there || json_typeof(there) == json_typeof(value));
            MUST(!json_is_string(value) || !there || json_equal(there, value));
            count += !is_empty(value);
        }
    }
    return count;
}

static void check(const char *text, const mcp_metadata_t *metadata, apr_pool_t *p)
{
    const char *own[] = { "resource",
                          "authorization_servers",
                          "bearer_methods_supported",
                          "scopes_supported",
                          "dpop_signing_alg_values_supported",
                          "dpop_bound_access_tokens_required" };
    const char *certificates = "tls_client_certificate_bound_access_tokens";
    const json_t *methods;
    json_t *document;
    size_t count;

    MUST(mcp_json_parse_object(&document, text, strlen(text), MCP_LIMIT_DOC_DEPTH + 2, p) == MCP_OK);
    MUST(mcp_json_is_text(json_object_get(document, "resource"), metadata->resource));
    check_list(document, own[1], metadata->authorization_servers, 1);
    check_list(document, own[3], metadata->scopes_supported, 0);
    check_list(document, own[4], metadata->dpop_algs, 0);
    methods = json_object_get(document, own[2]);
    MUST(json_array_size(methods) == 1 && mcp_json_is_text(json_array_get(methods, 0), "header"));
    MUST(metadata->dpop_required ? json_is_true(json_object_get(document, own[5]))
                                 : !json_object_get(document, own[5]));
    MUST(!metadata->certificates || json_object_get(metadata->more, certificates) ||
         json_is_true(json_object_get(document, certificates)));
    count = check_more(document, metadata->more);
    count += metadata->certificates && !json_object_get(metadata->more, certificates);
    for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
        MUST(mcp_metadata_check_name(own[i]));
        count += json_object_get(document, own[i]) != NULL;
    }
    MUST(count == json_object_size(document)); /* and nothing else */
}

static void check_path(const char *resource, apr_pool_t *p)
{
    mcp_url_t url;
    const char *path;

    if (mcp_url_parse(&url, resource, p)) {
        path = mcp_metadata_path("/.well-known/x", &url, p);
        MUST(!strncmp(path, "/.well-known/x", 14) && (path[14] == '/' || !path[14]));
        MUST(!strcmp(path + 14, strcmp(url.path, "/") ? url.path : ""));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    fuzz_input_t input = fuzz_open(data, size, p);
    const char *flags = fuzz_next(&input), *more, *text;
    mcp_metadata_t metadata = { 0 };
    json_t *json;
    size_t len;

    metadata.dpop_required = strchr(flags, 'd') != NULL;
    metadata.certificates = strchr(flags, 'c') != NULL;
    metadata.resource = fuzz_next(&input);
    metadata.authorization_servers = fuzz_split(fuzz_next(&input), "\n", p);
    metadata.scopes_supported = fuzz_split(fuzz_next(&input), "\n", p);
    metadata.dpop_algs = fuzz_split(fuzz_next(&input), "\n", p);
    more = fuzz_rest(&len, &input);
    mcp_json_parse_object(&json, more, len, MCP_LIMIT_DOC_DEPTH, p);
    metadata.more = json;
    text = mcp_metadata_write(&metadata, p);
    if (!text) { /* JSON has no place for what is no UTF-8 */
        MUST(!fuzz_is_utf8(metadata.resource, strlen(metadata.resource)) || !all_utf8(metadata.authorization_servers) ||
             !all_utf8(metadata.scopes_supported) || !all_utf8(metadata.dpop_algs));
    }
    else {
        check(text, &metadata, p);
    }
    check_path(metadata.resource, p);
    apr_pool_destroy(p);
    return 0;
}
