/* The whole judgement of a body: message, methods, access rules. The same body written in another way is judged the same,
 * and what is judged is what a reader finds in it. B01 to B15. Input: flags ('b' batches) NUL values held NUL one more
 * operation that is allowed NUL body. */
#include "fuzz.h"

#include "base/json.h"
#include "base/limits.h"
#include "policy/acl.h"
#include "policy/selector.h"
#include "rpc/message.h"

#define DEPTH 64
#define BODY_MAX 8192

typedef struct rules_t {
    mcp_acl_t *acl;
    mcp_valueset_t held, all;
    mcp_scopes_t *scopes;
} rules_t;

static void rules_make(rules_t *rules, const char *held, const char *operation, apr_pool_t *p)
{
    mcp_selector_t selector;
    const char *every = "read write more";

    rules->scopes = mcp_scopes_create(p);
    rules->acl = mcp_acl_create(rules->scopes, p);
    mcp_acl_allow(rules->acl, "*", fuzz_split("@session tools/list", " ", p));
    mcp_acl_allow(rules->acl, "read", fuzz_split("tools/call:add resource:file:///docs/* prompts/*", " ", p));
    mcp_acl_allow(rules->acl, "read write", fuzz_split("tool:get_* tasks/get:* completion/complete", " ", p));
    if (!mcp_selector_parse(&selector, operation, p)) {
        mcp_acl_allow(rules->acl, "more", fuzz_split(operation, "", p));
    }
    mcp_scopes_intern(rules->scopes, "write");
    mcp_scopes_intern(rules->scopes, "more");
    mcp_scopes_close(rules->scopes, p);
    mcp_scopes_collect(&rules->held, rules->scopes, fuzz_split(held, " ", p), p);
    mcp_scopes_collect(&rules->all, rules->scopes, fuzz_split(every, " ", p), p);
}

typedef struct verdict_t {
    mcp_status_t status, access;
    mcp_message_t *message;
} verdict_t;

static void judge(verdict_t *verdict, const char *body, size_t len, int batch, const rules_t *rules, apr_pool_t *p)
{
    const apr_array_header_t *operations;

    verdict->status = mcp_message_parse(&verdict->message, body, len, DEPTH, batch, p);
    MUST(verdict->message);
    operations = verdict->message->operations;
    MUST(verdict->status != MCP_OK || operations->nelts > 0);
    verdict->access =
        mcp_acl_check(NULL, rules->acl, &rules->held, (const mcp_operation_t *)operations->elts, operations->nelts, p);
}

static int same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

/* Everything but the spelling of the id. */
static void check_same(const verdict_t *a, const verdict_t *b)
{
    MUST(a->status == b->status && a->access == b->access && a->message->kind == b->message->kind);
    MUST(same_text(a->message->method, b->message->method) && same_text(a->message->object, b->message->object));
    MUST(same_text(a->message->meta_version, b->message->meta_version) && !a->message->id == !b->message->id);
    MUST(a->message->operations->nelts == b->message->operations->nelts);
    for (int i = 0; i < a->message->operations->nelts; i++) {
        const mcp_operation_t *x = &APR_ARRAY_IDX(a->message->operations, i, mcp_operation_t);
        const mcp_operation_t *y = &APR_ARRAY_IDX(b->message->operations, i, mcp_operation_t);

        MUST(x->kind == y->kind && x->object_kind == y->object_kind && same_text(x->method, y->method));
        MUST(same_text(x->object, y->object) && same_text(x->via, y->via));
    }
}

/* The body with white space wherever it means nothing. */
static const char *spaced(size_t *plen, const char *body, size_t len, apr_pool_t *p)
{
    char *out = apr_palloc(p, 4 * len + 8), *end = out;
    int quoted = 0;

    memcpy(end, " \n", 2);
    end += 2;
    for (size_t i = 0; i < len; i++) {
        int structural = !quoted && body[i] && strchr("{}[]:,", body[i]);

        if (body[i] == '"') {
            quoted = !quoted;
        }
        if (structural) {
            *end++ = '\t';
        }
        *end++ = body[i];
        if (quoted && body[i] == '\\' && i + 1 < len) {
            *end++ = body[++i];
        }
        if (structural) {
            memcpy(end, "\r\n", 2);
            end += 2;
        }
    }
    *end++ = ' ';
    *plen = (size_t)(end - out);
    return fuzz_bytes(out, *plen, p);
}

/* The same value with the members of all objects in the opposite order. */
static json_t *reversed(const json_t *json)
{
    json_t *made, *value;
    const char *keys[512], *key;
    size_t i, n = 0;

    if (json_is_array(json)) {
        made = json_array();
        json_array_foreach(json, i, value)
        {
            json_array_append_new(made, reversed(value));
        }
        return made;
    }
    if (!json_is_object(json) || json_object_size(json) > 512) {
        return json_deep_copy(json);
    }
    json_object_foreach((json_t *)json, key, value)
    {
        keys[n++] = key;
    }
    made = json_object();
    while (n--) {
        json_object_set_new(made, keys[n], reversed(json_object_get(json, keys[n])));
    }
    return made;
}

