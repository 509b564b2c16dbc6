#include "rpc/method.h"

#include <stdlib.h>
#include <string.h>

/* Sorted by name, byte for byte. */
static const mcp_method_t inventory[] = {
    { "completion/complete", MCP_OPERAND_REF, MCP_OBJECT_NONE, 0, 0 },
    { "initialize", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 1 },
    { "logging/setLevel", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 1 },
    { "notifications/cancelled", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 0 },
    { "notifications/initialized", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 1 },
    { "notifications/progress", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 0 },
    { "notifications/roots/list_changed", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 1 },
    { "notifications/tasks/status", MCP_OPERAND_TASK, MCP_OBJECT_TASK, 0, 1 },
    { "ping", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 1 },
    { "prompts/get", MCP_OPERAND_NAME, MCP_OBJECT_PROMPT, 1, 0 },
    { "prompts/list", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 0 },
    { "resources/list", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 0 },
    { "resources/read", MCP_OPERAND_URI, MCP_OBJECT_RESOURCE, 1, 0 },
    { "resources/subscribe", MCP_OPERAND_URI, MCP_OBJECT_RESOURCE, 0, 1 },
    { "resources/templates/list", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 0 },
    { "resources/unsubscribe", MCP_OPERAND_URI, MCP_OBJECT_RESOURCE, 0, 1 },
    { "server/discover", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 0 },
    { "subscriptions/listen", MCP_OPERAND_LISTEN, MCP_OBJECT_NONE, 0, 0 },
    { "tasks/cancel", MCP_OPERAND_TASK, MCP_OBJECT_TASK, 1, 0 },
    { "tasks/get", MCP_OPERAND_TASK, MCP_OBJECT_TASK, 1, 0 },
    { "tasks/list", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 1 },
    { "tasks/result", MCP_OPERAND_TASK, MCP_OBJECT_TASK, 0, 1 },
    { "tasks/update", MCP_OPERAND_TASK, MCP_OBJECT_TASK, 1, 0 },
    { "tools/call", MCP_OPERAND_NAME, MCP_OBJECT_TOOL, 1, 0 },
    { "tools/list", MCP_OPERAND_NONE, MCP_OBJECT_NONE, 0, 0 },
};

static int compare(const void *name, const void *method)
{
    return strcmp(name, ((const mcp_method_t *)method)->name);
}

const mcp_method_t *mcp_method_find(const char *name)
{
    return name ? bsearch(name, inventory, sizeof(inventory) / sizeof(*inventory), sizeof(*inventory), compare) : NULL;
}

const mcp_method_t *mcp_method_at(int i)
{
    return i >= 0 && i < (int)(sizeof(inventory) / sizeof(*inventory)) ? &inventory[i] : NULL;
}
