/* An HTTP client of one thread for measuring, where wrk cannot: it sends an exact number of requests, or at planned times.
 *
 *   steady --port P --path PATH --tokens FILE --body FILE --connections N --count N
 *   steady --port P --path PATH --tokens FILE --body FILE --connections N --rate N --seconds N
 *
 * FILE of --tokens holds one token per line; they are used one after another, from the start again when they are used up.
 * --count: each connection sends its next request when it has its answer. --rate: request k is due k/rate seconds after the
 * start, whether or not earlier ones are answered; it goes out on the next free connection, and its latency counts from when it
 * was due. So a server that stalls is charged with every request that had to wait for it. Prints one line of JSON, times in
 * microseconds. Any answer but 200, or a connection that ends, is an error: status 1. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX (1 << 20)
#define ANSWER_DEADLINE 60000000000ll /* ns without any answer */

typedef struct options_t {
    const char *path, *tokens_file, *body_file;
    long port, connections, count, rate, seconds;
} options_t;

typedef struct connection_t {
    int fd, busy, writable_wanted;
    int64_t due;
    char *out; /* the request: head of this token, then the body */
    size_t out_len, out_sent;
    char *in;
    size_t in_len;
} connection_t;

typedef struct bench_t {
    options_t o;
    char **tokens, *body;
    size_t ntokens, body_len;
    connection_t *connections;
    int epoll, alarm;
    long sent, answered, total;
    int64_t start, last_answer;
    double *latencies; /* microseconds */
} bench_t;

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "steady: %s: %s\n", what, detail);
    exit(1);
}

static void *must(void *p)
{
    if (!p) {
        die("memory", "none left");
    }
    return p;
}

static int64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static char *slurp(const char *name, size_t *len)
{
    FILE *f = fopen(name, "rb");
    size_t size = 1 << 16;
    char *text = must(malloc(size + 1));

    if (!f) {
        die(name, strerror(errno));
    }
    *len = 0;
    for (;;) {
        *len += fread(text + *len, 1, size - *len, f);
        if (*len < size) {
            break;
        }
        size *= 2;
        text = must(realloc(text, size + 1));
    }
    fclose(f);
    text[*len] = '\0';
    return text;
}

static void tokens_read(bench_t *b)
{
    size_t len, room = 0;
    char *line, *rest = slurp(b->o.tokens_file, &len);

    while ((line = strsep(&rest, "\n"))) {
        if (!*line) {
            continue;
        }
        if (b->ntokens == room) {
            room = room ? 2 * room : 64;
            b->tokens = must(realloc(b->tokens, room * sizeof(*b->tokens)));
        }
        b->tokens[b->ntokens++] = line;
    }
    if (!b->ntokens) {
        die(b->o.tokens_file, "no token in it");
    }
}

/* --- one request -------------------------------------------------------------------------------------------------- */

static void watch(bench_t *b, connection_t *c, int writable)
{
    struct epoll_event e;

    if (writable == c->writable_wanted) {
        return;
    }
    memset(&e, 0, sizeof(e));
    e.events = EPOLLIN | (writable ? EPOLLOUT : 0u);
    e.data.ptr = c;
    epoll_ctl(b->epoll, EPOLL_CTL_MOD, c->fd, &e);
    c->writable_wanted = writable;
}

static void send_some(bench_t *b, connection_t *c)
{
    while (c->out_sent < c->out_len) {
        ssize_t n = send(c->fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        }
        if (n < 0) {
            die("send", strerror(errno));
        }
        c->out_sent += (size_t)n;
    }
    watch(b, c, c->out_sent < c->out_len);
}

