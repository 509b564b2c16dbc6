#include "token/seal.h"

#include <apr_escape.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/limits.h"
#include "tap.h"

#define SECRET "s3cret"
#define ISSUER "https://as.example"
#define URL "https://as.example/introspect"
#define CLIENT "rs1"
#define TOKEN "2YotnFZFEjr1zCsicMWpAA"
#define TEXT "{\"active\":true}"
#define UNTIL ((apr_time_t)1800000060000000)
/* Version, nonce, verdict with until, tag. */
#define STORED_MIN (1 + 12 + 9 + 16)

typedef struct sealing_t {
    unsigned char key[MCP_SEAL_KEY_BYTES], id[MCP_SEAL_ID_BYTES];
    apr_pool_t *p;
} sealing_t;

static void sealing_make(sealing_t *s, const char *token, apr_pool_t *p)
{
    s->p = p;
    OK(mcp_seal_key(s->key, SECRET, ISSUER, URL, CLIENT) && mcp_seal_id(s->id, s->key, token, strlen(token)),
       "a key, and the name of %s", token);
}

static const char *hex(const unsigned char *data, apr_size_t len, apr_pool_t *p)
{
    return apr_pescape_hex(p, data, len, 0);
}

/* Opens data in a block of its very size, so that a sanitizer sees each byte too far. */
static int open_exact(mcp_sealed_t *sealed, const unsigned char *data, apr_size_t len, const sealing_t *s)
{
    unsigned char *copy = malloc(len ? len : 1);
    int ok;

    if (len) {
        memcpy(copy, data, len);
    }
    ok = mcp_seal_open(sealed, copy, len, s->id, s->key, s->p);
    free(copy);
    return ok;
}

static int is_refused(const unsigned char *data, apr_size_t len, const sealing_t *s)
{
    mcp_sealed_t opened = { MCP_OK, UNTIL, TEXT, 3 };

    /* A caller who does not look at the result must not find an active token. */
    return !open_exact(&opened, data, len, s) && opened.status != MCP_OK && !opened.text && !opened.until &&
           !ERR_peek_error();
}

/* Computed with other means: HMAC, SHA-256 and AES-GCM of Python and of Node.js. */
static void test_known(apr_pool_t *p)
{
    static const char stored[] = "01000102030405060708090a0bd1712756813e39c4ed6f59a7497081f5c627440338a8b086387f9e381f0"
                                 "e11be84dd5b47f7de294b";
    unsigned char key[MCP_SEAL_KEY_BYTES];
    mcp_sealed_t opened;
    apr_size_t len;
    sealing_t s;

    sealing_make(&s, TOKEN, p);
    STR_IS(hex(s.key, sizeof(s.key), p), "67ea2be2481830f5ba1377f356d29f2aecb25d560953939a3e69228efa991571",
           "the key is HKDF-SHA256 of the secret");
    OK(mcp_seal_key(key, SECRET, ISSUER, NULL, CLIENT) == 1, "a key without an URL");
    STR_IS(hex(key, sizeof(key), p), "1c73e0def51202efb91a9cace8cbe035f78adfab39cea81ebb171151be65c371",
           "which is another one");
    STR_IS(hex(s.id, sizeof(s.id), p), "2879942fbf2801ba545626a06da806f99bf402f831b973bae99aa1923892d9e5",
           "C02 the name is HMAC-SHA256 of the token");
    OK(open_exact(&opened, apr_punescape_hex(p, stored, 0, &len), (sizeof(stored) - 1) / 2, &s) &&
           opened.status == MCP_OK && opened.until == UNTIL,
       "what another program sealed is opened");
    STR_IS(opened.text, TEXT, "with its text");
}

