#include "httpd/refresh.h"

#include <ap_mpm.h>
#include <http_core.h>
#include <http_log.h>
#include <http_main.h>
#include <mod_watchdog.h>

#include <apr_strings.h>

#include "base/clock.h"
#include "httpd/issuer.h"

APLOG_USE_MODULE(mcp_oauth);

#define TICK apr_time_from_msec(500)

static double random_fraction(void)
{
    apr_uint32_t n = 0;

    apr_generate_random_bytes((unsigned char *)&n, sizeof(n));
    return n / 4294967296.0;
}

/* The child's exit waits for this thread, so a fetch must not outlast it. */
static int stopping(void *unused)
{
    int state;

    return ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS && state == AP_MPMQ_STOPPING;
}

/* One line per change of state, never one per attempt. */
static void state_log(const server_rec *s, const mcp_issuer_t *issuer, mcp_refresh_state_t before, const char *error,
                      apr_time_t now)
{
    mcp_refresh_state_t after = mcp_refresh_state(&issuer->refresh, now);
    apr_time_t next = apr_time_sec(issuer->refresh.next_try - now);
    int first = issuer->refresh.failures == 1;

    if (!error && (before != MCP_REFRESH_FRESH && before != MCP_REFRESH_DUE)) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                     "MCP0310: issuer %s: key set loaded, next fetch in %" APR_TIME_T_FMT " s", issuer->conf->name,
                     next);
    }
    else if (error && (first || after != before)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "MCP0311: issuer %s: key set not refreshed (%s): %s; next try in %" APR_TIME_T_FMT " s",
                     issuer->conf->name, mcp_refresh_name(after), error, next);
    }
}

static void attempt(const server_rec *s, mcp_issuer_t *issuer, apr_pool_t *p)
{
    mcp_refresh_state_t before = mcp_refresh_state(&issuer->refresh, mcp_clock_monotonic());
    apr_interval_time_t lifetime = -1;
    mcp_keyset_t *set = NULL;
    const char *error;

    error = mcp_keysource_fetch(&set, &lifetime, &issuer->source, mcp_http_curl(), stopping, NULL, apr_time_now(), p);
    if (error) {
        if (stopping(NULL)) {
            return;
        }
        mcp_refresh_failed(&issuer->refresh, mcp_clock_monotonic(), random_fraction());
    }
    else {
        mcp_keycache_put(issuer->keys, set);
        mcp_refresh_succeeded(&issuer->refresh, lifetime, mcp_clock_monotonic(), random_fraction());
    }
    state_log(s, issuer, before, error, mcp_clock_monotonic());
}

/* A file is the administrator's: it is read again when it changes, and what was good serves until something better comes. */
static void file_tick(const server_rec *s, mcp_issuer_t *issuer, apr_pool_t *p)
{
    apr_interval_time_t lifetime;
    mcp_keyset_t *set = NULL;
    const char *error;

    if (!mcp_keysource_changed(&issuer->source, p)) {
        issuer->refresh.failures = 0;
        return;
    }
    error = mcp_keysource_fetch(&set, &lifetime, &issuer->source, NULL, NULL, NULL, apr_time_now(), p);
    if (!error) {
        mcp_keycache_put(issuer->keys, set);
        issuer->refresh.failures = 0;
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, "MCP0312: issuer %s: key file read again", issuer->conf->name);
    }
    else if (!issuer->refresh.failures++) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "MCP0313: issuer %s: key file not read again, the keys of before stay: %s", issuer->conf->name,
                     error);
    }
}

/* Always reports success: a callback that fails is never called again. */
static apr_status_t tick(int state, void *data, apr_pool_t *p)
{
    mcp_issuer_t *issuer = data;
    const server_rec *s = ap_server_conf;

    if (state == AP_WATCHDOG_STATE_STOPPING || !issuer->keys) {
        return APR_SUCCESS;
    }
    if (issuer->source.file) {
        file_tick(s, issuer, p);
        return APR_SUCCESS;
    }
    if (mcp_refresh_due(&issuer->refresh, mcp_clock_monotonic())) {
        attempt(s, issuer, p);
    }
    if (issuer->refresh.loaded && !mcp_refresh_usable(&issuer->refresh, mcp_clock_monotonic())) {
        mcp_keycache_put(issuer->keys, NULL);
    }
    return APR_SUCCESS;
}

void mcp_refresh_start(void)
{
    int i;

    for (i = 0; i < mcp_issuers_count(); i++) {
        mcp_refresh_init(&mcp_issuer_at(i)->refresh, &mcp_issuer_at(i)->bounds, mcp_clock_monotonic());
    }
}

int mcp_refresh_post_config(apr_pool_t *pconf, server_rec *s)
{
    APR_OPTIONAL_FN_TYPE(ap_watchdog_get_instance) *get = APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_get_instance);
    APR_OPTIONAL_FN_TYPE(ap_watchdog_register_callback) *reg = APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_register_callback);
    ap_watchdog_t *watchdog;
    int i;

    if (!mcp_issuers_count()) {
        return OK;
    }
    if (!get || !reg) {
        ap_log_error(
            APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, s,
            "MCP0955: mod_watchdog is needed to fetch keys; write LoadModule watchdog_module modules/mod_watchdog.so");
        return !OK;
    }
    if (mcp_http_curl_init() != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, s, "MCP0956: libcurl cannot be initialized");
        return !OK;
    }
    for (i = 0; i < mcp_issuers_count(); i++) {
        mcp_issuer_t *issuer = mcp_issuer_at(i);
        /* Who fetches may hang, and has a thread of its own; files are looked at by one thread for all. */
        const char *name = issuer->source.file ? "_mcp_oauth_files_" : apr_psprintf(pconf, "_mcp_oauth_%d_", i);

        if (!issuer->trusted) {
            continue;
        }
        if (get(&watchdog, name, 0, 0, pconf) != APR_SUCCESS || reg(watchdog, TICK, issuer, tick) != APR_SUCCESS) {
            ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, s, "MCP0957: watchdog %s cannot be set up", name);
            return !OK;
        }
    }
    return OK;
}
