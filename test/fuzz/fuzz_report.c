/* Reports of all forms with texts that come from elsewhere: none of them gets out of its place. O02. Input: the text. */
#include "fuzz.h"

#include "../unit/reports.h"

static int is_ascii(const char *text)
{
    while (*text == '\n' || (*text >= 0x20 && *text < 0x7f)) {
        text++;
    }
    return !*text;
}

static void check_json(const mcp_report_t *report, apr_pool_t *p)
{
    const char *text = mcp_report_json(report, p);

    for (const char *c = text; *c; c++) { /* one line; JSON need not escape 0x7f */
        MUST(*c >= 0x20 || !strcmp(c, "\n"));
    }
    MUST(json_is_object(fuzz_json(text, strlen(text), p)));
}

/* The tags alone, one after the other. */
static const char *tags_of(const char *html, apr_pool_t *p)
{
    char *tags = apr_palloc(p, strlen(html) + 1), *end = tags;

    for (const char *c = html; *c; c++) {
        if (*c == '<') {
            size_t len = strcspn(c, "> ");

            memcpy(end, c, len);
            end += len;
        }
    }
    *end = '\0';
    return tags;
}

/* Whatever the text is, nothing but the mark for what cannot be seen stands in it. */
static void check_html(const char *html, apr_pool_t *p)
{
    const char *script = "<script";

    MUST(is_ascii(html) && !strstr(html, script) && !strstr(html, "<img"));
    for (const char *c = tags_of(html, p); *c; c++) {
        MUST(*c == '<' || *c == '/' || *c == '!' || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
             (*c >= '0' && *c <= '9'));
    }
}

/* Each line is a comment or a sample: name{labels} number. */
static void check_prometheus(const char *text, apr_pool_t *p)
{
    const apr_array_header_t *lines = fuzz_split(text, "\n", p);

    MUST(fuzz_is_utf8(text, strlen(text)) && *text && text[strlen(text) - 1] == '\n');
    for (int i = 0; i < lines->nelts; i++) {
        const char *c = fuzz_at(lines, i);

        if (!strncmp(c, "# HELP mcp_oauth_", 17) || !strncmp(c, "# TYPE mcp_oauth_", 17)) {
            continue;
        }
        MUST(!strncmp(c, "mcp_oauth_", 10));
        c += strspn(c, "abcdefghijklmnopqrstuvwxyz_");
        if (*c == '{') {
            do {
                c++;
                c += strspn(c, "abcdefghijklmnopqrstuvwxyz_");
                MUST(c[0] == '=' && c[1] == '"');
                for (c += 2; *c && *c != '"'; c++) {
                    MUST((unsigned char)*c >= 0x20 && *c != 0x7f);
                    if (*c == '\\') {
                        c++;
                        MUST(*c && strchr("\\\"n", *c));
                    }
                }
                MUST(*c == '"');
                c++;
            } while (*c == ',');
            MUST(*c == '}');
            c++;
        }
        MUST(*c == ' ' && strspn(c + 1, "0123456789.e+-NaInf") == strlen(c + 1) && c[1]);
    }
}

static void check_lines(const char *text, apr_pool_t *p)
{
    const apr_array_header_t *lines = fuzz_split(text, "\n", p);

    MUST(is_ascii(text));
    for (int i = 0; i < lines->nelts; i++) {
        MUST(!strncmp(fuzz_at(lines, i), "McpOAuth", 8) && strstr(fuzz_at(lines, i), ": "));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    const char *text = fuzz_text(data, size, p), *plain;
    const mcp_report_t *report = report_of(text, p);

    (void)hostile;
    check_json(report, p);
    check_html(mcp_report_html(report, p), p);
    check_html(mcp_report_section(report, 0, p), p);
    check_prometheus(mcp_report_prometheus(report, p), p);
    plain = mcp_report_section(report, 1, p);
    check_lines(plain, p);
    MUST(fuzz_split(plain, "\n", p)->nelts == fuzz_split(mcp_report_section(report_of("x", p), 1, p), "\n", p)->nelts);
    apr_pool_destroy(p);
    return 0;
}
