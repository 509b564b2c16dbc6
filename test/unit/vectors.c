/* Third-party vectors, read where they are: $MCP_VECTORS, else beside the source tree. What is not there is
 * not run: they are no part of this tree. */
#include <apr_file_info.h>
#include <stdlib.h>

#include "base/base64url.h"
#include "tap.h"
#include "token/jws.h"
#include "world.h"

static const char *folder;

static json_t *load(const char *name, apr_pool_t *p)
{
    return json_load_file(apr_pstrcat(p, folder, "/", name, NULL), JSON_ALLOW_NUL, NULL);
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static unsigned char *unhex(apr_size_t *plen, const char *hex, apr_pool_t *p)
{
    unsigned char *out = apr_palloc(p, strlen(hex) / 2 + 1);

    SIGN_MUST(OPENSSL_hexstr2buf_ex(out, strlen(hex) / 2 + 1, plen, hex, '\0') == 1 || !*hex);
    *plen = strlen(hex) / 2;
    return out;
}

static const char *hex_b64(const char *hex, apr_pool_t *p)
{
    apr_size_t len;
    unsigned char *bytes = unhex(&len, hex, p);

    return sign_b64(bytes, len, p);
}

/* The JWK of a group's raw public key, made here: not all groups bring one. */
static const char *group_jwk(const json_t *group, apr_pool_t *p)
{
    const json_t *key = json_object_get(group, "publicKey");
    const char *point = text_of(key, "uncompressed"), *pk = text_of(key, "pk");

    if (point) {
        size_t half = (strlen(point) - 2) / 2;

        return apr_psprintf(p, "{\"kty\":\"EC\",\"crv\":\"P-%d\",\"x\":\"%s\",\"y\":\"%s\"}",
                            (int)json_integer_value(json_object_get(key, "keySize")),
                            hex_b64(apr_pstrndup(p, point + 2, half), p), hex_b64(point + 2 + half, p));
    }
    if (pk) {
        return apr_psprintf(p, "{\"kty\":\"OKP\",\"crv\":\"%s\",\"x\":\"%s\"}", strlen(pk) == 64 ? "Ed25519" : "Ed448",
                            hex_b64(pk, p));
    }
    return apr_psprintf(p, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}", hex_b64(text_of(key, "modulus"), p),
                        hex_b64(text_of(key, "publicExponent"), p));
}

static mcp_status_t raw_verify(const json_t *vector, const char *alg, const mcp_jwk_t *key, apr_pool_t *p)
{
    mcp_jws_t jws = { 0 };

    jws.alg = mcp_alg_find(alg, strlen(alg));
    jws.input = (const char *)unhex(&jws.input_len, text_of(vector, "msg"), p);
    jws.signature = unhex(&jws.signature_len, text_of(vector, "sig"), p);
    return mcp_jws_verify(&jws, key);
}

/* Raw signatures; none: all of them are to be refused, whatever the file says. */
static void raw_run(const char *name, const char *alg, int none, apr_pool_t *p)
{
    json_t *file = load(apr_pstrcat(p, "wycheproof/", name, NULL), p), *group, *vector;
    apr_size_t i, k;
    int count = 0, wrong = 0;

    if (!file) {
        printf("# not there: %s\n", name);
        return;
    }
    json_array_foreach(json_object_get(file, "testGroups"), i, group)
    {
        json_t *json = json_loads(group_jwk(group, p), 0, NULL);
        mcp_jwk_t *key;

        SIGN_MUST(json && !mcp_jwk_parse(&key, json, p));
        json_decref(json);
        json_array_foreach(json_object_get(group, "tests"), k, vector)
        {
            int want = !none && !strcmp(text_of(vector, "result"), "valid");

            count++;
            if ((raw_verify(vector, alg, key, p) == MCP_OK) != want) {
                printf("# wrong: %d %s\n", (int)json_integer_value(json_object_get(vector, "tcId")),
                       text_of(vector, "comment"));
                wrong++;
            }
        }
    }
    OK(!wrong && count == json_integer_value(json_object_get(file, "numberOfTests")), "T07 T08 %s: %s, %d tests", name,
       alg, count);
    json_decref(file);
}

