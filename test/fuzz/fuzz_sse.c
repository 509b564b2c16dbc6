/* Event streams: whatever the pieces they come in, they are divided in the same places, and an event that is rewritten
 * says what was written. Input: new data NUL stream. */
#include "fuzz.h"

#include "rpc/sse.h"

/* The ends of all events, fed in pieces of that many bytes. What ends behind a lone LF ends where its CR was. */
static apr_array_header_t *divide(const char *data, size_t len, size_t piece, apr_pool_t *p)
{
    apr_array_header_t *ends = apr_array_make(p, 8, sizeof(size_t));
    mcp_sse_t sse = { 0 };
    size_t at = 0, event = 0;

    while (at < len) {
        size_t part = len - at < piece ? len - at : piece, from = 0;

        while (from < part) {
            apr_size_t used = mcp_sse_scan(&sse, data + at + from, part - from);

            MUST(used <= part - from);
            if (!used) {
                break;
            }
            from += used;
            if (at + from == event + 1 && event && data[event] == '\n' && data[event - 1] == '\r') {
                MUST(from == 1); /* only where its CR was the last that had come */
                APR_ARRAY_IDX(ends, ends->nelts - 1, size_t) = at + from;
            }
            else {
                APR_ARRAY_PUSH(ends, size_t) = at + from;
            }
            event = at + from;
        }
        at += part;
    }
    return ends;
}

static void check_pieces(const char *data, size_t len, apr_pool_t *p)
{
    apr_array_header_t *whole = divide(data, len, len ? len : 1, p);

    for (size_t piece = 1; piece <= 3; piece++) {
        apr_array_header_t *parts = divide(data, len, piece, p);

        MUST(parts->nelts == whole->nelts);
        for (int i = 0; i < parts->nelts; i++) {
            MUST(APR_ARRAY_IDX(parts, i, size_t) == APR_ARRAY_IDX(whole, i, size_t));
        }
    }
}

/* The next line as the standard has it, *pnext behind its end. */
static const char *line_next(const char **pnext, const char *s, const char *end, apr_pool_t *p)
{
    const char *from = s;

    while (s < end && *s != '\r' && *s != '\n') {
        s++;
    }
    *pnext = s + (s < end) + (end - s > 1 && s[0] == '\r' && s[1] == '\n');
    return fuzz_text(from, (size_t)(s - from), p);
}

/* What a client makes of the data lines, NULL for none; lines with a NUL are left to others. */
static const char *data_of(const char *s, size_t len, apr_pool_t *p)
{
    const char *end = s + len, *data = NULL;

    if (len >= 3 && !memcmp(s, "\xEF\xBB\xBF", 3)) {
        s += 3;
    }
    while (s < end) {
        const char *line = line_next(&s, s, end, p);

        if (!strncmp(line, "data", 4) && (!line[4] || line[4] == ':')) {
            const char *value = line + 4 + (line[4] == ':');

            value += line[4] == ':' && *value == ' ';
            data = data ? apr_pstrcat(p, data, "\n", value, NULL) : value;
        }
    }
    return data;
}

static void check_replaced(const mcp_event_t *event, const char *text, size_t len, const char *data, apr_pool_t *p)
{
    apr_size_t changed_len;
    const char *changed = mcp_event_replace(&changed_len, text, len, data, strlen(data), p);
    char *want = apr_pstrdup(p, data);
    mcp_event_t again;

    for (char *c = want; *c; c++) {
        *c = *c == '\r' ? '\n' : *c;
    }
    changed = fuzz_bytes(changed, changed_len, p);
    mcp_event_read(&again, changed, changed_len, p);
    MUST(again.message == event->message && !again.data == !event->data);
    if (event->data) {
        MUST(again.len == strlen(want) && !memcmp(again.data, want, again.len));
    }
    else {
        MUST(changed_len == len && !memcmp(changed, text, len));
    }
    if (len && divide(text, len, len, p)->nelts == 1 &&
        APR_ARRAY_IDX(divide(text, len, len, p), 0, size_t) == len) { /* one event before, one after */
        apr_array_header_t *ends = divide(changed, changed_len, changed_len, p);

        MUST(ends->nelts == 1 && APR_ARRAY_IDX(ends, 0, size_t) == changed_len);
    }
}

static void check_event(const char *text, size_t len, const char *data, apr_pool_t *p)
{
    const char *copy = fuzz_bytes(text, len, p), *want = memchr(text, 0, len) ? NULL : data_of(text, len, p);
    mcp_event_t event;

    mcp_event_read(&event, copy, len, p);
    MUST(memchr(text, 0, len) || !want == !event.data);
    MUST(!want || (strlen(want) == event.len && !memcmp(want, event.data, event.len)));
    check_replaced(&event, copy, len, data, p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    fuzz_input_t input = fuzz_open(data, size, p);
    const char *fresh = fuzz_next(&input), *stream;
    apr_array_header_t *ends;
    size_t len, from = 0;

    stream = fuzz_rest(&len, &input);
    check_pieces(stream, len, p);
    ends = divide(stream, len, len ? len : 1, p);
    for (int i = 0; i < ends->nelts && i < 16; i++) {
        size_t end = APR_ARRAY_IDX(ends, i, size_t);

        check_event(stream + from, end - from, fresh, p);
        from = end;
    }
    apr_pool_destroy(p);
    return 0;
}
