#include "httpd/stream.h"

#include <http_core.h>
#include <http_log.h>
#include <mod_proxy.h>
#include <util_filter.h>

#include <apr_portable.h>
#include <apr_strings.h>
#include <poll.h>

#include "base/clock.h"
#include "httpd/request.h"
#include "rpc/mirror.h"

APLOG_USE_MODULE(mcp_oauth);

#ifndef POLLRDHUP
#define POLLRDHUP 0
#endif

/* HTTP/2 has no socket per request: how often to look whether the stream was reset. */
#define LOOK_AGAIN apr_time_from_msec(500)

static ap_filter_rec_t *begin_handle, *watch_handle;

typedef struct watch_t {
    request_rec *r; /* of the client */
    const mcp_request_t *request;
    apr_time_t until; /* wall clock; 0: no end */
    int interim;      /* the lines of an interim answer are being read */
    int drained;      /* the backend had nothing when it was last asked */
} watch_t;

typedef enum { WAITED_READABLE, WAITED_LEFT, WAITED_EXPIRED, WAITED_TIMEOUT } waited_t;

static int is_event_stream(const request_rec *r)
{
    return r->status == HTTP_OK && mcp_request_answered_with(r, "text/event-stream");
}

static int client_fd(const request_rec *r)
{
    apr_socket_t *socket = r->connection->master ? NULL : ap_get_conn_socket(r->connection);
    apr_os_sock_t fd = -1;

    return socket && apr_os_sock_get(&fd, socket) == APR_SUCCESS ? fd : -1;
}

/* Milliseconds for poll, rounded up; -1 for no limit. */
static int milliseconds(apr_interval_time_t wait)
{
    return wait < 0 ? -1 : wait > apr_time_from_sec(3600) ? 3600000 : (int)((wait + 999) / 1000);
}

static apr_interval_time_t sooner(apr_interval_time_t a, apr_interval_time_t b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Until the backend has something to read, or one of the reasons to stop. timeout: microseconds, negative for none. */
static waited_t wait_for(const watch_t *watch, apr_socket_t *backend, apr_interval_time_t timeout, apr_time_t until)
{
    const conn_rec *client = watch->r->connection;
    apr_time_t deadline = timeout < 0 ? 0 : mcp_clock_monotonic() + timeout;
    struct pollfd fds[2] = { { -1, POLLIN, 0 }, { client_fd(watch->r), POLLRDHUP, 0 } };
    apr_os_sock_t fd;

    if (apr_os_sock_get(&fd, backend) != APR_SUCCESS) {
        return WAITED_READABLE;
    }
    fds[0].fd = fd;
    for (;;) {
        apr_interval_time_t left = -1;

        if (client->aborted) {
            return WAITED_LEFT;
        }
        if (until && (left = until - apr_time_now()) <= 0) {
            return WAITED_EXPIRED;
        }
        if (deadline) {
            apr_interval_time_t rest = deadline - mcp_clock_monotonic();

            if (rest <= 0) {
                return WAITED_TIMEOUT;
            }
            left = sooner(left, rest);
        }
        if (client->master) {
            left = sooner(left, LOOK_AGAIN);
        }
        if (poll(fds, 2, milliseconds(left)) < 0) {
            continue; /* interrupted */
        }
        if (fds[0].revents) {
            return WAITED_READABLE;
        }
        if (fds[1].revents) {
            return WAITED_LEFT;
        }
    }
}

/* Reads what is there, without waiting. */
static apr_status_t read_now(watch_t *watch, ap_filter_t *f, apr_bucket_brigade *bb, apr_off_t readbytes)
{
    apr_status_t rv = ap_get_brigade(f->next, bb, AP_MODE_READBYTES, APR_NONBLOCK_READ, readbytes);

    watch->drained = APR_STATUS_IS_EAGAIN(rv) || (rv == APR_SUCCESS && APR_BRIGADE_EMPTY(bb));
    return watch->drained ? APR_EAGAIN : rv;
}

/* Is something of the answer there? It stays where it is. */
static int peek(ap_filter_t *f)
{
    apr_bucket_brigade *bb = apr_brigade_create(f->r->pool, f->c->bucket_alloc);
    apr_status_t rv = ap_get_brigade(f->next, bb, AP_MODE_SPECULATIVE, APR_NONBLOCK_READ, 1);
    int there = !APR_STATUS_IS_EAGAIN(rv) && !(rv == APR_SUCCESS && APR_BRIGADE_EMPTY(bb));

    apr_brigade_destroy(bb);
    return there;
}

static const char *client_of(const watch_t *watch)
{
    return watch->request->grant->client ? watch->request->grant->client : "-";
}

static apr_status_t end_expired(const watch_t *watch)
{
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, watch->r, "MCP0511: stream-expired: request_id=%s client=%s",
                  watch->request->id, client_of(watch));
    return APR_EOF;
}

static void left_note(watch_t *watch)
{
    ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, watch->r, "MCP0512: client-left: request_id=%s client=%s",
                  watch->request->id, client_of(watch));
    watch->r->connection->aborted = 1;
}

/* The first line of the answer. */
static apr_status_t begin_await(watch_t *watch, ap_filter_t *f, apr_socket_t *backend, apr_interval_time_t timeout)
{
    while (!peek(f)) {
        switch (wait_for(watch, backend, timeout, 0)) {
        case WAITED_LEFT:
            left_note(watch);
            return APR_ECONNABORTED;
        case WAITED_TIMEOUT:
            return APR_TIMEUP;
        default:
            break;
        }
    }
    return APR_SUCCESS;
}

