#include "base/json.h"
#include "base/limits.h"

#include <stdlib.h>
#include <time.h>

#include "suite.h"
#include "tap.h"

#define PARSE(json, text, p) mcp_json_parse(&(json), (text), sizeof(text) - 1, 64, (p))
#define IS(want, text, ...) OK(status_of((text), sizeof(text) - 1) == (want), __VA_ARGS__)

static mcp_status_t status_of(const char *data, apr_size_t len)
{
    json_t *json = (json_t *)1;
    mcp_status_t status = mcp_json_parse(&json, data, len, 64, NULL);

    if ((status == MCP_OK) != (json != NULL)) {
        return MCP_STATUS_COUNT;
    }
    json_decref(json);
    return status;
}

static void values(apr_pool_t *p)
{
    json_t *json;

    OK(PARSE(json, " {\"a\" : [1, true, null, \"x\"]}\r\n\t", p) == MCP_OK && json_is_object(json), "an object");
    OK(PARSE(json, "[]", p) == MCP_OK && json_is_array(json), "an array");
    OK(PARSE(json, "\"x\"", p) == MCP_OK && json_is_string(json), "a string alone");
    OK(PARSE(json, "-0.5e1", p) == MCP_OK && json_real_value(json) == -5.0, "a number alone");
    OK(PARSE(json, "null", p) == MCP_OK && json_is_null(json), "null alone");
    OK(PARSE(json, "\"\\uD83D\\uDE00\"", p) == MCP_OK && !strcmp(json_string_value(json), "\xF0\x9F\x98\x80"),
       "a surrogate pair is one character");
    OK(PARSE(json, "\"\\\"{[\\\\\"", p) == MCP_OK && !strcmp(json_string_value(json), "\"{[\\"),
       "escaped quotes and backslashes, brackets in strings");
    OK(mcp_json_parse(&json, "[[]]", 4, 2, NULL) == MCP_OK && json->refcount == 1, "without a pool it is the caller's");
    json_decref(json);
}

static void lifetime(apr_pool_t *p)
{
    apr_pool_t *sub;
    json_t *json;

    apr_pool_create(&sub, p);
    OK(PARSE(json, "{\"a\":1}", sub) == MCP_OK, "a value that lives in a pool");
    json_incref(json);
    apr_pool_destroy(sub);
    OK(json->refcount == 1, "the pool's reference goes with the pool");
    json_decref(json);
}

