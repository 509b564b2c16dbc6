#include "policy/acl.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#include "policy/selector.h"

#define OBJECTS (MCP_OBJECT_TASK + 1)
#define KINDS (MCP_OPERATION_DELETE + 1)
#define WORD_BITS 32
#define COUNT(array) ((int)(sizeof(array) / sizeof(*(array))))

/* The methods of each feature. */
static const struct {
    const char *methods;
    unsigned feature;
} families[] = {
    { "tools/*", MCP_FEATURE_TOOLS },
    { "resources/*", MCP_FEATURE_RESOURCES },
    { "prompts/*", MCP_FEATURE_PROMPTS },
    { "completion/complete", MCP_FEATURE_COMPLETIONS },
    { "logging/setLevel", MCP_FEATURE_LOGGING },
    { "tasks/*", MCP_FEATURE_TASKS },
};

/* Those among them that touch an object: a rule for a method with an object covers no other. */
static const struct {
    const char *method;
    unsigned features;
} touching[] = {
    { "completion/complete", MCP_FEATURE_COMPLETIONS },
    { "prompts/get", MCP_FEATURE_PROMPTS },
    { "resources/read", MCP_FEATURE_RESOURCES },
    { "resources/subscribe", MCP_FEATURE_RESOURCES },
    { "resources/unsubscribe", MCP_FEATURE_RESOURCES },
    { "subscriptions/listen", MCP_FEATURE_RESOURCES | MCP_FEATURE_TASKS }, /* its entries: see via in method.h */
    { "tasks/cancel", MCP_FEATURE_TASKS },
    { "tasks/get", MCP_FEATURE_TASKS },
    { "tasks/result", MCP_FEATURE_TASKS },
    { "tasks/update", MCP_FEATURE_TASKS },
    { "tools/call", MCP_FEATURE_TOOLS },
};

/* completion/complete refers to prompts and resources. */
static const unsigned object_features[OBJECTS] = {
    [MCP_OBJECT_TOOL] = MCP_FEATURE_TOOLS,
    [MCP_OBJECT_RESOURCE] = MCP_FEATURE_RESOURCES | MCP_FEATURE_COMPLETIONS,
    [MCP_OBJECT_PROMPT] = MCP_FEATURE_PROMPTS | MCP_FEATURE_COMPLETIONS,
};

typedef struct rule_t {
    int index;
    int count; /* 0: any valid token */
    int *values;
    unsigned features; /* MCP_FEATURE_* of which it allows something */
} rule_t;

/* Texts and patterns of texts, each with what hangs on it. A look-up costs one probe of exact and one of prefixes per
 * distinct length of a literal prefix, however many there are. */
typedef struct index_t {
    apr_hash_t *exact;           /* text -> entry_t */
    apr_hash_t *prefixes;        /* literal prefix -> array of entry_t * */
    apr_array_header_t *lengths; /* apr_size_t, ascending: the distinct lengths of these prefixes */
    apr_array_header_t *entries; /* entry_t *, exact ones and patterns: what a pattern is held against */
} index_t;

typedef struct node_t {
    apr_array_header_t *rules; /* const rule_t *, ascending; NULL: none */
    /* The same once more, for the usual question whether any of them is enough: however many ask for one value each, a look
     * at the bits of those values tells. */
    int open;                  /* one of them asks for nothing */
    mcp_valueset_t singles;    /* values that are enough by themselves */
    apr_array_header_t *joint; /* const rule_t * that ask for several; NULL: none */
    index_t *objects;          /* below a method: rules for some of its objects; NULL: none */
} node_t;

typedef struct entry_t {
    const char *text;
    mcp_pattern_t pattern;
    node_t node;
} entry_t;

struct mcp_acl_t {
    apr_pool_t *pool;
    mcp_scopes_t *scopes;
    apr_array_header_t *rules; /* rule_t * */
    mcp_pattern_t families[COUNT(families)];
    node_t all;
    node_t kinds[KINDS];
    index_t *methods;
    index_t *objects[OBJECTS];
};

/* One operation being judged. */
typedef struct query_t {
    const mcp_acl_t *acl;
    const mcp_operation_t *operation;
    const mcp_valueset_t *held;
    const mcp_pattern_t *object; /* NULL: operation->object, else in its place */
    int found;                   /* some rule covers it */
    int allowed;                 /* and the token satisfies that rule */
    mcp_valueset_t *chosen;      /* NULL while only the verdict is wanted */
    const rule_t *best;
    int best_fresh;
    int best_lacking;
} query_t;

