#include "net/http.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "net/url.h"

#define HEADERS_MAX (64 * 1024) /* bytes of all header lines of one exchange */
#define POLL_MS 200             /* how often cancellation is asked for while nothing happens */

/* One exchange. */
typedef struct exchange_t {
    const mcp_http_request_t *request;
    mcp_http_response_t *response;
    char *body;           /* malloc */
    apr_size_t len, room; /* of body */
    apr_size_t header_bytes;
    apr_array_header_t *controls; /* values of Cache-Control; joined once, as copying at each line would be quadratic */
    int headers_done;             /* lines behind the empty one are trailers */
    int only_loopback;            /* connect to nothing else */
    apr_status_t refused;         /* why a callback ended the exchange */
    const char *reason;
    apr_pool_t *p;
} exchange_t;

static apr_status_t refuse(exchange_t *exchange, apr_status_t status, const char *reason)
{
    exchange->refused = status;
    exchange->reason = reason;
    return status;
}

static int grow(exchange_t *exchange, apr_size_t wanted)
{
    apr_size_t room = exchange->room ? exchange->room : 8192;
    char *body;

    while (room < wanted) {
        room *= 2;
    }
    body = room > exchange->room ? realloc(exchange->body, room) : exchange->body;
    if (body) {
        exchange->body = body;
        exchange->room = room;
    }
    return body != NULL;
}

static size_t on_body(char *data, size_t size, size_t count, void *baton)
{
    exchange_t *exchange = baton;
    apr_size_t len = size * count;

    if (len > exchange->request->max_body - exchange->len) {
        refuse(exchange, APR_ENOSPC, "the body is too long");
        return 0;
    }
    if (!len) {
        return 0;
    }
    if (!grow(exchange, exchange->len + len)) {
        refuse(exchange, APR_EGENERAL, "out of memory");
        return 0;
    }
    memcpy(exchange->body + exchange->len, data, len);
    exchange->len += len;
    return len;
}

/* The value of a header line of that name, without white space around it, or NULL. */
static const char *value_of(const char *line, apr_size_t len, const char *name, apr_pool_t *p)
{
    apr_size_t skip = strlen(name);

    if (len <= skip || line[skip] != ':' || strncasecmp(line, name, skip)) {
        return NULL;
    }
    line += skip + 1;
    len -= skip + 1;
    while (len && apr_isspace(*line)) {
        line++;
        len--;
    }
    while (len && apr_isspace(line[len - 1])) {
        len--;
    }
    return apr_pstrmemdup(p, line, len);
}

static void take_first(const char **pfield, const char *value)
{
    *pfield = *pfield ? *pfield : value;
}

static void take_header(exchange_t *exchange, const char *line, apr_size_t len, apr_pool_t *p)
{
    mcp_http_response_t *response = exchange->response;
    const char *control = value_of(line, len, "Cache-Control", p);

    if (control) {
        control = exchange->controls->nelts ? apr_pstrcat(p, " ", control, NULL) : control;
        APR_ARRAY_PUSH(exchange->controls, const char *) = control;
        return;
    }
    take_first(&response->content_type, value_of(line, len, "Content-Type", p));
    take_first(&response->expires, value_of(line, len, "Expires", p));
    take_first(&response->date, value_of(line, len, "Date", p));
    take_first(&response->etag, value_of(line, len, "ETag", p));
    take_first(&response->retry_after, value_of(line, len, "Retry-After", p));
}

static size_t on_header(char *line, size_t size, size_t count, void *baton)
{
    exchange_t *exchange = baton;
    apr_size_t len = size * count;

    exchange->header_bytes += len;
    if (exchange->header_bytes > HEADERS_MAX) {
        refuse(exchange, APR_EGENERAL, "the header is too long");
        return 0;
    }
    if (len >= 5 && !strncmp(line, "HTTP/", 5)) {
        /* Interim answers (1xx) come first and do not count. */
        memset(exchange->response, 0, sizeof(*exchange->response));
        apr_array_clear(exchange->controls);
        exchange->headers_done = 0;
    }
    else if (len <= 2 && (*line == '\r' || *line == '\n')) {
        exchange->headers_done = 1;
    }
    else if (!exchange->headers_done) {
        take_header(exchange, line, len, exchange->p);
    }
    return len;
}

static int is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        return (ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24) == 127;
    }
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

