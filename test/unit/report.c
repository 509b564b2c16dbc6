#include "policy/report.h"

#include <jansson.h>
#include <stdlib.h>

#include "policy/report_html.h"
#include "reports.h"
#include "tap.h"

#define HIGHEST (~(apr_uint64_t)0)

static void columns(apr_pool_t *p)
{
    static const char *const decisions[] = { "allow", "deny", "shadow-deny", "preflight" };
    int column, known = 0, kind;

    for (column = 0; column < MCP_METER_COLUMNS; column++) {
        for (kind = 0; kind < MCP_REPORT_DECISIONS; kind++) {
            known += !strcmp(mcp_report_decision(column), decisions[kind]);
        }
    }
    OK(known == MCP_METER_COLUMNS, "each column is one of four decisions");
    STR_IS(mcp_report_decision(MCP_OK), "allow", "a pass is allowed");
    STR_IS(mcp_report_decision(MCP_PREFLIGHT), "preflight", "a preflight is one");
    STR_IS(mcp_report_decision(MCP_METER_SHADOW), "shadow-deny", "a shadow denial is one");
    STR_IS(mcp_report_decision(MCP_RATE_LIMITED), "deny", "any other is a denial");
    STR_IS(mcp_report_decision(-1), "deny", "a column that there is not is a denial");
    STR_IS(mcp_report_decision(MCP_METER_COLUMNS), "deny", "one above, too");
    STR_IS(mcp_report_reason(MCP_RATE_LIMITED), "rate-limited", "the reason is the slug");
    STR_IS(mcp_report_reason(MCP_METER_SHADOW), "acl-denied", "of a shadow denial the one that logs name");
    STR_IS(mcp_report_reason(MCP_METER_COLUMNS), "internal", "of a column that there is not");
}

static void sums(apr_pool_t *p)
{
    mcp_report_t *report = report_empty(p);
    mcp_report_resource_t *resource = resource_add(report, "a");
    apr_uint64_t of_one[MCP_REPORT_DECISIONS] = { 9, 9, 9, 9 }, all[MCP_REPORT_DECISIONS] = { 9, 9, 9, 9 };
    apr_array_header_t *reasons;

    resource->counts[MCP_OK] = 1;
    resource->counts[MCP_TOKEN_EXPIRED] = 20;
    resource->counts[MCP_INTERNAL] = 300;
    resource->counts[MCP_METER_SHADOW] = 4000;
    resource->counts[MCP_PREFLIGHT] = 50000;
    mcp_report_sum(of_one, resource);
    OK(of_one[0] == 1 && of_one[1] == 320 && of_one[2] == 4000 && of_one[3] == 50000, "sums of one resource");
    resource = resource_add(report, "b");
    resource->counts[MCP_OK] = HIGHEST;
    resource->counts[MCP_ACL_DENIED] = 1;
    mcp_report_total(all, report);
    OK(all[0] == HIGHEST && all[1] == 321 && all[2] == 4000 && all[3] == 50000,
       "sums of all, the highest number stands for more");
    resource->counts[MCP_RATE_LIMITED] = 7;
    resource->counts[MCP_TOKEN_EXPIRED] = 1;
    resource->counts[MCP_METER_SHADOW] = resource->counts[MCP_PREFLIGHT] = 99;
    resource->counts[MCP_JSON_SYNTAX] = HIGHEST;
    reasons = mcp_report_reasons(resource, p);
    OK(reasons->nelts == 4 && APR_ARRAY_IDX(reasons, 0, mcp_report_reason_t).column == MCP_JSON_SYNTAX &&
           APR_ARRAY_IDX(reasons, 0, mcp_report_reason_t).count == HIGHEST &&
           APR_ARRAY_IDX(reasons, 1, mcp_report_reason_t).column == MCP_RATE_LIMITED &&
           APR_ARRAY_IDX(reasons, 2, mcp_report_reason_t).column == MCP_TOKEN_EXPIRED &&
           APR_ARRAY_IDX(reasons, 3, mcp_report_reason_t).column == MCP_ACL_DENIED,
       "reasons of denials alone, most first, equal ones in the order of columns");
}

