#include "policy/challenge.h"

#include <apr_strings.h>
#include <string.h>

/* Is c allowed in an RFC 6750 section 3 value: %x20-21 / %x23-5B / %x5D-7E? */
static int is_plain(char c)
{
    return c >= 0x20 && c <= 0x7E && c != '"' && c != '\\';
}

/* What of value may stand in a quoted-string. escape: '"' and '\' stay, behind a backslash. */
static const char *clean(const char *value, int escape, apr_pool_t *p)
{
    char *out = apr_palloc(p, 2 * strlen(value) + 1), *end = out;

    for (; *value; value++) {
        if (escape && (*value == '"' || *value == '\\')) {
            *end++ = '\\';
            *end++ = *value;
        }
        else if (is_plain(*value)) {
            *end++ = *value;
        }
    }
    *end = '\0';
    return out;
}

static const char *append(const char *text, const char *name, const char *value, int escape, apr_pool_t *p)
{
    const char *cleaned = value ? clean(value, escape, p) : "";

    return *cleaned ? apr_pstrcat(p, text, *text ? ", " : "", name, "=\"", cleaned, "\"", NULL) : text;
}

const char *mcp_challenge_make(const mcp_challenge_t *challenge, apr_pool_t *p)
{
    const char *params = append("", "realm", challenge->realm, 1, p);

    params = append(params, "resource_metadata", challenge->resource_metadata, 0, p);
    params = append(params, "scope", challenge->scope, 0, p);
    params = append(params, "error", challenge->error, 0, p);
    params = append(params, "error_description", challenge->error_description, 0, p);
    params = append(params, "acr_values", challenge->acr_values, 0, p);
    params = append(params, "max_age", challenge->max_age, 0, p);
    params = append(params, "algs", challenge->algs, 0, p);
    return apr_pstrcat(p, challenge->scheme, *params ? " " : "", params, NULL);
}
