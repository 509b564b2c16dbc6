#include "policy/report.h"

#include <apr_strings.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "policy/report_text.h"

/* JSON integers of jansson are signed: a count beyond is written as the highest of them. */
static json_t *count_make(apr_uint64_t count)
{
    return json_integer((json_int_t)(count > APR_INT64_MAX ? APR_INT64_MAX : count));
}

static json_t *text_make(const char *text, apr_pool_t *p)
{
    return text && *text ? json_string(mcp_report_utf8(text, p)) : json_null();
}

/* Seconds, in steps of a millisecond. */
static json_t *seconds_make(apr_interval_time_t duration)
{
    return duration < 0 ? json_null() : json_real((double)(duration / 1000) / 1000.0);
}

static json_t *time_make(apr_time_t time, apr_pool_t *p)
{
    return time > 0 ? json_string(mcp_report_time(time, p)) : json_null();
}

static void sums_add(json_t *object, const apr_uint64_t sums[MCP_REPORT_DECISIONS])
{
    json_object_set_new(object, "allow", count_make(sums[MCP_REPORT_ALLOW]));
    json_object_set_new(object, "deny", count_make(sums[MCP_REPORT_DENY]));
    json_object_set_new(object, "shadow_deny", count_make(sums[MCP_REPORT_SHADOW]));
    json_object_set_new(object, "preflight", count_make(sums[MCP_REPORT_PREFLIGHT]));
}

static json_t *total_make(const mcp_report_t *report)
{
    apr_uint64_t sums[MCP_REPORT_DECISIONS];
    json_t *object = json_object();

    mcp_report_total(sums, report);
    sums_add(object, sums);
    return object;
}

