#include "httpd/request.h"

#include <apr_strings.h>
#include <apr_thread_proc.h>

#include <string.h>

#include "base/base64url.h"
#include "httpd/counters.h"

/* Set once per child. */
static char child_prefix[MCP_BASE64URL_ENCODED(6) + 1];
static apr_uint32_t request_count;

void mcp_request_start(void)
{
    unsigned char random[6] = { 0 };

    apr_generate_random_bytes(random, sizeof(random));
    mcp_base64url_encode(child_prefix, random, sizeof(random));
}

mcp_request_t *mcp_request_of(const request_rec *r)
{
    return ap_get_module_config(r->request_config, &mcp_oauth_module);
}

mcp_request_t *mcp_request_inherited(request_rec *r, const mcp_location_t *location)
{
    request_rec *q;

    for (q = r; q; q = q->main ? q->main : q->prev) {
        mcp_request_t *request = mcp_request_of(q);

        if (request && request->location == location) {
            return request;
        }
    }
    return NULL;
}

/* The child's prefix, and eight hexadecimal digits of its own count. */
static const char *id_make(apr_pool_t *p)
{
    apr_uint32_t count = __atomic_add_fetch(&request_count, 1, __ATOMIC_RELAXED);
    char *id = apr_palloc(p, sizeof(child_prefix) + 8), *digit = id + sizeof(child_prefix) + 7;

    memcpy(id, child_prefix, sizeof(child_prefix) - 1);
    for (*digit = '\0'; digit > id + sizeof(child_prefix) - 1; count >>= 4) {
        *--digit = "0123456789abcdef"[count & 15];
    }
    return id;
}

/* Nobody else sets what begins with this: not with SetEnvIf what a client sends, for a log or a Require to believe. */
static void environment_clear(request_rec *r)
{
    static const char prefix[] = "MCP_OAUTH_";
    const apr_array_header_t *all = apr_table_elts(r->subprocess_env);
    int i;

    for (i = 0; i < all->nelts; i++) {
        const char *name = APR_ARRAY_IDX(all, i, apr_table_entry_t).key;

        if (name && !ap_cstr_casecmpn(name, prefix, sizeof(prefix) - 1)) {
            apr_table_unset(r->subprocess_env, name);
            i = -1; /* the rest has moved up */
        }
    }
}

mcp_request_t *mcp_request_create(request_rec *r, const mcp_location_t *location)
{
    mcp_request_t *request = apr_pcalloc(r->pool, sizeof(*request));

    request->location = location;
    request->id = id_make(r->pool);
    ap_set_module_config(r->request_config, &mcp_oauth_module, request);
    environment_clear(r);
    return request;
}

int mcp_request_answered_with(const request_rec *r, const char *type)
{
    apr_size_t len = strlen(type);

    return r->content_type && !ap_cstr_casecmpn(r->content_type, type, len) && strchr("; \t", r->content_type[len]);
}

int mcp_request_shadowed(const mcp_request_t *request)
{
    return request->shadow && request->status == MCP_OK;
}

/* Who the token is for: environment_clear has just been here, and such a table compares a new name with all that begin alike
 * unless it is told that it is new. */
static void tell(request_rec *r, const char *name, const char *value)
{
    if (value && *value) {
        apr_table_addn(r->subprocess_env, name, ap_escape_logitem(r->pool, value));
    }
}

/* The verdict: in place of what others have set meanwhile, in httpd's fixups for instance. */
static void tell_again(request_rec *r, const char *name, const char *value)
{
    if (value && *value) {
        apr_table_setn(r->subprocess_env, name, ap_escape_logitem(r->pool, value));
    }
    else {
        apr_table_unset(r->subprocess_env, name);
    }
}

const char *mcp_request_method(const mcp_request_t *request)
{
    const mcp_message_t *message = request->message;

    if (message && message->kind == MCP_MESSAGE_BATCH && request->refused && request->refused->method) {
        return request->refused->method;
    }
    return message ? message->method : NULL;
}

const char *mcp_request_object(const mcp_request_t *request)
{
    const mcp_message_t *message = request->message;

    if (message && !message->object && request->refused) {
        return request->refused->object;
    }
    return message ? message->object : NULL;
}

void mcp_request_export_grant(request_rec *r, const mcp_request_t *request)
{
    const mcp_grant_t *grant = request->grant;

    tell(r, "MCP_OAUTH_ISS", grant->iss);
    tell(r, "MCP_OAUTH_SUB", grant->sub);
    tell(r, "MCP_OAUTH_CLIENT", grant->client);
    tell(r, "MCP_OAUTH_SCOPE", grant->scope);
    if (grant->user) {
        r->user = apr_pstrdup(r->pool, grant->user);
    }
    r->ap_auth_type = request->scheme == MCP_SCHEME_DPOP ? "DPoP" : "Bearer";
}

void mcp_request_export_verdict(request_rec *r, mcp_request_t *request)
{
    mcp_counters_request(r, request);
    tell_again(r, "MCP_OAUTH_RESOURCE", request->location->resource);
    tell_again(r, "MCP_OAUTH_METHOD", mcp_request_method(request));
    tell_again(r, "MCP_OAUTH_NAME", mcp_request_object(request));
    apr_table_setn(r->subprocess_env, "MCP_OAUTH_DECISION",
                   request->status != MCP_OK && request->status != MCP_PREFLIGHT ? "deny"
                   : mcp_request_shadowed(request)                               ? "shadow-deny"
                                                                                 : "allow");
    apr_table_setn(r->subprocess_env, "MCP_OAUTH_REASON",
                   mcp_status_info(mcp_request_shadowed(request) ? MCP_ACL_DENIED : request->status)->slug);
    apr_table_setn(r->subprocess_env, "MCP_OAUTH_REQUEST_ID", request->id);
}
