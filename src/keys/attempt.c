#include "keys/attempt.h"

#include <apr_strings.h>

#include "base/clock.h"
#include "base/limits.h"
#include "keys/discovery.h"

const char *mcp_attempt_get(mcp_http_response_t **presponse, mcp_attempt_t *attempt, const char *url, const char *etag,
                            apr_pool_t *p)
{
    const mcp_keysource_t *source = attempt->source;
    mcp_http_request_t request = { .url = url,
                                   .proxy = source->proxy,
                                   .ca_file = source->ca_file,
                                   .etag = etag,
                                   .allow_http = source->allow_http,
                                   .timeout = attempt->deadline - mcp_clock_monotonic(),
                                   .max_body = MCP_LIMIT_DOCUMENT,
                                   .cancelled = attempt->cancelled,
                                   .baton = attempt->baton };
    const char *error = NULL;
    apr_status_t rv;

    if (request.timeout <= 0) {
        attempt->over = attempt->unclear = 1;
        return apr_psprintf(attempt->p, "%s: no time is left", url);
    }
    rv = attempt->http->exchange(presponse, &error, &request, p);
    if (rv != APR_SUCCESS) {
        attempt->over = APR_STATUS_IS_TIMEUP(rv) || APR_STATUS_IS_EOF(rv);
        attempt->unclear = 1;
        return apr_psprintf(attempt->p, "%s: %s", url, error ? error : "failed");
    }
    if ((*presponse)->status != 200 && !(etag && (*presponse)->status == 304)) {
        attempt->unclear |= (*presponse)->status != 404 && (*presponse)->status != 410;
        return apr_psprintf(attempt->p, "%s: HTTP status %d", url, (*presponse)->status);
    }
    return NULL;
}

static const char *try_form(mcp_attempt_t *attempt, const char *url, mcp_attempt_take_t take, void *found,
                            apr_pool_t *ptemp)
{
    mcp_http_response_t *response;
    const char *reason = mcp_attempt_get(&response, attempt, url, NULL, ptemp);

    if (reason) {
        return reason;
    }
    reason = take(found, attempt, response->body, response->len);
    if (reason) {
        attempt->unclear = 1;
        return apr_psprintf(attempt->p, "%s: %s", url, reason);
    }
    return NULL;
}

/* The reasons of all forms, or NULL from the first that will do. No document outlives its turn: each may be long. */
static const char *try_forms(mcp_attempt_t *attempt, const apr_array_header_t *urls, mcp_attempt_take_t take,
                             void *found, apr_pool_t *ptemp)
{
    const char *reasons = "";
    int i;

    for (i = 0; i < urls->nelts && !attempt->over; i++) {
        const char *reason = try_form(attempt, APR_ARRAY_IDX(urls, i, const char *), take, found, ptemp);

        apr_pool_clear(ptemp);
        if (!reason) {
            return NULL;
        }
        reasons = apr_pstrcat(attempt->p, reasons, *reasons ? "; " : "", reason, NULL);
    }
    return reasons;
}

const char *mcp_attempt_discover(mcp_attempt_t *attempt, mcp_attempt_take_t take, void *found)
{
    apr_array_header_t *urls = mcp_discovery_urls(attempt->source->issuer, attempt->p);
    const char *reasons;
    apr_pool_t *ptemp;

    if (!urls->nelts) {
        return apr_psprintf(attempt->p, "%s: not a URL whose metadata could be found", attempt->source->issuer);
    }
    apr_pool_create(&ptemp, attempt->p);
    reasons = try_forms(attempt, urls, take, found, ptemp);
    apr_pool_destroy(ptemp);
    return reasons;
}
