#include "verify/options.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "policy/scope.h"
#include "token/jws.h"
#include "token/token.h"

#define NAME_MAX_SHOWN 24
#define SKEW_MAX 600 /* seconds, as McpOAuthClockSkew */
#define TIMEOUT_MAX 300

/* Seconds with an optional fraction, most at most. Returns 0 for anything else. */
static int seconds_parse(apr_time_t *ptime, const char *text, apr_int64_t most)
{
    apr_int64_t whole = 0, micro = 0, unit = 100000;
    const char *c;

    for (c = text; apr_isdigit(*c) && whole <= most; c++) {
        whole = whole * 10 + (*c - '0');
    }
    if (c == text || whole > most) {
        return 0;
    }
    if (*c == '.' && apr_isdigit(c[1])) {
        for (c++; apr_isdigit(*c); c++, unit /= 10) {
            micro += (*c - '0') * unit;
        }
    }
    *ptime = apr_time_from_sec(whole) + micro;
    return !*c;
}

/* The words of a list with commas or white space between them, appended. */
static void words_add(apr_array_header_t *words, const char *text, apr_pool_t *p)
{
    char *last = NULL, *word;

    for (word = apr_strtok(apr_pstrdup(p, text), ", \t\r\n", &last); word; word = apr_strtok(NULL, ", \t\r\n", &last)) {
        APR_ARRAY_PUSH(words, const char *) = word;
    }
}

static apr_array_header_t *words_of(const char *text, apr_pool_t *p)
{
    apr_array_header_t *words = apr_array_make(p, 4, sizeof(const char *));

    words_add(words, text, p);
    return words;
}

static const char *set_issuer(mcp_options_t *options, const char *value, apr_pool_t *p)
{
    options->issuer = value;
    return NULL;
}

static const char *set_audience(mcp_options_t *options, const char *value, apr_pool_t *p)
{
    APR_ARRAY_PUSH(options->audiences, const char *) = value;
    return NULL;
}

static const char *set_match(mcp_options_t *options, const char *value, apr_pool_t *p)
{
    options->hierarchical = !strcmp(value, "hierarchical");
    return options->hierarchical || !strcmp(value, "exact") ? NULL : "--audience-match is exact or hierarchical";
}

static const char *set_scope(mcp_options_t *options, const char *value, apr_pool_t *p)
{
    apr_array_header_t *words = words_of(value, p);
    int i;

    for (i = 0; i < words->nelts; i++) {
        if (!mcp_scope_valid(APR_ARRAY_IDX(words, i, const char *))) {
            return "--scope takes scope values (RFC 6749 section 3.3), with spaces or commas between them";
        }
    }
    apr_array_cat(options->scopes, words);
    return words->nelts ? NULL : "--scope needs at least one scope value";
}

static const char *set_jwks(mcp_options_t *options, const char *value, apr_pool_t *p)
{
    options->jwks = value;
    return NULL;
}

static const char *set_ca_file(mcp_options_t *options, const char *value, apr_pool_t *p)
{
    options->ca_file = value;
    return NULL;
}

static const char *set_algorithms(mcp_options_t *options, const char *value, apr_pool_t *p)
{
    apr_array_header_t *words = words_of(value, p);
    int i;

    for (i = 0; i < words->nelts; i++) {
        const char *name = APR_ARRAY_IDX(words, i, const char *);
        const mcp_alg_info_t *alg = mcp_alg_find(name, strlen(name));

        if (!alg) {
            return "--algorithms takes some of RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519 "
                   "Ed448 "
                   "(\"none\" and the HS family never verify a token here)";
        }
        options->algs |= MCP_ALG_BIT(alg->alg);
    }
    return words->nelts ? NULL : "--algorithms needs at least one algorithm, such as RS256";
}

static const char *set_type(mcp_options_t *options, const char *value, apr_pool_t *p)
{
    apr_array_header_t *words = words_of(value, p);
    int i;

    for (i = 0; i < words->nelts; i++) {
        const char *word = APR_ARRAY_IDX(words, i, const char *);

        if (!strcasecmp(word, "at+jwt") || !strcasecmp(word, "application/at+jwt")) {
            options->types |= MCP_TYPE_AT_JWT;
        }
        else if (!strcasecmp(word, "JWT")) {
            options->types |= MCP_TYPE_JWT;
        }
        else if (!strcasecmp(word, "none")) {
            options->types |= MCP_TYPE_NONE;
        }
        else {
            return "--type takes some of at+jwt, JWT, none (no typ in the header)";
        }
    }
    return words->nelts ? NULL : "--type needs at least one of at+jwt, JWT, none";
}

static const char *set_now(mcp_options_t *options, const char *value, apr_pool_t *p)
{
    return seconds_parse(&options->now, value, (apr_int64_t)MCP_LIMIT_TIME)
               ? NULL
               : "--now takes seconds since 1970-01-01T00:00:00Z, up to the year 9999";
}

static const char *set_skew(mcp_options_t *options, const char *value, apr_pool_t *p)
{
    return seconds_parse(&options->skew, value, SKEW_MAX) ? NULL : "--skew takes seconds, 600 at most";
}

