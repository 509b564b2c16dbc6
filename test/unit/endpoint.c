#include "keys/endpoint.h"

#include <unistd.h>

#include "base/limits.h"
#include "tap.h"

#define ISSUER "https://as.example/mcp"
#define INSERTED "https://as.example/.well-known/oauth-authorization-server/mcp"
#define OPENID "https://as.example/.well-known/openid-configuration/mcp"
#define APPENDED "https://as.example/mcp/.well-known/openid-configuration"
#define URL "https://as.example/introspect"

#define HEAD "{\"issuer\":\"" ISSUER "\""
#define NAMED HEAD ",\"introspection_endpoint\":\"" URL "\""
#define METHODS ",\"introspection_endpoint_auth_methods_supported\":"
#define GOOD NAMED "}"
#define NAMELESS HEAD "}"

static const char *parse(mcp_endpoint_t *endpoint, const char *text, int allow_http, apr_pool_t *p)
{
    memset(endpoint, 0xff, sizeof(*endpoint));
    return mcp_endpoint_parse(endpoint, text, strlen(text), ISSUER, allow_http, p);
}

static int is_nothing(const mcp_endpoint_t *endpoint)
{
    return !endpoint->url && endpoint->auth == MCP_CLIENT_AUTH_BASIC;
}

static void methods(apr_pool_t *p)
{
    static const struct {
        const char *text;
        mcp_client_auth_t auth;
        const char *why;
    } cases[] = {
        { GOOD, MCP_CLIENT_AUTH_BASIC, "no methods: Basic" },
        { NAMED METHODS "[\"client_secret_basic\"]}", MCP_CLIENT_AUTH_BASIC, "Basic alone: Basic" },
        { NAMED METHODS "[\"client_secret_post\",\"client_secret_basic\"]}", MCP_CLIENT_AUTH_BASIC, "both: Basic" },
        { NAMED METHODS "[\"private_key_jwt\",\"client_secret_basic\"]}", MCP_CLIENT_AUTH_BASIC, "Basic among others" },
        { NAMED METHODS "[\"client_secret_post\"]}", MCP_CLIENT_AUTH_POST, "the form alone: the form" },
        { NAMED METHODS "[\"tls_client_auth\",\"client_secret_post\",\"none\"]}", MCP_CLIENT_AUTH_POST,
          "the form among others" },
        { NAMED ",\"token_endpoint_auth_methods_supported\":[\"client_secret_post\"]}", MCP_CLIENT_AUTH_BASIC,
          "the methods of another endpoint say nothing" },
    };
    mcp_endpoint_t endpoint;
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        OK(!parse(&endpoint, cases[i].text, 0, p) && endpoint.auth == cases[i].auth, "INT-1 %s", cases[i].why);
        STR_IS(endpoint.url, URL, "INT-1 with the endpoint");
    }
}

static void urls(apr_pool_t *p)
{
    const char *plain = HEAD ",\"introspection_endpoint\":\"http://as.example/i\"}";
    mcp_endpoint_t endpoint;

    OK(!parse(&endpoint, HEAD ",\"introspection_endpoint\":\"https://other.example/i?x=1\",\"jwks_uri\":7}", 0, p),
       "what is not asked for is not judged");
    STR_IS(endpoint.url, "https://other.example/i?x=1", "the URL is taken as it is, whatever the host");
    OK(!parse(&endpoint, HEAD ",\"introspection_endpoint\":\"http://127.0.0.1:1/i\"}", 0, p) && endpoint.url,
       "http on loopback is fine");
    OK(parse(&endpoint, plain, 0, p) && is_nothing(&endpoint), "KEY-3 INT-1 plain http elsewhere is not");
    OK(!parse(&endpoint, plain, 1, p), "unless it is allowed");
    STR_IS(endpoint.url, "http://as.example/i", "then it is taken");
    OK(!parse(&endpoint, NAMELESS, 0, p) && is_nothing(&endpoint), "no endpoint: no URL, and no failure");
    OK(!parse(&endpoint, HEAD METHODS "[\"client_secret_post\"]}", 0, p) && !endpoint.url &&
           endpoint.auth == MCP_CLIENT_AUTH_POST,
       "the methods are told without it");
}

