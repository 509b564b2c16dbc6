/* The body gate: nothing goes to a handler behind us that has not been judged, byte for byte (design section 2.6). */
#ifndef MCP_HTTPD_GATE_H
#define MCP_HTTPD_GATE_H

#include <httpd.h>

/* handler hook, before every other: takes a second look at the access checker's verdict (Satisfy Any ignores it), reads and
 * judges the body, applies the rules, and prepares the request for the backend. DECLINED lets the real handler go on. */
int mcp_gate_handler(request_rec *r);

/* insert_filter hook: CORS headers on what the backend answers. */
void mcp_gate_insert(request_rec *r);

void mcp_gate_register(void);

#endif
