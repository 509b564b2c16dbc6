#include "base/jsoncheck.h"
#include "base/jsontext.h"

#include <stdlib.h>
#include <time.h>

#include "member.h"
#include "suite.h"
#include "tap.h"

#define SIZE(array) ((int)(sizeof(array) / sizeof(*(array))))
/* A build without optimization, for coverage for instance, is slower. */
#ifdef __OPTIMIZE__
#define SECONDS_MAX 2
#else
#define SECONDS_MAX 20
#endif
#define CHECK(text) check((text), sizeof(text) - 1, 64)

/* A copy of exactly that size, so that a sanitizer sees a read behind it. */
static char *exact(const char *data, apr_size_t len)
{
    char *copy = malloc(len ? len : 1);

    memcpy(copy, data, len);
    return copy;
}

static int check(const char *data, apr_size_t len, int max_depth)
{
    mcp_span_t span = { NULL, 0 };
    char *copy = exact(data, len);
    int ok = mcp_jsoncheck_grammar(&span, copy, len, max_depth, NULL);

    if (ok && (!span.len || span.text < copy || span.text + span.len > copy + len || strchr(" \t\r\n", *span.text) ||
               strchr(" \t\r\n", span.text[span.len - 1]))) {
        ok = -1;
    }
    free(copy);
    return ok;
}

static void grammar(apr_pool_t *p)
{
    static const char *const good[] = {
        "{}",
        "[]",
        " [ ] ",
        "\t{\r\n}\n",
        "0",
        "-0",
        "10.50e+1",
        "1E-2",
        "true",
        "false",
        "null",
        "\"\"",
        "[1]",
        "[[],1]",
        "{\"a\":{}}",
        "{ \"a\" : 1 , \"\" : [ ] }",
        "1e9",
        "[0,0]",
        "[1e99999]",
        "\"\x7F\"",
        "1",
        "[{}]",
        "[[[]],{\"a\":[{}]}]",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00fF\"",
    };
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "[",
        "}",
        "]",
        "{]",
        "[}",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[,]",
        "[1 2]",
        "{} {}",
        "{}]",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "[NaN]",
        "NaN",
        "[-NaN]",
        "[Infinity]",
        "-Infinity",
        "[01]",
        "[+1]",
        "[1.]",
        "[.5]",
        "[1e]",
        "[1e+]",
        "[-]",
        "[0x1]",
        "[-01]",
        "[\"\\x\"]",
        "[\"\\u12G4\"]",
        "[\"\\u00:0\"]",
        "[\"\\u12\"]",
        "[\"a\tb\"]",
        "\"a",
        "\"a\\",
        "\"\\u00",
        "[1] //x",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\" 1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "{,}",
        "[\f1]",
        "tru",
        "truex",
        "nul",
        "[True]",
        "{\"a\":1]",
        "[1}",
        "[1,2",
        "1,",
        ",",
        ":",
        "[:]",
        "{\"a\":1,,}",
        "[1,,2]",
        "\"\n\"",
        "[\"\\",
        "{\"a",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,\"b",
        "1 1",
        "--1",
        "[\"\x1F\"]",
        "\"\x01\"",
        "[1]x",
        "\"\"\"\"",
        "[\"\\U0041\"]",
        "[\"\\ud83\"]",
        "1e1.5",
        "1.5.5",
    };

    for (int i = 0; i < SIZE(good); i++) {
        OK(check(good[i], strlen(good[i]), 64) == 1, "RPC-6 JSON: <%s>", good[i]);
    }
    for (int i = 0; i < SIZE(bad); i++) {
        OK(check(bad[i], strlen(bad[i]), 64) == 0, "RPC-6 no JSON: <%s>", bad[i]);
    }
    OK(!mcp_jsoncheck_grammar(NULL, NULL, 0, 64, NULL), "no bytes at all");
    OK(!CHECK("\xEF\xBB\xBF{}"), "RPC-6 a byte order mark is refused");
    OK(!CHECK("{}\0") && !CHECK("[1\0]") && !CHECK("[\"a\0b\"]") && !CHECK("\0{}"), "1.4 a raw NUL is refused");
    OK(!CHECK("\xFF\xFE{\0}\0") && !CHECK("[\xC2\xA0]"), "1.4 UTF-16, and white space that is none");
    OK(CHECK("[\"\\ud800\",\"\\u0000\",\"\xFF\xC0\xAF\",1e999,{\"a\":1,\"a\":2}]") == 1,
       "what is only odd passes: halves of characters, \\u0000, no UTF-8, huge numbers, duplicates");
}

