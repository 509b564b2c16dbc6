#include "policy/metadata.h"

#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

/* The members that other directives write. */
static const char *const own_names[] = { "resource",
                                         "authorization_servers",
                                         "bearer_methods_supported",
                                         "scopes_supported",
                                         "dpop_signing_alg_values_supported",
                                         "dpop_bound_access_tokens_required" };
static const char certificates[] = "tls_client_certificate_bound_access_tokens";

static int has_any(const apr_array_header_t *texts)
{
    return texts && texts->nelts;
}

static json_t *to_array(const apr_array_header_t *texts)
{
    json_t *array = json_array();
    int i;

    for (i = 0; texts && i < texts->nelts; i++) {
        if (json_array_append_new(array, json_string(APR_ARRAY_IDX(texts, i, const char *)))) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* RFC 9728 section 3.2: parameters with zero elements are left out. */
static int is_empty(const json_t *value)
{
    return json_is_null(value) || (json_is_string(value) && !json_string_length(value)) ||
           (json_is_array(value) && !json_array_size(value)) || (json_is_object(value) && !json_object_size(value));
}

static int add_more(json_t *document, const json_t *more)
{
    void *iter;

    for (iter = json_object_iter((json_t *)more); iter; iter = json_object_iter_next((json_t *)more, iter)) {
        const char *name = json_object_iter_key(iter);
        json_t *value = json_object_iter_value(iter);

        if (!mcp_metadata_check_name(name) && !is_empty(value) && json_object_set(document, name, value)) {
            return 0;
        }
    }
    return 1;
}

/* The members that directives write. */
static int add_own(json_t *document, const mcp_metadata_t *metadata)
{
    const apr_array_header_t *scopes = metadata->scopes_supported, *algs = metadata->dpop_algs;

    return !json_object_set_new(document, own_names[0], json_string(metadata->resource)) &&
           !json_object_set_new(document, own_names[1], to_array(metadata->authorization_servers)) &&
           !json_object_set_new(document, own_names[2], json_pack("[s]", "header")) &&
           (!has_any(scopes) || !json_object_set_new(document, own_names[3], to_array(scopes))) &&
           (!has_any(algs) || !json_object_set_new(document, own_names[4], to_array(algs))) &&
           (!metadata->dpop_required || !json_object_set_new(document, own_names[5], json_true()));
}

/* What is known of the server, unless its administrator knows better: TLS may end in front of it. */
static int add_certificates(json_t *document, const mcp_metadata_t *metadata)
{
    if (!metadata->certificates || json_object_get(metadata->more, certificates)) {
        return 1;
    }
    return !json_object_set_new(document, certificates, json_true());
}

const char *mcp_metadata_write(const mcp_metadata_t *metadata, apr_pool_t *p)
{
    json_t *document = json_object();
    char *dumped = NULL;
    const char *text;

    if (add_own(document, metadata) && add_more(document, metadata->more) && add_certificates(document, metadata)) {
        dumped = json_dumps(document, JSON_COMPACT | JSON_REAL_PRECISION(15));
    }
    json_decref(document);
    text = dumped ? apr_pstrdup(p, dumped) : NULL;
    free(dumped);
    return text;
}

const char *mcp_metadata_check_name(const char *name)
{
    int i;

    if (!*name) {
        return "a metadata member needs a name";
    }
    for (i = 0; i < (int)(sizeof(own_names) / sizeof(*own_names)); i++) {
        if (!strcmp(name, own_names[i])) {
            return "this metadata member is written by another directive";
        }
    }
    return NULL;
}

const char *mcp_metadata_path(const char *well_known, const mcp_url_t *resource, apr_pool_t *p)
{
    return apr_pstrcat(p, well_known, strcmp(resource->path, "/") ? resource->path : "", NULL);
}
