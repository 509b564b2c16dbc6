#include "keys/keysource.h"

#include <apr_file_io.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64url.h"
#include "base/limits.h"
#include "tap.h"

#define ISSUER "https://as.example/mcp"
#define INSERTED "https://as.example/.well-known/oauth-authorization-server/mcp"
#define OPENID "https://as.example/.well-known/openid-configuration/mcp"
#define APPENDED "https://as.example/mcp/.well-known/openid-configuration"
#define KEYS "https://keys.example/k"
#define METADATA "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"" KEYS "\"}"

/* A web of a few pages. What is asked of it is written down in web, as a test's http has no baton. */
typedef struct page_t {
    const char *url;
    apr_status_t rv; /* other than 0: error instead of an answer */
    int status;
    const char *body, *cache_control, *expires, *date, *etag;
    int revalidated;          /* status for those who send an entity tag; 0: the same as for all */
    apr_interval_time_t slow; /* microseconds it takes */
} page_t;

typedef struct web_t {
    const page_t *pages;
    apr_pool_t *p;
    int count;
    const char *asked[8];
    mcp_http_request_t requests[8];
    const char *body; /* of the last answer */
    int *living;      /* answers whose memory is still held */
    int most;         /* of these at a time */
} web_t;

/* What one attempt brought; the set itself has been released. */
typedef struct outcome_t {
    mcp_keysource_answer_t answer;
    int keys; /* of the set; -1: none */
    web_t web;
} outcome_t;

/* An answer with its memory. */
typedef struct life_t {
    int *living;
    char *etag;
} life_t;

static apr_status_t end_life(void *baton)
{
    life_t *life = baton;

    --*life->living;
    if (life->etag) {
        memset(life->etag, 'X', strlen(life->etag));
    }
    return APR_SUCCESS;
}

static mcp_http_response_t *make_response(web_t *web, const page_t *page, int conditional, apr_pool_t *p)
{
    mcp_http_response_t *response = apr_pcalloc(p, sizeof(*response));
    life_t *life = apr_pcalloc(p, sizeof(*life));

    response->status = !page->url ? 404 : conditional && page->revalidated ? page->revalidated : page->status;
    response->body = web->body = response->status != 304 && page->body ? apr_pstrdup(p, page->body) : "";
    response->len = strlen(response->body);
    response->cache_control = page->cache_control;
    response->expires = page->expires;
    response->date = page->date;
    response->etag = life->etag = apr_pstrdup(p, page->etag);
    life->living = web->living;
    apr_pool_cleanup_register(p, life, end_life, apr_pool_cleanup_null);
    web->most = ++*web->living > web->most ? *web->living : web->most;
    return response;
}

static apr_status_t answer(mcp_http_response_t **presponse, const char **perror, const mcp_http_request_t *request,
                           apr_pool_t *p)
{
    web_t *web = request->baton;
    const page_t *page = web->pages;

    if (web->count < 8) {
        web->asked[web->count] = apr_pstrdup(web->p, request->url);
        web->requests[web->count++] = *request;
    }
    while (page->url && strcmp(page->url, request->url)) {
        page++;
    }
    usleep((useconds_t)page->slow);
    *perror = page->rv ? "it broke" : NULL;
    *presponse = page->rv ? NULL : make_response(web, page, request->etag != NULL, p);
    return page->rv;
}

static const mcp_http_t http = { answer };

static const char *key_set(apr_pool_t *p)
{
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    unsigned char raw[32];
    size_t len = sizeof(raw);
    char x[MCP_BASE64URL_ENCODED(sizeof(raw)) + 1];

    EVP_PKEY_get_raw_public_key(pkey, raw, &len);
    EVP_PKEY_free(pkey);
    mcp_base64url_encode(x, raw, len);
    return apr_psprintf(p, "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\",\"x\":\"%s\"}]}", x);
}

static mcp_keysource_t source_of(const char *url)
{
    mcp_keysource_t source = { .issuer = ISSUER, .url = url, .timeout = apr_time_from_sec(10) };

    return source;
}

