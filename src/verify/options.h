/* The command line of mcp-oauth-verify. */
#ifndef MCP_OPTIONS_H
#define MCP_OPTIONS_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

#include "keys/alg.h"

typedef struct mcp_options_t {
    const char *issuer;
    apr_array_header_t *audiences; /* const char * */
    apr_array_header_t *scopes;    /* const char *: all of them must be there */
    const char *jwks;              /* path or URL, NULL: discovered at issuer */
    const char *ca_file;
    const char *file; /* of the token, NULL: standard input */
    mcp_algs_t algs;  /* 0: not said */
    int types;        /* MCP_TYPE_*, 0: not said */
    int hierarchical; /* as in mcp_trust_t */
    int signature_only;
    int allow_http;
    int help, version; /* asked for: nothing else counts then */
    apr_time_t now;    /* as it was when the command began, unless said otherwise */
    apr_interval_time_t skew, timeout;
} mcp_options_t;

/* Reads the arguments behind the program's name. Returns NULL, or what is wrong with them (in p or static): it never
 * quotes a value, which could be a token in the wrong place. */
const char *mcp_options_parse(mcp_options_t *options, int argc, const char *const argv[], apr_time_t now,
                              apr_pool_t *p);

#endif
