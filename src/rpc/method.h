/* The methods of MCP and what each touches: the complete inventory of revisions 2025-03-26 to 2026-07-28. */
#ifndef MCP_METHOD_H
#define MCP_METHOD_H

typedef enum { MCP_OBJECT_NONE, MCP_OBJECT_TOOL, MCP_OBJECT_RESOURCE, MCP_OBJECT_PROMPT, MCP_OBJECT_TASK } mcp_object_t;

/* Where in params the object is named. */
typedef enum {
    MCP_OPERAND_NONE,
    MCP_OPERAND_NAME,  /* params.name, string */
    MCP_OPERAND_URI,   /* params.uri, string */
    MCP_OPERAND_TASK,  /* params.taskId, string */
    MCP_OPERAND_REF,   /* params.ref: type ref/prompt and name, or type ref/resource and uri */
    MCP_OPERAND_LISTEN /* params.notifications: resourceSubscriptions[] and taskIds[] of strings */
} mcp_operand_t;

typedef struct mcp_method_t {
    const char *name;
    mcp_operand_t operand;
    mcp_object_t object; /* kind of the object, NONE also where the operand decides it */
    int mirrored;        /* does 2026-07-28 (with its tasks extension) mirror the operand in Mcp-Name */
    int gone;            /* has 2026-07-28 a method of that name no more */
} mcp_method_t;

/* The method of exactly that name, requests and notifications of clients, NULL for one that no revision knows. */
const mcp_method_t *mcp_method_find(const char *name);

/* All of them, sorted by name: i from 0, NULL behind the last one. */
const mcp_method_t *mcp_method_at(int i);

/* One thing a message (or an HTTP verb) wants to do. What the access rules judge. */
typedef enum {
    MCP_OPERATION_METHOD,
    MCP_OPERATION_RESPONSE,
    MCP_OPERATION_GET,
    MCP_OPERATION_DELETE
} mcp_operation_kind_t;

typedef struct mcp_operation_t {
    mcp_operation_kind_t kind;
    const char *method;       /* for METHOD */
    mcp_object_t object_kind; /* NONE: it touches no object */
    const char *object;       /* its name or URI, decoded; NULL for NONE */
    const char *via;          /* subscriptions/listen, when this is one entry of it; else NULL */
} mcp_operation_t;

#endif