static void text(apr_pool_t *p)
{
    IS(MCP_JSON_TEXT, "{\"id\":1\0}", "1.4 NUL after a number, which jansson swallows");
    IS(MCP_JSON_TEXT, "[true\0]", "1.4 NUL after true");
    IS(MCP_JSON_TEXT, "{}\0", "1.4 NUL at the end");
    IS(MCP_JSON_TEXT, "[\"a\0b\"]", "1.4 NUL in a string");
    IS(MCP_JSON_TEXT, "[\"safe\\u0000evil\"]", "1.4 T21 \\u0000 in a value");
    IS(MCP_JSON_TEXT, "{\"a\\u0000b\":1}", "1.4 T21 \\u0000 in a name");
    IS(MCP_JSON_TEXT, "\xEF\xBB\xBF{}", "RPC-6 byte order mark");
    IS(MCP_JSON_TEXT, "[\"\xEF\xBB\xBF\", \"\\u0000\"]", "a mark inside a string does not end the scan");
    IS(MCP_OK, "[\"\xEF\xBB\xBF\"]", "U+FEFF inside a string is a character");
    IS(MCP_JSON_TEXT, "\xFF\xFE{\0}\0", "1.4 UTF-16 LE with a mark");
    IS(MCP_JSON_TEXT, "{\0}\0", "1.4 UTF-16 LE");
    IS(MCP_JSON_TEXT, "\0{\0}", "1.4 UTF-16 BE");
    IS(MCP_JSON_TEXT, "[\"\xC0\xAF\"]", "RPC-6 overlong UTF-8");
    IS(MCP_JSON_TEXT, "[\"\xED\xA0\x80\"]", "RPC-6 a surrogate as UTF-8");
    IS(MCP_JSON_TEXT, "[\"\xF4\x90\x80\x80\"]", "RPC-6 beyond U+10FFFF");
    IS(MCP_JSON_TEXT, "[\"\xE2\x82\"]", "RPC-6 truncated UTF-8");
    IS(MCP_JSON_TEXT, "{\"na\xFFme\":1}", "RPC-6 ill-formed UTF-8 in a name");
    IS(MCP_JSON_TEXT, "[\xFF]", "RPC-6 ill-formed UTF-8 outside of strings");
    IS(MCP_JSON_TEXT, "[\"\\ud800\"]", "1.4 lone high surrogate");
    IS(MCP_JSON_TEXT, "[\"\\uDBFFx\"]", "1.4 high surrogate and a letter");
    IS(MCP_JSON_TEXT, "[\"\\ud800\\ud800\"]", "1.4 two high surrogates");
    IS(MCP_JSON_TEXT, "[\"\\uD83D\\u0041\"]", "1.4 high surrogate and another escape");
    IS(MCP_JSON_TEXT, "[\"\\udc00\"]", "1.4 lone low surrogate");
    IS(MCP_JSON_TEXT, "{\"\\udfff\":1}", "1.4 lone surrogate in a name");
    IS(MCP_OK, "[\"\\\\u0000\\\\ud800\"]", "an escaped backslash before u0000 is text");
}

static void syntax(apr_pool_t *p)
{
    static const char *const bad[] = {
        "",           " ",     "{",       "[1",        "{} {}",         "{}]",           "[1,]",
        "{\"a\":1,}", "{a:1}", "{'a':1}", "[NaN]",     "[Infinity]",    "[01]",          "[+1]",
        "[1.]",       "[.5]",  "[1e]",    "[\"\\x\"]", "[\"\\u12G4\"]", "[\"\\u00:0\"]", "[\"a\tb\"]",
        "\"a",        "\"a\\", "\"\\u00", "[1] //x",   "{\"a\"}",       "[\f1]",         "tru",
        "{\"a\":1]",  "]"
    };
    json_t *json;
    int i;

    for (i = 0; i < (int)(sizeof(bad) / sizeof(*bad)); i++) {
        OK(status_of(bad[i], strlen(bad[i])) == MCP_JSON_SYNTAX, "RPC-6 syntax: <%s>", bad[i]);
    }
    OK(status_of(NULL, 0) == MCP_JSON_SYNTAX, "no bytes at all");
    OK(mcp_json_parse_object(&json, "{\"a\":1}", 7, 2, p) == MCP_OK && json_is_object(json), "an object is an object");
    OK(mcp_json_parse_object(&json, "[]", 2, 2, p) == MCP_JSON_SYNTAX && !json, "T14 an array is no object");
    OK(mcp_json_parse_object(&json, "\"x\"", 3, 2, p) == MCP_JSON_SYNTAX && !json, "T14 a string is no object");
    OK(mcp_json_parse_object(&json, "null", 4, 2, NULL) == MCP_JSON_SYNTAX && !json, "T14 null is no object");
    OK(mcp_json_parse_object(&json, "{\"a\":1,\"a\":1}", 13, 2, NULL) == MCP_JSON_DUPLICATE && !json,
       "T13 an object with a member twice");
}