/* What is judged is what stands there. One message alone. */
static void check_meaning(const mcp_message_t *message, const json_t *json)
{
    const json_t *params = json_object_get(json, "params"), *method = json_object_get(json, "method");
    const json_t *name = json_object_get(params, "name"), *uri = json_object_get(params, "uri");
    const mcp_operation_t *first = &APR_ARRAY_IDX(message->operations, 0, mcp_operation_t);

    MUST(mcp_json_is_text(json_object_get(json, "jsonrpc"), "2.0"));
    MUST(!method == !message->method && (!method || mcp_json_is_text(method, message->method)));
    MUST((message->kind == MCP_MESSAGE_REQUEST) == (method && json_object_get(json, "id")));
    MUST((message->kind == MCP_MESSAGE_RESPONSE) == !method && (first->kind == MCP_OPERATION_RESPONSE) == !method);
    if (!method || message->operations->nelts != 1 || first->object_kind == MCP_OBJECT_NONE) {
        return;
    }
    if (first->object_kind == MCP_OBJECT_TOOL) {
        MUST(!strcmp(message->method, "tools/call") && mcp_json_is_text(name, first->object));
    }
    if (!strcmp(message->method, "prompts/get")) {
        MUST(first->object_kind == MCP_OBJECT_PROMPT && mcp_json_is_text(name, first->object));
    }
    if (!strncmp(message->method, "resources/", 10)) {
        MUST(first->object_kind == MCP_OBJECT_RESOURCE && mcp_json_is_text(uri, first->object));
    }
    if (!strncmp(message->method, "tasks/", 6)) {
        MUST(mcp_json_is_text(json_object_get(params, "taskId"), first->object));
    }
}

/* No member has another spelling of a name that decides. */
static void check_spellings(const json_t *json)
{
    static const char *const names[] = { "jsonrpc", "id",   "method", "params", "result",
                                         "error",   "name", "uri",    "taskId", "ref" };
    const json_t *levels[] = { json, json_object_get(json, "params") };
    const char *key;
    json_t *value;

    for (size_t i = 0; i < 2; i++) {
        json_object_foreach((json_t *)levels[i], key, value)
        {
            for (size_t j = 0; j < sizeof(names) / sizeof(*names); j++) {
                MUST(!strcmp(key, names[j]) || strcasecmp(key, names[j]));
            }
        }
    }
}

static void check_access(const verdict_t *verdict, const rules_t *rules, apr_pool_t *p)
{
    const mcp_operation_t *operations = (const mcp_operation_t *)verdict->message->operations->elts;
    const apr_array_header_t *needed;
    int count = verdict->message->operations->nelts;
    mcp_valueset_t more;
    mcp_status_t all = mcp_acl_check(NULL, rules->acl, &rules->all, operations, count, p);

    MUST(verdict->access == mcp_acl_check(&needed, rules->acl, &rules->held, operations, count, p));
    MUST((all == MCP_OK) == (verdict->access != MCP_ACL_DENIED));
    MUST((verdict->access == MCP_ACL_SCOPE) == (needed != NULL));
    if (needed) { /* what it asks for is enough */
        mcp_scopes_collect(&more, rules->scopes, needed, p);
        MUST(mcp_acl_check(NULL, rules->acl, &more, operations, count, p) == MCP_OK);
    }
    for (int i = 0; i < count && verdict->access == MCP_OK; i++) { /* each alone is allowed as well */
        MUST(mcp_acl_check(NULL, rules->acl, &rules->held, operations + i, 1, p) == MCP_OK);
    }
}

static void check_accepted(const verdict_t *verdict, const char *body, size_t len, int batch, const rules_t *rules,
                           apr_pool_t *p)
{
    json_t *json = fuzz_json(body, len, p), *value, *turned;
    verdict_t other;
    size_t i;
    char *text;

    check_access(verdict, rules, p);
    if (!json) {
        return; /* an integer that is too long for jansson alone */
    }
    MUST(json_is_array(json) == (verdict->message->kind == MCP_MESSAGE_BATCH) && (batch || !json_is_array(json)));
    json_array_foreach(json, i, value)
    {
        check_spellings(value);
        check_meaning(APR_ARRAY_IDX(verdict->message->messages, (int)i, const mcp_message_t *), value);
    }
    if (json_is_object(json)) {
        check_spellings(json);
        check_meaning(verdict->message, json);
    }
    turned = reversed(json);
    text = json_dumps(turned, JSON_COMPACT);
    MUST(text);
    judge(&other, text, strlen(text), batch, rules, p);
    check_same(verdict, &other);
    json_decref(turned);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    fuzz_input_t input = fuzz_open(data, size, p);
    int batch = strchr(fuzz_next(&input), 'b') != NULL;
    const char *held = fuzz_next(&input), *operation = fuzz_next(&input), *body, *wide;
    verdict_t verdict, other;
    rules_t rules;
    size_t len, wide_len;

    rules_make(&rules, held, operation, p);
    body = fuzz_rest(&len, &input);
    if (len <= BODY_MAX) {
        judge(&verdict, body, len, batch, &rules, p);
        wide = spaced(&wide_len, body, len, p);
        judge(&other, wide, wide_len, batch, &rules, p);
        MUST((verdict.status == MCP_OK) == (other.status == MCP_OK));
        if (verdict.status == MCP_OK) {
            check_same(&verdict, &other);
            MUST(same_text(verdict.message->id, other.message->id));
            check_accepted(&verdict, body, len, batch, &rules, p);
        }
    }
    apr_pool_destroy(p);
    return 0;
}
