#include "httpd/gate.h"

#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <util_filter.h>

#include <apr_strings.h>

#include "httpd/access.h"
#include "httpd/answer.h"
#include "httpd/body.h"
#include "httpd/forward.h"
#include "httpd/limit.h"
#include "httpd/listing.h"
#include "httpd/session.h"
#include "rpc/mirror.h"

APLOG_USE_MODULE(mcp_oauth);

static ap_filter_rec_t *edge_handle, *begin_handle;

/* --- judging ---------------------------------------------------------------------------------------------------- */

/* The first one that would be refused if it stood alone. */
static const mcp_operation_t *refused_find(const mcp_request_t *request, const mcp_operation_t *operations, int count,
                                           apr_pool_t *p)
{
    int i = 0;

    while (i < count - 1 && mcp_acl_check(NULL, request->location->policy.acl, &request->grant->acl_values,
                                          &operations[i], 1, p) == MCP_OK) {
        i++;
    }
    return &operations[i];
}

static mcp_status_t rules_check(request_rec *r, mcp_request_t *request, const mcp_operation_t *operations, int count)
{
    const mcp_location_t *location = request->location;
    mcp_status_t status;

    if (location->acl_mode == MCP_ACL_OFF) {
        return MCP_OK;
    }
    status =
        mcp_acl_check(&request->needed, location->policy.acl, &request->grant->acl_values, operations, count, r->pool);
    if (status != MCP_OK) {
        request->refused = refused_find(request, operations, count, r->pool);
    }
    if (status == MCP_ACL_SCOPE && !location->acl_reads_scope) {
        status = MCP_ACL_DENIED; /* a role cannot be asked for */
    }
    if (status != MCP_OK && location->acl_mode == MCP_ACL_SHADOW) {
        request->shadow = 1;
        mcp_answer_log(r, request, APLOG_NOTICE, "MCP0406: shadow-deny", mcp_status_info(status)->slug);
        return MCP_OK;
    }
    return status;
}

/* What the rules allow, as often as this user may. */
static mcp_status_t operations_judge(request_rec *r, mcp_request_t *request, const mcp_operation_t *operations,
                                     int count)
{
    mcp_status_t status = rules_check(r, request, operations, count);

    return status == MCP_OK ? mcp_limit_check(request, operations, count, r->pool) : status;
}

static mcp_status_t message_judge(request_rec *r, mcp_request_t *request, int *sent)
{
    const mcp_location_t *location = request->location;
    mcp_mirror_t mirror;
    mcp_message_t *message;
    apr_pool_t *p;
    mcp_status_t status = mcp_body_check(r, location->max_body);

    if (status != MCP_OK || (status = mcp_body_read(&request->body, r, request, location->max_body, sent)) != MCP_OK) {
        return status;
    }
    request->body_read = 1;
    p = request->body->pool; /* what is understood of it lives as long as it does */
    if (apr_table_get(r->headers_in, "Content-Encoding")) {
        return MCP_BODY_ENCODING;
    }
    status =
        mcp_message_parse(&message, request->body->data, request->body->len, location->max_depth, location->batch, p);
    request->message = message;
    if (status != MCP_OK) {
        return status;
    }
    mirror.version = apr_table_get(r->headers_in, "MCP-Protocol-Version");
    mirror.method = apr_table_get(r->headers_in, "Mcp-Method");
    mirror.name = apr_table_get(r->headers_in, "Mcp-Name");
    if ((status = mcp_mirror_check(message, &mirror, p)) != MCP_OK ||
        (status = mcp_session_admit(r, request)) != MCP_OK) {
        return status;
    }
    return operations_judge(r, request, (const mcp_operation_t *)message->operations->elts, message->operations->nelts);
}

/* GET, HEAD and DELETE carry no body: nobody would judge it. */
static mcp_status_t verb_judge(request_rec *r, mcp_request_t *request, int *sent)
{
    mcp_operation_t operation = { r->method_number == M_DELETE ? MCP_OPERATION_DELETE : MCP_OPERATION_GET, NULL,
                                  MCP_OBJECT_NONE, NULL, NULL };
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    mcp_status_t status;

    if (!r->prev && (apr_table_get(r->headers_in, "Transfer-Encoding") || (length && apr_atoi64(length) != 0))) {
        return MCP_BODY_UNEXPECTED;
    }
    if (!r->main && (status = mcp_body_read(&request->body, r, request, 0, sent)) != MCP_OK) {
        return status == MCP_BODY_TOO_LARGE ? MCP_BODY_UNEXPECTED : status;
    }
    if ((status = mcp_session_admit(r, request)) != MCP_OK) {
        return status;
    }
    return operations_judge(r, request, &operation, 1);
}

/* A sub-request shares its body with the main one: only a GET can be judged. */
static mcp_status_t request_judge(request_rec *r, mcp_request_t *request, int *sent)
{
    if (r->main && r->method_number != M_GET) {
        return MCP_VERB_FORBIDDEN;
    }
    return r->method_number == M_POST ? message_judge(r, request, sent) : verb_judge(r, request, sent);
}

/* Judges by what the body says. */
static int inspect(request_rec *r, mcp_request_t *request)
{
    int answer = OK, sent = 0;

    request->status = request_judge(r, request, &sent);
    if (sent) {
        answer = AP_FILTER_ERROR;
    }
    else if (request->status != MCP_OK) {
        answer = mcp_answer(r, request);
    }
    else {
        mcp_request_export_verdict(r, request);
        mcp_listing_begin(r, request);
    }
    request->message = NULL;
    request->refused = NULL;
    return answer;
}

