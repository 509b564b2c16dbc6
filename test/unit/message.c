#include "rpc/message.h"

#include "base/limits.h"
#include "tap.h"

#define V "\"io.modelcontextprotocol/protocolVersion\""
#define C "\"io.modelcontextprotocol/clientCapabilities\""
#define I "\"io.modelcontextprotocol/clientInfo\""
#define SIZE(array) (sizeof(array) / sizeof(*(array)))

static mcp_message_t *parse_as(mcp_status_t *pstatus, const char *text, int batch, apr_pool_t *p)
{
    mcp_message_t *message = NULL;

    *pstatus = mcp_message_parse(&message, text, strlen(text), 64, batch, p);
    return message;
}

static mcp_message_t *parse(mcp_status_t *pstatus, const char *text, apr_pool_t *p)
{
    return parse_as(pstatus, text, 0, p);
}

static mcp_status_t status_of(const char *text, apr_pool_t *p)
{
    mcp_status_t status;

    parse(&status, text, p);
    return status;
}

/* A request of the method with these params. */
static const char *request(const char *method, const char *params, apr_pool_t *p)
{
    return apr_psprintf(p, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}", method, params);
}

static const mcp_operation_t *operation(const mcp_message_t *message, int i)
{
    static const mcp_operation_t none = { MCP_OPERATION_DELETE, "(none)", MCP_OBJECT_NONE, "(none)", NULL };

    return i < message->operations->nelts ? &APR_ARRAY_IDX(message->operations, i, mcp_operation_t) : &none;
}

static char *fill(char c, apr_size_t len, apr_pool_t *p)
{
    char *text = apr_palloc(p, len + 1);

    memset(text, c, len);
    text[len] = '\0';
    return text;
}

static void test_kinds(apr_pool_t *p)
{
    static const struct {
        const char *text;
        mcp_status_t status;
        mcp_message_kind_t kind;
    } cases[] = {
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", MCP_OK, MCP_MESSAGE_REQUEST },
        { "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}", MCP_OK, MCP_MESSAGE_NOTIFICATION },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", MCP_OK, MCP_MESSAGE_RESPONSE },
        { "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"error\":{\"code\":-1}}", MCP_OK, MCP_MESSAGE_RESPONSE },
        { "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-1}}", MCP_OK, MCP_MESSAGE_RESPONSE },
        { "{\"jsonrpc\":\"2.0\",\"result\":{}}", MCP_RPC_INVALID, MCP_MESSAGE_RESPONSE },
        { "{\"jsonrpc\":\"2.0\",\"id\":1}", MCP_RPC_INVALID, MCP_MESSAGE_UNKNOWN },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"error\":{}}", MCP_RPC_INVALID, MCP_MESSAGE_RESPONSE },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"result\":{}}", MCP_RPC_INVALID, MCP_MESSAGE_REQUEST },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"error\":null}", MCP_RPC_INVALID, MCP_MESSAGE_REQUEST },
        { "{\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"result\":null}", MCP_RPC_INVALID, MCP_MESSAGE_NOTIFICATION },
        { "{}", MCP_RPC_INVALID, MCP_MESSAGE_UNKNOWN },
        { "{\"id\":1,\"method\":\"ping\"}", MCP_RPC_INVALID, MCP_MESSAGE_REQUEST },
        { "{\"jsonrpc\":\"2\",\"id\":1,\"method\":\"ping\"}", MCP_RPC_INVALID, MCP_MESSAGE_REQUEST },
        { "{\"jsonrpc\":\"2.00\",\"id\":1,\"method\":\"ping\"}", MCP_RPC_INVALID, MCP_MESSAGE_REQUEST },
        { "{\"jsonrpc\":2.0,\"id\":1,\"method\":\"ping\"}", MCP_RPC_INVALID, MCP_MESSAGE_REQUEST },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\"}", MCP_RPC_INVALID, MCP_MESSAGE_REQUEST },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":[\"ping\"]}", MCP_RPC_INVALID, MCP_MESSAGE_REQUEST },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":null}", MCP_RPC_INVALID, MCP_MESSAGE_REQUEST },
    };

    for (unsigned i = 0; i < SIZE(cases); i++) {
        mcp_status_t status;
        mcp_message_t *message = parse(&status, cases[i].text, p);

        OK(status == cases[i].status && message && message->kind == cases[i].kind, "RPC-1 RPC-11 B12 %s",
           cases[i].text);
        OK((message->operations->nelts != 0) == (status == MCP_OK), "operations exactly on success");
    }
}

static void test_values(apr_pool_t *p)
{
    static const char *const texts[] = { "7", "\"x\"", "null", "true", "1.5", "\"{}\"" };

    for (unsigned i = 0; i < SIZE(texts); i++) {
        OK(status_of(texts[i], p) == MCP_RPC_INVALID, "RPC-1 no object: %s", texts[i]);
    }
}

