/* The command table and the setters of <Location>: each checks what can be seen on its own line, and says what to write
 * instead. */
#include "httpd/setter.h"

#include <http_core.h>

#include <apr_lib.h>

#include "base/json.h"
#include "base/limits.h"
#include "httpd/check.h"
#include "httpd/compat.h"
#include "net/url.h"
#include "policy/metadata.h"
#include "policy/policy.h"

static const char *scopes_check(cmd_parms *cmd, int argc, char *const argv[])
{
    int i;

    ARGS(1, "at least one scope");
    for (i = 0; i < argc; i++) {
        if (!mcp_scope_valid(argv[i])) {
            FAIL("%s '%s' is not a scope: no spaces, quotes, backslashes or bytes beyond ASCII; write one argument per "
                 "scope",
                 NAME, argv[i]);
        }
    }
    return NULL;
}

static const char *paths_check(cmd_parms *cmd, int argc, char *const argv[])
{
    mcp_claim_path_t path;
    int i;

    for (i = 0; i < argc; i++) {
        if (!mcp_claim_path_parse(&path, argv[i], cmd->temp_pool)) {
            FAIL("%s '%s' is not a claim path; write names with dots between, such as realm_access.roles, and \\. for "
                 "a dot in a name",
                 NAME, argv[i]);
        }
    }
    return NULL;
}

/* A plain <Location> whose path no request has after httpd has normalized it protects nothing. */
static const char *location_check(cmd_parms *cmd)
{
    char *normal = apr_pstrdup(cmd->pool, cmd->path);
    apr_size_t len = strlen(cmd->path);

    if (*cmd->path != '/' || strpbrk(cmd->path, "?%#") || !mcp_path_normalize(normal) || strcmp(normal, cmd->path)) {
        FAIL("%s: <Location \"%s\"> never matches: httpd decodes and normalizes paths first; write one like \"/mcp\"",
             NAME, cmd->path);
    }
    if (len > 1 && cmd->path[len - 1] == '/') {
        mcp_remark(cmd->server, "MCP0958", cmd->directive,
                   apr_psprintf(cmd->pool, "<Location \"%s\"> leaves \"%.*s\" itself open; write it without the slash",
                                cmd->path, (int)len - 1, cmd->path));
    }
    return NULL;
}

static const char *set_enabled(cmd_parms *cmd, void *v, int on)
{
    mcp_dir_t *dir = v;
    const ap_directive_t *in = cmd->directive->parent;
    const char *error;

    PLACE(MCP_IN_LOCATION);
    dir->enabled = on;
    dir->at = cmd->directive;
    /* Only a plain <Location> has a path that a resource identifier can be made of. */
    if (on && in && !ap_cstr_casecmp(in->directive, "<Location") && *in->args != '~' && !strpbrk(cmd->path, "*?[")) {
        if ((error = location_check(cmd))) {
            return error;
        }
        dir->owner = cmd->path;
    }
    return NULL;
}

static const char *set_issuers(cmd_parms *cmd, void *v, int argc, char *const argv[])
{
    mcp_dir_t *dir = v;

    PLACE(MCP_IN_DIR);
    ARGS(1, "the issuer of the tokens, such as https://sso.example.com/realms/mcp");
    dir->issuers = mcp_setter_list(cmd, dir->issuers, argc, argv);
    return NULL;
}

static const char *set_resource(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;
    mcp_url_t url;

    PLACE(MCP_IN_DIR);
    if (!mcp_url_parse(&url, arg, cmd->pool)) {
        FAIL("%s '%s' is not an absolute URL; write the URL that clients call, such as https://mcp.example.com/mcp",
             NAME, arg);
    }
    if (url.fragment || url.query) {
        FAIL("%s '%s' must have no %s (RFC 8707, RFC 9728); leave it out", NAME, arg,
             url.fragment ? "fragment" : "query");
    }
    if (strcmp(url.scheme, "https") && !url.loopback) {
        FAIL("%s '%s' must be https; plain http is for loopback hosts only", NAME, arg);
    }
    dir->resource = arg;
    return NULL;
}

