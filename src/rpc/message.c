#include "rpc/message.h"

#include <apr_strings.h>
#include <string.h>

#include "base/json.h"
#include "base/jsontext.h"
#include "base/limits.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof(*(array))))

/* Read at the top or directly in params. A variant of any of them is refused at both levels. */
enum {
    AT_JSONRPC,
    AT_ID,
    AT_METHOD,
    AT_PARAMS,
    AT_RESULT,
    AT_ERROR,
    AT_NAME,
    AT_URI,
    AT_TASK,
    AT_REF,
    AT_LISTEN,
    AT_META
};
static const char *const outer_names[] = { "jsonrpc", "id",  "method", "params", "result",        "error",
                                           "name",    "uri", "taskId", "ref",    "notifications", "_meta" };
enum { REF_TYPE, REF_NAME, REF_URI };
static const char *const ref_names[] = { "type", "name", "uri" };
enum { LISTEN_RESOURCES, LISTEN_TASKS };
static const char *const listen_names[] = { "resourceSubscriptions", "taskIds" };
enum { META_VERSION, META_CAPABILITIES, META_CLIENT };
static const char *const meta_names[] = { "io.modelcontextprotocol/protocolVersion",
                                          "io.modelcontextprotocol/clientCapabilities",
                                          "io.modelcontextprotocol/clientInfo" };

/* One walk over the members of object: values[i] is that of names[i] or NULL. Returns 0 when a case variant of a name is
 * there, but reads on, so that the id is known all the same. */
static int members_read(json_t **values, json_t *object, const char *const *names, int count)
{
    const char *key;
    json_t *value;
    int clean = 1;

    memset(values, 0, (apr_size_t)count * sizeof(*values));
    json_object_foreach(object, key, value)
    {
        for (int i = 0; i < count; i++) {
            if (!strcmp(key, names[i])) {
                values[i] = value;
                break;
            }
            if (mcp_json_is_variant(key, names[i])) {
                clean = 0;
                break;
            }
        }
    }
    return clean;
}

static void operation_add(mcp_message_t *message, mcp_operation_kind_t kind, const char *method,
                          mcp_object_t object_kind, const char *object, const char *via)
{
    mcp_operation_t *operation = apr_array_push(message->operations);

    operation->kind = kind;
    operation->method = method;
    operation->object_kind = object_kind;
    operation->object = object;
    operation->via = via;
}

/* Is a JSON number written without fraction and exponent? Its size does not matter. */
static int is_integer(const char *text, apr_size_t len)
{
    for (apr_size_t i = 0; i < len; i++) {
        if (text[i] != '-' && (text[i] < '0' || text[i] > '9')) {
            return 0;
        }
    }
    return 1;
}

/* Takes the id from the text: a number beyond 64 bits has lost its value in the tree. Returns 0 for a wrong one. */
static int id_read(mcp_message_t *message, const json_t *id, mcp_span_t text, apr_pool_t *p)
{
    mcp_span_t span;

    if (!id) {
        return 1;
    }
    if (!mcp_jsontext_member(&span, text, "id") || span.len > MCP_LIMIT_ID) {
        return 0;
    }
    if (!json_is_string(id) && !(json_is_number(id) && is_integer(span.text, span.len))) {
        return 0;
    }
    message->id = apr_pstrmemdup(p, span.text, span.len);
    return 1;
}

static mcp_message_kind_t kind_of(json_t *const *top)
{
    if (top[AT_METHOD]) {
        return top[AT_ID] ? MCP_MESSAGE_REQUEST : MCP_MESSAGE_NOTIFICATION;
    }
    return top[AT_RESULT] || top[AT_ERROR] ? MCP_MESSAGE_RESPONSE : MCP_MESSAGE_UNKNOWN;
}

static int is_version_2(const json_t *jsonrpc)
{
    return json_is_string(jsonrpc) && !strcmp(json_string_value(jsonrpc), "2.0");
}

