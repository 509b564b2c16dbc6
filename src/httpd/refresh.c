#include "httpd/refresh.h"

#include <ap_mpm.h>
#include <http_core.h>
#include <http_log.h>
#include <http_main.h>
#include <mod_watchdog.h>

#include <apr_portable.h>
#include <apr_strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "httpd/issuer.h"
#include "httpd/store.h"

APLOG_USE_MODULE(mcp_oauth);

#define TICK apr_time_from_msec(100) /* mod_watchdog's own granularity */
#define NAP apr_time_from_msec(20)
#define CLOSE_WAIT apr_time_from_sec(3)
#define FILE_TICK apr_time_from_msec(500)

static double random_fraction(void)
{
    apr_uint32_t n = 0;

    apr_generate_random_bytes((unsigned char *)&n, sizeof(n));
    return n / 4294967296.0;
}

/* mod_watchdog's threads outlive the pool of the child, where everything lies that they work on. */
static struct {
    int closed; /* nothing may be begun any more */
    int busy;   /* callbacks that run */
} process;

/* The child's exit waits for this thread, so a fetch must not outlast it. */
static int stopping(void *unused)
{
    int state;

    if (__atomic_load_n(&process.closed, __ATOMIC_SEQ_CST)) {
        return 1;
    }
    return ap_mpm_query(AP_MPMQ_MPM_STATE, &state) == APR_SUCCESS && state == AP_MPMQ_STOPPING;
}

/* Once for each new set. */
static void exposed_log(const server_rec *s, const mcp_issuer_t *issuer, const mcp_keyset_t *set)
{
    if (mcp_keyset_exposed(set)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "MCP0319: issuer %s: %d published keys have their private part beside them; whoever can read them "
                     "can sign tokens",
                     issuer->conf->name, mcp_keyset_exposed(set));
    }
}

static int callback_begin(void)
{
    __atomic_add_fetch(&process.busy, 1, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&process.closed, __ATOMIC_SEQ_CST)) {
        return 1;
    }
    __atomic_sub_fetch(&process.busy, 1, __ATOMIC_SEQ_CST);
    return 0;
}

static apr_status_t callback_end(void)
{
    __atomic_sub_fetch(&process.busy, 1, __ATOMIC_SEQ_CST);
    return APR_SUCCESS; /* always: a callback that fails is never called again */
}

/* Before the pool of the child is destroyed. What does not end, such as a write to a disk that hangs, must not keep the
 * child: it would take the memory away under it, so the process ends here. */
static apr_status_t callbacks_close(void *unused)
{
    apr_time_t until = mcp_clock_monotonic() + CLOSE_WAIT;

    __atomic_store_n(&process.closed, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&process.busy, __ATOMIC_SEQ_CST)) {
        if (mcp_clock_monotonic() > until) {
            _exit(0);
        }
        apr_sleep(apr_time_from_msec(1));
    }
    return APR_SUCCESS;
}

/* --- every child: follow what is published ------------------------------------------------------------------------ */

/* Makes the published text this child's set. Returns 0 to try again later. */
static int set_follow(mcp_issuer_t *issuer, apr_pool_t *ptemp)
{
    mcp_keyrecord_t record;
    mcp_keyset_t *set;
    char *text;

    mcp_keyshare_read(&record, &text, &issuer->slot->keys, ptemp);
    if (!text || mcp_keyset_parse(&set, text, record.len)) {
        return 0; /* who fetched it could parse it: there is no memory at the moment */
    }
    mcp_keycache_put(issuer->keys, set);
    issuer->version = record.version;
    return 1;
}

/* With the lock held. */
static void follow(mcp_issuer_t *issuer, apr_pool_t *ptemp)
{
    apr_uint32_t serial = mcp_keyshare_serial(&issuer->slot->keys);
    mcp_keyrecord_t record;

    if (serial != issuer->serial) {
        if (!(serial = mcp_keyshare_read(&record, NULL, &issuer->slot->keys, ptemp))) {
            return;
        }
        issuer->record = record;
    }
    if (serial && issuer->version != issuer->record.version && !set_follow(issuer, ptemp)) {
        return;
    }
    mcp_keycache_limit(issuer->keys, mcp_refresh_usable_until(&issuer->record.refresh, &issuer->bounds));
    __atomic_store_n(&issuer->settled, issuer->settled || serial, __ATOMIC_RELEASE);
    __atomic_store_n(&issuer->serial, serial, __ATOMIC_RELEASE);
}