const char *mcp_acl_check_operation(const char **pwarning, const char *operation, apr_pool_t *p)
{
    mcp_selector_t selector;
    const char *error = mcp_selector_parse(&selector, operation, p);

    *pwarning = error ? NULL : mcp_selector_remark(&selector, operation, p);
    return error;
}

static index_t *index_create(apr_pool_t *p)
{
    index_t *index = apr_palloc(p, sizeof(*index));

    index->exact = apr_hash_make(p);
    index->prefixes = apr_hash_make(p);
    index->lengths = apr_array_make(p, 4, sizeof(apr_size_t));
    index->entries = apr_array_make(p, 4, sizeof(entry_t *));
    return index;
}

mcp_acl_t *mcp_acl_create(mcp_scopes_t *scopes, apr_pool_t *p)
{
    mcp_acl_t *acl = apr_pcalloc(p, sizeof(*acl));

    acl->pool = p;
    acl->scopes = scopes;
    acl->rules = apr_array_make(p, 16, sizeof(rule_t *));
    for (int i = 0; i < COUNT(families); i++) {
        mcp_pattern_compile(&acl->families[i], families[i].methods, p);
    }
    acl->methods = index_create(p);
    for (int i = 0; i < OBJECTS; i++) {
        acl->objects[i] = index_create(p);
    }
    return acl;
}

static void length_add(apr_array_header_t *lengths, apr_size_t length)
{
    apr_size_t *all;
    int at = 0;

    while (at < lengths->nelts && APR_ARRAY_IDX(lengths, at, apr_size_t) < length) {
        at++;
    }
    if (at < lengths->nelts && APR_ARRAY_IDX(lengths, at, apr_size_t) == length) {
        return;
    }
    apr_array_push(lengths);
    all = (apr_size_t *)lengths->elts;
    memmove(all + at + 1, all + at, (apr_size_t)(lengths->nelts - 1 - at) * sizeof(*all));
    all[at] = length;
}

static entry_t *entry_add(index_t *index, const mcp_pattern_t *pattern, const char *text, apr_pool_t *p)
{
    entry_t *entry = apr_pcalloc(p, sizeof(*entry));

    entry->text = text;
    entry->pattern = *pattern;
    APR_ARRAY_PUSH(index->entries, entry_t *) = entry;
    return entry;
}

static node_t *prefix_node(index_t *index, const mcp_pattern_t *pattern, const char *text, apr_pool_t *p)
{
    apr_array_header_t *entries = apr_hash_get(index->prefixes, pattern->literal, (apr_ssize_t)pattern->literal_len);
    entry_t *entry;

    if (!entries) {
        entries = apr_array_make(p, 1, sizeof(entry_t *));
        apr_hash_set(index->prefixes, pattern->literal, (apr_ssize_t)pattern->literal_len, entries);
        length_add(index->lengths, pattern->literal_len);
    }
    for (int i = 0; i < entries->nelts; i++) {
        entry = APR_ARRAY_IDX(entries, i, entry_t *);
        if (!strcmp(entry->text, text)) {
            return &entry->node;
        }
    }
    entry = entry_add(index, pattern, text, p);
    APR_ARRAY_PUSH(entries, entry_t *) = entry;
    return &entry->node;
}

/* The node of the pattern, made on first sight. */
static node_t *index_node(index_t *index, const mcp_pattern_t *pattern, const char *text, apr_pool_t *p)
{
    entry_t *entry;

    if (!pattern->exact) {
        return prefix_node(index, pattern, text, p);
    }
    entry = apr_hash_get(index->exact, pattern->literal, APR_HASH_KEY_STRING);
    if (!entry) {
        entry = entry_add(index, pattern, text, p);
        apr_hash_set(index->exact, pattern->literal, APR_HASH_KEY_STRING, entry);
    }
    return &entry->node;
}

static void single_add(mcp_valueset_t *set, int number, apr_pool_t *p)
{
    int word = number / WORD_BITS;

    if (word >= set->words) {
        apr_uint32_t *bits = apr_pcalloc(p, 2 * ((apr_size_t)word + 1) * sizeof(*bits));

        if (set->words) {
            memcpy(bits, set->bits, (apr_size_t)set->words * sizeof(*bits));
        }
        set->bits = bits;
        set->words = 2 * (word + 1);
    }
    set->bits[word] |= (apr_uint32_t)1 << (number % WORD_BITS);
}

