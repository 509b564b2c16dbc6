/* Answers that stay open: a client that has left, and a token that has expired, end them at the backend too. */
#ifndef MCP_HTTPD_STREAM_H
#define MCP_HTTPD_STREAM_H

/* Watches what mod_proxy_http reads from backends for a protected location, in the request's own thread:
 * - while an event stream is idle, and before the answer begins to a POST of revision 2026-07-28 (Streamable HTTP,
 *   Cancellation) or to a GET that accepts event streams alone, a client that closes its connection, or only its sending half
 *   of it, ends the request at the backend; one that resets its HTTP/2 stream does so at any time;
 * - with McpOAuthStreamExpiry On an event stream ends, as if the backend had ended it, when the token's exp and the
 *   skew are over.
 * Backends that mod_proxy reaches otherwise than by http or https are not watched. */
void mcp_stream_register(void);

#endif
