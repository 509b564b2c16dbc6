#include "keys/refresh.h"

#include "tap.h"

#define SEC(n) ((apr_time_t)((n)*APR_USEC_PER_SEC))
#define START SEC(1000)
#define NEVER 0.0 /* random: no jitter in a success, the earliest try in a failure */
#define MOST 0.999999
#define MIDDLE 0.5 /* random: no jitter in a failure */

static const mcp_refresh_conf_t usual = { SEC(300), SEC(3600), SEC(86400) };
static const mcp_refresh_conf_t strict = { SEC(300), SEC(3600), 0 };

static int usable(const mcp_refresh_t *refresh, const mcp_refresh_conf_t *conf, apr_time_t now)
{
    return now < mcp_refresh_usable_until(refresh, conf);
}

static apr_interval_time_t life(const char *cache_control)
{
    return mcp_refresh_lifetime(cache_control, NULL, NULL, SEC(0));
}

static void states(void)
{
    mcp_refresh_t refresh;

    mcp_refresh_init(&refresh, START);
    OK(mcp_refresh_state(&refresh, &usual, START) == MCP_REFRESH_EMPTY, "without a set: empty");
    OK(!usable(&refresh, &usual, START), "empty is not usable");
    OK(mcp_refresh_due(&refresh, START), "R01 the first fetch is due at once");
    mcp_refresh_failed(&refresh, &usual, START, MIDDLE);
    OK(mcp_refresh_state(&refresh, &usual, START) == MCP_REFRESH_EMPTY,
       "R01 a failure before the first set: still empty");
    OK(!usable(&refresh, &usual, START + SEC(99999)), "and never usable");

    mcp_refresh_succeeded(&refresh, &usual, SEC(600), START, NEVER);
    OK(mcp_refresh_state(&refresh, &usual, START) == MCP_REFRESH_FRESH, "after a success: fresh");
    OK(refresh.loaded && refresh.loaded_at == START && refresh.refresh_at == START + SEC(600), "its times are kept");
    OK(mcp_refresh_state(&refresh, &usual, START + SEC(600) - 1) == MCP_REFRESH_FRESH, "fresh to the last microsecond");
    OK(!mcp_refresh_due(&refresh, START + SEC(600) - 1), "and nothing is due");
    OK(mcp_refresh_state(&refresh, &usual, START + SEC(600)) == MCP_REFRESH_DUE, "then due");
    OK(mcp_refresh_due(&refresh, START + SEC(600)), "and a fetch is due");
    OK(usable(&refresh, &usual, START + SEC(610)), "R05 a set that is being refreshed is usable");

    mcp_refresh_failed(&refresh, &usual, START + SEC(610), MIDDLE);
    OK(mcp_refresh_state(&refresh, &usual, START + SEC(610)) == MCP_REFRESH_STALE, "R02 a failed refresh: stale");
    OK(usable(&refresh, &usual, START + SEC(610)), "R02 stale is usable");
    OK(refresh.loaded_at == START && refresh.refresh_at == START + SEC(600),
       "R04 a failure leaves the set's times alone");
    OK(usable(&refresh, &usual, START + SEC(600) + SEC(86400) - 1), "R02 until max_stale is over");
    OK(!usable(&refresh, &usual, START + SEC(600) + SEC(86400)), "KEY-6 and not at its end");
    OK(mcp_refresh_state(&refresh, &usual, START + SEC(600) + SEC(86400)) == MCP_REFRESH_EXPIRED, "then expired");
    mcp_refresh_failed(&refresh, &usual, START + SEC(700) + SEC(86400), MIDDLE);
    OK(!usable(&refresh, &usual, START + SEC(700) + SEC(86400)), "another failure does not revive it");

    mcp_refresh_succeeded(&refresh, &usual, -1, START + SEC(90000), NEVER);
    OK(mcp_refresh_state(&refresh, &usual, START + SEC(90000)) == MCP_REFRESH_FRESH, "a success ends expiry");
    OK(refresh.failures == 0, "and forgets the failures");
}

