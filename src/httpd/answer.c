#include "httpd/answer.h"

#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <util_filter.h>

#include <apr_strings.h>

#include "httpd/proof.h"
#include "policy/challenge.h"
#include "token/dpop.h"

APLOG_USE_MODULE(mcp_oauth);

#define VERBS "GET, HEAD, POST, DELETE, OPTIONS"
#define ALLOWED_HEADERS \
    "Authorization, Content-Type, Accept, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Mcp-Session-Id, Last-Event-ID, " \
    "DPoP"
#define EXPOSED_HEADERS "WWW-Authenticate, Mcp-Session-Id, MCP-Protocol-Version, DPoP-Nonce, Retry-After"
#define RETRY_AFTER "5"
#define ITEM_MAX 512   /* bytes of one item of a log line */
#define GRANTED_MAX 64 /* names in one Access-Control-Allow-Headers */
/* An unread body longer than this is not worth swallowing for the sake of the connection. */
#define SWALLOW_MAX (64 * 1024)

static ap_filter_rec_t *answer_handle;

/* --- headers ---------------------------------------------------------------------------------------------------- */

void mcp_answer_cors(apr_table_t *headers, const char *origin)
{
    if (origin) {
        apr_table_setn(headers, "Access-Control-Allow-Origin", origin);
        apr_table_setn(headers, "Access-Control-Expose-Headers", EXPOSED_HEADERS);
    }
    apr_table_mergen(headers, "Vary", "Origin");
}

/* Mcp-Param-* names are open-ended: those asked for are granted. */
static const char *preflight_headers(request_rec *r)
{
    const char *asked = apr_table_get(r->headers_in, "Access-Control-Request-Headers"), *name;
    apr_array_header_t *granted = apr_array_make(r->pool, 4, sizeof(const char *));

    APR_ARRAY_PUSH(granted, const char *) = ALLOWED_HEADERS;
    while (asked && granted->nelts < GRANTED_MAX && (name = ap_get_list_item(r->pool, &asked))) {
        if (!ap_cstr_casecmpn(name, "mcp-param-", 10) &&
            strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == strlen(name)) {
            APR_ARRAY_PUSH(granted, const char *) = name;
        }
    }
    return apr_array_pstrcat(r->pool, granted, ',');
}

static void preflight_add(request_rec *r, const mcp_request_t *request, apr_table_t *headers)
{
    apr_table_setn(headers, "Allow", VERBS);
    if (request->origin && apr_table_get(r->headers_in, "Access-Control-Request-Method")) {
        apr_table_setn(headers, "Access-Control-Allow-Methods", "POST, GET, DELETE");
        apr_table_setn(headers, "Access-Control-Allow-Headers", preflight_headers(r));
        apr_table_setn(headers, "Access-Control-Max-Age", "7200");
        apr_table_mergen(headers, "Vary", "Access-Control-Request-Headers");
    }
}

/* All scopes of the operation: those of the location first, then what the rules name. */
static const char *needed_scope(const mcp_request_t *request, apr_pool_t *p)
{
    const char *scope = request->location->required_scope;
    int i, j;

    for (i = 0; request->needed && i < request->needed->nelts; i++) {
        const char *name = APR_ARRAY_IDX(request->needed, i, const char *);
        const apr_array_header_t *required = request->location->policy.required_scopes;
        int there = 0;

        for (j = 0; required && j < required->nelts && !there; j++) {
            there = !strcmp(APR_ARRAY_IDX(required, j, const char *), name);
        }
        if (!there) {
            scope = scope ? apr_pstrcat(p, scope, " ", name, NULL) : name;
        }
    }
    return scope;
}

/* AuthName as it was written: httpd keeps its quotes escaped. */
static const char *realm_of(request_rec *r)
{
    const char *name = ap_auth_name(r);
    char *realm = name ? apr_pstrdup(r->pool, name) : NULL, *to = realm, *from = realm;

    for (; from && *from; from++) {
        from += from[0] == '\\' && from[1];
        *to++ = *from;
    }
    if (to) {
        *to = '\0';
    }
    return realm;
}

