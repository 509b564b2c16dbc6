#include "net/http.h"

#include <apr_file_io.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tap.h"

#define JSON "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

enum { THEN_CLOSE, THEN_HANG, THEN_DRIP, THEN_FLOOD };

/* A server that gives every connection the same answer; what it saw is read after stop(). */
typedef struct server_t {
    const char *reply; /* NULL: none */
    int then;          /* what follows the reply */
    SSL_CTX *tls;      /* NULL: plain */
    int fd, hits;
    unsigned port;
    pthread_t thread;
    char request[4096]; /* its header, and what came with it */
    const char *form;   /* the body that is expected, NULL for none */
    apr_size_t body_len;
    int differs; /* is the body another */
} server_t;

typedef struct channel_t {
    int fd;
    SSL *ssl;
} channel_t;

static int channel_read(channel_t *channel, char *data, int len)
{
    return channel->ssl ? SSL_read(channel->ssl, data, len) : (int)recv(channel->fd, data, len, 0);
}

static int channel_write(channel_t *channel, const char *data, int len)
{
    return channel->ssl ? SSL_write(channel->ssl, data, len) : (int)send(channel->fd, data, len, MSG_NOSIGNAL);
}

static void take_body(server_t *server, const char *data, apr_size_t len)
{
    apr_size_t left = server->form ? strlen(server->form) - server->body_len : 0;

    server->differs |= len > left || (len && memcmp(data, server->form + server->body_len, len));
    server->body_len += server->differs ? 0 : len;
}

static void read_request(server_t *server, channel_t *channel)
{
    char *request = server->request, *end, data[8192];
    int len = 0, n;
    long left;

    do {
        n = channel_read(channel, request + len, (int)sizeof(server->request) - 1 - len);
        len += n > 0 ? n : 0;
        request[len] = '\0';
        end = strstr(request, "\r\n\r\n");
    } while (n > 0 && !end);
    if (!end) {
        return;
    }
    server->body_len = 0;
    take_body(server, end + 4, len - (end + 4 - request));
    end[2] = '\0'; /* what is looked for in the header must not be found in the body */
    end = strcasestr(request, "\r\nContent-Length: ");
    left = end ? strtol(end + strlen("\r\nContent-Length: "), NULL, 10) - (long)server->body_len : 0;
    for (; left > 0 && (n = channel_read(channel, data, sizeof(data))) > 0; left -= n) {
        take_body(server, data, n);
    }
}

static void converse(server_t *server, channel_t *channel)
{
    static const char flood[8192];
    char byte;

    read_request(server, channel);
    if (server->reply) {
        channel_write(channel, server->reply, (int)strlen(server->reply));
    }
    while (server->then == THEN_DRIP && channel_write(channel, " ", 1) == 1) {
        usleep(20000);
    }
    while (server->then == THEN_FLOOD && channel_write(channel, flood, sizeof(flood)) > 0) {
    }
    while (server->then == THEN_HANG && channel_read(channel, &byte, 1) > 0) {
    }
}

static void *serve(void *data)
{
    server_t *server = data;
    channel_t channel = { -1, NULL };

    while ((channel.fd = accept(server->fd, NULL, NULL)) >= 0) {
        server->hits++;
        channel.ssl = server->tls ? SSL_new(server->tls) : NULL;
        if (!channel.ssl || (SSL_set_fd(channel.ssl, channel.fd) == 1 && SSL_accept(channel.ssl) == 1)) {
            converse(server, &channel);
        }
        if (channel.ssl) {
            SSL_shutdown(channel.ssl);
            SSL_free(channel.ssl);
        }
        shutdown(channel.fd, SHUT_WR);
        close(channel.fd);
    }
    return NULL;
}

static void start(server_t *server)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);

    server->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server->fd, (struct sockaddr *)&address, len) || listen(server->fd, 8) ||
        getsockname(server->fd, (struct sockaddr *)&address, &len) ||
        pthread_create(&server->thread, NULL, serve, server)) {
        abort();
    }
    server->port = ntohs(address.sin_port);
}

static void stop(server_t *server)
{
    shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->fd);
}

/* What came of one exchange. */
typedef struct outcome_t {
    apr_status_t rv;
    mcp_http_response_t *response;
    const char *error;
    apr_interval_time_t took;
} outcome_t;

static mcp_http_request_t request_to(const char *url)
{
    mcp_http_request_t request = { .url = url, .timeout = apr_time_from_sec(20), .max_body = 100 };

    return request;
}

static outcome_t get(const mcp_http_request_t *request, apr_pool_t *p)
{
    outcome_t outcome;
    apr_time_t before = mcp_clock_monotonic();

    outcome.rv = mcp_http_curl()->exchange(&outcome.response, &outcome.error, request, p);
    outcome.took = mcp_clock_monotonic() - before;
    return outcome;
}

