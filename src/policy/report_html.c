#include "policy/report_html.h"

#include <apr_strings.h>

/* A reason more than these is one click away. */
#define REASONS_SHOWN 5

/* Wall clock, for people and for programs. */
static void time_put(mcp_report_page_t *page, apr_time_t time)
{
    const char *text = mcp_report_time(time, page->p);

    mcp_report_putf(page, "<time datetime=\"%s\">%.10s %.8s UTC</time>", text, text, text + 11);
}

static void top_put(mcp_report_page_t *page, const mcp_report_t *report)
{
    int processes = report->totals.processes > 0 ? report->totals.processes : 0;

    mcp_report_put(page, "<header>\n<h1>MCP OAuth status</h1>\n<p class=\"dim\">mod_mcp_oauth ");
    mcp_report_put_data(page, report->version, "");
    mcp_report_put(page, " &middot; ");
    time_put(page, report->now);
    mcp_report_putf(page, " &middot; %s &middot; counting for %s, since ",
                    mcp_report_plural((apr_uint64_t)processes, "process", "processes", page->p),
                    mcp_report_span(mcp_report_uptime(report), page->p));
    time_put(page, report->totals.started);
    mcp_report_put(page, "</p>\n");
    mcp_report_put(page, "<nav aria-label=\"Other forms\"><a href=\"?json\">JSON</a> "
                         "<a href=\"?prometheus\">Prometheus</a></nav>\n</header>\n<main>\n");
}

static apr_uint64_t bad_count(const mcp_report_t *report)
{
    apr_uint64_t bad = 0;
    int i;

    for (i = 0; i < report->issuers->nelts; i++) {
        bad += mcp_report_is_bad(&APR_ARRAY_IDX(report->issuers, i, mcp_report_issuer_t)) ? 1 : 0;
    }
    return bad;
}

/* The first thing to read: is all well? */
static void summary_put(mcp_report_page_t *page, const mcp_report_t *report, apr_uint64_t all, apr_uint64_t allowed)
{
    apr_uint64_t bad = bad_count(report), issuers = (apr_uint64_t)report->issuers->nelts;

    if (bad) {
        mcp_report_putf(page,
                        "<p class=\"note bad\"><strong>Attention.</strong> %s: keys are out of date or missing, or "
                        "introspection is paused.",
                        mcp_report_plural(bad, "issuer has a problem", "issuers have a problem", page->p));
    }
    else if (issuers) {
        mcp_report_putf(page,
                        "<p class=\"note good\"><strong>All is well.</strong> %s, no problem with keys or "
                        "introspection.",
                        mcp_report_plural(issuers, "issuer", "issuers", page->p));
    }
    else {
        mcp_report_put(page, "<p class=\"note plain\">No issuer is trusted by any location.");
    }
    if (all) {
        mcp_report_putf(page, " %s, %s&nbsp;%% of them allowed.</p>\n",
                        mcp_report_plural(all, "request", "requests", page->p),
                        mcp_report_percent(allowed, all, page->p));
    }
    else {
        mcp_report_put(page, " No requests yet.</p>\n");
    }
}

static void tile_put(mcp_report_page_t *page, const char *name, apr_uint64_t part, apr_uint64_t whole, const char *of)
{
    mcp_report_putf(page, "<div><dt>%s</dt><dd>%s</dd><dd>", name, mcp_report_number(part, page->p));
    if (whole) {
        mcp_report_putf(page, "%s&nbsp;%% of %s", mcp_report_percent(part, whole, page->p), of);
    }
    else {
        mcp_report_putf(page, "no %s yet", of);
    }
    mcp_report_put(page, "</dd></div>\n");
}

static void tiles_put(mcp_report_page_t *page, const mcp_report_t *report)
{
    apr_uint64_t sums[MCP_REPORT_DECISIONS], all = 0;
    int kind;

    mcp_report_total(sums, report);
    for (kind = 0; kind < MCP_REPORT_DECISIONS; kind++) {
        all = mcp_report_plus(all, sums[kind]);
    }
    summary_put(page, report, all, sums[MCP_REPORT_ALLOW]);
    mcp_report_put(page, "<dl class=\"tiles\">\n");
    tile_put(page, "Allowed", sums[MCP_REPORT_ALLOW], all, "requests");
    tile_put(page, "Denied", sums[MCP_REPORT_DENY], all, "requests");
    tile_put(page, "Shadow denials", sums[MCP_REPORT_SHADOW], all, "requests");
    tile_put(page, "Preflights", sums[MCP_REPORT_PREFLIGHT], all, "requests");
    mcp_report_put(page, "</dl>\n");
}

