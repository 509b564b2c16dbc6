#include "httpd/status.h"

#include <http_core.h>
#include <http_main.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mod_status.h>

#include <apr_lib.h>
#include <apr_strings.h>

#include "base/clock.h"
#include "httpd/counters.h"
#include "httpd/issuer.h"
#include "policy/report.h"

#define HANDLER "mcp-oauth-status"

/* --- what is known --------------------------------------------------------------------------------------------------- */

static const char *kty_of(const mcp_jwk_t *key)
{
    switch (EVP_PKEY_get_base_id(key->pkey)) {
    case EVP_PKEY_RSA:
        return "RSA";
    case EVP_PKEY_EC:
        return "EC";
    default:
        return "OKP";
    }
}

/* The keys as this process has them; the set may go when the report has been made. */
static const apr_array_header_t *keys_list(const mcp_issuer_t *issuer, int *pskipped, apr_pool_t *p)
{
    apr_array_header_t *keys = apr_array_make(p, 4, sizeof(mcp_report_key_t));
    mcp_keyset_t *set = issuer->keys ? mcp_keycache_get(issuer->keys) : NULL;
    int i;

    for (i = 0; set && i < mcp_keyset_count(set); i++) {
        const mcp_jwk_t *key = mcp_keyset_at(set, i);
        mcp_report_key_t *listed = apr_array_push(keys);
        const apr_array_header_t *algs = mcp_alg_names(key->algs, p);

        listed->kid = key->kid ? apr_pstrdup(p, key->kid) : NULL;
        listed->kty = kty_of(key);
        listed->alg = algs->nelts == 1 ? APR_ARRAY_IDX(algs, 0, const char *) : NULL;
    }
    *pskipped = set ? mcp_keyset_skipped(set) : 0;
    mcp_keyset_release(set);
    return keys;
}

/* A query may hold what only the other server is to know. */
static const char *without_queries(const char *text, apr_pool_t *p)
{
    char *copy = apr_pstrdup(p, text), *to = copy;
    int skip = 0;

    for (; *text; text++) {
        skip = *text == '?' || (skip && !apr_isspace(*text));
        if (!skip) {
            *to++ = *text;
        }
    }
    *to = '\0';
    return copy;
}

/* Of keys that are fetched: what the processes share about them. */
static void fetching_fill(mcp_report_issuer_t *listed, const mcp_issuer_t *issuer, apr_pool_t *p)
{
    apr_time_t now = mcp_clock_monotonic();
    mcp_keyrecord_t record;

    if (!mcp_keyshare_read(&record, NULL, &issuer->slot->keys, p)) {
        listed->state = mcp_refresh_name(MCP_REFRESH_EMPTY);
        listed->next_fetch = 0;
        return;
    }
    listed->state = mcp_refresh_name(mcp_refresh_state(&record.refresh, &issuer->bounds, now));
    listed->age = record.refresh.loaded ? now - record.refresh.loaded_at : -1;
    listed->next_fetch = record.refresh.next_try > now ? record.refresh.next_try - now : 0;
    listed->fetches = record.fetches;
    listed->failures = record.failures;
    listed->last_error = *record.error ? without_queries(record.error, p) : NULL;
}

/* Two hosts may describe the same issuer in two ways. */
static const char *name_of(const mcp_issuer_t *issuer, int i, apr_pool_t *p)
{
    int j, before = 0;

    for (j = 0; j < i; j++) {
        before += !strcmp(mcp_issuer_at(j)->conf->name, issuer->conf->name) && mcp_issuer_at(j)->trusted;
    }
    return before ? apr_psprintf(p, "%s (%d)", issuer->conf->name, before + 1) : issuer->conf->name;
}

static void issuer_fill(mcp_report_issuer_t *listed, const mcp_issuer_t *issuer, apr_pool_t *p)
{
    const mcp_keysource_t *source = &issuer->source;

    memset(listed, 0, sizeof(*listed));
    listed->age = listed->next_fetch = -1;
    listed->keys = keys_list(issuer, &listed->keys_skipped, p);
    listed->keys_from = issuer->keyless ? "none"
                        : source->file  ? apr_pstrcat(p, "file:", source->file, NULL)
                        : source->url   ? without_queries(source->url, p)
                                        : "discovery";
    listed->state = issuer->keyless ? "none" : "file";
    if (issuer->slot) {
        fetching_fill(listed, issuer, p);
    }
    if (issuer->introspector) {
        listed->endpoint = issuer->endpoint.url ? without_queries(issuer->endpoint.url, p) : "discovery";
        listed->breaker = mcp_breaker_until(issuer->breaker) > mcp_clock_monotonic() ? "open" : "closed";
        mcp_calls_read(&listed->calls, issuer->calls);
    }
}

