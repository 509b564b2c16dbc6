/* Access rules as an input has them: lines VALUES TAB OPERATION TAB OPERATION ... and lines VALUE IMPLIED. */
#ifndef MCP_FUZZ_RULES_H
#define MCP_FUZZ_RULES_H

#include "fuzz.h"

#include "policy/acl.h"
#include "policy/explain.h"
#include "policy/selector.h"

#define FUZZ_RULES_MAX 40
#define FUZZ_RULES_BYTES 2048

/* Malformed operations are left out, as they stop the start. Values of rules are scope-tokens or "*". */
static inline apr_array_header_t *fuzz_rules(const char *text, apr_pool_t *p)
{
    apr_array_header_t *rules = apr_array_make(p, 4, sizeof(mcp_rule_t)), *lines = fuzz_split(text, "\n", p);

    for (int i = 0; i < lines->nelts && i < FUZZ_RULES_MAX && strlen(text) <= FUZZ_RULES_BYTES; i++) {
        apr_array_header_t *words = fuzz_split(fuzz_at(lines, i), "\t", p);
        apr_array_header_t *operations = apr_array_make(p, 4, sizeof(const char *));
        mcp_rule_t *rule;

        for (int j = 1; j < words->nelts; j++) {
            mcp_selector_t selector;

            if (!mcp_selector_parse(&selector, fuzz_at(words, j), p)) {
                APR_ARRAY_PUSH(operations, const char *) = fuzz_at(words, j);
            }
        }
        if (operations->nelts) {
            rule = apr_array_push(rules);
            rule->values = fuzz_at(words, 0);
            rule->operations = operations;
            rule->place = NULL;
        }
    }
    return rules;
}

static inline apr_array_header_t *fuzz_implications(const char *text, apr_pool_t *p)
{
    apr_array_header_t *all = apr_array_make(p, 4, sizeof(mcp_implication_t)), *lines = fuzz_split(text, "\n", p);

    for (int i = 0; i < lines->nelts && i < FUZZ_RULES_MAX; i++) {
        apr_array_header_t *words = fuzz_split(fuzz_at(lines, i), " ", p);

        if (words->nelts == 2) {
            mcp_implication_t *one = apr_array_push(all);

            one->value = fuzz_at(words, 0);
            one->implied = fuzz_at(words, 1);
        }
    }
    return all;
}

static inline mcp_acl_t *fuzz_acl(mcp_scopes_t **pscopes, const apr_array_header_t *rules,
                                  const apr_array_header_t *implications, apr_pool_t *p)
{
    mcp_scopes_t *scopes = mcp_scopes_create(p);
    mcp_acl_t *acl = mcp_acl_create(scopes, p);

    for (int i = 0; i < rules->nelts; i++) {
        const mcp_rule_t *rule = &APR_ARRAY_IDX(rules, i, mcp_rule_t);

        mcp_acl_allow(acl, rule->values, rule->operations);
    }
    for (int i = 0; i < implications->nelts; i++) {
        const mcp_implication_t *one = &APR_ARRAY_IDX(implications, i, mcp_implication_t);

        mcp_scopes_imply(scopes, one->value, one->implied);
    }
    mcp_scopes_close(scopes, p);
    *pscopes = scopes;
    return acl;
}

/* The values that all rules and implications name. */
static inline apr_array_header_t *fuzz_all_values(const apr_array_header_t *rules, apr_pool_t *p)
{
    apr_array_header_t *all = apr_array_make(p, 8, sizeof(const char *));

    for (int i = 0; i < rules->nelts; i++) {
        const mcp_rule_t *rule = &APR_ARRAY_IDX(rules, i, mcp_rule_t);

        if (strcmp(rule->values, "*")) {
            apr_array_cat(all, fuzz_split(rule->values, " ", p));
        }
    }
    return all;
}

#endif
