#include "keys/keysource.h"

#include <apr_file_io.h>
#include <apr_file_info.h>
#include <apr_strings.h>

#include "base/clock.h"
#include "base/limits.h"
#include "keys/discovery.h"
#include "keys/refresh.h"

/* What the steps of one attempt share. */
typedef struct attempt_t {
    mcp_keysource_t *source;
    const mcp_http_t *http;
    int (*cancelled)(void *baton);
    void *baton;
    apr_time_t wall;
    apr_time_t deadline; /* monotonic */
    int over;            /* time is up or the attempt was cancelled: nothing more is to be tried */
    apr_pool_t *p;
} attempt_t;

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

static const char *fetch_file(mcp_keyset_t **pset, mcp_keysource_t *source, apr_pool_t *p)
{
    /* Not blocking: opening a named pipe would wait for its writer. */
    apr_int32_t flags = APR_FOPEN_READ | APR_FOPEN_BINARY | APR_FOPEN_NONBLOCK;
    const char *reason, *text;
    apr_file_t *file;
    apr_size_t len;
    apr_status_t rv = apr_file_open(&file, source->file, flags, APR_OS_DEFAULT, p);
    char why[80];

    if (rv != APR_SUCCESS) {
        return apr_psprintf(p, "%s: %s", source->file, apr_strerror(rv, why, sizeof(why)));
    }
    reason = read_file(&text, &len, source, file, p);
    apr_file_close(file);
    if (!reason) {
        reason = mcp_keyset_parse(pset, text, len);
    }
    return reason ? apr_psprintf(p, "%s: %s", source->file, reason) : NULL;
}

/* One answer with status 200, in ptemp. A failure names the URL. */
static const char *get(mcp_http_response_t **presponse, attempt_t *attempt, const char *url, apr_pool_t *ptemp)
{
    const mcp_keysource_t *source = attempt->source;
    mcp_http_request_t request = { .url = url,
                                   .proxy = source->proxy,
                                   .ca_file = source->ca_file,
                                   .allow_http = source->allow_http,
                                   .timeout = attempt->deadline - mcp_clock_monotonic(),
                                   .max_body = MCP_LIMIT_DOCUMENT,
                                   .cancelled = attempt->cancelled,
                                   .baton = attempt->baton };
    const char *error = NULL;
    apr_status_t rv;

    if (request.timeout <= 0) {
        attempt->over = 1;
        return apr_psprintf(attempt->p, "%s: no time is left", url);
    }
    rv = attempt->http->get(presponse, &error, &request, ptemp);
    if (rv != APR_SUCCESS) {
        attempt->over = APR_STATUS_IS_TIMEUP(rv) || APR_STATUS_IS_EOF(rv);
        return apr_psprintf(attempt->p, "%s: %s", url, error ? error : "failed");
    }
    if ((*presponse)->status != 200) {
        return apr_psprintf(attempt->p, "%s: HTTP status %d", url, (*presponse)->status);
    }
    return NULL;
}

static const char *fetch_set(mcp_keyset_t **pset, apr_interval_time_t *plifetime, attempt_t *attempt, const char *url,
                             apr_pool_t *ptemp)
{
    mcp_http_response_t *response;
    const char *reason = get(&response, attempt, url, ptemp);

    if (reason) {
        return reason;
    }
    reason = mcp_keyset_parse(pset, response->body, response->len);
    if (reason) {
        return apr_psprintf(attempt->p, "%s: %s", url, reason);
    }
    *plifetime = mcp_refresh_lifetime(response->cache_control, response->expires, response->date, attempt->wall);
    return NULL;
}

static const char *fetch_metadata(const char **pjwks_uri, attempt_t *attempt, const char *url, apr_pool_t *ptemp)
{
    const mcp_keysource_t *source = attempt->source;
    mcp_http_response_t *response;
    const char *reason = get(&response, attempt, url, ptemp);

    if (reason) {
        return reason;
    }
    reason =
        mcp_discovery_parse(pjwks_uri, response->body, response->len, source->issuer, source->allow_http, attempt->p);
    return reason ? apr_psprintf(attempt->p, "%s: %s", url, reason) : NULL;
}

/* The key set's URL from the first usable metadata document. No document outlives its turn: each may be long. */
static const char *discover(const char **pjwks_uri, attempt_t *attempt, apr_pool_t *ptemp)
{
    apr_array_header_t *urls = mcp_discovery_urls(attempt->source->issuer, attempt->p);
    const char *reasons = NULL;
    int i;

    for (i = 0; i < urls->nelts && !attempt->over; i++) {
        const char *reason = fetch_metadata(pjwks_uri, attempt, APR_ARRAY_IDX(urls, i, const char *), ptemp);
        apr_pool_clear(ptemp);
        if (!reason) {
            return NULL;
        }
        reasons = reasons ? apr_pstrcat(attempt->p, reasons, "; ", reason, NULL) : reason;
    }
    return reasons ? reasons
                   : apr_psprintf(attempt->p, "%s: not a URL whose metadata could be found", attempt->source->issuer);
}

const char *mcp_keysource_fetch(mcp_keyset_t **pset, apr_interval_time_t *plifetime, mcp_keysource_t *source,
                                const mcp_http_t *http, int (*cancelled)(void *baton), void *baton, apr_time_t wall,
                                apr_pool_t *p)
{
    attempt_t attempt = { .source = source,
                          .http = http,
                          .cancelled = cancelled,
                          .baton = baton,
                          .wall = wall,
                          .deadline = mcp_clock_monotonic() + source->timeout,
                          .p = p };
    const char *url = source->url, *reason = NULL;
    apr_pool_t *ptemp;

    *pset = NULL;
    *plifetime = -1;
    if (source->file) {
        return fetch_file(pset, source, p);
    }
    apr_pool_create(&ptemp, p);
    if (!url) {
        reason = discover(&url, &attempt, ptemp);
    }
    if (!reason) {
        reason = fetch_set(pset, plifetime, &attempt, url, ptemp);
    }
    apr_pool_destroy(ptemp);
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
