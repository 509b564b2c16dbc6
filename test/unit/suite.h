/* The files of JSONTestSuite, each handed to a judge. */
#ifndef SUITE_H
#define SUITE_H

#include <apr_file_io.h>
#include <apr_strings.h>
#include <stdlib.h>

#include "tap.h"

/* name: y_ must be accepted, n_ refused, i_ is left open. data is malloc'ed without a byte to spare. */
typedef void suite_judge_t(const char *name, const char *data, apr_size_t len);

static void suite_file(suite_judge_t *judge, const char *path, const char *name, apr_pool_t *p)
{
    apr_file_t *file;
    apr_finfo_t info;
    apr_size_t len;
    char *data;

    if (apr_file_open(&file, path, APR_READ | APR_BINARY, 0, p) || apr_file_info_get(&info, APR_FINFO_SIZE, file)) {
        OK(0, "%s cannot be read", name);
        return;
    }
    data = malloc((size_t)info.size + !info.size);
    if (apr_file_read_full(file, data, (apr_size_t)info.size, &len)) {
        len = 0;
    }
    apr_file_close(file);
    judge(name, data, len);
    free(data);
}

static void suite_judge(suite_judge_t *judge, apr_pool_t *p)
{
    const char *vectors = getenv("MCP_VECTORS"), *top = getenv("srcdir"), *path;
    apr_dir_t *dir;
    apr_finfo_t info;
    int count = 0;

    path = vectors ? vectors : apr_pstrcat(p, top ? top : ".", "/../shared/vectors", NULL);
    path = apr_pstrcat(p, path, "/json_test_suite/test_parsing", NULL);
    if (apr_dir_open(&dir, path, p) != APR_SUCCESS) {
        printf("# JSONTestSuite is not here\n");
        return;
    }
    while (apr_dir_read(&info, APR_FINFO_NAME, dir) == APR_SUCCESS) {
        apr_size_t len = strlen(info.name);

        if (len > 5 && !strcmp(info.name + len - 5, ".json")) {
            suite_file(judge, apr_pstrcat(p, path, "/", info.name, NULL), info.name, p);
            count++;
        }
    }
    apr_dir_close(dir);
    OK(count >= 300, "JSONTestSuite is complete: %d files", count);
}

#endif
