#include "base/jsontext.h"

#include <string.h>

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

/* Steps over the escape at s (a backslash). */
static const char *skip_escape(unsigned *pfaults, const char *s, const char *end)
{
    int unit = unit_at(s, end);

    if (unit < 0) {
        if (end - s < 2 || !s[1] || !strchr("\"\\/bfnrt", s[1])) {
            *pfaults |= MCP_STRING_MALFORMED;
        }
        return end - s < 2 ? end : s + 2;
    }
    if (is_high(unit) && is_low(unit_at(s + 6, end))) {
        return s + 12;
    }
    if (is_high(unit) || is_low(unit)) {
        *pfaults |= MCP_STRING_HALF;
    }
    return s + 6;
}

const char *mcp_jsontext_skip(unsigned *pfaults, const char *s, const char *end)
{
    s++;
    while (s < end && *s != '"') {
        if (*s == '\\') {
            s = skip_escape(pfaults, s, end);
            continue;
        }
        if ((unsigned char)*s < 0x20) {
            *pfaults |= MCP_STRING_MALFORMED;
        }
        s++;
    }
    if (s >= end) {
        *pfaults |= MCP_STRING_MALFORMED;
        return end;
    }
    return s + 1;
}

static const char *skip_space(const char *s, const char *end)
{
    while (s < end && (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r')) {
        s++;
    }
    return s;
}

/* --- The grammar: each function steps over what is allowed at s, NULL when something else is there. --- */

static const char *read_string(const char *s, const char *end)
{
    unsigned faults = 0;

    if (s == end || *s != '"') {
        return NULL;
    }
    s = mcp_jsontext_skip(&faults, s, end);
    return faults & MCP_STRING_MALFORMED ? NULL : s;
}

static const char *read_digits(const char *s, const char *end)
{
    const char *from = s;

    while (s < end && *s >= '0' && *s <= '9') {
        s++;
    }
    return s > from ? s : NULL;
}

static const char *read_number(const char *s, const char *end)
{
    if (s < end && *s == '-') {
        s++;
    }
    s = s < end && *s == '0' ? s + 1 : read_digits(s, end);
    if (s && s < end && *s == '.') {
        s = read_digits(s + 1, end);
    }
    if (s && s < end && (*s == 'e' || *s == 'E')) {
        s++;
        if (s < end && (*s == '+' || *s == '-')) {
            s++;
        }
        s = read_digits(s, end);
    }
    return s;
}

static const char *read_word(const char *s, const char *end, const char *word)
{
    apr_size_t len = strlen(word);

    return (apr_size_t)(end - s) >= len && !memcmp(s, word, len) ? s + len : NULL;
}

static const char *read_scalar(const char *s, const char *end)
{
    switch (*s) {
    case '"':
        return read_string(s, end);
    case 't':
        return read_word(s, end, "true");
    case 'f':
        return read_word(s, end, "false");
    case 'n':
        return read_word(s, end, "null");
    default:
        return read_number(s, end);
    }
}

/* A name, its colon, and the white space around it. */
static const char *read_name(const char *s, const char *end)
{
    s = read_string(s, end);
    s = s ? skip_space(s, end) : end;
    return s < end && *s == ':' ? skip_space(s + 1, end) : NULL;
}

/* The open containers: bit n is set when the one of depth n + 1 is an object. */
typedef struct nest_t {
    unsigned char objects[MCP_JSONTEXT_DEPTH / 8];
    int depth, max_depth;
} nest_t;

static int nest_enter(nest_t *nest, char open)
{
    int at = nest->depth, bit = 1 << at % 8;

    if (at >= nest->max_depth) {
        return 0;
    }
    nest->depth++;
    nest->objects[at / 8] = (unsigned char)(open == '{' ? nest->objects[at / 8] | bit : nest->objects[at / 8] & ~bit);
    return 1;
}

static int nest_is_object(const nest_t *nest)
{
    int at = nest->depth - 1;

    return nest->objects[at / 8] >> at % 8 & 1;
}

/* From the begin of a value to the end of the first one that is complete: a scalar or an empty container. */
static const char *read_begin(nest_t *nest, const char *s, const char *end)
{
    char open;

    while (s && s < end && (*s == '{' || *s == '[')) {
        open = *s;
        if (!nest_enter(nest, open)) {
            return NULL;
        }
        s = skip_space(s + 1, end);
        if (s < end && *s == (open == '{' ? '}' : ']')) {
            nest->depth--;
            return s + 1;
        }
        if (open == '{') {
            s = read_name(s, end);
        }
    }
    return s && s < end ? read_scalar(s, end) : NULL;
}

/* From the end of a value to the begin of the next, or to the end of all containers. */
static const char *read_next(nest_t *nest, const char *s, const char *end)
{
    while (nest->depth) {
        int object = nest_is_object(nest);

        s = skip_space(s, end);
        if (s == end) {
            return NULL;
        }
        if (*s == ',') {
            s = skip_space(s + 1, end);
            return object ? read_name(s, end) : s;
        }
        if (*s != (object ? '}' : ']')) {
            return NULL;
        }
        nest->depth--;
        s++;
    }
    return s;
}

int mcp_jsontext_check(mcp_span_t *pspan, const char *data, apr_size_t len, int max_depth)
{
    const char *s, *begin, *end;
    nest_t nest;

    if (!data || !len) {
        return 0;
    }
    nest.depth = 0;
    nest.max_depth = max_depth < MCP_JSONTEXT_DEPTH ? max_depth : MCP_JSONTEXT_DEPTH;
    memset(nest.objects, 0, sizeof(nest.objects));
    end = data + len;
    s = begin = skip_space(data, end);
    do {
        s = read_begin(&nest, s, end);
        s = s ? read_next(&nest, s, end) : NULL;
    } while (s && nest.depth);
    if (!s || skip_space(s, end) != end) {
        return 0;
    }
    pspan->text = begin;
    pspan->len = (apr_size_t)(s - begin);
    return 1;
}

/* --- Walking over a text that is known to be well-formed: wrong steps end the walk, and never leave the text. --- */

static const char *skip_value(const char *s, const char *end)
{
    unsigned faults;
    int depth = 0;

    while (s < end) {
        if (*s == '"') {
            s = mcp_jsontext_skip(&faults, s, end);
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

int mcp_jsonwalk_open(mcp_jsonwalk_t *walk, mcp_span_t container)
{
    walk->end = container.text + container.len;
    walk->at = skip_space(container.text, walk->end);
    walk->type = walk->at < walk->end ? *walk->at : 0;
    if (walk->type != '{' && walk->type != '[') {
        walk->at = walk->end;
        return walk->type = 0;
    }
    walk->at++;
    return walk->type;
}

/* Reads the name at s up to its value; NULL when there is none. */
static const char *walk_name(mcp_span_t *key, const char *s, const char *end)
{
    unsigned faults = 0;
    const char *begin = s + 1;

    if (s == end || *s != '"') {
        return NULL;
    }
    s = mcp_jsontext_skip(&faults, s, end);
    if (faults & MCP_STRING_MALFORMED) {
        return NULL;
    }
    key->text = begin;
    key->len = (apr_size_t)(s - 1 - begin);
    s = skip_space(s, end);
    return s < end && *s == ':' ? skip_space(s + 1, end) : NULL;
}

int mcp_jsonwalk_next(mcp_span_t *key, mcp_span_t *value, mcp_jsonwalk_t *walk)
{
    const char *s = skip_space(walk->at, walk->end), *end = walk->end;
    mcp_span_t name = { NULL, 0 };

    walk->at = end; /* unless all goes well */
    if (s < end && *s == ',') {
        s = skip_space(s + 1, end);
    }
    if (walk->type == '{') {
        s = walk_name(&name, s, end);
        if (!s) {
            return 0;
        }
    }
    value->text = s;
    s = skip_value(s, end);
    if (s == value->text) {
        return 0;
    }
    value->len = (apr_size_t)(s - value->text);
    if (key) {
        *key = name;
    }
    walk->at = s;
    return 1;
}

/* --- What strings stand for. --- */

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

/* Decodes the character or escape at *ps and steps over it, returns the number of bytes: 4 at most, and never more than
 * were read. A lone surrogate becomes three bytes that are no UTF-8. */
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

int mcp_jsontext_is(mcp_span_t key, const char *name)
{
    const char *s = key.text, *end = s + key.len;
    apr_size_t left = strlen(name);
    char out[4];
    int n;

    while (s < end) {
        n = decode(out, &s, end);
        if ((apr_size_t)n > left || memcmp(out, name, (apr_size_t)n)) {
            return 0;
        }
        name += n;
        left -= (apr_size_t)n;
    }
    return left == 0;
}

/* The number of bytes of the well-formed UTF-8 sequence at s (Unicode table 3-7), 0 when there is none. */
static int sequence_len(const unsigned char *s, const unsigned char *end)
{
    unsigned char low = 0x80, high = 0xBF;
    int i, len;

    if (*s < 0x80) {
        return 1;
    }
    len = *s < 0xC2 ? 0 : *s < 0xE0 ? 2 : *s < 0xF0 ? 3 : *s < 0xF5 ? 4 : 0;
    if (end - s < len) {
        return 0;
    }
    if (*s == 0xE0) {
        low = 0xA0;
    }
    else if (*s == 0xED) {
        high = 0x9F;
    }
    else if (*s == 0xF0) {
        low = 0x90;
    }
    else if (*s == 0xF4) {
        high = 0x8F;
    }
    for (i = 1; i < len; i++) {
        if (s[i] < low || s[i] > high) {
            return 0;
        }
        low = 0x80;
        high = 0xBF;
    }
    return len;
}

/* Is it UTF-8 without a NUL? */
static int is_text(const char *text, apr_size_t len)
{
    const unsigned char *s = (const unsigned char *)text, *end = s + len;
    int n;

    while (s < end) {
        n = *s ? sequence_len(s, end) : 0;
        if (!n) {
            return 0;
        }
        s += n;
    }
    return 1;
}

const char *mcp_jsontext_key(mcp_span_t key, apr_pool_t *p)
{
    const char *s = key.text, *end = s + key.len;
    char *text = apr_palloc(p, key.len + 1), *out = text, bytes[4];
    int n;

    while (s < end) {
        n = decode(bytes, &s, end);
        memcpy(out, bytes, (apr_size_t)n);
        out += n;
    }
    *out = '\0';
    return is_text(text, (apr_size_t)(out - text)) ? text : NULL;
}

const char *mcp_jsontext_string(mcp_span_t value, apr_pool_t *p)
{
    if (value.len < 2 || *value.text != '"') {
        return NULL;
    }
    value.text++;
    value.len -= 2;
    return mcp_jsontext_key(value, p);
}

int mcp_jsontext_member(mcp_span_t *value, mcp_span_t object, const char *name)
{
    mcp_jsonwalk_t walk;
    mcp_span_t key;

    if (mcp_jsonwalk_open(&walk, object) != '{') {
        return 0;
    }
    while (mcp_jsonwalk_next(&key, value, &walk)) {
        if (mcp_jsontext_is(key, name)) {
            return 1;
        }
    }
    return 0;
}
