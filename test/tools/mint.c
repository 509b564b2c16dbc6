/* Keys and tokens for the tests, on OpenSSL and jansson alone: no line of the module, so both cannot be wrong together.
 *
 *   mint keygen TYPE FILE               rsa1024 rsa2048 rsa3072 p256 p384 p521 ed25519 ed448; PEM private key
 *   mint jwk KEYFILE [--kid K] [--alg A] [--use U] [--x5c CERTFILE] [--private]
 *   mint jwks JWK...                    a key set of the given JWK texts
 *   mint public KEYFILE [--der]         SubjectPublicKeyInfo
 *   mint cert KEYFILE --host H [--expired]   self-signed certificate for a DNS name or an IPv4 address, PEM
 *   mint sign KEYFILE --alg A --header TEXT --payload TEXT [--der]
 *   mint sign --secret-file FILE --alg HS256 --header TEXT --payload TEXT
 *   mint sign --none --header TEXT --payload TEXT
 *
 * The texts are signed as they are given: malformed JSON can be signed, and --alg chooses the signature whatever the
 * header says. --text T in place of header and payload prints the signature of T alone. --der leaves an ECDSA signature
 * in DER. */
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct options_t {
    const char *kid, *alg, *use, *header, *payload, *text, *secret_file, *host, *x5c;
    int private_part, der, none, expired;
    const char *args[64]; /* what is no option */
    int nargs;
} options_t;

static void die(const char *what)
{
    fprintf(stderr, "mint: %s\n", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static void *must(void *p, const char *what)
{
    if (!p) {
        die(what);
    }
    return p;
}

static char *base64url(const unsigned char *data, size_t len)
{
    char *out = must(malloc(4 * ((len + 2) / 3) + 1), "memory");
    int i, n = EVP_EncodeBlock((unsigned char *)out, data, (int)len);

    for (i = 0; i < n; i++) {
        if (out[i] == '+') {
            out[i] = '-';
        }
        else if (out[i] == '/') {
            out[i] = '_';
        }
        else if (out[i] == '=') {
            break;
        }
    }
    out[i] = '\0';
    return out;
}

static char *join(const char *a, const char *b)
{
    size_t size = strlen(a) + strlen(b) + 2;
    char *out = must(malloc(size), "memory");

    snprintf(out, size, "%s.%s", a, b);
    return out;
}

static unsigned char *slurp(const char *name, size_t *len)
{
    unsigned char *buf = must(malloc(1 << 20), "memory");
    FILE *f = must(fopen(name, "rb"), name);

    *len = fread(buf, 1, 1 << 20, f);
    fclose(f);
    return buf;
}

static EVP_PKEY *key_read(const char *name)
{
    BIO *in = must(BIO_new_file(name, "r"), name);
    EVP_PKEY *key = must(PEM_read_bio_PrivateKey(in, NULL, NULL, NULL), name);

    BIO_free(in);
    return key;
}

static EVP_PKEY *key_make(const char *type)
{
    if (!strncmp(type, "rsa", 3)) {
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)strtoul(type + 3, NULL, 10));
    }
    if (!strcmp(type, "p256")) {
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    }
    if (!strcmp(type, "p384")) {
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384");
    }
    if (!strcmp(type, "p521")) {
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521");
    }
    if (!strcmp(type, "ed25519")) {
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    }
    if (!strcmp(type, "ed448")) {
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
    }
    return NULL;
}

static void keygen(const options_t *o)
{
    EVP_PKEY *key;
    BIO *out;

    if (o->nargs != 2) {
        die("keygen TYPE FILE");
    }
    key = must(key_make(o->args[0]), o->args[0]);
    out = must(BIO_new_file(o->args[1], "w"), o->args[1]);
    if (!PEM_write_bio_PKCS8PrivateKey(out, key, NULL, NULL, 0, NULL, NULL)) {
        die("write");
    }
    BIO_free(out);
    EVP_PKEY_free(key);
}

