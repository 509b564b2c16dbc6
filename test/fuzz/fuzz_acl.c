/* Access rules, which are looked up, against rules that are gone through one by one. Input: rules NUL implications NUL
 * values held NUL kind ('m' method, 'r' response, 'g' GET, 'd' DELETE) and object kind ('t', 'u', 'p', 'k', else none) NUL
 * method NUL object NUL method it comes through, or "-". */
#include "fuzz_rules.h"

/* Does the selector allow the operation, as design and headers say? */
static int allows(const mcp_selector_t *selector, const mcp_operation_t *operation, apr_pool_t *p)
{
    int is_method = operation->kind == MCP_OPERATION_METHOD, touches = operation->object_kind != MCP_OBJECT_NONE;
    mcp_selector_t member;

    switch (selector->select) {
    case MCP_SELECT_ALL:
        return 1;
    case MCP_SELECT_KIND:
        return selector->kind == operation->kind;
    case MCP_SELECT_GROUP:
        for (int i = 0; selector->members[i]; i++) {
            MUST(!mcp_selector_parse(&member, selector->members[i], p) && member.select != MCP_SELECT_GROUP);
            if (allows(&member, operation, p)) {
                return 1;
            }
        }
        return 0;
    case MCP_SELECT_METHOD:
        return is_method && mcp_pattern_match(&selector->method, operation->method);
    case MCP_SELECT_OBJECT:
        return is_method && touches && selector->object_kind == operation->object_kind &&
               mcp_pattern_match(&selector->object, operation->object);
    case MCP_SELECT_BOTH:
        return is_method && touches && mcp_pattern_match(&selector->object, operation->object) &&
               (mcp_pattern_match(&selector->method, operation->method) ||
                (operation->via && mcp_pattern_match(&selector->method, operation->via)));
    }
    return 0;
}

static int has(const apr_array_header_t *list, const char *text)
{
    int i = 0;

    while (i < list->nelts && strcmp(fuzz_at(list, i), text)) {
        i++;
    }
    return i < list->nelts;
}

/* The values held and all that they imply, step by step. */
static apr_array_header_t *spread(const apr_array_header_t *held, const apr_array_header_t *implications, apr_pool_t *p)
{
    apr_array_header_t *all = apr_array_copy(p, held);

    for (int round = 0, grown = 1; grown && round <= implications->nelts; round++) {
        grown = 0;
        for (int i = 0; i < implications->nelts; i++) {
            const mcp_implication_t *one = &APR_ARRAY_IDX(implications, i, mcp_implication_t);

            if (has(all, one->value) && !has(all, one->implied)) {
                APR_ARRAY_PUSH(all, const char *) = one->implied;
                grown = 1;
            }
        }
    }
    return all;
}

static int has_all(const apr_array_header_t *held, const char *values, apr_pool_t *p)
{
    const apr_array_header_t *words = fuzz_split(values, " ", p);

    if (!strcmp(values, "*")) {
        return 1;
    }
    for (int i = 0; i < words->nelts; i++) {
        if (!has(held, fuzz_at(words, i))) {
            return 0;
        }
    }
    return words->nelts > 0;
}

static mcp_status_t judge(const apr_array_header_t *rules, const apr_array_header_t *held,
                          const mcp_operation_t *operation, apr_pool_t *p)
{
    mcp_status_t status = MCP_ACL_DENIED;

    for (int i = 0; i < rules->nelts; i++) {
        const mcp_rule_t *rule = &APR_ARRAY_IDX(rules, i, mcp_rule_t);
        mcp_selector_t selector;

        if (!*(rule->values + strspn(rule->values, " "))) {
            continue;
        }
        for (int j = 0; j < rule->operations->nelts; j++) {
            MUST(!mcp_selector_parse(&selector, fuzz_at(rule->operations, j), p));
            if (allows(&selector, operation, p)) {
                if (has_all(held, rule->values, p)) {
                    return MCP_OK;
                }
                status = MCP_ACL_SCOPE;
            }
        }
    }
    return status;
}

