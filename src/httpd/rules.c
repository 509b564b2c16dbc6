/* The setters of access rules and of rate limits. */
#include "httpd/setter.h"

#include <apr_lib.h>

#include "httpd/check.h"
#include "httpd/limit.h"
#include "policy/acl.h"

#define RATE_COUNT_MAX 1000000
#define RATE_PERIOD_MAX apr_time_from_sec(31 * 86400)

static const char *operations_check(cmd_parms *cmd, int count, char *const operations[])
{
    const char *warning, *error;
    int i;

    for (i = 0; i < count; i++) {
        if ((error = mcp_acl_check_operation(&warning, operations[i], cmd->pool))) {
            FAIL("%s: %s", NAME, error);
        }
        if (warning) {
            mcp_remark(cmd->server, "MCP0951", cmd->directive, warning);
        }
    }
    return NULL;
}

const char *mcp_set_acl(cmd_parms *cmd, void *v, const char *arg)
{
    mcp_dir_t *dir = v;

    PLACE(MCP_IN_DIR);
    if (!strcasecmp(arg, "On")) {
        dir->acl = MCP_ACL_ON;
    }
    else if (!strcasecmp(arg, "Off")) {
        dir->acl = MCP_ACL_OFF;
    }
    else if (!strcasecmp(arg, "Shadow")) {
        dir->acl = MCP_ACL_SHADOW;
    }
    else {
        FAIL("%s '%s' is unknown; write On, Off or Shadow", NAME, arg);
    }
    return NULL;
}

const char *mcp_set_allow(cmd_parms *cmd, void *v, int argc, char *const argv[])
{
    mcp_dir_t *dir = v;
    const char *error;
    mcp_allow_t *allow;

    PLACE(MCP_IN_DIR);
    ARGS(2, "the values that are needed, or *, and at least one operation: McpOAuthAllow \"mcp:tools\" tools/list");
    if (!*(argv[0] + strspn(argv[0], " "))) {
        FAIL("%s names no value; write the values that are needed, or * for any valid token", NAME);
    }
    if ((error = operations_check(cmd, argc - 1, argv + 1))) {
        return error;
    }
    if (!dir->allows) {
        dir->allows = apr_array_make(cmd->pool, 8, sizeof(mcp_allow_t));
    }
    allow = apr_array_push(dir->allows);
    allow->values = argv[0];
    allow->operations = mcp_setter_list(cmd, NULL, argc - 1, argv + 1);
    allow->at = cmd->directive;
    return NULL;
}

const char *mcp_set_implies(cmd_parms *cmd, void *v, int argc, char *const argv[])
{
    mcp_dir_t *dir = v;
    mcp_implies_t *implies;
    int i;

    PLACE(MCP_IN_DIR);
    ARGS(2, "a value and at least one that it implies");
    for (i = 0; i < argc; i++) {
        if (strchr(argv[i], ' ') || !strcmp(argv[i], "*")) {
            FAIL("%s '%s' is not one value; write one value per argument", NAME, argv[i]);
        }
    }
    if (!dir->implies) {
        dir->implies = apr_array_make(cmd->pool, 4, sizeof(mcp_implies_t));
    }
    for (i = 1; i < argc; i++) {
        implies = apr_array_push(dir->implies);
        implies->value = argv[0];
        implies->implied = argv[i];
    }
    return NULL;
}

static const char *rate_parse(cmd_parms *cmd, mcp_rate_t *rate, const char *text)
{
    char *slash;
    apr_int64_t count = apr_strtoi64(text, &slash, 10);

    if (!apr_isdigit(*text) || *slash != '/' || count < 1 || count > RATE_COUNT_MAX) {
        FAIL("%s '%s' is not N/DURATION with N from 1 to %d; write one such as 60/1min", NAME, text, RATE_COUNT_MAX);
    }
    rate->count = (int)count;
    return mcp_setter_duration(cmd, slash + 1, apr_time_from_sec(1), RATE_PERIOD_MAX, &rate->period);
}

const char *mcp_set_rate_limit(cmd_parms *cmd, void *v, int argc, char *const argv[])
{
    static char *const everything[] = { "*" };
    mcp_dir_t *dir = v;
    mcp_rate_limit_t *limit;
    const char *error;
    mcp_rate_t rate;

    PLACE(MCP_IN_DIR);
    ARGS(1, "N/DURATION, and operations if it is not for all: McpOAuthRateLimit 60/1min tools/call");
    if ((error = rate_parse(cmd, &rate, argv[0])) || (error = operations_check(cmd, argc - 1, argv + 1))) {
        return error;
    }
    if (!dir->rate_limits) {
        dir->rate_limits = apr_array_make(cmd->pool, 4, sizeof(mcp_rate_limit_t));
    }
    limit = apr_array_push(dir->rate_limits);
    limit->text = argv[0];
    limit->rate = rate;
    limit->operations =
        argc > 1 ? mcp_setter_list(cmd, NULL, argc - 1, argv + 1) : mcp_setter_list(cmd, NULL, 1, everything);
    mcp_limit_wanted();
    return NULL;
}
