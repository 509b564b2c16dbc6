/* The issuers that the configuration trusts, and their keys in this process. */
#ifndef MCP_HTTPD_ISSUER_H
#define MCP_HTTPD_ISSUER_H

#include <apr_portable.h>
#include <apr_proc_mutex.h>
#include <apr_thread_mutex.h>

#include "httpd/config.h"
#include "httpd/share.h"

#include "base/meter.h"
#include "net/breaker.h"
#include "keys/keycache.h"
#include "keys/keysource.h"
#include "keys/keyshare.h"
#include "keys/endpoint.h"
#include "keys/refresh.h"
#include "token/introspection.h"
#include "token/seal.h"

typedef struct mcp_issuer_t {
    const mcp_issuer_conf_t *conf;
    const char *authorization_server; /* advertised in the metadata */
    const char *error; /* why tokens of this issuer could never be judged, and the cure; NULL if they can */
    int trusted;       /* some location names it: its keys are needed */
    mcp_refresh_conf_t bounds;
    apr_interval_time_t cooldown; /* between fetches on demand */
    mcp_keyset_t *initial;        /* of a file, read at start; NULL for the rest */
    const char *identity;         /* mcp_keysource_identity */
    mcp_slot_t *slot; /* what all processes share; NULL: keys come from a file, there are none, or nobody needs them */
    apr_proc_mutex_t *election;             /* whose holder fetches; NULL in a child: it never will */
    int keyless;                            /* McpOAuthJwks none: there is no key source */
    const mcp_introspector_t *introspector; /* NULL: no introspection */
    mcp_endpoint_t endpoint;                /* as configured: url NULL or auth AUTO are to be discovered */
    apr_interval_time_t introspection_ttl;
    unsigned char seal_key[MCP_SEAL_KEY_BYTES];
    mcp_breaker_t *breaker; /* of the introspection endpoint, shared by all processes */
    mcp_calls_t *calls;     /* to it, the same */
    /* in a child */
    mcp_keycache_t *keys; /* shared with requests */
    apr_uint32_t serial;  /* of slot->keys, as far as keys follows it; atomic */
    int settled;          /* it is known whether there are keys: the first fetch has ended, or there is a set; atomic */
    apr_thread_mutex_t *lock; /* guards the next two, and each change of the two above */
    mcp_keyrecord_t record;   /* of slot->keys, as of serial */
    apr_uint32_t version;     /* of the text in slot->keys that keys was made of; 0: of none */
    /* from here on: the refresher's alone */
    mcp_keysource_t source;
    int file_failures; /* of a key file, in a row */
    int leading;       /* election is held, by thread */
    apr_os_thread_t thread;
    int store_failed;        /* was the last write to disk a failure? */
    const char *stored_text; /* what was read from disk at start, for whoever is elected; NULL for nothing */
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
