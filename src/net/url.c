#include "net/url.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define HOST_MAX 255 /* bytes of a host name, RFC 1035 section 3.1 */

/* ASCII only, whatever the locale of the process. */
static int is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* The set of each component in RFC 3986; '%' only with two hexadecimal digits behind it. */
static int is_text(const char *text, apr_size_t len)
{
    apr_size_t i;

    for (i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= 0x20 || c >= 0x7f || strchr("\"<>\\^`{|}[]#", c)) {
            return 0;
        }
        if (c == '%' && (len - i < 3 || !apr_isxdigit(text[i + 1]) || !apr_isxdigit(text[i + 2]))) {
            return 0;
        }
    }
    return 1;
}

static char *lower(const char *text, apr_size_t len, apr_pool_t *p)
{
    char *copy = apr_pstrmemdup(p, text, len), *c;

    for (c = copy; *c; c++) {
        *c = (*c >= 'A' && *c <= 'Z') ? *c + ('a' - 'A') : *c;
    }
    return copy;
}

/* RFC 3986 section 3.1. Returns what follows "://", NULL if there is no scheme. */
static const char *take_scheme(mcp_url_t *url, const char *text, apr_pool_t *p)
{
    const char *end = text;

    while (is_alnum(*end) || (end > text && (*end == '+' || *end == '-' || *end == '.'))) {
        end++;
    }
    if (!is_alnum(*text) || apr_isdigit(*text) || strncmp(end, "://", 3)) {
        return NULL;
    }
    url->scheme = lower(text, end - text, p);
    return end + 3;
}

static int is_name(const char *host, apr_size_t len)
{
    apr_size_t i;

    /* Narrower than RFC 3986: what DNS can hold. Escapes in a host are read differently by different parsers. */
    for (i = 0; i < len; i++) {
        if (!is_alnum(host[i]) && host[i] != '-' && host[i] != '_' && (host[i] != '.' || !i || host[i - 1] == '.')) {
            return 0;
        }
    }
    return len > 0 && len <= HOST_MAX;
}

static int is_ipv6(const char *host, apr_size_t len, struct in6_addr *address)
{
    char text[INET6_ADDRSTRLEN];

    if (len < 2 || len - 2 >= sizeof(text) || host[len - 1] != ']') {
        return 0;
    }
    memcpy(text, host + 1, len - 2);
    text[len - 2] = '\0';
    return inet_pton(AF_INET6, text, address) == 1;
}