static void duplicates(apr_pool_t *p)
{
    IS(MCP_JSON_DUPLICATE, "{\"method\":1,\"method\":2}", "B03 T13 a member twice");
    IS(MCP_JSON_DUPLICATE, "{\"name\":1,\"x\":[],\"na\\u006de\":2}", "B03 RPC-6 the same name escaped");
    IS(MCP_JSON_DUPLICATE, "[{\"a\":{\"b\":[{\"c\":1,\"c\":1}]}}]", "B03 deep inside");
    IS(MCP_JSON_DUPLICATE, "{\"\":1,\"\":2}", "B03 the empty name twice");
    IS(MCP_OK, "{\"a\":{\"a\":{\"a\":1}},\"A\":2}", "the same name at different levels, and in another case");
}

static void numbers(apr_pool_t *p)
{
    json_t *json;

    IS(MCP_JSON_NUMBER, "[1e400]", "1.4 a real beyond double");
    IS(MCP_JSON_NUMBER, "[1, 99999999999999999999, -1e999]", "1.4 a real beyond double behind a long integer");
    OK(PARSE(json, "[1e-400]", p) == MCP_OK && json_real_value(json_array_get(json, 0)) == 0.0, "too small is zero");
    OK(PARSE(json, "[9223372036854775807,-9223372036854775808]", p) == MCP_OK &&
           json_integer_value(json_array_get(json, 0)) == 9223372036854775807LL &&
           json_is_integer(json_array_get(json, 1)),
       "the ends of 64 bits are integers");
    OK(PARSE(json, "[9223372036854775808,-9223372036854775809]", p) == MCP_OK &&
           json_real_value(json_array_get(json, 0)) == 9223372036854775808.0 && json_is_real(json_array_get(json, 1)),
       "one beyond 64 bits is a real");
    OK(PARSE(json, "{\"id\":7,\"a\":99999999999999999999,\"9999999999999999999999\":\"99999999999999999999\"}", p) ==
               MCP_OK &&
           json_is_integer(json_object_get(json, "id")) && json_is_real(json_object_get(json, "a")) &&
           !strcmp(json_string_value(json_object_get(json, "9999999999999999999999")), "99999999999999999999"),
       "beside a long integer the other integers stay integers and strings stay as they are");
    OK(PARSE(json, "99999999999999999999", p) == MCP_OK && json_real_value(json) == 1e20, "a long integer alone");
    OK(PARSE(json, "[99999999999999999999.5, 99999999999999999999e1, 99999999999999999999]", p) == MCP_OK &&
           json_real_value(json_array_get(json, 1)) == 1e21,
       "long reals are left alone");
    OK(PARSE(json, "[99999999999999999999,9223372036854775807,-9223372036854775808]", p) == MCP_OK &&
           json_is_integer(json_array_get(json, 1)) && json_is_integer(json_array_get(json, 2)),
       "beside a long integer the ends of 64 bits are integers");
    IS(MCP_JSON_SYNTAX, "[99999999999999999999, 1-1]", "a syntax error behind a long integer is found");
    IS(MCP_JSON_DUPLICATE, "{\"a\":99999999999999999999,\"a\":1}", "a duplicate behind a long integer is found");
}

/* Containers opened depth times, in turn arrays and objects, around nothing. */
static mcp_status_t nest(int depth, int max_depth, apr_pool_t *p)
{
    char *text = apr_palloc(p, depth * 7 + 1), *s = text;
    json_t *json;
    mcp_status_t status;
    int i;

    for (i = 0; i < depth; i++) {
        s = i % 2 ? memcpy(s, "{\"a\":", 5) : memcpy(s, "[", 1);
        s += i % 2 ? 5 : 1;
    }
    if (depth % 2 == 0) {
        *s++ = '1';
    }
    for (i = depth; i-- > 0;) {
        *s++ = i % 2 ? '}' : ']';
    }
    status = mcp_json_parse(&json, text, s - text, max_depth, NULL);
    json_decref(json);
    return status;
}

