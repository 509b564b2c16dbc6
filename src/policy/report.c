#include "policy/report.h"

#include <stdlib.h>

#include "policy/report_text.h"

int mcp_report_kind(int column)
{
    return column == MCP_OK             ? MCP_REPORT_ALLOW
           : column == MCP_PREFLIGHT    ? MCP_REPORT_PREFLIGHT
           : column == MCP_METER_SHADOW ? MCP_REPORT_SHADOW
                                        : MCP_REPORT_DENY;
}

const char *mcp_report_decision(int column)
{
    static const char *const names[MCP_REPORT_DECISIONS] = { "allow", "deny", "shadow-deny", "preflight" };

    return names[mcp_report_kind(column)];
}

const char *mcp_report_reason(int column)
{
    return mcp_status_info(column == MCP_METER_SHADOW ? MCP_ACL_DENIED : (mcp_status_t)column)->slug;
}

apr_uint64_t mcp_report_plus(apr_uint64_t a, apr_uint64_t b)
{
    return a + b < a ? ~(apr_uint64_t)0 : a + b;
}

static void sum_add(apr_uint64_t sums[MCP_REPORT_DECISIONS], const mcp_report_resource_t *resource)
{
    int column;

    for (column = 0; column < MCP_METER_COLUMNS; column++) {
        apr_uint64_t *sum = &sums[mcp_report_kind(column)];

        *sum = mcp_report_plus(*sum, resource->counts[column]);
    }
}

static void sum_clear(apr_uint64_t sums[MCP_REPORT_DECISIONS])
{
    int kind;

    for (kind = 0; kind < MCP_REPORT_DECISIONS; kind++) {
        sums[kind] = 0;
    }
}

void mcp_report_sum(apr_uint64_t sums[MCP_REPORT_DECISIONS], const mcp_report_resource_t *resource)
{
    sum_clear(sums);
    sum_add(sums, resource);
}

void mcp_report_total(apr_uint64_t sums[MCP_REPORT_DECISIONS], const mcp_report_t *report)
{
    int i;

    sum_clear(sums);
    for (i = 0; i < report->resources->nelts; i++) {
        sum_add(sums, &APR_ARRAY_IDX(report->resources, i, mcp_report_resource_t));
    }
}

static int most_first(const void *a, const void *b)
{
    const mcp_report_reason_t *left = a, *right = b;

    if (left->count != right->count) {
        return left->count < right->count ? 1 : -1;
    }
    return left->column - right->column;
}

apr_array_header_t *mcp_report_reasons(const mcp_report_resource_t *resource, apr_pool_t *p)
{
    apr_array_header_t *reasons = apr_array_make(p, 8, sizeof(mcp_report_reason_t));
    int column;

    for (column = 0; column < MCP_METER_COLUMNS; column++) {
        if (resource->counts[column] && mcp_report_kind(column) == MCP_REPORT_DENY) {
            mcp_report_reason_t *reason = apr_array_push(reasons);

            reason->column = column;
            reason->count = resource->counts[column];
        }
    }
    if (reasons->nelts) {
        qsort(reasons->elts, (size_t)reasons->nelts, sizeof(mcp_report_reason_t), most_first);
    }
    return reasons;
}