/* What all challenges of an answer say; 0: it has none. */
static int challenge_fill(mcp_challenge_t *challenge, request_rec *r, const mcp_request_t *request,
                          const mcp_status_info_t *info)
{
    const mcp_location_t *location = request->location;

    challenge->resource_metadata = location->metadata_url;
    switch (request->status) {
    case MCP_CREDENTIALS_MISSING:
    case MCP_CREDENTIALS_SCHEME:
        challenge->scope = location->challenge_scope;
        return 1;
    case MCP_CLAIM_MISSING:
    case MCP_CLIENT_FORBIDDEN:
    case MCP_ACL_DENIED:
    case MCP_REQUIRE_DENIED:
        return 1;
    case MCP_CREDENTIALS_EMPTY:
    case MCP_CREDENTIALS_DOUBLED:
    case MCP_CREDENTIALS_QUERY:
        break;
    case MCP_SCOPE_MISSING:
    case MCP_ACL_SCOPE:
    case MCP_REQUIRE_SCOPE:
        challenge->scope = needed_scope(request, r->pool);
        break;
    case MCP_AUTHENTICATION_WEAK:
    case MCP_AUTHENTICATION_OLD:
        challenge->acr_values = location->acr_values;
        challenge->max_age = location->max_age;
        challenge->scope = location->challenge_scope;
        break;
    default:
        if (info->http != HTTP_UNAUTHORIZED) {
            return 0;
        }
        challenge->scope = location->challenge_scope;
    }
    challenge->error = info->error;
    challenge->error_description = info->text;
    return 1;
}

/* Names of all algorithms of proofs, separated by spaces. */
static const char *dpop_algs(apr_pool_t *p)
{
    return apr_array_pstrcat(p, mcp_alg_names(MCP_DPOP_ALGS, p), ' ');
}

/* Is this scheme offered in the answer? A 401 names all that are spoken; else it is about the one that was used. */
static int is_offered(const mcp_request_t *request, const mcp_status_info_t *info, mcp_scheme_t scheme)
{
    int mode = request->location->dpop;

    if (scheme == MCP_SCHEME_DPOP ? mode == MCP_DPOP_OFF : mode == MCP_DPOP_REQUIRED) {
        return 0;
    }
    return info->http == HTTP_UNAUTHORIZED || request->status == MCP_CREDENTIALS_DOUBLED || request->scheme == scheme ||
           mode == MCP_DPOP_REQUIRED;
}

/* One field line for each scheme; what went wrong stands in that of the scheme that was used (RFC 9449 section 7.2). */
static void challenges_add(request_rec *r, const mcp_request_t *request, const mcp_status_info_t *info,
                           apr_table_t *headers)
{
    static const mcp_scheme_t schemes[] = { MCP_SCHEME_BEARER, MCP_SCHEME_DPOP };
    mcp_challenge_t common = { .realm = realm_of(r) };
    const char *nonce;
    int i;

    if (!challenge_fill(&common, r, request, info)) {
        return;
    }
    for (i = 0; i < 2; i++) {
        mcp_challenge_t challenge = common;

        if (!is_offered(request, info, schemes[i])) {
            continue;
        }
        challenge.scheme = schemes[i] == MCP_SCHEME_DPOP ? "DPoP" : "Bearer";
        challenge.algs = schemes[i] == MCP_SCHEME_DPOP ? dpop_algs(r->pool) : NULL;
        if (request->scheme != schemes[i] && request->status != MCP_CREDENTIALS_DOUBLED &&
            request->location->dpop != MCP_DPOP_REQUIRED) {
            challenge.error = challenge.error_description = challenge.acr_values = challenge.max_age = NULL;
        }
        apr_table_addn(headers, "WWW-Authenticate", mcp_challenge_make(&challenge, r->pool));
        if (schemes[i] == MCP_SCHEME_DPOP && request->location->dpop_nonce && info->http == HTTP_UNAUTHORIZED &&
            (nonce = mcp_proof_nonce(r->pool))) {
            apr_table_setn(headers, "DPoP-Nonce", nonce);
        }
    }
}