static void refused(apr_pool_t *p)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        { "", "empty" },
        { "[]", "an array" },
        { "{\"issuer\":\"" ISSUER "\"", "truncated JSON" },
        { "{\"introspection_endpoint\":\"" URL "\"}", "KEY-2 no issuer" },
        { "{\"issuer\":\"https://evil.example\",\"introspection_endpoint\":\"" URL "\"}", "KEY-2 another issuer" },
        { "{\"issuer\":\"" ISSUER "/\",\"introspection_endpoint\":\"" URL "\"}", "KEY-2 an issuer with a slash more" },
        { NAMED ",\"introspection_endpoint\":\"https://evil.example/i\"}", "T13 two endpoints" },
        { NAMED METHODS "[\"client_secret_post\"]" METHODS "[\"client_secret_basic\"]}", "T13 methods twice" },
        { HEAD ",\"introspection_endpoint\":null}", "an endpoint null" },
        { HEAD ",\"introspection_endpoint\":[\"" URL "\"]}", "an array of endpoints" },
        { HEAD ",\"introspection_endpoint\":\"\"}", "an empty endpoint" },
        { HEAD ",\"introspection_endpoint\":\"/introspect\"}", "a relative endpoint" },
        { HEAD ",\"introspection_endpoint\":\"file:///etc/passwd\"}", "K11 a file" },
        { HEAD ",\"introspection_endpoint\":\"https://u:s@as.example/i\"}", "K11 an endpoint with user information" },
        { HEAD ",\"introspection_endpoint\":\"https://as.example/i\\r\\nX: y\"}", "K11 an endpoint with line ends" },
        { HEAD ",\"introspection_endpoint\":\"http://localhost.evil.example/i\"}", "KEY-3 a false localhost" },
        { NAMED METHODS "[\"private_key_jwt\"]}", "INT-1 no method that we speak" },
        { NAMED METHODS "[]}", "INT-1 no method at all" },
        { NAMED METHODS "[\"Client_Secret_Post\",\"client_secret_basic \"]}", "INT-1 methods spelled otherwise" },
        { NAMED METHODS "\"client_secret_basic\"}", "methods that are no list" },
        { NAMED METHODS "{\"client_secret_basic\":true}", "methods in an object" },
        { NAMED METHODS "null}", "methods null" },
        { NAMED METHODS "[\"client_secret_basic\",1]}", "a method that is no name" },
        { HEAD METHODS "[\"private_key_jwt\"]}", "INT-1 no method that we speak, without endpoint" },
        { HEAD METHODS "[\"client_secret_post\"],\"introspection_endpoint\":\"/i\"}", "a relative one with methods" },
    };
    mcp_endpoint_t endpoint;
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *reason = parse(&endpoint, cases[i].text, 0, p);

        OK(reason && *reason && is_nothing(&endpoint), "refused: %s", cases[i].why);
        OK(reason && !strstr(reason, "evil") && !strstr(reason, "passwd"), "and not quoted");
    }
}

/* A good document of so many bytes, with white space behind it. */
static const char *padded(apr_size_t len, apr_pool_t *p)
{
    char *text = apr_palloc(p, len + 1);

    memset(text, ' ', len);
    memcpy(text, GOOD, strlen(GOOD));
    text[len] = '\0';
    return text;
}

static const char *long_url(apr_size_t len, apr_pool_t *p)
{
    char *url = apr_palloc(p, len + 1);

    memset(url, 'a', len);
    memcpy(url, "https://h/", 10);
    url[len] = '\0';
    return apr_pstrcat(p, HEAD ",\"introspection_endpoint\":\"", url, "\"}", NULL);
}

static void ceilings(apr_pool_t *p)
{
    mcp_endpoint_t endpoint;

    OK(!parse(&endpoint, padded(MCP_LIMIT_DOCUMENT, p), 0, p) && endpoint.url, "K11 a document of the limit is usable");
    OK(parse(&endpoint, padded(MCP_LIMIT_DOCUMENT + 1, p), 0, p), "K11 one byte more is not");
    OK(!parse(&endpoint, long_url(MCP_LIMIT_NAME, p), 0, p) && endpoint.url, "K11 an endpoint of the limit is usable");
    OK(parse(&endpoint, long_url(MCP_LIMIT_NAME + 1, p), 0, p), "K11 one byte more is not");
}

/* What a server says at the three forms, and what it was asked. */
typedef struct page_t {
    int status; /* 0: no answer, with rv */
    const char *body;
    apr_status_t rv;
    apr_interval_time_t slow; /* microseconds it takes */
} page_t;

