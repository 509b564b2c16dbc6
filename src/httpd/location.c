#include "httpd/location.h"

#include <ap_listen.h>

#include <apr_strings.h>
#include <apr_thread_mutex.h>

#include "httpd/authz.h"
#include "httpd/counters.h"
#include "httpd/issuer.h"
#include "policy/metadata.h"

/* Set once per child. */
static struct {
    apr_pool_t *pool;
    apr_thread_mutex_t *lock;
} running;

/* --- resource identifier ---------------------------------------------------------------------------------------- */

/* As httpd reads it: without quotes. */
static const char *argument_of(const ap_directive_t *d, apr_pool_t *p)
{
    const char *args = d->args;

    return ap_getword_conf(p, &args);
}

/* 1 or 0 by the last SSLEngine line, -1 without any. */
static int says_ssl(const ap_directive_t *d, apr_pool_t *p)
{
    int says = -1;

    for (; d; d = d->next) {
        if (!ap_cstr_casecmp(d->directive, "SSLEngine")) {
            says = !ap_cstr_casecmp(argument_of(d, p), "on");
        }
    }
    return says;
}

/* The lines of this server: of its section, or all. */
static const ap_directive_t *lines_of(const server_rec *s)
{
    const ap_directive_t *d = ap_conftree;

    for (; s->is_virtual && d; d = d->next) {
        if (d->first_child && s->defn_name && d->filename && !strcmp(d->filename, s->defn_name) &&
            (unsigned)d->line_num == s->defn_line_number) {
            return d->first_child;
        }
    }
    return d;
}

/* Is there SSLEngine On for this server? mod_ssl itself knows it only after the configuration has been checked. */
static int has_ssl(const server_rec *s, apr_pool_t *p)
{
    int says = says_ssl(lines_of(s), p);

    return says < 0 && s->is_virtual ? says_ssl(ap_conftree, p) == 1 : says == 1;
}

/* Are clients asked for certificates by these lines? -1: they do not say, 0: no, 1: yes, here or in a section of them. Of
 * lines beside each other the last one counts; other hosts do not. */
static int asks_certificates(const ap_directive_t *d, apr_pool_t *p)
{
    int asks = -1, inside = 0;

    for (; d; d = d->next) {
        if (!ap_cstr_casecmp(d->directive, "SSLVerifyClient")) {
            asks = ap_cstr_casecmp(argument_of(d, p), "none") != 0;
        }
        else if (d->first_child && ap_cstr_casecmp(d->directive, "<VirtualHost")) {
            inside |= asks_certificates(d->first_child, p) == 1;
        }
    }
    return inside ? 1 : asks;
}

static int has_certificates(const server_rec *s, apr_pool_t *p)
{
    int asks = has_ssl(s, p) ? asks_certificates(lines_of(s), p) : 0;

    return asks < 0 && s->is_virtual ? asks_certificates(ap_conftree, p) == 1 : asks == 1;
}

/* Of the first Listen line. httpd's list is in another order after a restart; it is for a Listen of the command line. */
static unsigned first_listen_port(apr_pool_t *p)
{
    const ap_directive_t *d;
    char *host, *scope;
    apr_port_t port;

    for (d = ap_conftree; d; d = d->next) {
        if (!ap_cstr_casecmp(d->directive, "Listen") &&
            apr_parse_addr_port(&host, &scope, &port, argument_of(d, p), p) == APR_SUCCESS && port) {
            return port;
        }
    }
    return ap_listeners && ap_listeners->bind_addr ? ap_listeners->bind_addr->port : 0;
}

const char *mcp_location_resource(const char *path, const server_rec *s, apr_pool_t *p)
{
    unsigned port = s->port;
    int https;

    if (!s->server_hostname) {
        return NULL;
    }
    /* A ServerName with a scheme and without a port is what clients see in front of a proxy, not where httpd listens. */
    if (!port && !s->server_scheme) {
        port = s->addrs && s->addrs->host_port ? s->addrs->host_port : first_listen_port(p);
    }
    https = s->server_scheme ? !ap_cstr_casecmp(s->server_scheme, "https") : port == 443 || has_ssl(s, p);
    if (!port || port == (https ? 443u : 80u)) {
        return apr_psprintf(p, "%s://%s%s", https ? "https" : "http", s->server_hostname, path);
    }
    return apr_psprintf(p, "%s://%s:%u%s", https ? "https" : "http", s->server_hostname, port, path);
}

