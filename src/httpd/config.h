/* What the directives say: per directory and per server, as written; nothing is worked out here. */
#ifndef MCP_HTTPD_CONFIG_H
#define MCP_HTTPD_CONFIG_H

#include <httpd.h>
#include <http_config.h>

#include <apr_hash.h>
#include <apr_tables.h>
#include <jansson.h>

#include "keys/alg.h"
#include "keys/refresh.h"
#include "token/claims.h"
#include "token/limiter.h"

extern module AP_MODULE_DECLARE_DATA mcp_oauth_module;

#define MCP_UNSET (-1)

enum { MCP_ACL_OFF, MCP_ACL_ON, MCP_ACL_SHADOW };
enum { MCP_DPOP_OFF, MCP_DPOP_OPTIONAL, MCP_DPOP_REQUIRED };

/* Of a directive that names a file or a variable: never empty, NUL-terminated. */
typedef struct mcp_secret_t {
    const char *data;
    apr_size_t len;
} mcp_secret_t;

/* One <McpOAuthIssuer>, or what an issuer named without a section has. */
#define MCP_ISSUER_MEMBERS(X) \
    X(const char *, authorization_server, NULL) \
    X(const char *, jwks, NULL) \
    X(apr_array_header_t *, audiences, NULL) \
    X(int, algs, MCP_UNSET) \
    X(int, types, MCP_UNSET) \
    X(apr_interval_time_t, skew, MCP_UNSET) \
    X(apr_interval_time_t, refresh_min, MCP_UNSET) \
    X(apr_interval_time_t, refresh_max, MCP_UNSET) \
    X(apr_interval_time_t, cooldown, MCP_UNSET) \
    X(apr_interval_time_t, max_stale, MCP_UNSET) \
    X(apr_interval_time_t, timeout, MCP_UNSET) \
    X(const char *, proxy, NULL) \
    X(const char *, ca_file, NULL) \
    X(int, allow_http, MCP_UNSET) \
    X(const char *, introspection, NULL) \
    X(int, introspection_auth, MCP_UNSET) \
    X(const char *, client_id, NULL) \
    X(mcp_secret_t *, client_secret, NULL) \
    X(apr_interval_time_t, introspection_ttl, MCP_UNSET) \
    X(int, introspection_signed, MCP_UNSET)

typedef struct mcp_issuer_conf_t {
    const char *name;         /* exact iss */
    const ap_directive_t *at; /* where it is described, or first named */
#define X(type, name, unset) type name;
    MCP_ISSUER_MEMBERS(X)
#undef X
} mcp_issuer_conf_t;

typedef struct mcp_allow_t {
    const char *values;             /* as written: names separated by spaces, or "*" */
    apr_array_header_t *operations; /* const char * */
    const ap_directive_t *at;
} mcp_allow_t;

typedef struct mcp_rate_limit_t {
    const char *text; /* N/DURATION, as written */
    mcp_rate_t rate;
    apr_array_header_t *operations; /* const char *, at least one */
} mcp_rate_limit_t;

typedef struct mcp_implies_t {
    const char *value, *implied;
} mcp_implies_t;