static void test_batch(apr_pool_t *p)
{
    static const char *const texts[] = { "[]", " \n\t[]", "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]",
                                         " \n[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", "[[]]" };

    for (unsigned i = 0; i < SIZE(texts); i++) {
        OK(status_of(texts[i], p) == MCP_RPC_BATCH, "RPC-4 RPC-5 B01 a batch: %s", texts[i]);
    }
}

static mcp_message_t *batch(mcp_status_t *pstatus, const char *text, apr_pool_t *p)
{
    return parse_as(pstatus, text, 1, p);
}

static mcp_status_t batch_status(const char *text, apr_pool_t *p)
{
    mcp_status_t status;

    batch(&status, text, p);
    return status;
}

#define PING "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}"
#define CALL "{\"jsonrpc\":\"2.0\",\"id\":\"c\",\"method\":\"tools/call\",\"params\":{\"name\":\"add\"}}"
#define NOTE "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\"}"
#define ANSWER "{\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{}}"

static void test_batch_allowed(apr_pool_t *p)
{
    mcp_status_t status;
    mcp_message_t *message = batch(&status, " \n[" CALL " , " NOTE ",\t" PING "] ", p);

    OK(status == MCP_OK && message->kind == MCP_MESSAGE_BATCH && message->messages->nelts == 3,
       "RPC-2 a batch of requests and notifications");
    OK(!message->id, "RPC-9 which has no id of its own");
    STR_IS(message->method, "tools/call,notifications/cancelled,ping", "its methods, for the log");
    OK(message->operations->nelts == 3, "RPC-3 every message is judged");
    STR_IS(operation(message, 0)->object, "add", "RPC-3 with its object");
    STR_IS(operation(message, 2)->method, "ping", "RPC-3 up to the last");
    STR_IS(APR_ARRAY_IDX(message->messages, 0, const mcp_message_t *)->id, "\"c\"", "RPC-8 ids as they were sent");
    STR_IS(APR_ARRAY_IDX(message->messages, 2, const mcp_message_t *)->id, "1", "RPC-8 each from its own text");
    message = batch(&status, "[" ANSWER "," ANSWER "]", p);
    OK(status == MCP_OK && operation(message, 1)->kind == MCP_OPERATION_RESPONSE, "RPC-2 a batch of responses");
    message = batch(&status, PING, p);
    OK(status == MCP_OK && message->kind == MCP_MESSAGE_REQUEST && !message->messages, "one message is no batch");
    message = batch(&status, "[" PING "]", p);
    OK(status == MCP_OK && message->kind == MCP_MESSAGE_BATCH, "a batch of one is");
}

static void test_batch_bad(apr_pool_t *p)
{
    static const char *const bad[] = { "[" PING "," ANSWER "]",
                                       "[" ANSWER "," NOTE "]",
                                       "[" PING ",{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"initialize\"}]",
                                       "[" PING ",[" PING "]]",
                                       "[" PING ",1]",
                                       "[null]",
                                       "[" PING ",{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}]",
                                       "[" PING ",{\"id\":1,\"method\":\"ping\"}]" };
    apr_array_header_t *many = apr_array_make(p, MCP_LIMIT_BATCH, sizeof(const char *));
    const char *most;

    for (unsigned i = 0; i < SIZE(bad); i++) {
        OK(batch_status(bad[i], p) == MCP_RPC_INVALID, "RPC-2 RPC-3 B01 refused: %s", bad[i]);
    }
    OK(batch_status("[]", p) == MCP_RPC_BATCH, "RPC-4 an empty batch");
    OK(batch_status("[" PING ",{\"jsonrpc\":\"2.0\",\"id\":2,\"Method\":\"ping\",\"method\":\"ping\"}]", p) ==
           MCP_JSON_VARIANT,
       "B02 variants in each message");
    OK(batch_status("[" PING ",{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{}}]", p) ==
           MCP_RPC_PARAMS,
       "ACL-5 operands in each message");
    for (int i = 0; i < MCP_LIMIT_BATCH; i++) {
        APR_ARRAY_PUSH(many, const char *) = PING;
    }
    most = apr_array_pstrcat(p, many, ',');
    OK(batch_status(apr_psprintf(p, "[%s]", most), p) == MCP_OK, "as many messages as allowed");
    OK(batch_status(apr_psprintf(p, "[%s," PING "]", most), p) == MCP_RPC_BATCH, "one more is refused");
}