static const char *resource_make(mcp_location_t *location, apr_pool_t *p)
{
    const mcp_dir_t *conf = location->conf;

    location->resource = conf->resource;
    if (!location->resource && conf->owner) {
        location->resource = mcp_location_resource(conf->owner, location->server, p);
    }
    if (!location->resource) {
        return conf->owner ? "there is no ServerName to make a resource identifier of; write McpOAuthResource "
                             "https://HOST/PATH"
                           : "only a plain <Location \"/path\"> has a default resource identifier; write "
                             "McpOAuthResource https://HOST/PATH";
    }
    if (!mcp_url_parse(&location->resource_url, location->resource, p)) {
        return apr_psprintf(p,
                            "the resource identifier '%s', made of ServerName and path, is no URL; write "
                            "McpOAuthResource https://HOST/PATH",
                            location->resource);
    }
    if (strcmp(location->resource_url.scheme, "https") && !location->resource_url.loopback) {
        return apr_psprintf(p,
                            "the resource identifier '%s', made of ServerName and path, is plain http; write "
                            "McpOAuthResource https://HOST/PATH, as clients call it",
                            location->resource);
    }
    location->metadata_path =
        mcp_metadata_path(conf->metadata_path ? conf->metadata_path : "/.well-known/oauth-protected-resource",
                          &location->resource_url, p);
    location->metadata_url = apr_pstrcat(p, location->resource_url.origin, location->metadata_path, NULL);
    return NULL;
}

/* --- issuers ---------------------------------------------------------------------------------------------------- */

static const char *trusts_make(mcp_location_t *location, server_rec *s, int starting, apr_pool_t *p)
{
    const mcp_dir_t *conf = location->conf;
    apr_array_header_t *trusts, *servers, *audiences = conf->audiences;
    int i;

    if (!conf->issuers) {
        return "no issuer is trusted here; write McpOAuthIssuer and the iss of the tokens, such as "
               "https://sso.example.com/realms/mcp";
    }
    if (!audiences) {
        audiences = apr_array_make(p, 1, sizeof(const char *));
        APR_ARRAY_PUSH(audiences, const char *) = location->resource;
    }
    trusts = apr_array_make(p, conf->issuers->nelts, sizeof(const mcp_trust_t *));
    servers = apr_array_make(p, conf->issuers->nelts, sizeof(const char *));
    for (i = 0; i < conf->issuers->nelts; i++) {
        const char *name = APR_ARRAY_IDX(conf->issuers, i, const char *);
        mcp_issuer_t *issuer = starting ? mcp_issuer_obtain(s, name, conf->at) : mcp_issuer_find(s, name);
        mcp_trust_t *trust = apr_pcalloc(p, sizeof(*trust));

        if (starting) {
            issuer->trusted = 1;
        }
        if (!issuer || issuer->error || (!starting && !issuer->keys)) {
            return issuer && issuer->error ? issuer->error
                                           : apr_psprintf(p, "issuer '%s' was not there at start", name);
        }
        trust->issuer = issuer->conf->name;
        trust->audiences = issuer->conf->audiences ? issuer->conf->audiences : audiences;
        trust->hierarchical = conf->hierarchical == 1;
        trust->algs = issuer->conf->algs != MCP_UNSET ? (mcp_algs_t)issuer->conf->algs : MCP_ALGS_DEFAULT;
        trust->types = issuer->conf->types != MCP_UNSET ? issuer->conf->types : MCP_TYPES_DEFAULT;
        trust->skew = issuer->conf->skew != MCP_UNSET ? issuer->conf->skew : apr_time_from_sec(60);
        trust->keys = issuer->keys;
        location->skew = trust->skew > location->skew ? trust->skew : location->skew;
        if (issuer->introspector && location->opaque && strcmp(location->opaque->issuer, trust->issuer)) {
            return apr_psprintf(
                p,
                "'%s' and '%s' both have McpOAuthIntrospection, and a token of one would be sent to the "
                "other, as an opaque token does not say whose it is; write locations of their own",
                location->opaque->issuer, trust->issuer);
        }
        if (issuer->introspector && !location->opaque) { /* named twice, the first one is found */
            location->opaque = trust;
        }
        APR_ARRAY_PUSH(trusts, const mcp_trust_t *) = trust;
        APR_ARRAY_PUSH(servers, const char *) = issuer->authorization_server;
    }
    location->policy.trusts = trusts;
    location->authorization_servers = servers;
    return NULL;
}

