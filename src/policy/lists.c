#include "policy/lists.h"

#include <apr_tables.h>
#include <string.h>

#include "base/json.h"
#include "base/jsoncheck.h"
#include "base/limits.h"
#include "policy/pattern.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof(*(array))))

/* The lists of a result, and what an element must be allowed to stay. */
enum { LIST_TEMPLATES = 3, LISTS };
static const char *const list_names[LISTS] = { "tools", "resources", "prompts", "resourceTemplates" };
static const struct {
    const char *operand; /* the member that names the object */
    const char *method;
    mcp_object_t object;
} list_rules[LISTS] = {
    { "name", "tools/call", MCP_OBJECT_TOOL },
    { "uri", "resources/read", MCP_OBJECT_RESOURCE },
    { "name", "prompts/get", MCP_OBJECT_PROMPT },
    { "uriTemplate", "resources/read", MCP_OBJECT_RESOURCE },
};

typedef struct capability_t {
    const char *name;
    unsigned feature;
} capability_t;

static const capability_t capabilities[] = {
    { "tools", MCP_FEATURE_TOOLS },     { "resources", MCP_FEATURE_RESOURCES },
    { "prompts", MCP_FEATURE_PROMPTS }, { "completions", MCP_FEATURE_COMPLETIONS },
    { "logging", MCP_FEATURE_LOGGING }, { "tasks", MCP_FEATURE_TASKS },
};
static const capability_t extensions[] = { { "io.modelcontextprotocol/tasks", MCP_FEATURE_TASKS } };

/* One place where the new text differs. */
typedef struct edit_t {
    const char *from, *to;
    const char *text; /* what stands there instead */
} edit_t;

typedef struct filter_t {
    const mcp_viewer_t *viewer;
    unsigned features;         /* MCP_FEATURE_*, with discover */
    apr_array_header_t *edits; /* edit_t, in the order of the text */
    mcp_jsonmap_t map;         /* of the text */
    apr_pool_t *scratch;       /* for one message or element */
} filter_t;

static void edit_add(filter_t *filter, const char *from, const char *to, const char *text)
{
    edit_t *edit = apr_array_push(filter->edits);

    edit->from = from;
    edit->to = to;
    edit->text = text;
}

/* Cuts parts out of one container, with the comma and the white space before them, or behind them when nothing before them
 * stays. */
typedef struct cutter_t {
    filter_t *filter;
    const char *from; /* begin of the present cut, NULL: none */
    const char *tail; /* end of the last part */
    int kept;         /* something before it stays */
} cutter_t;

static void cutter_keep(cutter_t *cutter, const char *begin, const char *end)
{
    if (cutter->from) {
        edit_add(cutter->filter, cutter->from, cutter->kept ? cutter->tail : begin, "");
    }
    cutter->from = NULL;
    cutter->tail = end;
    cutter->kept = 1;
}

static void cutter_cut(cutter_t *cutter, const char *begin, const char *end)
{
    if (!cutter->from) {
        cutter->from = cutter->kept ? cutter->tail : begin;
    }
    cutter->tail = end;
}

static void cutter_end(cutter_t *cutter)
{
    if (cutter->from) {
        edit_add(cutter->filter, cutter->from, cutter->tail, "");
    }
}

static const char *span_end(mcp_span_t span)
{
    return span.text + span.len;
}

/* values[i] is that of names[i], or none. Returns 0 when one stands twice or as a variant, or when a key is there that
 * readers may take for anything. What is no object has no members. */
static int members_find(mcp_span_t *values, mcp_span_t object, const char *const *names, int count,
                        const filter_t *filter)
{
    mcp_jsonwalk_t walk;
    mcp_span_t key, value;

    memset(values, 0, (apr_size_t)count * sizeof(*values));
    if (mcp_jsonwalk_open(&walk, object, &filter->map) != '{') {
        return 1;
    }
    while (mcp_jsonwalk_next(&key, &value, &walk)) {
        const char *text = mcp_jsontext_key(key, filter->scratch);

        for (int i = 0; text && i < count; i++) {
            if (!strcmp(text, names[i]) && !values[i].text) {
                values[i] = value;
                break;
            }
            if (!strcmp(text, names[i]) || mcp_json_is_variant(text, names[i])) {
                return 0;
            }
        }
        if (!text) {
            return 0;
        }
    }
    return 1;
}

