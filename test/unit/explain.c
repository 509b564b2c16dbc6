#include "policy/explain.h"

#include <stdlib.h>

#include "policy/acl.h"
#include "tap.h"

/* Splits at '|', since names may contain blanks; NULL and "" are no list. */
static apr_array_header_t *list(const char *text, apr_pool_t *p)
{
    apr_array_header_t *all = apr_array_make(p, 4, sizeof(const char *));

    while (text && *text) {
        const char *end = strchr(text, '|');

        APR_ARRAY_PUSH(all, const char *) = end ? apr_pstrmemdup(p, text, (apr_size_t)(end - text)) : text;
        text = end ? end + 1 : NULL;
    }
    return all;
}

/* rules: "values => operation|operation; ...", each at the place rN; implications: "value>implied|...". */
static mcp_ruleset_t ruleset_make(const char *rules, const char *implications, const char *required, apr_pool_t *p)
{
    apr_array_header_t *all = apr_array_make(p, 4, sizeof(mcp_rule_t)), *implies;
    apr_array_header_t *texts = list(implications, p);
    mcp_ruleset_t ruleset = { .rules = all, .required_count = 1 };

    for (int i = 1; *rules; i++) {
        const char *end = strstr(rules, "; ") ? strstr(rules, "; ") : rules + strlen(rules), *arrow;
        mcp_rule_t *rule = apr_array_push(all);

        arrow = strstr(rules, " => ");
        rule->values = apr_pstrmemdup(p, rules, (apr_size_t)(arrow - rules));
        rule->operations = list(apr_pstrmemdup(p, arrow + 4, (apr_size_t)(end - arrow - 4)), p);
        rule->place = apr_psprintf(p, "r%d", i);
        rules = *end ? end + 2 : end;
    }
    implies = apr_array_make(p, 4, sizeof(mcp_implication_t));
    for (int i = 0; i < texts->nelts; i++) {
        const char *text = APR_ARRAY_IDX(texts, i, const char *), *sign = strchr(text, '>');
        mcp_implication_t *implication = apr_array_push(implies);

        implication->value = apr_pstrmemdup(p, text, (apr_size_t)(sign - text));
        implication->implied = sign + 1;
    }
    ruleset.implications = implies->nelts ? implies : NULL;
    ruleset.required = required ? list(required, p) : NULL;
    return ruleset;
}

/* "who: a, b; who: c" */
static const char *rights(const char *rules, const char *implications, apr_pool_t *p)
{
    mcp_ruleset_t ruleset = ruleset_make(rules, implications, NULL, p);
    const apr_array_header_t *all = mcp_explain_rights(&ruleset, p);
    const char *text = "";

    for (int i = 0; i < all->nelts; i++) {
        const mcp_right_t *right = &APR_ARRAY_IDX(all, i, mcp_right_t);

        text = apr_pstrcat(p, text, i ? "; " : "", right->who, ":", NULL);
        for (int j = 0; j < right->may->nelts; j++) {
            text = apr_pstrcat(p, text, j ? ", " : " ", APR_ARRAY_IDX(right->may, j, const char *), NULL);
        }
    }
    return text;
}

static const char *unreached(const char *rules, apr_pool_t *p)
{
    mcp_ruleset_t ruleset = ruleset_make(rules, NULL, NULL, p);

    return apr_array_pstrcat(p, mcp_explain_unreached(&ruleset, p), '|');
}

static int is_unreached(const char *text, const char *rules, apr_pool_t *p)
{
    return strstr(apr_pstrcat(p, "|", unreached(rules, p), "|", NULL), apr_pstrcat(p, "|", text, "|", NULL)) != NULL;
}

/* Joined with '|'; that about initialize is left out unless it is the only one. */
static const char *remarks_of(const mcp_ruleset_t *ruleset, apr_pool_t *p)
{
    const char *text = apr_array_pstrcat(p, mcp_explain_remarks(ruleset, p), '|'), *rest = strchr(text, '|');

    return rest && !strncmp(text, "nobody may do initialize", 24) ? rest + 1 : text;
}

static const char *remarks(const char *rules, const char *implications, apr_pool_t *p)
{
    mcp_ruleset_t ruleset = ruleset_make(rules, implications, NULL, p);

    return remarks_of(&ruleset, p);
}

