/* The last good key set of each issuer on disk, so that httpd can start while the authorization server is down. One file per
 * source of keys, named after its identity. Nothing in it is secret, but whoever can write it can sign tokens: who may
 * own it is checked, and damage is detected. */
#ifndef MCP_KEYSTORE_H
#define MCP_KEYSTORE_H

#include <apr_pools.h>
#include <apr_time.h>
#include <sys/types.h>

typedef struct mcp_keystore_t {
    const char *dir; /* absolute path */
    uid_t user;      /* who may own dir and files besides root */
} mcp_keystore_t;

typedef struct mcp_keystore_entry_t {
    const char *identity;    /* of the source: 64 lower-case hexadecimal digits (mcp_keysource_identity) */
    const char *issuer;      /* exact iss, for the reader of the file */
    const char *url, *etag;  /* where the text came from and its entity tag; NULL for none */
    apr_time_t loaded_wall;  /* wall clock, microseconds: when it was fetched or last confirmed */
    apr_time_t refresh_wall; /* when it should be refreshed */
    const char *text;        /* the JWK Set as it was fetched: UTF-8 without NUL */
    apr_size_t len;          /* bytes, at most MCP_LIMIT_DOCUMENT */
} mcp_keystore_entry_t;

/* Makes the directory with mode 0700 for user (given to user when the caller is root) unless it exists, and checks it: a
 * directory and no symbolic link, owned by root or user, not writable by group or others. NULL, or the reason why it
 * cannot be used (in p or static). */
const char *mcp_keystore_prepare(const mcp_keystore_t *store, apr_pool_t *p);

/* Writes the entry into a new file of mode 0600 beside the old one, which it then replaces (also on disk: fsync before rename).
 * NULL, or the reason of the failure, for the log; the old file is intact then and the new one is removed. */
const char *mcp_keystore_write(const mcp_keystore_t *store, const mcp_keystore_entry_t *entry, apr_pool_t *p);

/* Reads the entry of that identity into p. *pentry is NULL when there is no file (and NULL is returned), or when the file is
 * not to be trusted: the directory does not pass the check of prepare, the file is no regular file, a symbolic link, owned by
 * anyone but root or user, writable by group or others, longer than an entry can be, no strict JSON of this form and
 * version, with another identity or issuer, with a digest (over all members) that does not fit, or loaded later than wall
 * (the wall clock now). The reason is returned then; it names the file and never quotes it. Whether it is too old is
 * for the caller to say. */
const char *mcp_keystore_read(mcp_keystore_entry_t **pentry, const mcp_keystore_t *store, const char *identity,
                              const char *issuer, apr_time_t wall, apr_pool_t *p);

#endif
