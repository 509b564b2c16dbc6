/* Publishing protected resource metadata (RFC 9728 section 3), in front of everything that may cover the host. */
#ifndef MCP_HTTPD_METADATA_H
#define MCP_HTTPD_METADATA_H

#include "httpd/location.h"

/* Start-up: forgets all documents; adds the one of a location (owner: its section is the one that made the resource, so
 * its document wins over those of sections inside); when all are known, decides which hosts answer the bare path. */
void mcp_documents_reset(apr_pool_t *pconf);
void mcp_documents_add(const mcp_location_t *location, int owner, apr_pool_t *pconf);
void mcp_documents_close(apr_pool_t *pconf);

/* Their resource identifiers, each once (const char *, in p). */
apr_array_header_t *mcp_documents_resources(apr_pool_t *p);

/* quick_handler hook. */
int mcp_metadata_handler(request_rec *r, int lookup);

#endif
