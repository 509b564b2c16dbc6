/* Where the key set of one issuer comes from, and one attempt to get it: file, URL, or discovery and then URL. */
#ifndef MCP_KEYSOURCE_H
#define MCP_KEYSOURCE_H

#include <apr_pools.h>
#include <apr_time.h>

#include "keys/keyset.h"
#include "net/http.h"

typedef struct mcp_keysource_t {
    /* configuration, set by the owner, immutable */
    const char *issuer;          /* exact iss */
    const char *file;            /* absolute path, or NULL */
    const char *url;             /* absolute URL, or NULL; with file NULL as well: discovery */
    const char *proxy, *ca_file; /* as in mcp_http_request_t */
    int allow_http;
    apr_interval_time_t timeout; /* for one whole attempt, discovery included */
    /* what the last attempts left behind, owned by the attempts; zero at first */
    apr_time_t file_mtime; /* of the text last read */
    apr_off_t file_size;
} mcp_keysource_t;

/* What one attempt brought. */
typedef struct mcp_keysource_answer_t {
    mcp_keyset_t *set; /* the caller releases it; NULL when unchanged */
    int unchanged;     /* 304: what is known still holds */
    const char *text;  /* of the set, in p; NULL when unchanged or read from a file */
    apr_size_t len;    /* bytes of text */
    const char *url,
        *etag; /* where it came from, and its entity tag or NULL; in p; of a 304 its own, else the known one */
    apr_interval_time_t lifetime; /* as mcp_refresh_lifetime gives it for the key set's own answer */
} mcp_keysource_answer_t;

/* Identifies where keys come from, whom they are for and who vouches for that: SHA-256 over issuer, file, url (or that it
 * is discovered), ca_file and allow_http, as hexadecimal digits in p; NULL when OpenSSL fails. Keys that were kept under one
 * identity must not be used under another. */
const char *mcp_keysource_identity(const mcp_keysource_t *source, apr_pool_t *p);

/* One attempt. Returns NULL with *answer filled, or the reason of the failure for the log (in p or static; it names the URL
 * that failed and never quotes an answer) with *answer zeroed. known_url, known_etag: what is there already, NULL for
 * nothing; the entity tag is sent as If-None-Match when the keys come from the very same URL, and only then a 304 (RFC 9110
 * section 15.4.5) is an answer. Discovery tries each well-known form until one gives a usable document and is done anew
 * each time, so a changed jwks_uri is followed. An answer must be 200 or that 304; redirects are refused. wall: wall clock
 * now. cancelled, baton: as in mcp_http_request_t. */
const char *mcp_keysource_fetch(mcp_keysource_answer_t *answer, mcp_keysource_t *source, const char *known_url,
                                const char *known_etag, const mcp_http_t *http, int (*cancelled)(void *baton),
                                void *baton, apr_time_t wall, apr_pool_t *p);

/* For a file: does it differ in time or size from what was last read, or can it not be examined? 0 for any other source. */
int mcp_keysource_changed(const mcp_keysource_t *source, apr_pool_t *p);

#endif
