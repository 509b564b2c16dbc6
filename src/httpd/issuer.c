#include "httpd/issuer.h"

#include <apr_strings.h>

#include "net/url.h"
#include "token/token.h"

/* Written while the configuration is checked, read-only afterwards (but for what the header says of a child). */
static struct {
    apr_pool_t *pool;
    apr_hash_t *defaults;        /* name -> mcp_issuer_conf_t of those without a section */
    apr_array_header_t *issuers; /* mcp_issuer_t * */
} known;

void mcp_issuers_reset(apr_pool_t *pconf)
{
    known.pool = pconf;
    known.defaults = apr_hash_make(pconf);
    known.issuers = apr_array_make(pconf, 4, sizeof(mcp_issuer_t *));
}

int mcp_issuers_count(void)
{
    return known.issuers ? known.issuers->nelts : 0;
}

mcp_issuer_t *mcp_issuer_at(int i)
{
    return APR_ARRAY_IDX(known.issuers, i, mcp_issuer_t *);
}

/* Is it a URL that may be called: https, or http where that is allowed? */
static int url_may_call(const char *text, int allow_http, mcp_url_t *url, apr_pool_t *p)
{
    return mcp_url_parse(url, text, p) && !url->fragment &&
           (!strcmp(url->scheme, "https") || url->loopback || allow_http);
}

static const char *file_read(mcp_issuer_t *issuer, apr_pool_t *p)
{
    mcp_keysource_answer_t answer;
    const char *error = mcp_keysource_fetch(&answer, &issuer->source, NULL, NULL, NULL, NULL, NULL, apr_time_now(), p);

    issuer->initial = answer.set;
    return error ? apr_psprintf(p, "McpOAuthJwks %s: %s; write the path of a readable JWK Set (RFC 7517)",
                                issuer->conf->jwks, error)
                 : NULL;
}

/* An absolute URL as it is, a path behind that of the authorization server; NULL and in *perror why it must not be called. */
static const char *url_make(const char **perror, const mcp_issuer_t *issuer, const char *directive, const char *text,
                            apr_pool_t *p)
{
    const char *absolute = text;
    mcp_url_t url;

    *perror = NULL;
    if (!strstr(text, "://")) {
        absolute = mcp_url_join(issuer->authorization_server, text, p);
    }
    if (!url_may_call(absolute, issuer->source.allow_http, &url, p)) {
        *perror = apr_psprintf(p,
                               "%s %s is not https; write an https URL (http is for loopback hosts, or with "
                               "McpOAuthAllowHTTP On)",
                               directive, absolute);
    }
    return absolute;
}

/* Works out the key source; NULL or what is wrong. */
static const char *source_make(mcp_issuer_t *issuer, int is_url, apr_pool_t *p)
{
    const mcp_issuer_conf_t *conf = issuer->conf;
    mcp_keysource_t *source = &issuer->source;
    const char *error;

    if (conf->jwks && !strcasecmp(conf->jwks, "none")) {
        issuer->keyless = 1;
        return conf->introspection
                   ? NULL
                   : "McpOAuthJwks none leaves no way to judge a token; write McpOAuthIntrospection beside it";
    }
    if (!conf->jwks) {
        return is_url ? NULL
                      : apr_psprintf(p,
                                     "issuer '%s' is no URL, so its keys cannot be discovered; write McpOAuthJwks in "
                                     "<McpOAuthIssuer \"%s\">",
                                     conf->name, conf->name);
    }
    if (!strncmp(conf->jwks, "file:", 5)) {
        source->file = conf->jwks + 5;
        return file_read(issuer, p);
    }
    source->url = url_make(&error, issuer, "McpOAuthJwks", conf->jwks, p);
    return error;
}