/* --- JWK --------------------------------------------------------------------------------------------------------- */

static void set_bytes(json_t *jwk, const char *name, const unsigned char *data, size_t len)
{
    char *text = base64url(data, len);

    json_object_set_new(jwk, name, json_string(text));
    free(text);
}

/* size 0: as short as possible (RSA); else padded at the left (EC coordinates). */
static void set_number(json_t *jwk, const char *name, EVP_PKEY *key, const char *param, int size)
{
    unsigned char buf[1024];
    BIGNUM *n = NULL;

    if (!EVP_PKEY_get_bn_param(key, param, &n)) {
        die(param);
    }
    if (!size) {
        size = BN_num_bytes(n);
    }
    if (BN_bn2binpad(n, buf, size) != size) {
        die(name);
    }
    set_bytes(jwk, name, buf, (size_t)size);
    BN_clear_free(n);
}

static void set_rsa(json_t *jwk, EVP_PKEY *key, int private_part)
{
    json_object_set_new(jwk, "kty", json_string("RSA"));
    set_number(jwk, "n", key, OSSL_PKEY_PARAM_RSA_N, 0);
    set_number(jwk, "e", key, OSSL_PKEY_PARAM_RSA_E, 0);
    if (private_part) {
        set_number(jwk, "d", key, OSSL_PKEY_PARAM_RSA_D, 0);
        set_number(jwk, "p", key, OSSL_PKEY_PARAM_RSA_FACTOR1, 0);
        set_number(jwk, "q", key, OSSL_PKEY_PARAM_RSA_FACTOR2, 0);
    }
}

static int coordinate_size(EVP_PKEY *key)
{
    return (EVP_PKEY_get_bits(key) + 7) / 8;
}

static void set_ec(json_t *jwk, EVP_PKEY *key, int private_part)
{
    int size = coordinate_size(key), bits = EVP_PKEY_get_bits(key);

    json_object_set_new(jwk, "kty", json_string("EC"));
    json_object_set_new(jwk, "crv", json_string(bits == 256 ? "P-256" : bits == 384 ? "P-384" : "P-521"));
    set_number(jwk, "x", key, OSSL_PKEY_PARAM_EC_PUB_X, size);
    set_number(jwk, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, size);
    if (private_part) {
        set_number(jwk, "d", key, OSSL_PKEY_PARAM_PRIV_KEY, size);
    }
}

static void set_okp(json_t *jwk, EVP_PKEY *key, int private_part)
{
    unsigned char buf[64];
    size_t len = sizeof(buf);

    json_object_set_new(jwk, "kty", json_string("OKP"));
    json_object_set_new(jwk, "crv", json_string(EVP_PKEY_is_a(key, "ED25519") ? "Ed25519" : "Ed448"));
    if (!EVP_PKEY_get_raw_public_key(key, buf, &len)) {
        die("public key");
    }
    set_bytes(jwk, "x", buf, len);
    len = sizeof(buf);
    if (private_part && EVP_PKEY_get_raw_private_key(key, buf, &len)) {
        set_bytes(jwk, "d", buf, len);
    }
}

static void set_x5c(json_t *jwk, const char *file)
{
    BIO *in = must(BIO_new_file(file, "r"), file);
    X509 *cert = must(PEM_read_bio_X509(in, NULL, NULL, NULL), file);
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    char *text = must(malloc((size_t)(4 * ((len + 2) / 3) + 1)), "memory");

    EVP_EncodeBlock((unsigned char *)text, der, len); /* RFC 7517 section 4.7: base64, not base64url */
    json_object_set_new(jwk, "x5c", json_pack("[s]", text));
    free(text);
    OPENSSL_free(der);
    X509_free(cert);
    BIO_free(in);
}

