#include "policy/scope.h"
#include "tap.h"

static apr_array_header_t *list(apr_pool_t *p, const char *a, const char *b)
{
    apr_array_header_t *values = apr_array_make(p, 2, sizeof(const char *));

    if (a) {
        APR_ARRAY_PUSH(values, const char *) = a;
    }
    if (b) {
        APR_ARRAY_PUSH(values, const char *) = b;
    }
    return values;
}

static int has(const mcp_scopes_t *scopes, const char *held, const char *wanted, apr_pool_t *p)
{
    mcp_valueset_t set;

    mcp_scopes_collect(&set, scopes, list(p, held, NULL), p);
    return mcp_valueset_has(&set, mcp_scopes_intern((mcp_scopes_t *)scopes, wanted));
}

static void test_names(apr_pool_t *p)
{
    mcp_scopes_t *scopes = mcp_scopes_create(p);
    char name[] = "read";

    OK(mcp_scopes_words(scopes) == 1, "no names still need a word");
    OK(mcp_scopes_intern(scopes, name) == 0 && mcp_scopes_intern(scopes, "write") == 1, "names are numbered from 0");
    name[0] = 'x';
    OK(mcp_scopes_intern(scopes, "read") == 0, "a known name keeps its number");
    STR_IS(mcp_scopes_name(scopes, 0), "read", "the name is copied");
    OK(mcp_scopes_name(scopes, 2) == NULL && mcp_scopes_name(scopes, -1) == NULL, "no name beyond the numbers");
    OK(mcp_scopes_intern(scopes, "Read") == 2, "TOK-15 names are case-sensitive");
}

static void test_collect(apr_pool_t *p)
{
    mcp_scopes_t *scopes = mcp_scopes_create(p);
    mcp_valueset_t set;

    mcp_scopes_intern(scopes, "read");
    mcp_scopes_intern(scopes, "write");
    mcp_scopes_collect(&set, scopes, list(p, "read", NULL), p);
    OK(!mcp_valueset_has(&set, 0), "before closing nobody holds anything");
    mcp_scopes_close(scopes, p);
    mcp_scopes_collect(&set, scopes, list(p, "read", "unknown"), p);
    OK(set.words == mcp_scopes_words(scopes), "the set has as many words as all sets");
    OK(mcp_valueset_has(&set, 0) && !mcp_valueset_has(&set, 1), "known values are held, others are not");
    OK(!mcp_valueset_has(&set, -1) && !mcp_valueset_has(&set, 32) && !mcp_valueset_has(&set, 1 << 30),
       "a number out of range is not held");
    mcp_scopes_collect(&set, scopes, NULL, p);
    OK(!mcp_valueset_has(&set, 0) && !mcp_valueset_has(&set, 1), "no values, nothing held");
    mcp_scopes_collect(&set, scopes, list(p, "rea", "read "), p);
    OK(!mcp_valueset_has(&set, 0), "neither a prefix nor a blank more is the name");
}

static void test_hierarchy(apr_pool_t *p)
{
    mcp_scopes_t *scopes = mcp_scopes_create(p);

    /* Against the direction of the closure: the last edge comes first. */
    mcp_scopes_imply(scopes, "write", "read");
    mcp_scopes_imply(scopes, "admin", "write");
    mcp_scopes_imply(scopes, "root", "admin");
    mcp_scopes_imply(scopes, "root", "audit");
    mcp_scopes_imply(scopes, "a", "b");
    mcp_scopes_imply(scopes, "b", "c");
    mcp_scopes_imply(scopes, "c", "a");
    mcp_scopes_imply(scopes, "self", "self");
    mcp_scopes_close(scopes, p);
    OK(has(scopes, "write", "read", p), "ACL-7 the broader value implies the narrower");
    OK(!has(scopes, "read", "write", p), "ACL-7 but not the other way round");
    OK(has(scopes, "root", "read", p) && has(scopes, "root", "audit", p), "ACL-7 implication is transitive");
    OK(!has(scopes, "admin", "audit", p), "ACL-7 a sibling is not implied");
    OK(has(scopes, "root", "root", p) && has(scopes, "self", "self", p), "a value implies itself");
    OK(has(scopes, "a", "c", p) && has(scopes, "b", "a", p) && has(scopes, "c", "b", p),
       "a cycle makes all of it equal");
    OK(!has(scopes, "a", "read", p) && !has(scopes, "root", "a", p), "separate hierarchies stay separate");
}

static void test_many(apr_pool_t *p)
{
    mcp_scopes_t *scopes = mcp_scopes_create(p);
    mcp_valueset_t set;
    int i, wrong = 0;

    for (i = 0; i < 100; i++) {
        mcp_scopes_imply(scopes, apr_psprintf(p, "s%d", i), apr_psprintf(p, "s%d", i + 1));
    }
    mcp_scopes_close(scopes, p);
    OK(mcp_scopes_words(scopes) == 4, "101 names need 4 words");
    mcp_scopes_collect(&set, scopes, list(p, "s40", NULL), p);
    for (i = 0; i <= 100; i++) {
        wrong += mcp_valueset_has(&set, mcp_scopes_intern(scopes, apr_psprintf(p, "s%d", i))) != (i >= 40);
    }
    OK(wrong == 0, "ACL-7 a chain over several words is followed to its end, not to its start");
    i = mcp_scopes_intern(scopes, "late");
    mcp_scopes_collect(&set, scopes, list(p, "late", "s100"), p);
    OK(mcp_scopes_words(scopes) == 4 && set.words == 4, "a name after closing does not change the size of sets");
    for (int more = 0; more < 64; more++) {
        i = mcp_scopes_intern(scopes, apr_psprintf(p, "later%d", more));
    }
    mcp_scopes_collect(&set, scopes, list(p, "later63", NULL), p);
    OK(!mcp_valueset_has(&set, i), "a name beyond the closed set is held by nobody");
}

static void test_valid(apr_pool_t *p)
{
    char text[2] = "";
    int wrong = 0;

    OK(mcp_scope_valid("files:read") && mcp_scope_valid("https://a/b?c#d[~]!"), "RFC 6749 section 3.3 scope-token");
    OK(!mcp_scope_valid("") && !mcp_scope_valid(NULL), "an empty text is no scope-token");
    for (int c = 1; c < 256; c++) {
        text[0] = (char)c;
        wrong += mcp_scope_valid(text) != (c >= 0x21 && c <= 0x7e && c != 0x22 && c != 0x5c);
    }
    OK(wrong == 0, "RFC 6749 section 3.3 exactly %%x21 / %%x23-5B / %%x5D-7E");
    OK(!mcp_scope_valid("a b") && !mcp_scope_valid("a\nb") && !mcp_scope_valid("a\""), "one bad byte is enough");
}

static void test(apr_pool_t *p)
{
    test_names(p);
    test_collect(p);
    test_hierarchy(p);
    test_many(p);
    test_valid(p);
}
