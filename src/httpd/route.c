#include "httpd/route.h"

#include <apr_fnmatch.h>
#include <apr_hash.h>
#include <apr_lib.h>
#include <apr_strings.h>

#include "httpd/backend.h"
#include "httpd/check.h"
#include "policy/sample.h"

/* Where a line stands. */
typedef struct place_t {
    server_rec *server;
    const ap_directive_t *section; /* <Location>, <LocationMatch>; NULL: in none */
    int foreign;                   /* in a section about files */
    int conditional;
    const char *balancer; /* in <Proxy>: whose members are listed; NULL: in none */
} place_t;

typedef struct walk_t {
    mcp_routes_t *routes;
    apr_pool_t *p;
} walk_t;

static int is_name(const ap_directive_t *d, const char *name)
{
    return !ap_cstr_casecmp(d->directive, name);
}

static int is_one_of(const ap_directive_t *d, const char *const *names)
{
    while (*names && !is_name(d, *names)) {
        names++;
    }
    return *names != NULL;
}

/* --- targets ---------------------------------------------------------------------------------------------------- */

static void target_set(mcp_route_t *route, const char *url, apr_pool_t *p)
{
    apr_array_header_t *backends = apr_array_make(p, 2, sizeof(const char *));

    route->target = mcp_backend_show(url, p);
    route->untold = !mcp_backends_add(backends, url, p);
    route->backends = backends;
}

static void member_add(walk_t *walk, const char *balancer, const char *url)
{
    apr_array_header_t *members;
    const char *name;

    if (!mcp_backend_is_balancer(balancer)) {
        return;
    }
    name = mcp_backend_balancer(balancer, walk->p);
    members = apr_hash_get(walk->routes->members, name, APR_HASH_KEY_STRING);
    if (!members) {
        members = apr_array_make(walk->p, 4, sizeof(const char *));
        apr_hash_set(walk->routes->members, name, APR_HASH_KEY_STRING, members);
    }
    mcp_backends_add(members, url, walk->p);
}

/* A balancer stands for its members, which may be listed behind it. */
static void members_resolve(walk_t *walk)
{
    int i, j;

    for (i = 0; i < walk->routes->all->nelts; i++) {
        mcp_route_t *route = &APR_ARRAY_IDX(walk->routes->all, i, mcp_route_t);
        apr_array_header_t *backends;

        if (!route->backends || !route->backends->nelts) {
            continue;
        }
        backends = apr_array_copy(walk->p, route->backends);
        for (j = 0; j < route->backends->nelts; j++) {
            const apr_array_header_t *members = apr_hash_get(
                walk->routes->members, APR_ARRAY_IDX(route->backends, j, const char *), APR_HASH_KEY_STRING);

            if (members) {
                apr_array_cat(backends, members);
            }
        }
        route->backends = backends;
    }
}

/* --- lines ------------------------------------------------------------------------------------------------------ */

static const apr_array_header_t *examples_of(const char *path, apr_pool_t *p)
{
    apr_array_header_t *examples = apr_array_make(p, 1, sizeof(const char *));

    APR_ARRAY_PUSH(examples, const char *) = path;
    return examples;
}

/* What the arguments of a <Location> or <LocationMatch> say. */
static void section_read(mcp_route_t *route, const ap_directive_t *d, apr_pool_t *p)
{
    const char *end = strrchr(d->args, '>'), *args = d->args, *word;
    int is_regex = is_name(d, "<LocationMatch");

    args = end ? apr_pstrmemdup(p, d->args, (apr_size_t)(end - d->args)) : args;
    word = ap_getword_conf(p, &args);
    if (!strcmp(word, "~")) {
        is_regex = 1;
        word = ap_getword_conf(p, &args);
    }
    route->kind = MCP_ROUTE_SECTION;
    route->section.d = (char *)word;
    route->section.r = is_regex ? ap_pregcomp(p, word, AP_REG_EXTENDED) : NULL;
    route->section.d_is_fnmatch = !is_regex && apr_fnmatch_test(word);
    route->examples = mcp_section_samples(&route->section, p);
    if (is_regex && !route->section.r) {
        route->kind = MCP_ROUTE_UNKNOWN;
    }
}

static void regex_set(mcp_route_t *route, const char *pattern, int flags, apr_pool_t *p)
{
    route->negated = *pattern == '!';
    pattern += route->negated;
    route->regex = ap_pregcomp(p, pattern, AP_REG_EXTENDED | flags);
    route->kind = route->regex ? MCP_ROUTE_REGEX : MCP_ROUTE_UNKNOWN;
    route->examples = mcp_sample_regex(pattern, p);
}

static void prefix_set(mcp_route_t *route, const char *path, apr_pool_t *p)
{
    route->path = path;
    route->examples = examples_of(path, p);
}

