/* The body gate: nothing goes to a handler behind us that has not been judged, byte for byte (design section 2.6). */
#ifndef MCP_HTTPD_GATE_H
#define MCP_HTTPD_GATE_H

#include <httpd.h>

/* handler hook, before every other: takes a second look at the access checker's verdict (Satisfy Any ignores it), reads and
 * judges the body, applies the rules, and prepares the request for the backend. DECLINED lets the real handler go on. */
int mcp_gate_handler(request_rec *r);

/* insert_filter hook: on what the backend answers, CORS headers of ours alone, and the session bound. */
void mcp_gate_insert(request_rec *r);

/* insert_error_filter hook: the same on what httpd answers in the backend's place, so that a browser may read it. */
void mcp_gate_insert_error(request_rec *r);

void mcp_gate_register(void);

#endif
