#include "httpd/store.h"

#include <http_core.h>
#include <http_log.h>
#include <unixd.h>

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "keys/keystore.h"

APLOG_USE_MODULE(mcp_oauth);

#define DEFAULT_DIR "mcp_oauth"

/* dir is NULL when there is no usable store. */
static mcp_keystore_t store;

/* Whom httpd's children run as. */
static uid_t children_user(void)
{
    return geteuid() == 0 ? ap_unixd_config.user_id : geteuid();
}

void mcp_store_post_config(apr_pool_t *pconf, server_rec *s)
{
    const char *dir = mcp_server_of(s)->key_store, *reason;

    store.dir = NULL;
    if (!mcp_share_waiters()) {
        return; /* nothing is fetched */
    }
    store.dir = dir ? dir : ap_runtime_dir_relative(pconf, DEFAULT_DIR);
    store.user = children_user();
    reason = store.dir ? mcp_keystore_prepare(&store, pconf) : "no path for it";
    if (reason) {
        ap_log_error(
            APLOG_MARK, APLOG_WARNING, 0, s,
            "MCP0318: McpOAuthKeyStore not used: %s; keys will not outlast a full restart; name a directory that "
            "only root or httpd's user can write to, inside one that exists",
            reason);
        store.dir = NULL;
    }
}

/* Times of the wall clock as of this machine's monotonic one. */
static void record_restore(mcp_keyrecord_t *record, const mcp_keystore_entry_t *entry, const mcp_refresh_conf_t *bounds)
{
    apr_time_t now = mcp_clock_monotonic(), wall = apr_time_now();

    memset(record, 0, sizeof(*record));
    mcp_refresh_restored(&record->refresh, now - (wall - entry->loaded_wall), now - (wall - entry->refresh_wall), now);
    mcp_refresh_rebound(&record->refresh, bounds, now);
    record->told = MCP_REFRESH_STALE; /* so that the first good answer is news */
    record->version = 1;
    record->len = (apr_uint32_t)entry->len;
    record->loaded_wall = entry->loaded_wall;
    record->refresh_wall = entry->refresh_wall;
    mcp_keyrecord_set_source(record, entry->url, entry->etag);
}

int mcp_store_read(mcp_keyrecord_t *record, const char **ptext, mcp_issuer_t *issuer, const server_rec *s,
                   apr_pool_t *p)
{
    mcp_keystore_entry_t *entry = NULL;
    const char *reason;

    if (!store.dir) {
        return 0;
    }
    reason = mcp_keystore_read(&entry, &store, issuer->identity, issuer->conf->name, apr_time_now(), p);
    if (reason && !__atomic_exchange_n(&issuer->slot->complaint, 1, __ATOMIC_RELAXED)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, "MCP0316: issuer %s: keys of McpOAuthKeyStore ignored: %s",
                     issuer->conf->name, reason);
    }
    if (!entry) {
        return 0;
    }
    record_restore(record, entry, &issuer->bounds);
    *ptext = entry->text;
    return record->refresh.refresh_at + issuer->bounds.max_stale > mcp_clock_monotonic();
}

void mcp_store_write(mcp_issuer_t *issuer, const mcp_keyrecord_t *record, const char *text, const server_rec *s,
                     apr_pool_t *ptemp)
{
    mcp_keystore_entry_t entry = { .identity = issuer->identity,
                                   .issuer = issuer->conf->name,
                                   .url = record->url[0] ? record->url : NULL,
                                   .etag = record->etag[0] ? record->etag : NULL,
                                   .loaded_wall = record->loaded_wall,
                                   .refresh_wall = record->refresh_wall,
                                   .text = text,
                                   .len = record->len };
    const char *reason = store.dir ? mcp_keystore_write(&store, &entry, ptemp) : NULL;

    if (reason && !issuer->store_failed) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, s, "MCP0317: issuer %s: keys not written to McpOAuthKeyStore: %s",
                     issuer->conf->name, reason);
    }
    issuer->store_failed = reason != NULL;
}