/* The key or key set of a group as the text of a key set. */
static const char *group_keyset(const json_t *group, apr_pool_t *p)
{
    const json_t *keys = json_object_get(group, json_object_get(group, "public") ? "public" : "private");
    char *text = json_dumps(keys, JSON_COMPACT);
    const char *out = json_object_get(keys, "keys") ? apr_pstrdup(p, text) : apr_psprintf(p, "{\"keys\":[%s]}", text);

    free(text);
    return out;
}

/* Is the JWS good under one of the set's keys, found as for an access token? */
static int jws_good(const char *text, const mcp_keyset_t *set, apr_pool_t *p)
{
    const mcp_jwk_t *found[8];
    mcp_jws_t *jws;
    int i, n;

    if (!text || !set || mcp_jws_parse(&jws, text, strlen(text), MCP_JWS_TOKEN, p) != MCP_OK) {
        return 0;
    }
    n = mcp_keyset_find(found, 8, set, jws->kid, jws->alg->alg);
    for (i = 0; i < n; i++) {
        if (mcp_jws_verify(jws, found[i]) == MCP_OK) {
            return 1;
        }
    }
    return 0;
}

/* Valid, but refused on purpose: a symmetric key, an empty payload, a key whose "alg" is not that of the header. */
static int on_purpose(const json_t *group, const char *jws, apr_pool_t *p)
{
    const json_t *keys = json_object_get(group, json_object_get(group, "public") ? "public" : "private");
    const json_t *list = json_object_get(keys, "keys"), *key = list ? json_array_get(list, 0) : keys;
    apr_size_t len = strcspn(jws, ".");
    unsigned char *head = apr_palloc(p, MCP_BASE64_DECODED_MAX(len));
    json_t *header;
    int differs;

    if (!strcmp(text_of(key, "kty"), "oct") || strstr(jws, "..")) {
        return 1;
    }
    SIGN_MUST(mcp_base64url_decode(head, &len, jws, len) && (header = json_loadb((char *)head, len, 0, NULL)));
    differs = strcmp(text_of(key, "alg"), text_of(header, "alg")) != 0;
    json_decref(header);
    return differs;
}

static int has_flag(const json_t *vector, const char *flag)
{
    const json_t *value;
    apr_size_t i;

    json_array_foreach(json_object_get(vector, "flags"), i, value)
    {
        if (!strcmp(json_string_value(value), flag)) {
            return 1;
        }
    }
    return 0;
}

/* Compact JWSs with their keys. In the file about keys it is the key that has to be refused. */
static void jose_run(const char *name, int about_keys, apr_pool_t *p)
{
    json_t *file = load(apr_pstrcat(p, "wycheproof/", name, NULL), p), *group, *vector;
    apr_size_t i, k;
    int count = 0, good = 0, wrong = 0;

    if (!file) {
        printf("# not there: %s\n", name);
        return;
    }
    json_array_foreach(json_object_get(file, "testGroups"), i, group)
    {
        const char *text = group_keyset(group, p);
        mcp_keyset_t *set;

        mcp_keyset_parse(&set, text, strlen(text));
        json_array_foreach(json_object_get(group, "tests"), k, vector)
        {
            const char *jws = text_of(vector, "jws");
            int valid = !strcmp(text_of(vector, "result"), "valid"), want = valid && !on_purpose(group, jws, p);
            int key_bad = about_keys && !valid && !has_flag(vector, "Ambiguous");

            count++;
            good += want;
            if (jws_good(jws, set, p) != want || (key_bad && set)) {
                printf("# wrong: %d %s\n", (int)json_integer_value(json_object_get(vector, "tcId")),
                       text_of(vector, "comment"));
                wrong++;
            }
        }
        mcp_keyset_release(set);
    }
    OK(!wrong && good && count == json_integer_value(json_object_get(file, "numberOfTests")),
       "T04 T05 T12 K06 K07 K08 %s: %d tests, %d to be accepted", name, count, good);
    json_decref(file);
}

