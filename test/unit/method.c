#include "rpc/method.h"

#include <jansson.h>
#include <stdlib.h>

#include "tap.h"

static void test_find(apr_pool_t *p)
{
    static const mcp_method_t want[] = {
        { "initialize", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 1 },
        { "ping", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 1 },
        { "server/discover", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 0 },
        { "tools/list", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 0 },
        { "tools/call", MCP_OPERAND_NAME, MCP_OBJECT_TOOL, 1, 0 },
        { "resources/list", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 0 },
        { "resources/templates/list", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 0 },
        { "resources/read", MCP_OPERAND_URI, MCP_OBJECT_RESOURCE, 1, 0 },
        { "resources/subscribe", MCP_OPERAND_URI, MCP_OBJECT_RESOURCE, 0, 1 },
        { "resources/unsubscribe", MCP_OPERAND_URI, MCP_OBJECT_RESOURCE, 0, 1 },
        { "prompts/list", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 0 },
        { "prompts/get", MCP_OPERAND_NAME, MCP_OBJECT_PROMPT, 1, 0 },
        { "completion/complete", MCP_OPERAND_REF, MCP_OBJECT_NONE, 0, 0 },
        { "logging/setLevel", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 1 },
        { "tasks/get", MCP_OPERAND_TASK, MCP_OBJECT_TASK, 1, 0 },
        { "tasks/result", MCP_OPERAND_TASK, MCP_OBJECT_TASK, 0, 1 },
        { "tasks/list", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 1 },
        { "tasks/cancel", MCP_OPERAND_TASK, MCP_OBJECT_TASK, 1, 0 },
        { "tasks/update", MCP_OPERAND_TASK, MCP_OBJECT_TASK, 1, 0 },
        { "subscriptions/listen", MCP_OPERAND_LISTEN, MCP_OBJECT_NONE, 0, 0 },
        { "notifications/initialized", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 1 },
        { "notifications/cancelled", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 0 },
        { "notifications/progress", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 0 },
        { "notifications/roots/list_changed", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 1 },
        { "notifications/tasks/status", MCP_OPERAND_TASK, MCP_OBJECT_TASK, 0, 1 },
    };

    for (unsigned i = 0; i < sizeof(want) / sizeof(*want); i++) {
        const mcp_method_t *got = mcp_method_find(want[i].name);

        STR_IS(got ? got->name : NULL, want[i].name, "requirements 2.1, 2.2: %s is known", want[i].name);
        OK(got && got->operand == want[i].operand && got->object == want[i].object &&
               got->mirrored == want[i].mirrored && got->gone == want[i].gone,
           "with its operand, object, mirror and end: %s", want[i].name);
    }
}

static void test_at(apr_pool_t *p)
{
    const mcp_method_t *method, *before = NULL;
    int count, wrong = 0;

    for (count = 0; (method = mcp_method_at(count)); count++) {
        wrong += mcp_method_find(method->name) != method || (before && strcmp(before->name, method->name) >= 0);
        before = method;
    }
    OK(count == 25 && !wrong, "all methods can be listed, each once, sorted");
    OK(!mcp_method_at(-1) && !mcp_method_at(count + 1), "and none beside them");
}

static void test_unknown(apr_pool_t *p)
{
    static const char *const unknown[] = { "",
                                           "x/y",
                                           "Tools/Call",
                                           "tools/call ",
                                           " tools/call",
                                           "tools/cal",
                                           "tools/calls",
                                           "tools",
                                           "a",
                                           "zzz",
                                           "sampling/createMessage",
                                           "roots/list",
                                           "elicitation/create",
                                           "notifications/message",
                                           "response",
                                           "GET" };

    for (unsigned i = 0; i < sizeof(unknown) / sizeof(*unknown); i++) {
        OK(!mcp_method_find(unknown[i]), "ACL-2 '%s' is no method of clients", unknown[i]);
    }
    OK(!mcp_method_find(NULL), "nor is none");
}

/* The method that one member of ClientRequest or ClientNotification stands for. */
static const char *method_of(const json_t *type, const json_t *types)
{
    const char *ref = json_string_value(json_object_get(type, "$ref"));

    if (ref && strrchr(ref, '/')) {
        type = json_object_get(types, strrchr(ref, '/') + 1);
    }
    type = json_object_get(json_object_get(type, "properties"), "method");
    return json_string_value(json_object_get(type, "const"));
}

static int union_check(const json_t *types, const char *name, const char *file)
{
    const json_t *type = json_object_get(types, name), *any = json_object_get(type, "anyOf");
    size_t count = any ? json_array_size(any) : 1;

    for (size_t i = 0; i < count; i++) {
        const char *method = method_of(any ? json_array_get(any, i) : type, types);

        OK(method && mcp_method_find(method), "%s: %s knows %s", file, name, method ? method : "(no method)");
    }
    return (int)count;
}

static void test_schema(const char *dir, const char *file, int requests, int notifications, apr_pool_t *p)
{
    json_error_t error;
    json_t *schema = json_load_file(apr_pstrcat(p, dir, "/", file, NULL), 0, &error);
    const json_t *types = json_object_get(schema, "$defs");

    if (!types) {
        types = json_object_get(schema, "definitions");
    }
    OK(types != NULL, "%s can be read", file);
    OK(union_check(types, "ClientRequest", file) == requests, "%s has %d requests", file, requests);
    OK(union_check(types, "ClientNotification", file) == notifications, "%s has %d notifications", file, notifications);
    json_decref(schema);
}

static void test_schemas(apr_pool_t *p)
{
    const char *vectors = getenv("MCP_VECTORS"), *srcdir = getenv("srcdir"), *dir;
    FILE *probe;

    if (!vectors) {
        vectors = apr_pstrcat(p, srcdir ? srcdir : ".", "/../shared/vectors", NULL);
    }
    dir = apr_pstrcat(p, vectors, "/mcp_conformance/src/spec-types", NULL);
    probe = fopen(apr_pstrcat(p, dir, "/SOURCE", NULL), "r");
    if (!probe) {
        printf("# no schemas in %s: not compared\n", dir);
        return;
    }
    fclose(probe);
    test_schema(dir, "2025-03-26.schema.json", 13, 4, p);
    test_schema(dir, "2025-06-18.schema.json", 13, 4, p);
    test_schema(dir, "2025-11-25.schema.json", 17, 5, p);
    test_schema(dir, "draft.schema.json", 10, 1, p);
}

static void test(apr_pool_t *p)
{
    test_find(p);
    test_at(p);
    test_unknown(p);
    test_schemas(p);
}
