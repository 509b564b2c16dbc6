#include "policy/rulebook.h"

#include <apr_strings.h>
#include <string.h>

#define LISTEN "subscriptions/listen"

/* The entries of subscriptions/listen are judged as these methods (mcp_message_parse). */
static const struct {
    const char *method;
    mcp_object_t kind;
} entries[] = { { "resources/subscribe", MCP_OBJECT_RESOURCE }, { "tasks/get", MCP_OBJECT_TASK } };

#define ENTRIES ((int)(sizeof(entries) / sizeof(*entries)))

/* --- reading ---------------------------------------------------------------------------------------------------- */

static int has_number(const apr_array_header_t *numbers, int number)
{
    for (int i = 0; i < numbers->nelts; i++) {
        if (APR_ARRAY_IDX(numbers, i, int) == number) {
            return 1;
        }
    }
    return 0;
}

static void number_add(apr_array_header_t *numbers, int number)
{
    if (!has_number(numbers, number)) {
        APR_ARRAY_PUSH(numbers, int) = number;
    }
}

/* Splits as mcp_acl_allow does. Returns 0 when there is no value. */
static int values_read(apr_array_header_t *numbers, mcp_rulebook_t *book, const char *values)
{
    apr_size_t len;

    if (!strcmp(values, "*")) {
        return 1;
    }
    for (; *values; values += len) {
        values += strspn(values, " ");
        len = strcspn(values, " ");
        if (len) {
            number_add(numbers, mcp_scopes_intern(book->scopes, apr_pstrmemdup(book->pool, values, len)));
        }
    }
    return numbers->nelts > 0;
}

static void selector_add(apr_array_header_t *selectors, const char *operation, apr_pool_t *p)
{
    mcp_selector_t selector;

    if (mcp_selector_parse(&selector, operation, p)) {
        return; /* malformed: allows nothing */
    }
    if (selector.select != MCP_SELECT_GROUP) {
        APR_ARRAY_PUSH(selectors, mcp_selector_t) = selector;
        return;
    }
    for (const char *const *member = selector.members; *member; member++) {
        selector_add(selectors, *member, p);
    }
}

static void line_add(mcp_rulebook_t *book, const mcp_rule_t *rule)
{
    mcp_line_t line = { .rule = rule };

    line.numbers = apr_array_make(book->pool, 2, sizeof(int));
    line.selectors = apr_array_make(book->pool, 4, sizeof(mcp_selector_t));
    if (!values_read(line.numbers, book, rule->values)) {
        return;
    }
    for (int i = 0; rule->operations && i < rule->operations->nelts; i++) {
        selector_add(line.selectors, APR_ARRAY_IDX(rule->operations, i, const char *), book->pool);
    }
    APR_ARRAY_PUSH(book->lines, mcp_line_t) = line;
}

static void line_close(const mcp_rulebook_t *book, mcp_line_t *line)
{
    const apr_array_header_t *required = book->ruleset->required_count ? book->ruleset->required : NULL;
    apr_array_header_t *held = apr_array_make(book->pool, 4, sizeof(const char *));

    for (int i = 0; i < line->numbers->nelts; i++) {
        APR_ARRAY_PUSH(held, const char *) = mcp_scopes_name(book->scopes, APR_ARRAY_IDX(line->numbers, i, int));
    }
    if (required) {
        apr_array_cat(held, required);
    }
    mcp_scopes_collect(&line->brings, book->scopes, held, book->pool);
}

static void values_intern(mcp_rulebook_t *book, const apr_array_header_t *values)
{
    for (int i = 0; values && i < values->nelts; i++) {
        mcp_scopes_intern(book->scopes, APR_ARRAY_IDX(values, i, const char *));
    }
}

void mcp_rulebook_read(mcp_rulebook_t *book, const mcp_ruleset_t *ruleset, apr_pool_t *p)
{
    memset(book, 0, sizeof(*book));
    book->pool = p;
    book->ruleset = ruleset;
    book->scopes = mcp_scopes_create(p);
    book->lines = apr_array_make(p, 8, sizeof(mcp_line_t));
    mcp_pattern_compile(&book->any, "*", p);
    for (int i = 0; ruleset->rules && i < ruleset->rules->nelts; i++) {
        line_add(book, &APR_ARRAY_IDX(ruleset->rules, i, mcp_rule_t));
    }
    values_intern(book, ruleset->required);
    values_intern(book, ruleset->asked);
    for (int i = 0; ruleset->implications && i < ruleset->implications->nelts; i++) {
        const mcp_implication_t *implication = &APR_ARRAY_IDX(ruleset->implications, i, mcp_implication_t);

        mcp_scopes_imply(book->scopes, implication->value, implication->implied);
    }
    mcp_scopes_close(book->scopes, p);
    while (mcp_scopes_name(book->scopes, book->names)) {
        book->names++;
    }
    for (int i = 0; i < book->lines->nelts; i++) {
        line_close(book, MCP_LINE(book, i));
    }
}

/* --- what covers what ------------------------------------------------------------------------------------------- */

static void atom_add(apr_array_header_t *atoms, const char *method, mcp_object_t kind, const mcp_pattern_t *object,
                     const char *via)
{
    mcp_atom_t *atom = apr_array_push(atoms);

    memset(atom, 0, sizeof(*atom));
    atom->method = method;
    atom->object_kind = kind;
    atom->object = kind == MCP_OBJECT_NONE ? NULL : object;
    atom->via = via;
}

static int touches(const mcp_method_t *method, mcp_object_t kind)
{
    if (method->operand == MCP_OPERAND_REF) {
        return kind == MCP_OBJECT_PROMPT || kind == MCP_OBJECT_RESOURCE;
    }
    return kind != MCP_OBJECT_NONE && method->object == kind;
}

