#include "httpd/authz.h"

#include <ap_provider.h>
#include <http_core.h>
#include <http_log.h>
#include <http_request.h>
#include <mod_auth.h>

#include <apr_strings.h>

#include "httpd/access.h"
#include "httpd/answer.h"
#include "httpd/request.h"

APLOG_USE_MODULE(mcp_oauth);

#define AUTH_TYPE "mcp-oauth"

/* One Require line. */
typedef struct line_t {
    int condition; /* its number */
    int negated;   /* to be without it is what is asked for */
    const char *first;
} line_t;

/* Filled while configuration is read. */
static struct {
    apr_array_header_t *conditions; /* mcp_condition_t */
    int running;
} lines;

void mcp_authz_reset(apr_pool_t *pconf)
{
    lines.conditions = apr_array_make(pconf, 4, sizeof(mcp_condition_t));
    lines.running = 0;
}

void mcp_authz_start(void)
{
    lines.running = 1;
}

const apr_array_header_t *mcp_authz_conditions(void)
{
    return lines.conditions && lines.conditions->nelts ? lines.conditions : NULL;
}

/* --- the lines ------------------------------------------------------------------------------------------------------ */

static line_t *line_make(cmd_parms *cmd, const mcp_condition_t *condition)
{
    const ap_directive_t *d;
    line_t *line = apr_pcalloc(cmd->pool, sizeof(*line));

    line->negated = !ap_cstr_casecmpn(cmd->directive->args, "not ", 4);
    for (d = cmd->directive->parent; d; d = d->parent) {
        line->negated ^= !ap_cstr_casecmp(d->directive, "<RequireNone");
    }
    line->condition = lines.conditions->nelts;
    APR_ARRAY_PUSH(lines.conditions, mcp_condition_t) = *condition;
    return line;
}

static apr_array_header_t *words_split(cmd_parms *cmd, const char *text)
{
    apr_array_header_t *words = apr_array_make(cmd->pool, 4, sizeof(const char *));

    while (*text) {
        APR_ARRAY_PUSH(words, const char *) = ap_getword_conf(cmd->pool, &text);
    }
    return words;
}

static const char *late(cmd_parms *cmd, const char *name)
{
    return !lines.running ? NULL
                          : apr_psprintf(cmd->pool, "Require %s is not for .htaccess; write it into <Location>", name);
}

static const char *scope_parse(cmd_parms *cmd, const char *text, const void **parsed)
{
    apr_array_header_t *names = words_split(cmd, text);
    mcp_condition_t condition = { .scopes = names };
    line_t *line;
    int i;

    for (i = 0; i < names->nelts; i++) {
        if (!mcp_scope_valid(APR_ARRAY_IDX(names, i, const char *))) {
            return apr_psprintf(
                cmd->pool,
                "Require mcp-scope: '%s' is not a scope: no spaces, quotes, backslashes or bytes beyond "
                "ASCII; write one argument per scope",
                APR_ARRAY_IDX(names, i, const char *));
        }
    }
    if (!names->nelts) {
        return "Require mcp-scope needs at least one scope, such as Require mcp-scope mcp:use";
    }
    if (late(cmd, "mcp-scope")) {
        return late(cmd, "mcp-scope");
    }
    line = line_make(cmd, &condition);
    line->first = APR_ARRAY_IDX(names, 0, const char *);
    *parsed = line;
    return NULL;
}

static const char *claim_parse(cmd_parms *cmd, const char *text, const void **parsed)
{
    apr_array_header_t *words = words_split(cmd, text), *values;
    mcp_condition_t condition = { NULL };
    const char *path;
    int i;

    if (words->nelts < 2) {
        return "Require mcp-claim needs a claim path and at least one value, such as Require mcp-claim department "
               "sales";
    }
    path = APR_ARRAY_IDX(words, 0, const char *);
    if (!mcp_claim_path_parse(&condition.claim.path, path, cmd->pool)) {
        return apr_psprintf(cmd->pool,
                            "Require mcp-claim: '%s' is not a claim path; write names with dots between, such as "
                            "realm_access.roles, and \\. for a dot in a name",
                            path);
    }
    if (late(cmd, "mcp-claim")) {
        return late(cmd, "mcp-claim");
    }
    values = apr_array_make(cmd->pool, words->nelts, sizeof(const char *));
    for (i = 1; i < words->nelts; i++) {
        APR_ARRAY_PUSH(values, const char *) = APR_ARRAY_IDX(words, i, const char *);
    }
    condition.claim.values = values;
    *parsed = line_make(cmd, &condition);
    return NULL;
}

/* --- asking --------------------------------------------------------------------------------------------------------- */

