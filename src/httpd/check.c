#include "httpd/check.h"

#include <http_core.h>
#include <http_log.h>

#include <apr_fnmatch.h>
#include <apr_strings.h>

#include "httpd/issuer.h"
#include "httpd/location.h"
#include "httpd/metadata.h"

APLOG_USE_MODULE(mcp_oauth);

int mcp_check_speaks(void)
{
    return ap_state_query(AP_SQ_RUN_MODE) != AP_SQ_RM_NORMAL ||
           ap_state_query(AP_SQ_MAIN_STATE) != AP_SQ_MS_CREATE_PRE_CONFIG;
}

static void report(server_rec *s, int level, const char *id, const ap_directive_t *at, const char *text)
{
    ap_log_error(APLOG_MARK, APLOG_STARTUP | level, 0, s, "%s: %s:%d: %s: %s", id, at ? at->filename : "?",
                 at ? at->line_num : 0, at ? at->directive : "McpOAuth", text);
}

static mcp_dir_t *dir_of(ap_conf_vector_t *section)
{
    return ap_get_module_config(section, &mcp_oauth_module);
}

/* Does the section apply to the very path of another plain one? As httpd's own location walk decides it. */
static int section_applies(const core_dir_config *section, const char *path)
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

/* What httpd merges for a request for the path of section i: the server's own, then each section that applies, in order. */
static mcp_dir_t *effective_make(server_rec *s, const apr_array_header_t *sections, int i, apr_pool_t *p)
{
    ap_conf_vector_t *const *vectors = (ap_conf_vector_t *const *)sections->elts;
    const core_dir_config *here = ap_get_core_module_config(vectors[i]);
    mcp_dir_t *effective = dir_of(s->lookup_defaults);
    int j;

    for (j = 0; j < sections->nelts; j++) {
        mcp_dir_t *dir = dir_of(vectors[j]);
        const core_dir_config *core = ap_get_core_module_config(vectors[j]);
        /* A pattern has no path of its own: it is judged over the server's settings alone. */
        int applies = here->r || here->d_is_fnmatch ? j == i : j == i || section_applies(core, here->d);

        if (dir && applies) {
            effective = effective ? mcp_dir_merge(p, effective, dir) : dir;
        }
    }
    return effective;
}

/* A contradiction of one section is an error; one that several sections make together is refused per request. */
static int contradicts_alone(const mcp_dir_t *dir)
{
    return dir->inspect == 0 && dir->acl > MCP_ACL_OFF;
}

static int section_check(server_rec *s, const apr_array_header_t *sections, int i, apr_pool_t *pconf)
{
    mcp_dir_t *dir = dir_of(APR_ARRAY_IDX(sections, i, ap_conf_vector_t *)), *effective;
    mcp_location_t *location;

    if (!dir) {
        return OK;
    }
    if (contradicts_alone(dir)) {
        report(s, APLOG_EMERG, "MCP0950", dir->at,
               "McpOAuthACL needs the bodies that McpOAuthInspect Off leaves unread; write McpOAuthInspect On or "
               "McpOAuthACL Off");
        return !OK;
    }
    effective = effective_make(s, sections, i, pconf);
    if (effective->enabled != 1) {
        return OK;
    }
    location = mcp_location_make(effective, s, 1, pconf);
    if (location->error && !location->contradiction) {
        report(s, APLOG_EMERG, "MCP0950", dir->at, location->error);
        return !OK;
    }
    if (location->error) {
        if (mcp_check_speaks()) {
            report(s, APLOG_WARNING, "MCP0953", dir->at,
                   apr_pstrcat(pconf, location->error, " (requests here are refused with 500)", NULL));
        }
        return OK;
    }
    mcp_documents_add(location, effective->owner && dir->path && !strcmp(effective->owner, dir->path), pconf);
    return OK;
}

/* A host that sets up a location and never says McpOAuth On protects nothing: worth a word. */
static void server_remark(server_rec *s, const apr_array_header_t *sections)
{
    const mcp_dir_t *first = NULL;
    int i;

    for (i = 0; i < sections->nelts; i++) {
        const mcp_dir_t *dir = dir_of(APR_ARRAY_IDX(sections, i, ap_conf_vector_t *));

        if (dir && dir->enabled != MCP_UNSET) {
            return;
        }
        first = first ? first : dir;
    }
    if (first && first->at && mcp_check_speaks()) {
        report(s, APLOG_WARNING, "MCP0952", first->at, "nothing is protected here; write McpOAuth On beside it");
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
            report(s, APLOG_EMERG, "MCP0950", conf->at, issuer->error);
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
        const core_server_config *core = ap_get_core_module_config(s->module_config);
        const apr_array_header_t *sections = core->sec_url;

        if (issuers_check(s, ptemp) != OK) {
            result = !OK;
            continue;
        }
        for (i = 0; i < sections->nelts; i++) {
            if (section_check(s, sections, i, pconf) != OK) {
                result = !OK;
            }
        }
        server_remark(s, sections);
    }
    mcp_documents_close(pconf);
    return result;
}
