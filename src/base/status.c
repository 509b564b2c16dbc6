#include <stddef.h>

#include "base/status.h"

static const mcp_status_info_t table[] = {
#define X(name, slug, http, error, code, level, id, text) { slug, http, error, code, MCP_LOG_##level, id, text },
    MCP_STATUS_TABLE(X)
#undef X
};

const mcp_status_info_t *mcp_status_info(mcp_status_t status)
{
    return (unsigned)status < MCP_STATUS_COUNT ? &table[status] : &table[MCP_INTERNAL];
}