/* --- rights ----------------------------------------------------------------------------------------------------- */

static const apr_array_header_t *paths_make(const apr_array_header_t *texts, const char *otherwise, apr_pool_t *p)
{
    int i, n = texts ? texts->nelts : 1;
    apr_array_header_t *paths = apr_array_make(p, n, sizeof(mcp_claim_path_t));

    for (i = 0; i < n; i++) {
        mcp_claim_path_parse(apr_array_push(paths), texts ? APR_ARRAY_IDX(texts, i, const char *) : otherwise, p);
    }
    return paths;
}

static int paths_meet(const apr_array_header_t *a, const apr_array_header_t *b)
{
    int i, j;

    for (i = 0; i < a->nelts; i++) {
        for (j = 0; j < b->nelts; j++) {
            if (!strcmp(APR_ARRAY_IDX(a, i, mcp_claim_path_t).text, APR_ARRAY_IDX(b, j, mcp_claim_path_t).text)) {
                return 1;
            }
        }
    }
    return 0;
}

static void rights_make(mcp_location_t *location, apr_pool_t *p)
{
    const mcp_dir_t *conf = location->conf;
    mcp_policy_t *policy = &location->policy;
    int i, j;

    policy->parties = conf->parties;
    policy->required_scopes = conf->required_scopes;
    policy->required_claims = conf->required_claims;
    policy->acrs = conf->acrs;
    policy->max_auth_age = conf->max_auth_age != MCP_UNSET ? conf->max_auth_age : 0;
    policy->scope_paths = paths_make(conf->scope_paths, "scope", p);
    policy->acl_paths = conf->acl_paths ? paths_make(conf->acl_paths, NULL, p) : policy->scope_paths;
    policy->forwards = conf->forwards;
    mcp_claim_path_parse(&policy->user, conf->remote_user ? conf->remote_user : "sub", p);
    location->acl_reads_scope = paths_meet(policy->scope_paths, policy->acl_paths);

    policy->scopes = mcp_scopes_create(p);
    for (i = 0; conf->required_scopes && i < conf->required_scopes->nelts; i++) {
        mcp_scopes_intern(policy->scopes, APR_ARRAY_IDX(conf->required_scopes, i, const char *));
    }
    policy->conditions = mcp_authz_conditions();
    for (i = 0; conf->implies && policy->conditions && i < policy->conditions->nelts; i++) {
        const mcp_condition_t *condition = &APR_ARRAY_IDX(policy->conditions, i, mcp_condition_t);

        for (j = 0; condition->scopes && j < condition->scopes->nelts; j++) {
            mcp_scopes_intern(policy->scopes, APR_ARRAY_IDX(condition->scopes, j, const char *));
        }
    }
    for (i = 0; conf->implies && i < conf->implies->nelts; i++) {
        const mcp_implies_t *line = &APR_ARRAY_IDX(conf->implies, i, mcp_implies_t);

        mcp_scopes_imply(policy->scopes, line->value, line->implied);
    }
    location->acl_mode = conf->acl != MCP_UNSET ? conf->acl : MCP_ACL_OFF;
    if (location->acl_mode != MCP_ACL_OFF) {
        policy->acl = mcp_acl_create(policy->scopes, p);
        for (i = 0; conf->allows && i < conf->allows->nelts; i++) {
            const mcp_allow_t *line = &APR_ARRAY_IDX(conf->allows, i, mcp_allow_t);

            mcp_acl_allow(policy->acl, line->values, line->operations);
        }
    }
    mcp_scopes_close(policy->scopes, p);
}

static int has_limit(const apr_array_header_t *limits, const mcp_rate_t *rate, const char *operation)
{
    int i;

    for (i = 0; i < limits->nelts; i++) {
        const mcp_limit_t *limit = &APR_ARRAY_IDX(limits, i, mcp_limit_t);

        if (limit->rate.count == rate->count && limit->rate.period == rate->period &&
            !strcmp(limit->operation, operation)) {
            return 1;
        }
    }
    return 0;
}