static const char *url_of(const server_t *server, apr_pool_t *p)
{
    return apr_psprintf(p, "http://127.0.0.1:%u/k?x=1", server->port);
}

/* Starts the server, asks it once, stops it. request: NULL for a plain one; its url NULL for the server's. */
static outcome_t exchange(server_t *server, const mcp_http_request_t *request, apr_pool_t *p)
{
    mcp_http_request_t own = request ? *request : request_to(NULL);
    outcome_t outcome;

    start(server);
    own.url = own.url ? own.url : url_of(server, p);
    outcome = get(&own, p);
    stop(server);
    return outcome;
}

static outcome_t reply(const char *text, apr_pool_t *p)
{
    server_t server = { .reply = text };

    return exchange(&server, NULL, p);
}

static const char *body_of(const outcome_t *outcome, apr_pool_t *p)
{
    return outcome->response ? apr_pstrmemdup(p, outcome->response->body, outcome->response->len) : NULL;
}

static int failed(const outcome_t *outcome, apr_status_t rv)
{
    return outcome->rv == rv && !outcome->response && outcome->error && *outcome->error &&
           !strstr(outcome->error, "secret");
}

static void good_answer(apr_pool_t *p)
{
    server_t server = { .reply = JSON "Content-Length: 2\r\nETag: \"v1\"\r\nDate:Sun, 06 Nov 1994 08:49:37 GMT \r\n"
                                      "expires: Sun, 06 Nov 1994 08:59:37 GMT\r\nCache-Control: public\r\n"
                                      "X-Cache-Control: no-store\r\ncache-control:\tmax-age=60\r\nCache-Control: x\r\n"
                                      "ETag: \"v2\"\r\n\r\n{}" };
    outcome_t got = exchange(&server, NULL, p);

    OK(got.rv == APR_SUCCESS && got.response && got.response->status == 200, "an answer comes whole");
    STR_IS(body_of(&got, p), "{}", "with its body");
    STR_IS(got.response->content_type, "application/json", "its type");
    STR_IS(got.response->cache_control, "public, max-age=60, x", "KEY-6 all Cache-Control lines, joined");
    STR_IS(got.response->expires, "Sun, 06 Nov 1994 08:59:37 GMT", "Expires");
    STR_IS(got.response->date, "Sun, 06 Nov 1994 08:49:37 GMT", "Date without white space around it");
    STR_IS(got.response->etag, "\"v1\"", "and the first of two values");
    OK(server.hits == 1, "over one connection");
    OK(!strncmp(server.request, "GET /k?x=1 HTTP/1.1\r\n", 21), "it was asked for by GET in HTTP/1.1");
    OK(strstr(server.request, "\r\nAccept: application/json\r\n") != NULL, "as JSON");
    OK(strstr(server.request, "\r\nUser-Agent: mod_mcp_oauth\r\n") != NULL, "in our name");
    OK(!strcasestr(server.request, "Accept-Encoding") && !strcasestr(server.request, "If-None-Match"),
       "and nothing more");
}

static void other_answers(apr_pool_t *p)
{
    outcome_t got = reply("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", p);

    OK(got.rv == APR_SUCCESS && got.response->len == 0 && got.response->body, "an empty body is an answer");
    OK(!got.response->content_type && !got.response->cache_control && !got.response->expires && !got.response->date &&
           !got.response->etag && !got.response->retry_after,
       "fields that are absent are NULL");
    got = reply("HTTP/1.1 500 Oops\r\nContent-Length: 6\r\n\r\nsecret", p);
    OK(got.rv == APR_SUCCESS && got.response->status == 500, "R04 a status of 500 is an answer");
    got = reply(JSON "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\nCache-Control: no-store\r\n\r\n", p);
    STR_IS(body_of(&got, p), "{}", "chunks are put together");
    OK(got.response && !got.response->cache_control, "trailers are no header");
    got = reply("HTTP/1.1 103 Early Hints\r\nCache-Control: no-store\r\nETag: \"no\"\r\n\r\n" JSON
                "Content-Length: 2\r\n\r\n{}",
                p);
    OK(got.rv == APR_SUCCESS && got.response->status == 200 && !got.response->cache_control && !got.response->etag,
       "an interim answer does not count");
    got = reply(JSON "\r\n{}", p);
    STR_IS(body_of(&got, p), "{}", "a body may end with the connection");
}