/* The methods of a batch, for the log: a response has none, and somebody else chooses how long they are. */
static void test_batch_methods(apr_pool_t *p)
{
    const char *half = fill('m', MCP_LIMIT_NAME / 2, p);
    const char *call = apr_psprintf(p, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\"}", half);
    mcp_status_t status;
    mcp_message_t *message = batch(&status, "[" ANSWER "," ANSWER "]", p);

    STR_IS(message->method, "response,response", "responses are called so");
    message = batch(&status, apr_pstrcat(p, "[", call, ",", call, ",", NOTE, "]", NULL), p);
    OK(status == MCP_OK && strstr(message->method, ",notifications/cancelled"), "MCP_LIMIT_NAME bytes, and one more");
    message = batch(&status, apr_pstrcat(p, "[", NOTE, ",", call, ",", call, ",", PING, "]", NULL), p);
    OK(status == MCP_OK && message->messages->nelts == 4 && !strstr(message->method, "ping"),
       "beyond that the text ends, and the messages do not");
}

static void test_asks(apr_pool_t *p)
{
    static const char *const wanted[] = { "tools/list", "ping", NULL };
    mcp_status_t status;

    OK(mcp_message_asks(batch(&status, PING, p), wanted), "a request that is asked for");
    OK(!mcp_message_asks(batch(&status, CALL, p), wanted), "another one");
    OK(mcp_message_asks(batch(&status, "{\"jsonrpc\":\"2.0\",\"method\":\"tools/list\"}", p), wanted),
       "B13 a notification too: some servers answer it");
    OK(!mcp_message_asks(batch(&status, NOTE, p), wanted) && !mcp_message_asks(batch(&status, ANSWER, p), wanted),
       "others ask for nothing");
    OK(mcp_message_asks(batch(&status, "[" CALL "," PING "]", p), wanted), "any of a batch");
    OK(!mcp_message_asks(batch(&status, "[" CALL "]", p), wanted), "none of a batch");
}

static void test_ids(apr_pool_t *p)
{
    static const char *const good[] = { "7",
                                        "0",
                                        "-0",
                                        "-7",
                                        "\"7\"",
                                        "\"\"",
                                        "\"a\\u0041\\n\"",
                                        "9007199254740993",
                                        "123456789012345678901234567890",
                                        "-9223372036854775809" };
    static const char *const bad[] = { "null", "1.5", "1.0", "1e2", "1E2", "true", "[1]", "{}", "1e20" };
    mcp_status_t status;
    mcp_message_t *message;

    for (unsigned i = 0; i < SIZE(good); i++) {
        message = parse(&status, apr_psprintf(p, "{\"id\" : %s ,\"jsonrpc\":\"2.0\",\"method\":\"ping\"}", good[i]), p);
        OK(status == MCP_OK, "RPC-1 id %s is valid", good[i]);
        STR_IS(message->id, good[i], "RPC-8 and is kept as it was sent");
    }
    for (unsigned i = 0; i < SIZE(bad); i++) {
        message = parse(&status, apr_psprintf(p, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"ping\"}", bad[i]), p);
        OK(status == MCP_RPC_INVALID && !message->id, "RPC-1 RPC-9 id %s is refused and not echoed", bad[i]);
    }
    OK(status_of("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{}}", p) == MCP_RPC_INVALID, "RPC-1 also in a response");
    message = parse(&status, "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{\"id\":8}}", p);
    STR_IS(message->id, "7", "the id is that of the top, on an error too (RPC-8)");
    OK(status == MCP_RPC_PARAMS, "which this is");
    message = parse(&status, "{\"jsonrpc\":\"2.0\",\"i\\u0064\":7,\"method\":\"ping\"}", p);
    STR_IS(message->id, "7", "an escaped member name is the same name");
}

static void test_id_ceiling(apr_pool_t *p)
{
    const char *fits = fill('1', MCP_LIMIT_ID - 2, p);
    mcp_status_t status;

    parse(&status, apr_psprintf(p, "{\"jsonrpc\":\"2.0\",\"id\":\"%s\",\"method\":\"ping\"}", fits), p);
    OK(status == MCP_OK, "an id of MCP_LIMIT_ID bytes");
    parse(&status, apr_psprintf(p, "{\"jsonrpc\":\"2.0\",\"id\":\"%s1\",\"method\":\"ping\"}", fits), p);
    OK(status == MCP_RPC_INVALID, "one byte more is refused");
}

