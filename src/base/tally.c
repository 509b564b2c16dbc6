#include "base/tally.h"

#include <apr_general.h>
#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 8  /* of a group */
#define TRIES 8 /* each lost one is somebody else's success */
#define WORDS (MCP_TALLY_LABEL / (int)sizeof(apr_uint64_t))
#define TICK_BITS 18 /* a tick is 2^18 microseconds, a quarter of a second */
#define TICK_MASK 0x3fffff
#define TICKS_BUSY 3
#define SKEW_MAX apr_time_from_sec(60)

/* What is looked at for each count comes first, and together. */
typedef struct group_t {
    apr_uint64_t keys[ROWS];   /* 0: never used; even: of a row; odd: somebody is writing its labels */
    apr_time_t stamps[ROWS];   /* wall clock of the last count */
    apr_uint64_t checks[ROWS]; /* over key and labels */
    apr_uint64_t counts[ROWS][MCP_TALLY_COUNTS];
    apr_uint64_t labels[ROWS][MCP_TALLY_LABELS][WORDS]; /* each ends with 0 */
} group_t;

struct mcp_tally_t {
    apr_uint64_t seed; /* nobody outside can choose labels that fall together */
    apr_uint64_t others[MCP_TALLY_COUNTS];
    int groups;
    char unused[64 - (1 + MCP_TALLY_COUNTS) * sizeof(apr_uint64_t) - sizeof(int)];
    group_t data[];
};

/* A row changes its key in two steps: first a mark takes the old one's place (part of the new key << 23 | tick << 1 | 1),
 * counts are moved, labels written, then the new key takes the mark's place. Who is to count in the row in between, does: the
 * mark says whose it will be. A mark that is older than a second was left by somebody who was killed, and is no better than an
 * old key. Should he only have slept, and go on writing, the check tells. Nothing that was counted is lost in any of that: a
 * count is added to a row whatever its key, and leaves it only for others. */
#define MARK_BITS 23

typedef struct text_t {
    apr_uint64_t labels[MCP_TALLY_LABELS][WORDS];
} text_t;

static int groups_of(int rows)
{
    return rows > ROWS ? (rows + ROWS - 1) / ROWS : 1;
}

apr_size_t mcp_tally_bytes(int rows)
{
    return sizeof(mcp_tally_t) + (apr_size_t)groups_of(rows) * sizeof(group_t);
}

void mcp_tally_init(mcp_tally_t *tally, int rows)
{
    memset(tally, 0, mcp_tally_bytes(rows));
    tally->groups = groups_of(rows);
    if (apr_generate_random_bytes((unsigned char *)&tally->seed, sizeof(tally->seed)) != APR_SUCCESS) {
        tally->seed = 0; /* it goes without, too */
    }
}

/* Compiler builtins and not APR's atomics, which have no 64 bits in places and which a thread sanitizer cannot see into.
 * Release and acquire also for each word of a label: who reads what was written after a mark finds the mark afterwards. */