/* A restart with tighter bounds: what was worked out with the old ones must not outlive them. */
static void other_bounds(void)
{
    static const mcp_refresh_conf_t tight = { SEC(1), SEC(2), 0 }, brief = { SEC(3600), SEC(7200), SEC(200) },
                                    often = { SEC(1), SEC(7200), SEC(86400) },
                                    wide = { SEC(3600), SEC(7200), SEC(86400) };
    mcp_refresh_t refresh, before;

    mcp_refresh_init(&refresh, START);
    before = refresh;
    mcp_refresh_rebound(&refresh, &tight, START + SEC(5));
    OK(!memcmp(&refresh, &before, sizeof(refresh)), "R12 nothing is brought forward where there is nothing");

    mcp_refresh_succeeded(&refresh, &wide, SEC(3600), START, NEVER);
    before = refresh;
    mcp_refresh_rebound(&refresh, &wide, START + SEC(100));
    OK(!memcmp(&refresh, &before, sizeof(refresh)), "R12 the same bounds change nothing");
    mcp_refresh_rebound(&refresh, &tight, START + SEC(100));
    OK(refresh.refresh_at == START + SEC(2) && mcp_refresh_due(&refresh, START + SEC(100)),
       "R07 R12 under tighter bounds it is due when they say");
    OK(refresh.loaded_at == START && usable(&refresh, &tight, START + SEC(61)) &&
           !usable(&refresh, &tight, START + SEC(62)),
       "R07 R12 and expires by them");

    mcp_refresh_succeeded(&refresh, &wide, -1, START, NEVER);
    for (int i = 0; i < 30; i++) {
        mcp_refresh_failed(&refresh, &wide, START + SEC(7200), MIDDLE);
    }
    OK(refresh.next_try == START + SEC(7200 + 3600), "after failures the next try is an hour away");
    before = refresh;
    mcp_refresh_rebound(&refresh, &often, START + SEC(7200));
    OK(refresh.next_try == START + SEC(7201), "R12 with a smaller interval a second");
    OK(refresh.failures == 30, "the failures stay");
    refresh = before;
    mcp_refresh_rebound(&refresh, &brief, START + SEC(7300));
    OK(refresh.next_try == START + SEC(7400), "R02 R12 with a shorter max_stale not after the end");
    refresh = before;
    mcp_refresh_rebound(&refresh, &brief, START + SEC(7500));
    OK(mcp_refresh_due(&refresh, START + SEC(7500)), "R02 R12 and now when that is over");

    mcp_refresh_restored(&refresh, -SEC(10), APR_INT64_MAX, START);
    mcp_refresh_rebound(&refresh, &wide, START);
    OK(refresh.refresh_at == SEC(7190), "R02 a stored time in the far future is held to the bounds");
}

static void limits(void)
{
    static const mcp_refresh_conf_t endless = { SEC(1), APR_INT64_MAX, APR_INT64_MAX };
    mcp_refresh_t refresh;

    mcp_refresh_init(&refresh, START);
    OK(mcp_refresh_usable_until(&refresh, &usual) < -SEC(1), "without a set there is no time at which it is usable");
    OK(!mcp_refresh_silent(&refresh, START + SEC(9999)), "and nothing to be silent about");
    mcp_refresh_succeeded(&refresh, &usual, SEC(600), START, NEVER);
    OK(mcp_refresh_usable_until(&refresh, &usual) == START + SEC(600 + 86400 + 60),
       "R02 max_stale, and a minute for who fetches");
    OK(!mcp_refresh_silent(&refresh, START + SEC(660) - 1) && mcp_refresh_silent(&refresh, START + SEC(660)),
       "R03 a minute without an outcome is silence");
    mcp_refresh_failed(&refresh, &usual, START + SEC(601), MIDDLE);
    OK(mcp_refresh_usable_until(&refresh, &usual) == START + SEC(600 + 86400), "R02 with a failure max_stale alone");
    OK(!mcp_refresh_silent(&refresh, START + SEC(9999)), "a failure is an outcome");
    OK(mcp_refresh_usable_until(&refresh, &endless) == APR_INT64_MAX, "an endless max_stale does not overflow");
}

