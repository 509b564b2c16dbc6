#include "httpd/check.h"

#include <http_core.h>
#include <http_log.h>

#include <apr_fnmatch.h>
#include <apr_strings.h>

#include "httpd/issuer.h"
#include "httpd/location.h"
#include "httpd/metadata.h"

APLOG_USE_MODULE(mcp_oauth);

typedef struct remark_t {
    server_rec *server;
    const char *id, *text;
    const ap_directive_t *at;
} remark_t;

/* Filled while the configuration is read and checked. */
static apr_array_header_t *remarks;

static void report(server_rec *s, int level, const char *id, const ap_directive_t *at, const char *text)
{
    ap_log_error(APLOG_MARK, level, 0, s, "%s: %s:%d: %s: %s", id, at ? at->filename : "?", at ? at->line_num : 0,
                 at ? at->directive : "McpOAuth", text);
}

void mcp_remark(server_rec *s, const char *id, const ap_directive_t *at, const char *text)
{
    remark_t *remark;

    if (ap_state_query(AP_SQ_RUN_MODE) != AP_SQ_RM_NORMAL) {
        report(s, APLOG_STARTUP | APLOG_WARNING, id, at, text);
        return;
    }
    remark = apr_array_push(remarks);
    remark->server = s;
    remark->id = id;
    remark->at = at;
    remark->text = text;
}

void mcp_remarks_reset(apr_pool_t *pconf)
{
    remarks = apr_array_make(pconf, 4, sizeof(remark_t));
}

void mcp_remarks_log(void)
{
    int i;

    for (i = 0; i < remarks->nelts; i++) {
        const remark_t *remark = &APR_ARRAY_IDX(remarks, i, remark_t);

        report(remark->server, APLOG_WARNING, remark->id, remark->at, remark->text);
    }
}

static mcp_dir_t *dir_of(ap_conf_vector_t *section)
{
    return ap_get_module_config(section, &mcp_oauth_module);
}

int mcp_section_is_pattern(const core_dir_config *section)
{
    return section->r || section->d_is_fnmatch;
}

int mcp_section_applies(const core_dir_config *section, const char *path)
{
    apr_size_t len = strlen(section->d);

    if (section->r) {
        return !ap_regexec(section->r, path, 0, NULL, 0);
    }
    if (section->d_is_fnmatch) {
        return !apr_fnmatch(section->d, path, APR_FNM_PATHNAME);
    }
    return !strncmp(section->d, path, len) &&
           (!len || section->d[len - 1] == '/' || path[len] == '/' || path[len] == '\0');
}

static const apr_array_header_t *vectors_of(const server_rec *s)
{
    return ((const core_server_config *)ap_get_core_module_config(s->module_config))->sec_url;
}

/* What httpd merges for a request: the server's own, then each section that applies to path, in order; section number i does
 * so whatever path is. path NULL: no other one. */
static mcp_dir_t *sections_merge(server_rec *s, const char *path, int i, apr_pool_t *p)
{
    const apr_array_header_t *vectors = vectors_of(s);
    mcp_dir_t *effective = dir_of(s->lookup_defaults);
    int j;

    for (j = 0; j < vectors->nelts; j++) {
        ap_conf_vector_t *vector = APR_ARRAY_IDX(vectors, j, ap_conf_vector_t *);
        mcp_dir_t *dir = dir_of(vector);

        if (dir && (j == i || (path && mcp_section_applies(ap_get_core_module_config(vector), path)))) {
            effective = effective ? mcp_dir_merge(p, effective, dir) : dir;
        }
    }
    return effective;
}

const mcp_dir_t *mcp_sections_merge(server_rec *s, const char *path, apr_pool_t *p)
{
    return sections_merge(s, path, -1, p);
}

apr_array_header_t *mcp_sections_of(server_rec *s, apr_pool_t *p)
{
    const apr_array_header_t *vectors = vectors_of(s);
    apr_array_header_t *sections = apr_array_make(p, 4, sizeof(mcp_section_t));
    int i;

    for (i = 0; i < vectors->nelts; i++) {
        ap_conf_vector_t *vector = APR_ARRAY_IDX(vectors, i, ap_conf_vector_t *);
        mcp_section_t section = { s, ap_get_core_module_config(vector), dir_of(vector), NULL };

        if (section.dir) {
            /* A pattern has no path of its own: it is judged over the server's settings alone. */
            section.effective = sections_merge(s, mcp_section_is_pattern(section.core) ? NULL : section.core->d, i, p);
            APR_ARRAY_PUSH(sections, mcp_section_t) = section;
        }
    }
    return sections;
}

