#include "httpd/body.h"

#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

#include <apr_strings.h>

#include "httpd/answer.h"

#define READ_CHUNK 8192
#define FIRST_READ (16 * 1024)
#define GROWTH 8 /* so much of what a client has announced is set aside for what has come of it */

static ap_filter_rec_t *replay_handle;

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
        if (f->frec->ftype < AP_FTYPE_PROTOCOL && f->frec->name &&
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

mcp_status_t mcp_body_check(const request_rec *r, apr_off_t max)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");

    if (!type_is_json(apr_table_get(r->headers_in, "Content-Type"))) {
        return MCP_BODY_TYPE;
    }
    if (apr_table_get(r->headers_in, "Content-Encoding") && !has_decoder(r)) {
        return MCP_BODY_ENCODING;
    }
    return length && (apr_size_t)apr_atoi64(length) > body_limit(r, max) ? MCP_BODY_TOO_LARGE : MCP_OK;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

typedef struct buffer_t {
    char *data;
    apr_size_t len, size, max;
    apr_size_t expected; /* the length by the header; 0: unknown */
} buffer_t;

/* A header alone must not make us set a whole body's memory aside. */
static apr_size_t buffer_larger(const buffer_t *buffer, apr_size_t needed)
{
    apr_size_t size = 2 * buffer->size;

    if (buffer->expected > size) {
        size = buffer->expected < GROWTH * buffer->size ? buffer->expected : GROWTH * buffer->size;
    }
    size = needed > size ? needed : size;
    return size < buffer->max ? size : buffer->max;
}

static int buffer_add(buffer_t *buffer, const char *data, apr_size_t len, apr_pool_t *p)
{
    char *larger;

    if (len > buffer->max - buffer->len) {
        return 0;
    }
    if (buffer->len + len > buffer->size) {
        buffer->size = buffer_larger(buffer, buffer->len + len);
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

static int has_field(const apr_table_t *table, const char *key, const char *value)
{
    const apr_array_header_t *fields = apr_table_elts(table);
    int i;

    for (i = 0; i < fields->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(fields, i, apr_table_entry_t);

        if (field->key && !ap_cstr_casecmp(field->key, key) && !strcmp(field->val, value)) {
            return 1;
        }
    }
    return 0;
}

/* With MergeTrailers On the fields of a trailer join the header when the last chunk has been read: after our checks. What a
 * filter took away stays away, and a field of several lines keeps them. */
static void trailers_drop(request_rec *r, const apr_table_t *before)
{
    const apr_array_header_t *fields = apr_table_elts(r->headers_in);
    apr_table_t *clean = apr_table_make(r->pool, fields->nelts);
    int i;

    for (i = 0; i < fields->nelts; i++) {
        const apr_table_entry_t *field = &APR_ARRAY_IDX(fields, i, apr_table_entry_t);
        const char *value = field->key ? apr_table_get(before, field->key) : NULL;

        if (value && has_field(before, field->key, field->val)) {
            apr_table_addn(clean, field->key, field->val);
        }
        else if (value) { /* a trailer was appended to it */
            apr_table_setn(clean, field->key, value);
        }
    }
    r->headers_in = clean;
}

static mcp_status_t body_fill(buffer_t *buffer, request_rec *r, apr_pool_t *p, int *sent)
{
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    mcp_status_t status = MCP_OK;
    int eos = 0;

    while (!eos && status == MCP_OK) {
        apr_status_t rv = ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES, APR_BLOCK_READ, READ_CHUNK);

        if (rv != APR_SUCCESS) {
            *sent = rv == AP_FILTER_ERROR;
            status = read_error(rv);
            break;
        }
        status = brigade_take(buffer, bb, &eos, p);
    }
    apr_brigade_destroy(bb);
    return status;
}

mcp_status_t mcp_body_read(mcp_body_t **pbody, request_rec *r, mcp_request_t *request, apr_off_t max, int *sent)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");
    const apr_table_t *before = length ? NULL : apr_table_copy(r->pool, r->headers_in);
    apr_off_t expected = length ? apr_atoi64(length) : 0;
    mcp_body_t *body = apr_pcalloc(r->pool, sizeof(*body));
    buffer_t buffer = { .max = max ? body_limit(r, max) : 0, .expected = expected > 0 ? (apr_size_t)expected : 0 };
    mcp_status_t status;

    *pbody = body;
    apr_pool_create(&body->pool, r->pool);
    apr_pool_tag(body->pool, "mcp_oauth_body");
    buffer.size = buffer.expected && buffer.expected < FIRST_READ ? buffer.expected : FIRST_READ;
    buffer.size = buffer.size < buffer.max ? buffer.size : buffer.max;
    buffer.data = apr_palloc(body->pool, buffer.size);
    mcp_answer_reading(r, request);
    status = body_fill(&buffer, r, body->pool, sent);
    mcp_answer_reading_done(r, request);
    if (before) {
        trailers_drop(r, before);
    }
    body->data = buffer.data;
    body->len = buffer.len;
    return status;
}

/* --- replaying -------------------------------------------------------------------------------------------------- */

static apr_status_t replay_filter(ap_filter_t *f, apr_bucket_brigade *bb, ap_input_mode_t mode, apr_read_type_e block,
                                  apr_off_t wanted)
{
    mcp_body_t *body = f->ctx;
    apr_size_t len = body->len - body->sent;

    if (mode == AP_MODE_INIT) {
        return APR_SUCCESS;
    }
    if (mode != AP_MODE_READBYTES && mode != AP_MODE_SPECULATIVE && mode != AP_MODE_EXHAUSTIVE) {
        return APR_ENOTIMPL;
    }
    if (mode != AP_MODE_EXHAUSTIVE && (apr_off_t)len > wanted) {
        len = wanted > 0 ? (apr_size_t)wanted : 0;
    }
    if (len) { /* should they outlive body->pool, such buckets copy what they hold */
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_pool_create(body->data + body->sent, len, body->pool, bb->bucket_alloc));
    }
    if (body->sent + len == body->len) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(bb->bucket_alloc));
    }
    if (mode != AP_MODE_SPECULATIVE) {
        body->sent += len;
    }
    return APR_SUCCESS;
}

