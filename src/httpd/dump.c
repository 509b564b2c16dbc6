#include "httpd/dump.h"

#include <apr_strings.h>

#include "httpd/check.h"
#include "httpd/describe.h"
#include "httpd/route.h"

#define HOSTS_SHOWN 3

/* One protected location, and what is asked of all of them together. */
typedef struct found_t {
    const mcp_section_t *section;
    const mcp_location_t *location;
} found_t;

typedef struct dump_t {
    mcp_sheet_t sheet;
    apr_pool_t *p;
    const mcp_routes_t *routes;
    apr_array_header_t *found;    /* found_t */
    apr_array_header_t *excepted; /* const mcp_section_t *: McpOAuth Off */
    char *warned;                 /* by route: it has been warned of */
} dump_t;

static const char *host_name(const dump_t *dump, const server_rec *s)
{
    unsigned port = s->port ? s->port : s->addrs ? s->addrs->host_port : 0;
    const char *name = s->server_hostname ? s->server_hostname : "a server without a name";

    name = port ? apr_psprintf(dump->p, "%s:%u", name, port) : name;
    return s->is_virtual ? name : apr_pstrcat(dump->p, name, " (main server)", NULL);
}

/* <Location "/mcp"> */
static const char *section_name(const dump_t *dump, const mcp_section_t *section)
{
    const ap_directive_t *d = section->dir->at;

    while (d && ap_cstr_casecmpn(d->directive, "<Location", 9)) {
        d = d->parent;
    }
    return d ? apr_pstrcat(dump->p, d->directive, " ", d->args, NULL)
             : apr_pstrcat(dump->p, "<Location \"", section->core->d, "\">", NULL);
}

