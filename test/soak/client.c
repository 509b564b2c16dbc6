/* Many requests from one process, and every answer looked at: the load of test/soak.sh and test/flood.sh.
 *
 *   client --port P [--path /mcp] [--connections N] [--rate N] [--close] [--tokens FILE] [--random] [--hot N]
 *          [--body FILE] [--any] [--streams]
 *
 * Each connection sends when it has its answer, all together no faster than --rate; --close takes a new connection for each
 * request. Tokens come from FILE, one in a line, in their order, or --random; with --hot N every second request takes one of
 * the first N. A request is a POST of a short tools/call with an id of its own, and a good answer is 200 with exactly the
 * body that the MCP server makes of this id. --body: of this text instead, whatever the answer's body is; so it is with
 * --any. --streams: each connection is an event stream that stays open, and is opened again when it ends.
 *
 * Commands on standard input, each answered with one line: "phase NAME", "tokens FILE" (answered when no request with an
 * older one is under way), "count" (answers so far), "rate N" (-1: none), "stop" (the result as JSON); of streams "open" (how
 * many), "heard TEXT" (how many have got it since "forget"), "reopen" (all of them). A kept connection that ends before a byte of the answer is no loss: the request is
 * repeated once, as every HTTP client does. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 20.0 /* seconds after which a request counts as lost */
#define MOST_FDS 65536
#define BUCKETS 640 /* of times: 16 per octave of microseconds */
#define MOST_EVENTS 40000

typedef struct conn_t {
    int fd; /* -1: not connected */
    int connecting, busy, used, retried, batch, drawer;
    char *out, *in;
    size_t outlen, sent, have, need, insize, head;
    int status, ends;
    unsigned long id;
    double at, not_before;
    int heard;
} conn_t;

typedef struct drawer_t {
    char name[40];
    unsigned long sent, retries, slow, wrong, codes[600], times[BUCKETS];
    double begin, seconds, max;
} drawer_t;

typedef struct event_t { /* whatever was not a good answer */
    double at;
    int drawer;
    char what[80];
} event_t;

static struct {
    int port, connections, close, any, streams, random, hot;
    double rate;
    const char *path, *body;
} opt = { .path = "/mcp" };

