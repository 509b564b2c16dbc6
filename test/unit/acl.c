#include "policy/acl.h"

#include <apr_tables.h>

#include "tap.h"

#define SIZE(array) (sizeof(array) / sizeof(*(array)))

/* Splits at '|', since names may contain blanks. */
static apr_array_header_t *list(const char *text, apr_pool_t *p)
{
    apr_array_header_t *all = apr_array_make(p, 4, sizeof(const char *));

    while (text) {
        const char *end = strchr(text, '|');

        APR_ARRAY_PUSH(all, const char *) = end ? apr_pstrmemdup(p, text, (apr_size_t)(end - text)) : text;
        text = end ? end + 1 : NULL;
    }
    return all;
}

typedef struct site_t {
    mcp_scopes_t *scopes;
    mcp_acl_t *acl;
} site_t;

/* Rules "values => operations" up to a NULL. */
static site_t site_make(const char *const *rules, apr_pool_t *p)
{
    site_t site;

    site.scopes = mcp_scopes_create(p);
    site.acl = mcp_acl_create(site.scopes, p);
    for (; *rules; rules++) {
        const char *arrow = strstr(*rules, " => ");

        mcp_acl_allow(site.acl, apr_pstrmemdup(p, *rules, (apr_size_t)(arrow - *rules)), list(arrow + 4, p));
    }
    return site;
}

static mcp_operation_t call(const char *method, mcp_object_t kind, const char *object)
{
    mcp_operation_t operation = { MCP_OPERATION_METHOD, method, kind, object, NULL };

    return operation;
}

static mcp_operation_t entry(const char *method, mcp_object_t kind, const char *object)
{
    mcp_operation_t operation = { MCP_OPERATION_METHOD, method, kind, object, "subscriptions/listen" };

    return operation;
}

static mcp_operation_t verb(mcp_operation_kind_t kind)
{
    mcp_operation_t operation = { kind, NULL, MCP_OBJECT_NONE, NULL, NULL };

    return operation;
}

/* "ok", "denied", or the needed values joined with blanks in brackets. held: values divided by '|'. */
static const char *judge(const site_t *site, const char *held, const mcp_operation_t *operations, int count,
                         apr_pool_t *p)
{
    const apr_array_header_t *needed = NULL;
    mcp_valueset_t set;
    mcp_status_t status;

    mcp_scopes_collect(&set, site->scopes, held ? list(held, p) : NULL, p);
    status = mcp_acl_check(&needed, site->acl, &set, operations, count, p);
    if (mcp_acl_check(NULL, site->acl, &set, operations, count, p) != status) {
        return "another verdict when the needed values are not asked for";
    }
    if (status == MCP_ACL_SCOPE) {
        return needed ? apr_psprintf(p, "[%s]", apr_array_pstrcat(p, needed, ' ')) : "nothing needed";
    }
    if (needed) {
        return "needed values without MCP_ACL_SCOPE";
    }
    return status == MCP_OK ? "ok" : status == MCP_ACL_DENIED ? "denied" : "another status";
}

/* Does a rule "* => rule" cover the operation? */
static int covers(const char *rule, mcp_operation_t operation, apr_pool_t *p)
{
    const char *rules[2] = { apr_pstrcat(p, "* => ", rule, NULL), NULL };
    site_t site = site_make(rules, p);

    mcp_scopes_close(site.scopes, p);
    return !strcmp(judge(&site, NULL, &operation, 1, p), "ok");
}

