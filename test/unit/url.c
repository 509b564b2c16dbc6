#include "net/url.h"

#include "tap.h"

static void accepted(apr_pool_t *p)
{
    mcp_url_t url;

    OK(mcp_url_parse(&url, "HTTPS://Sso.Example.COM:8443/Realms/A%2fb?x=1&y#f", p), "a full URL is accepted");
    STR_IS(url.scheme, "https", "the scheme becomes lower case");
    STR_IS(url.host, "sso.example.com", "the host becomes lower case");
    OK(url.port == 8443, "the port is a number");
    STR_IS(url.origin, "https://sso.example.com:8443", "the origin names a port that is not the default");
    STR_IS(url.path, "/Realms/A%2fb", "the path stays as written");
    STR_IS(url.query, "x=1&y", "the query ends before the fragment");
    OK(url.fragment == 1, "a fragment is noticed");
    OK(url.loopback == 0, "an ordinary host is not loopback");

    OK(mcp_url_parse(&url, "https://h", p), "a URL without a path is accepted");
    STR_IS(url.path, "", "its path is empty");
    OK(url.query == NULL && url.fragment == 0 && url.port == 443, "no query, no fragment, the default port of https");
    OK(mcp_url_parse(&url, "http://h:80/", p) && url.port == 80, "the default port of http may be named");
    STR_IS(url.origin, "http://h", "but it is not part of the origin (RFC 6454 section 6.2)");
    OK(mcp_url_parse(&url, "https://h:80", p), "the default port of the other scheme is not the default");
    STR_IS(url.origin, "https://h:80", "and stays in the origin");
    OK(mcp_url_parse(&url, "https://h?", p), "an empty query is a query");
    STR_IS(url.query, "", "and not NULL");
    STR_IS(url.path, "", "the query needs no slash before it");
    OK(mcp_url_parse(&url, "https://h#", p) && url.fragment, "an empty fragment is a fragment");
    OK(mcp_url_parse(&url, "https://[2001:DB8::1]:8443/x", p), "an IPv6 address is accepted");
    STR_IS(url.host, "[2001:db8::1]", "in brackets and lower case");
    STR_IS(url.origin, "https://[2001:db8::1]:8443", "also in the origin");
    OK(mcp_url_parse(&url, "https://h:65535", p) && url.port == 65535, "the highest port is accepted");
    OK(mcp_url_parse(&url, "https://my_host-1.example./", p), "underscore, dash and a dot at the end may be in a host");
}

static void refused(apr_pool_t *p)
{
    static const char *const texts[] = {
        "",
        "/path",
        "//h/path",
        "h/path",
        "https:h",
        "https:/h",
        "https://",
        "https:///path",
        "https://:443/",
        "ftp://h/",
        "file:///etc/passwd",
        "httpss://h",
        "1https://h",
        " https://h",
        "https ://h",
        "https://user@h/",
        "https://user:secret@h/",
        "https://@h/",
        "https://good.example\\@evil.example/",
        "https://good.example\\.evil.example/",
        "https://h:/",
        "https://h:0/",
        "https://h:65536/",
        "https://h:000443/",
        "https://h:4a3/",
        "https://h:-1/",
        "https://h:443:443/",
        "https://.h/",
        "https://a..b/",
        "https://h%41/",
        "https://h h/",
        "https://h\xc3\xa9/",
        "https://[::1/",
        "https://[::1]x/",
        "https://[::1]x:443/",
        "https://[fe80::1%25eth0]/",
        "https://[1.2.3.4]/",
        "https://[]/",
        "https://[::1]]/",
        "https://h/a b",
        "https://h/a\tb",
        "https://h/a\r\nHost: evil",
        "https://h/\x7f",
        "https://h/\xc3\xa9",
        "https://h/%",
        "https://h/%4",
        "https://h/%4g",
        "https://h/?%zz",
        "https://h/a\\b",
        "https://h/<",
        "https://h/?\"",
        "https://h/#a#b",
        "https://h/# ",
    };
    mcp_url_t url;
    apr_size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        OK(!mcp_url_parse(&url, texts[i], p), "K11 not a URL we fetch, case %d", (int)i);
    }
    OK(!mcp_url_parse(&url, NULL, p), "NULL is no URL");
}

