#include "httpd/gate.h"

#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "httpd/access.h"
#include "httpd/answer.h"
#include "httpd/forward.h"
#include "rpc/mirror.h"

APLOG_USE_MODULE(mcp_oauth);

#define READ_CHUNK 8192
#define FIRST_READ (16 * 1024)

static ap_filter_rec_t *gate_handle, *cors_handle, *uncached_handle;

/* What one request sent: read once, judged once, replayed from the very same memory. */
typedef struct gate_t {
    char *data;
    apr_size_t len;
    apr_size_t sent; /* how much of it has been replayed */
} gate_t;

/* --- headers of the body ---------------------------------------------------------------------------------------- */

#define TOKEN_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~"

/* Steps over a token or a quoted-string (RFC 9110 section 5.6); NULL when there is none. Its text, without quotes. */
static const char *value_skip(const char *s, const char **ptext, apr_size_t *plen)
{
    if (*s != '"') {
        *ptext = s;
        *plen = strspn(s, TOKEN_CHARS);
        return *plen ? s + *plen : NULL;
    }
    *ptext = ++s;
    while (*s && *s != '"') {
        s += *s == '\\' && s[1] ? 2 : 1;
    }
    *plen = (apr_size_t)(s - *ptext);
    return *s ? s + 1 : NULL;
}

static int text_is(const char *text, apr_size_t len, const char *want)
{
    return len == strlen(want) && !ap_cstr_casecmpn(text, want, len);
}

/* Skips one parameter of a media type, ";" included; NULL for a malformed one. Only a charset of UTF-8 is neutral: what it
 * is called else changes how a backend reads the bytes. */
static const char *parameter_skip(const char *s)
{
    const char *name, *value;
    apr_size_t name_len, value_len;

    name = s + 1 + strspn(s + 1, " \t");
    name_len = strspn(name, TOKEN_CHARS);
    s = name + name_len;
    if (!name_len || *s != '=' || !(s = value_skip(s + 1, &value, &value_len))) {
        return NULL;
    }
    if (text_is(name, name_len, "charset") && !text_is(value, value_len, "utf-8")) {
        return NULL;
    }
    return s + strspn(s, " \t");
}

/* application/json, alone or with parameters (RFC 9110 section 8.3.1). */
static int type_is_json(const char *type)
{
    static const char json[] = "application/json";

    if (!type || ap_cstr_casecmpn(type, json, sizeof(json) - 1)) {
        return 0;
    }
    type += sizeof(json) - 1;
    type += strspn(type, " \t");
    while (type && *type == ';') {
        type = parameter_skip(type);
    }
    return type && !*type;
}

/* A filter such as mod_deflate's may still decode the body, and then takes the header away. */
static int has_decoder(const request_rec *r)
{
    const ap_filter_t *f;

    for (f = r->input_filters; f; f = f->next) {
        if (f->frec->ftype < AP_FTYPE_PROTOCOL && f->frec->name && strcmp(f->frec->name, "subreq_core") &&
            (strstr(f->frec->name, "deflate") || strstr(f->frec->name, "inflate") || strstr(f->frec->name, "brotli"))) {
            return 1;
        }
    }
    return 0;
}

/* httpd's own limit holds as well; 0 is none. */
static apr_size_t body_limit(const request_rec *r, apr_off_t max)
{
    apr_off_t limit = ap_get_limit_req_body(r);

    return (apr_size_t)(limit > 0 && limit < max ? limit : max);
}

static mcp_status_t headers_check(request_rec *r, const mcp_location_t *location)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");

    if (!type_is_json(apr_table_get(r->headers_in, "Content-Type"))) {
        return MCP_BODY_TYPE;
    }
    if (apr_table_get(r->headers_in, "Content-Encoding") && !has_decoder(r)) {
        return MCP_BODY_ENCODING;
    }
    return length && (apr_size_t)apr_atoi64(length) > body_limit(r, location->max_body) ? MCP_BODY_TOO_LARGE : MCP_OK;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

typedef struct buffer_t {
    char *data;
    apr_size_t len, size, max;
} buffer_t;

static int buffer_add(buffer_t *buffer, const char *data, apr_size_t len, apr_pool_t *p)
{
    char *larger;

    if (len > buffer->max - buffer->len) {
        return 0;
    }
    if (buffer->len + len > buffer->size) {
        buffer->size = buffer->len + len > 2 * buffer->size ? buffer->len + len : 2 * buffer->size;
        larger = apr_palloc(p, buffer->size);
        if (buffer->len) {
            memcpy(larger, buffer->data, buffer->len);
        }
        buffer->data = larger;
    }
    if (len) {
        memcpy(buffer->data + buffer->len, data, len);
    }
    buffer->len += len;
    return 1;
}