static void test_syntax(apr_pool_t *p)
{
    static const char right[] = "*|@session|@list|@tools|@resources|@prompts|@tasks|@completion|GET|DELETE|"
                                "response|tool:add|tool:*|tool:a b:c|resource:file:///docs/*|prompt:a\\*|"
                                "tools/list|notifications/*|tools/call:add|resources/read:file:///docs/*|"
                                "subscriptions/listen|subscriptions/listen:ui://a|tasks/get:*|*/list|"
                                "tools/*:a\\\\b|*:x";
    static const char wrong[] = " tools/list|tool: \"tool:*\"|tools/call: \"tools/call:*\"|:add before ':'|"
                                "tool:a\\b \\*|tools/call:a\\ \\\\|tools\\/call \\\\|to/\\ols:a \\\\|@tool @tools|"
                                "@ @session|@Tools @tools|@tools:add @tools|HEAD GET, which covers HEAD|"
                                "POST tools/list|OPTIONS JSON-RPC|PUT JSON-RPC|PATCH JSON-RPC|tools:add \"tool:add\"|"
                                "Tool:add \"tool:add\"|resources:a \"resource:a\"|prompts:p* \"prompt:p*\"|"
                                "tasks:t \"tasks/*:t\"|file:///docs/* \"resource:file:///docs/*\"|GET:x METHOD:NAME|"
                                "call:add tool:NAME";
    const apr_array_header_t *good = list(right, p), *bad = list(wrong, p);
    const char *warning, *error;

    for (int i = 0; i < good->nelts; i++) {
        warning = "unset";
        error = mcp_acl_check_operation(&warning, APR_ARRAY_IDX(good, i, const char *), p);
        OK(!error && !warning, "well-formed, no remark: %s", APR_ARRAY_IDX(good, i, const char *));
    }
    for (int i = 0; i < bad->nelts; i++) {
        const char *item = APR_ARRAY_IDX(bad, i, const char *), *want = strchr(item, ' ') + 1; /* in the message */
        const char *text = apr_pstrmemdup(p, item, (apr_size_t)(want - 1 - item));

        warning = "unset";
        error = mcp_acl_check_operation(&warning, text, p);
        OK(error && !warning, "malformed: '%s'", text);
        OK(error && strstr(error, text) && strstr(error, want), "and what to write: %s", error ? error : "(none)");
    }
}

static void test_remarks(apr_pool_t *p)
{
    static const char *const texts[][2] = {
        { "tools/lst", "tools/lst" },           { "x/y", "extension" },
        { "tool", "no MCP revision" },          { "get", "no MCP revision" },
        { "x/y:a", "without an object" },       { "tools/cal\\*", "tools/cal*" },
        { "tools/list:add", "\"tools/list\"" }, { "initialize:x", "names no object" }
    };

    for (unsigned i = 0; i < SIZE(texts); i++) {
        const char *warning = NULL, *error = mcp_acl_check_operation(&warning, texts[i][0], p);

        OK(!error && warning && strstr(warning, texts[i][0]) && strstr(warning, texts[i][1]), "a remark: %s",
           warning ? warning : "(none)");
    }
}

static void test_methods(apr_pool_t *p)
{
    mcp_operation_t add = call("tools/call", MCP_OBJECT_TOOL, "add");

    OK(covers("tools/call", add, p), "a method covers any object");
    OK(!covers("tools/list", add, p) && !covers("tools/cal", add, p) && !covers("tools/call/x", add, p),
       "but no other");
    OK(!covers("Tools/Call", add, p) && !covers("tools/call", call("Tools/Call", MCP_OBJECT_NONE, NULL), p),
       "ACL-2 case-sensitive");
    OK(covers("tools/*", add, p) && covers("*call", add, p) && covers("t*/c*", add, p), "patterns of methods");
    OK(!covers("resources/*", add, p) && !covers("*list", add, p), "that do not match");
    OK(!covers("tools/\\*", add, p) && covers("tools/\\*", call("tools/*", MCP_OBJECT_NONE, NULL), p),
       "ACL-8 an escaped star is a star");
    OK(!covers("tools/list", call("*", MCP_OBJECT_NONE, NULL), p), "ACL-8 a star in the data is data");
    OK(covers("*", call("x/y", MCP_OBJECT_NONE, NULL), p), "* covers unknown methods");
    OK(!covers("@session|@list|@tools|@resources|@prompts|@tasks|@completion", call("x/y", MCP_OBJECT_NONE, NULL), p),
       "ACL-1 no group does");
}

static void test_objects(apr_pool_t *p)
{
    static const char *const reads[] = { "resources/read", "resources/subscribe", "resources/unsubscribe",
                                         "completion/complete" };
    mcp_operation_t add = call("tools/call", MCP_OBJECT_TOOL, "add");

    OK(covers("tool:add", add, p) && covers("tool:a*", add, p) && covers("tool:*", add, p), "an object alone");
    OK(!covers("tool:Add", add, p) && !covers("tool:ad", add, p) && !covers("tool:addx", add, p), "exactly");
    OK(!covers("prompt:add", add, p) && !covers("resource:add", add, p), "of its kind only");
    OK(!covers("tool:*", call("tools/list", MCP_OBJECT_NONE, NULL), p), "not what touches no object");
    OK(!covers("tool:add", call("tools/call", MCP_OBJECT_TOOL, "a*"), p), "ACL-8 a star in the name is data");
    for (unsigned i = 0; i < SIZE(reads); i++) {
        OK(covers("resource:file:///d/*", call(reads[i], MCP_OBJECT_RESOURCE, "file:///d/a"), p) &&
               !covers("resource:file:///d/*", call(reads[i], MCP_OBJECT_RESOURCE, "file:///e/a"), p),
           "ACL-4 one rule for %s", reads[i]);
    }
    OK(covers("resource:u", entry("resources/subscribe", MCP_OBJECT_RESOURCE, "u"), p), "ACL-4 and for a listen entry");
    OK(covers("prompt:p", call("prompts/get", MCP_OBJECT_PROMPT, "p"), p) &&
           covers("prompt:p", call("completion/complete", MCP_OBJECT_PROMPT, "p"), p),
       "ACL-4 the same for prompts");
}