/* One attempt with something known; returns the reason, "" for neither that nor anything new. */
static const char *again(outcome_t *got, const char *url, const char *etag, const page_t *pages,
                         mcp_keysource_t *source, apr_pool_t *p)
{
    const char *reason;

    memset(got, 0, sizeof(*got));
    memset(&got->answer, 0xff, sizeof(got->answer));
    got->web.pages = pages;
    got->web.p = p;
    got->web.living = apr_pcalloc(p, sizeof(int));
    reason = mcp_keysource_fetch(&got->answer, source, url, etag, &http, NULL, &got->web, 0, p);
    got->keys = got->answer.set ? mcp_keyset_count(got->answer.set) : -1;
    mcp_keyset_release(got->answer.set);
    got->answer.set = NULL;
    return got->keys < 0 && !got->answer.unchanged && !reason ? "" : reason;
}

static const char *attempt(outcome_t *got, const page_t *pages, mcp_keysource_t *source, apr_pool_t *p)
{
    return again(got, NULL, NULL, pages, source, p);
}

/* Nothing came, nothing is said, nothing is kept. */
static int is_nothing(const outcome_t *got)
{
    const mcp_keysource_answer_t *answer = &got->answer;

    return got->keys == -1 && !answer->unchanged && !answer->text && !answer->len && !answer->url && !answer->etag &&
           !answer->lifetime && *got->web.living == 0;
}

static void from_url(apr_pool_t *p)
{
    const char *keys = key_set(p);
    page_t good[] = { { .url = KEYS, .status = 200, .body = keys, .cache_control = "max-age=77" }, { 0 } };
    page_t silent[] = { { .url = KEYS, .status = 200, .body = keys }, { 0 } };
    mcp_keysource_t source = source_of(KEYS);
    outcome_t got;

    source.proxy = "http://proxy.example:3128";
    source.ca_file = "/etc/ca.pem";
    source.allow_http = 1;
    OK(!attempt(&got, good, &source, p) && got.keys == 1, "a key set is fetched from its URL");
    OK(got.answer.lifetime == apr_time_from_sec(77), "KEY-6 with the lifetime its answer gives");
    OK(got.web.count == 1, "in one request");
    STR_IS(got.web.requests[0].proxy, "http://proxy.example:3128", "through the proxy");
    STR_IS(got.web.requests[0].ca_file, "/etc/ca.pem", "with the certificates");
    OK(got.web.requests[0].allow_http == 1, "and the permission of the source");
    OK(got.web.requests[0].max_body == MCP_LIMIT_DOCUMENT, "K11 R04 no more than the limit of a document");
    OK(got.web.requests[0].timeout > 0 && got.web.requests[0].timeout <= source.timeout,
       "R04 and no longer than the timeout");
    OK(!got.web.requests[0].etag, "KEY-6 and without entity tag, as none is known");
    OK(got.answer.text == got.web.body && got.answer.len == strlen(keys), "K11 its text is the one copy that came");
    OK(*got.web.living == 1, "K11 which is still there");
    STR_IS(got.answer.url, KEYS, "KEY-6 it says where it came from");
    OK(!got.answer.etag && !got.answer.unchanged, "KEY-6 no entity tag came with it");
    OK(!attempt(&got, silent, &source, p) && got.answer.lifetime == -1, "no caching header: no lifetime");
}

/* What is kept of an answer must not depend on how long the answer is kept. */
static void memory(apr_pool_t *p)
{
    page_t pages[] = { { .url = INSERTED, .status = 200, .body = "{}" },
                       { .url = OPENID, .status = 200, .body = METADATA },
                       { .url = KEYS, .status = 200, .body = key_set(p), .etag = "\"v1\"", .revalidated = 304 },
                       { 0 } };
    mcp_keysource_t source = source_of(NULL);
    apr_pool_t *own;
    outcome_t got;

    apr_pool_create(&own, p);
    attempt(&got, pages, &source, own);
    OK(got.keys == 1 && got.web.count == 3 && got.web.most == 1, "K11 R04 one document at a time is in memory");
    OK(*got.web.living == 1 && got.answer.text == got.web.body, "K11 R04 and only the key set in the end");
    STR_IS(got.answer.url, KEYS, "the URL outlives the metadata");
    again(&got, KEYS, "\"v1\"", pages, &source, own);
    OK(got.answer.unchanged && *got.web.living == 0, "K11 nothing of a 304 is kept");
    STR_IS(got.answer.etag, "\"v1\"", "but its entity tag");
    pages[2].body = "{\"keys\":[]}";
    attempt(&got, pages, &source, own);
    OK(got.web.count == 3 && is_nothing(&got), "K11 R04 nothing of a failure is kept");
    apr_pool_destroy(own);
}