/* Who has nothing may do what an operation names when it is allowed to anybody: so rules tell what a limit is about. */
static void limits_make(mcp_location_t *location, apr_pool_t *p)
{
    const apr_array_header_t *lines = location->conf->rate_limits;
    mcp_scopes_t *scopes = mcp_scopes_create(p);
    apr_array_header_t *limits, *operation;
    int i, j;

    if (!lines) {
        return;
    }
    limits = apr_array_make(p, 4, sizeof(mcp_limit_t));
    for (i = 0; i < lines->nelts; i++) {
        const mcp_rate_limit_t *line = &APR_ARRAY_IDX(lines, i, mcp_rate_limit_t);

        for (j = 0; j < line->operations->nelts; j++) {
            const char *name = APR_ARRAY_IDX(line->operations, j, const char *);
            mcp_acl_t *acl;
            mcp_limit_t *limit;

            if (has_limit(limits, &line->rate, name)) {
                continue; /* also written around this section: it is one limit */
            }
            acl = mcp_acl_create(scopes, p);
            limit = apr_array_push(limits);
            limit->rate = line->rate;
            limit->text = line->text;
            limit->operation = name;
            operation = apr_array_make(p, 1, sizeof(const char *));
            APR_ARRAY_PUSH(operation, const char *) = limit->operation;
            mcp_acl_allow(acl, "*", operation);
            limit->acl = acl;
        }
    }
    mcp_scopes_close(scopes, p);
    mcp_scopes_collect(&location->nobody, scopes, apr_array_make(p, 1, sizeof(const char *)), p);
    location->limits = limits;
}

/* --- what clients are told -------------------------------------------------------------------------------------- */

/* offline_access asks for a refresh token and is no scope of a resource (MCP Authorization, Refresh Tokens). */
static const apr_array_header_t *advertised(const apr_array_header_t *scopes, apr_pool_t *p)
{
    apr_array_header_t *list;
    int i;

    if (!scopes) {
        return NULL;
    }
    list = apr_array_make(p, scopes->nelts, sizeof(const char *));
    for (i = 0; i < scopes->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(scopes, i, const char *), "offline_access")) {
            APR_ARRAY_PUSH(list, const char *) = APR_ARRAY_IDX(scopes, i, const char *);
        }
    }
    return list->nelts ? list : NULL;
}

static void advice_make(mcp_location_t *location, apr_pool_t *p)
{
    const mcp_dir_t *conf = location->conf;
    const apr_array_header_t *required = advertised(conf->required_scopes, p), *challenge;
    apr_array_header_t *listed = NULL;
    mcp_url_t url;
    int i;

    location->scopes_supported = conf->scopes_supported ? advertised(conf->scopes_supported, p) : required;
    challenge = conf->challenge_scopes ? advertised(conf->challenge_scopes, p)
                : required             ? required
                                       : location->scopes_supported;
    location->challenge_scope = challenge ? apr_array_pstrcat(p, challenge, ' ') : NULL;
    location->required_scope = conf->required_scopes ? apr_array_pstrcat(p, conf->required_scopes, ' ') : NULL;
    location->acr_values = conf->acrs ? apr_array_pstrcat(p, conf->acrs, ' ') : NULL;
    if (conf->max_auth_age != MCP_UNSET) {
        location->max_age = apr_psprintf(p, "%" APR_TIME_T_FMT, apr_time_sec(conf->max_auth_age));
    }

    listed = apr_array_make(p, 4, sizeof(const char *));
    location->origins.listed = listed;
    location->origins.loopback = !conf->origins;
    if (!conf->origins) {
        APR_ARRAY_PUSH(listed, const char *) = location->resource_url.origin;
    }
    for (i = 0; conf->origins && i < conf->origins->nelts; i++) {
        const char *origin = APR_ARRAY_IDX(conf->origins, i, const char *);

        if (!strcmp(origin, "*")) {
            location->origins.any = 1;
        }
        else if (mcp_url_parse_origin(&url, origin, p)) {
            APR_ARRAY_PUSH(listed, const char *) = url.origin;
        }
    }
}

/* --- the whole -------------------------------------------------------------------------------------------------- */