static void without_outcome(void)
{
    mcp_refresh_t refresh;

    mcp_refresh_init(&refresh, START);
    mcp_refresh_succeeded(&refresh, &usual, SEC(600), START, NEVER);
    OK(usable(&refresh, &usual, START + SEC(600 + 86400 + 60) - 1), "a late attempt has a minute more");
    OK(!usable(&refresh, &usual, START + SEC(600 + 86400 + 60)), "a set nobody refreshes expires without a failure");
}

static void strict_states(void)
{
    mcp_refresh_t refresh;

    mcp_refresh_init(&refresh, START);
    mcp_refresh_succeeded(&refresh, &strict, SEC(600), START, NEVER);
    OK(usable(&refresh, &strict, START + SEC(605)), "max_stale 0: usable while the refresh runs");
    mcp_refresh_failed(&refresh, &strict, START + SEC(605), MIDDLE);
    OK(mcp_refresh_state(&refresh, &strict, START + SEC(605)) == MCP_REFRESH_EXPIRED,
       "max_stale 0: expired with the first failure");
    OK(!usable(&refresh, &strict, START + SEC(605)), "and not usable");

    mcp_refresh_succeeded(&refresh, &strict, SEC(600), START + SEC(700), NEVER);
    mcp_refresh_failed(&refresh, &strict, START + SEC(800), MIDDLE);
    OK(mcp_refresh_state(&refresh, &strict, START + SEC(800)) == MCP_REFRESH_STALE,
       "max_stale 0: an early fetch that fails");
    OK(usable(&refresh, &strict, START + SEC(1300) - 1), "does not end the life of a set that is not due");
    OK(!usable(&refresh, &strict, START + SEC(1300)), "which ends when it is due");

    mcp_refresh_succeeded(&refresh, &strict, SEC(600), START + SEC(2000), NEVER);
    OK(!usable(&refresh, &strict, START + SEC(2660)), "max_stale 0: a minute without an outcome expires it too");
}

static void names(void)
{
    STR_IS(mcp_refresh_name(MCP_REFRESH_EMPTY), "empty", "name of empty");
    STR_IS(mcp_refresh_name(MCP_REFRESH_FRESH), "fresh", "name of fresh");
    STR_IS(mcp_refresh_name(MCP_REFRESH_DUE), "due", "name of due");
    STR_IS(mcp_refresh_name(MCP_REFRESH_STALE), "stale", "name of stale");
    STR_IS(mcp_refresh_name(MCP_REFRESH_EXPIRED), "expired", "name of expired");
    STR_IS(mcp_refresh_name((mcp_refresh_state_t)99), "unknown", "a state out of range has a name");
}

static apr_interval_time_t interval(apr_interval_time_t lifetime, double random)
{
    mcp_refresh_t refresh;

    mcp_refresh_init(&refresh, 0);
    mcp_refresh_succeeded(&refresh, &usual, lifetime, START, random);
    return refresh.next_try == refresh.refresh_at ? refresh.next_try - START : -1;
}

static void intervals(void)
{
    OK(interval(SEC(600), NEVER) == SEC(600), "KEY-6 the answer's lifetime is the interval");
    OK(interval(-1, NEVER) == SEC(3600), "without one it is max");
    OK(interval(SEC(0), NEVER) == SEC(300), "K02 no-store is held at min");
    OK(interval(SEC(299), NEVER) == SEC(300), "so is less than min");
    OK(interval(SEC(3601), NEVER) == SEC(3600), "more than max is max");
    OK(interval(life("max-age=99999999999999999999"), NEVER) == SEC(3600), "a huge max-age is max");
    OK(interval(SEC(3600), MOST) > SEC(3240) && interval(SEC(3600), MOST) < SEC(3241), "jitter takes up to a tenth");
    OK(interval(SEC(3600), 0.5) == SEC(3420), "half of it in the middle");
    OK(interval(SEC(310), MOST) == SEC(300), "but never below min");
    OK(interval(SEC(3600), 1.0) == SEC(3600) && interval(SEC(3600), -1) == SEC(3600),
       "a random number out of range is none");
    OK(interval(SEC(3600), 1e300) == SEC(3600) && interval(SEC(3600), 0.0 / 0.0) == SEC(3600), "however far");
}