static void host_ceiling(apr_pool_t *p)
{
    char text[8 + 256 + 1];
    mcp_url_t url;

    memcpy(text, "https://", 8);
    memset(text + 8, 'a', 256);
    text[8 + 255] = '\0';
    OK(mcp_url_parse(&url, text, p), "a host of 255 bytes is accepted");
    text[8 + 255] = 'a';
    text[8 + 256] = '\0';
    OK(!mcp_url_parse(&url, text, p), "a host of 256 bytes is not");
}

static void loopback(apr_pool_t *p)
{
    static const struct {
        const char *text;
        int loopback;
    } cases[] = {
        { "http://localhost/", 1 },
        { "http://LOCALHOST:8080", 1 },
        { "http://as.localhost/", 1 },
        { "http://127.0.0.1/", 1 },
        { "http://127.255.3.4:1/", 1 },
        { "http://[::1]/", 1 },
        { "http://[0:0:0:0:0:0:0:1]/", 1 },
        { "http://localhost.example.com/", 0 },
        { "http://notlocalhost/", 0 },
        { "http://.localhost/", -1 },
        { "http://127.0.0.1.example.com/", 0 },
        { "http://127.evil.example/", 0 },
        { "http://127.1/", 0 },
        { "http://127.0.0.1.5/", 0 },
        { "http://128.0.0.1/", 0 },
        { "http://0.0.0.0/", 0 },
        { "http://2130706433/", 0 },
        { "http://0x7f.0.0.1/", 0 },
        { "http://[::]/", 0 },
        { "http://[::2]/", 0 },
        { "http://[::ffff:127.0.0.1]/", 0 },
        { "http://10.0.0.1/", 0 },
    };
    mcp_url_t url;
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int got = mcp_url_parse(&url, cases[i].text, p) ? url.loopback : -1;
        OK(got == cases[i].loopback, "K11 KEY-3 loopback of %s is %d", cases[i].text, cases[i].loopback);
    }
}

static void origins(apr_pool_t *p)
{
    static const char *const bad[] = { "",
                                       "null",
                                       "*",
                                       "h",
                                       "https://",
                                       "https://h/",
                                       "https://h?x",
                                       "https://h#",
                                       "https://u@h",
                                       "https://h:0",
                                       "https://h ",
                                       "://h",
                                       "+a://h",
                                       "1a://h",
                                       "https://a,b",
                                       "https://h:443/x" };
    mcp_url_t url;
    apr_size_t i;

    OK(mcp_url_parse_origin(&url, "HTTPS://App.Example:443", p), "an origin is accepted");
    STR_IS(url.origin, "https://app.example", "in normal form");
    OK(url.port == 443, "with the default port");
    STR_IS(url.path, "", "and no path");
    OK(mcp_url_parse_origin(&url, "vscode-webview://1ab2C", p), "any scheme may make an origin");
    STR_IS(url.origin, "vscode-webview://1ab2c", "without a port");
    OK(mcp_url_parse_origin(&url, "app://localhost:3000", p) && url.loopback, "loopback is known under any scheme");
    STR_IS(url.origin, "app://localhost:3000", "a port of an unknown scheme stays");
    OK(mcp_url_parse_origin(&url, "http://[::1]:6274", p) && url.loopback && url.port == 6274, "IPv6 makes an origin");
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        OK(!mcp_url_parse_origin(&url, bad[i], p), "not an origin: '%s'", bad[i]);
    }
    OK(!mcp_url_parse_origin(&url, NULL, p), "NULL is no origin");
}

static void joins(apr_pool_t *p)
{
    STR_IS(mcp_url_join("https://h", "jwks", p), "https://h/jwks", "a slash is added");
    STR_IS(mcp_url_join("https://h/", "jwks", p), "https://h/jwks", "the slash of the base is enough");
    STR_IS(mcp_url_join("https://h", "/jwks", p), "https://h/jwks", "the slash of the path is enough");
    STR_IS(mcp_url_join("https://h/a/", "/b/c/", p), "https://h/a/b/c/", "two slashes become one, others stay");
    STR_IS(mcp_url_join("https://h//", "//b", p), "https://h/b", "so do four");
}