#define SAYS(code) WITH(code, NULL)
#define WITH(code, text) \
    { \
        .status = code, .body = text \
    }
#define FAILS(code) \
    { \
        .rv = code \
    }
#define SLOW(code) \
    { \
        .status = code, .slow = 60000 \
    }

typedef struct web_t {
    page_t pages[3];
    int count; /* of requests */
    mcp_http_request_t last;
} web_t;

static apr_status_t answer(mcp_http_response_t **presponse, const char **perror, const mcp_http_request_t *request,
                           apr_pool_t *p)
{
    static const char *const forms[] = { INSERTED, OPENID, APPENDED };
    mcp_http_response_t *response = apr_pcalloc(p, sizeof(*response));
    web_t *web = request->baton;
    const page_t *page = &web->pages[web->count % 3];

    OK(web->count < 3 && !strcmp(request->url, forms[web->count % 3]), "KEY-1 form %d is asked for", web->count);
    web->count++;
    web->last = *request;
    usleep((useconds_t)page->slow);
    *perror = "it broke";
    *presponse = page->status ? response : NULL;
    response->status = page->status;
    /* With its own end, so that it is gone with its pool. */
    response->body = page->body ? apr_pstrdup(p, page->body) : "";
    response->len = strlen(response->body);
    return page->status ? APR_SUCCESS : page->rv;
}

static int never(void *baton)
{
    return 0;
}

static const char *discover(mcp_endpoint_t *endpoint, int *pabsent, web_t *web, const char *issuer,
                            apr_interval_time_t timeout, apr_pool_t *p)
{
    static const mcp_http_t http = { .exchange = answer };
    mcp_keysource_t source = { .issuer = issuer,
                               .file = "/nonexistent/keys",
                               .url = "https://keys.example/k",
                               .proxy = "http://proxy.example:3128",
                               .ca_file = "/etc/ca.pem",
                               .timeout = timeout };

    memset(endpoint, 0xff, sizeof(*endpoint));
    *pabsent = 7;
    web->count = 0;
    return mcp_endpoint_discover(endpoint, pabsent, &source, &http, never, web, p);
}

static void found(apr_pool_t *p)
{
    web_t web = { .pages = { WITH(200, GOOD), SAYS(500), SAYS(500) } };
    mcp_endpoint_t endpoint;
    int absent;

    OK(!discover(&endpoint, &absent, &web, ISSUER, apr_time_from_sec(9), p) && !absent && web.count == 1,
       "INT-1 an endpoint is found at the first form, whatever the key set's source");
    STR_IS(endpoint.url, URL, "INT-1 and outlives its document");
    STR_IS(web.last.proxy, "http://proxy.example:3128", "asked for through the proxy");
    STR_IS(web.last.ca_file, "/etc/ca.pem", "with the certificates of the source");
    OK(web.last.cancelled == never && !web.last.allow_http && web.last.max_body == MCP_LIMIT_DOCUMENT,
       "R04 within its limits");
    OK(web.last.timeout > 0 && web.last.timeout <= apr_time_from_sec(9), "R04 and its time");
    OK(!web.last.form && !web.last.authorization && !web.last.etag, "INT-1 and with no credentials");
    web.pages[0].status = 404;
    web.pages[1].status = 410;
    web.pages[2] = (page_t)WITH(200, NAMED METHODS "[\"client_secret_post\"]}");
    OK(!discover(&endpoint, &absent, &web, ISSUER, apr_time_from_sec(9), p) && !absent && web.count == 3,
       "KEY-1 or at the third alone");
    OK(endpoint.url && endpoint.auth == MCP_CLIENT_AUTH_POST, "INT-1 with the way to authenticate there");
    web.pages[0] = (page_t)WITH(200, HEAD METHODS "[\"client_secret_post\"]}");
    web.pages[1] = (page_t)WITH(200, GOOD);
    OK(!discover(&endpoint, &absent, &web, ISSUER, apr_time_from_sec(9), p) && !absent && web.count == 2 &&
           endpoint.url && endpoint.auth == MCP_CLIENT_AUTH_BASIC,
       "a document that names none is passed over, with its methods");
    web.pages[0] = (page_t)WITH(200, "{\"issuer\":\"https://evil.example\",\"introspection_endpoint\":\"" URL "\"}");
    OK(!discover(&endpoint, &absent, &web, ISSUER, apr_time_from_sec(9), p) && web.count == 2,
       "KEY-2 so is one of another issuer");
}