/* Is a limit about something else than every request? */
static int has_operations(const apr_array_header_t *limits)
{
    int i, j;

    for (i = 0; limits && i < limits->nelts; i++) {
        const apr_array_header_t *operations = APR_ARRAY_IDX(limits, i, mcp_rate_limit_t).operations;

        for (j = 0; j < operations->nelts; j++) {
            if (strcmp(APR_ARRAY_IDX(operations, j, const char *), "*")) {
                return 1;
            }
        }
    }
    return 0;
}

const char *mcp_location_contradiction(const mcp_location_t *location, apr_pool_t *p)
{
    const apr_array_header_t *forwards = location->policy.forwards;
    int i;

    if (!location->inspect && location->acl_mode != MCP_ACL_OFF) {
        return "McpOAuthACL needs the bodies that McpOAuthInspect Off leaves unread; write McpOAuthInspect On or "
               "McpOAuthACL Off";
    }
    if (!location->inspect && has_operations(location->conf->rate_limits)) {
        return "McpOAuthRateLimit with operations needs the bodies that McpOAuthInspect Off leaves unread; write "
               "McpOAuthInspect On, or leave the operations out";
    }
    for (i = 0; forwards && i < forwards->nelts; i++) {
        const char *header = APR_ARRAY_IDX(forwards, i, mcp_forward_t).header;

        if (!ap_cstr_casecmp(header, location->token_header)) {
            return apr_psprintf(
                p, "McpOAuthForwardClaim writes %s, the very field that carries the token; write another name", header);
        }
    }
    return NULL;
}

mcp_location_t *mcp_location_make(const mcp_dir_t *conf, server_rec *s, int starting, apr_pool_t *p)
{
    mcp_location_t *location = apr_pcalloc(p, sizeof(*location));

    location->conf = conf;
    location->server = s;
    location->token_header = conf->token_header ? conf->token_header : MCP_TOKEN_HEADER_DEFAULT;
    location->inspect = conf->inspect != 0;
    location->forward_token = conf->forward_token == 1;
    location->max_body = conf->max_body != MCP_UNSET ? conf->max_body : 1024 * 1024;
    location->batch = conf->batch == 1;
    location->filter_lists = conf->filter_lists == 1;
    location->stream_expiry = conf->stream_expiry == 1;
    location->session_binding = conf->session_binding == 1;
    location->dpop = conf->dpop != MCP_UNSET ? conf->dpop : MCP_DPOP_OPTIONAL;
    location->dpop_nonce = conf->dpop_nonce == 1;
    location->max_depth = conf->max_depth != MCP_UNSET ? conf->max_depth : 64;
    if ((location->error = resource_make(location, p)) || (location->error = trusts_make(location, s, starting, p))) {
        return location;
    }
    location->certificates = starting && location->dpop != MCP_DPOP_OFF && has_certificates(s, p);
    rights_make(location, p);
    limits_make(location, p);
    advice_make(location, p);
    location->counter = mcp_counters_index(location->resource);
    location->error = mcp_location_contradiction(location, p);
    location->contradiction = location->error != NULL;
    return location;
}

void mcp_locations_start(apr_pool_t *p)
{
    apr_thread_mutex_create(&running.lock, APR_THREAD_MUTEX_DEFAULT, p);
    apr_pool_create(&running.pool, p); /* its own: only used under the lock */
    apr_pool_tag(running.pool, "mcp_oauth_locations");
}

static const mcp_location_t *location_find(const mcp_location_t *list, const server_rec *s)
{
    while (list && list->server != s) {
        list = list->next;
    }
    return list;
}

const mcp_location_t *mcp_location_of(request_rec *r)
{
    mcp_dir_t *conf = (mcp_dir_t *)mcp_dir_of(r);
    const mcp_location_t *location;
    mcp_location_t *made;

    if (conf->enabled != 1) {
        return NULL;
    }
    if (!conf->stable || !running.pool) {
        return mcp_location_make(conf, r->server, 0, r->pool);
    }
    if ((location = location_find(__atomic_load_n(&conf->locations, __ATOMIC_ACQUIRE), r->server))) {
        return location;
    }
    apr_thread_mutex_lock(running.lock);
    if (!(location = location_find(conf->locations, r->server))) {
        made = mcp_location_make(conf, r->server, 0, running.pool);
        made->stable = 1;
        made->next = conf->locations;
        __atomic_store_n(&conf->locations, made, __ATOMIC_RELEASE);
        location = made;
    }
    apr_thread_mutex_unlock(running.lock);
    return location;
}
