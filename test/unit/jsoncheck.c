/* What is refused before anybody builds something of it; test/unit/json.c has the rest, by the tree that follows. */
#include "base/jsonchar.h"
#include "base/jsoncheck.h"
#include "base/limits.h"

#define OPENSSL_SUPPRESS_DEPRECATED /* RAND_set_rand_method */
#include <apr_strings.h>
#include <openssl/rand.h>
#include <stdlib.h>

#include "tap.h"

static mcp_status_t status_of(const char *text, apr_size_t len)
{
    mcp_span_t span = { NULL, 0 };
    char *copy = malloc(len ? len : 1); /* so that a sanitizer sees a read behind it */
    mcp_status_t status;

    memcpy(copy, text, len);
    status = mcp_jsoncheck_strict(&span, copy, len, 8, NULL);
    if (status == MCP_OK && (span.text < copy || span.text + span.len > copy + len || !span.len)) {
        status = MCP_STATUS_COUNT;
    }
    free(copy);
    return status;
}

#define IS(want, text, ...) OK(status_of((text), strlen(text)) == (want), __VA_ARGS__)

static void spans(apr_pool_t *p)
{
    mcp_span_t span;

    OK(mcp_jsoncheck_strict(&span, " \t[1] \r\n", 8, 8, NULL) == MCP_OK && span.len == 3 &&
           !strncmp(span.text, "[1]", 3),
       "the value, without the white space around it");
    OK(mcp_jsoncheck_strict(&span, NULL, 0, 8, NULL) == MCP_JSON_SYNTAX, "nothing at all");
    OK(mcp_jsoncheck_strict(&span, "{}", (apr_size_t)APR_INT32_MAX + 1, 8, NULL) == MCP_INTERNAL,
       "more than 2 GiB is not even read");
}

/* The first fault of the text is the one that counts. */
static void first(apr_pool_t *p)
{
    IS(MCP_JSON_SYNTAX, "[1,,\"\\ud800\"]", "syntax before a half character");
    IS(MCP_JSON_TEXT, "[\"\\ud800\",,]", "and behind it");
    IS(MCP_JSON_DUPLICATE, "{\"a\":1,\"a\":1e999}", "a member twice before a number");
    IS(MCP_JSON_NUMBER, "{\"a\":1e999,\"a\":1}", "and behind it");
    IS(MCP_JSON_DEPTH, "[[[[[[[[[\"\\ud800\"]]]]]]]]]", "B05 too deep before a half character");
    OK(status_of("[1,,\"\0\"]", 8) == MCP_JSON_TEXT, "1.4 NUL before all");
    IS(MCP_JSON_TEXT, "{\xFF:1}", "RPC-6 ill-formed UTF-8 where a name belongs");
    IS(MCP_JSON_SYNTAX, "{\xC3\xA9:1}", "RPC-6 a letter where a name belongs");
}

/* {"k0":0,...} with count members; of them twin (if not negative) has the name of the first one, as spelled. */
static const char *object_make(int count, int twin, const char *spelled, apr_pool_t *p)
{
    char *text = apr_palloc(p, (apr_size_t)count * 32 + 64), *s = text;
    int i;

    for (i = 0; i < count; i++) {
        s += i == twin ? apr_snprintf(s, 32, "%c\"%s\":0", i ? ',' : '{', spelled)
                       : apr_snprintf(s, 32, "%c\"k%d\":0", i ? ',' : '{', i * 7919 % count);
    }
    *s++ = '}';
    *s = '\0';
    return text;
}

