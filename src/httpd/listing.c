#include "httpd/listing.h"

#include <http_log.h>
#include <http_protocol.h>
#include <util_filter.h>

#include <apr_strings.h>

#include "base/limits.h"
#include "httpd/answer.h"
#include "policy/lists.h"
#include "rpc/sse.h"

APLOG_USE_MODULE(mcp_oauth);

#define KEEP_MAX (64 * 1024) /* memory that is kept from one event to the next */

static ap_filter_rec_t *listing_handle;

typedef enum {
    AS_IT_IS,  /* no list can be in it */
    AS_JSON,   /* one document, held until it is complete */
    AS_EVENTS, /* each event is held until it is complete */
    AS_NOTHING /* a body that cannot be read: there must be none */
} form_t;

typedef struct listing_t {
    mcp_request_t *request;
    mcp_viewer_t viewer;
    mcp_message_t asked; /* what an error answer needs to know of the request */
    const char *accept;  /* Accept-Encoding of the client */
    int begun;           /* form is known */
    form_t form;
    int broken;     /* nothing more of the answer goes to the client */
    int complained; /* an event could not be read: that was said, and answered where there was a request to answer */
    mcp_sse_t place;
    apr_pool_t *scratch;     /* cleared per event: a stream may live for days */
    apr_bucket_brigade *out; /* what goes on; always the same one, for the same reason */
    char *held;              /* malloc'ed: an incomplete event or document */
    apr_size_t held_len, held_size;
} listing_t;

/* --- holding ---------------------------------------------------------------------------------------------------- */

static apr_status_t held_release(void *data)
{
    listing_t *listing = data;

    free(listing->held);
    listing->held = NULL;
    return APR_SUCCESS;
}

/* Returns 0 when there is no more room. */
static int held_add(listing_t *listing, const char *data, apr_size_t len)
{
    apr_size_t size = listing->held_size ? listing->held_size : 8192;
    char *larger;

    if (!len) {
        return 1;
    }
    if (len > MCP_LIMIT_LIST - listing->held_len) {
        return 0;
    }
    while (size < listing->held_len + len) {
        size *= 2;
    }
    if (size != listing->held_size) {
        if (!(larger = realloc(listing->held, size))) {
            return 0;
        }
        listing->held = larger;
        listing->held_size = size;
    }
    memcpy(listing->held + listing->held_len, data, len);
    listing->held_len += len;
    return 1;
}

static void held_clear(listing_t *listing)
{
    listing->held_len = 0;
    if (listing->held_size > KEEP_MAX) {
        held_release(listing);
        listing->held_size = 0;
    }
    apr_pool_clear(listing->scratch);
}

/* --- judging the answer's form ---------------------------------------------------------------------------------- */

/* Is there an encoding among the fields of that name? They may be several. */
static int encoding_note(void *found, const char *name, const char *value)
{
    *(int *)found |= *value && ap_cstr_casecmp(value, "identity");
    return 1;
}

static int is_encoded(const request_rec *r)
{
    int found = r->content_encoding && ap_cstr_casecmp(r->content_encoding, "identity");

    apr_table_do(encoding_note, &found, r->headers_out, "Content-Encoding", NULL);
    apr_table_do(encoding_note, &found, r->err_headers_out, "Content-Encoding", NULL);
    return found;
}

static form_t form_of(const request_rec *r)
{
    int json = mcp_request_answered_with(r, "application/json"),
        events = mcp_request_answered_with(r, "text/event-stream");

    if (r->header_only || r->status == HTTP_NO_CONTENT || r->status == HTTP_NOT_MODIFIED) {
        return AS_IT_IS;
    }
    if (!json && !events) {
        return ap_is_HTTP_SUCCESS(r->status) ? AS_NOTHING : AS_IT_IS;
    }
    if (is_encoded(r) || r->status == HTTP_PARTIAL_CONTENT) {
        return AS_NOTHING;
    }
    return json ? AS_JSON : AS_EVENTS;
}

/* What told of the unfiltered bytes. */
static void headers_drop(request_rec *r)
{
    static const char *const names[] = { "Content-Length", "ETag",           "Accept-Ranges", "Content-MD5",
                                         "Digest",         "Content-Digest", "Repr-Digest",   NULL };

    for (const char *const *name = names; *name; name++) {
        apr_table_unset(r->headers_out, *name);
        apr_table_unset(r->err_headers_out, *name);
    }
}