/* Every beginning of a text is refused, and read no further than it goes. */
static void cut_off(apr_pool_t *p)
{
    static const char text[] =
        "{\"a\\u00e9\\n\":[1.5e-3,true,false,null,{\"b\":[[],{}]}, \"\\ud83d\\ude00\\\\\"] , \"c\":{ }}";
    int ok = 1;

    for (apr_size_t len = 0; len < sizeof(text) - 1; len++) {
        ok &= !check(text, len, 64);
    }
    OK(ok && CHECK(text) == 1, "no beginning of a text is a text");
}

static char *nest(apr_size_t *plen, int depth, apr_pool_t *p)
{
    char *text = apr_palloc(p, (apr_size_t)depth * 7 + 2), *s = text;

    for (int i = 0; i < depth; i++) {
        s = i % 2 ? memcpy(s, "{\"a\":", 5) : memcpy(s, "[", 1);
        s += i % 2 ? 5 : 1;
    }
    if (depth % 2 == 0) {
        *s++ = '1';
    }
    for (int i = depth; i-- > 0;) {
        *s++ = i % 2 ? '}' : ']';
    }
    *plen = (apr_size_t)(s - text);
    return text;
}

static int nested(int depth, int max_depth, apr_pool_t *p)
{
    apr_size_t len;
    char *text = nest(&len, depth, p);

    return check(text, len, max_depth);
}

static void depths(apr_pool_t *p)
{
    const apr_size_t count = 8 * 1024 * 1024;
    char *text = malloc(2 * count);
    mcp_span_t span;
    clock_t start;

    OK(nested(16, 16, p) == 1 && nested(16, 256, p) == 1, "16 deep");
    OK(nested(256, 256, p) == 1 && nested(257, 256, p) == 0, "B05 as deep as allowed, and one container deeper");
    OK(nested(1, 1, p) == 1 && nested(2, 1, p) == 0, "B05 the top-level container has depth 1");
    OK(CHECK("1") == 1 && check("1", 1, 0) == 1 && check("[]", 2, 0) == 0 && check("[]", 2, -1) == 0,
       "a scalar has no depth");
    OK(check("[[],[],{},{},[[]],[[]]]", 23, 3) == 1, "closed containers do not count");
    OK(nested(8 * MCP_JSONTEXT_DEPTH, 1 << 30, p) == 0, "B05 far beyond it");
    OK(nested(MCP_JSONTEXT_DEPTH, 1 << 30, p) == 1 && nested(MCP_JSONTEXT_DEPTH + 1, 1 << 30, p) == 0,
       "B05 there is an end to every depth");
    /* Which kind is open is known at each depth. */
    OK(!CHECK("[{\"a\":[{\"a\":[1}]}]") && !CHECK("[[[[[[[[{\"a\":1]]]]]]]]]") && !CHECK("[[[[[[[[[1}]]]]]]]]"),
       "each container ends with its own bracket");
    OK(CHECK("[{\"a\":[]},[],{\"a\":{}},[{}]]") == 1 && !CHECK("[{\"a\":1},\"b\":2]") && !CHECK("{\"a\":[1],2}"),
       "after a container the outer one goes on as it began");
    memset(text, '[', count);
    memset(text + count, ']', count);
    start = clock();
    OK(!mcp_jsoncheck_grammar(&span, text, 2 * count, 256, NULL), "B05 depth 8 million in 16 MiB");
    OK(clock() - start < CLOCKS_PER_SEC / 20, "B05 is refused at once");
    memset(text, '9', 2 * count);
    OK(mcp_jsoncheck_grammar(&span, text, 2 * count, 256, NULL) && span.len == 2 * count, "B09 a number of 16 MiB");
    memset(text, 'a', 2 * count);
    text[0] = text[2 * count - 1] = '"';
    start = clock();
    OK(mcp_jsoncheck_grammar(&span, text, 2 * count, 256, NULL) && span.len == 2 * count, "B09 a string of 16 MiB");
    OK(clock() - start < SECONDS_MAX * CLOCKS_PER_SEC, "B09 in reasonable time");
    for (apr_size_t i = 0; i < count; i++) {
        memcpy(text + 2 * i, "1,", 2);
    }
    text[0] = '[';
    text[2 * count - 1] = ']';
    text[1] = ' ';
    start = clock();
    OK(mcp_jsoncheck_grammar(&span, text, 2 * count, 256, NULL) && span.len == 2 * count, "B09 8 million elements");
    OK(clock() - start < SECONDS_MAX * CLOCKS_PER_SEC, "B09 in reasonable time as well");
    free(text);
}

