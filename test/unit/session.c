#include "token/session.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/limits.h"
#include "tap.h"

#define SIZE(array) (sizeof(array) / sizeof(*(array)))
#define TAG 43

static const mcp_principal_t alice = { "https://mcp.example/mcp", "https://as.example", "alice", "client-1" };

static const unsigned char *key_make(const char *secret, apr_pool_t *p)
{
    unsigned char *key = apr_pcalloc(p, MCP_SESSION_KEY_BYTES);

    OK(mcp_session_key(key, secret, strlen(secret)) == 1, "a key of \"%s\"", secret);
    return key;
}

static char *text_of(char c, apr_size_t len, apr_pool_t *p)
{
    char *text = apr_pcalloc(p, len + 1);

    memset(text, c, len);
    return text;
}

/* Worked out with another implementation of HMAC and HKDF: ids outlive the process when the key is configured. */
static void test_known(apr_pool_t *p)
{
    static const unsigned char want[MCP_SESSION_KEY_BYTES] = {
        0x18, 0x10, 0x07, 0x40, 0x87, 0xf6, 0x28, 0x61, 0xa2, 0xa6, 0x23, 0x5e, 0x5d, 0x67, 0xdf, 0x48,
        0x43, 0xa2, 0x9e, 0x7a, 0x86, 0x38, 0x89, 0x9d, 0xe7, 0xbc, 0xce, 0x94, 0xea, 0xb5, 0xed, 0x57,
    };
    mcp_principal_t nobody = { alice.resource, alice.iss, alice.sub, NULL };
    const unsigned char *key = key_make("correct horse battery staple", p);

    OK(!memcmp(key, want, sizeof(want)), "TRN-14 HKDF-SHA256 with the label of this use");
    STR_IS(mcp_session_wrap("abc.1", &nobody, key, p), "abc.1.H6QlfOhjhSYKIfjWr56bTDlLmZSmX1toO6znV9RnJaA",
           "TRN-14 HMAC-SHA256 over the parts and the id");
}

static void test_key(apr_pool_t *p)
{
    const unsigned char *one = key_make("one", p), *two = key_make("two", p);
    const char *secret = text_of('s', 4096, p), *wrapped = mcp_session_wrap("id", &alice, one, p);
    unsigned char key[MCP_SESSION_KEY_BYTES];

    OK(memcmp(one, two, MCP_SESSION_KEY_BYTES) != 0, "another secret, another key");
    OK(!mcp_session_unwrap(wrapped, &alice, two, p), "S01 a tag of another key is refused");
    OK(mcp_session_key(key, "a\0b", 3) == 1 && memcmp(key, key_make("a", p), sizeof(key)), "all bytes count");
    OK(mcp_session_key(key, secret, 4096) == 1, "a long secret");
    OK(mcp_session_key(key, "x", 1) == 1, "a short secret");
    OK(!mcp_session_key(key, "", 0) && !mcp_session_key(key, NULL, 0), "no secret makes no key");
}

static void test_principal(const unsigned char *key, apr_pool_t *p)
{
    static const mcp_principal_t others[] = {
        { "https://mcp.example/mcp", "https://as.example", "bob", "client-1" },
        { "https://mcp.example/mcp", "https://as.example", "alic", "eclient-1" },
        { "https://mcp.example/mcp", "https://as.example", "aliceclient-1", "" },
        { "https://mcp.example/mcp", "https://as.example", "Alice", "client-1" },
        { "https://mcp.example/mcp", "https://as2.example", "alice", "client-1" },
        { "https://mcp.example/mcp", "https://as.example/", "alice", "client-1" },
        { "https://mcp.example/mcp", "https://as.example", "alice", "client-2" },
        { "https://mcp.example/mcp", "https://as.example", "alice", NULL },
        { "https://mcp.example/mcp", "https://as.example", NULL, "client-1" },
        { "https://mcp.example/mcp", NULL, "alice", "client-1" },
        { NULL, "https://as.example", "alice", "client-1" },
        { "https://mcp.example/mcp2", "https://as.example", "alice", "client-1" },
        { "https://mcp.example/mcphttps://as.example", "", "alice", "client-1" },
        { "https://as.example", "https://mcp.example/mcp", "alice", "client-1" },
        { "https://mcp.example/mcp", "https://as.example", "client-1", "alice" },
    };
    const char *wrapped = mcp_session_wrap("session", &alice, key, p);
    mcp_principal_t again = { apr_pstrdup(p, alice.resource), apr_pstrdup(p, alice.iss), apr_pstrdup(p, alice.sub),
                              apr_pstrdup(p, alice.client) };

    STR_IS(mcp_session_unwrap(wrapped, &again, key, p), "session", "S02 a refreshed token of the same principal");
    STR_IS(mcp_session_wrap("session", &again, key, p), wrapped, "S02 and the id stays the same text");
    for (unsigned i = 0; i < SIZE(others); i++) {
        OK(!mcp_session_unwrap(wrapped, &others[i], key, p),
           "TRN-14 S01 refused to resource %s, iss %s, sub %s, client %s",
           others[i].resource ? others[i].resource : "-", others[i].iss ? others[i].iss : "-",
           others[i].sub ? others[i].sub : "-", others[i].client ? others[i].client : "-");
    }
    OK(!mcp_session_unwrap(wrapped, NULL, key, p) && !mcp_session_wrap("session", NULL, key, p), "S01 nobody");
    OK(!mcp_session_unwrap(wrapped, &alice, NULL, p) && !mcp_session_wrap("session", &alice, NULL, p), "S01 no key");
}

