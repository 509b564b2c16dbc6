#include "base/jsoncheck.h"
#include "policy/lists.h"

#include <apr_tables.h>
#include <stdlib.h>
#include <time.h>

#include "base/limits.h"
#include "member.h"
#include "tap.h"

#define SIZE(array) ((int)(sizeof(array) / sizeof(*(array))))

static mcp_scopes_t *scopes;

/* The words of text as an array of const char *. */
static apr_array_header_t *words(const char *text, apr_pool_t *p)
{
    apr_array_header_t *all = apr_array_make(p, 4, sizeof(const char *));
    char *last, *word = apr_strtok(apr_pstrdup(p, text), " ", &last);

    for (; word; word = apr_strtok(NULL, " ", &last)) {
        APR_ARRAY_PUSH(all, const char *) = word;
    }
    return all;
}

static const mcp_acl_t *acl_make(apr_pool_t *p)
{
    mcp_acl_t *acl;

    scopes = mcp_scopes_create(p);
    acl = mcp_acl_create(scopes, p);
    mcp_acl_allow(acl, "*", words("@session tools/list prompts/list resources/list", p));
    mcp_acl_allow(
        acl, "read",
        words("tools/call:add tools/call:get_* tool:\xC3\xA9t\xC3\xA9 resource:file:///docs/* prompts/get:hello", p));
    mcp_acl_allow(acl, "write", words("tools/* completion/complete tasks/*", p));
    mcp_acl_allow(acl, "hooks", words("tools/call:16", p));
    mcp_acl_allow(acl, "all", words("*", p));
    mcp_scopes_close(scopes, p);
    return acl;
}

static mcp_viewer_t viewer(const mcp_acl_t *acl, const char *held, int discover, apr_pool_t *p)
{
    mcp_viewer_t made = { acl, NULL, discover };
    mcp_valueset_t *set = apr_palloc(p, sizeof(*set));

    mcp_scopes_collect(set, scopes, words(held, p), p);
    made.held = set;
    return made;
}

static const mcp_acl_t *rules;

static const char *filter_bytes(const char *data, apr_size_t len, const char *held, int discover, apr_pool_t *p)
{
    mcp_viewer_t who = viewer(rules, held, discover, p);
    /* A copy of exactly that size, so that a sanitizer sees a read behind it. */
    char *copy = malloc(len ? len : 1);
    const char *out, *text;
    apr_size_t out_len;
    mcp_status_t status;

    memcpy(copy, data, len);
    status = mcp_lists_filter(&out, &out_len, copy, len, &who, p);
    if (status != MCP_OK) {
        text = status == MCP_LIST_UNREADABLE && !out && !out_len ? "unreadable" : "another status";
    }
    else if (out == copy) {
        text = out_len == len ? "same" : "same, of another length";
    }
    else {
        text = apr_pstrmemdup(p, out, out_len);
    }
    free(copy);
    return text;
}

static const char *filter(const char *data, const char *held, apr_pool_t *p)
{
    return filter_bytes(data, strlen(data), held, 0, p);
}

static const char *discover(const char *data, const char *held, apr_pool_t *p)
{
    return filter_bytes(data, strlen(data), held, 1, p);
}

/* A result with these tools. */
static const char *tools(const char *elements, apr_pool_t *p)
{
    return apr_pstrcat(p, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"tools\":[", elements, "]}}", NULL);
}

#define ADD "{\"name\":\"add\"}"
#define GET "{\"name\":\"get_x\"}"
#define DEL "{\"name\":\"delete\"}"
#define BAD "{\"name\":\"bad\"}"

