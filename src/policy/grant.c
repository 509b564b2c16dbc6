#include "policy/policy.h"

#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

static const json_t *claim_at(const mcp_token_t *token, const mcp_claim_path_t *path)
{
    return path->names ? mcp_claim_get(token->claims, path) : NULL;
}

static apr_array_header_t *values_of(const mcp_token_t *token, const apr_array_header_t *paths, apr_pool_t *p)
{
    apr_array_header_t *values = apr_array_make(p, 8, sizeof(const char *));
    int i;

    for (i = 0; paths && i < paths->nelts; i++) {
        mcp_claim_values(values, claim_at(token, &APR_ARRAY_IDX(paths, i, mcp_claim_path_t)), p);
    }
    return values;
}

static int is_listed(const apr_array_header_t *list, const char *text)
{
    int i;

    for (i = 0; list && i < list->nelts; i++) {
        if (!strcmp(APR_ARRAY_IDX(list, i, const char *), text)) {
            return 1;
        }
    }
    return 0;
}

/* Who has a name has all that it implies, so the set of the name alone must lie within held. The set of a name that is
 * not known is empty, and nobody has it. */
static int has_scope(const mcp_valueset_t *held, const mcp_scopes_t *scopes, const char *name, apr_pool_t *p)
{
    apr_array_header_t *names = apr_array_make(p, 1, sizeof(const char *));
    mcp_valueset_t needed;
    apr_uint32_t known = 0;
    int i;

    APR_ARRAY_PUSH(names, const char *) = name;
    mcp_scopes_collect(&needed, scopes, names, p);
    for (i = 0; i < needed.words; i++) {
        known |= needed.bits[i];
        if (needed.bits[i] & ~held->bits[i]) {
            return 0;
        }
    }
    return known != 0;
}

static int has_scopes(const apr_array_header_t *values, const mcp_policy_t *policy, apr_pool_t *p)
{
    const apr_array_header_t *required = policy->required_scopes;
    mcp_valueset_t held;
    int i;

    if (!required || !required->nelts) {
        return 1;
    }
    mcp_scopes_collect(&held, policy->scopes, values, p);
    for (i = 0; i < required->nelts; i++) {
        if (!has_scope(&held, policy->scopes, APR_ARRAY_IDX(required, i, const char *), p)) {
            return 0;
        }
    }
    return 1;
}

static int has_claim(const mcp_token_t *token, const mcp_requirement_t *requirement, apr_pool_t *p)
{
    apr_array_header_t *values = apr_array_make(p, 4, sizeof(const char *));
    int i;

    mcp_claim_values(values, claim_at(token, &requirement->path), p);
    for (i = 0; i < values->nelts; i++) {
        if (is_listed(requirement->values, APR_ARRAY_IDX(values, i, const char *))) {
            return 1;
        }
    }
    return 0;
}

/* RFC 9470 section 5: what is not said is not satisfied. */
static int has_acr(const mcp_token_t *token, const apr_array_header_t *acrs)
{
    const char *acr = acrs ? mcp_claims_acr(token->claims) : NULL;

    return !acrs || (acr && is_listed(acrs, acr));
}

static mcp_status_t judge(const mcp_token_t *token, const mcp_policy_t *policy, const apr_array_header_t *scopes,
                          apr_pool_t *p)
{
    const apr_array_header_t *claims = policy->required_claims;
    int i;

    if (policy->parties && (!token->client || !is_listed(policy->parties, token->client))) {
        return MCP_CLIENT_FORBIDDEN;
    }
    if (!has_acr(token, policy->acrs)) {
        return MCP_AUTHENTICATION_WEAK;
    }
    if (!has_scopes(scopes, policy, p)) {
        return MCP_SCOPE_MISSING;
    }
    for (i = 0; claims && i < claims->nelts; i++) {
        if (!has_claim(token, &APR_ARRAY_IDX(claims, i, mcp_requirement_t), p)) {
            return MCP_CLAIM_MISSING;
        }
    }
    return MCP_OK;
}