static void depths(apr_pool_t *p)
{
    const int count = 100000;
    char *text = apr_palloc(p, 2 * count);
    json_t *json;
    clock_t start;

    OK(nest(64, 64, p) == MCP_OK, "B05 as deep as allowed");
    OK(nest(65, 64, p) == MCP_JSON_DEPTH, "B05 one container deeper");
    OK(nest(1, 1, p) == MCP_OK && nest(2, 1, p) == MCP_JSON_DEPTH, "B05 the top-level container has depth 1");
    OK(nest(1024, 10000, p) == MCP_OK && nest(1025, 10000, p) == MCP_JSON_DEPTH,
       "B05 the parser's own limit is depth as well");
    OK(mcp_json_parse(&json, "[[],[],{},{},[[]],[[]]]", 23, 3, p) == MCP_OK, "closed containers do not count");
    OK(mcp_json_parse(&json, "[\"[[[[{{{{\\\"[[\"]", 16, 1, p) == MCP_OK, "brackets in a string do not count");
    OK(mcp_json_parse(&json, "1", 1, 0, p) == MCP_OK, "a scalar has no depth");
    memset(text, '[', count);
    memset(text + count, ']', count);
    start = clock();
    OK(mcp_json_parse(&json, text, 2 * count, 64, p) == MCP_JSON_DEPTH && !json, "B05 depth 100000 in 200 kB");
    OK(clock() - start < CLOCKS_PER_SEC / 20, "B05 in less than 50 ms");
    OK(mcp_json_parse(&json, text, count, 64, p) == MCP_JSON_DEPTH, "B05 100000 brackets that nobody closes");
}

/* A build without optimization, for coverage for instance, is slower; jansson is not. */
#ifdef __OPTIMIZE__
#define SLOWNESS 1
#else
#define SLOWNESS 20
#endif

/* Is the document judged as it should be within 100 ms of CPU time? On a slow machine, or under a tool that makes it
 * slow, within five times what the parser alone takes. */
static int is_quick(mcp_status_t want, const char *text, apr_size_t len)
{
    clock_t start = clock(), own, alone;
    json_t *json;

    if (mcp_json_parse(&json, text, len, 64, NULL) != want) {
        return 0;
    }
    own = clock() - start;
    json_decref(json);
    start = clock();
    json_decref(json_loadb(text, len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL));
    alone = clock() - start;
    return own < SLOWNESS * CLOCKS_PER_SEC / 10 || own < 5 * SLOWNESS * alone;
}

static void sizes(apr_pool_t *p)
{
    const int size = 1024 * 1024, keys = 100000;
    char *text = apr_palloc(p, keys * 16 + 16);
    int i, len;

    memset(text, 'a', size);
    text[0] = text[size - 1] = '"';
    OK(is_quick(MCP_OK, text, size), "B09 a string of 1 MB in less than 100 ms");
    memset(text, '9', size);
    OK(is_quick(MCP_JSON_NUMBER, text, size), "B09 a number of 1 MB in less than 100 ms");
    for (i = 0, len = 0; i < keys; i++) {
        len += apr_snprintf(text + len, 17, "%c\"k%d\":1", i ? ',' : '{', i);
    }
    text[len++] = '}';
    OK(is_quick(MCP_OK, text, len), "B09 100000 keys in less than 100 ms");
    for (i = 0, len = 0; i < 50000; i++) {
        len += apr_snprintf(text + len, 24, "%c99999999999999999999", i ? ',' : '[');
    }
    text[len++] = ']';
    OK(is_quick(MCP_OK, text, len), "B09 50000 long integers in less than 100 ms");
}

