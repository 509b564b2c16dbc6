/* Memory runs out at each single allocation, whoever asks for it: these rooms, APR, jansson, libcurl or OpenSSL (threats.md R18). The
 * heap of the C library is replaced by one that can be told to fail, and each failure happens in a process of its own: it ends
 * with a refusal, a good result, or on purpose (APR's abort function as httpd sets it, jansson: mcp_json_init); never with a wrong
 * result, a crash or a leak. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/jsoncheck.h"
#include "keys/keysource.h"
#include "policy/lists.h"
#include "policy/policy.h"
#include "rpc/mirror.h"
#include "rpc/sse.h"
#include "tap.h"
#include "token/flight.h"
#include "token/introspection.h"
#include "world.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define NO_HEAP 1
#endif
#endif
#if !defined(__GLIBC__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NO_HEAP 1
#endif

#define PIECE 16

typedef enum { GOOD, REFUSED, WRONG, LEAK, ON_PURPOSE, OTHER } outcome_t;

/* --- the heap ---------------------------------------------------------------------------------------------------- */

static struct {
    long live;    /* blocks */
    long made;    /* allocations since it was armed */
    long fail_at; /* this one fails; 0: none does */
    int armed;
    int inside; /* curl_multi_perform */
    int theirs; /* the one that failed was asked for by libcurl in there */
} heap;

static void arm(long fail_at)
{
    heap.made = 0;
    heap.fail_at = fail_at;
    heap.armed = 1;
}

static void disarm(void)
{
    heap.armed = 0;
}

static int out_of_memory(int status)
{
    _exit(ON_PURPOSE);
}

#ifndef NO_HEAP

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *data, size_t size);
void __libc_free(void *data);

/* Is that a place in this program, with the rooms it is linked with? */
static int is_ours(const char *place)
{
    extern const char __executable_start, etext;

    return place >= &__executable_start && place < &etext;
}

static int may(const void *caller)
{
    if (!heap.armed || ++heap.made != heap.fail_at) {
        return 1;
    }
    heap.theirs = heap.inside && !is_ours(caller);
    return 0;
}

static void *counted(void *data)
{
    heap.live += data != NULL;
    return data;
}

void *malloc(size_t size)
{
    return may(__builtin_return_address(0)) ? counted(__libc_malloc(size)) : NULL;
}

void *calloc(size_t count, size_t size)
{
    return may(__builtin_return_address(0)) ? counted(__libc_calloc(count, size)) : NULL;
}

void free(void *data)
{
    heap.live -= data != NULL;
    __libc_free(data);
}

void *realloc(void *data, size_t size)
{
    if (data && !size) {
        free(data);
        return NULL;
    }
    if (!may(__builtin_return_address(0))) {
        return NULL;
    }
    return data ? __libc_realloc(data, size) : counted(__libc_realloc(NULL, size));
}

/* APR may be built to map the memory of its pools. */
void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    int counts = (flags & MAP_ANONYMOUS) && heap.armed;

    if (counts && !may(__builtin_return_address(0))) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, at, size, protection, flags, fd, offset);
}

/* What these rooms end on purpose; the C library's own calls, after it has found its heap damaged, do not come here. */
void abort(void)
{
    if (is_ours(__builtin_return_address(0))) {
        _exit(ON_PURPOSE);
    }
    signal(SIGABRT, SIG_DFL);
    raise(SIGABRT);
    _exit(OTHER);
}

static CURLMcode (*perform)(CURLM *multi, int *running);

/* libcurl 7.88 itself loses a few bytes when memory runs out while it connects. */
CURLMcode curl_multi_perform(CURLM *multi, int *running)
{
    CURLMcode code;

    heap.inside = 1;
    code = perform(multi, running);
    heap.inside = 0;
    return code;
}

static void perform_find(void)
{
    void *function = dlsym(RTLD_NEXT, "curl_multi_perform");

    SIGN_MUST(function);
    memcpy(&perform, &function, sizeof(function));
}

/* A pool begins with 8 KiB, which would do for most operations; these are used up beforehand. */
static void fill(apr_pool_t *p)
{
    static long pieces = -1;
    apr_allocator_t *allocator;
    apr_pool_t *other;
    long i;

    if (pieces < 0) {
        pieces = 0;
        SIGN_MUST(apr_allocator_create(&allocator) == APR_SUCCESS &&
                  apr_pool_create_ex(&other, NULL, out_of_memory, allocator) == APR_SUCCESS);
        apr_allocator_owner_set(allocator, other);
        arm(0);
        while (apr_palloc(other, PIECE) && !heap.made) {
            pieces++;
        }
        disarm();
        apr_pool_destroy(other);
    }
    for (i = 0; i < pieces; i++) {
        apr_palloc(p, PIECE);
    }
}

