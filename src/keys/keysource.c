#include "keys/keysource.h"

#include <apr_escape.h>
#include <apr_file_info.h>
#include <apr_file_io.h>
#include <apr_strings.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "keys/attempt.h"
#include "keys/discovery.h"
#include "keys/refresh.h"

#define DIGEST_BYTES 32

/* With its length in front no member can pass for part of another, nor nothing for an empty text. */
static const char *member(const char *text, apr_pool_t *p)
{
    return text ? apr_psprintf(p, "%" APR_SIZE_T_FMT ":%s", strlen(text), text) : "-";
}

const char *mcp_keysource_identity(const mcp_keysource_t *source, apr_pool_t *p)
{
    const char *text = apr_pstrcat(p, member(source->issuer, p), member(source->file, p), member(source->url, p),
                                   member(source->ca_file, p), source->allow_http ? "+" : "-", NULL);
    unsigned char digest[DIGEST_BYTES];

    if (EVP_Q_digest(NULL, "SHA256", NULL, text, strlen(text), digest, NULL) != 1) {
        ERR_clear_error();
        return NULL;
    }
    return apr_pescape_hex(p, digest, sizeof(digest), 0);
}

/* Reads file whole into p and notes which version of it that was. */
static const char *read_file(const char **ptext, apr_size_t *plen, mcp_keysource_t *source, apr_file_t *file,
                             apr_pool_t *p)
{
    apr_finfo_t info;
    char *text;

    if (apr_file_info_get(&info, APR_FINFO_TYPE | APR_FINFO_SIZE | APR_FINFO_MTIME, file) != APR_SUCCESS) {
        return "cannot be examined";
    }
    source->file_mtime = info.mtime;
    source->file_size = info.size;
    if (info.filetype != APR_REG) {
        return "is not a regular file";
    }
    if (info.size > MCP_LIMIT_DOCUMENT) {
        return "is too long";
    }
    *plen = (apr_size_t)info.size;
    *ptext = text = apr_palloc(p, *plen + 1);
    if (*plen && apr_file_read_full(file, text, *plen, NULL) != APR_SUCCESS) {
        return "cannot be read whole";
    }
    return NULL;
}

static const char *fetch_file(mcp_keysource_answer_t *answer, mcp_keysource_t *source, apr_pool_t *p, apr_pool_t *ptemp)
{
    /* Not blocking: opening a named pipe would wait for its writer. */
    apr_int32_t flags = APR_FOPEN_READ | APR_FOPEN_BINARY | APR_FOPEN_NONBLOCK;
    const char *reason, *text;
    apr_file_t *file;
    apr_size_t len;
    apr_status_t rv = apr_file_open(&file, source->file, flags, APR_OS_DEFAULT, ptemp);
    char why[80];

    if (rv != APR_SUCCESS) {
        return apr_psprintf(p, "%s: %s", source->file, apr_strerror(rv, why, sizeof(why)));
    }
    reason = read_file(&text, &len, source, file, ptemp);
    apr_file_close(file);
    if (!reason) {
        reason = mcp_keyset_parse(&answer->set, text, len);
    }
    if (reason) {
        return apr_psprintf(p, "%s: %s", source->file, reason);
    }
    answer->lifetime = -1;
    return NULL;
}

/* The text if it is an entity tag (RFC 9110 section 8.8.3), else NULL: anything else would not be sent as it is, or would
 * match whatever there is ("*"). */
static const char *entity_tag(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;

    if (!text) {
        return NULL;
    }
    c += strncmp(text, "W/", 2) ? 0 : 2;
    if (*c++ != '"') {
        return NULL;
    }
    while (*c > ' ' && *c != '"' && *c != 0x7f) {
        c++;
    }
    return c[0] == '"' && !c[1] ? text : NULL;
}

/* The weak comparison (RFC 9110 section 8.8.3.2). A tag that is missing contradicts nothing. */
static int is_same_entity(const char *tag, const char *known)
{
    return !tag || !strcmp(strchr(tag, '"'), strchr(known, '"'));
}