static json_t *resources_make(const mcp_report_t *report, apr_pool_t *p)
{
    json_t *array = json_array();
    int i, j;

    for (i = 0; i < report->resources->nelts; i++) {
        const mcp_report_resource_t *resource = &APR_ARRAY_IDX(report->resources, i, mcp_report_resource_t);
        const apr_array_header_t *reasons = mcp_report_reasons(resource, p);
        json_t *object = json_object(), *counts = json_object();
        apr_uint64_t sums[MCP_REPORT_DECISIONS];

        mcp_report_sum(sums, resource);
        json_object_set_new(object, "resource", text_make(resource->resource, p));
        sums_add(object, sums);
        for (j = 0; j < reasons->nelts; j++) {
            const mcp_report_reason_t *reason = &APR_ARRAY_IDX(reasons, j, mcp_report_reason_t);

            json_object_set_new(counts, mcp_report_reason(reason->column), count_make(reason->count));
        }
        json_object_set_new(object, "reasons", counts);
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *keys_make(const mcp_report_issuer_t *issuer, apr_pool_t *p)
{
    json_t *array = json_array();
    int i;

    for (i = 0; i < issuer->keys->nelts; i++) {
        const mcp_report_key_t *key = &APR_ARRAY_IDX(issuer->keys, i, mcp_report_key_t);
        json_t *object = json_object();

        json_object_set_new(object, "kid", text_make(key->kid, p));
        json_object_set_new(object, "kty", text_make(key->kty, p));
        json_object_set_new(object, "alg", text_make(key->alg, p));
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *introspection_make(const mcp_report_issuer_t *issuer, apr_pool_t *p)
{
    const mcp_calls_t *calls = &issuer->calls;
    apr_uint64_t duration = calls->duration > APR_INT64_MAX ? APR_INT64_MAX : calls->duration;
    json_t *object = json_object();

    json_object_set_new(object, "endpoint", text_make(issuer->endpoint, p));
    json_object_set_new(object, "calls", count_make(mcp_report_plus(calls->answered, calls->failed)));
    json_object_set_new(object, "failures", count_make(calls->failed));
    json_object_set_new(object, "cached", count_make(calls->cached));
    json_object_set_new(object, "seconds_total", seconds_make((apr_interval_time_t)duration));
    json_object_set_new(object, "breaker", text_make(issuer->breaker, p));
    return object;
}

static json_t *issuers_make(const mcp_report_t *report, apr_pool_t *p)
{
    json_t *array = json_array();
    int i;

    for (i = 0; i < report->issuers->nelts; i++) {
        const mcp_report_issuer_t *issuer = &APR_ARRAY_IDX(report->issuers, i, mcp_report_issuer_t);
        json_t *object = json_object();

        json_object_set_new(object, "issuer", text_make(issuer->issuer, p));
        json_object_set_new(object, "keys_from", text_make(issuer->keys_from, p));
        json_object_set_new(object, "state", text_make(issuer->state, p));
        json_object_set_new(object, "keys", keys_make(issuer, p));
        json_object_set_new(object, "keys_skipped", json_integer(issuer->keys_skipped));
        json_object_set_new(object, "age_seconds", seconds_make(issuer->age));
        json_object_set_new(object, "next_fetch_seconds", seconds_make(issuer->next_fetch));
        json_object_set_new(object, "fetches", count_make(issuer->fetches));
        json_object_set_new(object, "fetch_failures", count_make(issuer->failures));
        json_object_set_new(object, "last_error", text_make(issuer->last_error, p));
        if (issuer->endpoint) {
            json_object_set_new(object, "introspection", introspection_make(issuer, p));
        }
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *cache_make(const mcp_report_t *report)
{
    const mcp_meter_totals_t *totals = &report->totals;
    apr_uint64_t lookups = mcp_report_plus(totals->hits, totals->misses);
    double ratio = floor(mcp_report_ratio(totals->hits, lookups) * 10000) / 10000;
    json_t *object = json_object();

    json_object_set_new(object, "entries", count_make(totals->entries));
    json_object_set_new(object, "bytes", count_make(totals->bytes));
    json_object_set_new(object, "hits", count_make(totals->hits));
    json_object_set_new(object, "misses", count_make(totals->misses));
    json_object_set_new(object, "hit_ratio", lookups ? json_real(ratio) : json_null());
    json_object_set_new(object, "max_entries_per_process", json_integer(report->cache_max));
    return object;
}

/* The labels of a row in their order. */
static json_t *row_make(const mcp_tally_row_t *row, const char *const *names, int n, apr_pool_t *p)
{
    json_t *object = json_object();
    int i;

    for (i = 0; i < n; i++) {
        json_object_set_new(object, names[i], text_make(row->labels[i], p));
    }
    return object;
}

static json_t *shadow_make(const mcp_report_t *report, apr_pool_t *p)
{
    static const char *const names[] = { "resource", "operation", "needed" };
    json_t *array = json_array();
    int i;

    for (i = 0; i < report->shadow->nelts; i++) {
        const mcp_tally_row_t *row = &APR_ARRAY_IDX(report->shadow, i, mcp_tally_row_t);
        json_t *object = row_make(row, names, 3, p);

        json_object_set_new(object, "count", count_make(row->counts[0]));
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *usage_make(const mcp_report_t *report, apr_pool_t *p)
{
    static const char *const names[] = { "resource", "issuer", "subject", "client", "operation", "limit" };
    json_t *array = json_array();
    int i;

    for (i = 0; i < report->usage->nelts; i++) {
        const mcp_tally_row_t *row = &APR_ARRAY_IDX(report->usage, i, mcp_tally_row_t);
        json_t *object = row_make(row, names, 6, p);

        json_object_set_new(object, "allowed", count_make(row->counts[0]));
        json_object_set_new(object, "limited", count_make(row->counts[1]));
        json_object_set_new(object, "last", time_make(row->last, p));
        json_array_append_new(array, object);
    }
    return array;
}

static json_t *report_make(const mcp_report_t *report, apr_pool_t *p)
{
    json_t *object = json_object(), *others = json_object();

    json_object_set_new(object, "version", text_make(report->version, p));
    json_object_set_new(object, "time", time_make(report->now, p));
    json_object_set_new(object, "started", time_make(report->totals.started, p));
    json_object_set_new(object, "uptime_seconds", seconds_make(mcp_report_uptime(report)));
    json_object_set_new(object, "processes", json_integer(report->totals.processes));
    json_object_set_new(object, "requests", total_make(report));
    json_object_set_new(object, "resources", resources_make(report, p));
    json_object_set_new(object, "issuers", issuers_make(report, p));
    json_object_set_new(object, "token_cache", cache_make(report));
    json_object_set_new(object, "shadow", shadow_make(report, p));
    json_object_set_new(object, "shadow_others", count_make(report->shadow_others));
    json_object_set_new(object, "usage", usage_make(report, p));
    json_object_set_new(others, "allowed", count_make(report->usage_others[0]));
    json_object_set_new(others, "limited", count_make(report->usage_others[1]));
    json_object_set_new(object, "usage_others", others);
    return object;
}

const char *mcp_report_json(const mcp_report_t *report, apr_pool_t *p)
{
    json_t *object = report_make(report, p);
    char *dumped = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15));
    const char *text = apr_pstrcat(p, dumped ? dumped : "{}", "\n", NULL);

    free(dumped);
    json_decref(object);
    return text;
}