static void cuts(apr_pool_t *p)
{
    static const char *const cases[][2] = {
        { DEL "," ADD "," GET, ADD "," GET },
        { ADD "," DEL "," GET, ADD "," GET },
        { ADD "," GET "," DEL, ADD "," GET },
        { DEL "," BAD "," ADD, ADD },
        { ADD "," BAD "," DEL, ADD },
        { ADD "," BAD "," DEL "," GET, ADD "," GET },
        { DEL "," ADD "," BAD "," GET "," DEL, ADD "," GET },
        { DEL "," ADD "," DEL, ADD },
        { DEL, "" },
        { DEL "," BAD "," DEL, "" },
        { " " DEL " ", "  " },
        { "\n  " ADD ",\n  " DEL "\n", "\n  " ADD "\n" },
        { "\n  " DEL ",\n  " ADD "\n", "\n  " ADD "\n" },
        { "\n  " ADD " ,\n  " DEL "\t,\r\n  " GET "\n", "\n  " ADD "\t,\r\n  " GET "\n" },
        { "\n  " DEL " ,\n  " BAD "\n", "\n  \n" },
        { "\n  {\n    \"name\" : \"delete\"\n  },\n  {\n    \"name\" : \"add\"\n  }\n",
          "\n  {\n    \"name\" : \"add\"\n  }\n" },
    };
    static const char *const same[] = { "", " ", ADD, ADD "," GET, "\n  " ADD "\n,\n" GET "\n" };

    for (int i = 0; i < SIZE(cases); i++) {
        STR_IS(filter(tools(cases[i][0], p), "read", p), tools(cases[i][1], p), "B13 LST-4 cut out of [%s]",
               cases[i][0]);
    }
    for (int i = 0; i < SIZE(same); i++) {
        STR_IS(filter(tools(same[i], p), "read", p), "same", "LST-4 nothing cut out of [%s]", same[i]);
    }
}

/* Every choice among six elements, in two layouts: what is left is what was allowed, in its order. */
static void choices(apr_pool_t *p)
{
    static const char *const commas[] = { ",", " ,\n  " };
    int ok = 1;

    for (int bits = 0; bits < 128; bits++) {
        const char *list = "", *left = "", *found;
        const char *comma = commas[bits >> 6];
        mcp_span_t span, key, value;
        mcp_jsonwalk_t walk;

        for (int i = 0; i < 6; i++) {
            const char *name = apr_psprintf(p, "{\"name\":\"%s%d\"}", bits >> i & 1 ? "get_" : "no", i);

            list = apr_pstrcat(p, list, i ? comma : "", name, NULL);
            left = bits >> i & 1 ? apr_pstrcat(p, left, name, NULL) : left;
        }
        found = filter(tools(list, p), "read", p);
        if (!strcmp(found, "same")) {
            found = tools(list, p);
        }
        ok &= mcp_jsoncheck_grammar(&span, found, strlen(found), 16, NULL) && member_find(&value, span, "result") &&
              member_find(&span, value, "tools") && mcp_jsonwalk_open(&walk, span, NULL) == '[';
        for (found = ""; mcp_jsonwalk_next(&key, &value, &walk);) {
            found = apr_pstrcat(p, found, apr_pstrmemdup(p, value.text, value.len), NULL);
        }
        ok &= !strcmp(found, left);
    }
    OK(ok, "LST-4 any choice among six elements leaves valid JSON and the order");
}