static mcp_span_t span_of(const char *text)
{
    mcp_span_t span = { text, strlen(text) };

    return span;
}

/* What a walk finds, as key=value|... */
static const char *walked(const char *text, apr_pool_t *p)
{
    apr_size_t len = strlen(text);
    char *copy = exact(text, len);
    mcp_span_t whole = { copy, len }, key, value;
    mcp_jsonwalk_t walk;
    int type = mcp_jsonwalk_open(&walk, whole, NULL);
    char *found = apr_psprintf(p, "%c:", type ? type : '-');

    while (mcp_jsonwalk_next(&key, &value, &walk)) {
        found = apr_pstrcat(p, found, key.text ? apr_pstrmemdup(p, key.text, key.len) : "", key.text ? "=" : "",
                            apr_pstrmemdup(p, value.text, value.len), "|", NULL);
    }
    if (mcp_jsonwalk_next(NULL, &value, &walk)) {
        found = "goes on after its end";
    }
    free(copy);
    return found;
}

static void walks(apr_pool_t *p)
{
    static const char *const broken[] = { "",       "{\"",        "{\"id\"",           "{\"id\":",  "{\"id\": ",
                                          "{id:1}", "{\"\\ud800", "{\"x\"1,\"id\":1}", "{\"id\":}", "{,",
                                          "{\"x\\", "{1:2}",      "{\"a\" ]" };

    STR_IS(walked("{}", p), "{:", "an empty object");
    STR_IS(walked("[ ]", p), "[:", "an empty array");
    STR_IS(walked("{\"a\":1,\"b\":\"x\"}", p), "{:a=1|b=\"x\"|", "members");
    STR_IS(walked(" { \"a\" :\t[1, {\"b\":2}, \"]\"] ,\n\"\" : { \"x\":{} } }\n", p),
           "{:a=[1, {\"b\":2}, \"]\"]|={ \"x\":{} }|", "white space around is left out, inside it is kept");
    STR_IS(walked("[1 , \"a\\\"]\",[[],[]],{\"a\":[]} ,null]", p), "[:1|\"a\\\"]\"|[[],[]]|{\"a\":[]}|null|",
           "elements of all kinds");
    STR_IS(walked("[\"a\",\"b\"]", p), "[:\"a\"|\"b\"|", "strings in an array are no keys");
    STR_IS(walked("{\"\\\"}\\\\\":\"}\\\"\\\\\",\"\\u0061\":2}", p), "{:\\\"}\\\\=\"}\\\"\\\\\"|\\u0061=2|",
           "escapes, untouched");
    STR_IS(walked("{\"a\":1,\"a\":2}", p), "{:a=1|a=2|", "both of a member that stands twice");
    STR_IS(walked("\"{}\"", p), "-:", "a string is no container");
    STR_IS(walked("12", p), "-:", "nor is a number");
    STR_IS(walked("{\"\\ud800\":\"\\udfff\"}", p), "{:\\ud800=\"\\udfff\"|", "halves of characters");
    for (int i = 0; i < SIZE(broken); i++) {
        const char *found = walked(broken[i], p);

        OK(!strcmp(found, "-:") || !strcmp(found, "{:"), "a walk ends in broken text <%s>", broken[i]);
    }
}

/* The text of the member or element number at, without its white space, of what text[from..] holds. */
static mcp_span_t part(mcp_span_t container, int at, const mcp_jsonmap_t *map)
{
    mcp_jsonwalk_t walk;
    mcp_span_t value = { "", 0 };
    int i, more = mcp_jsonwalk_open(&walk, container, map) != 0;

    for (i = 0; i <= at && more; i++) {
        more = mcp_jsonwalk_next(NULL, &value, &walk);
    }
    return more ? value : (mcp_span_t){ "", 0 };
}