/* A new route that takes what its place tells: a section, or everything. */
static mcp_route_t *route_add(walk_t *walk, const ap_directive_t *d, const place_t *place)
{
    mcp_route_t *route = apr_array_push(walk->routes->all);

    memset(route, 0, sizeof(*route));
    route->at = d;
    route->server = place->server;
    route->conditional = place->conditional;
    route->kind = place->foreign ? MCP_ROUTE_UNKNOWN : MCP_ROUTE_PREFIX;
    prefix_set(route, "/", walk->p);
    if (place->section) {
        section_read(route, place->section, walk->p);
        route->kind = place->foreign ? MCP_ROUTE_UNKNOWN : route->kind;
    }
    return route;
}

static void pass_read(walk_t *walk, const ap_directive_t *d, const place_t *place)
{
    const char *args = d->args, *first = ap_getword_conf(walk->p, &args), *url;
    int is_regex = is_name(d, "ProxyPassMatch");
    mcp_route_t *route = route_add(walk, d, place);

    if (!strcmp(first, "~")) {
        is_regex = 1;
        first = ap_getword_conf(walk->p, &args);
    }
    if (place->section) {
        url = first;
    }
    else {
        url = ap_getword_conf(walk->p, &args);
        route->alias = 1;
        prefix_set(route, first, walk->p);
        if (is_regex) {
            regex_set(route, first, 0, walk->p);
            route->negated = 0;
        }
    }
    if (strcmp(url, "!")) {
        target_set(route, url, walk->p);
    }
    else {
        route->none = 1;
    }
}

static int has_flag(const char *flags, const char *name, const char *long_name, apr_pool_t *p)
{
    char *copy = apr_pstrdup(p, flags), *state, *flag;

    for (flag = apr_strtok(copy, "[], ", &state); flag; flag = apr_strtok(NULL, "[], ", &state)) {
        if (!ap_cstr_casecmp(flag, name) || !ap_cstr_casecmp(flag, long_name)) {
            return 1;
        }
    }
    return 0;
}

static void rewrite_read(walk_t *walk, const ap_directive_t *d, const place_t *place)
{
    const char *args = d->args, *pattern = ap_getword_conf(walk->p, &args);
    const char *url = ap_getword_conf(walk->p, &args), *flags = ap_getword_conf(walk->p, &args);
    mcp_route_t *route;

    if (!has_flag(flags, "P", "proxy", walk->p)) {
        return;
    }
    route = route_add(walk, d, place);
    if (!place->section && !place->foreign) {
        regex_set(route, pattern, has_flag(flags, "NC", "nocase", walk->p) ? AP_REG_ICASE : 0, walk->p);
    }
    target_set(route, url, walk->p);
}

static void handler_read(walk_t *walk, const ap_directive_t *d, const place_t *place)
{
    const char *args = d->args, *name = ap_getword_conf(walk->p, &args);
    mcp_route_t *route;

    if (!ap_cstr_casecmp(name, "none")) {
        return;
    }
    route = route_add(walk, d, place);
    if (!ap_cstr_casecmpn(name, "proxy:", 6)) {
        target_set(route, name + 6, walk->p);
    }
    else if (!ap_cstr_casecmpn(name, "expr=", 5) && strstr(name, "proxy:")) {
        route->target = name;
        route->untold = 1;
    }
}

/* Alias, ScriptAlias, WSGIScriptAlias and others: something of this machine answers there. */
static void alias_read(walk_t *walk, const ap_directive_t *d, const place_t *place)
{
    const char *args = d->args, *path = ap_getword_conf(walk->p, &args);
    apr_size_t len = strlen(d->directive);
    mcp_route_t *route = route_add(walk, d, place);

    if (place->section || place->foreign) {
        return;
    }
    prefix_set(route, path, walk->p);
    if (len > 5 && !ap_cstr_casecmp(d->directive + len - 5, "Match")) {
        regex_set(route, path, 0, walk->p);
    }
}

/* BalancerMember, in the <Proxy> of its balancer or with its name. */
static void member_read(walk_t *walk, const ap_directive_t *d, const place_t *place)
{
    const char *args = d->args, *balancer = place->balancer, *url;

    if (is_name(d, "BalancerMember")) {
        balancer = balancer ? balancer : ap_getword_conf(walk->p, &args);
        url = ap_getword_conf(walk->p, &args);
        member_add(walk, balancer, url);
    }
}