/* JSON-RPC 2.0 sections 4 and 5. */
static mcp_status_t envelope_check(mcp_message_t *message, json_t *const *top)
{
    const json_t *method = top[AT_METHOD];

    if (!is_version_2(top[AT_JSONRPC])) {
        return MCP_RPC_INVALID;
    }
    if (method) {
        apr_size_t len = json_string_length(method); /* 0 for what is no string */

        if (!len || len > MCP_LIMIT_NAME || top[AT_RESULT] || top[AT_ERROR]) {
            return MCP_RPC_INVALID;
        }
        message->method = json_string_value(method);
        message->known = mcp_method_find(message->method);
        return MCP_OK;
    }
    if (!top[AT_RESULT] == !top[AT_ERROR] || (top[AT_RESULT] && !top[AT_ID])) {
        return MCP_RPC_INVALID;
    }
    return MCP_OK;
}

static mcp_status_t meta_read(mcp_message_t *message, json_t *meta)
{
    json_t *values[COUNT(meta_names)];

    if (!meta) {
        return MCP_OK;
    }
    if (!json_is_object(meta)) {
        return MCP_RPC_PARAMS;
    }
    message->has_meta = 1;
    if (!members_read(values, meta, meta_names, COUNT(meta_names))) {
        return MCP_JSON_VARIANT;
    }
    message->has_capabilities = json_is_object(values[META_CAPABILITIES]);
    if (values[META_VERSION] && !json_is_string(values[META_VERSION])) {
        return MCP_RPC_PARAMS;
    }
    message->meta_version = json_string_value(values[META_VERSION]);
    return MCP_OK;
}

/* The string that names an object; NULL when it is none or too long. */
static const char *text_of(const json_t *value)
{
    return json_string_length(value) <= MCP_LIMIT_NAME ? json_string_value(value) : NULL;
}

static mcp_status_t object_add(mcp_message_t *message, mcp_object_t kind, const char *object)
{
    if (!object || (!*object && (kind == MCP_OBJECT_TOOL || kind == MCP_OBJECT_PROMPT))) {
        return MCP_RPC_PARAMS;
    }
    message->object = object;
    operation_add(message, MCP_OPERATION_METHOD, message->method, kind, object, NULL);
    return MCP_OK;
}

static mcp_status_t ref_read(mcp_message_t *message, json_t *ref)
{
    json_t *values[COUNT(ref_names)];
    const char *type;

    if (!json_is_object(ref)) {
        return MCP_RPC_PARAMS;
    }
    if (!members_read(values, ref, ref_names, COUNT(ref_names))) {
        return MCP_JSON_VARIANT;
    }
    type = json_string_value(values[REF_TYPE]);
    if (type && !strcmp(type, "ref/prompt")) {
        return object_add(message, MCP_OBJECT_PROMPT, text_of(values[REF_NAME]));
    }
    if (type && !strcmp(type, "ref/resource")) {
        return object_add(message, MCP_OBJECT_RESOURCE, text_of(values[REF_URI]));
    }
    return MCP_RPC_PARAMS;
}

/* Does the filter ask for something that is no entry of the two lists? */
static int listen_is_plain(json_t *filter)
{
    const char *key;
    json_t *value;

    json_object_foreach(filter, key, value)
    {
        if (strcmp(key, listen_names[LISTEN_RESOURCES]) && strcmp(key, listen_names[LISTEN_TASKS]) &&
            !json_is_false(value) && !json_is_null(value)) {
            return 1;
        }
    }
    return 0;
}

static mcp_status_t entries_add(mcp_message_t *message, json_t *list, const char *method, mcp_object_t kind)
{
    json_t *entry;
    size_t i;

    json_array_foreach(list, i, entry)
    {
        const char *object = text_of(entry);

        if (!object) {
            return MCP_RPC_PARAMS;
        }
        operation_add(message, MCP_OPERATION_METHOD, method, kind, object, message->method);
    }
    return MCP_OK;
}

