#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

/* The code under test, with a stop before each of its atomic operations: there another process may come in, or this one is
 * killed. */
static void stop(void);
#define __atomic_load_n(...) (stop(), __atomic_load_n(__VA_ARGS__))
#define __atomic_store_n(...) (stop(), __atomic_store_n(__VA_ARGS__))
#define __atomic_add_fetch(...) (stop(), __atomic_add_fetch(__VA_ARGS__))
#define __atomic_exchange_n(...) (stop(), __atomic_exchange_n(__VA_ARGS__))
#define __atomic_compare_exchange_n(...) (stop(), __atomic_compare_exchange_n(__VA_ARGS__))
#include "base/tally.c"
#undef __atomic_load_n
#undef __atomic_store_n
#undef __atomic_add_fetch
#undef __atomic_exchange_n
#undef __atomic_compare_exchange_n

#define SEC ((apr_time_t)1000000)
#define NOW (1700000000 * SEC)
#define CANARY 64
#ifdef __SANITIZE_THREAD__ /* slow, and only of interest where threads are */
#define MANY 20000
#define STEPS 1
#else
#define MANY 1000000
#define STEPS 5
#endif

static mcp_tally_t *make(int rows)
{
    apr_size_t bytes = mcp_tally_bytes(rows);
    char *block = mmap(NULL, bytes + CANARY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (block == MAP_FAILED) {
        abort();
    }
    memset(block, 0x5a, bytes + CANARY);
    mcp_tally_init((mcp_tally_t *)(void *)block, rows);
    return (mcp_tally_t *)(void *)block;
}

static int is_bounded(const mcp_tally_t *tally, int rows)
{
    const char *end = (const char *)tally + mcp_tally_bytes(rows);
    int i;

    for (i = 0; i < CANARY && end[i] == 0x5a; i++) {
    }
    return i == CANARY;
}

static void drop(mcp_tally_t *tally, int rows)
{
    munmap(tally, mcp_tally_bytes(rows) + CANARY);
}

static void count(mcp_tally_t *tally, const char *label, int column, apr_time_t now)
{
    mcp_tally_count(tally, &label, 1, column, now);
}

static void count_number(mcp_tally_t *tally, int number, int column, apr_time_t now)
{
    char label[32];

    apr_snprintf(label, sizeof(label), "n%d", number);
    count(tally, label, column, now);
}

static apr_uint64_t others[MCP_TALLY_COUNTS];

static apr_array_header_t *read_all(const mcp_tally_t *tally, apr_pool_t *p)
{
    return mcp_tally_read(others, tally, p);
}

static const mcp_tally_row_t *row_at(const apr_array_header_t *rows, int i)
{
    return &APR_ARRAY_IDX(rows, i, mcp_tally_row_t);
}

static const mcp_tally_row_t *row_of(const apr_array_header_t *rows, const char *label)
{
    int i;

    for (i = 0; i < rows->nelts && strcmp(row_at(rows, i)->labels[0], label); i++) {
    }
    return i < rows->nelts ? row_at(rows, i) : NULL;
}

static apr_uint64_t total_of(const mcp_tally_t *tally, apr_pool_t *p)
{
    apr_array_header_t *rows = read_all(tally, p);
    apr_uint64_t sum = others[0] + others[1];
    int i;

    for (i = 0; i < rows->nelts; i++) {
        sum += row_at(rows, i)->counts[0] + row_at(rows, i)->counts[1];
    }
    return sum;
}

static void test_rows(apr_pool_t *p)
{
    static const char *six[] = { "https://a", "iss", "sub", "client", "tools/call:x", "60/1min", "not looked at" };
    static const char *holes[] = { "https://a", NULL, "sub", NULL }, *blanks[] = { "https://a", "", "sub" };
    mcp_tally_t *tally = make(64);
    apr_array_header_t *rows;
    int i;

    OK(mcp_tally_bytes(8) % 64 == 0 && mcp_tally_bytes(16) > mcp_tally_bytes(8) &&
           mcp_tally_bytes(9) == mcp_tally_bytes(16) && mcp_tally_bytes(0) == mcp_tally_bytes(8),
       "groups of eight rows");
    OK(read_all(tally, p)->nelts == 0 && !others[0] && !others[1], "empty at first");
    for (i = 0; i < 5; i++) {
        mcp_tally_count(tally, six, 6, i == 4, NOW + i);
    }
    mcp_tally_count(tally, six, 7, 0, NOW + 9);
    rows = read_all(tally, p);
    OK(rows->nelts == 1 && row_at(rows, 0)->counts[0] == 5 && row_at(rows, 0)->counts[1] == 1 &&
           row_at(rows, 0)->last == NOW + 9,
       "a row has two counts and its last time; a seventh label is none");
    for (i = 0; i < MCP_TALLY_LABELS; i++) {
        STR_IS(row_at(rows, 0)->labels[i], six[i], "label %d", i);
    }
    mcp_tally_count(tally, six, 5, 0, NOW);
    OK(read_all(tally, p)->nelts == 2, "without the last label it is another row");
    mcp_tally_count(tally, holes, 4, 0, NOW);
    mcp_tally_count(tally, holes, 3, 0, NOW);
    mcp_tally_count(tally, blanks, 3, 0, NOW);
    rows = read_all(tally, p);
    OK(rows->nelts == 3 && row_at(rows, 1)->counts[0] == 3 && !strcmp(row_at(rows, 1)->labels[1], "") &&
           !strcmp(row_at(rows, 1)->labels[2], "sub") && !strcmp(row_at(rows, 1)->labels[5], ""),
       "NULL, \"\" and none are the same");
    mcp_tally_count(tally, six, 0, 1, NOW);
    mcp_tally_count(tally, NULL, 0, 1, NOW);
    mcp_tally_count(tally, six, -1, 1, NOW);
    rows = read_all(tally, p);
    OK(rows->nelts == 4 && row_of(rows, "") && row_of(rows, "")->counts[1] == 3, "no label at all is a row as well");
    mcp_tally_count(tally, six, 6, 2, NOW);
    mcp_tally_count(tally, six, 6, -1, NOW);
    OK(total_of(tally, p) == 13 && !others[0] && !others[1] && is_bounded(tally, 64), "a third count is none");
    drop(tally, 64);
}

static void test_apart(apr_pool_t *p)
{
    static const char *lists[][2] = { { "a", "bc" }, { "ab", "c" },       { "abc", "" },       { "", "abc" },
                                      { "bc", "a" }, { "abcdefgh", "i" }, { "abcdefg", "hi" }, { "abcdefghi", "" } };
    mcp_tally_t *tally = make(1024);
    apr_size_t i;

    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        mcp_tally_count(tally, lists[i], 2, 0, NOW);
    }
    OK(read_all(tally, p)->nelts == 8, "labels are told apart by where they end");
    drop(tally, 1024);
    tally = make(4096);
    for (i = 0; i < 1000; i++) {
        count_number(tally, (int)i, 0, NOW);
    }
    OK(read_all(tally, p)->nelts > 990 && total_of(tally, p) == 1000, "a thousand names are spread over 512 groups");
    drop(tally, 4096);
}

