/* Checks that all setters share, and the setters of <McpOAuthIssuer>, of the server, and of what a token is bound to. */
#include "httpd/setter.h"

#include <http_core.h>

#include <apr_file_info.h>
#include <apr_lib.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "httpd/secret.h"
#include "httpd/socache.h"
#include "keys/endpoint.h"
#include "net/url.h"
#include "token/token.h"

/* httpd reads that many arguments of one line, and drops the rest without a word (AP_MAX_ARGC of its server/config.c). */
#define ARGS_MAX 64

/* Sections that start-up cannot judge: nothing in them may weaken or seem to strengthen a location. */
static const char *place_foreign(const cmd_parms *cmd)
{
    static const char *const foreign[] = { "<Directory",   "<DirectoryMatch", "<Files",     "<FilesMatch",
                                           "<If",          "<ElseIf",         "<Else",      "<Limit",
                                           "<LimitExcept", "<Proxy",          "<ProxyMatch" };
    const ap_directive_t *d;
    apr_size_t i;

    for (d = cmd->directive->parent; d; d = d->parent) {
        for (i = 0; i < sizeof(foreign) / sizeof(*foreign); i++) {
            if (!ap_cstr_casecmp(d->directive, foreign[i])) {
                return foreign[i];
            }
        }
    }
    return NULL;
}

/* May the directive stand here? Also notes where the section's first directive of ours stands. */
const char *mcp_setter_place(cmd_parms *cmd, mcp_dir_t *dir, int places)
{
    const char *foreign;

    if (dir->section) {
        if (!(places & MCP_IN_ISSUER)) {
            FAIL("%s does not belong into <McpOAuthIssuer>; write it into <Location>", NAME);
        }
        return NULL;
    }
    if ((foreign = place_foreign(cmd))) {
        FAIL("%s is not allowed in %s>; write it into <Location>", NAME, foreign);
    }
    if (cmd->path ? !(places & MCP_IN_LOCATION) : !(places & MCP_IN_SERVER)) {
        FAIL("%s belongs into %s", NAME,
             places == MCP_IN_ISSUER  ? "<McpOAuthIssuer \"https://...\"> in the server or virtual host"
             : places & MCP_IN_ISSUER ? "<Location> or <McpOAuthIssuer \"https://...\">"
                                      : "<Location>, for a whole host write <Location \"/\">");
    }
    if (!dir->at) {
        dir->at = cmd->directive;
    }
    return NULL;
}

int mcp_setter_clean(const char *text)
{
    for (; *text; text++) {
        if (apr_iscntrl(*text)) {
            return 0;
        }
    }
    return 1;
}

/* Adds the arguments to a list of this section: several lines of one section are one list. */
apr_array_header_t *mcp_setter_list(cmd_parms *cmd, apr_array_header_t *list, int argc, char *const argv[])
{
    int i;

    if (!list) {
        list = apr_array_make(cmd->pool, argc, sizeof(const char *));
    }
    for (i = 0; i < argc; i++) {
        APR_ARRAY_PUSH(list, const char *) = argv[i];
    }
    return list;
}

/* httpd drops an empty argument at the end of a line without a word. */
static int ends_empty(const char *args)
{
    apr_size_t len = args ? strlen(args) : 0;

    while (len && apr_isspace(args[len - 1])) {
        len--;
    }
    return len > 2 && args[len - 1] == args[len - 2] && strchr("\"'", args[len - 1]) && apr_isspace(args[len - 3]);
}

const char *mcp_setter_args(cmd_parms *cmd, int argc, char *const argv[], int least, const char *syntax)
{
    int i;

    if (argc < least) {
        FAIL("%s needs %s", NAME, syntax);
    }
    if (argc >= ARGS_MAX) {
        FAIL("%s has too many arguments; write at most %d on a line, and several lines", NAME, ARGS_MAX - 1);
    }
    if (ends_empty(cmd->directive->args)) {
        FAIL("%s has an empty argument at its end; write %s", NAME, syntax);
    }
    for (i = 0; i < argc; i++) {
        if (!*argv[i] || !mcp_setter_clean(argv[i])) {
            FAIL("%s has an empty argument or one with control characters; write %s", NAME, syntax);
        }
    }
    return NULL;
}

