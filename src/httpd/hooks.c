#include "httpd/hooks.h"

#include <http_core.h>
#include <http_log.h>
#include <http_protocol.h>
#include <http_request.h>
#include <mod_status.h>

#include <openssl/crypto.h>
#include <unistd.h>

#include "base/json.h"
#include "httpd/access.h"
#include "httpd/answer.h"
#include "httpd/authz.h"
#include "httpd/await.h"
#include "httpd/check.h"
#include "httpd/counters.h"
#include "httpd/courier.h"
#include "httpd/dump.h"
#include "httpd/gate.h"
#include "httpd/introspect.h"
#include "httpd/issuer.h"
#include "httpd/limit.h"
#include "httpd/listing.h"
#include "httpd/metadata.h"
#include "httpd/proof.h"
#include "httpd/refresh.h"
#include "httpd/session.h"
#include "httpd/share.h"
#include "httpd/socache.h"
#include "httpd/status.h"
#include "httpd/store.h"
#include "httpd/stream.h"

APLOG_USE_MODULE(mcp_oauth);

static int pre_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp)
{
    mcp_config_reset();
    mcp_remarks_reset(pconf);
    mcp_issuers_reset(pconf);
    mcp_counters_reset();
    mcp_limit_reset();
    mcp_authz_reset(pconf);
    return mcp_share_pre_config(pconf) == OK && mcp_socache_pre_config(pconf) == OK ? OK : !OK;
}

static int post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *s)
{
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK; /* the dry run */
    }
    mcp_remarks_log();
    if (mcp_share_post_config(pconf, s) != OK || mcp_session_post_config(s) != OK || mcp_proof_post_config(s) != OK ||
        mcp_counters_post_config(pconf, s) != OK || mcp_limit_post_config(s) != OK ||
        mcp_socache_post_config(pconf, ptemp, s) != OK) {
        return !OK;
    }
    mcp_store_post_config(pconf, s);
    return mcp_refresh_post_config(pconf, s);
}

/* A child that cannot set itself up must not serve: without locks or digests nothing it says could be trusted. */
static void child_init(apr_pool_t *p, server_rec *s)
{
    apr_status_t rv;

    mcp_json_init();
    rv = mcp_issuers_start(p);
    mcp_share_start(s, p);
    if (rv == APR_SUCCESS) {
        rv = mcp_refresh_start(s, p);
    }
    if (rv == APR_SUCCESS) {
        rv = mcp_access_start(s, p);
    }
    if (rv == APR_SUCCESS) {
        rv = mcp_introspect_start(p);
    }
    if (rv == APR_SUCCESS) {
        rv = mcp_courier_start(p);
    }
    mcp_socache_start(s, p);
    if (rv != APR_SUCCESS) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, rv, s, "MCP0903: process cannot be set up, it ends");
        exit(APEXIT_CHILDFATAL);
    }
    mcp_request_start();
    mcp_counters_start();
    mcp_authz_start();
    mcp_await_start();
    mcp_locations_start(p);
    mcp_config_run(p);
}

void mcp_hooks_register(apr_pool_t *p)
{
    static const char *const watchdog[] = { "mod_watchdog.c", NULL };
    static const char *const proxy[] = { "mod_proxy.c", NULL };
    static const char *const headers[] = { "mod_headers.c", NULL };
    static const char *const ssl[] = { "mod_ssl.c", NULL }; /* it may ask for a certificate in this phase */

    /* A process that ends does not wait for its threads, and OpenSSL's cleanup at its end would free what they free themselves:
     * the child dies of it. Only who comes first may say so; the system takes the memory back anyway. */
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);

    mcp_answer_register();
    mcp_gate_register();
    mcp_listing_register();
    mcp_stream_register();
    mcp_authz_register(p);
    ap_hook_pre_config(pre_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_check_config(mcp_check_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_test_config(mcp_dump, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_post_config(post_config, NULL, watchdog, APR_HOOK_MIDDLE);
    ap_hook_child_init(child_init, NULL, watchdog, APR_HOOK_FIRST);

    ap_hook_quick_handler(mcp_metadata_handler, NULL, NULL, APR_HOOK_REALLY_FIRST);
    ap_hook_check_access(mcp_access_checker, ssl, NULL, APR_HOOK_MIDDLE, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_insert_filter(mcp_gate_insert, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_insert_error_filter(mcp_answer_insert, NULL, headers, APR_HOOK_FIRST);
    ap_hook_insert_error_filter(mcp_gate_insert_error, NULL, headers, APR_HOOK_FIRST);
    ap_hook_handler(mcp_gate_handler, NULL, proxy, APR_HOOK_REALLY_FIRST);
    ap_hook_handler(mcp_status_handler, NULL, NULL, APR_HOOK_MIDDLE);
    APR_OPTIONAL_HOOK(ap, status_hook, mcp_status_section, NULL, NULL, APR_HOOK_MIDDLE);
}
