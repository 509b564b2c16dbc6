/* What one POST carries, judged strictly: a JSON-RPC 2.0 message (MCP Base Protocol, Messages), or a batch of them (revision
 * 2025-03-26, Base Protocol, Batching). */
#ifndef MCP_MESSAGE_H
#define MCP_MESSAGE_H

#include <apr_pools.h>
#include <apr_tables.h>

#include "base/status.h"
#include "rpc/method.h"

typedef enum {
    MCP_MESSAGE_UNKNOWN,
    MCP_MESSAGE_REQUEST,
    MCP_MESSAGE_NOTIFICATION,
    MCP_MESSAGE_RESPONSE,
    MCP_MESSAGE_BATCH
} mcp_message_kind_t;

typedef struct mcp_message_t {
    mcp_message_kind_t kind;
    const char *id; /* JSON text of a valid id exactly as it was sent, NULL when there is none */
    const char *
        method; /* decoded, NULL for a response; of a batch: those of its messages, with commas between, as far as they are not too long */
    const mcp_method_t *known;      /* NULL for a method that no revision knows */
    const char *object;             /* the one object it names, NULL for none; for log and Mcp-Name */
    int has_meta;                   /* params._meta is an object */
    const char *meta_version;       /* params._meta["io.modelcontextprotocol/protocolVersion"], NULL when absent */
    int has_capabilities;           /* …["io.modelcontextprotocol/clientCapabilities"] is an object */
    apr_array_header_t *operations; /* mcp_operation_t, at least one on success; of a batch: of all its messages */
    apr_array_header_t *messages;   /* const mcp_message_t *, of a batch; else NULL */
} mcp_message_t;

/* Judges len bytes as one message. *pmessage is never NULL: on an error it holds what was understood until then, so that
 * an error answer can carry the id. Strings live in p.
 * batch: an array of 1 to MCP_LIMIT_BATCH messages is understood as well, each judged as if it stood alone; all of them are
 * responses or none is, and none is initialize (Lifecycle, Initialization): MCP_RPC_INVALID. It has no id.
 * Errors of mcp_jsoncheck_strict as they are; MCP_RPC_BATCH: an array at the top that is not allowed;
 * MCP_JSON_VARIANT: a case variant (mcp_json_is_variant) of a member read here: jsonrpc, id, method, params, result, error,
 * name, uri, taskId, ref, notifications, _meta, both at the top and directly in params; type, name, uri in ref;
 * resourceSubscriptions, taskIds in notifications; the three io.modelcontextprotocol members (protocolVersion,
 * clientCapabilities, clientInfo) in _meta. Names inside params.arguments are free.
 * MCP_RPC_INVALID: not an object; jsonrpc not "2.0"; id there and neither a string nor an integer written without fraction
 * or exponent, or over MCP_LIMIT_ID bytes; method not a non-empty string or over MCP_LIMIT_NAME; a method beside result or
 * error; neither; result and error together; a response without id (an error response may lack it).
 * MCP_RPC_PARAMS: params there and not an object; an operand of a known method missing (unless meta_version is there and
 * 2026-07-28 has the method no more), of the wrong type, empty where it
 * is a name, or over MCP_LIMIT_NAME; ref.type unknown; notifications not an object, its two lists not arrays of strings or
 * over MCP_LIMIT_LISTEN entries together; _meta not an object; meta_version not a string.
 * Operations: one, as the message says; for subscriptions/listen one resources/subscribe per URI and one tasks/get per
 * task, each with via set, and one plain subscriptions/listen when neither is named or when another member of
 * notifications is anything but false or null. */
mcp_status_t mcp_message_parse(mcp_message_t **pmessage, const char *data, apr_size_t len, int max_depth, int batch,
                               apr_pool_t *p);

/* Is any of its messages of one of these methods (up to a NULL)? Also a notification: some servers answer it all the same. */
int mcp_message_asks(const mcp_message_t *message, const char *const *methods);

#endif