/* Works out whom to ask about tokens, and as whom; NULL or what is wrong. */
static const char *introspector_make(mcp_issuer_t *issuer, int is_url, apr_pool_t *p)
{
    const mcp_issuer_conf_t *conf = issuer->conf;
    mcp_introspector_t *introspector;
    const char *error = NULL, *how;

    if (!conf->introspection) {
        return conf->introspection_signed == 1
                   ? "McpOAuthIntrospectionSigned has no effect without McpOAuthIntrospection; write that, too"
                   : NULL;
    }
    if (!conf->client_id || !conf->client_secret) {
        return apr_psprintf(p,
                            "McpOAuthIntrospection needs the credentials of this server at the authorization server; "
                            "write %s",
                            conf->client_id ? "McpOAuthClientSecret file:/path or env:NAME" : "McpOAuthClientId");
    }
    if (issuer->keyless && conf->introspection_signed == 1) {
        return "McpOAuthIntrospectionSigned needs keys to verify answers with, and McpOAuthJwks none says that there "
               "are none; leave one of the two out";
    }
    issuer->endpoint.auth = conf->introspection_auth != MCP_UNSET ? conf->introspection_auth : MCP_CLIENT_AUTH_AUTO;
    if (strcasecmp(conf->introspection, "auto")) {
        issuer->endpoint.url = url_make(&error, issuer, "McpOAuthIntrospection", conf->introspection, p);
    }
    else if (!is_url) {
        error = apr_psprintf(p,
                             "issuer '%s' is no URL, so its introspection endpoint cannot be discovered; write "
                             "McpOAuthIntrospection https://...",
                             conf->name);
    }
    introspector = apr_pcalloc(p, sizeof(*introspector));
    introspector->client_id = conf->client_id;
    introspector->secret = conf->client_secret->data;
    introspector->is_signed = conf->introspection_signed == 1;
    introspector->proxy = conf->proxy;
    introspector->ca_file = conf->ca_file;
    introspector->allow_http = issuer->source.allow_http;
    introspector->timeout = issuer->source.timeout;
    issuer->introspector = introspector;
    issuer->introspection_ttl = conf->introspection_ttl != MCP_UNSET ? conf->introspection_ttl : apr_time_from_sec(60);
    /* Answers that were not signed must not pass for signed ones, nor those of one who is trusted otherwise. */
    how = apr_psprintf(p, "%s\n%s\n%x\n%s\n%s\n%s\n%d", issuer->endpoint.url ? issuer->endpoint.url : "auto",
                       introspector->is_signed ? "signed" : "plain", introspector->is_signed ? (unsigned)conf->algs : 0,
                       introspector->is_signed && conf->jwks ? conf->jwks : "", conf->ca_file ? conf->ca_file : "",
                       conf->proxy ? conf->proxy : "", introspector->allow_http);
    if (!error && !mcp_seal_key(issuer->seal_key, introspector->secret, conf->name, how, introspector->client_id)) {
        error = "HKDF is not to be had from OpenSSL";
    }
    return error;
}

/* Where calls go: how, and for how long. */
static void calls_make(mcp_issuer_t *issuer)
{
    const mcp_issuer_conf_t *conf = issuer->conf;
    mcp_keysource_t *source = &issuer->source;

    source->issuer = conf->name;
    source->proxy = conf->proxy;
    source->ca_file = conf->ca_file;
    source->allow_http = conf->allow_http == 1;
    source->timeout = conf->timeout != MCP_UNSET ? conf->timeout : apr_time_from_sec(10);
}