static void kinds(apr_pool_t *p)
{
    STR_IS(filter("{\"result\":{\"resources\":[{\"uri\":\"file:///docs/a\",\"name\":\"x\"},{\"uri\":\"file:///etc/"
                  "passwd\",\"name\":\"add\"}],"
                  "\"nextCursor\":\"c\"},\"id\":\"7\",\"jsonrpc\":\"2.0\"}",
                  "read", p),
           "{\"result\":{\"resources\":[{\"uri\":\"file:///docs/"
           "a\",\"name\":\"x\"}],\"nextCursor\":\"c\"},\"id\":\"7\",\"jsonrpc\":\"2.0\"}",
           "B13 resources by uri, not by name");
    STR_IS(filter("{\"result\":{\"prompts\":[{\"name\":\"hello\"},{\"name\":\"add\"}]}}", "read", p),
           "{\"result\":{\"prompts\":[{\"name\":\"hello\"}]}}", "B13 prompts by prompts/get, not by tools/call");
    STR_IS(filter("{\"result\":{\"tools\":[{\"name\":\"hello\"},{\"name\":\"add\"}]}}", "read", p),
           "{\"result\":{\"tools\":[{\"name\":\"add\"}]}}", "B13 tools by tools/call, not by prompts/get");
    STR_IS(filter("{\"result\":{\"resourceTemplates\":[{\"uriTemplate\":\"file:///docs/"
                  "{name}\"},{\"uriTemplate\":\"file:///{+path}\"},"
                  "{\"uriTemplate\":\"https://{host}/\"},{\"uriTemplate\":\"{any}\"},{\"uriTemplate\":\"file:///etc/"
                  "{x}\"}]}}",
                  "read", p),
           "{\"result\":{\"resourceTemplates\":[{\"uriTemplate\":\"file:///docs/{name}\"},{\"uriTemplate\":\"file:///"
           "{+path}\"},"
           "{\"uriTemplate\":\"{any}\"}]}}",
           "B13 templates stay that can become an allowed URI");
    STR_IS(filter("{\"result\":{\"tools\":[" ADD "," DEL "],\"prompts\":[" ADD
                  "],\"resources\":[],\"resourceTemplates\":[{\"uriTemplate\":\"x:y\"}]}}",
                  "read", p),
           "{\"result\":{\"tools\":[" ADD "],\"prompts\":[],\"resources\":[],\"resourceTemplates\":[]}}",
           "several lists at once");
    STR_IS(filter("{\"result\":{\"tools\":[" DEL "," ADD "]}}", "", p), "{\"result\":{\"tools\":[]}}",
           "B13 what needs more scopes is hidden too");
    STR_IS(filter("{\"result\":{\"tools\":[" DEL "," ADD "]}}", "write", p), "same",
           "LST-1 another token sees other lists");
    STR_IS(filter("{\"result\":{\"resources\":[{\"uri\":\"x:y\"}],\"tools\":[" DEL "]}}", "all", p), "same",
           "CNF-1 who may do all sees all");
    STR_IS(filter("{\"result\":{\"tasks\":[{\"taskId\":\"1\"}]}}", "", p), "same", "tasks are not judged");
    STR_IS(filter("{\"result\":{\"tools\":null,\"resources\":null}}", "read", p), "same", "a list of null");
}

static void names(apr_pool_t *p)
{
    static const char *const cut[] = {
        "{}",
        "{\"title\":\"add\"}",
        "{\"name\":1}",
        "{\"name\":null}",
        "{\"name\":[\"add\"]}",
        "{\"name\":{\"name\":\"add\"}}",
        "null",
        "1",
        "\"add\"",
        "[]",
        "[" ADD "]",
        "[\"name\",\"add\"]",
        "{\"name\":\"add\",\"name\":\"add\"}",
        "{\"name\":\"add\",\"na\\u006de\":\"delete\"}",
        "{\"name\":\"add\",\"Name\":\"delete\"}",
        "{\"NAME\":\"add\"}",
        "{\"Name\":\"x\",\"name\":\"add\"}",
        "{\"name\":\"add\\u0000\"}",
        "{\"name\":\"add\\ud800\"}",
        "{\"name\":\"add\xFF\"}",
        "{\"name\":\"\\u0000add\"}",
        "{\"name\":\"add\",\"name\\u0000\":\"delete\"}",
        "{\"name\":\"Add\"}",
        "{\"name\":\"add \"}",
        "{\"name\":\"\"}",
        "{\"x\":{\"name\":\"add\"}}",
    };
    static const char *const kept[] = {
        "{\"na\\u006de\":\"add\"}",
        "{\"name\":\"\\u0061dd\"}",
        "{\"name\":\"\\u00e9t\xC3\xA9\"}",
        "{\"x\":{\"name\":\"delete\"},\"name\":\"add\"}",
        "{\"name\":\"add\",\"inputSchema\":{\"Name\":1,\"name\":2,\"name\":3}}",
        "{\"name\":\"add\",\"description\":\"\\ud800 \\u0000 \xFF\"}",
        "{\"name\" : \"add\" , \"names\" : 1}",
        "{\"name\":\"add\",\"annotations\":{\"tools\":[" DEL "]}}",
    };
    char *name = apr_palloc(p, MCP_LIMIT_NAME + 2);

    for (int i = 0; i < SIZE(cut); i++) {
        STR_IS(filter(tools(apr_pstrcat(p, ADD ",", cut[i], NULL), p), "read", p), tools(ADD, p),
               "B13 ACL-8 is cut out: %s", cut[i]);
    }
    for (int i = 0; i < SIZE(kept); i++) {
        STR_IS(filter(tools(apr_pstrcat(p, DEL ",", kept[i], NULL), p), "read", p), tools(kept[i], p),
               "stays byte for byte: %s", kept[i]);
    }
    STR_IS(filter(tools("{\"name\":\"x\",\"na\xC5\xBF"
                        "e\":1},{\"uri\":1,\"name\":\"add\",\"URI\":2}",
                        p),
                  "read", p),
           tools("{\"uri\":1,\"name\":\"add\",\"URI\":2}", p), "only the member that is judged must be clear");
    STR_IS(filter("{\"result\":{\"resources\":[{\"uri\":\"file:///docs/a\",\"\xC5\xBFuri\":1},{\"uri\":\"file:///docs/"
                  "b\",\"Uri\":\"x\"}]}}",
                  "read", p),
           "{\"result\":{\"resources\":[{\"uri\":\"file:///docs/a\",\"\xC5\xBFuri\":1}]}}", "the same for a uri");
    memset(name, 'n', MCP_LIMIT_NAME + 1);
    memcpy(name, "get_", 4);
    name[MCP_LIMIT_NAME] = '\0';
    STR_IS(filter(tools(apr_pstrcat(p, "{\"name\":\"", name, "\"}", NULL), p), "read", p), "same",
           "a name of MCP_LIMIT_NAME bytes");
    name[MCP_LIMIT_NAME] = 'n';
    name[MCP_LIMIT_NAME + 1] = '\0';
    STR_IS(filter(tools(apr_pstrcat(p, "{\"name\":\"", name, "\"}", NULL), p), "read", p), tools("", p),
           "B09 a name of one byte more is cut out");
    STR_IS(filter(apr_pstrcat(p, "{\"result\":{\"resourceTemplates\":[{\"uriTemplate\":\"file:///docs/", name, "\"}]}}",
                              NULL),
                  "read", p),
           "{\"result\":{\"resourceTemplates\":[]}}", "B09 and so is a template");
}

