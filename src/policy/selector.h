/* The operations that access rules name, in the language of design section 3.2. */
#ifndef MCP_SELECTOR_H
#define MCP_SELECTOR_H

#include <apr_pools.h>

#include "policy/pattern.h"
#include "rpc/method.h"

typedef enum {
    MCP_SELECT_ALL,    /* * */
    MCP_SELECT_KIND,   /* response, GET, DELETE */
    MCP_SELECT_GROUP,  /* @session and the like */
    MCP_SELECT_METHOD, /* tools/list, notifications/ and a star: that method with any object */
    MCP_SELECT_OBJECT, /* tool:NAME: that object, whatever the method */
    MCP_SELECT_BOTH    /* tools/call:NAME */
} mcp_select_t;

typedef struct mcp_selector_t {
    mcp_select_t select;
    mcp_operation_kind_t kind;  /* KIND */
    const char *const *members; /* GROUP: the operations it stands for, up to a NULL */
    const char *method_text;    /* METHOD, BOTH: as it was written; else NULL */
    mcp_pattern_t method;
    mcp_object_t object_kind; /* OBJECT */
    const char *object_text;  /* OBJECT, BOTH */
    mcp_pattern_t object;
} mcp_selector_t;

/* Returns NULL, or what is wrong with text and what to write instead (in p). Points into text, which must outlive it. */
const char *mcp_selector_parse(mcp_selector_t *selector, const char *text, apr_pool_t *p);

/* A remark on a selector parsed from text that may allow less than was meant: a method that no revision knows, an object
 * of a method that names none. NULL: nothing to say. */
const char *mcp_selector_remark(const mcp_selector_t *selector, const char *text, apr_pool_t *p);

#endif
