/* Patterns of access rules against a table that tries everything. Input: pattern NUL pattern NUL text. */
#include "fuzz.h"

#include "policy/pattern.h"

#define STAR 256
#define LENGTH_MAX 256

/* A pattern as numbers: bytes, and STAR. */
typedef struct symbols_t {
    int at[LENGTH_MAX + 1];
    int count;
} symbols_t;

/* Returns 0 for a pattern that is malformed. */
static int symbols_read(symbols_t *symbols, const char *text)
{
    symbols->count = 0;
    for (const char *c = text; *c; c++) {
        if (*c == '\\' && c[1] != '*' && c[1] != '\\') {
            return 0;
        }
        symbols->at[symbols->count++] = *c == '*' ? STAR : *c == '\\' ? (unsigned char)*++c : (unsigned char)*c;
    }
    return *text != '\0';
}

static void symbols_literal(symbols_t *symbols, const char *text)
{
    for (symbols->count = 0; text[symbols->count]; symbols->count++) {
        symbols->at[symbols->count] = (unsigned char)text[symbols->count];
    }
}

/* Can a begin with the first i symbols of b, and so on: one cell for each pair of rests. A star of b is taken by a star of a
 * alone, or (both) by any run as well. */
static int table_match(const symbols_t *a, const symbols_t *b, int both)
{
    static unsigned char cell[LENGTH_MAX + 2][LENGTH_MAX + 2];

    for (int i = a->count; i >= 0; i--) {
        for (int j = b->count; j >= 0; j--) {
            int x = i < a->count ? a->at[i] : -1, y = j < b->count ? b->at[j] : -1;
            int ok = x < 0 && y < 0;

            if (x == STAR) {
                ok = cell[i + 1][j] || (y >= 0 && cell[i][j + 1]);
            }
            if (both && y == STAR) {
                ok |= cell[i][j + 1] || (x >= 0 && cell[i + 1][j]);
            }
            if (x >= 0 && x == y && x != STAR) {
                ok |= cell[i + 1][j + 1];
            }
            cell[i][j] = (unsigned char)ok;
        }
    }
    return cell[0][0];
}

/* One text that the pattern matches: run in the place of each star. */
static const char *instance(const symbols_t *pattern, const char *run, apr_pool_t *p)
{
    char *text = apr_palloc(p, (size_t)pattern->count * (strlen(run) + 1) + 1), *end = text;

    for (int i = 0; i < pattern->count; i++) {
        if (pattern->at[i] == STAR) {
            memcpy(end, run, strlen(run));
            end += strlen(run);
        }
        else {
            *end++ = (char)pattern->at[i];
        }
    }
    *end = '\0';
    return text;
}

static void check_two(const mcp_pattern_t *a, const mcp_pattern_t *b, const symbols_t *a_symbols,
                      const symbols_t *b_symbols, const char *text, apr_pool_t *p)
{
    int covers = mcp_pattern_covers(a, b), meets = mcp_pattern_meets(a, b);
    const char *runs[] = { "", "\x01", text };

    MUST(meets == table_match(a_symbols, b_symbols, 1) && meets == mcp_pattern_meets(b, a));
    MUST(covers == table_match(a_symbols, b_symbols, 0));
    MUST(!covers || meets);
    MUST(mcp_pattern_covers(a, a) && mcp_pattern_meets(a, a));
    MUST(!mcp_pattern_match(a, text) || !mcp_pattern_match(b, text) || meets);
    MUST(!mcp_pattern_match(b, text) || !covers || mcp_pattern_match(a, text));
    for (int i = 0; i < 3; i++) {
        const char *made = instance(b_symbols, runs[i], p);

        MUST(mcp_pattern_match(b, made));
        MUST(!covers || mcp_pattern_match(a, made));
    }
}

/* The URIs that a template may become are matched: each expression replaced by run. */
static void check_template(const char *text, const char *run, apr_pool_t *p)
{
    mcp_pattern_t pattern;
    const char *made = "", *c = text;

    while (*c) {
        size_t len = strcspn(c, "{");

        made = apr_pstrcat(p, made, apr_pstrmemdup(p, c, len), c[len] ? run : "", NULL);
        c += len;
        c += strcspn(c, "}");
        c += *c == '}';
    }
    mcp_pattern_of_template(&pattern, text, p);
    MUST(mcp_pattern_match(&pattern, made));
    MUST((strchr(text, '{') == NULL) == pattern.exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    fuzz_input_t input = fuzz_open(data, size, p);
    const char *first = fuzz_next(&input), *second = fuzz_next(&input), *text = fuzz_next(&input);
    symbols_t a_symbols, b_symbols, literal;
    mcp_pattern_t a, b;
    int ok;

    if (strlen(first) <= LENGTH_MAX && strlen(second) <= LENGTH_MAX && strlen(text) <= LENGTH_MAX) {
        ok = symbols_read(&a_symbols, first);
        MUST(ok == !mcp_pattern_compile(&a, first, p));
        symbols_literal(&literal, text);
        MUST(mcp_pattern_match(&a, text) == (ok && table_match(&a_symbols, &literal, 0)));
        ok &= symbols_read(&b_symbols, second) && !mcp_pattern_compile(&b, second, p);
        if (ok) {
            check_two(&a, &b, &a_symbols, &b_symbols, text, p);
        }
        check_template(text, "", p);
        check_template(text, second, p);
    }
    apr_pool_destroy(p);
    return 0;
}
