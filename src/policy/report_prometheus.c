#include "policy/report.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <string.h>

#include "keys/refresh.h"
#include "policy/report_text.h"

#define NAME "mcp_oauth_"

/* A line each, so what could break one is escaped. What cannot be seen would make two series look like one. */
static const char *label_value(const char *data, apr_pool_t *p)
{
    char *out, *to;

    if (!data) {
        return "";
    }
    to = out = apr_palloc(p, 3 * strlen(data) + 1); /* one byte becomes three at most */
    while (*data) {
        unsigned point = mcp_report_next(&data);

        if (point == '\n' || point == '"' || point == '\\') {
            *to++ = '\\';
            *to++ = point == '\n' ? 'n' : (char)point;
        }
        else {
            to += mcp_report_encode(to, mcp_report_is_hidden(point) ? 0xFFFD : point);
        }
    }
    *to = '\0';
    return out;
}

static const char *label(const char *name, const char *data, apr_pool_t *p)
{
    return apr_pstrcat(p, name, "=\"", label_value(data, p), "\"", NULL);
}

static void family(mcp_report_page_t *page, const char *name, const char *type, const char *help)
{
    mcp_report_putf(page, "# HELP " NAME "%s %s\n# TYPE " NAME "%s %s\n", name, help, name, type);
}

/* labels: "" for none. */
static void sample(mcp_report_page_t *page, const char *name, const char *labels, const char *value)
{
    mcp_report_putf(page, *labels ? NAME "%s{%s} %s\n" : NAME "%s%s %s\n", name, labels, value);
}

static void count(mcp_report_page_t *page, const char *name, const char *labels, apr_uint64_t value)
{
    sample(page, name, labels, apr_psprintf(page->p, "%" APR_UINT64_T_FMT, value));
}

static char *seconds(apr_uint64_t duration, apr_pool_t *p)
{
    return apr_psprintf(p, "%" APR_UINT64_T_FMT ".%06d", duration / APR_USEC_PER_SEC,
                        (int)(duration % APR_USEC_PER_SEC));
}

static void single(mcp_report_page_t *page, const char *name, const char *type, const char *help, apr_uint64_t value)
{
    family(page, name, type, help);
    count(page, name, "", value);
}

/* The series of one family: what has the same labels is one of them. Rows can differ in what labels do not show. */
typedef struct mcp_series_t {
    const char *labels;
    apr_uint64_t value;
} mcp_series_t;

typedef struct mcp_family_t {
    apr_hash_t *by_labels;
    apr_array_header_t *order; /* mcp_series_t * */
} mcp_family_t;

static void series_begin(mcp_family_t *all, apr_pool_t *p)
{
    all->by_labels = apr_hash_make(p);
    all->order = apr_array_make(p, 64, sizeof(mcp_series_t *));
}

static void series_add(mcp_family_t *all, const char *labels, apr_uint64_t value, apr_pool_t *p)
{
    mcp_series_t *series = apr_hash_get(all->by_labels, labels, APR_HASH_KEY_STRING);

    if (!series) {
        series = apr_pcalloc(p, sizeof(*series));
        series->labels = labels;
        apr_hash_set(all->by_labels, labels, APR_HASH_KEY_STRING, series);
        APR_ARRAY_PUSH(all->order, mcp_series_t *) = series;
    }
    series->value = mcp_report_plus(series->value, value);
}

static void series_put(mcp_report_page_t *page, const char *name, const mcp_family_t *all)
{
    int i;

    for (i = 0; i < all->order->nelts; i++) {
        const mcp_series_t *series = APR_ARRAY_IDX(all->order, i, const mcp_series_t *);

        count(page, name, series->labels, series->value);
    }
}

/* That of the allowed is always there: a rate needs a value from before the first one. */
static void requests_put(mcp_report_page_t *page, const mcp_report_t *report)
{
    mcp_family_t all;
    int i, column;

    series_begin(&all, page->p);
    for (i = 0; i < report->resources->nelts; i++) {
        const mcp_report_resource_t *resource = &APR_ARRAY_IDX(report->resources, i, mcp_report_resource_t);
        const char *name = label("resource", resource->resource, page->p);

        for (column = 0; column < MCP_METER_COLUMNS; column++) {
            if (resource->counts[column] || column == MCP_OK) {
                series_add(&all,
                           apr_psprintf(page->p, "%s,decision=\"%s\",reason=\"%s\"", name, mcp_report_decision(column),
                                        mcp_report_reason(column)),
                           resource->counts[column], page->p);
            }
        }
    }
    family(page, "requests_total", "counter", "Requests to protected resources by their last verdict.");
    series_put(page, "requests_total", &all);
}

static const char *shadow_labels(const char *resource, const char *operation, const char *needed, apr_pool_t *p)
{
    return apr_pstrcat(p, label("resource", resource, p), ",", label("operation", operation, p), ",",
                       label("needed", needed, p), NULL);
}

