#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/jsoncheck.h"

static void *allocate(size_t size)
{
    void *data = malloc(size);

    if (!data) {
        abort();
    }
    return data;
}

void mcp_json_init(void)
{
    json_set_alloc_funcs(allocate, free);
}

static int in_number(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/* Is the number of len characters an integer that 64 bits do not hold? */
static int is_long(const char *number, apr_size_t len)
{
    const char *limit = "9223372036854775807";

    if (len && *number == '-') {
        limit = "9223372036854775808";
        number++;
        len--;
    }
    if (len < 19 || memchr(number, '.', len) || memchr(number, 'e', len) || memchr(number, 'E', len)) {
        return 0;
    }
    return len > 19 || memcmp(number, limit, 19) > 0;
}

/* A malloc'ed copy in which integers beyond 64 bits have a fraction, so that jansson reads them, and only them, as
 * reals. Its JSON_DECODE_INT_AS_REAL would turn every integer of the document, also an id. */
static char *widen(apr_size_t *pwide_len, const char *data, apr_size_t len)
{
    const char *s = data, *end = data + len, *from;
    char *wide = malloc(len + len / 19 * 2), *w = wide;

    while (wide && s < end) {
        from = s;
        if (*s == '"') {
            s = mcp_jsontext_skip(s, end);
        }
        else {
            do {
                s++;
            } while (s < end && in_number(*from) && in_number(*s));
        }
        memcpy(w, from, s - from);
        w += s - from;
        if (in_number(*from) && is_long(from, s - from)) {
            *w++ = '.';
            *w++ = '0';
        }
    }
    *pwide_len = w - wide;
    return wide;
}

/* jansson builds what has been judged: left to it are integers that it cannot hold, and memory. */
static mcp_status_t load(json_t **pjson, const char *data, apr_size_t len, int max_depth)
{
    json_error_t error;
    mcp_span_t span;
    mcp_status_t status = mcp_jsoncheck_strict(&span, data, len, max_depth, NULL);

    *pjson = NULL;
    if (status != MCP_OK) {
        return status;
    }
    *pjson = json_loadb(data, len, JSON_DECODE_ANY, &error);
    if (!*pjson && json_error_code(&error) == json_error_numeric_overflow) {
        apr_size_t wide_len;
        char *wide = widen(&wide_len, data, len);

        if (!wide) {
            return MCP_INTERNAL;
        }
        *pjson = json_loadb(wide, wide_len, JSON_DECODE_ANY, &error);
        free(wide);
    }
    return *pjson ? MCP_OK : MCP_INTERNAL;
}

static apr_status_t release(void *data)
{
    json_decref(data);
    return APR_SUCCESS;
}

mcp_status_t mcp_json_parse(json_t **pjson, const char *data, apr_size_t len, int max_depth, apr_pool_t *p)
{
    mcp_status_t status = load(pjson, data, len, max_depth);

    if (*pjson && p) {
        apr_pool_cleanup_register(p, *pjson, release, apr_pool_cleanup_null);
    }
    return status;
}

mcp_status_t mcp_json_parse_object(json_t **pobject, const char *data, apr_size_t len, int max_depth, apr_pool_t *p)
{
    mcp_status_t status = load(pobject, data, len, max_depth);

    if (*pobject && !json_is_object(*pobject)) {
        json_decref(*pobject);
        *pobject = NULL;
        return MCP_JSON_SYNTAX;
    }
    if (*pobject && p) {
        apr_pool_cleanup_register(p, *pobject, release, apr_pool_cleanup_null);
    }
    return status;
}

/* The character at *ps under simple case folding; what folds to nothing in ASCII is returned byte by byte. */
static int fold(const unsigned char **ps)
{
    const unsigned char *s = *ps;

    if (s[0] == 0xC5 && s[1] == 0xBF) {
        *ps = s + 2;
        return 's';
    }
    if (s[0] == 0xE2 && s[1] == 0x84 && s[2] == 0xAA) {
        *ps = s + 3;
        return 'k';
    }
    *ps = s + (*s != 0);
    return *s >= 'A' && *s <= 'Z' ? *s + ('a' - 'A') : *s;
}

int mcp_json_is_variant(const char *key, const char *name)
{
    const unsigned char *a = (const unsigned char *)key, *b = (const unsigned char *)name;
    int c;

    if (!strcmp(key, name)) {
        return 0;
    }
    do {
        c = fold(&a);
        if (c != fold(&b)) {
            return 0;
        }
    } while (c);
    return 1;
}

int mcp_json_is_text(const json_t *value, const char *text)
{
    apr_size_t len = strlen(text);

    return json_is_string(value) && json_string_length(value) == len && !memcmp(json_string_value(value), text, len);
}
