/* The body of one request: read once into memory of its own, judged there, and replayed from there to whoever comes next. */
#ifndef MCP_HTTPD_BODY_H
#define MCP_HTTPD_BODY_H

#include "httpd/request.h"

typedef struct mcp_body_t {
    apr_pool_t *pool; /* of data: a stream may live for hours, what was sent to open it need not */
    char *data;       /* not NUL-terminated */
    apr_size_t len;
    apr_size_t sent; /* how much of it has been replayed */
} mcp_body_t;

/* Do the header fields announce a JSON body that may be read (RFC 9110 sections 8.3, 8.4, 8.6)? MCP_BODY_TYPE,
 * MCP_BODY_ENCODING, MCP_BODY_TOO_LARGE. max: of the location, in bytes; LimitRequestBody holds as well. */
mcp_status_t mcp_body_check(const request_rec *r, apr_off_t max);

/* Reads the whole body, at most max bytes, through all input filters; *pbody lives in r->pool. Fields of trailers do not
 * count as header fields, whatever MergeTrailers says. MCP_BODY_TOO_LARGE, MCP_BODY_UNREADABLE, MCP_BODY_TIMEOUT;
 * *sent is set when a filter below has sent that answer already (mcp_answer_reading). */
mcp_status_t mcp_body_read(mcp_body_t **pbody, request_rec *r, mcp_request_t *request, apr_off_t max, int *sent);

/* From now on whoever reads the body of r receives these very bytes; also after an internal redirect to a protected place,
 * where they are judged once more. To go to another place they are taken back (sent = len). */
void mcp_body_replay(request_rec *r, mcp_body_t *body);

/* After an internal redirect, before anybody reads: forgets what mod_proxy has kept of a body that it could not send to a place
 * before, and would send to this one. */
void mcp_body_forget(request_rec *r);

/* Gives the memory back once all has been replayed; body may be NULL. */
void mcp_body_release(mcp_body_t *body);

void mcp_body_register(void);

#endif
