#include "policy/report.h"

#include <apr_strings.h>
#include <string.h>

#include "policy/report_text.h"

#define COUNT "%" APR_UINT64_T_FMT

/* One line, whatever the text is, and ASCII: that page has a charset of its own. */
static const char *plain_value(const char *data, apr_pool_t *p)
{
    char *out, *to;

    to = out = apr_palloc(p, (data ? strlen(data) : 0) + 1);
    while (data && *data) {
        unsigned point = mcp_report_next(&data);

        *to++ = point >= ' ' && point < 0x7F ? (char)point : '?';
    }
    *to = '\0';
    return out;
}

static void plain_issuer(mcp_report_page_t *page, int i, const mcp_report_issuer_t *issuer)
{
    mcp_report_putf(page,
                    "McpOAuthIssuer[%d]Name: %s\nMcpOAuthIssuer[%d]State: %s\nMcpOAuthIssuer[%d]Keys: %d\n"
                    "McpOAuthIssuer[%d]Fetches: " COUNT "\nMcpOAuthIssuer[%d]FetchFailures: " COUNT "\n",
                    i, plain_value(issuer->issuer, page->p), i, plain_value(issuer->state, page->p), i,
                    issuer->keys->nelts, i, issuer->fetches, i, issuer->failures);
    if (issuer->endpoint) {
        mcp_report_putf(page, "McpOAuthIssuer[%d]Breaker: %s\n", i, plain_value(issuer->breaker, page->p));
    }
}

static void plain_put(mcp_report_page_t *page, const mcp_report_t *report, const apr_uint64_t *sums)
{
    const mcp_meter_totals_t *totals = &report->totals;
    int i;

    mcp_report_putf(page,
                    "McpOAuthAllowed: " COUNT "\nMcpOAuthDenied: " COUNT "\nMcpOAuthShadowDenied: " COUNT
                    "\nMcpOAuthPreflights: " COUNT "\n",
                    sums[MCP_REPORT_ALLOW], sums[MCP_REPORT_DENY], sums[MCP_REPORT_SHADOW], sums[MCP_REPORT_PREFLIGHT]);
    mcp_report_putf(page,
                    "McpOAuthTokenCacheEntries: " COUNT "\nMcpOAuthTokenCacheHits: " COUNT
                    "\nMcpOAuthTokenCacheMisses: " COUNT "\n",
                    totals->entries, totals->hits, totals->misses);
    for (i = 0; i < report->issuers->nelts; i++) {
        plain_issuer(page, i, &APR_ARRAY_IDX(report->issuers, i, mcp_report_issuer_t));
    }
}

static void row_put(mcp_report_page_t *page, const char *name, const apr_uint64_t *sums)
{
    int kind;

    mcp_report_put(page, "<tr><td>");
    mcp_report_put_html(page, name);
    mcp_report_put(page, "</td>");
    for (kind = 0; kind < MCP_REPORT_DECISIONS; kind++) {
        mcp_report_putf(page, "<td align=\"right\">%s</td>", mcp_report_number(sums[kind], page->p));
    }
    mcp_report_put(page, "</tr>\n");
}

static void requests_put(mcp_report_page_t *page, const mcp_report_t *report, const apr_uint64_t *total)
{
    int i;

    mcp_report_put(
        page,
        "<table border=\"0\" cellpadding=\"3\"><tr><th align=\"left\">Resource</th><th>Allowed</th><th>Denied</th>"
        "<th>Shadow denials</th><th>Preflights</th></tr>\n");
    for (i = 0; i < report->resources->nelts; i++) {
        const mcp_report_resource_t *resource = &APR_ARRAY_IDX(report->resources, i, mcp_report_resource_t);
        apr_uint64_t sums[MCP_REPORT_DECISIONS];

        mcp_report_sum(sums, resource);
        row_put(page, resource->resource, sums);
    }
    if (report->resources->nelts != 1) {
        row_put(page, "All", total);
    }
    mcp_report_put(page, "</table>\n");
}

static void issuer_put(mcp_report_page_t *page, const mcp_report_issuer_t *issuer)
{
    mcp_report_put(page, "<tr><td>");
    mcp_report_put_html(page, issuer->issuer);
    mcp_report_put(page, "</td><td>");
    mcp_report_put_html(page, issuer->state);
    mcp_report_putf(page, "</td><td align=\"right\">%d</td><td nowrap>%s</td><td nowrap>%s</td><td>",
                    issuer->keys->nelts, mcp_report_ago(issuer->age, page->p),
                    mcp_report_ahead(issuer->next_fetch, page->p));
    mcp_report_put_html(page, issuer->last_error);
    mcp_report_put(page, "</td></tr>\n");
}

static void issuers_put(mcp_report_page_t *page, const mcp_report_t *report)
{
    int i;

    if (!report->issuers->nelts) {
        return;
    }
    mcp_report_put(
        page, "<table border=\"0\" cellpadding=\"3\"><tr><th align=\"left\">Issuer</th><th align=\"left\">State</th>"
              "<th>Keys</th><th align=\"left\">Fetched</th><th align=\"left\" nowrap>Next fetch</th>"
              "<th align=\"left\">Last error</th></tr>\n");
    for (i = 0; i < report->issuers->nelts; i++) {
        issuer_put(page, &APR_ARRAY_IDX(report->issuers, i, mcp_report_issuer_t));
    }
    mcp_report_put(page, "</table>\n");
}

const char *mcp_report_section(const mcp_report_t *report, int plain, apr_pool_t *p)
{
    const mcp_meter_totals_t *totals = &report->totals;
    apr_uint64_t sums[MCP_REPORT_DECISIONS];
    mcp_report_page_t page;

    mcp_report_begin(&page, p);
    mcp_report_total(sums, report);
    if (plain) {
        plain_put(&page, report, sums);
        return page.text;
    }
    mcp_report_put(&page, "<hr />\n<h2>MCP OAuth</h2>\n");
    requests_put(&page, report, sums);
    mcp_report_putf(&page, "<p>Token cache: %s entries, %s hits, %s misses</p>\n",
                    mcp_report_number(totals->entries, p), mcp_report_number(totals->hits, p),
                    mcp_report_number(totals->misses, p));
    issuers_put(&page, report);
    return page.text;
}