static apr_table_t *headers_make(request_rec *r, const mcp_request_t *request, const mcp_status_info_t *info)
{
    apr_table_t *headers = apr_table_make(r->pool, 8);

    apr_table_setn(headers, "Cache-Control", "no-store");
    if (!request->location->error) {
        challenges_add(r, request, info, headers);
    }
    if (info->http == HTTP_SERVICE_UNAVAILABLE || info->http == HTTP_TOO_MANY_REQUESTS) {
        apr_table_setn(headers, "Retry-After",
                       request->crowded       ? "1"
                       : request->retry_after ? apr_itoa(r->pool, request->retry_after)
                                              : RETRY_AFTER);
    }
    if (info->http == HTTP_METHOD_NOT_ALLOWED) {
        apr_table_setn(headers, "Allow", VERBS);
    }
    if (request->status == MCP_PREFLIGHT) {
        preflight_add(r, request, headers);
    }
    mcp_answer_cors(headers, request->origin);
    return headers;
}

/* --- body ------------------------------------------------------------------------------------------------------- */

/* All texts are fixed, so nothing needs escaping. */
static const char *oauth_body(request_rec *r, const mcp_request_t *request, const char *error, const char *text)
{
    return apr_psprintf(r->pool, "{\"error\":\"%s\",\"error_description\":\"%s\",\"request_id\":\"%s\"}", error, text,
                        request->id);
}

/* The id is JSON already. That of a response is not that of a request of the client's (Transports, Sending Messages 4). */
const char *mcp_answer_rpc(const mcp_request_t *request, mcp_status_t status, apr_pool_t *p)
{
    const mcp_status_info_t *info = mcp_status_info(status);
    const mcp_message_t *message = request->message;
    const char *id = message && message->kind != MCP_MESSAGE_RESPONSE ? message->id : NULL;

    return apr_psprintf(p,
                        "{\"jsonrpc\":\"2.0\",%s%s%s\"error\":{\"code\":%d,\"message\":\"%s\",\"data\":"
                        "{\"request_id\":\"%s\"}}}",
                        id ? "\"id\":" : "", id ? id : "", id ? "," : "", info->rpc_code ? info->rpc_code : info->http,
                        info->text, request->id);
}

static const char *body_make(request_rec *r, const mcp_request_t *request, mcp_status_t status)
{
    const mcp_status_info_t *info = mcp_status_info(status);

    if (request->body_read && info->http != HTTP_UNSUPPORTED_MEDIA_TYPE &&
        info->http != HTTP_REQUEST_ENTITY_TOO_LARGE) {
        return mcp_answer_rpc(request, status, r->pool);
    }
    return oauth_body(r, request, info->error, info->text);
}

/* One item of a line: no space, so that nobody can write items of his own into it, and not so long that those behind it are
 * cut off. httpd escapes control bytes. */
static const char *item(const char *value, apr_pool_t *p)
{
    char *copy, *c;

    if (!value || !*value) {
        return "-";
    }
    if (!strchr(value, ' ') && strlen(value) <= ITEM_MAX) {
        return value;
    }
    copy = apr_pstrndup(p, value, ITEM_MAX);
    for (c = copy; *c; c++) {
        *c = *c == ' ' ? '_' : *c;
    }
    return copy;
}

void mcp_answer_log(request_rec *r, const mcp_request_t *request, int level, const char *id, const char *slug)
{
    const mcp_grant_t *grant = request->grant;
    const char *error = request->location->error;

    ap_log_rerror(APLOG_MARK, level, 0, r,
                  "%s: %s: %s %s request_id=%s iss=%s client=%s sub=%s method=%s object=%s%s%s", id, slug,
                  item(r->method, r->pool), item(r->uri, r->pool), request->id,
                  item(grant ? grant->iss : NULL, r->pool), item(grant ? grant->client : NULL, r->pool),
                  item(grant ? grant->sub : NULL, r->pool), item(mcp_request_method(request), r->pool),
                  item(mcp_request_object(request), r->pool), error ? ": " : "", error ? error : "");
}

/* --- the way out ------------------------------------------------------------------------------------------------ */

/* httpd would read an unread body to its end, also for callers without a token, to keep the connection. */
static void body_forsake(request_rec *r, const mcp_request_t *request)
{
    const char *length = apr_table_get(r->headers_in, "Content-Length");

    if (!request->body_read &&
        (apr_table_get(r->headers_in, "Transfer-Encoding") || (length && apr_atoi64(length) > SWALLOW_MAX))) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
}