static void jwk(const options_t *o)
{
    EVP_PKEY *key = key_read(o->nargs == 1 ? o->args[0] : "(no key file)");
    json_t *out = json_object();
    char *text;

    if (EVP_PKEY_is_a(key, "RSA")) {
        set_rsa(out, key, o->private_part);
    }
    else if (EVP_PKEY_is_a(key, "EC")) {
        set_ec(out, key, o->private_part);
    }
    else {
        set_okp(out, key, o->private_part);
    }
    if (o->kid) {
        json_object_set_new(out, "kid", json_string(o->kid));
    }
    if (o->alg) {
        json_object_set_new(out, "alg", json_string(o->alg));
    }
    if (o->use) {
        json_object_set_new(out, "use", json_string(o->use));
    }
    if (o->x5c) {
        set_x5c(out, o->x5c);
    }
    text = must(json_dumps(out, JSON_COMPACT), "jwk");
    puts(text);
    free(text);
    json_decref(out);
    EVP_PKEY_free(key);
}

static void jwks(const options_t *o)
{
    json_t *keys = json_array(), *out;
    char *text;
    int i;

    for (i = 0; i < o->nargs; i++) {
        json_array_append_new(keys, must(json_loads(o->args[i], JSON_DECODE_ANY, NULL), "a JWK is not JSON"));
    }
    out = json_pack("{s:o}", "keys", keys);
    text = must(json_dumps(out, JSON_COMPACT), "jwks");
    puts(text);
    free(text);
    json_decref(out);
}

static void public_part(const options_t *o)
{
    EVP_PKEY *key = key_read(o->nargs == 1 ? o->args[0] : "(no key file)");
    BIO *out = BIO_new_fp(stdout, BIO_NOCLOSE);

    if (!(o->der ? i2d_PUBKEY_bio(out, key) : PEM_write_bio_PUBKEY(out, key))) {
        die("public");
    }
    BIO_free(out);
    EVP_PKEY_free(key);
}

static void cert(const options_t *o)
{
    EVP_PKEY *key = key_read(o->nargs == 1 ? o->args[0] : "(no key file)");
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);
    X509_EXTENSION *ext;
    char san[300];
    const char *host = must((void *)o->host, "--host");

    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -2 * 86400L);
    X509_gmtime_adj(X509_getm_notAfter(x), o->expired ? -86400L : 86400L);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)host, -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_set_pubkey(x, key);
    snprintf(san, sizeof(san), "%s:%s", strspn(host, "0123456789.") == strlen(host) ? "IP" : "DNS", host);
    ext = must(X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san), "subjectAltName");
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
    ext = must(X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE"), "basicConstraints");
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
    if (!X509_sign(x, key, EVP_sha256()) || !PEM_write_X509(stdout, x)) {
        die("cert");
    }
    X509_free(x);
    EVP_PKEY_free(key);
}

/* --- JWS --------------------------------------------------------------------------------------------------------- */

static const EVP_MD *alg_digest(const char *alg)
{
    size_t len = strlen(alg);

    if (!strncmp(alg, "Ed", 2) || len < 5) {
        return NULL; /* EdDSA, Ed25519, Ed448 hash by themselves */
    }
    return must((void *)EVP_get_digestbyname(!strcmp(alg + 2, "512")   ? "SHA512"
                                             : !strcmp(alg + 2, "384") ? "SHA384"
                                             : !strcmp(alg + 2, "256") ? "SHA256"
                                                                       : ""),
                "alg");
}

static unsigned char *ecdsa_raw(EVP_PKEY *key, const unsigned char *der, size_t *len)
{
    int size = coordinate_size(key);
    ECDSA_SIG *sig = must(d2i_ECDSA_SIG(NULL, &der, (long)*len), "ecdsa");
    unsigned char *out = must(malloc((size_t)(2 * size)), "memory");

    BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, size);
    BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + size, size);
    ECDSA_SIG_free(sig);
    *len = (size_t)(2 * size);
    return out;
}

