#include "rpc/mirror.h"

#include <apr_strings.h>
#include <string.h>

#include "base/base64url.h"

#define MODERN "2026-07-28"
#define BATCHES "2025-03-26"
#define ENCODED_START "=?base64?"
#define ENCODED_END "?="

/* A header value without the blanks around it (RFC 9110 section 5.5); text is NULL when the header is absent. */
typedef struct value_t {
    const char *text;
    apr_size_t len;
} value_t;

static int is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static value_t trim(const char *text)
{
    value_t value = { text, text ? strlen(text) : 0 };

    while (value.len && is_blank(*value.text)) {
        value.text++;
        value.len--;
    }
    while (value.len && is_blank(value.text[value.len - 1])) {
        value.len--;
    }
    return value;
}

static int has_comma(value_t value)
{
    return value.text && memchr(value.text, ',', value.len);
}

static int equals(value_t value, const char *text)
{
    return value.text && text && strlen(text) == value.len && !memcmp(value.text, text, value.len);
}

static int is_printable(value_t value)
{
    for (apr_size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.text[i];

        if (c != '\t' && (c < 0x20 || c > 0x7e)) {
            return 0;
        }
    }
    return 1;
}

static int is_date(value_t value)
{
    if (!value.text || value.len != sizeof(MODERN) - 1) {
        return 0;
    }
    for (apr_size_t i = 0; i < value.len; i++) {
        if (MODERN[i] == '-' ? value.text[i] != '-' : value.text[i] < '0' || value.text[i] > '9') {
            return 0;
        }
    }
    return 1;
}

/* Dates in this form sort as text. */
static int is_modern_date(value_t value)
{
    return is_date(value) && memcmp(value.text, MODERN, value.len) >= 0;
}

/* Cuts the markers off; returns 0 when one is missing and the value is meant literally. */
static int is_encoded(value_t *pinner, value_t value)
{
    const apr_size_t start = sizeof(ENCODED_START) - 1, end = sizeof(ENCODED_END) - 1;

    if (value.len < start + end || memcmp(value.text, ENCODED_START, start) ||
        memcmp(value.text + value.len - end, ENCODED_END, end)) {
        return 0;
    }
    pinner->text = value.text + start;
    pinner->len = value.len - start - end;
    return 1;
}

static int name_agrees(value_t value, const char *object, apr_pool_t *p)
{
    apr_size_t len = strlen(object), decoded_len;
    unsigned char *decoded;
    value_t inner;

    if (!is_printable(value)) {
        return 0;
    }
    if (!is_encoded(&inner, value)) {
        return equals(value, object);
    }
    /* Only one length can be right, so nothing larger than the object is ever decoded (HDR-14). */
    if (inner.len != (len + 2) / 3 * 4) {
        return 0;
    }
    decoded = apr_palloc(p, MCP_BASE64_DECODED_MAX(inner.len));
    return mcp_base64_decode(decoded, &decoded_len, inner.text, inner.len) && decoded_len == len &&
           !memcmp(decoded, object, len);
}

static mcp_status_t version_check(const mcp_message_t *message, value_t version)
{
    int request = message->kind == MCP_MESSAGE_REQUEST;

    if (message->kind != MCP_MESSAGE_REQUEST && message->kind != MCP_MESSAGE_NOTIFICATION) {
        return MCP_RPC_INVALID;
    }
    if (request && is_modern_date(version) && !(message->meta_version && message->has_capabilities)) {
        return MCP_RPC_PARAMS;
    }
    /* Revision 2026-07-28 defines the member for requests only: a notification may lack it. */
    if (!message->meta_version) {
        return MCP_OK;
    }
    /* What is no date at all is a version that only the server can refuse, with the list of those it has (ERA-5). */
    return equals(version, message->meta_version) && (is_modern_date(version) || !is_date(version))
               ? MCP_OK
               : MCP_HEADER_MISMATCH;
}

/* Notifications: the revision leaves the headers undefined, SEP-2243 asks for them. Absent is fine, different is not. */
static int method_agrees(const mcp_message_t *message, value_t method)
{
    if (!method.text) {
        return message->kind == MCP_MESSAGE_NOTIFICATION;
    }
    return !has_comma(method) && is_printable(method) && equals(method, message->method);
}

static mcp_status_t names_check(const mcp_message_t *message, const mcp_mirror_t *headers, apr_pool_t *p)
{
    value_t name = trim(headers->name);

    if (!method_agrees(message, trim(headers->method))) {
        return MCP_HEADER_MISMATCH;
    }
    if (!message->known || !message->known->mirrored) {
        return MCP_OK;
    }
    if (!name.text) {
        return message->kind == MCP_MESSAGE_NOTIFICATION ? MCP_OK : MCP_HEADER_MISMATCH;
    }
    return message->object && name_agrees(name, message->object, p) ? MCP_OK : MCP_HEADER_MISMATCH;
}

/* Only one revision knows batches, and requests of it have no version header or this one. */
static mcp_status_t batch_check(const mcp_message_t *batch, value_t version)
{
    if (version.text && !equals(version, BATCHES)) {
        return MCP_RPC_BATCH;
    }
    for (int i = 0; i < batch->messages->nelts; i++) {
        if (APR_ARRAY_IDX(batch->messages, i, const mcp_message_t *)->meta_version) {
            return MCP_HEADER_MISMATCH;
        }
    }
    return MCP_OK;
}

int mcp_mirror_is_modern(const char *version)
{
    return is_modern_date(trim(version));
}

mcp_status_t mcp_mirror_check(const mcp_message_t *message, const mcp_mirror_t *headers, apr_pool_t *p)
{
    value_t version = trim(headers->version);
    mcp_status_t status;

    if (has_comma(version)) {
        return MCP_HEADER_MISMATCH;
    }
    if (message->kind == MCP_MESSAGE_BATCH) {
        return batch_check(message, version);
    }
    if (!is_modern_date(version) && !message->meta_version) {
        return MCP_OK;
    }
    status = version_check(message, version);
    return status == MCP_OK ? names_check(message, headers, p) : status;
}