static void entity_tags(apr_pool_t *p)
{
    static const char *const good[] = { "\"v1\"", "W/\"v1\"", "\"\"", "\"!#~\\,*\x80\xff\"" };
    static const char *const bad[] = { "",         "*",        "v1",         "\"",         "\"v1",
                                       "v1\"",     "W/",       "W/v1",       "w/\"v1\"",   "\"a\",\"b\"",
                                       "\"a\" ",   " \"a\"",   "\"a b\"",    "\"a\tb\"",   "\"\x7f\"",
                                       "\"\x01\"", "\"\x1f\"", "\"a\r\nb\"", "\"a\"\"b\"", "\"a\"\r\nX: 1" };
    const int n = sizeof(good) / sizeof(good[0]), all = n + (int)(sizeof(bad) / sizeof(bad[0]));
    page_t page[] = { { .url = KEYS, .status = 200, .body = key_set(p), .revalidated = 304 }, { 0 } };
    mcp_keysource_t source = source_of(KEYS);
    outcome_t got;
    int i;

    for (i = 0; i < all; i++) {
        const char *tag = i < n ? good[i] : bad[i - n], *use = i < n ? tag : NULL;

        page[0].etag = tag;
        OK(!attempt(&got, page, &source, p) && got.keys == 1, "KEY-6 a key set with entity tag %d is taken", i);
        STR_IS(got.answer.etag, use, "KEY-6 its tag only if it is one");
        OK(!again(&got, KEYS, tag, page, &source, p) && got.answer.unchanged == (i < n), "KEY-6 304 only then");
        STR_IS(got.web.requests[0].etag, use, "KEY-6 K11 nor is anything else sent");
    }
}

static void unchanged(apr_pool_t *p)
{
    page_t page[] = { { .url = KEYS, .status = 304, .body = "secret", .cache_control = "max-age=9" }, { 0 } };
    mcp_keysource_t source = source_of(KEYS);
    const char *reason;
    outcome_t got;

    reason = again(&got, KEYS, "\"v1\"", page, &source, p);
    OK(!reason && got.answer.unchanged == 1 && got.web.count == 1, "KEY-6 304 to our entity tag: unchanged");
    OK(got.keys == -1 && !got.answer.text && got.answer.len == 0, "KEY-6 without a set and a text");
    OK(got.answer.lifetime == apr_time_from_sec(9), "KEY-6 RFC 9111 4.3.4 with the lifetime of the 304");
    STR_IS(got.answer.url, KEYS, "KEY-6 of the same URL");
    STR_IS(got.answer.etag, "\"v1\"", "KEY-6 a 304 without entity tag: the known one");
    page[0].etag = "W/\"v1\"";
    page[0].cache_control = NULL;
    page[0].date = "Sun, 06 Nov 1994 08:49:37 GMT";
    page[0].expires = "Sun, 06 Nov 1994 08:49:47 GMT";
    again(&got, KEYS, "\"v1\"", page, &source, p);
    STR_IS(got.answer.etag, "W/\"v1\"", "KEY-6 one with its own: that");
    OK(got.answer.lifetime == apr_time_from_sec(10), "KEY-6 Expires and Date of the 304 count");
    page[0].etag = "\"v1\"";
    page[0].expires = page[0].date = NULL;
    again(&got, KEYS, "W/\"v1\"", page, &source, p);
    STR_IS(got.answer.etag, "\"v1\"", "KEY-6 a weak tag and a strong one are compared without that");
    OK(got.answer.unchanged && got.answer.lifetime == -1, "KEY-6 a 304 that says nothing: no lifetime");
    page[0].etag = "rubbish";
    again(&got, KEYS, "\"v1\"", page, &source, p);
    STR_IS(got.answer.etag, "\"v1\"", "KEY-6 a tag that is none does not replace the known one");
}

