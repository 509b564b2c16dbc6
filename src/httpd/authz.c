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

/* What mod_authz_core is being asked: what it says, or what it would say to somebody who had the scopes that this one lacks. */
enum { ASKING = 1, ASSUMING };

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

/* As mod_authz_core reads the line. */
static int is_negated(cmd_parms *cmd)
{
    const char *args = cmd->directive->args;
    const ap_directive_t *d;
    int negated = !ap_cstr_casecmp(ap_getword_conf(cmd->temp_pool, &args), "not");

    for (d = cmd->directive->parent; d; d = d->parent) {
        negated ^= !ap_cstr_casecmp(d->directive, "<RequireNone");
    }
    return negated;
}

static line_t *line_make(cmd_parms *cmd, mcp_condition_t *condition)
{
    line_t *line = apr_pcalloc(cmd->pool, sizeof(*line));

    line->negated = condition->negated = is_negated(cmd);
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

/* Where a line cannot be understood: at run time it is too late for all tokens to be judged by it, and of an alias nobody
 * knows whether it will be negated. */
static const char *misplaced(cmd_parms *cmd, const char *name)
{
    if (lines.running) {
        return apr_psprintf(cmd->pool, "Require %s is not for .htaccess; write it into <Location>", name);
    }
    if (!ap_cstr_casecmpn(cmd->directive->directive, "<AuthzProviderAlias", 19)) {
        return apr_psprintf(cmd->pool, "%s is not for <AuthzProviderAlias>; write Require %s where it is needed", name,
                            name);
    }
    return NULL;
}

static const char *scope_parse(cmd_parms *cmd, const char *text, const void **parsed)
{
    apr_array_header_t *names = words_split(cmd, text);
    mcp_condition_t condition = { .scopes = names };
    const char *error;
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
    if ((error = misplaced(cmd, "mcp-scope"))) {
        return error;
    }
    line = line_make(cmd, &condition);
    line->first = APR_ARRAY_IDX(names, 0, const char *);
    *parsed = line;
    return NULL;
}

static const char *claim_parse(cmd_parms *cmd, const char *text, const void **parsed)
{
    apr_array_header_t *words = words_split(cmd, text), *values;
    mcp_condition_t condition = { 0 };
    const char *path, *error;
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
    if ((error = misplaced(cmd, "mcp-claim"))) {
        return error;
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

static void needed_add(mcp_request_t *request, const char *name, apr_pool_t *p)
{
    apr_array_header_t *needed = apr_array_make(p, 1, sizeof(const char *));

    APR_ARRAY_PUSH(needed, const char *) = name;
    request->needed = request->needed ? apr_array_append(p, request->needed, needed) : needed;
}

/* Never AUTHZ_DENIED_NO_USER: mod_authz_core would go and look for an AuthType. */
static authz_status line_check(request_rec *r, const char *text, const void *parsed)
{
    const mcp_location_t *location = mcp_location_of(r);
    mcp_request_t *request = location ? mcp_access_verdict(r, location) : NULL;
    const line_t *line = parsed;
    authz_status refusal =
        line->negated ? AUTHZ_GRANTED : AUTHZ_DENIED; /* what is to be without it is refused by this */

    if (!request) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      "MCP0968: Require mcp-scope and Require mcp-claim refuse everything where McpOAuth is not On");
        return refusal;
    }
    if (request->status != MCP_OK || !request->grant) {
        return refusal;
    }
    if (mcp_valueset_has(&request->grant->conditions, line->condition)) {
        return AUTHZ_GRANTED;
    }
    if (!line->first || line->negated) {
        return AUTHZ_DENIED;
    }
    if (request->asking != ASSUMING) {
        request->lacking = 1;
        return AUTHZ_DENIED;
    }
    needed_add(request, line->first, r->pool);
    return AUTHZ_GRANTED;
}

static const authz_provider scope_provider = { line_check, scope_parse };
static const authz_provider claim_provider = { line_check, claim_parse };

/* --- the answer ------------------------------------------------------------------------------------------------------ */

typedef int decide_fn(request_rec *r);

static int decide(request_rec *r, mcp_request_t *request, decide_fn *core, int how)
{
    int answer;

    request->asking = how;
    answer = core(r);
    request->asking = 0;
    return answer;
}

/* Whoever's request it is has shown a good token: a refusal is about what he may do, and no other credentials are asked for.
 * Would all be well if he had the scopes that he lacks, they are named; else a client would ask for them in vain. */
static int refusal_answer(request_rec *r, mcp_request_t *request, decide_fn *core)
{
    request->needed = NULL;
    if (request->lacking && core && decide(r, request, core, ASSUMING) == OK) {
        request->status = MCP_REQUIRE_SCOPE;
    }
    else {
        request->needed = NULL;
        request->status = MCP_REQUIRE_DENIED;
    }
    return mcp_answer(r, request);
}

/* The state of a request of ours, unless it is us who ask. With Satisfy Any others may have been asked before us. */
static mcp_request_t *newcomer(request_rec *r)
{
    mcp_request_t *request = mcp_request_of(r);
    const mcp_location_t *location = request ? NULL : mcp_location_of(r);

    request = location ? mcp_access_verdict(r, location) : request;
    return request && request->location && !request->asking ? request : NULL;
}

/* Lets mod_authz_core decide, and puts its refusal into our words. */
static int judge(request_rec *r, decide_fn *core)
{
    mcp_request_t *request = newcomer(r);
    int answer;

    if (!request) {
        return DECLINED;
    }
    if (request->status != MCP_OK) {
        return request->answer ? request->answer : mcp_answer(r, request);
    }
    answer = decide(r, request, core, ASKING);
    if (answer == DECLINED && !r->user && !ap_auth_type(r) && ap_find_linked_module("mod_authz_core.c")) {
        answer = HTTP_FORBIDDEN; /* a user is asked for, the token names none, and nobody else would */
    }
    return answer == HTTP_UNAUTHORIZED || answer == HTTP_FORBIDDEN ? refusal_answer(r, request, core) : answer;
}

static int access_checker_ex(request_rec *r)
{
    return judge(r, ap_run_access_checker_ex);
}

static int auth_checker(request_rec *r)
{
    return judge(r, ap_run_auth_checker);
}

/* AuthType mcp-oauth: the user is whom the token names. */
static int check_authn(request_rec *r)
{
    const char *type = ap_auth_type(r);
    mcp_request_t *request;

    if (!type || ap_cstr_casecmp(type, AUTH_TYPE)) {
        return DECLINED;
    }
    if (!(request = newcomer(r))) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, r,
                      "MCP0969: AuthType " AUTH_TYPE " knows nobody where McpOAuth is not On");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    if (request->status != MCP_OK) {
        return request->answer ? request->answer : mcp_answer(r, request);
    }
    return r->user ? OK : refusal_answer(r, request, NULL);
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