/* httpd looks at the first letter of a unit only. */
static int is_duration(const char *arg)
{
    static const char *const units[] = { "", "ms", "s", "mi", "min", "h" };
    const char *unit = arg + strspn(arg, "0123456789");
    apr_size_t i;

    for (i = 0; i < sizeof(units) / sizeof(*units) && unit > arg; i++) {
        if (!ap_cstr_casecmp(unit, units[i])) {
            return 1;
        }
    }
    return 0;
}

const char *mcp_setter_duration(cmd_parms *cmd, const char *arg, apr_interval_time_t least, apr_interval_time_t most,
                                apr_interval_time_t *value)
{
    if (!is_duration(arg) || ap_timeout_parameter_parse(arg, value, "s") != APR_SUCCESS || *value < 0) {
        FAIL("%s '%s' is not a duration; write 500ms, 10s, 5min or 1h", NAME, arg);
    }
    if (*value < least || *value > most) {
        FAIL("%s '%s' is out of range; write %" APR_TIME_T_FMT "ms to %" APR_TIME_T_FMT "s", NAME, arg,
             apr_time_as_msec(least), apr_time_sec(most));
    }
    return NULL;
}

/* --- who sends the token, and how he logged in --------------------------------------------------------------------- */

const char *mcp_set_dpop(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;

    PLACE(MCP_IN_DIR);
    if (!strcasecmp(arg, "Off")) {
        dir->dpop = MCP_DPOP_OFF;
    }
    else if (!strcasecmp(arg, "Optional")) {
        dir->dpop = MCP_DPOP_OPTIONAL;
    }
    else if (!strcasecmp(arg, "Required")) {
        dir->dpop = MCP_DPOP_REQUIRED;
    }
    else {
        FAIL("%s '%s' is unknown; write Off, Optional or Required", NAME, arg);
    }
    return NULL;
}

/* They stand in a challenge, separated by spaces. */
const char *mcp_set_acrs(cmd_parms *cmd, void *v, int argc, char *const argv[])
{
    mcp_dir_t *dir = v;
    const char *c;
    int i;

    PLACE(MCP_IN_DIR);
    ARGS(1, "at least one acr value, such as urn:example:silver");
    for (i = 0; i < argc; i++) {
        for (c = argv[i]; *c; c++) {
            if (*c <= ' ' || *c > '~' || *c == '"' || *c == '\\') {
                FAIL("%s '%s' is not an acr value: no spaces, quotes, backslashes or bytes beyond ASCII; write one "
                     "argument per value",
                     NAME, argv[i]);
            }
        }
    }
    dir->acrs = mcp_setter_list(cmd, dir->acrs, argc, argv);
    return NULL;
}

const char *mcp_set_max_auth_age(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;

    PLACE(MCP_IN_DIR);
    return mcp_setter_duration(cmd, arg, apr_time_from_sec(1), apr_time_from_sec(365 * 86400), &dir->max_auth_age);
}

/* --- <McpOAuthIssuer> ------------------------------------------------------------------------------------------- */

const char *mcp_set_issuer_url(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;
    mcp_url_t url;

    PLACE(MCP_IN_ISSUER);
    if (!mcp_url_parse(&url, arg, cmd->pool) || url.fragment) {
        FAIL("%s '%s' is not an absolute http or https URL; write one such as https://sso.example.com", NAME, arg);
    }
    *(const char **)((char *)dir->section + (apr_size_t)cmd->info) = arg;
    return NULL;
}

const char *mcp_set_jwks(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;
    mcp_url_t url;

    PLACE(MCP_IN_ISSUER);
    if (!strncmp(arg, "file:", 5) ? arg[5] != '/' : strstr(arg, "://") && !mcp_url_parse(&url, arg, cmd->temp_pool)) {
        FAIL("%s '%s' is no key set; write an https URL, a path relative to the authorization server, file:/path, or "
             "none",
             NAME, arg);
    }
    if (!*arg || strpbrk(arg, " \t") || !mcp_setter_clean(arg)) {
        FAIL("%s is empty or has blanks; write an https URL, a relative path, or file:/path", NAME);
    }
    dir->section->jwks = arg;
    return NULL;
}