static const apr_array_header_t *issuers_list(apr_pool_t *p)
{
    apr_array_header_t *list = apr_array_make(p, 4, sizeof(mcp_report_issuer_t));
    mcp_report_issuer_t *listed;
    int i;

    for (i = 0; i < mcp_issuers_count(); i++) {
        const mcp_issuer_t *issuer = mcp_issuer_at(i);

        if (issuer->trusted) {
            listed = apr_array_push(list);
            issuer_fill(listed, issuer, p);
            listed->issuer = name_of(issuer, i, p);
        }
    }
    return list;
}

/* The last one is for what start-up did not know: shown when there was such a thing. */
static const apr_array_header_t *resources_list(const mcp_meter_t *meter, apr_pool_t *p)
{
    const apr_array_header_t *resources = mcp_counters_resources();
    apr_array_header_t *list = apr_array_make(p, resources->nelts, sizeof(mcp_report_resource_t));
    mcp_report_resource_t *listed;
    apr_uint64_t sum;
    int i, column;

    for (i = 0; i < resources->nelts; i++) {
        listed = apr_array_push(list);
        listed->resource = APR_ARRAY_IDX(resources, i, const char *);
        for (sum = column = 0; column < MCP_METER_COLUMNS; column++) {
            sum += listed->counts[column] = mcp_meter_requests(meter, i, column);
        }
        if (i == resources->nelts - 1 && !sum) {
            apr_array_pop(list);
        }
    }
    return list;
}

/* 0: nothing has been set up. */
static int report_make(mcp_report_t *report, const server_rec *s, apr_pool_t *p)
{
    const mcp_meter_t *meter = mcp_counters_meter();
    const mcp_server_t *server = mcp_server_of(s);
    apr_uint64_t others[MCP_TALLY_COUNTS];

    memset(report, 0, sizeof(*report));
    if (!meter) {
        return 0;
    }
    report->version = MCP_VERSION;
    report->now = apr_time_now();
    mcp_meter_totals(&report->totals, meter, mcp_counters_alive);
    report->cache_max = server->cache_ttl == 0 ? 0 : server->cache_size != MCP_UNSET ? server->cache_size : 10000;
    report->resources = resources_list(meter, p);
    report->issuers = issuers_list(p);
    report->shadow = mcp_tally_read(others, mcp_counters_shadow_rows(), p);
    report->shadow_others = others[0];
    report->usage = mcp_tally_read(report->usage_others, mcp_counters_usage_rows(), p);
    return 1;
}

/* --- showing it ------------------------------------------------------------------------------------------------------- */

int mcp_status_handler(request_rec *r)
{
    mcp_report_t report;
    const char *text;
    int rc;

    if (!r->handler || strcmp(r->handler, HANDLER)) {
        return DECLINED;
    }
    if (r->method_number != M_GET) {
        ap_allow_standard_methods(r, REPLACE_ALLOW, M_GET, -1);
        return HTTP_METHOD_NOT_ALLOWED;
    }
    if ((rc = ap_discard_request_body(r)) != OK) {
        return rc;
    }
    if (!report_make(&report, ap_server_conf, r->pool)) {
        return HTTP_SERVICE_UNAVAILABLE;
    }
    if (r->args && !strcmp(r->args, "json")) {
        ap_set_content_type(r, "application/json");
        text = mcp_report_json(&report, r->pool);
    }
    else if (r->args && !strcmp(r->args, "prometheus")) {
        ap_set_content_type(r, "text/plain; version=0.0.4; charset=utf-8");
        text = mcp_report_prometheus(&report, r->pool);
    }
    else {
        ap_set_content_type(r, "text/html; charset=utf-8");
        text = mcp_report_html(&report, r->pool);
    }
    if (!text) {
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    apr_table_setn(r->headers_out, "Content-Security-Policy",
                   "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'");
    ap_set_content_length(r, (apr_off_t)strlen(text));
    ap_rputs(text, r);
    return OK;
}

int mcp_status_section(request_rec *r, int flags)
{
    mcp_report_t report;

    if (report_make(&report, ap_server_conf, r->pool)) {
        ap_rputs(mcp_report_section(&report, flags & AP_STATUS_SHORT, r->pool), r);
    }
    return OK;
}
