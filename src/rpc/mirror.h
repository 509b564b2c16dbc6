/* The headers of revision 2026-07-28 that repeat the body (Streamable HTTP, Server Validation; SEP-2243), and which era a
 * message belongs to. The decision is always made on the body; the headers must agree. */
#ifndef MCP_MIRROR_H
#define MCP_MIRROR_H

#include "rpc/message.h"

typedef struct mcp_mirror_t { /* values as httpd merged them, NULL when absent */
    const char *version;      /* MCP-Protocol-Version */
    const char *method;       /* Mcp-Method */
    const char *name;         /* Mcp-Name */
} mcp_mirror_t;

/* Is an MCP-Protocol-Version field that of revision 2026-07-28 or later? NULL: no. */
int mcp_mirror_is_modern(const char *version);

/* Modern: the version header is a date (YYYY-MM-DD) of 2026-07-28 or later, or the body has meta_version. Else legacy, where
 * Mcp-Method and Mcp-Name mean nothing and any single version passes.
 * In this order: MCP_HEADER_MISMATCH: a version header of several lines (a comma). A batch: MCP_RPC_BATCH unless there is no
 * version header or it is 2025-03-26; MCP_HEADER_MISMATCH when one of its messages has a meta_version. Modern only: MCP_RPC_INVALID: a response
 * (TRN-16). MCP_RPC_PARAMS: a request with the modern header that lacks _meta, meta_version or clientCapabilities (RPC-12).
 * MCP_HEADER_MISMATCH: one side says modern and the other does not, or they differ (but the revision defines meta_version
 * for requests only: a notification may lack it; and a version that is no date, the same on both sides, is the server's to
 * refuse, ERA-5); Mcp-Method different from method, with a comma, or with bytes outside
 * 0x20-0x7E and HTAB; for a mirrored method the same of Mcp-Name against message->object, where =?base64?…?= is strict
 * padded base64 of UTF-8 (HDR-6, HDR-7) and a comma is allowed only if the whole value equals the object; on a request,
 * either of the two missing. A Mcp-Name on another method is ignored (HDR-13). Surrounding blanks do not count (HDR-5).
 * p for scratch. */
mcp_status_t mcp_mirror_check(const mcp_message_t *message, const mcp_mirror_t *headers, apr_pool_t *p);

#endif
