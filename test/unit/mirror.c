#include "rpc/mirror.h"

#include "base/limits.h"
#include "tap.h"

#define SIZE(array) (sizeof(array) / sizeof(*(array)))
#define META(version) \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"" version \
    "\",\"io.modelcontextprotocol/clientCapabilities\":{}}"
#define NOW "2026-07-28"

static mcp_status_t check(const char *body, const char *version, const char *method, const char *name, apr_pool_t *p)
{
    mcp_mirror_t headers = { version, method, name };
    mcp_message_t *message;

    if (mcp_message_parse(&message, body, strlen(body), 64, 1, p) != MCP_OK) {
        return MCP_INTERNAL;
    }
    return mcp_mirror_check(message, &headers, p);
}

/* A modern tools/call of the tool, whose name is JSON text without quotes. */
static const char *call(const char *tool, apr_pool_t *p)
{
    return apr_psprintf(
        p, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"%s\"," META(NOW) "}}", tool);
}

static mcp_status_t name_check(const char *tool, const char *name, apr_pool_t *p)
{
    return check(call(tool, p), NOW, "tools/call", name, p);
}

static void test_legacy(apr_pool_t *p)
{
    const char *body = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"danger\"}}";

    OK(check(body, NULL, NULL, NULL, p) == MCP_OK, "ERA-3 no version header is legacy");
    OK(check(body, "2025-06-18", NULL, NULL, p) == MCP_OK, "a legacy version");
    OK(check(body, "1999-01-01", NULL, NULL, p) == MCP_OK, "ERA-4 an unknown version is the backend's matter");
    OK(check(body, "", NULL, NULL, p) == MCP_OK && check(body, "2026-07-27", NULL, NULL, p) == MCP_OK &&
           check(body, "DRAFT-2026-v1", NULL, NULL, p) == MCP_OK &&
           check(body, "2026-07-28x", NULL, NULL, p) == MCP_OK && check(body, "9026/07/28", NULL, NULL, p) == MCP_OK &&
           check(body, "20x6-07-28", NULL, NULL, p) == MCP_OK,
       "what is no date of 2026-07-28 or later is legacy");
    OK(check(body, "2025-06-18", "ping", "safe", p) == MCP_OK, "HDR-12 B10 legacy: the names mean nothing");
    OK(check(body, NULL, "a, b", "\xff", p) == MCP_OK, "HDR-12 whatever is in them");
    OK(check(body, "2025-06-18, 2025-06-18", NULL, NULL, p) == MCP_HEADER_MISMATCH, "HDR-9 two version lines");
    OK(check(body, "2025-06-18, 2026-07-28", NULL, NULL, p) == MCP_HEADER_MISMATCH, "HDR-9 B11 two different ones");
    OK(check("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", "2025-11-25", NULL, NULL, p) == MCP_OK,
       "a legacy response passes");
}

static void test_batch(apr_pool_t *p)
{
    const char *plain = "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]";
    const char *modern = "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"},"
                         "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\",\"params\":{" META(NOW) "}}]";

    OK(check(plain, NULL, NULL, NULL, p) == MCP_OK && check(plain, " 2025-03-26 ", NULL, NULL, p) == MCP_OK,
       "RPC-2 a batch of the revision that has them");
    OK(check(plain, "2025-06-18", NULL, NULL, p) == MCP_RPC_BATCH && check(plain, "", NULL, NULL, p) == MCP_RPC_BATCH &&
           check(plain, NOW, "ping", NULL, p) == MCP_RPC_BATCH && check(modern, NOW, NULL, NULL, p) == MCP_RPC_BATCH,
       "RPC-4 of any other revision");
    OK(check(modern, NULL, NULL, NULL, p) == MCP_HEADER_MISMATCH &&
           check(modern, "2025-03-26", NULL, NULL, p) == MCP_HEADER_MISMATCH,
       "ERA-2 B11 a modern message inside");
    OK(mcp_mirror_is_modern(NOW) && mcp_mirror_is_modern(" 2099-01-01\t") && !mcp_mirror_is_modern("2026-07-27") &&
           !mcp_mirror_is_modern(NULL) && !mcp_mirror_is_modern("") && !mcp_mirror_is_modern("2026-07-28, 2026-07-28"),
       "ERA-2 which version header is modern");
    OK(!mcp_mirror_is_modern("2026-07-280") && !mcp_mirror_is_modern("2026-07-2") &&
           !mcp_mirror_is_modern("2027-07-2/") && !mcp_mirror_is_modern("2027-07-2:") &&
           mcp_mirror_is_modern("2029-09-30"),
       "ERA-2 a date has ten bytes, and digits between the hyphens");
}