static void test_rights(apr_pool_t *p)
{
    mcp_ruleset_t nothing = { NULL, NULL, NULL, NULL, 0 };

    OK(mcp_explain_rights(&nothing, p)->nelts == 0, "no rules, no rights");
    STR_IS(rights("* => @session|tools/list", NULL, p),
           "any valid token: initialize, ping, server/discover, notifications/*, logging/setLevel, response, GET, "
           "DELETE, subscriptions/listen, tools/list",
           "groups are written out");
    STR_IS(rights("a => @tools|@list|@completion", NULL, p),
           "a: tools/*, tools/list, resources/list, resources/templates/list, prompts/list, tasks/list, "
           "completion/complete",
           "each of them");
    STR_IS(rights("a => tools/list; b => ping; a => ping|tools/list", NULL, p), "a: tools/list, ping; b: ping",
           "equal values are one line, where the first stands; each operation once");
    STR_IS(rights("a b => ping; b  a a => tools/list; a => GET", NULL, p), "a and b: ping, tools/list; a: GET",
           "the order of values and their number do not matter");
    STR_IS(rights("a => tools/list|*|ping; b => ping; a => GET", NULL, p), "a: everything; b: ping",
           "everything swallows the rest");
    STR_IS(rights("a => tool:add|resource:file:///*|prompt:x|tools/call:a b|tasks/*:1|response|DELETE", NULL, p),
           "a: tool:add, resource:file:///*, prompt:x, tools/call:a b, tasks/*:1, response, DELETE",
           "objects as they are written");
    STR_IS(rights("read => ping; read write => GET", "admin>write|write>read|root>admin|other>x", p),
           "read (or write, admin, root): ping; read (or write, admin, root) and write (or admin, root): GET",
           "who implies a value is named, through others as well");
    STR_IS(rights("a => ping; b => GET", "a>b|b>c|c>a", p), "a (or b, c): ping; b (or a, c): GET",
           "values that imply each other");
    STR_IS(rights("a => acme/*|acme/do", NULL, p), "a: acme/*, acme/do", "methods of extensions are named");
    STR_IS(rights("* a => ping;   => ping; * => GET", NULL, p), "* and a: ping; any valid token: GET",
           "a star beside others is a name like them; a rule without values allows nothing");
}

static void test_clean(apr_pool_t *p)
{
    static const char fine[] = "gr\xc3\xb6\xc3\x9f"
                               "e \xe2\x82\xac \xf0\x9f\x98\x80 \\* ~";

    OK(mcp_explain_clean(fine, p) == fine, "what can be printed is left as it is");
    STR_IS(mcp_explain_clean("a\033[31m\r\n\tb\x7f", p), "a\\x1b[31m\\x0d\\x0a\\x09b\\x7f", "control bytes are not");
    STR_IS(mcp_explain_clean("a\xc2\x9b"
                             "b\xc2\xa0",
                             p),
           "a\\xc2\\x9bb\xc2\xa0", "nor controls of two bytes");
    STR_IS(mcp_explain_clean("\xe2\x80\xae"
                             "exe\xe2\x81\xa6\xe2\x80\x8f\xd8\x9c",
                             p),
           "\\xe2\\x80\\xaeexe\\xe2\\x81\\xa6\\xe2\\x80\\x8f\\xd8\\x9c", "nor what turns the direction");
    STR_IS(mcp_explain_clean("\xff\x80 \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82", p),
           "\\xff\\x80 \\xc0\\xaf \\xed\\xa0\\x80 \\xf4\\x90\\x80\\x80 \\xe2\\x82", "nor what is no UTF-8");
    STR_IS(mcp_explain_clean("\xe0\x9f\xbf \xf0\x8f\xbf\xbf", p), "\\xe0\\x9f\\xbf \\xf0\\x8f\\xbf\\xbf",
           "nor longer forms than needed");
    STR_IS(rights("a\033 => tool:x\r\ny", "b\n>a\033", p), "a\\x1b (or b\\x0a): tool:x\\x0d\\x0ay",
           "hostile names in rights");
    STR_IS(remarks("a\033 => ping; a\033 => ping", NULL, p),
           "r2: McpOAuthAllow a\\x1b is useless: whoever has its values may do all of that by r1: McpOAuthAllow a\\x1b",
           "in remarks");
    OK(is_unreached("tools/call (only some: x\\x1b)", "a => tool:x\033", p), "and in what is not reached");
}