static void forms(apr_pool_t *p)
{
    const char *text = "a\xE2\x82\xAC\xF0\x9F\x98\x80\xE2\x82", *from = text;

    OK(mcp_report_next(&from) == 'a' && mcp_report_next(&from) == 0x20AC && mcp_report_next(&from) == 0x1F600 &&
           mcp_report_next(&from) == 0xFFFD && mcp_report_next(&from) == 0xFFFD && !*from,
       "code points, two bytes that begin none");
    STR_IS(mcp_report_utf8("\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80", p), "\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80",
           "UTF-8 of two, three and four bytes stays");
    STR_IS(mcp_report_utf8("a\xFF"
                           "b\xC0\xAF"
                           "c\xED\xA0\x80\xF4\x90\x80\x80\xE0\x80\x80\xF0\x80\x80\x80",
                           p),
           "a\xEF\xBF\xBD"
           "b\xEF\xBF\xBD\xEF\xBF\xBD"
           "c"
           "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
           "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD",
           "overlong forms, surrogates and beyond the last code point are none");
    OK(mcp_report_is_hidden(0xFFFE) && mcp_report_is_hidden(0x1FFFF) && !mcp_report_is_hidden(0xFFFD) &&
           mcp_report_is_hidden(0x9F) && !mcp_report_is_hidden(0xA1) && !mcp_report_is_hidden(0x5D0),
       "no characters are hidden, letters that run to the left are not");
    STR_IS(mcp_report_percent(0, 0, p), "0.0", "percent of nothing");
    STR_IS(mcp_report_percent(29, 100, p), "29.0", "a whole number of percent");
    STR_IS(mcp_report_percent(1, 1000000, p), "0.1", "something is not shown as nothing");
    STR_IS(mcp_report_percent(HIGHEST - 1, HIGHEST, p), "99.9", "nearly all is not shown as all");
    STR_IS(mcp_report_percent(5, 5, p), "100.0", "all");
    STR_IS(mcp_report_number(0, p), "0", "a number");
    STR_IS(mcp_report_number(999, p), "999", "a number below a thousand");
    STR_IS(mcp_report_number(1000, p), "1,000", "a thousand");
    STR_IS(mcp_report_number(1000056, p), "1,000,056", "zeros between");
    STR_IS(mcp_report_number(HIGHEST, p), "18,446,744,073,709,551,615", "the highest number");
    STR_IS(mcp_report_ago(-1, p), "never", "no age");
    STR_IS(mcp_report_ago(999999, p), "just now", "less than a second");
    STR_IS(mcp_report_ago(apr_time_from_sec(59), p), "59 s ago", "seconds");
    STR_IS(mcp_report_ago(apr_time_from_sec(60), p), "1 min ago", "a minute");
    STR_IS(mcp_report_ago(apr_time_from_sec(3599), p), "59 min ago", "minutes");
    STR_IS(mcp_report_ago(apr_time_from_sec(3600), p), "1 h ago", "an hour");
    STR_IS(mcp_report_ago(apr_time_from_sec(86399), p), "23 h 59 min ago", "hours");
    STR_IS(mcp_report_ago(apr_time_from_sec(86400), p), "1 day ago", "a day");
    STR_IS(mcp_report_ago(apr_time_from_sec(86400 * 1234 + 7300), p), "1,234 days 2 h ago", "days");
    STR_IS(mcp_report_ago(APR_INT64_MAX, p), "106,751,991 days 4 h ago", "the longest time");
    STR_IS(mcp_report_ahead(-1, p), "not planned", "nothing to come");
    STR_IS(mcp_report_ahead(0, p), "now", "due");
    STR_IS(mcp_report_ahead(apr_time_from_sec(41 * 60 + 5), p), "in 41 min", "to come");
    STR_IS(mcp_report_time(REPORT_NOW + 999999, p), "2025-11-21T19:00:00Z", "a time in whole seconds");
}

/* --- JSON --------------------------------------------------------------------- */

static apr_status_t json_release(void *data)
{
    json_decref(data);
    return APR_SUCCESS;
}