static int is_loopback_name(const char *host)
{
    apr_size_t len = strlen(host), tail = strlen(".localhost");
    struct in_addr address;

    if (!strcmp(host, "localhost") || (len > tail && !strcmp(host + len - tail, ".localhost"))) {
        return 1;
    }
    return inet_pton(AF_INET, host, &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

static int take_host(mcp_url_t *url, const char *host, apr_size_t len, apr_pool_t *p)
{
    struct in6_addr address;

    if (len && host[0] == '[') {
        if (!is_ipv6(host, len, &address)) {
            return 0;
        }
        url->loopback = IN6_IS_ADDR_LOOPBACK(&address) ? 1 : 0;
        url->host = lower(host, len, p);
        return 1;
    }
    if (!is_name(host, len)) {
        return 0;
    }
    url->host = lower(host, len, p);
    url->loopback = is_loopback_name(url->host);
    return 1;
}

static unsigned default_port(const char *scheme)
{
    return !strcmp(scheme, "https") ? 443 : !strcmp(scheme, "http") ? 80 : 0;
}

static int take_port(mcp_url_t *url, const char *digits, apr_size_t len)
{
    unsigned port = 0;
    apr_size_t i;

    for (i = 0; i < len && i < 5 && apr_isdigit(digits[i]); i++) {
        port = port * 10 + (unsigned)(digits[i] - '0');
    }
    url->port = port;
    return i && i == len && port >= 1 && port <= 65535;
}

/* RFC 3986 section 3.2, without user information. */
static int take_authority(mcp_url_t *url, const char *text, apr_size_t len, apr_pool_t *p)
{
    const char *bracket = len && *text == '[' ? memchr(text, ']', len) : text;
    const char *colon = bracket ? memchr(bracket, ':', len - (bracket - text)) : NULL;
    unsigned usual = default_port(url->scheme);

    if (!take_host(url, text, colon ? (apr_size_t)(colon - text) : len, p)) {
        return 0;
    }
    url->port = usual;
    if (colon && !take_port(url, colon + 1, text + len - (colon + 1))) {
        return 0;
    }
    url->origin = url->port == usual ? apr_pstrcat(p, url->scheme, "://", url->host, NULL)
                                     : apr_psprintf(p, "%s://%s:%u", url->scheme, url->host, url->port);
    return 1;
}

int mcp_url_parse(mcp_url_t *url, const char *text, apr_pool_t *p)
{
    const char *rest;
    apr_size_t len;

    memset(url, 0, sizeof(*url));
    rest = text ? take_scheme(url, text, p) : NULL;
    if (!rest || !default_port(url->scheme)) {
        return 0;
    }
    len = strcspn(rest, "/?#");
    if (!take_authority(url, rest, len, p)) {
        return 0;
    }
    rest += len;
    len = strcspn(rest, "?#");
    if (!is_text(rest, len)) {
        return 0;
    }
    url->path = apr_pstrmemdup(p, rest, len);
    rest += len;
    if (*rest == '?') {
        len = strcspn(++rest, "#");
        if (!is_text(rest, len)) {
            return 0;
        }
        url->query = apr_pstrmemdup(p, rest, len);
        rest += len;
    }
    url->fragment = *rest == '#';
    return !url->fragment || is_text(rest + 1, strlen(rest + 1));
}

int mcp_url_parse_origin(mcp_url_t *url, const char *text, apr_pool_t *p)
{
    const char *rest;

    memset(url, 0, sizeof(*url));
    rest = text ? take_scheme(url, text, p) : NULL;
    if (!rest || !take_authority(url, rest, strlen(rest), p)) {
        return 0;
    }
    url->path = "";
    return 1;
}

static int from_hex(char c)
{
    return apr_isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

static int is_unreserved(char c)
{
    return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/* RFC 3986 sections 6.2.2.1 and 6.2.2.2, in place; each '%' has its two digits. */
static void escapes_normalize(char *path)
{
    static const char hex[] = "0123456789ABCDEF";
    char *in, *out = path;

    for (in = path; *in; in++) {
        int c = *in == '%' ? from_hex(in[1]) << 4 | from_hex(in[2]) : 0;

        if (*in != '%') {
            *out++ = *in;
            continue;
        }
        in += 2;
        if (is_unreserved((char)c)) {
            *out++ = (char)c;
        }
        else {
            *out++ = '%';
            *out++ = hex[c >> 4];
            *out++ = hex[c & 0xf];
        }
    }
    *out = '\0';
}

/* RFC 3986 section 5.2.4, in place; path is empty or begins with a slash. */
static void dots_remove(char *path)
{
    char *in = path, *out = path;

    while (*in) {
        apr_size_t len = 1 + strcspn(in + 1, "/");
        int dots = len == 2 && in[1] == '.' ? 1 : len == 3 && in[1] == '.' && in[2] == '.' ? 2 : 0;

        if (!dots) {
            memmove(out, in, len);
            out += len;
        }
        else if (dots == 2) {
            while (out > path && *--out != '/') {
            }
        }
        in += len;
        if (dots && !*in) {
            *out++ = '/';
        }
    }
    *out = '\0';
}

const char *mcp_url_normalize(const char *text, apr_pool_t *p)
{
    mcp_url_t url;
    char *path;

    if (!mcp_url_parse(&url, text, p)) {
        return NULL;
    }
    path = apr_pstrdup(p, url.path);
    escapes_normalize(path);
    dots_remove(path);
    return apr_pstrcat(p, url.origin, *path ? path : "/", NULL);
}

const char *mcp_url_join(const char *base, const char *path, apr_pool_t *p)
{
    apr_size_t len = strlen(base);

    while (len && base[len - 1] == '/') {
        len--;
    }
    return apr_pstrcat(p, apr_pstrmemdup(p, base, len), "/", path + strspn(path, "/"), NULL);
}