static void normals(apr_pool_t *p)
{
    static const char *const rows[][2] = {
        { "https://h/mcp", "https://h/mcp" },
        { "HTTPS://H.Example/Mcp", "https://h.example/Mcp" },
        { "https://h:443/a", "https://h/a" },
        { "http://h:80/a", "http://h/a" },
        { "https://h:80/a", "https://h:80/a" },
        { "https://[2001:DB8::1]:443/", "https://[2001:db8::1]/" },
        { "https://h", "https://h/" },
        { "https://h?q", "https://h/" },
        { "https://h/a?b=c&d#e", "https://h/a" },
        { "https://h/a#/../b", "https://h/a" },
        { "https://h/a?/../b", "https://h/a" },
        { "https://h/%61%5A%7e%2d%2E%5f%30", "https://h/aZ~-._0" },
        { "https://h/%2f%3f%25%20%c3%a9%00", "https://h/%2F%3F%25%20%C3%A9%00" },
        { "https://h/%2561", "https://h/%2561" },
        { "https://h/%e1%f0", "https://h/%E1%F0" },
        { "https://h/a/b/c/./../../g", "https://h/a/g" },
        { "https://h/mid/content=5/../6", "https://h/mid/6" },
        { "https://h/.", "https://h/" },
        { "https://h/..", "https://h/" },
        { "https://h/../..", "https://h/" },
        { "https://h/../../a", "https://h/a" },
        { "https://h/a/.", "https://h/a/" },
        { "https://h/a/..", "https://h/" },
        { "https://h/a/b/..", "https://h/a/" },
        { "https://h/a/b/../", "https://h/a/" },
        { "https://h/a/./b", "https://h/a/b" },
        { "https://h/a/%2e%2E/b", "https://h/b" },
        { "https://h/a/.%2e/b", "https://h/b" },
        { "https://h/a/...", "https://h/a/..." },
        { "https://h/a/..b/.c/d../e.", "https://h/a/..b/.c/d../e." },
        { "https://h/a/..;x/b", "https://h/a/..;x/b" },
        { "https://h/a/..%2fb", "https://h/a/..%2Fb" },
        { "https://h/a//b", "https://h/a//b" },
        { "https://h//a", "https://h//a" },
        { "https://h/a//../b", "https://h/a/b" },
        { "https://h//../b", "https://h/b" },
        { "https://h/a/", "https://h/a/" },
    };
    static const char *const bad[] = {
        "",           "/a",          "h/a",           "https://",    "https:/a",     "ftp://h/a", "https://u@h",
        "https://h:", "https://h/%", "https://h/%4g", "https://h/ ", "https://h/\\a"
    };
    apr_size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *once = mcp_url_normalize(rows[i][0], p);

        STR_IS(once, rows[i][1], "POP-3 %s is %s", rows[i][0], rows[i][1]);
        STR_IS(once ? mcp_url_normalize(once, p) : NULL, once, "and stays so");
    }
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        OK(!mcp_url_normalize(bad[i], p), "POP-3 no URL, no normal form: '%s'", bad[i]);
    }
    OK(!mcp_url_normalize(NULL, p), "nor for NULL");
}

/* What the rows above leave out. */
static void edges(apr_pool_t *p)
{
    static const char *const bad[] = { "git+https://h/", "h.t-t+p://h/", "+http://h/",     "https://[",
                                       "https://[::1",   "https://[]/",  "https://[:::1]/" };
    static const char *const apart[] = { "http://[0:0:1::1]/", "http://[0:0:0:0:1::1]/", "http://[1::1]/",
                                         "http://[::2]/" };
    mcp_url_t url;

    for (apr_size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        OK(!mcp_url_parse(&url, bad[i], p), "no URL for us: %s", bad[i]);
    }
    for (apr_size_t i = 0; i < sizeof(apart) / sizeof(apart[0]); i++) {
        OK(mcp_url_parse(&url, apart[i], p) && !url.loopback, "not loopback: %s", apart[i]);
    }
    STR_IS(mcp_url_join("", "a", p), "/a", "joined to nothing");
    STR_IS(mcp_url_join("///", "//a/", p), "/a/", "to slashes alone");
}

static void test(apr_pool_t *p)
{
    edges(p);
    accepted(p);
    refused(p);
    host_ceiling(p);
    loopback(p);
    origins(p);
    joins(p);
    normals(p);
}