/* Long values at six levels, with short ones before and behind each; in the innermost a string of that length. */
static char *long_levels(apr_size_t string, apr_pool_t *p)
{
    char *letters = apr_palloc(p, string - 1), *text;

    memset(letters, 'x', string - 2);
    letters[string - 2] = '\0';
    text = apr_psprintf(p, "[\"%s\",{\"%s\":[]},2]", letters, "k");
    for (int i = 0; i < 4; i++) {
        text = apr_psprintf(p, i % 2 ? " [ {} , %s , [\"]\"] ] " : "{\"a\":[1,{}],\"b\": %s ,\"c\":\"}\"}", text);
    }
    return apr_psprintf(p, "{\"first\":\"%s\",\"second\":%s,\"third\":\"%s\"}", letters, text, letters);
}

/* With a map a walk finds the same, and does not read what the map steps over. */
static void maps(apr_pool_t *p)
{
    static const int path[] = { 1, 1, 1, 1, 1 };
    char *text = long_levels(256, p), *short_text = long_levels(20, p);
    apr_size_t len = strlen(text);
    mcp_jsonmap_t map = { .p = p }, none = { .p = p };
    mcp_span_t root, with, without;
    int i, same = 1;

    OK(mcp_jsoncheck_strict(&root, text, len, 16, &map) == MCP_OK && map.data == text && map.longs,
       "RPC-6 a map of a long text");
    OK(map.longs->nelts == 7, "the text, two strings, and what is around the third down to five levels");
    with = without = root;
    for (i = 0; i < SIZE(path); i++) {
        with = part(with, path[i], &map);
        without = part(without, path[i], NULL);
        same &= with.len > 256 && with.text == without.text && with.len == without.len;
    }
    OK(same && *with.text == '[' && part(with, 2, &map).text[0] == '2', "each level is found, and what is behind it");
    OK(part(root, 0, &map).len == 256 && part(root, 2, &map).len == 256 && !part(root, 3, &map).len,
       "so are strings of 256 bytes, before and behind");
    with = part(root, 1, &map);
    memset((char *)with.text + 1, '[', with.len - 2);
    OK(part(root, 1, &map).len == with.len && part(root, 2, &map).len == 256,
       "what is in a long value is not read again");
    OK(part(root, 1, NULL).len != with.len, "without the map it is");
    OK(mcp_jsoncheck_grammar(&root, short_text, strlen(short_text), 16, &none) && !none.longs,
       "a short text needs no map");
    short_text = apr_psprintf(p, "[%s,%s]", long_levels(20, p), long_levels(255, p));
    OK(mcp_jsoncheck_grammar(&root, short_text, strlen(short_text), 16, &none) && none.longs, "a long one does");
    for (i = 0, same = 1; i < none.longs->nelts; i++) {
        const mcp_jsonlong_t *value = &APR_ARRAY_IDX(none.longs, i, mcp_jsonlong_t);

        same &= value->end - value->begin >= 256 && short_text[value->begin] != '"' &&
                (!i || value[-1].begin < value->begin);
    }
    OK(same && i == 5, "in which all are long, in the order of the text");
    OK(part(root, 0, &none).len == part(root, 0, NULL).len && part(root, 1, &none).len == part(root, 1, NULL).len,
       "and short ones are stepped over as ever");
}

static const char *member(const char *data, const char *name, apr_pool_t *p)
{
    apr_size_t len = strlen(data);
    char *copy = exact(data, len);
    mcp_span_t object = { copy, len }, value;
    const char *text = member_find(&value, object, name) ? apr_pstrmemdup(p, value.text, value.len) : NULL;

    free(copy);
    return text;
}