static void scope_hints(apr_pool_t *p)
{
    static const char *const forms[][2] = {
        { "\"public\"", "\"private\"" },
        { "\"Private\"", "\"private\"" },
        { "\"private \"", "\"private\"" },
        { "null", "\"private\"" },
        { "1", "\"private\"" },
        { "{\"a\":[]}", "\"private\"" },
        { "\"\"", "\"private\"" },
        { "\"private\\u0000\"", "\"private\"" },
        { "[\"private\"]", "\"private\"" },
        { "\"pub\\u006cic\"", "\"private\"" },
    };

    for (int i = 0; i < SIZE(forms); i++) {
        const char *before =
            apr_psprintf(p, "{\"result\":{\"tools\":[" ADD "],\"cacheScope\" : %s ,\"ttlMs\":5}}", forms[i][0]);
        const char *after =
            apr_psprintf(p, "{\"result\":{\"tools\":[" ADD "],\"cacheScope\" : %s ,\"ttlMs\":5}}", forms[i][1]);

        STR_IS(filter(before, "read", p), after, "LST-2 LST-3 cacheScope %s, also when nothing is cut", forms[i][0]);
    }
    STR_IS(filter("{\"result\":{\"tools\":[" ADD "],\"cacheScope\":\"private\"}}", "read", p), "same",
           "LST-2 private stays");
    STR_IS(filter("{\"result\":{\"tools\":[" ADD "],\"cacheScope\":\"priv\\u0061te\"}}", "read", p), "same",
           "LST-2 however it is written");
    STR_IS(
        filter("{\"result\":{\"cacheScope\":\"public\",\"tools\":[" DEL "," ADD "],\"nextCursor\":\"2\"}}", "read", p),
        "{\"result\":{\"cacheScope\":\"private\",\"tools\":[" ADD "],\"nextCursor\":\"2\"}}", "LST-2 before the list");
    STR_IS(filter("{\"result\":{\"cacheScope\":\"public\",\"tools\":[],\"cache\\u0053cope\":\"public\",\"CacheScope\":"
                  "\"public\"}}",
                  "read", p),
           "{\"result\":{\"cacheScope\":\"private\",\"tools\":[],\"cache\\u0053cope\":\"private\",\"CacheScope\":"
           "\"private\"}}",
           "LST-2 whichever of them a client reads");
    STR_IS(filter("{\"result\":{\"tools\":null,\"cacheScope\":\"public\"}}", "read", p),
           "{\"result\":{\"tools\":null,\"cacheScope\":\"private\"}}",
           "LST-2 every page of a list, also one without elements");
    STR_IS(filter("{\"result\":{\"contents\":[],\"cacheScope\":\"public\"}}", "read", p), "same",
           "LST-4 not beside what is no list");
    STR_IS(filter("{\"result\":{\"capabilities\":{},\"cacheScope\":\"public\"}}", "read", p), "same",
           "nor beside capabilities that are not filtered");
    STR_IS(filter("{\"result\":{\"tools\":[],\"_meta\":{\"cacheScope\":\"public\"}},\"cacheScope\":\"public\"}", "read",
                  p),
           "same", "LST-5 nor elsewhere");
    STR_IS(filter("{ \"jsonrpc\":\"2.0\", \"id\":1.0, \"result\": {\"_meta\" : {\"a\":[ 1,2 "
                  "],\"io.x/y\":\"\\u00e9\"},\"resultType\":\"complete\","
                  "\"ttlMs\":3e5,\"tools\":[" DEL "],\"nextCursor\":\"\\/\",\"x\":{\"tools\":[" DEL "]}}} \n",
                  "read", p),
           "{ \"jsonrpc\":\"2.0\", \"id\":1.0, \"result\": {\"_meta\" : {\"a\":[ 1,2 "
           "],\"io.x/y\":\"\\u00e9\"},\"resultType\":\"complete\","
           "\"ttlMs\":3e5,\"tools\":[],\"nextCursor\":\"\\/\",\"x\":{\"tools\":[" DEL "]}}} \n",
           "LST-4 LST-5 ttlMs, resultType, _meta, nextCursor and unknown members stay byte for byte");
}