/* NULL unless it is one JSON text on one line of ASCII. */
static json_t *json_read(const mcp_report_t *report, apr_pool_t *p)
{
    const char *text = mcp_report_json(report, p);
    apr_size_t i, len = strlen(text);
    json_t *json;

    for (i = 0; i + 1 < len; i++) {
        if (text[i] < ' ') { /* also what is no ASCII, for char is signed or not */
            return NULL;
        }
        if ((unsigned char)text[i] > 0x7F) {
            return NULL;
        }
    }
    if (!len || text[len - 1] != '\n') {
        return NULL;
    }
    json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (json) {
        apr_pool_cleanup_register(p, json, json_release, apr_pool_cleanup_null);
    }
    return json;
}

static void json_empty(apr_pool_t *p)
{
    STR_IS(mcp_report_json(report_empty(p), p),
           "{\"version\":\"1.2.3\",\"time\":\"2025-11-21T19:00:00Z\",\"started\":\"2025-11-21T18:58:29Z\","
           "\"uptime_seconds\":90.001,\"processes\":0,"
           "\"requests\":{\"allow\":0,\"deny\":0,\"shadow_deny\":0,\"preflight\":0},\"resources\":[],\"issuers\":[],"
           "\"token_cache\":{\"entries\":0,\"bytes\":0,\"hits\":0,\"misses\":0,\"hit_ratio\":null,"
           "\"max_entries_per_process\":0},\"shadow\":[],\"shadow_others\":0,\"usage\":[],"
           "\"usage_others\":{\"allowed\":0,\"limited\":0}}\n",
           "JSON of an empty report: each member, null without lookups");
}

static void json_rows(apr_pool_t *p)
{
    mcp_report_t *report = report_empty(p);
    mcp_report_resource_t *resource = resource_add(report, "https://a/mcp");
    mcp_tally_row_t *row = row_add(report->usage, "https://a/mcp", "https://i", "u", "", "tools/call:*", "5/10s");
    const char *text;

    row->counts[0] = 12;
    row->counts[1] = 3;
    row->last = REPORT_NOW;
    row_add(report->usage, "r", "i", "s", "c", "*", "l");
    row_add(report->shadow, "https://a/mcp", "tools/call:x", "", "", "", "")->counts[0] = 4;
    report->shadow_others = 5;
    report->usage_others[0] = 6;
    report->usage_others[1] = 7;
    resource->counts[MCP_OK] = 8;
    resource->counts[MCP_SCOPE_MISSING] = 2;
    resource->counts[MCP_TOKEN_EXPIRED] = 1;
    resource->counts[MCP_ACL_DENIED] = 9;
    resource->counts[MCP_METER_SHADOW] = 4;
    resource->counts[MCP_PREFLIGHT] = 3;
    text = mcp_report_json(report, p);
    OK(strstr(text, "\"resources\":[{\"resource\":\"https://a/mcp\",\"allow\":8,\"deny\":12,\"shadow_deny\":4,"
                    "\"preflight\":3,\"reasons\":{\"acl-denied\":9,\"scope-missing\":2,\"token-expired\":1}}]"),
       "a resource, reasons of its denials most first");
    OK(strstr(text, "\"requests\":{\"allow\":8,\"deny\":12,\"shadow_deny\":4,\"preflight\":3}"), "requests in all");
    OK(strstr(text, "\"shadow\":[{\"resource\":\"https://a/mcp\",\"operation\":\"tools/call:x\",\"needed\":null,"
                    "\"count\":4}],\"shadow_others\":5"),
       "shadow denials, null where nothing would help");
    OK(strstr(text, "\"usage\":[{\"resource\":\"https://a/mcp\",\"issuer\":\"https://i\",\"subject\":\"u\","
                    "\"client\":null,\"operation\":\"tools/call:*\",\"limit\":\"5/10s\",\"allowed\":12,\"limited\":3,"
                    "\"last\":\"2025-11-21T19:00:00Z\"},{\"resource\":\"r\",\"issuer\":\"i\",\"subject\":\"s\","
                    "\"client\":\"c\",\"operation\":\"*\",\"limit\":\"l\",\"allowed\":0,\"limited\":0,\"last\":null}],"
                    "\"usage_others\":{\"allowed\":6,\"limited\":7}"),
       "usage, null for no client and for never");
}

