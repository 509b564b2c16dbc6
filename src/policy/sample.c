#include "policy/sample.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_MAX 512 /* bytes of one path */
#define DEPTH_MAX 32   /* groups inside each other */
#define ALTERNATIVES 4
#define REPEATS 16

/* One path being written while its pattern is read. */
typedef struct reader_t {
    const char *c; /* what is to be read */
    char out[SAMPLE_MAX + 1];
    apr_size_t len;
    int alternative; /* which one of each group, the last one if there are fewer */
    int optional;    /* are parts that may be left out put in? */
    int mute;        /* what is read is not written */
    int depth;
} reader_t;

static void alternatives_read(reader_t *reader);

static void put(reader_t *reader, char c)
{
    if (!reader->mute && reader->len < SAMPLE_MAX) {
        reader->out[reader->len++] = c;
    }
}

/* A class: the first character in it, or one that is probably not in it when it is negated. */
static void class_read(reader_t *reader)
{
    const char *begin = ++reader->c;
    int negated = *begin == '^' || *begin == '!';
    char first;

    begin += negated;
    reader->c = *begin ? strchr(begin + 1, ']') : NULL;
    first = *begin == '\\' && begin[1] == 'd' ? '0' : *begin == '\\' || *begin == '[' ? 'x' : *begin;
    put(reader, !negated ? first : reader->c && memchr(begin, 'x', (apr_size_t)(reader->c - begin)) ? '~' : 'x');
    reader->c = reader->c ? reader->c + 1 : "";
}

static void escape_read(reader_t *reader)
{
    char c = *++reader->c;

    if (!c) {
        return;
    }
    reader->c++;
    if (c == 'd') {
        put(reader, '0');
    }
    else if (c == 's') {
        put(reader, ' ');
    }
    else if (c == 'w' || c == 'D' || c == 'S') {
        put(reader, 'x');
    }
    else if (c == 'W') {
        put(reader, '-');
    }
    else if (!apr_isalnum(c)) {
        put(reader, c);
    }
}

static void group_read(reader_t *reader)
{
    int mute = reader->mute;

    reader->c++;
    if (*reader->c == '?') {
        reader->mute |= !strncmp(reader->c, "?=", 2) || !strncmp(reader->c, "?!", 2) || !strncmp(reader->c, "?<=", 3) ||
                        !strncmp(reader->c, "?<!", 3);
        reader->c += strcspn(reader->c, ":=!>)");
        reader->c += *reader->c && *reader->c != ')';
    }
    alternatives_read(reader);
    reader->c += *reader->c == ')';
    reader->mute = mute;
}

static void item_read(reader_t *reader)
{
    switch (*reader->c) {
    case '(':
        group_read(reader);
        return;
    case '[':
        class_read(reader);
        return;
    case '\\':
        escape_read(reader);
        return;
    case '^':
    case '$':
        break;
    case '.':
        put(reader, 'x');
        break;
    default:
        put(reader, *reader->c);
        break;
    }
    reader->c++;
}

/* What stands behind an item that was written from position at on. */
static void quantifier_read(reader_t *reader, apr_size_t at)
{
    apr_size_t width = reader->len - at;
    int least = 1;

    if (*reader->c == '*' || *reader->c == '?') {
        least = reader->optional;
    }
    else if (*reader->c == '{' && apr_isdigit(reader->c[1])) {
        least = (int)strtol(reader->c + 1, NULL, 10);
        reader->c += strcspn(reader->c, "}");
    }
    else if (*reader->c != '+') {
        return;
    }
    reader->c += *reader->c != '\0';
    reader->c += *reader->c == '?' || *reader->c == '+'; /* lazy, possessive */
    if (!least) {
        reader->len = at;
    }
    for (int i = 1; i < least && i < REPEATS && reader->len + width <= SAMPLE_MAX; i++) {
        memcpy(reader->out + reader->len, reader->out + at, width);
        reader->len += width;
    }
}

static void sequence_read(reader_t *reader)
{
    while (*reader->c && *reader->c != '|' && *reader->c != ')') {
        apr_size_t at = reader->len;

        item_read(reader);
        quantifier_read(reader, at);
    }
}

static void alternatives_read(reader_t *reader)
{
    apr_size_t at = reader->len;
    int mute = reader->mute;

    if (++reader->depth > DEPTH_MAX) {
        reader->c = "";
        return;
    }
    sequence_read(reader);
    for (int i = 1; *reader->c == '|'; i++) {
        reader->c++;
        reader->mute = mute || i > reader->alternative;
        reader->len = reader->mute ? reader->len : at;
        sequence_read(reader);
    }
    reader->mute = mute;
    reader->depth--;
}

static void sample_add(apr_array_header_t *samples, const char *text, apr_pool_t *p)
{
    APR_ARRAY_PUSH(samples, const char *) = apr_pstrcat(p, *text == '/' ? "" : "/", text, NULL);
}

apr_array_header_t *mcp_sample_regex(const char *regex, apr_pool_t *p)
{
    apr_array_header_t *samples = apr_array_make(p, 2 * ALTERNATIVES, sizeof(const char *));

    for (int i = 0; i < 2 * ALTERNATIVES; i++) {
        reader_t reader = { .c = regex, .alternative = i / 2, .optional = i % 2 };

        alternatives_read(&reader);
        reader.out[reader.len] = '\0';
        sample_add(samples, reader.out, p);
    }
    return samples;
}

apr_array_header_t *mcp_sample_fnmatch(const char *pattern, apr_pool_t *p)
{
    apr_array_header_t *samples = apr_array_make(p, 2, sizeof(const char *));

    for (int i = 0; i < 2; i++) {
        reader_t reader = { .c = pattern };

        while (*reader.c) {
            if (*reader.c == '[') {
                class_read(&reader);
                continue;
            }
            if (*reader.c == '\\' && reader.c[1]) {
                put(&reader, *++reader.c);
            }
            else if (*reader.c != '*' || i) {
                put(&reader, *reader.c == '*' || *reader.c == '?' ? 'x' : *reader.c);
            }
            reader.c++;
        }
        reader.out[reader.len] = '\0';
        sample_add(samples, reader.out, p);
    }
    return samples;
}