const char *mcp_set_algorithms(cmd_parms *cmd, void *v, int argc, char *const argv[])
{
    mcp_dir_t *dir = v;
    const mcp_alg_info_t *alg;
    int i;

    PLACE(MCP_IN_ISSUER);
    ARGS(1, "at least one algorithm, such as RS256");
    dir->section->algs = dir->section->algs == MCP_UNSET ? 0 : dir->section->algs;
    for (i = 0; i < argc; i++) {
        if (!(alg = mcp_alg_find(argv[i], strlen(argv[i])))) {
            FAIL("%s '%s' is not accepted; write some of RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA "
                 "Ed25519 Ed448 (\"none\" and the HS family never verify a token here)",
                 NAME, argv[i]);
        }
        dir->section->algs |= (int)MCP_ALG_BIT(alg->alg);
    }
    return NULL;
}

const char *mcp_set_types(cmd_parms *cmd, void *v, int argc, char *const argv[])
{
    mcp_dir_t *dir = v;
    int i, *types;

    PLACE(MCP_IN_ISSUER);
    ARGS(1, "at least one of at+jwt, JWT, none");
    types = &dir->section->types;
    *types = *types == MCP_UNSET ? 0 : *types;
    for (i = 0; i < argc; i++) {
        if (!strcasecmp(argv[i], "at+jwt") || !strcasecmp(argv[i], "application/at+jwt")) {
            *types |= MCP_TYPE_AT_JWT;
        }
        else if (!strcasecmp(argv[i], "JWT")) {
            *types |= MCP_TYPE_JWT;
        }
        else if (!strcasecmp(argv[i], "none")) {
            *types |= MCP_TYPE_NONE;
        }
        else {
            FAIL("%s '%s' is no kind of access token; write some of at+jwt, JWT, none (no typ header)", NAME, argv[i]);
        }
    }
    return NULL;
}

const char *mcp_set_skew(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;

    PLACE(MCP_IN_ISSUER);
    return mcp_setter_duration(cmd, arg, 0, apr_time_from_sec(600), &dir->section->skew);
}

const char *mcp_set_refresh(cmd_parms *cmd, void *v, const char *min, const char *max)
{
    mcp_dir_t *dir = v;
    const apr_interval_time_t most = apr_time_from_sec(30 * 86400);
    mcp_issuer_conf_t *issuer = dir->section;
    const char *error;

    PLACE(MCP_IN_ISSUER);
    issuer = dir->section;
    if ((error = mcp_setter_duration(cmd, min, apr_time_from_sec(1), most, &issuer->refresh_min))) {
        return error;
    }
    issuer->refresh_max = apr_time_from_sec(3600);
    if (!max) {
        issuer->refresh_max = issuer->refresh_min > issuer->refresh_max ? issuer->refresh_min : issuer->refresh_max;
    }
    else if ((error = mcp_setter_duration(cmd, max, apr_time_from_sec(1), most, &issuer->refresh_max))) {
        return error;
    }
    if (issuer->refresh_min > issuer->refresh_max) {
        FAIL("%s: MIN %s is above MAX %s; write the smaller one first", NAME, min, max);
    }
    return NULL;
}

const char *mcp_set_cooldown(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;

    PLACE(MCP_IN_ISSUER);
    return mcp_setter_duration(cmd, arg, apr_time_from_sec(1), apr_time_from_sec(3600), &dir->section->cooldown);
}

const char *mcp_set_max_stale(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;

    PLACE(MCP_IN_ISSUER);
    return mcp_setter_duration(cmd, arg, 0, apr_time_from_sec(365 * 86400), &dir->section->max_stale);
}

const char *mcp_set_timeout(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;

    PLACE(MCP_IN_ISSUER);
    return mcp_setter_duration(cmd, arg, apr_time_from_msec(100), apr_time_from_sec(300), &dir->section->timeout);
}

/* Is there at least one certificate in the file? */
static int has_certificate(const char *path)
{
    BIO *bio = BIO_new_file(path, "r");
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    int found = certificate != NULL;

    X509_free(certificate);
    BIO_free(bio);
    ERR_clear_error();
    return found;
}