static void node_add(node_t *node, const rule_t *rule, apr_pool_t *p)
{
    if (!node->rules) {
        node->rules = apr_array_make(p, 1, sizeof(const rule_t *));
    }
    APR_ARRAY_PUSH(node->rules, const rule_t *) = rule;
    if (!rule->count) {
        node->open = 1;
    }
    else if (rule->count == 1) {
        single_add(&node->singles, rule->values[0], p);
    }
    else {
        node->joint = node->joint ? node->joint : apr_array_make(p, 1, sizeof(const rule_t *));
        APR_ARRAY_PUSH(node->joint, const rule_t *) = rule;
    }
}

/* The features of which a rule with this selector, no group, allows at least one operation. */
static unsigned selector_features(const mcp_acl_t *acl, const mcp_selector_t *selector)
{
    unsigned features = 0;

    for (int i = 0; i < COUNT(families); i++) {
        if (selector->select == MCP_SELECT_ALL ||
            (selector->select == MCP_SELECT_METHOD && mcp_pattern_meets(&selector->method, &acl->families[i]))) {
            features |= families[i].feature;
        }
    }
    for (int i = 0; i < COUNT(touching) && selector->select == MCP_SELECT_BOTH; i++) {
        if (mcp_pattern_match(&selector->method, touching[i].method)) {
            features |= touching[i].features;
        }
    }
    return selector->select == MCP_SELECT_OBJECT ? object_features[selector->object_kind] : features;
}

static void operation_add(mcp_acl_t *acl, rule_t *rule, const char *text)
{
    mcp_selector_t selector;
    node_t *node = NULL;

    if (mcp_selector_parse(&selector, text, acl->pool)) {
        return; /* malformed: allows nothing */
    }
    rule->features |= selector_features(acl, &selector);
    switch (selector.select) {
    case MCP_SELECT_ALL:
        node = &acl->all;
        break;
    case MCP_SELECT_KIND:
        node = &acl->kinds[selector.kind];
        break;
    case MCP_SELECT_GROUP:
        for (const char *const *member = selector.members; *member; member++) {
            operation_add(acl, rule, *member);
        }
        return;
    case MCP_SELECT_METHOD:
        node = index_node(acl->methods, &selector.method, selector.method_text, acl->pool);
        break;
    case MCP_SELECT_OBJECT:
        node = index_node(acl->objects[selector.object_kind], &selector.object, selector.object_text, acl->pool);
        break;
    case MCP_SELECT_BOTH:
        node = index_node(acl->methods, &selector.method, selector.method_text, acl->pool);
        if (!node->objects) {
            node->objects = index_create(acl->pool);
        }
        node = index_node(node->objects, &selector.object, selector.object_text, acl->pool);
        break;
    }
    if (node) {
        node_add(node, rule, acl->pool);
    }
}

static void value_add(rule_t *rule, int number)
{
    for (int i = 0; i < rule->count; i++) {
        if (rule->values[i] == number) {
            return;
        }
    }
    rule->values[rule->count++] = number;
}

void mcp_acl_allow(mcp_acl_t *acl, const char *values, const apr_array_header_t *operations)
{
    rule_t *rule = apr_pcalloc(acl->pool, sizeof(*rule));
    apr_size_t len;

    rule->index = acl->rules->nelts;
    APR_ARRAY_PUSH(acl->rules, rule_t *) = rule;
    if (strcmp(values, "*")) {
        rule->values = apr_palloc(acl->pool, (strlen(values) + 1) * sizeof(*rule->values));
        for (; *values; values += len) {
            values += strspn(values, " ");
            len = strcspn(values, " ");
            if (len) {
                value_add(rule, mcp_scopes_intern(acl->scopes, apr_pstrmemdup(acl->pool, values, len)));
            }
        }
        if (!rule->count) {
            return; /* nothing needed is not the same as "any valid token" */
        }
    }
    for (int i = 0; i < operations->nelts; i++) {
        operation_add(acl, rule, apr_pstrdup(acl->pool, APR_ARRAY_IDX(operations, i, const char *)));
    }
}