static void not_modified(apr_pool_t *p)
{
    static const char *const good[] = { "\"v1\"", "W/\"a;b,c:d\\\x80\xff\"" };
    static const char *const bad[] = { "\"v1\"\r\nX-Evil: 1", "\"v1\"\n X: 1", "\r\n\r\nGET", "\"\tv1\"",
                                       "\"v1\x01\"",          "\"\x1fv1\"",    "\"v1\x7f\"" };
    server_t server = { .reply = "HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=9\r\nETag: W/\"a b\"\r\n"
                                 "Content-Length: 101\r\n\r\n",
                        .then = THEN_HANG };
    mcp_http_request_t request = request_to(NULL);
    outcome_t got;
    int i;

    for (i = 0; i < 2; i++) {
        request.etag = good[i];
        got = exchange(&server, &request, p);
        OK(strstr(server.request, apr_pstrcat(p, "\r\nIf-None-Match: ", good[i], "\r\n", NULL)) != NULL,
           "KEY-6 the entity tag is sent as it is");
        OK(got.rv == APR_SUCCESS && got.response->status == 304 && got.response->len == 0, "KEY-6 304 is an answer");
        OK(got.took < apr_time_from_sec(3), "KEY-6 which is whole without the body whose length it tells");
        STR_IS(got.response->cache_control, "max-age=9", "with its header");
        STR_IS(got.response->etag, "W/\"a b\"", "KEY-6 and its entity tag");
    }
    for (i = 0; i < 7; i++) {
        server.hits = 0;
        request.etag = bad[i];
        exchange(&server, &request, p);
        OK(server.hits == 1 && !strcasestr(server.request, "If-None-Match") && !strstr(server.request, "X-Evil"),
           "K11 an entity tag with a control character is not, case %d", i);
    }
}

#define FORM "token=secret%2Bvalue&token_type_hint=access_token"
#define CREDENTIALS "Basic c2VjcmV0OnNlY3JldA=="

static mcp_http_request_t post_to(const char *url)
{
    mcp_http_request_t request = request_to(url);

    request.form = FORM;
    request.authorization = CREDENTIALS;
    return request;
}

/* Starts the server, posts to it, stops it. */
static outcome_t post(server_t *server, const mcp_http_request_t *request, apr_pool_t *p)
{
    mcp_http_request_t own = *request;
    outcome_t got;

    server->hits = server->differs = 0;
    server->form = own.form;
    start(server);
    own.url = apr_psprintf(p, "http://127.0.0.1:%u/introspect", server->port);
    got = get(&own, p);
    stop(server);
    return got;
}

static int has(const server_t *server, const char *line)
{
    return strstr(server->request, line) != NULL;
}

static void posted(apr_pool_t *p)
{
    server_t server = { .reply = JSON "Content-Length: 15\r\nRetry-After: 7\r\n\r\n{\"active\":true}" };
    mcp_http_request_t request = post_to(NULL);
    outcome_t got;

    request.accept = "application/token-introspection+jwt";
    got = post(&server, &request, p);
    STR_IS(body_of(&got, p), "{\"active\":true}", "INT-1 a form is answered");
    STR_IS(got.response->retry_after, "7", "R11 with Retry-After");
    OK(server.hits == 1 && !server.differs && server.body_len == strlen(FORM), "INT-1 it arrived byte for byte");
    OK(!strncmp(server.request, "POST /introspect HTTP/1.1\r\n", 27), "INT-1 by POST and with no query");
    OK(has(&server, "\r\nContent-Type: application/x-www-form-urlencoded\r\n"), "INT-1 as a form");
    OK(has(&server, apr_psprintf(p, "\r\nContent-Length: %d\r\n", (int)strlen(FORM))) &&
           !strcasestr(server.request, "Transfer-Encoding"),
       "INT-1 with its length");
    OK(has(&server, "\r\nAuthorization: " CREDENTIALS "\r\n"), "INT-1 with the credentials");
    OK(has(&server, "\r\nAccept: application/token-introspection+jwt\r\n") && !has(&server, "application/json"),
       "INT-6 for the type that is asked for alone");
    OK(!strcasestr(server.request, "Expect") && !strcasestr(server.request, "Cookie") &&
           !strcasestr(server.request, "Referer"),
       "and nothing more");
    request.authorization = request.accept = NULL;
    post(&server, &request, p);
    OK(!server.differs && server.body_len == strlen(FORM) && !strcasestr(server.request, "\r\nAuthorization:"),
       "without credentials none are sent");
    OK(has(&server, "\r\nAccept: application/json\r\n"), "and JSON is asked for");
    request.form = "";
    post(&server, &request, p);
    OK(!strncmp(server.request, "POST ", 5) && has(&server, "\r\nContent-Length: 0\r\n"), "an empty form is one");
    request = request_to(NULL);
    request.authorization = CREDENTIALS;
    post(&server, &request, p);
    OK(!strncmp(server.request, "GET ", 4) && has(&server, "\r\nAuthorization: " CREDENTIALS "\r\n"),
       "a GET may have credentials as well");
}

