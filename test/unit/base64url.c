#include <stdlib.h>

#include "base/base64url.h"
#include "tap.h"

/* Decodes into a buffer of exactly the promised size, so that the sanitizer sees one byte too many. */
static int decode(const char **pout, apr_size_t *plen, const char *text, apr_size_t len, int padded, apr_pool_t *p)
{
    unsigned char *out = malloc(MCP_BASE64_DECODED_MAX(len));
    int ok = padded ? mcp_base64_decode(out, plen, text, len) : mcp_base64url_decode(out, plen, text, len);

    *pout = ok ? apr_pstrmemdup(p, (const char *)out, *plen) : NULL;
    free(out);
    return ok;
}

static const char *url(const char *text, apr_pool_t *p)
{
    const char *out;
    apr_size_t len;

    return decode(&out, &len, text, strlen(text), 0, p) && strlen(out) == len ? out : NULL;
}

static const char *std(const char *text, apr_pool_t *p)
{
    const char *out;
    apr_size_t len;

    return decode(&out, &len, text, strlen(text), 1, p) && strlen(out) == len ? out : NULL;
}

/* RFC 4648 section 10, and each refusal. */
static void test_text(apr_pool_t *p)
{
    static const char *const good[][3] = { { "", "", "" },
                                           { "f", "Zg", "Zg==" },
                                           { "fo", "Zm8", "Zm8=" },
                                           { "foo", "Zm9v", "Zm9v" },
                                           { "foob", "Zm9vYg", "Zm9vYg==" },
                                           { "fooba", "Zm9vYmE", "Zm9vYmE=" },
                                           { "foobar", "Zm9vYmFy", "Zm9vYmFy" },
                                           { "\xfb\xff\xbf", "-_-_", "+/+/" } };
    static const char *const bad_url[] = { "A",      "AAAAA",  "Zg==",    "Zg=",        "Zm8=",
                                           "Zm9v=",  "====",   "+_+_",    "-/-/",       "Zm 9v",
                                           "Zm9v ",  " Zm9v",  "Zm9v\n",  "Zm\n9v",     "Zm9v\r\n",
                                           "Zm9.",   "Z?9v",   "?m9v",    "Zm?v",       "Zm9?",
                                           "Zm9vY?", "Zm9v?Q", "Zm9vYm?", "Z\xc3\xa9v", "\xff\xff\xff\xff" };
    static const char *const unused[] = { "Zh", "Zv", "Zm9", "Zm-", "AB", "AAB" };
    static const char *const bad_std[] = { "Zg",   "Zg=",  "Zm8",      "Z===", "====",   "=",     "==",       "-_-_",
                                           "Zh==", "Zm9=", "Zg==Zg==", "Zm=8", "Zm8=\n", "Zm9v=", "Zm9v====", "=Zm9" };
    apr_size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char out[16];

        STR_IS(url(good[i][1], p), good[i][0], "base64url decodes %s", good[i][1]);
        STR_IS(std(good[i][2], p), good[i][0], "base64 decodes %s", good[i][2]);
        mcp_base64url_encode(out, (const unsigned char *)good[i][0], strlen(good[i][0]));
        STR_IS(out, good[i][1], "base64url encodes to %s", good[i][1]);
        OK(strlen(out) == MCP_BASE64URL_ENCODED(strlen(good[i][0])), "its length is the promised one");
    }
    for (i = 0; i < sizeof(bad_url) / sizeof(bad_url[0]); i++) {
        OK(!url(bad_url[i], p), "T12 not base64url, refused: no. %d", (int)i);
    }
    for (i = 0; i < sizeof(unused) / sizeof(unused[0]); i++) {
        OK(!url(unused[i], p), "T12 unused bits that are not zero are refused: %s", unused[i]);
    }
    for (i = 0; i < sizeof(bad_std) / sizeof(bad_std[0]); i++) {
        OK(!std(bad_std[i], p), "not padded base64, refused: no. %d", (int)i);
    }
}

/* Each byte value at each place of a quartet and of both tails: accepted exactly when the alphabet has it. */
static void test_bytes(apr_pool_t *p)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    int c, place, len, wrong = 0;

    for (len = 2; len <= 4; len++) {
        for (place = 0; place < len; place++) {
            for (c = 0; c < 256; c++) {
                char text[5] = "AAAA";
                const char *found = c ? strchr(alphabet, c) : NULL;
                int index = found ? (int)(found - alphabet) : 0;
                int want = found && (place < len - 1 || len == 4 || index % (len == 2 ? 16 : 4) == 0);
                const char *out;
                apr_size_t out_len;

                text[place] = (char)c;
                wrong += decode(&out, &out_len, text, (apr_size_t)len, 0, p) != want;
            }
        }
    }
    OK(!wrong, "T12 each byte at each place is judged by the alphabet and the unused bits");
}

static void test_round_trip(apr_pool_t *p)
{
    unsigned char data[100];
    char text[MCP_BASE64URL_ENCODED(sizeof(data)) + 1];
    apr_size_t i, len, out_len;
    const char *out;
    int wrong = 0;

    for (i = 0; i < sizeof(data); i++) {
        data[i] = (unsigned char)(i * 37 + 11);
    }
    for (len = 0; len <= sizeof(data); len++) {
        mcp_base64url_encode(text, data, len);
        wrong += strlen(text) != MCP_BASE64URL_ENCODED(len) || !decode(&out, &out_len, text, strlen(text), 0, p) ||
                 out_len != len || memcmp(out, data, len);
    }
    OK(!wrong, "what was encoded decodes to the same bytes, 0 to 100 of them");
}

static void test(apr_pool_t *p)
{
    test_text(p);
    test_bytes(p);
    test_round_trip(p);
}
