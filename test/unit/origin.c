#include "policy/origin.h"

#include "tap.h"

static const char *const malformed[] = { "null",
                                         "NULL",
                                         "",
                                         "https://",
                                         "https://mcp.example.com/",
                                         "https://mcp.example.com/mcp",
                                         "//mcp.example.com",
                                         "mcp.example.com",
                                         "https://mcp.example.com https://evil",
                                         "https://mcp.example.com, https://mcp.example.com",
                                         "https://mcp.example.com,null",
                                         "https://u@mcp.example.com",
                                         "https://mcp.example.com:",
                                         "https://mcp.example.com:0",
                                         "https://mcp.example.com:65536",
                                         "https://mcp.example.com:443x",
                                         " https://mcp.example.com",
                                         "https://mcp.example.com ",
                                         "https://mcp.example.com?",
                                         "https://mcp.example.com#",
                                         "https:mcp.example.com",
                                         "https://mcp.example.com\\evil",
                                         "https://mcp.example.com\t",
                                         "https://%6dcp.example.com",
                                         "*" };

#define COUNT(array) ((int)(sizeof(array) / sizeof(*(array))))

static void listed(apr_pool_t *p)
{
    static const char *const good[] = { "https://mcp.example.com",     "HTTPS://MCP.Example.COM",
                                        "https://mcp.example.com:443", "http://a.example:8080",
                                        "http://A.example:8080",       "vscode-webview://abc" };
    static const char *const bad[] = { "https://evil",
                                       "http://mcp.example.com",
                                       "https://mcp.example.com:8443",
                                       "https://mcp.example.com.evil",
                                       "https://evil.mcp.example.com",
                                       "https://xmcp.example.com",
                                       "https://mcp.example.co",
                                       "http://a.example",
                                       "http://a.example:80",
                                       "vscode-webview://abcd",
                                       "vscode-webviews://abc",
                                       "http://localhost",
                                       "https://mcp.example.com." };
    mcp_origins_t origins = { 0, 0, NULL };
    apr_array_header_t *list = apr_array_make(p, 3, sizeof(const char *));
    int i;

    OK(!mcp_origin_allowed(&origins, "https://mcp.example.com", p), "TRN-1 no list: no origin");
    APR_ARRAY_PUSH(list, const char *) = "https://mcp.example.com";
    APR_ARRAY_PUSH(list, const char *) = "http://a.example:8080";
    APR_ARRAY_PUSH(list, const char *) = "vscode-webview://abc";
    origins.listed = list;
    for (i = 0; i < COUNT(good); i++) {
        OK(mcp_origin_allowed(&origins, good[i], p), "TRN-1 listed: %s", good[i]);
    }
    for (i = 0; i < COUNT(bad); i++) {
        OK(!mcp_origin_allowed(&origins, bad[i], p), "TRN-1 not listed: %s", bad[i]);
    }
    for (i = 0; i < COUNT(malformed); i++) {
        OK(!mcp_origin_allowed(&origins, malformed[i], p), "TRN-2 null, several or malformed: <%s>", malformed[i]);
    }
    APR_ARRAY_PUSH(list, const char *) = "null";
    APR_ARRAY_PUSH(list, const char *) = "";
    OK(!mcp_origin_allowed(&origins, "null", p) && !mcp_origin_allowed(&origins, "", p),
       "TRN-2 null is not even allowed by a list");
}

static void loopback(apr_pool_t *p)
{
    static const char *const good[] = { "http://localhost",       "http://localhost:6274", "https://localhost:3000",
                                        "http://127.0.0.1:8080",  "http://127.9.8.7",      "http://[::1]:5173",
                                        "http://app.localhost:1", "HTTP://LOCALHOST:6274" };
    static const char *const bad[] = {
        "http://evil.example.com", "http://localhost.evil",      "http://127.0.0.1.evil", "http://xlocalhost",
        "http://0.0.0.0",          "http://128.0.0.1",           "http://[::2]",          "http://[::ffff:7f00:1]",
        "file://localhost",        "vscode-webview://localhost", "http://192.168.0.1",    "http://localhost@evil",
        "http://evil#localhost"
    };
    mcp_origins_t origins = { 0, 1, NULL };
    int i;

    for (i = 0; i < COUNT(good); i++) {
        OK(mcp_origin_allowed(&origins, good[i], p), "TRN-3 loopback: %s", good[i]);
    }
    for (i = 0; i < COUNT(bad); i++) {
        OK(!mcp_origin_allowed(&origins, bad[i], p), "TRN-3 not loopback: %s", bad[i]);
    }
    for (i = 0; i < COUNT(malformed); i++) {
        OK(!mcp_origin_allowed(&origins, malformed[i], p), "TRN-2 loopback, null or malformed: <%s>", malformed[i]);
    }
    origins.loopback = 0;
    OK(!mcp_origin_allowed(&origins, "http://localhost:6274", p), "TRN-3 loopback only when it is asked for");
}

static void any(apr_pool_t *p)
{
    mcp_origins_t origins = { 1, 0, NULL };
    int i;

    OK(mcp_origin_allowed(&origins, "https://evil", p), "TRN-1 any: every origin");
    for (i = 0; i < COUNT(malformed); i++) {
        OK(mcp_origin_allowed(&origins, malformed[i], p), "TRN-2 any: also <%s>", malformed[i]);
    }
}

static void test(apr_pool_t *p)
{
    listed(p);
    loopback(p);
    any(p);
}