static const ap_directive_t *section_place(const mcp_section_t *section)
{
    const ap_directive_t *d = section->dir->at;

    while (d && d->parent && ap_cstr_casecmpn(d->directive, "<Location", 9)) {
        d = d->parent;
    }
    return d;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static void host_read(dump_t *dump, server_rec *s)
{
    const apr_array_header_t *sections = mcp_sections_of(s, dump->p);
    int i;

    for (i = 0; i < sections->nelts; i++) {
        const mcp_section_t *section = &APR_ARRAY_IDX(sections, i, mcp_section_t);

        if (section->effective->enabled == 1) {
            found_t *found = apr_array_push(dump->found);

            found->section = section;
            found->location = mcp_location_make(section->effective, s, 1, dump->p);
        }
        else if (section->dir->enabled == 0) {
            APR_ARRAY_PUSH(dump->excepted, const mcp_section_t *) = section;
        }
    }
}

/* Is no other resource published by that server? */
static int is_alone(const dump_t *dump, const mcp_location_t *location)
{
    int i;

    for (i = 0; i < dump->found->nelts; i++) {
        const mcp_location_t *other = APR_ARRAY_IDX(dump->found, i, found_t).location;

        if (other->server == location->server && !other->error &&
            strcmp(other->metadata_path, location->metadata_path)) {
            return 0;
        }
    }
    return 1;
}

/* --- where requests go ------------------------------------------------------------------------------------------ */

static int stands_in(const ap_directive_t *d, const ap_directive_t *section)
{
    while (d && d != section) {
        d = d->parent;
    }
    return d != NULL;
}

/* Paths that tell whether a route takes requests of this very location. */
static const apr_array_header_t *paths_of(const dump_t *dump, const found_t *found, const mcp_route_t *route)
{
    const core_dir_config *core = found->section->core;
    const apr_array_header_t *samples;
    apr_array_header_t *paths = apr_array_make(dump->p, 4, sizeof(const char *));
    int i;

    if (!mcp_section_is_pattern(core)) {
        APR_ARRAY_PUSH(paths, const char *) = core->d;
        APR_ARRAY_PUSH(paths, const char *) = ap_make_full_path(dump->p, core->d, "x");
        return paths;
    }
    samples = mcp_route_samples(dump->routes, route, found->section->server, dump->p);
    for (i = 0; i < samples->nelts; i++) {
        const char *path = APR_ARRAY_IDX(samples, i, const char *);

        if (mcp_section_applies(core, path)) {
            APR_ARRAY_PUSH(paths, const char *) = path;
        }
    }
    return paths;
}

/* Does the route take requests of this very location? */
static int serves(const dump_t *dump, const found_t *found, const mcp_route_t *route)
{
    const apr_array_header_t *paths;
    int i;

    if (route->none || route->kind == MCP_ROUTE_UNKNOWN) {
        return 0;
    }
    if (stands_in(route->at, section_place(found->section))) {
        return 1;
    }
    paths = paths_of(dump, found, route);
    for (i = 0; i < paths->nelts; i++) {
        if (mcp_route_takes(dump->routes, route, found->section->server, APR_ARRAY_IDX(paths, i, const char *))) {
            return 1;
        }
    }
    return 0;
}

/* A path that the route takes on server s and that is not protected, with the reason when there is one to see; NULL: none is
 * seen. */
static const char *way_around(const dump_t *dump, const mcp_route_t *route, server_rec *s)
{
    const apr_array_header_t *paths;
    const char *found = NULL;
    apr_pool_t *scratch; /* there may be many hosts */
    int i;

    apr_pool_create(&scratch, dump->p);
    paths = mcp_route_samples(dump->routes, route, s, scratch);
    for (i = 0; i < paths->nelts && !found; i++) {
        const char *path = APR_ARRAY_IDX(paths, i, const char *);
        const mcp_dir_t *conf;

        if (mcp_route_takes(dump->routes, route, s, path) &&
            !((conf = mcp_sections_merge(s, path, scratch)) && conf->enabled == 1)) {
            found = apr_pstrcat(dump->p, path, conf && conf->enabled == 0 ? " (McpOAuth Off)" : NULL, NULL);
        }
    }
    apr_pool_destroy(scratch);
    return found;
}

/* A backend that both lists name. */
static const char *shared_backend(const apr_array_header_t *a, const apr_array_header_t *b)
{
    int i, j;

    for (i = 0; a && b && i < a->nelts; i++) {
        for (j = 0; j < b->nelts; j++) {
            if (!strcmp(APR_ARRAY_IDX(a, i, const char *), APR_ARRAY_IDX(b, j, const char *))) {
                return APR_ARRAY_IDX(a, i, const char *);
            }
        }
    }
    return NULL;
}

/* The servers on which the route takes unprotected paths: "a, b and 2 more"; NULL: on none. *ppath: one of these paths. */
static const char *hosts_around(const char **ppath, const dump_t *dump, const mcp_route_t *route)
{
    const char *names = NULL, *path;
    int i, count = 0;

    for (i = 0; i < dump->routes->hosts->nelts; i++) {
        server_rec *s = APR_ARRAY_IDX(dump->routes->hosts, i, server_rec *);

        if (!(path = way_around(dump, route, s))) {
            continue;
        }
        *ppath = count ? *ppath : path;
        if (count++ < HOSTS_SHOWN) {
            names = names ? apr_pstrcat(dump->p, names, " and ", host_name(dump, s), NULL) : host_name(dump, s);
        }
    }
    return count > HOSTS_SHOWN ? apr_psprintf(dump->p, "%s and %d more", names, count - HOSTS_SHOWN) : names;
}

static const char *line_name(const dump_t *dump, const mcp_route_t *route)
{
    return apr_pstrcat(dump->p, mcp_describe_place(route->at, dump->p), ": ", route->at->directive, NULL);
}

/* One line about a route to a backend that only protected requests should reach. */
static void around_warn(dump_t *dump, const mcp_route_t *route, const char *backend)
{
    const char *path = NULL, *hosts;

    if (route->kind == MCP_ROUTE_UNKNOWN) {
        mcp_describe_warning(&dump->sheet,
                             apr_psprintf(dump->p,
                                          "%s sends requests to %s, too; no path tells which, so see to it that "
                                          "they are protected",
                                          line_name(dump, route), backend));
        return;
    }
    if ((hosts = hosts_around(&path, dump, route))) {
        mcp_describe_warning(
            &dump->sheet,
            apr_psprintf(dump->p, "%s sends requests such as %s of %s to %s, too, and no token is asked for there%s",
                         line_name(dump, route), path, hosts, backend,
                         route->conditional ? " (inside <If>, which is judged per request)" : ""));
    }
}

static void routes_warn(dump_t *dump, const found_t *found)
{
    int i, j, seen = 0;

    for (i = 0; i < dump->routes->all->nelts; i++) {
        const mcp_route_t *route = &APR_ARRAY_IDX(dump->routes->all, i, mcp_route_t);

        if (!serves(dump, found, route)) {
            continue;
        }
        seen = 1;
        for (j = 0; j < dump->routes->all->nelts; j++) {
            const mcp_route_t *other = &APR_ARRAY_IDX(dump->routes->all, j, mcp_route_t);
            const char *backend = shared_backend(route->backends, other->backends);

            if (backend && !dump->warned[j]) {
                dump->warned[j] = 1;
                around_warn(dump, other, backend);
            }
        }
    }
    if (!seen) {
        mcp_describe_warning(&dump->sheet, "no ProxyPass, RewriteRule with [P] or handler is seen that answers here");
    }
}

static void backends_print(const dump_t *dump, const found_t *found)
{
    int i, count = 0;

    for (i = 0; i < dump->routes->all->nelts; i++) {
        const mcp_route_t *route = &APR_ARRAY_IDX(dump->routes->all, i, mcp_route_t);

        if (serves(dump, found, route)) {
            mcp_sheet_row(&dump->sheet, 1, count++ ? "" : "requests go to",
                          apr_psprintf(dump->p, "%s (%s, %s)%s", route->target ? route->target : "this server",
                                       route->at->directive, mcp_describe_place(route->at, dump->p),
                                       route->conditional ? ", inside <If>: judged per request" : ""));
        }
    }
}

/* --- printing --------------------------------------------------------------------------------------------------- */

/* The lines of httpd's own authorization in the section. */
static void require_print(const dump_t *dump, const ap_directive_t *d, const char *inside, int *count)
{
    for (; d; d = d->next) {
        if (*d->directive == '<') {
            require_print(dump, d->first_child, apr_psprintf(dump->p, " (inside %s>)", d->directive), count);
        }
        else if (!ap_cstr_casecmp(d->directive, "Require")) {
            mcp_sheet_row(&dump->sheet, 1, (*count)++ ? "" : "httpd requires",
                          apr_pstrcat(dump->p, d->args, inside, NULL));
        }
    }
}

static void head_print(const dump_t *dump, const found_t *found)
{
    const mcp_section_t *section = found->section;
    const ap_directive_t *place = section_place(section);
    const server_rec *s = section->server;

    mcp_sheet_line(&dump->sheet, "");
    mcp_sheet_line(&dump->sheet, apr_pstrcat(dump->p, section_name(dump, section), " of ", host_name(dump, s), NULL));
    mcp_sheet_row(&dump->sheet, 1, "stands at", mcp_describe_place(place, dump->p));
    if (s->is_virtual) {
        mcp_sheet_row(&dump->sheet, 1, "virtual host",
                      apr_psprintf(dump->p, "%s:%u", s->defn_name ? s->defn_name : "?", s->defn_line_number));
    }
    if (mcp_section_is_pattern(section->core)) {
        mcp_sheet_row(
            &dump->sheet, 1, "pattern",
            "which paths match is judged per request, and with it which other sections apply; this is what it "
            "says over the settings of the server alone");
    }
}

static void found_print(dump_t *dump, const found_t *found)
{
    const mcp_location_t *location = found->location;
    const ap_directive_t *place = section_place(found->section);
    int count = 0;

    head_print(dump, found);
    if (location->error && !location->contradiction) {
        mcp_describe_warnings(&dump->sheet, location);
        return;
    }
    mcp_describe_clients(&dump->sheet, location, is_alone(dump, location));
    backends_print(dump, found);
    mcp_describe_tokens(&dump->sheet, location);
    mcp_describe_rights(&dump->sheet, location);
    require_print(dump, place ? place->first_child : NULL, "", &count);
    mcp_describe_server(&dump->sheet, location);
    mcp_describe_warnings(&dump->sheet, location);
    routes_warn(dump, found);
}

static void excepted_print(const dump_t *dump)
{
    int i;

    for (i = 0; i < dump->excepted->nelts; i++) {
        const mcp_section_t *section = APR_ARRAY_IDX(dump->excepted, i, const mcp_section_t *);

        if (!i) {
            mcp_sheet_line(&dump->sheet, "");
            mcp_sheet_line(&dump->sheet, "Not protected, as McpOAuth Off says:");
        }
        mcp_sheet_row(&dump->sheet, 1, section_name(dump, section),
                      apr_pstrcat(dump->p, mcp_describe_place(section_place(section), dump->p), " of ",
                                  host_name(dump, section->server), NULL));
    }
}

/* What can be said of no single location: a paragraph of its own. */
static void whole_warn(const dump_t *dump, int *count, const char *text)
{
    if (!(*count)++) {
        mcp_sheet_line(&dump->sheet, "");
    }
    mcp_describe_warning(&dump->sheet, text);
}

static void whole_print(const dump_t *dump)
{
    const char *path = NULL, *hosts;
    int i, count = 0;

    for (i = 0; i < dump->routes->all->nelts; i++) {
        const mcp_route_t *route = &APR_ARRAY_IDX(dump->routes->all, i, mcp_route_t);

        if (route->untold && (hosts = hosts_around(&path, dump, route))) {
            whole_warn(
                dump, &count,
                apr_psprintf(dump->p,
                             "%s sends requests such as %s of %s to a backend that depends on the request; see to "
                             "it that it is none of those above",
                             line_name(dump, route), path, hosts));
        }
    }
    for (i = 0; i < dump->routes->forward->nelts; i++) {
        const ap_directive_t *d = APR_ARRAY_IDX(dump->routes->forward, i, const ap_directive_t *);

        whole_warn(
            dump, &count,
            apr_pstrcat(dump->p, mcp_describe_place(d, dump->p),
                        ": ProxyRequests On makes a forward proxy, which reaches every backend past all locations",
                        NULL));
    }
}

void mcp_dump(apr_pool_t *pconf, server_rec *s)
{
    dump_t dump;
    int i;

    if (!ap_exists_config_define("DUMP_MCP_OAUTH")) {
        return;
    }
    memset(&dump, 0, sizeof(dump));
    apr_pool_create(&dump.p, pconf);
    if (mcp_sheet_open(&dump.sheet, dump.p) != APR_SUCCESS) {
        return;
    }
    dump.routes = mcp_routes_read(s, dump.p);
    dump.found = apr_array_make(dump.p, 8, sizeof(found_t));
    dump.excepted = apr_array_make(dump.p, 4, sizeof(const mcp_section_t *));
    dump.warned = apr_pcalloc(dump.p, (apr_size_t)dump.routes->all->nelts + 1);
    for (i = 0; i < dump.routes->hosts->nelts; i++) {
        host_read(&dump, APR_ARRAY_IDX(dump.routes->hosts, i, server_rec *));
    }
    mcp_sheet_line(&dump.sheet, dump.found->nelts
                                    ? "mod_mcp_oauth: protected locations"
                                    : "mod_mcp_oauth: nothing is protected; no <Location> says McpOAuth On");
    for (i = 0; i < dump.found->nelts; i++) {
        found_print(&dump, &APR_ARRAY_IDX(dump.found, i, found_t));
    }
    excepted_print(&dump);
    if (dump.found->nelts) {
        whole_print(&dump);
    }
    mcp_sheet_close(&dump.sheet);
}
