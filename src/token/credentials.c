#include "token/credentials.h"

#include <apr_cstr.h>
#include <string.h>

#include "base/limits.h"

#define ALNUM "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define TOKEN ALNUM "!#$%&'*+-.^_`|~" /* RFC 9110 section 5.6.2 */
#define TOKEN68 ALNUM "-._~+/"        /* RFC 9110 section 11.2, before its '=' */

static int is_token68(const char *s, apr_size_t len)
{
    apr_size_t n = strspn(s, TOKEN68);

    return n && n <= len && n + strspn(s + n, "=") >= len;
}

static const char *skip_spaces(const char *s)
{
    return s + strspn(s, " \t");
}

/* Does an auth-param start here? The value is not looked at: real schemes are generous with it. */
static int is_param(const char *s)
{
    apr_size_t n = strspn(s, TOKEN);

    return n && *skip_spaces(s + n) == '=';
}

/* The first comma outside of a quoted-string, or the end. */
static const char *find_comma(const char *s)
{
    int quoted = 0;

    for (; *s && (quoted || *s != ','); s++) {
        if (*s == '"') {
            quoted = !quoted;
        }
        else if (quoted && *s == '\\' && s[1]) {
            s++;
        }
    }
    return s;
}

/* Is there another value behind this one, whose part after the scheme is rest? A token68 ends at the first comma, only
 * auth-params go on behind one (RFC 9110 section 11.4). */
static int is_doubled(const char *rest)
{
    const char *comma;
    apr_size_t len;

    if (!strchr(rest, ',')) { /* the usual case, at the price of one look */
        return 0;
    }
    len = strcspn(rest, " \t,");
    if (*skip_spaces(rest + len) == ',' && (!len || is_token68(rest, len))) {
        return 1;
    }
    for (comma = find_comma(rest); *comma; comma = find_comma(rest)) {
        rest = skip_spaces(comma + 1);
        if (*rest && *rest != ',' && !is_param(rest)) {
            return 1;
        }
    }
    return 0;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Is this, percent-decoded, the name access_token, up to the end of a name? */
static int is_access_token(const char *s)
{
    const char *name = "access_token";
    int c;

    for (; *name; name++) {
        c = *s++;
        if (c == '%' && hex(s[0]) >= 0 && hex(s[1]) >= 0) {
            c = hex(s[0]) << 4 | hex(s[1]);
            s += 2;
        }
        if (c != *name) {
            return 0;
        }
    }
    return !*s || strchr("=&;", *s);
}

int mcp_credentials_in_query(const char *query)
{
    while (query) {
        if (is_access_token(query)) {
            return 1;
        }
        query = strpbrk(query, "&;");
        query = query ? query + 1 : NULL;
    }
    return 0;
}

/* What is wrong with the text behind the scheme, or with a bare token? */
static mcp_status_t judge(const char *text, apr_size_t len, const char *query)
{
    if (!len) {
        return MCP_CREDENTIALS_EMPTY;
    }
    if (mcp_credentials_in_query(query)) {
        return MCP_CREDENTIALS_QUERY;
    }
    if (len > MCP_LIMIT_TOKEN) {
        return MCP_TOKEN_TOO_LONG;
    }
    return is_token68(text, len) ? MCP_OK : MCP_TOKEN_MALFORMED;
}

/* Is the word of len bytes a scheme that is spoken? */
static int is_spoken(mcp_scheme_t *pscheme, const char *word, apr_size_t len, int dpop)
{
    if (dpop && len == 4 && !apr_cstr_casecmpn(word, "DPoP", 4)) {
        *pscheme = MCP_SCHEME_DPOP;
        return 1;
    }
    return len == 6 && !apr_cstr_casecmpn(word, "Bearer", 6);
}

mcp_status_t mcp_credentials_find(const char **ptoken, apr_size_t *plen, mcp_scheme_t *pscheme, const char *value,
                                  int bare, int dpop, const char *query)
{
    const char *text = value ? skip_spaces(value) : "", *rest;
    apr_size_t len, scheme = strspn(text, TOKEN);
    int spoken, alone;
    mcp_status_t status;

    *ptoken = NULL;
    *plen = 0;
    *pscheme = MCP_SCHEME_BEARER;
    spoken = is_spoken(pscheme, text, scheme, dpop);
    alone = bare && !spoken && (text[scheme] != ' ' || !*skip_spaces(text + scheme));
    if (!*text) {
        return MCP_CREDENTIALS_MISSING;
    }
    rest = alone ? text : skip_spaces(text + scheme);
    if (is_doubled(rest)) {
        return MCP_CREDENTIALS_DOUBLED;
    }
    if (!spoken && !alone) {
        return MCP_CREDENTIALS_SCHEME;
    }
    if (spoken && *rest && text[scheme] != ' ') {
        return MCP_TOKEN_MALFORMED;
    }
    for (len = strlen(rest); len && (rest[len - 1] == ' ' || rest[len - 1] == '\t'); len--)
        ;
    status = judge(rest, len, query);
    if (status == MCP_OK) {
        *ptoken = rest;
        *plen = len;
    }
    return status;
}