static void request_send(bench_t *b, connection_t *c, int64_t due)
{
    const char *token = b->tokens[(size_t)b->sent % b->ntokens];
    size_t room = strlen(token) + strlen(b->o.path) + 400;
    int head;

    c->out = must(realloc(c->out, room + b->body_len));
    head = snprintf(c->out, room,
                    "POST %s HTTP/1.1\r\nHost: localhost:%ld\r\nAuthorization: Bearer %s\r\n"
                    "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
                    "Content-Length: %zu\r\n\r\n",
                    b->o.path, b->o.port, token, b->body_len);
    memcpy(c->out + head, b->body, b->body_len);
    c->out_len = (size_t)head + b->body_len;
    c->out_sent = 0;
    c->in_len = 0;
    c->due = due;
    c->busy = 1;
    b->sent++;
    send_some(b, c);
}

/* --- one answer --------------------------------------------------------------------------------------------------- */

/* True when the chunks that begin at text are all there, the last one included. */
static int chunks_complete(const char *text, const char *end)
{
    for (;;) {
        char *line;
        unsigned long size = strtoul(text, &line, 16);
        const char *data = strstr(line, "\r\n");

        if (!data || line == text) {
            return 0;
        }
        data += 2;
        if ((size_t)(end - data) < size + 2) {
            return 0;
        }
        if (!size) {
            return 1; /* no trailers are expected */
        }
        text = data + size + 2;
    }
}

static int answer_complete(connection_t *c)
{
    char *body, *field;

    c->in[c->in_len] = '\0';
    body = strstr(c->in, "\r\n\r\n");
    if (!body) {
        return 0;
    }
    body += 4;
    if (strncmp(c->in, "HTTP/1.1 200 ", 13)) {
        c->in[strcspn(c->in, "\r")] = '\0';
        die("an answer is not 200", c->in);
    }
    field = strcasestr(c->in, "\r\nContent-Length:");
    if (field && field < body) {
        return c->in_len - (size_t)(body - c->in) >= strtoul(field + 17, NULL, 10);
    }
    field = strcasestr(c->in, "\r\nTransfer-Encoding: chunked");
    if (!field || field > body) {
        die("an answer", "without a length");
    }
    return chunks_complete(body, c->in + c->in_len);
}

static void answer_read(bench_t *b, connection_t *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_len, ANSWER_MAX - 1 - c->in_len, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        die("a connection ended", n ? strerror(errno) : "closed by the server");
    }
    c->in_len += (size_t)n;
    if (answer_complete(c)) {
        b->last_answer = now();
        b->latencies[b->answered++] = (double)(b->last_answer - c->due) / 1000.0;
        c->busy = 0;
    }
}

/* --- the run ------------------------------------------------------------------------------------------------------ */

static void connections_open(bench_t *b)
{
    struct sockaddr_in address;
    struct epoll_event e;
    long i;
    int one = 1;

    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)b->o.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    b->epoll = epoll_create1(0);
    b->alarm = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    memset(&e, 0, sizeof(e));
    e.events = EPOLLIN | EPOLLET; /* never read: each new alarm is an edge */
    epoll_ctl(b->epoll, EPOLL_CTL_ADD, b->alarm, &e);
    b->connections = must(calloc((size_t)b->o.connections, sizeof(*b->connections)));
    for (i = 0; i < b->o.connections; i++) {
        connection_t *c = &b->connections[i];

        c->in = must(malloc(ANSWER_MAX));
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof(address))) {
            die("connect", strerror(errno));
        }
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        e.events = EPOLLIN;
        e.data.ptr = c;
        epoll_ctl(b->epoll, EPOLL_CTL_ADD, c->fd, &e);
    }
}

static int64_t due_at(const bench_t *b, long k)
{
    return b->o.rate ? b->start + (int64_t)((double)k * 1e9 / (double)b->o.rate) : now();
}

static void send_what_is_due(bench_t *b)
{
    long i;

    for (i = 0; i < b->o.connections && b->sent < b->total; i++) {
        int64_t due = due_at(b, b->sent);

        if (due > now()) {
            return;
        }
        if (!b->connections[i].busy) {
            request_send(b, &b->connections[i], due);
        }
    }
}