static void shadow_put(mcp_report_page_t *page, const mcp_report_t *report)
{
    mcp_family_t all;
    int i;

    series_begin(&all, page->p);
    for (i = 0; i < report->shadow->nelts; i++) {
        const mcp_tally_row_t *row = &APR_ARRAY_IDX(report->shadow, i, mcp_tally_row_t);

        series_add(&all, shadow_labels(row->labels[0], row->labels[1], row->labels[2], page->p), row->counts[0],
                   page->p);
    }
    if (report->shadow_others) {
        series_add(&all, shadow_labels("other", "other", "other", page->p), report->shadow_others, page->p);
    }
    family(page, "shadow_denials_total", "counter", "Requests let pass that the access rules would refuse.");
    series_put(page, "shadow_denials_total", &all);
}

static void cache_put(mcp_report_page_t *page, const mcp_meter_totals_t *totals)
{
    single(page, "token_cache_hits_total", "counter", "Lookups that found a token in the cache.", totals->hits);
    single(page, "token_cache_misses_total", "counter", "Lookups that found none.", totals->misses);
    single(page, "token_cache_entries", "gauge", "Tokens in the caches of all processes.", totals->entries);
    single(page, "token_cache_bytes", "gauge", "Memory of the token caches of all processes.", totals->bytes);
}

/* An issuer and its labels. */
typedef struct mcp_labelled_t {
    const mcp_report_issuer_t *issuer;
    const char *labels;
} mcp_labelled_t;

/* Two virtual hosts may each describe an issuer of the same name: the second one has a label more. */
static apr_array_header_t *issuers_label(const mcp_report_t *report, apr_pool_t *p)
{
    apr_array_header_t *labelled = apr_array_make(p, 8, sizeof(mcp_labelled_t));
    apr_hash_t *entries = apr_hash_make(p);
    int i;

    for (i = 0; i < report->issuers->nelts; i++) {
        mcp_labelled_t *entry = apr_array_push(labelled);
        int *seen;

        entry->issuer = &APR_ARRAY_IDX(report->issuers, i, mcp_report_issuer_t);
        entry->labels = label("issuer", entry->issuer->issuer, p);
        seen = apr_hash_get(entries, entry->labels, APR_HASH_KEY_STRING);
        if (seen) {
            entry->labels = apr_psprintf(p, "%s,entry=\"%d\"", entry->labels, ++*seen);
            continue;
        }
        seen = apr_palloc(p, sizeof(*seen));
        *seen = 1;
        apr_hash_set(entries, entry->labels, APR_HASH_KEY_STRING, seen);
    }
    return labelled;
}

/* Each writes what one issuer has in a family. */
typedef void (*mcp_samples_t)(mcp_report_page_t *page, const char *name, const mcp_labelled_t *entry);

static void keys_sample(mcp_report_page_t *page, const char *name, const mcp_labelled_t *entry)
{
    count(page, name, entry->labels, (apr_uint64_t)entry->issuer->keys->nelts);
}

static void age_sample(mcp_report_page_t *page, const char *name, const mcp_labelled_t *entry)
{
    if (entry->issuer->age >= 0) {
        sample(page, name, entry->labels, seconds((apr_uint64_t)entry->issuer->age, page->p));
    }
}

static void next_sample(mcp_report_page_t *page, const char *name, const mcp_labelled_t *entry)
{
    if (entry->issuer->next_fetch >= 0) {
        sample(page, name, entry->labels, seconds((apr_uint64_t)entry->issuer->next_fetch, page->p));
    }
}

static void state_sample(mcp_report_page_t *page, const char *name, const mcp_labelled_t *entry, const char *state)
{
    int is = entry->issuer->state && !strcmp(entry->issuer->state, state);

    sample(page, name, apr_pstrcat(page->p, entry->labels, ",state=\"", state, "\"", NULL), is ? "1" : "0");
}

static void state_samples(mcp_report_page_t *page, const char *name, const mcp_labelled_t *entry)
{
    int state;

    for (state = MCP_REFRESH_EMPTY; state <= MCP_REFRESH_EXPIRED; state++) {
        state_sample(page, name, entry, mcp_refresh_name((mcp_refresh_state_t)state));
    }
    state_sample(page, name, entry, "file");
    state_sample(page, name, entry, "none");
}

static void fetches_sample(mcp_report_page_t *page, const char *name, const mcp_labelled_t *entry)
{
    count(page, name, entry->labels, entry->issuer->fetches);
}

static void failures_sample(mcp_report_page_t *page, const char *name, const mcp_labelled_t *entry)
{
    count(page, name, entry->labels, entry->issuer->failures);
}

static void calls_samples(mcp_report_page_t *page, const char *name, const mcp_labelled_t *entry)
{
    if (entry->issuer->endpoint) {
        count(page, name, apr_pstrcat(page->p, entry->labels, ",outcome=\"answered\"", NULL),
              entry->issuer->calls.answered);
        count(page, name, apr_pstrcat(page->p, entry->labels, ",outcome=\"failed\"", NULL),
              entry->issuer->calls.failed);
    }
}

