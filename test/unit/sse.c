#include "rpc/sse.h"

#include <stdlib.h>

#include "tap.h"

#define SIZE(array) ((int)(sizeof(array) / sizeof(*(array))))

/* The stream in parts of the given size (the first one: first) as events, each in <>, what is left behind. The LF of a CR LF that
 * comes apart is shown with its CR. */
static const char *scan(const char *stream, apr_size_t first, apr_size_t size, apr_pool_t *p)
{
    apr_size_t len = strlen(stream), at = 0, part = first;
    const char *begin = stream, *found = "";
    mcp_sse_t sse = { 0 };

    while (at < len) {
        apr_size_t left = part < len - at ? part : len - at;

        while (left) {
            /* A copy of exactly that size, so that a sanitizer sees a read behind it. */
            char *copy = malloc(left);
            apr_size_t n;

            memcpy(copy, stream + at, left);
            n = mcp_sse_scan(&sse, copy, left);
            free(copy);
            if (n > left) {
                return "more than there was";
            }
            at += n ? n : left;
            left -= n ? n : left;
            if (n == 1 && *begin == '\n' && begin > stream && begin[-1] == '\r') {
                found = apr_pstrcat(p, apr_pstrmemdup(p, found, strlen(found) - 1), "\n>", NULL);
                begin = stream + at;
            }
            else if (n) {
                found =
                    apr_pstrcat(p, found, "<", apr_pstrmemdup(p, begin, (apr_size_t)(stream + at - begin)), ">", NULL);
                begin = stream + at;
            }
        }
        part = size;
    }
    return apr_pstrcat(p, found, begin, NULL);
}

static void scans(apr_pool_t *p)
{
    static const struct {
        const char *stream, *events, *what;
    } cases[] = {
        { "data: a\n\ndata: b\n\n", "<data: a\n\n><data: b\n\n>", "LF" },
        { "data: a\r\n\r\ndata: b\r\n\r\n", "<data: a\r\n\r\n><data: b\r\n\r\n>", "CR LF" },
        { "data: a\r\rdata: b\r\r", "<data: a\r\r><data: b\r\r>", "CR" },
        { "data: a\r\n\n\rdata: b\n\r\n\r\r", "<data: a\r\n\n><\r><data: b\n\r\n><\r><\r>", "mixed" },
        { "id: 1\r\ndata: a\rdata: b\ndata: c\r\n\ndata: d", "<id: 1\r\ndata: a\rdata: b\ndata: c\r\n\n>data: d",
          "mixed within an event" },
        { "\n\n\n", "<\n><\n><\n>", "empty lines alone" },
        { "\r\n\r\n", "<\r\n><\r\n>", "empty lines alone with CR LF" },
        { ":\n\n: ping\n\n", "<:\n><\n><: ping\n><\n>", "TRN-8 comments wait for nothing" },
        { ":\r\n: ping\r:\n", "<:\r\n><: ping\r><:\n>", "TRN-8 whatever ends them" },
        { "data: a\n: ping\ndata: b\n\n", "<data: a\n: ping\ndata: b\n\n>", "a comment within an event" },
        { "data: a\n: 1\n: 2\r\n:\n\n", "<data: a\n: 1\n: 2\r\n:\n\n>", "some comments within an event" },
        { ": a\ndata: b\n:c\r\n\r\n:\n", "<: a\n><data: b\n:c\r\n\r\n><:\n>", "comments around an event" },
        { "id: 1\ndata:\n\ndata: x\n\n", "<id: 1\ndata:\n\n><data: x\n\n>", "a priming event" },
        { "data: a\n", "data: a\n", "an event that does not end" },
        { "data: a\r\n", "data: a\r\n", "an event that does not end, CR LF" },
        { "", "", "nothing" },
        { "\xEF\xBB\xBF"
          "data: a\n\n",
          "<\xEF\xBB\xBF"
          "data: a\n\n>",
          "a byte order mark at the begin" },
        { "data: \n\n \n\n", "<data: \n\n>< \n\n>", "a line of one blank is not empty" },
    };

    for (int i = 0; i < SIZE(cases); i++) {
        apr_size_t len = strlen(cases[i].stream);
        int ok = 1;

        STR_IS(scan(cases[i].stream, len + 1, 1, p), cases[i].events, "scan: %s", cases[i].what);
        STR_IS(scan(cases[i].stream, 1, 1, p), cases[i].events, "scan: %s, byte by byte", cases[i].what);
        for (apr_size_t at = 1; at < len; at++) {
            ok &= !strcmp(scan(cases[i].stream, at, len, p), cases[i].events);
        }
        OK(ok, "scan: %s, in two parts, whichever they are", cases[i].what);
    }
}