static const char *set_audiences(cmd_parms *cmd, void *v, int argc, char *const argv[])
{
    mcp_dir_t *dir = v;

    PLACE(MCP_IN_DIR | MCP_IN_ISSUER);
    ARGS(1, "the aud value that tokens for this resource carry");
    if (dir->section) {
        dir->section->audiences = mcp_setter_list(cmd, dir->section->audiences, argc, argv);
    }
    else {
        dir->audiences = mcp_setter_list(cmd, dir->audiences, argc, argv);
    }
    return NULL;
}

static const char *set_audience_match(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;

    PLACE(MCP_IN_DIR);
    if (!strcasecmp(arg, "exact")) {
        dir->hierarchical = 0;
    }
    else if (!strcasecmp(arg, "hierarchical")) {
        dir->hierarchical = 1;
    }
    else {
        FAIL("%s '%s' is unknown; write exact or hierarchical", NAME, arg);
    }
    return NULL;
}

static const char *set_list(cmd_parms *cmd, void *v, int argc, char *const argv[])
{
    mcp_dir_t *dir = v;
    apr_array_header_t **list = (apr_array_header_t **)((char *)v + (apr_size_t)cmd->info);

    PLACE(MCP_IN_DIR);
    ARGS(1, "at least one value");
    *list = mcp_setter_list(cmd, *list, argc, argv);
    return NULL;
}

static const char *set_scopes(cmd_parms *cmd, void *v, int argc, char *const argv[])
{
    mcp_dir_t *dir = v;
    const char *error;

    PLACE(MCP_IN_DIR);
    error = scopes_check(cmd, argc, argv);
    return error ? error : set_list(cmd, v, argc, argv);
}

static const char *set_claim_paths(cmd_parms *cmd, void *v, int argc, char *const argv[])
{
    mcp_dir_t *dir = v;
    const char *error;

    PLACE(MCP_IN_DIR);
    ARGS(1, "a claim path such as scope, scp or realm_access.roles");
    error = paths_check(cmd, argc, argv);
    return error ? error : set_list(cmd, v, argc, argv);
}

static const char *set_required_claim(cmd_parms *cmd, void *v, int argc, char *const argv[])
{
    mcp_dir_t *dir = v;
    mcp_requirement_t *requirement;
    const char *error;

    PLACE(MCP_IN_DIR);
    ARGS(2, "a claim path and at least one value");
    if ((error = paths_check(cmd, 1, argv))) {
        return error;
    }
    if (!dir->required_claims) {
        dir->required_claims = apr_array_make(cmd->pool, 2, sizeof(mcp_requirement_t));
    }
    requirement = apr_array_push(dir->required_claims);
    mcp_claim_path_parse(&requirement->path, argv[0], cmd->pool);
    requirement->values = mcp_setter_list(cmd, NULL, argc - 1, argv + 1);
    return NULL;
}

static apr_status_t json_release(void *json)
{
    json_decref(json);
    return APR_SUCCESS;
}

static const char *set_metadata(cmd_parms *cmd, void *v, const char *name, const char *text)
{
    mcp_dir_t *dir = v;
    const char *error = mcp_metadata_check_name(name);
    mcp_member_t *member;
    json_t *value;

    PLACE(MCP_IN_DIR);
    if (error) {
        FAIL("%s '%s': %s", NAME, name, error);
    }
    if (mcp_json_parse(&value, text, strlen(text), MCP_LIMIT_DOC_DEPTH, cmd->pool) != MCP_OK) {
        value = json_string(text);
        if (!value) {
            FAIL("%s %s: the value is not UTF-8", NAME, name);
        }
        apr_pool_cleanup_register(cmd->pool, value, json_release, apr_pool_cleanup_null);
    }
    if (!dir->metadata) {
        dir->metadata = apr_array_make(cmd->pool, 4, sizeof(mcp_member_t));
    }
    member = apr_array_push(dir->metadata);
    member->name = name;
    member->value = value;
    return NULL;
}