void mcp_refresh_follow(mcp_issuer_t *issuer, apr_pool_t *ptemp)
{
    apr_thread_mutex_lock(issuer->lock);
    follow(issuer, ptemp);
    apr_thread_mutex_unlock(issuer->lock);
}

/* Follows, and says what is to be done: is a fetch due? Never waits for a request that follows: prefork may have interrupted
 * that request to end the process. */
static int follow_now(mcp_issuer_t *issuer, int *psilent, apr_pool_t *ptemp)
{
    apr_time_t now = mcp_clock_monotonic();
    int due;

    if (apr_thread_mutex_trylock(issuer->lock) != APR_SUCCESS) {
        return 0;
    }
    follow(issuer, ptemp);
    due = mcp_refresh_due(&issuer->record.refresh, now);
    *psilent = mcp_refresh_silent(&issuer->record.refresh, now);
    apr_thread_mutex_unlock(issuer->lock);
    return due;
}

/* Who fetches may hang, or be stopped by a debugger; the others cannot take over from it, but they can say so. Once for the
 * server, until there is an outcome again. */
static void silence_log(const server_rec *s, const mcp_issuer_t *issuer)
{
    if (!__atomic_exchange_n(&issuer->slot->silent, 1, __ATOMIC_RELAXED)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "MCP0320: issuer %s: the key set has been due for a minute, but no process reports an outcome; it "
                     "serves until McpOAuthKeyMaxStale is over",
                     issuer->conf->name);
    }
}

/* --- the elected child: fetch and publish ------------------------------------------------------------------------- */

/* One line per change of state, never one per attempt. */
static void state_log(const server_rec *s, const mcp_issuer_t *issuer, mcp_keyrecord_t *record)
{
    apr_time_t now = mcp_clock_monotonic(), next = apr_time_sec(record->refresh.next_try - now + APR_USEC_PER_SEC - 1);
    mcp_refresh_state_t state = mcp_refresh_state(&record->refresh, &issuer->bounds, now);

    if (!record->refresh.failures && record->told != MCP_REFRESH_FRESH) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                     "MCP0310: issuer %s: key set loaded, %u keys, next fetch in %" APR_TIME_T_FMT " s",
                     issuer->conf->name, record->keys, next);
        record->told = MCP_REFRESH_FRESH;
    }
    else if (record->refresh.failures && (record->refresh.failures == 1 || state != record->told)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "MCP0311: issuer %s: key set not refreshed (%s): %s; next try in %" APR_TIME_T_FMT " s",
                     issuer->conf->name, mcp_refresh_name(state), record->error, next);
        record->told = state;
    }
}

/* A good answer. Returns the text that holds now. */
static const char *take(const server_rec *s, mcp_keyrecord_t *record, const mcp_keysource_answer_t *answer,
                        const mcp_issuer_t *issuer, const char *text)
{
    apr_time_t now = mcp_clock_monotonic();

    if (!answer->unchanged) {
        if (record->len != answer->len || !text || memcmp(text, answer->text, answer->len)) {
            record->version += record->version == 0xffffffffu ? 2 : 1; /* 0 is for none */
            exposed_log(s, issuer, answer->set);
        }
        record->len = (apr_uint32_t)answer->len;
        record->keys = mcp_keyset_count(answer->set);
        record->skipped = mcp_keyset_skipped(answer->set);
        text = answer->text;
    }
    mcp_keyrecord_set_source(record, answer->url, answer->etag);
    mcp_keyrecord_set_error(record, NULL);
    mcp_refresh_succeeded(&record->refresh, &issuer->bounds, answer->lifetime, now, random_fraction());
    record->loaded_wall = apr_time_now();
    record->refresh_wall = record->loaded_wall + (record->refresh.refresh_at - now);
    return text;
}

/* No good answer. A fetch that was only asked for leaves the schedule alone: whoever invents key ids must not be able to make
 * more fetches of it than one per cool-down. */
static void miss(const server_rec *s, mcp_keyrecord_t *record, const mcp_issuer_t *issuer, const char *error, int due)
{
    record->failures++;
    mcp_keyrecord_set_error(record, error);
    if (due) {
        mcp_refresh_failed(&record->refresh, &issuer->bounds, mcp_clock_monotonic(), random_fraction());
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_INFO, 0, s, "MCP0314: issuer %s: keys for an unknown key id not fetched: %s",
                     issuer->conf->name, error);
    }
}