static void test_unreached(apr_pool_t *p)
{
    mcp_ruleset_t nothing = { NULL, NULL, NULL, NULL, 0 };

    OK(mcp_explain_unreached(&nothing, p)->nelts == 25 + 3, "without rules every method, both verbs and responses");
    STR_IS(unreached("a => *", p), "", "with a star nothing");
    STR_IS(unreached("* => @session; a => @tools|@resources; b c => @prompts|@tasks|@completion", p), "",
           "nor with all groups, whatever values they need");
    STR_IS(unreached("* => @session|@list", p),
           "completion/complete|prompts/get|resources/read|resources/subscribe|resources/unsubscribe|tasks/cancel|"
           "tasks/get|tasks/result|tasks/update|tools/call",
           "what is left beside sessions and lists");
    STR_IS(unreached("a => @tools|@resources|@prompts|@tasks|@completion|subscriptions/listen", p),
           "initialize|logging/setLevel|notifications/cancelled|notifications/initialized|notifications/progress|"
           "notifications/roots/list_changed|notifications/tasks/status|ping|server/discover|GET|DELETE|response",
           "and the other way round");
    OK(is_unreached("tools/call (only some: add)", "a => tool:add", p), "some objects are named");
    OK(is_unreached("resources/read (only some: file:///a*, file:///b)",
                    "a => resource:file:///a*; b => resources/read:file:///b|resource:file:///a*", p),
       "of all rules, each once");
    OK(!is_unreached("tools/call", "a => tool:*", p) && !is_unreached("tools/call (only some: *)", "a => tool:*", p),
       "all objects are all of it");
    OK(!is_unreached("tools/call", "a => tools/call:*", p) && !is_unreached("tools/call", "a => */call:*", p),
       "also with the method");
    OK(is_unreached("tools/list", "a => tools/list:*", p), "an object for a method that names none reaches nothing");
    OK(is_unreached("tools/call (only some: 1, 2, 3, 4, 5, 6, 7, 8 and 2 more)",
                    "a => tool:1|tool:2|tool:3|tool:4|tool:5|tool:6|tool:7|tool:8|tool:9|tool:10", p),
       "many are counted");
    OK(is_unreached("completion/complete (only some: prompt:*)", "a => prompt:*", p) &&
           is_unreached("completion/complete (only some: x, resource:y)", "a => completion/complete:x|resource:y", p),
       "completion of one kind alone, named with its kind");
    OK(!strstr(unreached("a => prompt:*|resource:*", p), "completion/complete"), "completion of both kinds");
    OK(is_unreached("subscriptions/listen (only some: resource:*)", "a => resource:*", p),
       "subscriptions/listen to resources alone");
    OK(is_unreached("subscriptions/listen (only some: ui://a)", "a => subscriptions/listen:ui://a", p),
       "or to one thing");
    OK(is_unreached("tasks/get (only some: t*)", "a => tasks/get:t*", p), "tasks have no kind in rules");
}

static void test_door(apr_pool_t *p)
{
    static const char door[] = "nobody may do initialize or server/discover";

    OK(!strncmp(remarks("", NULL, p), door, strlen(door)), "without rules nobody gets in");
    OK(!strncmp(remarks("a => @tools", NULL, p), door, strlen(door)), "nor with tools alone");
    STR_IS(remarks("a b => initialize", NULL, p), "", "whoever may initialize does, whatever he needs for that");
    STR_IS(remarks("a => server/discover", NULL, p), "", "or discover");
    STR_IS(remarks("a => server/*", NULL, p), "", "also by a pattern");
    STR_IS(remarks("* => @session", NULL, p), "", "or by the group");
    STR_IS(remarks("a => *", NULL, p), "", "or by everything");
    OK(!strncmp(remarks("a => initialize:*", NULL, p), "r1: McpOAuthAllow a allows nothing", 34),
       "an object lets nobody do what has none");
}

