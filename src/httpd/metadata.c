#include "httpd/metadata.h"

#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

#include <apr_strings.h>
#include <openssl/evp.h>

#include "base/base64url.h"
#include "httpd/answer.h"
#include "httpd/check.h"
#include "httpd/compat.h"
#include "policy/metadata.h"
#include "token/dpop.h"

#define MAX_AGE "max-age=300"

typedef struct document_t {
    const server_rec *server;
    const char *resource;
    const char *path; /* where it is served */
    const char *bare; /* McpOAuthMetadataPath alone */
    const char *text, *etag;
    int owner;
} document_t;

/* Read-only once the configuration has been checked. */
static apr_array_header_t *documents; /* document_t; text NULL: a bare path that is answered with 404 */

void mcp_documents_reset(apr_pool_t *pconf)
{
    documents = apr_array_make(pconf, 4, sizeof(document_t));
}

static const char *etag_make(const char *text, apr_pool_t *p)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char short_form[MCP_BASE64URL_ENCODED(12) + 1];

    if (EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL) != 1) {
        return NULL;
    }
    mcp_base64url_encode(short_form, digest, 12);
    return apr_psprintf(p, "\"%s\"", short_form);
}

static void text_make(document_t *document, const mcp_location_t *location, apr_pool_t *p)
{
    const apr_array_header_t *members = location->conf->metadata;
    mcp_metadata_t metadata = { .resource = location->resource,
                                .authorization_servers = location->authorization_servers,
                                .scopes_supported = location->scopes_supported,
                                .dpop_required = location->dpop == MCP_DPOP_REQUIRED,
                                .certificates = location->certificates };
    json_t *more = json_object();
    int i;

    for (i = 0; members && i < members->nelts; i++) {
        const mcp_member_t *member = &APR_ARRAY_IDX(members, i, mcp_member_t);

        json_object_set(more, member->name, member->value); /* a later line of the same name wins */
    }
    if (location->dpop != MCP_DPOP_OFF) {
        metadata.dpop_algs = mcp_alg_names(MCP_DPOP_ALGS, p);
    }
    metadata.more = more;
    document->text = mcp_metadata_write(&metadata, p);
    document->etag = document->text ? etag_make(document->text, p) : NULL;
    json_decref(more);
}

void mcp_documents_add(const mcp_location_t *location, int owner, apr_pool_t *pconf)
{
    document_t *document = NULL;
    int i;

    for (i = 0; i < documents->nelts; i++) {
        document_t *other = &APR_ARRAY_IDX(documents, i, document_t);

        if (other->server == location->server && !strcmp(other->path, location->metadata_path)) {
            if (strcmp(other->resource, location->resource)) {
                mcp_remark(
                    (server_rec *)location->server, "MCP0954", location->conf->at,
                    apr_psprintf(pconf,
                                 "%s and %s have the same metadata path %s; write another McpOAuthMetadataPath for "
                                 "one of them",
                                 other->resource, location->resource, other->path));
            }
            if (other->owner || !owner) {
                return;
            }
            document = other;
        }
    }
    document = document ? document : apr_array_push(documents);
    document->server = location->server;
    document->resource = location->resource;
    document->path = location->metadata_path;
    document->bare =
        location->conf->metadata_path ? location->conf->metadata_path : "/.well-known/oauth-protected-resource";
    document->owner = owner;
    text_make(document, location, pconf);
}

static document_t *document_find(const server_rec *s, const char *path)
{
    int i;

    for (i = 0; i < documents->nelts; i++) {
        document_t *document = &APR_ARRAY_IDX(documents, i, document_t);

        if (document->server == s && !strcmp(document->path, path)) {
            return document;
        }
    }
    return NULL;
}