/* One value: an inner section replaces it. */
#define MCP_DIR_VALUES(X) \
    X(int, enabled, MCP_UNSET) \
    X(const char *, resource, NULL) \
    X(apr_array_header_t *, issuers, NULL) \
    X(apr_array_header_t *, audiences, NULL) \
    X(int, hierarchical, MCP_UNSET) \
    X(apr_array_header_t *, parties, NULL) \
    X(apr_array_header_t *, required_scopes, NULL) \
    X(apr_array_header_t *, scopes_supported, NULL) \
    X(apr_array_header_t *, challenge_scopes, NULL) \
    X(const char *, metadata_path, NULL) \
    X(const char *, token_header, NULL) \
    X(int, forward_token, MCP_UNSET) \
    X(const char *, remote_user, NULL) \
    X(apr_array_header_t *, origins, NULL) \
    X(int, inspect, MCP_UNSET) \
    X(apr_off_t, max_body, MCP_UNSET) \
    X(int, max_depth, MCP_UNSET) \
    X(int, batch, MCP_UNSET) \
    X(int, acl, MCP_UNSET) \
    X(int, filter_lists, MCP_UNSET) \
    X(int, stream_expiry, MCP_UNSET) \
    X(int, session_binding, MCP_UNSET) \
    X(int, dpop, MCP_UNSET) \
    X(int, dpop_nonce, MCP_UNSET) \
    X(apr_array_header_t *, acrs, NULL) \
    X(apr_interval_time_t, max_auth_age, MCP_UNSET) \
    X(apr_array_header_t *, scope_paths, NULL) \
    X(apr_array_header_t *, acl_paths, NULL)

/* Repeatable lines: an inner section adds to them. */
#define MCP_DIR_LINES(X) \
    X(required_claims) /* mcp_requirement_t */ \
    X(metadata)        /* mcp_member_t */ \
    X(forwards)        /* mcp_forward_t */ \
    X(allows)          /* mcp_allow_t */ \
    X(implies)         /* mcp_implies_t */ \
    X(rate_limits)     /* mcp_rate_limit_t */

typedef struct mcp_member_t {
    const char *name;
    json_t *value; /* owned by the configuration pool */
} mcp_member_t;

struct mcp_location_t;
struct mcp_merge_t;

typedef struct mcp_dir_t {
    mcp_issuer_conf_t *section;       /* only while the lines of <McpOAuthIssuer> are read: whose they are */
    const char *path;                 /* of the section, NULL for the server itself; of the innermost one once merged */
    const char *owner;                /* path of the outermost section that says McpOAuth On */
    const ap_directive_t *at;         /* where McpOAuth stands, else the first directive of ours in the section */
    int stable;                       /* lives as long as the process: may be remembered */
    struct mcp_merge_t *merges;       /* what this section gave, merged into others (mcp_dir_merge) */
    struct mcp_location_t *locations; /* what was compiled of it, by server (mcp_location_get) */
#define X(type, name, unset) type name;
    MCP_DIR_VALUES(X)
#undef X
#define X(name) apr_array_header_t *name;
    MCP_DIR_LINES(X)
#undef X
} mcp_dir_t;

typedef struct mcp_server_t {
    apr_hash_t *issuers;           /* name -> mcp_issuer_conf_t */
    apr_interval_time_t cache_ttl; /* McpOAuthTokenCacheTTL */
    int cache_size;                /* McpOAuthTokenCacheSize */
    const char *key_store;         /* McpOAuthKeyStore, an absolute path; NULL: unset */
    mcp_secret_t *session_secret;  /* what McpOAuthSessionKey names; NULL: unset */
    const char *shared_cache;      /* McpOAuthSharedCache as written; NULL: unset */
} mcp_server_t;

/* Hooks of the module record (httpd's contracts). Merging at request time is remembered per pair of sections, so that
 * what is compiled of a merged section is compiled once. */
void *mcp_dir_create(apr_pool_t *p, char *path);
void *mcp_dir_merge(apr_pool_t *p, void *base, void *add);
void *mcp_server_create(apr_pool_t *p, server_rec *s);
void *mcp_server_merge(apr_pool_t *p, void *base, void *add);

/* From now on sections are made by requests, not by configuration files; merges are remembered in p. Once per child. */
void mcp_config_run(apr_pool_t *p);
/* Configuration is about to be read (again). */
void mcp_config_reset(void);

mcp_issuer_conf_t *mcp_issuer_conf_create(const char *name, const ap_directive_t *at, apr_pool_t *p);

const mcp_dir_t *mcp_dir_of(const request_rec *r);
const mcp_server_t *mcp_server_of(const server_rec *s);

extern const command_rec mcp_directives[];

#endif
