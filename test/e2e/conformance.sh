#!/bin/bash
# usage: conformance.sh --module FILE [--mpm event|worker|prefork] [--only TEXT] [--write] [--help]
#
# The official MCP conformance suite against real MCP servers, once directly and once through an httpd of its own with
# mod_mcp_oauth in between. Every check must end alike on both sides. Ends with a line "N passed, N failed".
#
#   --module FILE  the mod_mcp_oauth.so to test
#   --mpm NAME     default event
#   --only TEXT    only the runs whose name contains TEXT, e.g. 'python1' or '2026-07-28'; docs/conformance.md is left alone
#   --write        write docs/conformance.md anew; otherwise it must say what this run found
#
# Everything is written below MCP_E2E_DIR (default: build/e2e of the source tree), virtual environments and npm packages included.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/../.." && pwd)
. "$source/conf/quickstart/setup.sh"
. "$here/common.sh"

MODULE='' mpm=event options=()
while [ $# -gt 0 ]; do
    case $1 in
        --module) MODULE=${2:-}; shift ;;
        --mpm) mpm=${2:-}; shift ;;
        --only) options+=(--only "${2:-}"); shift ;;
        --write) options+=(--write) ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) die "unknown option $1; conformance.sh --help lists them" ;;
    esac
    shift || die "an argument is missing; conformance.sh --help tells which"
done
module_check

# The suite checks with an SDK of its own, so its dependencies are pinned too. It needs Node 22, which few systems have.
node_packages() {
    local arch=x64
    [ "$(uname -m)" != aarch64 ] || arch=arm64
    NODE=$packages/node_modules/node-linux-$arch/bin/node
    [ ! -x "$NODE" ] || ! cmp -s "$here/conformance/package-lock.json" "$packages/.installed" || return 0
    say "installing the conformance suite into $packages"
    mkdir -p "$packages" && rm -f "$packages/.installed"
    cp "$here/conformance/package.json" "$here/conformance/package-lock.json" "$packages/"
    (cd "$packages" && npm ci --no-audit --no-fund --loglevel=error) </dev/null >&2 ||
        die "npm could not install what $here/conformance/package.json names; is the registry reachable?"
    [ -x "$NODE" ] || die "npm installed no Node for $(uname -m)"
    cp "$here/conformance/package-lock.json" "$packages/.installed"
}

prepare() {
    need_gateway
    install_missing
    make_directories "conformance-$mpm"
    packages=$cache/conformance
    python_sdks
    node_packages
    # Node finds packages beside the script; the source tree holds none.
    cp "$here/conformance.mjs" "$here/with-token.mjs" "$here/conformance/server.mjs" "$packages/"
}

make_token() {
    local name audience=()
    for name in $servers; do
        audience+=(--audience "$base/$name/mcp")
    done
    "$cache/mcp2/bin/python" "$source/conf/quickstart/tokens.py" --dir "$dir/tokens" --issuer "$base/issuer" \
        "${audience[@]}" suite=mcp:use || die "no token was made"
    install -m 0644 "$dir/tokens/jwks.json" "$dir/public/jwks.json"
}

start_gateway() {
    local httpd name
    httpd=$(httpd_program)
    {
        fill "$here/conformance/httpd.conf.in" DIR "$dir" PORT "$gateway" ISSUER "$base/issuer" MODULE "$MODULE" USER "$(httpd_user)" \
            LOADMODULES "$(load_lines "$httpd" "mpm_$mpm" watchdog authn_core authz_core unixd log_config headers proxy proxy_http reqtimeout socache_shmcb)"
        for name in $servers; do
            fill "$here/conformance/location.conf.in" NAME "$name" ISSUER "$base/issuer" BACKEND "${port[$name]}"
        done
    } >"$dir/httpd.conf"
    start_httpd "$gateway"
}

end_cleanly
prepare
choose_ports
make_token
start_servers "$here/conformance/server.py" "$packages/server.mjs" "$packages/node_modules"
start_gateway
installed() { "$NODE" -p "JSON.parse(require('fs').readFileSync('$packages/node_modules/$1/package.json')).version"; }
url() { printf 'http://localhost:%s/mcp\n' "${port[$1]}"; }
python_sdk() { sed -n 's/^mcp==/Python SDK `mcp` /p' "$1"; }
# In the background, so that a signal is handled at once; in a session of its own, so that the suite ends with it.
setsid "$NODE" "$packages/conformance.mjs" --out "$dir/results" --gateway "$base" --token "$dir/tokens/suite.token" --docs "$source/docs/conformance.md" \
    --logs "$dir" "${options[@]}" \
    "python1=$(python_sdk "$here/requirements-mcp1.txt")=$(url python1)" \
    "python2=$(python_sdk "$here/requirements-mcp2.txt")=$(url python2)" \
    "ts2=npm \`@modelcontextprotocol/server\` $(installed @modelcontextprotocol/server)=$(url ts2)" \
    "everything=npm \`@modelcontextprotocol/server-everything\` $(installed @modelcontextprotocol/server-everything)=$(url everything)" </dev/null &
children+=($!)
wait $!