static void test_era(apr_pool_t *p)
{
    const char *body = call("a", p);
    const char *later = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{" META("2099-01-01") "}}";
    const char *bare = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}";
    const char *strange = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{" META("v999.0.0") "}}";
    const char *old = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{" META("2025-11-25") "}}";

    OK(check(body, NOW, "tools/call", "a", p) == MCP_OK, "a modern call whose headers agree");
    OK(check(body, "2025-11-25", "tools/call", "a", p) == MCP_HEADER_MISMATCH, "ERA-2 B11 legacy header, modern body");
    OK(check(body, NULL, "tools/call", "a", p) == MCP_HEADER_MISMATCH, "ERA-2 HDR-2 B11 no header, modern body");
    OK(check(body, "", "tools/call", "a", p) == MCP_HEADER_MISMATCH, "ERA-2 an empty header, modern body");
    OK(check(body, "2026-07-29", "tools/call", "a", p) == MCP_HEADER_MISMATCH, "ERA-2 two modern revisions");
    OK(check(body, "2026-07-28, 2026-07-28", "tools/call", "a", p) == MCP_HEADER_MISMATCH, "HDR-9 two equal lines");
    OK(check(later, "2099-01-01", "ping", NULL, p) == MCP_OK, "ERA-5 a revision to come is the backend's matter");
    OK(check(strange, "v999.0.0", "ping", NULL, p) == MCP_OK,
       "ERA-5 a version that is no date too, if both sides say it");
    OK(check(strange, "v999.0.1", "ping", NULL, p) == MCP_HEADER_MISMATCH &&
           check(strange, NULL, "ping", NULL, p) == MCP_HEADER_MISMATCH &&
           check(strange, NOW, "ping", NULL, p) == MCP_HEADER_MISMATCH,
       "ERA-2 but not one of them");
    OK(check(strange, "v999.0.0", "pong", NULL, p) == MCP_HEADER_MISMATCH &&
           check(strange, "v999.0.0", NULL, NULL, p) == MCP_HEADER_MISMATCH,
       "HDR-1 and its headers are compared");
    OK(check(old, "2025-11-25", "ping", NULL, p) == MCP_HEADER_MISMATCH, "ERA-2 _meta with a legacy revision");
    OK(check(old, NOW, "ping", NULL, p) == MCP_HEADER_MISMATCH, "ERA-2 the same under a modern header");
    OK(check(bare, NOW, "ping", NULL, p) == MCP_RPC_PARAMS, "RPC-12 modern header, no _meta");
    OK(check(bare, NOW, NULL, NULL, p) == MCP_RPC_PARAMS, "RPC-12 and this wins over the headers");
    OK(check(bare, "2099-01-01", "ping", NULL, p) == MCP_RPC_PARAMS, "RPC-12 for later revisions too");
    OK(check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"_meta\":{"
             "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}}}",
             NOW, "ping", NULL, p) == MCP_RPC_PARAMS,
       "RPC-12 no clientCapabilities");
    OK(check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"_meta\":{"
             "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"}}}",
             "2025-11-25", "ping", NULL, p) == MCP_HEADER_MISMATCH,
       "ERA-2 under a legacy header the versions come first");
    OK(check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"_meta\":{"
             "\"io.modelcontextprotocol/clientCapabilities\":{}}}}",
             NOW, "ping", NULL, p) == MCP_RPC_PARAMS,
       "RPC-12 no protocolVersion");
    OK(check("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", NOW, NULL, NULL, p) == MCP_RPC_INVALID,
       "TRN-16 a modern response is refused");
    OK(check("{\"jsonrpc\":\"2.0\",\"error\":{}}", NOW, NULL, NULL, p) == MCP_RPC_INVALID, "TRN-16 an error too");
    OK(check(body, " \t2026-07-28\t ", "tools/call", "a", p) == MCP_OK, "HDR-5 blanks around the version");
}

