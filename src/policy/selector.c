#include "policy/selector.h"

#include <apr_strings.h>
#include <string.h>
#include <strings.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof(*(array))))

static const struct {
    const char *name;
    const char *members[10];
} groups[] = {
    { "@session",
      { "initialize", "ping", "server/discover", "notifications/*", "logging/setLevel", "response", "GET", "DELETE",
        "subscriptions/listen" } },
    { "@list", { "tools/list", "resources/list", "resources/templates/list", "prompts/list", "tasks/list" } },
    { "@tools", { "tools/*" } },
    { "@resources", { "resources/*" } },
    { "@prompts", { "prompts/*" } },
    { "@tasks", { "tasks/*" } },
    { "@completion", { "completion/complete" } },
};

static const struct {
    const char *name;
    mcp_operation_kind_t kind;
} kinds[] = { { "response", MCP_OPERATION_RESPONSE },
              { "GET", MCP_OPERATION_GET },
              { "DELETE", MCP_OPERATION_DELETE } };

static const struct {
    const char *name;
    const char *plural;
    mcp_object_t kind;
} objects[] = { { "tool", "tools", MCP_OBJECT_TOOL },
                { "resource", "resources", MCP_OBJECT_RESOURCE },
                { "prompt", "prompts", MCP_OBJECT_PROMPT } };

static const char *group_parse(mcp_selector_t *selector, const char *text, apr_pool_t *p)
{
    for (int i = 0; i < COUNT(groups); i++) {
        if (!strcmp(text, groups[i].name)) {
            selector->select = MCP_SELECT_GROUP;
            selector->members = groups[i].members;
            return NULL;
        }
    }
    return apr_psprintf(p,
                        "\"%s\" is no group; write one of @session @list @tools @resources @prompts @tasks "
                        "@completion",
                        text);
}

/* HTTP verbs that look like operations and are none. */
static const char *verb_error(const char *text, apr_pool_t *p)
{
    static const char *const verbs[] = { "POST", "OPTIONS", "PUT", "PATCH", "TRACE", "CONNECT" };

    if (!strcmp(text, "HEAD")) {
        return "\"HEAD\" is no operation; write GET, which covers HEAD";
    }
    for (int i = 0; i < COUNT(verbs); i++) {
        if (!strcmp(text, verbs[i])) {
            return apr_psprintf(p,
                                "\"%s\" is no operation; name JSON-RPC methods such as tools/list instead of %s, or "
                                "write * for everything",
                                text, text);
        }
    }
    return NULL;
}

static const char *pattern_parse(mcp_pattern_t *pattern, const char *pattern_text, const char *text, apr_pool_t *p)
{
    const char *error = mcp_pattern_compile(pattern, pattern_text, p);

    return error ? apr_psprintf(p, "\"%s\": %s; write \\* for a star and \\\\ for a backslash", text, error) : NULL;
}

static const char *prefix_error(const char *prefix, const char *object, const char *text, apr_pool_t *p)
{
    const char *instead = NULL;

    for (int i = 0; i < COUNT(objects); i++) {
        if (!strcasecmp(prefix, objects[i].name) || !strcasecmp(prefix, objects[i].plural)) {
            instead = apr_psprintf(p, "\"%s:%s\"", objects[i].name, object);
        }
    }
    if (!strcasecmp(prefix, "task") || !strcasecmp(prefix, "tasks")) {
        instead = apr_psprintf(p, "\"tasks/*:%s\"", object);
    }
    if (!strncmp(object, "//", 2)) {
        instead = apr_psprintf(p, "\"resource:%s\"", text);
    }
    return apr_psprintf(p, "\"%s\": \"%s\" is neither a method nor tool, resource or prompt; write %s", text, prefix,
                        instead ? instead : "tool:NAME, resource:URI, prompt:NAME or METHOD:NAME");
}

static const char *divided_parse(mcp_selector_t *selector, const char *text, const char *colon, apr_pool_t *p)
{
    const char *prefix = apr_pstrmemdup(p, text, (apr_size_t)(colon - text)), *error;

    if (!*prefix) {
        return apr_psprintf(p, "\"%s\" has nothing before ':'; write tool:, resource:, prompt: or a method there",
                            text);
    }
    if (!colon[1]) {
        return apr_psprintf(p, "\"%s\" has nothing after ':'; write \"%s*\" for every object", text, text);
    }
    selector->object_text = colon + 1;
    for (int i = 0; i < COUNT(objects); i++) {
        if (!strcmp(prefix, objects[i].name)) {
            selector->select = MCP_SELECT_OBJECT;
            selector->object_kind = objects[i].kind;
            return pattern_parse(&selector->object, selector->object_text, text, p);
        }
    }
    if (!strpbrk(prefix, "/*") && !mcp_method_find(prefix)) {
        return prefix_error(prefix, colon + 1, text, p);
    }
    selector->select = MCP_SELECT_BOTH;
    selector->method_text = prefix;
    error = pattern_parse(&selector->method, prefix, text, p);
    return error ? error : pattern_parse(&selector->object, selector->object_text, text, p);
}

const char *mcp_selector_parse(mcp_selector_t *selector, const char *text, apr_pool_t *p)
{
    const char *error, *colon;

    memset(selector, 0, sizeof(*selector));
    if (!*text) {
        return "an operation is empty; write a method such as tools/list, tool:NAME, a group such as @session, or *";
    }
    if (!strcmp(text, "*")) {
        selector->select = MCP_SELECT_ALL;
        return NULL;
    }
    if (*text == '@') {
        return group_parse(selector, text, p);
    }
    for (int i = 0; i < COUNT(kinds); i++) {
        if (!strcmp(text, kinds[i].name)) {
            selector->select = MCP_SELECT_KIND;
            selector->kind = kinds[i].kind;
            return NULL;
        }
    }
    error = verb_error(text, p);
    if (error) {
        return error;
    }
    colon = strchr(text, ':');
    if (colon) {
        return divided_parse(selector, text, colon, p);
    }
    selector->select = MCP_SELECT_METHOD;
    selector->method_text = text;
    return pattern_parse(&selector->method, text, text, p);
}

const char *mcp_selector_remark(const mcp_selector_t *selector, const char *text, apr_pool_t *p)
{
    const mcp_method_t *known;

    if (!selector->method_text || !selector->method.exact) {
        return NULL;
    }
    known = mcp_method_find(selector->method.literal);
    if (!known) {
        return apr_psprintf(p, "\"%s\": no MCP revision knows the method \"%s\"; check its spelling%s", text,
                            selector->method.literal,
                            selector->select == MCP_SELECT_BOTH
                                ? ", or write it without an object: that of an unknown method cannot be told"
                                : " unless an extension defines it");
    }
    if (selector->select == MCP_SELECT_BOTH && known->operand == MCP_OPERAND_NONE) {
        return apr_psprintf(p, "\"%s\": %s names no object, so this allows nothing; write \"%s\"", text, known->name,
                            known->name);
    }
    return NULL;
}