static void publish(mcp_issuer_t *issuer, const mcp_keyrecord_t *record, const char *text, int good, apr_pool_t *ptemp)
{
    int silent;

    mcp_keyshare_publish(&issuer->slot->keys, record, text);
    mcp_demand_ended(&issuer->slot->demand, good); /* after the keys: who sees no fetch any more sees what it brought */
    __atomic_store_n(&issuer->slot->silent, 0, __ATOMIC_RELAXED);
    follow_now(issuer, &silent, ptemp);
}

static void attempt(const server_rec *s, mcp_issuer_t *issuer, int due, apr_pool_t *ptemp)
{
    mcp_keysource_answer_t answer;
    mcp_keyrecord_t record;
    const char *error, *text;
    char *published;

    mcp_demand_began(&issuer->slot->demand, mcp_clock_monotonic(), issuer->cooldown);
    mcp_keyshare_read(&record, &published, &issuer->slot->keys, ptemp);
    error = mcp_keysource_fetch(&answer, &issuer->source, published ? record.url : NULL, published ? record.etag : NULL,
                                mcp_http_curl(), stopping, NULL, apr_time_now(), ptemp);
    if (error && stopping(NULL)) {
        mcp_demand_abandoned(&issuer->slot->demand, mcp_clock_monotonic(), issuer->cooldown);
        return;
    }
    text = published;
    record.fetches++;
    if (error) {
        miss(s, &record, issuer, error, due);
    }
    else {
        text = take(s, &record, &answer, issuer, text);
    }
    if (!error || due) {
        state_log(s, issuer, &record);
    }
    publish(issuer, &record, text, !error, ptemp);
    if (!error) {
        mcp_store_write(issuer, &record, text, s, ptemp);
        mcp_keyset_release(answer.set);
    }
}

/* What was read from disk at start serves everybody, unless the server knows better by now. */
static void publish_stored(const server_rec *s, mcp_issuer_t *issuer, apr_pool_t *ptemp)
{
    char when[APR_RFC822_DATE_LEN] = "?";

    if (!issuer->stored_text || mcp_keyshare_serial(&issuer->slot->keys)) {
        return;
    }
    apr_rfc822_date(when, issuer->record.loaded_wall);
    ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s,
                 "MCP0315: issuer %s: %u keys of %s from the key store serve until the first fetch", issuer->conf->name,
                 issuer->record.keys, when);
    publish(issuer, &issuer->record, issuer->stored_text, 0, ptemp);
}

static int elected(const server_rec *s, mcp_issuer_t *issuer, apr_pool_t *ptemp)
{
    if (!issuer->leading && issuer->election && apr_proc_mutex_trylock(issuer->election) == APR_SUCCESS) {
        issuer->leading = 1;
        issuer->thread = apr_os_thread_current();
        mcp_demand_abandoned(&issuer->slot->demand, mcp_clock_monotonic(), issuer->cooldown);
        publish_stored(s, issuer, ptemp);
    }
    return issuer->leading;
}

/* The child may live on for its long answers: another one has to fetch. mod_watchdog may say this from another thread,
 * which must not unlock; then the process ends now, and the mutex is free by that. */
static void resign(mcp_issuer_t *issuer)
{
    if (issuer->leading && apr_os_thread_equal(issuer->thread, apr_os_thread_current())) {
        issuer->leading = 0;
        apr_proc_mutex_unlock(issuer->election);
    }
}

/* Is there something to fetch, now or within a second? Requests wait for what is asked for: mod_watchdog's ticks are too far
 * apart for that. */
static int attempt_wanted(mcp_issuer_t *issuer, int *pdue, apr_pool_t *ptemp)
{
    apr_time_t last = mcp_clock_monotonic() + APR_USEC_PER_SEC;
    int silent;

    while (!(*pdue = follow_now(issuer, &silent, ptemp)) && !mcp_demand_pending(&issuer->slot->demand)) {
        if (mcp_clock_monotonic() > last || stopping(NULL)) {
            return 0;
        }
        apr_sleep(NAP);
    }
    return 1;
}

static apr_status_t tick(int state, void *data, apr_pool_t *ptemp)
{
    mcp_issuer_t *issuer = data;
    int due, silent = 0;

    if (!callback_begin()) {
        return APR_SUCCESS;
    }
    if (state != AP_WATCHDOG_STATE_STOPPING && !stopping(NULL)) {
        follow_now(issuer, &silent, ptemp);
        if (elected(ap_server_conf, issuer, ptemp)) {
            if (attempt_wanted(issuer, &due, ptemp)) {
                attempt(ap_server_conf, issuer, due, ptemp);
            }
        }
        else if (silent) {
            silence_log(ap_server_conf, issuer);
        }
    }
    if (state == AP_WATCHDOG_STATE_STOPPING || stopping(NULL)) {
        resign(issuer);
    }
    return callback_end();
}

