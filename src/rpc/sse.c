#include "rpc/sse.h"

#include <string.h>

#define MARK "\xEF\xBB\xBF"
#define MARK_LEN 3

/* Takes one byte. Returns whether an event ends with it. */
static int byte_take(mcp_sse_t *sse, char c)
{
    int ends;

    if (c == '\n' && sse->after_cr) { /* of a line end that has been seen */
        sse->after_cr = 0;
        return sse->complete;
    }
    sse->after_cr = c == '\r';
    sse->complete = 0;
    if (c != '\r' && c != '\n') {
        sse->comment = sse->in_line ? sse->comment : c == ':';
        sse->in_line = 1;
        return 0;
    }
    ends = !sse->in_line || (sse->comment && !sse->in_event);
    sse->in_event = !ends && (sse->in_event || !sse->comment);
    sse->in_line = 0;
    sse->complete = ends;
    return ends;
}

apr_size_t mcp_sse_scan(mcp_sse_t *sse, const char *data, apr_size_t len)
{
    for (apr_size_t i = 0; i < len; i++) {
        if (byte_take(sse, data[i])) {
            if (sse->after_cr && i + 1 < len && data[i + 1] == '\n') {
                sse->after_cr = 0;
                i++;
            }
            return i + 1;
        }
    }
    return 0;
}

/* One line of an event. */
typedef struct line_t {
    const char *begin, *end; /* without its line end */
    const char *next;        /* behind its line end */
    const char *value;       /* of a field */
    apr_size_t name_len;     /* 0: an empty line or a comment */
} line_t;

static void line_read(line_t *line, const char *s, const char *end)
{
    const char *colon;

    line->begin = s;
    while (s < end && *s != '\r' && *s != '\n') {
        s++;
    }
    line->end = s;
    if (end - s >= 2 && s[0] == '\r' && s[1] == '\n') {
        s++;
    }
    line->next = s < end ? s + 1 : s;
    colon = memchr(line->begin, ':', (apr_size_t)(line->end - line->begin));
    line->name_len = (apr_size_t)((colon ? colon : line->end) - line->begin);
    line->value = colon ? colon + 1 : line->end;
    if (line->value < line->end && *line->value == ' ') {
        line->value++;
    }
}

static int line_is(const line_t *line, const char *name)
{
    return line->name_len == strlen(name) && !memcmp(line->begin, name, line->name_len);
}

static apr_size_t value_len(const line_t *line)
{
    return (apr_size_t)(line->end - line->value);
}

/* Where the lines begin: a mark at the begin of the stream is none of them. */
static const char *lines_begin(const char *text, apr_size_t len)
{
    return len >= MARK_LEN && !memcmp(text, MARK, MARK_LEN) ? text + MARK_LEN : text;
}

/* Appends a further data line. The first one is left where it is until there is a second. */
static void data_add(mcp_event_t *event, char **pjoined, const line_t *line, apr_size_t room, apr_pool_t *p)
{
    if (!event->data) {
        event->data = line->value;
        event->len = value_len(line);
        return;
    }
    if (!*pjoined) {
        *pjoined = apr_palloc(p, room); /* the line ends are in it */
        memcpy(*pjoined, event->data, event->len);
        event->data = *pjoined;
    }
    (*pjoined)[event->len++] = '\n';
    memcpy(*pjoined + event->len, line->value, value_len(line));
    event->len += value_len(line);
}

void mcp_event_read(mcp_event_t *event, const char *text, apr_size_t len, apr_pool_t *p)
{
    const char *s = lines_begin(text, len), *end = text + len;
    char *joined = NULL;
    line_t line;

    event->data = NULL;
    event->len = 0;
    event->message = 1;
    for (; s < end; s = line.next) {
        line_read(&line, s, end);
        if (line_is(&line, "data")) {
            data_add(event, &joined, &line, len, p);
        }
        else if (line_is(&line, "event")) {
            event->message = !value_len(&line) || (value_len(&line) == 7 && !memcmp(line.value, "message", 7));
        }
    }
}

static char *append(char *out, const char *text, apr_size_t len)
{
    memcpy(out, text, len);
    return out + len;
}

static apr_size_t breaks_count(const char *data, apr_size_t len)
{
    apr_size_t breaks = 0;

    for (apr_size_t i = 0; i < len; i++) {
        breaks += data[i] == '\n' || data[i] == '\r';
    }
    return breaks;
}

/* Writes data as data lines with the line end of model. */
static char *data_write(char *out, const char *data, apr_size_t len, const line_t *model)
{
    const char *end = data + len, *ending = model->next > model->end ? model->end : "\n";
    apr_size_t ending_len = model->next > model->end ? (apr_size_t)(model->next - model->end) : 1;

    for (;;) {
        const char *s = data;

        while (s < end && *s != '\n' && *s != '\r') {
            s++;
        }
        out = append(out, "data: ", 6);
        out = append(out, data, (apr_size_t)(s - data));
        out = append(out, ending, ending_len);
        if (s == end) {
            return out;
        }
        data = s + 1;
    }
}

const char *mcp_event_replace(apr_size_t *plen, const char *text, apr_size_t len, const char *data, apr_size_t data_len,
                              apr_pool_t *p)
{
    const char *s = lines_begin(text, len), *end = text + len;
    char *changed = apr_palloc(p, len + data_len + (breaks_count(data, data_len) + 1) * strlen("data: \r\n")), *out;
    int written = 0;
    line_t line;

    out = append(changed, text, (apr_size_t)(s - text));
    for (; s < end; s = line.next) {
        line_read(&line, s, end);
        if (line_is(&line, "data")) {
            if (!written) {
                out = data_write(out, data, data_len, &line);
            }
            written = 1;
            continue;
        }
        /* A CR and a LF that did not touch before would become one line end, and the empty line would be lost. */
        if (out > changed && out[-1] == '\r' && *s == '\n') {
            *out++ = '\n';
        }
        out = append(out, s, (apr_size_t)(line.next - s));
    }
    *plen = (apr_size_t)(out - changed);
    return changed;
}
