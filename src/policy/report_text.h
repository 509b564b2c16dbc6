/* What the writers of reports share: text that grows, sums, and the forms of numbers and times. */
#ifndef MCP_REPORT_TEXT_H
#define MCP_REPORT_TEXT_H

#include "policy/report.h"

/* A text that grows; len bytes and a NUL. */
typedef struct mcp_report_page_t {
    char *text;
    apr_size_t len, size;
    apr_pool_t *p;
} mcp_report_page_t;

void mcp_report_begin(mcp_report_page_t *page, apr_pool_t *p);
/* As it is: for what this program wrote itself. */
void mcp_report_put(mcp_report_page_t *page, const char *text);
void mcp_report_putf(mcp_report_page_t *page, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What came from elsewhere, as HTML that is ASCII, whatever charset the page has; NULL is "". What cannot be seen or changes
 * how others are seen (control bytes, directions) is named instead. Not for attributes: it can hold a tag of its own. */
void mcp_report_put_html(mcp_report_page_t *page, const char *data);

/* The code point at *ptext, which is not at its end, and a step beyond it; U+FFFD for a byte that is no UTF-8. */
unsigned mcp_report_next(const char **ptext);
/* Can it not be seen, or does it change how others are seen? */
int mcp_report_is_hidden(unsigned point);
/* The UTF-8 of a code point; returns its bytes. */
int mcp_report_encode(char out[4], unsigned point);
/* The text in UTF-8, U+FFFD for each byte that is none; NULL for NULL. */
const char *mcp_report_utf8(const char *text, apr_pool_t *p);

enum { MCP_REPORT_ALLOW, MCP_REPORT_DENY, MCP_REPORT_SHADOW, MCP_REPORT_PREFLIGHT, MCP_REPORT_DECISIONS };
/* Which of them a column is. */
int mcp_report_kind(int column);
/* a + b, and the highest number when that is more. */
apr_uint64_t mcp_report_plus(apr_uint64_t a, apr_uint64_t b);
/* Requests by decision: to one resource, to all. */
void mcp_report_sum(apr_uint64_t sums[MCP_REPORT_DECISIONS], const mcp_report_resource_t *resource);
void mcp_report_total(apr_uint64_t sums[MCP_REPORT_DECISIONS], const mcp_report_t *report);

typedef struct mcp_report_reason_t {
    int column;
    apr_uint64_t count;
} mcp_report_reason_t;
/* Why requests to a resource were denied (mcp_report_reason_t, in p), most first, equal ones in the order of the columns. */
apr_array_header_t *mcp_report_reasons(const mcp_report_resource_t *resource, apr_pool_t *p);

/* part / whole in [0, 1]; 0 for a whole of 0. */
double mcp_report_ratio(apr_uint64_t part, apr_uint64_t whole);
/* Wall clock in RFC 3339, whole seconds, UTC. */
const char *mcp_report_time(apr_time_t time, apr_pool_t *p);
/* How long it has been counted; not less than 0, whatever the wall clock did. */
apr_interval_time_t mcp_report_uptime(const mcp_report_t *report);
/* "1,234,567" */
const char *mcp_report_number(apr_uint64_t number, apr_pool_t *p);
/* "45 s", "3 min", "1 h 5 min", "2 days 3 h" */
const char *mcp_report_span(apr_interval_time_t span, apr_pool_t *p);
/* "3 min ago", "never"; "in 41 min", "now", "not planned" */
const char *mcp_report_ago(apr_interval_time_t age, apr_pool_t *p);
const char *mcp_report_ahead(apr_interval_time_t ahead, apr_pool_t *p);

#endif
