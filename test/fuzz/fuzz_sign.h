/* One key for targets behind a signature: it never changes, so seeds can name it, and its signatures are cheap. What the input
 * says is signed here, so that what is checked after the signature is reached. */
#ifndef MCP_FUZZ_SIGN_H
#define MCP_FUZZ_SIGN_H

#include "../unit/sign.h"
#include "fuzz.h"

#define FUZZ_JWK "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" FUZZ_KEY_X "\"}"
#define FUZZ_KEY_X "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
#define FUZZ_SIGNATURE_CHARS 86 /* base64url of 64 bytes */

static inline EVP_PKEY *fuzz_key(void)
{
    static EVP_PKEY *key;
    unsigned char bytes[32];

    if (!key) {
        for (unsigned i = 0; i < sizeof(bytes); i++) {
            bytes[i] = (unsigned char)i;
        }
        key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, bytes, sizeof(bytes));
        MUST(key);
    }
    return key;
}

/* A compact JWS of these bytes. */
static inline const char *fuzz_sign(const char *header, const char *payload, size_t len, apr_pool_t *p)
{
    const char *input = apr_pstrcat(p, sign_b64_text(header, p), ".", sign_b64(payload, len, p), NULL);
    size_t signature_len;
    unsigned char *signature = sign_raw(&signature_len, fuzz_key(), "EdDSA", input, p);

    return sign_join(input, signature, signature_len, p);
}

/* What an input stands for, *plen bytes of it: of a header, a NUL and a payload their JWS, else itself. */
static inline const char *fuzz_jws(size_t *plen, const uint8_t *data, size_t size, apr_pool_t *p)
{
    fuzz_input_t input = fuzz_open(data, size, p);
    const char *header, *text;

    *plen = size;
    if (!size || !memchr(data, 0, size)) {
        return fuzz_bytes(data, size, p);
    }
    header = fuzz_next(&input);
    text = fuzz_rest(plen, &input);
    text = fuzz_sign(header, text, *plen, p);
    *plen = strlen(text);
    return fuzz_bytes(text, *plen, p);
}

/* The same JWS with a signature that differs: one character of it. The last one has bits that nobody uses. */
static inline const char *fuzz_forge(const char *token, size_t at, apr_pool_t *p)
{
    char *forged = apr_pstrdup(p, token);
    char *c = forged + strlen(forged) - FUZZ_SIGNATURE_CHARS + at % FUZZ_SIGNATURE_CHARS;

    *c = *c == 'A' ? 'Q' : 'A';
    return forged;
}

#endif
