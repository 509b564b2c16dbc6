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
    pattern->literal = pattern->parts[0];
    pattern->literal_len = strlen(pattern->literal);
    pattern->exact = pattern->count == 1;
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
