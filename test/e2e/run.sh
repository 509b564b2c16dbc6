#!/bin/bash
# usage: run.sh --module FILE [--mpm event|worker|prefork] [--only TEXT] [--help]
#
# The official MCP clients against the official MCP servers, through an httpd of its own with mod_mcp_oauth in between:
# both SDK generations in Python and TypeScript, and a raw probe over HTTP/1.1 and h2c. Ends with a line "N passed, N failed".
#
#   --module FILE  the mod_mcp_oauth.so to test
#   --mpm NAME     default event
#   --only TEXT    only the pairs whose name contains TEXT, e.g. 'python1 ->' or 'probe'
#
# Everything is written below MCP_E2E_DIR (default: build/e2e of the source tree), virtual environments and npm packages included.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/../.." && pwd)
. "$source/conf/quickstart/setup.sh"
. "$here/common.sh"

MODULE='' mpm=event only=''
while [ $# -gt 0 ]; do
    case $1 in
        --module) MODULE=${2:-}; shift ;;
        --mpm) mpm=${2:-}; shift ;;
        --only) only=${2:-}; shift ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) die "unknown option $1; run.sh --help lists them" ;;
    esac
    shift || die "an argument is missing; run.sh --help tells which"
done
module_check

# Runs one client; each of its lines is a check. A client that dies or says nothing has failed.
try() { # try NAME COMMAND...
    local name=$1 line lines=0 bad=$failed status
    shift
    [[ $name == *"$only"* ]] || return 0
    timeout 120 "$@" >"$dir/client.out" 2>"$dir/client.err" </dev/null
    status=$?
    while IFS= read -r line; do
        case $line in
            'ok   '*) verdict ok "$name: ${line:5}" ;;
            'FAIL '*) verdict FAIL "$name: ${line:5}" ;;
            *) continue ;;
        esac
        lines=$((lines + 1))
    done <"$dir/client.out"
    if [ "$lines" -lt 8 ] || { [ $status != 0 ] && [ "$bad" = "$failed" ]; }; then
        verdict FAIL "$name: ended with status $status after $lines checks: $(tail -c 500 "$dir/client.err" | tr '\n' ' ')"
    fi
}

prepare() {
    need_gateway
    install_missing
    make_directories "run-$mpm"
    python_sdks
    node_environment "$cache/node" "$here/package.json"
    # Node finds packages beside the script; the source tree holds none.
    cp "$here"/*.mjs "$cache/node/"
}

make_tokens() {
    local tokens=("$cache/mcp2/bin/python" "$source/conf/quickstart/tokens.py" --dir "$dir/tokens" --issuer "$issuer") name here_too=()
    for name in $servers; do
        here_too+=(--audience "$base/$name/mcp")
    done
    "${tokens[@]}" "${here_too[@]}" user=mcp:use admin=mcp:use,mcp:admin &&
        "${tokens[@]}" --audience "$base/elsewhere/mcp" foreign=mcp:use,mcp:admin &&
        "${tokens[@]}" "${here_too[@]}" --lifetime -600 expired=mcp:use,mcp:admin || die "no tokens were made"
    install -m 0644 "$dir/tokens/jwks.json" "$dir/public/jwks.json"
}

start_gateway() {
    local httpd name more=''
    httpd=$(httpd_program)
    # prefork: a standing stream keeps a process busy
    [ "$mpm" != prefork ] || more=$'StartServers 4\nMaxRequestWorkers 64'
    {
        fill "$here/httpd.conf.in" DIR "$dir" PORT "$gateway" ISSUER "$issuer" MODULE "$MODULE" MPM "$more" USER "$(httpd_user)" \
            LOADMODULES "$(load_lines "$httpd" "mpm_$mpm" watchdog authn_core authz_core unixd log_config headers proxy proxy_http http2 reqtimeout socache_shmcb)"
        for name in $servers; do
            fill "$here/location.conf.in" NAME "$name" ISSUER "$issuer" BACKEND "${port[$name]}"
        done
    } >"$dir/httpd.conf"
    start_httpd "$gateway"
    gateway_pid=$child
}

clients() {
    local name url
    for name in $servers; do
        url=$base/$name/mcp
        try "client python1 -> $name" "$cache/mcp1/bin/python" "$here/client.py" legacy "$url" "$dir/tokens"
        try "client python2 -> $name" "$cache/mcp2/bin/python" "$here/client.py" auto "$url" "$dir/tokens"
        try "client ts1 -> $name" "$NODE" "$cache/node/client.mjs" 1 legacy "$url" "$dir/tokens"
        try "client ts2 -> $name" "$NODE" "$cache/node/client.mjs" 2 auto "$url" "$dir/tokens"
        try "probe http1 -> $name" "$NODE" "$cache/node/probe.mjs" http1 "$url" "$dir/tokens"
        try "probe h2c -> $name" "$NODE" "$cache/node/probe.mjs" h2c "$url" "$dir/tokens"
    done
    # Those that know the new revision, in the old one.
    for name in python2 ts2; do
        url=$base/$name/mcp
        try "client python2, legacy -> $name" "$cache/mcp2/bin/python" "$here/client.py" legacy "$url" "$dir/tokens"
        try "client ts2, legacy -> $name" "$NODE" "$cache/node/client.mjs" 2 legacy "$url" "$dir/tokens"
    done
}

# What httpd wrote down, after it has ended: nothing came through that the module had not allowed.
afterwards() {
    local through unjudged
    through=$(grep -c '^/[a-z0-9]*/mcp 2' "$dir/access.log")
    unjudged=$(grep '^/[a-z0-9]*/mcp 2' "$dir/access.log" | grep -vc '^[^ ]* [0-9]* allow ')
    if [ "$through" -gt 0 ] && [ "$unjudged" = 0 ]; then verdict ok "access log: each of $through good answers was allowed by the module"
    else verdict FAIL "access log: $unjudged of $through good answers without a decision of the module: $(grep '^/[a-z0-9]*/mcp 2' "$dir/access.log" | grep -v '^[^ ]* [0-9]* allow ' | head -3 | tr '\n' ';')"; fi
    if grep -qE 'exit signal|AH00052|Sanitizer|stack smashing' "$dir/error.log" "$dir/httpd.out"; then verdict FAIL "error log: a child of httpd crashed"
    else verdict ok "error log: no child of httpd crashed"; fi
}

end_cleanly
prepare
choose_ports
issuer=$base/issuer
make_tokens
start_servers "$here/server.py" "$cache/node/server.mjs" "$cache/node/node_modules"
start_gateway
clients
kill -0 "$gateway_pid" 2>/dev/null || verdict FAIL "httpd ended by itself"
# The servers first: what streams are still open end with them, and httpd ends idle.
stop "${children[@]:0:4}"
sleep 0.5
stop_children
afterwards
end_with_counts 0 "$passed" "$failed"