/* How many values of the rule are not in set. */
static int rule_beyond(const rule_t *rule, const mcp_valueset_t *set)
{
    int beyond = 0;

    for (int i = 0; i < rule->count; i++) {
        beyond += !mcp_valueset_has(set, rule->values[i]);
    }
    return beyond;
}

static int is_better(const query_t *query, const rule_t *rule, int fresh, int lacking)
{
    if (!query->best || fresh != query->best_fresh) {
        return !query->best || fresh < query->best_fresh;
    }
    if (lacking != query->best_lacking) {
        return lacking < query->best_lacking;
    }
    return rule->index < query->best->index;
}

static int is_done(const query_t *query)
{
    return query->allowed && !query->chosen;
}

static int node_allows(const node_t *node, const mcp_valueset_t *held)
{
    int words = held->bits ? held->words : 0, i;

    if (node->open) {
        return 1;
    }
    for (i = 0; i < words && i < node->singles.words; i++) {
        if (node->singles.bits[i] & held->bits[i]) {
            return 1;
        }
    }
    for (i = 0; node->joint && i < node->joint->nelts; i++) {
        if (!rule_beyond(APR_ARRAY_IDX(node->joint, i, const rule_t *), held)) {
            return 1;
        }
    }
    return 0;
}

static void visit_rules(query_t *query, const node_t *node)
{
    if (!node->rules) {
        return;
    }
    query->found = 1;
    query->allowed = query->allowed || node_allows(node, query->held);
    for (int i = 0; query->chosen && i < node->rules->nelts; i++) {
        const rule_t *rule = APR_ARRAY_IDX(node->rules, i, const rule_t *);
        int lacking = rule_beyond(rule, query->held), fresh = rule_beyond(rule, query->chosen);

        if (is_better(query, rule, fresh, lacking)) {
            query->best = rule;
            query->best_fresh = fresh;
            query->best_lacking = lacking;
        }
    }
}

/* Calls visit for every node whose text or pattern matches. */
static void index_visit(query_t *query, const index_t *index, const char *text,
                        void (*visit)(query_t *query, const node_t *node))
{
    apr_size_t len = strlen(text);
    const entry_t *found = apr_hash_get(index->exact, text, (apr_ssize_t)len);

    if (found) {
        visit(query, &found->node);
    }
    for (int i = 0; i < index->lengths->nelts && !is_done(query); i++) {
        apr_size_t length = APR_ARRAY_IDX(index->lengths, i, apr_size_t);
        const apr_array_header_t *entries;

        if (length > len) {
            break;
        }
        entries = apr_hash_get(index->prefixes, text, (apr_ssize_t)length);
        for (int j = 0; entries && j < entries->nelts; j++) {
            const entry_t *entry = APR_ARRAY_IDX(entries, j, const entry_t *);

            if (mcp_pattern_match(&entry->pattern, text)) {
                visit(query, &entry->node);
            }
        }
    }
}

/* The rules below index for the object of the query, or for some that its pattern matches. */
static void visit_objects(query_t *query, const index_t *index)
{
    if (query->operation->object_kind == MCP_OBJECT_NONE) {
        return;
    }
    if (!query->object || query->object->exact) {
        index_visit(query, index, query->object ? query->object->literal : query->operation->object, visit_rules);
        return;
    }
    for (int i = 0; i < index->entries->nelts && !is_done(query); i++) {
        const entry_t *entry = APR_ARRAY_IDX(index->entries, i, const entry_t *);

        if (mcp_pattern_meets(&entry->pattern, query->object)) {
            visit_rules(query, &entry->node);
        }
    }
}

/* The rules for a method together with an object. */
static void visit_pair(query_t *query, const node_t *node)
{
    if (node->objects) {
        visit_objects(query, node->objects);
    }
}

static void visit_method(query_t *query, const node_t *node)
{
    visit_rules(query, node);
    visit_pair(query, node);
}

/* Is the operation what method.h says? Anything else is refused, also by "*". */
static int is_sound(const query_t *query)
{
    const mcp_operation_t *operation = query->operation;

    if ((unsigned)operation->kind >= KINDS || (unsigned)operation->object_kind >= OBJECTS) {
        return 0;
    }
    return (operation->kind != MCP_OPERATION_METHOD || operation->method) &&
           (operation->object_kind == MCP_OBJECT_NONE || query->object || operation->object);
}

