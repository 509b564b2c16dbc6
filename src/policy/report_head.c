#include "policy/report_html.h"

/* Every pair of text and ground has a contrast of 4.5 at least, in both schemes. */
static const char light[] =
    "--bg:#fff;--card:#f5f6f8;--line:#d5d9df;--text:#1b1f24;--dim:#59616b;--link:#0b57b0;--bar:#3876c9;"
    "--good:#155f35;--good-bg:#dcf3e4;--wait:#1a4c8f;--wait-bg:#e0ecfb;--warn:#6f4400;"
    "--warn-bg:#fcebc5;--bad:#98191b;--bad-bg:#fbe0e0";
static const char dark[] =
    "--bg:#14171b;--card:#1d2126;--line:#363c44;--text:#e6e9ed;--dim:#a5adb7;--link:#8fbfff;--bar:#5d9be8;"
    "--good:#86dca6;--good-bg:#123423;--wait:#a3caff;--wait-bg:#17304f;--warn:#f3c469;"
    "--warn-bg:#3a2c0c;--bad:#ffa39e;--bad-bg:#47191b";

static const char style[] =
    "*{box-sizing:border-box}"
    "body{margin:0 auto;max-width:76rem;padding:1.25rem 1rem 3rem;background:var(--bg);color:var(--text);"
    "font:1rem/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\",Arial,sans-serif}"
    "h1{font-size:1.6rem;line-height:1.25;margin:0}"
    "h2{font-size:1.25rem;margin:2.5rem 0 .5rem}"
    "h3{font-size:1.05rem;margin:0}"
    "h4{font-size:1rem;margin:1.25rem 0 .25rem}"
    "p{margin:.25rem 0 .75rem}"
    "a{color:var(--link)}"
    "nav a{margin-right:1rem}"
    ".dim,caption,dt{color:var(--dim)}"
    "bdi{overflow-wrap:anywhere;white-space:pre-wrap}"
    /* what cannot be seen, named */
    "bdi i{font:600 .75em/1 ui-monospace,monospace;color:var(--bad);background:var(--bad-bg);border-radius:.25rem;"
    "padding:.1em .3em;margin:0 .1em}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem;margin:1.25rem 0 0}"
    ".tiles div{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.75rem 1rem}"
    ".tiles dd{margin:0;font-size:1.5rem;font-weight:600;line-height:1.3;font-variant-numeric:tabular-nums;"
    "overflow-wrap:anywhere}"
    ".tiles dd+dd{font-size:.875rem;font-weight:400;color:var(--dim)}"
    ".note{border-left:.3rem solid;padding:.5rem .9rem;border-radius:.25rem;margin:1.25rem 0 0}"
    ".badge{display:inline-block;border-radius:1rem;padding:0 .65rem;font-size:.875rem;font-weight:600;"
    "border:1px solid}"
    ".good{color:var(--good);background:var(--good-bg)}"
    ".wait{color:var(--wait);background:var(--wait-bg)}"
    ".warn{color:var(--warn);background:var(--warn-bg)}"
    ".bad{color:var(--bad);background:var(--bad-bg)}"
    ".plain{color:var(--text);background:var(--card)}"
    "table{border-collapse:collapse;width:100%;margin:.25rem 0 0}"
    "caption{text-align:left;padding:0 0 .4rem;font-size:.875rem}"
    ".card caption{padding-top:.9rem}"
    "th,td{text-align:left;vertical-align:top;padding:.45rem .75rem;border-bottom:1px solid var(--line)}"
    "th:first-child{padding-left:0}"
    "td:last-child,th:last-child{padding-right:0}"
    "thead th{font-size:.875rem;color:var(--dim);border-bottom-width:2px;vertical-align:bottom}"
    "tbody th{font-weight:600;min-width:10rem}"
    "tbody td{min-width:8.5rem}"
    "td.n,td.s,.small td{min-width:0}"
    ".s{white-space:nowrap}"
    "table+p{margin-top:.75rem}"
    ".n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "td small,th small{display:block;font-size:.85rem;font-weight:400;color:var(--dim)}"
    ".card{border:1px solid var(--line);border-radius:.5rem;padding:1rem;margin:.75rem 0 0}"
    ".title{display:flex;flex-wrap:wrap;gap:.25rem .75rem;align-items:baseline;justify-content:space-between}"
    ".facts{display:grid;grid-template-columns:8.5rem minmax(0,1fr);gap:.2rem .75rem;margin:.6rem 0 0}"
    ".facts dd{margin:0}"
    ".reasons{display:inline-grid;grid-template-columns:max-content max-content;gap:0 .6rem;margin:0;padding:0;"
    "list-style:none}"
    ".reasons li{display:contents}"
    ".reasons span,time{white-space:nowrap}"
    ".reasons b{text-align:right;font-variant-numeric:tabular-nums;font-weight:600}"
    "summary{cursor:pointer;color:var(--link)}"
    ".bar{display:block;height:.5rem;min-width:4rem;background:var(--line);border-radius:.25rem;overflow:hidden;"
    "margin:.45rem 0 0}"
    ".facts .bar{max-width:20rem;margin:.2rem 0 .4rem}"
    ".bar b{display:block;height:100%;background:var(--bar)}"
    ".small{max-width:36rem}"
    ".small th,.small td{padding:.05rem .75rem;border:0}"
    ".small tr :first-child{padding-left:0}"
    ".small tbody th{font-weight:400;min-width:0;white-space:nowrap}"
    ".small td:last-child{width:60%}"
    /* narrow: each row is a block of lines "name  value" */
    "@media(max-width:58rem){"
    ".stack,.stack :is(tbody,tr,tbody th,td,caption){display:block}"
    ".stack thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}"
    ".stack tr{border-bottom:2px solid var(--line);padding:.5rem 0}"
    ".stack :is(th,td){border:0}"
    ".stack tbody :is(th,td){padding:.15rem 0;min-width:0;width:auto;display:grid;"
    "grid-template-columns:minmax(6.5rem,30%) minmax(0,1fr);gap:.75rem}"
    ".stack tbody :is(th,td)::before{content:attr(data-name);color:var(--dim);font-weight:400;white-space:normal}"
    ".stack tbody th{display:block}"
    ".stack tbody th::before{content:none}"
    ".stack .n{text-align:left}"
    ".stack .reasons{grid-template-columns:max-content minmax(0,1fr)}"
    ".stack .s{white-space:normal}"
    ".reasons span{white-space:normal;overflow-wrap:anywhere}"
    ".tiles dd{font-size:1.25rem}"
    ".facts{grid-template-columns:minmax(6.5rem,30%) minmax(0,1fr);gap:.2rem .75rem}"
    "}"
    "@media print{body{max-width:none}.card{break-inside:avoid}}";

void mcp_report_put_head(mcp_report_page_t *page)
{
    mcp_report_put(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                         "<meta name=\"color-scheme\" content=\"light dark\">\n"
                         "<meta name=\"robots\" content=\"noindex\">\n"
                         "<title>MCP OAuth status</title>\n<style>\n:root{color-scheme:light dark;");
    mcp_report_put(page, light);
    mcp_report_put(page, "}\n@media(prefers-color-scheme:dark){:root{");
    mcp_report_put(page, dark);
    mcp_report_put(page, "}}\n");
    mcp_report_put(page, style);
    mcp_report_put(page, "\n</style>\n</head>\n<body>\n");
}
