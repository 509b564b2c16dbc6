#include "httpd/forward.h"

#include <http_protocol.h>

#include <apr_lib.h>
#include <apr_strings.h>

/* '-' and '_' and case are one: a CGI or WSGI backend cannot tell them apart. */
static int same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        char x = apr_isalnum(*a) ? (char)apr_tolower(*a) : '-', y = apr_isalnum(*b) ? (char)apr_tolower(*b) : '-';

        if (x != y) {
            return 0;
        }
    }
    return *a == *b;
}

/* Is it a spelling of an Mcp field that httpd passes and we have not judged, such as Mcp_Name? */
static int is_mcp_twin(const char *name)
{
    const char *c;

    if (apr_tolower(name[0]) != 'm' || apr_tolower(name[1]) != 'c' || apr_tolower(name[2]) != 'p' ||
        apr_isalnum(name[3])) {
        return 0;
    }
    for (c = name + 3; *c; c++) {
        if (!apr_isalnum(*c) && *c != '-') {
            return 1;
        }
    }
    return 0;
}

static int in_list(const char *name, const char *const *names)
{
    for (; *names; names++) {
        if (same_name(name, *names)) {
            return 1;
        }
    }
    return 0;
}

static int is_forwarded(const char *name, const apr_array_header_t *forwards)
{
    int i;

    for (i = 0; forwards && i < forwards->nelts; i++) {
        if (same_name(name, APR_ARRAY_IDX(forwards, i, mcp_forward_t).header)) {
            return 1;
        }
    }
    return 0;
}

/* Fields that say what was judged, or belong to the session: a hop must not be told to drop them. */
static int is_end_to_end(const char *name)
{
    static const char *const names[] = { "Content-Type", "Content-Length", "Content-Encoding", "Accept", "Host",
                                         "Origin",       "Last-Event-ID",  "Authorization",    "DPoP",   NULL };

    return in_list(name, names) || !ap_cstr_casecmpn(name, "mcp-", 4) || !ap_cstr_casecmpn(name, "mcp_", 4);
}

/* Connection: NAME makes mod_proxy drop that field, also one that we have just written. */
static void connection_clean(request_rec *r, const apr_array_header_t *forwards, const char *token_header)
{
    apr_array_header_t *left = apr_array_make(r->pool, 4, sizeof(const char *));
    const char *connection, *name;

    if (!apr_table_get(r->headers_in, "Connection")) {
        return;
    }
    apr_table_compress(r->headers_in, APR_OVERLAP_TABLES_MERGE); /* several lines into one */
    connection = apr_table_get(r->headers_in, "Connection");
    while ((name = ap_get_list_item(r->pool, &connection))) {
        if (!is_forwarded(name, forwards) && !is_end_to_end(name) && !same_name(name, "Upgrade") &&
            !(token_header && same_name(name, token_header))) {
            APR_ARRAY_PUSH(left, const char *) = name;
        }
    }
    if (left->nelts) {
        apr_table_setn(r->headers_in, "Connection", apr_array_pstrcat(r->pool, left, ','));
    }
    else {
        apr_table_unset(r->headers_in, "Connection");
    }
}

/* A bit for the first letter, in either case; all of them for what is no letter. */
static apr_uint32_t initial(const char *name)
{
    return apr_isalpha(*name) ? (apr_uint32_t)1 << (*name & 31) : ~(apr_uint32_t)0;
}

/* The first letters of all names that fields_remove looks for: nearly no field has one of them. */
static apr_uint32_t initials(const apr_array_header_t *forwards, const char *const *names, const char *token_header)
{
    apr_uint32_t set = initial("mcp") | (token_header ? initial(token_header) : 0);
    int i;

    for (; *names; names++) {
        set |= initial(*names);
    }
    for (i = 0; forwards && i < forwards->nelts; i++) {
        set |= initial(APR_ARRAY_IDX(forwards, i, mcp_forward_t).header);
    }
    return set;
}

/* Removes the fields of these names in every spelling, and Mcp fields in a spelling of their own. token_header NULL: it
 * stays. */
static void fields_remove(request_rec *r, const apr_array_header_t *forwards, const char *const *names,
                          const char *token_header)
{
    const apr_array_header_t *all = apr_table_elts(r->headers_in);
    const apr_table_entry_t *e = (const apr_table_entry_t *)all->elts;
    const apr_uint32_t concerned = initials(forwards, names, token_header);
    apr_array_header_t *gone = NULL;
    int i;

    for (i = 0; i < all->nelts; i++) {
        if (e[i].key && (initial(e[i].key) & concerned) &&
            ((token_header && same_name(e[i].key, token_header)) || is_forwarded(e[i].key, forwards) ||
             in_list(e[i].key, names) || is_mcp_twin(e[i].key))) {
            gone = gone ? gone : apr_array_make(r->pool, 4, sizeof(const char *));
            APR_ARRAY_PUSH(gone, const char *) = e[i].key;
        }
    }
    for (i = 0; gone && i < gone->nelts; i++) { /* not while walking: unsetting moves the rest up */
        apr_table_unset(r->headers_in, APR_ARRAY_IDX(gone, i, const char *));
    }
}

void mcp_forward_protected(request_rec *r, const mcp_request_t *request)
{
    /* Upgrade would open a tunnel that nobody judges; the others make a backend see another verb than we did. */
    static const char *const never[] = { "DPoP",          "Upgrade",           "X-HTTP-Method-Override",
                                         "X-HTTP-Method", "X-Method-Override", NULL };
    const mcp_location_t *location = request->location;
    const apr_array_header_t *forwards = location->policy.forwards;
    int i;

    connection_clean(r, forwards, location->token_header);
    /* A proof goes where its token goes. */
    fields_remove(r, forwards, location->forward_token ? never + 1 : never,
                  location->forward_token ? NULL : location->token_header);
    for (i = 0; forwards && i < forwards->nelts; i++) {
        const char *header = APR_ARRAY_IDX(forwards, i, mcp_forward_t).header, *text = request->grant->forwards[i];

        if (text) { /* the last line of a name wins */
            apr_table_setn(r->headers_in, header, text);
        }
    }
}

void mcp_forward_unprotected(request_rec *r)
{
    static const char *const none[] = { NULL };
    const mcp_dir_t *conf = mcp_dir_of(r);

    if (conf->forwards) {
        connection_clean(r, conf->forwards, NULL);
        fields_remove(r, conf->forwards, none, NULL);
    }
}
