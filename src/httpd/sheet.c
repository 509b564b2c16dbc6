#include "httpd/sheet.h"

#include <string.h>

#include <apr_strings.h>

#include "policy/explain.h"

#define WIDTH 100
#define COLUMN 21 /* where the second column begins */
#define STEP 2

apr_status_t mcp_sheet_open(mcp_sheet_t *sheet, apr_pool_t *p)
{
    sheet->p = p;
    return apr_file_open_flags_stdout(&sheet->out, APR_FOPEN_BUFFERED, p);
}

void mcp_sheet_close(mcp_sheet_t *sheet)
{
    apr_file_flush(sheet->out);
}

/* Characters of UTF-8 text. */
static int width_of(const char *text, apr_size_t len)
{
    int width = 0;
    apr_size_t i;

    for (i = 0; i < len; i++) {
        width += (text[i] & 0xc0) != 0x80;
    }
    return width;
}

/* Words of text from column at on, the first line having that much of it already; further lines begin at column. */
static void words_print(const mcp_sheet_t *sheet, const char *text, int at, int column)
{
    apr_size_t len;
    int width, fresh = 1;

    for (; *text; text += len) {
        text += strspn(text, " ");
        len = strcspn(text, " ");
        width = width_of(text, len);
        if (!fresh && at + 1 + width > WIDTH) {
            apr_file_printf(sheet->out, "\n%*s", column, "");
            at = column;
            fresh = 1;
        }
        apr_file_printf(sheet->out, "%s%.*s", fresh ? "" : " ", (int)len, text);
        at += width + !fresh;
        fresh = 0;
    }
    apr_file_puts("\n", sheet->out);
}

void mcp_sheet_line(const mcp_sheet_t *sheet, const char *text)
{
    int indent = (int)strspn(text, " ");

    apr_file_printf(sheet->out, "%*s", indent, "");
    words_print(sheet, mcp_explain_clean(text, sheet->p), indent, indent + 2 * STEP);
}

void mcp_sheet_row(const mcp_sheet_t *sheet, int steps, const char *label, const char *text)
{
    const char *safe = mcp_explain_clean(label, sheet->p);
    int at = steps * STEP + width_of(safe, strlen(safe));

    apr_file_printf(sheet->out, "%*s%s", steps * STEP, "", safe);
    if (at + 2 > COLUMN) {
        apr_file_puts("\n", sheet->out);
        at = 0;
    }
    apr_file_printf(sheet->out, "%*s", COLUMN - at, "");
    words_print(sheet, mcp_explain_clean(text, sheet->p), COLUMN, COLUMN);
}

void mcp_sheet_list(const mcp_sheet_t *sheet, int steps, const char *label, const apr_array_header_t *texts)
{
    const char *text = "";
    int i;

    for (i = 0; texts && i < texts->nelts; i++) {
        text = apr_pstrcat(sheet->p, text, i ? ", " : "", APR_ARRAY_IDX(texts, i, const char *), NULL);
    }
    if (*text) {
        mcp_sheet_row(sheet, steps, label, text);
    }
}