static void members(apr_pool_t *p)
{
    const char *data = " { \"a\" :\t[1, {\"id\":\"no\"}, \"]\"] , \"s\":\"}\\\"\\\\\",\"\\u0069d\" : 12e+0 , \"o\":{ "
                       "\"x\":{} } ,\"t\":true}";

    STR_IS(member(data, "id", p), "12e+0", "the text of a member with an escaped name, as it was written");
    STR_IS(member(data, "a", p), "[1, {\"id\":\"no\"}, \"]\"]", "nested containers, brackets in strings");
    STR_IS(member(data, "s", p), "\"}\\\"\\\\\"", "a string with escapes");
    STR_IS(member(data, "o", p), "{ \"x\":{} }", "an object, white space inside kept");
    STR_IS(member(data, "t", p), "true", "the last member");
    OK(!member(data, "x", p) && !member(data, "ID", p) && !member(data, "i", p) && !member(data, "idd", p) &&
           !member(data, "", p),
       "absent, deeper, another case, a prefix, a longer name, the empty name");
    OK(!member("[\"id\",1]", "id", p) && !member("\"id\"", "id", p), "what is no object has no members");
    STR_IS(member("{\"\":1}", "", p), "1", "the empty name");
    STR_IS(member("{\"id\":18446744073709551617}", "id", p), "18446744073709551617", "digits are not lost");
    STR_IS(member("{\"id\":null}", "id", p), "null", "null is there");
    STR_IS(member("{\"\\u00e9\\u20AC\\uD83D\\ude00\\n\\/\\\"\":1}", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\n/\"", p),
           "1", "names of two, three and four bytes, short escapes");
    STR_IS(member("{\"\\b\\f\\r\\t\\\\\":1}", "\b\f\r\t\\", p), "1", "the other short escapes");
    STR_IS(member("{\"\xC3\xA9\":1}", "\xC3\xA9", p), "1", "raw UTF-8 in a name");
    STR_IS(member("{\"x\":[[],[[]],{\"a\":[]}],\"id\":\n2\r\n}", "id", p), "2", "white space around is left out");
    OK(!member("{\"id\\u0000\":1}", "id", p) && !member("{\"id\\ud800\":1}", "id", p), "nothing may follow the name");
}

static void strings(apr_pool_t *p)
{
    static const char *const none[] = { "\"\\u0000\"",
                                        "\"a\\u0000b\"",
                                        "\"\\ud800\"",
                                        "\"\\udc00\"",
                                        "\"\\ud83dx\"",
                                        "\"\\ud83d\\u0041\"",
                                        "\"\\ud800\\ud800\"",
                                        "\"\\ud83d\xED\xB8\x80\"",
                                        "\"\xC0\xAF\"",
                                        "\"\xC1\xBF\"",
                                        "\"\xED\xA0\x80\"",
                                        "\"\xF4\x90\x80\x80\"",
                                        "\"\xE0\x9F\xBF\"",
                                        "\"\xF0\x8F\xBF\xBF\"",
                                        "\"\xE2\x82\"",
                                        "\"\xE2\x82z\"",
                                        "\"\x80\"",
                                        "\"\xF5\x80\x80\x80\"",
                                        "\"a\xFF\"",
                                        "\"\xC3\"",
                                        "12",
                                        "null",
                                        "[\"a\"]",
                                        "{}",
                                        "\"",
                                        "" };

    STR_IS(mcp_jsontext_string(span_of("\"\""), p), "", "the empty string");
    STR_IS(mcp_jsontext_string(span_of("\"a b\""), p), "a b", "as it stands");
    STR_IS(mcp_jsontext_string(span_of("\"na\\u006de\\t\\\"\\/\""), p), "name\t\"/", "escapes");
    STR_IS(mcp_jsontext_string(span_of("\"\\uD83D\\uDE00\\u20ac\xE2\x82\xAC\xF4\x8F\xBF\xBF\xEE\x80\x80\""), p),
           "\xF0\x9F\x98\x80\xE2\x82\xAC\xE2\x82\xAC\xF4\x8F\xBF\xBF\xEE\x80\x80", "characters beyond ASCII");
    STR_IS(mcp_jsontext_key(span_of("\\u0072esult"), p), "result", "a key");
    STR_IS(mcp_jsontext_key(span_of(""), p), "", "the empty key");
    OK(!mcp_jsontext_key(span_of("a\\u0000"), p) && !mcp_jsontext_key(span_of("\\udfff"), p),
       "ACL-8 T21 a key with a NUL, or half a character");
    for (int i = 0; i < SIZE(none); i++) {
        OK(!mcp_jsontext_string(span_of(none[i]), p), "ACL-8 RPC-6 no string that the gate would take: <%s>", none[i]);
    }
    OK(mcp_jsontext_is(span_of("na\\u006de"), "name") && mcp_jsontext_is(span_of(""), ""), "keys are compared decoded");
    OK(!mcp_jsontext_is(span_of("nam"), "name") && !mcp_jsontext_is(span_of("names"), "name") &&
           !mcp_jsontext_is(span_of("Name"), "name") && !mcp_jsontext_is(span_of("name\\u0000"), "name") &&
           !mcp_jsontext_is(span_of("name\\"), "name"),
       "and in full");
}