static void test_json(apr_pool_t *p)
{
    static const struct {
        const char *text;
        mcp_status_t status;
    } cases[] = {
        { "", MCP_JSON_SYNTAX },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}]", MCP_JSON_SYNTAX },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}{}", MCP_JSON_SYNTAX },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"method\":\"b\"}", MCP_JSON_DUPLICATE },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\",\"m\\u0065thod\":\"b\"}", MCP_JSON_DUPLICATE },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\",\"name\":\"b\"}}",
          MCP_JSON_DUPLICATE },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\",\"arguments\":{\"x\":1,"
          "\"x\":2}}}",
          MCP_JSON_DUPLICATE },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"_meta\":{\"x\":1,\"x\":2}}}",
          MCP_JSON_DUPLICATE },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\\u0000b\"}}",
          MCP_JSON_TEXT },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"\\ud800\"}}", MCP_JSON_TEXT },
        { "\xef\xbb\xbf{}", MCP_JSON_TEXT },
    };
    mcp_status_t status;
    mcp_message_t *message;

    for (unsigned i = 0; i < SIZE(cases); i++) {
        message = parse(&status, cases[i].text, p);
        OK(status == cases[i].status && message && !message->id, "RPC-6 RPC-9 B03 ACL-8 %s", cases[i].text);
    }
    OK(mcp_message_parse(&message, "{\"a\":[[]]}", 10, 3, 0, p) == MCP_RPC_INVALID, "max_depth is allowed");
    OK(mcp_message_parse(&message, "{\"a\":[[]]}", 10, 2, 0, p) == MCP_JSON_DEPTH, "one level more is not");
}

static const char *const read_names[] = { "jsonrpc", "id",  "method", "params", "result",        "error",
                                          "name",    "uri", "taskId", "ref",    "notifications", "_meta" };

/* Every spelling of name by ASCII case but the real one, beside and instead of the real member. */
static int casings_pass(const char *name, const char *before, const char *after, apr_pool_t *p)
{
    apr_size_t len = strlen(name);
    char *key = apr_pstrdup(p, name);
    int passed = 0;

    for (unsigned mask = 1; mask < 1u << len && mask < 1u << 13; mask++) {
        apr_pool_t *scratch;

        for (apr_size_t i = 0; i < len; i++) {
            int letter = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z');

            key[i] = letter && mask >> i & 1 ? name[i] ^ 0x20 : name[i];
        }
        if (!strcmp(key, name)) {
            continue;
        }
        apr_pool_create(&scratch, p);
        passed += status_of(apr_psprintf(scratch, "%s\"%s\":\"x\"%s", before, key, after), scratch) != MCP_JSON_VARIANT;
        apr_pool_destroy(scratch);
    }
    return passed;
}

static void test_variants(apr_pool_t *p)
{
    const char *top = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",";
    const char *inner = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{";

    for (unsigned i = 0; i < SIZE(read_names); i++) {
        OK(!casings_pass(read_names[i], top, "}", p), "B02 RPC-6 no casing of %s passes at the top", read_names[i]);
        OK(!casings_pass(read_names[i], inner, "}}", p), "B02 RPC-6 no casing of %s passes in params", read_names[i]);
    }
    OK(!casings_pass("method", "{\"jsonrpc\":\"2.0\",\"id\":1,", "}", p), "B02 nor instead of the real member");
}

static void test_variants_deeper(apr_pool_t *p)
{
    static const struct {
        const char *method;
        const char *params;
        mcp_status_t status;
    } cases[] = {
        { "ping", "{\"param\xc5\xbf\":1}", MCP_JSON_VARIANT },
        { "ping",
          "{\"ta\xc5\xbf"
          "kId\":1}",
          MCP_JSON_VARIANT },
        { "ping", "{\"tas\xe2\x84\xaaId\":1}", MCP_JSON_VARIANT },
        { "ping", "{\"N\\u0061me\":1}", MCP_JSON_VARIANT },
        { "completion/complete", "{\"ref\":{\"type\":\"ref/prompt\",\"name\":\"a\",\"Name\":\"b\"}}",
          MCP_JSON_VARIANT },
        { "completion/complete", "{\"ref\":{\"type\":\"ref/prompt\",\"name\":\"a\",\"Type\":\"b\"}}",
          MCP_JSON_VARIANT },
        { "completion/complete", "{\"ref\":{\"type\":\"ref/prompt\",\"name\":\"a\",\"URI\":\"b\"}}", MCP_JSON_VARIANT },
        { "subscriptions/listen", "{\"notifications\":{\"resourcesubscriptions\":[\"a\"]}}", MCP_JSON_VARIANT },
        { "subscriptions/listen", "{\"notifications\":{\"TaskIds\":[\"a\"]}}", MCP_JSON_VARIANT },
        { "ping", "{\"_meta\":{\"io.modelcontextprotocol/protocolversion\":\"x\"}}", MCP_JSON_VARIANT },
        { "ping", "{\"_meta\":{\"IO.modelcontextprotocol/clientCapabilities\":{}}}", MCP_JSON_VARIANT },
        { "ping", "{\"_meta\":{\"io.modelcontextprotocol/clientinfo\":{}}}", MCP_JSON_VARIANT },
        { "tools/call", "{\"name\":\"a\",\"arguments\":{\"Name\":1,\"METHOD\":2,\"param\xc5\xbf\":3,\"ID\":4}}",
          MCP_OK },
        { "ping", "{\"names\":1,\"nam\":2,\"other\":3,\"type\":4,\"Type\":5,\"_meta\":{\"Name\":6}}", MCP_OK },
    };
    mcp_status_t status;
    mcp_message_t *message;

    for (unsigned i = 0; i < SIZE(cases); i++) {
        OK(status_of(request(cases[i].method, cases[i].params, p), p) == cases[i].status, "B02 %s %s", cases[i].method,
           cases[i].params);
    }
    message = parse(&status, "{\"jsonrpc\":\"2.0\",\"Method\":\"a\",\"method\":\"tools/list\",\"id\":\"q\"}", p);
    OK(status == MCP_JSON_VARIANT, "B02 a variant before the real member");
    STR_IS(message->id, "\"q\"", "RPC-8 the id after a variant is known all the same");
    OK(status_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"Result\":{}}", p) == MCP_JSON_VARIANT, "B02 variant in a response");
    OK(status_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"Name\":1,\"Result\":2}}", p) == MCP_OK,
       "names inside a result are free");
}