/* One more failure. */
static apr_interval_time_t delay(mcp_refresh_t *refresh, const mcp_refresh_conf_t *conf, apr_time_t now, double random)
{
    mcp_refresh_failed(refresh, conf, now, random);
    return refresh->next_try - now;
}

static void back_off(void)
{
    static const int wanted[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300 };
    static const mcp_refresh_conf_t quick = { apr_time_from_msec(50), SEC(1), 0 };
    mcp_refresh_t refresh;
    int i;

    mcp_refresh_init(&refresh, START);
    for (i = 0; i < 5; i++) {
        OK(delay(&refresh, &usual, START, MIDDLE) == SEC(i < 2 ? i + 1 : 3), "R01 without any set, failure %d in a row",
           i + 1);
    }
    mcp_refresh_succeeded(&refresh, &usual, -1, START, NEVER);
    for (i = 0; i < (int)(sizeof(wanted) / sizeof(wanted[0])); i++) {
        OK(delay(&refresh, &usual, START, MIDDLE) == SEC(wanted[i]), "R04 failure %d in a row: next try after %d s",
           i + 1, wanted[i]);
    }
    for (i = 0; i < 100000; i++) {
        mcp_refresh_failed(&refresh, &usual, START, MIDDLE);
    }
    OK(refresh.next_try == START + SEC(300), "the delay stays there");
    refresh.failures = 0x7fffffff;
    OK(delay(&refresh, &usual, START, MIDDLE) == SEC(300) && refresh.failures == 0x7fffffff,
       "also when the count is full");
    OK(delay(&refresh, &usual, START, NEVER) == SEC(240), "a fifth less at least");
    OK(delay(&refresh, &usual, START, MOST) > SEC(359) && delay(&refresh, &usual, START, MOST) < SEC(360),
       "a fifth more at most");
    OK(delay(&refresh, &usual, START, 7.0) == SEC(240), "a random number out of range is none");

    mcp_refresh_succeeded(&refresh, &usual, -1, START, NEVER);
    OK(delay(&refresh, &usual, START, MIDDLE) == SEC(1), "a success starts it anew");
    OK(!mcp_refresh_due(&refresh, START + SEC(1) - 1) && mcp_refresh_due(&refresh, START + SEC(1)),
       "due after the delay");
    mcp_refresh_init(&refresh, START);
    OK(delay(&refresh, &quick, START, MIDDLE) == apr_time_from_msec(50), "a min below a second bounds the first delay");
}

static void far_times(void)
{
    static const mcp_refresh_conf_t endless = { SEC(300), SEC(3600), APR_INT64_MAX };
    apr_time_t late = SEC(APR_INT64_C(4102444800)); /* 2100 */
    mcp_refresh_t refresh;

    mcp_refresh_init(&refresh, late);
    mcp_refresh_succeeded(&refresh, &endless, SEC(600), late, NEVER);
    mcp_refresh_failed(&refresh, &endless, late + SEC(700), MIDDLE);
    OK(usable(&refresh, &endless, late + SEC(900000)),
       "R15 times beyond 2038 and an endless max_stale do not overflow");
    mcp_refresh_failed(&refresh, &endless, late + SEC(599), MIDDLE);
    OK(refresh.next_try == late + SEC(601), "nor do they when the next try is bounded by it");
}

/* A set that was loaded at START and is due after ten minutes; fails from then on. */
static void stale_since(mcp_refresh_t *refresh, const mcp_refresh_conf_t *conf, int failures)
{
    mcp_refresh_init(refresh, START);
    mcp_refresh_succeeded(refresh, conf, SEC(600), START, NEVER);
    while (failures-- > 0) {
        mcp_refresh_failed(refresh, conf, START + SEC(600), MIDDLE);
    }
}