static void test_pairs(apr_pool_t *p)
{
    mcp_operation_t add = call("tools/call", MCP_OBJECT_TOOL, "add"), task = call("tasks/get", MCP_OBJECT_TASK, "t1");

    OK(covers("tools/call:add", add, p) && covers("tools/*:a*", add, p) && covers("*:add", add, p),
       "method and object");
    OK(!covers("tools/call:sub", add, p) && !covers("tools/list:add", add, p) && !covers("tasks/*:a*", add, p),
       "both must match");
    OK(!covers("tools/list:*", call("tools/list", MCP_OBJECT_NONE, NULL), p), "no object, no match");
    OK(covers("tasks/get:t*", task, p) && covers("tasks/*:t1", task, p) && !covers("tasks/get:x", task, p),
       "tasks too");
    OK(covers("resources/read:a:b", call("resources/read", MCP_OBJECT_RESOURCE, "a:b"), p), "the first ':' divides");
    OK(!covers("resources/read:a", call("resources/subscribe", MCP_OBJECT_RESOURCE, "a"), p),
       "a pair is that method only");
}

static void test_verbs(apr_pool_t *p)
{
    static const char *const names[] = { NULL, "response", "GET", "DELETE" };

    for (int kind = MCP_OPERATION_RESPONSE; kind <= MCP_OPERATION_DELETE; kind++) {
        for (int rule = MCP_OPERATION_RESPONSE; rule <= MCP_OPERATION_DELETE; rule++) {
            OK(covers(names[rule], verb((mcp_operation_kind_t)kind), p) == (kind == rule), "B12 %s for %s", names[rule],
               names[kind]);
        }
        OK(covers("*", verb((mcp_operation_kind_t)kind), p) && covers("@session", verb((mcp_operation_kind_t)kind), p),
           "* and @session cover %s", names[kind]);
        OK(!covers("@tools|tool:*|tools/*|*/*|*:*", verb((mcp_operation_kind_t)kind), p), "no method rule covers %s",
           names[kind]);
        OK(!covers(names[kind], call(names[kind], MCP_OBJECT_NONE, NULL), p), "nor %s a method of that name",
           names[kind]);
    }
}

static void test_groups(apr_pool_t *p)
{
    static const char *const names[] = { "@session", "@list",  "@tools",     "@resources",
                                         "@prompts", "@tasks", "@completion" };
    /* For each method the groups that hold it, by their place in names. */
    static const struct {
        const char *method;
        mcp_object_t kind;
        const char *in;
    } cases[] = {
        { "initialize", MCP_OBJECT_NONE, "0" },
        { "ping", MCP_OBJECT_NONE, "0" },
        { "server/discover", MCP_OBJECT_NONE, "0" },
        { "logging/setLevel", MCP_OBJECT_NONE, "0" },
        { "subscriptions/listen", MCP_OBJECT_NONE, "0" },
        { "notifications/initialized", MCP_OBJECT_NONE, "0" },
        { "notifications/cancelled", MCP_OBJECT_NONE, "0" },
        { "notifications/progress", MCP_OBJECT_NONE, "0" },
        { "notifications/roots/list_changed", MCP_OBJECT_NONE, "0" },
        { "notifications/tasks/status", MCP_OBJECT_TASK, "0" },
        { "tools/list", MCP_OBJECT_NONE, "12" },
        { "tools/call", MCP_OBJECT_TOOL, "2" },
        { "resources/list", MCP_OBJECT_NONE, "13" },
        { "resources/templates/list", MCP_OBJECT_NONE, "13" },
        { "resources/read", MCP_OBJECT_RESOURCE, "3" },
        { "resources/subscribe", MCP_OBJECT_RESOURCE, "3" },
        { "resources/unsubscribe", MCP_OBJECT_RESOURCE, "3" },
        { "prompts/list", MCP_OBJECT_NONE, "14" },
        { "prompts/get", MCP_OBJECT_PROMPT, "4" },
        { "tasks/list", MCP_OBJECT_NONE, "15" },
        { "tasks/get", MCP_OBJECT_TASK, "5" },
        { "tasks/result", MCP_OBJECT_TASK, "5" },
        { "tasks/cancel", MCP_OBJECT_TASK, "5" },
        { "tasks/update", MCP_OBJECT_TASK, "5" },
        { "completion/complete", MCP_OBJECT_PROMPT, "6" },
        { "initialized", MCP_OBJECT_NONE, "" },
    };

    for (unsigned i = 0; i < SIZE(cases); i++) {
        mcp_operation_t operation = call(cases[i].method, cases[i].kind, cases[i].kind ? "x" : NULL);

        for (unsigned g = 0; g < SIZE(names); g++) {
            OK(covers(names[g], operation, p) == (strchr(cases[i].in, '0' + (int)g) != NULL), "%s and %s", names[g],
               cases[i].method);
        }
    }
}