#endif

/* --- one operation, over and over -------------------------------------------------------------------------------- */

typedef struct scene_t {
    world_t w;
    mcp_policy_t policy;
    mcp_viewer_t viewer;
    const char *server; /* URL of what answers below */
} scene_t;

/* Does one thing between arm and disarm, and judges the result. What it leaves behind lives in p. */
typedef outcome_t (*operation_t)(long fail_at, const scene_t *scene, const void *what, apr_pool_t *p);

static outcome_t once(long fail_at, operation_t operation, const scene_t *scene, const void *what)
{
    apr_allocator_t *allocator;
    apr_pool_t *p;
    outcome_t outcome;

    SIGN_MUST(apr_allocator_create(&allocator) == APR_SUCCESS &&
              apr_pool_create_ex(&p, NULL, out_of_memory, allocator) == APR_SUCCESS);
    apr_allocator_owner_set(allocator, p);
#ifndef NO_HEAP
    fill(p);
#endif
    outcome = operation(fail_at, scene, what, p);
    disarm();
    ERR_clear_error();
    apr_pool_destroy(p);
    OPENSSL_thread_stop(); /* what OpenSSL keeps for each thread is no leak */
    return outcome;
}

#ifdef NO_HEAP

static void torture(const char *name, outcome_t best, operation_t operation, const scene_t *scene, const void *what)
{
    OK(once(0, operation, scene, what) == best, "R18 %s: without a failure all is well", name);
}

#else

/* Ends with what the process ended with; a signal is OTHER. */
static outcome_t apart(int *ptook_place, long fail_at, operation_t operation, const scene_t *scene, const void *what)
{
    int status = 0;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (!pid) {
        outcome_t outcome;
        long live = heap.live;

        alarm(60);
        outcome = once(fail_at, operation, scene, what);
        if (outcome != WRONG && heap.live > live && !heap.theirs) {
            outcome = LEAK;
        }
        _exit((int)outcome | (heap.made >= fail_at ? 0x40 : 0));
    }
    SIGN_MUST(pid > 0 && waitpid(pid, &status, 0) == pid);
    if (!WIFEXITED(status)) {
        printf("# signal %d\n", WTERMSIG(status));
        *ptook_place = 1;
        return OTHER;
    }
    *ptook_place = WEXITSTATUS(status) == ON_PURPOSE || (WEXITSTATUS(status) & 0x40);
    return (outcome_t)(WEXITSTATUS(status) & 0x3f);
}

/* Lets the first allocation fail, the second, and so on until one does not happen any more. best: what comes then. */
static void torture(const char *name, outcome_t best, operation_t operation, const scene_t *scene, const void *what)
{
    static const char *const bad[] = { [WRONG] = "a wrong result", [LEAK] = "a leak", [OTHER] = "a crash" };
    long at = 0, counts[OTHER + 1] = { 0 };
    outcome_t outcome;
    int happened;

    /* What is made once and kept is made now. */
    once(0, operation, scene, what);
    once(0, operation, scene, what);
    do {
        outcome = apart(&happened, ++at, operation, scene, what);
        outcome = outcome > OTHER ? OTHER : outcome;
        counts[outcome] += happened;
        if (happened && bad[outcome]) {
            printf("# %s: %s with allocation %ld\n", name, bad[outcome], at);
        }
    } while (happened && at < 20000);
    printf("# %s: of %ld allocations %ld harmless, %ld a refusal, %ld the end\n", name, at - 1, counts[GOOD],
           counts[REFUSED], counts[ON_PURPOSE]);
    OK(!counts[WRONG], "R18 %s, one allocation failing: a good result, a refusal, or the end", name);
    OK(!counts[OTHER], "R18 %s, one allocation failing: no crash", name);
    OK(!counts[LEAK], "R18 %s, one allocation failing: nothing leaks", name);
    OK(at > 1 && !happened && outcome == best, "R18 %s: without a failure all is well", name);
}

#endif

/* --- the gate ---------------------------------------------------------------------------------------------------- */