static void check_features(const mcp_acl_t *acl, const mcp_valueset_t *held, const mcp_operation_t *operation)
{
    static const struct {
        const char *prefix;
        unsigned feature;
    } families[] = { { "tools/", MCP_FEATURE_TOOLS },
                     { "resources/", MCP_FEATURE_RESOURCES },
                     { "prompts/", MCP_FEATURE_PROMPTS },
                     { "completion/complete", MCP_FEATURE_COMPLETIONS },
                     { "logging/setLevel", MCP_FEATURE_LOGGING },
                     { "tasks/", MCP_FEATURE_TASKS } };
    unsigned features = mcp_acl_features(acl, held);

    /* The operation is allowed and one that there is: so is a part of its feature. */
    for (size_t i = 0; i < sizeof(families) / sizeof(*families) && mcp_method_find(operation->method); i++) {
        MUST(strncmp(operation->method, families[i].prefix, strlen(families[i].prefix)) ||
             (features & families[i].feature));
    }
}

static void check(const mcp_acl_t *acl, const mcp_scopes_t *scopes, const apr_array_header_t *rules,
                  const apr_array_header_t *implications, const apr_array_header_t *held_texts,
                  const mcp_operation_t *operation, apr_pool_t *p)
{
    const apr_array_header_t *needed;
    mcp_valueset_t held, more;
    mcp_pattern_t object;
    mcp_status_t status;

    mcp_scopes_collect(&held, scopes, held_texts, p);
    status = mcp_acl_check(&needed, acl, &held, operation, 1, p);
    MUST(status == judge(rules, spread(held_texts, implications, p), operation, p));
    MUST((status == MCP_ACL_SCOPE) == (needed != NULL));
    if (needed) {
        mcp_scopes_collect(&more, scopes, needed, p);
        MUST(mcp_acl_check(NULL, acl, &more, operation, 1, p) == MCP_OK);
        MUST(judge(rules, spread(needed, implications, p), operation, p) == MCP_OK);
    }
    if (operation->kind == MCP_OPERATION_METHOD && operation->object_kind != MCP_OBJECT_NONE && status == MCP_OK) {
        MUST(mcp_pattern_compile(&object, "*", p) == NULL && mcp_acl_reaches(acl, &held, operation, &object));
        check_features(acl, &held, operation);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    fuzz_input_t input = fuzz_open(data, size, p);
    const apr_array_header_t *rules = fuzz_rules(fuzz_next(&input), p);
    const apr_array_header_t *implications = fuzz_implications(fuzz_next(&input), p);
    const apr_array_header_t *held = fuzz_split(fuzz_next(&input), " ", p);
    const char *kinds = fuzz_next(&input);
    mcp_operation_t operation = { MCP_OPERATION_METHOD, NULL, MCP_OBJECT_NONE, NULL, NULL };
    mcp_scopes_t *scopes;
    const mcp_acl_t *acl = fuzz_acl(&scopes, rules, implications, p);

    operation.kind = *kinds == 'r'   ? MCP_OPERATION_RESPONSE
                     : *kinds == 'g' ? MCP_OPERATION_GET
                     : *kinds == 'd' ? MCP_OPERATION_DELETE
                                     : MCP_OPERATION_METHOD;
    if (operation.kind == MCP_OPERATION_METHOD) {
        operation.object_kind = !*kinds           ? MCP_OBJECT_NONE
                                : kinds[1] == 't' ? MCP_OBJECT_TOOL
                                : kinds[1] == 'u' ? MCP_OBJECT_RESOURCE
                                : kinds[1] == 'p' ? MCP_OBJECT_PROMPT
                                : kinds[1] == 'k' ? MCP_OBJECT_TASK
                                                  : MCP_OBJECT_NONE;
        operation.method = fuzz_next(&input);
        operation.object = operation.object_kind == MCP_OBJECT_NONE ? NULL : fuzz_next(&input);
        operation.via = fuzz_maybe(&input);
    }
    check(acl, scopes, rules, implications, held, &operation, p);
    apr_pool_destroy(p);
    return 0;
}
