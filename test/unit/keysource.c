#include "keys/keysource.h"

#include <apr_file_io.h>
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
    const char *body, *cache_control;
    apr_interval_time_t slow; /* microseconds it takes */
} page_t;

typedef struct web_t {
    const page_t *pages;
    apr_pool_t *p;
    int count;
    const char *asked[8];
    mcp_http_request_t requests[8];
} web_t;

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
    *presponse = NULL;
    *perror = page->rv ? "it broke" : NULL;
    if (!page->rv) {
        *presponse = apr_pcalloc(p, sizeof(**presponse));
        (*presponse)->status = page->url ? page->status : 404;
        (*presponse)->body = page->body ? apr_pstrdup(p, page->body) : "";
        (*presponse)->len = strlen((*presponse)->body);
        (*presponse)->cache_control = page->cache_control;
    }
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

/* One attempt; returns the reason, "" for a failure without one, and counts keys in *pkeys (-1: no set). */
static const char *attempt(int *pkeys, apr_interval_time_t *plifetime, web_t *web, const page_t *pages,
                           mcp_keysource_t *source, apr_pool_t *p)
{
    mcp_keyset_t *set = NULL;
    const char *reason;

    memset(web, 0, sizeof(*web));
    web->pages = pages;
    web->p = p;
    reason = mcp_keysource_fetch(&set, plifetime, source, &http, NULL, web, 0, p);
    *pkeys = set ? mcp_keyset_count(set) : -1;
    mcp_keyset_release(set);
    return !set && !reason ? "" : reason;
}

static void from_url(apr_pool_t *p)
{
    const char *keys = key_set(p);
    page_t good[] = { { .url = KEYS, .status = 200, .body = keys, .cache_control = "max-age=77" }, { 0 } };
    page_t silent[] = { { .url = KEYS, .status = 200, .body = keys }, { 0 } };
    mcp_keysource_t source = source_of(KEYS);
    apr_interval_time_t lifetime = 0;
    web_t web = { 0 };
    int count;

    source.proxy = "http://proxy.example:3128";
    source.ca_file = "/etc/ca.pem";
    source.allow_http = 1;
    OK(!attempt(&count, &lifetime, &web, good, &source, p) && count == 1, "a key set is fetched from its URL");
    OK(lifetime == apr_time_from_sec(77), "KEY-6 with the lifetime its answer gives");
    OK(web.count == 1, "in one request");
    STR_IS(web.requests[0].proxy, "http://proxy.example:3128", "through the proxy");
    STR_IS(web.requests[0].ca_file, "/etc/ca.pem", "with the certificates");
    OK(web.requests[0].allow_http == 1, "and the permission of the source");
    OK(web.requests[0].max_body == MCP_LIMIT_DOCUMENT, "K11 R04 no more than the limit of a document");
    OK(web.requests[0].timeout > 0 && web.requests[0].timeout <= source.timeout, "R04 and no longer than the timeout");
    OK(!attempt(&count, &lifetime, &web, silent, &source, p) && lifetime == -1, "no caching header: no lifetime");
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
    apr_interval_time_t lifetime;
    web_t web = { 0 };
    apr_size_t i;
    int count;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        page_t pages[] = { cases[i].page, { 0 } };
        const char *reason;

        pages[0].url = KEYS;
        reason = attempt(&count, &lifetime, &web, pages, &source, p);
        OK(reason && count == -1 && lifetime == -1, "R04 K02 answer %d is a failure", (int)i);
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
    apr_interval_time_t lifetime;
    const char *reason, *all = "";
    web_t web = { 0 };
    int count, i;

    reason = attempt(&count, &lifetime, &web, pages, &source, p);
    for (i = 0; i < web.count; i++) {
        all = apr_pstrcat(p, all, web.asked[i], " ", NULL);
    }
    return reason || count != 1 || lifetime != apr_time_from_sec(5) ? reason : all;
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
    apr_interval_time_t lifetime;
    const char *reason;
    web_t web = { 0 };
    int count;

    OK(!attempt(&count, &lifetime, &web, foreign, &source, p) && count == 1,
       "KEY-2 metadata of another issuer is passed over");
    OK(web.count == 3 && !strcmp(web.asked[2], KEYS), "KEY-2 and its jwks_uri never asked for");
    foreign[1].status = 404;
    OK(attempt(&count, &lifetime, &web, foreign, &source, p) && count == -1 && web.count == 3,
       "KEY-2 nor if it is all there is");
    reason = attempt(&count, &lifetime, &web, plain, &source, p);
    OK(reason && strstr(reason, "plain http") && web.count == 3, "KEY-3 a jwks_uri in plain http is refused");
    source.allow_http = 1;
    attempt(&count, &lifetime, &web, plain, &source, p);
    OK(web.count == 2 && !strcmp(web.asked[1], "http://keys.example/k"), "unless that is allowed");
    STR_IS(attempt(&count, &lifetime, &web, broken, &source, p), KEYS ": HTTP status 500", "a broken key set is named");
    source.issuer = "urn:example:issuer";
    STR_IS(attempt(&count, &lifetime, &web, broken, &source, p),
           "urn:example:issuer: not a URL whose metadata could be found", "an issuer that is no URL has no metadata");
    OK(web.count == 0, "and nothing is asked for");
}