/* Every part, NULL against "" and back. */
static void test_absent(const unsigned char *key, apr_pool_t *p)
{
    for (int part = 0; part < 4; part++) {
        const char *parts[4] = { alice.resource, alice.iss, alice.sub, alice.client };
        mcp_principal_t none, empty;
        const char *wrapped;

        parts[part] = NULL;
        none = (mcp_principal_t){ parts[0], parts[1], parts[2], parts[3] };
        parts[part] = "";
        empty = (mcp_principal_t){ parts[0], parts[1], parts[2], parts[3] };
        wrapped = mcp_session_wrap("id", &none, key, p);
        STR_IS(mcp_session_unwrap(wrapped, &none, key, p), "id", "a principal without part %d has sessions", part);
        OK(!mcp_session_unwrap(wrapped, &empty, key, p) &&
               !mcp_session_unwrap(mcp_session_wrap("id", &empty, key, p), &none, key, p),
           "S01 part %d: NULL differs from \"\"", part);
    }
}

static void test_flips(const unsigned char *key, apr_pool_t *p)
{
    const char *wrapped = mcp_session_wrap("Ab9.~session", &alice, key, p);
    apr_size_t len = strlen(wrapped);
    int passed = 0;

    for (apr_size_t i = 0; i < len * 8; i++) {
        char *flipped = apr_pstrdup(p, wrapped);

        flipped[i / 8] = (char)(flipped[i / 8] ^ (1 << i % 8));
        passed += mcp_session_unwrap(flipped, &alice, key, p) != NULL;
    }
    OK(len == 12 + 1 + TAG && passed == 0, "S01 each of %d bits flipped is refused, in the id, the dot and the tag",
       (int)len * 8);
    for (apr_size_t i = 0; i < len; i++) {
        passed += mcp_session_unwrap(apr_pstrmemdup(p, wrapped, i), &alice, key, p) != NULL;
        passed += mcp_session_unwrap(wrapped + i, &alice, key, p) != NULL && i > 0;
    }
    OK(passed == 0, "S01 and so is every beginning and every end of it");
}

