#include "httpd/compat.h"

#include <httpd.h>

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 109) /* 2.4.49 */

int mcp_path_normalize(char *path)
{
    return ap_normalize_path(path, AP_NORMALIZE_MERGE_SLASHES | AP_NORMALIZE_NOT_ABOVE_ROOT);
}

int mcp_path_decode(char *path)
{
    return ap_normalize_path(path, AP_NORMALIZE_NOT_ABOVE_ROOT | AP_NORMALIZE_DECODE_UNRESERVED |
                                       AP_NORMALIZE_MERGE_SLASHES) &&
           ap_unescape_url(path) == OK;
}

#else

/* ap_getparents drops what leads above the root: it is refused before. */
static int is_above_root(const char *path)
{
    int depth = 0;

    while (*path) {
        size_t len = strcspn(path, "/");

        depth += len == 2 && path[0] == '.' && path[1] == '.' ? -1 : len && !(len == 1 && *path == '.');
        if (depth < 0) {
            return 1;
        }
        path += len + (path[len] == '/');
    }
    return 0;
}

int mcp_path_normalize(char *path)
{
    if (*path != '/' || is_above_root(path)) {
        return 0;
    }
    ap_no2slash(path);
    ap_getparents(path);
    return 1;
}

int mcp_path_decode(char *path)
{
    return ap_unescape_url(path) == OK && mcp_path_normalize(path);
}

#endif
