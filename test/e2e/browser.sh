#!/bin/bash
# usage: browser.sh --module FILE [--only PAGE] [--help]
#
# A page in headless Chromium against mod_mcp_oauth: it discovers, is refused, and calls tools across origins, of the official
# TypeScript server and of a backend with CORS headers of its own. The same page plays an attacker: from an origin that is
# not allowed, from a sandbox, and by DNS rebinding. Ends with a line "N passed, N failed".
#
#   --module FILE  the mod_mcp_oauth.so to test
#   --only PAGE    only this page: listed, loopback, own, foreign or rebound
#
# CHROMIUM names the browser to take. Otherwise it is what is installed, then the package chromium, and where that is a snap
# (Ubuntu) the headless build that npm has. Nothing but 127.0.0.1 is resolved for it.
# Everything is written below MCP_E2E_DIR (default: build/e2e of the source tree), npm packages included.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/../.." && pwd)
. "$source/conf/quickstart/setup.sh"
. "$source/conf/quickstart/chromium.sh"
. "$here/common.sh"

DEADLINE=90 # seconds for one page

MODULE='' only=''
while [ $# -gt 0 ]; do
    case $1 in
        --module) MODULE=${2:-}; shift ;;
        --only) only=${2:-}; shift ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) die "unknown option $1; browser.sh --help lists them" ;;
    esac
    shift || die "an argument is missing; browser.sh --help tells which"
done
module_check
case $only in '' | listed | loopback | own | foreign | rebound) ;; *) die "--only: there is no page $only" ;; esac

# expect TEXT SEEN CONDITION...   the condition is a command
expect() {
    local text=$1 seen=$2
    shift 2
    if "$@"; then verdict ok "$text: $seen"; else verdict FAIL "$text: $seen"; fi
}
given() { [ -z "$only" ] || [ "$only" = "$1" ]; }

# --- the browser --------------------------------------------------------------------------------------------

# browse LOG URL   starts the browser; sets child
browse() {
    local log=$1 url=$2 flags=(--headless --disable-gpu --disable-dev-shm-usage --no-first-run --no-default-browser-check --disable-extensions
        --disable-background-networking --disable-component-update --disable-sync --disable-default-apps --no-proxy-server --mute-audio
        --enable-logging=stderr --user-data-dir="$dir/profile"
        --host-resolver-rules='MAP localhost 127.0.0.1, MAP *.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1')
    # A sandbox is not to be had as root, in most containers, and with the build of npm; the pages are our own.
    flags+=(--no-sandbox)
    start "$log" env HOME="$dir/profile" XDG_CONFIG_HOME="$dir/profile" XDG_CACHE_HOME="$dir/profile" DBUS_SESSION_BUS_ADDRESS=disabled: \
        "$BROWSER" "${flags[@]}" "$url"
}

# --- what is needed ------------------------------------------------------------------------------------------

prepare() {
    need gcc has_command gcc
    need libc6-dev has_header stdio.h
    need pkg-config has_command pkg-config
    need libjansson-dev has_header jansson.h
    need libssl-dev has_header openssl/evp.h
    need_gateway
    need_chromium
    install_missing

    make_directories run-browser
    mkdir -p -m 0700 "$dir/profile" "$dir/pages"
    node_environment "$cache/node" "$here/package.json"
    # Node finds packages beside the script; the source tree holds none.
    cp "$here/server.mjs" "$cache/node/"
    # Of the build of npm the program alone: the options that its package proposes switch off what is tested here.
    BROWSER=$(find_chromium) || { npm_chromium "$cache/chromium" "$source/conf/quickstart/keycloak/chromium.json"; BROWSER=$CHROMIUM; }
    cp "$here"/browser/page.{html,js} "$dir/htdocs/"
    gcc -std=c99 -D_GNU_SOURCE -O1 "$source/test/tools/mint.c" -o "$dir/mint" $(pkg-config --cflags --libs libcrypto jansson) -lm ||
        die "test/tools/mint.c does not compile"
}

