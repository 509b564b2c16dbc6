#include "keys/keyshare.h"

#include <apr_strings.h>
#include <string.h>

#define TRIES_MAX 1000

apr_uint32_t mcp_keyshare_serial(const mcp_keyshare_t *share)
{
    return __atomic_load_n(&share->serial, __ATOMIC_ACQUIRE);
}

/* The published copy as of serial; the writer may be at it again, so what was read counts only if serial still stands. */
static int copy_read(mcp_keyrecord_t *record, char **ptext, const mcp_keyshare_t *share, apr_uint32_t serial,
                     apr_pool_t *p)
{
    memcpy(record, &share->copy[serial & 1].record, sizeof(*record));
    if (ptext && record->len && record->len <= MCP_LIMIT_DOCUMENT) {
        *ptext = apr_pmemdup(p, share->copy[serial & 1].text, record->len);
    }
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&share->serial, __ATOMIC_RELAXED) == serial;
}

apr_uint32_t mcp_keyshare_read(mcp_keyrecord_t *record, char **ptext, const mcp_keyshare_t *share, apr_pool_t *p)
{
    apr_uint32_t serial;
    int tries;

    for (tries = 0; tries < TRIES_MAX && (serial = mcp_keyshare_serial(share)); tries++) {
        if (ptext) {
            *ptext = NULL;
        }
        if (copy_read(record, ptext, share, serial, p)) {
            return serial;
        }
    }
    if (ptext) {
        *ptext = NULL;
    }
    memset(record, 0, sizeof(*record));
    return 0;
}

void mcp_keyshare_publish(mcp_keyshare_t *share, const mcp_keyrecord_t *record, const char *text)
{
    apr_uint32_t serial = share->serial + 1;

    if (!serial) {
        serial = 2; /* 0 is for nothing, 1 for the copy that is published now */
    }
    /* What is written below must not be seen before the last publication: its readers check their serial afterwards. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    memcpy(&share->copy[serial & 1].record, record, sizeof(*record));
    if (record->len && text) {
        memcpy(share->copy[serial & 1].text, text, record->len);
    }
    __atomic_store_n(&share->serial, serial, __ATOMIC_RELEASE);
}

void mcp_keyrecord_set_source(mcp_keyrecord_t *record, const char *url, const char *etag)
{
    int fits = url && etag && strlen(url) < sizeof(record->url) && strlen(etag) < sizeof(record->etag);

    apr_cpystrn(record->url, fits ? url : "", sizeof(record->url));
    apr_cpystrn(record->etag, fits ? etag : "", sizeof(record->etag));
}

void mcp_keyrecord_set_error(mcp_keyrecord_t *record, const char *error)
{
    apr_cpystrn(record->error, error ? error : "", sizeof(record->error));
}