static void json_issuers(apr_pool_t *p)
{
    mcp_report_t *report = report_empty(p);
    mcp_report_issuer_t *issuer = issuer_add(report, "https://i", "stale", p);
    const char *text;

    key_add(issuer, "k1", "RSA", "RS256");
    key_add(issuer, NULL, "OKP", NULL);
    issuer->keys_skipped = 2;
    issuer->age = 1234999;
    issuer->next_fetch = 0;
    issuer->fetches = 5;
    issuer->failures = 4;
    issuer->last_error = "HTTP status 503";
    issuer->endpoint = "https://i/introspect";
    issuer->breaker = "open";
    issuer->calls.answered = 6;
    issuer->calls.failed = 1;
    issuer->calls.cached = 8;
    issuer->calls.duration = 61500000;
    issuer_add(report, "local", "file", p);
    text = mcp_report_json(report, p);
    OK(strstr(text, "\"issuers\":[{\"issuer\":\"https://i\",\"keys_from\":\"discovery\",\"state\":\"stale\","
                    "\"keys\":[{\"kid\":\"k1\",\"kty\":\"RSA\",\"alg\":\"RS256\"},{\"kid\":null,\"kty\":\"OKP\","
                    "\"alg\":null}],\"keys_skipped\":2,\"age_seconds\":1.234,\"next_fetch_seconds\":0.0,\"fetches\":5,"
                    "\"fetch_failures\":4,\"last_error\":\"HTTP status 503\",\"introspection\":{\"endpoint\":"
                    "\"https://i/introspect\",\"calls\":7,\"failures\":1,\"cached\":8,\"seconds_total\":61.5,"
                    "\"breaker\":\"open\"}},"),
       "an issuer with introspection");
    OK(strstr(text, "{\"issuer\":\"local\",\"keys_from\":\"discovery\",\"state\":\"file\",\"keys\":[],"
                    "\"keys_skipped\":0,\"age_seconds\":null,\"next_fetch_seconds\":null,\"fetches\":0,"
                    "\"fetch_failures\":0,\"last_error\":null}]"),
       "one without, and with no age: null, no member introspection");
}

static double ratio_of(apr_uint64_t hits, apr_uint64_t misses, apr_pool_t *p)
{
    mcp_report_t *report = report_empty(p);

    report->totals.hits = hits;
    report->totals.misses = misses;
    return json_real_value(json_object_get(json_object_get(json_read(report, p), "token_cache"), "hit_ratio"));
}

static int is_near(double a, double b)
{
    return a - b < 1e-9 && b - a < 1e-9;
}

static void json_numbers(apr_pool_t *p)
{
    mcp_report_t *report = report_empty(p);
    mcp_report_issuer_t *issuer = issuer_add(report, "i", "fresh", p);
    json_t *json;

    issuer->endpoint = "e";
    issuer->calls.answered = issuer->calls.failed = issuer->calls.duration = HIGHEST;
    issuer->age = APR_INT64_MAX;
    report->totals.hits = 9007199254740993; /* 2^53 + 1: no double is that */
    report->totals.entries = (apr_uint64_t)APR_INT64_MAX + 1;
    report->totals.started = REPORT_NOW + 5;
    json = json_read(report, p);
    OK(json_integer_value(json_object_get(json_object_get(json, "token_cache"), "hits")) == 9007199254740993,
       "beyond 2^53 each integer is exact");
    OK(json_integer_value(json_object_get(json_object_get(json, "token_cache"), "entries")) == APR_INT64_MAX,
       "beyond 2^63 - 1 that one is written");
    json = json_array_get(json_object_get(json, "issuers"), 0);
    OK(json_integer_value(json_object_get(json_object_get(json, "introspection"), "calls")) == APR_INT64_MAX &&
           json_real_value(json_object_get(json_object_get(json, "introspection"), "seconds_total")) > 9e12,
       "calls and their duration, too");
    json = json_object_get(json_read(report, p), "uptime_seconds");
    OK(json_is_real(json) && json_real_value(json) == 0, "a wall clock that went back: no time at all, not less");
    OK(is_near(ratio_of(1, 3, p), 0.25) && is_near(ratio_of(0, 3, p), 0) && is_near(ratio_of(3, 0, p), 1) &&
           is_near(ratio_of(2, 1, p), 0.6666),
       "ratios");
    OK(is_near(ratio_of(999999, 1, p), 0.9999) && is_near(ratio_of(HIGHEST, HIGHEST, p), 1),
       "a ratio is 1 only when all are hits, and no more than 1 ever");
}