static void line_read(walk_t *walk, const ap_directive_t *d, const place_t *place)
{
    static const char *const passes[] = { "ProxyPass", "ProxyPassMatch", NULL };
    static const char *const aliases[] = { "Alias",           "AliasMatch",           "ScriptAlias", "ScriptAliasMatch",
                                           "WSGIScriptAlias", "WSGIScriptAliasMatch", NULL };
    const char *args = d->args;

    if (is_one_of(d, passes)) {
        pass_read(walk, d, place);
    }
    else if (is_name(d, "RewriteRule")) {
        rewrite_read(walk, d, place);
    }
    else if (is_name(d, "SetHandler") || is_name(d, "AddHandler")) {
        handler_read(walk, d, place);
    }
    else if (is_one_of(d, aliases)) {
        alias_read(walk, d, place);
    }
    else if (is_name(d, "ProxyRequests") && !ap_cstr_casecmp(ap_getword_conf(walk->p, &args), "on")) {
        APR_ARRAY_PUSH(walk->routes->forward, const ap_directive_t *) = d;
    }
    else {
        member_read(walk, d, place);
    }
}

/* --- the tree --------------------------------------------------------------------------------------------------- */

static server_rec *host_of(const ap_directive_t *d, server_rec *main_server)
{
    server_rec *s;

    for (s = main_server->next; s; s = s->next) {
        if (s->defn_name && d->filename && !strcmp(d->filename, s->defn_name) &&
            (unsigned)d->line_num == s->defn_line_number) {
            return s;
        }
    }
    return NULL;
}

static void host_add(mcp_routes_t *routes, server_rec *s)
{
    int i;

    for (i = 0; i < routes->hosts->nelts; i++) {
        if (APR_ARRAY_IDX(routes->hosts, i, server_rec *) == s) {
            return;
        }
    }
    APR_ARRAY_PUSH(routes->hosts, server_rec *) = s;
}

/* The place inside a section. Returns 0 when it is of no interest. */
static int place_enter(place_t *place, const ap_directive_t *d, walk_t *walk)
{
    static const char *const locations[] = { "<Location", "<LocationMatch", NULL };
    static const char *const files[] = { "<Directory", "<DirectoryMatch", "<Files", "<FilesMatch", NULL };
    static const char *const conditions[] = { "<If", "<ElseIf", "<Else", NULL };
    const char *args = d->args;

    if (is_name(d, "<VirtualHost")) {
        place->server = host_of(d, walk->routes->main_server);
        if (place->server) {
            host_add(walk->routes, place->server);
        }
    }
    else if (is_one_of(d, locations)) {
        place->section = d;
    }
    else if (is_name(d, "<Proxy") || is_name(d, "<ProxyMatch")) {
        place->balancer = ap_getword_conf(walk->p, &args);
    }
    place->foreign |= is_one_of(d, files);
    place->conditional |= is_one_of(d, conditions);
    return place->server != NULL;
}

static void lines_walk(walk_t *walk, const ap_directive_t *d, const place_t *place)
{
    for (; d; d = d->next) {
        place_t inside = *place;

        if (*d->directive != '<') {
            place->balancer ? member_read(walk, d, place) : line_read(walk, d, place);
        }
        else if (place_enter(&inside, d, walk)) {
            lines_walk(walk, d->first_child, &inside); /* httpd itself bounds how deep sections go */
        }
    }
}

mcp_routes_t *mcp_routes_read(server_rec *main_server, apr_pool_t *p)
{
    mcp_routes_t *routes = apr_pcalloc(p, sizeof(*routes));
    place_t place = { .server = main_server };
    walk_t walk = { routes, p };
    server_rec *s;

    routes->main_server = main_server;
    routes->all = apr_array_make(p, 16, sizeof(mcp_route_t));
    routes->forward = apr_array_make(p, 1, sizeof(const ap_directive_t *));
    routes->hosts = apr_array_make(p, 4, sizeof(server_rec *));
    routes->members = apr_hash_make(p);
    APR_ARRAY_PUSH(routes->hosts, server_rec *) = main_server;
    lines_walk(&walk, ap_conftree, &place);
    for (s = main_server->next; s; s = s->next) {
        host_add(routes, s); /* whose line was not found */
    }
    members_resolve(&walk);
    return routes;
}

/* --- which route ------------------------------------------------------------------------------------------------ */

/* Does a line of its own server let s go without what the main server says? */
static int says(const server_rec *s, const char *directive, const char *word)
{
    const ap_directive_t *d;

    for (d = ap_conftree; d; d = d->next) {
        if (*d->directive == '<' && s->defn_name && d->filename && !strcmp(d->filename, s->defn_name) &&
            (unsigned)d->line_num == s->defn_line_number) {
            break;
        }
    }
    for (d = d ? d->first_child : NULL; d; d = d->next) {
        if (is_name(d, directive) && ap_strcasestr(d->args, word)) {
            return 1;
        }
    }
    return 0;
}

/* Does the line hold for s at all? Virtual hosts have sections and ProxyPass lines of the main server, and its RewriteRule
 * lines only when they say so. */