static apr_uint64_t get(const apr_uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void set(apr_uint64_t *word, apr_uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static void add(apr_uint64_t *word, apr_uint64_t value)
{
    __atomic_add_fetch(word, value, __ATOMIC_RELAXED);
}

static int swap(apr_uint64_t *word, apr_uint64_t from, apr_uint64_t to)
{
    return __atomic_compare_exchange_n(word, &from, to, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* Every bit of hash and word has a say in every bit of the result. */
static apr_uint64_t mix(apr_uint64_t hash, apr_uint64_t word)
{
    int i;

    hash ^= word;
    for (i = 0; i < 2; i++) {
        hash = (hash ^ hash >> 31) * 0x9e3779b97f4a7c15u;
    }
    return hash ^ hash >> 32;
}

static apr_uint64_t mix_text(apr_uint64_t hash, const char *text, apr_size_t len)
{
    apr_uint64_t word;

    hash = mix(hash, len);
    for (; len > 0; text += sizeof(word)) {
        apr_size_t part = len < sizeof(word) ? len : sizeof(word);

        word = 0;
        memcpy(&word, text, part);
        hash = mix(hash, word);
        len -= part;
    }
    return hash;
}

/* Even, and not 0. */
static apr_uint64_t key_of(const mcp_tally_t *tally, const char *const *labels)
{
    apr_uint64_t hash = mix(tally->seed, 1);
    int i;

    for (i = 0; i < MCP_TALLY_LABELS; i++) {
        hash = mix_text(hash, labels[i], strlen(labels[i]));
    }
    hash &= ~(apr_uint64_t)1;
    return hash ? hash : 2;
}

static apr_uint64_t check_of(apr_uint64_t key, const text_t *text)
{
    int i, k;

    for (i = 0; i < MCP_TALLY_LABELS; i++) {
        for (k = 0; k < WORDS; k++) {
            key = mix(key, text->labels[i][k]);
        }
    }
    return key;
}

static apr_uint64_t mark_of(apr_uint64_t key, apr_time_t now)
{
    return key >> MARK_BITS << MARK_BITS | ((apr_uint64_t)now >> TICK_BITS & TICK_MASK) << 1 | 1;
}

/* The clocks of two processes may differ a little: a mark may seem to be of the future. */
static int is_busy(apr_uint64_t word, apr_time_t now)
{
    apr_uint64_t age = ((apr_uint64_t)now >> TICK_BITS) - (word >> 1);

    return word & 1 && ((age + TICKS_BUSY) & TICK_MASK) <= 2 * TICKS_BUSY;
}

static int is_for(apr_uint64_t word, apr_uint64_t key, apr_time_t now)
{
    return word == key || (is_busy(word, now) && word >> MARK_BITS == key >> MARK_BITS);
}

/* The higher, the sooner a row has to go; 0: it stays. A stamp of the future is one from before the clock was set back. */
static apr_uint64_t rank_of(apr_uint64_t word, apr_time_t stamp, apr_time_t now)
{
    if (!word) {
        return ~(apr_uint64_t)0;
    }
    if (word & 1) {
        return is_busy(word, now) ? 0 : ~(apr_uint64_t)1;
    }
    return stamp < 0 || stamp - SKEW_MAX > now ? ~(apr_uint64_t)2 : (apr_uint64_t)(APR_INT64_MAX - stamp);
}

/* The key's own row, else the one that has to go for it; -1: there is none. *pword: what is there. In one pass: should somebody
 * else meanwhile make a row of that key, he chooses the same one. */
static int find(apr_uint64_t *pword, const group_t *group, apr_uint64_t key, apr_time_t now)
{
    apr_uint64_t best = 0;
    int i, found = -1;

    for (i = 0; i < ROWS; i++) {
        /* In this order: the stamp is not that of a row that has come in place of the word. */
        apr_time_t stamp = __atomic_load_n(&group->stamps[i], __ATOMIC_ACQUIRE);
        apr_uint64_t word = get(&group->keys[i]), rank;

        if (is_for(word, key, now)) {
            *pword = word;
            return i;
        }
        rank = rank_of(word, stamp, now);
        if (rank > best) {
            best = rank;
            found = i;
            *pword = word;
        }
    }
    return found;
}

/* As much as fits, not ending within a character. */
static void cut(char *copy, const char *label)
{
    apr_size_t len = strlen(label), end = MCP_TALLY_LABEL - 1;

    if (len > end) {
        for (len = end; len > end - 3 && ((unsigned char)label[len] & 0xc0) == 0x80; len--) {
        }
    }
    memcpy(copy, label, len);
}

static void write_row(group_t *group, int row, apr_uint64_t key, const char *const *labels)
{
    text_t text;
    int i, k;

    memset(&text, 0, sizeof(text));
    for (i = 0; i < MCP_TALLY_LABELS; i++) {
        cut((char *)text.labels[i], labels[i]);
        for (k = 0; k < WORDS; k++) {
            set(&group->labels[row][i][k], text.labels[i][k]);
        }
    }
    set(&group->checks[row], check_of(key, &text));
}

static void move_counts(mcp_tally_t *tally, group_t *group, int row)
{
    int i;

    for (i = 0; i < MCP_TALLY_COUNTS; i++) {
        add(&tally->others[i], __atomic_exchange_n(&group->counts[row][i], 0, __ATOMIC_RELAXED));
    }
}

static void count_row(group_t *group, int row, int count, apr_time_t now)
{
    __atomic_store_n(&group->stamps[row], now, __ATOMIC_RELAXED);
    add(&group->counts[row][count], 1);
}

/* Returns 0 when somebody else was faster. */
static int make_row(mcp_tally_t *tally, group_t *group, int row, apr_uint64_t word, apr_uint64_t key,
                    const char *const *labels, int count, apr_time_t now)
{
    apr_uint64_t mark = mark_of(key, now);

    if (!swap(&group->keys[row], word, mark)) {
        return 0;
    }
    if (word) {
        move_counts(tally, group, row);
    }
    write_row(group, row, key, labels);
    count_row(group, row, count, now);
    swap(&group->keys[row], mark, key);
    return 1;
}

static int count_in(mcp_tally_t *tally, group_t *group, apr_uint64_t key, const char *const *labels, int count,
                    apr_time_t now)
{
    apr_uint64_t word = 0;
    int row = find(&word, group, key, now);

    if (row < 0) {
        return 0;
    }
    if (is_for(word, key, now)) {
        count_row(group, row, count, now);
        return 1;
    }
    return make_row(tally, group, row, word, key, labels, count, now);
}

void mcp_tally_count(mcp_tally_t *tally, const char *const *labels, int n, int count, apr_time_t now)
{
    const char *all[MCP_TALLY_LABELS];
    apr_uint64_t key;
    group_t *group;
    int i;

    if (count < 0 || count >= MCP_TALLY_COUNTS) {
        return;
    }
    for (i = 0; i < MCP_TALLY_LABELS; i++) {
        all[i] = i < n && labels[i] ? labels[i] : "";
    }
    key = key_of(tally, all);
    group = &tally->data[(key >> MARK_BITS) % (apr_uint64_t)tally->groups];
    for (i = 0; i < TRIES; i++) {
        if (count_in(tally, group, key, all, count, now)) {
            return;
        }
    }
    add(&tally->others[count], 1);
}

static int read_text(text_t *text, const group_t *group, int row, apr_uint64_t key)
{
    int i, k;

    for (i = 0; i < MCP_TALLY_LABELS; i++) {
        for (k = 0; k < WORDS; k++) {
            text->labels[i][k] = get(&group->labels[row][i][k]);
        }
    }
    return get(&group->checks[row]) == check_of(key, text) && get(&group->keys[row]) == key;
}

static int read_row(mcp_tally_row_t *row, apr_uint64_t *pkey, const group_t *group, int i, apr_pool_t *p)
{
    text_t text;
    int k;

    *pkey = get(&group->keys[i]);
    row->last = __atomic_load_n(&group->stamps[i], __ATOMIC_RELAXED);
    for (k = 0; k < MCP_TALLY_COUNTS; k++) {
        row->counts[k] = get(&group->counts[i][k]);
    }
    if (!*pkey || *pkey & 1 || !read_text(&text, group, i, *pkey)) {
        return 0;
    }
    for (k = 0; k < MCP_TALLY_LABELS; k++) {
        row->labels[k] = apr_pstrdup(p, (const char *)text.labels[k]);
    }
    return 1;
}

static void add_counts(apr_uint64_t *sum, const apr_uint64_t *counts)
{
    int i;

    for (i = 0; i < MCP_TALLY_COUNTS; i++) {
        sum[i] += counts[i];
    }
}

/* Two processes that first saw the same labels at once may have made two rows of them: they are shown as one. */
static void read_group(apr_array_header_t *rows, apr_uint64_t *others, const group_t *group, apr_pool_t *p)
{
    apr_uint64_t keys[ROWS], key;
    int first = rows->nelts, i, k;
    mcp_tally_row_t row, *shown;

    for (i = 0; i < ROWS; i++) {
        if (!read_row(&row, &key, group, i, p)) {
            add_counts(others, row.counts);
            continue;
        }
        for (k = 0; k < rows->nelts - first && keys[k] != key; k++) {
        }
        if (first + k == rows->nelts) {
            keys[k] = key;
            APR_ARRAY_PUSH(rows, mcp_tally_row_t) = row;
            continue;
        }
        shown = &APR_ARRAY_IDX(rows, first + k, mcp_tally_row_t);
        add_counts(shown->counts, row.counts);
        shown->last = row.last > shown->last ? row.last : shown->last;
    }
}

static int compare(const void *left, const void *right)
{
    const mcp_tally_row_t *a = left, *b = right;
    apr_uint64_t sum_a = 0, sum_b = 0;
    int i, order = 0;

    for (i = 0; i < MCP_TALLY_COUNTS; i++) {
        sum_a += a->counts[i];
        sum_b += b->counts[i];
    }
    for (i = 0; i < MCP_TALLY_LABELS && !order; i++) {
        order = strcmp(a->labels[i], b->labels[i]);
    }
    return sum_a == sum_b ? order : sum_a > sum_b ? -1 : 1;
}

apr_array_header_t *mcp_tally_read(apr_uint64_t others[MCP_TALLY_COUNTS], const mcp_tally_t *tally, apr_pool_t *p)
{
    apr_array_header_t *rows = apr_array_make(p, ROWS, sizeof(mcp_tally_row_t));
    int i;

    /* First: what goes there from a row in the meantime must not be seen twice. */
    for (i = 0; i < MCP_TALLY_COUNTS; i++) {
        others[i] = get(&tally->others[i]);
    }
    for (i = 0; i < tally->groups; i++) {
        read_group(rows, others, &tally->data[i], p);
    }
    qsort(rows->elts, (size_t)rows->nelts, sizeof(mcp_tally_row_t), compare);
    return rows;
}
