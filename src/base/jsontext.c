#include "base/jsontext.h"

#include <string.h>

#include "base/json.h"
#include "base/jsonchar.h"

const char *mcp_jsontext_skip(const char *s, const char *end)
{
    for (s = mcp_jsonchar_plain(s + 1, end); s < end && *s != '"'; s = mcp_jsonchar_plain(s, end)) {
        s += *s == '\\' && end - s > 1 ? 2 : 1;
    }
    return s < end ? s + 1 : end;
}

/* --- Walking over a text that is known to be well-formed: wrong steps end the walk, and never leave the text. --- */

static const char *skip_value(const char *s, const char *end)
{
    int depth = 0;

    while (s < end) {
        if (*s == '"') {
            s = mcp_jsontext_skip(s, end);
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
        else if (!depth && (*s == ',' || mcp_jsonchar_space(s, end) != s)) {
            return s;
        }
        s++;
    }
    return s;
}

/* The first long value that does not begin before s. */
static int long_find(const mcp_jsonmap_t *map, const char *s)
{
    const mcp_jsonlong_t *longs = (const mcp_jsonlong_t *)map->longs->elts;
    int low = 0, high = map->longs->nelts;

    while (low < high) {
        int middle = low + (high - low) / 2;

        if (map->data + longs[middle].begin < s) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low;
}

/* The end of the value at s, which does not lie before that of the last call. */
static const char *value_skip(mcp_jsonwalk_t *walk, const char *s)
{
    const mcp_jsonmap_t *map = walk->map;

    while (map && walk->next < map->longs->nelts) {
        const mcp_jsonlong_t *ahead = &APR_ARRAY_IDX(map->longs, walk->next, mcp_jsonlong_t);

        if (map->data + ahead->begin >= s) {
            return map->data + ahead->begin == s ? map->data + ahead->end : skip_value(s, walk->end);
        }
        walk->next++;
    }
    return skip_value(s, walk->end);
}

int mcp_jsonwalk_open(mcp_jsonwalk_t *walk, mcp_span_t container, const mcp_jsonmap_t *map)
{
    walk->end = container.text + container.len;
    walk->map = NULL;
    walk->at = mcp_jsonchar_space(container.text, walk->end);
    walk->type = walk->at < walk->end ? *walk->at : 0;
    if (walk->type != '{' && walk->type != '[') {
        walk->at = walk->end;
        return walk->type = 0;
    }
    walk->at++;
    if (map && map->longs) {
        walk->map = map;
        walk->next = long_find(map, walk->at);
    }
    return walk->type;
}

/* Reads the name at s up to its value; NULL when there is none. */
static const char *walk_name(mcp_span_t *key, const char *s, const char *end)
{
    const char *begin = s + 1;

    if (s == end || *s != '"') {
        return NULL;
    }
    s = mcp_jsontext_skip(s, end);
    if (s - begin < 1 || s[-1] != '"') {
        return NULL;
    }
    key->text = begin;
    key->len = (apr_size_t)(s - 1 - begin);
    s = mcp_jsonchar_space(s, end);
    return s < end && *s == ':' ? mcp_jsonchar_space(s + 1, end) : NULL;
}

int mcp_jsonwalk_next(mcp_span_t *key, mcp_span_t *value, mcp_jsonwalk_t *walk)
{
    const char *s = mcp_jsonchar_space(walk->at, walk->end), *end = walk->end;
    mcp_span_t name = { NULL, 0 };

    walk->at = end; /* unless all goes well */
    if (s < end && *s == ',') {
        s = mcp_jsonchar_space(s + 1, end);
    }
    if (walk->type == '{') {
        s = walk_name(&name, s, end);
        if (!s) {
            return 0;
        }
    }
    value->text = s;
    s = value_skip(walk, s);
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

int mcp_jsontext_is(mcp_span_t key, const char *name)
{
    const char *s = key.text, *end = s + key.len;
    apr_size_t left = strlen(name);
    char out[4];
    int n;

    while (s < end) {
        n = mcp_jsonchar_decode(out, &s, end);
        if ((apr_size_t)n > left || memcmp(out, name, (apr_size_t)n)) {
            return 0;
        }
        name += n;
        left -= (apr_size_t)n;
    }
    return left == 0;
}

/* Is it UTF-8 without a NUL? */
static int is_text(const char *text, apr_size_t len)
{
    const char *s = text, *end = s + len;
    int n;

    while (s < end) {
        n = *s ? mcp_jsonchar_sequence(s, end) : 0;
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
        n = mcp_jsonchar_decode(bytes, &s, end);
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

int mcp_jsontext_match(mcp_span_t key, const char *name)
{
    const char *s = key.text, *end = s + key.len;
    char text[MCP_JSONTEXT_NAME], *out = text;
    unsigned char first = key.len ? (unsigned char)*s : '"';

    if (!strncmp(name, key.text, key.len) && !name[key.len]) {
        return MCP_NAME_SAME;
    }
    /* Nearly all others differ in the first letter. */
    if (first < 0x80 && first != '\\' && (first | 0x20) != (*name | 0x20)) {
        return MCP_NAME_OTHER;
    }
    while (s < end && out < text + sizeof(text) - 4) {
        out += mcp_jsonchar_decode(out, &s, end);
    }
    *out = '\0';
    if (s < end) {
        return MCP_NAME_OTHER;
    }
    return !strcmp(text, name) ? MCP_NAME_SAME : mcp_json_is_variant(text, name) ? MCP_NAME_VARIANT : MCP_NAME_OTHER;
}