static void expiry(void)
{
    static const mcp_refresh_conf_t hour = { SEC(300), SEC(3600), SEC(3600) };
    static const mcp_refresh_conf_t quick = { SEC(2), SEC(4), SEC(3600) };
    static const mcp_refresh_conf_t brief = { SEC(300), SEC(3600), 1 };
    const apr_time_t end = START + SEC(600 + 3600);
    mcp_refresh_t refresh;

    stale_since(&refresh, &hour, 12);
    OK(delay(&refresh, &hour, end - SEC(300), MIDDLE) == SEC(300), "R02 a stale set: the usual delay up to its end");
    OK(delay(&refresh, &hour, end - SEC(300) + 1, MIDDLE) == SEC(300) - 1, "R02 and never beyond it");
    OK(refresh.next_try == end && mcp_refresh_state(&refresh, &hour, end) == MCP_REFRESH_EXPIRED,
       "R02 but at that very moment");
    OK(delay(&refresh, &hour, end - 1, MOST) == 1, "R02 to the microsecond, whatever the random number");
    OK(delay(&refresh, &hour, end - SEC(241), NEVER) == SEC(240), "an earlier try stays as it is");

    OK(delay(&refresh, &hour, end, MIDDLE) == SEC(3), "R01 once it has expired: 3 s however many failures there were");
    OK(delay(&refresh, &hour, end, NEVER) == SEC(3) - SEC(3) / 5 && delay(&refresh, &hour, end, MOST) < SEC(3.6),
       "R01 give or take a fifth");
    OK(delay(&refresh, &hour, end + SEC(86400), MIDDLE) == SEC(3), "R01 and a day later too");
    OK(refresh.loaded && refresh.refresh_at == START + SEC(600), "the expired set's times are kept");
    OK(delay(&refresh, &quick, end, MIDDLE) == SEC(2), "a smaller min bounds it still");
    mcp_refresh_succeeded(&refresh, &hour, SEC(600), end, NEVER);
    OK(delay(&refresh, &hour, end, MIDDLE) == SEC(1) && delay(&refresh, &hour, end, MIDDLE) == SEC(2) &&
           delay(&refresh, &hour, end, MIDDLE) == SEC(4),
       "a success gives the slow back-off again");

    stale_since(&refresh, &strict, 0);
    OK(delay(&refresh, &strict, START + SEC(599), MIDDLE) == SEC(1), "max_stale 0: a failure before it is due");
    OK(delay(&refresh, &strict, START + SEC(599), MIDDLE) == SEC(1), "R02 the next try is when it is due");
    OK(delay(&refresh, &strict, START + SEC(600), MIDDLE) == SEC(3), "max_stale 0: 3 s at most from then on");
    stale_since(&refresh, &brief, 0);
    OK(delay(&refresh, &brief, START + SEC(600), MIDDLE) == 1 && usable(&refresh, &brief, START + SEC(600)),
       "max_stale of a microsecond is one");
    OK(!usable(&refresh, &brief, START + SEC(600) + 1), "and no more");
}

static void restored(void)
{
    mcp_refresh_t refresh;

    memset(&refresh, 0xff, sizeof(refresh));
    mcp_refresh_restored(&refresh, -SEC(500), SEC(100), SEC(3));
    OK(refresh.loaded && refresh.failures == 0 && refresh.loaded_at == -SEC(500) && refresh.refresh_at == SEC(100),
       "R01 a set of before the clock began keeps its times");
    OK(mcp_refresh_due(&refresh, SEC(3)) && !mcp_refresh_due(&refresh, SEC(3) - 1), "and a fetch is due at once");
    OK(mcp_refresh_state(&refresh, &usual, SEC(3)) == MCP_REFRESH_FRESH && usable(&refresh, &usual, SEC(3)),
       "R01 it serves");
    mcp_refresh_failed(&refresh, &usual, SEC(4), MIDDLE);
    OK(mcp_refresh_state(&refresh, &usual, SEC(4)) == MCP_REFRESH_STALE && refresh.next_try == SEC(5),
       "R01 the authorization server is down: stale, with back-off");
    OK(usable(&refresh, &usual, SEC(86500) - 1) && !usable(&refresh, &usual, SEC(86500)),
       "R02 until max_stale after it should have been refreshed, not after the start");

    mcp_refresh_restored(&refresh, -SEC(90000), -SEC(86400) + SEC(10), SEC(3));
    OK(mcp_refresh_state(&refresh, &usual, SEC(3)) == MCP_REFRESH_DUE, "one that was due before the clock began");
    mcp_refresh_failed(&refresh, &usual, SEC(9.5), MIDDLE);
    OK(usable(&refresh, &usual, SEC(10) - 1) && refresh.next_try == SEC(10), "R02 serves to its end");
    mcp_refresh_failed(&refresh, &usual, SEC(10), MIDDLE);
    OK(!usable(&refresh, &usual, SEC(10)), "R02 and no longer");

    mcp_refresh_restored(&refresh, -SEC(200000), -SEC(190000), SEC(3));
    OK(mcp_refresh_state(&refresh, &usual, SEC(3)) == MCP_REFRESH_EXPIRED && mcp_refresh_due(&refresh, SEC(3)),
       "one that is too old is not used, only replaced");
    OK(delay(&refresh, &usual, SEC(3), MIDDLE) == SEC(1) && delay(&refresh, &usual, SEC(3), MIDDLE) == SEC(2) &&
           delay(&refresh, &usual, SEC(3), MIDDLE) == SEC(3),
       "R01 soon");
    mcp_refresh_restored(&refresh, -SEC(10), -SEC(5), SEC(3));
    mcp_refresh_failed(&refresh, &strict, SEC(3), MIDDLE);
    OK(!usable(&refresh, &strict, SEC(3)), "max_stale 0: a set that is due and cannot be fetched is not used");
}