const char *mcp_set_ca_file(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;
    const char *path = ap_server_root_relative(cmd->pool, arg);
    apr_finfo_t info;

    PLACE(MCP_IN_ISSUER);
    if (!path || apr_stat(&info, path, APR_FINFO_TYPE, cmd->temp_pool) != APR_SUCCESS || info.filetype != APR_REG ||
        !has_certificate(path)) {
        FAIL("%s '%s' cannot be read; write the path of a PEM file with the certificates to trust", NAME, arg);
    }
    dir->section->ca_file = path;
    return NULL;
}

const char *mcp_set_issuer_flag(cmd_parms *cmd, void *v, int on)
{
    mcp_dir_t *dir = v;

    PLACE(MCP_IN_ISSUER);
    *(int *)((char *)dir->section + (apr_size_t)cmd->info) = on;
    return NULL;
}

const char *mcp_set_introspection(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;
    mcp_url_t url;

    PLACE(MCP_IN_ISSUER);
    if (!*arg || strpbrk(arg, " \t#") || !mcp_setter_clean(arg) || !strncmp(arg, "file:", 5) ||
        !strcasecmp(arg, "none") || !strcasecmp(arg, "off") || !strcasecmp(arg, "on") ||
        !mcp_url_parse(&url, strstr(arg, "://") ? arg : mcp_url_join("https://host", arg, cmd->temp_pool),
                       cmd->temp_pool)) {
        FAIL(
            "%s '%s' is no endpoint; write an https URL, a path relative to the authorization server, or auto (without "
            "the directive nobody is asked)",
            NAME, strchr(arg, '@') ? "..." : arg); /* there may be a password in it */
    }
    dir->section->introspection = arg;
    return NULL;
}

const char *mcp_set_introspection_auth(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;

    PLACE(MCP_IN_ISSUER);
    if (!strcmp(arg, "client_secret_basic")) {
        dir->section->introspection_auth = MCP_CLIENT_AUTH_BASIC;
    }
    else if (!strcmp(arg, "client_secret_post")) {
        dir->section->introspection_auth = MCP_CLIENT_AUTH_POST;
    }
    else if (!strcasecmp(arg, "auto")) {
        dir->section->introspection_auth = MCP_CLIENT_AUTH_AUTO;
    }
    else {
        FAIL("%s '%s' is unknown; write auto, client_secret_basic or client_secret_post", NAME, arg);
    }
    return NULL;
}

const char *mcp_set_introspection_ttl(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;

    PLACE(MCP_IN_ISSUER);
    return mcp_setter_duration(cmd, arg, 0, apr_time_from_sec(86400), &dir->section->introspection_ttl);
}

const char *mcp_set_client_id(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;

    PLACE(MCP_IN_ISSUER);
    if (!*arg || !mcp_setter_clean(arg)) {
        FAIL("%s is empty or has control characters; write the client id of this server at the authorization server",
             NAME);
    }
    dir->section->client_id = arg;
    return NULL;
}

const char *mcp_set_client_secret(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;

    PLACE(MCP_IN_ISSUER);
    return mcp_secret_read(&dir->section->client_secret, cmd, arg, 1);
}

/* A directive of another module in here would act on the whole server. */
static const char *section_check(cmd_parms *cmd)
{
    ap_directive_t *d;

    for (d = cmd->directive->first_child; d; d = d->next) {
        const module *m = ap_top_module;
        const command_rec *c = ap_find_command_in_modules(d->directive, (module **)&m);

        if (!c || m != &mcp_oauth_module || *d->directive == '<') {
            cmd->err_directive = d;
            FAIL("%s is not allowed inside <McpOAuthIssuer>; write it outside", d->directive);
        }
    }
    return NULL;
}

