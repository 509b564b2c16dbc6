#include "base/jsoncheck.h"

#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/jsonchar.h"
#include "base/limits.h"
#include "base/siphash.h"

#define FEW 16   /* members of an object that are compared each with each; more of them get a table */
#define ROOM 64  /* names that need no memory */
#define LONG 256 /* bytes of a value worth a place in the map */
#define LEVELS 5 /* containers around and including such a value: a batch, its message, params, arguments, one more */

typedef struct name_t {
    apr_uint32_t at; /* in the text, behind its quote */
    apr_uint32_t len : 31, escaped : 1;
} name_t;

/* An open container. */
typedef struct frame_t {
    apr_uint32_t first; /* of its names */
    int place;          /* in the map, for the levels that are there */
    char close;
} frame_t;

typedef struct check_t {
    const char *data, *end;
    mcp_status_t status; /* of the first fault */
    int strict, depth, max_depth, keyed;
    apr_size_t values;
    name_t *names, room[ROOM]; /* of all open objects, the innermost last */
    apr_uint32_t count, size;
    mcp_siphash_t hash; /* of nothing yet, if it is keyed */
    mcp_jsonmap_t *map; /* NULL: nobody wants it */
    frame_t frames[MCP_JSONTEXT_DEPTH];
} check_t;

/* All that read return where they have come to, or this. */
static const char *fault(check_t *check, mcp_status_t status)
{
    check->status = status;
    return NULL;
}

/* --- the map -------------------------------------------------------------------------------------------------------- */

/* A place for the value that begins at s; there is one more for each that begins before it ends. */
static int map_begin(check_t *check, const char *s)
{
    apr_array_header_t *longs = check->map->longs;

    if (!longs) {
        longs = check->map->longs = apr_array_make(check->map->p, 16, sizeof(mcp_jsonlong_t));
    }
    APR_ARRAY_PUSH(longs, mcp_jsonlong_t) = (mcp_jsonlong_t){ (apr_uint32_t)(s - check->data), 0 };
    return longs->nelts - 1;
}

/* The value of this place ends at s. What is short leaves the map, and whatever is in it has left before. */
static void map_end(check_t *check, int place, const char *s)
{
    apr_array_header_t *longs = check->map->longs;
    mcp_jsonlong_t *value = &APR_ARRAY_IDX(longs, place, mcp_jsonlong_t);

    value->end = (apr_uint32_t)(s - check->data);
    if (value->end - value->begin < LONG) {
        longs->nelts = place;
    }
}

/* --- strings -------------------------------------------------------------------------------------------------------- */

static const char *escape_read(check_t *check, const char *s)
{
    int unit;
    const char *next = mcp_jsonchar_escape(&unit, s, check->end);

    if (!next) {
        return fault(check, MCP_JSON_SYNTAX);
    }
    if (check->strict && (unit == 0 || mcp_jsonchar_is_half(unit, s, next))) {
        return fault(check, MCP_JSON_TEXT);
    }
    return next;
}

static const char *string_read(check_t *check, int *pescaped, const char *s)
{
    const char *end = check->end;
    int len;

    *pescaped = 0;
    for (s = mcp_jsonchar_plain(s + 1, end); s < end; s = mcp_jsonchar_plain(s, end)) {
        unsigned char c = (unsigned char)*s;

        if (c == '"') {
            return s + 1;
        }
        if (c == '\\') {
            *pescaped = 1;
            if (end - s >= 2 && mcp_jsonchar_is_letter(s[1])) {
                s += 2;
            }
            else if (!(s = escape_read(check, s))) {
                return NULL;
            }
        }
        else if (c < 0x20) {
            break;
        }
        else if (!check->strict) {
            s++;
        }
        else {
            len = mcp_jsonchar_sequence(s, end);
            if (!len) {
                return fault(check, MCP_JSON_TEXT);
            }
            s += len;
        }
    }
    return fault(check, MCP_JSON_SYNTAX);
}

/* --- members that stand twice ------------------------------------------------------------------------------------------ */

