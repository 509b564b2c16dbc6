#include "policy/report.h"

#include <apr_hash.h>
#include <math.h>
#include <stdlib.h>

#include "reports.h"
#include "tap.h"

/* What one reading of an exposition has seen. */
typedef struct reading_t {
    apr_pool_t *p;
    apr_hash_t *families, *series; /* names; samples up to their value */
    const char *helped, *family, *type;
    const char *buckets; /* labels of the histogram that is being read, without le */
    double bound;
    apr_uint64_t below;
} reading_t;

static const char *name_end(const char *s, int with_colon)
{
    const char *start = s;

    while ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '_' || (with_colon && *s == ':') ||
           (s > start && *s >= '0' && *s <= '9')) {
        s++;
    }
    return s > start ? s : NULL;
}

/* The text between quotes; NULL when it breaks a rule. */
static const char *quoted_end(const char *s)
{
    if (*s++ != '"') {
        return NULL;
    }
    for (; *s != '"'; s++) {
        if ((unsigned char)*s < ' ' || *s == 0x7F || (*s == '\\' && !strchr("\\\"n", *++s)) || !*s) {
            return NULL;
        }
    }
    return s + 1;
}

/* {name="value",…}; *le is the value of that label, *others all the rest. */
static const char *labels_end(const char *s, const char **le, const char **others, apr_pool_t *p)
{
    apr_hash_t *names = apr_hash_make(p);

    do {
        const char *name = ++s, *equals = name_end(s, 0), *end;

        if (!equals || *equals != '=' || !(end = quoted_end(equals + 1)) || (*end != ',' && *end != '}')) {
            return NULL;
        }
        if (apr_hash_get(names, name, equals - name)) {
            return NULL;
        }
        apr_hash_set(names, name, equals - name, "");
        if (!strncmp(name, "le=", 3)) {
            *le = apr_pstrndup(p, equals + 2, (apr_size_t)(end - equals - 3));
        }
        else {
            *others = apr_pstrcat(p, *others, apr_pstrndup(p, name, (apr_size_t)(end - name)), ";", NULL);
        }
        s = end;
    } while (*s == ',');
    return s + 1;
}

/* A number without sign or exponent. */
static int is_value(const char *s)
{
    apr_size_t n = strspn(s, "0123456789");

    if (n && s[n] == '.') {
        s += n + 1;
        n = strspn(s, "0123456789");
    }
    return n && !s[n];
}

static const char *read_comment(reading_t *reading, char *line)
{
    char *last, *what, *name, *rest;

    apr_strtok(line, " ", &last);
    what = apr_strtok(NULL, " ", &last);
    name = apr_strtok(NULL, " ", &last);
    rest = last;
    if (!what || !name || !rest || !*rest || !name_end(name, 1) || *name_end(name, 1)) {
        return "a comment that is none";
    }
    if (!strcmp(what, "HELP")) {
        reading->helped = name;
        return strchr(rest, '\\') ? "an escape in a help" : NULL;
    }
    if (strcmp(what, "TYPE") || !reading->helped || strcmp(reading->helped, name)) {
        return "no TYPE right after its HELP";
    }
    if (apr_hash_get(reading->families, name, APR_HASH_KEY_STRING)) {
        return "a family twice";
    }
    if (strcmp(rest, "counter") && strcmp(rest, "gauge") && strcmp(rest, "histogram")) {
        return "an unknown type";
    }
    apr_hash_set(reading->families, name, APR_HASH_KEY_STRING, "");
    reading->family = name;
    reading->type = rest;
    return NULL;
}

/* Bounds rise, counts do not fall, +Inf is the last one and the count of all. */
static const char *read_bucket(reading_t *reading, const char *suffix, const char *le, const char *others,
                               const char *value)
{
    apr_uint64_t count = strtoull(value, NULL, 10);
    double bound = le && strcmp(le, "+Inf") ? strtod(le, NULL) : HUGE_VAL;

    if (!strcmp(suffix, "_sum")) {
        return NULL;
    }
    if (!strcmp(suffix, "_count")) {
        return reading->bound < HUGE_VAL || count != reading->below || strcmp(reading->buckets, others)
                   ? "a count that is not that of +Inf"
                   : NULL;
    }
    if (strcmp(suffix, "_bucket") || !le) {
        return "no part of a histogram";
    }
    if (reading->buckets && !strcmp(reading->buckets, others)) {
        if (bound <= reading->bound || count < reading->below) {
            return "buckets that do not rise";
        }
    }
    else if (reading->buckets && reading->bound < HUGE_VAL) {
        return "no +Inf";
    }
    reading->buckets = others;
    reading->bound = bound;
    reading->below = count;
    return NULL;
}