/* Wakes the wait below when the next request is due, and not before: spinning would take a processor from the servers. */
static void alarm_set(const bench_t *b)
{
    struct itimerspec t;
    int64_t due = b->o.rate && b->sent < b->total ? due_at(b, b->sent) : 0;

    memset(&t, 0, sizeof(t));
    if (due > now()) {
        t.it_value.tv_sec = due / 1000000000;
        t.it_value.tv_nsec = due % 1000000000;
    }
    timerfd_settime(b->alarm, TFD_TIMER_ABSTIME, &t, NULL);
}

/* Due, and a connection is free: due between the last look and alarm_set, which sets no alarm for what is past. */
static int due_and_free(const bench_t *b)
{
    return b->sent < b->total && b->sent - b->answered < b->o.connections && due_at(b, b->sent) <= now();
}

static void run(bench_t *b)
{
    struct epoll_event events[64];
    int i, n;

    b->start = b->last_answer = now();
    while (b->answered < b->total) {
        send_what_is_due(b);
        alarm_set(b);
        n = epoll_wait(b->epoll, events, 64, due_and_free(b) ? 0 : 1000);
        for (i = 0; i < n; i++) {
            connection_t *c = events[i].data.ptr;

            if (!c) {
                continue; /* the alarm */
            }
            if (events[i].events & EPOLLOUT) {
                send_some(b, c);
            }
            if (events[i].events & ~(unsigned)EPOLLOUT) {
                answer_read(b, c);
            }
        }
        if (b->answered < b->sent && now() - b->last_answer > ANSWER_DEADLINE) {
            die("no answer", "for a minute");
        }
    }
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double quantile(const bench_t *b, double q)
{
    return b->latencies[(size_t)(q * (double)(b->answered - 1))];
}

static void report(bench_t *b)
{
    qsort(b->latencies, (size_t)b->answered, sizeof(*b->latencies), by_size);
    printf("{\"requests\": %ld, \"seconds\": %.3f, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p999\": %.1f, "
           "\"max\": %.1f}\n",
           b->answered, (double)(b->last_answer - b->start) / 1e9, quantile(b, 0.5), quantile(b, 0.9),
           quantile(b, 0.99), quantile(b, 0.999), quantile(b, 1.0));
}

static void options_parse(options_t *o, int argc, char **argv)
{
    const struct {
        const char *name;
        const char **text;
        long *number;
    } table[] = {
        { "--path", &o->path, NULL }, { "--tokens", &o->tokens_file, NULL }, { "--body", &o->body_file, NULL },
        { "--port", NULL, &o->port }, { "--count", NULL, &o->count },        { "--connections", NULL, &o->connections },
        { "--rate", NULL, &o->rate }, { "--seconds", NULL, &o->seconds },
    };
    size_t k, n = sizeof(table) / sizeof(table[0]);
    int i;

    for (i = 1; i + 1 < argc; i += 2) {
        for (k = 0; k < n && strcmp(argv[i], table[k].name); k++) {
        }
        if (k == n) {
            die("unknown option", argv[i]);
        }
        if (table[k].text) {
            *table[k].text = argv[i + 1];
        }
        else {
            *table[k].number = strtol(argv[i + 1], NULL, 10);
        }
    }
    if (!o->path || !o->tokens_file || !o->body_file || o->port < 1 || o->connections < 1 ||
        (o->count < 1) == (o->rate < 1 || o->seconds < 1)) {
        die("usage", "see the top of steady.c");
    }
}

int main(int argc, char **argv)
{
    bench_t b;

    memset(&b, 0, sizeof(b));
    options_parse(&b.o, argc, argv);
    tokens_read(&b);
    b.body = slurp(b.o.body_file, &b.body_len);
    b.total = b.o.count ? b.o.count : b.o.rate * b.o.seconds;
    b.latencies = must(malloc((size_t)b.total * sizeof(*b.latencies)));
    connections_open(&b);
    run(&b);
    report(&b);
    return 0;
}