/* The objects of one method, but not as entries of subscriptions/listen. */
static void objects_add(apr_array_header_t *atoms, const mcp_method_t *method, const mcp_pattern_t *object)
{
    for (int kind = MCP_OBJECT_TOOL; kind <= MCP_OBJECT_TASK; kind++) {
        if (touches(method, (mcp_object_t)kind)) {
            atom_add(atoms, method->name, (mcp_object_t)kind, object, NULL);
        }
    }
}

static void method_add(apr_array_header_t *atoms, const mcp_selector_t *selector, const mcp_rulebook_t *book)
{
    const mcp_method_t *known;

    if (!selector->method.exact) {
        atom_add(atoms, NULL, MCP_OBJECT_NONE, NULL, NULL);
        APR_ARRAY_IDX(atoms, atoms->nelts - 1, mcp_atom_t).methods = &selector->method;
        return;
    }
    known = mcp_method_find(selector->method.literal);
    if (known) {
        objects_add(atoms, known, &book->any);
    }
    /* What is gone may come without its object (mcp_message_parse). */
    if (!known || known->operand == MCP_OPERAND_NONE || known->operand == MCP_OPERAND_LISTEN || known->gone) {
        atom_add(atoms, selector->method.literal, MCP_OBJECT_NONE, NULL, NULL);
    }
    for (int i = 0; i < ENTRIES; i++) {
        if (!strcmp(selector->method.literal, entries[i].method)) {
            atom_add(atoms, entries[i].method, entries[i].kind, &book->any, LISTEN);
        }
    }
}

/* Objects alone, or with the methods of a pattern: only methods that are known touch any. */
static void object_add(apr_array_header_t *atoms, const mcp_selector_t *selector)
{
    int both = selector->select == MCP_SELECT_BOTH;
    const mcp_method_t *method;

    for (int i = 0; (method = mcp_method_at(i)); i++) {
        if (both && mcp_pattern_match(&selector->method, method->name)) {
            objects_add(atoms, method, &selector->object);
        }
        if (!both && touches(method, selector->object_kind)) {
            atom_add(atoms, method->name, selector->object_kind, &selector->object, NULL);
        }
    }
    for (int i = 0; i < ENTRIES; i++) {
        if (both ? mcp_pattern_match(&selector->method, entries[i].method) ||
                       mcp_pattern_match(&selector->method, LISTEN)
                 : selector->object_kind == entries[i].kind) {
            atom_add(atoms, entries[i].method, entries[i].kind, &selector->object, LISTEN);
        }
    }
}

apr_array_header_t *mcp_rulebook_atoms(const mcp_rulebook_t *book, const mcp_selector_t *selector, apr_pool_t *p)
{
    apr_array_header_t *atoms = apr_array_make(p, 4, sizeof(mcp_atom_t));
    mcp_atom_t *atom;

    switch (selector->select) {
    case MCP_SELECT_METHOD:
        method_add(atoms, selector, book);
        break;
    case MCP_SELECT_OBJECT:
    case MCP_SELECT_BOTH:
        object_add(atoms, selector);
        break;
    case MCP_SELECT_ALL:
    case MCP_SELECT_KIND:
    case MCP_SELECT_GROUP:
        atom_add(atoms, NULL, MCP_OBJECT_NONE, NULL, NULL);
        atom = &APR_ARRAY_IDX(atoms, 0, mcp_atom_t);
        atom->all = selector->select != MCP_SELECT_KIND;
        atom->kind = selector->kind;
        break;
    }
    return atoms;
}

int mcp_atom_covered(const mcp_atom_t *atom, const mcp_selector_t *selector, int some)
{
    int (*holds)(const mcp_pattern_t *, const mcp_pattern_t *) = some ? mcp_pattern_meets : mcp_pattern_covers;
    int is_method = !atom->all && atom->kind == MCP_OPERATION_METHOD;

    switch (selector->select) {
    case MCP_SELECT_ALL:
        return 1;
    case MCP_SELECT_KIND:
        return !atom->all && atom->kind == selector->kind;
    case MCP_SELECT_METHOD:
        return is_method && (atom->method ? mcp_pattern_match(&selector->method, atom->method)
                                          : holds(&selector->method, atom->methods));
    case MCP_SELECT_OBJECT:
        return atom->object && atom->object_kind == selector->object_kind && holds(&selector->object, atom->object);
    case MCP_SELECT_BOTH:
        return atom->object &&
               (mcp_pattern_match(&selector->method, atom->method) ||
                (atom->via && mcp_pattern_match(&selector->method, atom->via))) &&
               holds(&selector->object, atom->object);
    case MCP_SELECT_GROUP:
        break;
    }
    return 0;
}

int mcp_line_covers(const mcp_line_t *line, const mcp_atom_t *atom)
{
    for (int i = 0; i < line->selectors->nelts; i++) {
        if (mcp_atom_covered(atom, MCP_SELECTOR(line, i), 0)) {
            return 1;
        }
    }
    return 0;
}

/* --- values ----------------------------------------------------------------------------------------------------- */

int mcp_line_equals(const mcp_line_t *line, const mcp_line_t *other)
{
    for (int i = 0; i < line->numbers->nelts; i++) {
        if (!has_number(other->numbers, APR_ARRAY_IDX(line->numbers, i, int))) {
            return 0;
        }
    }
    return line->numbers->nelts == other->numbers->nelts;
}

int mcp_line_brings(const mcp_line_t *line, const mcp_line_t *other)
{
    for (int i = 0; i < other->numbers->nelts; i++) {
        if (!mcp_valueset_has(&line->brings, APR_ARRAY_IDX(other->numbers, i, int))) {
            return 0;
        }
    }
    return 1;
}