/* The same story told from another beginning of time; what it says is added to said. */
static void story(apr_time_t zero, char *said, apr_size_t size)
{
    static const mcp_refresh_conf_t conf = { SEC(10), SEC(60), SEC(120) };
    mcp_refresh_t refresh;
    int i;

    mcp_refresh_init(&refresh, zero);
    said[0] = '\0';
    for (i = 0; i < 400 && strlen(said) < size - 10; i++) {
        apr_time_t now = zero + SEC(i);
        if (mcp_refresh_due(&refresh, now)) {
            if (i < 10 || (i > 60 && i < 320)) {
                mcp_refresh_failed(&refresh, &conf, now, MIDDLE);
            }
            else {
                mcp_refresh_succeeded(&refresh, &conf, SEC(i % 40), now, MIDDLE);
            }
            apr_snprintf(said + strlen(said), size - strlen(said), "%d%c ", i,
                         mcp_refresh_name(mcp_refresh_state(&refresh, &conf, now))[1]);
        }
    }
}

static void clocks(void)
{
    char told[2000], again[2000];

    story(0, told, sizeof(told));
    OK(strlen(told) > 100 && strlen(told) < 1900 && strchr(told, 't') && strchr(told, 'x'), "a story of every state");
    story(-SEC(200), again, sizeof(again));
    STR_IS(again, told, "R15 it does not matter when the clock began");
    story(SEC(APR_INT64_C(4102444800)), again, sizeof(again));
    STR_IS(again, told, "R15 nor that it is 2100");
}

static void max_age(void)
{
    OK(life("max-age=600") == SEC(600), "KEY-6 max-age");
    OK(life("public, Max-Age=600, must-revalidate") == SEC(600), "among others, in any case");
    OK(life("max-age=\"600\"") == SEC(600), "quoted");
    OK(life(" ,, max-age=600 ,") == SEC(600), "with empty elements");
    OK(life("max-age=0") == 0, "max-age=0 is 0");
    OK(life("max-age=600, max-age=60") == SEC(60) && life("max-age=60, max-age=600") == SEC(60), "twice: the smaller");
    OK(life("max-age=600, max-age=x") == SEC(600), "twice, one malformed: the other");
    OK(life("max-age=2147483647") == SEC(2147483647), "the largest number that is exact");
    OK(life("max-age=2147483649") == SEC(APR_INT64_C(2147483648)), "one above counts as 2^31 (RFC 9111 section 1.2.2)");
    OK(life("max-age=99999999999999999999999999999999999999") == SEC(APR_INT64_C(2147483648)), "so does any");
    OK(life("no-store") == 0 && life("max-age=600, NO-STORE") == 0, "no-store is 0 and beats max-age");
    OK(life("no-cache, max-age=600") == 0, "no-cache is 0 and beats max-age");
    OK(life("no-cache=\"a, b\", max-age=600") == 0, "no-cache with fields too");
    OK(life("s-maxage=600") == -1 && life("s-maxage=1, max-age=600") == SEC(600), "s-maxage is ignored");
    OK(life("x-max-age=1, max-agent=2, max-age=600") == SEC(600), "similar names are not taken for it");
    OK(life("x=\"max-age=1, no-store\", max-age=600") == SEC(600), "nor is what stands in quotes");
    OK(life("x=\"\\\", max-age=1\", max-age=600") == SEC(600), "also behind an escaped quote");
}

