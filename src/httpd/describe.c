#include "httpd/describe.h"

#include <apr_strings.h>

#include "httpd/backend.h"
#include "httpd/issuer.h"
#include "policy/explain.h"

#define ROW(label, ...) mcp_sheet_row(sheet, 1, (label), apr_psprintf(sheet->p, __VA_ARGS__))
#define SUBROW(label, ...) mcp_sheet_row(sheet, 2, (label), apr_psprintf(sheet->p, __VA_ARGS__))

const char *mcp_describe_place(const ap_directive_t *d, apr_pool_t *p)
{
    return d ? apr_psprintf(p, "%s:%d", d->filename, d->line_num) : "an unknown place";
}

/* "5min" and the like. */
static const char *duration_write(apr_interval_time_t time, apr_pool_t *p)
{
    apr_int64_t ms = apr_time_as_msec(time), s = ms / 1000;

    if (ms % 1000) {
        return apr_psprintf(p, "%" APR_INT64_T_FMT "ms", ms);
    }
    return s && !(s % 3600) ? apr_psprintf(p, "%" APR_INT64_T_FMT "h", s / 3600)
           : s && !(s % 60) ? apr_psprintf(p, "%" APR_INT64_T_FMT "min", s / 60)
                            : apr_psprintf(p, "%" APR_INT64_T_FMT "s", s);
}

static const char *join(const apr_array_header_t *texts, apr_pool_t *p)
{
    const char *joined = "";
    int i;

    for (i = 0; texts && i < texts->nelts; i++) {
        joined = apr_pstrcat(p, joined, i ? ", " : "", APR_ARRAY_IDX(texts, i, const char *), NULL);
    }
    return joined;
}

static const char *paths_join(const apr_array_header_t *paths, apr_pool_t *p)
{
    const char *joined = "";
    int i;

    for (i = 0; i < paths->nelts; i++) {
        joined = apr_pstrcat(p, joined, i ? ", " : "", APR_ARRAY_IDX(paths, i, mcp_claim_path_t).text, NULL);
    }
    return joined;
}

/* --- what clients are told -------------------------------------------------------------------------------------- */

void mcp_describe_clients(const mcp_sheet_t *sheet, const mcp_location_t *location, int alone)
{
    const char *bare =
        location->conf->metadata_path ? location->conf->metadata_path : "/.well-known/oauth-protected-resource";

    ROW("resource", "%s", location->resource);
    ROW("metadata", "%s", location->metadata_url);
    ROW("", "served on %s%s%s", location->metadata_path,
        alone && strcmp(bare, location->metadata_path) ? " and, as the only resource of this host, on " : "",
        alone && strcmp(bare, location->metadata_path) ? bare : "");
    mcp_sheet_list(sheet, 1, "scopes advertised", location->scopes_supported);
    if (location->challenge_scope &&
        (!location->scopes_supported ||
         strcmp(location->challenge_scope, apr_array_pstrcat(sheet->p, location->scopes_supported, ' ')))) {
        ROW("scopes in a 401", "%s", location->challenge_scope);
    }
}

/* --- issuers ---------------------------------------------------------------------------------------------------- */

static void keys_describe(const mcp_sheet_t *sheet, const mcp_issuer_t *issuer)
{
    if (issuer->keyless) {
        SUBROW("keys", "none: every token is asked about");
    }
    else if (issuer->source.file) {
        SUBROW("keys", "file %s", issuer->source.file);
    }
    else if (issuer->source.url) {
        SUBROW("keys", "%s", mcp_backend_show(issuer->source.url, sheet->p));
    }
    else {
        SUBROW("keys", "discovered in the metadata of the issuer");
    }
    if (issuer->introspector) {
        SUBROW("introspection", "%s, as client %s%s",
               issuer->endpoint.url ? mcp_explain_clean(mcp_backend_show(issuer->endpoint.url, sheet->p), sheet->p)
                                    : "endpoint discovered in the metadata of the issuer",
               issuer->introspector->client_id, issuer->introspector->is_signed ? "; answers must be signed" : "");
    }
}

