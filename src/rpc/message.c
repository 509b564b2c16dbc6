#include "rpc/message.h"

#include <apr_strings.h>
#include <string.h>

#include "base/jsoncheck.h"
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

/* Values are spans of the text, NULL where a member is absent. Their first byte tells what they are. What is read of them goes
 * into the pool of the text's map. */
static int is_object(mcp_span_t value)
{
    return value.text && *value.text == '{';
}

static int is_array(mcp_span_t value)
{
    return value.text && *value.text == '[';
}

static int is_string(mcp_span_t value)
{
    return value.text && *value.text == '"';
}

/* A string in p; NULL for what is none, or has more than max bytes. */
static const char *string_read(mcp_span_t value, apr_size_t max, apr_pool_t *p)
{
    const char *text;

    /* An escape has up to six bytes for one. */
    if (!is_string(value) || value.len - 2 > 6 * max) {
        return NULL;
    }
    text = mcp_jsontext_string(value, p);
    return text && strlen(text) <= max ? text : NULL;
}

/* One walk over the members of object: values[i] is that of names[i]. Returns 0 when a case variant of a name is there, but
 * reads on, so that the id is known all the same. */
static int members_read(mcp_span_t *values, mcp_span_t object, const char *const *names, int count,
                        const mcp_jsonmap_t *map)
{
    mcp_jsonwalk_t walk;
    mcp_span_t key, value;
    int clean = 1;

    memset(values, 0, (apr_size_t)count * sizeof(*values));
    mcp_jsonwalk_open(&walk, object, map);
    while (mcp_jsonwalk_next(&key, &value, &walk)) {
        int i = 0, match = MCP_NAME_OTHER;

        while (i < count && (match = mcp_jsontext_match(key, names[i])) == MCP_NAME_OTHER) {
            i++;
        }
        if (match == MCP_NAME_SAME) {
            values[i] = value;
        }
        clean &= match != MCP_NAME_VARIANT;
    }
    return clean;
}

