/* Where httpd sends requests, as far as the lines of the configuration tell: for who reads what is protected and what is not. */
#ifndef MCP_HTTPD_ROUTE_H
#define MCP_HTTPD_ROUTE_H

#include <httpd.h>
#include <http_core.h>

typedef enum {
    MCP_ROUTE_PREFIX,  /* path and all below it */
    MCP_ROUTE_REGEX,   /* paths that match */
    MCP_ROUTE_SECTION, /* what a <Location> applies to */
    MCP_ROUTE_UNKNOWN  /* what no path tells: files, directories */
} mcp_route_kind_t;

typedef struct mcp_route_t {
    const ap_directive_t *at;
    server_rec *server; /* whose line it is; virtual hosts may inherit it from the main server */
    mcp_route_kind_t kind;
    const char *path;                   /* PREFIX: in front of what it takes */
    const apr_array_header_t *examples; /* const char *: paths to try it with */
    ap_regex_t *regex;                  /* REGEX */
    int negated;                        /* REGEX: those that do not match */
    core_dir_config section;            /* SECTION */
    int alias;                          /* ProxyPass or ProxyPassMatch: the first that takes a path decides */
    int conditional;                    /* inside <If>, <ElseIf> or <Else>: judged per request */
    const char *target; /* URL as written, without user and query; NULL: it sends nothing to a backend */
    const apr_array_header_t *backends; /* const char *: "host:port", "unix:/path", a balancer and its members */
    int none;                           /* ProxyPass !: what it takes is not proxied */
    int untold;                         /* the backend depends on the request */
} mcp_route_t;

typedef struct mcp_routes_t {
    server_rec *main_server;
    apr_array_header_t *all;     /* mcp_route_t, in the order of the files */
    apr_array_header_t *forward; /* const ap_directive_t *: ProxyRequests On */
    apr_array_header_t *hosts;   /* server_rec *, the main server and then virtual hosts in the order of the files */
    apr_hash_t *members;         /* balancer -> array of const char *, backends */
} mcp_routes_t;

/* Reads the configuration tree. Lives in p. */
mcp_routes_t *mcp_routes_read(server_rec *main_server, apr_pool_t *p);

/* Is a request for path to server s sent by this route, all other routes considered? */
int mcp_route_takes(const mcp_routes_t *routes, const mcp_route_t *route, const server_rec *s, const char *path);

/* Paths that tell routes and sections of s apart, route's own first (const char *, in p; route may be NULL). */
apr_array_header_t *mcp_route_samples(const mcp_routes_t *routes, const mcp_route_t *route, const server_rec *s,
                                      apr_pool_t *p);

/* Paths that may be within a section: guesses where it is a pattern (mcp_sample_regex). */
const apr_array_header_t *mcp_section_samples(const core_dir_config *section, apr_pool_t *p);

#endif