static void untouched(apr_pool_t *p)
{
    static const char *const texts[] = {
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"content\":[],\"structuredContent\":{\"tools\":[" DEL
        "],\"cacheScope\":\"public\"}}}",
        "{\"result\":{\"structuredContent\":{\"result\":{\"tools\":[" DEL "]}}}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32601,\"message\":\"x\",\"data\":{\"tools\":[" DEL "]}}}",
        "{\"id\":1,\"error\":{\"result\":{\"tools\":[" DEL "]}}}",
        "{\"method\":\"notifications/x\",\"params\":{\"tools\":[" DEL "],\"result\":{\"tools\":[" DEL "]}}}",
        "{\"id\":1,\"method\":\"sampling/createMessage\",\"params\":{\"tools\":[" DEL "]}}",
        "{\"tools\":[" DEL "]}",
        "{\"result\":null}",
        "{\"result\":\"tools\"}",
        "{\"result\":{}}",
        "{\"result\":{\"messages\":[" DEL "]}}",
        "{\"result\":{\"capabilities\":{\"tools\":{},\"tasks\":{}}}}",
        "[]",
        "{}",
        "1",
        "null",
        "\"tools\"",
        "[1,\"result\",null,{}]",
        " \n{}\t",
    };

    for (int i = 0; i < SIZE(texts); i++) {
        STR_IS(filter(texts[i], "", p), "same", "LST-4 untouched: %s", texts[i]);
    }
}

static void batches(apr_pool_t *p)
{
    STR_IS(filter("[{\"id\":1,\"result\":{\"tools\":[" DEL "," ADD
                  "]}} ,\n{\"id\":2,\"error\":{\"code\":1}},{\"id\":3,\"result\":{\"cacheScope\":\"public\","
                  "\"prompts\":[" ADD "]}},{\"method\":\"x\"}]",
                  "read", p),
           "[{\"id\":1,\"result\":{\"tools\":[" ADD
           "]}} ,\n{\"id\":2,\"error\":{\"code\":1}},{\"id\":3,\"result\":{\"cacheScope\":\"private\","
           "\"prompts\":[]}},{\"method\":\"x\"}]",
           "each message of a batch");
    STR_IS(filter("[{\"Result\":{}},{\"result\":{}}]", "read", p), "unreadable", "also the first");
    STR_IS(filter("[{\"id\":1,\"result\":{\"tools\":[" ADD "]}},{\"id\":1,\"result\":{},\"result\":{}}]", "read", p),
           "unreadable", "one that is unreadable is enough");
    STR_IS(filter("[{\"id\":1,\"result\":{\"tools\":[" DEL "]}},{\"id\":2,\"result\":{\"content\":[]}}]", "read", p),
           "[{\"id\":1,\"result\":{\"tools\":[]}},{\"id\":2,\"result\":{\"content\":[]}}]", "only lists of it are cut");
}