static void long_form(apr_pool_t *p)
{
    const int len = 1024 * 1024 + 1; /* from 1 MiB on, libcurl would wait for leave to send it */
    char *form = apr_pcalloc(p, len + 1);
    server_t server = { .reply = JSON "Content-Length: 2\r\n\r\n{}" };
    mcp_http_request_t request = post_to(NULL);
    outcome_t got;

    memset(form, 's', len);
    request.form = form;
    got = post(&server, &request, p);
    OK(got.rv == APR_SUCCESS && !server.differs && server.body_len == (apr_size_t)len, "a long form arrives whole");
    OK(!strcasestr(server.request, "Expect") && got.took < apr_time_from_msec(900), "and does not wait for a 100");
    server.reply =
        "HTTP/1.1 100 Continue\r\nRetry-After: 9\r\nCache-Control: x\r\n\r\n" JSON "Content-Length: 2\r\n\r\n{}";
    got = post(&server, &request, p);
    OK(got.rv == APR_SUCCESS && got.response->status == 200 && !got.response->retry_after && !server.differs,
       "one that comes unasked does not count");
    STR_IS(body_of(&got, p), "{}", "but what follows");
}

static void post_answers(apr_pool_t *p)
{
    static const char *const replies[] = {
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"as\"\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 Oops\r\nretry-after:  Fri, 31 Dec 1999 23:59:59 GMT \r\nContent-Length: 0\r\n\r\n"
    };
    static const int statuses[] = { 401, 403, 429, 503 };
    static const char *const retries[] = { NULL, NULL, "30", "Fri, 31 Dec 1999 23:59:59 GMT" };
    mcp_http_request_t request = post_to(NULL);
    int i;

    for (i = 0; i < 4; i++) {
        server_t server = { .reply = replies[i] };
        outcome_t got = post(&server, &request, p);

        OK(got.rv == APR_SUCCESS && got.response->status == statuses[i], "INT-5 R11 %d is an answer", statuses[i]);
        OK(server.hits == 1, "INT-5 and not asked again");
        STR_IS(got.response ? got.response->retry_after : "", retries[i], "R11 with its Retry-After");
    }
}

static void post_redirected(apr_pool_t *p)
{
    static const int statuses[] = { 301, 302, 303, 307, 308 };
    server_t target = { .reply = JSON "Content-Length: 2\r\n\r\n{}" };
    mcp_http_request_t request = post_to(NULL);
    int i;

    start(&target);
    for (i = 0; i < 5; i++) {
        server_t server = { .reply =
                                apr_psprintf(p, "HTTP/1.1 %d Elsewhere\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n",
                                             statuses[i], url_of(&target, p)) };
        outcome_t got = post(&server, &request, p);

        OK(got.rv == APR_SUCCESS && got.response->status == statuses[i] && server.hits == 1,
           "K11 R04 %d for a form is an answer", statuses[i]);
    }
    stop(&target);
    OK(target.hits == 0, "K11 INT-1 and neither form nor credentials go elsewhere");
}

