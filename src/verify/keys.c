#include "verify/keys.h"

#include <apr_strings.h>
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "keys/keysource.h"
#include "net/http.h"
#include "verify/input.h"

/* Is it one key (RFC 7517 section 4) and not a set of them? */
static int is_single(const char *text, apr_size_t len, apr_pool_t *p)
{
    json_t *key;

    return len <= MCP_LIMIT_DOCUMENT && mcp_json_parse_object(&key, text, len, MCP_LIMIT_DOC_DEPTH, p) == MCP_OK &&
           json_object_get(key, "kty") && !json_object_get(key, "keys");
}

/* Not by mcp_keysource_fetch, which takes regular files only: a pipe is fine here. */
static const char *keys_read(mcp_keyset_t **pset, const char *path, apr_pool_t *p)
{
    const char *text, *reason;
    apr_size_t len;

    reason = mcp_input_read(&text, &len, path, MCP_LIMIT_DOCUMENT, p);
    if (reason) {
        return apr_pstrcat(p, "the file of the key set cannot be read: ", reason, NULL);
    }
    if (is_single(text, len, p)) {
        text = apr_pstrcat(p, "{\"keys\":[", text, "]}", NULL);
        len = strlen(text);
    }
    return mcp_keyset_parse(pset, text, len);
}

static const char *keys_fetch(mcp_keyset_t **pset, const mcp_options_t *options, apr_pool_t *p)
{
    mcp_keysource_t source = { .issuer = options->issuer,
                               .url = options->jwks,
                               .ca_file = options->ca_file,
                               .allow_http = options->allow_http,
                               .timeout = options->timeout };
    mcp_keysource_answer_t answer;
    const char *reason;

    if (mcp_http_curl_init() != APR_SUCCESS) {
        return "libcurl failed";
    }
    reason = mcp_keysource_fetch(&answer, &source, NULL, NULL, mcp_http_curl(), NULL, NULL, apr_time_now(), p);
    *pset = answer.set;
    return reason;
}

const char *mcp_verify_keys(mcp_keyset_t **pset, const mcp_options_t *options, apr_pool_t *p)
{
    const char *path = options->jwks, *reason;

    *pset = NULL;
    if (!path || strstr(path, "://")) {
        reason = keys_fetch(pset, options, p);
    }
    else {
        reason = keys_read(pset, strncmp(path, "file:", 5) ? path : path + 5, p);
    }
    return reason || *pset ? reason : "there is no key set";
}