static void test_operands(apr_pool_t *p)
{
    static const struct {
        const char *method;
        const char *params;
        mcp_object_t kind;
        const char *object; /* NULL with a kind: refused */
    } cases[] = {
        { "tools/call", "{\"name\":\"add\",\"uri\":\"x\"}", MCP_OBJECT_TOOL, "add" },
        { "tools/call", "{\"n\\u0061me\":\"a\\/b\\u002a \\u00e4\"}", MCP_OBJECT_TOOL, "a/b* \xc3\xa4" },
        { "tools/call", "{}", MCP_OBJECT_TOOL, NULL },
        { "tools/call", "{\"name\":\"\"}", MCP_OBJECT_TOOL, NULL },
        { "tools/call", "{\"name\":[\"a\"]}", MCP_OBJECT_TOOL, NULL },
        { "tools/call", "{\"name\":1}", MCP_OBJECT_TOOL, NULL },
        { "tools/call", "{\"name\":null}", MCP_OBJECT_TOOL, NULL },
        { "tools/call", "{\"uri\":\"a\"}", MCP_OBJECT_TOOL, NULL },
        { "tools/call", "[]", MCP_OBJECT_TOOL, NULL },
        { "tools/call", "null", MCP_OBJECT_TOOL, NULL },
        { "prompts/get", "{\"name\":\"greet\"}", MCP_OBJECT_PROMPT, "greet" },
        { "prompts/get", "{\"name\":\"\"}", MCP_OBJECT_PROMPT, NULL },
        { "prompts/get", "{}", MCP_OBJECT_PROMPT, NULL },
        { "resources/read", "{\"uri\":\"file:///a\",\"name\":\"x\"}", MCP_OBJECT_RESOURCE, "file:///a" },
        { "resources/read", "{\"uri\":\"\"}", MCP_OBJECT_RESOURCE, "" },
        { "resources/read", "{\"name\":\"x\"}", MCP_OBJECT_RESOURCE, NULL },
        { "resources/read", "{\"uri\":{}}", MCP_OBJECT_RESOURCE, NULL },
        { "resources/subscribe", "{\"uri\":\"ui://b\"}", MCP_OBJECT_RESOURCE, "ui://b" },
        { "resources/subscribe", "{}", MCP_OBJECT_RESOURCE, NULL },
        { "resources/unsubscribe", "{\"uri\":\"ui://b\"}", MCP_OBJECT_RESOURCE, "ui://b" },
        { "resources/unsubscribe", "{\"uri\":7}", MCP_OBJECT_RESOURCE, NULL },
        { "tasks/get", "{\"taskId\":\"t1\"}", MCP_OBJECT_TASK, "t1" },
        { "tasks/get", "{\"taskId\":\"\"}", MCP_OBJECT_TASK, "" },
        { "tasks/get", "{\"taskId\":1}", MCP_OBJECT_TASK, NULL },
        { "tasks/result", "{\"taskId\":\"t1\"}", MCP_OBJECT_TASK, "t1" },
        { "tasks/cancel", "{\"taskId\":\"t1\"}", MCP_OBJECT_TASK, "t1" },
        { "tasks/update", "{\"taskId\":\"t1\"}", MCP_OBJECT_TASK, "t1" },
        { "tasks/update", "{\"_meta\":{\"io.modelcontextprotocol/related-task\":{\"taskId\":\"t2\"}}}", MCP_OBJECT_TASK,
          NULL },
        { "notifications/tasks/status", "{\"taskId\":\"t1\"}", MCP_OBJECT_TASK, "t1" },
        { "completion/complete", "{\"ref\":{\"type\":\"ref/prompt\",\"name\":\"greet\",\"uri\":\"u\"}}",
          MCP_OBJECT_PROMPT, "greet" },
        { "completion/complete", "{\"ref\":{\"type\":\"ref/resource\",\"uri\":\"a{b}\",\"name\":\"n\"}}",
          MCP_OBJECT_RESOURCE, "a{b}" },
        { "completion/complete", "{\"ref\":{\"type\":\"ref/resource\",\"name\":\"n\"}}", MCP_OBJECT_RESOURCE, NULL },
        { "completion/complete", "{\"ref\":{\"type\":\"ref/prompt\",\"name\":\"\"}}", MCP_OBJECT_PROMPT, NULL },
        { "completion/complete", "{\"ref\":{\"type\":\"ref/tool\",\"name\":\"n\"}}", MCP_OBJECT_PROMPT, NULL },
        { "completion/complete", "{\"ref\":{\"type\":\"ref/tool\",\"name\":\"n\",\"uri\":\"u\"}}", MCP_OBJECT_PROMPT,
          NULL },
        { "completion/complete", "{\"ref\":{\"name\":\"n\",\"uri\":\"u\"}}", MCP_OBJECT_PROMPT, NULL },
        { "completion/complete", "{\"ref\":\"ref/prompt\",\"name\":\"n\"}", MCP_OBJECT_PROMPT, NULL },
        { "completion/complete", "{\"name\":\"n\"}", MCP_OBJECT_PROMPT, NULL },
        { "ping", "{\"name\":\"n\"}", MCP_OBJECT_NONE, NULL },
        { "x/y", "{\"name\":[],\"uri\":7}", MCP_OBJECT_NONE, NULL },
    };

    for (unsigned i = 0; i < SIZE(cases); i++) {
        mcp_status_t status, want = cases[i].kind != MCP_OBJECT_NONE && !cases[i].object ? MCP_RPC_PARAMS : MCP_OK;
        mcp_message_t *message = parse(&status, request(cases[i].method, cases[i].params, p), p);
        const mcp_operation_t *only = operation(message, 0);

        OK(status == want, "ACL-5 %s %s is %s", cases[i].method, cases[i].params, want == MCP_OK ? "taken" : "refused");
        if (want != MCP_OK) {
            continue;
        }
        STR_IS(message->object, cases[i].object, "it names its object");
        STR_IS(only->object, cases[i].object, "so does the operation");
        OK(message->operations->nelts == 1 && only->kind == MCP_OPERATION_METHOD &&
               only->object_kind == cases[i].kind && !only->via && !strcmp(only->method, cases[i].method),
           "which is one, by method and kind of object");
    }
}