/* n bytes of a, then the end. */
static char *long_label(int n, const char *end, apr_pool_t *p)
{
    char *label = apr_palloc(p, (apr_size_t)n + strlen(end) + 1);

    memset(label, 'a', (apr_size_t)n);
    memcpy(label + n, end, strlen(end) + 1);
    return label;
}

static void test_cut(apr_pool_t *p)
{
    static const struct {
        int n, kept;
        const char *end;
    } cuts[] = { { 110, 110, "" },
                 { 111, 111, "" },
                 { 112, 111, "" },
                 { 5000, 111, "" },
                 { 109, 111, "\xc3\xa4" },
                 { 110, 110, "\xc3\xa4" },
                 { 111, 111, "\xc3\xa4" },
                 { 109, 109, "\xe2\x82\xac" },
                 { 108, 111, "\xe2\x82\xac" },
                 { 110, 110, "\xe2\x82\xac" },
                 { 107, 111, "\xf0\x9f\x98\x80" },
                 { 108, 108, "\xf0\x9f\x98\x80" },
                 { 110, 110, "\xf0\x9f\x98\x80z" },
                 { 107, 111, "\xf0\x9f\x98\x80\xf0\x9f\x98\x80" },
                 { 100, 111, "\xc3\xa4\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80" } };
    apr_size_t i;

    for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        char *label = long_label(cuts[i].n, cuts[i].end, p);
        mcp_tally_t *tally = make(8);
        const char *labels[6], *got;
        int k;

        for (k = 0; k < 6; k++) {
            labels[k] = k % 2 ? "x" : label;
        }
        mcp_tally_count(tally, labels, 6, 0, NOW);
        got = row_at(read_all(tally, p), 0)->labels[4];
        if (i + 1 == sizeof(cuts) / sizeof(cuts[0])) {
            OK(strlen(got) >= 108 && strlen(got) <= 111, "what is no UTF-8 is cut all the same");
        }
        else {
            OK(!strncmp(got, label, strlen(got)) && (int)strlen(got) == cuts[i].kept, "%d bytes and %d: %d are kept",
               cuts[i].n, (int)strlen(cuts[i].end), cuts[i].kept);
        }
        STR_IS(row_at(read_all(tally, p), 0)->labels[5], "x", "the next label is not touched");
        OK(is_bounded(tally, 8), "nor what is behind");
        drop(tally, 8);
    }
}