int mcp_answer(request_rec *r, mcp_request_t *request)
{
    const mcp_status_info_t *info = mcp_status_info(request->status);

    mcp_request_export_verdict(r, request);
    if (request->status != MCP_PREFLIGHT) {
        mcp_answer_log(r, request, info->log_level, info->id, info->slug);
        ap_custom_response(r, info->http, body_make(r, request, request->status));
    }
    request->headers = headers_make(r, request, info);
    request->answer = info->http;
    body_forsake(r, request);
    return info->http;
}

/* What httpd's input filters refuse a body with, and what we call it. */
static const mcp_status_t reading_statuses[] = { MCP_BODY_UNREADABLE, MCP_BODY_TOO_LARGE, MCP_BODY_TIMEOUT };
#define READING_STATUSES (sizeof(reading_statuses) / sizeof(*reading_statuses))

void mcp_answer_reading(request_rec *r, mcp_request_t *request)
{
    core_request_config *core = ap_get_core_module_config(r->request_config);
    apr_size_t i;

    request->reading = 1;
    request->responses = core->response_code_strings;
    core->response_code_strings = NULL;
    for (i = 0; i < READING_STATUSES; i++) {
        ap_custom_response(r, mcp_status_info(reading_statuses[i])->http, ""); /* keeps an ErrorDocument away */
    }
}

void mcp_answer_reading_done(request_rec *r, mcp_request_t *request)
{
    core_request_config *core = ap_get_core_module_config(r->request_config);

    request->reading = 0;
    core->response_code_strings = request->responses; /* the backend's own errors are not ours */
}

/* A filter below has refused the body and is sending that answer now. */
static void reading_refused(request_rec *r, mcp_request_t *request)
{
    const mcp_status_info_t *info;
    apr_size_t i;

    for (i = 0; i < READING_STATUSES; i++) {
        info = mcp_status_info(reading_statuses[i]);
        if (info->http == r->status) {
            request->status = reading_statuses[i];
            request->answer = info->http;
            request->headers = headers_make(r, request, info);
            ap_custom_response(r, info->http, body_make(r, request, request->status));
            mcp_request_export_verdict(r, request);
            mcp_answer_log(r, request, info->log_level, info->id, info->slug);
        }
    }
}

int mcp_answer_plain(request_rec *r, int status, const char *error, const char *text, const char *allow)
{
    mcp_request_t *request = mcp_request_create(r, NULL);

    request->headers = apr_table_make(r->pool, 4);
    request->answer = status;
    apr_table_setn(request->headers, "Cache-Control", "no-store");
    if (allow) {
        apr_table_setn(request->headers, "Allow", allow);
    }
    ap_custom_response(r, status, oauth_body(r, request, error, text));
    body_forsake(r, request);
    return status;
}

static int header_unset(void *headers, const char *name, const char *value)
{
    apr_table_unset(headers, name);
    return 1;
}

static apr_status_t answer_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    request_rec *r = f->r;

    ap_remove_output_filter(f);
    if (r->status != HTTP_NO_CONTENT) {
        ap_set_content_type(r, "application/json"); /* ap_send_error_response has just said text/html */
    }
    apr_table_unset(r->headers_out, "Content-Type");
    apr_table_unset(r->headers_out, "Allow"); /* its own idea of a 405, with TRACE in it */
    r->err_headers_out = r->headers_out;      /* it has swapped the two; "always" edits err_headers_out */
    r->headers_out = apr_table_make(r->pool, 4);
    apr_table_do(header_unset, r->err_headers_out, f->ctx, NULL);
    r->err_headers_out = apr_table_overlay(r->pool, r->err_headers_out, f->ctx); /* a name may stand in it twice */
    return ap_pass_brigade(f->next, bb);
}

void mcp_answer_insert(request_rec *r)
{
    mcp_request_t *request = mcp_request_of(r);

    if (request && request->reading) {
        reading_refused(r, request);
    }
    if (request && request->headers && r->status == request->answer) {
        ap_add_output_filter_handle(answer_handle, request->headers, r, r->connection);
    }
}

void mcp_answer_register(void)
{
    answer_handle = ap_register_output_filter("MCP_OAUTH_ANSWER", answer_filter, NULL, AP_FTYPE_RESOURCE);
}