/* failed() looks for "secret" in the reason; here it is in all that is sent. */
static void post_failures(apr_pool_t *p)
{
    server_t broken = { .reply = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsecret" }, silent = { .then = THEN_HANG };
    server_t proxy = { .reply = "HTTP/1.1 403 secret\r\nContent-Length: 0\r\n\r\n" };
    mcp_http_request_t request = post_to(NULL);
    outcome_t got;

    request.authorization = "Basic secret";
    got = post(&broken, &request, p);
    OK(failed(&got, APR_EGENERAL), "INT-5 a broken answer to a form is an error that tells nothing");
    request.timeout = apr_time_from_msec(300);
    got = post(&silent, &request, p);
    OK(failed(&got, APR_TIMEUP) && got.took < apr_time_from_sec(3), "INT-5 R11 so is none in time");
    request.url = "http://192.0.2.1/introspect";
    got = get(&request, p);
    OK(failed(&got, APR_EACCES), "INT-1 a form is not sent over plain http");
    request.url = apr_psprintf(p, "http://127.0.0.1:%u/introspect", silent.port);
    got = get(&request, p);
    OK(failed(&got, APR_EGENERAL), "R02 nor to a port where nobody listens");
    start(&proxy);
    request.timeout = apr_time_from_sec(9);
    request.url = "https://as.example/introspect";
    request.proxy = apr_psprintf(p, "http://127.0.0.1:%u", proxy.port);
    got = get(&request, p);
    stop(&proxy);
    OK(failed(&got, APR_EGENERAL) && !strncmp(proxy.request, "CONNECT as.example:443 ", 23), "a proxy may refuse");
    OK(!has(&proxy, "secret") && !strcasestr(proxy.request, "\r\nAuthorization:") && !proxy.differs,
       "INT-1 it sees neither form nor credentials");
}

static void bad_fields(apr_pool_t *p)
{
    static const char *const bad[] = { "",
                                       " ",
                                       " Basic secret",
                                       "\tBasic secret",
                                       "Basic secret\r\nX-Evil: 1",
                                       "Basic secret\nX-Evil: 1",
                                       "Basic secret\r",
                                       "Basic\x01secret",
                                       "Basic secret\x7f",
                                       "\xff" };
    server_t server = { .reply = JSON "Content-Length: 2\r\n\r\n{}" };
    apr_size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        mcp_http_request_t request = post_to(NULL);
        outcome_t got;

        request.authorization = bad[i];
        got = post(&server, &request, p);
        OK(failed(&got, APR_EGENERAL) && server.hits == 0, "credentials that are no field value are not sent, case %d",
           (int)i);
        request.authorization = NULL;
        request.accept = bad[i];
        got = post(&server, &request, p);
        OK(failed(&got, APR_EGENERAL) && server.hits == 0, "nor is such a type, case %d", (int)i);
    }
}

static void redirect(apr_pool_t *p)
{
    server_t target = { .reply = JSON "Content-Length: 2\r\n\r\n{}" }, server = { 0 };
    outcome_t got;

    start(&target);
    server.reply =
        apr_psprintf(p, "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n", url_of(&target, p));
    got = exchange(&server, NULL, p);
    stop(&target);
    OK(got.rv == APR_SUCCESS && got.response->status == 302, "R04 K11 a redirect is an answer");
    OK(target.hits == 0, "R04 K11 and is not followed");
}