/* Takes what one brigade holds; *eos at the end of the body. */
static mcp_status_t brigade_take(buffer_t *buffer, apr_bucket_brigade *bb, int *eos, apr_pool_t *p)
{
    apr_bucket *e;
    const char *data;
    apr_size_t len;

    for (e = APR_BRIGADE_FIRST(bb); e != APR_BRIGADE_SENTINEL(bb); e = APR_BUCKET_NEXT(e)) {
        if (APR_BUCKET_IS_EOS(e)) {
            *eos = 1;
            break;
        }
        if (APR_BUCKET_IS_METADATA(e)) {
            continue;
        }
        if (apr_bucket_read(e, &data, &len, APR_BLOCK_READ) != APR_SUCCESS) {
            return MCP_BODY_UNREADABLE;
        }
        if (!buffer_add(buffer, data, len, p)) {
            return MCP_BODY_TOO_LARGE;
        }
    }
    apr_brigade_cleanup(bb);
    return MCP_OK;
}

static mcp_status_t read_error(apr_status_t rv)
{
    switch (ap_map_http_request_error(rv, HTTP_BAD_REQUEST)) {
    case HTTP_REQUEST_ENTITY_TOO_LARGE:
        return MCP_BODY_TOO_LARGE;
    case HTTP_REQUEST_TIME_OUT:
        return MCP_BODY_TIMEOUT;
    default:
        return MCP_BODY_UNREADABLE;
    }
}

/* Reads the whole body, at most max bytes. *sent is set when a filter below has answered already. */
static mcp_status_t body_read(gate_t *gate, request_rec *r, mcp_request_t *request, apr_size_t max, int *sent)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    apr_off_t expected = length ? apr_atoi64(length) : 0;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    buffer_t buffer = { NULL, 0, 0, max };
    mcp_status_t status = MCP_OK;
    int eos = 0;

    /* A header alone must not make us set a whole body's memory aside. */
    buffer.size = (apr_size_t)(expected > 0 && expected < FIRST_READ ? expected : FIRST_READ);
    buffer.size = buffer.size < buffer.max ? buffer.size : buffer.max;
    buffer.data = apr_palloc(r->pool, buffer.size);
    mcp_answer_reading(r, request);
    while (!eos && status == MCP_OK) {
        apr_status_t rv = ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES, APR_BLOCK_READ, READ_CHUNK);

        if (rv != APR_SUCCESS) {
            *sent = rv == AP_FILTER_ERROR;
            status = read_error(rv);
            break;
        }
        status = brigade_take(&buffer, bb, &eos, r->pool);
    }
    mcp_answer_reading_done(r, request);
    apr_brigade_destroy(bb);
    gate->data = buffer.data;
    gate->len = buffer.len;
    return status;
}

/* --- replaying -------------------------------------------------------------------------------------------------- */

/* Whoever reads the body behind the gate gets the judged bytes. */
static apr_status_t gate_filter(ap_filter_t *f, apr_bucket_brigade *bb, ap_input_mode_t mode, apr_read_type_e block,
                                apr_off_t wanted)
{
    gate_t *gate = f->ctx;
    apr_size_t len = gate->len - gate->sent;

    if (mode == AP_MODE_INIT) {
        return APR_SUCCESS;
    }
    if (mode != AP_MODE_READBYTES && mode != AP_MODE_SPECULATIVE && mode != AP_MODE_EXHAUSTIVE) {
        return APR_ENOTIMPL;
    }
    if (mode != AP_MODE_EXHAUSTIVE && (apr_off_t)len > wanted) {
        len = wanted > 0 ? (apr_size_t)wanted : 0;
    }
    if (len) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_pool_create(gate->data + gate->sent, len, f->r->pool, bb->bucket_alloc));
    }
    if (gate->sent + len == gate->len) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(bb->bucket_alloc));
    }
    if (mode != AP_MODE_SPECULATIVE) {
        gate->sent += len;
    }
    return APR_SUCCESS;
}

static void gate_replay(request_rec *r, gate_t *gate)
{
    if (gate->len || r->method_number == M_POST) {
        apr_table_setn(r->headers_in, "Content-Length", apr_psprintf(r->pool, "%" APR_SIZE_T_FMT, gate->len));
    }
    else {
        apr_table_unset(r->headers_in, "Content-Length");
    }
    apr_table_unset(r->headers_in, "Transfer-Encoding"); /* the chunks are gone by now */
    apr_table_unset(r->headers_in, "Expect");
    ap_add_input_filter_handle(gate_handle, gate, r, r->connection);
}

/* --- judging ---------------------------------------------------------------------------------------------------- */

static mcp_status_t rules_check(request_rec *r, mcp_request_t *request, const mcp_operation_t *operations, int count)
{
    const mcp_location_t *location = request->location;
    mcp_status_t status;

    if (location->acl_mode == MCP_ACL_OFF) {
        return MCP_OK;
    }
    status =
        mcp_acl_check(&request->needed, location->policy.acl, &request->grant->acl_values, operations, count, r->pool);
    if (status == MCP_ACL_SCOPE && !location->acl_reads_scope) {
        status = MCP_ACL_DENIED; /* a role cannot be asked for */
    }
    if (status != MCP_OK && location->acl_mode == MCP_ACL_SHADOW) {
        request->shadow = 1;
        ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, r,
                      "MCP0406: shadow-deny: %s request_id=%s client=%s method=%s object=%s",
                      mcp_status_info(status)->slug, request->id, request->grant->client ? request->grant->client : "-",
                      request->message && request->message->method ? request->message->method : r->method,
                      request->message && request->message->object ? request->message->object : "-");
        return MCP_OK;
    }
    return status;
}

