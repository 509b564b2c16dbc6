#include "policy/pattern.h"
#include "tap.h"

static int match(const char *text, const char *name, apr_pool_t *p)
{
    mcp_pattern_t pattern;

    return !mcp_pattern_compile(&pattern, text, p) && mcp_pattern_match(&pattern, name);
}

static void test_compile(apr_pool_t *p)
{
    mcp_pattern_t pattern;

    OK(!mcp_pattern_compile(&pattern, "tools/list", p) && pattern.exact && pattern.literal_len == 10, "exact text");
    STR_IS(pattern.literal, "tools/list", "its literal is all of it");
    OK(!mcp_pattern_compile(&pattern, "a\\*b\\\\c", p) && pattern.exact, "an escaped star is no wildcard");
    STR_IS(pattern.literal, "a*b\\c", "the literal is unescaped");
    OK(!mcp_pattern_compile(&pattern, "a\\**b*", p) && !pattern.exact && pattern.count == 3, "stars + 1 parts");
    OK(pattern.parts[0] == pattern.literal && pattern.literal_len == 2, "the first part is the literal prefix");
    STR_IS(pattern.parts[0], "a*", "part before the first star");
    STR_IS(pattern.parts[1], "b", "part between the stars");
    STR_IS(pattern.parts[2], "", "part after the last star");
    OK(!mcp_pattern_compile(&pattern, "*", p) && pattern.count == 2 && pattern.literal_len == 0, "a star alone");
}

static void test_malformed(apr_pool_t *p)
{
    static const char *const bad[] = { "", "\\", "a\\", "a\\b", "a*\\x", "*a*\\", "\\\\\\" };
    mcp_pattern_t pattern;

    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        OK(mcp_pattern_compile(&pattern, bad[i], p) != NULL, "malformed: '%s'", bad[i]);
        OK(!mcp_pattern_match(&pattern, "") && !mcp_pattern_match(&pattern, "a"), "and matches nothing: '%s'", bad[i]);
    }
    OK(mcp_pattern_compile(&pattern, NULL, p) != NULL, "malformed: no text");
}

static void test_match(apr_pool_t *p)
{
    static const struct {
        const char *pattern;
        const char *name;
        int matches;
    } cases[] = {
        { "add", "add", 1 },
        { "add", "Add", 0 },
        { "add", "addx", 0 },
        { "add", "ad", 0 },
        { "add", "", 0 },
        { "*", "", 1 },
        { "*", "anything / at * all", 1 },
        { "add*", "add", 1 },
        { "add*", "address", 1 },
        { "add*", "ad", 0 },
        { "add*", "xadd", 0 },
        { "*add", "add", 1 },
        { "*add", "xadd", 1 },
        { "*add", "addx", 0 },
        { "a*a", "aa", 1 },
        { "a*a", "a", 0 },
        { "ab*ba", "aba", 0 },
        { "ab*ba", "abba", 1 },
        { "a*b*c", "abc", 1 },
        { "a*b*c", "aXbYc", 1 },
        { "a*b*c", "aXcYb", 0 },
        { "a*b*c", "acb", 0 },
        { "a*bc*c", "abc", 0 },
        { "a*bc*c", "abcc", 1 },
        { "*a*a*a*", "aa", 0 },
        { "*a*a*a*", "aaa", 1 },
        { "**", "", 1 },
        { "a**b", "ab", 1 },
        { "a**b", "a-b", 1 },
        { "*ab*ab", "abab", 1 },
        { "*ab*ab", "ab", 0 },
        { "file:///docs/*", "file:///docs/a/b?c=d:e", 1 },
        { "file:///docs/*", "file:///doc", 0 },
        { "tools/*", "tools", 0 },
        { "\\*", "*", 1 },
        { "\\*", "a", 0 },
        { "a\\*", "ab", 0 },
        { "a\\**", "a*b", 1 },
        { "a\\**", "ab", 0 },
        { "a\\\\*", "a\\b", 1 },
        { "a\\\\*", "ab", 0 },
        { "gr\xc3\xb6\xc3\x9f*",
          "gr\xc3\xb6\xc3\x9f"
          "e",
          1 },
        { "a?[b]", "a?[b]", 1 },
        { "a?[b]", "axb", 0 },
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        OK(match(cases[i].pattern, cases[i].name, p) == cases[i].matches, "ACL-8 '%s' %s '%s'", cases[i].pattern,
           cases[i].matches ? "matches" : "does not match", cases[i].name);
    }
    OK(!match("add", "a*", p) && !match("a*d", "a*", p), "ACL-8 stars in the data are data");
}

/* What naive matching by recursion or backtracking would not finish. */
static void test_cost(apr_pool_t *p)
{
    char *text = apr_pcalloc(p, 8193), *pattern = apr_pcalloc(p, 8193);

    memset(text, 'a', 8192);
    for (int i = 0; i < 8190; i += 2) {
        memcpy(pattern + i, "*a", 2);
    }
    OK(match(pattern, text, p), "B09 4,095 stars match 8 KiB");
    memcpy(pattern + 8190, "*b", 2);
    OK(!match(pattern, text, p), "B09 and a miss ends as soon");
}

static void test(apr_pool_t *p)
{
    test_compile(p);
    test_malformed(p);
    test_match(p);
    test_cost(p);
}