void mcp_documents_close(apr_pool_t *pconf)
{
    int i, j, n = documents->nelts;

    for (i = 0; i < n; i++) {
        document_t document = APR_ARRAY_IDX(documents, i, document_t);
        int others = 0;

        for (j = 0; j < n; j++) {
            others += j != i && APR_ARRAY_IDX(documents, j, document_t).server == document.server;
        }
        if (!document_find(document.server, document.bare)) {
            document.path = document.bare;
            document.text = others ? NULL : document.text;
            APR_ARRAY_PUSH(documents, document_t) = document;
        }
    }
}

apr_array_header_t *mcp_documents_resources(apr_pool_t *p)
{
    apr_array_header_t *resources = apr_array_make(p, documents->nelts + 1, sizeof(const char *));
    int i, j;

    for (i = 0; i < documents->nelts; i++) {
        const char *resource = APR_ARRAY_IDX(documents, i, document_t).resource;

        for (j = 0; j < resources->nelts && strcmp(APR_ARRAY_IDX(resources, j, const char *), resource); j++) {
        }
        if (j == resources->nelts) {
            APR_ARRAY_PUSH(resources, const char *) = resource;
        }
    }
    return resources;
}

/* --- answering -------------------------------------------------------------------------------------------------- */

/* What httpd does in front of a handler: mod_filter (AddOutputFilterByType) crashes when it was not initialized. */
static int filters_insert(request_rec *r)
{
    ap_filter_t *filter;
    int rc = OK;

    ap_run_insert_filter(r);
    for (filter = r->output_filters; filter && rc == OK; filter = filter->next) {
        rc = filter->frec->filter_init_func ? filter->frec->filter_init_func(filter) : OK;
    }
    return rc;
}

static int document_answer(request_rec *r, const document_t *document)
{
    int rc;

    apr_table_setn(r->err_headers_out, "Access-Control-Allow-Origin", "*");
    if (!document->text) {
        return mcp_answer_plain(r, HTTP_NOT_FOUND, "not_found", "No protected resource here", NULL);
    }
    if (r->method_number == M_OPTIONS) {
        apr_table_setn(r->headers_out, "Allow", "GET, HEAD, OPTIONS");
        apr_table_setn(r->headers_out, "Access-Control-Allow-Methods", "GET, HEAD, OPTIONS");
        apr_table_setn(r->headers_out, "Access-Control-Allow-Headers",
                       "Accept, Authorization, Content-Type, MCP-Protocol-Version");
        apr_table_setn(r->headers_out, "Access-Control-Max-Age", "7200");
        r->status = HTTP_NO_CONTENT;
        return filters_insert(r);
    }
    if (r->method_number != M_GET) {
        return mcp_answer_plain(r, HTTP_METHOD_NOT_ALLOWED, "method_not_allowed", "The HTTP method is not allowed",
                                "GET, HEAD, OPTIONS");
    }
    if ((rc = ap_discard_request_body(r)) != OK) {
        return rc;
    }
    apr_table_setn(r->headers_out, "Cache-Control", MAX_AGE);
    if (document->etag) {
        apr_table_setn(r->headers_out, "ETag", document->etag);
    }
    if ((rc = ap_meets_conditions(r)) != OK) {
        r->status = rc; /* not returned: ap_die would throw Cache-Control and ETag away with headers_out */
        return filters_insert(r);
    }
    ap_set_content_type(r, "application/json");
    ap_set_content_length(r, (apr_off_t)strlen(document->text));
    if ((rc = filters_insert(r)) == OK) {
        ap_rputs(document->text, r);
    }
    return rc;
}

int mcp_metadata_handler(request_rec *r, int lookup)
{
    const document_t *document;
    char *path;

    if (lookup || r->main || !documents || !documents->nelts || !r->parsed_uri.path) {
        return DECLINED;
    }
    path = apr_pstrdup(r->pool, r->parsed_uri.path); /* not normalized yet at this point */
    if (!mcp_path_decode(path) || !(document = document_find(r->server, path))) {
        return DECLINED;
    }
    ap_location_walk(r); /* so that "Header" in a <Location> applies */
    return document_answer(r, document);
}