static void trust_describe(const mcp_sheet_t *sheet, const mcp_location_t *location, const mcp_trust_t *trust)
{
    static const char *const types[] = { "at+jwt", "JWT", "none" };
    const mcp_issuer_t *issuer = mcp_issuer_find(location->server, trust->issuer);
    apr_array_header_t *accepted = apr_array_make(sheet->p, 3, sizeof(const char *));
    int i;

    ROW("issuer", "%s", trust->issuer);
    if (!issuer) {
        return;
    }
    SUBROW("server", "%s", issuer->authorization_server);
    keys_describe(sheet, issuer);
    mcp_sheet_list(sheet, 2, "audiences", trust->audiences);
    if (trust->algs != MCP_ALGS_DEFAULT) {
        mcp_sheet_list(sheet, 2, "algorithms", mcp_alg_names(trust->algs, sheet->p));
    }
    for (i = 0; i < 3 && trust->types != MCP_TYPES_DEFAULT; i++) {
        if (trust->types & 1 << i) {
            APR_ARRAY_PUSH(accepted, const char *) = types[i];
        }
    }
    mcp_sheet_list(sheet, 2, "token types", accepted);
    if (issuer->conf->skew != MCP_UNSET) {
        SUBROW("clock skew", "%s", duration_write(trust->skew, sheet->p));
    }
    if (issuer->source.allow_http) {
        SUBROW("plain http", "allowed (McpOAuthAllowHTTP On)");
    }
}

/* --- what every token needs ------------------------------------------------------------------------------------- */

/* One need; the first one has the label. */
static void need(const mcp_sheet_t *sheet, int *count, const char *text)
{
    mcp_sheet_row(sheet, 1, *count ? "" : "every token needs", text);
    ++*count;
}

static void claims_describe(const mcp_sheet_t *sheet, int *count, const mcp_policy_t *policy)
{
    int i;

    for (i = 0; policy->required_claims && i < policy->required_claims->nelts; i++) {
        const mcp_requirement_t *line = &APR_ARRAY_IDX(policy->required_claims, i, mcp_requirement_t);

        need(sheet, count,
             apr_psprintf(sheet->p, line->values->nelts > 1 ? "claim %s with one of %s" : "claim %s with %s",
                          line->path.text, join(line->values, sheet->p)));
    }
}

static void login_describe(const mcp_sheet_t *sheet, int *count, const mcp_policy_t *policy)
{
    if (policy->acrs) {
        need(
            sheet, count,
            apr_psprintf(sheet->p, policy->acrs->nelts > 1 ? "acr one of %s" : "acr %s", join(policy->acrs, sheet->p)));
    }
    if (policy->max_auth_age) {
        need(sheet, count,
             apr_psprintf(sheet->p, "a user who logged in at most %s ago",
                          duration_write(policy->max_auth_age, sheet->p)));
    }
}

static void sender_describe(const mcp_sheet_t *sheet, const mcp_location_t *location)
{
    static const char *const says[] = {
        [MCP_DPOP_OFF] = "Off: a token that is bound to a key or a certificate is refused",
        [MCP_DPOP_OPTIONAL] = "Optional: a token that is bound to a key needs a proof, any other one is a bearer token",
        [MCP_DPOP_REQUIRED] = "Required: every token must be bound to a key and come with a proof",
    };

    ROW("DPoP", "%s%s", says[location->dpop],
        location->dpop != MCP_DPOP_OFF && location->dpop_nonce ? "; proofs need a nonce of this server" : "");
    if (ap_cstr_casecmp(location->token_header, MCP_TOKEN_HEADER_DEFAULT)) {
        ROW("token is sent in", "%s", location->token_header);
    }
}

void mcp_describe_tokens(const mcp_sheet_t *sheet, const mcp_location_t *location)
{
    const mcp_policy_t *policy = &location->policy;
    int i, count = 0;

    for (i = 0; policy->trusts && i < policy->trusts->nelts; i++) {
        trust_describe(sheet, location, APR_ARRAY_IDX(policy->trusts, i, const mcp_trust_t *));
    }
    if (location->conf->hierarchical == 1) {
        ROW("audience match", "hierarchical: an audience above an accepted one is accepted, too");
    }
    if (policy->required_scopes) {
        need(sheet, &count,
             apr_psprintf(sheet->p, "scope %s (read from claim %s)",
                          apr_array_pstrcat(sheet->p, policy->required_scopes, ' '),
                          paths_join(policy->scope_paths, sheet->p)));
    }
    claims_describe(sheet, &count, policy);
    if (policy->parties) {
        need(sheet, &count,
             apr_psprintf(sheet->p, policy->parties->nelts > 1 ? "a client that is one of %s" : "client %s",
                          join(policy->parties, sheet->p)));
    }
    login_describe(sheet, &count, policy);
    if (!count) {
        need(sheet, &count, "nothing more than issuer and audience");
    }
    sender_describe(sheet, location);
}

