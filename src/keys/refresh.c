#include "keys/refresh.h"

#include <apr_date.h>
#include <apr_lib.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define FIRST_RETRY apr_time_from_sec(1)
/* Without a usable set nothing can be answered, so the back-off must not outlast an outage by much (R01). */
#define UNUSABLE_RETRY_MAX apr_time_from_sec(3)
/* An attempt runs a while after the set has become due; without any outcome for longer than that, nobody refreshes. */
#define SILENCE apr_time_from_sec(60)
/* RFC 9111 section 1.2.2: what a number that is too large counts as. */
#define SECONDS_MAX APR_INT64_C(2147483648)

void mcp_refresh_init(mcp_refresh_t *refresh, apr_time_t now)
{
    memset(refresh, 0, sizeof(*refresh));
    refresh->next_try = now;
}

void mcp_refresh_restored(mcp_refresh_t *refresh, apr_time_t loaded_at, apr_time_t refresh_at, apr_time_t now)
{
    mcp_refresh_init(refresh, now);
    refresh->loaded = 1;
    refresh->loaded_at = loaded_at;
    refresh->refresh_at = refresh_at;
}

static apr_time_t earlier(apr_time_t a, apr_time_t b)
{
    return a < b ? a : b;
}

static apr_time_t later_by(apr_time_t time, apr_interval_time_t interval)
{
    return time > 0 && interval > INT64_MAX - time ? INT64_MAX : time + interval;
}

void mcp_refresh_rebound(mcp_refresh_t *refresh, const mcp_refresh_conf_t *conf, apr_time_t now)
{
    apr_time_t until;

    if (refresh->loaded) {
        refresh->refresh_at = earlier(refresh->refresh_at, later_by(refresh->loaded_at, conf->max));
    }
    if (refresh->failures) {
        refresh->next_try = earlier(refresh->next_try, later_by(now, conf->min));
    }
    else if (refresh->loaded) {
        refresh->next_try = earlier(refresh->next_try, refresh->refresh_at);
    }
    if (refresh->loaded) { /* one try at the moment of expiry, as after a failure */
        until = mcp_refresh_usable_until(refresh, conf);
        refresh->next_try = earlier(refresh->next_try, until > now ? until : now);
    }
}

apr_time_t mcp_refresh_usable_until(const mcp_refresh_t *refresh, const mcp_refresh_conf_t *conf)
{
    apr_time_t until = later_by(refresh->refresh_at, conf->max_stale);

    if (!refresh->loaded) {
        return INT64_MIN;
    }
    return refresh->failures ? until : later_by(until, SILENCE);
}

mcp_refresh_state_t mcp_refresh_state(const mcp_refresh_t *refresh, const mcp_refresh_conf_t *conf, apr_time_t now)
{
    if (!refresh->loaded) {
        return MCP_REFRESH_EMPTY;
    }
    if (now >= mcp_refresh_usable_until(refresh, conf)) {
        return MCP_REFRESH_EXPIRED;
    }
    if (refresh->failures) {
        return MCP_REFRESH_STALE;
    }
    return now < refresh->refresh_at ? MCP_REFRESH_FRESH : MCP_REFRESH_DUE;
}

int mcp_refresh_silent(const mcp_refresh_t *refresh, apr_time_t now)
{
    return refresh->loaded && !refresh->failures && now >= later_by(refresh->refresh_at, SILENCE);
}

int mcp_refresh_due(const mcp_refresh_t *refresh, apr_time_t now)
{
    return now >= refresh->next_try;
}