static char **tokens, *token_text, *body_text;
static size_t ntokens, body_len;
static int poller, batch, ndrawers, nevents, stopping, waiting, live;
static conn_t *conns, *by_fd[MOST_FDS];
static drawer_t drawers[64];
static event_t events[MOST_EVENTS];
static unsigned long serial, more_events, total, issued;
static const char *wanted = "";
static double rate_begin;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static double wall(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static char *slurp(const char *name, size_t *len)
{
    FILE *f = fopen(name, "rb");
    char *text;
    long size;

    if (!f || fseek(f, 0, SEEK_END) || (size = ftell(f)) < 0) {
        die(name);
    }
    rewind(f);
    text = malloc((size_t)size + 1);
    *len = fread(text, 1, (size_t)size, f);
    text[*len] = '\0';
    fclose(f);
    return text;
}

static void tokens_load(const char *name)
{
    size_t len, n = 0, room = 1024;
    char *at, *line;

    free(tokens);
    free(token_text);
    token_text = slurp(name, &len);
    tokens = malloc(room * sizeof(char *));
    for (line = strtok_r(token_text, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
        if (n == room) {
            room *= 2;
            tokens = realloc(tokens, room * sizeof(char *));
        }
        tokens[n++] = line;
    }
    ntokens = n;
}

/* --- what happened ----------------------------------------------------------------------------------------------- */

static void drawer_open(const char *name)
{
    if (ndrawers) {
        drawers[ndrawers - 1].seconds = wall() - drawers[ndrawers - 1].begin;
    }
    if (ndrawers == 64) {
        die("too many phases");
    }
    snprintf(drawers[ndrawers].name, sizeof(drawers[0].name), "%s", name);
    drawers[ndrawers++].begin = wall();
}

static void note(int drawer, const char *what)
{
    if (nevents == MOST_EVENTS) {
        more_events++;
        return;
    }
    events[nevents].at = wall();
    events[nevents].drawer = drawer;
    snprintf(events[nevents++].what, sizeof(events[0].what), "%s", what);
}

static void took(drawer_t *d, double seconds)
{
    double us = seconds * 1e6;
    int bucket = 0;

    while (us >= 2 && bucket < BUCKETS - 16) {
        us /= 2;
        bucket += 16;
    }
    d->times[bucket + (us >= 1 ? (int)((us - 1) * 16) : 0)]++;
    d->max = seconds > d->max ? seconds : d->max;
    d->slow += seconds > 0.5;
}

static double quantile(const drawer_t *d, double q)
{
    unsigned long sum = 0, all = 0;
    int i;

    for (i = 0; i < BUCKETS; i++) {
        all += d->times[i];
    }
    for (i = 0; i < BUCKETS; i++) {
        sum += d->times[i];
        if (all && (double)sum >= q * (double)all) {
            return (double)(1L << (i / 16)) * (1 + (i % 16 + 0.5) / 16) / 1e6;
        }
    }
    return 0;
}

static void report(void)
{
    int i, k, first;

    drawers[ndrawers - 1].seconds = wall() - drawers[ndrawers - 1].begin;
    printf("{\"phases\":{");
    for (i = 0; i < ndrawers; i++) {
        drawer_t *d = &drawers[i];

        printf("%s\"%s\":{\"sent\":%lu,\"retries\":%lu,\"slow\":%lu,\"wrong\":%lu,\"seconds\":%.3f,\"max\":%.6f,"
               "\"p50\":%.6f,\"p99\":%.6f,\"codes\":{",
               i ? "," : "", d->name, d->sent, d->retries, d->slow, d->wrong, d->seconds, d->max, quantile(d, 0.5),
               quantile(d, 0.99));
        for (first = 1, k = 0; k < 600; k++) {
            if (d->codes[k]) {
                printf("%s\"%d\":%lu", first ? "" : ",", k, d->codes[k]);
                first = 0;
            }
        }
        printf("}}");
    }
    printf("},\"more_events\":%lu,\"events\":[", more_events);
    for (i = 0; i < nevents; i++) {
        printf("%s[%.3f,\"%s\",\"%s\"]", i ? "," : "", events[i].at, drawers[events[i].drawer].name, events[i].what);
    }
    printf("]}\n");
    fflush(stdout);
}

/* --- connections ------------------------------------------------------------------------------------------------- */

static void conn_close(conn_t *c)
{
    struct linger l = { 1, 0 };

    if (c->fd < 0) {
        return;
    }
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)); /* nothing in TIME_WAIT */
    by_fd[c->fd] = NULL;
    close(c->fd);
    c->fd = -1;
    c->used = c->connecting = 0;
}

static void watch(conn_t *c, int op, unsigned int what)
{
    struct epoll_event e = { .events = what, .data.fd = c->fd };

    epoll_ctl(poller, op, c->fd, &e);
}

static void broken(conn_t *c, const char *why);