static const char CALL[] =
    "{\"jsonrpc\":\"2.0\",\"id\":\"a\\u0062c\",\"method\":\"tools/call\",\"params\":{\"name\":\"re\\u006dove\","
    "\"arguments\":{\"list\":[1,2.5,\"x\",null,true]},\"_meta\":{"
    "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","
    "\"io.modelcontextprotocol/clientCapabilities\":{}}}}";

static outcome_t reads_call(long fail_at, const scene_t *scene, const void *what, apr_pool_t *p)
{
    const mcp_mirror_t *mirror = what;
    mcp_message_t *message = NULL;
    mcp_status_t status;

    arm(fail_at);
    status = mcp_message_parse(&message, CALL, sizeof(CALL) - 1, 64, 0, p);
    status = status ? status : mcp_mirror_check(message, mirror, p);
    disarm();
    if (status != MCP_OK) {
        return REFUSED;
    }
    return strcmp(mirror->name, "add") && !strcmp(message->method, "tools/call") &&
                   !strcmp(message->object, "remove") && !strcmp(message->id, "\"a\\u0062c\"") &&
                   message->operations->nelts == 1
               ? GOOD
               : WRONG;
}

/* What is a text of more members than are compared each with each, and than there is room for without memory. */
static outcome_t checks(long fail_at, const scene_t *scene, const void *what, apr_pool_t *p)
{
    const char *text = what;
    mcp_span_t span;
    mcp_status_t status;

    arm(fail_at);
    status = mcp_jsoncheck_strict(&span, text, strlen(text), 2, NULL);
    disarm();
    return status == MCP_OK ? GOOD : REFUSED;
}

static const char *members(int count, const char *last, apr_pool_t *p)
{
    const char *text = "{";

    while (count-- > 0) {
        text = apr_psprintf(p, "%s\"k%d\":0,", text, count);
    }
    return apr_pstrcat(p, text, "\"", last, "\":0}", NULL);
}

static outcome_t reads_batch(long fail_at, const scene_t *scene, const void *what, apr_pool_t *p)
{
    static const char batch[] =
        "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\"},{\"jsonrpc\":\"2.0\",\"id\":2,"
        "\"method\":\"tools/call\",\"params\":{\"name\":\"remove\"}}]";
    mcp_message_t *message = NULL;
    mcp_status_t status;

    arm(fail_at);
    status = mcp_message_parse(&message, batch, sizeof(batch) - 1, 64, 1, p);
    disarm();
    if (status != MCP_OK) {
        return REFUSED;
    }
    return message->kind == MCP_MESSAGE_BATCH && message->messages->nelts == 2 && message->operations->nelts == 2
               ? GOOD
               : WRONG;
}

