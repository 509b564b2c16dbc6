#include "policy/origin.h"

#include <string.h>

#include "net/url.h"

static int is_web(const mcp_url_t *url)
{
    return !strcmp(url->scheme, "http") || !strcmp(url->scheme, "https");
}

int mcp_origin_allowed(const mcp_origins_t *origins, const char *origin, apr_pool_t *p)
{
    mcp_url_t url;
    int i;

    if (origins->any) {
        return 1;
    }
    if (!mcp_url_parse_origin(&url, origin, p)) {
        return 0;
    }
    if (origins->loopback && url.loopback && is_web(&url)) {
        return 1;
    }
    for (i = 0; origins->listed && i < origins->listed->nelts; i++) {
        if (!strcmp(url.origin, APR_ARRAY_IDX(origins->listed, i, const char *))) {
            return 1;
        }
    }
    return 0;
}
