#include "policy/scope.h"

#include <apr_hash.h>
#include <apr_strings.h>

#define WORD_BITS 32

typedef struct edge_t {
    int from;
    int to;
} edge_t;

struct mcp_scopes_t {
    apr_pool_t *pool;
    apr_hash_t *numbers;       /* name -> its element of names */
    apr_array_header_t *names; /* name_t * */
    apr_array_header_t *edges; /* edge_t */
    int words;                 /* 0 until closed */
    apr_uint32_t **reach;      /* by number: the set that the name implies, itself included; NULL: nothing else */
};

typedef struct name_t {
    const char *text;
    int number;
} name_t;

static void bit_set(apr_uint32_t *bits, int number)
{
    bits[number / WORD_BITS] |= (apr_uint32_t)1 << (number % WORD_BITS);
}

static int bit_test(const apr_uint32_t *bits, int number)
{
    return (bits[number / WORD_BITS] >> (number % WORD_BITS)) & 1;
}

static void bits_unite(apr_uint32_t *bits, const apr_uint32_t *more, int words)
{
    for (int i = 0; i < words; i++) {
        bits[i] |= more[i];
    }
}

mcp_scopes_t *mcp_scopes_create(apr_pool_t *p)
{
    mcp_scopes_t *scopes = apr_pcalloc(p, sizeof(*scopes));

    scopes->pool = p;
    scopes->numbers = apr_hash_make(p);
    scopes->names = apr_array_make(p, 16, sizeof(name_t *));
    scopes->edges = apr_array_make(p, 4, sizeof(edge_t));
    return scopes;
}

int mcp_scopes_intern(mcp_scopes_t *scopes, const char *text)
{
    name_t *name = apr_hash_get(scopes->numbers, text, APR_HASH_KEY_STRING);

    if (!name) {
        name = apr_palloc(scopes->pool, sizeof(*name));
        name->text = apr_pstrdup(scopes->pool, text);
        name->number = scopes->names->nelts;
        APR_ARRAY_PUSH(scopes->names, name_t *) = name;
        apr_hash_set(scopes->numbers, name->text, APR_HASH_KEY_STRING, name);
    }
    return name->number;
}

const char *mcp_scopes_name(const mcp_scopes_t *scopes, int number)
{
    return number >= 0 && number < scopes->names->nelts ? APR_ARRAY_IDX(scopes->names, number, name_t *)->text : NULL;
}

void mcp_scopes_imply(mcp_scopes_t *scopes, const char *value, const char *implied)
{
    edge_t edge;

    edge.from = mcp_scopes_intern(scopes, value);
    edge.to = mcp_scopes_intern(scopes, implied);
    APR_ARRAY_PUSH(scopes->edges, edge_t) = edge;
}

int mcp_scopes_words(const mcp_scopes_t *scopes)
{
    int words = (scopes->names->nelts + WORD_BITS - 1) / WORD_BITS;

    if (scopes->words) {
        return scopes->words;
    }
    return words ? words : 1;
}

/* One row per name that implies something; *psources: the numbers of these names. */
static void rows_make(apr_array_header_t **psources, mcp_scopes_t *scopes, apr_pool_t *p)
{
    *psources = apr_array_make(p, 4, sizeof(int));
    for (int i = 0; i < scopes->edges->nelts; i++) {
        const edge_t *edge = &APR_ARRAY_IDX(scopes->edges, i, edge_t);

        if (!scopes->reach[edge->from]) {
            scopes->reach[edge->from] = apr_pcalloc(p, (apr_size_t)scopes->words * sizeof(apr_uint32_t));
            bit_set(scopes->reach[edge->from], edge->from);
            APR_ARRAY_PUSH(*psources, int) = edge->from;
        }
        bit_set(scopes->reach[edge->from], edge->to);
    }
}

void mcp_scopes_close(mcp_scopes_t *scopes, apr_pool_t *p)
{
    apr_array_header_t *sources;

    scopes->words = 0;
    scopes->words = mcp_scopes_words(scopes);
    scopes->reach = apr_pcalloc(p, (apr_size_t)scopes->words * WORD_BITS * sizeof(*scopes->reach));
    rows_make(&sources, scopes, p);
    /* Warshall: after step k every path whose inner steps are among the first k sources is known. */
    for (int k = 0; k < sources->nelts; k++) {
        int middle = APR_ARRAY_IDX(sources, k, int);

        for (int i = 0; i < sources->nelts; i++) {
            apr_uint32_t *row = scopes->reach[APR_ARRAY_IDX(sources, i, int)];

            if (bit_test(row, middle)) {
                bits_unite(row, scopes->reach[middle], scopes->words);
            }
        }
    }
}

void mcp_scopes_collect(mcp_valueset_t *set, const mcp_scopes_t *scopes, const apr_array_header_t *values,
                        apr_pool_t *p)
{
    set->words = mcp_scopes_words(scopes);
    set->bits = apr_pcalloc(p, (apr_size_t)set->words * sizeof(*set->bits));
    /* Not closed: nobody holds anything. */
    for (int i = 0; scopes->reach && values && i < values->nelts; i++) {
        const char *text = APR_ARRAY_IDX(values, i, const char *);
        const name_t *name = apr_hash_get(scopes->numbers, text, APR_HASH_KEY_STRING);

        if (!name || name->number >= set->words * WORD_BITS) {
            continue;
        }
        bit_set(set->bits, name->number);
        if (scopes->reach[name->number]) {
            bits_unite(set->bits, scopes->reach[name->number], set->words);
        }
    }
}

int mcp_valueset_has(const mcp_valueset_t *set, int number)
{
    return number >= 0 && set->bits && number / WORD_BITS < set->words && bit_test(set->bits, number);
}

int mcp_scope_valid(const char *text)
{
    if (!text || !*text) {
        return 0;
    }
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c < 0x21 || *c > 0x7e || *c == '"' || *c == '\\') {
            return 0;
        }
    }
    return 1;
}
