/* The issuers that the configuration trusts, and their keys in this process. */
#ifndef MCP_HTTPD_ISSUER_H
#define MCP_HTTPD_ISSUER_H

#include "httpd/config.h"

#include "keys/keycache.h"
#include "keys/keysource.h"
#include "keys/refresh.h"

typedef struct mcp_issuer_t {
    const mcp_issuer_conf_t *conf;
    const char *authorization_server; /* advertised in the metadata */
    const char *error; /* why tokens of this issuer could never be judged, and the cure; NULL if they can */
    int trusted;       /* some location names it: its keys are needed */
    mcp_refresh_conf_t bounds;
    mcp_keyset_t *initial; /* of a file, read at start; NULL for the rest */
    /* in a child */
    mcp_keysource_t source; /* from here on: the refresher's alone */
    mcp_refresh_t refresh;
    mcp_keycache_t *keys; /* shared with requests */
} mcp_issuer_t;

/* Forgets all issuers; those found from now on live in pconf. */
void mcp_issuers_reset(apr_pool_t *pconf);

/* The issuer of that name as server s (a virtual host or the main server) describes it; without a section the defaults
 * hold. at: where it is named. Start-up only: made and checked on first sight, also its key file is read. */
mcp_issuer_t *mcp_issuer_obtain(server_rec *s, const char *name, const ap_directive_t *at);

/* The same at request time: NULL for one that start-up has not seen. */
mcp_issuer_t *mcp_issuer_find(const server_rec *s, const char *name);

int mcp_issuers_count(void);
mcp_issuer_t *mcp_issuer_at(int i);

/* Makes the key caches of this process; they live in p. APR's error when a lock cannot be made. */
apr_status_t mcp_issuers_start(apr_pool_t *p);

#endif
