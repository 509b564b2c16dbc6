/* What the gate understands of bodies: reads them from standard input, each behind its length (four bytes, big-endian), and
 * prints one line of JSON for each. Arrays are understood, as with McpOAuthBatch On.
 *
 *   {"refused":SLUG}
 *   {"batch":BOOL,"operations":OPERATIONS,"messages":[
 *     {"kind":"request","id":TEXT|null,"version":TEXT|null,"operations":[[KIND,OBJECT KIND,METHOD,OBJECT,VIA],…]},…]}
 *
 * Who sends a body also chooses its headers: refused is what would be refused with any of them. */
#include <apr_general.h>
#include <apr_strings.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "rpc/message.h"
#include "rpc/mirror.h"

#define MAX_DEPTH 64 /* the default of McpOAuthMaxDepth */
#define BODY_MAX (64 * 1024 * 1024)

static void die(const char *what)
{
    fprintf(stderr, "judge: %s\n", what);
    exit(2);
}

static json_t *text(const char *value)
{
    json_t *json = value ? json_string(value) : json_null();

    if (!json) {
        die("a text that is no UTF-8");
    }
    return json;
}

static json_t *operation_dump(const mcp_operation_t *operation)
{
    static const char *const kinds[] = { "method", "response", "get", "delete" };
    static const char *const objects[] = { "none", "tool", "resource", "prompt", "task" };

    return json_pack("[ssooo]", kinds[operation->kind], objects[operation->object_kind], text(operation->method),
                     text(operation->object), text(operation->via));
}

static json_t *operations_dump(const mcp_message_t *message)
{
    json_t *operations = json_array();

    for (int i = 0; i < message->operations->nelts; i++) {
        json_array_append_new(operations, operation_dump(&APR_ARRAY_IDX(message->operations, i, mcp_operation_t)));
    }
    return operations;
}

static json_t *message_dump(const mcp_message_t *message)
{
    static const char *const kinds[] = { "unknown", "request", "notification", "response", "batch" };

    return json_pack("{ss so so so}", "kind", kinds[message->kind], "id", text(message->id), "version",
                     text(message->meta_version), "operations", operations_dump(message));
}

/* The headers that repeat the message faithfully. */
static mcp_mirror_t headers_of(const mcp_message_t *message, apr_pool_t *p)
{
    mcp_mirror_t headers = { message->meta_version, message->method, NULL };

    if (message->object) {
        apr_size_t len = strlen(message->object);
        unsigned char *encoded = apr_palloc(p, (len + 2) / 3 * 4 + 1);

        EVP_EncodeBlock(encoded, (const unsigned char *)message->object, (int)len);
        headers.name = apr_pstrcat(p, "=?base64?", encoded, "?=", NULL);
    }
    return headers;
}

static json_t *judge(const char *data, apr_size_t len, apr_pool_t *p)
{
    mcp_mirror_t none = { NULL, NULL, NULL }, faithful;
    mcp_message_t *message;
    mcp_status_t status = mcp_message_parse(&message, data, len, MAX_DEPTH, 1, p);
    json_t *messages;

    if (status == MCP_OK && mcp_mirror_check(message, &none, p) != MCP_OK) {
        faithful = headers_of(message, p);
        status = mcp_mirror_check(message, &faithful, p);
    }
    if (status != MCP_OK) {
        return json_pack("{ss}", "refused", mcp_status_info(status)->slug);
    }
    messages = json_array();
    if (message->kind != MCP_MESSAGE_BATCH) {
        json_array_append_new(messages, message_dump(message));
    }
    for (int i = 0; message->messages && i < message->messages->nelts; i++) {
        json_array_append_new(messages, message_dump(APR_ARRAY_IDX(message->messages, i, const mcp_message_t *)));
    }
    return json_pack("{sb so so}", "batch", message->kind == MCP_MESSAGE_BATCH, "operations", operations_dump(message),
                     "messages", messages);
}

static void judge_print(const char *data, apr_size_t len, apr_pool_t *parent)
{
    apr_pool_t *p;
    json_t *verdict;

    apr_pool_create(&p, parent);
    verdict = judge(data, len, p);
    if (!verdict || json_dumpf(verdict, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) || putchar('\n') == EOF ||
        fflush(stdout)) {
        die("a verdict could not be written");
    }
    json_decref(verdict);
    apr_pool_destroy(p);
}

int main(void)
{
    unsigned char head[4];
    apr_pool_t *p;
    size_t got;

    apr_initialize();
    mcp_json_init();
    apr_pool_create(&p, NULL);
    while ((got = fread(head, 1, sizeof(head), stdin)) == sizeof(head)) {
        size_t len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
        char *data;

        if (len > BODY_MAX) {
            die("a length that nobody meant");
        }
        data = malloc(len ? len : 1); /* exactly so long, for the sanitizer */
        if (!data || fread(data, 1, len, stdin) != len) {
            die("a body is cut");
        }
        judge_print(data, len, p);
        free(data);
    }
    if (got) {
        die("a length is cut");
    }
    apr_pool_destroy(p);
    apr_terminate();
    return 0;
}