/* An answer with a body of len bytes, framed by its length, by chunks or by the end of the connection. */
static outcome_t body_of_length(int len, const char *framing, apr_pool_t *p)
{
    char *body = apr_pcalloc(p, len + 1);
    const char *text;

    memset(body, 'x', len);
    if (*framing == 'c') {
        text = apr_psprintf(p, JSON "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len, body);
    }
    else {
        text = apr_pstrcat(p, JSON, *framing == 'l' ? apr_psprintf(p, "Content-Length: %d\r\n", len) : "", "\r\n", body,
                           NULL);
    }
    return reply(text, p);
}

static void long_bodies(apr_pool_t *p)
{
    static const char *const framings[] = { "length", "chunks", "end" };
    server_t flood = { .reply = JSON "\r\n", .then = THEN_FLOOD };
    mcp_http_request_t request = request_to(NULL);
    outcome_t got;
    int i;

    for (i = 0; i < 3; i++) {
        got = body_of_length(100, framings[i], p);
        OK(got.rv == APR_SUCCESS && got.response->len == 100, "K11 a body of max_body by %s is whole", framings[i]);
        got = body_of_length(101, framings[i], p);
        OK(failed(&got, APR_ENOSPC), "K11 R04 one byte more is an error");
    }
    got = reply(JSON "Content-Length: 209715200\r\n\r\n", p);
    OK(failed(&got, APR_ENOSPC) && got.took < apr_time_from_sec(5), "R04 200 MB are refused when they are announced");
    request.max_body = 1024 * 1024;
    got = exchange(&flood, &request, p);
    OK(failed(&got, APR_ENOSPC), "K11 an endless body ends at max_body");
    request.max_body = 0;
    flood.reply = JSON "\r\nx";
    flood.then = THEN_CLOSE;
    got = exchange(&flood, &request, p);
    OK(failed(&got, APR_ENOSPC), "max_body 0 is no body, not no limit");
}

/* An answer whose header has so many of those lines. */
static const char *header_of(const char *line, int count, apr_pool_t *p)
{
    static const char start[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
    apr_size_t len = strlen(line);
    char *text = apr_pcalloc(p, sizeof(start) + len * count + 2), *end = text + sizeof(start) - 1;

    memcpy(text, start, sizeof(start) - 1);
    for (; count; count--, end += len) {
        memcpy(end, line, len);
    }
    memcpy(end, "\r\n", 2);
    return text;
}

static void long_header(apr_pool_t *p)
{
    const char *line = apr_psprintf(p, "X: %0997d\r\n", 0);
    struct rusage before, after;
    outcome_t got = reply(header_of(line, 64, p), p);

    OK(got.rv == APR_SUCCESS, "K11 a header below 64 KiB is read");
    got = reply(header_of(line, 66, p), p);
    OK(failed(&got, APR_EGENERAL), "K11 one above is an error");
    getrusage(RUSAGE_SELF, &before);
    got = reply(header_of("Cache-Control:aaaaaaaaaaaa\r\n", 2000, p), p);
    getrusage(RUSAGE_SELF, &after);
    OK(got.rv == APR_SUCCESS && strlen(got.response->cache_control) == 2000 * 14 - 2, "K11 2000 lines are joined");
    OK(after.ru_maxrss - before.ru_maxrss < 8 * 1024, "K11 R04 in memory for them, not for their square");
}

static void broken_answers(apr_pool_t *p)
{
    static const char *const texts[] = { JSON "Content-Length: 20\r\n\r\n{\"secret\":1}",
                                         JSON "Transfer-Encoding: chunked\r\n\r\n6\r\nsecret\r\n",
                                         JSON "Transfer-Encoding: chunked\r\n\r\nsecret\r\n",
                                         "HTTP/1.1 200 OK\r\nContent-Le",
                                         "{\"keys\":\"secret\"}",
                                         "" };
    server_t server = { 0 };
    mcp_http_request_t request;
    outcome_t got;
    int i;

    for (i = 0; i < 6; i++) {
        got = reply(texts[i], p);
        OK(failed(&got, APR_EGENERAL), "R04 a broken answer is an error, case %d", i);
    }
    start(&server);
    stop(&server);
    request = request_to(url_of(&server, p));
    got = get(&request, p);
    OK(failed(&got, APR_EGENERAL), "R02 so is a refused connection");
}

static void slow_servers(apr_pool_t *p)
{
    server_t server = { .reply = JSON "Content-Length: 90\r\n\r\n", .then = THEN_DRIP };
    mcp_http_request_t request = request_to(NULL);
    outcome_t got;

    request.timeout = apr_time_from_msec(400);
    got = exchange(&server, &request, p);
    OK(failed(&got, APR_TIMEUP), "R04 a body byte by byte runs into the timeout");
    OK(got.took >= apr_time_from_msec(390) && got.took < apr_time_from_sec(3), "R04 which is for the whole exchange");
    server.reply = NULL;
    server.then = THEN_HANG;
    got = exchange(&server, &request, p);
    OK(failed(&got, APR_TIMEUP) && got.took < apr_time_from_sec(3), "R03 so does silence");
    request.timeout = 1;
    got = exchange(&server, &request, p);
    OK(failed(&got, APR_TIMEUP) && got.took < apr_time_from_sec(3), "a timeout below a millisecond is not endless");
    request.timeout = 0;
    server.hits = 0;
    got = exchange(&server, &request, p);
    OK(failed(&got, APR_TIMEUP) && server.hits == 0, "nor is none: nothing is asked for");
}

static int cancel_later(void *baton)
{
    int *asked = baton;

    return ++*asked > 8;
}

static void cancelled(apr_pool_t *p)
{
    server_t silent = { .then = THEN_HANG }, server = { .reply = JSON "Content-Length: 2\r\n\r\n{}" };
    mcp_http_request_t request = request_to(NULL);
    int asked = 0;
    outcome_t got;

    request.cancelled = cancel_later;
    request.baton = &asked;
    got = exchange(&silent, &request, p);
    OK(failed(&got, APR_EOF) && got.took < apr_time_from_sec(3),
       "a hanging exchange is cancelled soon: the baton is asked often");
    asked = 99;
    silent.hits = 0;
    got = exchange(&silent, &request, p);
    OK(failed(&got, APR_EOF) && silent.hits == 0, "one that was cancelled before connects to nobody");
    asked = -100000;
    got = exchange(&server, &request, p);
    OK(got.rv == APR_SUCCESS && asked > -100000, "one that is not goes on");
}

static void refused_urls(apr_pool_t *p)
{
    server_t server = { .reply = JSON "Content-Length: 2\r\n\r\n{}" };
    static const char *const forms[] = { "ftp://127.0.0.1:%u/",    "file:///etc/hostname?%u",
                                         "gopher://127.0.0.1:%u/", "http://user@127.0.0.1:%u/",
                                         "127.0.0.1:%u",           "http://127.1:%u/",
                                         "http://0x7f000001:%u/",  "http://192.0.2.1:%u/" };
    mcp_http_request_t request;
    outcome_t got;
    apr_size_t i;

    start(&server);
    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        request = request_to(apr_psprintf(p, forms[i], server.port));
        got = get(&request, p);
        OK(failed(&got, APR_EACCES), "K11 KEY-3 not fetched: %s", forms[i]);
    }
    stop(&server);
    OK(server.hits == 0, "K11 KEY-3 nobody was connected to");
    request = request_to(NULL);
    request.allow_http = 1;
    start(&server);
    request.url = apr_psprintf(p, "http://127.1:%u/", server.port);
    got = get(&request, p);
    stop(&server);
    OK(got.rv == APR_SUCCESS && server.hits == 1, "plain http to any host can be allowed");
}

static void proxies(apr_pool_t *p)
{
    server_t server = { .reply = JSON "Content-Length: 2\r\n\r\n{}" }, dead = { 0 };
    mcp_http_request_t request = request_to("http://as.example/k");
    outcome_t got;

    start(&dead);
    stop(&dead);
    setenv("http_proxy", url_of(&dead, p), 1);
    setenv("all_proxy", url_of(&dead, p), 1);
    setenv("no_proxy", "*", 1);
    unsetenv("NO_PROXY");
    start(&server);
    request.allow_http = 1;
    request.proxy = apr_psprintf(p, "http://127.0.0.1:%u", server.port);
    got = get(&request, p);
    stop(&server);
    OK(got.rv == APR_SUCCESS && !strncmp(server.request, "GET http://as.example/k ", 24), "a proxy is used");
    OK(strstr(server.request, "Host: as.example\r\n") != NULL, "whatever no_proxy says");
    request = request_to("http://localhost/k");
    start(&server);
    request.proxy = apr_psprintf(p, "http://0.0.0.0:%u", server.port);
    got = get(&request, p);
    stop(&server);
    OK(got.rv == APR_SUCCESS, "a proxy may be anywhere, also for a loopback URL");
    unsetenv("no_proxy");
    got = exchange(&server, NULL, p);
    OK(got.rv == APR_SUCCESS, "none is used because of the environment");
    unsetenv("http_proxy");
    unsetenv("all_proxy");
}

/* A self-signed certificate for localhost, which is its own authority, valid until so many seconds from now. */
static X509 *make_certificate(EVP_PKEY *pkey, long until)
{
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -86400);
    X509_gmtime_adj(X509_getm_notAfter(cert), until);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_set_pubkey(cert, pkey);
    X509_add_ext(cert, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(cert, pkey, EVP_sha256());
    return cert;
}

/* A new file in the directory for such, open for writing. */
static FILE *temp_file(const char **ppath, const char *name, apr_pool_t *p)
{
    const char *dir;

    apr_temp_dir_get(&dir, p);
    *ppath = apr_psprintf(p, "%s/mcp-%s-%d", dir, name, (int)getpid());
    unlink(*ppath);
    return fopen(*ppath, "wx");
}

static const char *write_certificate(X509 *cert, apr_pool_t *p)
{
    const char *path;
    FILE *file = temp_file(&path, "certificate", p);

    PEM_write_X509(file, cert);
    fclose(file);
    return path;
}

/* Lets the library speak what it can, so that only our own settings forbid anything. */
static void allow_old_tls(apr_pool_t *p)
{
    const char *path;
    FILE *file = temp_file(&path, "openssl", p);

    fputs("openssl_conf = main\n[main]\nssl_conf = ssl\n[ssl]\nsystem_default = all\n"
          "[all]\nMinProtocol = TLSv1\nCipherString = DEFAULT@SECLEVEL=0\n",
          file);
    fclose(file);
    setenv("OPENSSL_CONF", path, 1);
    OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, NULL);
    unlink(path);
}

