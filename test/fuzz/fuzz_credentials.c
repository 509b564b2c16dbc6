/* The Authorization field: only one whole value with one token68 in it gives a token. Input: flags ('b' bare, 'd' DPoP)
 * NUL query or "-" NUL value or "-". */
#include "fuzz.h"

#include <strings.h>

#include "base/limits.h"
#include "token/credentials.h"

static const char *trim(const char *text, apr_pool_t *p)
{
    size_t len;

    text += strspn(text, " \t");
    for (len = strlen(text); len && strchr(" \t", text[len - 1]); len--)
        ;
    return apr_pstrmemdup(p, text, len);
}

static int is_token68(const char *token)
{
    size_t n = strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/");

    return n && n + strspn(token + n, "=") == strlen(token);
}

/* A token was found: is the value nothing but a scheme that is spoken, spaces, and that token? */
static void check_found(const char *token, mcp_scheme_t scheme, const char *value, int bare, int dpop, apr_pool_t *p)
{
    const char *whole = trim(value, p), *word = scheme == MCP_SCHEME_DPOP ? "DPoP" : "Bearer";
    size_t len = strlen(word);

    MUST(is_token68(token) && strlen(token) <= MCP_LIMIT_TOKEN);
    MUST(scheme == MCP_SCHEME_BEARER || dpop);
    if (!strcmp(whole, token)) {
        MUST(bare);
        return;
    }
    MUST(!strncasecmp(whole, word, len) && whole[len] == ' ');
    whole += len;
    MUST(!strcmp(whole + strspn(whole, " \t"), token));
}

static int hex(char c)
{
    const char *digits = "0123456789abcdef", *found = c ? strchr(digits, c | 0x20) : NULL;

    return found && (found - digits < 10 ? c == *found : 1) ? (int)(found - digits) : -1;
}

/* The name of a parameter, percent-decoded. */
static int is_access_token(const char *name, size_t len)
{
    char decoded[16];
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char c = name[i];

        if (c == '%' && len - i > 2 && hex(name[i + 1]) >= 0 && hex(name[i + 2]) >= 0) {
            c = (char)(hex(name[i + 1]) << 4 | hex(name[i + 2]));
            i += 2;
        }
        if (n == sizeof(decoded)) {
            return 0;
        }
        decoded[n++] = c;
    }
    return n == 12 && !memcmp(decoded, "access_token", n);
}

static int in_query(const char *query)
{
    while (query && *query) {
        if (is_access_token(query, strcspn(query, "=&;"))) {
            return 1;
        }
        query += strcspn(query, "&;");
        query += *query != '\0';
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    fuzz_input_t input = fuzz_open(data, size, p);
    const char *flags = fuzz_next(&input), *query = fuzz_maybe(&input), *value = fuzz_maybe(&input), *token;
    int bare = strchr(flags, 'b') != NULL, dpop = strchr(flags, 'd') != NULL;
    mcp_scheme_t scheme = (mcp_scheme_t)7;
    mcp_status_t status;
    apr_size_t len;

    status = mcp_credentials_find(&token, &len, &scheme, value, bare, dpop, query);
    MUST(mcp_credentials_in_query(query) == in_query(query));
    MUST((status == MCP_OK) == (token != NULL) && (token != NULL) == (len > 0));
    MUST((status == MCP_CREDENTIALS_MISSING) == (!value || !*trim(value, p)));
    MUST(scheme == MCP_SCHEME_BEARER || scheme == MCP_SCHEME_DPOP);
    if (status == MCP_OK) {
        MUST(token >= value && token + len <= value + strlen(value) && !in_query(query));
        check_found(apr_pstrmemdup(p, token, len), scheme, value, bare, dpop, p);
    }
    else if (value && is_token68(value) && strlen(value) <= MCP_LIMIT_TOKEN && !in_query(query)) {
        /* A good token with its scheme is never refused. */
        const char *field = apr_pstrcat(p, dpop ? "dPoP  " : "bEARER ", value, " ", NULL);

        MUST(mcp_credentials_find(&token, &len, &scheme, field, bare, dpop, query) == MCP_OK && len == strlen(value));
    }
    apr_pool_destroy(p);
    return 0;
}
