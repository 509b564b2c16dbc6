/* The protected resource metadata document (RFC 9728). */
#ifndef MCP_METADATA_H
#define MCP_METADATA_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <jansson.h>

#include "net/url.h"

typedef struct mcp_metadata_t {
    const char *resource;
    const apr_array_header_t *authorization_servers; /* const char *, at least one */
    const apr_array_header_t *scopes_supported;      /* const char *, NULL or empty: left out */
    const apr_array_header_t *dpop_algs;             /* const char *, NULL or empty: DPoP is not spoken */
    int dpop_required;                               /* dpop_bound_access_tokens_required */
    int certificates;   /* tls_client_certificate_bound_access_tokens, unless more says otherwise */
    const json_t *more; /* object of further members, or NULL; empty ones are left out */
} mcp_metadata_t;

/* The document as compact JSON (RFC 9728 sections 2 and 3.2), members in the order resource, authorization_servers,
 * bearer_methods_supported, scopes_supported, dpop_signing_alg_values_supported, dpop_bound_access_tokens_required (only when
 * true), then more, then tls_client_certificate_bound_access_tokens (only when true and not in more). In p; NULL only without memory. */
const char *mcp_metadata_write(const mcp_metadata_t *metadata, apr_pool_t *p);

/* May a configuration set this member? NULL, or why not (static): one of those that other directives write, an empty
 * name. (RFC 9728 sections 2, 2.1: "name#lang" is a name like any other.) */
const char *mcp_metadata_check_name(const char *name);

/* The path the document of a resource is served at: well_known and the resource's path, where a path of one slash counts
 * as none (RFC 9728 section 3.1). In p. */
const char *mcp_metadata_path(const char *well_known, const mcp_url_t *resource, apr_pool_t *p);

#endif