/* A loopback name may resolve to anything. And no child that another thread starts inherits the socket. */
static curl_socket_t on_socket(void *baton, curlsocktype purpose, struct curl_sockaddr *address)
{
    exchange_t *exchange = baton;

    if (exchange->only_loopback && !is_loopback(&address->addr)) {
        refuse(exchange, APR_EACCES, "plain http to a host that is not loopback");
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static CURLcode allow_protocols(CURL *curl)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    return curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    return curl_easy_setopt(curl, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
}

#define SET(option, value) (curl_easy_setopt(curl, option, value) == CURLE_OK)

/* Without it, giving up waits for the resolver's thread, however long that takes. */
static int set_quick_exit(CURL *curl)
{
#if LIBCURL_VERSION_NUM >= 0x075700
    return SET(CURLOPT_QUICK_EXIT, 1L);
#else
    return 1;
#endif
}

static int set_callbacks(CURL *curl, exchange_t *exchange)
{
    return SET(CURLOPT_WRITEFUNCTION, on_body) && SET(CURLOPT_WRITEDATA, exchange) &&
           SET(CURLOPT_HEADERFUNCTION, on_header) && SET(CURLOPT_HEADERDATA, exchange) &&
           SET(CURLOPT_OPENSOCKETFUNCTION, on_socket) && SET(CURLOPT_OPENSOCKETDATA, exchange);
}

static int set_limits(CURL *curl, const mcp_http_request_t *request)
{
    /* Rounded up: 0 would be no limit at all. */
    apr_interval_time_t ms = (request->timeout - 1) / 1000 + 1;
    long limit = ms < 0x7fffffff ? (long)ms : 0x7fffffff;

    return SET(CURLOPT_NOSIGNAL, 1L) && SET(CURLOPT_TIMEOUT_MS, limit) && SET(CURLOPT_CONNECTTIMEOUT_MS, limit) &&
           SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)request->max_body) && allow_protocols(curl) == CURLE_OK &&
           SET(CURLOPT_FOLLOWLOCATION, 0L) && SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) &&
           SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) && set_quick_exit(curl);
}

/* The empty strings keep http_proxy, no_proxy and the like out. */
static int set_trust(CURL *curl, const mcp_http_request_t *request)
{
    int ok = SET(CURLOPT_SSL_VERIFYPEER, 1L) && SET(CURLOPT_SSL_VERIFYHOST, 2L) &&
             SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) && SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) &&
             SET(CURLOPT_PROXY, request->proxy ? request->proxy : "") && SET(CURLOPT_NOPROXY, "");

    if (!request->ca_file) {
        return ok;
    }
    /* Instead of the system's certificates, whose directory would count otherwise. */
    ok = ok && SET(CURLOPT_CAINFO, request->ca_file) && SET(CURLOPT_CAPATH, NULL);
    return !request->proxy ? ok : ok && SET(CURLOPT_PROXY_CAINFO, request->ca_file) && SET(CURLOPT_PROXY_CAPATH, NULL);
}

static int is_printable(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || (unsigned char)*text == 0x7f) {
            return 0;
        }
    }
    return 1;
}

/* Would libcurl send it as the value of one header? It drops a header whose value is blank. */
static int is_value(const char *text)
{
    return !text || (*text > ' ' && is_printable(text));
}

/* NULL when memory is out; then the headers are freed. */
static struct curl_slist *add_header(struct curl_slist *headers, const char *name, const char *value, apr_pool_t *p)
{
    struct curl_slist *more = curl_slist_append(headers, apr_pstrcat(p, name, value, NULL));

    if (!more) {
        curl_slist_free_all(headers);
    }
    return more;
}

static struct curl_slist *make_headers(const mcp_http_request_t *request, apr_pool_t *p)
{
    struct curl_slist *headers =
        add_header(NULL, "Accept: ", request->accept ? request->accept : "application/json", p);

    if (headers && request->authorization) {
        headers = add_header(headers, "Authorization: ", request->authorization, p);
    }
    if (headers && request->etag && is_printable(request->etag)) {
        headers = add_header(headers, "If-None-Match: ", request->etag, p);
    }
    if (headers && request->form) {
        /* Without a value: left out. Not every server knows it, and waiting for leave to send takes a second. */
        headers = add_header(headers, "Expect:", "", p);
    }
    return headers;
}

/* The form stays where it is: the request outlives the exchange. */
static int set_method(CURL *curl, const char *form)
{
    return !form ? SET(CURLOPT_HTTPGET, 1L)
                 : SET(CURLOPT_POST, 1L) && SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(form)) &&
                       SET(CURLOPT_POSTFIELDS, form);
}

static int set_request(CURL *curl, const mcp_http_request_t *request, struct curl_slist *headers)
{
    return SET(CURLOPT_URL, request->url) && set_method(curl, request->form) &&
           SET(CURLOPT_USERAGENT, "mod_mcp_oauth") && SET(CURLOPT_HTTPHEADER, headers) &&
           SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
}

static CURLcode result_of(CURLM *multi)
{
    CURLMsg *message;
    int left;

    do {
        message = curl_multi_info_read(multi, &left);
        if (message && message->msg == CURLMSG_DONE) {
            return message->data.result;
        }
    } while (message);
    return CURLE_RECV_ERROR;
}