static const char *read_sample(reading_t *reading, const char *line)
{
    const char *end = name_end(line, 1), *le = NULL, *others = "", *value, *suffix, *series;
    apr_size_t len = reading->family ? strlen(reading->family) : 0;

    if (!end || !len || strncmp(line, reading->family, len)) {
        return "a sample outside its family";
    }
    suffix = apr_pstrndup(reading->p, line + len, (apr_size_t)(end - line) - len);
    if (*end == '{' && !(end = labels_end(end, &le, &others, reading->p))) {
        return "labels that are none";
    }
    value = end + 1;
    if (*end != ' ' || !is_value(value)) {
        return "a value that is none";
    }
    series = apr_pstrndup(reading->p, line, (apr_size_t)(end - line));
    if (apr_hash_get(reading->series, series, APR_HASH_KEY_STRING)) {
        return "a series twice";
    }
    apr_hash_set(reading->series, series, APR_HASH_KEY_STRING, value);
    if (!strcmp(reading->type, "histogram")) {
        return read_bucket(reading, suffix, le, others, value);
    }
    if (!strcmp(reading->type, "counter") && (len < 6 || strcmp(reading->family + len - 6, "_total"))) {
        return "a counter that does not say so";
    }
    return *suffix ? "a sample outside its family" : NULL;
}

static reading_t reading_begin(apr_pool_t *p)
{
    reading_t reading = { p, apr_hash_make(p), apr_hash_make(p), NULL, NULL, NULL, NULL, 0, 0 };

    return reading;
}

/* What is wrong with the text; NULL for nothing. */
static const char *read_text(reading_t *reading, const char *text)
{
    char *line = apr_pstrdup(reading->p, text), *end;

    if (!*text || text[strlen(text) - 1] != '\n') {
        return "no line feed at the end";
    }
    for (; *line; line = end + 1) {
        const char *error;

        end = strchr(line, '\n');
        *end = '\0';
        error = *line == '#' ? read_comment(reading, line) : read_sample(reading, line);
        if (error) {
            return apr_pstrcat(reading->p, error, ": ", line, NULL);
        }
    }
    return NULL;
}

static const char *fault(const char *text, apr_pool_t *p)
{
    reading_t reading = reading_begin(p);

    return read_text(&reading, text);
}

#define HEAD(type) "# HELP a_total h\n# TYPE a_total " type "\n"

/* The reader is no use if it takes anything. */
static void reader(apr_pool_t *p)
{
    static const char *const bad[] = {
        "a_total 1\n",
        HEAD("counter") "a_total 1",
        HEAD("counter") "a_total 1\na_total 2\n",
        HEAD("counter") "a_total{b=\"c\"} 1\na_total{b=\"c\"} 2\n",
        HEAD("counter") "a_total{b=\"c\",b=\"d\"} 1\n",
        HEAD("counter") "a_total{b=\"c\"d\"} 1\n",
        HEAD("counter") "a_total{b=\"\\c\"} 1\n",
        HEAD("counter") "a_total{b=\"c\x01\"} 1\n",
        HEAD("counter") "a_total{0=\"c\"} 1\n",
        HEAD("counter") "a_total{} 1\n",
        HEAD("counter") "a_total -1\n",
        HEAD("counter") "a_total 1e9\n",
        HEAD("counter") "b_total 1\n",
        HEAD("counter") "a_total_x 1\n",
        HEAD("counter") HEAD("counter"),
        HEAD("number") "a_total 1\n",
        "# HELP a h\n# TYPE a counter\na 1\n",
        "# TYPE a_total counter\na_total 1\n",
        HEAD("histogram") "a_total_bucket{le=\"1\"} 1\na_total_count 1\n",
        HEAD("histogram") "a_total_bucket{le=\"1\"} 2\na_total_bucket{le=\"+Inf\"} 1\na_total_count 1\n",
        HEAD("histogram") "a_total_bucket{le=\"2\"} 1\na_total_bucket{le=\"1\"} 1\na_total_bucket{le=\"+Inf\"} 1\n",
        HEAD("histogram") "a_total_bucket{le=\"+Inf\"} 1\na_total_sum 1\na_total_count 2\n",
    };
    int i, taken = 0;

    for (i = 0; i < (int)(sizeof(bad) / sizeof(*bad)); i++) {
        if (!fault(bad[i], p)) {
            printf("# taken: %s\n", bad[i]);
            taken++;
        }
    }
    OK(!taken, "the reader of this test takes none of %d broken texts", i);
    STR_IS(fault(HEAD("histogram") "a_total_bucket{le=\"1\"} 1\na_total_bucket{le=\"+Inf\"} 1\na_total_sum 1\n"
                                   "a_total_count 1\n",
                 p),
           NULL, "and takes a good one");
}