/* The server goes through its life: the same, other keys, the same without entity tag, broken, well again. */
static void after_unchanged(apr_pool_t *p)
{
    page_t page[] = { { .url = KEYS, .status = 200, .body = key_set(p), .etag = "\"v1\"", .revalidated = 304 }, { 0 } };
    const char *next = key_set(p), *reason;
    mcp_keysource_t source = source_of(KEYS);
    outcome_t got;
    int i;

    attempt(&got, page, &source, p);
    for (i = 0; i < 3; i++) {
        reason = again(&got, got.answer.url, got.answer.etag, page, &source, p);
        OK(!reason && got.answer.unchanged && got.web.count == 1, "KEY-6 unchanged, and again");
        STR_IS(got.web.requests[0].etag, "\"v1\"", "KEY-6 each time with the tag of the time before");
    }
    page[0].revalidated = 0;
    page[0].etag = "\"v2\"";
    page[0].body = next;
    reason = again(&got, got.answer.url, got.answer.etag, page, &source, p);
    OK(!reason && !got.answer.unchanged && got.keys == 1, "KEY-9 R05 other keys after a 304 are taken");
    OK(got.answer.len == strlen(next) && !memcmp(got.answer.text, next, strlen(next)), "with their text");
    STR_IS(got.answer.etag, "\"v2\"", "and their entity tag");
    page[0].etag = NULL;
    reason = again(&got, got.answer.url, got.answer.etag, page, &source, p);
    OK(!reason && got.keys == 1 && !got.answer.etag, "KEY-6 without a new entity tag the old one is not kept");
    page[0].status = 500;
    reason = again(&got, KEYS, "\"v2\"", page, &source, p);
    STR_IS(reason, KEYS ": HTTP status 500", "R04 an error is one, whatever is known");
    OK(is_nothing(&got), "R04 and brings nothing");
    page[0].status = 200;
    page[0].body = "{}";
    reason = again(&got, KEYS, "\"v2\"", page, &source, p);
    OK(reason && *reason && is_nothing(&got), "K02 nor does a useless key set");
    page[0].revalidated = 304;
    reason = again(&got, KEYS, "\"v2\"", page, &source, p);
    OK(!reason && got.answer.unchanged, "R04 then it is well again");
}

static void not_ours(apr_pool_t *p)
{
    static const char *const urls[] = {
        NULL, "", KEYS "/", KEYS "?", "https://keys.example/", "https://KEYS.example/k", "https://evil.example/k"
    };
    page_t page[] = { { .url = KEYS, .status = 304 }, { 0 } };
    mcp_keysource_t source = source_of(KEYS);
    const char *reason;
    outcome_t got;
    apr_size_t i;

    for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        reason = again(&got, urls[i], "\"v1\"", page, &source, p);
        OK(got.web.count == 1 && !got.web.requests[0].etag, "KEY-6 the tag of another URL is not sent, case %d",
           (int)i);
        STR_IS(reason, KEYS ": HTTP status 304", "KEY-6 R04 a 304 nobody asked for is a failure");
        OK(is_nothing(&got), "R04 and brings nothing");
    }
    reason = again(&got, KEYS, NULL, page, &source, p);
    STR_IS(reason, KEYS ": HTTP status 304", "KEY-6 so it is when no tag is known");
    OK(is_nothing(&got) && !got.web.requests[0].etag, "KEY-6 none is sent then");
}

