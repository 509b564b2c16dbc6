#include "policy/explain.h"

#include <apr_strings.h>
#include <string.h>

#include "policy/rulebook.h"

#define NAMES_SHOWN 8 /* of objects, and of rules that make another one useless */

/* --- safe texts ------------------------------------------------------------------------------------------------- */

/* Bytes of the well-formed character at c that may be printed as it is, 0 when there is none (RFC 3629 section 4). */
static int char_length(const unsigned char *c)
{
    unsigned code = *c;
    int more = code >= 0xf0 ? 3 : code >= 0xe0 ? 2 : 1;

    if (code < 0x80) {
        return code >= ' ' && code != 0x7f;
    }
    if (code < 0xc2 || code > 0xf4) {
        return 0;
    }
    code &= 0x3fu >> more;
    for (int i = 1; i <= more; i++) {
        if ((c[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (c[i] & 0x3fu);
    }
    if (code < 0xa0 || (more == 2 && code < 0x800) || (more == 3 && (code < 0x10000 || code > 0x10ffff)) ||
        (code >= 0xd800 && code < 0xe000)) {
        return 0;
    }
    /* Marks, embeddings and isolates of bidirectional text, line and paragraph separators. */
    return (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
                   (code >= 0x2066 && code <= 0x2069) || code == 0x061c
               ? 0
               : more + 1;
}

const char *mcp_explain_clean(const char *text, apr_pool_t *p)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *c = (const unsigned char *)text;
    char *clean, *out;
    int len;

    while (*c && (len = char_length(c))) {
        c += len;
    }
    if (!*c) {
        return text;
    }
    out = clean = apr_palloc(p, 4 * strlen(text) + 1);
    for (c = (const unsigned char *)text; *c; c += len ? len : 1) {
        len = char_length(c);
        memcpy(out, c, (apr_size_t)len);
        out += len;
        if (!len) {
            *out++ = '\\';
            *out++ = 'x';
            *out++ = digits[*c >> 4];
            *out++ = digits[*c & 15];
        }
    }
    *out = '\0';
    return clean;
}

/* --- who may do what -------------------------------------------------------------------------------------------- */

/* Does who has the name number value also have number implied? */
static int implies(const mcp_rulebook_t *book, int value, int implied, apr_pool_t *p)
{
    apr_array_header_t *one = apr_array_make(p, 1, sizeof(const char *));
    mcp_valueset_t set;

    APR_ARRAY_PUSH(one, const char *) = mcp_scopes_name(book->scopes, value);
    mcp_scopes_collect(&set, book->scopes, one, p);
    return mcp_valueset_has(&set, implied);
}

/* " (or a, b)": the names that imply number; "" without any. */
static const char *implying_write(const mcp_rulebook_t *book, int number)
{
    const char *text = "";

    for (int i = 0; i < book->names && book->ruleset->implications; i++) {
        if (i != number && implies(book, i, number, book->pool)) {
            text = apr_pstrcat(book->pool, text, *text ? ", " : " (or ", mcp_scopes_name(book->scopes, i), NULL);
        }
    }
    return *text ? apr_pstrcat(book->pool, text, ")", NULL) : text;
}

static const char *who_write(const mcp_rulebook_t *book, const mcp_line_t *line)
{
    const char *text = line->numbers->nelts ? "" : "any valid token";

    for (int i = 0; i < line->numbers->nelts; i++) {
        int number = APR_ARRAY_IDX(line->numbers, i, int);

        text = apr_pstrcat(book->pool, text, i ? " and " : "", mcp_scopes_name(book->scopes, number),
                           implying_write(book, number), NULL);
    }
    return mcp_explain_clean(text, book->pool);
}

static void text_add(apr_array_header_t *texts, const char *text)
{
    for (int i = 0; i < texts->nelts; i++) {
        if (!strcmp(APR_ARRAY_IDX(texts, i, const char *), text)) {
            return;
        }
    }
    APR_ARRAY_PUSH(texts, const char *) = text;
}

static const char *const kind_names[] = {
    [MCP_OPERATION_RESPONSE] = "response", [MCP_OPERATION_GET] = "GET", [MCP_OPERATION_DELETE] = "DELETE"
};

/* As it would be written in a rule. */
static const char *selector_write(const mcp_selector_t *selector, apr_pool_t *p)
{
    static const char *const prefixes[] = {
        [MCP_OBJECT_TOOL] = "tool:", [MCP_OBJECT_RESOURCE] = "resource:", [MCP_OBJECT_PROMPT] = "prompt:"
    };

    switch (selector->select) {
    case MCP_SELECT_KIND:
        return kind_names[selector->kind];
    case MCP_SELECT_METHOD:
        return mcp_explain_clean(selector->method_text, p);
    case MCP_SELECT_OBJECT:
        return mcp_explain_clean(apr_pstrcat(p, prefixes[selector->object_kind], selector->object_text, NULL), p);
    case MCP_SELECT_BOTH:
        return mcp_explain_clean(apr_pstrcat(p, selector->method_text, ":", selector->object_text, NULL), p);
    case MCP_SELECT_ALL:
    case MCP_SELECT_GROUP:
        break;
    }
    return "everything";
}

static int allows_everything(const mcp_line_t *line)
{
    for (int i = 0; i < line->selectors->nelts; i++) {
        if (MCP_SELECTOR(line, i)->select == MCP_SELECT_ALL) {
            return 1;
        }
    }
    return 0;
}

/* What the lines from the first one on that have its values allow together. */
static const apr_array_header_t *may_write(const mcp_rulebook_t *book, int first)
{
    apr_array_header_t *may = apr_array_make(book->pool, 8, sizeof(const char *));

    for (int i = first; i < book->lines->nelts; i++) {
        const mcp_line_t *line = MCP_LINE(book, i);

        if (!mcp_line_equals(line, MCP_LINE(book, first))) {
            continue;
        }
        if (allows_everything(line)) {
            apr_array_clear(may);
            APR_ARRAY_PUSH(may, const char *) = "everything";
            return may;
        }
        for (int j = 0; j < line->selectors->nelts; j++) {
            text_add(may, selector_write(MCP_SELECTOR(line, j), book->pool));
        }
    }
    return may;
}

apr_array_header_t *mcp_explain_rights(const mcp_ruleset_t *ruleset, apr_pool_t *p)
{
    apr_array_header_t *rights = apr_array_make(p, 8, sizeof(mcp_right_t));
    mcp_rulebook_t book;
    int before;

    mcp_rulebook_read(&book, ruleset, p);
    for (int i = 0; i < book.lines->nelts; i++) {
        for (before = 0; before < i && !mcp_line_equals(MCP_LINE(&book, before), MCP_LINE(&book, i)); before++) {
        }
        if (before == i) {
            mcp_right_t *right = apr_array_push(rights);

            right->who = who_write(&book, MCP_LINE(&book, i));
            right->may = may_write(&book, i);
        }
    }
    return rights;
}

/* --- what nobody may do ----------------------------------------------------------------------------------------- */

/* Is all of the atom allowed to somebody? Not asked of objects that only several lines together cover. */
static int book_covers(const mcp_rulebook_t *book, const mcp_atom_t *atom)
{
    for (int i = 0; i < book->lines->nelts; i++) {
        if (mcp_line_covers(MCP_LINE(book, i), atom)) {
            return 1;
        }
    }
    return 0;
}

static int method_reached(const mcp_rulebook_t *book, const char *method)
{
    mcp_atom_t atom = { .method = method };

    return book_covers(book, &atom);
}

/* The objects for which some rule allows a part of the atom. */
static void objects_collect(apr_array_header_t *objects, const mcp_rulebook_t *book, const mcp_atom_t *atom,
                            int prefixed)
{
    for (int i = 0; i < book->lines->nelts; i++) {
        const mcp_line_t *line = MCP_LINE(book, i);

        for (int j = 0; j < line->selectors->nelts; j++) {
            const mcp_selector_t *selector = MCP_SELECTOR(line, j);

            if (selector->object_text && mcp_atom_covered(atom, selector, 1)) {
                text_add(objects, prefixed && selector->select == MCP_SELECT_OBJECT
                                      ? selector_write(selector, book->pool)
                                      : mcp_explain_clean(selector->object_text, book->pool));
            }
        }
    }
}

/* "a, b, c", the first few of them. */
static const char *texts_join(const apr_array_header_t *texts, apr_pool_t *p)
{
    const char *joined = "";

    for (int i = 0; i < texts->nelts && i < NAMES_SHOWN; i++) {
        joined = apr_pstrcat(p, joined, i ? ", " : "", APR_ARRAY_IDX(texts, i, const char *), NULL);
    }
    return texts->nelts > NAMES_SHOWN ? apr_psprintf(p, "%s and %d more", joined, texts->nelts - NAMES_SHOWN) : joined;
}

static void method_explain(apr_array_header_t *unreached, const mcp_rulebook_t *book, const mcp_method_t *method)
{
    /* What kind an object is is only told where the method leaves it open. */
    int open = method->operand == MCP_OPERAND_REF || method->operand == MCP_OPERAND_LISTEN, covered = 1;
    apr_array_header_t *objects = apr_array_make(book->pool, 4, sizeof(const char *)), *atoms;
    mcp_selector_t selector = { .select = MCP_SELECT_BOTH };

    if (method_reached(book, method->name)) {
        return; /* alone, so with any object */
    }
    /* With an object, any: that leaves out the plain form. */
    mcp_pattern_compile(&selector.method, method->name, book->pool);
    selector.object = book->any;
    atoms = mcp_rulebook_atoms(book, &selector, book->pool);
    for (int i = 0; i < atoms->nelts; i++) {
        const mcp_atom_t *atom = &APR_ARRAY_IDX(atoms, i, mcp_atom_t);

        if ((atom->via != NULL) == (method->operand == MCP_OPERAND_LISTEN)) {
            covered &= book_covers(book, atom);
            objects_collect(objects, book, atom, open);
        }
    }
    if (covered && atoms->nelts && method->operand != MCP_OPERAND_LISTEN) {
        return;
    }
    APR_ARRAY_PUSH(unreached, const char *) =
        objects->nelts ? apr_psprintf(book->pool, "%s (only some: %s)", method->name, texts_join(objects, book->pool))
                       : method->name;
}

apr_array_header_t *mcp_explain_unreached(const mcp_ruleset_t *ruleset, apr_pool_t *p)
{
    static const mcp_operation_kind_t kinds[] = { MCP_OPERATION_GET, MCP_OPERATION_DELETE, MCP_OPERATION_RESPONSE };
    apr_array_header_t *unreached = apr_array_make(p, 8, sizeof(const char *));
    const mcp_method_t *method;
    mcp_rulebook_t book;

    mcp_rulebook_read(&book, ruleset, p);
    for (int i = 0; (method = mcp_method_at(i)); i++) {
        method_explain(unreached, &book, method);
    }
    for (int i = 0; i < (int)(sizeof(kinds) / sizeof(*kinds)); i++) {
        mcp_atom_t atom = { .kind = kinds[i] };

        if (!book_covers(&book, &atom)) {
            APR_ARRAY_PUSH(unreached, const char *) = kind_names[kinds[i]];
        }
    }
    return unreached;
}

/* --- remarks ---------------------------------------------------------------------------------------------------- */

/* FILE:LINE: McpOAuthAllow "VALUES" */
static const char *line_name(const mcp_line_t *line, apr_pool_t *p)
{
    const char *quote = strchr(line->rule->values, ' ') ? "\"" : "";

    return mcp_explain_clean(apr_pstrcat(p, line->rule->place ? line->rule->place : "", line->rule->place ? ": " : "",
                                         "McpOAuthAllow ", quote, line->rule->values, quote, NULL),
                             p);
}

/* Notes in used the lines beside number i that allow the atom to whoever has its values; 0: there is none. dropped: lines
 * that are not counted on. */
static int others_cover(char *used, const mcp_rulebook_t *book, const char *dropped, int i, const mcp_atom_t *atom)
{
    for (int j = 0; j < book->lines->nelts; j++) {
        if (j != i && !dropped[j] && mcp_line_brings(MCP_LINE(book, i), MCP_LINE(book, j)) &&
            mcp_line_covers(MCP_LINE(book, j), atom)) {
            used[j] = 1;
            return 1;
        }
    }
    return 0;
}

/* The remark on line number i when it can be left out beside those that are not dropped; else NULL. */
static const char *useless_remark(const mcp_rulebook_t *book, const char *dropped, int i, apr_pool_t *scratch)
{
    const mcp_line_t *line = MCP_LINE(book, i);
    char *used = apr_pcalloc(scratch, (apr_size_t)book->lines->nelts);
    apr_array_header_t *names = apr_array_make(scratch, 4, sizeof(const char *));
    int count = 0;

    for (int j = 0; j < line->selectors->nelts; j++) {
        const apr_array_header_t *atoms = mcp_rulebook_atoms(book, MCP_SELECTOR(line, j), scratch);

        count += atoms->nelts;
        for (int k = 0; k < atoms->nelts; k++) {
            if (!others_cover(used, book, dropped, i, &APR_ARRAY_IDX(atoms, k, mcp_atom_t))) {
                return NULL;
            }
        }
    }
    for (int j = 0; j < book->lines->nelts; j++) {
        if (used[j]) {
            text_add(names, line_name(MCP_LINE(book, j), scratch));
        }
    }
    return count ? apr_psprintf(book->pool, "%s is useless: whoever has its values may do all of that by %s",
                                line_name(line, scratch), texts_join(names, scratch))
                 : apr_psprintf(book->pool, "%s allows nothing: none of its methods names an object",
                                line_name(line, scratch));
}

static void useless_find(apr_array_header_t *remarks, const mcp_rulebook_t *book)
{
    const char **found = apr_pcalloc(book->pool, ((apr_size_t)book->lines->nelts + 1) * sizeof(*found));
    char *dropped = apr_pcalloc(book->pool, (apr_size_t)book->lines->nelts + 1);
    apr_pool_t *scratch;

    apr_pool_create(&scratch, book->pool);
    for (int i = book->lines->nelts - 1; i >= 0; i--) {
        found[i] = useless_remark(book, dropped, i, scratch);
        dropped[i] = found[i] != NULL;
        apr_pool_clear(scratch);
    }
    apr_pool_destroy(scratch);
    for (int i = 0; i < book->lines->nelts; i++) {
        if (found[i]) {
            APR_ARRAY_PUSH(remarks, const char *) = found[i];
        }
    }
}

static int implies_one(const mcp_rulebook_t *book, int number, const apr_array_header_t *values, apr_pool_t *p)
{
    for (int i = 0; values && i < values->nelts; i++) {
        const char *value = APR_ARRAY_IDX(values, i, const char *);

        if (implies(book, number, mcp_scopes_intern(book->scopes, value), p)) {
            return 1;
        }
    }
    return 0;
}

/* Is the value, or one that it implies, in a rule, required or asked for? */
static int is_wanted(const mcp_rulebook_t *book, int number, apr_pool_t *p)
{
    for (int i = 0; i < book->lines->nelts; i++) {
        const apr_array_header_t *numbers = MCP_LINE(book, i)->numbers;

        for (int j = 0; j < numbers->nelts; j++) {
            if (implies(book, number, APR_ARRAY_IDX(numbers, j, int), p)) {
                return 1;
            }
        }
    }
    return implies_one(book, number, book->ruleset->required, p) || implies_one(book, number, book->ruleset->asked, p);
}

static void unwanted_find(apr_array_header_t *remarks, const mcp_rulebook_t *book)
{
    const apr_array_header_t *implications = book->ruleset->implications;
    char *said = apr_pcalloc(book->pool, (apr_size_t)book->names + 1);
    apr_pool_t *scratch;

    apr_pool_create(&scratch, book->pool);
    for (int i = 0; implications && i < implications->nelts; i++) {
        const mcp_implication_t *implication = &APR_ARRAY_IDX(implications, i, mcp_implication_t);
        int number = mcp_scopes_intern(book->scopes, implication->implied);

        if (!said[number] && !is_wanted(book, number, scratch)) {
            APR_ARRAY_PUSH(remarks, const char *) = mcp_explain_clean(
                apr_psprintf(book->pool,
                             "McpOAuthImplies %s %s: nothing here asks for %s, nor for anything that it "
                             "implies",
                             implication->value, implication->implied, implication->implied),
                book->pool);
        }
        said[number] = 1;
        apr_pool_clear(scratch);
    }
    apr_pool_destroy(scratch);
}

apr_array_header_t *mcp_explain_remarks(const mcp_ruleset_t *ruleset, apr_pool_t *p)
{
    apr_array_header_t *remarks = apr_array_make(p, 4, sizeof(const char *));
    mcp_rulebook_t book;

    mcp_rulebook_read(&book, ruleset, p);
    if (!method_reached(&book, "initialize") && !method_reached(&book, "server/discover")) {
        APR_ARRAY_PUSH(remarks, const char *) =
            "nobody may do initialize or server/discover, so no client gets through "
            "the door; write McpOAuthAllow * @session";
    }
    useless_find(remarks, &book);
    unwanted_find(remarks, &book);
    return remarks;
}