static int has(const char *text, const char *line, apr_pool_t *p)
{
    return strstr(apr_pstrcat(p, "\n", text, NULL), apr_pstrcat(p, "\n", line, "\n", NULL)) != NULL;
}

static int count_of(const char *text, const char *part)
{
    int n = 0;

    for (; (text = strstr(text, part)); text++) {
        n++;
    }
    return n;
}

static void empty(apr_pool_t *p)
{
    const char *text = mcp_report_prometheus(report_empty(p), p);

    STR_IS(fault(text, p), NULL, "an empty report keeps the grammar");
    OK(has(text, "mcp_oauth_info{version=\"1.2.3\"} 1", p), "the version");
    OK(has(text, "mcp_oauth_start_time_seconds 1763751509.998500", p), "when counting began");
    OK(has(text, "mcp_oauth_processes 0", p), "no processes");
    OK(has(text, "mcp_oauth_token_cache_hits_total 0", p) && has(text, "mcp_oauth_token_cache_misses_total 0", p) &&
           has(text, "mcp_oauth_token_cache_entries 0", p) && has(text, "mcp_oauth_token_cache_bytes 0", p),
       "a token cache that nobody used");
    OK(!strstr(text, "\nmcp_oauth_requests_total") && !strstr(text, "\nmcp_oauth_keys"),
       "no series of what is not there");
}

#define REQUESTS "mcp_oauth_requests_total{resource="

static void requests(apr_pool_t *p)
{
    mcp_report_t *report = report_empty(p);
    mcp_report_resource_t *resource = resource_add(report, "https://a/mcp");
    const char *text;
    int column;

    resource->counts[MCP_TOKEN_EXPIRED] = 5;
    resource->counts[MCP_PREFLIGHT] = 3;
    resource->counts[MCP_METER_SHADOW] = 2;
    resource->counts[MCP_ACL_DENIED] = ~(apr_uint64_t)0;
    resource_add(report, "https://b/mcp");
    text = mcp_report_prometheus(report, p);
    STR_IS(fault(text, p), NULL, "requests keep the grammar");
    OK(has(text, REQUESTS "\"https://a/mcp\",decision=\"allow\",reason=\"ok\"} 0", p) &&
           has(text, REQUESTS "\"https://b/mcp\",decision=\"allow\",reason=\"ok\"} 0", p),
       "the allowed of each resource are there before the first one");
    OK(has(text, REQUESTS "\"https://a/mcp\",decision=\"deny\",reason=\"token-expired\"} 5", p) &&
           has(text, REQUESTS "\"https://a/mcp\",decision=\"preflight\",reason=\"preflight\"} 3", p),
       "denied and preflights");
    OK(has(text, REQUESTS "\"https://a/mcp\",decision=\"shadow-deny\",reason=\"acl-denied\"} 2", p) &&
           has(text, REQUESTS "\"https://a/mcp\",decision=\"deny\",reason=\"acl-denied\"} 18446744073709551615", p),
       "shadow denials beside denials for the same reason, the highest number");
    OK(count_of(text, "\n" REQUESTS) == 6, "nothing else");
    resource = resource_add(report, "https://b/mcp");
    for (column = 0; column < MCP_METER_COLUMNS; column++) {
        resource->counts[column] = 7;
    }
    text = mcp_report_prometheus(report, p);
    STR_IS(fault(text, p), NULL, "a resource twice is no series twice, and each column has one of its own");
    OK(count_of(text, "\n" REQUESTS "\"https://b/mcp\"") == MCP_METER_COLUMNS, "a series for each column");
}

