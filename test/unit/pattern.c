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

#define PATTERNS 120 /* of 1 to 4 characters out of "ab*" */
#define TEXTS 511    /* of 0 to 8 characters out of "ab": twice the longest pattern */

/* The nth text over the alphabet, shorter ones first; 0 is "". */
static const char *nth(int n, const char *alphabet, apr_pool_t *p)
{
    int base = (int)strlen(alphabet);
    const char *text = "";

    for (; n > 0; n = (n - 1) / base) {
        text = apr_psprintf(p, "%c%s", alphabet[(n - 1) % base], text);
    }
    return text;
}

/* Every pair of short patterns against every text that could tell. */
static void test_meets_all(apr_pool_t *p)
{
    static char matches[PATTERNS][TEXTS];
    mcp_pattern_t patterns[PATTERNS];
    int wrong = 0, met = 0;

    memset(matches, 0, sizeof(matches));
    for (int i = 0; i < PATTERNS; i++) {
        wrong += mcp_pattern_compile(&patterns[i], nth(i + 1, "ab*", p), p) != NULL;
        for (int t = 0; t < TEXTS; t++) {
            matches[i][t] = (char)mcp_pattern_match(&patterns[i], nth(t, "ab", p));
        }
    }
    for (int i = 0; i < PATTERNS; i++) {
        for (int j = 0; j < PATTERNS; j++) {
            int both = 0;

            for (int t = 0; t < TEXTS && !both; t++) {
                both = matches[i][t] && matches[j][t];
            }
            met += both;
            wrong += mcp_pattern_meets(&patterns[i], &patterns[j]) != both;
        }
    }
    OK(wrong == 0, "LST-1 two patterns meet when some text matches both: all pairs of short ones, both ways round");
    OK(met > PATTERNS && met < PATTERNS * PATTERNS, "and the pairs are of both sorts");
}

static int meets(const char *a, const char *b, apr_pool_t *p)
{
    mcp_pattern_t one, two;

    return !mcp_pattern_compile(&one, a, p) && !mcp_pattern_compile(&two, b, p) && mcp_pattern_meets(&one, &two);
}

static void test_meets(apr_pool_t *p)
{
    mcp_pattern_t broken, star;

    OK(meets("file:///docs/*", "file:///*", p), "a part of what the other matches");
    OK(meets("file:///docs/*.md", "file:///*/readme*", p), "what overlaps");
    OK(!meets("file:///docs/*", "file:///etc/*", p), "beginnings that differ");
    OK(!meets("*.md", "*.txt", p), "ends that differ");
    OK(!meets("ab*", "b*", p) && !meets("*ab", "*aa", p), "by one byte");
    OK(meets("a\\*b", "a*b", p) && meets("a\\*b", "a\\*b", p), "ACL-8 a star as data is met by a star");
    OK(!meets("a\\*b", "axb", p) && !meets("a\\**", "ab*", p), "ACL-8 and is none itself");
    OK(meets("\\\\*", "*\\\\", p) && !meets("\\\\*", "x*", p), "ACL-8 a backslash as data");
    OK(!mcp_pattern_compile(&star, "*", p) && mcp_pattern_compile(&broken, "a\\", p), "a malformed pattern");
    OK(!mcp_pattern_meets(&star, &broken) && !mcp_pattern_meets(&broken, &star) && !mcp_pattern_meets(&broken, &broken),
       "meets nothing");
}

static int covers(const char *a, const char *b, apr_pool_t *p)
{
    mcp_pattern_t one, other;

    return !mcp_pattern_compile(&one, a, p) && !mcp_pattern_compile(&other, b, p) && mcp_pattern_covers(&one, &other);
}

#define SAMPLES 1093 /* of 0 to 6 characters out of "abc": c is in no pattern, so it tells what a star alone takes */

/* Every pair of short patterns against every text that could tell. */
static void test_covers_all(apr_pool_t *p)
{
    static char matches[PATTERNS][SAMPLES];
    mcp_pattern_t patterns[PATTERNS];
    int wrong = 0, covered = 0;

    for (int i = 0; i < PATTERNS; i++) {
        wrong += mcp_pattern_compile(&patterns[i], nth(i + 1, "ab*", p), p) != NULL;
        for (int j = 0; j < SAMPLES; j++) {
            matches[i][j] = (char)mcp_pattern_match(&patterns[i], nth(j, "abc", p));
        }
    }
    for (int i = 0; i < PATTERNS; i++) {
        for (int j = 0; j < PATTERNS; j++) {
            int want = 1, k;

            for (k = 0; k < SAMPLES && want; k++) {
                want = !matches[j][k] || matches[i][k];
            }
            wrong += mcp_pattern_covers(&patterns[i], &patterns[j]) != want;
            covered += want;
        }
    }
    OK(!wrong && covered > PATTERNS && covered < PATTERNS * PATTERNS,
       "covering agrees with matching for all pairs of %d patterns (%d covered)", PATTERNS, covered);
}