static mcp_status_t listen_read(mcp_message_t *message, json_t *filter)
{
    json_t *lists[COUNT(listen_names)];
    mcp_status_t status;

    if (!json_is_object(filter)) {
        return MCP_RPC_PARAMS;
    }
    if (!members_read(lists, filter, listen_names, COUNT(listen_names))) {
        return MCP_JSON_VARIANT;
    }
    for (int i = 0; i < COUNT(lists); i++) {
        if (lists[i] && !json_is_array(lists[i])) {
            return MCP_RPC_PARAMS;
        }
    }
    if (json_array_size(lists[LISTEN_RESOURCES]) + json_array_size(lists[LISTEN_TASKS]) > MCP_LIMIT_LISTEN) {
        return MCP_RPC_PARAMS;
    }
    status = entries_add(message, lists[LISTEN_RESOURCES], "resources/subscribe", MCP_OBJECT_RESOURCE);
    if (status == MCP_OK) {
        status = entries_add(message, lists[LISTEN_TASKS], "tasks/get", MCP_OBJECT_TASK);
    }
    if (status == MCP_OK && (!message->operations->nelts || listen_is_plain(filter))) {
        operation_add(message, MCP_OPERATION_METHOD, message->method, MCP_OBJECT_NONE, NULL, NULL);
    }
    return status;
}

/* A method that 2026-07-28 has no more needs no operand there: the server is to say that it does not know it. */
static mcp_status_t named_read(mcp_message_t *message, const json_t *value)
{
    if (!value && message->known->gone && message->meta_version) {
        operation_add(message, MCP_OPERATION_METHOD, message->method, MCP_OBJECT_NONE, NULL, NULL);
        return MCP_OK;
    }
    return object_add(message, message->known->object, text_of(value));
}

static mcp_status_t operand_read(mcp_message_t *message, json_t *const *params)
{
    mcp_operand_t operand = message->known ? message->known->operand : MCP_OPERAND_NONE;

    switch (operand) {
    case MCP_OPERAND_NAME:
        return named_read(message, params[AT_NAME]);
    case MCP_OPERAND_URI:
        return named_read(message, params[AT_URI]);
    case MCP_OPERAND_TASK:
        return named_read(message, params[AT_TASK]);
    case MCP_OPERAND_REF:
        return ref_read(message, params[AT_REF]);
    case MCP_OPERAND_LISTEN:
        return listen_read(message, params[AT_LISTEN]);
    case MCP_OPERAND_NONE:
        operation_add(message, MCP_OPERATION_METHOD, message->method, MCP_OBJECT_NONE, NULL, NULL);
        return MCP_OK;
    }
    return MCP_INTERNAL;
}

static mcp_status_t params_read(mcp_message_t *message, json_t *params)
{
    json_t *values[COUNT(outer_names)] = { NULL };
    mcp_status_t status;

    if (params && !json_is_object(params)) {
        return MCP_RPC_PARAMS;
    }
    if (params && !members_read(values, params, outer_names, COUNT(outer_names))) {
        return MCP_JSON_VARIANT;
    }
    status = meta_read(message, values[AT_META]);
    if (status != MCP_OK) {
        return status;
    }
    if (message->kind == MCP_MESSAGE_RESPONSE) {
        operation_add(message, MCP_OPERATION_RESPONSE, NULL, MCP_OBJECT_NONE, NULL, NULL);
        return MCP_OK;
    }
    return operand_read(message, values);
}

static mcp_message_t *message_create(apr_pool_t *p)
{
    mcp_message_t *message = apr_pcalloc(p, sizeof(*message));

    message->operations = apr_array_make(p, 1, sizeof(mcp_operation_t));
    return message;
}

/* text: of root. */
static mcp_status_t message_read(mcp_message_t *message, json_t *root, mcp_span_t text, apr_pool_t *p)
{
    json_t *top[COUNT(outer_names)];
    mcp_status_t status;
    int clean, id_is_valid;

    if (!json_is_object(root)) {
        return MCP_RPC_INVALID;
    }
    clean = members_read(top, root, outer_names, COUNT(outer_names));
    id_is_valid = id_read(message, top[AT_ID], text, p);
    message->kind = kind_of(top);
    if (!clean) {
        return MCP_JSON_VARIANT;
    }
    status = id_is_valid ? envelope_check(message, top) : MCP_RPC_INVALID;
    return status == MCP_OK ? params_read(message, top[AT_PARAMS]) : status;
}