static int note_h2(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in,
                   unsigned int inlen, void *baton)
{
    *(int *)baton |= memmem(in, inlen, "\002h2", 3) != NULL;
    return SSL_TLSEXT_ERR_NOACK;
}

/* One https exchange with a server that has such a certificate, which is trusted if trust. */
static outcome_t secure(const char *host, long until, int trust, int version, apr_pool_t *p)
{
    int h2 = 0;
    server_t server = { .reply = JSON "Content-Length: 2\r\n\r\n{}", .tls = SSL_CTX_new(TLS_server_method()) };
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509 *cert = make_certificate(pkey, until);
    const char *path = write_certificate(cert, p);
    mcp_http_request_t request;
    outcome_t got;

    SSL_CTX_use_certificate(server.tls, cert);
    SSL_CTX_use_PrivateKey(server.tls, pkey);
    SSL_CTX_set_max_proto_version(server.tls, version);
    SSL_CTX_set_alpn_select_cb(server.tls, note_h2, &h2);
    start(&server);
    request = request_to(apr_psprintf(p, "https://%s:%u/", host, server.port));
    request.ca_file = trust ? path : NULL;
    request.allow_http = 1;
    got = get(&request, p);
    stop(&server);
    OK(!h2, "HTTP/2 is not offered");
    unlink(path);
    X509_free(cert);
    EVP_PKEY_free(pkey);
    SSL_CTX_free(server.tls);
    return got;
}