/* A claim or a member of one against values: 1 or 0; -1: it is nothing that can be compared. */
static int is_one_of(const json_t *claim, const apr_array_header_t *values, apr_pool_t *p)
{
    switch (json_typeof(claim)) {
    case JSON_STRING:
        return is_listed(values, json_string_value(claim));
    case JSON_INTEGER:
        return is_listed(values, apr_psprintf(p, "%" APR_INT64_T_FMT, (apr_int64_t)json_integer_value(claim)));
    case JSON_TRUE:
        return is_listed(values, "true");
    case JSON_FALSE:
        return is_listed(values, "false");
    case JSON_NULL:
        return 0;
    default:
        return -1;
    }
}

static int claim_holds(const mcp_token_t *token, const mcp_condition_t *condition, apr_pool_t *p)
{
    const json_t *claim = claim_at(token, &condition->claim.path);
    int found = claim && !json_is_array(claim) ? is_one_of(claim, condition->claim.values, p) : 0, doubt = found < 0;
    size_t i;

    for (i = 0; json_is_array(claim) && i < json_array_size(claim) && found <= 0; i++) {
        found = is_one_of(json_array_get(claim, i), condition->claim.values, p);
        doubt |= found < 0;
    }
    return found > 0 || has_claim(token, &condition->claim, p) || (doubt && condition->negated);
}

static int scope_holds(const mcp_condition_t *condition, const mcp_policy_t *policy, const apr_array_header_t *values,
                       const mcp_valueset_t *held, apr_pool_t *p)
{
    int i;

    for (i = 0; i < condition->scopes->nelts; i++) {
        const char *name = APR_ARRAY_IDX(condition->scopes, i, const char *);

        if (is_listed(values, name) || has_scope(held, policy->scopes, name, p)) {
            return 1;
        }
    }
    return 0;
}

static void conditions_judge(mcp_valueset_t *set, const mcp_token_t *token, const mcp_policy_t *policy,
                             const apr_array_header_t *scopes, apr_pool_t *p)
{
    const apr_array_header_t *conditions = policy->conditions;
    mcp_valueset_t held;
    int i;

    set->words = conditions ? (conditions->nelts + 31) / 32 : 0;
    if (!set->words) {
        return;
    }
    set->bits = apr_pcalloc(p, set->words * sizeof(apr_uint32_t));
    mcp_scopes_collect(&held, policy->scopes, scopes, p);
    for (i = 0; i < conditions->nelts; i++) {
        const mcp_condition_t *condition = &APR_ARRAY_IDX(conditions, i, mcp_condition_t);

        if (condition->scopes ? scope_holds(condition, policy, scopes, &held, p) : claim_holds(token, condition, p)) {
            set->bits[i / 32] |= (apr_uint32_t)1 << i % 32;
        }
    }
}

/* The headers' texts, one for each of policy->forwards, in scratch memory. */
static apr_array_header_t *forwards_of(const mcp_token_t *token, const mcp_policy_t *policy, apr_pool_t *p)
{
    apr_array_header_t *texts = apr_array_make(p, 4, sizeof(const char *));
    int i;

    for (i = 0; policy->forwards && i < policy->forwards->nelts; i++) {
        const mcp_forward_t *forward = &APR_ARRAY_IDX(policy->forwards, i, mcp_forward_t);

        APR_ARRAY_PUSH(texts, const char *) = mcp_claim_text(claim_at(token, &forward->path), p);
    }
    return texts;
}

static apr_size_t size_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* Copies text to *pat and steps over it. */
static const char *place(char **pat, const char *text)
{
    apr_size_t size = size_of(text);
    char *at = *pat;

    *pat += size;
    return size ? memcpy(at, text, size) : NULL;
}