static void query_run(query_t *query, const mcp_operation_t *operation)
{
    const mcp_acl_t *acl = query->acl;

    query->operation = operation;
    query->found = query->allowed = 0;
    query->best = NULL;
    if (!is_sound(query)) {
        return;
    }
    visit_rules(query, &acl->all);
    if (operation->kind != MCP_OPERATION_METHOD) {
        visit_rules(query, &acl->kinds[operation->kind]);
        return;
    }
    index_visit(query, acl->methods, operation->method, visit_method);
    if (operation->via) {
        index_visit(query, acl->methods, operation->via, visit_pair);
    }
    visit_objects(query, acl->objects[operation->object_kind]);
}

static int by_index(const void *a, const void *b)
{
    return (*(const rule_t *const *)a)->index - (*(const rule_t *const *)b)->index;
}

/* The values of the picked rules in the order of the rules. Takes them out of chosen, so that each comes once. */
static const apr_array_header_t *values_list(apr_array_header_t *picked, mcp_valueset_t *chosen, const mcp_acl_t *acl,
                                             apr_pool_t *p)
{
    apr_array_header_t *values = apr_array_make(p, 4, sizeof(const char *));

    qsort(picked->elts, (size_t)picked->nelts, sizeof(const rule_t *), by_index);
    for (int i = 0; i < picked->nelts; i++) {
        const rule_t *rule = APR_ARRAY_IDX(picked, i, const rule_t *);

        for (int j = 0; j < rule->count; j++) {
            int number = rule->values[j];

            if (mcp_valueset_has(chosen, number)) {
                chosen->bits[number / WORD_BITS] &= ~((apr_uint32_t)1 << (number % WORD_BITS));
                APR_ARRAY_PUSH(values, const char *) = mcp_scopes_name(acl->scopes, number);
            }
        }
    }
    return values;
}

static const apr_array_header_t *needed_make(query_t *query, const mcp_operation_t *operations, int count,
                                             apr_pool_t *p)
{
    apr_array_header_t *picked = apr_array_make(p, count, sizeof(const rule_t *));
    mcp_valueset_t chosen;

    chosen.words = mcp_scopes_words(query->acl->scopes);
    chosen.bits = apr_pcalloc(p, (apr_size_t)chosen.words * sizeof(*chosen.bits));
    query->chosen = &chosen;
    for (int i = 0; i < count; i++) {
        query_run(query, &operations[i]);
        APR_ARRAY_PUSH(picked, const rule_t *) = query->best;
        for (int j = 0; j < query->best->count; j++) {
            int number = query->best->values[j];

            if (number / WORD_BITS < chosen.words) {
                chosen.bits[number / WORD_BITS] |= (apr_uint32_t)1 << (number % WORD_BITS);
            }
        }
    }
    return values_list(picked, &chosen, query->acl, p);
}

mcp_status_t mcp_acl_check(const apr_array_header_t **pneeded, const mcp_acl_t *acl, const mcp_valueset_t *held,
                           const mcp_operation_t *operations, int count, apr_pool_t *p)
{
    query_t query = { .acl = acl, .held = held };
    mcp_status_t status = count > 0 ? MCP_OK : MCP_ACL_DENIED;

    if (pneeded) {
        *pneeded = NULL;
    }
    for (int i = 0; i < count; i++) {
        query_run(&query, &operations[i]);
        if (!query.found) {
            return MCP_ACL_DENIED;
        }
        if (!query.allowed) {
            status = MCP_ACL_SCOPE;
        }
    }
    if (status == MCP_ACL_SCOPE && pneeded) {
        *pneeded = needed_make(&query, operations, count, p);
    }
    return status;
}

int mcp_acl_reaches(const mcp_acl_t *acl, const mcp_valueset_t *held, const mcp_operation_t *operation,
                    const mcp_pattern_t *object)
{
    query_t query = { .acl = acl, .held = held, .object = object };

    if (!object || object->count < 1) {
        return 0; /* never compiled: matches no object */
    }
    query_run(&query, operation);
    return query.allowed;
}

unsigned mcp_acl_features(const mcp_acl_t *acl, const mcp_valueset_t *held)
{
    unsigned features = 0;

    for (int i = 0; i < acl->rules->nelts; i++) {
        const rule_t *rule = APR_ARRAY_IDX(acl->rules, i, const rule_t *);

        if ((rule->features & ~features) && !rule_beyond(rule, held)) {
            features |= rule->features;
        }
    }
    return features;
}
