/* One request on its way through the rooms: what has been found out about it. Lives in its request_config. */
#ifndef MCP_HTTPD_REQUEST_H
#define MCP_HTTPD_REQUEST_H

#include "httpd/location.h"
#include "rpc/message.h"
#include "token/credentials.h"

typedef struct mcp_request_t {
    const mcp_location_t *location;   /* by whose policy it was judged; NULL only for answers outside of any location */
    mcp_status_t status;              /* verdict of the access checker, later of the gate */
    const mcp_grant_t *grant;         /* whose request it is, once the token is good */
    const apr_array_header_t *needed; /* values the rules name for what was refused, or NULL */
    const mcp_operation_t *refused;   /* the first operation that the rules refused, while message is there */
    const mcp_message_t *message;     /* while the gate judges the body or makes the answer, else NULL */
    struct mcp_body_t *body;          /* what was read, until the answer begins; NULL: nothing */
    int crowded;                      /* too many wait for keys already: come back soon */
    int retry_after;                  /* of a 429 or 503: seconds, 0: as usual */
    mcp_scheme_t scheme;              /* what the token came with, or what it would have come with */
    int body_read;                    /* an answer of ours is JSON-RPC from now on */
    int reading;                      /* the body is being read: httpd's own filters may refuse it */
    char **responses;                 /* the core's custom responses, put aside meanwhile */
    int asking;                       /* mod_authz_core is being asked about it (httpd/authz.c) */
    int lacking;                      /* a scope that a Require line names is not there */
    int judged;                       /* the gate has done its work */
    int session_judged;               /* Mcp-Session-Id is the backend's by now */
    int shadow;                       /* refused by rules that only watch */
    int limited;                      /* the limits of its user have been asked, and it may pass */
    int counted;                      /* its verdict is in the counters */
    const char *id;                   /* request_id */
    const char *origin;               /* allowed browser origin that called, or NULL */
    apr_table_t *headers;             /* of the answer of ours; NULL while there is none */
    int answer;                       /* its HTTP status */
} mcp_request_t;

/* The state of r itself, or NULL. */
mcp_request_t *mcp_request_of(const request_rec *r);

/* A verdict made by the very same policy, on r or on a request that r came from (sub-request, internal redirect). The
 * looking back ends where a policy differs. NULL: judge now. */
mcp_request_t *mcp_request_inherited(request_rec *r, const mcp_location_t *location);

/* Is the answer to r of that media type, whatever its parameters? type in lower case. */
int mcp_request_answered_with(const request_rec *r, const char *type);

/* New state for r. */
mcp_request_t *mcp_request_create(request_rec *r, const mcp_location_t *location);

/* Once per child: what makes its request ids differ from others'. */
void mcp_request_start(void);

/* What a log line about the judged message names: of a batch and of a list of entries the part that was refused, if any was. NULL
 * for nothing. */
const char *mcp_request_method(const mcp_request_t *request);
const char *mcp_request_object(const mcp_request_t *request);

/* Let pass, though the rules would refuse; and nothing else did. */
int mcp_request_shadowed(const mcp_request_t *request);

/* Environment for logs and expressions (design section 3.4): once the token is known, and once the verdict is, which
 * is counted then. */
void mcp_request_export_grant(request_rec *r, const mcp_request_t *request);
void mcp_request_export_verdict(request_rec *r, mcp_request_t *request);

#endif