static void reasons_list(mcp_report_page_t *page, const apr_array_header_t *reasons, int from, int to)
{
    int i;

    mcp_report_put(page, "<ul class=\"reasons\" role=\"list\">");
    for (i = from; i < to; i++) {
        const mcp_report_reason_t *reason = &APR_ARRAY_IDX(reasons, i, mcp_report_reason_t);

        mcp_report_putf(page, "<li><b>%s</b> <span>%s</span></li>", mcp_report_number(reason->count, page->p),
                        mcp_report_reason(reason->column));
    }
    mcp_report_put(page, "</ul>");
}

static void reasons_put(mcp_report_page_t *page, const mcp_report_resource_t *resource)
{
    const apr_array_header_t *reasons = mcp_report_reasons(resource, page->p);
    int n = reasons->nelts;

    if (!n) {
        mcp_report_put(page, "<span class=\"dim\">none denied</span>");
        return;
    }
    /* One alone takes no more room than what it would be hidden behind. */
    reasons_list(page, reasons, 0, n > REASONS_SHOWN + 1 ? REASONS_SHOWN : n);
    if (n > REASONS_SHOWN + 1) {
        mcp_report_putf(page, "<details><summary>%d more</summary>", n - REASONS_SHOWN);
        reasons_list(page, reasons, REASONS_SHOWN, n);
        mcp_report_put(page, "</details>");
    }
}

static void requests_put(mcp_report_page_t *page, const mcp_report_t *report)
{
    static const mcp_report_column_t columns[] = { { "Resource", "" },    { "Allowed", "n" },
                                                   { "Denied", "n" },     { "Shadow denials", "n" },
                                                   { "Preflights", "n" }, { "Why denied", "" } };
    mcp_report_table_t table;
    int i, kind;

    mcp_report_put(page, "<section>\n<h2>Requests</h2>\n");
    if (!report->resources->nelts) {
        mcp_report_put(page, "<p class=\"dim\">No location is protected.</p>\n</section>\n");
        return;
    }
    mcp_report_table_begin(&table, page, columns, 6, "stack", "By protected resource; each request counts once");
    for (i = 0; i < report->resources->nelts; i++) {
        const mcp_report_resource_t *resource = &APR_ARRAY_IDX(report->resources, i, mcp_report_resource_t);
        apr_uint64_t sums[MCP_REPORT_DECISIONS];

        mcp_report_sum(sums, resource);
        mcp_report_table_row(&table);
        mcp_report_table_text(&table, resource->resource, "unnamed");
        for (kind = 0; kind < MCP_REPORT_DECISIONS; kind++) {
            mcp_report_table_number(&table, sums[kind]);
        }
        mcp_report_table_cell(&table);
        reasons_put(page, resource);
    }
    mcp_report_table_end(&table);
    mcp_report_put(page, "</section>\n");
}

static void issuers_put(mcp_report_page_t *page, const mcp_report_t *report)
{
    int i;

    mcp_report_put(page, "<section>\n<h2>Issuers and keys</h2>\n");
    if (!report->issuers->nelts) {
        mcp_report_put(page, "<p class=\"dim\">None.</p>\n");
    }
    for (i = 0; i < report->issuers->nelts; i++) {
        mcp_report_put_issuer(page, &APR_ARRAY_IDX(report->issuers, i, mcp_report_issuer_t));
    }
    mcp_report_put(page, "</section>\n");
}

static const char *bytes_text(apr_uint64_t bytes, apr_pool_t *p)
{
    if (bytes < 1024) {
        return mcp_report_plural(bytes, "byte", "bytes", p);
    }
    return bytes < 1024 * 1024 ? apr_psprintf(p, "%.1f KiB", (double)bytes / 1024)
                               : apr_psprintf(p, "%.1f MiB", (double)bytes / 1024 / 1024);
}

static void cache_put(mcp_report_page_t *page, const mcp_report_t *report)
{
    const mcp_meter_totals_t *totals = &report->totals;
    apr_uint64_t lookups = mcp_report_plus(totals->hits, totals->misses);

    mcp_report_put(page, "<section>\n<h2>Token cache</h2>\n");
    if (report->cache_max <= 0) {
        mcp_report_put(page, "<p class=\"dim\">Tokens are not cached.</p>\n</section>\n");
        return;
    }
    mcp_report_put(page, "<dl class=\"facts\">\n<dt>Hit rate</dt><dd>");
    if (lookups) {
        mcp_report_putf(page, "%s&nbsp;%%", mcp_report_percent(totals->hits, lookups, page->p));
        mcp_report_put_bar(page, totals->hits, lookups);
    }
    else {
        mcp_report_put(page, "<span class=\"dim\">no lookups yet</span>");
    }
    mcp_report_putf(page, "</dd>\n<dt>Lookups</dt><dd>%s: %s, %s</dd>\n", mcp_report_number(lookups, page->p),
                    mcp_report_plural(totals->hits, "hit", "hits", page->p),
                    mcp_report_plural(totals->misses, "miss", "misses", page->p));
    mcp_report_putf(page, "<dt>Tokens</dt><dd>%s in all processes (%s); %s at most in each</dd>\n</dl>\n</section>\n",
                    mcp_report_number(totals->entries, page->p), bytes_text(totals->bytes, page->p),
                    mcp_report_number((apr_uint64_t)report->cache_max, page->p));
}