static void unreadable(apr_pool_t *p)
{
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "{}{}",
        "<html>",
        "{\"result\":{\"tools\":[NaN]}}",
        "{\"x\":NaN}",
        "{\"result\":{\"tools\":[" ADD ",]}}",
        "\xEF\xBB\xBF{}",
        "\xEF\xBB\xBF{\"result\":{\"tools\":[" DEL "]}}",
        "{'result':1}",
        "data: {}",
        "{\"result\":{\"tools\":[]},\"result\":{\"tools\":[" DEL "]}}",
        "{\"result\":{},\"res\\u0075lt\":{\"tools\":[" DEL "]}}",
        "{\"Result\":{\"tools\":[" DEL "]}}",
        "{\"result\":{},\"RESULT\":1}",
        "{\"re\xC5\xBFult\":{\"tools\":[" DEL "]}}",
        "{\"result\\u0000\":{\"tools\":[" DEL "]}}",
        "{\"result\xFF\":{\"tools\":[" DEL "]}}",
        "{\"result\":{\"tools\":[],\"tools\":[" DEL "]}}",
        "{\"result\":{\"tools\":[],\"too\\u006cs\":[" DEL "]}}",
        "{\"result\":{\"Tools\":[" DEL "]}}",
        "{\"result\":{\"tool\xC5\xBF\":[" DEL "]}}",
        "{\"result\":{\"tools\":[],\"TOOLS\":[]}}",
        "{\"result\":{\"resourcetemplates\":[]}}",
        "{\"result\":{\"Resources\":[]}}",
        "{\"result\":{\"PROMPTS\":[]}}",
        "{\"result\":{\"tools\\u0000\":[" DEL "]}}",
        "{\"result\":{\"\\ud800\":1}}",
        "{\"result\":{\"tools\":{}}}",
        "{\"result\":{\"tools\":{\"0\":" DEL "}}}",
        "{\"result\":{\"tools\":\"delete\"}}",
        "{\"result\":{\"tools\":1}}",
        "{\"result\":{\"tools\":true}}",
        "{\"result\":{\"prompts\":[],\"resources\":false}}",
        "{\"result\":{\"resourceTemplates\":\"\"}}",
    };
    char *open = apr_pcalloc(p, MCP_LIMIT_LIST_DEPTH + 1), *close = apr_pcalloc(p, MCP_LIMIT_LIST_DEPTH + 1);

    for (int i = 0; i < SIZE(texts); i++) {
        STR_IS(filter(texts[i], "all", p), "unreadable", "B13 unreadable: %s", texts[i]);
    }
    STR_IS(filter_bytes("{}\0", 3, "all", 0, p), "unreadable", "1.4 a raw NUL");
    STR_IS(filter("{\"result\":[{\"tools\":[" DEL "]}]}", "", p), "unreadable", "B13 a result that is no object");
    STR_IS(filter("[[{\"result\":{\"tools\":[" DEL "]}}]]", "", p), "unreadable", "B13 a batch within a batch");
    memset(open, '[', MCP_LIMIT_LIST_DEPTH);
    memset(close, ']', MCP_LIMIT_LIST_DEPTH);
    STR_IS(filter(apr_psprintf(p, "{\"a\":%s%s}", open, close), "all", p), "unreadable",
           "B05 one container deeper than allowed");
    STR_IS(filter(apr_psprintf(p, "{\"a\":%s%s}", open + 1, close + 1), "all", p), "same", "B05 as deep as allowed");
    STR_IS(filter("{\"result\":{\"tools\":[{\"name\":\"add\",\"inputSchema\":[[[[[[[[[[[[]]]]]]]]]]]]}," DEL "]}}",
                  "read", p),
           "{\"result\":{\"tools\":[{\"name\":\"add\",\"inputSchema\":[[[[[[[[[[[[]]]]]]]]]]]]}]}}",
           "a schema 16 deep");
}

