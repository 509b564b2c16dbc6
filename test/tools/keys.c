/* Preloaded into unit tests under valgrind, where making an RSA key takes up to a minute: takes keys that were made before.
 *
 *   MCP_KEYS=DIR LD_PRELOAD=.../keys.so test/unit/token.tap
 *
 * The Nth RSA key of B bits that a process asks for is that of DIR/B.N.pem (N from 1); where there is none, it is made. */
#include <dlfcn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef EVP_PKEY *(*make_t)(OSSL_LIB_CTX *context, const char *query, const char *type, ...);

static EVP_PKEY *kept(size_t bits)
{
    static unsigned used[64];
    const char *dir = getenv("MCP_KEYS");
    EVP_PKEY *pkey = NULL;
    char name[4096];
    FILE *file;

    if (!dir || bits / 256 >= 64) {
        return NULL;
    }
    snprintf(name, sizeof(name), "%s/%zu.%u.pem", dir, bits, ++used[bits / 256]);
    file = fopen(name, "r");
    if (file) {
        pkey = PEM_read_PrivateKey(file, NULL, NULL, NULL);
        fclose(file);
    }
    return pkey;
}

EVP_PKEY *EVP_PKEY_Q_keygen(OSSL_LIB_CTX *context, const char *query, const char *type, ...)
{
    void *function = dlsym(RTLD_NEXT, "EVP_PKEY_Q_keygen");
    EVP_PKEY *pkey = NULL;
    va_list more;
    make_t make;

    if (!function) {
        return NULL;
    }
    memcpy(&make, &function, sizeof(make));
    va_start(more, type);
    if (!strcmp(type, "RSA")) {
        size_t bits = va_arg(more, size_t);

        pkey = kept(bits);
        pkey = pkey ? pkey : make(context, query, type, bits);
    }
    else if (!strcmp(type, "EC")) {
        pkey = make(context, query, type, va_arg(more, char *));
    }
    else {
        pkey = make(context, query, type);
    }
    va_end(more);
    return pkey;
}