static void answer_begin(listing_t *listing, request_rec *r)
{
    listing->begun = 1;
    listing->form = form_of(r);
    if (listing->form == AS_JSON || listing->form == AS_EVENTS) {
        headers_drop(r);
    }
    if (listing->accept) { /* filters behind this one may compress */
        apr_table_setn(r->headers_in, "Accept-Encoding", listing->accept);
    }
}

/* --- filtering -------------------------------------------------------------------------------------------------- */

/* The answer cannot be passed on. Before its header was sent 502 takes its place; else it is broken off, so that the client does
 * not take it for complete, and nothing of the rest may follow. */
static apr_status_t refuse(listing_t *listing, ap_filter_t *f)
{
    request_rec *r = f->r;
    mcp_request_t *request = listing->request;
    apr_status_t rv;

    listing->broken = 1;
    request->status = MCP_LIST_UNREADABLE;
    request->counted = 0; /* it was let pass, and now this */
    request->message = &listing->asked;
    mcp_answer(r, request);
    request->message = NULL;
    apr_brigade_cleanup(listing->out);
    APR_BRIGADE_INSERT_TAIL(listing->out, ap_bucket_error_create(HTTP_BAD_GATEWAY, NULL, r->pool, f->c->bucket_alloc));
    APR_BRIGADE_INSERT_TAIL(listing->out, apr_bucket_eos_create(f->c->bucket_alloc));
    rv = ap_pass_brigade(f->next, listing->out);
    return rv == APR_SUCCESS ? APR_ECONNABORTED : rv; /* the backend's part ends here */
}

/* In place of an event that cannot be read: the answer to the request it must have been, once, or nothing. */
static const char *event_substitute(apr_size_t *plen, listing_t *listing, request_rec *r, const char *text,
                                    apr_size_t len)
{
    const char *error;
    int first = !listing->complained;

    if (first) {
        listing->complained = 1;
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "MCP0613: event-unreadable: an event of the backend cannot be filtered, request_id=%s",
                      listing->request->id);
    }
    if (!first || !listing->asked.id) {
        *plen = 0;
        return "";
    }
    listing->request->message = &listing->asked;
    error = mcp_answer_rpc(listing->request, MCP_LIST_UNREADABLE, listing->scratch);
    listing->request->message = NULL;
    return mcp_event_replace(plen, text, len, error, strlen(error), listing->scratch);
}

/* One complete event, as it may go to the client. */
static const char *event_filter(apr_size_t *plen, listing_t *listing, request_rec *r, const char *text, apr_size_t len)
{
    const char *filtered;
    mcp_event_t event;
    apr_size_t filtered_len;
    mcp_status_t status;

    *plen = len;
    mcp_event_read(&event, text, len, listing->scratch);
    if (!event.data || !memchr(event.data, '{', event.len)) { /* no object in it, so no list */
        return text;
    }
    status = mcp_lists_filter(&filtered, &filtered_len, event.data, event.len, &listing->viewer, listing->scratch);
    if (status != MCP_OK) {
        return event_substitute(plen, listing, r, text, len);
    }
    if (filtered == event.data) {
        return text;
    }
    return mcp_event_replace(plen, text, len, filtered, filtered_len, listing->scratch);
}

/* Returns 0 when an event is too long. */
static int events_take(listing_t *listing, ap_filter_t *f, const char *data, apr_size_t len)
{
    apr_size_t taken, event_len;

    while (len && (taken = mcp_sse_scan(&listing->place, data, len))) {
        const char *event = data;

        event_len = taken;
        if (listing->held_len) {
            if (!held_add(listing, data, taken)) {
                return 0;
            }
            event = listing->held;
            event_len = listing->held_len;
        }
        event = event_filter(&event_len, listing, f->r, event, event_len);
        apr_brigade_write(listing->out, NULL, NULL, event, event_len);
        held_clear(listing);
        data += taken;
        len -= taken;
    }
    return held_add(listing, data, len);
}

static int document_end(listing_t *listing)
{
    const char *filtered;
    apr_size_t len;

    if (listing->held_len) {
        if (mcp_lists_filter(&filtered, &len, listing->held, listing->held_len, &listing->viewer, listing->scratch) !=
            MCP_OK) {
            return 0;
        }
        apr_brigade_write(listing->out, NULL, NULL, filtered, len);
        held_clear(listing);
    }
    return 1;
}