static void json_hostile(apr_pool_t *p)
{
    int i;

    for (i = 0; i < HOSTILE_COUNT; i++) {
        json_t *json = json_read(report_of(hostile(i, p), p), p), *row;
        const char *same = mcp_report_utf8(hostile(i, p), p);

        row = json_array_get(json_object_get(json, "usage"), 0);
        OK(json && json_object_size(json) == 13 && json_object_size(row) == 9, "O01 hostile text %d is a text in JSON",
           i);
        STR_IS(json_string_value(json_object_get(row, "subject")), same, "O01 hostile text %d comes back", i);
        row = json_array_get(json_object_get(json, "issuers"), 0);
        STR_IS(json_string_value(json_object_get(row, "last_error")), same, "O01 and as an error");
    }
}

/* --- HTML --------------------------------------------------------------------- */

/* Its tags in their order, without those that name what cannot be seen. NULL: something in it is no HTML that is meant. */
static const char *skeleton(const char *html, apr_pool_t *p)
{
    const char *out = "", *s, *end;

    for (s = html; *s; s++) {
        if ((unsigned char)*s > 0x7E || ((unsigned char)*s < ' ' && *s != '\n') || *s == '>') {
            return NULL;
        }
        if (*s == '&' && strspn(s + 1, "#x0123456789ABCDEFabcdefghijklmnopqrstuvwxyz") != strcspn(s + 1, ";")) {
            return NULL;
        }
        if (*s != '<') {
            continue;
        }
        if (!strncmp(s, "<style>", 7)) {
            end = strstr(s, "</style>");
            s = end ? end + 7 : s;
            continue;
        }
        end = strchr(s, '>');
        if (!end) {
            return NULL;
        }
        if (strncmp(s, "<i>", 3) && strncmp(s, "</i>", 4)) {
            out = apr_pstrcat(p, out, apr_pstrmemdup(p, s, (apr_size_t)(end + 1 - s)), NULL);
        }
        s = end;
    }
    return out;
}

/* Is each element closed in its turn? A name is up to the first blank. */
static int is_balanced(const char *tags, apr_pool_t *p)
{
    apr_array_header_t *open = apr_array_make(p, 32, sizeof(const char *));
    const char *s;

    for (s = strchr(tags, '<'); s; s = strchr(s + 1, '<')) {
        const char *name = apr_pstrmemdup(p, s + 1, strcspn(s + 1, " />") ? strcspn(s + 1, " />") : 1);

        if (s[1] == '/') {
            const char *closed = apr_pstrmemdup(p, s + 2, strcspn(s + 2, ">"));

            if (!open->nelts || strcmp(*(const char **)apr_array_pop(open), closed)) {
                return 0;
            }
        }
        else if (strcmp(name, "!DOCTYPE") && strcmp(name, "meta") && strcmp(name, "hr")) {
            APR_ARRAY_PUSH(open, const char *) = name;
        }
    }
    return !open->nelts;
}

static int braces_match(const char *html)
{
    const char *s = strstr(html, "<style>"), *end = s ? strstr(s, "</style>") : NULL;
    int depth = 0, seen = 0;

    for (; s && s < end && depth >= 0; s++) {
        depth += *s == '{' ? 1 : *s == '}' ? -1 : 0;
        seen += *s == '{';
    }
    return seen > 10 && !depth;
}

static int has_any(const char *text, const char *const *parts)
{
    for (; *parts; parts++) {
        if (strstr(text, *parts)) {
            printf("# has %s\n", *parts);
            return 1;
        }
    }
    return 0;
}