/* The same for a set of numbers. */
static apr_uint32_t *place_set(char **pat, const mcp_valueset_t *set)
{
    apr_size_t size = set->words * sizeof(apr_uint32_t);
    char *at = *pat;

    *pat += size;
    return size ? memcpy(at, set->bits, size) : NULL;
}

/* Copies everything into one block: the struct, the pointers, the words, the strings, so that each is aligned. from
 * points into scratch memory. */
static mcp_grant_t *pack(const mcp_grant_t *from, const apr_array_header_t *forwards)
{
    apr_size_t pointers = forwards->nelts * sizeof(const char *);
    apr_size_t words = (from->acl_values.words + from->conditions.words) * sizeof(apr_uint32_t);
    apr_size_t size = sizeof(*from) + pointers + words + size_of(from->iss) + size_of(from->sub) +
                      size_of(from->client) + size_of(from->user) + size_of(from->scope) + size_of(from->binding.jkt) +
                      size_of(from->binding.x5t);
    mcp_grant_t *grant;
    char *at;
    int i;

    for (i = 0; i < forwards->nelts; i++) {
        size += size_of(APR_ARRAY_IDX(forwards, i, const char *));
    }
    grant = malloc(size);
    if (!grant) {
        return NULL;
    }
    *grant = *from;
    grant->entry.size = size;
    grant->forwards = (const char **)(grant + 1);
    at = (char *)(grant->forwards + forwards->nelts);
    grant->acl_values.bits = place_set(&at, &from->acl_values);
    grant->conditions.bits = place_set(&at, &from->conditions);
    grant->iss = place(&at, from->iss);
    grant->sub = place(&at, from->sub);
    grant->client = place(&at, from->client);
    grant->user = place(&at, from->user);
    grant->scope = place(&at, from->scope);
    grant->binding.jkt = place(&at, from->binding.jkt);
    grant->binding.x5t = place(&at, from->binding.x5t);
    for (i = 0; i < forwards->nelts; i++) {
        grant->forwards[i] = place(&at, APR_ARRAY_IDX(forwards, i, const char *));
    }
    return grant;
}

mcp_grant_t *mcp_grant_make(const mcp_token_t *token, const mcp_policy_t *policy, apr_time_t until, apr_pool_t *scratch)
{
    apr_array_header_t *scopes = values_of(token, policy->scope_paths, scratch);
    mcp_grant_t grant;

    memset(&grant, 0, sizeof(grant));
    grant.entry.not_after = token->not_after;
    grant.entry.not_before = token->not_before;
    grant.entry.until = until;
    grant.entry.keys = token->generation ? token->trust->keys : NULL;
    grant.entry.generation = token->generation;
    grant.status = judge(token, policy, scopes, scratch);
    grant.auth_time = mcp_claims_auth_time(token->claims);
    grant.binding = token->binding;
    grant.iss = token->trust->issuer;
    grant.sub = token->sub;
    grant.client = token->client;
    grant.user = mcp_claim_text(claim_at(token, &policy->user), scratch);
    grant.scope = apr_array_pstrcat(scratch, scopes, ' ');
    mcp_scopes_collect(&grant.acl_values, policy->scopes, values_of(token, policy->acl_paths, scratch), scratch);
    conditions_judge(&grant.conditions, token, policy, scopes, scratch);
    return pack(&grant, forwards_of(token, policy, scratch));
}

mcp_status_t mcp_grant_judge(const mcp_grant_t *grant, const mcp_policy_t *policy, apr_interval_time_t skew,
                             apr_time_t now)
{
    int later = grant->status == MCP_OK || grant->status == MCP_SCOPE_MISSING || grant->status == MCP_CLAIM_MISSING;

    if (!policy->max_auth_age || !later) {
        return grant->status;
    }
    if (!grant->auth_time || grant->auth_time > now + skew || now - grant->auth_time > policy->max_auth_age) {
        return MCP_AUTHENTICATION_OLD;
    }
    return grant->status;
}