/* --- who may do what -------------------------------------------------------------------------------------------- */

/* Are all scopes among the values that rules name? */
static int scopes_count(const mcp_policy_t *policy)
{
    int i, j;

    for (i = 0; i < policy->scope_paths->nelts; i++) {
        const char *text = APR_ARRAY_IDX(policy->scope_paths, i, mcp_claim_path_t).text;

        for (j = 0; j < policy->acl_paths->nelts; j++) {
            if (!strcmp(text, APR_ARRAY_IDX(policy->acl_paths, j, mcp_claim_path_t).text)) {
                break;
            }
        }
        if (j == policy->acl_paths->nelts) {
            return 0;
        }
    }
    return 1;
}

static const apr_array_header_t *asked_scopes(const mcp_policy_t *policy, apr_pool_t *p)
{
    apr_array_header_t *asked = apr_array_make(p, 4, sizeof(const char *));
    int i;

    for (i = 0; policy->conditions && i < policy->conditions->nelts; i++) {
        const apr_array_header_t *scopes = APR_ARRAY_IDX(policy->conditions, i, mcp_condition_t).scopes;

        if (scopes) {
            apr_array_cat(asked, scopes);
        }
    }
    return asked;
}

static mcp_ruleset_t ruleset_make(const mcp_location_t *location, apr_pool_t *p)
{
    const mcp_dir_t *conf = location->conf;
    apr_array_header_t *rules = apr_array_make(p, 8, sizeof(mcp_rule_t));
    apr_array_header_t *implications = apr_array_make(p, 4, sizeof(mcp_implication_t));
    mcp_ruleset_t ruleset = { rules, implications, conf->required_scopes, asked_scopes(&location->policy, p),
                              scopes_count(&location->policy) };
    int i;

    for (i = 0; conf->allows && i < conf->allows->nelts; i++) {
        const mcp_allow_t *line = &APR_ARRAY_IDX(conf->allows, i, mcp_allow_t);
        mcp_rule_t *rule = apr_array_push(rules);

        rule->values = line->values;
        rule->operations = line->operations;
        rule->place = line->at ? mcp_describe_place(line->at, p) : NULL;
    }
    for (i = 0; conf->implies && i < conf->implies->nelts; i++) {
        const mcp_implies_t *line = &APR_ARRAY_IDX(conf->implies, i, mcp_implies_t);
        mcp_implication_t *implication = apr_array_push(implications);

        implication->value = line->value;
        implication->implied = line->implied;
    }
    return ruleset;
}

static void rules_describe(const mcp_sheet_t *sheet, const mcp_location_t *location)
{
    const mcp_ruleset_t ruleset = ruleset_make(location, sheet->p);
    const apr_array_header_t *rights = mcp_explain_rights(&ruleset, sheet->p);
    int i;

    ROW("access rules", "%s; values are read from claim %s",
        location->acl_mode == MCP_ACL_SHADOW
            ? "Shadow: nothing is refused; what these rules would refuse is logged and counted"
            : "On: what is not allowed here is refused",
        paths_join(location->policy.acl_paths, sheet->p));
    for (i = 0; i < rights->nelts; i++) {
        const mcp_right_t *right = &APR_ARRAY_IDX(rights, i, mcp_right_t);

        mcp_sheet_list(sheet, 2, right->who, right->may);
    }
    if (rights->nelts) {
        mcp_sheet_list(sheet, 2, "nobody may do", mcp_explain_unreached(&ruleset, sheet->p));
    }
    else {
        SUBROW("nobody may do", "anything, as there is no McpOAuthAllow");
    }
    if (location->filter_lists) {
        SUBROW("lists", "show only what these rules let the caller use");
    }
}

