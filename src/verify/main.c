/* mcp-oauth-verify: would this access token be accepted, and if not, why? */
#include <apr_general.h>
#include <apr_signal.h>
#include <apr_strings.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/limits.h"
#include "verify/input.h"
#include "verify/options.h"
#include "verify/report.h"
#include "verify/verdict.h"

enum { EXIT_VALID, EXIT_REFUSED, EXIT_WRONG_USE };

static const char usage[] =
    "usage: mcp-oauth-verify --issuer ISS --audience AUD [OPTION]... [FILE]\n"
    "       mcp-oauth-verify --signature-only --jwks FILE|URL [FILE]\n"
    "\n"
    "Judges the access token in FILE (default: standard input) as mod_mcp_oauth does, and prints each check as JSON.\n"
    "\n"
    "  --issuer ISS            the exact iss of the token\n"
    "  --audience AUD          what aud must hold; repeatable: one of them\n"
    "  --audience-match HOW    exact (default) or hierarchical\n"
    "  --jwks FILE|URL         the issuer's key set, or a file with one key; default: discovered at ISS\n"
    "  --algorithms LIST       accepted algorithms (default: as McpOAuthAlgorithms)\n"
    "  --type LIST             accepted typ: at+jwt, JWT, none (default: all of them)\n"
    "  --scope LIST            scopes that must be there; repeatable: all of them\n"
    "  --now SECONDS           the time to judge for, since 1970 (default: now)\n"
    "  --skew SECONDS          tolerance for exp, nbf and iat (default: 60)\n"
    "  --signature-only        check the JWS and its signature, and nothing else\n"
    "  --ca-file FILE          PEM file of the certificates to trust\n"
    "  --allow-http            fetch by plain http from hosts other than loopback\n"
    "  --timeout SECONDS       for fetching the keys (default: 10)\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 the token is valid, 1 it is refused, 2 wrong use.\n";

static int out_of_memory(int retcode)
{
    fputs("mcp-oauth-verify: out of memory\n", stderr);
    exit(EXIT_WRONG_USE);
}

static int complain(const char *what)
{
    fprintf(stderr, "mcp-oauth-verify: %s\n", what);
    return EXIT_WRONG_USE;
}

/* Has the text been written whole? */
static int say(const char *text)
{
    return fputs(text, stdout) != EOF && fflush(stdout) != EOF;
}

static int judge(const mcp_options_t *options, apr_pool_t *p)
{
    const char *token, *text, *reason;
    mcp_verdict_t verdict;
    json_t *report;
    apr_size_t len;

    reason = mcp_input_read(&token, &len, options->file, MCP_LIMIT_DOCUMENT, p);
    if (reason) {
        return complain(apr_pstrcat(p, "the token cannot be read: ", reason, NULL));
    }
    if (len <= MCP_LIMIT_DOCUMENT) { /* else it is too long in any case */
        mcp_input_trim(&token, &len);
    }
    mcp_verdict_reach(&verdict, token, len, options, p);
    report = mcp_report_make(&verdict, options->scopes->nelts > 0, token, len, p);
    text = report ? mcp_report_text(report, p) : NULL;
    if (!text || !say(text) || !say("\n")) {
        return complain("the report cannot be written");
    }
    return verdict.status == MCP_OK ? EXIT_VALID : EXIT_REFUSED;
}

static int run(int argc, const char *const argv[], apr_pool_t *p)
{
    mcp_options_t options;
    const char *wrong = mcp_options_parse(&options, argc - 1, argv + 1, apr_time_now(), p);

    if (wrong) {
        complain(wrong);
        return complain("--help tells how it is used");
    }
    if (options.help || options.version) {
        return say(options.help ? usage : "mcp-oauth-verify " MCP_VERSION "\n") ? EXIT_VALID : EXIT_WRONG_USE;
    }
    return judge(&options, p);
}

int main(int argc, const char *const argv[])
{
    apr_pool_t *p;
    int result;

    if (argc < 1 || apr_initialize() != APR_SUCCESS ||
        apr_pool_create_ex(&p, NULL, out_of_memory, NULL) != APR_SUCCESS) {
        return EXIT_WRONG_USE;
    }
    apr_signal(SIGPIPE, SIG_IGN); /* a server or a reader that goes away is an error like others */
    mcp_json_init();
    result = run(argc, argv, p);
    apr_pool_destroy(p);
    apr_terminate();
    return result;
}