/* Are the names the same after unescaping? */
static int names_equal(const check_t *check, const name_t *a, const name_t *b)
{
    const char *s = check->data + a->at, *s_end = s + a->len, *t = check->data + b->at, *t_end = t + b->len;
    char x[4], y[4];
    int i = 0, m = 0, j = 0, n = 0;

    if (!a->escaped && !b->escaped) {
        return a->len == b->len && !memcmp(s, t, a->len);
    }
    for (;;) {
        if (i == m) {
            i = 0;
            m = s < s_end ? mcp_jsonchar_decode(x, &s, s_end) : 0;
        }
        if (j == n) {
            j = 0;
            n = t < t_end ? mcp_jsonchar_decode(y, &t, t_end) : 0;
        }
        if (!m || !n) {
            return m == n;
        }
        if (x[i++] != y[j++]) {
            return 0;
        }
    }
}

/* The same for names that are equal. */
static apr_uint64_t name_hash(const check_t *check, const name_t *name)
{
    const char *s = check->data + name->at, *end = s + name->len;
    mcp_siphash_t hash = check->hash;
    char x[4];

    if (!name->escaped) {
        mcp_siphash_add(&hash, s, name->len);
    }
    else {
        while (s < end) {
            mcp_siphash_add(&hash, x, (apr_size_t)mcp_jsonchar_decode(x, &s, end));
        }
    }
    return mcp_siphash_end(&hash);
}

/* A table of the names, at most half full. Its hash has a key of its own for each text, for who sends names would also choose
 * those that share a slot. */
static mcp_status_t names_differ(check_t *check, const name_t *names, apr_uint32_t count)
{
    unsigned char key[MCP_SIPHASH_KEY_BYTES];
    apr_uint32_t room[2 * ROOM], *slots = room, size = 2 * FEW, i;
    mcp_status_t status = MCP_OK;

    if (!check->keyed) {
        if (RAND_bytes(key, sizeof(key)) != 1) {
            return MCP_INTERNAL;
        }
        mcp_siphash_init(&check->hash, key);
        check->keyed = 1;
    }
    while (size < 2 * count) {
        size *= 2;
    }
    if (size > 2 * ROOM && !(slots = malloc(size * sizeof(*slots)))) {
        return MCP_INTERNAL;
    }
    memset(slots, 0, size * sizeof(*slots)); /* 0: free; else the number of a name, from 1 */
    for (i = 0; i < count && status == MCP_OK; i++) {
        apr_uint32_t at = (apr_uint32_t)name_hash(check, &names[i]) & (size - 1);

        for (; slots[at] && status == MCP_OK; at = (at + 1) & (size - 1)) {
            if (names_equal(check, &names[slots[at] - 1], &names[i])) {
                status = MCP_JSON_DUPLICATE;
            }
        }
        slots[at] = i + 1;
    }
    if (slots != room) {
        free(slots);
    }
    return status;
}

static int names_grow(check_t *check)
{
    apr_uint32_t size = check->size * 2;
    name_t *names = realloc(check->names == check->room ? NULL : check->names, size * sizeof(*names));

    if (!names) {
        return 0;
    }
    if (check->names == check->room) {
        memcpy(names, check->room, sizeof(check->room));
    }
    check->names = names;
    check->size = size;
    return 1;
}

/* Takes the name between from and to as one of the innermost object. */
static mcp_status_t name_add(check_t *check, const char *from, const char *to, int escaped)
{
    apr_uint32_t first = check->frames[check->depth - 1].first, i;
    name_t *name;

    if (check->count == check->size && !names_grow(check)) {
        return MCP_INTERNAL;
    }
    name = &check->names[check->count];
    name->at = (apr_uint32_t)(from - check->data);
    name->len = (apr_uint32_t)(to - from) & 0x7FFFFFFF;
    name->escaped = escaped != 0;
    if (check->count - first < FEW) {
        for (i = first; i < check->count; i++) {
            if (names_equal(check, &check->names[i], name)) {
                return MCP_JSON_DUPLICATE;
            }
        }
    }
    check->count++;
    return MCP_OK;
}

/* --- numbers ---------------------------------------------------------------------------------------------------------- */

static const char *digits_read(const char *s, const char *end)
{
    const char *from = s;

    while (s < end && *s >= '0' && *s <= '9') {
        s++;
    }
    return s > from ? s : NULL;
}

/* The exponent of the text between its e and end; beyond any text of 2 GiB it does not matter how large it is. */
static apr_int64_t exponent_of(const char *s, const char *end)
{
    const apr_int64_t enough = APR_INT64_C(1) << 40;
    int minus = *s == '-';
    apr_int64_t exponent = 0;

    for (s += *s == '-' || *s == '+'; s < end; s++) {
        exponent = exponent * 10 + (*s - '0');
        if (exponent > enough) {
            exponent = enough;
        }
    }
    return minus ? -exponent : exponent;
}