/* B03: few members are compared each with each, many by a table; it must not matter where the twins are. */
static void twins(apr_pool_t *p)
{
    static const int counts[] = { 2, 15, 16, 17, 18, 32, 33, 64, 65, 66, 130, 1000 };
    int i, at;

    for (i = 0; i < (int)(sizeof(counts) / sizeof(*counts)); i++) {
        int count = counts[i], missed = 0, wrong = 0;

        for (at = 1; at<count; at += count> 70 ? 37 : 1) {
            missed += status_of(object_make(count, at, "k0", p), strlen(object_make(count, at, "k0", p))) !=
                      MCP_JSON_DUPLICATE;
            missed += status_of(object_make(count, at, "\\u006b0", p), strlen(object_make(count, at, "\\u006b0", p))) !=
                      MCP_JSON_DUPLICATE;
            wrong += status_of(object_make(count, at, "K0", p), strlen(object_make(count, at, "K0", p))) != MCP_OK;
            wrong += status_of(object_make(count, at, "k0\\u0020", p),
                               strlen(object_make(count, at, "k0\\u0020", p))) != MCP_OK;
        }
        OK(!missed, "B03 one name twice among %d, plain and escaped: %d missed", count, missed);
        OK(!wrong, "B03 %d names that only look alike: %d taken for twins", count, wrong);
    }
    IS(MCP_JSON_DUPLICATE, "{\"\\u00e9\":1,\"\xC3\xA9\":2}", "B03 an escape and the letter");
    IS(MCP_JSON_DUPLICATE, "{\"\\uD83D\\uDE00\":1,\"\xF0\x9F\x98\x80\":2}", "B03 a surrogate pair and the letter");
    IS(MCP_JSON_DUPLICATE, "{\"\\\"\":1,\"\\u0022\":2}", "B03 two escapes of one letter");
    IS(MCP_OK, "{\"a\\n\":1,\"an\":2,\"a\":3,\"\":4}", "prefixes of each other are different names");
    IS(MCP_OK, "{\"a\":{\"a\":{\"b\":1}},\"b\":{\"a\":1,\"b\":2}}", "each object has names of its own");
    IS(MCP_JSON_DUPLICATE, "{\"a\":{\"x\":1,\"y\":2},\"b\":1,\"a\":3}",
       "B03 a name comes again behind an inner object");
    IS(MCP_JSON_DUPLICATE, "[{\"a\":1},{\"a\":1,\"a\":2}]", "B03 in the second object of an array");
}

/* Inner objects give back the room of their names, and a full room grows. */
static void rooms(apr_pool_t *p)
{
    const char *inner = object_make(60, -1, NULL, p), *text = "[0";
    int i;

    for (i = 0; i < 200; i++) {
        text = apr_pstrcat(p, text, ",", inner, NULL);
    }
    text = apr_pstrcat(p, text, "]", NULL);
    OK(status_of(text, strlen(text)) == MCP_OK, "200 objects of 60 members beside each other");
    text = apr_psprintf(p, "{\"k0\":%s,\"a\":%s,\"b\":%s,\"k0\":1}", inner, inner, inner);
    OK(status_of(text, strlen(text)) == MCP_JSON_DUPLICATE, "B03 twins around 180 other names");
}

static int no_bytes(unsigned char *to, int len)
{
    return 0;
}

/* Without random numbers nobody knows who could have chosen the names of a long object. */
static void no_random(apr_pool_t *p)
{
    const RAND_METHOD *before = RAND_get_rand_method();
    static const RAND_METHOD none = { .bytes = no_bytes, .pseudorand = no_bytes };
    const char *few = object_make(16, -1, NULL, p), *many = object_make(17, -1, NULL, p);
    mcp_status_t got[2];

    RAND_set_rand_method(&none);
    got[0] = status_of(few, strlen(few));
    got[1] = status_of(many, strlen(many));
    RAND_set_rand_method(before);
    OK(got[0] == MCP_OK && got[1] == MCP_INTERNAL, "B03 no random numbers: few members need none, many are refused");
    OK(status_of(many, strlen(many)) == MCP_OK, "B03 and are read when there are some again");
}

/* B03, B09: as many members as may be, in objects of all sizes that hold each other. */
static void towers(apr_pool_t *p)
{
    const char *inner = "0";
    int size;

    for (size = 1; size <= 40000; size *= 6) {
        const char *object = object_make(size, -1, NULL, p);

        inner = apr_psprintf(p, "%.*s,\"inner\":%s}", (int)strlen(object) - 1, object, inner);
    }
    OK(status_of(inner, strlen(inner)) == MCP_OK, "B09 objects of %d bytes in each other", (int)strlen(inner));
    inner = apr_psprintf(p, "%.*s,\"k\\u0031\":0}", (int)strlen(inner) - 1, inner);
    OK(status_of(inner, strlen(inner)) == MCP_JSON_DUPLICATE, "B03 and a twin at the very end");
}

/* [element,element,...] with count elements */
static mcp_status_t elements(const char *element, apr_size_t count, apr_pool_t *p)
{
    apr_size_t len = strlen(element) + 1, i;
    char *text = apr_palloc(p, count * len + 2);

    text[0] = '[';
    for (i = 0; i < count; i++) {
        memcpy(text + 1 + i * len, element, len - 1);
        text[(i + 1) * len] = ',';
    }
    text[count * len] = ']';
    return status_of(text, count * len + 1);
}