static const char TOOLS[] =
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[{\"name\":\"add\",\"n\":[1,2]},{\"name\":\"rem\\u006fve\"},"
    "{\"name\":\"get_x\"}],\"cacheScope\":\"public\"}}";

static outcome_t filters(long fail_at, const scene_t *scene, const void *what, apr_pool_t *p)
{
    const char *out = NULL;
    apr_size_t len = 0;
    mcp_status_t status;

    arm(fail_at);
    status = mcp_lists_filter(&out, &len, TOOLS, sizeof(TOOLS) - 1, &scene->viewer, p);
    disarm();
    if (status != MCP_OK) {
        return out ? WRONG : REFUSED;
    }
    return len && out != TOOLS && !strstr(out = apr_pstrmemdup(p, out, len), "ove") && strstr(out, "get_x") &&
                   strstr(out, "private")
               ? GOOD
               : WRONG;
}

static outcome_t streams(long fail_at, const scene_t *scene, const void *what, apr_pool_t *p)
{
    static const char text[] = "id: 1\r\ndata: {\"a\":\r\ndata: 1}\r\nretry: 5\r\n\r\n";
    static const char want[] = "id: 1\r\ndata: new\r\nretry: 5\r\n\r\n";
    mcp_sse_t sse = { 0 };
    mcp_event_t event;
    apr_size_t len, out_len;
    const char *out;

    arm(fail_at);
    len = mcp_sse_scan(&sse, text, sizeof(text) - 1);
    mcp_event_read(&event, text, len, p);
    out = mcp_event_replace(&out_len, text, len, "new", 3, p);
    disarm();
    return len == sizeof(text) - 1 && event.len == 8 && !memcmp(event.data, "{\"a\":\n1}", 8) &&
                   out_len == sizeof(want) - 1 && !memcmp(out, want, out_len)
               ? GOOD
               : WRONG;
}

static void test_gate(const scene_t *scene)
{
    static const mcp_mirror_t right = { "2026-07-28", "tools/call", "remove" };
    static const mcp_mirror_t encoded = { "2026-07-28", "tools/call", "=?base64?cmVtb3Zl?=" };
    static const mcp_mirror_t other = { "2026-07-28", "tools/call", "add" };

    torture("a message and its headers", GOOD, reads_call, scene, &right);
    torture("a message and its headers, encoded", GOOD, reads_call, scene, &encoded);
    torture("a message and the headers of another", REFUSED, reads_call, scene, &other);
    torture("a batch", GOOD, reads_batch, scene, NULL);
    torture("an object of many members", GOOD, checks, scene, members(150, "k", scene->w.p));
    torture("one with a member twice", REFUSED, checks, scene, members(150, "k0", scene->w.p));
    torture("a filtered list", GOOD, filters, scene, NULL);
    torture("an event of a stream", GOOD, streams, scene, NULL);
}

/* --- tokens ------------------------------------------------------------------------------------------------------ */

/* Verified, judged by a policy that asks for a scope, and remembered. */
static outcome_t grants(long fail_at, const scene_t *scene, const void *what, apr_pool_t *p)
{
    static const unsigned char key[MCP_CACHE_KEY_BYTES] = "key";
    const char *text = what;
    mcp_cache_entry_t *entry = NULL, *again = NULL;
    mcp_token_t *token = NULL;
    mcp_grant_t *grant = NULL;
    mcp_cache_t *cache;
    mcp_status_t status;
    apr_time_t now = apr_time_from_sec(NOW);

    arm(fail_at);
    if (mcp_cache_create(&cache, 10, apr_time_from_sec(60), p) != APR_SUCCESS) {
        return REFUSED;
    }
    status = mcp_token_verify(&token, NULL, text, strlen(text), scene->w.trusts, now, p);
    if (status != MCP_OK) {
        disarm();
        return token ? WRONG : REFUSED;
    }
    grant = mcp_grant_make(token, &scene->policy, 0, p);
    if (!grant) {
        return REFUSED;
    }
    mcp_cache_put(&entry, cache, key, &grant->entry, now, p);
    grant = (mcp_grant_t *)entry;
    status = mcp_grant_judge(grant, &scene->policy, 0, now);
    if (mcp_cache_get(&again, cache, key, now, p) == MCP_OK && again != entry) {
        return WRONG;
    }
    disarm();
    if (status != MCP_OK) {
        return REFUSED;
    }
    return grant->sub && !strcmp(grant->sub, "alice") && grant->scope && strstr(grant->scope, "read") ? GOOD : WRONG;
}

/* A refusal is the only right result. */
static outcome_t grants_never(long fail_at, const scene_t *scene, const void *what, apr_pool_t *p)
{
    return grants(fail_at, scene, what, p) == REFUSED ? REFUSED : WRONG;
}

static outcome_t flies(long fail_at, const scene_t *scene, const void *what, apr_pool_t *p)
{
    static const unsigned char key[MCP_FLIGHT_KEY_BYTES] = "key";
    mcp_flights_t *flights;
    mcp_flight_t *flight;
    const void *data = NULL;
    apr_size_t len = 0;
    int pilot = 0, landed;
    outcome_t outcome;

    if (mcp_flights_create(&flights, p) != APR_SUCCESS) {
        return REFUSED;
    }
    arm(fail_at);
    flight = mcp_flight_board(flights, key, &pilot);
    if (!flight) {
        return REFUSED;
    }
    mcp_flight_land(flight, "verdict", 7);
    landed = mcp_flight_wait(flight, 0, &data, &len);
    outcome = !pilot || !landed ? WRONG : !data ? REFUSED : len == 7 && !memcmp(data, "verdict", 7) ? GOOD : WRONG;
    mcp_flight_leave(flight);
    disarm();
    return outcome;
}

static void test_tokens(const scene_t *scene)
{
    const world_t *w = &scene->w;
    const char *header = head(w, "ES256", "p256");
    const char *good = claims(w, ",\"sub\":\"alice\",\"scope\":\"read wr\\u0069te\",\"aud2\":[1,{\"a\":null}]");
    char *spoilt = apr_pstrdup(w->p, sign_token(w->p256, "ES256", header, good, w->p));

    spoilt[strlen(spoilt) - 10] ^= 1;
    torture("a good token", GOOD, grants, scene, sign_token(w->p256, "ES256", header, good, w->p));
    torture("a bad signature", REFUSED, grants_never, scene, spoilt);
    torture("another audience", REFUSED, grants_never, scene,
            sign_token(w->p256, "ES256", header,
                       "{\"iss\":\"" ISSUER
                       "\",\"aud\":\"https://mcp.exXample.com/mcp\",\"exp\":1800000300,\"sub\":\"alice\","
                       "\"scope\":\"read\"}",
                       w->p));
    torture("too little scope", REFUSED, grants_never, scene,
            sign_token(w->p256, "ES256", header, claims(w, ",\"sub\":\"alice\",\"scope\":\"re\\u0061der\""), w->p));
    torture("a shared verdict", GOOD, flies, scene, NULL);
}

/* --- what comes through libcurl ---------------------------------------------------------------------------------- */

static const char *keys_text;

/* Answers each connection once, by the path, in a process of its own. */
static void serve(int fd, const char *base)
{
    for (;;) {
        char request[8192], answer[16384];
        size_t len = 0;
        ssize_t n = 1;
        const char *body = "no";
        int status = 404, connection = accept(fd, NULL, NULL);

        while (connection >= 0 && len < sizeof(request) - 1 && n > 0) {
            n = read(connection, request + len, sizeof(request) - 1 - len);
            len += n > 0 ? (size_t)n : 0;
            request[len] = '\0';
            if (strstr(request, "\r\n\r\n") && (strncmp(request, "POST", 4) || strstr(request, "token="))) {
                break;
            }
        }
        if (!strncmp(request, "GET /.well-known/oauth-authorization-server", 43)) {
            snprintf(request, sizeof(request), "{\"issuer\":\"%s\",\"jwks_uri\":\"%s/keys\"}", base, base);
            body = request;
            status = 200;
        }
        else if (!strncmp(request, "GET /keys", 9)) {
            body = keys_text;
            status = 200;
        }
        else if (!strncmp(request, "POST /inactive", 14)) {
            body = "{\"active\":false}";
            status = 200;
        }
        else if (!strncmp(request, "POST /active", 12)) {
            body = "{\"active\":true,\"aud\":\"" RESOURCE "\",\"sub\":\"alice\",\"exp\":1800000300}";
            status = 200;
        }
        snprintf(answer, sizeof(answer),
                 "HTTP/1.1 %d Is\r\nContent-Type: application/json\r\nETag: \"one\"\r\nCache-Control: max-age=60\r\n"
                 "Content-Length: %d\r\nConnection: close\r\n\r\n%s",
                 status, (int)strlen(body), body);
        if (connection >= 0) {
            n = write(connection, answer, strlen(answer));
            close(connection);
        }
    }
}

static pid_t server_start(scene_t *scene)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pid_t pid;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    SIGN_MUST(fd >= 0 && !bind(fd, (struct sockaddr *)&address, len) && !listen(fd, 64) &&
              !getsockname(fd, (struct sockaddr *)&address, &len));
    scene->server = apr_psprintf(scene->w.p, "http://127.0.0.1:%d", ntohs(address.sin_port));
    fflush(stdout);
    pid = fork();
    SIGN_MUST(pid >= 0);
    if (!pid) {
        signal(SIGPIPE, SIG_IGN);
        serve(fd, scene->server);
    }
    close(fd);
    return pid;
}

/* Discovery, the key set, and its keys. */
static outcome_t fetches(long fail_at, const scene_t *scene, const void *what, apr_pool_t *p)
{
    mcp_keysource_t source = { .issuer = scene->server, .timeout = apr_time_from_sec(30) };
    mcp_keysource_answer_t got;
    const char *reason;
    outcome_t outcome;

    memset(&got, 0xff, sizeof(got));
    arm(fail_at);
    reason = mcp_keysource_fetch(&got, &source, NULL, NULL, mcp_http_curl(), NULL, NULL, 0, p);
    disarm();
    if (reason) {
        return got.set || got.text || got.url || got.unchanged ? WRONG : REFUSED;
    }
    /* Without its entity tag, or with a shorter life, it is as good. */
    outcome = got.set && !got.unchanged && mcp_keyset_count(got.set) == 2 && got.len == strlen(keys_text) &&
                      !memcmp(got.text, keys_text, got.len)
                  ? GOOD
                  : WRONG;
    if (got.set) {
        mcp_keyset_release(got.set);
    }
    return outcome;
}

static outcome_t introspects(long fail_at, const scene_t *scene, const void *what, apr_pool_t *p)
{
    mcp_introspector_t introspector = { .client_id = "rs", .secret = "secret", .timeout = apr_time_from_sec(30) };
    mcp_endpoint_t endpoint = { 0 };
    mcp_introspection_t answer;
    mcp_token_t *token = NULL;
    mcp_status_t status;

    endpoint.url = apr_pstrcat(p, scene->server, what, NULL);
    arm(fail_at);
    mcp_introspection_call(&answer, NULL, &introspector, &endpoint, &scene->w.trust, "opaque", 6, mcp_http_curl(), NULL,
                           NULL, apr_time_from_sec(NOW), p);
    status = answer.status;
    if (status == MCP_OK) {
        status = mcp_introspection_judge(&token, answer.text, answer.len, &scene->w.trust, apr_time_from_sec(60),
                                         apr_time_from_sec(NOW), p);
    }
    disarm();
    /* "Not active" would be remembered. */
    if (status == MCP_TOKEN_INACTIVE && !strcmp(what, "/active")) {
        return WRONG;
    }
    if (status != MCP_OK) {
        return token ? WRONG : REFUSED;
    }
    return !strcmp(what, "/active") && token && token->sub && !strcmp(token->sub, "alice") ? GOOD : WRONG;
}

static void test_fetches(const scene_t *scene)
{
    torture("a fetched key set", GOOD, fetches, scene, NULL);
    torture("an active token", GOOD, introspects, scene, "/active");
    torture("an inactive token", REFUSED, introspects, scene, "/inactive");
}

/* ----------------------------------------------------------------------------------------------------------------- */

static apr_array_header_t *words(const char *a, const char *b, apr_pool_t *p)
{
    apr_array_header_t *all = apr_array_make(p, 2, sizeof(const char *));

    APR_ARRAY_PUSH(all, const char *) = a;
    if (b) {
        APR_ARRAY_PUSH(all, const char *) = b;
    }
    return all;
}

static void scene_make(scene_t *scene, apr_pool_t *p)
{
    mcp_scopes_t *scopes = mcp_scopes_create(p);
    mcp_acl_t *acl = mcp_acl_create(scopes, p);
    apr_array_header_t *paths = apr_array_make(p, 1, sizeof(mcp_claim_path_t));
    mcp_valueset_t *held = apr_palloc(p, sizeof(*held));

    memset(scene, 0, sizeof(*scene));
    world_make(&scene->w, p);
    mcp_acl_allow(acl, "read", words("tools/call:add", "tools/call:get_*", p));
    mcp_scopes_intern(scopes, "read");
    mcp_scopes_close(scopes, p);
    mcp_scopes_collect(held, scopes, words("read", NULL, p), p);
    scene->viewer.acl = acl;
    scene->viewer.held = held;
    mcp_claim_path_parse(&APR_ARRAY_PUSH(paths, mcp_claim_path_t), "scope", p);
    scene->policy.scope_paths = scene->policy.acl_paths = paths;
    scene->policy.scopes = scopes;
    scene->policy.required_scopes = words("read", NULL, p);
    mcp_claim_path_parse(&scene->policy.user, "sub", p);
    keys_text = sign_keyset(p, sign_jwk(scene->w.p256, "\"kid\":\"p256\",", p),
                            sign_jwk(scene->w.ed25519, "\"kid\":\"ed25519\",", p), NULL);
}

static void test(apr_pool_t *p)
{
    scene_t scene;
    pid_t server;

#ifdef NO_HEAP
    printf("# the heap cannot be replaced here (a sanitizer, or another C library): no allocation fails\n");
#else
    perform_find();
#endif
    /* As httpd does: what is made without a parent asks this pool. */
    apr_pool_abort_set(out_of_memory, apr_pool_parent_get(p));
    mcp_json_init();
    SIGN_MUST(mcp_http_curl_init() == APR_SUCCESS);
    scene_make(&scene, p);
    server = server_start(&scene);
    test_gate(&scene);
    test_tokens(&scene);
    test_fetches(&scene);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    curl_global_cleanup();
}