/* Requests and notifications, or responses (2025-03-26, Transports, Sending Messages 3). */
static int may_follow(const mcp_message_t *first, const mcp_message_t *message)
{
    return (first->kind == MCP_MESSAGE_RESPONSE) == (message->kind == MCP_MESSAGE_RESPONSE) &&
           !(message->method && !strcmp(message->method, "initialize"));
}

static const char *methods_join(const apr_array_header_t *messages, apr_pool_t *p)
{
    apr_array_header_t *methods = apr_array_make(p, messages->nelts, sizeof(const char *));
    apr_size_t len = 0;

    for (int i = 0; i < messages->nelts && len <= MCP_LIMIT_NAME; i++) {
        const char *method = APR_ARRAY_IDX(messages, i, const mcp_message_t *)->method;

        APR_ARRAY_PUSH(methods, const char *) = method ? method : "response";
        len += method ? strlen(method) : 0;
    }
    return apr_array_pstrcat(p, methods, ',');
}

static mcp_status_t batch_read(mcp_message_t *batch, json_t *root, mcp_span_t text, apr_pool_t *p)
{
    mcp_jsonwalk_t walk;
    json_t *value;
    size_t i;

    if (!json_array_size(root) || json_array_size(root) > MCP_LIMIT_BATCH) {
        return MCP_RPC_BATCH;
    }
    batch->kind = MCP_MESSAGE_BATCH;
    batch->messages = apr_array_make(p, (int)json_array_size(root), sizeof(const mcp_message_t *));
    mcp_jsonwalk_open(&walk, text);
    json_array_foreach(root, i, value)
    {
        mcp_message_t *message = message_create(p);
        mcp_span_t element;
        mcp_status_t status;

        if (!mcp_jsonwalk_next(NULL, &element, &walk)) {
            return MCP_INTERNAL;
        }
        if ((status = message_read(message, value, element, p)) != MCP_OK) {
            return status;
        }
        APR_ARRAY_PUSH(batch->messages, const mcp_message_t *) = message;
        if (!may_follow(APR_ARRAY_IDX(batch->messages, 0, const mcp_message_t *), message)) {
            return MCP_RPC_INVALID;
        }
        apr_array_cat(batch->operations, message->operations);
    }
    batch->method = methods_join(batch->messages, p);
    return MCP_OK;
}

/* The whole text without the white space in front. */
static mcp_span_t span_of(const char *data, apr_size_t len)
{
    mcp_span_t span = { data, len };

    while (span.len && strchr(" \t\r\n", *span.text)) {
        span.text++;
        span.len--;
    }
    return span;
}

mcp_status_t mcp_message_parse(mcp_message_t **pmessage, const char *data, apr_size_t len, int max_depth, int batch,
                               apr_pool_t *p)
{
    mcp_message_t *message = message_create(p);
    json_t *root;
    mcp_status_t status;

    *pmessage = message;
    status = mcp_json_parse(&root, data, len, max_depth, p);
    if (status != MCP_OK) {
        return status;
    }
    if (json_is_array(root)) {
        return batch ? batch_read(message, root, span_of(data, len), p) : MCP_RPC_BATCH;
    }
    return message_read(message, root, span_of(data, len), p);
}

static int is_listed(const char *method, const char *const *methods)
{
    while (*methods && strcmp(method, *methods)) {
        methods++;
    }
    return *methods != NULL;
}

int mcp_message_asks(const mcp_message_t *message, const char *const *methods)
{
    int i;

    if (message->kind == MCP_MESSAGE_REQUEST || message->kind == MCP_MESSAGE_NOTIFICATION) {
        return is_listed(message->method, methods);
    }
    for (i = 0; message->messages && i < message->messages->nelts; i++) {
        if (mcp_message_asks(APR_ARRAY_IDX(message->messages, i, const mcp_message_t *), methods)) {
            return 1;
        }
    }
    return 0;
}