# token NAME ISSUER SCOPE   writes tokens/NAME.token
token() {
    local now audience='' location
    now=$(date +%s)
    for location in sdk listed any gone down; do audience+=",\"$gateway/$location/mcp\""; done
    "$dir/mint" sign "$dir/tokens/issuer.pem" --alg ES256 --header '{"typ":"at+jwt","alg":"ES256","kid":"browser-1"}' --payload \
        "{\"iss\":\"$2\",\"aud\":[${audience:1}],\"sub\":\"$1\",\"client_id\":\"page\",\"scope\":\"$3\",\"iat\":$now,\"exp\":$((now + 3600)),\"jti\":\"$1\"}" \
        >"$dir/tokens/$1.token" || die "no token was made"
}

make_tokens() {
    "$dir/mint" keygen p256 "$dir/tokens/issuer.pem" &&
        "$dir/mint" jwks "$("$dir/mint" jwk "$dir/tokens/issuer.pem" --kid browser-1 --alg ES256 --use sig)" >"$dir/public/jwks.json" ||
        die "no key was made"
    token bare "$issuer" profile
    token user "$issuer" mcp:use
    token admin "$issuer" 'mcp:use mcp:admin'
    token other "$issuer/unreachable" mcp:use
    local name list=''
    for name in bare user admin other; do list+=",\"$name\":\"$(tr -d '\n' <"$dir/tokens/$name.token")\""; done
    printf '{"gateway":"%s","backend":"http://127.0.0.1:%s","issuer":"%s","tokens":{%s}}\n' \
        "$gateway" "$p_backend" "$issuer" "${list:1}" >"$dir/pages/config.json"
}

start_all() {
    start "$dir/sdk.log" env WITNESS="$dir/sdk.seen" "$NODE" --import "$here/browser/witness.mjs" "$cache/node/server.mjs" "$p_sdk"
    wait_for_port "$p_sdk" "$child" "$dir/sdk.log" "the MCP server"
    start "$dir/backend.log" env WITNESS="$dir/backend.seen" "$NODE" --import "$here/browser/witness.mjs" "$here/browser/backend.mjs" "$p_backend"
    wait_for_port "$p_backend" "$child" "$dir/backend.log" "the backend"
    start "$dir/pages.log" "$NODE" "$here/browser/pages.mjs" "$dir/pages" "$p_pages" "$p_near"
    wait_for_port "$p_near" "$child" "$dir/pages.log" "the server of the pages"
    fill "$here/browser/gateway.conf.in" DIR "$dir" PORT "$p_gateway" ISSUER "$issuer" MODULE "$MODULE" USER "$(httpd_user)" \
        SDK "$p_sdk" BACKEND "$p_backend" PAGES "$p_pages" CLOSED "$p_closed" \
        LOADMODULES "$(load_lines "$(httpd_program)" mpm_event watchdog authn_core authz_core unixd log_config headers proxy proxy_http reqtimeout socache_shmcb)" \
        >"$dir/httpd.conf"
    start_httpd "$p_gateway"
    httpd_pid=$child
}

# --- pages ----------------------------------------------------------------------------------------------------

# Takes over what the page NAME has reported. One that does not come to its end has failed, for the reason in $why.
page_report() { # page_report NAME
    local name=$1 line lines=0 end='' report=$dir/pages/page-$1.out
    [ -f "$report" ] || : >"$report"
    while IFS= read -r line; do
        case $line in
            'ok '*) verdict ok "$name: ${line:3}" ;;
            'FAIL '*) verdict FAIL "$name: ${line:5}" ;;
            'end '*) end=${line:4}; continue ;;
            *) verdict FAIL "$name: an unknown report: $line" ;;
        esac
        lines=$((lines + 1))
    done <"$report"
    [ -n "$end" ] && [ "$lines" -gt 0 ] && [ "$lines" = "$end" ] ||
        verdict FAIL "$name: $why after $lines checks: $(tail -n 3 "$dir/browser-$first.log" | tr '\n' ' ' | tail -c 600)"
}

