#include "httpd/session.h"

#include <http_log.h>

#include <openssl/rand.h>

#include "token/session.h"
#include "rpc/mirror.h"

APLOG_USE_MODULE(mcp_oauth);

#define FIELD "Mcp-Session-Id"
#define RETAINED "mcp_oauth-session"

/* Made by the parent, before children. */
static unsigned char key[MCP_SESSION_KEY_BYTES];

int mcp_session_post_config(server_rec *s)
{
    const mcp_server_t *server = mcp_server_of(s);
    unsigned char *retained = ap_retained_data_get(RETAINED);

    int made = 1;

    if (server->session_secret) {
        made = mcp_session_key(key, server->session_secret->data, server->session_secret->len);
    }
    else {
        if (!retained) {
            retained = ap_retained_data_create(RETAINED, MCP_SESSION_KEY_BYTES);
            made = RAND_bytes(retained, MCP_SESSION_KEY_BYTES) == 1;
        }
        memcpy(key, retained, sizeof(key));
    }
    if (!made) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, s, "MCP0961: OpenSSL makes no session key");
        return !OK;
    }
    return OK;
}

static mcp_principal_t principal_of(const mcp_request_t *request)
{
    mcp_principal_t principal = { request->location->resource, request->grant->iss, request->grant->sub,
                                  request->grant->client };

    return principal;
}

mcp_status_t mcp_session_admit(request_rec *r, mcp_request_t *request)
{
    const char *wrapped = apr_table_get(r->headers_in, FIELD), *id;
    mcp_principal_t principal = principal_of(request);

    if (!request->location->session_binding || request->session_judged || !wrapped) {
        return MCP_OK;
    }
    if (mcp_mirror_is_modern(apr_table_get(r->headers_in, "MCP-Protocol-Version"))) {
        apr_table_unset(r->headers_in, FIELD);
        return MCP_OK;
    }
    if (!(id = mcp_session_unwrap(wrapped, &principal, key, r->pool))) {
        return MCP_SESSION_FOREIGN;
    }
    apr_table_setn(r->headers_in, FIELD, id);
    request->session_judged = 1; /* an internal redirect brings the header as it is now */
    return MCP_OK;
}

void mcp_session_bind(request_rec *r, const mcp_request_t *request)
{
    apr_table_t *tables[] = { r->headers_out, r->err_headers_out };
    mcp_principal_t principal = principal_of(request);

    for (int i = 0; i < 2; i++) {
        const char *id = apr_table_get(tables[i], FIELD), *wrapped;

        if (!id) {
            continue;
        }
        if ((wrapped = mcp_session_wrap(id, &principal, key, r->pool))) {
            apr_table_setn(tables[i], FIELD, wrapped);
        }
        else {
            apr_table_unset(tables[i], FIELD);
            ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                          "MCP0513: session-unbound: the backend's " FIELD
                          " is no visible ASCII or too long, it is removed; request_id=%s",
                          request->id);
        }
    }
}