/* Which rules are useless: "r2 r3". */
static const char *useless_of(const mcp_ruleset_t *ruleset, apr_pool_t *p)
{
    const apr_array_header_t *all = mcp_explain_remarks(ruleset, p);
    const char *text = "";

    for (int i = 0; i < all->nelts; i++) {
        const char *remark = APR_ARRAY_IDX(all, i, const char *);

        if (strstr(remark, " is useless: ") || strstr(remark, " allows nothing: ")) {
            text = apr_pstrcat(p, text, *text ? " " : "", apr_pstrmemdup(p, remark, strcspn(remark, ":")), NULL);
        }
    }
    return text;
}

static const char *useless(const char *rules, const char *implications, apr_pool_t *p)
{
    mcp_ruleset_t ruleset = ruleset_make(rules, implications, NULL, p);

    return useless_of(&ruleset, p);
}

static void test_useless(apr_pool_t *p)
{
    STR_IS(useless("a => ping; b => GET", NULL, p), "", "rules that each allow something of their own");
    STR_IS(useless("a => ping; a => ping", NULL, p), "r2", "of two equal ones the later");
    STR_IS(useless("a b => ping; b a => ping; a b c => ping", NULL, p), "r2 r3", "values in any order");
    STR_IS(useless("a b => ping; a => ping", NULL, p), "r1", "by value inclusion, also by a later rule");
    STR_IS(useless("a => ping; * => ping; b => ping|GET", NULL, p), "r1", "a star is what every token has");
    STR_IS(useless("* => ping; a => ping|GET", NULL, p), "", "a rule that allows more is of use");
    STR_IS(useless("a => ping; b => ping", NULL, p), "", "not when values differ");
    STR_IS(useless("a => ping; a b => tools/list", NULL, p), "", "nor when operations do");
    STR_IS(useless("a => tools/*; a => tools/call", NULL, p), "r2", "by pattern inclusion of methods");
    STR_IS(useless("a => tools/call; a => tools/*", NULL, p), "r1", "in either order");
    STR_IS(useless("a => tool:x*; a => tool:xy*z|tools/call:x", NULL, p), "r2", "of objects");
    STR_IS(useless("a => tool:x*; a => tool:*x", NULL, p), "", "not by patterns that merely meet");
    STR_IS(useless("a => tools/call:x; a => tool:x", NULL, p), "r2", "tools are touched by one method alone");
    STR_IS(useless("a => resources/read:x; a => resource:x", NULL, p), "r1",
           "resources by several, so not the other way");
    STR_IS(useless("a => resources/*:x|completion/complete:x|subscriptions/listen:x; a => resource:x", NULL, p), "r2",
           "all of them together are a resource");
    STR_IS(useless("a => resources/*:x|completion/complete:x; a => resource:x", NULL, p), "r2",
           "entries of subscriptions/listen are resources/subscribe");
    STR_IS(useless("a => resources/read:x|completion/complete:x; a => resource:x", NULL, p), "",
           "but not of what is left out");
    STR_IS(useless("a => subscriptions/listen; a => subscriptions/listen:ui://a", NULL, p), "",
           "subscriptions/listen alone allows no entries of it");
    STR_IS(useless("a => tool:*; a => tools/call", NULL, p), "r2", "any tool is tools/call");
    STR_IS(useless("a => resources/subscribe:*; a => resources/subscribe|GET", NULL, p), "r1",
           "not where the method may come without an object");
    STR_IS(useless("a => tools/*; a => tool:x|tools/call:*", NULL, p), "r2", "a method is all its objects");
    STR_IS(useless("a => resources/*; a => resource:x", NULL, p), "", "not those that other methods touch");
    STR_IS(useless("a => ping|GET; * => tools/list; a => tools/list|GET", NULL, p), "r3",
           "by the union of other rules");
    STR_IS(useless("a => initialize|ping|server/discover|notifications/*; b => logging/setLevel|response|GET|DELETE|"
                   "subscriptions/listen; a b => @session",
                   NULL, p),
           "r3", "group by group");
    STR_IS(useless("a => ping; b => GET; c => ping|GET", "c>a|c>b", p), "r3", "by what its value implies");
    STR_IS(useless("a => ping; c => ping", "c>b|b>a", p), "r2", "transitively");
    STR_IS(useless("a => ping; c => ping", "a>c", p), "r1", "not by what implies it");
    STR_IS(useless("a => ping; b => ping", "a>b|b>a", p), "r2", "of two that imply each other the later one");
    STR_IS(useless("a => *; a => @session|tool:x|acme/do", NULL, p), "r2", "by everything");
    STR_IS(useless("a => acme/*; a => acme/do; a => acme/do:x", NULL, p), "r2 r3",
           "methods of extensions as well; their objects are unknown, so nothing is allowed");
    STR_IS(useless("a => acme/do; a => acme/*", NULL, p), "r1", "in either order");
    STR_IS(useless("a => tools/list|tools/call; a => tools/*", NULL, p), "r1",
           "known methods are not all that a pattern stands for");
    STR_IS(useless("a => *; * => *", NULL, p), "r1", "everything for all");
    STR_IS(useless("a => GET; a => GET|DELETE; a => DELETE", NULL, p), "r1 r3",
           "what is left without the ones named means the same");
    STR_IS(
        remarks("* => initialize; a => ping; b => GET; a b => GET|ping", NULL, p),
        "r4: McpOAuthAllow \"a b\" is useless: whoever has its values may do all of that by r2: McpOAuthAllow a, r3: "
        "McpOAuthAllow b",
        "the rules that do it are named");
    STR_IS(remarks("a => tools/list:x|acme/do:*", NULL, p),
           "r1: McpOAuthAllow a allows nothing: none of its methods names an object", "a rule that allows nothing");
}

