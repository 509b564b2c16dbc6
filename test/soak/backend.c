/* The MCP server of test/soak.sh and test/flood.sh: fast, and it records what must never have reached it.
 *
 *   backend PORT FAULTY_PORT DIR
 *
 * PORT answers every POST with its id, GET with an event stream if that is accepted, everything else with a fixed text.
 * With X-Digest in a request, the answer has the SHA-256 of the body. FAULTY_PORT answers one request of five; the others
 * get a reset, half an answer, nothing, or what is no HTTP; and 0.3 s of every 2 s nobody listens there.
 * Requests that hold the text HOSTILE, and requests with a token, are counted; the first ones are kept in DIR/hostile.
 * Commands on standard input, each answered with one line: "count" (JSON), "say TEXT" (an event on each open stream). */
#include <openssl/evp.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_FDS 65536
#define MOST_BYTES (4 << 20)

typedef struct conn_t {
    int fd, faulty, stream, asked_on; /* asked_on: has been told to send the body */
    char *in;
    size_t have, size;
} conn_t;

static conn_t *conns[MOST_FDS];
static int poller, faulty_listener = -1, faulty_port;
static const char *dir;
static unsigned long requests, faulty_requests, hostile, with_token, streams, opened, faults[5];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void watch(int fd)
{
    struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e)) {
        die("epoll_ctl");
    }
}

static int listen_on(int port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((unsigned short)port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 4096)) {
        die("listen");
    }
    watch(fd);
    return fd;
}

static void conn_end(conn_t *c, int reset)
{
    struct linger l = { 1, 0 };

    if (reset) {
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
    }
    streams -= (unsigned long)c->stream;
    conns[c->fd] = NULL;
    close(c->fd);
    free(c->in);
    free(c);
}