static char *sign_key(EVP_PKEY *key, const char *alg, const char *text, int der)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx;
    unsigned char *sig;
    size_t len = 0;

    if (EVP_DigestSignInit(ctx, &pctx, alg_digest(alg), NULL, key) != 1) {
        die("sign init");
    }
    if (!strncmp(alg, "PS", 2)) {
        EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST);
    }
    if (EVP_DigestSign(ctx, NULL, &len, (const unsigned char *)text, strlen(text)) != 1) {
        die("sign");
    }
    sig = must(malloc(len), "memory");
    if (EVP_DigestSign(ctx, sig, &len, (const unsigned char *)text, strlen(text)) != 1) {
        die("sign");
    }
    if (!strncmp(alg, "ES", 2) && !der) {
        sig = ecdsa_raw(key, sig, &len);
    }
    EVP_MD_CTX_free(ctx);
    return base64url(sig, len);
}

static char *sign_secret(const char *file, const char *alg, const char *text)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int maclen = 0;
    size_t len;
    unsigned char *secret = slurp(file, &len);

    if (!HMAC(alg_digest(alg), secret, (int)len, (const unsigned char *)text, strlen(text), mac, &maclen)) {
        die("hmac");
    }
    return base64url(mac, maclen);
}

static char *signature(const options_t *o, const char *text)
{
    if (o->none) {
        return "";
    }
    must((void *)o->alg, "--alg");
    if (o->secret_file) {
        return sign_secret(o->secret_file, o->alg, text);
    }
    return sign_key(key_read(o->nargs == 1 ? o->args[0] : "(no key file)"), o->alg, text, o->der);
}

static void sign(const options_t *o)
{
    char *text;

    if (o->text) {
        puts(signature(o, o->text));
        return;
    }
    if (!o->header || !o->payload) {
        die("--header and --payload, or --text");
    }
    text = join(base64url((const unsigned char *)o->header, strlen(o->header)),
                base64url((const unsigned char *)o->payload, strlen(o->payload)));
    puts(join(text, signature(o, text)));
}

/* --- command line ------------------------------------------------------------------------------------------------ */

static void options_parse(options_t *o, int argc, char **argv)
{
    const struct {
        const char *name;
        const char **value;
        int *flag;
    } table[] = {
        { "--kid", &o->kid, NULL },         { "--alg", &o->alg, NULL },
        { "--use", &o->use, NULL },         { "--header", &o->header, NULL },
        { "--payload", &o->payload, NULL }, { "--text", &o->text, NULL },
        { "--host", &o->host, NULL },       { "--secret-file", &o->secret_file, NULL },
        { "--x5c", &o->x5c, NULL },         { "--private", NULL, &o->private_part },
        { "--der", NULL, &o->der },         { "--none", NULL, &o->none },
        { "--expired", NULL, &o->expired },
    };
    size_t k, n = sizeof(table) / sizeof(table[0]);
    int i;

    for (i = 2; i < argc; i++) {
        for (k = 0; k < n && strcmp(argv[i], table[k].name); k++) {
        }
        if (k == n) {
            if (argv[i][0] == '-' || o->nargs == (int)(sizeof(o->args) / sizeof(o->args[0]))) {
                die(argv[i]);
            }
            o->args[o->nargs++] = argv[i];
        }
        else if (table[k].flag) {
            *table[k].flag = 1;
        }
        else {
            *table[k].value = must(++i < argc ? argv[i] : NULL, "an option lacks its value");
        }
    }
}

int main(int argc, char **argv)
{
    const struct {
        const char *name;
        void (*run)(const options_t *);
    } commands[] = {
        { "keygen", keygen },      { "jwk", jwk },   { "jwks", jwks },
        { "public", public_part }, { "cert", cert }, { "sign", sign },
    };
    options_t o;
    size_t i;

    memset(&o, 0, sizeof(o));
    if (argc < 2) {
        die("keygen | jwk | jwks | public | cert | sign; see the top of mint.c");
    }
    options_parse(&o, argc, argv);
    for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (!strcmp(argv[1], commands[i].name)) {
            commands[i].run(&o);
            return fflush(stdout) ? 1 : 0;
        }
    }
    die(argv[1]);
    return 1;
}
