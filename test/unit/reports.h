/* Reports for tests: an empty one, and what can be added to it. */
#ifndef MCP_REPORTS_H
#define MCP_REPORTS_H

#include "policy/report.h"

#include <apr_strings.h>
#include <string.h>

#define REPORT_NOW apr_time_from_sec(1763751600) /* 2025-11-21T19:00:00Z */

static mcp_report_t *report_empty(apr_pool_t *p)
{
    mcp_report_t *report = apr_pcalloc(p, sizeof(*report));

    report->version = "1.2.3";
    report->now = REPORT_NOW;
    report->totals.started = REPORT_NOW - apr_time_from_sec(90) - 1500;
    report->resources = apr_array_make(p, 4, sizeof(mcp_report_resource_t));
    report->issuers = apr_array_make(p, 4, sizeof(mcp_report_issuer_t));
    report->shadow = apr_array_make(p, 4, sizeof(mcp_tally_row_t));
    report->usage = apr_array_make(p, 4, sizeof(mcp_tally_row_t));
    return report;
}

/* What these return holds until the next one is added. */
static mcp_report_resource_t *resource_add(mcp_report_t *report, const char *name)
{
    mcp_report_resource_t *resource = apr_array_push((apr_array_header_t *)report->resources);

    memset(resource, 0, sizeof(*resource));
    resource->resource = name;
    return resource;
}

static mcp_report_issuer_t *issuer_add(mcp_report_t *report, const char *name, const char *state, apr_pool_t *p)
{
    mcp_report_issuer_t *issuer = apr_array_push((apr_array_header_t *)report->issuers);

    memset(issuer, 0, sizeof(*issuer));
    issuer->issuer = name;
    issuer->keys_from = "discovery";
    issuer->state = state;
    issuer->keys = apr_array_make(p, 4, sizeof(mcp_report_key_t));
    issuer->age = issuer->next_fetch = -1;
    return issuer;
}

static void key_add(mcp_report_issuer_t *issuer, const char *kid, const char *kty, const char *alg)
{
    mcp_report_key_t *key = apr_array_push((apr_array_header_t *)issuer->keys);

    key->kid = kid;
    key->kty = kty;
    key->alg = alg;
}

static mcp_tally_row_t *row_add(const apr_array_header_t *rows, const char *a, const char *b, const char *c,
                                const char *d, const char *e, const char *f)
{
    const char *labels[] = { a, b, c, d, e, f };
    mcp_tally_row_t *row = apr_array_push((apr_array_header_t *)rows);

    memset(row, 0, sizeof(*row));
    memcpy(row->labels, labels, sizeof(labels));
    return row;
}

/* Every text of it is that one, every other thing is the same whatever the text. */
static mcp_report_t *report_of(const char *text, apr_pool_t *p)
{
    mcp_report_t *report = report_empty(p);
    mcp_report_resource_t *resource = resource_add(report, text);
    mcp_report_issuer_t *issuer = issuer_add(report, text, "stale", p);
    mcp_tally_row_t *row;

    resource->counts[MCP_OK] = 8;
    resource->counts[MCP_TOKEN_EXPIRED] = 2;
    report->version = text;
    report->cache_max = 10;
    report->totals.hits = 3;
    issuer->keys_from = issuer->last_error = issuer->endpoint = text;
    issuer->breaker = "closed";
    issuer->calls.answered = 1;
    key_add(issuer, text, text, text);
    row = row_add(report->shadow, text, text, text, "", "", "");
    row->counts[0] = 5;
    row = row_add(report->usage, text, text, text, text, text, text);
    row->counts[0] = 7;
    row->last = REPORT_NOW;
    return report;
}

/* Texts that mean harm. The last one holds every byte but NUL. */
#define HOSTILE_COUNT 11
static const char *hostile(int i, apr_pool_t *p)
{
    static const char *const texts[HOSTILE_COUNT - 1] = {
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</style></title><!-- ]]> &lt;&#60;",
        "a\nmcp_oauth_processes 99\n# TYPE x counter\r\nMcpOAuthDenied: 0\n",
        "a\",decision=\"allow\",reason=\"ok\"} 9\\",
        "%s%n%d%%{}\\n",
        "\xC0\xAF \xED\xA0\x80 \xF4\x90\x80\x80 \xE2\x82 \xF8\x88\x80\x80\x80 \xFF\xFE \xC3",
        ("\xE2\x80\xAE"
         "cod.exe \xE2\x81\xA6 \xE2\x80\x8B \xEF\xBB\xBF \xC2\x85\xC2\x9B \xE2\x80\xA8 \xF3\xA0\x81\x81"),
        "\x1B[31m\x08\x7F",
    };
    char *all = apr_pcalloc(p, 256);
    int byte;

    for (byte = 1; byte < 256; byte++) {
        all[byte - 1] = (char)byte;
    }
    return i < HOSTILE_COUNT - 1 ? texts[i] : all;
}

#endif
