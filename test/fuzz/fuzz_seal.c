/* Answers in a cache that others write: what was closed here opens here, under its own name; nothing else opens. Input:
 * flags ('i' inactive) NUL where to damage it, a number NUL answer. */
#include "fuzz.h"

#include "base/limits.h"
#include "token/seal.h"

static void check_sealed(const mcp_sealed_t *sealed, unsigned long where, const unsigned char *id,
                         const unsigned char *key, apr_pool_t *p)
{
    unsigned char other[MCP_SEAL_ID_BYTES], *damaged;
    const unsigned char *data;
    mcp_sealed_t opened;
    apr_size_t len;
    int ok = mcp_seal_close(&data, &len, sealed, id, key, p);

    MUST(ok == (sealed->status != MCP_OK || sealed->len <= MCP_LIMIT_SHARED));
    if (!ok) {
        return;
    }
    data = (const unsigned char *)fuzz_bytes(data, len, p);
    MUST(len <= sealed->len + MCP_SEAL_OVERHEAD && mcp_seal_open(&opened, data, len, id, key, p));
    MUST(opened.status == sealed->status && opened.until == sealed->until);
    MUST(sealed->status == MCP_OK ? opened.len == sealed->len && !memcmp(opened.text, sealed->text, opened.len)
                                  : !opened.text && !opened.len);
    memcpy(other, id, sizeof(other));
    other[where % sizeof(other)] ^= 1;
    MUST(!mcp_seal_open(&opened, data, len, other, key, p) && opened.status == MCP_INTERNAL);
    damaged = apr_pmemdup(p, data, len);
    damaged[where % len] ^= 0x10;
    MUST(!mcp_seal_open(&opened, damaged, len, id, key, p) && !opened.text);
    MUST(!mcp_seal_open(&opened, data, where % len, id, key, p));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    fuzz_input_t input = fuzz_open(data, size, p);
    int inactive = strchr(fuzz_next(&input), 'i') != NULL;
    unsigned long where = strtoul(fuzz_next(&input), NULL, 10);
    unsigned char id[MCP_SEAL_ID_BYTES], key[MCP_SEAL_KEY_BYTES];
    mcp_sealed_t sealed = { MCP_OK, FUZZ_NOW, NULL, 0 }, opened;

    sealed.text = fuzz_rest(&sealed.len, &input);
    sealed.status = inactive ? MCP_TOKEN_INACTIVE : MCP_OK;
    MUST(mcp_seal_key(key, "secret", "https://as.example.com", NULL, "client"));
    MUST(mcp_seal_id(id, key, sealed.text, sealed.len));
    MUST(!mcp_seal_open(&opened, (const unsigned char *)sealed.text, sealed.len, id, key, p));
    check_sealed(&sealed, where, id, key, p);
    apr_pool_destroy(p);
    return 0;
}