/* --- key files ---------------------------------------------------------------------------------------------------- */

/* A file is the administrator's: it is read again when it changes, and what was good serves until something better comes. */
static void file_follow(const server_rec *s, mcp_issuer_t *issuer, apr_pool_t *ptemp)
{
    mcp_keysource_answer_t answer;
    const char *error;

    if (!mcp_keysource_changed(&issuer->source, ptemp)) {
        issuer->file_failures = 0;
        return;
    }
    error = mcp_keysource_fetch(&answer, &issuer->source, NULL, NULL, NULL, NULL, NULL, apr_time_now(), ptemp);
    if (!error) {
        exposed_log(s, issuer, answer.set);
        mcp_keycache_put(issuer->keys, answer.set);
        issuer->file_failures = 0;
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, "MCP0312: issuer %s: key file read again", issuer->conf->name);
    }
    else if (!issuer->file_failures++) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s,
                     "MCP0313: issuer %s: key file not read again, the keys of before stay: %s", issuer->conf->name,
                     error);
    }
}

static apr_status_t file_tick(int state, void *data, apr_pool_t *ptemp)
{
    mcp_issuer_t *issuer = data;

    if (!callback_begin()) {
        return APR_SUCCESS;
    }
    if (state != AP_WATCHDOG_STATE_STOPPING) {
        file_follow(ap_server_conf, issuer, ptemp);
    }
    return callback_end();
}

/* --- start -------------------------------------------------------------------------------------------------------- */

/* Keys of an earlier run of the server, until there are newer ones. */
static void stored_start(const server_rec *s, mcp_issuer_t *issuer, apr_pool_t *p)
{
    mcp_keyset_t *set;
    const char *text;

    if (!mcp_store_read(&issuer->record, &text, issuer, s, p) || mcp_keyset_parse(&set, text, issuer->record.len)) {
        memset(&issuer->record, 0, sizeof(issuer->record));
        return;
    }
    issuer->record.keys = mcp_keyset_count(set);
    issuer->record.skipped = mcp_keyset_skipped(set);
    issuer->stored_text = text;
    issuer->settled = 1;
    mcp_keycache_put(issuer->keys, set);
    mcp_keycache_limit(issuer->keys, mcp_refresh_usable_until(&issuer->record.refresh, &issuer->bounds));
}

apr_status_t mcp_refresh_start(const server_rec *s, apr_pool_t *p)
{
    apr_status_t rv = APR_SUCCESS;
    apr_pool_t *ptemp;
    int i;

    process.closed = process.busy = 0;
    apr_pool_pre_cleanup_register(p, NULL, callbacks_close);
    apr_pool_create(&ptemp, p);
    for (i = 0; i < mcp_issuers_count() && rv == APR_SUCCESS; i++) {
        mcp_issuer_t *issuer = mcp_issuer_at(i);

        rv = apr_thread_mutex_create(&issuer->lock, APR_THREAD_MUTEX_DEFAULT, p);
        if (rv == APR_SUCCESS && issuer->slot) {
            mcp_refresh_follow(issuer, ptemp);
        }
        else if (issuer->source.file) {
            file_follow(s, issuer, ptemp);
        }
        if (issuer->slot && !issuer->serial) {
            stored_start(s, issuer, p);
        }
        apr_pool_clear(ptemp);
    }
    apr_pool_destroy(ptemp);
    return rv;
}

static int watchdog_failed(server_rec *s, const char *name)
{
    ap_log_error(APLOG_MARK, APLOG_STARTUP | APLOG_EMERG, 0, s, "MCP0957: watchdog %s cannot be set up", name);
    return !OK;
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

        if (!issuer->trusted || issuer->keyless) {
            continue;
        }
        if (issuer->initial) {
            exposed_log(s, issuer, issuer->initial);
        }
        if (get(&watchdog, name, 0, 0, pconf) != APR_SUCCESS ||
            reg(watchdog, issuer->source.file ? FILE_TICK : TICK, issuer, issuer->source.file ? file_tick : tick) !=
                APR_SUCCESS) {
            return watchdog_failed(s, name);
        }
    }
    return OK;
}
