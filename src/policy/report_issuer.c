#include "policy/report_html.h"

#include <apr_strings.h>
#include <string.h>

/* A state, how it looks, and what it means for who reads. */
typedef struct mcp_state_t {
    const char *name, *look, *meaning;
    int is_bad;
} mcp_state_t;

static const mcp_state_t states[] = {
    { "fresh", "good", "", 0 },
    { "due", "wait", "To be fetched again now.", 0 },
    { "stale", "warn", "Fetching fails; the last good keys still serve.", 1 },
    { "expired", "bad", "Fetching fails, and the last good keys are too old: tokens cannot be checked.", 1 },
    { "empty", "bad", "There are no keys yet: tokens cannot be checked.", 1 },
    { "file", "good", "", 0 },
    { "none", "plain", "Tokens are judged by introspection alone.", 0 },
};

static const mcp_state_t *state_find(const char *name)
{
    static const mcp_state_t unknown = { "unknown", "warn", "", 1 };
    apr_size_t i;

    for (i = 0; name && i < sizeof(states) / sizeof(*states); i++) {
        if (!strcmp(states[i].name, name)) {
            return &states[i];
        }
    }
    return &unknown;
}

static int is_open(const mcp_report_issuer_t *issuer)
{
    return issuer->endpoint && (!issuer->breaker || strcmp(issuer->breaker, "closed"));
}

int mcp_report_is_bad(const mcp_report_issuer_t *issuer)
{
    return state_find(issuer->state)->is_bad || is_open(issuer);
}

static void fact(mcp_report_page_t *page, const char *name, const char *value)
{
    mcp_report_putf(page, "<dt>%s</dt><dd>%s</dd>\n", name, value);
}

static void fact_data(mcp_report_page_t *page, const char *name, const char *data, const char *none)
{
    mcp_report_putf(page, "<dt>%s</dt><dd>", name);
    mcp_report_put_data(page, data, none);
    mcp_report_put(page, "</dd>\n");
}

static void fetches_put(mcp_report_page_t *page, const mcp_report_issuer_t *issuer)
{
    mcp_report_putf(page, "<dt>Fetches</dt><dd>%s, %s failed</dd>\n", mcp_report_number(issuer->fetches, page->p),
                    mcp_report_number(issuer->failures, page->p));
}

static void keys_put(mcp_report_page_t *page, const mcp_report_issuer_t *issuer)
{
    static const mcp_report_column_t columns[] = { { "Key id", "" }, { "Type", "" }, { "Algorithm", "" } };
    mcp_report_table_t table;
    int i;

    if (!issuer->keys->nelts) {
        return;
    }
    mcp_report_table_begin(&table, page, columns, 3, "stack", "Usable keys of the set");
    for (i = 0; i < issuer->keys->nelts; i++) {
        const mcp_report_key_t *key = &APR_ARRAY_IDX(issuer->keys, i, mcp_report_key_t);

        mcp_report_table_row(&table);
        mcp_report_table_text(&table, key->kid, "without id");
        mcp_report_table_text(&table, key->kty, "unknown");
        mcp_report_table_text(&table, key->alg, "any of its type");
    }
    mcp_report_table_end(&table);
}

/* "5 ms", "2.5 s" */
static const char *bound_text(apr_interval_time_t bound, apr_pool_t *p)
{
    int ms = (int)(bound / 1000);

    if (ms < 1000) {
        return apr_psprintf(p, "%d ms", ms);
    }
    return ms % 1000 ? apr_psprintf(p, "%d.%d s", ms / 1000, ms % 1000 / 100) : apr_psprintf(p, "%d s", ms / 1000);
}

/* The calls of each bucket and, last, of those beyond. */
static void buckets_read(apr_uint64_t counts[MCP_CALLS_BUCKETS + 1], const mcp_calls_t *calls)
{
    apr_uint64_t sum = 0, all = mcp_report_plus(calls->answered, calls->failed);
    int i;

    for (i = 0; i < MCP_CALLS_BUCKETS; i++) {
        counts[i] = calls->buckets[i];
        sum = mcp_report_plus(sum, counts[i]);
    }
    counts[MCP_CALLS_BUCKETS] = all > sum ? all - sum : 0;
}