static void shadow(apr_pool_t *p)
{
    mcp_report_t *report = report_empty(p);
    const char *text;

    row_add(report->shadow, "r", "tools/call:a", "x y", "", "", "")->counts[0] = 4;
    row_add(report->shadow, "r", "tools/call:a\x01", "", "", "", "")->counts[0] = 2;
    row_add(report->shadow, "r", "tools/call:a\x02", "", "", "", "")->counts[0] = 1;
    report->shadow_others = 9;
    text = mcp_report_prometheus(report, p);
    STR_IS(fault(text, p), NULL, "shadow denials keep the grammar");
    OK(has(text, "mcp_oauth_shadow_denials_total{resource=\"r\",operation=\"tools/call:a\",needed=\"x y\"} 4", p),
       "a row");
    OK(has(text, "mcp_oauth_shadow_denials_total{resource=\"r\",operation=\"tools/call:a\xEF\xBF\xBD\",needed=\"\"} 3",
           p),
       "rows that differ in what labels do not show are one series, their sum");
    OK(has(text, "mcp_oauth_shadow_denials_total{resource=\"other\",operation=\"other\",needed=\"other\"} 9", p),
       "what the rows that had to go had");
}

#define ISSUER "{issuer=\"https://i\""

static void issuers(apr_pool_t *p)
{
    mcp_report_t *report = report_empty(p);
    mcp_report_issuer_t *issuer = issuer_add(report, "https://i", "due", p);
    const char *text;

    key_add(issuer, "secret-looking-kid", "RSA", NULL);
    key_add(issuer, NULL, "EC", NULL);
    issuer->age = 1234567;
    issuer->next_fetch = 0;
    issuer->fetches = 5;
    issuer->failures = 2;
    issuer_add(report, "https://i", "file", p);
    issuer_add(report, "https://i", "none", p);
    text = mcp_report_prometheus(report, p);
    STR_IS(fault(text, p), NULL, "an issuer that hosts describe three times keeps the grammar");
    OK(has(text, "mcp_oauth_keys" ISSUER "} 2", p) && has(text, "mcp_oauth_keys" ISSUER ",entry=\"2\"} 0", p) &&
           has(text, "mcp_oauth_keys" ISSUER ",entry=\"3\"} 0", p),
       "the second and third have a label more");
    OK(has(text, "mcp_oauth_keys_age_seconds" ISSUER "} 1.234567", p) &&
           has(text, "mcp_oauth_keys_next_fetch_seconds" ISSUER "} 0.000000", p),
       "age and next fetch");
    OK(count_of(text, "\nmcp_oauth_keys_age_seconds{") == 1 &&
           count_of(text, "\nmcp_oauth_keys_next_fetch_seconds{") == 1,
       "no series for what is not known");
    OK(has(text, "mcp_oauth_keys_state" ISSUER ",state=\"due\"} 1", p) &&
           has(text, "mcp_oauth_keys_state" ISSUER ",state=\"fresh\"} 0", p) &&
           has(text, "mcp_oauth_keys_state" ISSUER ",entry=\"2\",state=\"file\"} 1", p) &&
           has(text, "mcp_oauth_keys_state" ISSUER ",entry=\"3\",state=\"none\"} 1", p),
       "the state is 1");
    OK(count_of(text, "\nmcp_oauth_keys_state{") == 3 * 7, "the others are 0");
    OK(has(text, "mcp_oauth_key_fetches_total" ISSUER "} 5", p) &&
           has(text, "mcp_oauth_key_fetch_failures_total" ISSUER "} 2", p),
       "fetches and their failures");
    OK(!strstr(text, "\nmcp_oauth_introspection"), "no introspection, no series of it");
    OK(!strstr(text, "secret-looking-kid"), "no key ids: they come and go");
}

#define BUCKET "mcp_oauth_introspection_duration_seconds_bucket" ISSUER ",le="