static void not_found(apr_pool_t *p)
{
    static const struct {
        page_t pages[3];
        int absent, count;
        const char *why;
    } cases[] = {
        { { SAYS(404), SAYS(404), SAYS(404) }, 1, 3, "404 for each form: absent" },
        { { SAYS(410), SAYS(404), SAYS(410) }, 1, 3, "410 as well" },
        { { SAYS(404), SAYS(404), SAYS(500) }, 0, 3, "R11 500 for one: not absent" },
        { { SAYS(503), SAYS(404), SAYS(404) }, 0, 3, "R11 nor 503 for the first" },
        { { SAYS(404), WITH(403, GOOD), SAYS(404) }, 0, 3, "nor 403, whatever is in it" },
        { { SAYS(302), SAYS(404), SAYS(404) }, 0, 3, "nor a redirect" },
        { { SAYS(304), SAYS(404), SAYS(404) }, 0, 3, "nor 304" },
        { { SAYS(404), FAILS(APR_EGENERAL), SAYS(404) }, 0, 3, "R02 nor a failure of the network" },
        { { SAYS(404), SAYS(404), FAILS(APR_TIMEUP) }, 0, 3, "R03 nor a timeout" },
        { { SAYS(404), FAILS(APR_TIMEUP) }, 0, 2, "R03 which ends it" },
        { { FAILS(APR_EOF) }, 0, 1, "nor when cancelled" },
        { { SAYS(404), WITH(200, "<html>"), SAYS(404) }, 0, 3, "R04 nor rubbish" },
        { { SAYS(404), WITH(200, NAMED METHODS "[\"private_key_jwt\"]}"), SAYS(404) },
          0,
          3,
          "nor methods we do not speak" },
        { { WITH(200, NAMELESS), SAYS(404), SAYS(404) }, 1, 3, "a good document that names none: absent" },
        { { WITH(200, NAMELESS), SAYS(500), FAILS(APR_EGENERAL) }, 1, 3, "whatever the other forms say" },
    };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        web_t web = { .pages = { cases[i].pages[0], cases[i].pages[1], cases[i].pages[2] } };
        mcp_endpoint_t endpoint;
        int absent;
        const char *reason = discover(&endpoint, &absent, &web, ISSUER, apr_time_from_sec(9), p);

        OK(reason && is_nothing(&endpoint) && absent == cases[i].absent && web.count == cases[i].count, "%s",
           cases[i].why);
        OK(reason && strstr(reason, INSERTED ": ") && !strstr(reason, "html"), "the reason names the form, no answer");
    }
}

static void at_the_edge(apr_pool_t *p)
{
    web_t web = { .pages = { WITH(200, HEAD METHODS "[\"client_secret_post\"]}"), WITH(200, "{}"), SAYS(404) } };
    web_t slow = { .pages = { SLOW(404), SLOW(404), WITH(200, GOOD) } };
    mcp_endpoint_t endpoint;
    int absent;

    OK(discover(&endpoint, &absent, &web, ISSUER, apr_time_from_sec(9), p) && absent && !endpoint.url &&
           endpoint.auth == MCP_CLIENT_AUTH_POST,
       "the methods of a good document are told without an endpoint");
    STR_IS(discover(&endpoint, &absent, &web, "urn:example:issuer", apr_time_from_sec(9), p),
           "urn:example:issuer: not a URL whose metadata could be found", "an issuer that is no URL has no metadata");
    OK(absent && web.count == 0 && is_nothing(&endpoint), "and will have none: nobody is asked");
    OK(discover(&endpoint, &absent, &slow, ISSUER, apr_time_from_msec(100), p) && !absent && slow.count == 2,
       "R04 the timeout is for all forms");
    OK(slow.last.timeout <= apr_time_from_msec(40), "R04 each is given what is left");
    OK(discover(&endpoint, &absent, &slow, ISSUER, 0, p) && !absent && slow.count == 0,
       "R04 without time nobody is asked, and nothing known");
}

static void test(apr_pool_t *p)
{
    methods(p);
    urls(p);
    refused(p);
    ceilings(p);
    found(p);
    not_found(p);
    at_the_edge(p);
}
