/* Memory runs out at each single place where OpenSSL asks for some (threats.md R18): a refusal may follow, but no wrong
 * result, no crash and no leak. APR ends the process when memory is out, and jansson has to: see mcp_json_init. */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "keys/keysource.h"
#include "tap.h"
#include "token/jws.h"
#include "world.h"

#define KEYS "https://keys.example/jwks"
#define METADATA "https://as.example.com/.well-known/oauth-authorization-server/realms/mcp"
#define GUARD 0x5AFE5AFE5AFE5AFEu

/* An impossible allocation is to return NULL here, too. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

/* --- a heap that can be told to fail ----------------------------------------------------------------------------- */

typedef struct block_t {
    uint64_t size, guard; /* another guard follows the data */
} block_t;

static struct {
    long live;    /* blocks */
    long made;    /* allocations since the heap was armed */
    long fail_at; /* this one fails; 0: none does */
    int for_good; /* and so do all that follow */
    long damaged; /* blocks whose guards were written over */
} heap;

static void *heap_malloc(size_t size)
{
    const uint64_t guard = GUARD;
    block_t *block;

    if (heap.fail_at && (++heap.made == heap.fail_at || (heap.for_good && heap.made > heap.fail_at))) {
        return NULL;
    }
    block = malloc(sizeof(*block) + size + sizeof(guard));
    SIGN_MUST(block);
    block->size = size;
    block->guard = guard;
    memcpy((char *)(block + 1) + size, &guard, sizeof(guard));
    heap.live++;
    return block + 1;
}

static void heap_free(void *data)
{
    uint64_t guard;
    block_t *block;

    if (!data) {
        return;
    }
    block = (block_t *)data - 1;
    memcpy(&guard, (char *)data + block->size, sizeof(guard));
    heap.damaged += block->guard != GUARD || guard != GUARD;
    heap.live--;
    free(block);
}

static void *openssl_malloc(size_t size, const char *file, int line)
{
    return size ? heap_malloc(size) : NULL;
}

static void openssl_free(void *data, const char *file, int line)
{
    heap_free(data);
}

static void *openssl_realloc(void *data, size_t size, const char *file, int line)
{
    void *more = size ? heap_malloc(size) : NULL;

    if (more && data) {
        size_t old = ((block_t *)data - 1)->size;

        memcpy(more, data, old < size ? old : size);
    }
    if (more || !size) {
        heap_free(data);
    }
    return more;
}

/* What happens between arm and disarm: that allocation fails. */
typedef struct fault_t {
    long at; /* 0: none does */
    int for_good;
    int happened;
} fault_t;

static void arm(const fault_t *fault)
{
    heap.made = 0;
    heap.fail_at = fault->at;
    heap.for_good = fault->for_good;
}

static void disarm(fault_t *fault)
{
    fault->happened = heap.fail_at && heap.made >= heap.fail_at;
    heap.fail_at = 0;
}

/* --- one operation, over and over -------------------------------------------------------------------------------- */

typedef enum { GOOD, REFUSED, WRONG } outcome_t;

/* Does one thing while the heap is armed, and judges the result. What it leaves behind lives in p. */
typedef outcome_t (*operation_t)(fault_t *fault, const world_t *w, const void *what, apr_pool_t *p);

static outcome_t once(fault_t *fault, operation_t operation, const world_t *w, const void *what)
{
    outcome_t outcome;
    apr_pool_t *p;

    apr_pool_create(&p, NULL);
    if (OpenSSL_version_num() >= 0x30600000L) {
        ERR_clear_error(); /* without a place for a thread's errors it recurses until the stack is used up */
    }
    outcome = operation(fault, w, what, p);
    if (ERR_peek_error()) {
        outcome = WRONG; /* who uses OpenSSL next in this thread would take it for his own */
    }
    apr_pool_destroy(p);
    OPENSSL_thread_stop(); /* what OpenSSL keeps for each thread is no leak */
    return outcome;
}

/* Lets the first allocation fail, the second, and so on until one does not happen any more. best: what comes then. */
static void torture(const char *name, outcome_t best, int for_good, operation_t operation, const world_t *w,
                    const void *what)
{
    const char *how = for_good ? "all allocations from one on" : "one allocation";
    fault_t fault = { .for_good = for_good, .happened = 1 };
    long wrong = 0, leaks = 0, live;
    outcome_t outcome = WRONG;

    /* What is made once and kept is made now. */
    once(&fault, operation, w, what);
    once(&fault, operation, w, what);
    heap.damaged = 0;
    do {
        live = heap.live;
        fault.at++;
        outcome = once(&fault, operation, w, what);
        if (outcome == WRONG) {
            wrong++;
            printf("# %s, %s: wrong with allocation %ld\n", name, how, fault.at);
        }
        leaks += heap.live > live;
    } while (fault.happened && fault.at < 10000);
    OK(!wrong, "R18 %s, %s failing: a good result or a refusal", name, how);
    OK(!fault.happened && fault.at > 1 && outcome == best, "R18 %s: without a failure all is well", name);
    OK(!heap.damaged && !leaks, "R18 %s, %s failing: nothing is damaged, nothing leaks", name, how);
}

