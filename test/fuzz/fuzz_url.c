/* URLs and origins, against libcurl's reading of them: the one that will fetch must not go anywhere else than the one
 * that judged. Input: URL NUL path or origin. */
#include "fuzz.h"

#include <arpa/inet.h>
#include <curl/curl.h>

#include "net/url.h"
#include "policy/origin.h"

/* Do two hosts name the same? libcurl writes addresses in their shortest form, and reads numbers of other forms as addresses. */
static int same_host(const char *ours, const char *theirs, apr_pool_t *p)
{
    unsigned char a[16], b[16];
    size_t len = strlen(ours);

    if (*ours == '[') {
        return *theirs == '[' && inet_pton(AF_INET6, apr_pstrmemdup(p, ours + 1, len - 2), a) == 1 &&
               inet_pton(AF_INET6, apr_pstrmemdup(p, theirs + 1, strlen(theirs) - 2), b) == 1 && !memcmp(a, b, 16);
    }
    return !strcasecmp(ours, theirs) ||
           (inet_pton(AF_INET, theirs, b) == 1 && strspn(ours, "0123456789.xXabcdefABCDEF") == len);
}

static void check_curl(const mcp_url_t *url, const char *text, apr_pool_t *p)
{
    CURLU *handle = curl_url();
    char *host = NULL, *port = NULL;

    MUST(handle);
    if (curl_url_set(handle, CURLUPART_URL, text, 0) == CURLUE_OK) {
        MUST(curl_url_get(handle, CURLUPART_HOST, &host, 0) == CURLUE_OK);
        MUST(curl_url_get(handle, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK);
        MUST(same_host(url->host, host, p) && (unsigned)strtoul(port, NULL, 10) == url->port);
    }
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(handle);
}

static int has_dots(const char *path)
{
    for (; *path; path += 1 + strcspn(path + 1, "/")) {
        size_t len = strcspn(path + 1, "/");

        if ((len == 1 && path[1] == '.') || (len == 2 && path[1] == '.' && path[2] == '.')) {
            return 1;
        }
    }
    return 0;
}

static void check_normal(const mcp_url_t *url, const char *text, apr_pool_t *p)
{
    const char *normal = mcp_url_normalize(text, p);
    mcp_url_t again;

    MUST(normal && mcp_url_parse(&again, normal, p));
    MUST(!strcmp(again.origin, url->origin) && again.port == url->port && !again.query && !again.fragment);
    MUST(*again.path == '/' && !has_dots(again.path));
    MUST(!strcmp(mcp_url_normalize(normal, p), normal));
}

static void check_origin(const mcp_url_t *url, apr_pool_t *p)
{
    apr_array_header_t *listed = apr_array_make(p, 1, sizeof(const char *));
    mcp_origins_t origins = { 0, 0, listed }, nothing = { 0, 0, NULL }, loopback = { 0, 1, NULL };
    mcp_url_t again;

    MUST(mcp_url_parse_origin(&again, url->origin, p) && !strcmp(again.origin, url->origin));
    MUST(!strcmp(again.host, url->host) && again.port == url->port && again.loopback == url->loopback);
    APR_ARRAY_PUSH(listed, const char *) = url->origin;
    MUST(mcp_origin_allowed(&origins, url->origin, p) && !mcp_origin_allowed(&nothing, url->origin, p));
    MUST(mcp_origin_allowed(&loopback, url->origin, p) == url->loopback);
}

static void check_url(const mcp_url_t *url, const char *text, apr_pool_t *p)
{
    MUST(!strcmp(url->scheme, "http") || !strcmp(url->scheme, "https"));
    MUST(url->port >= 1 && url->port <= 65535 && *url->host && (!*url->path || *url->path == '/'));
    MUST(!strpbrk(url->host, "@/?#%\\ \"<>") && !strpbrk(url->path, "?# \"<>\\\r\n"));
    for (const char *c = text; *c; c++) {
        MUST(*c > 0x20 && *c < 0x7f);
    }
    for (const char *c = url->host; *c; c++) {
        MUST(*c < 'A' || *c > 'Z');
    }
    check_normal(url, text, p);
    check_origin(url, p);
    check_curl(url, text, p);
}

static void check_join(const char *base, const char *path, apr_pool_t *p)
{
    const char *joined = mcp_url_join(base, path, p);
    size_t len = strlen(base);

    while (len && base[len - 1] == '/') {
        len--;
    }
    MUST(!strncmp(joined, base, len) && joined[len] == '/' && joined[len + 1] != '/');
    MUST(!strcmp(joined + len + 1, path + strspn(path, "/")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    fuzz_input_t input = fuzz_open(data, size, p);
    const char *text = fuzz_next(&input), *other = fuzz_next(&input);
    mcp_origins_t any = { 1, 0, NULL }, loopback = { 0, 1, NULL };
    mcp_url_t url;

    if (mcp_url_parse(&url, text, p)) {
        check_url(&url, text, p);
    }
    else {
        MUST(!mcp_url_normalize(text, p));
    }
    check_join(text, other, p);
    MUST(mcp_origin_allowed(&any, other, p));
    if (mcp_origin_allowed(&loopback, other, p)) {
        MUST(mcp_url_parse(&url, other, p) && url.loopback && !*url.path && !url.query && !url.fragment);
    }
    apr_pool_destroy(p);
    return 0;
}