static int reaches(const mcp_routes_t *routes, const mcp_route_t *route, const server_rec *s)
{
    if (route->server == s) {
        return 1;
    }
    if (route->server != routes->main_server) {
        return 0;
    }
    if (route->kind == MCP_ROUTE_REGEX && !route->alias && is_name(route->at, "RewriteRule")) {
        return says(s, "RewriteOptions", "inherit");
    }
    return !route->alias || !says(s, "ProxyPassInherit", "off");
}

static int matches(const mcp_route_t *route, const char *path)
{
    apr_size_t len;

    switch (route->kind) {
    case MCP_ROUTE_PREFIX:
        len = strlen(route->path);
        return !strncmp(route->path, path, len) &&
               (!len || route->path[len - 1] == '/' || path[len] == '/' || path[len] == '\0');
    case MCP_ROUTE_REGEX:
        return (ap_regexec(route->regex, path, 0, NULL, 0) != 0) == route->negated;
    case MCP_ROUTE_SECTION:
        return mcp_section_applies(&route->section, path);
    case MCP_ROUTE_UNKNOWN:
        break;
    }
    return 0;
}

static int same_directive(const mcp_route_t *a, const mcp_route_t *b)
{
    return !ap_cstr_casecmpn(a->at->directive, b->at->directive, 9); /* ProxyPass and ProxyPassMatch are one */
}

/* Does other have its say before route, when both match? Of sections the innermost one, before lines in none of them; of
 * these the first one. What the main server says comes first in the files of a virtual host. */
static int precedes(const mcp_routes_t *routes, const mcp_route_t *other, const mcp_route_t *route)
{
    int own = route->server != routes->main_server, other_own = other->server != routes->main_server;
    int is_later = own != other_own ? other_own : other > route;

    if (other == route || other->conditional || !same_directive(other, route)) {
        return 0;
    }
    if (other->kind == MCP_ROUTE_SECTION) {
        return route->kind != MCP_ROUTE_SECTION || is_later;
    }
    return route->alias && other->alias && !is_later;
}

int mcp_route_takes(const mcp_routes_t *routes, const mcp_route_t *route, const server_rec *s, const char *path)
{
    int i;

    if (!reaches(routes, route, s) || !matches(route, path)) {
        return 0;
    }
    for (i = 0; i < routes->all->nelts; i++) {
        const mcp_route_t *other = &APR_ARRAY_IDX(routes->all, i, mcp_route_t);

        if (precedes(routes, other, route) && reaches(routes, other, s) && matches(other, path)) {
            return 0;
        }
    }
    return 1;
}

static void samples_add(apr_array_header_t *samples, const char *path, apr_pool_t *p)
{
    apr_size_t len = strlen(path);

    APR_ARRAY_PUSH(samples, const char *) = path;
    APR_ARRAY_PUSH(samples, const char *) = apr_pstrcat(p, path, len && path[len - 1] == '/' ? "x" : "/x", NULL);
    if (len && path[len - 1] != '/') {
        APR_ARRAY_PUSH(samples, const char *) = apr_pstrcat(p, path, "x", NULL);
    }
}

static void examples_add(apr_array_header_t *samples, const apr_array_header_t *examples, apr_pool_t *p)
{
    int i;

    for (i = 0; i < examples->nelts; i++) {
        if (*APR_ARRAY_IDX(examples, i, const char *) == '/') {
            samples_add(samples, APR_ARRAY_IDX(examples, i, const char *), p);
        }
    }
}

const apr_array_header_t *mcp_section_samples(const core_dir_config *section, apr_pool_t *p)
{
    return section->r              ? mcp_sample_regex(section->d, p)
           : section->d_is_fnmatch ? mcp_sample_fnmatch(section->d, p)
                                   : examples_of(section->d, p);
}

apr_array_header_t *mcp_route_samples(const mcp_routes_t *routes, const mcp_route_t *route, const server_rec *s,
                                      apr_pool_t *p)
{
    const core_server_config *core = ap_get_core_module_config(s->module_config);
    apr_array_header_t *samples = apr_array_make(p, 16, sizeof(const char *));
    int i;

    if (route) {
        examples_add(samples, route->examples, p);
    }
    for (i = 0; i < core->sec_url->nelts; i++) {
        const core_dir_config *section = ap_get_core_module_config(APR_ARRAY_IDX(core->sec_url, i, ap_conf_vector_t *));

        examples_add(samples, mcp_section_samples(section, p), p);
    }
    for (i = 0; i < routes->all->nelts; i++) {
        const mcp_route_t *other = &APR_ARRAY_IDX(routes->all, i, mcp_route_t);

        if (reaches(routes, other, s)) {
            examples_add(samples, other->examples, p);
        }
    }
    samples_add(samples, "/", p);
    return samples;
}
