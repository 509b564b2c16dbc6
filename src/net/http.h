/* Outgoing HTTP as a struct of functions, so that nothing else knows libcurl and tests need no network. */
#ifndef MCP_HTTP_H
#define MCP_HTTP_H

#include <apr_pools.h>
#include <apr_time.h>

typedef struct mcp_http_request_t {
    const char *url;
    const char *proxy;             /* URL of a proxy, NULL for none (the environment is not asked) */
    const char *ca_file;           /* PEM file of trusted certificates, NULL for the system's */
    const char *etag;              /* sent as If-None-Match, NULL for none */
    const char *form;              /* NULL: GET; else POST of this application/x-www-form-urlencoded text */
    const char *authorization;     /* value of Authorization, NULL for none */
    const char *accept;            /* value of Accept; NULL: application/json */
    int allow_http;                /* plain http to hosts other than loopback is allowed */
    apr_interval_time_t timeout;   /* for the whole exchange, in microseconds */
    apr_size_t max_body;           /* bytes; a longer body is an error */
    int (*cancelled)(void *baton); /* asked a few times a second; true ends the exchange. NULL: never */
    void *baton;
} mcp_http_request_t;

typedef struct mcp_http_response_t {
    int status;
    const char *body; /* not NUL-terminated */
    apr_size_t len;
    const char *content_type;  /* these six: NULL when absent */
    const char *cache_control; /* several lines joined with ", " */
    const char *expires;
    const char *date;
    const char *etag;
    const char *retry_after;
} mcp_http_response_t;

typedef struct mcp_http_t {
    /* One GET or POST. Redirects are not followed, certificates and host names are verified, only http and https are spoken.
     * APR_SUCCESS: an answer of any status came whole, *presponse lives in p. Otherwise *perror is a short reason for
     * the log (never a body, a header or a credential): APR_TIMEUP, APR_EOF when cancelled, APR_ENOSPC for a body over
     * max_body, APR_EACCES for a URL that must not be fetched, APR_EGENERAL for the rest. */
    apr_status_t (*exchange)(mcp_http_response_t **presponse, const char **perror, const mcp_http_request_t *request,
                             apr_pool_t *p);
} mcp_http_t;

/* The libcurl implementation. mcp_http_curl_init once per process before threads start, APR_EGENERAL if it fails. */
apr_status_t mcp_http_curl_init(void);
const mcp_http_t *mcp_http_curl(void);

#endif