/* May this element of the list be seen? */
static int element_is_allowed(filter_t *filter, mcp_span_t element, int list)
{
    const mcp_viewer_t *viewer = filter->viewer;
    mcp_operation_t operation = { MCP_OPERATION_METHOD, list_rules[list].method, list_rules[list].object, NULL, NULL };
    mcp_pattern_t pattern;
    mcp_span_t value;

    if (*element.text != '{') {
        return 0;
    }
    apr_pool_clear(filter->scratch);
    /* Escaped, a byte of text takes six at most. */
    if (!members_find(&value, element, &list_rules[list].operand, 1, filter) || !value.text ||
        value.len > 6 * MCP_LIMIT_NAME + 2) {
        return 0;
    }
    operation.object = mcp_jsontext_string(value, filter->scratch);
    if (!operation.object || strlen(operation.object) > MCP_LIMIT_NAME) {
        return 0;
    }
    if (list == LIST_TEMPLATES) {
        mcp_pattern_of_template(&pattern, operation.object, filter->scratch);
        return mcp_acl_reaches(viewer->acl, viewer->held, &operation, &pattern);
    }
    return mcp_acl_check(NULL, viewer->acl, viewer->held, &operation, 1, filter->scratch) == MCP_OK;
}

static void list_edit(filter_t *filter, mcp_span_t array, int list)
{
    cutter_t cutter = { .filter = filter };
    mcp_jsonwalk_t walk;
    mcp_span_t value;

    if (mcp_jsonwalk_open(&walk, array, &filter->map) != '[') {
        return;
    }
    while (mcp_jsonwalk_next(NULL, &value, &walk)) {
        if (element_is_allowed(filter, value, list)) {
            cutter_keep(&cutter, value.text, span_end(value));
        }
        else {
            cutter_cut(&cutter, value.text, span_end(value));
        }
    }
    cutter_end(&cutter);
}

/* Is key the name or a variant of it? */
static int is_like(mcp_span_t key, const char *name, apr_pool_t *scratch)
{
    const char *text = mcp_jsontext_key(key, scratch);

    return text && (!strcmp(text, name) || mcp_json_is_variant(text, name));
}

static int is_hidden(const filter_t *filter, mcp_span_t key, const capability_t *table, int count)
{
    for (int i = 0; i < count; i++) {
        if (is_like(key, table[i].name, filter->scratch)) {
            return !(filter->features & table[i].feature);
        }
    }
    return 0;
}

/* Cuts what is hidden out of capabilities, or out of their extensions. */
static void capabilities_edit(filter_t *filter, mcp_span_t object, const capability_t *table, int count)
{
    cutter_t cutter = { .filter = filter };
    mcp_jsonwalk_t walk;
    mcp_span_t key, value;

    if (mcp_jsonwalk_open(&walk, object, &filter->map) != '{') {
        return;
    }
    while (mcp_jsonwalk_next(&key, &value, &walk)) {
        const char *begin = key.text - 1; /* its quote */

        apr_pool_clear(filter->scratch);
        if (is_hidden(filter, key, table, count)) {
            cutter_cut(&cutter, begin, span_end(value));
            continue;
        }
        cutter_keep(&cutter, begin, span_end(value));
        if (table == capabilities && is_like(key, "extensions", filter->scratch)) {
            capabilities_edit(filter, value, extensions, COUNT(extensions));
        }
    }
    cutter_end(&cutter);
}

static void scope_edit(filter_t *filter, mcp_span_t scope)
{
    const char *value = mcp_jsontext_string(scope, filter->scratch);

    if (!value || strcmp(value, "private")) {
        edit_add(filter, scope.text, span_end(scope), "\"private\"");
    }
}

static void member_edit(filter_t *filter, mcp_span_t key, mcp_span_t value)
{
    for (int i = 0; i < LISTS; i++) {
        if (mcp_jsontext_is(key, list_names[i])) {
            list_edit(filter, value, i);
            return;
        }
    }
    if (is_like(key, "cacheScope", filter->scratch)) {
        scope_edit(filter, value);
    }
    else if (filter->viewer->discover && is_like(key, "capabilities", filter->scratch)) {
        capabilities_edit(filter, value, capabilities, COUNT(capabilities));
    }
}