static void moved_keys(apr_pool_t *p)
{
    page_t pages[] = { { .url = INSERTED, .status = 200, .body = METADATA },
                       { .url = KEYS, .status = 200, .body = key_set(p) },
                       { .url = "https://keys.example/new", .status = 200, .body = key_set(p) },
                       { 0 } };
    mcp_keysource_t source = source_of(NULL);
    apr_interval_time_t lifetime;
    web_t web = { 0 };
    int count;

    attempt(&count, &lifetime, &web, pages, &source, p);
    pages[0].body = "{\"issuer\":\"" ISSUER "\",\"jwks_uri\":\"https://keys.example/new\"}";
    attempt(&count, &lifetime, &web, pages, &source, p);
    OK(count == 1 && web.count == 2 && !strcmp(web.asked[1], "https://keys.example/new"),
       "a moved jwks_uri is followed");
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
    apr_interval_time_t lifetime;
    const char *reason;
    web_t web = { 0 };
    int count;

    source.timeout = apr_time_from_msec(100);
    reason = attempt(&count, &lifetime, &web, slow, &source, p);
    OK(reason && web.count == 2, "R04 the timeout is for all requests of an attempt");
    OK(web.requests[1].timeout <= apr_time_from_msec(40), "R04 each is given what is left");
    source.timeout = apr_time_from_sec(10);
    OK(attempt(&count, &lifetime, &web, hangs, &source, p) && web.count == 1, "R03 a timeout ends the attempt");
    OK(attempt(&count, &lifetime, &web, cancelled, &source, p) && web.count == 1,
       "a cancelled attempt asks for nothing more");
    source.timeout = 0;
    OK(attempt(&count, &lifetime, &web, slow, &source, p) && web.count == 0, "without time nothing is asked for");
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
    apr_interval_time_t lifetime = 0;
    web_t web = { 0 };
    int count;

    source.file = path;
    write_file(path, keys, strlen(keys));
    OK(mcp_keysource_changed(&source, p), "a file that was never read has changed");
    OK(!attempt(&count, &lifetime, &web, NULL, &source, p) && count == 1, "a key set is read from its file");
    OK(lifetime == -1 && web.count == 0, "without lifetime and without a request");
    OK(!mcp_keysource_changed(&source, p), "then it has not changed");
    age_file(path, p);
    OK(mcp_keysource_changed(&source, p), "until its time differs");
    attempt(&count, &lifetime, &web, NULL, &source, p);
    write_file(path, "{\"keys\":[]}", 11);
    age_file(path, p);
    OK(mcp_keysource_changed(&source, p), "or its size");
    reason = attempt(&count, &lifetime, &web, NULL, &source, p);
    OK(reason && count == -1 && strstr(reason, path), "K02 a file without usable keys is a failure that names it");
    OK(!mcp_keysource_changed(&source, p), "but need not be read again until it changes");
    unlink(path);
    OK(mcp_keysource_changed(&source, p), "a file that cannot be examined has changed");
    reason = attempt(&count, &lifetime, &web, NULL, &source, p);
    OK(reason && count == -1 && strstr(reason, path), "a missing file is a failure that names it");
    source = source_of(KEYS);
    OK(!mcp_keysource_changed(&source, p), "a URL never changes in this sense");
}

static void odd_files(apr_pool_t *p)
{
    const char *path = temp_file(p), *keys = key_set(p);
    mcp_keysource_t source = source_of(NULL);
    apr_size_t len = MCP_LIMIT_DOCUMENT;
    char *text = apr_palloc(p, len + 1);
    apr_interval_time_t lifetime;
    const char *reason;
    web_t web = { 0 };
    int count;

    source.file = path;
    memset(text, ' ', len + 1);
    memcpy(text, keys, strlen(keys));
    write_file(path, text, len);
    OK(!attempt(&count, &lifetime, &web, NULL, &source, p) && count == 1, "K11 a file of the limit is read");
    write_file(path, text, len + 1);
    reason = attempt(&count, &lifetime, &web, NULL, &source, p);
    OK(count == -1 && reason && strstr(reason, "is too long"), "K11 one byte more is not, not even into memory");
    write_file(path, "", 0);
    OK(attempt(&count, &lifetime, &web, NULL, &source, p) && count == -1, "an empty file is a failure");
    unlink(path);
    mkfifo(path, 0600);
    reason = attempt(&count, &lifetime, &web, NULL, &source, p);
    OK(count == -1 && reason && strstr(reason, "regular file"), "a pipe is a failure, and not waited for");
    unlink(path);
    mkdir(path, 0700);
    OK(attempt(&count, &lifetime, &web, NULL, &source, p) && count == -1, "a directory is a failure");
    rmdir(path);
}

static void test(apr_pool_t *p)
{
    from_url(p);
    url_failures(p);
    discovery(p);
    discovery_failures(p);
    moved_keys(p);
    time_limits(p);
    from_file(p);
    odd_files(p);
}