/* Answers are short: what does not fit into the socket's buffer has no reader. */
static int put(conn_t *c, const char *text, size_t len)
{
    return send(c->fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static const char *header(const char *head, const char *end, const char *name)
{
    size_t len = strlen(name);
    const char *line;

    for (line = memchr(head, '\n', (size_t)(end - head)); line; line = memchr(line, '\n', (size_t)(end - line))) {
        line++;
        if (!strncasecmp(line, name, len) && line[len] == ':') {
            return line + len + 1 + strspn(line + len + 1, " \t");
        }
    }
    return NULL;
}

static void keep(const char *text, size_t len)
{
    char name[4096];
    FILE *f;

    if (hostile + with_token > 5) {
        return;
    }
    snprintf(name, sizeof(name), "%s/hostile", dir);
    f = fopen(name, "a");
    if (f) {
        fwrite(text, 1, len < 2000 ? len : 2000, f);
        fputs("\n----\n", f);
        fclose(f);
    }
}

/* The text of the id, which good clients write before anything that could look like it; NULL: a notification. */
static const char *find_id(const char *body, size_t len, int *idlen)
{
    const char *id = memmem(body, len, "\"id\":", 5);

    if (!id) {
        return NULL;
    }
    id += 5;
    *idlen = 0;
    while (id + *idlen < body + len && !strchr(",}", id[*idlen])) {
        (*idlen)++;
    }
    return id;
}

static int answer(conn_t *c, const char *head, const char *head_end, const char *body, size_t len)
{
    static const char stream[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\nd\r\ndata: hello\n\n\r\n";
    char text[512], json[320], digest[100] = "";
    const char *id = NULL, *accept = header(head, head_end, "Accept");
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned int mdlen = 0, i;
    int idlen = 0, n;

    if (*head == 'G' && accept && !strncmp(accept, "text/event-stream", 17)) {
        c->stream = 1;
        streams++;
        opened++;
        return put(c, stream, sizeof(stream) - 1);
    }
    if (header(head, head_end, "X-Digest") && EVP_Digest(body, len, md, &mdlen, EVP_sha256(), NULL)) {
        n = snprintf(digest, sizeof(digest), "X-Digest: ");
        for (i = 0; i < mdlen; i++) {
            n += snprintf(digest + n, sizeof(digest) - (size_t)n, "%02x", md[i]);
        }
        snprintf(digest + n, sizeof(digest) - (size_t)n, "\r\n");
    }
    if (*head == 'P') {
        id = find_id(body, len, &idlen);
    }
    if (*head == 'P' && !id) {
        n = snprintf(text, sizeof(text), "HTTP/1.1 202 Accepted\r\n%sContent-Length: 0\r\n\r\n", digest);
        return put(c, text, (size_t)n);
    }
    n = id ? snprintf(json, sizeof(json), "{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"result\":{}}", idlen > 200 ? 200 : idlen,
                      id)
           : snprintf(json, sizeof(json), "{\"backend\":true}");
    n = snprintf(text, sizeof(text),
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s", digest, n,
                 json);
    return put(c, text, (size_t)n);
}

/* False when the connection has to end; with a reset if so. */
static int fail(conn_t *c, int *reset)
{
    static const char half[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"jsonrpc\":";
    unsigned long how = faulty_requests++ % 5;

    faults[how]++;
    *reset = how == 1;
    if (how == 2) {
        put(c, half, sizeof(half) - 1);
    }
    if (how == 4) {
        put(c, "\x01\x02 no HTTP at all\r\n\r\n", 21);
    }
    return how == 0;
}

/* The bytes of a chunked body are joined in place. Its end in the buffer; 0: not all there yet, or no chunks. */
static size_t unchunk(char *data, size_t have, size_t *len)
{
    size_t at = 0, n;
    char *line;

    *len = 0;
    for (;;) {
        line = memchr(data + at, '\n', have - at);
        if (!line) {
            return 0;
        }
        n = (size_t)strtoul(data + at, NULL, 16);
        at = (size_t)(line + 1 - data);
        if (n + 2 > have - at) {
            return 0;
        }
        if (!n) {
            return at + 2;
        }
        memmove(data + *len, data + at, n);
        *len += n;
        at += n + 2;
    }
}

/* Handles one complete request: bytes used, 0 if it is not complete, -1 to end the connection. */
static long request(conn_t *c, int *reset)
{
    char *end = memmem(c->in, c->have, "\r\n\r\n", 4), *body, *copy = NULL;
    const char *text, *length, *chunked;
    size_t len = 0, used;
    int good;

    if (!end) {
        return 0;
    }
    body = end + 4;
    used = (size_t)(body - c->in);
    length = header(c->in, end, "Content-Length");
    chunked = header(c->in, end, "Transfer-Encoding");
    if (header(c->in, end, "Expect") && !c->asked_on) {
        c->asked_on = 1;
        put(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    }
    text = body;
    if (chunked) {
        size_t rest;

        copy = malloc(c->have - used + 1);
        memcpy(copy, body, c->have - used);
        copy[c->have - used] = '\0';
        rest = unchunk(copy, c->have - used, &len);
        text = copy;
        if (!rest) {
            free(copy);
            return 0;
        }
        used += rest;
    }
    else if (length) {
        len = (size_t)strtoul(length, NULL, 10);
        if (c->have - used < len) {
            return 0;
        }
        used += len;
    }
    if (memmem(c->in, used, "HOSTILE", 7)) {
        hostile++;
        keep(c->in, used);
    }
    if (header(c->in, end, "Authorization") || memmem(c->in, (size_t)(end - c->in), "access_token", 12)) {
        with_token++;
        keep(c->in, used);
    }
    requests++;
    c->asked_on = 0;
    good = (!c->faulty || fail(c, reset)) && answer(c, c->in, end, text, len);
    free(copy);
    return good ? (long)used : -1;
}

static void readable(conn_t *c)
{
    ssize_t n;
    long used;
    int reset = 0;

    if (c->size - c->have < 4096) {
        c->size = c->size ? 2 * c->size : 8192;
        c->in = realloc(c->in, c->size + 1);
        if (!c->in || c->size > MOST_BYTES) {
            die("a request is too long");
        }
    }
    n = read(c->fd, c->in + c->have, c->size - c->have);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        /* Half a request of a client that left must not come either: look at what is there. */
        if (c->have && memmem(c->in, c->have, "HOSTILE", 7)) {
            hostile++;
            keep(c->in, c->have);
        }
        conn_end(c, 0);
        return;
    }
    c->have += (size_t)n;
    c->in[c->have] = '\0';
    while (c->have) {
        used = request(c, &reset);
        if (used < 0) {
            conn_end(c, reset);
            return;
        }
        if (!used) {
            return;
        }
        c->have -= (size_t)used;
        memmove(c->in, c->in + used, c->have + 1);
    }
}

static void accept_all(int listener, int faulty)
{
    int fd, one = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        if (fd >= MOST_FDS) {
            die("descriptors");
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        conns[fd] = calloc(1, sizeof(conn_t));
        conns[fd]->fd = fd;
        conns[fd]->faulty = faulty;
        watch(fd);
    }
}

static void say(const char *text)
{
    char chunk[300];
    size_t len = strlen(text) + 8;
    int fd, n, told = 0;

    n = snprintf(chunk, sizeof(chunk), "%zx\r\ndata: %s\n\n\r\n", len, text);
    for (fd = 0; fd < MOST_FDS; fd++) {
        if (conns[fd] && conns[fd]->stream) {
            told += put(conns[fd], chunk, (size_t)n);
        }
    }
    printf("%d\n", told);
}

static void obey(void)
{
    static char line[1000];
    static size_t have;
    ssize_t n = read(0, line + have, sizeof(line) - have - 1);
    char *end;

    if (n <= 0) {
        exit(0); /* the driver is gone */
    }
    have += (size_t)n;
    line[have] = '\0';
    while ((end = strchr(line, '\n'))) {
        *end = '\0';
        if (!strncmp(line, "say ", 4)) {
            say(line + 4);
        }
        else {
            printf("{\"requests\":%lu,\"faulty\":%lu,\"hostile\":%lu,\"with_token\":%lu,\"streams\":%lu,\"opened\":%lu,"
                   "\"faults\":[%lu,%lu,%lu,%lu,%lu]}\n",
                   requests, faulty_requests, hostile, with_token, streams, opened, faults[0], faults[1], faults[2],
                   faults[3], faults[4]);
        }
        fflush(stdout);
        have -= (size_t)(end + 1 - line);
        memmove(line, end + 1, have + 1);
    }
}

/* Nobody listens there 0.3 s of every 2 s. */
static void faulty_turn(void)
{
    double t = now();
    int closed = t - (double)(long)(t / 2) * 2 < 0.3;

    if (closed && faulty_listener >= 0) {
        close(faulty_listener);
        faulty_listener = -1;
    }
    else if (!closed && faulty_listener < 0) {
        faulty_listener = listen_on(faulty_port);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event events[256];
    int i, n, listener;

    if (argc != 4) {
        fprintf(stderr, "backend PORT FAULTY_PORT DIR\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    dir = argv[3];
    faulty_port = (int)strtol(argv[2], NULL, 10);
    poller = epoll_create1(EPOLL_CLOEXEC);
    listener = listen_on((int)strtol(argv[1], NULL, 10));
    watch(0);
    puts("ready");
    fflush(stdout);
    for (;;) {
        faulty_turn();
        n = epoll_wait(poller, events, 256, 50);
        for (i = 0; i < n; i++) {
            int fd = events[i].data.fd;

            if (!fd) {
                obey();
            }
            else if (fd == listener || fd == faulty_listener) {
                accept_all(fd, fd == faulty_listener);
            }
            else if (conns[fd]) {
                readable(conns[fd]);
            }
        }
    }
}
