#include "verify/input.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BEARER_LEN 6

static const char *read_all(const char **pdata, apr_size_t *plen, FILE *file, apr_size_t most, apr_pool_t *p)
{
    char *data = apr_palloc(p, most + 2);

    *plen = fread(data, 1, most + 1, file);
    data[*plen] = '\0';
    *pdata = data;
    return ferror(file) ? apr_pstrdup(p, strerror(errno)) : NULL;
}

const char *mcp_input_read(const char **pdata, apr_size_t *plen, const char *path, apr_size_t most, apr_pool_t *p)
{
    FILE *file = path ? fopen(path, "rb") : stdin;
    const char *reason;

    *pdata = "";
    *plen = 0;
    if (!file) {
        return apr_pstrdup(p, strerror(errno));
    }
    reason = read_all(pdata, plen, file, most, p);
    if (path) {
        fclose(file);
    }
    return reason;
}

static void spaces_skip(const char **ptext, apr_size_t *plen)
{
    while (*plen && apr_isspace(**ptext)) {
        (*ptext)++;
        (*plen)--;
    }
}

void mcp_input_trim(const char **ptoken, apr_size_t *plen)
{
    spaces_skip(ptoken, plen);
    while (*plen && apr_isspace((*ptoken)[*plen - 1])) {
        (*plen)--;
    }
    if (*plen > BEARER_LEN && !strncasecmp(*ptoken, "Bearer", BEARER_LEN) && (*ptoken)[BEARER_LEN] == ' ') {
        *ptoken += BEARER_LEN;
        *plen -= BEARER_LEN;
        spaces_skip(ptoken, plen);
    }
}