static int data_take(listing_t *listing, ap_filter_t *f, const char *data, apr_size_t len)
{
    switch (listing->form) {
    case AS_JSON:
        return held_add(listing, data, len);
    case AS_EVENTS:
        return events_take(listing, f, data, len);
    default:
        return !len;
    }
}

/* Takes one bucket. Returns 0 when the answer cannot be passed on. */
static int bucket_take(listing_t *listing, ap_filter_t *f, apr_bucket *e)
{
    const char *data;
    apr_size_t len;
    int good = 1;

    if (!APR_BUCKET_IS_METADATA(e)) {
        good = apr_bucket_read(e, &data, &len, APR_BLOCK_READ) == APR_SUCCESS && data_take(listing, f, data, len);
        apr_bucket_delete(e);
        return good;
    }
    if (APR_BUCKET_IS_EOS(e) && listing->form == AS_JSON) {
        good = document_end(listing);
    }
    if (APR_BUCKET_IS_FLUSH(e) && listing->form != AS_EVENTS) {
        apr_bucket_delete(e); /* it would send the header, before it is known that the body is good */
        return good;
    }
    APR_BUCKET_REMOVE(e);
    APR_BRIGADE_INSERT_TAIL(listing->out, e);
    return good;
}

static apr_status_t listing_filter(ap_filter_t *f, apr_bucket_brigade *bb)
{
    listing_t *listing = f->ctx;
    apr_status_t rv = APR_SUCCESS;

    if (!listing->begun) {
        answer_begin(listing, f->r);
    }
    if (listing->form == AS_IT_IS) {
        ap_remove_output_filter(f);
        return ap_pass_brigade(f->next, bb);
    }
    if (listing->broken) {
        apr_brigade_cleanup(bb);
        return APR_ECONNABORTED;
    }
    if (!listing->out) {
        listing->out = apr_brigade_create(f->r->pool, f->c->bucket_alloc);
    }
    while (!APR_BRIGADE_EMPTY(bb)) {
        if (!bucket_take(listing, f, APR_BRIGADE_FIRST(bb))) {
            apr_brigade_cleanup(bb);
            return refuse(listing, f);
        }
    }
    if (!APR_BRIGADE_EMPTY(listing->out)) {
        rv = ap_pass_brigade(f->next, listing->out);
        apr_brigade_cleanup(listing->out);
    }
    return rv;
}

/* --- installing ------------------------------------------------------------------------------------------------- */

static int can_list(const request_rec *r, const mcp_message_t *message)
{
    static const char *const lists[] = { "tools/list",   "resources/list",  "resources/templates/list",
                                         "prompts/list", "server/discover", NULL };

    return message ? mcp_message_asks(message, lists) : r->method_number == M_GET && !r->header_only;
}

void mcp_listing_begin(request_rec *r, mcp_request_t *request)
{
    static const char *const discover[] = { "server/discover", NULL };
    const mcp_location_t *location = request->location;
    const mcp_message_t *message = request->message;
    listing_t *listing;

    if (!location->filter_lists || location->acl_mode != MCP_ACL_ON || !can_list(r, message)) {
        return;
    }
    listing = apr_pcalloc(r->pool, sizeof(*listing));
    listing->request = request;
    listing->viewer.acl = location->policy.acl;
    listing->viewer.held = &request->grant->acl_values;
    listing->viewer.discover = message && mcp_message_asks(message, discover);
    listing->asked.kind = message ? message->kind : MCP_MESSAGE_UNKNOWN;
    listing->asked.id = message ? apr_pstrdup(r->pool, message->id) : NULL;
    listing->accept = apr_table_get(r->headers_in, "Accept-Encoding");
    apr_pool_create(&listing->scratch, r->pool);
    apr_pool_tag(listing->scratch, "mcp_oauth_listing");
    apr_pool_cleanup_register(r->pool, listing, held_release, apr_pool_cleanup_null);
    /* What is compressed cannot be filtered, nor can a part. */
    apr_table_unset(r->headers_in, "Accept-Encoding");
    apr_table_unset(r->headers_in, "Range");
    apr_table_unset(r->headers_in, "If-Range");
    ap_add_output_filter_handle(listing_handle, listing, r, r->connection);
}

void mcp_listing_register(void)
{
    listing_handle = ap_register_output_filter("MCP_OAUTH_LISTS", listing_filter, NULL, AP_FTYPE_RESOURCE);
}