/* A CR LF that comes in one piece is not taken apart: the event is passed on with it. */
static void together(apr_pool_t *p)
{
    mcp_sse_t sse = { 0 };

    OK(mcp_sse_scan(&sse, "data: a\r\n\r\ndata: b", 18) == 11, "an event ends behind the LF of its last CR LF");
    OK(mcp_sse_scan(&sse, "data: b\r\n\r", 10) == 10, "or with the CR, if no more is there");
    OK(mcp_sse_scan(&sse, "\n: x\r\n", 6) == 1, "then the LF is taken for itself");
    OK(mcp_sse_scan(&sse, ": x\r\n", 5) == 5, "a comment alone");
}

static void event_is(const char *text, const char *data, int message, const char *what, apr_pool_t *p)
{
    apr_size_t len = strlen(text);
    char *copy = malloc(len ? len : 1);
    mcp_event_t event;

    memcpy(copy, text, len);
    mcp_event_read(&event, copy, len, p);
    STR_IS(event.data ? apr_pstrmemdup(p, event.data, event.len) : NULL, data, "data: %s", what);
    OK(event.message == message, "type: %s", what);
    free(copy);
}

static void reads(apr_pool_t *p)
{
    event_is("data: {}\n\n", "{}", 1, "one line", p);
    event_is("data:{}\n\n", "{}", 1, "no blank", p);
    event_is("data:  {}\n\n", " {}", 1, "only one blank is taken away", p);
    event_is("data:\t{}\n\n", "\t{}", 1, "and no tab", p);
    event_is("data: {}\r\n\r", "{}", 1, "CR LF", p);
    event_is("\ndata: {}\r\n\r", "{}", 1, "the LF of the line end before", p);
    event_is("data: {}\r\r", "{}", 1, "CR", p);
    event_is("data: {\ndata: \"a\":1\rdata:}\r\n\r", "{\n\"a\":1\n}", 1, "several lines", p);
    event_is("data: a:b: c\n\n", "a:b: c", 1, "colons in the data", p);
    event_is("data\n\n", "", 1, "data without a colon", p);
    event_is("data:\n\n", "", 1, "CNF-4 a priming event is empty", p);
    event_is("data: \n\n", "", 1, "CNF-4 a priming event with a blank is empty", p);
    event_is("id: 7\nretry: 100\ndata:\n\n", "", 1, "CNF-4 a priming event with an id", p);
    event_is("data\ndata\n\n", "\n", 1, "two empty lines make one line end", p);
    event_is("data\ndata: a\ndata\n\n", "\na\n", 1, "empty lines around", p);
    event_is("id: 1\n\n", NULL, 1, "no data", p);
    event_is(": data: x\n\n", NULL, 1, "a comment is no data", p);
    event_is(":data\ndata: a\n:\n\n", "a", 1, "comments around", p);
    event_is("\n", NULL, 1, "nothing", p);
    event_is("", NULL, 1, "not even a line", p);
    event_is("Data: a\ndatax: b\ndat: c\n data: d\n\n", NULL, 1, "other fields", p);
    event_is("\xEF\xBB\xBF"
             "data: a\n\n",
             "a", 1, "a byte order mark before it", p);
    event_is("\xEF\xBB\xBF\ndata: a\n\n", "a", 1, "a byte order mark alone in its line", p);
    event_is("id: 1\n\xEF\xBB\xBF"
             "data: a\n\n",
             NULL, 1, "a byte order mark further on is part of a name", p);
    event_is("event: message\ndata: a\n\n", "a", 1, "a message", p);
    event_is("event:message\ndata: a\n\n", "a", 1, "a message without a blank", p);
    event_is("event\ndata: a\n\n", "a", 1, "an event field without value", p);
    event_is("event: ping\ndata: a\n\n", "a", 0, "another type", p);
    event_is("data: a\nevent: Message\n\n", "a", 0, "the case counts", p);
    event_is("event: messages\n\n", NULL, 0, "a longer one", p);
    event_is("event: ping\ndata: a\nevent: message\n\n", "a", 1, "the last event field counts", p);
    event_is("event: message\nevent: endpoint\ndata: /x\n\n", "/x", 0,
             "the last event field counts, the other way round", p);
    event_is("event: ping\nevent:\ndata: a\n\n", "a", 1, "also an empty one", p);
}