static void test_more_operations(apr_pool_t *p)
{
    mcp_status_t status;
    mcp_message_t *message = parse(&status, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"}", p);

    OK(status == MCP_RPC_PARAMS, "ACL-5 no params at all");
    message = parse(&status, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", p);
    OK(status == MCP_OK && message->operations->nelts == 1 && operation(message, 0)->kind == MCP_OPERATION_RESPONSE &&
           !operation(message, 0)->method && !message->method,
       "B12 a response is an operation of its own");
    message = parse(&status, "{\"jsonrpc\":\"2.0\",\"method\":\"tools/call\",\"params\":{\"name\":\"add\"}}", p);
    OK(status == MCP_OK && message->kind == MCP_MESSAGE_NOTIFICATION, "B12 tools/call without id is a notification");
    STR_IS(operation(message, 0)->object, "add", "B12 and is judged as the call it is");
    message = parse(&status, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\\u0074ools\\/list\"}", p);
    STR_IS(message->method, "tools/list", "ACL-2 the method is decoded");
    OK(message->known && message->known == mcp_method_find("tools/list"), "and looked up");
    message = parse(&status, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"Tools/List\"}", p);
    OK(status == MCP_OK && !message->known, "ACL-2 the value is case-sensitive");
    OK(status_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":[]}", p) == MCP_RPC_PARAMS &&
           status_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x/y\",\"params\":\"\"}", p) == MCP_RPC_PARAMS &&
           status_of("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{},\"params\":1}", p) == MCP_RPC_PARAMS,
       "params must be an object, for every method");
}

