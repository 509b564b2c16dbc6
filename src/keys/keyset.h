/* A key set (RFC 7517 section 5): an immutable snapshot with a reference count, parsed once and read by all threads. */
#ifndef MCP_KEYSET_H
#define MCP_KEYSET_H

#include <apr.h>

#include "keys/jwk.h"

typedef struct mcp_keyset_t mcp_keyset_t;

/* Parses the text of a JWK Set into a pool of its own; the caller holds the one reference. Keys that cannot be used are
 * left out, the rest is kept up to MCP_LIMIT_KEYS (RFC 7517 section 5). Returns NULL, or a reason for the log (static
 * text) with *pset = NULL: not strict JSON, over MCP_LIMIT_DOCUMENT bytes, no "keys" array, not one usable key in it. */
const char *mcp_keyset_parse(mcp_keyset_t **pset, const char *text, apr_size_t len);

/* References are counted atomically; the last release destroys the pool. release(NULL) is nothing. */
mcp_keyset_t *mcp_keyset_retain(mcp_keyset_t *set);
void mcp_keyset_release(mcp_keyset_t *set);

/* Were both made of the same bytes (SHA-256)? */
int mcp_keyset_equal(const mcp_keyset_t *a, const mcp_keyset_t *b);

int mcp_keyset_count(const mcp_keyset_t *set);   /* usable keys */
int mcp_keyset_skipped(const mcp_keyset_t *set); /* keys left out */
int mcp_keyset_exposed(const mcp_keyset_t *set); /* usable keys that came with their private part */
const mcp_jwk_t *mcp_keyset_at(const mcp_keyset_t *set, int i);

/* The keys a token may have been signed with, in order: those that may verify alg and, when kid is given, have exactly
 * that kid (kid NULL: whatever their kid). Writes at most max of them, returns how many. They live as long as the set. */
int mcp_keyset_find(const mcp_jwk_t **found, int max, const mcp_keyset_t *set, const char *kid, mcp_alg_t alg);

/* Is there a usable key of exactly that kid, for whatever alg? */
int mcp_keyset_has(const mcp_keyset_t *set, const char *kid);

#endif
