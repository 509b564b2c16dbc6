#include "verify/report.h"

#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64url.h"
#include "base/json.h"
#include "base/limits.h"

#define DEL 0x7f

/* One part of the token as JSON: header and claims of what is refused are read here, however bad the rest is. */
static json_t *part_read(const char *part, apr_size_t len, apr_pool_t *p)
{
    unsigned char *data = apr_palloc(p, MCP_BASE64_DECODED_MAX(len));
    json_t *json;

    if (!mcp_base64url_decode(data, &len, part, len) ||
        mcp_json_parse_object(&json, (const char *)data, len, MCP_LIMIT_JOSE_DEPTH, p) != MCP_OK) {
        return json_null();
    }
    return json_incref(json);
}

/* Header and claims, also of a token that lacks its last part. */
static void parts_read(json_t **pheader, json_t **pclaims, const char *token, apr_size_t len, apr_pool_t *p)
{
    const char *end = token + len, *dot1 = memchr(token, '.', len), *dot2;

    *pheader = dot1 ? part_read(token, (apr_size_t)(dot1 - token), p) : json_null();
    *pclaims = json_null();
    if (dot1) {
        dot2 = memchr(dot1 + 1, '.', (apr_size_t)(end - dot1 - 1));
        *pclaims = part_read(dot1 + 1, (apr_size_t)((dot2 ? dot2 : end) - dot1 - 1), p);
    }
}

static void check_add(json_t *checks, const char *name, const mcp_check_t *check)
{
    static const char *const outcomes[] = { "skipped", "passed", "failed" };
    json_t *entry = json_object();

    json_object_set_new(entry, "check", json_string(name));
    json_object_set_new(entry, "outcome", json_string(outcomes[check->outcome]));
    if (check->detail) {
        json_t *detail = json_string(check->detail);

        /* It can hold a URL of the command line, and that need not be UTF-8. */
        json_object_set_new(entry, "detail", detail ? detail : json_string("The cause cannot be shown"));
    }
    json_array_append_new(checks, entry);
}

static json_t *checks_make(const mcp_verdict_t *verdict, int with_scope)
{
    json_t *checks = json_array();
    int step;

    for (step = 0; step < MCP_STEP_DONE; step++) {
        check_add(checks, mcp_token_step_name((mcp_token_step_t)step), &verdict->steps[step]);
    }
    if (with_scope) {
        check_add(checks, "scope", &verdict->scope);
    }
    return checks;
}

static apr_status_t report_release(void *data)
{
    json_decref(data);
    return APR_SUCCESS;
}

json_t *mcp_report_make(const mcp_verdict_t *verdict, int with_scope, const char *token, apr_size_t len, apr_pool_t *p)
{
    json_t *report = json_object(), *header, *claims;
    int verified = verdict->steps[MCP_STEP_SIGNATURE].outcome == MCP_CHECK_PASSED;

    if (!report) {
        return NULL;
    }
    apr_pool_cleanup_register(p, report, report_release, apr_pool_cleanup_null);
    parts_read(&header, &claims, token, len, p);
    if (json_object_set_new(report, "valid", json_boolean(verdict->status == MCP_OK)) ||
        json_object_set_new(report, "reason", json_string(mcp_status_info(verdict->status)->slug)) ||
        json_object_set_new(report, "verified", json_boolean(verified)) ||
        json_object_set_new(report, "checks", checks_make(verdict, with_scope)) ||
        json_object_set_new(report, "header", header) || json_object_set_new(report, "claims", claims)) {
        return NULL;
    }
    return report;
}

const char *mcp_report_text(const json_t *report, apr_pool_t *p)
{
    char *dump = json_dumps(report, JSON_INDENT(2) | JSON_ENSURE_ASCII), *text, *to;
    const char *from;

    if (!dump) {
        return NULL;
    }
    to = text = apr_palloc(p, 6 * strlen(dump) + 1);
    for (from = dump; *from; from++) {
        if (*from == DEL) { /* jansson writes it as it is; it stands in strings only */
            memcpy(to, "\\u007f", 6);
            to += 6;
        }
        else {
            *to++ = *from;
        }
    }
    *to = '\0';
    free(dump);
    return text;
}