/* Is the number, well-formed and without its sign, one that a double rounds to infinity? That begins half a unit of the last
 * place behind the largest double, of whose 309 digits these are enough. */
static int number_is_huge(const char *s, const char *end)
{
    static const char limit[] = "179769313486231580793728971405303415079934132710037826936173778980444968";
    const char *point = s, *e, *digit = s;
    apr_int64_t power;
    int i;

    while (point < end && *point >= '0' && *point <= '9') {
        point++;
    }
    for (e = point; e < end && *e != 'e' && *e != 'E'; e++)
        ;
    while (digit < e && (*digit == '0' || *digit == '.')) {
        digit++;
    }
    if (digit == e) {
        return 0; /* zero */
    }
    /* digit . following digits * 10^power */
    power = (digit < point ? point - digit - 1 : point - digit) + (e < end ? exponent_of(e + 1, end) : 0);
    if (power != 308) {
        return power > 308;
    }
    for (i = 0; limit[i]; i++, digit++) {
        char c;

        digit += digit < e && *digit == '.';
        c = digit < e ? *digit : '0';
        if (c != limit[i]) {
            return c > limit[i];
        }
    }
    return 1;
}

static const char *number_read(check_t *check, const char *s)
{
    const char *end = check->end, *from, *power = NULL;

    s += s < end && *s == '-';
    from = s;
    s = s < end && *s == '0' ? s + 1 : digits_read(s, end);
    if (s && s < end && *s == '.') {
        s = digits_read(s + 1, end);
    }
    if (s && s < end && (*s == 'e' || *s == 'E')) {
        power = s++;
        s += s < end && (*s == '+' || *s == '-');
        s = digits_read(s, end);
    }
    if (!s) {
        return fault(check, MCP_JSON_SYNTAX);
    }
    if (check->strict && (power || s - from > 308) && number_is_huge(from, s)) {
        return fault(check, MCP_JSON_NUMBER);
    }
    return s;
}

/* --- structure -------------------------------------------------------------------------------------------------------- */

static const char *word_read(check_t *check, const char *s, const char *word)
{
    apr_size_t len = strlen(word);

    return (apr_size_t)(check->end - s) >= len && !memcmp(s, word, len) ? s + len : fault(check, MCP_JSON_SYNTAX);
}

static const char *scalar_read(check_t *check, const char *s)
{
    const char *end;
    int escaped;

    switch (*s) {
    case '"':
        end = string_read(check, &escaped, s);
        if (end && end - s >= LONG && check->map && check->depth < LEVELS) {
            map_end(check, map_begin(check, s), end);
        }
        return end;
    case 't':
        return word_read(check, s, "true");
    case 'f':
        return word_read(check, s, "false");
    case 'n':
        return word_read(check, s, "null");
    default:
        if (check->strict && !mcp_jsonchar_sequence(s, check->end)) {
            return fault(check, MCP_JSON_TEXT);
        }
        return number_read(check, s);
    }
}

/* A name, its colon, and the white space around it. */
static const char *name_read(check_t *check, const char *s)
{
    const char *end = check->end, *from = s + 1;
    int escaped;

    if (s == end || *s != '"') {
        return fault(check,
                     s < end && check->strict && !mcp_jsonchar_sequence(s, end) ? MCP_JSON_TEXT : MCP_JSON_SYNTAX);
    }
    if (!(s = string_read(check, &escaped, s))) {
        return NULL;
    }
    if (check->strict) {
        mcp_status_t status = name_add(check, from, s - 1, escaped);

        if (status != MCP_OK) {
            return fault(check, status);
        }
    }
    s = mcp_jsonchar_space(s, end);
    return s < end && *s == ':' ? mcp_jsonchar_space(s + 1, end) : fault(check, MCP_JSON_SYNTAX);
}

static int container_enter(check_t *check, const char *s)
{
    frame_t *frame = &check->frames[check->depth];

    if (check->depth >= check->max_depth) {
        return 0;
    }
    check->depth++;
    frame->first = check->count;
    frame->close = *s == '{' ? '}' : ']';
    if (check->map && check->depth <= LEVELS) {
        frame->place = map_begin(check, s);
    }
    return 1;
}