static const char *replace(const char *text, const char *data, apr_pool_t *p)
{
    apr_size_t len = strlen(text);
    char *copy = malloc(len ? len : 1);
    const char *changed;

    memcpy(copy, text, len);
    changed = mcp_event_replace(&len, copy, len, data, strlen(data), p);
    changed = apr_pstrmemdup(p, changed, len);
    free(copy);
    return changed;
}

/* Many more bytes come out than go in. */
static void breaks(char c, apr_pool_t *p)
{
    const apr_size_t count = 100000;
    char *data = apr_palloc(p, count + 1);
    const char *changed;
    mcp_event_t event;

    memset(data, c, count);
    data[count] = '\0';
    changed = replace("data: a\r\n\n", data, p);
    OK(strlen(changed) == (count + 1) * strlen("data: \r\n") + 1, "B09 each of 100000 line ends begins a data line");
    mcp_event_read(&event, changed, strlen(changed), p);
    OK(event.len == count && event.data[0] == '\n' && event.data[count - 1] == '\n', "and they read as line ends");
}

static void names(apr_pool_t *p)
{
    static const char text[] = "data\0: a\ndata: b\n\n";
    mcp_event_t event;

    mcp_event_read(&event, text, sizeof(text) - 1, p);
    OK(event.len == 1 && *event.data == 'b', "a name with a NUL behind it is another name");
}

static void replaces(apr_pool_t *p)
{
    STR_IS(replace("data: a\n\n", "b", p), "data: b\n\n", "other data");
    STR_IS(replace("data:a\r\n\r", "b", p), "data: b\r\n\r", "the line end stays: CR LF");
    STR_IS(replace("\ndata:a\r\n\r", "b", p), "\ndata: b\r\n\r", "also the LF of the line end before");
    STR_IS(replace("data\r\r", "b", p), "data: b\r\r", "the line end stays: CR");
    STR_IS(replace(":c\nid: 1\ndata: a\nretry: 5\nevent: message\nfoo\n\n", "b", p),
           ":c\nid: 1\ndata: b\nretry: 5\nevent: message\nfoo\n\n", "CNF-4 comments and the other fields stay");
    STR_IS(replace("id:1\r\ndata: {\r\nretry:5\r\ndata: }\r\n: x\r\n\r", "{}", p),
           "id:1\r\ndata: {}\r\nretry:5\r\n: x\r\n\r", "one line in place of two");
    STR_IS(replace("id: 1\r\ndata: a\r\nretry: 5\n\n", "{\n\n}\n", p),
           "id: 1\r\ndata: {\r\ndata: \r\ndata: }\r\ndata: \r\nretry: 5\n\n", "four lines in place of one");
    STR_IS(replace("data: a\n\n", "", p), "data: \n\n", "empty data");
    STR_IS(replace("data: a\n\n", " a", p), "data:  a\n\n", "data that begins with a blank");
    STR_IS(replace("data: a\n\n", "x\ry", p), "data: x\ndata: y\n\n", "a CR does not get into the stream");
    STR_IS(replace("\xEF\xBB\xBF"
                   "data: a\n\n",
                   "b", p),
           "\xEF\xBB\xBF"
           "data: b\n\n",
           "a byte order mark stays");
    STR_IS(replace("id: 1\n\n", "b", p), "id: 1\n\n", "an event without data stays");
    STR_IS(replace("data: a\rdata: b\n\n", "c", p), "data: c\r\n\n",
           "a CR and the LF of an empty line stay two line ends");
    STR_IS(replace("id: 1\rdata: a\ndata: b\n\n", "c", p), "id: 1\rdata: c\n\n", "line ends that never met");
    STR_IS(replace("data: a\nid: 1\rdata: b\n\n", "c", p), "data: c\nid: 1\r\n\n", "also when the line between goes");
    STR_IS(replace("data: a", "b\nc", p), "data: b\ndata: c\n", "a line without an end is given one");
}

