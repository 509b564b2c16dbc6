/* Session ids with a tag: only the one who got it can use it, and nobody can make one. S01. Input: id NUL resource NUL
 * iss NUL sub NUL client ("-": none) NUL id as a client sends it. */
#include "fuzz.h"

#include "base/limits.h"
#include "token/session.h"

static const unsigned char key[MCP_SESSION_KEY_BYTES] = { 7, 7, 7 };

static int same(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static void check_id(const char *id, const mcp_principal_t *principal, apr_pool_t *p)
{
    const char *wrapped = mcp_session_wrap(id, principal, key, p);
    size_t len = strlen(id);
    int visible = len && len <= MCP_LIMIT_SESSION;
    static const unsigned char other_key[MCP_SESSION_KEY_BYTES] = { 7, 7, 8 };
    mcp_principal_t other = *principal;
    char *changed;

    for (size_t i = 0; i < len; i++) {
        visible &= id[i] > 0x20 && id[i] < 0x7f;
    }
    MUST(visible == (wrapped != NULL));
    if (!wrapped) {
        return;
    }
    MUST(same(mcp_session_unwrap(wrapped, principal, key, p), id));
    MUST(!mcp_session_unwrap(wrapped, principal, other_key, p));
    other.sub = principal->sub ? NULL : "";
    MUST(!mcp_session_unwrap(wrapped, &other, key, p));
    other.sub = principal->client; /* two parts that change places */
    other.client = principal->sub;
    MUST(same(other.sub, other.client) || !mcp_session_unwrap(wrapped, &other, key, p));
    changed = apr_pstrdup(p, wrapped);
    changed[len / 2] = changed[len / 2] == 'x' ? 'y' : 'x';
    MUST(!mcp_session_unwrap(changed, principal, key, p));
    MUST(!mcp_session_unwrap(apr_pstrmemdup(p, wrapped, strlen(wrapped) - 1), principal, key, p));
    MUST(!mcp_session_unwrap(apr_pstrcat(p, wrapped, "A", NULL), principal, key, p));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    fuzz_input_t input = fuzz_open(data, size, p);
    const char *id = fuzz_next(&input), *sent, *opened;
    mcp_principal_t principal;

    principal.resource = fuzz_maybe(&input);
    principal.iss = fuzz_maybe(&input);
    principal.sub = fuzz_maybe(&input);
    principal.client = fuzz_maybe(&input);
    sent = fuzz_next(&input);
    check_id(id, &principal, p);
    opened = mcp_session_unwrap(sent, &principal, key, p);
    MUST(!opened || same(mcp_session_wrap(opened, &principal, key, p), sent));
    apr_pool_destroy(p);
    return 0;
}