static const char *set_timeout(mcp_options_t *options, const char *value, apr_pool_t *p)
{
    return seconds_parse(&options->timeout, value, TIMEOUT_MAX) && options->timeout > 0
               ? NULL
               : "--timeout takes seconds, more than 0 and 300 at most";
}

/* With a value or, where set is NULL, without one. */
typedef struct option_t {
    const char *name;
    const char *(*set)(mcp_options_t *options, const char *value, apr_pool_t *p);
    apr_size_t flag;
} option_t;

static const option_t table[] = {
    { "issuer", set_issuer, 0 },
    { "audience", set_audience, 0 },
    { "audience-match", set_match, 0 },
    { "jwks", set_jwks, 0 },
    { "algorithms", set_algorithms, 0 },
    { "type", set_type, 0 },
    { "scope", set_scope, 0 },
    { "now", set_now, 0 },
    { "skew", set_skew, 0 },
    { "ca-file", set_ca_file, 0 },
    { "timeout", set_timeout, 0 },
    { "signature-only", NULL, offsetof(mcp_options_t, signature_only) },
    { "allow-http", NULL, offsetof(mcp_options_t, allow_http) },
    { "help", NULL, offsetof(mcp_options_t, help) },
    { "version", NULL, offsetof(mcp_options_t, version) },
};

static const option_t *option_find(const char *name, apr_size_t len)
{
    apr_size_t i;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strlen(table[i].name) == len && !memcmp(table[i].name, name, len)) {
            return &table[i];
        }
    }
    return NULL;
}

/* Only what looks like the name of an option is repeated. */
static const char *option_unknown(const char *name, apr_size_t len, apr_pool_t *p)
{
    return len && len <= NAME_MAX_SHOWN && strspn(name, "abcdefghijklmnopqrstuvwxyz-") >= len
               ? apr_psprintf(p, "there is no option --%.*s", (int)len, name)
               : "there is an unknown option";
}

/* argv[*pi] begins with "--" and is more than that; *pi is moved to the value if that is the next argument. */
static const char *option_take(mcp_options_t *options, int *pi, int argc, const char *const argv[], apr_pool_t *p)
{
    const char *name = argv[*pi] + 2, *value = strchr(name, '=');
    apr_size_t len = value ? (apr_size_t)(value - name) : strlen(name);
    const option_t *option = option_find(name, len);

    if (!option) {
        return option_unknown(name, len, p);
    }
    if (!option->set) {
        *(int *)((char *)options + option->flag) = 1;
        return value ? apr_psprintf(p, "--%s takes no value", option->name) : NULL;
    }
    if (value) {
        value++;
    }
    else if (++*pi < argc) {
        value = argv[*pi];
    }
    return value && *value ? option->set(options, value, p) : apr_psprintf(p, "--%s needs a value", option->name);
}

/* Other users of the machine can see command lines, and so does the shell's history. */
static int has_token(int argc, const char *const argv[], apr_pool_t *p)
{
    int i;

    for (i = 0; i < argc; i++) {
        const char *arg = argv[i], *value = strncmp(arg, "--", 2) ? NULL : strchr(arg, '=');

        arg = value ? value + 1 : arg;
        arg += strncasecmp(arg, "Bearer ", 7) ? 0 : 7;
        if (mcp_jws_is(arg, strlen(arg), p)) {
            return 1;
        }
    }
    return 0;
}

static const char *completeness_check(const mcp_options_t *options)
{
    if (options->signature_only) {
        return options->jwks ? NULL : "--signature-only needs --jwks";
    }
    if (!options->issuer) {
        return "--issuer is missing: the exact iss that the token must have";
    }
    return options->audiences->nelts ? NULL : "--audience is missing: the URL of the server that the token must be for";
}

const char *mcp_options_parse(mcp_options_t *options, int argc, const char *const argv[], apr_time_t now, apr_pool_t *p)
{
    const char *wrong = NULL;
    int i, files = 0, only_files = 0;

    memset(options, 0, sizeof(*options));
    options->audiences = apr_array_make(p, 2, sizeof(const char *));
    options->scopes = apr_array_make(p, 2, sizeof(const char *));
    options->now = now;
    options->skew = apr_time_from_sec(60);
    options->timeout = apr_time_from_sec(10);
    if (has_token(argc, argv, p)) {
        return "a token does not belong on the command line, where others can see it: give it on standard input, or in "
               "a "
               "file";
    }
    for (i = 0; i < argc && !wrong; i++) {
        if (only_files || argv[i][0] != '-' || !argv[i][1]) {
            options->file = strcmp(argv[i], "-") || only_files ? argv[i] : NULL;
            wrong = files++ ? "there is more than one FILE" : NULL;
        }
        else if (!strcmp(argv[i], "--")) {
            only_files = 1;
        }
        else if (!strcmp(argv[i], "-h")) {
            options->help = 1;
        }
        else {
            wrong = strncmp(argv[i], "--", 2) ? "options begin with --" : option_take(options, &i, argc, argv, p);
        }
    }
    return wrong || options->help || options->version ? wrong : completeness_check(options);
}