static void test_key_parts(apr_pool_t *p)
{
    static const struct {
        const char *secret, *issuer, *url, *client;
    } rows[] = { { SECRET, ISSUER, URL, CLIENT },
                 { "s3cres", ISSUER, URL, CLIENT },
                 { SECRET, "https://as.example/", URL, CLIENT },
                 { SECRET, ISSUER, URL "2", CLIENT },
                 { SECRET, ISSUER, URL, "rs2" },
                 { SECRET, ISSUER, NULL, CLIENT },
                 { SECRET, ISSUER, "", CLIENT },
                 { SECRET, ISSUER URL, NULL, CLIENT },
                 { SECRET, ISSUER URL, "", CLIENT },
                 { SECRET, ISSUER, URL CLIENT, "" },
                 { SECRET, ISSUER "h", "ttps://as.example/introspect", CLIENT } };
    unsigned char keys[sizeof(rows) / sizeof(rows[0])][MCP_SEAL_KEY_BYTES], none[MCP_SEAL_KEY_BYTES] = { 1 };
    apr_size_t i, j, same = 0;
    char *url = apr_palloc(p, 10001);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        OK(mcp_seal_key(keys[i], rows[i].secret, rows[i].issuer, rows[i].url, rows[i].client) == 1, "key %d", (int)i);
        for (j = 0; j < i; j++) {
            same += !memcmp(keys[i], keys[j], MCP_SEAL_KEY_BYTES);
        }
    }
    OK(!same, "C03 each part of a configuration makes another key, and no part passes for some of the next");
    OK(!mcp_seal_key(none, "", ISSUER, URL, CLIENT) && !none[0], "an empty secret makes no key");
    OK(!ERR_peek_error(), "and leaves no error behind");
    memset(url, 'u', 10000);
    url[10000] = '\0';
    OK(mcp_seal_key(none, SECRET, ISSUER, url, CLIENT) == 1, "a long URL does not matter");
}

static void test_ids(apr_pool_t *p)
{
    unsigned char a[MCP_SEAL_ID_BYTES], b[MCP_SEAL_ID_BYTES], c[MCP_SEAL_ID_BYTES], d[MCP_SEAL_ID_BYTES];
    sealing_t s;

    sealing_make(&s, TOKEN, p);
    mcp_seal_id(a, s.key, "abc", 3);
    mcp_seal_id(b, s.key, "abcd", 3);
    mcp_seal_id(c, s.key, "abcd", 4);
    OK(!memcmp(a, b, sizeof(a)) && memcmp(a, c, sizeof(a)), "C02 the length given counts");
    s.key[0] ^= 1;
    mcp_seal_id(d, s.key, "abc", 3);
    OK(memcmp(a, d, sizeof(a)), "C03 another key gives another name");
}

static void test_round(apr_pool_t *p)
{
    mcp_sealed_t active = { MCP_OK, UNTIL, TEXT, sizeof(TEXT) - 1 }, opened;
    mcp_sealed_t inactive = { MCP_TOKEN_INACTIVE, UNTIL + 1, "ignored", 7 };
    const unsigned char *first, *second;
    apr_size_t len, len2;
    sealing_t s;

    sealing_make(&s, TOKEN, p);
    OK(mcp_seal_close(&first, &len, &active, s.id, s.key, p) && len <= active.len + MCP_SEAL_OVERHEAD,
       "an active answer is sealed, within the promised overhead");
    OK(open_exact(&opened, first, len, &s) && opened.status == MCP_OK && opened.until == UNTIL &&
           opened.len == active.len,
       "and opened");
    STR_IS(opened.text, TEXT, "with its text");
    OK(!memmem(first, len, "active", 6), "the text cannot be read in what is stored");
    OK(mcp_seal_close(&second, &len2, &active, s.id, s.key, p) && len2 == len && memcmp(first + 1, second + 1, 12) &&
           memcmp(first + 13, second + 13, len - 13),
       "a second seal has another nonce, and another text");

    OK(mcp_seal_close(&first, &len, &inactive, s.id, s.key, p) && len == STORED_MIN, "an inactive answer has no text");
    OK(open_exact(&opened, first, len, &s) && opened.status == MCP_TOKEN_INACTIVE && opened.until == UNTIL + 1 &&
           !opened.text && !opened.len,
       "and is opened as inactive");

    active.text = NULL;
    active.len = 0;
    active.until = -5;
    OK(mcp_seal_close(&first, &len, &active, s.id, s.key, p) && open_exact(&opened, first, len, &s) &&
           opened.status == MCP_OK && !opened.len && opened.text && !*opened.text && opened.until == -5,
       "an empty text and a time of long ago come back as they were");
}

static void test_limits(apr_pool_t *p)
{
    char *text = apr_palloc(p, MCP_LIMIT_SHARED + 1);
    mcp_sealed_t sealed = { MCP_OK, UNTIL, text, MCP_LIMIT_SHARED }, opened;
    const unsigned char *data;
    apr_size_t len;
    sealing_t s;

    memset(text, 'x', MCP_LIMIT_SHARED + 1);
    sealing_make(&s, TOKEN, p);
    OK(mcp_seal_close(&data, &len, &sealed, s.id, s.key, p) && open_exact(&opened, data, len, &s) &&
           opened.len == MCP_LIMIT_SHARED && !memcmp(opened.text, text, MCP_LIMIT_SHARED),
       "a text of MCP_LIMIT_SHARED bytes comes back");
    sealed.len++;
    OK(!mcp_seal_close(&data, &len, &sealed, s.id, s.key, p) && !data && !len, "one byte more is not sealed");
    sealed.len = 3;
    sealed.status = MCP_TOKEN_EXPIRED;
    OK(!mcp_seal_close(&data, &len, &sealed, s.id, s.key, p) && !data, "no other verdict is sealed");
    sealed.status = MCP_INTROSPECTION_UNAVAILABLE;
    OK(!mcp_seal_close(&data, &len, &sealed, s.id, s.key, p) && !data, "INT-5 that nothing was said is not kept");
}

