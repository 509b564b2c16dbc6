#include "httpd/access.h"

#include <http_core.h>
#include <http_protocol.h>

#include <apr_strings.h>
#include <openssl/evp.h>

#include "httpd/answer.h"
#include "httpd/await.h"
#include "httpd/counters.h"
#include "httpd/introspect.h"
#include "httpd/proof.h"
#include "token/cache.h"
#include "token/credentials.h"
#include "token/jws.h"

/* Set once per child. */
static struct {
    mcp_cache_t *cache; /* NULL: McpOAuthTokenCacheTTL 0 */
    EVP_MD *sha256;
} running;

static apr_status_t sha256_release(void *unused)
{
    EVP_MD_free(running.sha256);
    running.sha256 = NULL;
    running.cache = NULL;
    return APR_SUCCESS;
}

apr_status_t mcp_access_start(const server_rec *main_server, apr_pool_t *p)
{
    const mcp_server_t *server = mcp_server_of(main_server);
    apr_interval_time_t ttl = server->cache_ttl != MCP_UNSET ? server->cache_ttl : apr_time_from_sec(300);

    running.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    apr_pool_cleanup_register(p, NULL, sha256_release, apr_pool_cleanup_null);
    if (!running.sha256 || !ttl) {
        return running.sha256 ? APR_SUCCESS : APR_EGENERAL;
    }
    return mcp_cache_create(&running.cache, server->cache_size != MCP_UNSET ? server->cache_size : 10000, ttl, p);
}

/* --- token ------------------------------------------------------------------------------------------------------ */

/* The whole token and the policy it is judged by; a compiled location stays where it is as long as the process lives. */
static int cache_key(unsigned char *key, const mcp_location_t *location, const char *token, apr_size_t len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = ctx && EVP_DigestInit_ex2(ctx, running.sha256, NULL) == 1 &&
             EVP_DigestUpdate(ctx, &location, sizeof(location)) == 1 && EVP_DigestUpdate(ctx, token, len) == 1 &&
             EVP_DigestFinal_ex(ctx, key, NULL) == 1;

    EVP_MD_CTX_free(ctx);
    return ok;
}

static apr_status_t grant_release(void *grant)
{
    free(grant);
    return APR_SUCCESS;
}

/* By the issuer whom the token names, with his keys, or, when there are none, by asking him; a token that is no JWS by asking
 * whoever is asked here. *puntil: how long the verdict may be remembered, 0: as long as usual. */
static mcp_status_t token_judge(mcp_token_t **ptoken, apr_time_t *puntil, request_rec *r, mcp_request_t *request,
                                const char *token, apr_size_t len)
{
    const mcp_trust_t *trust = request->location->opaque;
    mcp_issuer_t *issuer;
    mcp_token_lack_t lack;
    mcp_status_t status;

    *puntil = 0;
    if (!trust || mcp_jws_is(token, len, r->pool)) {
        status = mcp_await_verify(ptoken, &lack, r, request, token, len);
        if (status != MCP_KEYS_UNAVAILABLE || request->crowded || !trust || lack.trust != trust) {
            return status;
        }
    }
    issuer = mcp_issuer_find(r->server, trust->issuer);
    return issuer && issuer->introspector ? mcp_introspect(ptoken, puntil, r, request, issuer, trust, token, len)
                                          : MCP_INTERNAL;
}

/* What is granted to the token, whoever sends it: *pgrant, which lives as long as r. */
static mcp_status_t grant_find(const mcp_grant_t **pgrant, request_rec *r, mcp_request_t *request, const char *token,
                               apr_size_t len)
{
    const mcp_location_t *location = request->location;
    unsigned char key[MCP_CACHE_KEY_BYTES];
    int cached = running.cache && location->stable && cache_key(key, location, token, len);
    mcp_cache_entry_t *entry;
    mcp_cache_stats_t stats;
    mcp_token_t *verified;
    mcp_status_t status;
    mcp_grant_t *grant;
    apr_time_t until;

    if (cached) {
        status = mcp_cache_get(&entry, running.cache, key, apr_time_now(), r->pool);
        mcp_counters_lookup(status != MCP_INTERNAL);
        if (status != MCP_INTERNAL) {
            *pgrant = (const mcp_grant_t *)entry;
            return status;
        }
    }
    status = token_judge(&verified, &until, r, request, token, len);
    if (status != MCP_OK) {
        return status;
    }
    if (!(grant = mcp_grant_make(verified, &location->policy, until, r->pool))) {
        return MCP_INTERNAL;
    }
    if (cached && (!until || until > apr_time_now())) {
        mcp_cache_put(&entry, running.cache, key, &grant->entry, apr_time_now(), r->pool);
        grant = (mcp_grant_t *)entry;
        mcp_cache_stats(&stats, running.cache);
        mcp_counters_cache(stats.entries, stats.bytes);
    }
    else {
        apr_pool_cleanup_register(r->pool, grant, grant_release, apr_pool_cleanup_null);
    }
    *pgrant = grant;
    return MCP_OK;
}