static void flush_out(conn_t *c)
{
    ssize_t n;

    while (c->sent < c->outlen) {
        n = send(c->fd, c->out + c->sent, c->outlen - c->sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            return;
        }
        if (n < 0) {
            /* Refused before the body was sent: the answer is there to be read. */
            if (opt.body && (errno == EPIPE || errno == ECONNRESET)) {
                break;
            }
            broken(c, "write");
            return;
        }
        c->sent += (size_t)n;
    }
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void conn_open(conn_t *c)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((unsigned short)opt.port) };
    int one = 1;

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || c->fd >= MOST_FDS) {
        die("socket");
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    by_fd[c->fd] = c;
    c->have = c->head = c->sent = 0;
    if (connect(c->fd, (struct sockaddr *)&a, sizeof(a)) && errno != EINPROGRESS) {
        broken(c, "connect");
        return;
    }
    c->connecting = 1;
    watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

static const char *pick(void)
{
    unsigned long n = serial;

    if (!ntokens) {
        return "";
    }
    if (opt.hot && n % 2) {
        return tokens[(unsigned long)random() % (unsigned long)opt.hot];
    }
    n = opt.hot ? n / 2 : n;
    return tokens[(opt.random ? (unsigned long)random() : n) % ntokens];
}

static void make(conn_t *c)
{
    const char *token = pick(), *begin = *token ? "Authorization: Bearer " : "";
    char json[256];
    const char *body = json;
    size_t len, room;

    c->id = ++serial;
    if (body_text) {
        body = body_text;
        len = body_len;
    }
    else {
        len = (size_t)snprintf(json, sizeof(json),
                               "{\"jsonrpc\":\"2.0\",\"id\":%lu,\"method\":\"tools/call\",\"params\":{\"name\":\"add\","
                               "\"arguments\":{\"a\":%lu,\"b\":2}}}",
                               c->id, c->id % 1000);
    }
    room = len + strlen(token) + 600;
    free(c->out);
    c->out = malloc(room);
    if (opt.streams) {
        c->outlen = (size_t)snprintf(c->out, room,
                                     "GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n%s%s\r\n\r\n",
                                     opt.path, begin, token);
        return;
    }
    c->outlen =
        (size_t)snprintf(c->out, room,
                         "POST %s HTTP/1.1\r\nHost: localhost\r\nAccept: application/json, text/event-stream\r\n"
                         "Content-Type: application/json\r\n%s%s%sContent-Length: %zu\r\n%s\r\n",
                         opt.path, begin, token, *token ? "\r\n" : "", len, opt.close ? "Connection: close\r\n" : "");
    memcpy(c->out + c->outlen, body, len);
    c->outlen += len;
}

static void request(conn_t *c)
{
    make(c);
    c->busy = 1;
    c->retried = 0;
    c->heard = 0;
    c->batch = batch;
    c->drawer = ndrawers - 1;
    c->at = wall();
    c->have = c->head = c->sent = 0;
    drawers[c->drawer].sent++;
    live++;
    if (c->fd < 0) {
        conn_open(c);
    }
    else {
        flush_out(c);
    }
}

static void finished(conn_t *c)
{
    c->busy = 0;
    live--;
    took(&drawers[c->drawer], wall() - c->at);
}

/* The connection ended before its answer had. */
static void broken(conn_t *c, const char *why)
{
    int again = c->used && !c->have && !c->retried && !opt.streams;
    char what[80];

    snprintf(what, sizeof(what), "%s%s%s", why, c->head ? " after " : "", c->head ? "the head of an answer" : "");
    conn_close(c);
    if (again) {
        c->retried = 1;
        drawers[c->drawer].retries++;
        conn_open(c);
        return;
    }
    note(c->drawer, what);
    c->not_before = wall() + 0.1;
    finished(c);
}

static int as_expected(const conn_t *c)
{
    char want[100];
    int len;

    if (opt.any || opt.body || c->status != 200) {
        return 1;
    }
    len = snprintf(want, sizeof(want), "{\"jsonrpc\":\"2.0\",\"id\":%lu,\"result\":{}}", c->id);
    return c->need - c->head == (size_t)len && !memcmp(c->in + c->head, want, (size_t)len);
}

static void answered(conn_t *c)
{
    drawer_t *d = &drawers[c->drawer];
    char what[80];

    d->codes[c->status]++;
    total++;
    if (!as_expected(c)) {
        d->wrong++;
        note(c->drawer, "wrong answer");
    }
    else if (c->status != 200) {
        snprintf(what, sizeof(what), "status %d", c->status);
        note(c->drawer, what);
    }
    c->used = 1;
    if (c->ends || opt.close || c->sent < c->outlen) {
        conn_close(c);
    }
    finished(c);
}

static int parse_head(conn_t *c)
{
    char *end = strstr(c->in, "\r\n\r\n"), *line;
    size_t length = 0;
    int known = 0;

    if (!end) {
        return 0;
    }
    c->head = (size_t)(end + 4 - c->in);
    c->status = c->have > 12 && !strncmp(c->in, "HTTP/1.1 ", 9) ? (int)strtol(c->in + 9, NULL, 10) : 0;
    if (c->status < 100 || c->status > 599) {
        broken(c, "no status line");
        return 0;
    }
    c->ends = 0;
    for (line = strstr(c->in, "\r\n"); line && line < end; line = strstr(line, "\r\n")) {
        line += 2;
        if (!strncasecmp(line, "Content-Length:", 15)) {
            length = (size_t)strtoul(line + 15, NULL, 10);
            known = 1;
        }
        else if (!strncasecmp(line, "Connection: close", 17)) {
            c->ends = 1;
        }
    }
    if (!known && !opt.streams) {
        broken(c, c->status == 200 ? "200 without Content-Length" : "no Content-Length");
        return 0;
    }
    c->need = c->head + length;
    return 1;
}

static void readable(conn_t *c)
{
    ssize_t n;

    if (c->insize - c->have < 2048) {
        c->insize = c->insize ? 2 * c->insize : 4096;
        c->in = realloc(c->in, c->insize + 1);
    }
    n = read(c->fd, c->in + c->have, c->insize - c->have);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        if (c->busy) {
            broken(c, n ? "reset" : "closed");
        }
        else {
            conn_close(c);
        }
        return;
    }
    c->have += (size_t)n;
    c->in[c->have] = '\0';
    if (!c->busy || (!c->head && !parse_head(c))) {
        return;
    }
    if (opt.streams) {
        if (c->status != 200) {
            drawers[c->drawer].codes[c->status]++;
            broken(c, "a stream was refused");
            return;
        }
        if (!c->used) {
            c->used = 1;
            drawers[c->drawer].codes[200]++;
            total++;
        }
        c->heard |= *wanted && strstr(c->in + c->head, wanted);
        if (c->have > 65536) {
            c->have = c->head;
        }
        return;
    }
    if (c->have >= c->need) {
        answered(c);
    }
}

