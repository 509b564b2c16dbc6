/* Strict JSON and JSON read in place: two readers of one text, which have to agree with each other and with jansson. */
#include "fuzz.h"

#include "base/json.h"
#include "base/jsoncheck.h"
#include "base/jsontext.h"
#include "base/limits.h"

#define DEPTH 24

static int depth_of(const json_t *json)
{
    const char *key;
    json_t *value;
    size_t i;
    int deepest = 0;

    json_object_foreach((json_t *)json, key, value)
    {
        int depth = depth_of(value);
        deepest = depth > deepest ? depth : deepest;
    }
    json_array_foreach(json, i, value)
    {
        int depth = depth_of(value);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + (json_is_object(json) || json_is_array(json));
}

static void compare(const json_t *json, mcp_span_t span, const mcp_jsonmap_t *map, apr_pool_t *p);

static void compare_object(const json_t *json, mcp_span_t span, const mcp_jsonmap_t *map, apr_pool_t *p)
{
    mcp_span_t key, value;
    mcp_jsonwalk_t walk;
    size_t count = 0;

    MUST(mcp_jsonwalk_open(&walk, span, map) == '{');
    while (mcp_jsonwalk_next(&key, &value, &walk)) {
        const char *name = mcp_jsontext_key(key, p);
        const json_t *member;

        MUST(name && (member = json_object_get(json, name)));
        MUST(mcp_jsontext_is(key, name));
        compare(member, value, map, p);
        count++;
    }
    MUST(count == json_object_size(json));
}

static void compare_array(const json_t *json, mcp_span_t span, const mcp_jsonmap_t *map, apr_pool_t *p)
{
    mcp_jsonwalk_t walk;
    mcp_span_t key, value;
    size_t count = 0;

    MUST(mcp_jsonwalk_open(&walk, span, map) == '[');
    while (mcp_jsonwalk_next(&key, &value, &walk)) {
        MUST(!key.text);
        compare(json_array_get(json, count++), value, map, p);
    }
    MUST(count == json_array_size(json));
}

/* Does the text at span say what jansson made of it? */
static void compare(const json_t *json, mcp_span_t span, const mcp_jsonmap_t *map, apr_pool_t *p)
{
    const char *text = mcp_jsontext_string(span, p);
    mcp_jsonwalk_t walk;

    MUST(json && span.len);
    MUST(!text == !json_is_string(json));
    MUST(!text || (strlen(text) == json_string_length(json) && !strcmp(text, json_string_value(json))));
    if (json_is_object(json)) {
        compare_object(json, span, map, p);
    }
    else if (json_is_array(json)) {
        compare_array(json, span, map, p);
    }
    else {
        MUST(!mcp_jsonwalk_open(&walk, span, map));
    }
}

/* The same with white space around it is the same. */
static void check_spaces(const json_t *json, const char *data, size_t len, apr_pool_t *p)
{
    const char *spaced = apr_pstrcat(p, " \t\r\n", apr_pstrmemdup(p, data, len), "\n\r\t ", NULL);
    json_t *again;

    MUST(mcp_json_parse(&again, spaced, strlen(spaced), DEPTH, p) == MCP_OK && json_equal(json, again));
}

static void check_accepted(json_t *json, const char *data, size_t len, apr_pool_t *p)
{
    json_t *again, *loose;
    mcp_span_t span, strict;
    mcp_jsonmap_t map = { .p = p };

    MUST(!memchr(data, 0, len) && fuzz_is_utf8(data, len) && depth_of(json) <= DEPTH);
    MUST(mcp_jsoncheck_grammar(&span, data, len, DEPTH, &map));
    MUST(mcp_jsoncheck_strict(&strict, data, len, DEPTH, NULL) == MCP_OK && strict.text == span.text &&
         strict.len == span.len);
    MUST(span.text >= data && span.text + span.len <= data + len);
    compare(json, span, NULL, p);
    compare(json, span, &map, p);
    check_spaces(json, data, len, p);
    loose = fuzz_json(data, len, p); /* nothing but an integer that is too long for it is read otherwise */
    MUST(!loose || json_equal(loose, json));
    MUST((mcp_json_parse_object(&again, data, len, DEPTH, p) == MCP_OK) == json_is_object(json));
    MUST(depth_of(json) == 0 || mcp_json_parse(&again, data, len, depth_of(json) - 1, p) == MCP_JSON_DEPTH);
}

static void check_refused(mcp_status_t status, const char *data, size_t len, apr_pool_t *p)
{
    json_t *plain = json_loadb(data, len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL), *object;

    /* Not stricter than it says it is. */
    MUST(!plain || memchr(data, 0, len) || depth_of(plain) > DEPTH || len >= MCP_LIMIT_VALUES ||
         (len >= 3 && !memcmp(data, "\xEF\xBB\xBF", 3)));
    json_decref(plain);
    MUST(status == MCP_JSON_TEXT || status == MCP_JSON_DEPTH || status == MCP_JSON_VALUES ||
         status == MCP_JSON_DUPLICATE || status == MCP_JSON_NUMBER || status == MCP_JSON_SYNTAX);
    MUST(mcp_json_parse_object(&object, data, len, DEPTH, p) == status && !object);
}

/* A string read alone, also one that nothing has accepted. */
static void check_string(const char *data, size_t len, apr_pool_t *p)
{
    mcp_span_t span = { data, len }, value;
    const char *end, *text;

    if (!len || *data != '"') {
        return;
    }
    end = mcp_jsontext_skip(data, data + len);
    MUST(end > data && end <= data + len);
    span.len = (size_t)(end - data);
    if (mcp_jsoncheck_grammar(&value, data, span.len, 1, NULL)) {
        json_t *json = json_loadb(data, span.len, JSON_DECODE_ANY, NULL);

        text = mcp_jsontext_string(span, p);
        MUST(!text == !json && (!json || !strcmp(text, json_string_value(json))));
        json_decref(json);
    }
}

static void check_variants(const char *data, size_t len, apr_pool_t *p)
{
    const char *key = fuzz_text(data, len, p), *names[] = { "task", "result", "jsonrpc", "" };

    MUST(!mcp_json_is_variant(key, key));
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        MUST(mcp_json_is_variant(key, names[i]) == mcp_json_is_variant(names[i], key));
        MUST(!(strcasecmp(key, names[i]) == 0 && strcmp(key, names[i])) || mcp_json_is_variant(key, names[i]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p = fuzz_pool();
    const char *text = fuzz_bytes(data, size, p);
    mcp_status_t status;
    json_t *json;

    status = mcp_json_parse(&json, text, size, DEPTH, p);
    MUST((status == MCP_OK) == (json != NULL));
    if (json) {
        check_accepted(json, text, size, p);
    }
    else {
        check_refused(status, text, size, p);
    }
    check_string(text, size, p);
    check_variants(text, size, p);
    apr_pool_destroy(p);
    return 0;
}