static void test_listen(apr_pool_t *p)
{
    mcp_status_t status;
    mcp_message_t *message = parse(&status,
                                   request("subscriptions/listen",
                                           "{\"notifications\":{\"resourceSubscriptions\":[\"a:1\",\"a:2\"],"
                                           "\"taskIds\":[\"t\"],\"toolsListChanged\":false,\"x\":null}}",
                                           p),
                                   p);
    static const char *const plain[] = { "{}", "{\"resourceSubscriptions\":[],\"taskIds\":[]}",
                                         "{\"toolsListChanged\":true}", "{\"promptsListChanged\":false}" };
    static const char *const bad[] = { "[]",
                                       "null",
                                       "true",
                                       "{\"resourceSubscriptions\":\"a\"}",
                                       "{\"resourceSubscriptions\":null}",
                                       "{\"resourceSubscriptions\":[\"a\",1]}",
                                       "{\"resourceSubscriptions\":[[\"a\"]]}",
                                       "{\"taskIds\":{\"a\":1}}",
                                       "{\"taskIds\":[null]}" };
    static const char *const mixed[] = { "true", "1", "[\"b\"]", "\"on\"" };

    OK(status == MCP_OK && message->operations->nelts == 3, "ACL-3 one operation per entry, no plain one");
    OK(!message->object, "a listen has no single object");
    STR_IS(operation(message, 0)->method, "resources/subscribe", "a URI needs what resources/subscribe needs");
    STR_IS(operation(message, 1)->object, "a:2", "each URI");
    OK(operation(message, 1)->object_kind == MCP_OBJECT_RESOURCE, "is a resource");
    STR_IS(operation(message, 2)->method, "tasks/get", "a task needs what tasks/get needs");
    OK(operation(message, 2)->object_kind == MCP_OBJECT_TASK && !strcmp(operation(message, 2)->object, "t"),
       "by its id");
    STR_IS(operation(message, 0)->via, "subscriptions/listen", "an entry says where it comes from");
    for (unsigned i = 0; i < SIZE(plain); i++) {
        message =
            parse(&status, request("subscriptions/listen", apr_psprintf(p, "{\"notifications\":%s}", plain[i]), p), p);
        OK(status == MCP_OK && message->operations->nelts == 1 && !operation(message, 0)->via &&
               operation(message, 0)->object_kind == MCP_OBJECT_NONE,
           "a plain listen: %s", plain[i]);
        STR_IS(operation(message, 0)->method, "subscriptions/listen", "under its own name");
    }
    for (unsigned i = 0; i < SIZE(bad); i++) {
        OK(status_of(request("subscriptions/listen", apr_psprintf(p, "{\"notifications\":%s}", bad[i]), p), p) ==
               MCP_RPC_PARAMS,
           "ACL-3 ACL-5 refused: %s", bad[i]);
    }
    OK(status_of(request("subscriptions/listen", "{}", p), p) == MCP_RPC_PARAMS, "ACL-5 notifications is required");
    for (unsigned i = 0; i < SIZE(mixed); i++) {
        message = parse(&status,
                        request("subscriptions/listen",
                                apr_psprintf(p, "{\"notifications\":{\"taskIds\":[\"t\"],\"y\":%s}}", mixed[i]), p),
                        p);
        OK(status == MCP_OK && message->operations->nelts == 2 && !operation(message, 1)->via,
           "anything else that is asked for needs the plain listen too: %s", mixed[i]);
    }
}

static const char *listen_of(int resources, int tasks, apr_pool_t *p)
{
    char *list[2] = { fill(',', (apr_size_t)resources * 4, p), fill(',', (apr_size_t)tasks * 4, p) };
    int counts[2] = { resources, tasks };

    for (int l = 0; l < 2; l++) {
        for (int i = 0; i < counts[l]; i++) {
            memcpy(list[l] + i * 4, i + 1 == counts[l] ? "\"a\" " : "\"a\",", 4);
        }
    }
    return request(
        "subscriptions/listen",
        apr_psprintf(p, "{\"notifications\":{\"resourceSubscriptions\":[%s],\"taskIds\":[%s]}}", list[0], list[1]), p);
}

static void test_ceilings(apr_pool_t *p)
{
    const char *fits = fill('n', MCP_LIMIT_NAME, p);
    static const char *const operands[][2] = {
        { "tools/call", "{\"name\":\"%s\"}" },
        { "resources/read", "{\"uri\":\"%s\"}" },
        { "tasks/get", "{\"taskId\":\"%s\"}" },
        { "completion/complete", "{\"ref\":{\"type\":\"ref/resource\",\"uri\":\"%s\"}}" },
        { "subscriptions/listen", "{\"notifications\":{\"taskIds\":[\"%s\"]}}" }
    };

    OK(status_of(request(fits, "{}", p), p) == MCP_OK, "a method of MCP_LIMIT_NAME bytes");
    OK(status_of(request(apr_pstrcat(p, fits, "n", NULL), "{}", p), p) == MCP_RPC_INVALID, "one byte more is refused");
    for (unsigned i = 0; i < SIZE(operands); i++) {
        apr_size_t room = strlen(operands[i][1]) + MCP_LIMIT_NAME + 2;
        char *params = apr_palloc(p, room);

        apr_snprintf(params, room, operands[i][1], fits);
        OK(status_of(request(operands[i][0], params, p), p) == MCP_OK, "an operand of MCP_LIMIT_NAME bytes: %s",
           operands[i][0]);
        apr_snprintf(params, room, operands[i][1], apr_pstrcat(p, fits, "n", NULL));
        OK(status_of(request(operands[i][0], params, p), p) == MCP_RPC_PARAMS, "one byte more is refused");
    }
    OK(status_of(listen_of(MCP_LIMIT_LISTEN - 1, 1, p), p) == MCP_OK, "MCP_LIMIT_LISTEN entries in both lists");
    OK(status_of(listen_of(MCP_LIMIT_LISTEN, 1, p), p) == MCP_RPC_PARAMS, "one entry more is refused");
    OK(status_of(listen_of(0, MCP_LIMIT_LISTEN + 1, p), p) == MCP_RPC_PARAMS, "also in one list");
}