static void test_listen(apr_pool_t *p)
{
    mcp_operation_t plain = call("subscriptions/listen", MCP_OBJECT_NONE, NULL);
    mcp_operation_t uri = entry("resources/subscribe", MCP_OBJECT_RESOURCE, "u");
    mcp_operation_t task = entry("tasks/get", MCP_OBJECT_TASK, "t");

    OK(covers("subscriptions/listen", plain, p), "the plain listen");
    OK(!covers("subscriptions/listen", uri, p) && !covers("subscriptions/listen", task, p) &&
           !covers("@session", uri, p) && !covers("@session", task, p),
       "ACL-3 it does not cover the entries");
    OK(!covers("subscriptions/listen:*", plain, p), "nor the other way round");
    OK(covers("subscriptions/listen:u", uri, p) && covers("subscriptions/*:t*", task, p), "the listen with an object");
    OK(!covers("subscriptions/listen:v", uri, p), "of that name");
    OK(covers("resources/subscribe", uri, p) && covers("resources/subscribe:u", uri, p) && covers("@resources", uri, p),
       "a URI by resources/subscribe");
    OK(!covers("resources/read:u", uri, p), "not by another method");
    OK(covers("tasks/get", task, p) && covers("tasks/get:t", task, p) && covers("@tasks", task, p),
       "a task by tasks/get");
    OK(!covers("tasks/get", uri, p) && !covers("resources/subscribe", task, p), "each by its own");
    OK(!covers("subscriptions/listen:u", call("resources/subscribe", MCP_OBJECT_RESOURCE, "u"), p),
       "and a call proper is no entry");
}

static void test_fail_closed(apr_pool_t *p)
{
    static const char *const none[] = { NULL };
    static const char *const odd[] = { " => *", "   => *", "* x => tools/list", "* => @nothing|tool:|HEAD", NULL };
    site_t site = site_make(none, p);
    mcp_operation_t ping = call("ping", MCP_OBJECT_NONE, NULL), list_tools = call("tools/list", MCP_OBJECT_NONE, NULL);
    mcp_operation_t broken[4] = { { MCP_OPERATION_METHOD, NULL, MCP_OBJECT_NONE, NULL, NULL },
                                  { MCP_OPERATION_METHOD, "tools/call", MCP_OBJECT_TOOL, NULL, NULL },
                                  { (mcp_operation_kind_t)9, "ping", MCP_OBJECT_NONE, NULL, NULL },
                                  { MCP_OPERATION_METHOD, "ping", (mcp_object_t)9, "x", NULL } };

    mcp_scopes_close(site.scopes, p);
    STR_IS(judge(&site, "a", &ping, 1, p), "denied", "ACL-1 no rule, nothing allowed");
    site = site_make(odd, p);
    mcp_scopes_close(site.scopes, p);
    STR_IS(judge(&site, NULL, &ping, 1, p), "denied", "a rule without values allows nothing, nor does a malformed one");
    STR_IS(judge(&site, "x", &list_tools, 1, p), "[* x]", "'*' beside a value is a name that nobody has");
    for (unsigned i = 0; i < SIZE(broken); i++) {
        OK(!covers("*", broken[i], p), "an operation that makes no sense is refused (%u)", i);
    }
    STR_IS(judge(&site, "x", &ping, 0, p), "denied", "no operation at all is refused");
}