/* RFC 9111 section 4.3.4: a 304 with the validator of something else updates nothing. */
static void other_entity(apr_pool_t *p)
{
    page_t page[] = { { .url = KEYS, .status = 200, .body = key_set(p), .etag = "\"v2\"", .revalidated = 304 }, { 0 } };
    mcp_keysource_t source = source_of(KEYS);
    const char *reason;
    outcome_t got;

    reason = again(&got, KEYS, "\"v1\"", page, &source, p);
    OK(!reason && got.keys == 1 && !got.answer.unchanged, "KEY-9 a 304 about another entity does not keep our keys");
    OK(got.web.count == 2 && got.web.requests[0].etag && !got.web.requests[1].etag, "KEY-6 the whole is asked for");
    STR_IS(got.answer.etag, "\"v2\"", "KEY-6 and known from then on");
    page[0].status = 304;
    reason = again(&got, KEYS, "\"v1\"", page, &source, p);
    STR_IS(reason, KEYS ": HTTP status 304", "R04 when it is refused, that is a failure");
    OK(got.web.count == 2 && is_nothing(&got), "R04 and no more is asked");
    page[0].status = 500;
    reason = again(&got, KEYS, "\"v1\"", page, &source, p);
    STR_IS(reason, KEYS ": HTTP status 500", "R04 so is an error");
    page[0].slow = 30000;
    source.timeout = apr_time_from_msec(20);
    reason = again(&got, KEYS, "\"v1\"", page, &source, p);
    OK(got.web.count == 1 && reason && *reason && is_nothing(&got), "R04 the timeout is for both");
}

static void url_failures(apr_pool_t *p)
{
    static const struct {
        page_t page;
        const char *why;
    } cases[] = {
        { { .rv = APR_EGENERAL }, "it broke" },
        { { .status = 500, .body = "secret" }, "HTTP status 500" },
        { { .status = 302, .body = "secret" }, "HTTP status 302" },
        { { .status = 304 }, "HTTP status 304" },
        { { .status = 204 }, "HTTP status 204" },
        { { .status = 404, .body = "{\"keys\":[]}" }, "HTTP status 404" },
        { { .status = 200, .body = "" }, NULL },
        { { .status = 200, .body = "<html>secret" }, NULL },
        { { .status = 200, .body = "{}" }, NULL },
        { { .status = 200, .body = "{\"keys\":[],\"x\":\"secret\"}" }, NULL },
        { { .status = 200, .body = "{\"keys\":[{\"kty\":\"secret" }, NULL },
    };
    mcp_keysource_t source = source_of(KEYS);
    outcome_t got;
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        page_t pages[] = { cases[i].page, { 0 } };
        const char *reason;

        pages[0].url = KEYS;
        reason = attempt(&got, pages, &source, p);
        OK(reason && is_nothing(&got), "R04 K02 answer %d is a failure", (int)i);
        OK(reason && !strncmp(reason, KEYS ": ", strlen(KEYS ": ")), "its reason names the URL");
        OK(reason && !strstr(reason, "secret"), "and quotes nothing");
        if (cases[i].why) {
            STR_IS(reason, apr_pstrcat(p, KEYS ": ", cases[i].why, NULL), "but says why");
        }
    }
}

/* Serves the metadata at one form only. */
static const char *asked_for(const char *form, apr_pool_t *p)
{
    page_t pages[] = { { .url = form, .status = 200, .body = METADATA },
                       { .url = KEYS, .status = 200, .body = key_set(p), .cache_control = "max-age=5" },
                       { 0 } };
    mcp_keysource_t source = source_of(NULL);
    const char *reason, *all = "";
    outcome_t got;
    int i;

    reason = attempt(&got, pages, &source, p);
    for (i = 0; i < got.web.count; i++) {
        all = apr_pstrcat(p, all, got.web.asked[i], " ", NULL);
    }
    return reason || got.keys != 1 || got.answer.lifetime != apr_time_from_sec(5) ? reason : all;
}

static void discovery(apr_pool_t *p)
{
    STR_IS(asked_for(INSERTED, p), INSERTED " " KEYS " ", "KEY-1 metadata at the first form: no other is asked for");
    STR_IS(asked_for(OPENID, p), INSERTED " " OPENID " " KEYS " ", "KEY-1 at the second");
    STR_IS(asked_for(APPENDED, p), INSERTED " " OPENID " " APPENDED " " KEYS " ", "KEY-1 at the third alone");
    STR_IS(asked_for(KEYS, p), INSERTED ": HTTP status 404; " OPENID ": HTTP status 404; " APPENDED ": HTTP status 404",
           "at none: each is named");
}