/* --- tokens ------------------------------------------------------------------------------------------------------ */

typedef struct sample_t {
    const char *alg, *kid;
    const char *good, *bad; /* tokens; the signature of bad is another one */
} sample_t;

#define SAMPLES 4

static const char *spoil(const char *token, apr_pool_t *p)
{
    char *copy = apr_pstrdup(p, token), *c = strrchr(copy, '.') + 10;

    *c = *c == 'A' ? 'B' : 'A';
    return copy;
}

static void samples_make(sample_t *samples, const world_t *w)
{
    EVP_PKEY *const keys[SAMPLES] = { w->rsa, w->rsa, w->p256, w->ed25519 };
    static const char *const algs[SAMPLES] = { "RS256", "PS384", "ES256", "EdDSA" };
    static const char *const kids[SAMPLES] = { "rsa", "rsa", "p256", "ed25519" };
    int i;

    for (i = 0; i < SAMPLES; i++) {
        samples[i].alg = algs[i];
        samples[i].kid = kids[i];
        samples[i].good =
            sign_token(keys[i], algs[i], head(w, algs[i], kids[i]), claims(w, ",\"sub\":\"alice\""), w->p);
        samples[i].bad = spoil(samples[i].good, w->p);
    }
}

static outcome_t verifies(fault_t *fault, const world_t *w, const void *what, apr_pool_t *p)
{
    mcp_token_t *token = (mcp_token_t *)&token;
    mcp_status_t status;

    arm(fault);
    status = mcp_token_verify(&token, NULL, what, strlen(what), w->trusts, apr_time_from_sec(NOW), p);
    disarm(fault);
    if (status != MCP_OK) {
        return token ? WRONG : REFUSED;
    }
    return token && token->trust == &w->trust && token->sub && !strcmp(token->sub, "alice") ? GOOD : WRONG;
}

static outcome_t verifies_never(fault_t *fault, const world_t *w, const void *what, apr_pool_t *p)
{
    return verifies(fault, w, what, p) == REFUSED ? REFUSED : WRONG;
}

static void test_tokens(const world_t *w, const sample_t *samples)
{
    int i, for_good;

    for (i = 0; i < SAMPLES; i++) {
        for (for_good = 0; for_good < 2; for_good++) {
            torture(apr_pstrcat(w->p, "a good token, ", samples[i].alg, NULL), GOOD, for_good, verifies, w,
                    samples[i].good);
            torture(apr_pstrcat(w->p, "a bad signature, ", samples[i].alg, NULL), REFUSED, for_good, verifies_never, w,
                    samples[i].bad);
        }
    }
}

/* --- key sets ---------------------------------------------------------------------------------------------------- */

typedef struct keys_t {
    const char *text; /* three keys, and one that is left out */
    const sample_t *samples;
} keys_t;

/* Verifies the good token of that kind, and no other. */
static int is_able(const mcp_keyset_t *set, const sample_t *sample, apr_pool_t *p)
{
    const mcp_jwk_t *key;
    mcp_jws_t *good, *bad;

    return mcp_jws_parse(&good, sample->good, strlen(sample->good), MCP_JWS_TOKEN, p) == MCP_OK &&
           mcp_jws_parse(&bad, sample->bad, strlen(sample->bad), MCP_JWS_TOKEN, p) == MCP_OK &&
           mcp_keyset_find(&key, 1, set, sample->kid, good->alg->alg) == 1 && mcp_jws_verify(good, key) == MCP_OK &&
           mcp_jws_verify(bad, key) != MCP_OK;
}

/* A set that lacks a key would refuse its tokens for as long as the issuer publishes the same text. */
static outcome_t judge(mcp_keyset_t *set, const keys_t *keys, apr_pool_t *p)
{
    outcome_t outcome = mcp_keyset_count(set) == 3 && mcp_keyset_skipped(set) == 1 ? GOOD : WRONG;
    int i;

    for (i = 0; i < SAMPLES; i++) {
        outcome = is_able(set, &keys->samples[i], p) ? outcome : WRONG;
    }
    mcp_keyset_release(set);
    return outcome;
}

static outcome_t parses(fault_t *fault, const world_t *w, const void *what, apr_pool_t *p)
{
    mcp_keyset_t *set = (mcp_keyset_t *)&set;
    const keys_t *keys = what;
    const char *reason;

    arm(fault);
    reason = mcp_keyset_parse(&set, keys->text, strlen(keys->text));
    disarm(fault);
    if (reason) {
        return set ? WRONG : REFUSED;
    }
    return judge(set, keys, p);
}