/* The keys and signatures of the cookbook, as issued. */
static void cookbook_good(const char *name, apr_pool_t *p)
{
    json_t *file = load(apr_pstrcat(p, "jose_cookbook/", name, NULL), p), *input = json_object_get(file, "input");
    const char *jws = text_of(json_object_get(file, "output"), "compact"), *keyset;
    mcp_keyset_t *set;
    mcp_jws_t *parsed;
    char *text;

    if (!file) {
        printf("# not there: %s\n", name);
        return;
    }
    text = json_dumps(json_object_get(input, "key"), 0);
    keyset = apr_psprintf(p, "{\"keys\":[%s]}", text);
    OK(!mcp_keyset_parse(&set, keyset, strlen(keyset)), "K10 the private key of %s gives its public part", name);
    OK(jws_good(jws, set, p), "TOK-6 %s is good", name);
    OK(mcp_jws_parse(&parsed, jws, strlen(jws), MCP_JWS_TOKEN, p) == MCP_OK &&
           parsed->payload_len == strlen(text_of(input, "payload")) &&
           !memcmp(parsed->payload, text_of(input, "payload"), parsed->payload_len),
       "its payload is what was signed");
    mcp_keyset_release(set);
    free(text);
    json_decref(file);
}

/* Each serialization in the output of an example is refused before any key is looked for. */
static void cookbook_output(const json_t *output, const char *name, apr_pool_t *p)
{
    const json_t *value;
    const char *form;
    int count = 0, wrong = 0;

    json_object_foreach((json_t *)output, form, value)
    {
        char *dump = json_is_string(value) ? NULL : json_dumps(value, JSON_COMPACT);
        const char *text = dump ? dump : json_string_value(value);
        mcp_jws_t *jws;

        count++;
        wrong += mcp_jws_parse(&jws, text, strlen(text), MCP_JWS_TOKEN, p) == MCP_OK;
        free(dump);
    }
    OK(count && !wrong, "T09 T10 K13 TOK-10 TOK-12 TOK-14 %s is refused, %d forms", name, count);
}

static void cookbook_bad(const char *name, apr_pool_t *p)
{
    json_t *file = load(apr_pstrcat(p, "jose_cookbook/", name, NULL), p);

    if (!file) {
        printf("# not there: %s\n", name);
        return;
    }
    cookbook_output(json_object_get(file, "output"), name, p);
    json_decref(file);
}

/* The encrypted token is refused as such, the signed one inside for what it claims. */
static void cookbook_nesting(apr_pool_t *p)
{
    static const char name[] = "6.nesting_signatures_and_encryption.json";
    json_t *file = load(apr_pstrcat(p, "jose_cookbook/", name, NULL), p), *sign = json_object_get(file, "sign");
    const char *jws = text_of(json_object_get(sign, "output"), "compact");
    mcp_token_t *token;
    mcp_trust_t trust;
    char *key;

    if (!file) {
        printf("# not there: %s\n", name);
        return;
    }
    cookbook_output(json_object_get(json_object_get(file, "encrypt"), "output"), name, p);
    key = json_dumps(json_object_get(json_object_get(sign, "input"), "key"), 0);
    trust = trust_make("hobbiton.example", MCP_ALGS_DEFAULT, apr_psprintf(p, "{\"keys\":[%s]}", key), p);
    OK(mcp_token_verify(&token, NULL, jws, strlen(jws), list_make(&trust, p), apr_time_from_sec(NOW), p) ==
           MCP_TOKEN_EXPIRED,
       "the token inside is well signed and long expired");
    OK(mcp_token_verify(&token, NULL, jws, strlen(jws), list_make(&trust, p), apr_time_from_sec(1300819000), p) ==
           MCP_TOKEN_AUDIENCE,
       "in its time it was for nobody");
    free(key);
    json_decref(file);
}