static void test_long(apr_pool_t *p)
{
    mcp_tally_t *tally = make(8);
    apr_array_header_t *rows;
    int i;

    for (i = 0; i < 3; i++) {
        count(tally, long_label(200, "one", p), 0, NOW);
    }
    count(tally, long_label(200, "two", p), 0, NOW);
    count(tally, long_label(200, "two", p), 1, NOW);
    count(tally, long_label(200, "", p), 0, NOW);
    rows = read_all(tally, p);
    OK(rows->nelts == 3 && row_at(rows, 0)->counts[0] == 3 && row_at(rows, 1)->counts[1] == 1 &&
           !strcmp(row_at(rows, 0)->labels[0], row_at(rows, 2)->labels[0]),
       "long labels with the same beginning look alike, and count apart");
    drop(tally, 8);
}

static void test_order(apr_pool_t *p)
{
    static const char *wanted[] = { "m", "z", "b", "c", "a" };
    static const char *pairs[][2] = { { "b", "" }, { "b", "y" }, { "b", "x" } };
    mcp_tally_t *tally = make(512);
    apr_array_header_t *rows;
    int i, wrong = 0;

    for (i = 0; i < 9; i++) {
        count(tally, "m", 1, NOW);
        count(tally, i < 8 ? "z" : "a", i % 2, NOW);
        count(tally, i < 4 ? "c" : i < 8 ? "b" : "m", 0, NOW);
    }
    rows = read_all(tally, p);
    for (i = 0; i < 5; i++) {
        wrong += rows->nelts != 5 || strcmp(row_at(rows, i)->labels[0], wanted[i]);
    }
    OK(!wrong, "most counts first, both together; equal ones by label");
    for (i = 1; i < 3; i++) {
        int k;

        for (k = 0; k < 4; k++) {
            mcp_tally_count(tally, pairs[i], 2, 0, NOW);
        }
    }
    rows = read_all(tally, p);
    OK(rows->nelts == 7 && !strcmp(row_at(rows, 2)->labels[1], "") && !strcmp(row_at(rows, 3)->labels[1], "x") &&
           !strcmp(row_at(rows, 4)->labels[1], "y") && !strcmp(row_at(rows, 5)->labels[0], "c"),
       "by the second when the first are equal");
    drop(tally, 512);
}

static void test_full(apr_pool_t *p)
{
    mcp_tally_t *tally = make(8);
    apr_array_header_t *rows;
    int i;

    for (i = 0; i < 8; i++) {
        count_number(tally, i, 0, NOW + i * SEC);
        count_number(tally, i, 1, NOW + i * SEC);
        count_number(tally, i, 1, NOW + i * SEC);
    }
    OK(read_all(tally, p)->nelts == 8 && !others[0] && !others[1], "eight rows");
    count_number(tally, 0, 0, NOW + 9 * SEC);
    count_number(tally, 100, 0, NOW + 10 * SEC);
    rows = read_all(tally, p);
    OK(rows->nelts == 8 && !row_of(rows, "n1") && row_of(rows, "n0") && row_of(rows, "n0")->counts[0] == 2 &&
           row_of(rows, "n2"),
       "the ninth takes the place of the one that was counted least recently");
    OK(row_of(rows, "n100")->counts[0] == 1 && row_of(rows, "n100")->counts[1] == 0, "and begins at one");
    OK(others[0] == 1 && others[1] == 2 && total_of(tally, p) == 26, "what that one had is others'");
    count_number(tally, 1, 0, NOW + 11 * SEC);
    rows = read_all(tally, p);
    OK(row_of(rows, "n1")->counts[0] == 1 && !row_of(rows, "n2") && others[0] == 2 && others[1] == 4,
       "it begins anew when it comes back");
    for (i = 0; i < 100; i++) {
        count_number(tally, 200 + i, i % 2, NOW + 12 * SEC + i);
    }
    OK(total_of(tally, p) == 127 && read_all(tally, p)->nelts == 8 && is_bounded(tally, 8),
       "no count is lost in a hundred more");
    drop(tally, 8);
}