static void skips(apr_pool_t *p)
{
    static const struct {
        const char *text;
        apr_size_t skipped;
    } cases[] = { { "\"a\"b", 3 },           { "\"\\\"\\\\\"", 6 }, { "\"\\ud83d\\ude00\"x", 14 },
                  { "\"\\ud83d\\\"\"", 10 }, { "\"\n\"", 3 },       { "\"abc", 4 },
                  { "\"ab\\", 4 },           { "\"\\\"", 3 },       { "\"", 1 } };

    for (int i = 0; i < SIZE(cases); i++) {
        apr_size_t len = strlen(cases[i].text);
        char *copy = exact(cases[i].text, len);

        OK(mcp_jsontext_skip(copy, copy + len) == copy + cases[i].skipped, "a string is stepped over: <%s>",
           cases[i].text);
        free(copy);
    }
}

static void matches(apr_pool_t *p)
{
    static const struct {
        const char *key, *name;
        int match;
    } cases[] = {
        { "method", "method", MCP_NAME_SAME },
        { "me\\u0074hod", "method", MCP_NAME_SAME },
        { "\\u006dethod", "method", MCP_NAME_SAME },
        { "Method", "method", MCP_NAME_VARIANT },
        { "METHOD", "method", MCP_NAME_VARIANT },
        { "\\u004dethod", "method", MCP_NAME_VARIANT },
        { "meth", "method", MCP_NAME_OTHER },
        { "methods", "method", MCP_NAME_OTHER },
        { "", "method", MCP_NAME_OTHER },
        { "xethod", "method", MCP_NAME_OTHER },
        { "param\xC5\xBF", "params", MCP_NAME_VARIANT },
        { "\xC5\xBF", "s", MCP_NAME_VARIANT },
        { "\xE2\x84\xAA", "k", MCP_NAME_VARIANT },
        { "\\u212a", "k", MCP_NAME_VARIANT },
        { "_META", "_meta", MCP_NAME_VARIANT },
        { "?meta", "_meta", MCP_NAME_OTHER },
        { "\xC3\xA9", "e", MCP_NAME_OTHER },
    };
    char long_key[1024];

    for (int i = 0; i < SIZE(cases); i++) {
        mcp_span_t key = { exact(cases[i].key, strlen(cases[i].key)), strlen(cases[i].key) };

        OK(mcp_jsontext_match(key, cases[i].name) == cases[i].match, "B02 <%s> and %s: %d", cases[i].key, cases[i].name,
           cases[i].match);
        free((char *)key.text);
    }
    memset(long_key, 'm', sizeof(long_key));
    OK(mcp_jsontext_match((mcp_span_t){ long_key, sizeof(long_key) }, "m") == MCP_NAME_OTHER,
       "a long key is another one");
}

static void judge_vector(const char *name, const char *data, apr_size_t len)
{
    int ok = check(data, len, 600);

    if (*name == 'y') {
        OK(ok == 1, "JSONTestSuite %s", name);
    }
    else if (*name == 'n') {
        OK(ok == 0, "JSONTestSuite %s", name);
    }
}

/* A number that ends where the text does. */
static void number_ends(apr_pool_t *p)
{
    static const char *const bad[] = { "-", "[-", "[1.", "[1e", "[1e+", "[-.", "+1", "-e1" };
    static const char *const good[] = { "0", "-0", "1.5", "1E5", "-1e-5" };

    for (int i = 0; i < SIZE(bad); i++) {
        OK(check(bad[i], strlen(bad[i]), 8) == 0, "no number: <%s>", bad[i]);
    }
    for (int i = 0; i < SIZE(good); i++) {
        OK(check(good[i], strlen(good[i]), 8) == 1, "a number, and nothing else: <%s>", good[i]);
    }
}

static void test(apr_pool_t *p)
{
    number_ends(p);
    grammar(p);
    cut_off(p);
    depths(p);
    walks(p);
    maps(p);
    members(p);
    strings(p);
    skips(p);
    matches(p);
    suite_judge(judge_vector, p);
}