static void test_method(apr_pool_t *p)
{
    const char *list = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{" META(NOW) "}}";
    const char *strange = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a,b\",\"params\":{" META(NOW) "}}";
    const char *umlaut = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xc3\xa4\",\"params\":{" META(NOW) "}}";

    OK(check(list, NOW, "tools/list", NULL, p) == MCP_OK, "Mcp-Method agrees");
    OK(check(list, NOW, "\t tools/list ", NULL, p) == MCP_OK, "HDR-5 blanks do not count");
    OK(check(list, NOW, NULL, NULL, p) == MCP_HEADER_MISMATCH, "HDR-2 Mcp-Method missing");
    OK(check(list, NOW, "", NULL, p) == MCP_HEADER_MISMATCH, "HDR-2 Mcp-Method empty");
    OK(check(list, NOW, "TOOLS/LIST", NULL, p) == MCP_HEADER_MISMATCH, "HDR-4 values are case-sensitive");
    OK(check(list, NOW, "tools/call", NULL, p) == MCP_HEADER_MISMATCH, "HDR-1 B10 another method");
    OK(check(list, NOW, "tools/lis", NULL, p) == MCP_HEADER_MISMATCH &&
           check(list, NOW, "tools/lists", NULL, p) == MCP_HEADER_MISMATCH,
       "HDR-1 a prefix either way");
    OK(check(list, NOW, "tools/list, tools/list", NULL, p) == MCP_HEADER_MISMATCH, "HDR-9 two lines, even equal");
    OK(check(strange, NOW, "a,b", NULL, p) == MCP_HEADER_MISMATCH, "HDR-9 a comma is never taken for a method");
    OK(check(list, NOW, "=?base64?dG9vbHMvbGlzdA==?=", NULL, p) == MCP_HEADER_MISMATCH,
       "HDR-6 Mcp-Method is not encoded");
    OK(check(umlaut, NOW, "\xc3\xa4", NULL, p) == MCP_HEADER_MISMATCH, "HDR-8 raw UTF-8");
    OK(check(list, NOW, "tools/list", "whatever, \xff", p) == MCP_OK, "HDR-13 Mcp-Name on a method that has none");
}

static void test_notification(apr_pool_t *p)
{
    const char *bare = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"}";
    const char *full = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{" META(NOW) "}}";
    const char *task = "{\"jsonrpc\":\"2.0\",\"method\":\"tasks/cancel\",\"params\":{\"taskId\":\"t\"}}";

    OK(check(bare, NOW, NULL, NULL, p) == MCP_OK, "a modern notification needs neither _meta nor Mcp-Method");
    OK(check(bare, NOW, "notifications/cancelled", NULL, p) == MCP_OK, "Mcp-Method that agrees");
    OK(check(bare, NOW, "notifications/progress", NULL, p) == MCP_HEADER_MISMATCH,
       "a mismatch is refused all the same");
    OK(check(bare, NOW, "", NULL, p) == MCP_HEADER_MISMATCH, "also an empty one");
    OK(check(full, NOW, NULL, NULL, p) == MCP_OK, "_meta that agrees");
    OK(check(full, NULL, NULL, NULL, p) == MCP_HEADER_MISMATCH, "ERA-2 _meta without the header");
    OK(check(full, "2026-08-28", NULL, NULL, p) == MCP_HEADER_MISMATCH, "ERA-2 _meta of another revision");
    OK(check(task, NOW, NULL, NULL, p) == MCP_OK && check(task, NOW, NULL, "t", p) == MCP_OK,
       "Mcp-Name likewise: absent");
    OK(check(task, NOW, NULL, "u", p) == MCP_HEADER_MISMATCH, "but never different");
}

static void test_name(apr_pool_t *p)
{
    OK(name_check("danger", "safe", p) == MCP_HEADER_MISMATCH, "HDR-1 B10 another name than the body");
    OK(name_check("a", NULL, p) == MCP_HEADER_MISMATCH, "HDR-2 Mcp-Name missing");
    OK(name_check("a", "", p) == MCP_HEADER_MISMATCH, "HDR-2 Mcp-Name empty");
    OK(name_check("foo", "   foo  ", p) == MCP_OK, "HDR-5 blanks do not count");
    OK(name_check("foo", "FOO", p) == MCP_HEADER_MISMATCH, "HDR-4 case-sensitive");
    OK(name_check("foo", "foo, foo", p) == MCP_HEADER_MISMATCH, "HDR-9 B10 two lines, even equal");
    OK(name_check("a, b", "a, b", p) == MCP_OK, "a comma that belongs to the name");
    OK(name_check("a, b", "a,b", p) == MCP_HEADER_MISMATCH, "exactly");
    OK(name_check("a\\tb", "a\tb", p) == MCP_OK, "HDR-8 HTAB inside is printable");
    OK(name_check("a\\u0001b", "a\001b", p) == MCP_HEADER_MISMATCH, "HDR-8 a control byte is not");
    OK(name_check("a\x7f", "a\x7f", p) == MCP_HEADER_MISMATCH, "HDR-8 nor is DEL");
    OK(name_check("~a b", "~a b", p) == MCP_OK, "HDR-8 the last that is");
    OK(name_check("\xc3\xa4", "\xc3\xa4", p) == MCP_HEADER_MISMATCH, "HDR-8 nor is raw UTF-8");
    OK(name_check(" a", " a", p) == MCP_HEADER_MISMATCH, "a name with a blank in front must come encoded");
    OK(name_check(" a", "=?base64?IGE=?=", p) == MCP_OK, "like this");
}

