/* Filtered lists, read once more by jansson alone: nothing is there that the rules refuse, everything else is. B13.
 * Input: flags ('d' as for server/discover) NUL values held NUL rules NUL answer. */
#include "fuzz_rules.h"

#include "base/jsoncheck.h"
#include "base/limits.h"
#include "policy/lists.h"

static const struct {
    const char *list, *operand, *method;
    mcp_object_t kind;
} lists[] = { { "tools", "name", "tools/call", MCP_OBJECT_TOOL },
              { "resources", "uri", "resources/read", MCP_OBJECT_RESOURCE },
              { "prompts", "name", "prompts/get", MCP_OBJECT_PROMPT },
              { "resourceTemplates", "uriTemplate", "resources/read", MCP_OBJECT_RESOURCE } };

/* May it be seen? Its name as jansson understands it. */
static int is_allowed(const mcp_viewer_t *viewer, const json_t *element, int i, apr_pool_t *p)
{
    const json_t *value = json_object_get(element, lists[i].operand);
    const char *name = json_string_value(value);
    mcp_operation_t operation = { MCP_OPERATION_METHOD, lists[i].method, lists[i].kind, name, NULL };
    mcp_pattern_t pattern;

    if (!name || strlen(name) != json_string_length(value) || strlen(name) > MCP_LIMIT_NAME) {
        return 0;
    }
    if (i == 3) {
        mcp_pattern_of_template(&pattern, name, p);
        return mcp_acl_reaches(viewer->acl, viewer->held, &operation, &pattern);
    }
    return mcp_acl_check(NULL, viewer->acl, viewer->held, &operation, 1, p) == MCP_OK;
}

static void check_result(const mcp_viewer_t *viewer, const json_t *before, const json_t *after, apr_pool_t *p)
{
    int judged = 0;

    for (int i = 0; i < 4; i++) {
        const json_t *all = json_object_get(before, lists[i].list), *rest = json_object_get(after, lists[i].list);
        size_t at = 0;

        MUST(!all == !rest && (!all || json_is_null(all) || json_is_array(rest)));
        judged |= all != NULL;
        for (size_t j = 0; j < json_array_size(all); j++) { /* in the same order, as they were */
            const json_t *element = json_array_get(all, j);

            if (json_equal(element, json_array_get(rest, at))) {
                MUST(is_allowed(viewer, element, i, p));
                at++;
            }
        }
        MUST(at == json_array_size(rest));
    }
    MUST(!judged || !json_object_get(after, "cacheScope") ||
         !strcmp(json_string_value(json_object_get(after, "cacheScope")), "private"));
}

/* Elements that are well-formed and allowed are never lost. */
static void check_kept(const mcp_viewer_t *viewer, const json_t *before, const json_t *after, apr_pool_t *p)
{
    for (int i = 0; i < 4; i++) {
        const json_t *all = json_object_get(before, lists[i].list), *rest = json_object_get(after, lists[i].list);
        size_t wanted = 0;

        for (size_t j = 0; j < json_array_size(all); j++) {
            const json_t *element = json_array_get(all, j);

            wanted += json_object_size(element) == 1 && is_allowed(viewer, element, i, p);
        }
        MUST(wanted <= json_array_size(rest));
    }
}

static void check_capabilities(const mcp_viewer_t *viewer, const json_t *after)
{
    static const struct {
        const char *name;
        unsigned feature;
    } known[] = { { "tools", MCP_FEATURE_TOOLS },     { "resources", MCP_FEATURE_RESOURCES },
                  { "prompts", MCP_FEATURE_PROMPTS }, { "completions", MCP_FEATURE_COMPLETIONS },
                  { "logging", MCP_FEATURE_LOGGING }, { "tasks", MCP_FEATURE_TASKS } };
    const json_t *capabilities = json_object_get(after, "capabilities");
    unsigned features = mcp_acl_features(viewer->acl, viewer->held);

    for (size_t i = 0; viewer->discover && i < sizeof(known) / sizeof(*known); i++) {
        MUST(!json_object_get(capabilities, known[i].name) || (features & known[i].feature));
    }
}

static void check_message(const mcp_viewer_t *viewer, const json_t *before, const json_t *after, apr_pool_t *p)
{
    const json_t *results[] = { json_object_get(before, "result"), json_object_get(after, "result") };

    MUST(!results[0] == !results[1]);
    check_result(viewer, results[0], results[1], p);
    check_kept(viewer, results[0], results[1], p);
    check_capabilities(viewer, results[1]);
}

static void check(const mcp_viewer_t *viewer, const char *data, size_t len, const char *out, size_t out_len,
                  apr_pool_t *p)
{
    json_t *before = fuzz_json(data, len, p), *after = fuzz_json(out, out_len, p);
    const char *again;
    apr_size_t again_len;
    mcp_span_t span;

    MUST(mcp_jsoncheck_grammar(&span, out, out_len, MCP_LIMIT_LIST_DEPTH, NULL) && out_len <= len + 16 * 64);
    MUST(mcp_lists_filter(&again, &again_len, out, out_len, viewer, p) == MCP_OK);
    MUST(again == out || (again_len == out_len && !memcmp(again, out, out_len))); /* nothing is left to be cut */
    if (!before) {
        return; /* members that stand twice where it does not matter, half characters */
    }
    MUST(after && json_typeof(before) == json_typeof(after));
    MUST(json_array_size(before) == json_array_size(after));
    for (size_t i = 0; i < json_array_size(before); i++) {
        check_message(viewer, json_array_get(before, i), json_array_get(after, i), p);
    }
    if (json_is_object(before)) {
        check_message(viewer, before, after, p);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    fuzz_input_t input = fuzz_open(data, size, p);
    int discover = strchr(fuzz_next(&input), 'd') != NULL;
    const apr_array_header_t *words = fuzz_split(fuzz_next(&input), " ", p), *rules;
    mcp_scopes_t *scopes;
    mcp_valueset_t held;
    mcp_viewer_t viewer = { NULL, &held, discover };
    const char *text, *out;
    apr_size_t len, out_len;
    mcp_status_t status;

    rules = fuzz_rules(fuzz_next(&input), p);
    viewer.acl = fuzz_acl(&scopes, rules, apr_array_make(p, 1, sizeof(mcp_implication_t)), p);
    mcp_scopes_collect(&held, scopes, words, p);
    text = fuzz_rest(&len, &input);
    status = mcp_lists_filter(&out, &out_len, text, len, &viewer, p);
    MUST((status == MCP_OK) == (out != NULL) && (status == MCP_OK || status == MCP_LIST_UNREADABLE));
    if (out) {
        check(&viewer, text, len, out, out_len, p);
    }
    apr_pool_destroy(p);
    return 0;
}