static const char *issuer_check(mcp_issuer_t *issuer, apr_pool_t *p)
{
    const mcp_issuer_conf_t *conf = issuer->conf;
    int allow_http = conf->allow_http == 1, is_url;
    const char *error;
    mcp_url_t url;

    is_url = mcp_url_parse(&url, conf->name, p);
    if (is_url && (url.query || url.fragment)) {
        return apr_psprintf(p, "issuer '%s' has a query or a fragment (RFC 8414 section 2); write the exact iss value",
                            conf->name);
    }
    if (is_url && strcmp(url.scheme, "https") && !url.loopback && !allow_http) {
        return apr_psprintf(p,
                            "issuer '%s' is plain http; write an https issuer (http is for loopback hosts, or with "
                            "McpOAuthAllowHTTP On in <McpOAuthIssuer \"%s\">)",
                            conf->name, conf->name);
    }
    if (!is_url && !conf->authorization_server) {
        return apr_psprintf(p,
                            "issuer '%s' is no http or https URL; write the exact iss of the tokens, and if that is no "
                            "URL, McpOAuthAuthorizationServer in <McpOAuthIssuer \"%s\">",
                            conf->name, conf->name);
    }
    issuer->authorization_server = conf->authorization_server ? conf->authorization_server : conf->name;
    if (!url_may_call(issuer->authorization_server, allow_http, &url, p)) {
        return apr_psprintf(p, "McpOAuthAuthorizationServer %s is not https; write an https URL",
                            issuer->authorization_server);
    }
    issuer->bounds.min = conf->refresh_min != MCP_UNSET ? conf->refresh_min : apr_time_from_sec(300);
    issuer->bounds.max = conf->refresh_max != MCP_UNSET ? conf->refresh_max : apr_time_from_sec(3600);
    issuer->cooldown = conf->cooldown != MCP_UNSET ? conf->cooldown : apr_time_from_sec(30);
    issuer->bounds.max_stale = conf->max_stale != MCP_UNSET ? conf->max_stale : apr_time_from_sec(86400);
    calls_make(issuer);
    error = source_make(issuer, is_url, p);
    return error ? error : introspector_make(issuer, is_url, p);
}

static mcp_issuer_t *issuer_of(const mcp_issuer_conf_t *conf)
{
    int i;

    for (i = 0; conf && i < mcp_issuers_count(); i++) {
        if (mcp_issuer_at(i)->conf == conf) {
            return mcp_issuer_at(i);
        }
    }
    return NULL;
}

static mcp_issuer_conf_t *conf_of(const server_rec *s, const char *name)
{
    mcp_issuer_conf_t *conf = apr_hash_get(mcp_server_of(s)->issuers, name, APR_HASH_KEY_STRING);

    return conf ? conf : apr_hash_get(known.defaults, name, APR_HASH_KEY_STRING);
}

static apr_status_t initial_release(void *data)
{
    mcp_issuer_t *issuer = data;

    mcp_keyset_release(issuer->initial);
    issuer->initial = NULL;
    return APR_SUCCESS;
}

mcp_issuer_t *mcp_issuer_obtain(server_rec *s, const char *name, const ap_directive_t *at)
{
    mcp_issuer_conf_t *conf = conf_of(s, name);
    mcp_issuer_t *issuer = issuer_of(conf);

    if (issuer) {
        return issuer;
    }
    if (!conf) {
        conf = mcp_issuer_conf_create(name, at, known.pool);
        apr_hash_set(known.defaults, name, APR_HASH_KEY_STRING, conf);
    }
    issuer = apr_pcalloc(known.pool, sizeof(*issuer));
    issuer->conf = conf;
    issuer->error = issuer_check(issuer, known.pool);
    issuer->identity = mcp_keysource_identity(&issuer->source, known.pool);
    if (!issuer->error && !issuer->identity) {
        issuer->error = "SHA-256 is not to be had from OpenSSL";
    }
    apr_pool_cleanup_register(known.pool, issuer, initial_release, apr_pool_cleanup_null);
    APR_ARRAY_PUSH(known.issuers, mcp_issuer_t *) = issuer;
    return issuer;
}

mcp_issuer_t *mcp_issuer_find(const server_rec *s, const char *name)
{
    return issuer_of(conf_of(s, name));
}

apr_status_t mcp_issuers_start(apr_pool_t *p)
{
    apr_status_t rv;
    int i;

    for (i = 0; i < mcp_issuers_count(); i++) {
        mcp_issuer_t *issuer = mcp_issuer_at(i);

        if ((rv = mcp_keycache_create(&issuer->keys, p)) != APR_SUCCESS) {
            return rv;
        }
        if (issuer->initial) {
            mcp_keycache_put(issuer->keys, mcp_keyset_retain(issuer->initial));
        }
    }
    return APR_SUCCESS;
}