/* Never AUTHZ_DENIED_NO_USER: mod_authz_core would go and look for an AuthType. A line that holds makes good what another
 * one before it asked for: they may stand in <RequireAny>. */
static authz_status line_check(request_rec *r, const char *text, const void *parsed)
{
    const mcp_location_t *location = mcp_location_of(r);
    mcp_request_t *request = location ? mcp_access_verdict(r, location) : NULL;
    const line_t *line = parsed;
    authz_status refusal =
        line->negated ? AUTHZ_GRANTED : AUTHZ_DENIED; /* what is to be without it is refused by this */
    apr_array_header_t *needed;

    if (!request) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      "MCP0968: Require mcp-scope and Require mcp-claim refuse everything where McpOAuth is not On");
        return refusal;
    }
    if (request->status != MCP_OK || !request->grant) {
        return refusal;
    }
    if (mcp_valueset_has(&request->grant->conditions, line->condition)) {
        request->needed = line->negated ? request->needed : NULL;
        return AUTHZ_GRANTED;
    }
    if (line->first && !line->negated && !request->needed) {
        needed = apr_array_make(r->pool, 1, sizeof(const char *));
        APR_ARRAY_PUSH(needed, const char *) = line->first;
        request->needed = needed;
    }
    return AUTHZ_DENIED;
}

static const authz_provider scope_provider = { line_check, scope_parse };
static const authz_provider claim_provider = { line_check, claim_parse };

/* --- the answer ------------------------------------------------------------------------------------------------------ */

/* Whoever's request it is has shown a good token: a refusal is about what he may do, and no other credentials are asked for. */
static int refusal_answer(request_rec *r, mcp_request_t *request, int answer)
{
    if (answer != HTTP_UNAUTHORIZED && answer != HTTP_FORBIDDEN) {
        request->needed = NULL; /* whatever a line missed, another one made it good */
        return answer;
    }
    request->status = request->needed ? MCP_REQUIRE_SCOPE : MCP_REQUIRE_DENIED;
    return mcp_answer(r, request);
}

/* The state of a request with a good token that this hook sees for the first time, else NULL. */
static mcp_request_t *newcomer(const request_rec *r)
{
    mcp_request_t *request = mcp_request_of(r);

    return request && request->location && request->grant && request->status == MCP_OK && !request->asking ? request
                                                                                                           : NULL;
}

/* Ahead of mod_authz_core: lets it decide, and puts its refusal into our words. */
static int access_checker_ex(request_rec *r)
{
    mcp_request_t *request = newcomer(r);
    int answer;

    if (!request) {
        return DECLINED;
    }
    request->asking = 1;
    answer = ap_run_access_checker_ex(r);
    request->asking = 0;
    if (answer == DECLINED && !r->user && !ap_auth_type(r) && ap_find_linked_module("mod_authz_core.c")) {
        answer = HTTP_FORBIDDEN; /* a user is asked for, the token names none, and nobody else would */
    }
    return refusal_answer(r, request, answer);
}

static int auth_checker(request_rec *r)
{
    mcp_request_t *request = newcomer(r);
    int answer;

    if (!request) {
        return DECLINED;
    }
    request->asking = 1;
    answer = ap_run_auth_checker(r);
    request->asking = 0;
    return refusal_answer(r, request, answer);
}

/* AuthType mcp-oauth: the user is whom the token names. */
static int check_authn(request_rec *r)
{
    const char *type = ap_auth_type(r);
    mcp_request_t *request = newcomer(r);

    if (!type || ap_cstr_casecmp(type, AUTH_TYPE)) {
        return DECLINED;
    }
    if (!request) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      "MCP0969: AuthType " AUTH_TYPE " knows nobody where McpOAuth is not On");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return r->user ? OK : refusal_answer(r, request, HTTP_FORBIDDEN);
}

void mcp_authz_register(apr_pool_t *p)
{
    static const char *const core[] = { "mod_authz_core.c", NULL };

    ap_register_auth_provider(p, AUTHZ_PROVIDER_GROUP, "mcp-scope", AUTHZ_PROVIDER_VERSION, &scope_provider,
                              AP_AUTH_INTERNAL_PER_CONF);
    ap_register_auth_provider(p, AUTHZ_PROVIDER_GROUP, "mcp-claim", AUTHZ_PROVIDER_VERSION, &claim_provider,
                              AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_access_ex(access_checker_ex, NULL, core, APR_HOOK_FIRST, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authn(check_authn, NULL, NULL, APR_HOOK_MIDDLE, AP_AUTH_INTERNAL_PER_CONF);
    ap_hook_check_authz(auth_checker, NULL, core, APR_HOOK_FIRST, AP_AUTH_INTERNAL_PER_CONF);
}
