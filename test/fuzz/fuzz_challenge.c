/* WWW-Authenticate: whatever is configured, one field value by the grammar of RFC 9110 section 11.6.1 comes out, and no value
 * ends it. O01. Input: nine texts, each ended by NUL, "-" for an absent one. */
#include "fuzz.h"

#include "policy/challenge.h"

/* What may be seen of value in a quoted-string: printable ASCII, and in a realm also '"' and '\'. */
static const char *visible(const char *value, int is_realm, apr_pool_t *p)
{
    char *out = apr_palloc(p, strlen(value) + 1), *end = out;

    for (; *value; value++) {
        if (*value >= 0x20 && *value < 0x7f && (is_realm || (*value != '"' && *value != '\\'))) {
            *end++ = *value;
        }
    }
    *end = '\0';
    return out;
}

/* Reads one auth-param name="value". Returns what follows it, and the value without its escapes. */
static const char *param_read(const char **pvalue, const char *s, const char *name, apr_pool_t *p)
{
    size_t len = strlen(name);
    char *value = apr_palloc(p, strlen(s) + 1), *end = value;

    MUST(!strncmp(s, name, len) && s[len] == '=' && s[len + 1] == '"');
    for (s += len + 2; *s && *s != '"'; s++) {
        if (*s == '\\') {
            s++;
        }
        MUST(*s >= 0x20 && *s < 0x7f);
        *end++ = *s;
    }
    MUST(*s == '"');
    *end = '\0';
    *pvalue = value;
    return s + 1;
}

static void check(const char *text, const mcp_challenge_t *challenge, apr_pool_t *p)
{
    const char *names[] = { "realm",      "resource_metadata", "scope", "error", "error_description",
                            "acr_values", "max_age",           "algs" };
    const char *values[] = { challenge->realm,
                             challenge->resource_metadata,
                             challenge->scope,
                             challenge->error,
                             challenge->error_description,
                             challenge->acr_values,
                             challenge->max_age,
                             challenge->algs };
    size_t len = strlen(challenge->scheme);
    int seen = 0;

    MUST(!strncmp(text, challenge->scheme, len));
    text += len;
    for (int i = 0; i < 8; i++) {
        const char *want = values[i] ? visible(values[i], i == 0, p) : "", *got;

        if (*want) {
            const char *between = seen++ ? ", " : " ";

            MUST(!strncmp(text, between, strlen(between)));
            text = param_read(&got, text + strlen(between), names[i], p);
            MUST(!strcmp(got, want));
        }
    }
    MUST(!*text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    fuzz_input_t input = fuzz_open(data, size, p);
    mcp_challenge_t challenge;

    challenge.scheme = *fuzz_next(&input) == 'D' ? "DPoP" : "Bearer";
    challenge.realm = fuzz_maybe(&input);
    challenge.resource_metadata = fuzz_maybe(&input);
    challenge.scope = fuzz_maybe(&input);
    challenge.error = fuzz_maybe(&input);
    challenge.error_description = fuzz_maybe(&input);
    challenge.acr_values = fuzz_maybe(&input);
    challenge.max_age = fuzz_maybe(&input);
    challenge.algs = fuzz_maybe(&input);
    check(mcp_challenge_make(&challenge, p), &challenge, p);
    apr_pool_destroy(p);
    return 0;
}