# page NAME ORIGIN [NAME ORIGIN]   a second page follows in the same browser
page() {
    local first=$1 last=$1 url waited why="the page did not come to its end within $DEADLINE s,"
    given "$first" || return 0
    pages=http://127.0.0.1:$p_near
    url="$2/page.html?name=$1&pages=$pages"
    if [ $# -gt 2 ]; then
        last=$3
        url+="&next=$4/page.html%3Fname=$3%26pages=$pages"
    fi
    browse "$dir/browser-$first.log" "$url"
    for ((waited = 0; waited < DEADLINE * 10; waited++)); do
        grep -qs '^end ' "$dir/pages/page-$last.out" && break
        kill -0 "$child" 2>/dev/null || { why='the browser ended by itself'; break; }
        sleep 0.1
    done
    stop "$child"
    page_report "$first"
    [ "$last" = "$first" ] || page_report "$last"
}

# --- what no page can see ---------------------------------------------------------------------------------------

# wire METHOD PATH CURL_ARG...   sets status, and head with the names of its fields in lower case
wire() {
    local method=$1 path=$2
    shift 2
    head=$(curl -sS -m 20 -o "$dir/wire.body" -D - -X "$method" "$@" "$gateway$path" 2>&1 | tr -d '\r' | sed 's/^[A-Za-z-]*:/\L&/')
    status=$(sed -n '1s/^HTTP[^ ]* \([0-9]*\).*/\1/p' <<<"$head")
}
fields() { grep -ciE "^$1" <<<"$head"; } # fields PATTERN
shown() { printf '%s %s' "$status" "$(grep -E '^(access-control-|vary)' <<<"$head" | tr '\n' ';')"; }
ping_with() { printf '%s\n' -H "Authorization: Bearer $(cat "$dir/tokens/user.token")" -H 'Content-Type: application/json' --data-binary '{"jsonrpc":"2.0","id":1,"method":"ping"}'; }

on_the_wire() {
    local app=http://app.example:$p_pages evil=http://evil.example:$p_pages ping path
    mapfile -t ping < <(ping_with)
    for path in /listed/mcp /sdk/mcp; do
        wire OPTIONS "$path" -H "Origin: $evil" -H 'Access-Control-Request-Method: POST' -H 'Access-Control-Request-Headers: authorization,content-type'
        expect "COR-6 $path: another origin's preflight: 403 without CORS headers" "$(shown)" test "$status $(fields access-control-)" = '403 0'
        wire POST "$path" -H "Origin: $evil" "${ping[@]}"
        expect "COR-6 $path: another origin's POST: 403 without CORS headers" "$(shown)" test "$status $(fields access-control-)" = '403 0'
    done
    for path in /listed/mcp /any/mcp; do
        wire POST "$path" -H "Origin: $app" "${ping[@]}"
        expect "COR-7 $path: one Access-Control-Allow-Origin, one list of exposed fields" "$(shown)" \
            test "$status $(fields access-control-allow-origin:) $(fields "access-control-allow-origin: $app$") $(fields access-control-expose-headers:)" = '200 1 1 1'
        expect "COR-6 $path: nothing else of what the backend grants" "$(shown)" test "$(fields 'access-control-allow-(credentials|methods|headers):')" = 0
        expect "COR-6 $path: Vary: Origin, and what the backend varies by" "$(shown)" test "$(fields 'vary:.*origin')$(fields 'vary:.*accept')" = 11
        wire POST "$path" "${ping[@]}"
        expect "COR-6 $path: no Origin: no CORS headers of the backend" "$(shown)" test "$status $(fields access-control-)" = '200 0'
        expect "COR-6 $path: no Origin: Vary: Origin all the same" "$(shown)" test "$(fields 'vary:.*origin')" = 1
    done
}

# --- what httpd and the backends wrote down -----------------------------------------------------------------------

logged() { grep -cE "$1" "$dir/access.log"; }    # logged PATTERN      lines "verb path status origin decision reason"
seen() { cat "$dir"/*.seen 2>/dev/null | grep -cE "$1"; } # seen PATTERN        requests that reached a backend

afterwards() {
    local n all
    if [ "$only" != rebound ]; then
        n=$(logged '^OPTIONS [^ ]* 204 ')
        expect "COR-1 preflights are answered by httpd" "$n answered, $(seen '"method":"OPTIONS"') reached a backend" \
            test "$([ "$n" -gt 0 ] && seen '"method":"OPTIONS"')" = 0
    fi
    if given listed; then
        expect "COR-1 the metadata has been asked for with a preflight" "$(logged '^OPTIONS /\.well-known/[^ ]*/listed/mcp 204 ')" \
            test "$(logged '^OPTIONS /\.well-known/[^ ]*/listed/mcp 204 ')" -gt 0
        expect "COR-7 Access-Control-Max-Age: three requests, one preflight" "$(logged '^POST [^ ]*\?again 200 ') and $(logged '^OPTIONS [^ ]*\?again 204 ')" \
            test "$(logged '^POST [^ ]*\?again 200 ') $(logged '^OPTIONS [^ ]*\?again ')" = '3 1'
    fi
    if given listed || given loopback || given foreign; then
        expect "COR-8 text/plain comes without preflight, and reaches no backend" "$(logged '^POST [^ ]*\?simple ') and $(logged '^OPTIONS [^ ]*\?simple ')" \
            test "$([ "$(logged '^POST [^ ]*\?simple 40[13] ')" -gt 0 ] && logged '^OPTIONS [^ ]*\?simple ')$(seen '"url":"[^"]*(simple|form|access_token)')" = 00
    fi
    if given foreign; then
        n=$(logged '^[A-Z]+ /(sdk|listed)/mcp[^ ]* 403 http://evil\.example')
        all=$(logged '^[A-Z]+ /(sdk|listed)/mcp[^ ]* [0-9]+ http://evil\.example')
        expect "TRN-1 evil.example: each request that brought its Origin got 403" "$n of $all" test "$all" -ge 24 -a "$n" = "$all"
        expect "TRN-1 evil.example: a form was refused too" "$(logged '^POST [^ ]*\?form 403 http://evil\.example')" test "$(logged '^POST [^ ]*\?form 403 http://evil\.example')" = 2
        n=$(seen '"url":"/(mcp|wild/mcp)[^"]*","origin":[^}]*//evil\.example')
        expect "TRN-1 evil.example: requests that reached a backend" "$n; $(seen '//evil\.example') by what is open to all" test "$([ "$(seen '//evil\.example')" -gt 0 ] && echo "$n")" = 0
    fi
    if given rebound; then
        n=$(logged '^[A-Z]+ /(sdk|listed)/mcp 403 http://rebound\.example')
        expect "TRN-1 rebound.example: refused, and nothing reached a backend" "$n refused, $(seen '//rebound\.example') came through" test "$n $(seen '//rebound\.example')" = '6 0'
    fi
    if given listed; then
        n=$(logged '^[A-Z]+ /(sdk|listed)/mcp 403 null ')
        expect "TRN-2 null: refused, and nothing reached these backends" "$n refused" test "$([ "$n" -ge 2 ] && seen '"url":"/(mcp|wild/mcp)[^"]*","origin":"null"')" = 0
    fi
    if grep -qE 'exit signal|AH00052|Sanitizer|stack smashing' "$dir/error.log" "$dir/httpd.out"; then verdict FAIL "error log: a child of httpd crashed"
    else verdict ok "error log: no child of httpd crashed"; fi
}

end_cleanly
prepare
read -r p_gateway p_sdk p_backend p_pages p_near p_closed <<<"$(free_ports 6)"
gateway=http://localhost:$p_gateway
issuer=$gateway/issuer
make_tokens
start_all
say "$("$BROWSER" --version 2>/dev/null)"
page listed "http://app.example:$p_pages"
page loopback "http://127.0.0.1:$p_pages"
page own "$gateway" neighbour "http://localhost:$p_near"
page foreign "http://evil.example:$p_pages"
page rebound "http://rebound.example:$p_gateway"
on_the_wire
kill -0 "$httpd_pid" 2>/dev/null || verdict FAIL "httpd ended by itself"
stop_children
afterwards
end_with_counts 0 "$passed" "$failed"