/* The innermost container ends at s. */
static mcp_status_t container_leave(check_t *check, const char *s)
{
    const frame_t *frame = &check->frames[check->depth - 1];
    apr_uint32_t count = check->count - frame->first;
    mcp_status_t status = count <= FEW ? MCP_OK : names_differ(check, check->names + frame->first, count);

    if (check->map && check->depth <= LEVELS) {
        map_end(check, frame->place, s);
    }
    check->depth--;
    check->count = frame->first;
    return status;
}

static int value_counts(check_t *check)
{
    if (++check->values > MCP_LIMIT_VALUES && check->strict) {
        fault(check, MCP_JSON_VALUES);
        return 0;
    }
    return 1;
}

/* From the begin of a value to the end of the first one that is complete: a scalar or an empty container. */
static const char *value_begin(check_t *check, const char *s)
{
    const char *end = check->end;

    while (s < end && (*s == '{' || *s == '[')) {
        char open = *s;

        if (!value_counts(check)) {
            return NULL;
        }
        if (!container_enter(check, s)) {
            return fault(check, MCP_JSON_DEPTH);
        }
        s = mcp_jsonchar_space(s + 1, end);
        if (s < end && *s == (open == '{' ? '}' : ']')) {
            container_leave(check, ++s);
            return s;
        }
        if (open == '{' && !(s = name_read(check, s))) {
            return NULL;
        }
    }
    if (s == end) {
        return fault(check, MCP_JSON_SYNTAX);
    }
    return value_counts(check) ? scalar_read(check, s) : NULL;
}

/* From the end of a value to the begin of the next, or to the end of all containers. */
static const char *value_end(check_t *check, const char *s)
{
    const char *end = check->end;

    while (check->depth) {
        char close = check->frames[check->depth - 1].close;
        mcp_status_t status;

        s = mcp_jsonchar_space(s, end);
        if (s < end && *s == ',') {
            s = mcp_jsonchar_space(s + 1, end);
            return close == '}' ? name_read(check, s) : s;
        }
        if (s == end || *s != close) {
            return fault(check, MCP_JSON_SYNTAX);
        }
        if ((status = container_leave(check, ++s)) != MCP_OK) {
            return fault(check, status);
        }
    }
    return s;
}

/* Without a memset: most of it is room that small texts never use. */
static void check_init(check_t *check, const char *data, apr_size_t len, int max_depth, int strict, mcp_jsonmap_t *map)
{
    if (map) {
        map->data = data;
        map->longs = NULL;
    }
    check->map = len >= LONG && len <= APR_INT32_MAX ? map : NULL;
    check->data = data;
    check->end = data + len;
    check->status = MCP_OK;
    check->strict = strict;
    check->depth = 0;
    check->max_depth = max_depth < MCP_JSONTEXT_DEPTH ? max_depth : MCP_JSONTEXT_DEPTH;
    check->values = 0;
    check->names = check->room;
    check->count = 0;
    check->size = ROOM;
    check->keyed = 0;
}

static mcp_status_t text_check(check_t *check, mcp_span_t *pspan)
{
    const char *s, *begin = mcp_jsonchar_space(check->data, check->end);

    s = begin;
    do {
        s = value_begin(check, s);
        s = s ? value_end(check, s) : NULL;
    } while (s && check->depth);
    if (!s) {
        return check->status;
    }
    pspan->text = begin;
    pspan->len = (apr_size_t)(s - begin);
    return mcp_jsonchar_space(s, check->end) == check->end ? MCP_OK : MCP_JSON_SYNTAX;
}

int mcp_jsoncheck_grammar(mcp_span_t *pspan, const char *data, apr_size_t len, int max_depth, mcp_jsonmap_t *map)
{
    check_t check;

    if (!data || !len) {
        return 0;
    }
    check_init(&check, data, len, max_depth, 0, map);
    return text_check(&check, pspan) == MCP_OK;
}

mcp_status_t mcp_jsoncheck_strict(mcp_span_t *pspan, const char *data, apr_size_t len, int max_depth,
                                  mcp_jsonmap_t *map)
{
    mcp_status_t status;
    check_t check;

    if (!data || !len) {
        return MCP_JSON_SYNTAX;
    }
    if (len > APR_INT32_MAX) {
        return MCP_INTERNAL;
    }
    if (memchr(data, 0, len) || (len >= 3 && !memcmp(data, "\xEF\xBB\xBF", 3))) {
        return MCP_JSON_TEXT;
    }
    check_init(&check, data, len, max_depth, 1, map);
    status = text_check(&check, pspan);
    if (check.names != check.room) {
        free(check.names);
    }
    return status;
}
