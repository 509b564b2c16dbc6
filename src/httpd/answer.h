/* Answers of our own: JSON, never cached, with the challenge that goes with the verdict (design section 2.2). */
#ifndef MCP_HTTPD_ANSWER_H
#define MCP_HTTPD_ANSWER_H

#include "httpd/request.h"

/* Turns request->status, which is not MCP_OK, into the answer of r: logs it once, exports it, prepares body and headers.
 * Returns the HTTP status for the hook to return; httpd then sends what was prepared, whatever ErrorDocument says. */
int mcp_answer(request_rec *r, mcp_request_t *request);

/* The one line about a request that was refused, or would have been: what it is, who sent it, what it wanted. */
void mcp_answer_log(request_rec *r, const mcp_request_t *request, int level, const char *id, const char *slug);

/* The JSON-RPC error that says status to the request that request->message is (without id when that is NULL), in p. */
const char *mcp_answer_rpc(const mcp_request_t *request, mcp_status_t status, apr_pool_t *p);

/* httpd's input filters answer by themselves when a body is malformed, too long or too slow. Between these two calls such an
 * answer is ours as well: JSON, no ErrorDocument, logged once. */
void mcp_answer_reading(request_rec *r, mcp_request_t *request);
void mcp_answer_reading_done(request_rec *r, mcp_request_t *request);

/* The same for an answer outside of any location: error and text are fixed texts, allow the Allow field or NULL. */
int mcp_answer_plain(request_rec *r, int status, const char *error, const char *text, const char *allow);

/* Adds the CORS headers for an allowed origin (NULL: none called) to headers (Fetch standard, CORS protocol). */
void mcp_answer_cors(apr_table_t *headers, const char *origin);

/* insert_error_filter hook: puts the prepared headers where "Header always" can edit them. */
void mcp_answer_insert(request_rec *r);
void mcp_answer_register(void);

#endif