static const char *set_metadata_path(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;
    char *normal = apr_pstrdup(cmd->temp_pool, arg);

    PLACE(MCP_IN_DIR);
    if (*arg != '/' || !arg[1] || arg[strlen(arg) - 1] == '/' || strpbrk(arg, "?#%\\\" ") || !mcp_setter_clean(arg) ||
        !mcp_path_normalize(normal) || strcmp(normal, arg)) {
        FAIL("%s '%s' is not a plain absolute path; write one such as /.well-known/oauth-protected-resource", NAME,
             arg);
    }
    dir->metadata_path = arg;
    return NULL;
}

/* Header fields that frame the message or steer httpd: neither a token nor a claim may stand in them. */
static const char *header_check(cmd_parms *cmd, const char *name)
{
    static const char *const framing[] = { "Host",
                                           "Connection",
                                           "Content-Length",
                                           "Content-Type",
                                           "Content-Encoding",
                                           "Transfer-Encoding",
                                           "TE",
                                           "Trailer",
                                           "Upgrade",
                                           "Expect",
                                           "Keep-Alive",
                                           "Proxy-Connection",
                                           "Origin",
                                           "DPoP",
                                           "WWW-Authenticate",
                                           "Range",
                                           "Mcp-Session-Id",
                                           "Mcp-Method",
                                           "Mcp-Name",
                                           "MCP-Protocol-Version" };
    apr_size_t i;

    for (i = 0; name[i]; i++) {
        if (!apr_isalnum(name[i]) && !strchr("!#$&'*+-.^_`|~", name[i])) {
            FAIL("%s '%s' is not the name of a header field; write one such as X-Mcp-User", NAME, name);
        }
    }
    if (!i) {
        FAIL("%s needs the name of a header field, such as X-Mcp-User", NAME);
    }
    for (i = 0; i < sizeof(framing) / sizeof(*framing); i++) {
        if (!ap_cstr_casecmp(name, framing[i])) {
            FAIL("%s cannot use %s: that field has a meaning of its own; write another name", NAME, name);
        }
    }
    return NULL;
}

static const char *set_token_header(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;
    const char *error;

    PLACE(MCP_IN_DIR);
    if ((error = header_check(cmd, arg))) {
        return error;
    }
    dir->token_header = arg;
    return NULL;
}

static const char *set_forward_claim(cmd_parms *cmd, void *v, const char *path, const char *header)
{
    mcp_dir_t *dir = v;
    mcp_forward_t *forward;
    const char *error;
    char *argv[] = { (char *)path };

    PLACE(MCP_IN_DIR);
    if ((error = paths_check(cmd, 1, argv)) || (error = header_check(cmd, header))) {
        return error;
    }
    if (!dir->forwards) {
        dir->forwards = apr_array_make(cmd->pool, 4, sizeof(mcp_forward_t));
    }
    forward = apr_array_push(dir->forwards);
    mcp_claim_path_parse(&forward->path, path, cmd->pool);
    forward->header = header;
    return NULL;
}

static const char *set_remote_user(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;
    const char *error;
    char *argv[] = { (char *)arg };

    PLACE(MCP_IN_DIR);
    if ((error = paths_check(cmd, 1, argv))) {
        return error;
    }
    dir->remote_user = arg;
    return NULL;
}

