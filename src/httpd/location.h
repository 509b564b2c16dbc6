/* A protected location, compiled: what its merged directives mean on one server. */
#ifndef MCP_HTTPD_LOCATION_H
#define MCP_HTTPD_LOCATION_H

#include "httpd/config.h"

#include "net/url.h"
#include "policy/origin.h"
#include "policy/policy.h"

/* What one user may do so often: one written operation of McpOAuthRateLimit. */
typedef struct mcp_limit_t {
    mcp_rate_t rate;
    const char *text, *operation; /* as written */
    const mcp_acl_t *acl;         /* allows to anybody what the operation names */
} mcp_limit_t;

typedef struct mcp_location_t {
    const mcp_dir_t *conf;
    const server_rec *server;
    struct mcp_location_t *next; /* of the same conf, for another server */
    const char *error;           /* what keeps it from protecting, and the cure: requests get 500. NULL if nothing */
    int contradiction;           /* error comes of settings that only meet when sections are merged */
    int stable;                  /* lives as long as the process: verdicts may be remembered */

    mcp_policy_t policy;
    const char *resource; /* resource identifier */
    mcp_url_t resource_url;
    const apr_array_header_t *authorization_servers; /* const char * */
    const apr_array_header_t *scopes_supported;      /* const char *, or NULL */
    const char *metadata_path;                       /* where the document of the resource is served */
    const char *metadata_url;                        /* the same as clients call it */
    const char *challenge_scope;                     /* scope of a 401, or NULL */
    const char *required_scope;                      /* McpOAuthRequireScope in one string, or NULL */
    mcp_origins_t origins;
    const char *token_header;
    int acl_mode;        /* MCP_ACL_* */
    int acl_reads_scope; /* can a scope help where the rules refuse */
    int inspect;
    int forward_token;
    apr_off_t max_body;
    int max_depth;
    int batch;
    int filter_lists;
    int stream_expiry;
    int session_binding;
    int dpop; /* MCP_DPOP_* */
    int dpop_nonce;
    int certificates;                 /* this server asks clients for certificates somewhere */
    apr_interval_time_t skew;         /* the widest of the issuers trusted here */
    const mcp_trust_t *opaque;        /* of the one issuer who is asked about tokens that are no JWS; NULL: nobody is */
    const apr_array_header_t *limits; /* mcp_limit_t, or NULL */
    mcp_valueset_t nobody;            /* holds nothing: for what the limits match */
    int counter;                      /* where its requests are counted (mcp_counters_index) */
    const char *acr_values;           /* McpOAuthRequireACR in one string, or NULL */
    const char *max_age;              /* McpOAuthMaxAuthAge in seconds, or NULL */
} mcp_location_t;

#define MCP_TOKEN_HEADER_DEFAULT "Authorization"

/* Compiles conf, which says McpOAuth On, for server s; never NULL. Lives in p. starting: issuers are looked up as start-up
 * does, and keys are not there yet. */
mcp_location_t *mcp_location_make(const mcp_dir_t *conf, server_rec *s, int starting, apr_pool_t *p);

/* What in a compiled location contradicts itself, with the cure; NULL: nothing. Reads conf, inspect, acl_mode, token_header
 * and policy.forwards alone. */
const char *mcp_location_contradiction(const mcp_location_t *location, apr_pool_t *p);

/* The compiled location of a request, made on first use and then remembered. NULL: not protected. */
const mcp_location_t *mcp_location_of(request_rec *r);

/* Locations are remembered in p from now on. Once per child. */
void mcp_locations_start(apr_pool_t *p);

/* The resource identifier that follows from ServerName and the path of the section: scheme://host[:port]path. NULL when
 * the server has no name. */
const char *mcp_location_resource(const char *path, const server_rec *s, apr_pool_t *p);

#endif