static void raw_all(apr_pool_t *p)
{
    static const struct {
        const char *name, *alg;
        int none;
    } rows[] = { { "ecdsa_secp256r1_sha256_p1363_test.json", "ES256", 0 },
                 { "ecdsa_secp384r1_sha384_p1363_test.json", "ES384", 0 },
                 { "ecdsa_secp521r1_sha512_p1363_test.json", "ES512", 0 },
                 { "ecdsa_secp256r1_sha256_test.json", "ES256", 1 },
                 { "ed25519_test.json", "EdDSA", 0 },
                 { "ed448_test.json", "EdDSA", 0 },
                 { "rsa_pss_2048_sha256_mgf1_32_test.json", "PS256", 0 },
                 { "rsa_pss_2048_sha384_mgf1_48_test.json", "PS384", 0 },
                 { "rsa_pss_4096_sha512_mgf1_64_test.json", "PS512", 0 },
                 { "rsa_signature_2048_sha256_test.json", "RS256", 0 },
                 { "rsa_signature_2048_sha384_test.json", "RS384", 0 },
                 { "rsa_signature_2048_sha512_test.json", "RS512", 0 } };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        raw_run(rows[i].name, rows[i].alg, rows[i].none, p);
    }
}

static void cookbook_all(apr_pool_t *p)
{
    static const char *const good[] = { "jws/4_1.rsa_v15_signature.json", "jws/4_2.rsa-pss_signature.json",
                                        "jws/4_3.ecdsa_signature.json", "curve25519/jws.json" };
    static const char *const bad[] = {
        "jws/4_4.hmac-sha2_integrity_protection.json",
        "jws/4_5.signature_with_detached_content.json",
        "jws/4_6.protecting_specific_header_fields.json",
        "jws/4_7.protecting_content_only.json",
        "jws/4_8.multiple_signatures.json",
        "rfc7797/4.2.hmac-sha2_b64_false.json",
        "rfc7797/hmac-sha2_b64_false.json",
        "jwe/5_1.key_encryption_using_rsa_v15_and_aes-hmac-sha2.json",
        "jwe/5_2.key_encryption_using_rsa-oaep_with_aes-gcm.json",
        "jwe/5_3.key_wrap_using_pbes2-aes-keywrap_with-aes-cbc-hmac-sha2.json",
        "jwe/5_4.key_agreement_with_key_wrapping_using_ecdh-es_and_aes-keywrap_with_aes-gcm.json",
        "jwe/5_5.key_agreement_using_ecdh-es_with_aes-cbc-hmac-sha2.json",
        "jwe/5_6.direct_encryption_using_aes-gcm.json",
        "jwe/5_7.key_wrap_using_aes-gcm_keywrap_with_aes-cbc-hmac-sha2.json",
        "jwe/5_8.key_wrap_using_aes-keywrap_with_aes-gcm.json",
        "jwe/5_9.compressed_content.json",
        "jwe/5_10.including_additional_authentication_data.json",
        "jwe/5_11.protecting_specific_header_fields.json",
        "jwe/5_12.protecting_content_only.json",
        "jwe/5_13.encrypting_to_multiple_recipients.json",
    };
    apr_size_t i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cookbook_good(good[i], p);
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cookbook_bad(bad[i], p);
    }
    cookbook_nesting(p);
}

static void test(apr_pool_t *p)
{
    const char *srcdir = getenv("srcdir");
    apr_finfo_t info;

    STR_IS(hex_b64("00ff10", p), "AP8Q", "vectors in hex are read as they are written");
    folder = getenv("MCP_VECTORS");
    if (!folder || !*folder) {
        folder = apr_pstrcat(p, srcdir && *srcdir ? srcdir : ".", "/../shared/vectors", NULL);
    }
    if (apr_stat(&info, folder, APR_FINFO_TYPE, p) != APR_SUCCESS || info.filetype != APR_DIR) {
        printf("# not there: %s\n", folder);
        return;
    }
    raw_all(p);
    jose_run("json_web_key_test.json", 1, p);
    jose_run("json_web_signature_test.json", 0, p);
    cookbook_all(p);
}
