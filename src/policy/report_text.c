#include "policy/report_text.h"

#include <apr_strings.h>
#include <stdarg.h>
#include <string.h>

#define REPLACEMENT 0xFFFDu

void mcp_report_begin(mcp_report_page_t *page, apr_pool_t *p)
{
    page->size = 4096;
    page->text = apr_palloc(p, page->size);
    page->text[0] = '\0';
    page->len = 0;
    page->p = p;
}

void mcp_report_put(mcp_report_page_t *page, const char *text)
{
    apr_size_t len = strlen(text);

    if (len >= page->size - page->len) {
        char *old = page->text;

        page->size = 2 * (page->size + len);
        page->text = apr_palloc(page->p, page->size);
        memcpy(page->text, old, page->len);
    }
    memcpy(page->text + page->len, text, len + 1);
    page->len += len;
}

void mcp_report_putf(mcp_report_page_t *page, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    mcp_report_put(page, apr_pvsprintf(page->p, format, args));
    va_end(args);
}

/* Of the second byte, by the first one (Unicode table 3-7). */
static int is_second(unsigned first, unsigned second)
{
    unsigned low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    unsigned high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;

    return second >= low && second <= high;
}

unsigned mcp_report_next(const char **ptext)
{
    const unsigned char *s = (const unsigned char *)*ptext;
    int i, more = *s >= 0xC2 && *s < 0xE0 ? 1 : *s >= 0xE0 && *s < 0xF0 ? 2 : *s >= 0xF0 && *s < 0xF5 ? 3 : 0;
    unsigned point = *s & (0x3Fu >> more);

    ++*ptext;
    if (*s < 0x80) {
        return *s;
    }
    if (!more || !is_second(*s, s[1])) {
        return REPLACEMENT;
    }
    /* The NUL at the end is no continuation, so nothing beyond it is read. */
    for (i = 1; i <= more; i++) {
        if ((s[i] & 0xC0) != 0x80) {
            return REPLACEMENT;
        }
        point = point << 6 | (s[i] & 0x3Fu);
    }
    *ptext += more;
    return point;
}

int mcp_report_is_hidden(unsigned point)
{
    static const unsigned ranges[][2] = {
        { 0, 0x1F },        { 0x7F, 0x9F },     { 0xAD, 0xAD },       { 0x34F, 0x34F },     { 0x61C, 0x61C },
        { 0x115F, 0x1160 }, { 0x17B4, 0x17B5 }, { 0x180B, 0x180F },   { 0x200B, 0x200F },   { 0x2028, 0x202E },
        { 0x2060, 0x206F }, { 0x3164, 0x3164 }, { 0xFDD0, 0xFDEF },   { 0xFE00, 0xFE0F },   { 0xFEFF, 0xFEFF },
        { 0xFFA0, 0xFFA0 }, { 0xFFF0, 0xFFFB }, { 0x1BCA0, 0x1BCA3 }, { 0x1D173, 0x1D17A }, { 0xE0000, 0xE0FFF },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
        if (point >= ranges[i][0] && point <= ranges[i][1]) {
            return 1;
        }
    }
    return (point & 0xFFFE) == 0xFFFE; /* no characters */
}

int mcp_report_encode(char out[4], unsigned point)
{
    int i, more = point < 0x80 ? 0 : point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;

    out[0] = (char)(more ? (0xF00u >> (more + 1) & 0xFFu) | point >> (6 * more) : point);
    for (i = 1; i <= more; i++) {
        out[i] = (char)(0x80u | (point >> (6 * (more - i)) & 0x3Fu));
    }
    return more + 1;
}

const char *mcp_report_utf8(const char *text, apr_pool_t *p)
{
    char *out, *to;

    if (!text) {
        return NULL;
    }
    to = out = apr_palloc(p, 3 * strlen(text) + 1); /* one byte becomes three at most */
    while (*text) {
        to += mcp_report_encode(to, mcp_report_next(&text));
    }
    *to = '\0';
    return out;
}

static const char *html_name(unsigned point)
{
    return point == '&' ? "&amp;" : point == '<' ? "&lt;" : point == '>' ? "&gt;" : point == '"' ? "&quot;" : "&#39;";
}

void mcp_report_put_html(mcp_report_page_t *page, const char *data)
{
    const char *from = data ? data : "", *at;

    while (*from) {
        unsigned point;

        /* what needs nothing, in one piece */
        for (at = from; *at >= ' ' && *at < 0x7F && !strchr("&<>\"'", *at); at++)
            ;
        if (at > from) {
            mcp_report_put(page, apr_pstrmemdup(page->p, from, (apr_size_t)(at - from)));
            from = at;
            continue;
        }
        point = mcp_report_next(&from);
        if (mcp_report_is_hidden(point)) {
            mcp_report_putf(page, "<i>U+%04X</i>", point);
        }
        else if (point >= 0x80) {
            mcp_report_putf(page, "&#x%X;", point);
        }
        else {
            mcp_report_put(page, html_name(point));
        }
    }
}

double mcp_report_ratio(apr_uint64_t part, apr_uint64_t whole)
{
    return whole ? (double)(part < whole ? part : whole) / (double)whole : 0;
}

const char *mcp_report_time(apr_time_t time, apr_pool_t *p)
{
    apr_time_exp_t t;

    if (apr_time_exp_gmt(&t, time)) {
        return "1970-01-01T00:00:00Z";
    }
    return apr_psprintf(p, "%04d-%02d-%02dT%02d:%02d:%02dZ", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour,
                        t.tm_min, t.tm_sec);
}

apr_interval_time_t mcp_report_uptime(const mcp_report_t *report)
{
    return report->now > report->totals.started ? report->now - report->totals.started : 0;
}

const char *mcp_report_number(apr_uint64_t number, apr_pool_t *p)
{
    const char *text = "";

    for (; number >= 1000; number /= 1000) {
        text = apr_psprintf(p, ",%03d%s", (int)(number % 1000), text);
    }
    return apr_psprintf(p, "%d%s", (int)number, text);
}

const char *mcp_report_span(apr_interval_time_t span, apr_pool_t *p)
{
    apr_int64_t s = apr_time_sec(span), min = s / 60, h = min / 60, days = h / 24;

    if (s < 60) {
        return apr_psprintf(p, "%d s", (int)s);
    }
    if (h < 1) {
        return apr_psprintf(p, "%d min", (int)min);
    }
    if (days < 1) {
        return min % 60 ? apr_psprintf(p, "%d h %d min", (int)h, (int)(min % 60)) : apr_psprintf(p, "%d h", (int)h);
    }
    return apr_psprintf(p, "%s day%s%s", mcp_report_number((apr_uint64_t)days, p), days == 1 ? "" : "s",
                        h % 24 ? apr_psprintf(p, " %d h", (int)(h % 24)) : "");
}

const char *mcp_report_ago(apr_interval_time_t age, apr_pool_t *p)
{
    if (age < 0) {
        return "never";
    }
    return age < APR_USEC_PER_SEC ? "just now" : apr_pstrcat(p, mcp_report_span(age, p), " ago", NULL);
}

const char *mcp_report_ahead(apr_interval_time_t ahead, apr_pool_t *p)
{
    if (ahead < 0) {
        return "not planned";
    }
    return ahead < APR_USEC_PER_SEC ? "now" : apr_pstrcat(p, "in ", mcp_report_span(ahead, p), NULL);
}
