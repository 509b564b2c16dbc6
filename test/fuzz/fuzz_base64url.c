/* Strict base64: what is decoded is encoded to the very same text, and nothing else is decoded. T12. */
#include "fuzz.h"

#include <openssl/evp.h>

#include "base/base64url.h"

/* Bits of the characters one by one, whatever they are; the padding is left out. Returns the bytes. */
static size_t decode_loosely(unsigned char *out, const char *text, size_t len, const char *alphabet)
{
    unsigned bits = 0;
    size_t n = 0;
    int count = 0;

    while (len && text[len - 1] == '=') {
        len--;
    }
    for (size_t i = 0; i < len; i++) {
        const char *found = text[i] ? strchr(alphabet, text[i]) : NULL;

        bits = bits << 6 | (found ? (unsigned)(found - alphabet) : 0);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out[n++] = (unsigned char)(bits >> count);
        }
    }
    return n;
}

/* The one text of these bytes. */
static const char *encode(const unsigned char *data, size_t len, int url, apr_pool_t *p)
{
    char *text = apr_palloc(p, (len + 2) / 3 * 4 + 1);

    EVP_EncodeBlock((unsigned char *)text, data, (int)len);
    for (char *c = text; url && *c; c++) {
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c == '=' ? '\0' : *c;
    }
    return text;
}

static void check_decoding(const char *text, size_t len, int url, apr_pool_t *p)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const char *alphabet = apr_pstrcat(p, letters, url ? "-_" : "+/", NULL), *canonical;
    unsigned char *out = malloc(MCP_BASE64_DECODED_MAX(len)), *loose = malloc(len + 1);
    apr_size_t out_len = 77;
    int ok;

    MUST(out && loose);
    ok = url ? mcp_base64url_decode(out, &out_len, text, len) : mcp_base64_decode(out, &out_len, text, len);
    canonical = encode(loose, decode_loosely(loose, text, len, alphabet), url, p);
    MUST(ok == (strlen(canonical) == len && !memcmp(canonical, text, len)));
    MUST(ok ? !memcmp(out, loose, out_len) && out_len <= len : !out_len);
    free(out);
    free(loose);
}

static void check_encoding(const char *data, size_t len, apr_pool_t *p)
{
    char *text = malloc(MCP_BASE64URL_ENCODED(len) + 1);
    unsigned char *back = malloc(MCP_BASE64_DECODED_MAX(MCP_BASE64URL_ENCODED(len)));
    apr_size_t back_len;

    MUST(text && back);
    mcp_base64url_encode(text, (const unsigned char *)data, len);
    MUST(strlen(text) == MCP_BASE64URL_ENCODED(len));
    MUST(!strcmp(text, encode((const unsigned char *)data, len, 1, p)));
    MUST(mcp_base64url_decode(back, &back_len, text, strlen(text)));
    MUST(back_len == len && !memcmp(back, data, len));
    free(text);
    free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    const char *text = fuzz_bytes(data, size, p);

    check_decoding(text, size, 1, p);
    check_decoding(text, size, 0, p);
    check_encoding(text, size, p);
    apr_pool_destroy(p);
    return 0;
}