/* Until the sender has shown that the token is his, there is nobody whose request it is. */
static mcp_status_t token_check(request_rec *r, mcp_request_t *request, const char *token, apr_size_t len)
{
    const mcp_location_t *location = request->location;
    const mcp_grant_t *grant;
    mcp_status_t status = grant_find(&grant, r, request, token, len);

    if (status == MCP_OK) {
        status = mcp_proof_check(r, request, grant, token, len);
    }
    if (status != MCP_OK) {
        return status;
    }
    request->grant = grant;
    return mcp_grant_judge(grant, &location->policy, location->skew, apr_time_now());
}

/* A token in the query is no credential here, but CustomLog writes the request line, also those of the requests that an
 * internal redirect came from. */
static void query_redact(request_rec *r)
{
    static const char redacted[] = "access_token=[redacted]";

    for (; r; r = r->prev) {
        const char *path = r->the_request ? ap_strchr_c(r->the_request, '?') : NULL;
        const char *rest = path ? ap_strrchr_c(path, ' ') : NULL;

        if (path) {
            r->the_request = apr_psprintf(r->pool, "%.*s?%s%s", (int)(path - r->the_request), r->the_request, redacted,
                                          rest ? rest : "");
        }
        if (r->args) {
            r->args = apr_pstrdup(r->pool, redacted);
            r->parsed_uri.query = r->args;
            r->unparsed_uri = apr_pstrcat(r->pool, r->uri, "?", redacted, NULL);
        }
    }
}

/* --- order of checks -------------------------------------------------------------------------------------------- */

static int verb_known(const request_rec *r)
{
    return r->method_number == M_POST || r->method_number == M_GET || r->method_number == M_DELETE ||
           r->method_number == M_OPTIONS;
}

static mcp_status_t judge(request_rec *r, mcp_request_t *request)
{
    const mcp_location_t *location = request->location;
    const char *origin = apr_table_get(r->headers_in, "Origin"), *token;
    mcp_status_t status;
    apr_size_t len;

    if (mcp_credentials_in_query(r->args)) {
        query_redact(r);
    }
    if (location->error) {
        return MCP_CONFIG_CONFLICT;
    }
    if (origin && mcp_origin_allowed(&location->origins, origin, r->pool)) {
        request->origin = origin;
    }
    if (!verb_known(r)) {
        return MCP_VERB_FORBIDDEN;
    }
    if (origin && !request->origin) {
        return MCP_ORIGIN_FORBIDDEN;
    }
    if (r->method_number == M_OPTIONS) {
        return MCP_PREFLIGHT;
    }
    status = mcp_credentials_find(&token, &len, &request->scheme, apr_table_get(r->headers_in, location->token_header),
                                  ap_cstr_casecmp(location->token_header, MCP_TOKEN_HEADER_DEFAULT) != 0,
                                  location->dpop != MCP_DPOP_OFF, r->args);
    return status == MCP_OK ? token_check(r, request, token, len) : status;
}

mcp_request_t *mcp_access_verdict(request_rec *r, const mcp_location_t *location)
{
    mcp_request_t *request = mcp_request_inherited(r, location), *mine;

    if (request && request == mcp_request_of(r)) {
        return request;
    }
    mine = mcp_request_create(r, location);
    if (request && request->grant && request->status == MCP_OK) {
        mine->grant = request->grant; /* the same policy and the same caller: only the operation is another one */
        mine->origin = request->origin;
        mine->scheme = request->scheme;
        mine->session_judged = request->session_judged;
        mine->limited = request->limited;
        mine->counted = request->counted;
        mine->status = !verb_known(r) ? MCP_VERB_FORBIDDEN : r->method_number == M_OPTIONS ? MCP_PREFLIGHT : MCP_OK;
    }
    else {
        mine->status = judge(r, mine);
    }
    if (mine->grant) {
        mcp_request_export_grant(r, mine);
    }
    return mine;
}

int mcp_access_checker(request_rec *r)
{
    const mcp_location_t *location = mcp_location_of(r);
    mcp_request_t *request;

    if (!location) {
        return DECLINED;
    }
    r->no_cache = 1; /* mod_cache answers before any access checker, so nothing of ours may get into it */
    request = mcp_access_verdict(r, location);
    return request->status == MCP_OK ? DECLINED : mcp_answer(r, request);
}