static void test_verdicts(apr_pool_t *p)
{
    static const char *const rules[] = { "read => @list|tool:get*", "write  read => tool:put", "* => ping",
                                         "admin => tool:drop", NULL };
    site_t site = site_make(rules, p);
    mcp_operation_t get = call("tools/call", MCP_OBJECT_TOOL, "get_x"),
                    put = call("tools/call", MCP_OBJECT_TOOL, "put"), ping = call("ping", MCP_OBJECT_NONE, NULL),
                    other = call("tools/call", MCP_OBJECT_TOOL, "other");

    mcp_scopes_close(site.scopes, p);
    STR_IS(judge(&site, "read", &get, 1, p), "ok", "the value of a rule");
    STR_IS(judge(&site, "write", &get, 1, p), "[read]", "another value does not do");
    STR_IS(judge(&site, NULL, &get, 1, p), "[read]", "nor does none");
    STR_IS(judge(&site, "Read|rea|read x", &get, 1, p), "[read]", "nor what looks like it");
    STR_IS(judge(&site, "read|write", &put, 1, p), "ok", "all values of a rule");
    STR_IS(judge(&site, "write", &put, 1, p), "[write read]", "held ones are named too, in the order of the rule");
    STR_IS(judge(&site, NULL, &ping, 1, p), "ok", "* is any valid token");
    STR_IS(judge(&site, "read|write|admin", &other, 1, p), "denied", "allowed to nobody");
}

static void test_hierarchy(apr_pool_t *p)
{
    static const char *const rules[] = { "read => tool:get", "write => tool:put", NULL };
    site_t site = site_make(rules, p);
    mcp_operation_t get = call("tools/call", MCP_OBJECT_TOOL, "get"), put = call("tools/call", MCP_OBJECT_TOOL, "put");

    mcp_scopes_imply(site.scopes, "admin", "write");
    mcp_scopes_imply(site.scopes, "write", "read");
    mcp_scopes_close(site.scopes, p);
    STR_IS(judge(&site, "admin", &get, 1, p), "ok", "ACL-7 the broader value passes");
    STR_IS(judge(&site, "write", &get, 1, p), "ok", "ACL-7 one step");
    STR_IS(judge(&site, "read", &put, 1, p), "[write]",
           "ACL-7 the narrower does not; the rule's own value is asked for");
}

static void test_smallest(apr_pool_t *p)
{
    static const char *const rules[] = {
        "a b => tool:one",   "c => tool:one",       "d => tool:one|tool:two", "e => tool:two",  "f g => tool:three",
        "h i => tool:three", "j k l => tool:three", "* => tool:four",         "m => tool:four", "n o => tool:five",
        "b => tool:six",     "z => tool:six",       "d => tool:seven",        "h => *",         NULL
    };
    site_t site = site_make(rules, p);
    mcp_operation_t one = call("tools/call", MCP_OBJECT_TOOL, "one"), two = call("tools/call", MCP_OBJECT_TOOL, "two"),
                    three = call("tools/call", MCP_OBJECT_TOOL, "three"),
                    five = call("tools/call", MCP_OBJECT_TOOL, "five"),
                    seven = call("tools/call", MCP_OBJECT_TOOL, "seven");
    mcp_operation_t ops[4];

    mcp_scopes_close(site.scopes, p);
    STR_IS(judge(&site, NULL, &one, 1, p), "[c]", "fewest values, then the first rule");
    STR_IS(judge(&site, "a", &one, 1, p), "[c]", "fewest values before fewest lacking");
    STR_IS(judge(&site, "g", &three, 1, p), "[h]", "a rule for everything is one of them");
    STR_IS(judge(&site, NULL, &five, 1, p), "[h]", "also where another names it exactly");
    ops[0] = two;
    ops[1] = one;
    STR_IS(judge(&site, NULL, ops, 2, p), "[d]", "several operations: what is chosen already costs nothing");
    ops[0] = one;
    ops[1] = two;
    STR_IS(judge(&site, NULL, ops, 2, p), "[c d]", "values in the order of the rules, each once");
    ops[0] = seven;
    ops[1] = one;
    ops[2] = two;
    ops[3] = seven;
    STR_IS(judge(&site, NULL, ops, 4, p), "[d]", "one value for all of them");
    STR_IS(judge(&site, "d", ops, 4, p), "ok", "and it does allow all of them");
}