/* The wall clock is set back by an hour: the rows that nobody counts in any more must not stay for that. */
static void test_clock(apr_pool_t *p)
{
    mcp_tally_t *tally = make(8);
    apr_time_t now = NOW - 3600 * SEC;
    apr_array_header_t *rows;
    int i;

    for (i = 0; i < 8; i++) {
        count_number(tally, i, 0, NOW);
    }
    for (i = 0; i < 7; i++) {
        count_number(tally, 0, 0, now);
        count_number(tally, 10 + i, 0, now + i);
    }
    rows = read_all(tally, p);
    OK(row_of(rows, "n0") && row_of(rows, "n10") && row_of(rows, "n16") && row_of(rows, "n0")->counts[0] == 8 &&
           row_of(rows, "n0")->last == now,
       "a row of before goes first");
    count_number(tally, 20, 0, now + 10);
    rows = read_all(tally, p);
    OK(!row_of(rows, "n0") && row_of(rows, "n10"), "then the least recent one again");
    count_number(tally, 21, 0, -5);
    count_number(tally, 22, 0, 0);
    count_number(tally, 23, 0, INT64_MAX - 100 * SEC);
    OK(total_of(tally, p) == 26, "no time is a harm");
    drop(tally, 8);
}

/* Two processes made the same row at once: it is shown as one. */
static void test_double(apr_pool_t *p)
{
    mcp_tally_t *tally = make(8), *other = make(8);
    group_t *group = tally->data;
    const mcp_tally_row_t *row;
    int i;

    for (i = 0; i < 3; i++) {
        count_number(tally, i, 0, NOW + i);
    }
    group->keys[5] = group->keys[1];
    group->checks[5] = group->checks[1];
    group->stamps[5] = NOW + 7;
    group->counts[5][0] = 4;
    group->counts[5][1] = 2;
    memcpy(group->labels[5], group->labels[1], sizeof(group->labels[1]));
    row = row_at(read_all(tally, p), 0);
    OK(read_all(tally, p)->nelts == 3 && row->counts[0] == 5 && row->counts[1] == 2 && row->last == NOW + 7,
       "two rows of the same labels are read as one");
    group->stamps[1] = NOW + 9;
    OK(row_at(read_all(tally, p), 0)->last == NOW + 9, "with the later time");
    group->labels[5][0][0] ^= 1;
    OK(read_all(tally, p)->nelts == 3 && row_at(read_all(tally, p), 0)->counts[0] == 1 && others[0] == 4 &&
           others[1] == 2,
       "a text that somebody wrote over is not read, and what was counted is others'");
    count_number(other, 1, 0, NOW);
    OK(other->data[0].keys[0] != group->keys[1], "nobody can know which labels fall together");
    drop(tally, 8);
    drop(other, 8);
}

static void test_million(apr_pool_t *p)
{
    mcp_tally_t *tally = make(1024);
    const char *labels[6] = {
        "https://mcp.example.com/", "https://issuer.example.com/realms/one", NULL, "client", "tools/call:x", "60/1min"
    };
    char label[32];
    int i, garbage = 0;
    apr_array_header_t *rows;

    labels[2] = label;
    for (i = 0; i < MANY; i++) {
        apr_snprintf(label, sizeof(label), "user-%d", i);
        mcp_tally_count(tally, labels, 6, i & 1, NOW + i);
    }
    rows = read_all(tally, p);
    for (i = 0; i < rows->nelts; i++) {
        garbage += strncmp(row_at(rows, i)->labels[2], "user-", 5) || strcmp(row_at(rows, i)->labels[5], "60/1min");
    }
    OK(rows->nelts == 1024 && !garbage && total_of(tally, p) == MANY && is_bounded(tally, 1024),
       "%d users in 1024 rows: none is lost from the sum", MANY);
    drop(tally, 1024);
}

#define STOPS 2