static mcp_status_t message_judge(request_rec *r, mcp_request_t *request, gate_t *gate, int *sent)
{
    const mcp_location_t *location = request->location;
    mcp_mirror_t mirror;
    mcp_message_t *message;
    mcp_status_t status = headers_check(r, location);

    if (status != MCP_OK || (status = body_read(gate, r, request, body_limit(r, location->max_body), sent)) != MCP_OK) {
        return status;
    }
    request->body_read = 1;
    if (apr_table_get(r->headers_in, "Content-Encoding")) {
        return MCP_BODY_ENCODING;
    }
    status = mcp_message_parse(&message, gate->data, gate->len, location->max_depth, r->pool);
    request->message = message;
    if (status != MCP_OK) {
        return status;
    }
    mirror.version = apr_table_get(r->headers_in, "MCP-Protocol-Version");
    mirror.method = apr_table_get(r->headers_in, "Mcp-Method");
    mirror.name = apr_table_get(r->headers_in, "Mcp-Name");
    if ((status = mcp_mirror_check(message, &mirror, r->pool)) != MCP_OK) {
        return status;
    }
    return rules_check(r, request, (const mcp_operation_t *)message->operations->elts, message->operations->nelts);
}

/* GET, HEAD and DELETE carry no body: nobody would judge it. */
static mcp_status_t verb_judge(request_rec *r, mcp_request_t *request, gate_t *gate, int *sent)
{
    mcp_operation_t operation = { r->method_number == M_DELETE ? MCP_OPERATION_DELETE : MCP_OPERATION_GET, NULL,
                                  MCP_OBJECT_NONE, NULL, NULL };
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    mcp_status_t status;

    if (!r->prev && (apr_table_get(r->headers_in, "Transfer-Encoding") || (length && apr_atoi64(length) != 0))) {
        return MCP_BODY_UNEXPECTED;
    }
    if (!r->main && (status = body_read(gate, r, request, 0, sent)) != MCP_OK) {
        return status == MCP_BODY_TOO_LARGE ? MCP_BODY_UNEXPECTED : status;
    }
    return rules_check(r, request, &operation, 1);
}

/* A sub-request shares its body with the main one: only a GET can be judged. */
static mcp_status_t request_judge(request_rec *r, mcp_request_t *request, gate_t *gate, int *sent)
{
    if (r->main && r->method_number != M_GET) {
        return MCP_VERB_FORBIDDEN;
    }
    return r->method_number == M_POST ? message_judge(r, request, gate, sent) : verb_judge(r, request, gate, sent);
}

int mcp_gate_handler(request_rec *r)
{
    const mcp_location_t *location = mcp_location_of(r);
    mcp_request_t *request;
    gate_t *gate;
    int sent = 0;

    if (!location) {
        mcp_forward_unprotected(r);
        return DECLINED;
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
    gate = apr_pcalloc(r->pool, sizeof(*gate));
    if (location->inspect) {
        request->status = request_judge(r, request, gate, &sent);
        if (sent) {
            return AP_FILTER_ERROR;
        }
        if (request->status != MCP_OK) {
            return mcp_answer(r, request);
        }
        gate_replay(r, gate);
    }
    request->judged = 1;
    mcp_request_export_verdict(r, request);
    mcp_forward_protected(r, request);
    return DECLINED;
}

/* --- the backend's answers -------------------------------------------------------------------------------------- */

static apr_status_t cors_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    const char *origin = f->ctx;
    request_rec *r = f->r;

    ap_remove_output_filter(f);
    mcp_answer_cors(r->headers_out, origin);
    return ap_pass_brigade(f->next, bb);
}

/* Behind mod_cache's filter no_cache has done its work; what is left of it would add an Expires to the backend's answer. */
static apr_status_t uncached_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    f->r->no_cache = 0;
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

void mcp_gate_insert(request_rec *r)
{
    const mcp_request_t *request = mcp_request_of(r);

    if (request && request->status == MCP_OK && !r->main) {
        ap_add_output_filter_handle(uncached_handle, NULL, r, r->connection);
    }
    if (request && request->origin && !r->main) {
        ap_add_output_filter_handle(cors_handle, (void *)request->origin, r, r->connection);
    }
}

void mcp_gate_register(void)
{
    /* Closest to the handler: behind decoding filters, so that what is judged is what the backend gets. */
    gate_handle = ap_register_input_filter("MCP_OAUTH_GATE", gate_filter, NULL, AP_FTYPE_RESOURCE);
    cors_handle = ap_register_output_filter("MCP_OAUTH_CORS", cors_filter, NULL, AP_FTYPE_RESOURCE);
    uncached_handle =
        ap_register_output_filter("MCP_OAUTH_UNCACHED", uncached_filter, NULL, (ap_filter_type)(AP_FTYPE_PROTOCOL - 1));
}