/* The multi interface, because libcurl asks a progress callback only about once a second. */
static CURLcode drive(CURLM *multi, exchange_t *exchange)
{
    const mcp_http_request_t *request = exchange->request;
    int running = 1;

    for (;;) {
        if (request->cancelled && request->cancelled(request->baton)) {
            refuse(exchange, APR_EOF, "cancelled");
            return CURLE_ABORTED_BY_CALLBACK;
        }
        if (curl_multi_perform(multi, &running) != CURLM_OK) {
            return CURLE_OUT_OF_MEMORY;
        }
        if (!running) {
            return result_of(multi);
        }
        if (curl_multi_poll(multi, NULL, 0, POLL_MS, NULL) != CURLM_OK) {
            return CURLE_OUT_OF_MEMORY;
        }
    }
}

static CURLcode run(CURL *curl, exchange_t *exchange)
{
    CURLM *multi = curl_multi_init();
    CURLcode code = CURLE_OUT_OF_MEMORY;

    if (!multi) {
        return code;
    }
    if (curl_multi_add_handle(multi, curl) == CURLM_OK) {
        code = drive(multi, exchange);
        curl_multi_remove_handle(multi, curl);
    }
    curl_multi_cleanup(multi);
    return code;
}

static apr_status_t status_of(CURLcode code)
{
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return APR_TIMEUP;
    case CURLE_FILESIZE_EXCEEDED:
        return APR_ENOSPC;
    case CURLE_URL_MALFORMAT:
        return APR_EACCES;
    default:
        return APR_EGENERAL;
    }
}

static apr_status_t finish(CURL *curl, exchange_t *exchange, CURLcode code)
{
    mcp_http_response_t *response = exchange->response;
    long status = 0;

    if (exchange->refused) {
        return exchange->refused;
    }
    if (code != CURLE_OK) {
        return refuse(exchange, status_of(code), curl_easy_strerror(code));
    }
    if (curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status < 200) {
        return refuse(exchange, APR_EGENERAL, "no HTTP status");
    }
    /* libcurl takes a header that breaks off for a whole one. */
    if (!exchange->headers_done) {
        return refuse(exchange, APR_EGENERAL, "the header breaks off");
    }
    if (exchange->controls->nelts) {
        response->cache_control = apr_array_pstrcat(exchange->p, exchange->controls, ',');
    }
    response->status = (int)status;
    response->len = exchange->len;
    response->body = exchange->len ? apr_pmemdup(exchange->p, exchange->body, exchange->len) : "";
    return APR_SUCCESS;
}

static apr_status_t fetch(exchange_t *exchange)
{
    const mcp_http_request_t *request = exchange->request;
    struct curl_slist *headers = make_headers(request, exchange->p);
    CURL *curl = headers ? curl_easy_init() : NULL;
    apr_status_t rv;

    if (curl && set_callbacks(curl, exchange) && set_limits(curl, request) && set_trust(curl, request) &&
        set_request(curl, request, headers)) {
        rv = finish(curl, exchange, run(curl, exchange));
    }
    else {
        rv = refuse(exchange, APR_EGENERAL, "libcurl could not be set up");
    }
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    free(exchange->body);
    return rv;
}

static apr_status_t perform(mcp_http_response_t **presponse, const char **perror, const mcp_http_request_t *request,
                            apr_pool_t *p)
{
    exchange_t exchange = { .request = request, .p = p };
    apr_status_t rv;
    mcp_url_t url;

    *presponse = NULL;
    *perror = NULL;
    if (!mcp_url_parse(&url, request->url, p)) {
        *perror = "not an absolute http or https URL";
        return APR_EACCES;
    }
    if (!strcmp(url.scheme, "http") && !request->allow_http) {
        if (!url.loopback) {
            *perror = "plain http to a host that is not loopback";
            return APR_EACCES;
        }
        if (request->form && request->proxy) {
            *perror = "a form in plain http through a proxy";
            return APR_EACCES;
        }
        exchange.only_loopback = !request->proxy;
    }
    if (!is_value(request->authorization) || !is_value(request->accept)) {
        *perror = "the credentials or the accepted type are not the value of a header";
        return APR_EGENERAL;
    }
    if (request->timeout <= 0) {
        *perror = "no time is left";
        return APR_TIMEUP;
    }
    exchange.response = apr_pcalloc(p, sizeof(*exchange.response));
    exchange.controls = apr_array_make(p, 4, sizeof(const char *));
    rv = fetch(&exchange);
    *presponse = rv == APR_SUCCESS ? exchange.response : NULL;
    *perror = exchange.reason;
    return rv;
}

apr_status_t mcp_http_curl_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? APR_SUCCESS : APR_EGENERAL;
}

const mcp_http_t *mcp_http_curl(void)
{
    static const mcp_http_t http = { perform };

    return &http;
}