#define DISCOVERED(capabilities, scope) \
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"resultType\":\"complete\",\"supportedVersions\":[\"2026-07-28\"]," \
    "\"capabilities\":" capabilities ",\"instructions\":\"x\",\"ttlMs\":1,\"cacheScope\":\"" scope "\"}}"
#define EVERYTHING \
    "{\"tools\":{\"listChanged\":true},\"resources\":{\"subscribe\":true},\"prompts\":{},\"completions\":{}," \
    "\"logging\":{},\"tasks\":{\"list\":{}}," \
    "\"experimental\":{\"tools\":{}},\"extensions\":{\"io.modelcontextprotocol/tasks\":{},\"io.modelcontextprotocol/" \
    "ui\":{}},\"x\":1}"

static void discoveries(apr_pool_t *p)
{
    STR_IS(discover(DISCOVERED(EVERYTHING, "public"), "all", p), DISCOVERED(EVERYTHING, "private"),
           "LST-2 who may do all sees all, in private");
    STR_IS(discover(DISCOVERED(EVERYTHING, "private"), "all", p), "same", "LST-2 private stays");
    STR_IS(discover(DISCOVERED("{\"completions\":{},\"tools\":{},\"tasks\":{},\"extensions\":{\"a\":1,\"io."
                               "modelcontextprotocol/tasks\":{}}}",
                               "private"),
                    "write", p),
           "same", "what something is allowed of stays");
    STR_IS(discover(DISCOVERED("{\"tasks\":{},\"tools\":{},\"experimental\":{\"tasks\":{}},\"extensions\":{\"a\":1 , "
                               "\"io.modelcontextprotocol/tasks\":{},"
                               "\"b\":{\"tasks\":1}},\"Tasks\":1}",
                               "public"),
                    "hooks", p),
           DISCOVERED("{\"tools\":{},\"experimental\":{\"tasks\":{}},\"extensions\":{\"a\":1,\"b\":{\"tasks\":1}}}",
                      "private"),
           "B13 tasks are hidden from whom no task is allowed, everywhere");
    STR_IS(
        discover(DISCOVERED(
                     "{\n \"prompts\":{},\n \"extensions\":{ \"io.modelcontextprotocol/tasks\":{} },\n \"tasks\":{}\n}",
                     "private"),
                 "hooks", p),
        DISCOVERED("{\n \"prompts\":{},\n \"extensions\":{  }\n}", "private"),
        "extensions of which none is left, the last one of an object");
    STR_IS(discover("{\"result\":{\"capabilities\":{\"logging\":{}}}}", "", p), "same",
           "a group counts (@session has logging/setLevel)");
    STR_IS(discover("{\"result\":{\"capabilities\":{\"completions\":{},\"com\\u0070letions\":{}},\"capabilities\":{"
                    "\"tasks\":{}},\"Capabilities\":{\"tasks\":{}}}}",
                    "", p),
           "{\"result\":{\"capabilities\":{},\"capabilities\":{},\"Capabilities\":{}}}",
           "whichever of them a client reads");
    STR_IS(discover("{\"result\":{\"contents\":{\"tasks\":{}},\"cacheScope\":\"public\"}}", "", p), "same",
           "LST-4 an object of another name");
    STR_IS(discover("{\"result\":{\"capabilities\":[\"tasks\"],\"cacheScope\":\"public\"}}", "", p), "same",
           "capabilities that are none");
    STR_IS(discover("{\"result\":{\"x\":{\"capabilities\":{\"tasks\":{}}}},\"capabilities\":{\"tasks\":{}}}", "", p),
           "same", "only those of the result");
    STR_IS(discover("{\"error\":{\"code\":-32022,\"data\":{\"capabilities\":{\"tasks\":{}}}}}", "", p), "same",
           "an error");
    STR_IS(filter("{\"result\":{\"tools\":[],\"capabilities\":{\"tasks\":{}}}}", "", p), "same",
           "beside a list neither");
    STR_IS(
        discover(
            "{\"result\":{\"capabilities\":{\"extensions\":{\"extensions\":{\"io.modelcontextprotocol/tasks\":{}}}}}}",
            "", p),
        "same", "extensions of extensions are none");
    STR_IS(discover("{\"result\":{\"capabilities\":{\"experimental\":{\"io.modelcontextprotocol/tasks\":{}}}}}", "", p),
           "same", "nor are those of another capability");
    STR_IS(discover("{\"result\":{\"capabilities\":{\"\\ud800\":{},\"tasks\":{}}}}", "", p),
           "{\"result\":{\"capabilities\":{\"\\ud800\":{}}}}", "a name that is no text is none of ours");
    STR_IS(filter(DISCOVERED(EVERYTHING, "public"), "", p), "same", "not without discover");
    STR_IS(discover("{\"result\":{\"tools\":[" DEL "," ADD "],\"capabilities\":{\"tasks\":{},\"a\":{}}}}", "read", p),
           "{\"result\":{\"tools\":[" ADD "],\"capabilities\":{\"a\":{}}}}", "lists beside capabilities");
}