static void cached_sample(mcp_report_page_t *page, const char *name, const mcp_labelled_t *entry)
{
    if (entry->issuer->endpoint) {
        count(page, name, entry->labels, entry->issuer->calls.cached);
    }
}

static void breaker_sample(mcp_report_page_t *page, const char *name, const mcp_labelled_t *entry)
{
    const mcp_report_issuer_t *issuer = entry->issuer;

    if (issuer->endpoint) {
        sample(page, name, entry->labels, issuer->breaker && !strcmp(issuer->breaker, "open") ? "1" : "0");
    }
}

/* "0.005", "10": a bound in seconds without zeros at its end. */
static const char *bound_text(apr_interval_time_t bound, apr_pool_t *p)
{
    char *text = seconds((apr_uint64_t)bound, p), *end = text + strlen(text);

    while (end[-1] == '0') {
        *--end = '\0';
    }
    if (end[-1] == '.') {
        end[-1] = '\0';
    }
    return text;
}

static void duration_samples(mcp_report_page_t *page, const char *name, const mcp_labelled_t *entry)
{
    const mcp_calls_t *calls = &entry->issuer->calls;
    const char *buckets = apr_pstrcat(page->p, name, "_bucket", NULL);
    apr_uint64_t so_far = 0, all = mcp_report_plus(calls->answered, calls->failed);
    int i;

    if (!entry->issuer->endpoint) {
        return;
    }
    for (i = 0; i < MCP_CALLS_BUCKETS; i++) {
        so_far = mcp_report_plus(so_far, calls->buckets[i]);
        count(page, buckets,
              apr_pstrcat(page->p, entry->labels, ",le=\"", bound_text(mcp_calls_bound(i), page->p), "\"", NULL),
              so_far);
    }
    /* They are not read in one moment: a call can be in its bucket and not yet in the count. */
    all = all < so_far ? so_far : all;
    count(page, buckets, apr_pstrcat(page->p, entry->labels, ",le=\"+Inf\"", NULL), all);
    sample(page, apr_pstrcat(page->p, name, "_sum", NULL), entry->labels, seconds(calls->duration, page->p));
    count(page, apr_pstrcat(page->p, name, "_count", NULL), entry->labels, all);
}

static void issuers_put(mcp_report_page_t *page, const mcp_report_t *report)
{
    static const struct {
        const char *name, *type, *help;
        mcp_samples_t samples;
    } families[] = {
        { "keys", "gauge", "Usable keys of an issuer.", keys_sample },
        { "keys_age_seconds", "gauge", "Since the keys were fetched or found unchanged.", age_sample },
        { "keys_next_fetch_seconds", "gauge", "Until the next fetch of the keys.", next_sample },
        { "keys_state", "gauge", "1 for the state that the keys are in.", state_samples },
        { "key_fetches_total", "counter", "Attempts to fetch the keys.", fetches_sample },
        { "key_fetch_failures_total", "counter", "Attempts that brought no keys.", failures_sample },
        { "introspection_calls_total", "counter", "Calls to the introspection endpoint.", calls_samples },
        { "introspection_cached_total", "counter", "Answers that needed no call.", cached_sample },
        { "introspection_breaker_open", "gauge", "1 while the endpoint is not called, for it failed.", breaker_sample },
        { "introspection_duration_seconds", "histogram", "Duration of the calls.", duration_samples },
    };
    const apr_array_header_t *entries = issuers_label(report, page->p);
    int i, j;

    for (i = 0; i < (int)(sizeof(families) / sizeof(*families)); i++) {
        family(page, families[i].name, families[i].type, families[i].help);
        for (j = 0; j < entries->nelts; j++) {
            families[i].samples(page, families[i].name, &APR_ARRAY_IDX(entries, j, mcp_labelled_t));
        }
    }
}

const char *mcp_report_prometheus(const mcp_report_t *report, apr_pool_t *p)
{
    const mcp_meter_totals_t *totals = &report->totals;
    mcp_report_page_t page;

    mcp_report_begin(&page, p);
    family(&page, "info", "gauge", "The module's version.");
    sample(&page, "info", label("version", report->version, p), "1");
    family(&page, "start_time_seconds", "gauge", "Since when it has been counted, seconds since 1970.");
    sample(&page, "start_time_seconds", "", seconds(totals->started > 0 ? (apr_uint64_t)totals->started : 0, p));
    single(&page, "processes", "gauge", "Processes that serve requests now.",
           totals->processes > 0 ? (apr_uint64_t)totals->processes : 0);
    requests_put(&page, report);
    shadow_put(&page, report);
    cache_put(&page, totals);
    issuers_put(&page, report);
    return page.text;
}
