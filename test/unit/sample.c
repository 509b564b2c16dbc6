#include "policy/sample.h"
#include "tap.h"

/* The samples without repetition, divided by blanks. */
static const char *joined(const apr_array_header_t *samples, apr_pool_t *p)
{
    const char *text = "";

    for (int i = 0; i < samples->nelts; i++) {
        const char *one = apr_pstrcat(p, " ", APR_ARRAY_IDX(samples, i, const char *), " ", NULL);

        if (!strstr(apr_pstrcat(p, text, " ", NULL), one)) {
            text = apr_pstrcat(p, text, " ", APR_ARRAY_IDX(samples, i, const char *), NULL);
        }
    }
    return *text ? text + 1 : text;
}

static const char *regex(const char *text, apr_pool_t *p)
{
    return joined(mcp_sample_regex(text, p), p);
}

static void test_regex(apr_pool_t *p)
{
    STR_IS(regex("^/mcp$", p), "/mcp", "a text alone");
    STR_IS(regex("^/mcp(.*)$", p), "/mcp /mcpx", "what may be left out is, and is not");
    STR_IS(regex("^/mcp(/.*)?$", p), "/mcp /mcp/x", "groups as well");
    STR_IS(regex("^/(a|b|c(d|e))/", p), "/a/ /b/ /ce/", "alternatives one after the other");
    STR_IS(regex("/one|/two|^$", p), "/one /two /", "also without a group");
    STR_IS(regex("(?:ab)+?c{3}d{2,}", p), "/abcccdd", "repeated");
    STR_IS(regex("\\.php\\d\\w\\s\\W\\b$", p), "/.php0x -", "escapes");
    STR_IS(regex("[a-z][^a-z][\\d][^/x]", p), "/ax0~", "classes");
    STR_IS(regex("a(?=b)(?!c)(?<=d)(?<!e)(?i)f", p), "/af", "what only looks is not written");
    STR_IS(regex("", p), "/", "nothing is the shortest path");
    STR_IS(regex("a++b??c", p), "/ac /abc", "possessive and lazy");
    STR_IS(regex("\\D\\S", p), "/xx", "escapes of what is not there");
    STR_IS(regex("[[][\\w]", p), "/xx", "classes that begin with a bracket or an escape");
    STR_IS(regex("a{17}", p), "/aaaaaaaaaaaaaaaa", "repeated 16 times at most");
}

static void test_hostile(apr_pool_t *p)
{
    static const char *const broken[] = { "(", "((a", "[",  "[^",  "[]", "\\",  "a{", "a{99999999999999999999}",
                                          "?", "*+",  "(|", "|||", ")",  "a)b", "(?", "(?:",
                                          "{" };
    char *deep = apr_pcalloc(p, 20001), *wide = apr_pcalloc(p, 20001);

    for (unsigned i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
        OK(mcp_sample_regex(broken[i], p)->nelts > 0 && mcp_sample_fnmatch(broken[i], p)->nelts > 0,
           "broken patterns end: %s", broken[i]);
    }
    memset(deep, '(', 20000);
    memset(wide, 'a', 20000);
    OK(mcp_sample_regex(deep, p)->nelts > 0, "20,000 groups inside each other end");
    OK(strlen(APR_ARRAY_IDX(mcp_sample_regex(wide, p), 0, const char *)) == 513, "a sample has 512 bytes at most");
    OK(strlen(APR_ARRAY_IDX(mcp_sample_regex("((a{16}){16}){16}", p), 0, const char *)) <= 513, "also by repetition");
}

static void test_fnmatch(apr_pool_t *p)
{
    STR_IS(joined(mcp_sample_fnmatch("/a*/b?c", p), p), "/a/bxc /ax/bxc", "stars and question marks");
    STR_IS(joined(mcp_sample_fnmatch("/[ab][!x]\\*", p), p), "/a~*", "classes and escapes");
}

static void test(apr_pool_t *p)
{
    test_regex(p);
    test_hostile(p);
    test_fnmatch(p);
}
