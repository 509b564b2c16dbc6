#include "keys/endpoint.h"

#include <string.h>

#include "base/clock.h"
#include "keys/attempt.h"
#include "keys/discovery.h"

#define METHODS "introspection_endpoint_auth_methods_supported"

/* What discovery found. */
typedef struct found_t {
    mcp_endpoint_t endpoint; /* of the last good document */
    int nameless;            /* a good document named none */
} found_t;

static const char *take_auth(mcp_client_auth_t *auth, const json_t *methods)
{
    int basic = 0, post = 0;
    const json_t *method;
    size_t i;

    *auth = MCP_CLIENT_AUTH_BASIC;
    if (!methods) {
        return NULL;
    }
    json_array_foreach(methods, i, method)
    {
        if (!json_is_string(method)) {
            return "the " METHODS " of the metadata are not a list of names";
        }
        basic |= !strcmp(json_string_value(method), "client_secret_basic");
        post |= !strcmp(json_string_value(method), "client_secret_post");
    }
    if (!basic && !post) {
        return "the " METHODS " of the metadata name neither client_secret_basic nor client_secret_post";
    }
    *auth = basic ? MCP_CLIENT_AUTH_BASIC : MCP_CLIENT_AUTH_POST;
    return NULL;
}

static const char *take_metadata(mcp_endpoint_t *endpoint, const json_t *metadata, int allow_http, apr_pool_t *p)
{
    const char *reason = take_auth(&endpoint->auth, json_object_get(metadata, METHODS));

    if (reason || !json_object_get(metadata, "introspection_endpoint")) {
        return reason;
    }
    return mcp_discovery_take_url(&endpoint->url, metadata, "introspection_endpoint", allow_http, p);
}

const char *mcp_endpoint_parse(mcp_endpoint_t *endpoint, const char *text, apr_size_t len, const char *issuer,
                               int allow_http, apr_pool_t *p)
{
    json_t *metadata;
    const char *reason = mcp_discovery_open(&metadata, text, len, issuer);

    memset(endpoint, 0, sizeof(*endpoint));
    if (reason) {
        return reason;
    }
    reason = take_metadata(endpoint, metadata, allow_http, p);
    json_decref(metadata);
    if (reason) {
        memset(endpoint, 0, sizeof(*endpoint));
    }
    return reason;
}

static const char *take_endpoint(void *data, const mcp_attempt_t *attempt, const char *text, apr_size_t len)
{
    const mcp_keysource_t *source = attempt->source;
    found_t *found = data;
    mcp_endpoint_t endpoint;
    const char *reason = mcp_endpoint_parse(&endpoint, text, len, source->issuer, source->allow_http, attempt->p);

    if (reason) {
        return reason;
    }
    found->endpoint = endpoint;
    if (!endpoint.url) {
        found->nameless = 1;
        return "the metadata has no introspection_endpoint";
    }
    return NULL;
}

const char *mcp_endpoint_discover(mcp_endpoint_t *endpoint, int *pabsent, const mcp_keysource_t *source,
                                  const mcp_http_t *http, int (*cancelled)(void *baton), void *baton, apr_pool_t *p)
{
    mcp_attempt_t attempt = { .source = source,
                              .http = http,
                              .cancelled = cancelled,
                              .baton = baton,
                              .deadline = mcp_clock_monotonic() + source->timeout,
                              .p = p };
    found_t found = { 0 };
    const char *reason = mcp_attempt_discover(&attempt, take_endpoint, &found);

    *endpoint = found.endpoint;
    *pabsent = reason && (found.nameless || !attempt.unclear);
    return reason;
}