static void html_page(apr_pool_t *p)
{
    static const char *const foreign[] = { "<script", "src=", "@import", "url(", "http-equiv", "<link", " on", NULL };
    mcp_report_t *report = report_empty(p);
    const char *html = mcp_report_html(report, p), *tags = skeleton(html, p);

    OK(tags && is_balanced(tags, p) && !strncmp(html, "<!DOCTYPE html>\n<html lang=\"en\">", 32),
       "HTML of an empty report: each element is closed in its turn");
    OK(!has_any(tags ? tags : html, foreign), "nothing is loaded and nothing runs");
    OK(braces_match(html), "each brace of the style sheet has its other");
    OK(strstr(html, "<meta name=\"viewport\"") && strstr(html, "color-scheme:light dark") &&
           strstr(html, "prefers-color-scheme:dark"),
       "for any screen, light and dark");
    OK(strstr(html, "href=\"?json\"") && strstr(html, "href=\"?prometheus\""), "links to the other forms");
    OK(strstr(html, "No location is protected.") && strstr(html, "No requests yet.") &&
           strstr(html, "Tokens are not cached."),
       "an empty report says so");
    report->cache_max = 5;
    OK(strstr(mcp_report_html(report, p), "no lookups yet"), "no hit rate without lookups");
}

static int stands_before(const char *text, const char *a, const char *b)
{
    const char *first = strstr(text, a);

    return first && strstr(first, b);
}

static void html_content(apr_pool_t *p)
{
    mcp_report_t *report = report_empty(p);
    mcp_report_resource_t *resource = resource_add(report, "https://a/mcp");
    mcp_report_issuer_t *issuer;
    const char *html, *tags, *reason;
    int i;

    resource->counts[MCP_OK] = 1234567;
    resource->counts[MCP_SCOPE_MISSING] = 3;
    for (i = MCP_TOKEN_MALFORMED; i < MCP_TOKEN_MALFORMED + 6; i++) {
        resource->counts[i] = 1000 + (apr_uint64_t)i;
    }
    issuer = issuer_add(report, "https://i", "fresh", p);
    issuer->age = apr_time_from_sec(190);
    issuer->next_fetch = apr_time_from_sec(41 * 60);
    html = mcp_report_html(report, p);
    OK(strstr(html, "All is well.") && strstr(html, "keys: fresh") && strstr(html, "3 min ago") &&
           strstr(html, "in 41 min"),
       "all is well");
    OK(strstr(html, "<div>1,234,567</div>"), "numbers have separators");
    OK(strstr(html, "99.5&nbsp;% of requests"), "percent are rounded down");
    OK(stands_before(html, "token-algorithm", "token-malformed") &&
           stands_before(html, "2 more</summary>", "scope-missing"),
       "reasons most first, the rare ones one click away");
    reason = strstr(html, "scope-missing");
    OK(reason && !strstr(reason + 1, "scope-missing"), "each reason once");
    row_add(report->usage, "r", "i", "u", "c", "*", "5/10s");
    OK(strstr(mcp_report_html(report, p), "<div>never</div>"), "a row without a time");
    issuer->endpoint = "discovery";
    issuer->breaker = "open";
    issuer->calls.answered = 3;
    issuer->calls.failed = 1;
    issuer->calls.duration = 50000;
    issuer->calls.buckets[1] = 1;
    issuer->calls.buckets[8] = 2;
    html = mcp_report_html(report, p);
    tags = skeleton(html, p);
    OK(strstr(html, "Attention.") && strstr(html, "paused"), "an open breaker is a problem, said in words");
    OK(strstr(html, "<dd>4, 1 failed</dd>") && strstr(html, "<dd>12.5 ms</dd>"), "calls and their mean duration");
    OK(strstr(html, "<div>10 ms</div>") && strstr(html, "<div>2.5 s</div>") && strstr(html, "<div>longer</div>") &&
           !strstr(html, "<div>5 ms</div>"),
       "buckets from the first call to the last, those beyond the last bound, too");
    OK(tags && is_balanced(tags, p), "each element is closed in its turn");
    issuer->breaker = "closed";
    issuer->state = "expired";
    OK(strstr(mcp_report_html(report, p), "tokens cannot be checked"), "expired keys are a problem");
    issuer->state = "fresher";
    OK(strstr(mcp_report_html(report, p), "Attention."), "a state that nobody knows is a problem");
}

