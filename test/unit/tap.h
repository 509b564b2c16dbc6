/* TAP without a library: automake's tap-driver.sh reads it. One program per noun, one process, no threads behind it. */
#ifndef MCP_TAP_H
#define MCP_TAP_H

#include <apr_general.h>
#include <apr_pools.h>
#include <apr_strings.h>
#include <stdio.h>
#include <string.h>

static int tap_count, tap_failed;

/* One check; the text names the requirement or threat row it closes where there is one. */
#define OK(cond, ...) \
    do { \
        int tap_ok_ = (cond) ? 1 : 0; \
        printf("%sok %d - ", tap_ok_ ? "" : "not ", ++tap_count); \
        printf(__VA_ARGS__); \
        printf("\n"); \
        if (!tap_ok_) { \
            tap_failed++; \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond); \
        } \
    } while (0)

#define STR_IS(got, want, ...) \
    do { \
        const char *tap_got_ = (got), *tap_want_ = (want); \
        OK(tap_got_ &&tap_want_ ? !strcmp(tap_got_, tap_want_) : tap_got_ == tap_want_, __VA_ARGS__); \
        if (tap_got_ && tap_want_ ? strcmp(tap_got_, tap_want_) : tap_got_ != tap_want_) { \
            printf("#  got: %s\n# want: %s\n", tap_got_ ? tap_got_ : "(null)", tap_want_ ? tap_want_ : "(null)"); \
        } \
    } while (0)

static void test(apr_pool_t *p);

int main(void)
{
    apr_pool_t *p;

    apr_initialize();
    apr_pool_create(&p, NULL);
    test(p);
    printf("1..%d\n", tap_count);
    apr_pool_destroy(p);
    apr_terminate();
    return tap_failed != 0;
}

#endif