static void test_required(apr_pool_t *p)
{
    mcp_ruleset_t ruleset = ruleset_make("a => ping; b => ping; * => ping", NULL, "a", p);

    STR_IS(useless_of(&ruleset, p), "r2 r3", "a scope that every request needs is there");
    ruleset.required_count = 0;
    STR_IS(useless_of(&ruleset, p), "r1 r2", "not when rules name other claims");
    ruleset = ruleset_make("c => ping; * => ping", "a>c", "a", p);
    STR_IS(useless_of(&ruleset, p), "r2", "with what it implies");
}

static void test_unwanted(apr_pool_t *p)
{
    mcp_ruleset_t ruleset;

    STR_IS(remarks("b => initialize", "a>b|a>c|d>c", p),
           "McpOAuthImplies a c: nothing here asks for c, nor for anything that it implies",
           "a value that is implied and named nowhere, once");
    STR_IS(remarks("c => initialize", "a>b|b>c", p), "", "a step on the way is of use");
    STR_IS(remarks("c => initialize", "x>y|y>x", p),
           "McpOAuthImplies x y: nothing here asks for y, nor for anything that it implies|"
           "McpOAuthImplies y x: nothing here asks for x, nor for anything that it implies",
           "values that imply only each other");
    ruleset = ruleset_make("* => initialize", "a>b", "b", p);
    STR_IS(remarks_of(&ruleset, p), "", "what every request needs is of use");
    ruleset.required_count = 0;
    STR_IS(remarks_of(&ruleset, p), "", "also where rules name other claims");
    ruleset = ruleset_make("* => initialize", "a>b|b>c", NULL, p);
    ruleset.asked = list("c", p);
    STR_IS(remarks_of(&ruleset, p), "", "and what something else asks for");
}

/* --- against the rules themselves -------------------------------------------------------------------------------- */

static const char *const vocabulary[] = { "*",
                                          "@session",
                                          "@tools",
                                          "@resources",
                                          "@completion",
                                          "tools/call",
                                          "tools/*",
                                          "tools/call:x*",
                                          "tool:x",
                                          "tool:*",
                                          "tool:xy*",
                                          "resource:x",
                                          "resource:*",
                                          "resources/read",
                                          "resources/*:x",
                                          "resources/subscribe:x*",
                                          "resources/subscribe",
                                          "subscriptions/listen",
                                          "subscriptions/listen:x",
                                          "*:x",
                                          "*/call:*",
                                          "prompt:x",
                                          "completion/complete:x",
                                          "tasks/get:x",
                                          "*/get",
                                          "GET",
                                          "response",
                                          "ping",
                                          "ping:x",
                                          "acme/do",
                                          "acme/*",
                                          "p*" };
static const char *const sample_values[] = { "*", "a", "b", "c", "a b", "b c", "a b c" };
static const char *const sample_objects[] = { "", "x", "xy", "xyz", "y", "*" };