static void test_encoded(apr_pool_t *p)
{
    static const struct {
        const char *tool;
        const char *name;
        int agrees;
    } cases[] = {
        { "\xe4\xb8\x96\xe7\x95\x8c", "=?base64?5LiW55WM?=", 1 },
        { "\\u4e16\\u754c", " =?base64?5LiW55WM?= ", 1 },
        { "Hello", "=?base64?SGVsbG8=?=", 1 },
        { "Hello", "=?base64?SGVsbG8?=", 0 },
        { "Hello", "=?base64?SGVsbG9=?=", 0 },
        { "Hello", "=?base64?SGVs bG8=?=", 0 },
        { "Hello", "=?base64?SGVsbG8==?=", 0 },
        { "Hello", "=?base64?SGVsbG8=", 0 },
        { "Hello", "SGVsbG8=?=", 0 },
        { "Hello", "=?BASE64?SGVsbG8=?=", 0 },
        { "Hellp", "=?base64?SGVsbG8=?=", 0 },
        { "Hello!", "=?base64?SGVsbG8=?=", 0 },
        { "Hello", "=?base64?SGVsbG8h?=", 0 },
        { "Hello", "=?base64?SGVsbG8=?=, =?base64?SGVsbG8=?=", 0 },
        { "a", "=?base64?\?=", 0 },
        { "=?base64?SGVsbG8=", "=?base64?SGVsbG8=", 1 },
        { "SGVsbG8=?=", "SGVsbG8=?=", 1 },
        { "=?BASE64?SGVsbG8=?=", "=?BASE64?SGVsbG8=?=", 1 },
        { "=?base64?SGVsbG8=?=", "=?base64?SGVsbG8=?=", 0 },
        { "=?base64?=", "=?base64?=", 1 },
        { "=?base64?\?=", "=?base64?\?=", 0 },
        { "?>?", "=?base64?Pz4/?=", 1 },
        { "?>?", "=?base64?Pz4_?=", 0 },
    };

    for (unsigned i = 0; i < SIZE(cases); i++) {
        OK(name_check(cases[i].tool, cases[i].name, p) == (cases[i].agrees ? MCP_OK : MCP_HEADER_MISMATCH),
           "HDR-6 HDR-7 '%s' %s '%s'", cases[i].name, cases[i].agrees ? "is" : "is not", cases[i].tool);
    }
}

static void test_long(apr_pool_t *p)
{
    char *name = apr_palloc(p, 100001), *encoded;

    memset(name, 'Q', 100000);
    name[100000] = '\0';
    encoded = apr_pstrcat(p, "=?base64?", name, "?=", NULL);
    OK(name_check("a", name, p) == MCP_HEADER_MISMATCH, "HDR-14 100 kB of Mcp-Name");
    OK(name_check("a", encoded, p) == MCP_HEADER_MISMATCH, "HDR-14 the same encoded");
    name[MCP_LIMIT_NAME] = '\0';
    OK(name_check(name, name, p) == MCP_OK, "the longest name there is");
}

static void test_mirrored(apr_pool_t *p)
{
    static const char *const methods[][3] = {
        { "tools/call", "name", "x" },      { "prompts/get", "name", "x" },         { "resources/read", "uri", "x" },
        { "tasks/get", "taskId", "x" },     { "tasks/update", "taskId", "x" },      { "tasks/cancel", "taskId", "x" },
        { "tasks/result", "taskId", NULL }, { "resources/subscribe", "uri", NULL }, { "x/y", "name", NULL }
    };

    for (unsigned i = 0; i < SIZE(methods); i++) {
        const char *body =
            apr_psprintf(p, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":{\"%s\":\"x\"," META(NOW) "}}",
                         methods[i][0], methods[i][1]);
        mcp_status_t without = methods[i][2] ? MCP_HEADER_MISMATCH : MCP_OK;

        OK(check(body, NOW, methods[i][0], "x", p) == MCP_OK, "%s with Mcp-Name", methods[i][0]);
        OK(check(body, NOW, methods[i][0], NULL, p) == without && check(body, NOW, methods[i][0], "y", p) == without,
           "HDR-2 HDR-13 and %s", methods[i][2] ? "not without, nor with another" : "without, or with any");
    }
    OK(check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"completion/complete\",\"params\":{\"ref\":{\"type\":"
             "\"ref/prompt\",\"name\":\"n\"}," META(NOW) "}}",
             NOW, "completion/complete", "other", p) == MCP_OK,
       "HDR-13 completion/complete has no Mcp-Name");
}

static void test(apr_pool_t *p)
{
    test_legacy(p);
    test_batch(p);
    test_era(p);
    test_method(p);
    test_notification(p);
    test_name(p);
    test_encoded(p);
    test_long(p);
    test_mirrored(p);
}