static void test_gone(apr_pool_t *p)
{
    static const char *const gone[] = { "resources/subscribe", "resources/unsubscribe", "tasks/result" };
    static const char *const there[] = { "resources/read", "tools/call", "prompts/get", "tasks/get" };
    const char *meta = "{\"_meta\":{" V ":\"2026-07-28\"," C ":{}}}";
    mcp_status_t status;

    for (unsigned i = 0; i < SIZE(gone); i++) {
        const mcp_message_t *message = parse(&status, request(gone[i], meta, p), p);

        OK(status == MCP_OK && message->operations->nelts == 1 && operation(message, 0)->object_kind == MCP_OBJECT_NONE,
           "CNF-2 2026-07-28 defines no operand: %s", gone[i]);
        OK(status_of(request(gone[i], "{}", p), p) == MCP_RPC_PARAMS, "ACL-5 the revisions before do: %s", gone[i]);
    }
    for (unsigned i = 0; i < SIZE(there); i++) {
        OK(status_of(request(there[i], meta, p), p) == MCP_RPC_PARAMS, "ACL-5 2026-07-28 does: %s", there[i]);
    }
    STR_IS(operation(parse(&status,
                           request("resources/subscribe",
                                   "{\"uri\":\"file:///a\",\"_meta\":{" V ":\"2026-07-28\"," C ":{}}}", p),
                           p),
                     0)
               ->object,
           "file:///a", "ACL-4 what is named is judged all the same");
    OK(status_of(request("resources/subscribe", "{\"uri\":1,\"_meta\":{" V ":\"2026-07-28\"," C ":{}}}", p), p) ==
           MCP_RPC_PARAMS,
       "ACL-5 and has to be a string");
}

static void test_meta(apr_pool_t *p)
{
    mcp_status_t status;
    mcp_message_t *message = parse(&status, request("ping", "{}", p), p);

    OK(status == MCP_OK && !message->has_meta && !message->meta_version && !message->has_capabilities, "no _meta");
    message =
        parse(&status, request("ping", "{\"_meta\":{" V ":\"2026-07-28\"," C ":{}," I ":{\"name\":\"x\"}}}", p), p);
    OK(status == MCP_OK && message->has_meta && message->has_capabilities, "RPC-12 _meta and its members");
    STR_IS(message->meta_version, "2026-07-28", "ERA-2 the revision that the body says");
    message = parse(&status, request("ping", "{\"_meta\":{\"progressToken\":1}}", p), p);
    OK(status == MCP_OK && message->has_meta && !message->meta_version && !message->has_capabilities,
       "_meta without them");
    message = parse(&status, request("ping", "{\"_meta\":{" C ":[]}}", p), p);
    OK(status == MCP_OK && !message->has_capabilities, "capabilities that are no object do not count");
    OK(status_of(request("ping", "{\"_meta\":{" V ":20260728}}", p), p) == MCP_RPC_PARAMS,
       "the version must be a string");
    OK(status_of(request("ping", "{\"_meta\":{" V ":null}}", p), p) == MCP_RPC_PARAMS, "also not null");
    OK(status_of(request("ping", "{\"_meta\":[]}", p), p) == MCP_RPC_PARAMS, "_meta must be an object");
    OK(status_of(request("ping", "{\"_meta\":null}", p), p) == MCP_RPC_PARAMS, "also not null");
    message = parse(&status, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"_meta\":{" V ":\"2026-07-28\"}}", p);
    OK(status == MCP_OK && !message->has_meta && !message->meta_version, "ERA-2 only _meta in params counts");
}

static void test(apr_pool_t *p)
{
    test_kinds(p);
    test_values(p);
    test_batch(p);
    test_batch_allowed(p);
    test_batch_bad(p);
    test_batch_methods(p);
    test_asks(p);
    test_ids(p);
    test_id_ceiling(p);
    test_json(p);
    test_variants(p);
    test_variants_deeper(p);
    test_operands(p);
    test_more_operations(p);
    test_listen(p);
    test_ceilings(p);
    test_meta(p);
    test_gone(p);
}