#define COUNT(array) ((int)(sizeof(array) / sizeof(*(array))))

static unsigned next(unsigned *seed, int below)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 16) % (unsigned)below;
}

/* Everything a message may ask for that could tell rulesets of this vocabulary apart. */
static apr_array_header_t *samples_make(apr_pool_t *p)
{
    apr_array_header_t *samples = apr_array_make(p, 256, sizeof(mcp_operation_t));
    static const char *const foreign[] = { "acme/do", "acme/other", "pong", "tools/other" };
    const mcp_method_t *method;
    mcp_operation_t verbs[] = { { .kind = MCP_OPERATION_GET },
                                { .kind = MCP_OPERATION_DELETE },
                                { .kind = MCP_OPERATION_RESPONSE } };

    for (int i = 0; i < COUNT(verbs); i++) {
        APR_ARRAY_PUSH(samples, mcp_operation_t) = verbs[i];
    }
    for (int i = 0; i < COUNT(foreign); i++) {
        mcp_operation_t operation = { .method = foreign[i] };

        APR_ARRAY_PUSH(samples, mcp_operation_t) = operation;
    }
    for (int i = 0; (method = mcp_method_at(i)); i++) {
        mcp_operation_t operation = { .method = method->name };

        if (method->operand == MCP_OPERAND_NONE || method->operand == MCP_OPERAND_LISTEN || method->gone) {
            APR_ARRAY_PUSH(samples, mcp_operation_t) = operation;
        }
        for (int j = 0; j < COUNT(sample_objects); j++) {
            operation.object = sample_objects[j];
            for (int kind = MCP_OBJECT_TOOL; kind <= MCP_OBJECT_TASK; kind++) {
                operation.object_kind = (mcp_object_t)kind;
                if (method->object == operation.object_kind ||
                    (method->operand == MCP_OPERAND_REF &&
                     (kind == MCP_OBJECT_RESOURCE || kind == MCP_OBJECT_PROMPT))) {
                    APR_ARRAY_PUSH(samples, mcp_operation_t) = operation;
                }
                if (method->object == operation.object_kind &&
                    (!strcmp(method->name, "resources/subscribe") || !strcmp(method->name, "tasks/get"))) {
                    operation.via = "subscriptions/listen";
                    APR_ARRAY_PUSH(samples, mcp_operation_t) = operation;
                    operation.via = NULL;
                }
            }
        }
    }
    return samples;
}

/* One character per holder and sample: may he? Leaves the rules named in without out. */
static const char *verdicts(const mcp_ruleset_t *ruleset, const char *without, const apr_array_header_t *samples,
                            apr_pool_t *p)
{
    static const char *const holders[] = { "", "a", "b", "c", "a|b", "a|c", "b|c", "a|b|c" };
    char *text = apr_pcalloc(p, (apr_size_t)(COUNT(holders) * samples->nelts) + 1), *out = text;
    mcp_scopes_t *scopes = mcp_scopes_create(p);
    mcp_acl_t *acl = mcp_acl_create(scopes, p);

    for (int i = 0; ruleset->implications && i < ruleset->implications->nelts; i++) {
        const mcp_implication_t *implication = &APR_ARRAY_IDX(ruleset->implications, i, mcp_implication_t);

        mcp_scopes_imply(scopes, implication->value, implication->implied);
    }
    for (int i = 0; i < ruleset->rules->nelts; i++) {
        const mcp_rule_t *rule = &APR_ARRAY_IDX(ruleset->rules, i, mcp_rule_t);

        if (!strstr(apr_pstrcat(p, " ", without, " ", NULL), apr_pstrcat(p, " ", rule->place, " ", NULL))) {
            mcp_acl_allow(acl, rule->values, rule->operations);
        }
    }
    mcp_scopes_close(scopes, p);
    for (int i = 0; i < COUNT(holders); i++) {
        mcp_valueset_t held;

        mcp_scopes_collect(&held, scopes, list(holders[i], p), p);
        for (int j = 0; j < samples->nelts; j++) {
            const mcp_operation_t *operation = &APR_ARRAY_IDX(samples, j, mcp_operation_t);

            *out++ = mcp_acl_check(NULL, acl, &held, operation, 1, p) == MCP_OK ? '1' : '0';
        }
    }
    return text;
}

