/* Text in two columns on standard output, 100 wide, for an administrator to read. */
#ifndef MCP_HTTPD_SHEET_H
#define MCP_HTTPD_SHEET_H

#include <apr_file_io.h>
#include <apr_tables.h>

typedef struct mcp_sheet_t {
    apr_file_t *out;
    apr_pool_t *p; /* for what is printed */
} mcp_sheet_t;

/* What is written may be held back until mcp_sheet_close. */
apr_status_t mcp_sheet_open(mcp_sheet_t *sheet, apr_pool_t *p);
void mcp_sheet_close(mcp_sheet_t *sheet);

/* All texts are made safe to print (mcp_explain_clean) and wrapped between words. A line, wrapped further in. */
void mcp_sheet_line(const mcp_sheet_t *sheet, const char *text);
/* label, indented by that many steps, and text beside it; a label that is too long stands above it. */
void mcp_sheet_row(const mcp_sheet_t *sheet, int steps, const char *label, const char *text);
/* The same with a list (const char *), ", " between; NULL or empty: nothing is printed. */
void mcp_sheet_list(const mcp_sheet_t *sheet, int steps, const char *label, const apr_array_header_t *texts);

#endif