static void test_ties(apr_pool_t *p)
{
    static const char *const rules[] = { "r s => tool:a",
                                         "t u => tool:a",
                                         "v w => tool:a|tool:b",
                                         "x y => tool:b",
                                         "x => tool:c",
                                         "q => tool:d",
                                         "* => tool:d|tool:e",
                                         "q => tool:e",
                                         "k1 k2 => tool:g",
                                         "k => tool:g|tool:f",
                                         NULL };
    site_t site = site_make(rules, p);
    mcp_operation_t a = call("tools/call", MCP_OBJECT_TOOL, "a"), b = call("tools/call", MCP_OBJECT_TOOL, "b"),
                    c = call("tools/call", MCP_OBJECT_TOOL, "c"), d = call("tools/call", MCP_OBJECT_TOOL, "d"),
                    e = call("tools/call", MCP_OBJECT_TOOL, "e");
    mcp_operation_t ops[3];

    mcp_scopes_close(site.scopes, p);
    STR_IS(judge(&site, NULL, &a, 1, p), "[r s]", "a tie: the first rule");
    STR_IS(judge(&site, "u", &a, 1, p), "[t u]", "a tie in number: the one that lacks less");
    STR_IS(judge(&site, "w|s", &a, 1, p), "[r s]", "a tie in both: the first rule");
    STR_IS(judge(&site, "y", &b, 1, p), "[x y]", "held values are among the needed");
    ops[0] = c;
    ops[1] = b;
    STR_IS(judge(&site, NULL, ops, 2, p), "[x y]", "one more beyond those chosen beats two more of an earlier rule");
    ops[0] = b;
    ops[1] = a;
    STR_IS(judge(&site, NULL, ops, 2, p), "[v w]", "none more beats an earlier rule");
    STR_IS(judge(&site, NULL, &d, 1, p), "ok", "a rule for any token beats one with a value before it");
    ops[0] = d;
    ops[1] = e;
    ops[2] = c;
    STR_IS(judge(&site, NULL, ops, 3, p), "[x]", "and adds nothing to the needed values");
    ops[0] = call("tools/call", MCP_OBJECT_TOOL, "g");
    ops[1] = call("tools/call", MCP_OBJECT_TOOL, "f");
    STR_IS(judge(&site, "k1|k2", ops, 2, p), "[k]",
           "a rule that the token satisfies is left for one with fewer values");
    for (int i = 0; i < 3; i++) {
        STR_IS(judge(&site, "u", &a, 1, p), "[t u]", "equal for equal input");
    }
}

/* What counts is how many values differ, and not where a rule stands in an index. */
static void test_counted(apr_pool_t *p)
{
    static const char *const rules[] = { "b z => tool:one", "a a a => tool:one", "p q => tool:tw*", "s t => tool:two",
                                         NULL };
    site_t site = site_make(rules, p);
    mcp_operation_t one = call("tools/call", MCP_OBJECT_TOOL, "one"), two = call("tools/call", MCP_OBJECT_TOOL, "two");

    mcp_scopes_close(site.scopes, p);
    STR_IS(judge(&site, NULL, &one, 1, p), "[a]", "a value said three times is one");
    STR_IS(judge(&site, "t", &two, 1, p), "[s t]", "the one that lacks less, though a pattern before it fits too");
    STR_IS(judge(&site, "q", &two, 1, p), "[p q]", "and the other way round");
    STR_IS(judge(&site, NULL, &two, 1, p), "[p q]", "a tie between a pattern and a name: the first rule");
}

static void test_several(apr_pool_t *p)
{
    static const char *const rules[] = { "read => resource:pub/*", "secret => resource:priv/*", "task => @tasks",
                                         NULL };
    site_t site = site_make(rules, p);
    mcp_operation_t ops[3] = { entry("resources/subscribe", MCP_OBJECT_RESOURCE, "pub/1"),
                               entry("resources/subscribe", MCP_OBJECT_RESOURCE, "priv/1"),
                               entry("tasks/get", MCP_OBJECT_TASK, "t") };
    mcp_operation_t plain = call("subscriptions/listen", MCP_OBJECT_NONE, NULL), back[2] = { ops[1], ops[0] };

    mcp_scopes_close(site.scopes, p);
    STR_IS(judge(&site, "read", ops, 1, p), "ok", "ACL-3 [allowed]");
    STR_IS(judge(&site, "read", ops, 2, p), "[read secret]", "ACL-3 [allowed, lacking]: all values of the request");
    STR_IS(judge(&site, "secret", ops, 2, p), "[read secret]", "ACL-3 [lacking, allowed] just so");
    STR_IS(judge(&site, "x", back, 2, p), "[read secret]", "in the order of the rules, not of the operations");
    STR_IS(judge(&site, "read|secret|task", ops, 3, p), "ok", "ACL-3 all allowed");
    STR_IS(judge(&site, "read|secret", ops, 3, p), "[read secret task]", "ACL-3 the last one counts");
    ops[1].object = "other/1";
    STR_IS(judge(&site, "read", ops, 3, p), "denied", "ACL-3 one that nobody may have denies all, also before others");
    ops[1] = plain;
    STR_IS(judge(&site, "read|secret|task", ops, 3, p), "denied", "ACL-3 the plain listen is one of them");
}