/* Each stop: operations until then, and who comes in; or where this process is killed. */
static struct {
    mcp_tally_t *tally;
    apr_pool_t *p;
    int count, kill, points[STOPS];
    void (*visits[STOPS])(mcp_tally_t *tally, apr_pool_t *p);
} at_stop;

static void stop(void)
{
    mcp_tally_t *tally = at_stop.tally;
    int i;

    if (!tally) {
        return;
    }
    if (at_stop.count == at_stop.kill) {
        raise(SIGKILL);
    }
    at_stop.tally = NULL; /* who comes in is not stopped */
    for (i = 0; i < STOPS; i++) {
        if (at_stop.points[i] == at_stop.count && at_stop.visits[i]) {
            at_stop.visits[i](tally, at_stop.p);
        }
    }
    at_stop.count++;
    at_stop.tally = tally;
}

/* How many rows there were that nobody has asked for, and how often something was counted. */
static int seen_garbage, seen_counts;

static int is_known(const char *label)
{
    apr_size_t len = strspn(label, "n0123456789");

    return label[0] == 'n' && (!label[len] || !strcmp(label + len, " and a longer name than any number has"));
}

static void visit_read(mcp_tally_t *tally, apr_pool_t *p)
{
    apr_array_header_t *rows = read_all(tally, p);
    int i, k;

    for (i = 0; i < rows->nelts; i++) {
        seen_garbage += !is_known(row_at(rows, i)->labels[0]) || row_at(rows, i)->labels[1][0];
        seen_garbage += !row_at(rows, i)->counts[0] && !row_at(rows, i)->counts[1];
        for (k = 0; k < i; k++) {
            seen_garbage += !strcmp(row_at(rows, i)->labels[0], row_at(rows, k)->labels[0]);
        }
    }
}

static void visit_same(mcp_tally_t *tally, apr_pool_t *p)
{
    count(tally, "n7777 and a longer name than any number has", 0, NOW + 100 * SEC);
    seen_counts++;
}

static void visit_flood(mcp_tally_t *tally, apr_pool_t *p)
{
    int i;

    for (i = 0; i < 9; i++) {
        count_number(tally, 100 + i, 1, NOW + 100 * SEC);
        seen_counts++;
    }
}

/* The same, so much later that who is stopped is taken for dead. */
static void visit_late(mcp_tally_t *tally, apr_pool_t *p)
{
    int i;

    for (i = 0; i < 9; i++) {
        count_number(tally, 100 + i, 1, NOW + 102 * SEC);
        seen_counts++;
    }
}

static void fill(mcp_tally_t *tally, int rows)
{
    int i;

    for (i = 0; i < rows; i++) {
        count_number(tally, i, 0, NOW + i * SEC);
    }
    seen_counts = rows;
}

static const int FILLS[] = { 0, 3, 7, 8 };

/* One count, with others at these two points. Returns how many points there were. */
static int play(mcp_tally_t *tally, int first, int second, int rows)
{
    mcp_tally_init(tally, 8);
    fill(tally, rows);
    at_stop.points[0] = first;
    at_stop.points[1] = second;
    at_stop.count = 0;
    at_stop.kill = -1;
    at_stop.tally = tally;
    visit_same(tally, NULL);
    at_stop.tally = NULL;
    return at_stop.count;
}