static const char *set_origins(cmd_parms *cmd, void *v, int argc, char *const argv[])
{
    mcp_dir_t *dir = v;
    mcp_url_t url;
    int i;

    PLACE(MCP_IN_DIR);
    ARGS(1, "origins such as https://app.example.com, or *");
    for (i = 0; i < argc; i++) {
        if (strcmp(argv[i], "*") && !mcp_url_parse_origin(&url, argv[i], cmd->temp_pool)) {
            FAIL("%s '%s' is not an origin; write scheme://host or scheme://host:port without a path, or *", NAME,
                 argv[i]);
        }
    }
    dir->origins = mcp_setter_list(cmd, dir->origins, argc, argv);
    return NULL;
}

static const char *set_flag(cmd_parms *cmd, void *v, int on)
{
    mcp_dir_t *dir = v;

    PLACE(MCP_IN_DIR);
    *(int *)((char *)v + (apr_size_t)cmd->info) = on;
    return NULL;
}

static const char *set_max_body(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;
    apr_off_t size;
    char *end;
    int shift = 0;

    PLACE(MCP_IN_DIR);
    if (!apr_isdigit(*arg) || apr_strtoff(&size, arg, &end, 10) != APR_SUCCESS) {
        FAIL("%s '%s' is not a size; write bytes, or 512K, or 1M", NAME, arg);
    }
    if (apr_toupper(*end) == 'K' || apr_toupper(*end) == 'M') {
        shift = apr_toupper(*end++) == 'K' ? 10 : 20;
    }
    if (*end || size < 1 || size > (APR_INT32_MAX >> shift)) {
        FAIL("%s '%s' is not a size from 1 to 2047M; write bytes, or 512K, or 1M", NAME, arg);
    }
    dir->max_body = size << shift;
    return NULL;
}

static const char *set_max_depth(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;
    char *end;
    apr_int64_t depth = apr_strtoi64(arg, &end, 10);

    PLACE(MCP_IN_DIR);
    if (!apr_isdigit(*arg) || *end || depth < 1 || depth > 1024) {
        FAIL("%s '%s' is not a number from 1 to 1024; write one such as 64", NAME, arg);
    }
    dir->max_depth = (int)depth;
    return NULL;
}

#define PLACES (RSRC_CONF | ACCESS_CONF) /* never .htaccess: what protects is read at start and checked as a whole */
#define AT(member) ((void *)APR_OFFSETOF(mcp_dir_t, member))
#define OF(member) ((void *)APR_OFFSETOF(mcp_issuer_conf_t, member))