static void html_hostile(apr_pool_t *p)
{
    const char *tame = skeleton(mcp_report_html(report_of("tame", p), p), p);
    const char *marked = "<bdi>a<i>U+202E</i>b<i>U+000A</i>c<i>U+0085</i>&#xFC;&#xFFFD;&amp;&lt;&gt;&quot;&#39;</bdi>";
    int i;

    OK(tame && is_balanced(tame, p), "HTML of a full report: each element is closed in its turn");
    for (i = 0; i < HOSTILE_COUNT; i++) {
        STR_IS(skeleton(mcp_report_html(report_of(hostile(i, p), p), p), p), tame,
               "O01 hostile text %d: the same elements and attributes", i);
    }
    OK(strstr(mcp_report_html(report_of("a\xE2\x80\xAE"
                                        "b\nc\xC2\x85\xC3\xBC\xFF&<>\"'",
                                        p),
                              p),
              marked),
       "O01 what cannot be seen is named, what is no UTF-8 replaced, the rest as it is");
}

/* --- the part of mod_status ---------------------------------------------------- */

static void section(apr_pool_t *p)
{
    mcp_report_t *report = report_of("text", p);
    mcp_report_issuer_t *issuer = issuer_add(report, "local", "file", p);
    const char *tame = skeleton(mcp_report_section(report_of("tame", p), 0, p), p), *html;
    int i, lines;

    key_add(issuer, "k", "EC", NULL);
    report->totals.misses = 4;
    report->totals.entries = 5;
    STR_IS(mcp_report_section(report, 1, p),
           "McpOAuthAllowed: 8\nMcpOAuthDenied: 2\nMcpOAuthShadowDenied: 0\nMcpOAuthPreflights: 0\n"
           "McpOAuthTokenCacheEntries: 5\nMcpOAuthTokenCacheHits: 3\nMcpOAuthTokenCacheMisses: 4\n"
           "McpOAuthIssuer[0]Name: text\nMcpOAuthIssuer[0]State: stale\nMcpOAuthIssuer[0]Keys: 1\n"
           "McpOAuthIssuer[0]Fetches: 0\nMcpOAuthIssuer[0]FetchFailures: 0\nMcpOAuthIssuer[0]Breaker: closed\n"
           "McpOAuthIssuer[1]Name: local\nMcpOAuthIssuer[1]State: file\nMcpOAuthIssuer[1]Keys: 1\n"
           "McpOAuthIssuer[1]Fetches: 0\nMcpOAuthIssuer[1]FetchFailures: 0\n",
           "plain lines");
    OK(tame && is_balanced(tame, p), "HTML: each element is closed in its turn");
    html = mcp_report_section(report, 0, p);
    OK(strstr(html, "<h2>MCP OAuth</h2>") && strstr(html, "<td>local</td><td>file</td>") &&
           strstr(html, "Token cache: 5 entries, 3 hits, 4 misses"),
       "heading and tables");
    OK(!strstr(html, "<td>All</td>") && !strstr(html, "tools/call"), "one resource needs no sum; nobody's usage");
    resource_add(report, "b");
    OK(strstr(mcp_report_section(report, 0, p), "<td>All</td><td align=\"right\">8</td>"), "two do");
    for (i = 0; i < HOSTILE_COUNT; i++) {
        const char *plain = mcp_report_section(report_of(hostile(i, p), p), 1, p), *s;

        STR_IS(skeleton(mcp_report_section(report_of(hostile(i, p), p), 0, p), p), tame,
               "O01 hostile text %d: the same elements in mod_status", i);
        for (s = plain, lines = 0; *s && (*s == '\n' || (*s >= ' ' && *s < 0x7F)); s++) {
            lines += *s == '\n';
        }
        OK(!*s && lines == 13, "O01 hostile text %d: not a line more, and ASCII", i);
    }
}

static const char *card(const mcp_report_issuer_t *issuer, apr_pool_t *p)
{
    mcp_report_t *report = report_empty(p);

    APR_ARRAY_PUSH((apr_array_header_t *)report->issuers, mcp_report_issuer_t) = *issuer;
    return mcp_report_html(report, p);
}