/* What was replaced is one event, and reads as its data. */
static void round_trips(apr_pool_t *p)
{
    static const char *const ends[] = { "\n", "\r\n", "\r" };
    static const char *const texts[] = { "", "{}", "{\n\"a\":1\n}", "\n", "\n\n", " x", ":x", "data: x" };
    int ok = 1, count = 0;

    for (int i = 0; i < 81; i++) {
        const char *event = apr_pstrcat(p, "id: 1", ends[i % 3], "data: a", ends[i / 3 % 3], "data: b", ends[i / 9 % 3],
                                        ends[i / 27], NULL);
        const char *expect = scan(event, 100, 100, p), *behind = strrchr(expect, '>');

        if (!behind) {
            continue; /* a CR and a LF that are one line end: no event */
        }
        for (int j = 0; j < SIZE(texts); j++) {
            const char *changed = replace(event, texts[j], p), *events = scan(changed, 1, 1, p);
            mcp_event_t read;

            /* It ends where the one before ended. */
            ok &= events[0] == '<' && !strchr(events + 1, '<') && strchr(events, '>') &&
                  !strcmp(strchr(events, '>'), behind);
            mcp_event_read(&read, changed, strlen(changed), p);
            ok &= read.message && read.data && read.len == strlen(texts[j]) && !memcmp(read.data, texts[j], read.len);
            count++;
        }
    }
    OK(ok && count > 400, "replaced data are read as they were meant: %d events", count);
}

/* Time per byte does not grow. */
static void large(apr_pool_t *p)
{
    const int lines = 200000;
    char *text = apr_palloc(p, (apr_size_t)lines * 8 + 1);
    const char *changed;
    mcp_event_t event;
    mcp_sse_t sse = { 0 };
    apr_size_t len = 0;

    for (int i = 0; i < lines; i++) {
        memcpy(text + len, "data: 1\n", 8);
        len += 8;
    }
    text[len++] = '\n';
    OK(mcp_sse_scan(&sse, text, len) == len, "B09 an event of 200000 lines");
    mcp_event_read(&event, text, len, p);
    OK(event.len == (apr_size_t)lines * 2 - 1 && event.data[1] == '\n', "B09 all are data");
    changed = mcp_event_replace(&len, text, len, event.data, event.len, p);
    OK(len == (apr_size_t)lines * 8 + 1 && !memcmp(changed, text, len),
       "B09 replaced by themselves nothing is different");
}

static void test(apr_pool_t *p)
{
    scans(p);
    together(p);
    reads(p);
    names(p);
    replaces(p);
    breaks('\n', p);
    breaks('\r', p);
    round_trips(p);
    large(p);
}
