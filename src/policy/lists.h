/* Lists without what the same rules would refuse (MCP Tools, Resources, Prompts: listing; Caching: cacheScope). */
#ifndef MCP_LISTS_H
#define MCP_LISTS_H

#include <apr_pools.h>

#include "base/jsontext.h"
#include "base/status.h"
#include "policy/acl.h"

/* For whom a list is filtered. */
typedef struct mcp_viewer_t {
    const mcp_acl_t *acl;
    const mcp_valueset_t *held;
    int discover; /* a result with capabilities is that of server/discover: hide those of which nothing is allowed */
} mcp_viewer_t;

/* Filters the text of a JSON-RPC message, or of a batch of them, as a server sends it. Only results are touched, and
 * in each only: elements of tools (tools/call of name), resources (resources/read of uri), prompts (prompts/get of
 * name), resourceTemplates (resources/read of any URI that the uriTemplate can become, RFC 6570) that the rules refuse are
 * cut out, and so is an element whose name cannot be read; with discover, the members tools, resources, prompts,
 * completions, logging and tasks of capabilities, and io.modelcontextprotocol/tasks of capabilities.extensions, of which
 * the rules allow nothing; a cacheScope beside a list or capabilities that were read, if not "private", becomes "private",
 * also when nothing was cut (other tokens see other lists). All other bytes stay as they are.
 * MCP_OK: *pout is the new text in p, or data itself when nothing changed. MCP_LIST_UNREADABLE: data is no JSON (max depth
 * MCP_LIMIT_LIST_DEPTH), or a member that is judged stands twice or as a case variant (mcp_json_is_variant): result and the
 * lists, or a key beside them is none that the gate would read (mcp_jsontext_key), or a list is neither an array nor null, or a result, or a message of a batch, is an array;
 * *pout is NULL then. An element with two names, a variant of the name, such a key, or a name over MCP_LIMIT_NAME is cut
 * out. */
mcp_status_t mcp_lists_filter(const char **pout, apr_size_t *plen, const char *data, apr_size_t len,
                              const mcp_viewer_t *viewer, apr_pool_t *p);

#endif
