/* What the parts of the HTML page share. */
#ifndef MCP_REPORT_HTML_H
#define MCP_REPORT_HTML_H

#include "policy/report_text.h"

typedef struct mcp_report_column_t {
    const char *name;
    const char *look; /* "n": numbers; "s": short text of this page; "": any text */
} mcp_report_column_t;

/* A table is written from its first cell to its last one; the first cell of a row is its heading. On a narrow screen a row
 * of a "stack" becomes a block (of a "small" one it does not), so each cell carries the name of its column, and each element its role, which it would lose there. */
typedef struct mcp_report_table_t {
    mcp_report_page_t *page;
    const mcp_report_column_t *columns;
    int count, at; /* columns; the open cell, -1: none */
} mcp_report_table_t;

void mcp_report_table_begin(mcp_report_table_t *table, mcp_report_page_t *page, const mcp_report_column_t *columns,
                            int count, const char *look, const char *caption);
void mcp_report_table_row(mcp_report_table_t *table);
/* The next cell of the row: what is put into the page from now on is in it. */
void mcp_report_table_cell(mcp_report_table_t *table);
void mcp_report_table_number(mcp_report_table_t *table, apr_uint64_t number);
void mcp_report_table_text(mcp_report_table_t *table, const char *data, const char *none);
void mcp_report_table_end(mcp_report_table_t *table);

/* What came from elsewhere, set apart from the text around it; none (HTML) when there is nothing. */
void mcp_report_put_data(mcp_report_page_t *page, const char *data, const char *none);
/* part of whole in percent: "97.5". */
const char *mcp_report_percent(apr_uint64_t part, apr_uint64_t whole, apr_pool_t *p);
/* The same as a bar, for the eye alone: the number stands beside it. */
void mcp_report_put_bar(mcp_report_page_t *page, apr_uint64_t part, apr_uint64_t whole);
/* "1 key", "2 keys" */
const char *mcp_report_plural(apr_uint64_t number, const char *one, const char *many, apr_pool_t *p);

/* Tokens of this issuer cannot be judged now, or soon. */
int mcp_report_is_bad(const mcp_report_issuer_t *issuer);
void mcp_report_put_issuer(mcp_report_page_t *page, const mcp_report_issuer_t *issuer);
/* All that stands before the body's content. */
void mcp_report_put_head(mcp_report_page_t *page);

#endif
