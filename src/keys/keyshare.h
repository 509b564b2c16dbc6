/* What is known of one issuer's keys, in memory that all processes share: one writer (who fetches), any number of readers,
 * none of whom waits. Two copies and a serial number: the writer fills the idle copy and then publishes it, so one that is
 * killed half-way leaves the published copy whole. */
#ifndef MCP_KEYSHARE_H
#define MCP_KEYSHARE_H

#include <apr_pools.h>

#include "base/limits.h"
#include "keys/refresh.h"

/* Everything but the text. Plain data, strings NUL-terminated. */
typedef struct mcp_keyrecord_t {
    mcp_refresh_t refresh;
    mcp_refresh_state_t told; /* the state that was last written to the log */
    apr_uint32_t version;     /* of the text: grows with every other text; 0: there is none */
    apr_uint32_t keys;        /* usable keys in it */
    apr_uint32_t skipped;     /* keys that were left out */
    apr_uint64_t fetches;     /* attempts since the server was started */
    apr_uint64_t failures;    /* of these */
    apr_time_t loaded_wall;   /* last success, wall clock; 0: none */
    apr_time_t refresh_wall;  /* refresh.refresh_at as wall clock, when it was set */
    char error[256];          /* why the last attempt failed; "" if it did not */
    char url[2048];           /* of the text, "" for none: what etag belongs to */
    char etag[256];           /* "" for none */
    apr_uint32_t len;         /* bytes of the text */
} mcp_keyrecord_t;

typedef struct mcp_keyshare_t {
    apr_uint32_t serial; /* copy[serial & 1] is the published one; 0: nothing has been published */
    struct {
        mcp_keyrecord_t record;
        char text[MCP_LIMIT_DOCUMENT]; /* a JWK Set; untouched pages cost nothing */
    } copy[2];
} mcp_keyshare_t;

/* Counts what was published; 0 before the first. One atomic load. */
apr_uint32_t mcp_keyshare_serial(const mcp_keyshare_t *share);

/* Reads the record and, with ptext, the text (in p, not NUL-terminated, NULL when there is none). Returns the serial number
 * of what was read; 0 with a zeroed record before the first, or if the writer is always in the way, which no honest one is. */
apr_uint32_t mcp_keyshare_read(mcp_keyrecord_t *record, char **ptext, const mcp_keyshare_t *share, apr_pool_t *p);

/* Publishes the record with record->len bytes of text. For the one writer only. */
void mcp_keyshare_publish(mcp_keyshare_t *share, const mcp_keyrecord_t *record, const char *text);

/* Sets a string of a record; one that is too long: url and etag become "", an error is cut. */
void mcp_keyrecord_set_source(mcp_keyrecord_t *record, const char *url, const char *etag);
void mcp_keyrecord_set_error(mcp_keyrecord_t *record, const char *error);

#endif
