/* What releases of httpd do differently: 2.4.48 is the oldest. */
#ifndef MCP_HTTPD_COMPAT_H
#define MCP_HTTPD_COMPAT_H

/* Brings a path that is not encoded any more into the form in which sections are matched: one slash where there are
 * several, no "." and ".." segments. In place. 0: it leads above the root. */
int mcp_path_normalize(char *path);

/* The same for a path as a request has it: decodes it as well. 0: it does not decode, or leads above the root. */
int mcp_path_decode(char *path);

#endif