static void test_stops(apr_pool_t *p)
{
    static const struct {
        void (*visits[2])(mcp_tally_t *, apr_pool_t *);
        const char *name;
        int alone; /* nobody's row is taken away: each row is exact */
    } plays[] = { { { visit_read, NULL }, "a reader", 1 },
                  { { visit_same, NULL }, "the same", 1 },
                  { { visit_same, visit_read }, "the same and a reader", 1 },
                  { { visit_flood, visit_read }, "a flood and a reader", 0 },
                  { { visit_flood, visit_same }, "a flood and the same", 0 },
                  { { visit_late, visit_read }, "a late flood and a reader", 0 },
                  { { visit_late, visit_same }, "a late flood and the same", 0 } };
    apr_pool_t *pool;
    mcp_tally_t *tally = make(8);
    apr_size_t o, f;

    apr_pool_create(&pool, p);
    for (o = 0; o < sizeof(plays) / sizeof(plays[0]); o++) {
        int games = 0, lost = 0, apart = 0;

        memcpy(at_stop.visits, plays[o].visits, sizeof(at_stop.visits));
        at_stop.p = pool;
        seen_garbage = 0;
        for (f = 0; f < sizeof(FILLS) / sizeof(FILLS[0]); f++) {
            int first, points = 1, distance;

            for (distance = 0; distance < (plays[o].visits[1] ? STEPS : 1); distance++) {
                for (first = 0; first < points; first++) {
                    points = play(tally, first, first + distance * 11, FILLS[f]);
                    lost += total_of(tally, pool) != (apr_uint64_t)seen_counts;
                    visit_read(tally, pool);
                    if (plays[o].alone && FILLS[f] < 8) {
                        apart += others[0] + others[1] != 0 || read_all(tally, pool)->nelts != FILLS[f] + 1;
                    }
                    apr_pool_clear(pool);
                    games++;
                }
            }
        }
        OK(!lost && !seen_garbage && !apart && games > 300, "%s: the sum is right, the text as well, in %d games",
           plays[o].name, games);
    }
    /* A reader that somebody comes in upon. */
    memset(at_stop.visits, 0, sizeof(at_stop.visits));
    at_stop.visits[0] = visit_flood;
    seen_garbage = 0;
    for (f = 0, o = 0; !o || at_stop.count > at_stop.points[0]; o++) {
        mcp_tally_init(tally, 8);
        fill(tally, 8);
        at_stop.points[0] = (int)o;
        at_stop.count = 0;
        at_stop.tally = tally;
        visit_read(tally, pool);
        at_stop.tally = NULL;
        f += others[0] + others[1] > 8 + 9;
        apr_pool_clear(pool);
    }
    OK(!seen_garbage && !f && o > 600,
       "a flood comes in upon a reader, at each of %d points: no text is torn, nothing seen twice", (int)o);
    drop(tally, 8);
}

/* A process is killed at each single point. */
static void test_killed(apr_pool_t *p)
{
    mcp_tally_t *tally = make(8);
    apr_pool_t *pool;
    apr_size_t f;

    apr_pool_create(&pool, p);
    memset(at_stop.visits, 0, sizeof(at_stop.visits));
    for (f = 0; f < sizeof(FILLS) / sizeof(FILLS[0]); f++) {
        int point, status = 0, games = 0, lost = 0, kept = 0, stuck = 0, most = 0;

        seen_garbage = 0;
        for (point = 0;; point++) {
            pid_t pid;

            mcp_tally_init(tally, 8);
            fill(tally, FILLS[f]);
            fflush(stdout);
            pid = fork();
            if (!pid) {
                at_stop.count = 0;
                at_stop.kill = point;
                at_stop.tally = tally;
                visit_same(tally, NULL);
                _exit(0);
            }
            if (pid < 0 || waitpid(pid, &status, 0) != pid) {
                abort();
            }
            if (!WIFSIGNALED(status)) {
                break;
            }
            lost = FILLS[f] + 1 - (int)total_of(tally, pool);
            most = lost > most ? lost : most;
            visit_read(tally, pool);
            visit_same(tally, pool); /* never waits, and is counted */
            kept += FILLS[f] + 2 - lost == (int)total_of(tally, pool);
            /* a second later it can be counted in, and all eight rows be used */
            count(tally, "n7777 and a longer name than any number has", 0, NOW + 102 * SEC);
            stuck += !row_of(read_all(tally, pool), "n7777 and a longer name than any number has");
            visit_late(tally, pool);
            visit_read(tally, pool);
            stuck += read_all(tally, pool)->nelts != 8;
            kept += FILLS[f] + 12 - lost == (int)total_of(tally, pool);
            apr_pool_clear(pool);
            games++;
        }
        OK(!seen_garbage && !stuck && most <= 2 && kept == 2 * games && games > 30,
           "killed at each of %d points, %d rows: no more is lost than his own row, and it can be used again", games,
           FILLS[f]);
    }
    drop(tally, 8);
}