static void certificates(apr_pool_t *p)
{
    mcp_http_request_t request = request_to("https://localhost:1/");
    outcome_t got = secure("localhost", 3600, 1, TLS1_3_VERSION, p);

    OK(got.rv == APR_SUCCESS && got.response->status == 200, "https with a trusted certificate");
    got = secure("localhost", 3600, 0, TLS1_3_VERSION, p);
    OK(failed(&got, APR_EGENERAL), "KEY-3 a certificate nobody vouches for is refused");
    got = secure("127.0.0.1", 3600, 1, TLS1_3_VERSION, p);
    OK(failed(&got, APR_EGENERAL), "R04 so is a certificate for another name");
    got = secure("localhost", -3600, 1, TLS1_3_VERSION, p);
    OK(failed(&got, APR_EGENERAL), "R04 and an expired one");
    got = secure("localhost", 3600, 1, TLS1_1_VERSION, p);
    OK(failed(&got, APR_EGENERAL), "KEY-3 and TLS below 1.2");
    got = secure("localhost", 3600, 1, TLS1_2_VERSION, p);
    OK(got.rv == APR_SUCCESS, "but not TLS 1.2");
    request.ca_file = "/nonexistent/ca.pem";
    got = get(&request, p);
    OK(failed(&got, APR_EGENERAL), "a certificate file that is missing is an error");
}

static void form_by_proxy(apr_pool_t *p)
{
    server_t server = { .reply = JSON "Content-Length: 2\r\n\r\n{}" };
    mcp_http_request_t request = request_to("http://localhost/introspect");
    outcome_t got;

    start(&server);
    request.form = server.form = "token=secret";
    request.proxy = apr_psprintf(p, "http://127.0.0.1:%u", server.port);
    got = get(&request, p);
    OK(failed(&got, APR_EACCES) && server.hits == 0, "KEY-3 a token in plain http is shown to no proxy");
    request.allow_http = 1;
    got = get(&request, p);
    stop(&server);
    OK(got.rv == APR_SUCCESS && server.hits == 1, "but where plain http is allowed");
}

/* A proxy that is reached by https, and for which the file of certificates counts as it does for the server. */
static outcome_t by_tls_proxy(server_t *server, const char *host, int trust, apr_pool_t *p)
{
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    X509 *cert = make_certificate(pkey, 3600);
    const char *path = write_certificate(cert, p);
    mcp_http_request_t request = request_to("http://as.example/k");
    outcome_t got;

    server->tls = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(server->tls, cert);
    SSL_CTX_use_PrivateKey(server->tls, pkey);
    start(server);
    request.allow_http = 1;
    request.proxy = apr_psprintf(p, "https://%s:%u", host, server->port);
    request.ca_file = trust ? path : NULL;
    got = get(&request, p);
    stop(server);
    unlink(path);
    X509_free(cert);
    EVP_PKEY_free(pkey);
    SSL_CTX_free(server->tls);
    return got;
}

static void tls_proxies(apr_pool_t *p)
{
    server_t server = { .reply = JSON "Content-Length: 2\r\n\r\n{}" };
    outcome_t got = by_tls_proxy(&server, "localhost", 1, p);

    OK(got.rv == APR_SUCCESS && !strncmp(server.request, "GET http://as.example/k ", 24),
       "KEY-3 a proxy that the CA file vouches for");
    *server.request = '\0';
    got = by_tls_proxy(&server, "localhost", 0, p);
    OK(failed(&got, APR_EGENERAL) && !*server.request, "KEY-3 one that nobody vouches for is asked nothing");
    got = by_tls_proxy(&server, "127.0.0.1", 1, p);
    OK(failed(&got, APR_EGENERAL) && !*server.request, "KEY-3 nor is one with a certificate for another name");
}

static void test(apr_pool_t *p)
{
    signal(SIGPIPE, SIG_IGN);
    allow_old_tls(p);
    OK(mcp_http_curl_init() == APR_SUCCESS, "libcurl starts");
    good_answer(p);
    other_answers(p);
    not_modified(p);
    redirect(p);
    posted(p);
    long_form(p);
    post_answers(p);
    post_redirected(p);
    post_failures(p);
    bad_fields(p);
    long_bodies(p);
    long_header(p);
    broken_answers(p);
    slow_servers(p);
    cancelled(p);
    refused_urls(p);
    proxies(p);
    certificates(p);
    form_by_proxy(p);
    tls_proxies(p);
}