const char *mcp_refresh_name(mcp_refresh_state_t state)
{
    static const char *const names[] = { "empty", "fresh", "due", "stale", "expired" };

    return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

/* span * fraction * random, never outside [0, span * fraction), whatever random is. */
static apr_interval_time_t share(apr_interval_time_t span, double fraction, double random)
{
    return random >= 0 && random < 1 ? (apr_interval_time_t)((double)span * fraction * random) : 0;
}

static apr_interval_time_t at_least(apr_interval_time_t interval, apr_interval_time_t min)
{
    return interval < min ? min : interval;
}

void mcp_refresh_succeeded(mcp_refresh_t *refresh, const mcp_refresh_conf_t *conf, apr_interval_time_t lifetime,
                           apr_time_t now, double random)
{
    apr_interval_time_t interval = lifetime < 0 || lifetime > conf->max ? conf->max : lifetime;

    interval = at_least(interval, conf->min);
    interval = at_least(interval - share(interval, 0.1, random), conf->min);
    refresh->loaded = 1;
    refresh->failures = 0;
    refresh->loaded_at = now;
    refresh->refresh_at = refresh->next_try = now + interval;
}

/* Doubles with each failure that came before, up to most. */
static apr_interval_time_t back_off(int failures, apr_interval_time_t most)
{
    apr_interval_time_t delay = FIRST_RETRY;

    while (failures-- > 0 && delay < most) {
        delay *= 2;
    }
    return delay < most ? delay : most;
}

void mcp_refresh_failed(mcp_refresh_t *refresh, const mcp_refresh_conf_t *conf, apr_time_t now, double random)
{
    apr_interval_time_t delay, most = conf->min;
    int before = refresh->failures;

    refresh->failures += before < INT_MAX;
    if (now >= mcp_refresh_usable_until(refresh, conf) && most > UNUSABLE_RETRY_MAX) {
        most = UNUSABLE_RETRY_MAX;
    }
    delay = back_off(before, most);
    delay += share(delay, 0.4, random) - delay / 5;
    /* A stale set does not expire while nobody tries. late + delay does not overflow where max_stale - late might. */
    if (mcp_refresh_state(refresh, conf, now) == MCP_REFRESH_STALE &&
        now - refresh->refresh_at + delay > conf->max_stale) {
        delay = conf->max_stale - (now - refresh->refresh_at);
    }
    refresh->next_try = now + delay;
}

/* One directive of a Cache-Control field (RFC 9111 section 5.2), the value without quotes. */
typedef struct directive_t {
    const char *name, *value;
    apr_size_t name_len, value_len;
} directive_t;

/* Takes the next directive from *ptext; escapes in a quoted value are left as they are. Returns 0 at the end. */
static int next_directive(directive_t *directive, const char **ptext)
{
    const char *text = *ptext + strspn(*ptext, " \t,");

    if (!*text) {
        return 0;
    }
    memset(directive, 0, sizeof(*directive));
    directive->name = text;
    directive->name_len = strcspn(text, " \t,=\"");
    text += directive->name_len;
    if (*text == '=' && text[1] == '"') {
        directive->value = text += 2;
        while (*text && *text != '"') {
            text += *text == '\\' && text[1] ? 2 : 1;
        }
        directive->value_len = text - directive->value;
        text += *text == '"';
    }
    else if (*text == '=') {
        directive->value = ++text;
        directive->value_len = strcspn(text, " \t,\"");
        text += directive->value_len;
    }
    *ptext = text + strcspn(text, ",");
    return 1;
}

static int is_named(const directive_t *directive, const char *name)
{
    return directive->name_len == strlen(name) && !strncasecmp(directive->name, name, directive->name_len);
}

/* delta-seconds (RFC 9111 section 1.2.2) as seconds, -1 for anything else. */
static apr_int64_t delta_seconds(const directive_t *directive)
{
    apr_int64_t seconds = 0;
    apr_size_t i;

    for (i = 0; i < directive->value_len; i++) {
        if (!apr_isdigit(directive->value[i])) {
            return -1;
        }
        seconds = seconds * 10 + (directive->value[i] - '0');
        seconds = seconds < SECONDS_MAX ? seconds : SECONDS_MAX;
    }
    return directive->value_len ? seconds : -1;
}

/* The smallest number that a Cache-Control field gives, -1 for none. */
static apr_int64_t control_seconds(const char *text)
{
    apr_int64_t best = -1;
    directive_t directive;

    while (next_directive(&directive, &text)) {
        apr_int64_t seconds = is_named(&directive, "max-age") ? delta_seconds(&directive) : -1;
        if (is_named(&directive, "no-store") || is_named(&directive, "no-cache")) {
            return 0;
        }
        if (seconds >= 0 && (best < 0 || seconds < best)) {
            best = seconds;
        }
    }
    return best;
}

apr_interval_time_t mcp_refresh_lifetime(const char *cache_control, const char *expires, const char *date,
                                         apr_time_t wall)
{
    apr_int64_t seconds = cache_control ? control_seconds(cache_control) : -1;
    apr_time_t until, from;

    if (seconds >= 0) {
        return apr_time_from_sec(seconds);
    }
    if (!expires) {
        return -1;
    }
    until = apr_date_parse_http(expires);
    from = date ? apr_date_parse_http(date) : APR_DATE_BAD;
    if (from == APR_DATE_BAD) {
        from = wall;
    }
    /* APR_DATE_BAD is 0: what is no date counts as past, RFC 9111 section 5.3. */
    return until <= from ? 0 : until - from;
}