static void shadow_put(mcp_report_page_t *page, const mcp_report_t *report)
{
    static const mcp_report_column_t columns[] = {
        { "Operation", "" }, { "Resource", "" }, { "Needed", "" }, { "Requests", "n" }
    };
    mcp_report_table_t table;
    int i;

    mcp_report_put(page, "<section>\n<h2>Shadow denials</h2>\n");
    if (!report->shadow->nelts && !report->shadow_others) {
        mcp_report_put(page, "<p class=\"dim\">None: the access rules would have refused no request that was let "
                             "through.</p>\n</section>\n");
        return;
    }
    mcp_report_table_begin(&table, page, columns, 4, "stack",
                           "Let through, but the access rules would refuse it once McpOAuthACL is On");
    for (i = 0; i < report->shadow->nelts; i++) {
        const mcp_tally_row_t *row = &APR_ARRAY_IDX(report->shadow, i, mcp_tally_row_t);

        mcp_report_table_row(&table);
        mcp_report_table_text(&table, row->labels[1], "none");
        mcp_report_table_text(&table, row->labels[0], "unnamed");
        mcp_report_table_text(&table, row->labels[2], "no rule allows it");
        mcp_report_table_number(&table, row->counts[0]);
    }
    mcp_report_table_end(&table);
    if (report->shadow_others) {
        mcp_report_putf(page, "<p class=\"dim\">And %s, no longer listed one by one.</p>\n",
                        mcp_report_plural(report->shadow_others, "other", "others", page->p));
    }
    mcp_report_put(page, "</section>\n");
}

static void small_put(mcp_report_page_t *page, const char *data)
{
    if (data && *data) {
        mcp_report_put(page, "<small>");
        mcp_report_put_data(page, data, "");
        mcp_report_put(page, "</small>");
    }
}

static void usage_row(mcp_report_table_t *table, const mcp_report_t *report, const mcp_tally_row_t *row)
{
    apr_interval_time_t age = report->now > row->last ? report->now - row->last : 0;

    mcp_report_table_row(table);
    mcp_report_table_text(table, row->labels[2], "no subject");
    small_put(table->page, row->labels[1]);
    mcp_report_table_text(table, row->labels[3], "none");
    mcp_report_table_text(table, row->labels[4], "none");
    small_put(table->page, row->labels[0]);
    mcp_report_table_text(table, row->labels[5], "none");
    mcp_report_table_number(table, row->counts[0]);
    mcp_report_table_number(table, row->counts[1]);
    mcp_report_table_cell(table);
    mcp_report_put(table->page, mcp_report_ago(row->last > 0 ? age : -1, table->page->p));
}

static void usage_put(mcp_report_page_t *page, const mcp_report_t *report)
{
    static const mcp_report_column_t columns[] = { { "User", "" },  { "Client", "" },   { "Operation", "" },
                                                   { "Limit", "" }, { "Allowed", "n" }, { "Limited", "n" },
                                                   { "Last", "s" } };
    mcp_report_table_t table;
    int i;

    mcp_report_put(page, "<section>\n<h2>Usage per user</h2>\n");
    if (!report->usage->nelts) {
        mcp_report_put(page, "<p class=\"dim\">No user has made a request that is counted by a rate limit.</p>\n");
    }
    else {
        mcp_report_table_begin(&table, page, columns, 7, "stack", "Requests that a rate limit counts, most first");
        for (i = 0; i < report->usage->nelts; i++) {
            usage_row(&table, report, &APR_ARRAY_IDX(report->usage, i, mcp_tally_row_t));
        }
        mcp_report_table_end(&table);
    }
    if (report->usage_others[0] || report->usage_others[1]) {
        mcp_report_putf(page, "<p class=\"dim\">And others, no longer listed one by one: %s allowed, %s limited.</p>\n",
                        mcp_report_number(report->usage_others[0], page->p),
                        mcp_report_number(report->usage_others[1], page->p));
    }
    mcp_report_put(page, "</section>\n");
}

const char *mcp_report_html(const mcp_report_t *report, apr_pool_t *p)
{
    mcp_report_page_t page;

    mcp_report_begin(&page, p);
    mcp_report_put_head(&page);
    top_put(&page, report);
    tiles_put(&page, report);
    requests_put(&page, report);
    issuers_put(&page, report);
    cache_put(&page, report);
    shadow_put(&page, report);
    usage_put(&page, report);
    mcp_report_put(&page, "</main>\n</body>\n</html>\n");
    return page.text;
}