/* After an internal redirect to a place without a policy: what was judged was judged for another place. */
static void bodies_drop(const request_rec *r)
{
    for (r = r->prev; r; r = r->prev) {
        mcp_request_t *request = mcp_request_of(r);

        if (request && request->body) {
            request->body->sent = request->body->len;
        }
    }
}

int mcp_gate_handler(request_rec *r)
{
    const mcp_location_t *location = mcp_location_of(r);
    mcp_request_t *request;
    int answer;

    if (!location) {
        mcp_forward_unprotected(r);
        bodies_drop(r);
        return DECLINED;
    }
    if (r->prev) {
        mcp_body_forget(r);
    }
    request = mcp_access_verdict(r, location);
    if (request->status != MCP_OK) {
        return mcp_answer(r, request);
    }
    if (request->judged) {
        return DECLINED;
    }
    if (r->main) {
        r->headers_in = apr_table_copy(r->pool, r->headers_in); /* a sub-request shares them with the main one */
    }
    if (!location->inspect) {
        static const mcp_operation_t any = { MCP_OPERATION_GET, NULL, MCP_OBJECT_NONE, NULL, NULL };

        if ((request->status = mcp_session_admit(r, request)) != MCP_OK ||
            (request->status = mcp_limit_check(request, &any, 1, r->pool)) != MCP_OK) {
            return mcp_answer(r, request);
        }
        mcp_request_export_verdict(r, request);
    }
    else if ((answer = inspect(r, request)) != OK) {
        return answer;
    }
    else if (request->body) {
        mcp_body_replay(r, request->body);
    }
    request->judged = 1;
    mcp_forward_protected(r, request);
    return DECLINED;
}

/* --- the backend's answers -------------------------------------------------------------------------------------- */

/* Which origins may read an answer is ours to say; a second value of a field would make browsers refuse it. */
static void cors_remove(apr_table_t *headers, const apr_table_t *only, apr_pool_t *p)
{
    const apr_array_header_t *fields = apr_table_elts(headers);
    apr_array_header_t *gone = NULL;

    for (int i = 0; i < fields->nelts; i++) {
        const char *name = APR_ARRAY_IDX(fields, i, apr_table_entry_t).key;

        if (name && !ap_cstr_casecmpn(name, "Access-Control-", 15) && (!only || apr_table_get(only, name))) {
            gone = gone ? gone : apr_array_make(p, 4, sizeof(const char *));
            APR_ARRAY_PUSH(gone, const char *) = name;
        }
    }
    for (int i = 0; gone && i < gone->nelts; i++) { /* not while walking: unsetting moves the rest up */
        apr_table_unset(headers, APR_ARRAY_IDX(gone, i, const char *));
    }
}

/* The header of the backend's answer, before mod_headers and the like see it. */
static apr_status_t edge_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    const mcp_request_t *request = f->ctx;
    request_rec *r = f->r;

    ap_remove_output_filter(f);
    cors_remove(r->headers_out, NULL, r->pool);
    cors_remove(r->err_headers_out, NULL, r->pool);
    mcp_answer_cors(r->headers_out, request->origin);
    if (request->location->dpop_nonce) {
        apr_table_unset(r->headers_out,
                        "DPoP-Nonce"); /* a client keeps the last one it saw, and the proofs are for us */
    }
    if (request->grant && request->location->session_binding) {
        mcp_session_bind(r, request);
    }
    if (request->location->stream_expiry && !r->header_only && mcp_request_answered_with(r, "text/event-stream")) {
        apr_table_unset(r->headers_out, "Content-Length"); /* it may end earlier */
    }
    return ap_pass_brigade(f->next, bb);
}

/* Where the answer begins: behind mod_cache's filter no_cache has done its work, and what is left of it would add an Expires
 * to the backend's answer; and the request's body has been sent. */
static apr_status_t begin_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    mcp_request_t *request = f->ctx;

    f->r->no_cache = 0;
    cors_remove(f->r->headers_out, f->r->err_headers_out, f->r->pool); /* "Header always" writes the latter */
    mcp_body_release(request->body);
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

void mcp_gate_insert(request_rec *r)
{
    const mcp_location_t *location = r->prev ? mcp_location_of(r) : NULL;
    mcp_request_t *request = mcp_request_of(r);

    if (!request && location) { /* redirected to the same place: httpd asks no access checker again */
        request = mcp_access_verdict(r, location);
    }
    if (request && request->location && request->status == MCP_OK && !r->main) {
        ap_add_output_filter_handle(begin_handle, request, r, r->connection);
        ap_add_output_filter_handle(edge_handle, request, r, r->connection);
    }
}

void mcp_gate_insert_error(request_rec *r)
{
    mcp_request_t *request = mcp_request_of(r);

    if (request && !request->headers) {
        mcp_gate_insert(r);
    }
}

void mcp_gate_register(void)
{
    mcp_body_register();
    edge_handle = ap_register_output_filter("MCP_OAUTH_EDGE", edge_filter, NULL, AP_FTYPE_RESOURCE);
    begin_handle =
        ap_register_output_filter("MCP_OAUTH_BEGIN", begin_filter, NULL, (ap_filter_type)(AP_FTYPE_PROTOCOL - 1));
}