/* A row that is being written is left alone for a second, and then taken. */
static void test_busy(apr_pool_t *p)
{
    static const struct {
        apr_time_t after;
        int taken;
    } looks[] = { { 0, 0 },        { SEC / 2, 0 },     { -SEC / 2, 0 }, { SEC * 11 / 10, 1 },
                  { 60 * SEC, 1 }, { 86400 * SEC, 1 }, { -60 * SEC, 1 } };
    mcp_tally_t *tally = make(8);
    group_t *group = tally->data;
    apr_size_t i;
    int k;

    for (i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
        mcp_tally_init(tally, 8);
        for (k = 0; k < 8; k++) {
            group->keys[k] = mark_of((apr_uint64_t)(k + 1) << 40, NOW);
            group->counts[k][0] = 3;
        }
        count(tally, "n1", 0, NOW + looks[i].after);
        OK(read_all(tally, p)->nelts == looks[i].taken && others[0] == (looks[i].taken ? 24u : 25u),
           "after %ld ms it is %s", (long)(looks[i].after / 1000),
           looks[i].taken ? "taken" : "busy, and the count others'");
    }
    drop(tally, 8);
}

#define THREADS 6
#define EACH (MANY / 50)

typedef struct game_t {
    mcp_tally_t *tally;
    pthread_barrier_t *barrier;
    int names, id, garbage;
} game_t;

static void *game_run(void *data)
{
    game_t *game = data;
    int i;

    pthread_barrier_wait(game->barrier);
    for (i = 0; i < EACH; i++) {
        count_number(game->tally, i % game->names, i & 1, NOW + i);
    }
    return NULL;
}

static void *game_watch(void *data)
{
    game_t *game = data;
    apr_uint64_t sums[MCP_TALLY_COUNTS];
    apr_pool_t *pool;
    int i, k;

    apr_pool_create(&pool, NULL);
    pthread_barrier_wait(game->barrier);
    for (i = 0; i < 50; i++) {
        apr_array_header_t *rows = mcp_tally_read(sums, game->tally, pool);

        for (k = 0; k < rows->nelts; k++) {
            const char *label = row_at(rows, k)->labels[0];

            game->garbage += label[0] != 'n' || !label[1] || label[1 + strspn(label + 1, "0123456789")];
        }
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
    return NULL;
}

/* rows of names: with room for all of them each row is exact, else the sum. */
static void test_threads(int rows, int names, apr_pool_t *p)
{
    mcp_tally_t *tally = make(rows);
    game_t games[THREADS + 1];
    pthread_t threads[THREADS + 1];
    pthread_barrier_t barrier;
    apr_array_header_t *all;
    int i, wrong = 0;

    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (i = 0; i <= THREADS; i++) {
        games[i].tally = tally;
        games[i].barrier = &barrier;
        games[i].names = names;
        games[i].garbage = 0;
        if (pthread_create(&threads[i], NULL, i < THREADS ? game_run : game_watch, &games[i])) {
            abort();
        }
    }
    for (i = 0; i <= THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&barrier);
    OK(total_of(tally, p) == THREADS * EACH && !games[THREADS].garbage,
       "%d threads, %d names in %d rows: the sum is exact", THREADS, names, rows);
    if (names <= 8) {
        all = read_all(tally, p);
        for (i = 0; i < all->nelts; i++) {
            wrong += row_at(all, i)->counts[0] + row_at(all, i)->counts[1] != (apr_uint64_t)(THREADS * EACH / names);
        }
        OK(all->nelts == names && !wrong && !others[0] && !others[1], "and each row is");
    }
    drop(tally, rows);
}

#define PROCESSES 5

static void test_processes(apr_pool_t *p)
{
    mcp_tally_t *tally = make(16);
    pid_t pids[PROCESSES];
    int i, k, status, wrong = 0;

    fflush(stdout);
    for (i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        if (!pids[i]) {
            for (k = 0; k < EACH; k++) {
                count_number(tally, (k * (i + 1)) % 40, k & 1, NOW + k);
            }
            _exit(0);
        }
    }
    for (i = 0; i < PROCESSES; i++) {
        wrong += pids[i] < 0 || waitpid(pids[i], &status, 0) != pids[i] || status;
    }
    OK(!wrong && total_of(tally, p) == PROCESSES * EACH && is_bounded(tally, 16),
       "%d processes, 40 names in 16 rows: the sum is exact", PROCESSES);
    drop(tally, 16);
}

static void test(apr_pool_t *p)
{
    test_rows(p);
    test_apart(p);
    test_cut(p);
    test_long(p);
    test_order(p);
    test_full(p);
    test_clock(p);
    test_double(p);
    test_million(p);
    test_stops(p);
    test_killed(p);
    test_busy(p);
    test_processes(p);
    test_threads(8, 8, p);
    test_threads(8, 1, p);
    test_threads(8, 20, p);
    test_threads(64, 1000, p);
}