static void limits_describe(const mcp_sheet_t *sheet, const mcp_dir_t *conf)
{
    int i, j;

    for (i = 0; conf->rate_limits && i < conf->rate_limits->nelts; i++) {
        const mcp_rate_limit_t *line = &APR_ARRAY_IDX(conf->rate_limits, i, mcp_rate_limit_t);

        for (j = 0; j < line->operations->nelts; j++) {
            const char *operation = APR_ARRAY_IDX(line->operations, j, const char *);

            mcp_sheet_row(sheet, 1, i + j ? "" : "rate limits",
                          apr_psprintf(sheet->p, "%s %s%s", line->text,
                                       strcmp(operation, "*") ? operation : "of all requests together",
                                       i + j ? "" : ", for each user of each client"));
        }
    }
}

void mcp_describe_rights(const mcp_sheet_t *sheet, const mcp_location_t *location)
{
    if (!location->inspect) {
        ROW("access rules", "none: bodies are not read (McpOAuthInspect Off), every valid token may send anything");
    }
    else if (location->acl_mode == MCP_ACL_OFF) {
        ROW("access rules", "none: every valid token may do everything (McpOAuthACL Off)");
    }
    else {
        rules_describe(sheet, location);
    }
    limits_describe(sheet, location->conf);
}

/* --- what passes ------------------------------------------------------------------------------------------------ */

static void origins_describe(const mcp_sheet_t *sheet, const mcp_origins_t *origins)
{
    ROW("browser origins", "%s%s%s", origins->any ? "any (*)" : join(origins->listed, sheet->p),
        origins->any && origins->listed->nelts ? ", also named: "
        : origins->loopback                    ? " and loopback origins"
                                               : "",
        origins->any ? join(origins->listed, sheet->p) : "");
}

static void ceilings_describe(const mcp_sheet_t *sheet, const mcp_location_t *location)
{
    const mcp_dir_t *conf = location->conf;

    if (conf->max_body != MCP_UNSET && location->inspect) {
        ROW("largest body", "%" APR_OFF_T_FMT " bytes", location->max_body);
    }
    if (conf->max_depth != MCP_UNSET && location->inspect) {
        ROW("deepest nesting", "%d", location->max_depth);
    }
    if (location->batch) {
        ROW("batches", "allowed for protocol version 2025-03-26");
    }
    if (location->stream_expiry) {
        ROW("streams", "end when their token expires");
    }
    if (location->session_binding) {
        ROW("sessions", "belong to who opened them");
    }
}

void mcp_describe_server(const mcp_sheet_t *sheet, const mcp_location_t *location)
{
    const apr_array_header_t *forwards = location->policy.forwards;
    int i;

    ROW("MCP server gets", "%s",
        location->forward_token ? apr_pstrcat(sheet->p, "the token, in ", location->token_header, NULL) : "no token");
    for (i = 0; forwards && i < forwards->nelts; i++) {
        const mcp_forward_t *forward = &APR_ARRAY_IDX(forwards, i, mcp_forward_t);

        ROW("", "%s: claim %s", forward->header, forward->path.text);
    }
    if (location->conf->remote_user) {
        ROW("REMOTE_USER", "claim %s", location->policy.user.text);
    }
    origins_describe(sheet, &location->origins);
    ceilings_describe(sheet, location);
}

/* --- what looks wrong ------------------------------------------------------------------------------------------- */

void mcp_describe_warning(const mcp_sheet_t *sheet, const char *text)
{
    mcp_sheet_line(sheet, apr_pstrcat(sheet->p, "  warning: ", text, NULL));
}

void mcp_describe_warnings(const mcp_sheet_t *sheet, const mcp_location_t *location)
{
    const apr_array_header_t *remarks;
    mcp_ruleset_t ruleset;
    int i;

    if (location->error) {
        mcp_describe_warning(sheet, apr_pstrcat(sheet->p, "it contradicts itself, and requests are refused with 500: ",
                                                location->error, NULL));
    }
    if (location->acl_mode == MCP_ACL_OFF) {
        if (location->conf->allows) {
            mcp_describe_warning(sheet, "there are McpOAuthAllow lines, and McpOAuthACL Off does not ask them; write "
                                        "McpOAuthACL On or Shadow");
        }
        return;
    }
    ruleset = ruleset_make(location, sheet->p);
    remarks = mcp_explain_remarks(&ruleset, sheet->p);
    for (i = 0; i < remarks->nelts; i++) {
        mcp_describe_warning(sheet, APR_ARRAY_IDX(remarks, i, const char *));
    }
}