static void discovery_failures(apr_pool_t *p)
{
    const char *other = "{\"issuer\":\"https://evil.example\",\"jwks_uri\":\"https://evil.example/k\"}";
    page_t foreign[] = { { .url = INSERTED, .status = 200, .body = other },
                         { .url = OPENID, .status = 200, .body = METADATA },
                         { .url = KEYS, .status = 200, .body = key_set(p) },
                         { 0 } };
    page_t plain[] = { { .url = INSERTED,
                         .status = 200,
                         .body = "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"http://keys.example/k\"}" },
                       { 0 } };
    page_t broken[] = { { .url = INSERTED, .status = 200, .body = METADATA }, { .url = KEYS, .status = 500 }, { 0 } };
    mcp_keysource_t source = source_of(NULL);
    const char *reason;
    outcome_t got;

    OK(!attempt(&got, foreign, &source, p) && got.keys == 1, "KEY-2 metadata of another issuer is passed over");
    OK(got.web.count == 3 && !strcmp(got.web.asked[2], KEYS), "KEY-2 and its jwks_uri never asked for");
    foreign[1].status = 404;
    OK(attempt(&got, foreign, &source, p) && got.keys == -1 && got.web.count == 3, "KEY-2 nor if it is all there is");
    reason = attempt(&got, plain, &source, p);
    OK(reason && strstr(reason, "plain http") && got.web.count == 3, "KEY-3 a jwks_uri in plain http is refused");
    source.allow_http = 1;
    attempt(&got, plain, &source, p);
    OK(got.web.count == 2 && !strcmp(got.web.asked[1], "http://keys.example/k"), "unless that is allowed");
    STR_IS(attempt(&got, broken, &source, p), KEYS ": HTTP status 500", "a broken key set is named");
    source.issuer = "urn:example:issuer";
    STR_IS(attempt(&got, broken, &source, p), "urn:example:issuer: not a URL whose metadata could be found",
           "an issuer that is no URL has no metadata");
    OK(got.web.count == 0, "and nothing is asked for");
}

static void moved_keys(apr_pool_t *p)
{
    page_t pages[] = { { .url = INSERTED, .status = 200, .body = METADATA },
                       { .url = KEYS, .status = 200, .body = key_set(p) },
                       { .url = "https://keys.example/new", .status = 200, .body = key_set(p) },
                       { 0 } };
    mcp_keysource_t source = source_of(NULL);
    outcome_t got;

    attempt(&got, pages, &source, p);
    pages[0].body = "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://keys.example/new\"}";
    attempt(&got, pages, &source, p);
    OK(got.keys == 1 && got.web.count == 2 && !strcmp(got.web.asked[1], "https://keys.example/new"),
       "a moved jwks_uri is followed");
}

static void discovered_unchanged(apr_pool_t *p)
{
    page_t pages[] = { { .url = INSERTED, .status = 200, .body = METADATA, .etag = "\"m\"" },
                       { .url = KEYS, .status = 200, .body = key_set(p), .etag = "\"v1\"", .revalidated = 304 },
                       { .url = "https://keys.example/new", .status = 304 },
                       { 0 } };
    mcp_keysource_t source = source_of(NULL);
    const char *reason;
    outcome_t got;

    reason = again(&got, KEYS, "\"v1\"", pages, &source, p);
    OK(!reason && got.answer.unchanged && got.web.count == 2, "KEY-6 a discovered key set may be unchanged");
    OK(!got.web.requests[0].etag, "KEY-6 metadata are asked for whole");
    STR_IS(got.web.requests[1].etag, "\"v1\"", "KEY-6 the entity tag goes to the key set");
    STR_IS(got.answer.url, KEYS, "KEY-6 whose URL is told");
    STR_IS(got.answer.etag, "\"v1\"", "KEY-6 with its tag, not that of the metadata");
    reason = again(&got, INSERTED, "\"m\"", pages, &source, p);
    OK(!reason && !got.web.requests[0].etag && got.keys == 1, "KEY-6 even metadata whose tag is known");
    pages[0].body = "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://keys.example/new\"}";
    reason = again(&got, KEYS, "\"v1\"", pages, &source, p);
    OK(got.web.count == 2 && !got.web.requests[1].etag, "KEY-9 a moved jwks_uri is asked without the tag of the old");
    STR_IS(reason, "https://keys.example/new: HTTP status 304", "KEY-6 R04 and its 304 is a failure");
    OK(is_nothing(&got), "R04 that brings nothing");
    pages[0].status = 304;
    reason = again(&got, INSERTED, "\"m\"", pages, &source, p);
    STR_IS(reason, INSERTED ": HTTP status 304; " OPENID ": HTTP status 404; " APPENDED ": HTTP status 404",
           "KEY-2 R04 304 for metadata is a failure");
    OK(got.web.count == 3 && is_nothing(&got), "R04 and the next form is tried");
}

static void time_limits(apr_pool_t *p)
{
    page_t slow[] = { { .url = INSERTED, .status = 404, .slow = 60000 },
                      { .url = OPENID, .status = 404, .slow = 60000 },
                      { .url = APPENDED, .status = 200, .body = METADATA },
                      { 0 } };
    page_t hangs[] = { { .url = INSERTED, .rv = APR_TIMEUP }, { 0 } };
    page_t cancelled[] = { { .url = INSERTED, .rv = APR_EOF }, { 0 } };
    mcp_keysource_t source = source_of(NULL);
    const char *reason;
    outcome_t got;

    source.timeout = apr_time_from_msec(100);
    reason = attempt(&got, slow, &source, p);
    OK(reason && got.web.count == 2, "R04 the timeout is for all requests of an attempt");
    OK(got.web.requests[1].timeout <= apr_time_from_msec(40), "R04 each is given what is left");
    source.timeout = apr_time_from_sec(10);
    OK(attempt(&got, hangs, &source, p) && got.web.count == 1, "R03 a timeout ends the attempt");
    OK(attempt(&got, cancelled, &source, p) && got.web.count == 1, "a cancelled attempt asks for nothing more");
    source.timeout = 0;
    OK(attempt(&got, slow, &source, p) && got.web.count == 0, "without time nothing is asked for");
}

static void write_file(const char *path, const char *text, apr_size_t len)
{
    FILE *file = fopen(path, "w");

    fwrite(text, 1, len, file);
    fclose(file);
}

static void age_file(const char *path, apr_pool_t *p)
{
    apr_file_mtime_set(path, apr_time_from_sec(1000000000), p);
}

static const char *temp_file(apr_pool_t *p)
{
    const char *dir;

    apr_temp_dir_get(&dir, p);
    return apr_psprintf(p, "%s/mcp-keys-%d", dir, (int)getpid());
}

static void from_file(apr_pool_t *p)
{
    const char *path = temp_file(p), *keys = key_set(p), *reason;
    mcp_keysource_t source = source_of(NULL);
    outcome_t got;

    source.file = path;
    write_file(path, keys, strlen(keys));
    OK(mcp_keysource_changed(&source, p), "a file that was never read has changed");
    OK(!attempt(&got, NULL, &source, p) && got.keys == 1, "a key set is read from its file");
    OK(!got.answer.text && !got.answer.len && !got.answer.url && !got.answer.etag && !got.answer.unchanged,
       "which is where its text is: none is passed on, nor where it came from");
    OK(!again(&got, path, "\"v1\"", NULL, &source, p) && got.keys == 1 && !got.answer.etag, "an entity tag is ignored");
    OK(got.answer.lifetime == -1 && got.web.count == 0, "without lifetime and without a request");
    OK(!mcp_keysource_changed(&source, p), "then it has not changed");
    age_file(path, p);
    OK(mcp_keysource_changed(&source, p), "until its time differs");
    attempt(&got, NULL, &source, p);
    write_file(path, "{\"keys\":[]}", 11);
    age_file(path, p);
    OK(mcp_keysource_changed(&source, p), "or its size");
    reason = attempt(&got, NULL, &source, p);
    OK(reason && is_nothing(&got) && strstr(reason, path), "K02 a file without usable keys is a failure that names it");
    OK(!mcp_keysource_changed(&source, p), "but need not be read again until it changes");
    unlink(path);
    OK(mcp_keysource_changed(&source, p), "a file that cannot be examined has changed");
    reason = attempt(&got, NULL, &source, p);
    OK(reason && is_nothing(&got) && strstr(reason, path), "a missing file is a failure that names it");
    source = source_of(KEYS);
    OK(!mcp_keysource_changed(&source, p), "a URL never changes in this sense");
}

static void odd_files(apr_pool_t *p)
{
    const char *path = temp_file(p), *keys = key_set(p);
    mcp_keysource_t source = source_of(NULL);
    apr_size_t len = MCP_LIMIT_DOCUMENT;
    char *text = apr_palloc(p, len + 1);
    const char *reason;
    outcome_t got;

    source.file = path;
    memset(text, ' ', len + 1);
    memcpy(text, keys, strlen(keys));
    write_file(path, text, len);
    OK(!attempt(&got, NULL, &source, p) && got.keys == 1, "K11 a file of the limit is read");
    write_file(path, text, len + 1);
    reason = attempt(&got, NULL, &source, p);
    OK(got.keys == -1 && reason && strstr(reason, "is too long"), "K11 one byte more is not, not even into memory");
    write_file(path, "", 0);
    OK(attempt(&got, NULL, &source, p) && got.keys == -1, "an empty file is a failure");
    unlink(path);
    mkfifo(path, 0600);
    reason = attempt(&got, NULL, &source, p);
    OK(got.keys == -1 && reason && strstr(reason, "regular file"), "a pipe is a failure, and not waited for");
    unlink(path);
    mkdir(path, 0700);
    OK(attempt(&got, NULL, &source, p) && got.keys == -1, "a directory is a failure");
    rmdir(path);
}

static void identity(apr_pool_t *p)
{
    static const mcp_keysource_t all[] = { { .issuer = "ab", .url = "c" },
                                           { .issuer = "a", .url = "bc" },
                                           { .issuer = "abc", .url = "" },
                                           { .issuer = "ab" }, /* discovered */
                                           { .issuer = "ab", .url = "" },
                                           { .issuer = "ab", .file = "" },
                                           { .issuer = "ab", .file = "c" },
                                           { .issuer = "ab", .ca_file = "c" },
                                           { .issuer = "ab", .url = "c", .ca_file = "d" },
                                           { .issuer = "ab", .url = "c", .ca_file = "" },
                                           { .issuer = "ab", .url = "c", .allow_http = 1 },
                                           { .issuer = "ab", .url = "c-" },
                                           { .issuer = "ab", .url = "d" },
                                           { .issuer = "AB", .url = "c" },
                                           { .issuer = "ab-1:c--", .url = NULL },
                                           { .issuer = "ab-1:c", .url = NULL } };
    const int n = sizeof(all) / sizeof(all[0]);
    const char *ids[sizeof(all) / sizeof(all[0])];
    mcp_keysource_t source = all[0];
    int i, k, same;

    for (i = 0; i < n; i++) {
        ids[i] = mcp_keysource_identity(&all[i], p);
        for (k = same = 0; ids[i] && k < i; k++) {
            same += !strcmp(ids[i], ids[k]);
        }
        OK(ids[i] && strlen(ids[i]) == 64 && strspn(ids[i], "0123456789abcdef") == 64 && !same,
           "K05 identity %d is a digest that no other source has", i);
    }
    STR_IS(ids[0], "63143a85f1664cdf816138bc0e94931a71065e88833e38503c8f30a27630143d",
           "K05 and is the same in every version, as it names files");
    source.proxy = "http://proxy.example";
    source.timeout = 7;
    source.file_mtime = 8;
    source.file_size = 9;
    STR_IS(mcp_keysource_identity(&source, p), ids[0], "K05 how and when keys are fetched is no part of it");
    source = all[10];
    source.allow_http = 2;
    STR_IS(mcp_keysource_identity(&source, p), ids[10], "K05 a permission is one, whatever its number");
    EVP_set_default_properties(NULL, "provider=none");
    OK(!mcp_keysource_identity(&all[0], p), "K05 without SHA-256 there is no identity");
    OK(ERR_peek_error() == 0, "and no error left behind");
    EVP_set_default_properties(NULL, "");
}

static void test(apr_pool_t *p)
{
    identity(p);
    from_url(p);
    memory(p);
    entity_tags(p);
    unchanged(p);
    after_unchanged(p);
    not_ours(p);
    other_entity(p);
    url_failures(p);
    discovery(p);
    discovery_failures(p);
    moved_keys(p);
    discovered_unchanged(p);
    time_limits(p);
    from_file(p);
    odd_files(p);
}