/* Does what is listed as not reached agree with what somebody who has every value may do? */
static int unreached_agrees(const mcp_ruleset_t *ruleset, const char *all, const apr_array_header_t *samples,
                            apr_pool_t *p)
{
    const char *list_text =
        apr_pstrcat(p, "|", apr_array_pstrcat(p, mcp_explain_unreached(ruleset, p), '|'), "|", NULL);
    const char *everybody = all + strlen(all) - samples->nelts;

    for (int i = 0; i < samples->nelts; i++) {
        const mcp_operation_t *operation = &APR_ARRAY_IDX(samples, i, mcp_operation_t);
        const char *name = operation->kind == MCP_OPERATION_GET      ? "GET"
                           : operation->kind == MCP_OPERATION_DELETE ? "DELETE"
                           : operation->kind                         ? "response"
                                                                     : operation->method;
        int none = strstr(list_text, apr_psprintf(p, "|%s|", name)) != NULL;
        int some = strstr(list_text, apr_psprintf(p, "|%s (only some: ", name)) != NULL;
        const mcp_method_t *known = operation->kind ? NULL : mcp_method_find(name);
        int plain = known && known->operand != MCP_OPERAND_NONE && known->operand != MCP_OPERAND_LISTEN &&
                    !operation->object; /* what is gone, without its object */

        if (operation->via || (!operation->kind && !known) || plain) {
            continue;
        }
        if (everybody[i] == '1' ? none : !none && !some) {
            printf("# %s %s\n", name, operation->object ? operation->object : "");
            return 0;
        }
    }
    return 1;
}

static void test_agreement(apr_pool_t *p)
{
    const apr_array_header_t *samples = samples_make(p);
    int wrong = 0, found = 0, disagree = 0;
    unsigned seed = 42;

    for (int round = 0; round < 300; round++) {
        const char *rules = "", *left, *all;
        mcp_ruleset_t ruleset;
        apr_pool_t *q;

        apr_pool_create(&q, p);
        for (int i = 0, n = 2 + (int)next(&seed, 5); i < n; i++) {
            const char *values = sample_values[next(&seed, COUNT(sample_values))];
            const char *first = vocabulary[next(&seed, COUNT(vocabulary))];

            rules = apr_pstrcat(q, rules, i ? "; " : "", values, " => ", first, "|",
                                vocabulary[next(&seed, COUNT(vocabulary))], NULL);
        }
        ruleset = ruleset_make(rules, next(&seed, 2) ? "a>b|c>a" : next(&seed, 2) ? "a>b|b>a" : NULL, NULL, q);
        left = useless_of(&ruleset, q);
        all = verdicts(&ruleset, "", samples, q);
        found += *left != '\0';
        if (strcmp(all, verdicts(&ruleset, left, samples, q))) {
            printf("# %s without %s\n", rules, left);
            wrong++;
        }
        if (!unreached_agrees(&ruleset, all, samples, q)) {
            printf("# %s\n", rules);
            disagree++;
        }
        apr_pool_destroy(q);
    }
    OK(found > 50, "among 300 sets of rules some have useless ones (%d)", found);
    OK(!wrong, "without what is called useless, every verdict is the same");
    OK(!disagree, "what is called not reached is what the rules refuse to everybody");
}

static void test_many(apr_pool_t *p)
{
    apr_array_header_t *rules = apr_array_make(p, 2000, sizeof(mcp_rule_t));
    mcp_ruleset_t ruleset = { .rules = rules };

    for (int i = 0; i < 2000; i++) {
        mcp_rule_t *rule = apr_array_push(rules);

        rule->values = apr_psprintf(p, "v%d", i % 500);
        rule->operations = list(apr_psprintf(p, "tool:%d|resource:file:///%d/*", i, i), p);
        rule->place = NULL;
    }
    OK(mcp_explain_rights(&ruleset, p)->nelts == 500 && mcp_explain_remarks(&ruleset, p)->nelts == 1,
       "two thousand rules are explained as well");
}

static void test(apr_pool_t *p)
{
    test_rights(p);
    test_clean(p);
    test_unreached(p);
    test_door(p);
    test_useless(p);
    test_required(p);
    test_unwanted(p);
    test_agreement(p);
    test_many(p);
}
