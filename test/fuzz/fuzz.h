/* What the targets share. A target says what has to hold whatever the input is; what does not hold ends the process. */
#ifndef MCP_FUZZ_H
#define MCP_FUZZ_H

#include <apr_general.h>
#include <apr_pools.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_NOW apr_time_from_sec(1800000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(cond) \
    do { \
        if (!(cond)) { \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond); \
            abort(); \
        } \
    } while (0)

/* A pool for one input; for things made once, one that stays. */
static inline apr_pool_t *fuzz_pool(void)
{
    static apr_pool_t *root;
    apr_pool_t *p;

    if (!root) {
        MUST(apr_initialize() == APR_SUCCESS);
        json_object_seed(1); /* the same input takes the same way each time */
        MUST(apr_pool_create(&root, NULL) == APR_SUCCESS);
    }
    MUST(apr_pool_create(&p, root) == APR_SUCCESS);
    return p;
}

/* What is made between these two stays. The look-out for leaks does not see into pools that APR has mapped. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

static inline void fuzz_keep_begin(void)
{
    if (__lsan_disable) {
        __lsan_disable();
    }
}

static inline void fuzz_keep_end(void)
{
    if (__lsan_enable) {
        __lsan_enable();
    }
}

static inline apr_status_t fuzz_release(void *data)
{
    free(data);
    return APR_SUCCESS;
}

/* A copy of exactly that many bytes, so that a sanitizer sees a read beyond them. */
static inline const char *fuzz_bytes(const void *data, size_t len, apr_pool_t *p)
{
    char *copy = malloc(len ? len : 1);

    MUST(copy);
    if (len) {
        memcpy(copy, data, len);
    }
    apr_pool_cleanup_register(p, copy, fuzz_release, apr_pool_cleanup_null);
    return copy;
}

/* The same as a text that ends with NUL. */
static inline const char *fuzz_text(const void *data, size_t len, apr_pool_t *p)
{
    char *copy = malloc(len + 1);

    MUST(copy);
    if (len) {
        memcpy(copy, data, len);
    }
    copy[len] = '\0';
    apr_pool_cleanup_register(p, copy, fuzz_release, apr_pool_cleanup_null);
    return copy;
}

/* An input that is made of several texts, each ended by a NUL. */
typedef struct fuzz_input_t {
    const uint8_t *at, *end;
    apr_pool_t *p;
} fuzz_input_t;

static inline fuzz_input_t fuzz_open(const uint8_t *data, size_t size, apr_pool_t *p)
{
    fuzz_input_t input = { data, size ? data + size : data, p };

    return input;
}

/* The next of them, "" when there is none any more. */
static inline const char *fuzz_next(fuzz_input_t *input)
{
    size_t left = (size_t)(input->end - input->at);
    const uint8_t *nul = left ? memchr(input->at, 0, left) : NULL;
    const uint8_t *begin = input->at, *end = nul ? nul : input->end;

    input->at = nul ? nul + 1 : input->end;
    return fuzz_text(begin, (size_t)(end - begin), input->p);
}

/* The same for something that may be absent: NULL for "-", and when there is none any more. */
static inline const char *fuzz_maybe(fuzz_input_t *input)
{
    int left = input->at < input->end;
    const char *text = fuzz_next(input);

    return left && strcmp(text, "-") ? text : NULL;
}

/* All that is left, NULs included; *plen bytes. */
static inline const char *fuzz_rest(size_t *plen, fuzz_input_t *input)
{
    const uint8_t *begin = input->at;

    *plen = (size_t)(input->end - input->at);
    input->at = input->end;
    return fuzz_bytes(begin, *plen, input->p);
}

/* The parts of text between the bytes of ends, empty ones left out: const char *, in p. */
static inline apr_array_header_t *fuzz_split(const char *text, const char *ends, apr_pool_t *p)
{
    apr_array_header_t *all = apr_array_make(p, 4, sizeof(const char *));

    while (*(text += strspn(text, ends))) {
        size_t len = strcspn(text, ends);

        APR_ARRAY_PUSH(all, const char *) = fuzz_text(text, len, p);
        text += len;
    }
    return all;
}

static inline const char *fuzz_at(const apr_array_header_t *texts, int i)
{
    return APR_ARRAY_IDX(texts, i, const char *);
}

static inline apr_status_t fuzz_json_release(void *data)
{
    json_decref(data);
    return APR_SUCCESS;
}

/* A text as jansson alone reads it, NULL when it does not; released with p. */
static inline json_t *fuzz_json(const char *text, size_t len, apr_pool_t *p)
{
    json_t *json = json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

    apr_pool_cleanup_register(p, json, fuzz_json_release, apr_pool_cleanup_null);
    return json;
}

/* The same with integers that are too long for jansson: then all of them are reals. */
static inline json_t *fuzz_json_wide(const char *text, size_t len, apr_pool_t *p)
{
    json_t *json = fuzz_json(text, len, p);

    if (!json) {
        json = json_loadb(text, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
        apr_pool_cleanup_register(p, json, fuzz_json_release, apr_pool_cleanup_null);
    }
    return json;
}

/* Is text of that length UTF-8, as RFC 3629 has it? */
static inline int fuzz_is_utf8(const char *text, size_t len)
{
    json_t *json = json_stringn(text, len);
    int ok = json != NULL;

    json_decref(json);
    return ok;
}

#endif
