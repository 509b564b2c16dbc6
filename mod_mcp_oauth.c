/* mod_mcp_oauth: an OAuth 2.1 resource server in front of MCP servers. The module record and its hooks; all else is in src. */
#include "httpd/hooks.h"

#include "httpd/config.h"

AP_DECLARE_MODULE(mcp_oauth) = { STANDARD20_MODULE_STUFF, mcp_dir_create, mcp_dir_merge,      mcp_server_create,
                                 mcp_server_merge,        mcp_directives, mcp_hooks_register, AP_MODULE_FLAG_NONE };