/* The text stays where the response is, the rest goes to p. etag: what was asked with, or NULL. */
static const char *take_set(mcp_keysource_answer_t *answer, const mcp_http_response_t *response, const char *url,
                            const char *etag, apr_pool_t *p)
{
    const char *tag = entity_tag(response->etag), *reason;

    answer->unchanged = response->status == 304;
    if (!answer->unchanged) {
        reason = mcp_keyset_parse(&answer->set, response->body, response->len);
        if (reason) {
            return apr_psprintf(p, "%s: %s", url, reason);
        }
        answer->text = response->body;
        answer->len = response->len;
        etag = NULL;
    }
    answer->url = apr_pstrdup(p, url);
    answer->etag = apr_pstrdup(p, tag ? tag : etag);
    return NULL;
}

/* etag: of what is known from this very URL, or NULL. */
static const char *fetch_set(mcp_keysource_answer_t *answer, mcp_attempt_t *attempt, const char *url, const char *etag,
                             apr_time_t wall, apr_pool_t *ptemp)
{
    mcp_http_response_t *response;
    const char *reason = mcp_attempt_get(&response, attempt, url, etag, ptemp);

    if (!reason && response->status == 304 && !is_same_entity(entity_tag(response->etag), etag)) {
        /* It is about something else, and updates nothing (RFC 9111 section 4.3.4): ask for the whole. */
        reason = mcp_attempt_get(&response, attempt, url, NULL, ptemp);
    }
    if (!reason) {
        reason = take_set(answer, response, url, etag, attempt->p);
    }
    if (!reason) {
        answer->lifetime = mcp_refresh_lifetime(response->cache_control, response->expires, response->date, wall);
    }
    return reason;
}

static const char *take_jwks_uri(void *found, const mcp_attempt_t *attempt, const char *text, apr_size_t len)
{
    return mcp_discovery_parse(found, text, len, attempt->source->issuer, attempt->source->allow_http, attempt->p);
}

/* From its URL, which is discovered unless it is given. */
static const char *fetch_url(mcp_keysource_answer_t *answer, mcp_attempt_t *attempt, const char *known_url,
                             const char *known_etag, apr_time_t wall, apr_pool_t *ptemp)
{
    const char *url = attempt->source->url, *etag, *reason;

    if (!url) {
        reason = mcp_attempt_discover(attempt, take_jwks_uri, &url);
        if (reason) {
            return reason;
        }
    }
    etag = known_url && !strcmp(known_url, url) ? entity_tag(known_etag) : NULL;
    return fetch_set(answer, attempt, url, etag, wall, ptemp);
}

const char *mcp_keysource_fetch(mcp_keysource_answer_t *answer, mcp_keysource_t *source, const char *known_url,
                                const char *known_etag, const mcp_http_t *http, int (*cancelled)(void *baton),
                                void *baton, apr_time_t wall, apr_pool_t *p)
{
    mcp_attempt_t attempt = { .source = source,
                              .http = http,
                              .cancelled = cancelled,
                              .baton = baton,
                              .deadline = mcp_clock_monotonic() + source->timeout,
                              .p = p };
    const char *reason;
    apr_pool_t *ptemp;

    memset(answer, 0, sizeof(*answer));
    apr_pool_create(&ptemp, p);
    reason = source->file ? fetch_file(answer, source, p, ptemp)
                          : fetch_url(answer, &attempt, known_url, known_etag, wall, ptemp);
    /* A text stays where it came, in one copy, as long as p does. */
    if (!answer->text) {
        apr_pool_destroy(ptemp);
    }
    return reason;
}

int mcp_keysource_changed(const mcp_keysource_t *source, apr_pool_t *p)
{
    apr_finfo_t info;

    if (!source->file) {
        return 0;
    }
    return apr_stat(&info, source->file, APR_FINFO_SIZE | APR_FINFO_MTIME, p) != APR_SUCCESS ||
           info.mtime != source->file_mtime || info.size != source->file_size;
}
