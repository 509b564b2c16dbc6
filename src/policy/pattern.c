#include "policy/pattern.h"

#include <apr_strings.h>
#include <string.h>

static int stars_count(const char *text)
{
    int stars = 0;

    for (; *text; text++) {
        if (*text == '\\' && text[1]) {
            text++;
        }
        else if (*text == '*') {
            stars++;
        }
    }
    return stars;
}

/* What follows from the parts. */
static void pattern_seal(mcp_pattern_t *pattern)
{
    pattern->literal = pattern->parts[0];
    pattern->literal_len = strlen(pattern->literal);
    pattern->exact = pattern->count == 1;
}

const char *mcp_pattern_compile(mcp_pattern_t *pattern, const char *text, apr_pool_t *p)
{
    char *out;

    memset(pattern, 0, sizeof(*pattern));
    if (!text || !*text) {
        return "the pattern is empty";
    }
    /* One buffer holds all parts, each NUL-terminated: a star gives its place to the NUL before it. */
    out = apr_palloc(p, strlen(text) + 1);
    pattern->parts = apr_palloc(p, ((apr_size_t)stars_count(text) + 1) * sizeof(*pattern->parts));
    pattern->parts[pattern->count++] = out;
    for (; *text; text++) {
        if (*text == '*') {
            *out++ = '\0';
            pattern->parts[pattern->count++] = out;
            continue;
        }
        if (*text == '\\') {
            text++;
            if (*text != '*' && *text != '\\') {
                memset(pattern, 0, sizeof(*pattern)); /* matches nothing */
                return "a backslash stands before '*' or '\\' only";
            }
        }
        *out++ = *text;
    }
    *out = '\0';
    pattern_seal(pattern);
    return NULL;
}

int mcp_pattern_match(const mcp_pattern_t *pattern, const char *text)
{
    apr_size_t len = strlen(text), tail;
    const char *end;

    if (pattern->exact) {
        return !strcmp(pattern->literal, text);
    }
    if (pattern->count < 2) {
        return 0; /* never compiled */
    }
    tail = strlen(pattern->parts[pattern->count - 1]);
    if (len < pattern->literal_len + tail || memcmp(text, pattern->literal, pattern->literal_len)) {
        return 0;
    }
    end = text + len - tail;
    if (memcmp(end, pattern->parts[pattern->count - 1], tail)) {
        return 0;
    }
    /* The leftmost place for each middle part leaves the most room for those after it. */
    text += pattern->literal_len;
    for (int i = 1; i < pattern->count - 1; i++) {
        apr_size_t part = strlen(pattern->parts[i]);

        text = memmem(text, (apr_size_t)(end - text), pattern->parts[i], part);
        if (!text) {
            return 0;
        }
        text += part;
    }
    return 1;
}

/* Do two patterns with stars agree on what they want of both ends? */
static int ends_agree(const mcp_pattern_t *a, const mcp_pattern_t *b)
{
    const char *a_end = a->parts[a->count - 1], *b_end = b->parts[b->count - 1];
    apr_size_t a_len = strlen(a_end), b_len = strlen(b_end), common = a_len < b_len ? a_len : b_len;
    apr_size_t prefix = a->literal_len < b->literal_len ? a->literal_len : b->literal_len;

    return !memcmp(a->literal, b->literal, prefix) && !memcmp(a_end + a_len - common, b_end + b_len - common, common);
}

int mcp_pattern_meets(const mcp_pattern_t *a, const mcp_pattern_t *b)
{
    if (a->count < 1 || b->count < 1) {
        return 0; /* never compiled */
    }
    if (a->exact) {
        return mcp_pattern_match(b, a->literal);
    }
    if (b->exact) {
        return mcp_pattern_match(a, b->literal);
    }
    /* Between the longer beginning and the longer end, all middle parts of a and then all of b fit both: the first and
     * the last star of each take what belongs to the other. */
    return ends_agree(a, b);
}

/* Does a, beginning and end, lie within the beginning and the end of b? Both have stars. */
static int ends_cover(const mcp_pattern_t *a, const mcp_pattern_t *b)
{
    const char *a_end = a->parts[a->count - 1], *b_end = b->parts[b->count - 1];
    apr_size_t a_len = strlen(a_end), b_len = strlen(b_end);

    return a->literal_len <= b->literal_len && !memcmp(a->literal, b->literal, a->literal_len) && a_len <= b_len &&
           !memcmp(a_end, b_end + b_len - a_len, a_len);
}

int mcp_pattern_covers(const mcp_pattern_t *a, const mcp_pattern_t *b)
{
    const char *from, *end, *found;
    int at = 0;

    if (a->count < 1 || b->count < 1) {
        return 0; /* never compiled */
    }
    if (b->exact) {
        return mcp_pattern_match(a, b->literal);
    }
    if (a->exact || !ends_cover(a, b)) {
        return 0;
    }
    /* Each middle part of a at its leftmost place within one part of b; what a star of b stands for is never counted on. */
    from = b->parts[0] + a->literal_len;
    for (int i = 1; i < a->count - 1; i++) {
        apr_size_t len = strlen(a->parts[i]);

        for (;;) {
            end = b->parts[at] + strlen(b->parts[at]) - (at == b->count - 1 ? strlen(a->parts[a->count - 1]) : 0);
            found = memmem(from, (apr_size_t)(end - from), a->parts[i], len);
            if (found) {
                break;
            }
            if (++at == b->count) {
                return 0;
            }
            from = b->parts[at];
        }
        from = found + len;
    }
    return 1;
}

static int braces_count(const char *text)
{
    int braces = 0;

    for (; *text; text++) {
        braces += *text == '{';
    }
    return braces;
}

void mcp_pattern_of_template(mcp_pattern_t *pattern, const char *uri_template, apr_pool_t *p)
{
    char *out = apr_palloc(p, strlen(uri_template) + 1);

    memset(pattern, 0, sizeof(*pattern));
    pattern->parts = apr_palloc(p, ((apr_size_t)braces_count(uri_template) + 1) * sizeof(*pattern->parts));
    pattern->parts[pattern->count++] = out;
    for (const char *c = uri_template; *c; c++) {
        if (*c != '{') {
            *out++ = *c;
            continue;
        }
        *out++ = '\0'; /* in the place of the brace */
        pattern->parts[pattern->count++] = out;
        c += strcspn(c, "}");
        if (!*c) {
            break;
        }
    }
    *out = '\0';
    pattern_seal(pattern);
}