/* The length of what is left, 0 when it took too long: over a second of CPU time and, on a slow machine or under a tool
 * that makes it slow, a hundred times what the check of the text alone takes. */
static apr_size_t quickly(const char **pout, const char *text, apr_size_t len, apr_pool_t *p)
{
    mcp_viewer_t who = viewer(rules, "read", 0, p);
    clock_t start = clock(), own, alone;
    apr_size_t out_len;
    mcp_span_t span;

    if (mcp_lists_filter(pout, &out_len, text, len, &who, p) != MCP_OK) {
        return 0;
    }
    own = clock() - start;
    start = clock();
    if (!mcp_jsoncheck_grammar(&span, text, len, 16, NULL)) {
        return 0;
    }
    alone = clock() - start;
    printf("# %ld ms, the check alone %ld ms\n", (long)own * 1000 / CLOCKS_PER_SEC,
           (long)alone * 1000 / CLOCKS_PER_SEC);
    return own < CLOCKS_PER_SEC || own < 100 * alone ? out_len : 0;
}

/* 2 MiB of tools, every other one refused. */
static void large(apr_pool_t *p)
{
    const apr_size_t size = 2 * 1024 * 1024, frame = strlen("{\"result\":{\"cacheScope\":\"private\",\"tools\":[]}}");
    char *text = apr_palloc(p, size + 512);
    apr_size_t len = (apr_size_t)apr_snprintf(text, 64, "{\"result\":{\"cacheScope\":\"public\",\"tools\":["), left = 0;
    const char *out = NULL;
    mcp_span_t span;
    int count = 0;

    for (; len < size; count++) {
        apr_size_t n =
            (apr_size_t)apr_snprintf(text + len, 128, "%s{\"name\":\"%s_%06d\",\"inputSchema\":{\"type\":\"object\"}}",
                                     count ? "," : "", count % 2 ? "no" : "get", count);

        left += count % 2 ? 0 : n;
        len += n;
    }
    len += (apr_size_t)apr_snprintf(text + len, 8, "]}}");
    OK(quickly(&out, text, len, p) == left + frame, "B09 2 MiB of tools, %d of them, in time", count);
    OK(mcp_jsoncheck_grammar(&span, out, left + frame, 8, NULL), "and what is left is JSON");
    for (apr_size_t i = 1; i + 1 < size; i += 2) {
        memcpy(text + i, "1,", 2);
    }
    memcpy(text, "{\"result\":{\"tools\":[ ", 21);
    memcpy(text + size - 5, "1 ]}}", 5);
    len = quickly(&out, text, size, p);
    OK(len && len < 64, "B09 a million elements that are none, in time");
}

static void test(apr_pool_t *p)
{
    rules = acl_make(p);
    cuts(p);
    choices(p);
    kinds(p);
    names(p);
    scope_hints(p);
    untouched(p);
    batches(p);
    unreadable(p);
    discoveries(p);
    large(p);
}
