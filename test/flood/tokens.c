/* Many tokens of one key, fast: test/tools/mint.c makes one at a time.
 *
 *   tokens KEYFILE KID COUNT ISSUER AUDIENCE [--bad]
 *
 * Prints COUNT tokens that differ in jti and sub, ES256 or RS256 as the key is. --bad: the signature is random. */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void die(const char *what)
{
    fprintf(stderr, "tokens: %s\n", what);
    exit(1);
}

static int base64url(char *out, const unsigned char *data, int len)
{
    int n = EVP_EncodeBlock((unsigned char *)out, data, len), i;

    while (n && out[n - 1] == '=') {
        n--;
    }
    for (i = 0; i < n; i++) {
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
    }
    out[n] = '\0';
    return n;
}

static size_t sign(unsigned char *sig, EVP_PKEY *key, const char *text, size_t len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t siglen = 1024;
    const unsigned char *der = sig;
    ECDSA_SIG *ecdsa;

    if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(ctx, sig, &siglen, (const unsigned char *)text, len) != 1) {
        die("sign");
    }
    EVP_MD_CTX_free(ctx);
    if (EVP_PKEY_is_a(key, "EC")) {
        ecdsa = d2i_ECDSA_SIG(NULL, &der, (long)siglen);
        BN_bn2binpad(ECDSA_SIG_get0_r(ecdsa), sig, 32);
        BN_bn2binpad(ECDSA_SIG_get0_s(ecdsa), sig + 32, 32);
        ECDSA_SIG_free(ecdsa);
        siglen = 64;
    }
    return siglen;
}

int main(int argc, char **argv)
{
    char text[4096], json[1024];
    unsigned char sig[1024];
    FILE *f = argc >= 6 ? fopen(argv[1], "r") : NULL;
    EVP_PKEY *key = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;
    long i, count = key ? strtol(argv[3], NULL, 10) : 0, t = (long)time(NULL);
    int bad = argc > 6 && !strcmp(argv[6], "--bad"), rsa, head, n;
    size_t siglen;

    if (!key) {
        die("KEYFILE KID COUNT ISSUER AUDIENCE [--bad]");
    }
    rsa = EVP_PKEY_is_a(key, "RSA");
    n = snprintf(json, sizeof(json), "{\"alg\":\"%s\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", rsa ? "RS256" : "ES256",
                 argv[2]);
    head = base64url(text, (const unsigned char *)json, n);
    text[head++] = '.';
    for (i = 0; i < count; i++) {
        n = snprintf(
            json, sizeof(json),
            "{\"iss\":\"%s\",\"sub\":\"user-%ld\",\"aud\":\"%s\",\"client_id\":\"load\",\"iat\":%ld,\"exp\":%ld,"
            "\"jti\":\"%ld-%ld\",\"scope\":\"mcp:use\"}",
            argv[4], i, argv[5], t - 1, t + 86400, t, i);
        n = head + base64url(text + head, (const unsigned char *)json, n);
        siglen = rsa ? 256 : 64;
        if (!bad) {
            siglen = sign(sig, key, text, (size_t)n);
        }
        else if (RAND_bytes(sig, (int)siglen) != 1) {
            die("random bytes");
        }
        text[n++] = '.';
        base64url(text + n, sig, (int)siglen);
        puts(text);
    }
    EVP_PKEY_free(key);
    fclose(f);
    return fflush(stdout) ? 1 : 0;
}
