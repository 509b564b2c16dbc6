#include "httpd/secret.h"

#include <http_core.h>

#include <apr_portable.h>
#include <apr_strings.h>

#include "httpd/check.h"
#include "httpd/setter.h"

#define SECRET_MAX 4096
#define READ_MAX (SECRET_MAX + 3) /* with a line end, and one byte that is too many */

static const char *file_read(char *data, apr_size_t *plen, cmd_parms *cmd, const char *arg)
{
    const char *path = ap_server_root_relative(cmd->temp_pool, arg + 5);
    apr_finfo_t info = { 0 };
    apr_file_t *file, *stream;
    apr_os_file_t fd;
    apr_status_t rv;

    if (!path) {
        FAIL("%s '%s' is not a path; write file:PATH or env:NAME", NAME, arg);
    }
    /* Not blocking: opening a named pipe would wait for its writer. */
    rv = apr_file_open(&file, path, APR_READ | APR_FOPEN_NONBLOCK, APR_OS_DEFAULT, cmd->temp_pool);
    if (rv == APR_SUCCESS) {
        apr_file_info_get(&info, APR_FINFO_PROT, file);
        /* Nor is reading to wait for what its writer may say later; APR has such deadlines for pipes only. */
        apr_os_file_get(&fd, file);
        apr_os_pipe_put(&stream, &fd, cmd->temp_pool);
        apr_file_pipe_timeout_set(stream, 0);
        rv = apr_file_read_full(stream, data, *plen, plen);
        apr_file_close(file);
    }
    if (rv != APR_SUCCESS && !APR_STATUS_IS_EOF(rv)) {
        FAIL("%s: %s cannot be read: %pm", NAME, path, &rv);
    }
    if ((info.valid & APR_FINFO_PROT) && (info.protection & APR_FPROT_WREAD)) {
        mcp_remark(cmd->server, "MCP0963", cmd->directive,
                   apr_psprintf(cmd->pool, "everybody can read %s; write chmod 600 %s", path, path));
    }
    return NULL;
}

const char *mcp_secret_read(mcp_secret_t **psecret, cmd_parms *cmd, const char *arg, apr_size_t least)
{
    const char *value = NULL, *error;
    apr_size_t len = READ_MAX, read;
    mcp_secret_t *secret;
    char *data;

    /* A secret in the configuration itself would stand in backups and in "httpd -t -D DUMP_CONFIG". */
    if (!strncmp(arg, "env:", 4)) {
        if (!arg[4] || !(value = getenv(arg + 4))) {
            FAIL("%s '%s': there is no such variable in httpd's environment; set it there, or write file:PATH", NAME,
                 arg);
        }
        len = strlen(value) < len ? strlen(value) : len;
    }
    else if (strncmp(arg, "file:", 5) || !arg[5]) {
        FAIL("%s does not take the secret itself; write file:PATH or env:NAME", NAME);
    }
    data = apr_pcalloc(cmd->pool, len + 1);
    if (value) {
        memcpy(data, value, len);
    }
    else if ((error = file_read(data, &len, cmd, arg))) {
        return error;
    }
    read = len;
    while (len && (data[len - 1] == '\n' || data[len - 1] == '\r')) {
        data[--len] = '\0';
    }
    if (!len) {
        FAIL("%s: the secret is empty", NAME);
    }
    if (len < least || len > SECRET_MAX || read == READ_MAX) {
        FAIL("%s: the secret has %s than %d bytes; make one with: openssl rand -base64 32", NAME,
             len < least ? "fewer" : "more", len < least ? (int)least : SECRET_MAX);
    }
    if (memchr(data, '\0', len)) {
        FAIL("%s: the secret holds a NUL; write it as text", NAME);
    }
    secret = apr_palloc(cmd->pool, sizeof(*secret));
    secret->data = data;
    secret->len = len;
    *psecret = secret;
    return NULL;
}