static void bad_max_age(void)
{
    static const char *const bad[] = {
        "",
        ",",
        "max-age",
        "max-age=",
        "max-age=-1",
        "max-age=+1",
        "max-age=1.5",
        "max-age=1h",
        "max-age=0x10",
        "max-age= 600",
        "max-age =600",
        "max-age=\"",
        "max-age=\"-1\"",
        "max-age=\"\"",
        "max-age=600;",
        "public",
        "\"no-store\"",
        "x=\"no-store, max-age=600",
        "=",
        "=600",
        "x=\"\\",
    };
    apr_size_t i;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        OK(life(bad[i]) == -1, "nothing said by '%s'", bad[i]);
    }
    OK(life(NULL) == -1, "nor by nothing");
}

static void expires(void)
{
    const char *date = "Sun, 06 Nov 1994 08:49:37 GMT";
    apr_time_t wall = SEC(784111777); /* the same */

    OK(mcp_refresh_lifetime(NULL, "Sun, 06 Nov 1994 08:59:37 GMT", date, 0) == SEC(600), "Expires counts from Date");
    OK(mcp_refresh_lifetime(NULL, "Sunday, 06-Nov-94 08:59:37 GMT", date, 0) == SEC(600), "in the form of RFC 850");
    OK(mcp_refresh_lifetime(NULL, "Sun Nov  6 08:59:37 1994", date, 0) == SEC(600), "in the form of asctime");
    OK(mcp_refresh_lifetime(NULL, "Sun, 06 Nov 1994 08:59:37 GMT", NULL, wall) == SEC(600), "without Date from now");
    OK(mcp_refresh_lifetime(NULL, "Sun, 06 Nov 1994 08:59:37 GMT", "yesterday", wall) == SEC(600),
       "with a bad one too");
    OK(mcp_refresh_lifetime(NULL, "Sun, 06 Nov 1994 08:49:36 GMT", date, 0) == 0, "a past Expires is 0");
    OK(mcp_refresh_lifetime(NULL, date, date, 0) == 0, "now is 0");
    OK(mcp_refresh_lifetime(NULL, "0", date, 0) == 0, "Expires: 0 is past (RFC 9111 section 5.3)");
    OK(mcp_refresh_lifetime(NULL, "-1", NULL, wall) == 0, "so is -1");
    OK(mcp_refresh_lifetime(NULL, "", NULL, wall) == 0, "so is nothing");
    OK(mcp_refresh_lifetime(NULL, "Thu, 01 Jan 1970 00:00:00 GMT", NULL, wall) == 0, "so is the epoch");
    OK(mcp_refresh_lifetime(NULL, "Fri, 31 Dec 9999 23:59:59 GMT", date, 0) > SEC(86400),
       "the end of time is far away");
    OK(mcp_refresh_lifetime("max-age=60", "Sun, 06 Nov 1994 08:59:37 GMT", date, 0) == SEC(60),
       "max-age beats Expires");
    OK(mcp_refresh_lifetime("max-age=x", "Sun, 06 Nov 1994 08:59:37 GMT", date, 0) == SEC(600),
       "a malformed one does not");
    OK(mcp_refresh_lifetime("public", "Sun, 06 Nov 1994 08:59:37 GMT", date, 0) == SEC(600),
       "nor does any other directive");
    OK(mcp_refresh_lifetime("no-store", "Sun, 06 Nov 1994 08:59:37 GMT", date, 0) == 0, "no-store beats Expires");
    OK(mcp_refresh_lifetime(NULL, NULL, date, wall) == -1, "Date alone says nothing");
}

static void test(apr_pool_t *p)
{
    states();
    other_bounds();
    limits();
    without_outcome();
    strict_states();
    names();
    intervals();
    back_off();
    far_times();
    expiry();
    restored();
    clocks();
    max_age();
    bad_max_age();
    expires();
}