/* Many rules that differ in what they name: each is found, and only it. */
static void test_many(apr_pool_t *p)
{
    site_t site;
    int wrong = 0;

    site.scopes = mcp_scopes_create(p);
    site.acl = mcp_acl_create(site.scopes, p);
    for (int i = 0; i < 300; i++) {
        mcp_acl_allow(site.acl, apr_psprintf(p, "s%d", i),
                      list(apr_psprintf(p, "tool:t%d|resource:r%d/*|x/m%d:o%d-*-e|n%d/*|*z%d", i, i, i, i, i, i), p));
    }
    mcp_scopes_close(site.scopes, p);
    for (int i = 0; i < 300; i++) {
        mcp_operation_t ops[5] = {
            call("tools/call", MCP_OBJECT_TOOL, apr_psprintf(p, "t%d", i)),
            call("resources/read", MCP_OBJECT_RESOURCE, apr_psprintf(p, "r%d/a", i)),
            call(apr_psprintf(p, "x/m%d", i), MCP_OBJECT_TOOL, apr_psprintf(p, "o%d-a-e", i)),
            call(apr_psprintf(p, "n%d/q", i), MCP_OBJECT_NONE, NULL),
            call(apr_psprintf(p, "q/z%d", i), MCP_OBJECT_NONE, NULL),
        };
        const char *want = apr_psprintf(p, "[s%d]", i);

        wrong += strcmp(judge(&site, apr_psprintf(p, "s%d", i), ops, 5, p), "ok") != 0;
        for (int o = 0; o < 5; o++) {
            /* "*z1" matches "q/z1" only, since the rest of the text is "z1". */
            wrong += strcmp(judge(&site, apr_psprintf(p, "s%d", i + 1), &ops[o], 1, p), want) != 0;
        }
    }
    OK(wrong == 0, "1,500 operations of 300 rules, each found by its own and no other");
}

/* The features of a token as letters, "-" for none. */
static const char *features(const site_t *site, const char *held, apr_pool_t *p)
{
    mcp_valueset_t set;
    const char *out = "";

    mcp_scopes_collect(&set, site->scopes, held ? list(held, p) : NULL, p);
    for (int i = 0; i < 7; i++) {
        out = mcp_acl_features(site->acl, &set) >> i & 1 ? apr_psprintf(p, "%s%c", out, "TRPCLK?"[i]) : out;
    }
    return *out ? out : "-";
}

/* Does a token reach something of a template: "y" or "n". */
static const char *reaches(const site_t *site, const char *held, const char *text, apr_pool_t *p)
{
    mcp_operation_t read = call("resources/read", MCP_OBJECT_RESOURCE, NULL);
    mcp_pattern_t pattern;
    mcp_valueset_t set;

    mcp_pattern_of_template(&pattern, text, p);
    mcp_scopes_collect(&set, site->scopes, held ? list(held, p) : NULL, p);
    return mcp_acl_reaches(site->acl, &set, &read, &pattern) ? "y" : "n";
}

/* cases: "RULE FEATURES" or "RULE TEMPLATE REACHES", divided by ';'; each is judged for a rule "* => RULE". */
static void check_cases(const char *cases, apr_pool_t *p)
{
    for (; *cases; cases += strcspn(cases, ";"), cases += *cases == ';') {
        const char *text = apr_pstrmemdup(p, cases, strcspn(cases, ";")), *want = strrchr(text, ' ') + 1;
        const char *second = strchr(text, ' ') + 1;
        const char *rules[2] = { apr_psprintf(p, "* => %.*s", (int)(second - 1 - text), text), NULL };
        site_t site = site_make(rules, p);

        mcp_scopes_close(site.scopes, p);
        STR_IS(second == want ? features(&site, NULL, p)
                              : reaches(&site, NULL, apr_pstrmemdup(p, second, (apr_size_t)(want - 1 - second)), p),
               want, "LST-1 %s of a rule: %s", second == want ? "features" : "reach", text);
    }
}