const command_rec mcp_directives[] = {
    AP_INIT_FLAG("McpOAuth", set_enabled, NULL, PLACES, "On or Off: is this location an OAuth protected MCP resource"),
    AP_INIT_TAKE_ARGV("McpOAuthIssuer", set_issuers, NULL, PLACES, "issuers whose tokens are accepted here"),
    AP_INIT_TAKE1("McpOAuthResource", set_resource, NULL, PLACES, "resource identifier, the URL that clients call"),
    AP_INIT_TAKE_ARGV("McpOAuthAudience", set_audiences, NULL, PLACES, "accepted aud values"),
    AP_INIT_TAKE1("McpOAuthAudienceMatch", set_audience_match, NULL, PLACES, "exact or hierarchical"),
    AP_INIT_TAKE_ARGV("McpOAuthAuthorizedParty", set_list, AT(parties), PLACES, "allowed azp or client_id values"),
    AP_INIT_TAKE_ARGV("McpOAuthRequireScope", set_scopes, AT(required_scopes), PLACES, "scopes that any request needs"),
    AP_INIT_TAKE_ARGV("McpOAuthRequireClaim", set_required_claim, NULL, PLACES, "claim path and accepted values"),
    AP_INIT_TAKE_ARGV("McpOAuthScopesSupported", set_scopes, AT(scopes_supported), PLACES, "scopes to advertise"),
    AP_INIT_TAKE_ARGV("McpOAuthChallengeScope", set_scopes, AT(challenge_scopes), PLACES, "scopes to name in a 401"),
    AP_INIT_TAKE2("McpOAuthMetadata", set_metadata, NULL, PLACES, "name and value of a further metadata member"),
    AP_INIT_TAKE1("McpOAuthMetadataPath", set_metadata_path, NULL, PLACES, "path of the metadata documents"),
    AP_INIT_TAKE1("McpOAuthTokenHeader", set_token_header, NULL, PLACES, "header field that carries the token"),
    AP_INIT_FLAG("McpOAuthForwardToken", set_flag, AT(forward_token), PLACES,
                 "On or Off: does the backend see the token"),
    AP_INIT_TAKE2("McpOAuthForwardClaim", set_forward_claim, NULL, PLACES,
                  "claim path and header field for the backend"),
    AP_INIT_TAKE1("McpOAuthRemoteUser", set_remote_user, NULL, PLACES, "claim path of REMOTE_USER"),
    AP_INIT_TAKE_ARGV("McpOAuthOrigin", set_origins, NULL, PLACES, "allowed browser origins, or *"),
    AP_INIT_FLAG("McpOAuthInspect", set_flag, AT(inspect), PLACES, "On or Off: are request bodies judged"),
    AP_INIT_TAKE1("McpOAuthMaxBody", set_max_body, NULL, PLACES, "largest request body"),
    AP_INIT_TAKE1("McpOAuthMaxDepth", set_max_depth, NULL, PLACES, "deepest nesting of a request body"),
    AP_INIT_FLAG("McpOAuthBatch", set_flag, AT(batch), PLACES,
                 "On or Off: may requests of revision 2025-03-26 be batches"),
    AP_INIT_TAKE1("McpOAuthACL", mcp_set_acl, NULL, PLACES, "On, Off or Shadow"),
    AP_INIT_TAKE_ARGV("McpOAuthScopeClaim", set_claim_paths, AT(scope_paths), PLACES, "claim paths of the scopes"),
    AP_INIT_TAKE_ARGV("McpOAuthACLClaim", set_claim_paths, AT(acl_paths), PLACES, "claim paths of the values in rules"),
    AP_INIT_TAKE_ARGV("McpOAuthAllow", mcp_set_allow, NULL, PLACES,
                      "needed values, or *, and the operations they allow"),
    AP_INIT_TAKE_ARGV("McpOAuthImplies", mcp_set_implies, NULL, PLACES, "a value and those it implies"),
    AP_INIT_TAKE_ARGV("McpOAuthRateLimit", mcp_set_rate_limit, NULL, PLACES, "Limits how often one user may call"),
    AP_INIT_FLAG("McpOAuthFilterLists", set_flag, AT(filter_lists), PLACES,
                 "On or Off: are lists shown without what the rules would refuse"),
    AP_INIT_FLAG("McpOAuthStreamExpiry", set_flag, AT(stream_expiry), PLACES,
                 "On or Off: does an event stream end when its token expires"),
    AP_INIT_FLAG("McpOAuthSessionBinding", set_flag, AT(session_binding), PLACES,
                 "On or Off: is a session of use only to the principal that opened it"),
    AP_INIT_TAKE1("McpOAuthDPoP", mcp_set_dpop, NULL, PLACES, "Off, Optional or Required: sender-constrained tokens"),
    AP_INIT_FLAG("McpOAuthDPoPNonce", set_flag, AT(dpop_nonce), PLACES,
                 "On or Off: must DPoP proofs carry a nonce of this server"),
    AP_INIT_TAKE_ARGV("McpOAuthRequireACR", mcp_set_acrs, NULL, PLACES, "accepted acr values"),
    AP_INIT_TAKE1("McpOAuthMaxAuthAge", mcp_set_max_auth_age, NULL, PLACES,
                  "how long ago the user may have authenticated"),

    AP_INIT_RAW_ARGS("<McpOAuthIssuer", mcp_set_issuer_section, NULL, RSRC_CONF,
                     "an issuer; directives about it inside"),
    AP_INIT_TAKE1("McpOAuthAuthorizationServer", mcp_set_issuer_url, OF(authorization_server), PLACES,
                  "URL of the authorization server"),
    AP_INIT_TAKE1("McpOAuthJwks", mcp_set_jwks, NULL, PLACES, "where the key set is: URL, relative path or file:/path"),
    AP_INIT_TAKE_ARGV("McpOAuthAlgorithms", mcp_set_algorithms, NULL, PLACES, "accepted signature algorithms"),
    AP_INIT_TAKE_ARGV("McpOAuthTokenType", mcp_set_types, NULL, PLACES, "accepted typ values: at+jwt, JWT, none"),
    AP_INIT_TAKE1("McpOAuthClockSkew", mcp_set_skew, NULL, PLACES, "tolerance for exp, nbf and iat"),
    AP_INIT_TAKE12("McpOAuthKeyRefresh", mcp_set_refresh, NULL, PLACES, "least and most time between key set fetches"),
    AP_INIT_TAKE1("McpOAuthKeyCooldown", mcp_set_cooldown, NULL, PLACES, "time between on-demand fetches"),
    AP_INIT_TAKE1("McpOAuthKeyMaxStale", mcp_set_max_stale, NULL, PLACES,
                  "how long last good keys serve beyond their time"),
    AP_INIT_TAKE1("McpOAuthHTTPTimeout", mcp_set_timeout, NULL, PLACES, "time limit of each fetch"),
    AP_INIT_TAKE1("McpOAuthHTTPProxy", mcp_set_issuer_url, OF(proxy), PLACES, "proxy for fetches"),
    AP_INIT_TAKE1("McpOAuthCACertificateFile", mcp_set_ca_file, NULL, PLACES, "PEM file of trusted certificates"),
    AP_INIT_FLAG("McpOAuthAllowHTTP", mcp_set_issuer_flag, OF(allow_http), PLACES,
                 "On or Off: plain http to hosts other than loopback"),
    AP_INIT_TAKE1("McpOAuthIntrospection", mcp_set_introspection, NULL, PLACES,
                  "introspection endpoint: URL, relative path or auto"),
    AP_INIT_TAKE1("McpOAuthIntrospectionAuth", mcp_set_introspection_auth, NULL, PLACES,
                  "auto, client_secret_basic or client_secret_post"),
    AP_INIT_TAKE1("McpOAuthClientId", mcp_set_client_id, NULL, PLACES, "client id for introspection"),
    AP_INIT_TAKE1("McpOAuthClientSecret", mcp_set_client_secret, NULL, PLACES,
                  "client secret for introspection: file:PATH or env:NAME"),
    AP_INIT_TAKE1("McpOAuthIntrospectionCacheTTL", mcp_set_introspection_ttl, NULL, PLACES,
                  "how long an answer is remembered, 0 = never"),
    AP_INIT_FLAG("McpOAuthIntrospectionSigned", mcp_set_issuer_flag, OF(introspection_signed), PLACES,
                 "On or Off: must answers be signed"),

    AP_INIT_TAKE1("McpOAuthTokenCacheTTL", mcp_set_cache_ttl, NULL, RSRC_CONF,
                  "how long a verdict is remembered, 0 = never"),
    AP_INIT_TAKE1("McpOAuthTokenCacheSize", mcp_set_cache_size, NULL, RSRC_CONF, "verdicts remembered per process"),
    AP_INIT_TAKE1("McpOAuthSessionKey", mcp_set_session_key, NULL, RSRC_CONF,
                  "secret that binds sessions: file:PATH or env:NAME"),
    AP_INIT_TAKE1("McpOAuthSharedCache", mcp_set_shared_cache, NULL, RSRC_CONF,
                  "cache of introspection answers: none, or a socache provider with its arguments"),
    AP_INIT_TAKE1("McpOAuthKeyStore", mcp_set_key_store, NULL, RSRC_CONF, "directory that keeps the last good keys"),
    { 0 }
};
