#include "httpd/backend.h"

#include <httpd.h>

#include <apr_strings.h>

static int default_port(const char *scheme, apr_size_t len)
{
    static const struct {
        const char *scheme;
        int port;
    } known[] = { { "http", 80 }, { "https", 443 }, { "ws", 80 },     { "wss", 443 },   { "h2c", 80 },
                  { "h2", 443 },  { "ajp", 8009 },  { "fcgi", 8000 }, { "scgi", 4000 }, { "uwsgi", 3031 } };
    apr_size_t i;

    for (i = 0; i < sizeof(known) / sizeof(*known); i++) {
        if (strlen(known[i].scheme) == len && !ap_cstr_casecmpn(known[i].scheme, scheme, len)) {
            return known[i].port;
        }
    }
    return 0;
}

/* What stands between scheme and path, without the user. A back reference behind it is taken for a path. */
static const char *authority_of(const char *url, apr_pool_t *p)
{
    const char *begin = strstr(url, "://") + 3, *at;
    char *authority = apr_pstrmemdup(p, begin, strcspn(begin, "/?#"));

    at = strrchr(authority, '@');
    if (at) {
        authority = apr_pstrdup(p, at + 1);
    }
    if (*authority != '$') {
        authority[strcspn(authority, "$")] = '\0';
    }
    ap_str_tolower(authority);
    return authority;
}

/* "host:port" of a URL; names of this machine are one. NULL: it depends on the request. */
static const char *backend_of(const char *url, apr_pool_t *p)
{
    static const char *const loopback[] = { "localhost", "127.0.0.1", "[::1]" };
    const char *authority = authority_of(url, p), *colon = strrchr(authority, ':'), *host = authority, *port = NULL;
    apr_size_t i;

    if (strpbrk(authority, "$%") || !*authority) {
        return NULL;
    }
    if (colon && !strchr(colon, ']')) {
        host = apr_pstrmemdup(p, authority, (apr_size_t)(colon - authority));
        port = colon + 1;
    }
    for (i = 0; i < sizeof(loopback) / sizeof(*loopback); i++) {
        if (!strcmp(host, loopback[i])) {
            host = "localhost";
        }
    }
    if (!port || !*port) {
        port = apr_itoa(p, default_port(url, (apr_size_t)(strstr(url, "://") - url)));
    }
    return apr_pstrcat(p, host, ":", port, NULL);
}

const char *mcp_backend_balancer(const char *url, apr_pool_t *p)
{
    char *name = apr_pstrmemdup(p, url, 11 + strcspn(url + 11, "$/?#> \"'"));

    ap_str_tolower(name);
    return name;
}

int mcp_backend_is_balancer(const char *url)
{
    return !ap_cstr_casecmpn(url, "balancer://", 11);
}

int mcp_backends_add(apr_array_header_t *backends, const char *url, apr_pool_t *p)
{
    const char *backend;

    if (!ap_cstr_casecmpn(url, "unix:", 5)) {
        APR_ARRAY_PUSH(backends, const char *) = apr_pstrmemdup(p, url, strcspn(url, "|"));
        return 1;
    }
    if (mcp_backend_is_balancer(url)) {
        backend = mcp_backend_balancer(url, p);
        if (!backend[11] || strchr(backend, '%')) {
            return 0;
        }
        APR_ARRAY_PUSH(backends, const char *) = backend;
        return 1;
    }
    backend = strstr(url, "://") ? backend_of(url, p) : NULL;
    if (backend) {
        APR_ARRAY_PUSH(backends, const char *) = backend;
    }
    return backend != NULL;
}

const char *mcp_backend_show(const char *url, apr_pool_t *p)
{
    const char *scheme = strstr(url, "://"), *rest, *at, *c;

    if (!scheme) {
        return apr_pstrmemdup(p, url, strcspn(url, "?"));
    }
    rest = scheme + 3;
    for (c = rest, at = NULL; *c && *c != '/' && *c != '?' && *c != '#'; c++) {
        at = *c == '@' ? c : at;
    }
    rest = at ? at + 1 : rest;
    return apr_pstrcat(p, apr_pstrmemdup(p, url, (apr_size_t)(scheme + 3 - url)),
                       apr_pstrmemdup(p, rest, strcspn(rest, "?")), NULL);
}
