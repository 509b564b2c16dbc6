/* The headers that repeat the body: none of them may say anything else than the body does. B10, B11. Input:
 * MCP-Protocol-Version NUL Mcp-Method NUL Mcp-Name ("-": absent) NUL body. */
#include "fuzz.h"

#include <openssl/evp.h>

#include "rpc/mirror.h"

static const char *trim(const char *text, apr_pool_t *p)
{
    size_t len;

    text += strspn(text, " \t");
    for (len = strlen(text); len && strchr(" \t", text[len - 1]); len--)
        ;
    return apr_pstrmemdup(p, text, len);
}

/* What a server makes of Mcp-Name. */
static const char *name_read(const char *value, apr_pool_t *p)
{
    size_t len = strlen(value);
    char *decoded;
    int n;

    if (len < 11 || strncmp(value, "=?base64?", 9) || strcmp(value + len - 2, "?=")) {
        return value;
    }
    decoded = apr_palloc(p, len + 1);
    n = EVP_DecodeBlock((unsigned char *)decoded, (const unsigned char *)value + 9, (int)len - 11);
    MUST(n >= 0);
    for (size_t i = len - 3; i > 8 && value[i] == '='; i--) {
        n--;
    }
    decoded[n] = '\0';
    return decoded;
}

/* A request that passes with a modern version. */
static void check_modern(const mcp_message_t *message, const mcp_mirror_t *headers, apr_pool_t *p)
{
    const char *version = trim(headers->version, p);

    /* A version that is no date is for the server to refuse, with whatever lacks. */
    MUST(message->kind == MCP_MESSAGE_NOTIFICATION || !mcp_mirror_is_modern(version) ||
         (message->meta_version && message->has_capabilities));
    MUST(!message->meta_version || !strcmp(version, message->meta_version));
    MUST(headers->method ? !strcmp(trim(headers->method, p), message->method)
                         : message->kind == MCP_MESSAGE_NOTIFICATION);
    if (message->known && message->known->mirrored) {
        MUST(headers->name ? !strcmp(name_read(trim(headers->name, p), p), message->object)
                           : message->kind == MCP_MESSAGE_NOTIFICATION);
    }
}

static const char *padded(const char *value, apr_pool_t *p)
{
    return value ? apr_pstrcat(p, "\t ", value, " \t", NULL) : NULL;
}

static void check(const mcp_message_t *message, const mcp_mirror_t *headers, apr_pool_t *p)
{
    mcp_mirror_t wide = { padded(headers->version, p), padded(headers->method, p), padded(headers->name, p) };
    mcp_mirror_t doubled = *headers;
    mcp_status_t status = mcp_mirror_check(message, headers, p);

    MUST(status == mcp_mirror_check(message, &wide, p)); /* HDR-5 */
    MUST(status == MCP_OK || status == MCP_HEADER_MISMATCH || status == MCP_RPC_BATCH || status == MCP_RPC_INVALID ||
         status == MCP_RPC_PARAMS);
    if (status == MCP_OK && (mcp_mirror_is_modern(headers->version) || (message->meta_version && headers->version))) {
        MUST(message->kind == MCP_MESSAGE_REQUEST || message->kind == MCP_MESSAGE_NOTIFICATION);
        check_modern(message, headers, p);
    }
    MUST(status != MCP_OK || headers->version || !message->meta_version); /* one side alone is no agreement */
    if (headers->version) {
        doubled.version = apr_pstrcat(p, headers->version, ", ", headers->version, NULL);
        MUST(mcp_mirror_check(message, &doubled, p) == MCP_HEADER_MISMATCH);
    }
    doubled = *headers;
    if (mcp_mirror_is_modern(headers->version) && headers->method && message->kind != MCP_MESSAGE_BATCH) {
        doubled.method = apr_pstrcat(p, headers->method, ", ", headers->method, NULL);
        MUST(mcp_mirror_check(message, &doubled, p) != MCP_OK);
    }
}

/* Headers that are made of the body agree with it. */
static void check_faithful(const mcp_message_t *message, apr_pool_t *p)
{
    mcp_mirror_t headers = { message->meta_version, message->method, NULL };
    unsigned char *encoded;
    size_t len;

    if (message->kind != MCP_MESSAGE_REQUEST || !mcp_mirror_is_modern(message->meta_version) ||
        !message->has_capabilities || strpbrk(message->method, ",") ||
        strcmp(trim(message->method, p), message->method) ||
        strcmp(trim(message->meta_version, p), message->meta_version)) {
        return;
    }
    for (const char *c = message->method; *c; c++) {
        if ((*c < 0x20 && *c != '\t') || *c > 0x7e) {
            return; /* such a method cannot be repeated in a header */
        }
    }
    if (message->object) {
        len = strlen(message->object);
        encoded = apr_palloc(p, (len + 2) / 3 * 4 + 1);
        EVP_EncodeBlock(encoded, (const unsigned char *)message->object, (int)len);
        headers.name = apr_pstrcat(p, "=?base64?", encoded, "?=", NULL);
    }
    MUST(mcp_mirror_check(message, &headers, p) == MCP_OK);
    if (message->object && message->known->mirrored) {
        headers.name = apr_pstrcat(p, message->object, "x", NULL);
        MUST(mcp_mirror_check(message, &headers, p) == MCP_HEADER_MISMATCH);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    fuzz_input_t input = fuzz_open(data, size, p);
    mcp_mirror_t headers;
    mcp_message_t *message;
    const char *body;
    size_t len;

    headers.version = fuzz_maybe(&input);
    headers.method = fuzz_maybe(&input);
    headers.name = fuzz_maybe(&input);
    body = fuzz_rest(&len, &input);
    if (mcp_message_parse(&message, body, len, 64, 1, p) == MCP_OK) {
        check(message, &headers, p);
        check_faithful(message, p);
    }
    apr_pool_destroy(p);
    return 0;
}