/* Also the second spelling that the two unused bits of the last character would allow. */
static void test_shape(const unsigned char *key, apr_pool_t *p)
{
    const char *wrapped = mcp_session_wrap("id", &alice, key, p), *tag = wrapped + 3;
    const char *const bad[] = { NULL,
                                "",
                                ".",
                                "id",
                                "id.",
                                tag,
                                wrapped + 2,
                                apr_pstrcat(p, "id", tag, NULL),
                                apr_pstrcat(p, "id-", tag, NULL),
                                apr_pstrcat(p, "id..", tag, NULL),
                                apr_pstrcat(p, wrapped, "=", NULL),
                                apr_pstrcat(p, wrapped, ".", NULL),
                                apr_pstrcat(p, wrapped, " ", NULL),
                                apr_pstrcat(p, " ", wrapped, NULL),
                                apr_pstrcat(p, tag, ".id", NULL),
                                apr_pstrcat(p, wrapped, ".", tag, NULL),
                                apr_pstrcat(p, "id.", text_of('A', TAG, p), NULL),
                                text_of('.', TAG + 2, p) };
    char *spelled = apr_pstrdup(p, wrapped);
    int passed = 0;

    OK(strlen(tag) == TAG && strspn(tag, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == TAG,
       "TRN-14 43 characters of base64url");
    for (unsigned i = 0; i < SIZE(bad); i++) {
        OK(!mcp_session_unwrap(bad[i], &alice, key, p), "S01 refused: '%s'", bad[i] ? bad[i] : "(null)");
    }
    for (int c = 0x21; c < 0x7f; c++) {
        spelled[strlen(wrapped) - 1] = (char)c;
        passed += mcp_session_unwrap(spelled, &alice, key, p) != NULL;
    }
    OK(passed == 1, "S01 the last character of the tag has one spelling");
}

static void test_ids(const unsigned char *key, apr_pool_t *p)
{
    static const char *const good[] = { "a", "a.b.c", ".", "..", ".a", "a.", "!", "~", "0123-4567", "a=b;c,\"d\"" };
    static const char *const bad[] = { "", " ", "a b", "a\n", "\x7f", "\x1f", "a\x80", "\xc3\xbc", "\t" };
    const char *most = text_of('x', MCP_LIMIT_SESSION, p), *over = text_of('x', MCP_LIMIT_SESSION + 1, p);
    const char *wrapped;

    for (unsigned i = 0; i < SIZE(good); i++) {
        wrapped = mcp_session_wrap(good[i], &alice, key, p);
        OK(wrapped && strlen(wrapped) == strlen(good[i]) + 1 + TAG && !strncmp(wrapped, good[i], strlen(good[i])),
           "the id '%s' and its tag", good[i]);
        STR_IS(mcp_session_unwrap(wrapped, &alice, key, p), good[i], "TRN-14 and back");
    }
    for (unsigned i = 0; i < SIZE(bad); i++) {
        OK(!mcp_session_wrap(bad[i], &alice, key, p), "an id that is empty or not visible ASCII has no tag: %d",
           (int)i);
    }
    OK(!mcp_session_wrap(NULL, &alice, key, p), "nor does none");
    wrapped = mcp_session_wrap("a", &alice, key, p);
    OK(!mcp_session_unwrap(apr_pstrcat(p, "b", wrapped + 1, NULL), &alice, key, p), "S01 a tag is that of its id");
    wrapped = mcp_session_wrap(wrapped, &alice, key, p);
    OK(wrapped && strlen(wrapped) == 1 + 2 * (1 + TAG), "an id that looks bound is an id");
    wrapped = mcp_session_wrap(most, &alice, key, p);
    OK(wrapped && strlen(wrapped) == MCP_LIMIT_SESSION + 1 + TAG, "an id of MCP_LIMIT_SESSION bytes");
    STR_IS(mcp_session_unwrap(wrapped, &alice, key, p), most, "and back");
    OK(!mcp_session_wrap(over, &alice, key, p), "one byte above: no tag");
    OK(!mcp_session_unwrap(apr_pstrcat(p, "x", wrapped, NULL), &alice, key, p), "and refused");
}

/* Last: nothing can be fetched afterwards. */
static void test_failure(const unsigned char *key, apr_pool_t *p)
{
    const char *wrapped = mcp_session_wrap("id", &alice, key, p);
    unsigned char made[MCP_SESSION_KEY_BYTES];

    OK(EVP_set_default_properties(NULL, "provider=absent") == 1, "an OpenSSL without any algorithm");
    OK(!mcp_session_wrap("id", &alice, key, p), "TRN-14 no tag: no id");
    OK(ERR_peek_error() == 0, "and OpenSSL's errors are not left behind");
    OK(!mcp_session_unwrap(wrapped, &alice, key, p), "S01 no tag to compare with: refused");
    OK(ERR_peek_error() == 0, "nor here");
    OK(!mcp_session_key(made, "secret", 6), "no key");
    OK(ERR_peek_error() == 0, "nor here");
}

static void test(apr_pool_t *p)
{
    const unsigned char *key = key_make("secret", p);

    test_known(p);
    test_key(p);
    test_principal(key, p);
    test_absent(key, p);
    test_flips(key, p);
    test_shape(key, p);
    test_ids(key, p);
    test_failure(key, p);
}
