#include "policy/report_html.h"

#include <apr_strings.h>

void mcp_report_table_begin(mcp_report_table_t *table, mcp_report_page_t *page, const mcp_report_column_t *columns,
                            int count, const char *look, const char *caption)
{
    int i;

    table->page = page;
    table->columns = columns;
    table->count = count;
    table->at = -1;
    mcp_report_putf(page,
                    "<table class=\"%s\" role=\"table\">\n<caption>%s</caption>\n"
                    "<thead role=\"rowgroup\"><tr role=\"row\">",
                    look, caption);
    for (i = 0; i < count; i++) {
        mcp_report_putf(page, "<th role=\"columnheader\" scope=\"col\" class=\"%s\">%s</th>", columns[i].look,
                        columns[i].name);
    }
    mcp_report_put(page, "</tr></thead>\n<tbody role=\"rowgroup\">\n");
}

static void cell_close(mcp_report_table_t *table)
{
    if (table->at >= 0) {
        mcp_report_put(table->page, table->at ? "</div></td>" : "</div></th>");
    }
}

static void row_close(mcp_report_table_t *table)
{
    if (table->at >= 0) {
        cell_close(table);
        mcp_report_put(table->page, "</tr>\n");
    }
    table->at = -1;
}

void mcp_report_table_row(mcp_report_table_t *table)
{
    row_close(table);
    mcp_report_put(table->page, "<tr role=\"row\">");
}

void mcp_report_table_cell(mcp_report_table_t *table)
{
    const mcp_report_column_t *column;

    cell_close(table);
    column = &table->columns[++table->at % table->count];
    mcp_report_putf(table->page,
                    table->at ? "<td role=\"cell\" data-name=\"%s\" class=\"%s\"><div>"
                              : "<th role=\"rowheader\" scope=\"row\" data-name=\"%s\" class=\"%s\"><div>",
                    column->name, column->look);
}

void mcp_report_table_number(mcp_report_table_t *table, apr_uint64_t number)
{
    mcp_report_table_cell(table);
    mcp_report_put(table->page, mcp_report_number(number, table->page->p));
}

void mcp_report_table_text(mcp_report_table_t *table, const char *data, const char *none)
{
    mcp_report_table_cell(table);
    mcp_report_put_data(table->page, data, none);
}

void mcp_report_table_end(mcp_report_table_t *table)
{
    row_close(table);
    mcp_report_put(table->page, "</tbody>\n</table>\n");
}

void mcp_report_put_data(mcp_report_page_t *page, const char *data, const char *none)
{
    if (!data || !*data) {
        mcp_report_putf(page, "<span class=\"dim\">%s</span>", none);
        return;
    }
    mcp_report_put(page, "<bdi>");
    mcp_report_put_html(page, data);
    mcp_report_put(page, "</bdi>");
}

/* Rounded down, so that 100 means all; but what is there is not shown as nothing. */
const char *mcp_report_percent(apr_uint64_t part, apr_uint64_t whole, apr_pool_t *p)
{
    int tenths = (int)(mcp_report_ratio(part, whole) * 1000 + 1e-9);

    tenths = tenths == 1000 && part < whole ? 999 : !tenths && part && whole ? 1 : tenths;
    return apr_psprintf(p, "%d.%d", tenths / 10, tenths % 10);
}

void mcp_report_put_bar(mcp_report_page_t *page, apr_uint64_t part, apr_uint64_t whole)
{
    mcp_report_putf(page, "<span class=\"bar\" aria-hidden=\"true\"><b style=\"width:%s%%\"></b></span>",
                    mcp_report_percent(part, whole, page->p));
}

const char *mcp_report_plural(apr_uint64_t number, const char *one, const char *many, apr_pool_t *p)
{
    return apr_pstrcat(p, mcp_report_number(number, p), " ", number == 1 ? one : many, NULL);
}