static void latency_put(mcp_report_page_t *page, const mcp_calls_t *calls)
{
    static const mcp_report_column_t columns[] = { { "Up to", "" }, { "Calls", "n" }, { "Share", "" } };
    apr_uint64_t counts[MCP_CALLS_BUCKETS + 1], all = 0;
    mcp_report_table_t table;
    int i, first = MCP_CALLS_BUCKETS, last = 0;

    buckets_read(counts, calls);
    for (i = 0; i <= MCP_CALLS_BUCKETS; i++) {
        if (counts[i]) {
            first = first < i ? first : i;
            last = i;
            all = mcp_report_plus(all, counts[i]);
        }
    }
    mcp_report_table_begin(&table, page, columns, 3, "small", "Calls by duration");
    for (i = first; i <= last; i++) {
        mcp_report_table_row(&table);
        mcp_report_table_cell(&table);
        mcp_report_put(page, i < MCP_CALLS_BUCKETS ? bound_text(mcp_calls_bound(i), page->p) : "longer");
        mcp_report_table_number(&table, counts[i]);
        mcp_report_table_cell(&table);
        mcp_report_put_bar(page, counts[i], all);
    }
    mcp_report_table_end(&table);
}

static const char *mean_text(const mcp_calls_t *calls, apr_uint64_t all, apr_pool_t *p)
{
    double ms = (double)calls->duration / (double)all / 1000;

    return ms < 1000 ? apr_psprintf(p, "%.1f ms", ms) : apr_psprintf(p, "%.2f s", ms / 1000);
}

static void introspection_put(mcp_report_page_t *page, const mcp_report_issuer_t *issuer)
{
    const mcp_calls_t *calls = &issuer->calls;
    apr_uint64_t all = mcp_report_plus(calls->answered, calls->failed);

    mcp_report_put(page, "<h4>Introspection</h4>\n<dl class=\"facts\">\n");
    fact_data(page, "Endpoint", issuer->endpoint, "unknown");
    fact(page, "State",
         is_open(issuer) ? "<span class=\"badge bad\">paused</span> It failed several times in a row; it is tried "
                           "again soon (circuit breaker open)."
                         : "<span class=\"badge good\">working</span>");
    mcp_report_putf(page, "<dt>Calls</dt><dd>%s, %s failed</dd>\n", mcp_report_number(all, page->p),
                    mcp_report_number(calls->failed, page->p));
    mcp_report_putf(page, "<dt>From the cache</dt><dd>%s</dd>\n",
                    mcp_report_plural(calls->cached, "answer", "answers", page->p));
    fact(page, "Mean duration", all ? mean_text(calls, all, page->p) : "<span class=\"dim\">no calls yet</span>");
    mcp_report_put(page, "</dl>\n");
    if (all) {
        latency_put(page, calls);
    }
}

void mcp_report_put_issuer(mcp_report_page_t *page, const mcp_report_issuer_t *issuer)
{
    const mcp_state_t *state = state_find(issuer->state);
    int is_fetched = strcmp(state->name, "file") && strcmp(state->name, "none");

    mcp_report_put(page, "<section class=\"card\">\n<div class=\"title\"><h3>");
    mcp_report_put_data(page, issuer->issuer, "unnamed");
    mcp_report_putf(page, "</h3><span class=\"badge %s\">keys: %s</span></div>\n", state->look, state->name);
    if (*state->meaning) {
        mcp_report_putf(page, "<p>%s</p>\n", state->meaning);
    }
    mcp_report_put(page, "<dl class=\"facts\">\n");
    fact_data(page, "Keys from", issuer->keys_from, "unknown");
    mcp_report_putf(page, "<dt>Key set</dt><dd>%s",
                    mcp_report_plural((apr_uint64_t)issuer->keys->nelts, "usable key", "usable keys", page->p));
    mcp_report_putf(page, issuer->keys_skipped > 0 ? ", %d unusable</dd>\n" : "</dd>\n", issuer->keys_skipped);
    if (is_fetched || issuer->age >= 0) {
        fact(page, "Fetched", mcp_report_ago(issuer->age, page->p));
    }
    if (is_fetched) {
        fact(page, "Next fetch", mcp_report_ahead(issuer->next_fetch, page->p));
        fetches_put(page, issuer);
    }
    if (is_fetched || issuer->last_error) {
        fact_data(page, "Last error", issuer->last_error, "none");
    }
    mcp_report_put(page, "</dl>\n");
    keys_put(page, issuer);
    if (issuer->endpoint) {
        introspection_put(page, issuer);
    }
    mcp_report_put(page, "</section>\n");
}