static void html_issuers(apr_pool_t *p)
{
    mcp_report_issuer_t *issuer = issuer_add(report_empty(p), "https://i", NULL, p);
    const char *html = card(issuer, p);

    OK(strstr(html, "keys: unknown") && strstr(html, "Attention."), "no state at all is a problem, too");
    issuer->state = "file";
    html = card(issuer, p);
    OK(!strstr(html, "Fetched") && !strstr(html, "Next fetch") && !strstr(html, "Last error") &&
           !strstr(html, "unusable") && strstr(html, "All is well."),
       "a key file is not fetched");
    issuer->keys_skipped = 3;
    issuer->age = apr_time_from_sec(190);
    issuer->last_error = "cannot be read";
    html = card(issuer, p);
    OK(strstr(html, ", 3 unusable</dd>") && stands_before(html, "Fetched", "3 min ago") &&
           !strstr(html, "Next fetch") && stands_before(html, "Last error", "cannot be read"),
       "but it may be old, have keys that are none, and be gone");
    issuer->endpoint = "https://i/introspect";
    html = card(issuer, p);
    OK(strstr(html, "paused") && strstr(html, "Attention."), "a breaker that nobody knows of is no closed one");
    issuer->breaker = "closed";
    html = card(issuer, p);
    OK(strstr(html, "working") && strstr(html, "no calls yet") && !strstr(html, "Calls by duration"),
       "without calls there is no mean and no table of them");
    issuer->calls.answered = 2;
    issuer->calls.duration = 3000000;
    OK(strstr(card(issuer, p), "<dd>1.50 s</dd>"), "a mean of seconds");
}

static void html_sizes(apr_pool_t *p)
{
    static const struct {
        apr_uint64_t bytes;
        const char *text;
    } rows[] = { { 0, "(0 bytes)" },    { 1, "(1 byte)" },     { 1023, "(1,023 bytes)" },
                 { 1024, "(1.0 KiB)" }, { 1536, "(1.5 KiB)" }, { 1024 * 1024, "(1.0 MiB)" } };
    mcp_report_t *report = report_empty(p);

    report->cache_max = 5;
    for (apr_size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        report->totals.bytes = rows[i].bytes;
        OK(strstr(mcp_report_html(report, p), rows[i].text), "the size of the cache: %s", rows[i].text);
    }
    STR_IS(mcp_report_percent(1, 1000000, p), "0.1", "what is there is not shown as nothing");
    STR_IS(mcp_report_percent(0, 1000000, p), "0.0", "what is not there is");
    STR_IS(mcp_report_percent(9999999, 10000000, p), "99.9", "100 means all");
    STR_IS(mcp_report_percent(7, 7, p), "100.0", "and all is 100");
}

static void html_others(apr_pool_t *p)
{
    mcp_report_t *report = report_empty(p);

    OK(!strstr(mcp_report_html(report, p), "no longer listed"), "nobody had to go");
    report->shadow_others = 1;
    OK(strstr(mcp_report_html(report, p), "And 1 other, no longer listed one by one."),
       "shadow denials without a row of their own are told, also when there is no row at all");
    report->shadow_others = 0;
    report->usage_others[0] = 1234;
    OK(strstr(mcp_report_html(report, p), "one by one: 1,234 allowed, 0 limited."), "so is usage");
    report->usage_others[0] = 0;
    report->usage_others[1] = 9;
    OK(strstr(mcp_report_html(report, p), "one by one: 0 allowed, 9 limited."), "also when all of it was refused");
    resource_add(report, "https://a/mcp")->counts[MCP_OK] = 3;
    OK(strstr(mcp_report_html(report, p), "none denied"), "a resource that refused nothing says so");
    OK(!strstr(mcp_report_section(report, 0, p), "Issuer") && strstr(mcp_report_section(report, 0, p), "Token cache"),
       "no table of issuers in mod_status when there are none");
}

static void test(apr_pool_t *p)
{
    html_issuers(p);
    html_sizes(p);
    html_others(p);
    columns(p);
    sums(p);
    forms(p);
    json_empty(p);
    json_rows(p);
    json_issuers(p);
    json_numbers(p);
    json_hostile(p);
    html_page(p);
    html_content(p);
    html_hostile(p);
    section(p);
}