static apr_status_t answer(mcp_http_response_t **presponse, const char **perror, const mcp_http_request_t *request,
                           apr_pool_t *p)
{
    const keys_t *keys = request->baton;

    *perror = NULL;
    *presponse = apr_pcalloc(p, sizeof(**presponse));
    (*presponse)->status = !strcmp(request->url, METADATA) || !strcmp(request->url, KEYS) ? 200 : 404;
    (*presponse)->body = apr_pstrdup(
        p, !strcmp(request->url, METADATA) ? "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"" KEYS "\"}" : keys->text);
    (*presponse)->len = strlen((*presponse)->body);
    (*presponse)->etag = "\"one\"";
    return APR_SUCCESS;
}

static mcp_keysource_t source_make(void)
{
    mcp_keysource_t source = { .issuer = ISSUER, .timeout = apr_time_from_sec(60) };

    return source;
}

static outcome_t fetches(fault_t *fault, const world_t *w, const void *what, apr_pool_t *p)
{
    static const mcp_http_t http = { answer };
    mcp_keysource_t source = source_make();
    mcp_keysource_answer_t got;
    const keys_t *keys = what;
    const char *reason;

    memset(&got, 0xff, sizeof(got));
    arm(fault);
    reason = mcp_keysource_fetch(&got, &source, NULL, NULL, &http, NULL, (void *)keys, 0, p);
    disarm(fault);
    if (reason) {
        return got.set || got.text || got.url || got.unchanged ? WRONG : REFUSED;
    }
    if (got.unchanged || !got.set || strcmp(got.url, KEYS) || got.len != strlen(keys->text) ||
        memcmp(got.text, keys->text, got.len)) {
        return WRONG;
    }
    return judge(got.set, keys, p);
}

static outcome_t identifies(fault_t *fault, const world_t *w, const void *what, apr_pool_t *p)
{
    mcp_keysource_t source = source_make();
    const char *identity, *right;

    arm(fault);
    identity = mcp_keysource_identity(&source, p);
    disarm(fault);
    right = mcp_keysource_identity(&source, p);
    return !identity ? REFUSED : right && !strcmp(identity, right) ? GOOD : WRONG;
}

static void test_keys(const world_t *w, const sample_t *samples)
{
    keys_t keys = { .samples = samples };

    keys.text = sign_keyset(w->p, sign_jwk(w->rsa, "\"kid\":\"rsa\",", w->p),
                            sign_jwk(w->p256, "\"kid\":\"p256\",", w->p), sign_jwk(w->weak, "\"kid\":\"weak\",", w->p),
                            sign_jwk(w->ed25519, "\"kid\":\"ed25519\",", w->p), NULL);
    torture("a key set", GOOD, 0, parses, w, &keys);
    torture("a fetched key set", GOOD, 0, fetches, w, &keys);
    torture("the identity of a source", GOOD, 0, identifies, w, NULL);
    torture("the identity of a source", GOOD, 1, identifies, w, NULL);
}

/* --- jansson ----------------------------------------------------------------------------------------------------- */

/* Ends with the signal by which the process ended, 0 if it did not. */
static int signal_of(json_malloc_t allocate, size_t size)
{
    pid_t pid;
    int status = 0;

    fflush(stdout);
    pid = fork();
    if (!pid) {
        fclose(stderr);
        _exit(allocate(size) == NULL);
    }
    SIGN_MUST(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* jansson 2.14 goes on without a byte, or beyond its block, when an allocation fails while it reads: an audience could
 * become another one. */
static void test_jansson(apr_pool_t *p)
{
    static const char text[] = "{\"aud\":\"https://mcp.exXample.com/mcp\",\"list\":[1,2.5,\"x\"]}";
    json_malloc_t allocate;
    json_free_t release;
    json_t *json;

    mcp_json_init();
    json_get_alloc_funcs(&allocate, &release);
    OK(signal_of(allocate, SIZE_MAX / 2) == SIGABRT, "R18 jansson is never told that memory is out: the process ends");
    OK(signal_of(allocate, 16) == 0, "R18 otherwise it does not");
    OK(mcp_json_parse_object(&json, text, sizeof(text) - 1, 4, p) == MCP_OK && json_object_size(json) == 2,
       "R18 and reads as before");
}

static void test(apr_pool_t *p)
{
    sample_t samples[SAMPLES];
    world_t w = { 0 };

    SIGN_MUST(CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) == 1);
    world_make(&w, p);
    samples_make(samples, &w);
    test_tokens(&w, samples);
    test_keys(&w, samples);
    test_jansson(p);
}
