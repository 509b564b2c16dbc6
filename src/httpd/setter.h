/* What all setters share: where a directive may stand, and the checks of its arguments. Private to the setters. */
#ifndef MCP_HTTPD_SETTER_H
#define MCP_HTTPD_SETTER_H

#include "httpd/config.h"

#include <apr_strings.h>

/* Where a directive may stand. */
enum { MCP_IN_ISSUER = 1, MCP_IN_LOCATION = 2, MCP_IN_SERVER = 4, MCP_IN_DIR = MCP_IN_LOCATION | MCP_IN_SERVER };

/* In a setter: return an error text; return when the directive may not stand here; return when there are fewer arguments
 * than least, or an empty one, or control characters. They need cmd, and dir or argc and argv. */
#define FAIL(...) return apr_psprintf(cmd->pool, __VA_ARGS__)
#define NAME (cmd->cmd->name)
#define PLACE(places) \
    do { \
        const char *error_ = mcp_setter_place(cmd, dir, (places)); \
        if (error_) { \
            return error_; \
        } \
    } while (0)
#define ARGS(least, syntax) \
    do { \
        const char *error_ = mcp_setter_args(cmd, argc, argv, (least), (syntax)); \
        if (error_) { \
            return error_; \
        } \
    } while (0)

/* All return NULL or an error text that names the directive, the value, and what to write instead. */
const char *mcp_setter_place(cmd_parms *cmd, mcp_dir_t *dir, int places);
const char *mcp_setter_args(cmd_parms *cmd, int argc, char *const argv[], int least, const char *syntax);
const char *mcp_setter_duration(cmd_parms *cmd, const char *arg, apr_interval_time_t least, apr_interval_time_t most,
                                apr_interval_time_t *value);
int mcp_setter_clean(const char *text); /* no control characters? */

/* Adds arguments to a list, which may be NULL: several lines of one section are one list. */
apr_array_header_t *mcp_setter_list(cmd_parms *cmd, apr_array_header_t *list, int argc, char *const argv[]);

/* The setters of rules, of sender and login, of <McpOAuthIssuer> and of the server, for the command table. */
const char *mcp_set_acl(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_allow(cmd_parms *cmd, void *v, int argc, char *const argv[]);
const char *mcp_set_implies(cmd_parms *cmd, void *v, int argc, char *const argv[]);
const char *mcp_set_rate_limit(cmd_parms *cmd, void *v, int argc, char *const argv[]);
const char *mcp_set_dpop(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_acrs(cmd_parms *cmd, void *v, int argc, char *const argv[]);
const char *mcp_set_max_auth_age(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_issuer_section(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_issuer_url(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_jwks(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_algorithms(cmd_parms *cmd, void *v, int argc, char *const argv[]);
const char *mcp_set_types(cmd_parms *cmd, void *v, int argc, char *const argv[]);
const char *mcp_set_skew(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_refresh(cmd_parms *cmd, void *v, const char *min, const char *max);
const char *mcp_set_cooldown(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_max_stale(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_timeout(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_ca_file(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_issuer_flag(cmd_parms *cmd, void *v, int on);
const char *mcp_set_introspection(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_introspection_auth(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_introspection_ttl(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_client_id(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_client_secret(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_cache_ttl(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_cache_size(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_session_key(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_key_store(cmd_parms *cmd, void *v, const char *arg);
const char *mcp_set_shared_cache(cmd_parms *cmd, void *v, const char *arg);

#endif