static void ready(conn_t *c, unsigned int what)
{
    int err = 0;
    socklen_t size = sizeof(err);

    if (c->connecting) {
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &size);
        if (err) {
            broken(c, "connect");
            return;
        }
        c->connecting = 0;
        flush_out(c);
        return;
    }
    if (what & EPOLLOUT) {
        flush_out(c);
    }
    if (c->fd >= 0 && (what & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
        readable(c);
    }
}

/* --- commands ---------------------------------------------------------------------------------------------------- */

static void streams_reopen(void)
{
    int i;

    for (i = 0; i < opt.connections; i++) {
        if (conns[i].busy) {
            conn_close(&conns[i]);
            conns[i].busy = 0;
            live--;
        }
    }
    puts("done");
}

static void heard(const char *text)
{
    static char kept[100];
    int i, n = 0;

    snprintf(kept, sizeof(kept), "%.90s", text);
    wanted = kept;
    for (i = 0; i < opt.connections; i++) {
        if (conns[i].busy && conns[i].have) {
            conns[i].heard |= strstr(conns[i].in + conns[i].head, wanted) != NULL;
        }
        n += conns[i].busy && conns[i].heard;
    }
    printf("%d\n", n);
}

static void streams_forget(void)
{
    int i;

    for (i = 0; i < opt.connections; i++) {
        conns[i].heard = 0;
        if (conns[i].busy && conns[i].head) {
            conns[i].have = conns[i].head;
            conns[i].in[conns[i].have] = '\0';
        }
    }
    puts("done");
}

static void streams_count(void)
{
    int i, n = 0;

    for (i = 0; i < opt.connections; i++) {
        n += conns[i].busy && conns[i].used;
    }
    printf("%d\n", n);
}

static void obey(char *line)
{
    if (!strncmp(line, "phase ", 6)) {
        drawer_open(line + 6);
        puts("done");
    }
    else if (!strncmp(line, "tokens ", 7)) {
        tokens_load(line + 7);
        batch++;
        if (opt.streams) {
            puts("done"); /* open ones stay */
        }
        else {
            waiting = batch;
        }
    }
    else if (!strncmp(line, "rate ", 5)) {
        opt.rate = strtod(line + 5, NULL);
        rate_begin = wall();
        issued = 0;
        puts("done");
    }
    else if (!strncmp(line, "heard ", 6)) {
        heard(line + 6);
    }
    else if (!strcmp(line, "count")) {
        printf("%lu\n", total);
    }
    else if (!strcmp(line, "open")) {
        streams_count();
    }
    else if (!strcmp(line, "forget")) {
        streams_forget();
    }
    else if (!strcmp(line, "reopen")) {
        streams_reopen();
    }
    else if (!strcmp(line, "stop")) {
        stopping = 1;
    }
    fflush(stdout);
}