static void values(apr_pool_t *p)
{
    static const char *const ones[] = { "1", "{}", "[]", "\"[,{\"" };
    int i;

    for (i = 0; i < 4; i++) {
        OK(elements(ones[i], MCP_LIMIT_VALUES - 1, p) == MCP_OK &&
               elements(ones[i], MCP_LIMIT_VALUES, p) == MCP_JSON_VALUES,
           "B09 as many values as may be, and one more, the array included: %s", ones[i]);
    }
    OK(elements("{\"a\":[1]}", MCP_LIMIT_VALUES / 3, p) == MCP_OK &&
           elements("{\"a\":[1]}", MCP_LIMIT_VALUES / 3 + 1, p) == MCP_JSON_VALUES,
       "B09 what is inside counts as well");
}

/* 2^1024 - 2^970 is the first number that a double rounds to infinity. */
#define HALF_WAY \
    "1797693134862315807937289714053034150799341327100378269361737789804449682927647509466490179775872070963302864166" \
    "9288791094655"
static void numbers(apr_pool_t *p)
{
    char digits[400];

    IS(MCP_OK, "1.7976931348623157e308", "the largest double");
    IS(MCP_OK, "1.7976931348623158e308", "which has several spellings");
    IS(MCP_OK, "-17976931348623158.079372897140530341507e292", "just below half a unit more");
    IS(MCP_JSON_NUMBER, "17976931348623158.079372897140530341508e292", "1.4 just above it");
    IS(MCP_JSON_NUMBER,
       "1.797693134862315"
       "9e+308",
       "1.4 one more in the 17th digit");
    IS(MCP_JSON_NUMBER, "0." HALF_WAY "e309", "1.4 with the point in front");
    IS(MCP_JSON_NUMBER, "0.000" HALF_WAY "e312", "1.4 and zeros");
    IS(MCP_OK, "0.000" HALF_WAY "e311", "one power less");
    IS(MCP_OK, "-0e99999999999999999999999999", "zero is zero");
    IS(MCP_OK, "0.0000e99999999999999999999999999", "zero is zero");
    IS(MCP_OK, "1e-99999999999999999999999999", "too small is zero");
    IS(MCP_JSON_NUMBER, "1e99999999999999999999999999", "1.4 an exponent beyond 64 bits");
    IS(MCP_JSON_NUMBER, "2e308", "1.4 twice the largest");
    IS(MCP_OK, "1E308", "below it");
    memset(digits, '9', sizeof(digits));
    OK(status_of(digits, 308) == MCP_OK, "an integer of 308 digits");
    OK(status_of(digits, 309) == MCP_JSON_NUMBER, "1.4 one of 309 nines");
    digits[0] = '1';
    memset(digits + 1, '0', sizeof(digits) - 1);
    OK(status_of(digits, 309) == MCP_OK && status_of(digits, 310) == MCP_JSON_NUMBER,
       "1.4 1e308 and 1e309, all digits");
}

static void lenient(apr_pool_t *p)
{
    static const char *const only_grammar[] = { "\"\\ud800\"", "\"\\u0000\"", "\"\xFF\"", "1e999",
                                                "{\"a\":1,\"a\":2}" };
    mcp_span_t span;
    int i;

    for (i = 0; i < (int)(sizeof(only_grammar) / sizeof(*only_grammar)); i++) {
        const char *text = only_grammar[i];

        OK(mcp_jsoncheck_grammar(&span, text, strlen(text), 8, NULL) &&
               mcp_jsoncheck_strict(&span, text, strlen(text), 8, NULL) != MCP_OK,
           "by the grammar alone it is JSON: %s", text);
    }
}

/* Each byte at each place of a text that is read eight by eight. */
static void plain(apr_pool_t *p)
{
    int byte, at, wrong = 0;

    for (byte = 0; byte < 256; byte++) {
        int stands = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';

        for (at = 0; at < 27; at++) {
            char *text = malloc(27);

            memset(text, at % 2 ? '!' : ' ', 27);
            text[at] = (char)byte;
            wrong += mcp_jsonchar_plain(text, text + 27) != text + (stands ? 27 : at);
            free(text);
        }
    }
    OK(!wrong, "of all bytes only those that stand for themselves are stepped over: %d wrong", wrong);
}

static void test(apr_pool_t *p)
{
    plain(p);
    spans(p);
    first(p);
    twins(p);
    rooms(p);
    no_random(p);
    towers(p);
    values(p);
    numbers(p);
    lenient(p);
}