static void test_features(apr_pool_t *p)
{
    static const char *const rules[] = {
        "a => tools/list|ping", "a b => tool:x|GET", "c => @prompts|@tasks", "d => tool:\\x|@nothing", " => *", NULL
    };
    site_t site = site_make(rules, p);

    check_cases("* TRPCLK;** TRPCLK;GET -;response -;ping -;x/y -;@session L;@list TRPK;@tools T;@resources R;"
                "@prompts P;@tasks K;@completion C;tools/list T;tools/new T;Tools/list -;tools -;*/list TRPK;*s/* TRPK;"
                "t* TK;tools*/call T;*l TRPLK;completion/* C;completion/new -;logging/* L;logging/get -;"
                "notifications/* -;notifications/tasks/* -;tool:x T;tool:* T;resource:x RC;prompt:x PC;tools/call:x T;"
                "tools/list:x -;tools/new:x -;prompts/get:* P;completion/complete:x C;logging/setLevel:x -;"
                "resources/read:x R;resources/subscribe:x R;resources/unsubscribe:x R;*/list:x -;tasks/get:x K;"
                "tasks/cancel:x K;tasks/result:x K;tasks/update:x K;*:x TRPCK;subscriptions/listen -;"
                "subscriptions/listen:x RK;notifications/tasks/status:x -;ping:x -",
                p);
    mcp_scopes_close(site.scopes, p);
    STR_IS(features(&site, NULL, p), "-", "LST-1 without values: nothing, also not by a rule that names none");
    STR_IS(features(&site, "a", p), "T", "LST-1 a rule whose values are held");
    STR_IS(features(&site, "b", p), "-", "LST-1 all values of a rule are needed");
    STR_IS(features(&site, "b|c", p), "PK", "LST-1 another token has other features");
    STR_IS(features(&site, "a|b|c|d", p), "TPK", "LST-1 those of all its rules");
    STR_IS(features(&site, "d", p), "-", "LST-1 a malformed operation has none");
}

static void test_reaches(apr_pool_t *p)
{
    static const char *const rules[] = { "a b => resource:f/*", "c => resource:f/g", "* => resource:pub/*x|q/*", NULL };
    site_t site = site_make(rules, p);
    mcp_operation_t wrong = call("q/read", MCP_OBJECT_RESOURCE, "pub/x");
    mcp_pattern_t none = { 0 }, some;
    mcp_valueset_t set;

    check_cases("* f/{x} y;@resources f/{x} y;resources/* f/{x} y;resources/read f/{x} y;resources/list f/{x} n;"
                "@list f/{x} n;tool:* f/{x} n;prompt:f/* f/{x} n;resource:* f/{x} y;resource:f/a f/{x} y;"
                "resource:f/a g/{x} n;resource:f/a/* f/{x}/b y;resource:*.md f/{x}.txt n;resource:*.md f/{x}.md y;"
                "resources/read:f/* f/{x} y;resources/read:f/a f/{x} y;resources/read:g f/{x} n;*:f/* f/{x} y;"
                "resources/subscribe:f/* f/{x} n;*/read:g* f/{x} n;GET f/{x} n;@session f/{x} n;resource:f/* {x} y;"
                "resource:f/a f/a y;resource:f/* f/a y;resource:f/a f/b n;resources/read:f/a f/a y;resource:f\\* f* y;"
                "resource:f\\* fa n;resource:f/a* f/\\{x n;resource:f/\\\\* f/\\{x y;resource:f/a f/a{ y;"
                "resource:a*b a n",
                p);
    mcp_scopes_close(site.scopes, p);
    STR_IS(reaches(&site, "a|b", "f/{x}", p), "y", "LST-1 a rule whose values are held");
    STR_IS(reaches(&site, "a", "f/{x}", p), "n", "LST-1 all are needed");
    STR_IS(reaches(&site, "c", "f/{x}", p), "y", "LST-1 one object of many is enough");
    STR_IS(reaches(&site, "c", "f/h{x}", p), "n", "LST-1 if it is one of them");
    STR_IS(reaches(&site, NULL, "{x}", p), "y", "LST-1 a rule for any token");
    mcp_scopes_collect(&set, site.scopes, NULL, p);
    OK(!mcp_acl_reaches(site.acl, &set, &wrong, &none) && !mcp_acl_reaches(site.acl, &set, &wrong, NULL),
       "ACL-5 no pattern reaches nothing, whatever the object");
    mcp_pattern_of_template(&some, "{x}", p);
    OK(mcp_acl_reaches(site.acl, &set, &wrong, &some), "any pattern does");
    wrong.method = NULL;
    OK(!mcp_acl_reaches(site.acl, &set, &wrong, &some), "ACL-5 but not without a method");
}

static void test(apr_pool_t *p)
{
    test_syntax(p);
    test_remarks(p);
    test_methods(p);
    test_objects(p);
    test_pairs(p);
    test_verbs(p);
    test_groups(p);
    test_listen(p);
    test_fail_closed(p);
    test_verdicts(p);
    test_hierarchy(p);
    test_smallest(p);
    test_ties(p);
    test_counted(p);
    test_several(p);
    test_many(p);
    test_features(p);
    test_reaches(p);
}