/* The number of elements of an array, as far as more than max. */
static int elements_count(mcp_span_t array, int max, const mcp_jsonmap_t *map)
{
    mcp_jsonwalk_t walk;
    mcp_span_t element;
    int count = 0;

    mcp_jsonwalk_open(&walk, array, map);
    while (count <= max && mcp_jsonwalk_next(NULL, &element, &walk)) {
        count++;
    }
    return count;
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

/* Is it a number written without fraction and exponent? Its size does not matter. */
static int is_integer(mcp_span_t value)
{
    for (apr_size_t i = 0; i < value.len; i++) {
        if (value.text[i] != '-' && (value.text[i] < '0' || value.text[i] > '9')) {
            return 0;
        }
    }
    return 1;
}

/* Returns 0 for a wrong one. */
static int id_read(mcp_message_t *message, mcp_span_t id, apr_pool_t *p)
{
    if (!id.text) {
        return 1;
    }
    if (id.len > MCP_LIMIT_ID || (!is_string(id) && !is_integer(id))) {
        return 0;
    }
    message->id = apr_pstrmemdup(p, id.text, id.len);
    return 1;
}

static mcp_message_kind_t kind_of(const mcp_span_t *top)
{
    if (top[AT_METHOD].text) {
        return top[AT_ID].text ? MCP_MESSAGE_REQUEST : MCP_MESSAGE_NOTIFICATION;
    }
    return top[AT_RESULT].text || top[AT_ERROR].text ? MCP_MESSAGE_RESPONSE : MCP_MESSAGE_UNKNOWN;
}

static int is_version_2(mcp_span_t jsonrpc)
{
    return is_string(jsonrpc) && mcp_jsontext_is((mcp_span_t){ jsonrpc.text + 1, jsonrpc.len - 2 }, "2.0");
}

/* JSON-RPC 2.0 sections 4 and 5. */
static mcp_status_t envelope_check(mcp_message_t *message, const mcp_span_t *top, apr_pool_t *p)
{
    int has_result = top[AT_RESULT].text != NULL, has_error = top[AT_ERROR].text != NULL;

    if (!is_version_2(top[AT_JSONRPC])) {
        return MCP_RPC_INVALID;
    }
    if (top[AT_METHOD].text) {
        const char *method = string_read(top[AT_METHOD], MCP_LIMIT_NAME, p);

        if (!method || !*method || has_result || has_error) {
            return MCP_RPC_INVALID;
        }
        message->method = method;
        message->known = mcp_method_find(method);
        return MCP_OK;
    }
    if (has_result == has_error || (has_result && !top[AT_ID].text)) {
        return MCP_RPC_INVALID;
    }
    return MCP_OK;
}

static mcp_status_t meta_read(mcp_message_t *message, mcp_span_t meta, const mcp_jsonmap_t *map)
{
    mcp_span_t values[COUNT(meta_names)];

    if (!meta.text) {
        return MCP_OK;
    }
    if (!is_object(meta)) {
        return MCP_RPC_PARAMS;
    }
    message->has_meta = 1;
    if (!members_read(values, meta, meta_names, COUNT(meta_names), map)) {
        return MCP_JSON_VARIANT;
    }
    message->has_capabilities = is_object(values[META_CAPABILITIES]);
    if (values[META_VERSION].text && !is_string(values[META_VERSION])) {
        return MCP_RPC_PARAMS;
    }
    message->meta_version = values[META_VERSION].text ? mcp_jsontext_string(values[META_VERSION], map->p) : NULL;
    return MCP_OK;
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

/* A name that an object goes by. */
static const char *name_read(mcp_span_t value, apr_pool_t *p)
{
    return string_read(value, MCP_LIMIT_NAME, p);
}

static mcp_status_t ref_read(mcp_message_t *message, mcp_span_t ref, const mcp_jsonmap_t *map)
{
    mcp_span_t values[COUNT(ref_names)];
    const char *type;

    if (!is_object(ref)) {
        return MCP_RPC_PARAMS;
    }
    if (!members_read(values, ref, ref_names, COUNT(ref_names), map)) {
        return MCP_JSON_VARIANT;
    }
    type = name_read(values[REF_TYPE], map->p);
    if (type && !strcmp(type, "ref/prompt")) {
        return object_add(message, MCP_OBJECT_PROMPT, name_read(values[REF_NAME], map->p));
    }
    if (type && !strcmp(type, "ref/resource")) {
        return object_add(message, MCP_OBJECT_RESOURCE, name_read(values[REF_URI], map->p));
    }
    return MCP_RPC_PARAMS;
}

/* Does the filter ask for something that is no entry of the two lists? */
static int listen_is_plain(mcp_span_t filter, const mcp_jsonmap_t *map)
{
    mcp_jsonwalk_t walk;
    mcp_span_t key, value;

    mcp_jsonwalk_open(&walk, filter, map);
    while (mcp_jsonwalk_next(&key, &value, &walk)) {
        if (!mcp_jsontext_is(key, listen_names[LISTEN_RESOURCES]) &&
            !mcp_jsontext_is(key, listen_names[LISTEN_TASKS]) && *value.text != 'f' && *value.text != 'n') {
            return 1;
        }
    }
    return 0;
}

static mcp_status_t entries_add(mcp_message_t *message, mcp_span_t list, const char *method, mcp_object_t kind,
                                const mcp_jsonmap_t *map)
{
    mcp_jsonwalk_t walk;
    mcp_span_t entry;

    if (!list.text) {
        return MCP_OK;
    }
    mcp_jsonwalk_open(&walk, list, map);
    while (mcp_jsonwalk_next(NULL, &entry, &walk)) {
        const char *object = name_read(entry, map->p);

        if (!object) {
            return MCP_RPC_PARAMS;
        }
        operation_add(message, MCP_OPERATION_METHOD, method, kind, object, message->method);
    }
    return MCP_OK;
}

static mcp_status_t listen_read(mcp_message_t *message, mcp_span_t filter, const mcp_jsonmap_t *map)
{
    mcp_span_t lists[COUNT(listen_names)];
    mcp_status_t status;
    int i, entries = 0;

    if (!is_object(filter)) {
        return MCP_RPC_PARAMS;
    }
    if (!members_read(lists, filter, listen_names, COUNT(listen_names), map)) {
        return MCP_JSON_VARIANT;
    }
    for (i = 0; i < COUNT(lists); i++) {
        if (lists[i].text && !is_array(lists[i])) {
            return MCP_RPC_PARAMS;
        }
        entries += lists[i].text ? elements_count(lists[i], MCP_LIMIT_LISTEN, map) : 0;
    }
    if (entries > MCP_LIMIT_LISTEN) {
        return MCP_RPC_PARAMS;
    }
    status = entries_add(message, lists[LISTEN_RESOURCES], "resources/subscribe", MCP_OBJECT_RESOURCE, map);
    if (status == MCP_OK) {
        status = entries_add(message, lists[LISTEN_TASKS], "tasks/get", MCP_OBJECT_TASK, map);
    }
    if (status == MCP_OK && (!message->operations->nelts || listen_is_plain(filter, map))) {
        operation_add(message, MCP_OPERATION_METHOD, message->method, MCP_OBJECT_NONE, NULL, NULL);
    }
    return status;
}

/* A method that 2026-07-28 has no more needs no operand there: the server is to say that it does not know it. */
static mcp_status_t named_read(mcp_message_t *message, mcp_span_t value, const mcp_jsonmap_t *map)
{
    if (!value.text && message->known->gone && message->meta_version) {
        operation_add(message, MCP_OPERATION_METHOD, message->method, MCP_OBJECT_NONE, NULL, NULL);
        return MCP_OK;
    }
    return object_add(message, message->known->object, name_read(value, map->p));
}

static mcp_status_t operand_read(mcp_message_t *message, const mcp_span_t *params, const mcp_jsonmap_t *map)
{
    mcp_operand_t operand = message->known ? message->known->operand : MCP_OPERAND_NONE;

    switch (operand) {
    case MCP_OPERAND_NAME:
        return named_read(message, params[AT_NAME], map);
    case MCP_OPERAND_URI:
        return named_read(message, params[AT_URI], map);
    case MCP_OPERAND_TASK:
        return named_read(message, params[AT_TASK], map);
    case MCP_OPERAND_REF:
        return ref_read(message, params[AT_REF], map);
    case MCP_OPERAND_LISTEN:
        return listen_read(message, params[AT_LISTEN], map);
    case MCP_OPERAND_NONE:
        operation_add(message, MCP_OPERATION_METHOD, message->method, MCP_OBJECT_NONE, NULL, NULL);
        return MCP_OK;
    }
    return MCP_INTERNAL;
}

static mcp_status_t params_read(mcp_message_t *message, mcp_span_t params, const mcp_jsonmap_t *map)
{
    mcp_span_t values[COUNT(outer_names)] = { { NULL, 0 } };
    mcp_status_t status;

    if (params.text && !is_object(params)) {
        return MCP_RPC_PARAMS;
    }
    if (params.text && !members_read(values, params, outer_names, COUNT(outer_names), map)) {
        return MCP_JSON_VARIANT;
    }
    status = meta_read(message, values[AT_META], map);
    if (status != MCP_OK) {
        return status;
    }
    if (message->kind == MCP_MESSAGE_RESPONSE) {
        operation_add(message, MCP_OPERATION_RESPONSE, NULL, MCP_OBJECT_NONE, NULL, NULL);
        return MCP_OK;
    }
    return operand_read(message, values, map);
}

static mcp_message_t *message_create(apr_pool_t *p)
{
    mcp_message_t *message = apr_pcalloc(p, sizeof(*message));

    message->operations = apr_array_make(p, 1, sizeof(mcp_operation_t));
    return message;
}

static mcp_status_t message_read(mcp_message_t *message, mcp_span_t root, const mcp_jsonmap_t *map)
{
    mcp_span_t top[COUNT(outer_names)];
    mcp_status_t status;
    int clean, id_is_valid;

    if (!is_object(root)) {
        return MCP_RPC_INVALID;
    }
    clean = members_read(top, root, outer_names, COUNT(outer_names), map);
    id_is_valid = id_read(message, top[AT_ID], map->p);
    message->kind = kind_of(top);
    if (!clean) {
        return MCP_JSON_VARIANT;
    }
    status = id_is_valid ? envelope_check(message, top, map->p) : MCP_RPC_INVALID;
    return status == MCP_OK ? params_read(message, top[AT_PARAMS], map) : status;
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

static mcp_status_t batch_read(mcp_message_t *batch, mcp_span_t root, const mcp_jsonmap_t *map)
{
    mcp_jsonwalk_t walk;
    mcp_span_t element;
    int count = elements_count(root, MCP_LIMIT_BATCH, map);

    if (!count || count > MCP_LIMIT_BATCH) {
        return MCP_RPC_BATCH;
    }
    batch->kind = MCP_MESSAGE_BATCH;
    batch->messages = apr_array_make(map->p, count, sizeof(const mcp_message_t *));
    mcp_jsonwalk_open(&walk, root, map);
    while (mcp_jsonwalk_next(NULL, &element, &walk)) {
        mcp_message_t *message = message_create(map->p);
        mcp_status_t status = message_read(message, element, map);

        if (status != MCP_OK) {
            return status;
        }
        APR_ARRAY_PUSH(batch->messages, const mcp_message_t *) = message;
        if (!may_follow(APR_ARRAY_IDX(batch->messages, 0, const mcp_message_t *), message)) {
            return MCP_RPC_INVALID;
        }
        apr_array_cat(batch->operations, message->operations);
    }
    batch->method = methods_join(batch->messages, map->p);
    return MCP_OK;
}

mcp_status_t mcp_message_parse(mcp_message_t **pmessage, const char *data, apr_size_t len, int max_depth, int batch,
                               apr_pool_t *p)
{
    mcp_message_t *message = message_create(p);
    mcp_jsonmap_t map = { .p = p };
    mcp_span_t root;
    mcp_status_t status;

    *pmessage = message;
    status = mcp_jsoncheck_strict(&root, data, len, max_depth, &map);
    if (status != MCP_OK) {
        return status;
    }
    if (is_array(root)) {
        return batch ? batch_read(message, root, &map) : MCP_RPC_BATCH;
    }
    return message_read(message, root, &map);
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
