/* What the server has done and what it knows, for people and for monitors. Writes no token, no secret and no key. */
#ifndef MCP_REPORT_H
#define MCP_REPORT_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

#include "base/meter.h"
#include "base/tally.h"

typedef struct mcp_report_key_t {
    const char *kid; /* NULL: it has none */
    const char *kty; /* RSA, EC, OKP */
    const char *alg; /* as the set says it, NULL: it does not */
} mcp_report_key_t;

typedef struct mcp_report_issuer_t {
    const char *issuer;
    const char *keys_from;          /* "discovery", a URL, "file:/path", or "none" */
    const char *state;              /* of mcp_refresh_name; "file" for a key file, "none" without keys */
    const apr_array_header_t *keys; /* mcp_report_key_t */
    int keys_skipped;               /* of the same set, unusable */
    apr_interval_time_t age;        /* microseconds since the set was fetched or found unchanged; -1: there is none */
    apr_interval_time_t next_fetch; /* until then, 0: due; -1: nothing is planned */
    apr_uint64_t fetches, failures; /* attempts, and those of them that brought no set */
    const char *last_error;         /* of the last attempt, NULL: it was good */
    const char *endpoint;           /* of introspection: "discovery" or a URL; NULL: there is none */
    const char *breaker;            /* "closed", "open" */
    mcp_calls_t calls;              /* to the endpoint */
} mcp_report_issuer_t;

typedef struct mcp_report_resource_t {
    const char *resource; /* resource identifier; "other" for requests whose resource was not known at start */
    apr_uint64_t counts[MCP_METER_COLUMNS];
} mcp_report_resource_t;

typedef struct mcp_report_t {
    const char *version;
    apr_time_t now; /* wall clock */
    mcp_meter_totals_t totals;
    int cache_max;                       /* entries that one process keeps; 0: no cache */
    const apr_array_header_t *resources; /* mcp_report_resource_t */
    const apr_array_header_t *issuers;   /* mcp_report_issuer_t */
    const apr_array_header_t *shadow;    /* mcp_tally_row_t: resource, operation, needed; counts[0] */
    const apr_array_header_t *usage;     /* mcp_tally_row_t: resource, issuer, subject, client, operation, limit;
                                             * counts[0] allowed, counts[1] limited */
    apr_uint64_t shadow_others, usage_others[2];
} mcp_report_t;

/* Each in p, NUL-terminated, UTF-8; what came from elsewhere is escaped, bytes that are no UTF-8 are replaced. */
/* One page without scripts; all of it is ASCII. */
const char *mcp_report_html(const mcp_report_t *report, apr_pool_t *p);
/* One line of ASCII. A text that is not there or empty is null, as is a time or an age that is not known; "reasons" are those
 * of denials and add up to "deny"; a count over 2^63 - 1 is written as that. */
const char *mcp_report_json(const mcp_report_t *report, apr_pool_t *p);
/* Text exposition format 0.0.4. What cannot be seen is replaced in labels, and rows that look the same then are one series. The
 * second issuer of a name (two hosts may describe it) has the label entry="2". What shadow rows that had to go had is in the
 * series whose labels are all "other". No users, no clients, no key ids. */
const char *mcp_report_prometheus(const mcp_report_t *report, apr_pool_t *p);
/* The part of another page: HTML without a style sheet, or lines. Both are ASCII, for that page has a charset of its own. Lines
 * (text, where it is not ours, with ? for what is no ASCII or no character):
 *     McpOAuthAllowed: n, McpOAuthDenied, McpOAuthShadowDenied, McpOAuthPreflights,
 *     McpOAuthTokenCacheEntries, McpOAuthTokenCacheHits, McpOAuthTokenCacheMisses,
 *     and for each issuer, from 0: McpOAuthIssuer[0]Name: text, McpOAuthIssuer[0]State: fresh, McpOAuthIssuer[0]Keys: n,
 *     McpOAuthIssuer[0]Fetches: n, McpOAuthIssuer[0]FetchFailures: n, with introspection McpOAuthIssuer[0]Breaker: closed */
const char *mcp_report_section(const mcp_report_t *report, int plain, apr_pool_t *p);

/* What follows from a column: "allow", "deny", "shadow-deny" or "preflight", and the reason's slug; of a
 * shadow denial that of MCP_ACL_DENIED, as in the log. A column that there is not: "deny", "internal". */
const char *mcp_report_decision(int column);
const char *mcp_report_reason(int column);

#endif
