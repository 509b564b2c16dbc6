/* Rules in plain words, against the rules themselves: what is said to be out of reach is, and nothing else is. Input: rules NUL
 * implications NUL a text to be printed. */
#include "fuzz_rules.h"

/* Is it safe on a terminal? */
static void check_clean(const char *text)
{
    MUST(text && fuzz_is_utf8(text, strlen(text)));
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        MUST(*c >= 0x20 && *c != 0x7f && !(*c == 0xc2 && c[1] < 0xa0));
        MUST(!(*c == 0xe2 && c[1] == 0x80 && c[2] >= 0xaa && c[2] <= 0xae));
        MUST(!(*c == 0xe2 && c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9));
    }
}

/* 2: unreached, 1: in part, 0: not among them. */
static int listed(const apr_array_header_t *unreached, const char *name)
{
    size_t len = strlen(name);

    for (int i = 0; i < unreached->nelts; i++) {
        const char *text = fuzz_at(unreached, i);

        if (!strncmp(text, name, len) && (!text[len] || text[len] == ' ')) {
            return text[len] ? 1 : 2;
        }
    }
    return 0;
}

static int reaches(const mcp_acl_t *acl, const mcp_valueset_t *all, mcp_operation_t operation, mcp_object_t kind,
                   apr_pool_t *p)
{
    mcp_pattern_t any;

    if (kind == MCP_OBJECT_NONE) {
        return mcp_acl_check(NULL, acl, all, &operation, 1, p) == MCP_OK;
    }
    operation.object_kind = kind;
    MUST(!mcp_pattern_compile(&any, "*", p));
    return mcp_acl_reaches(acl, all, &operation, &any);
}

static void check_unreached(const mcp_ruleset_t *ruleset, const apr_array_header_t *unreached, apr_pool_t *p)
{
    mcp_scopes_t *scopes;
    const mcp_acl_t *acl = fuzz_acl(&scopes, ruleset->rules, ruleset->implications, p);
    const mcp_method_t *method;
    mcp_valueset_t all;

    mcp_scopes_collect(&all, scopes, fuzz_all_values(ruleset->rules, p), p);
    for (int i = 0; (method = mcp_method_at(i)); i++) {
        mcp_operation_t operation = { MCP_OPERATION_METHOD, method->name, MCP_OBJECT_NONE, NULL, NULL };

        if (method->operand != MCP_OPERAND_REF && method->operand != MCP_OPERAND_LISTEN) {
            MUST((listed(unreached, method->name) == 2) == !reaches(acl, &all, operation, method->object, p));
        }
    }
    for (int kind = MCP_OPERATION_RESPONSE; kind <= MCP_OPERATION_DELETE; kind++) {
        mcp_operation_t operation = { (mcp_operation_kind_t)kind, NULL, MCP_OBJECT_NONE, NULL, NULL };
        const char *name = kind == MCP_OPERATION_GET ? "GET" : kind == MCP_OPERATION_DELETE ? "DELETE" : "response";

        MUST((listed(unreached, name) == 2) == !reaches(acl, &all, operation, MCP_OBJECT_NONE, p));
    }
}

static void check_texts(const apr_array_header_t *texts)
{
    for (int i = 0; i < texts->nelts; i++) {
        check_clean(fuzz_at(texts, i));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    fuzz_input_t input = fuzz_open(data, size, p);
    mcp_ruleset_t ruleset = { 0 };
    const apr_array_header_t *rights, *unreached;
    const char *text;

    ruleset.rules = fuzz_rules(fuzz_next(&input), p);
    ruleset.implications = fuzz_implications(fuzz_next(&input), p);
    text = fuzz_next(&input);
    check_clean(mcp_explain_clean(text, p));
    rights = mcp_explain_rights(&ruleset, p);
    for (int i = 0; i < rights->nelts; i++) {
        check_clean(APR_ARRAY_IDX(rights, i, mcp_right_t).who);
        check_texts(APR_ARRAY_IDX(rights, i, mcp_right_t).may);
    }
    unreached = mcp_explain_unreached(&ruleset, p);
    check_texts(unreached);
    check_unreached(&ruleset, unreached, p);
    check_texts(mcp_explain_remarks(&ruleset, p));
    apr_pool_destroy(p);
    return 0;
}
