/* How long an answer holds, as servers say it, and what follows for the next fetch. RFC 9111. Input: Cache-Control NUL
 * Expires NUL Date ("-": absent) NUL failures in a row. */
#include "fuzz.h"

#include "keys/refresh.h"

#define MIN apr_time_from_sec(300)
#define MAX apr_time_from_sec(3600)
#define STALE apr_time_from_sec(86400)

static void check_plan(apr_interval_time_t lifetime, size_t failures)
{
    const mcp_refresh_conf_t conf = { MIN, MAX, STALE };
    apr_time_t now = FUZZ_NOW;
    mcp_refresh_t refresh;

    mcp_refresh_init(&refresh, now);
    MUST(mcp_refresh_due(&refresh, now) && mcp_refresh_state(&refresh, &conf, now) != MCP_REFRESH_FRESH);
    for (int i = 0; i < 3; i++) {
        mcp_refresh_succeeded(&refresh, &conf, lifetime, now, i * 0.4999);
        MUST(refresh.next_try >= now + MIN && refresh.next_try <= now + MAX && !mcp_refresh_due(&refresh, now));
        MUST(mcp_refresh_state(&refresh, &conf, now) == MCP_REFRESH_FRESH);
    }
    for (size_t i = 0; i < failures && i < 40; i++) {
        apr_time_t before = refresh.refresh_at;

        now = refresh.next_try;
        mcp_refresh_failed(&refresh, &conf, now, 0.5);
        MUST(refresh.next_try > now && refresh.next_try <= now + MIN + MIN / 5 && refresh.refresh_at == before);
    }
    /* A minute longer only as long as there has been no outcome at all. */
    MUST(mcp_refresh_usable_until(&refresh, &conf) ==
         refresh.refresh_at + STALE + (failures ? 0 : apr_time_from_sec(60)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    fuzz_input_t input = fuzz_open(data, size, p);
    const char *cache_control = fuzz_maybe(&input), *expires = fuzz_maybe(&input), *date = fuzz_maybe(&input);
    apr_interval_time_t lifetime = mcp_refresh_lifetime(cache_control, expires, date, FUZZ_NOW);

    MUST(lifetime >= -1);
    MUST(cache_control || expires || lifetime == -1);
    MUST(mcp_refresh_lifetime(cache_control, expires, date, FUZZ_NOW) == lifetime);
    if (!cache_control || strlen(cache_control) < 200) { /* a last word that forbids wins, if nothing is left open */
        const char *more = apr_pstrcat(p, "no-store", cache_control ? ", " : "", cache_control, NULL);

        MUST(mcp_refresh_lifetime(more, expires, date, FUZZ_NOW) == 0);
    }
    check_plan(lifetime, (size_t)(input.end - input.at));
    apr_pool_destroy(p);
    return 0;
}