/* A contradiction of one section is an error; one that several sections make together is refused per request. */
static const char *contradiction_alone(const mcp_dir_t *dir, apr_pool_t *p)
{
    mcp_location_t alone = { .conf = dir };

    alone.inspect = dir->inspect != 0;
    alone.acl_mode = dir->acl > MCP_ACL_OFF ? dir->acl : MCP_ACL_OFF;
    alone.policy.forwards = dir->forwards;
    alone.token_header = dir->token_header ? dir->token_header : dir->enabled == 1 ? MCP_TOKEN_HEADER_DEFAULT : "";
    return mcp_location_contradiction(&alone, p);
}

static int section_check(const mcp_section_t *section, apr_pool_t *pconf)
{
    const mcp_dir_t *dir = section->dir, *effective = section->effective;
    server_rec *s = section->server;
    mcp_location_t *location;
    const char *error;

    if ((error = contradiction_alone(dir, pconf))) {
        report(s, APLOG_STARTUP | APLOG_EMERG, "MCP0950", dir->at, error);
        return !OK;
    }
    if (effective->enabled != 1) {
        return OK;
    }
    location = mcp_location_make(effective, s, 1, pconf);
    if (location->filter_lists && location->acl_mode == MCP_ACL_OFF) {
        mcp_remark(s, "MCP0962", dir->at,
                   "McpOAuthFilterLists hides nothing where McpOAuthACL is Off; write McpOAuthACL On and rules");
    }
    if (location->error && !location->contradiction) {
        report(s, APLOG_STARTUP | APLOG_EMERG, "MCP0950", dir->at,
               effective->owner
                   ? location->error
                   : apr_pstrcat(pconf, location->error,
                                 " (a pattern is judged without other sections: write it here, or at server level)",
                                 NULL));
        return !OK;
    }
    if (location->error) {
        mcp_remark(s, "MCP0953", dir->at,
                   apr_pstrcat(pconf, location->error, " (requests here are refused with 500)", NULL));
        return OK;
    }
    mcp_documents_add(location, effective->owner && dir->path && !strcmp(effective->owner, dir->path), pconf);
    return OK;
}

static int says_mcp_oauth(const server_rec *s)
{
    const apr_array_header_t *sections = vectors_of(s);
    int i, says = 0;

    for (i = 0; i < sections->nelts; i++) {
        const mcp_dir_t *dir = dir_of(APR_ARRAY_IDX(sections, i, ap_conf_vector_t *));

        says |= dir && dir->enabled != MCP_UNSET;
    }
    return says;
}

/* A host that sets up a location and never says McpOAuth protects nothing: worth a word. Sections of the main server may be
 * there for its virtual hosts, which have them in front of their own. */
static void server_remark(server_rec *s, const server_rec *main_server)
{
    const apr_array_header_t *sections = vectors_of(s);
    const server_rec *other;
    int i = s == main_server ? 0 : vectors_of(main_server)->nelts, says = says_mcp_oauth(s);

    for (other = s->next; s == main_server && other; other = other->next) {
        says |= says_mcp_oauth(other);
    }
    for (; !says && i < sections->nelts; i++) {
        const mcp_dir_t *dir = dir_of(APR_ARRAY_IDX(sections, i, ap_conf_vector_t *));

        if (dir && dir->at) {
            mcp_remark(s, "MCP0952", dir->at, "nothing is protected here; write McpOAuth On beside it");
            return;
        }
    }
}

static int issuers_check(server_rec *s, apr_pool_t *p)
{
    apr_hash_index_t *i;
    int result = OK;

    for (i = apr_hash_first(p, mcp_server_of(s)->issuers); i; i = apr_hash_next(i)) {
        const mcp_issuer_conf_t *conf = apr_hash_this_val(i);
        const mcp_issuer_t *issuer = mcp_issuer_obtain(s, conf->name, conf->at);

        if (issuer->error) {
            report(s, APLOG_STARTUP | APLOG_EMERG, "MCP0950", conf->at, issuer->error);
            result = !OK;
        }
    }
    return result;
}

int mcp_check_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp, server_rec *main_server)
{
    server_rec *s;
    int result = OK, i;

    mcp_issuers_reset(pconf);
    mcp_documents_reset(pconf);
    for (s = main_server; s; s = s->next) {
        const apr_array_header_t *sections = mcp_sections_of(s, pconf);

        if (issuers_check(s, ptemp) != OK) {
            result = !OK;
            continue;
        }
        for (i = 0; i < sections->nelts; i++) {
            if (section_check(&APR_ARRAY_IDX(sections, i, mcp_section_t), pconf) != OK) {
                result = !OK;
            }
        }
        server_remark(s, main_server);
    }
    mcp_documents_close(pconf);
    return result;
}