void mcp_body_replay(request_rec *r, mcp_body_t *body)
{
    if (body->len || r->method_number == M_POST) {
        apr_table_setn(r->headers_in, "Content-Length", apr_ltoa(r->pool, (long)body->len));
    }
    else {
        apr_table_unset(r->headers_in, "Content-Length");
    }
    apr_table_unset(r->headers_in, "Transfer-Encoding"); /* the chunks are gone by now */
    apr_table_unset(r->headers_in, "Expect");
    /* What is below it has come to its end, also that of before an internal redirect. mod_proxy takes the filters of the
     * protocol alone for ones that keep Content-Length true; with others, it writes more than 16 KiB to a temporary file first. */
    r->input_filters = r->proto_input_filters = ap_add_input_filter_handle(replay_handle, body, r, r->connection);
}

void mcp_body_forget(request_rec *r)
{
    static const char *const keys[] = { "proxy-req-input", "proxy-fcgi-input" }; /* brigades of r->pool */
    void *kept;
    int i;

    for (i = 0; i < (int)(sizeof(keys) / sizeof(*keys)); i++) {
        if (apr_pool_userdata_get(&kept, keys[i], r->pool) == APR_SUCCESS && kept) {
            apr_brigade_cleanup(kept);
        }
    }
}

void mcp_body_release(mcp_body_t *body)
{
    if (body && body->pool && body->sent == body->len) {
        apr_pool_destroy(body->pool);
        body->pool = NULL;
        body->data = NULL;
    }
}

void mcp_body_register(void)
{
    /* Below every type there is, so closest to the handler: no filter sees the judged bytes a second time. */
    replay_handle =
        ap_register_input_filter("MCP_OAUTH_BODY", replay_filter, NULL, (ap_filter_type)(AP_FTYPE_RESOURCE - 1));
}