static void test_tamper(apr_pool_t *p)
{
    mcp_sealed_t sealed = { MCP_OK, UNTIL, TEXT, sizeof(TEXT) - 1 };
    const unsigned char *data;
    unsigned char *copy;
    apr_size_t len, i, passed = 0;
    sealing_t s, other;

    sealing_make(&s, TOKEN, p);
    mcp_seal_close(&data, &len, &sealed, s.id, s.key, p);
    copy = apr_pmemdup(p, data, len);
    for (i = 0; i < 8 * len; i++) {
        copy[i / 8] ^= 1 << i % 8;
        passed += !is_refused(copy, len, &s);
        copy[i / 8] ^= 1 << i % 8;
    }
    OK(!passed, "any bit of the stored value changed: refused");
    OK(!is_refused(copy, len, &s), "(and with none changed it is not)");
    for (i = 0; i < len; i++) {
        passed += !is_refused(data, i, &s);
    }
    OK(!passed, "cut off anywhere: refused");
    copy = apr_pcalloc(p, len + 1);
    memcpy(copy, data, len);
    OK(is_refused(copy, len + 1, &s), "a byte more: refused");
    copy[0] = 2;
    OK(is_refused(copy, len, &s), "another version: refused");

    sealing_make(&other, "another-token", p);
    OK(is_refused(data, len, &other), "C02 put in another token's place: refused");
    other = s;
    other.id[MCP_SEAL_ID_BYTES - 1] ^= 1;
    OK(is_refused(data, len, &other), "C02 another last byte of the name: refused");
    other = s;
    other.key[MCP_SEAL_KEY_BYTES - 1] ^= 1;
    OK(is_refused(data, len, &other), "C03 another key: refused");
}

/* What somebody with the key could have stored: a body of len bytes, verdict and time first. */
static int is_forgery_refused(int verdict, apr_size_t len, const sealing_t *s)
{
    unsigned char *data = apr_pcalloc(s->p, 13 + len + 16), input[1 + MCP_SEAL_ID_BYTES] = { 0 }, secret[32];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int done = 0, ok;

    memcpy(input + 1, s->id, MCP_SEAL_ID_BYTES);
    data[0] = 1;
    data[13] = (unsigned char)verdict;
    ok = EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, s->key, sizeof(s->key), input, sizeof(input), secret,
                   sizeof(secret), NULL) &&
         EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, secret, data + 1) == 1 &&
         EVP_EncryptUpdate(ctx, NULL, &done, data, 1) == 1 &&
         EVP_EncryptUpdate(ctx, NULL, &done, s->id, sizeof(s->id)) == 1 &&
         EVP_EncryptUpdate(ctx, data + 13, &done, data + 13, (int)len) == 1 &&
         EVP_EncryptFinal_ex(ctx, data + 13 + len, &done) == 1 &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, data + 13 + len) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!ok) {
        printf("Bail out! OpenSSL does not seal\n");
        exit(1);
    }
    return is_refused(data, 13 + len + 16, s);
}

static void test_forged(apr_pool_t *p)
{
    sealing_t s;

    sealing_make(&s, TOKEN, p);
    OK(!is_forgery_refused(1, 9, &s) && !is_forgery_refused(2, 9, &s), "what is sealed here by hand is opened");
    OK(!is_forgery_refused(1, 9 + MCP_LIMIT_SHARED, &s), "up to the limit");
    OK(is_forgery_refused(1, 9 + MCP_LIMIT_SHARED + 1, &s), "one byte more than the limit: refused");
    OK(is_forgery_refused(0, 9, &s) && is_forgery_refused(3, 9, &s), "C06 another verdict: refused");
    OK(is_forgery_refused(2, 10, &s), "C06 inactive with a text: refused");
    OK(is_forgery_refused(1, 8, &s), "no room for verdict and time: refused");
}

static void test(apr_pool_t *p)
{
    test_forged(p);
    test_known(p);
    test_key_parts(p);
    test_ids(p);
    test_round(p);
    test_limits(p);
    test_tamper(p);
}