static void test_covers(apr_pool_t *p)
{
    mcp_pattern_t any, never = { 0 };
    char *stars = apr_pcalloc(p, 8195);

    OK(covers("*", "anything", p) && covers("*", "*", p) && covers("*", "a*b", p), "a star covers all");
    OK(covers("file:///*", "file:///docs/*", p) && !covers("file:///docs/*", "file:///*", p),
       "a prefix covers a longer one");
    OK(covers("*.md", "docs/*.md", p) && !covers("*.md", "docs/*", p), "an end covers a longer one");
    OK(covers("a*b*c", "a*xbx*c", p) && !covers("a*b*c", "a*c", p), "middle parts must be there");
    OK(!covers("a*bb*c", "a*b*b*c", p), "in one piece: a star between them may be anything");
    OK(!covers("a*a", "a", p) && !covers("add", "add*", p) && covers("add*", "add", p),
       "an exact text covers itself alone");
    OK(!covers("a\\*", "a*", p) && covers("a\\*", "a\\*", p) && covers("a*", "a\\*", p),
       "ACL-8 an escaped star is a star");
    OK(!covers("*ab", "*b", p) && !covers("ab*ba", "aba", p) && !covers("ab*", "a*b*", p), "the ends do not overlap");
    mcp_pattern_compile(&any, "*", p);
    OK(!mcp_pattern_covers(&never, &any) && !mcp_pattern_covers(&any, &never), "what never compiled covers nothing");
    for (int i = 0; i < 8192; i += 2) {
        memcpy(stars + i, "*a", 2);
    }
    OK(covers(stars, stars, p) && covers("*a*", apr_pstrcat(p, stars, "*", NULL), p) && !covers(stars, "*b*", p),
       "B09 4,096 stars");
}

static int becomes(const char *uri_template, const char *uri, apr_pool_t *p)
{
    mcp_pattern_t pattern;

    mcp_pattern_of_template(&pattern, uri_template, p);
    return mcp_pattern_match(&pattern, uri);
}

static void test_template(apr_pool_t *p)
{
    mcp_pattern_t pattern;

    mcp_pattern_of_template(&pattern, "file:///{dir}/{+file}.md", p);
    OK(!pattern.exact && pattern.count == 3, "LST-1 a template: as many stars as expressions");
    STR_IS(pattern.literal, "file:///", "its literal prefix");
    STR_IS(pattern.parts[1], "/", "what stands between expressions");
    STR_IS(pattern.parts[2], ".md", "and behind them");
    OK(pattern.literal_len == 8 && pattern.literal == pattern.parts[0], "as compiled patterns have them");
    OK(becomes("a/{b}", "a/x/y?z", p) && becomes("a/{b}", "a/", p), "an expression is any run of bytes, also none");
    OK(!becomes("a/{b}", "b/x", p) && !becomes("a{b}c", "axd", p), "the rest is exact");
    OK(becomes("{a}{b}", "", p) && becomes("{a}{b}", "xy", p), "expressions side by side");
    OK(becomes("x{}y", "xzy", p), "an expression without a name");
    OK(becomes("a{b", "a", p) && becomes("a{b", "axyz", p) && !becomes("a{b", "b", p), "a brace not closed");
    OK(becomes("a{", "ab", p) && !becomes("a{", "b", p), "a brace at the end");
    OK(becomes("{a{b}c", "xc", p) && !becomes("{a{b}c", "xd", p), "the first closing brace closes");
    OK(becomes("a}b", "a}b", p) && !becomes("a}b", "axb", p), "a closing brace alone is exact");
    OK(becomes("a*", "a*", p) && !becomes("a*", "ab", p), "ACL-8 a star in a template is a star");
    OK(becomes("a\\*{x}", "a\\*y", p) && !becomes("a\\*{x}", "a*y", p), "ACL-8 a backslash is a backslash");
    mcp_pattern_of_template(&pattern, "file:///a", p);
    OK(pattern.exact && becomes("file:///a", "file:///a", p), "a template without expressions is exact");
    OK(becomes("", "", p) && !becomes("", "a", p), "an empty template becomes the empty text alone");
}

static void test_meets_cost(apr_pool_t *p)
{
    char *stars = apr_pcalloc(p, 8195), *text = apr_pcalloc(p, 8193), *braces = apr_pcalloc(p, 30001);
    mcp_pattern_t pattern, other, template;

    memset(text, 'a', 8192);
    for (int i = 0; i < 8192; i += 2) {
        memcpy(stars + i, "*a", 2);
    }
    for (int i = 0; i < 30000; i += 3) {
        memcpy(braces + i, "{a{", 3);
    }
    OK(meets(stars, stars, p) && meets(stars, text, p) && meets(text, stars, p), "B09 4,096 stars meet");
    stars[8192] = '*';
    OK(meets(stars, text, p), "B09 also a text as long");
    stars[8193] = 'b';
    OK(!meets(stars, text, p) && !meets(text, stars, p) && !meets(stars, "*a", p), "B09 and a miss ends as soon");
    mcp_pattern_of_template(&template, braces, p);
    OK(template.count == 2, "B09 10,000 braces inside each other are one");
    for (int i = 0; i < 30000; i += 3) {
        memcpy(braces + i, "{}a", 3);
    }
    mcp_pattern_of_template(&template, braces, p);
    OK(!mcp_pattern_compile(&pattern, stars, p) && template.count == 10001, "B09 10,000 expressions");
    OK(!mcp_pattern_meets(&pattern, &template) && !mcp_pattern_compile(&other, "a*a", p) &&
           mcp_pattern_meets(&other, &template),
       "B09 against a pattern");
}

static void test(apr_pool_t *p)
{
    test_compile(p);
    test_malformed(p);
    test_match(p);
    test_cost(p);
    test_meets_all(p);
    test_meets(p);
    test_covers_all(p);
    test_covers(p);
    test_template(p);
    test_meets_cost(p);
}
