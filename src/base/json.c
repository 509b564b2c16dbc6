#include "base/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

#define FLAGS (JSON_REJECT_DUPLICATES | JSON_DECODE_ANY)

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

static int hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The UTF-16 code unit that a \u escape at s stands for, -1 when there is none. */
static int unit_at(const char *s, const char *end)
{
    int i, digit, unit = 0;

    if (end - s < 6 || s[0] != '\\' || s[1] != 'u') {
        return -1;
    }
    for (i = 2; i < 6; i++) {
        digit = hex(s[i]);
        if (digit < 0) {
            return -1;
        }
        unit = unit << 4 | digit;
    }
    return unit;
}

static int is_high(int unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static int is_low(int unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* Steps over the escape at s (a backslash); NULL when it stands for half a character. */
static const char *skip_escape(const char *s, const char *end)
{
    int unit = unit_at(s, end);

    if (unit < 0) {
        return end - s < 2 ? end : s + 2;
    }
    if (is_low(unit) || (is_high(unit) && !is_low(unit_at(s + 6, end)))) {
        return NULL;
    }
    return s + (is_high(unit) ? 12 : 6);
}

/* Steps over the string whose opening quote is at s, closing quote included; end when it is not closed, NULL for text
 * that must not be there. */
static const char *skip_string(const char *s, const char *end)
{
    s++;
    while (s && s < end && *s != '"') {
        s = *s == '\\' ? skip_escape(s, end) : s + 1;
    }
    return s && s < end ? s + 1 : s;
}

/* What has to be known before anything is built, in one pass without recursion. jansson is lenient about a raw NUL and
 * calls a lone surrogate a syntax error. */
static mcp_status_t scan(const char *data, apr_size_t len, int max_depth)
{
    const char *s = data, *end = data + len;
    apr_size_t values = 1;
    int depth = 0;

    if (memchr(data, 0, len) || (len >= 3 && !memcmp(data, "\xEF\xBB\xBF", 3))) {
        return MCP_JSON_TEXT;
    }
    while (s < end) {
        if (*s == '"') {
            s = skip_string(s, end);
            if (!s) {
                return MCP_JSON_TEXT;
            }
            continue;
        }
        if ((*s == '{' || *s == '[') && ++depth > max_depth) {
            return MCP_JSON_DEPTH;
        }
        /* Each comma starts another value, and so may each bracket. */
        values += *s == '{' || *s == '[' || *s == ',';
        if (*s == '}' || *s == ']') {
            depth--;
        }
        s++;
    }
    return values > MCP_LIMIT_VALUES ? MCP_JSON_VALUES : MCP_OK;
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
            s = skip_string(s, end);
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

static mcp_status_t status_of(const json_error_t *error)
{
    switch (json_error_code(error)) {
    case json_error_invalid_utf8:
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return MCP_JSON_TEXT;
    case json_error_stack_overflow:
        return MCP_JSON_DEPTH;
    case json_error_duplicate_key:
        return MCP_JSON_DUPLICATE;
    case json_error_numeric_overflow:
        return MCP_JSON_NUMBER;
    case json_error_out_of_memory:
        return MCP_INTERNAL;
    default:
        return MCP_JSON_SYNTAX;
    }
}

static mcp_status_t load(json_t **pjson, const char *data, apr_size_t len, int max_depth)
{
    json_error_t error;
    mcp_status_t status;

    *pjson = NULL;
    if (!data || !len) {
        return MCP_JSON_SYNTAX;
    }
    status = scan(data, len, max_depth);
    if (status != MCP_OK) {
        return status;
    }
    *pjson = json_loadb(data, len, FLAGS, &error);
    if (!*pjson && json_error_code(&error) == json_error_numeric_overflow) {
        apr_size_t wide_len;
        char *wide = widen(&wide_len, data, len);

        if (!wide) {
            return MCP_INTERNAL;
        }
        *pjson = json_loadb(wide, wide_len, FLAGS, &error);
        free(wide);
    }
    return *pjson ? MCP_OK : status_of(&error);
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

static const char *skip_space(const char *s, const char *end)
{
    while (s < end && (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r')) {
        s++;
    }
    return s;
}

/* Steps over the value at s; NULL only for what mcp_json_parse would have refused. */
static const char *skip_value(const char *s, const char *end)
{
    int depth = 0;

    while (s && s < end) {
        if (*s == '"') {
            s = skip_string(s, end);
            if (!depth) {
                return s;
            }
            continue;
        }
        if (*s == '{' || *s == '[') {
            depth++;
        }
        else if (*s == '}' || *s == ']') {
            if (depth <= 1) {
                return depth ? s + 1 : s;
            }
            depth--;
        }
        else if (!depth && (*s == ',' || skip_space(s, end) != s)) {
            return s;
        }
        s++;
    }
    return s;
}

/* Writes the code point as UTF-8, returns the number of bytes. */
static int utf8(char out[4], int point)
{
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (char)(0xC0 | point >> 6);
        out[1] = (char)(0x80 | (point & 0x3F));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (char)(0xE0 | point >> 12);
        out[1] = (char)(0x80 | (point >> 6 & 0x3F));
        out[2] = (char)(0x80 | (point & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | point >> 18);
    out[1] = (char)(0x80 | (point >> 12 & 0x3F));
    out[2] = (char)(0x80 | (point >> 6 & 0x3F));
    out[3] = (char)(0x80 | (point & 0x3F));
    return 4;
}

/* Decodes the character or escape at *ps and steps over it, returns the number of bytes. */
static int decode(char out[4], const char **ps, const char *end)
{
    static const char letters[] = "b\bf\fn\nr\rt\t";
    const char *s = *ps, *letter;
    int unit = unit_at(s, end);

    if (unit >= 0) {
        int low = is_high(unit) ? unit_at(s + 6, end) : -1;

        *ps = s + (is_low(low) ? 12 : 6);
        return utf8(out, is_low(low) ? 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00) : unit);
    }
    if (*s == '\\' && end - s >= 2) {
        *ps = s + 2;
        for (letter = letters; *letter && *letter != s[1]; letter += 2)
            ;
        out[0] = *letter ? letter[1] : s[1];
        return 1;
    }
    *ps = s + 1;
    out[0] = *s;
    return 1;
}

/* Does the text between two quotes stand for name? */
static int is_name(const char *s, const char *end, const char *name)
{
    apr_size_t left = strlen(name);
    char out[4];
    int n;

    while (s < end) {
        n = decode(out, &s, end);
        if ((apr_size_t)n > left || memcmp(out, name, n)) {
            return 0;
        }
        name += n;
        left -= n;
    }
    return left == 0;
}

int mcp_json_member_text(const char **ptext, apr_size_t *plen, const char *data, apr_size_t len, const char *name)
{
    const char *end = data + len, *s = skip_space(data, end), *key, *key_end, *value;

    if (s == end || *s != '{') {
        return 0;
    }
    for (;;) {
        key = skip_space(s + 1, end);
        if (key == end || *key != '"') {
            return 0;
        }
        key_end = skip_string(key, end);
        s = key_end ? skip_space(key_end, end) : end;
        if (s == end || *s != ':') {
            return 0;
        }
        value = skip_space(s + 1, end);
        s = skip_value(value, end);
        if (!s || s == value) {
            return 0;
        }
        if (is_name(key + 1, key_end - 1, name)) {
            *ptext = value;
            *plen = s - value;
            return 1;
        }
        s = skip_space(s, end);
        if (s == end || *s != ',') {
            return 0;
        }
    }
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