static apr_status_t stream_read(watch_t *watch, ap_filter_t *f, apr_bucket_brigade *bb, apr_off_t readbytes,
                                apr_socket_t *backend, apr_interval_time_t timeout)
{
    apr_status_t rv;

    for (;;) {
        if (!watch->drained && (rv = read_now(watch, f, bb, readbytes)) != APR_EAGAIN) {
            return rv;
        }
        watch->drained = 0;
        switch (wait_for(watch, backend, timeout, watch->until)) {
        case WAITED_LEFT:
            left_note(watch);
            return APR_EOF;
        case WAITED_EXPIRED:
            return end_expired(watch);
        case WAITED_TIMEOUT:
            return APR_TIMEUP;
        case WAITED_READABLE:
            break;
        }
    }
}

/* Is it a status line of that class (0: any)? */
static int is_status(apr_bucket_brigade *bb, char class)
{
    char line[10];
    apr_size_t len = sizeof(line);

    return apr_brigade_flatten(bb, line, &len) == APR_SUCCESS && len == sizeof(line) && !memcmp(line, "HTTP/", 5) &&
           line[8] == ' ' && (!class || line[9] == class);
}

/* Before the lines that begin the answer; the header is read past the filters of the body. */
static apr_status_t begin_filter(ap_filter_t *f, apr_bucket_brigade *bb, ap_input_mode_t mode, apr_read_type_e block,
                                 apr_off_t readbytes)
{
    watch_t *watch = f->ctx;
    apr_socket_t *backend = ap_get_conn_socket(f->c);
    apr_interval_time_t timeout;
    apr_status_t rv;

    if (mode != AP_MODE_GETLINE || block != APR_BLOCK_READ || !backend ||
        apr_socket_timeout_get(backend, &timeout) != APR_SUCCESS) {
        return ap_get_brigade(f->next, bb, mode, block, readbytes);
    }
    if ((rv = begin_await(watch, f, backend, timeout)) != APR_SUCCESS ||
        (rv = ap_get_brigade(f->next, bb, mode, block, readbytes)) != APR_SUCCESS) {
        return rv;
    }
    /* After an interim answer (RFC 9110 section 15.2) another one follows. Its lines are few, so each is waited for. */
    watch->interim = is_status(bb, '1') || (watch->interim && !is_status(bb, 0));
    if (!watch->interim) {
        ap_remove_input_filter(f);
    }
    return APR_SUCCESS;
}

static apr_status_t watch_filter(ap_filter_t *f, apr_bucket_brigade *bb, ap_input_mode_t mode, apr_read_type_e block,
                                 apr_off_t readbytes)
{
    watch_t *watch = f->ctx;
    apr_socket_t *backend = ap_get_conn_socket(f->c);
    apr_interval_time_t timeout;
    int events = is_event_stream(watch->r);

    if (mode != AP_MODE_READBYTES || !(events || watch->r->connection->master) || !backend ||
        apr_socket_timeout_get(backend, &timeout) != APR_SUCCESS) {
        return ap_get_brigade(f->next, bb, mode, block, readbytes);
    }
    if (!events) {
        watch->until = 0; /* only event streams end early */
    }
    if (watch->until && watch->until <= apr_time_now()) {
        return end_expired(watch);
    }
    return block == APR_BLOCK_READ ? stream_read(watch, f, bb, readbytes, backend, timeout)
                                   : read_now(watch, f, bb, readbytes);
}

/* Does closing before the answer begins mean that nobody wants it any more? HTTP/2 says so by itself. Over HTTP/1.1 a client may
 * close its sending half alone; but in 2026-07-28 that is how a client cancels, and who asks for an event stream and nothing
 * else wants to read it. */
static int is_given_up_by_closing(const request_rec *r)
{
    const char *accept = apr_table_get(r->headers_in, "Accept");

    if (r->connection->master) {
        return 1;
    }
    return r->method_number == M_POST ? mcp_mirror_is_modern(apr_table_get(r->headers_in, "MCP-Protocol-Version"))
                                      : accept && !ap_cstr_casecmp(accept, "text/event-stream");
}

/* mod_proxy_http has a connection to the backend: backend is the request it will read the answer of. */
static int watch_add(request_rec *r, request_rec *backend)
{
    const mcp_request_t *request = mcp_request_of(r);
    watch_t *watch;

    if (!request || !request->judged || !request->grant) {
        return OK;
    }
    watch = apr_pcalloc(r->pool, sizeof(*watch));
    watch->r = r;
    watch->request = request;
    watch->until = request->location->stream_expiry ? request->grant->entry.not_after : 0;
    ap_add_input_filter_handle(watch_handle, watch, backend, backend->connection);
    if (is_given_up_by_closing(r)) {
        ap_add_input_filter_handle(begin_handle, watch, backend, backend->connection);
    }
    return OK;
}

void mcp_stream_register(void)
{
    begin_handle = ap_register_input_filter("MCP_OAUTH_STREAM_BEGIN", begin_filter, NULL, AP_FTYPE_PROTOCOL);
    watch_handle = ap_register_input_filter("MCP_OAUTH_STREAM", watch_filter, NULL, AP_FTYPE_RESOURCE);
    APR_OPTIONAL_HOOK(proxy, create_req, watch_add, NULL, NULL, APR_HOOK_MIDDLE);
}