const char *mcp_set_issuer_section(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_server_t *server = ap_get_module_config(cmd->server->module_config, &mcp_oauth_module);
    const char *error, *end = ap_strrchr_c(arg, '>'), *name;
    ap_conf_vector_t *vector;
    mcp_dir_t *dir;

    if ((error = ap_check_cmd_context(cmd, NOT_IN_DIR_CONTEXT | NOT_IN_HTACCESS))) {
        return error;
    }
    if (!end) {
        return "<McpOAuthIssuer> lacks its closing '>'";
    }
    arg = apr_pstrmemdup(cmd->pool, arg, end - arg);
    name = ap_getword_conf(cmd->pool, &arg);
    if (!*name || *arg || !mcp_setter_clean(name)) {
        return "<McpOAuthIssuer> takes exactly one issuer; write <McpOAuthIssuer "
               "\"https://sso.example.com/realms/mcp\">";
    }
    if ((error = section_check(cmd))) {
        return error;
    }
    vector = ap_create_per_dir_config(cmd->pool); /* empty: the lines inside need ours */
    dir = mcp_dir_create(cmd->pool, NULL);
    dir->section = apr_hash_get(server->issuers, name, APR_HASH_KEY_STRING);
    if (!dir->section) {
        dir->section = mcp_issuer_conf_create(name, cmd->directive, cmd->pool);
        apr_hash_set(server->issuers, name, APR_HASH_KEY_STRING, dir->section);
    }
    ap_set_module_config(vector, &mcp_oauth_module, dir);
    return ap_walk_config(cmd->directive->first_child, cmd, vector);
}

/* --- server ----------------------------------------------------------------------------------------------------- */

/* ap_check_cmd_context does not know our section. */
static const char *section_forbid(cmd_parms *cmd, const mcp_dir_t *dir)
{
    if (dir->section) {
        FAIL("%s does not belong into <McpOAuthIssuer>; write it into the server config", NAME);
    }
    return NULL;
}

const char *mcp_set_cache_ttl(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_server_t *server = ap_get_module_config(cmd->server->module_config, &mcp_oauth_module);
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    error = error ? error : section_forbid(cmd, v);
    return error ? error : mcp_setter_duration(cmd, arg, 0, apr_time_from_sec(86400), &server->cache_ttl);
}

const char *mcp_set_cache_size(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_server_t *server = ap_get_module_config(cmd->server->module_config, &mcp_oauth_module);
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);
    char *end;
    apr_int64_t size = apr_strtoi64(arg, &end, 10);

    error = error ? error : section_forbid(cmd, v);
    if (error) {
        return error;
    }
    if (!apr_isdigit(*arg) || *end || size < 1 || size > 10000000) {
        FAIL("%s '%s' is not a number from 1 to 10000000; to switch the cache off write McpOAuthTokenCacheTTL 0", NAME,
             arg);
    }
    server->cache_size = (int)size;
    return NULL;
}

const char *mcp_set_key_store(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_server_t *server = ap_get_module_config(cmd->server->module_config, &mcp_oauth_module);
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY), *path;

    error = error ? error : section_forbid(cmd, v);
    if (error) {
        return error;
    }
    if (!*arg || !mcp_setter_clean(arg)) {
        FAIL("%s is empty or has control characters; write the path of a directory", NAME);
    }
    if (!(path = ap_server_root_relative(cmd->pool, arg))) {
        FAIL("%s '%s' is not a path; write that of a directory, such as /var/lib/mcp_oauth", NAME, arg);
    }
    server->key_store = path;
    return NULL;
}

const char *mcp_set_session_key(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_server_t *server = ap_get_module_config(cmd->server->module_config, &mcp_oauth_module);
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    error = error ? error : section_forbid(cmd, v);
    return error ? error : mcp_secret_read(&server->session_secret, cmd, arg, 32);
}

const char *mcp_set_shared_cache(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_server_t *server = ap_get_module_config(cmd->server->module_config, &mcp_oauth_module);
    const char *error = ap_check_cmd_context(cmd, GLOBAL_ONLY);

    error = error ? error : section_forbid(cmd, v);
    if (error) {
        return error;
    }
    if (!*arg || *arg == ':' || !mcp_setter_clean(arg)) {
        FAIL(
            "%s names no provider, or has control characters; write none, shmcb, redis:host:port or memcache:host:port",
            NAME);
    }
    if ((error = mcp_socache_check(arg, cmd->pool))) {
        FAIL("%s %s: %s", NAME, arg, error);
    }
    server->shared_cache = arg;
    return NULL;
}