static void commands(void)
{
    static char line[4096];
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
        obey(line);
        have -= (size_t)(end + 1 - line);
        memmove(line, end + 1, have + 1);
    }
}

/* --- the loop ---------------------------------------------------------------------------------------------------- */

static int older_under_way(void)
{
    int i;

    for (i = 0; i < opt.connections; i++) {
        if (conns[i].busy && conns[i].batch < waiting) {
            return 1;
        }
    }
    return 0;
}

/* Milliseconds until something has to be sent again. */
static int send_what_is_due(void)
{
    double t = wall(), due = opt.rate > 0 ? (t - rate_begin) * opt.rate : 1e18;
    int i, started = 0;

    if (stopping || opt.rate < 0) {
        return 100;
    }
    for (i = 0; i < opt.connections; i++) {
        if (conns[i].busy || conns[i].not_before > t) {
            continue;
        }
        if ((double)issued >= due || (opt.streams && ++started > 64)) {
            return 1;
        }
        issued++;
        request(&conns[i]);
    }
    /* What could not be sent in time is not made up for in a burst. */
    if (opt.rate > 0 && due - (double)issued > opt.rate) {
        rate_begin = t;
        issued = 0;
    }
    return 20;
}

static void sweep(void)
{
    double t = wall();
    int i;

    for (i = 0; i < opt.connections; i++) {
        if (conns[i].busy && t - conns[i].at > PATIENCE && !(opt.streams && conns[i].used)) {
            conns[i].retried = 1;
            broken(&conns[i], "no answer in time");
        }
    }
}

static void options(int argc, char **argv)
{
    const char *port = "", *connections = "16", *rate = "0", *hot = "0", *file = NULL;
    const struct {
        const char *name;
        int *flag;
        const char **value;
    } table[] = {
        { "--close", &opt.close, NULL },     { "--any", &opt.any, NULL },   { "--random", &opt.random, NULL },
        { "--streams", &opt.streams, NULL }, { "--port", NULL, &port },     { "--connections", NULL, &connections },
        { "--path", NULL, &opt.path },       { "--rate", NULL, &rate },     { "--hot", NULL, &hot },
        { "--tokens", NULL, &file },         { "--body", NULL, &opt.body },
    };
    size_t k, n = sizeof(table) / sizeof(table[0]);
    int i;

    for (i = 1; i < argc; i++) {
        for (k = 0; k < n && strcmp(argv[i], table[k].name); k++) {
        }
        if (k == n || (table[k].value && i + 1 == argc)) {
            fprintf(stderr, "client: %s\n", argv[i]);
            exit(2);
        }
        if (table[k].flag) {
            *table[k].flag = 1;
        }
        else {
            *table[k].value = argv[++i];
        }
    }
    opt.port = (int)strtol(port, NULL, 10);
    opt.connections = (int)strtol(connections, NULL, 10);
    opt.hot = (int)strtol(hot, NULL, 10);
    opt.rate = strtod(rate, NULL);
    if (file) {
        tokens_load(file);
    }
    if (opt.body) {
        body_text = slurp(opt.body, &body_len);
    }
}

int main(int argc, char **argv)
{
    struct epoll_event got[256], in = { .events = EPOLLIN };
    double swept = wall();
    int i, n, pause;

    options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(poller, EPOLL_CTL_ADD, 0, &in);
    conns = calloc((size_t)opt.connections, sizeof(conn_t));
    for (i = 0; i < opt.connections; i++) {
        conns[i].fd = -1;
    }
    drawer_open("all");
    rate_begin = wall();
    puts("ready");
    fflush(stdout);
    for (;;) {
        pause = send_what_is_due();
        n = epoll_wait(poller, got, 256, pause);
        for (i = 0; i < n; i++) {
            if (!got[i].data.fd) {
                commands();
            }
            else if (by_fd[got[i].data.fd]) {
                ready(by_fd[got[i].data.fd], got[i].events);
            }
        }
        if (wall() - swept > 0.5) {
            sweep();
            swept = wall();
        }
        if (waiting && !older_under_way()) {
            waiting = 0;
            puts("done");
            fflush(stdout);
        }
        if (stopping && (!live || opt.streams)) {
            report();
            return 0;
        }
    }
}
