/* Guesses what a pattern of the configuration may match: whatever it is, a few short paths come out of it. Input: the
 * pattern. */
#include "fuzz.h"

#include <apr_fnmatch.h>

#include "policy/sample.h"

static void check(const apr_array_header_t *samples)
{
    MUST(samples->nelts > 0 && samples->nelts <= 4096);
    for (int i = 0; i < samples->nelts; i++) {
        MUST(*fuzz_at(samples, i) == '/' && strlen(fuzz_at(samples, i)) <= 513);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    const char *text = fuzz_text(data, size, p);

    check(mcp_sample_regex(text, p));
    check(mcp_sample_fnmatch(text, p));
    if (*text == '/' && strlen(text) < 500 && !strpbrk(text, "*?[\\")) { /* a path that stands for itself */
        MUST(!apr_fnmatch(text, fuzz_at(mcp_sample_fnmatch(text, p), 0), 0));
    }
    apr_pool_destroy(p);
    return 0;
}