static void introspection(apr_pool_t *p)
{
    mcp_report_t *report = report_empty(p);
    mcp_report_issuer_t *issuer = issuer_add(report, "https://i", "none", p);
    const char *text;

    issuer->endpoint = "discovery";
    issuer->breaker = "open";
    issuer->calls.answered = 6;
    issuer->calls.failed = 1;
    issuer->calls.cached = 8;
    issuer->calls.duration = 61000001;
    issuer->calls.buckets[0] = 1;
    issuer->calls.buckets[3] = 2;
    issuer->calls.buckets[MCP_CALLS_BUCKETS - 1] = 1;
    text = mcp_report_prometheus(report, p);
    STR_IS(fault(text, p), NULL, "introspection keeps the grammar");
    OK(has(text, "mcp_oauth_introspection_calls_total" ISSUER ",outcome=\"answered\"} 6", p) &&
           has(text, "mcp_oauth_introspection_calls_total" ISSUER ",outcome=\"failed\"} 1", p) &&
           has(text, "mcp_oauth_introspection_cached_total" ISSUER "} 8", p) &&
           has(text, "mcp_oauth_introspection_breaker_open" ISSUER "} 1", p),
       "calls, answers without a call, breaker");
    OK(has(text, BUCKET "\"0.005\"} 1", p) && has(text, BUCKET "\"0.01\"} 1", p) &&
           has(text, BUCKET "\"0.05\"} 3", p) && has(text, BUCKET "\"1\"} 3", p) && has(text, BUCKET "\"2.5\"} 3", p) &&
           has(text, BUCKET "\"10\"} 4", p) && has(text, BUCKET "\"+Inf\"} 7", p),
       "buckets are cumulative, bounds in seconds");
    OK(count_of(text, "\n" BUCKET) == MCP_CALLS_BUCKETS + 1, "a bucket for each bound and one for the rest");
    OK(has(text, "mcp_oauth_introspection_duration_seconds_sum" ISSUER "} 61.000001", p) &&
           has(text, "mcp_oauth_introspection_duration_seconds_count" ISSUER "} 7", p),
       "sum and count");
    issuer->breaker = "closed";
    issuer->calls.buckets[1] = 50;
    text = mcp_report_prometheus(report, p);
    STR_IS(fault(text, p), NULL, "more in buckets than in the count keeps the grammar");
    OK(has(text, BUCKET "\"+Inf\"} 54", p), "the count is not less than the buckets");
    OK(has(text, "mcp_oauth_introspection_breaker_open" ISSUER "} 0", p), "a closed breaker");
}

static void hostile_texts(apr_pool_t *p)
{
    const char *tame = mcp_report_prometheus(report_of("tame", p), p);
    int i;

    STR_IS(fault(tame, p), NULL, "a full report keeps the grammar");
    OK(!strstr(tame, "subject") && !strstr(tame, "client"), "no users and no clients");
    for (i = 0; i < HOSTILE_COUNT; i++) {
        const char *text = mcp_report_prometheus(report_of(hostile(i, p), p), p);

        STR_IS(fault(text, p), NULL, "O01 hostile text %d keeps the grammar", i);
        OK(count_of(text, "\n") == count_of(tame, "\n"), "O01 hostile text %d: not a line more or less", i);
    }
    OK(strstr(mcp_report_prometheus(report_of("a\"b\\c\nd\xFF"
                                              "e\xC3\xBC\xE2\x80\xAE",
                                              p),
                                    p),
              "\nmcp_oauth_info{version=\"a\\\"b\\\\c\\nd\xEF\xBF\xBD"
              "e\xC3\xBC\xEF\xBF\xBD\"} 1\n"),
       "O01 escaped: quote, backslash, line feed; replaced: no UTF-8, what cannot be seen");
}

static void unknown(apr_pool_t *p)
{
    static const char *const states[] = { "fresh", "due", "stale", "expired", "empty", "file", "none" };
    mcp_report_t *report = report_empty(p);
    mcp_report_issuer_t *issuer = issuer_add(report, NULL, NULL, p);
    const char *text;
    int i, not = 0;

    issuer->endpoint = "discovery";
    text = mcp_report_prometheus(report, p);
    STR_IS(fault(text, p), NULL, "an issuer of which nothing is known keeps the grammar");
    for (i = 0; i < 7; i++) {
        not += has(text, apr_psprintf(p, "mcp_oauth_keys_state{issuer=\"\",state=\"%s\"} 0", states[i]), p);
    }
    OK(not == 7, "it is in none of the states");
    OK(has(text, "mcp_oauth_keys{issuer=\"\"} 0", p), "a name that is not there is empty");
}

static void test(apr_pool_t *p)
{
    unknown(p);
    reader(p);
    empty(p);
    requests(p);
    shadow(p);
    issuers(p);
    introspection(p);
    hostile_texts(p);
}