/* Are capabilities there that have to be filtered? */
static int is_discovered(filter_t *filter, mcp_span_t result)
{
    mcp_jsonwalk_t walk;
    mcp_span_t key, value;

    if (!filter->viewer->discover || mcp_jsonwalk_open(&walk, result, &filter->map) != '{') {
        return 0;
    }
    while (mcp_jsonwalk_next(&key, &value, &walk)) {
        if (*value.text == '{' && is_like(key, "capabilities", filter->scratch)) {
            return 1;
        }
    }
    return 0;
}

static mcp_status_t result_edit(filter_t *filter, mcp_span_t result)
{
    mcp_span_t values[LISTS], key, value;
    mcp_jsonwalk_t walk;
    int judged;

    if (*result.text == '[' || !members_find(values, result, list_names, LISTS, filter)) {
        return MCP_LIST_UNREADABLE;
    }
    judged = is_discovered(filter, result);
    for (int i = 0; i < LISTS; i++) {
        if (values[i].text && *values[i].text != '[' && *values[i].text != 'n') {
            return MCP_LIST_UNREADABLE;
        }
        judged |= values[i].text != NULL;
    }
    if (!judged || mcp_jsonwalk_open(&walk, result, &filter->map) != '{') {
        return MCP_OK;
    }
    while (mcp_jsonwalk_next(&key, &value, &walk)) {
        apr_pool_clear(filter->scratch);
        member_edit(filter, key, value);
    }
    return MCP_OK;
}

static mcp_status_t message_edit(filter_t *filter, mcp_span_t message)
{
    static const char *const names[] = { "result" };
    mcp_span_t result;

    apr_pool_clear(filter->scratch);
    if (!members_find(&result, message, names, COUNT(names), filter)) {
        return MCP_LIST_UNREADABLE;
    }
    return result.text ? result_edit(filter, result) : MCP_OK;
}

static mcp_status_t text_edit(filter_t *filter, mcp_span_t text)
{
    mcp_status_t status = MCP_OK;
    mcp_jsonwalk_t walk;
    mcp_span_t message;

    if (mcp_jsonwalk_open(&walk, text, &filter->map) != '[') {
        return message_edit(filter, text);
    }
    while (status == MCP_OK && mcp_jsonwalk_next(NULL, &message, &walk)) {
        status = *message.text == '[' ? MCP_LIST_UNREADABLE : message_edit(filter, message);
    }
    return status;
}

static const char *edits_apply(apr_size_t *plen, const char *data, apr_size_t len, const apr_array_header_t *edits,
                               apr_pool_t *p)
{
    const char *end = data + len;
    char *changed, *out;

    for (int i = 0; i < edits->nelts; i++) {
        const edit_t *edit = &APR_ARRAY_IDX(edits, i, edit_t);

        len = len - (apr_size_t)(edit->to - edit->from) + strlen(edit->text);
    }
    changed = out = apr_palloc(p, len + 1);
    for (int i = 0; i < edits->nelts; i++) {
        const edit_t *edit = &APR_ARRAY_IDX(edits, i, edit_t);
        apr_size_t before = (apr_size_t)(edit->from - data), added = strlen(edit->text);

        memcpy(out, data, before);
        memcpy(out + before, edit->text, added);
        out += before + added;
        data = edit->to;
    }
    memcpy(out, data, (apr_size_t)(end - data));
    changed[len] = '\0';
    *plen = len;
    return changed;
}

mcp_status_t mcp_lists_filter(const char **pout, apr_size_t *plen, const char *data, apr_size_t len,
                              const mcp_viewer_t *viewer, apr_pool_t *p)
{
    filter_t filter = { .viewer = viewer, .map = { .p = p } };
    mcp_status_t status;
    mcp_span_t text;

    *pout = NULL;
    *plen = 0;
    if (!mcp_jsoncheck_grammar(&text, data, len, MCP_LIMIT_LIST_DEPTH, &filter.map)) {
        return MCP_LIST_UNREADABLE;
    }
    apr_pool_create(&filter.scratch, p);
    filter.edits = apr_array_make(p, 16, sizeof(edit_t));
    if (viewer->discover) {
        filter.features = mcp_acl_features(viewer->acl, viewer->held);
    }
    status = text_edit(&filter, text);
    apr_pool_destroy(filter.scratch);
    if (status != MCP_OK) {
        return status;
    }
    *pout = data;
    *plen = len;
    if (filter.edits->nelts) {
        *pout = edits_apply(plen, data, len, filter.edits, p);
    }
    return MCP_OK;
}