static void variants(apr_pool_t *p)
{
    OK(mcp_json_is_variant("Method", "method") && mcp_json_is_variant("METHOD", "method") &&
           mcp_json_is_variant("methoD", "method"),
       "B02 RPC-6 other case");
    OK(mcp_json_is_variant("method", "Method"), "B02 whichever of both is in upper case");
    OK(mcp_json_is_variant("param\xC5\xBF", "params") && mcp_json_is_variant("PARAM\xC5\xBF", "params"),
       "B02 U+017F folds to s");
    OK(mcp_json_is_variant("tas\xE2\x84\xAAId", "taskId"), "B02 U+212A folds to k");
    OK(!mcp_json_is_variant("method", "method"), "the name itself is no variant");
    OK(!mcp_json_is_variant("methods", "method") && !mcp_json_is_variant("Metho", "method") &&
           !mcp_json_is_variant("", "method"),
       "longer, shorter, empty");
    OK(!mcp_json_is_variant("m\xC3\xA9thod", "method") && !mcp_json_is_variant("param\xC5\xBE", "params") &&
           !mcp_json_is_variant("tas\xE2\x84\xABId", "taskId") && !mcp_json_is_variant("tas\xE2\x85\xAAId", "taskId") &&
           !mcp_json_is_variant("param\xC5", "params"),
       "other letters, also their neighbours in Unicode");
    OK(!mcp_json_is_variant("@", "`") && !mcp_json_is_variant("[", "{"), "only letters fold");
}

static int is_known_difference(const char *name)
{
    /* Legal JSON that is refused on purpose: duplicates and NUL. */
    return !strcmp(name, "y_object_duplicated_key.json") || !strcmp(name, "y_object_duplicated_key_and_value.json") ||
           !strcmp(name, "y_object_escaped_null_in_key.json") || !strcmp(name, "y_string_null_escape.json");
}

static void judge_vector(const char *name, const char *data, apr_size_t len)
{
    mcp_status_t status = status_of(data, len);

    if (*name == 'y') {
        OK((status == MCP_OK) != is_known_difference(name), "JSONTestSuite %s", name);
    }
    else if (*name == 'n') {
        OK(status != MCP_OK && status != MCP_INTERNAL && status != MCP_STATUS_COUNT, "JSONTestSuite %s", name);
    }
    else {
        OK(status != MCP_INTERNAL && status != MCP_STATUS_COUNT, "JSONTestSuite %s has a verdict", name);
    }
}

/* An array of n zeros. */
static mcp_status_t zeros(int n, apr_pool_t *p)
{
    apr_size_t len = 2 * (apr_size_t)n + 1;
    char *text = apr_palloc(p, len);
    json_t *json;
    int i;

    for (i = 0; i < n; i++) {
        text[2 * i] = ',';
        text[2 * i + 1] = '0';
    }
    text[0] = '[';
    text[len - 1] = ']';
    return mcp_json_parse(&json, text, len, 8, p);
}

/* The array counts as a value, too. */
static void value_ceiling(apr_pool_t *p)
{
    OK(zeros(MCP_LIMIT_VALUES - 1, p) == MCP_OK, "as many values as allowed");
    OK(zeros(MCP_LIMIT_VALUES, p) == MCP_JSON_VALUES,
       "one more: what is judged must not cost a hundred times its size");
}

/* Beside an integer beyond 64 bits: what has an exponent is a real already, and is left as it is. */
static void long_reals(apr_pool_t *p)
{
    static const char *const texts[] = { "[9223372036854775808,12345678901234567890e3]",
                                         "[9223372036854775808,12345678901234567890E3]",
                                         "[9223372036854775808,12345678901234567890.0]" };
    static const double wanted[] = { 12345678901234567890e3, 12345678901234567890e3, 12345678901234567890.0 };
    json_t *json;

    for (int i = 0; i < 3; i++) {
        OK(mcp_json_parse(&json, texts[i], strlen(texts[i]), 8, p) == MCP_OK &&
               json_real_value(json_array_get(json, 1)) == wanted[i],
           "JSON-4 a long real beside a long integer: %s", texts[i]);
    }
}

static void test(apr_pool_t *p)
{
    long_reals(p);
    value_ceiling(p);
    values(p);
    lifetime(p);
    text(p);
    syntax(p);
    duplicates(p);
    numbers(p);
    depths(p);
    sizes(p);
    variants(p);
    suite_judge(judge_vector, p);
}
