#!/bin/bash
# usage: run.sh [--keycloak] [--demo] [--port N] [--keycloak-port N] [--module FILE] [--help]
#
# Builds mod_mcp_oauth and shows it at work on this machine: an httpd of its own at http://localhost:8000/mcp in front of
# a calculator MCP server, with locally made keys in the place of an authorization server. Prints three access tokens
# and commands to try. Ctrl-C ends all of it. Nothing of the machine's own httpd is read, changed or started.
#
# With --keycloak the tokens come from a real Keycloak at http://localhost:8080, which has three users with different rights.
# VS Code, Claude Code, MCP Inspector and other clients can be pointed at http://localhost:8000/mcp: they find Keycloak by
# themselves, register there, and send the user to its login page. Prints the users, and what to tell the clients.
#
#   --keycloak         with a real Keycloak: 170 MB, which Maven fetches once; it starts in 15 to 40 seconds
#   --demo             walk through by itself; exit 0 only if every answer was the expected one. With --keycloak: the official
#                      clients in TypeScript and Python log in, one of them in a headless Chromium
#   --port N           listen on 127.0.0.1:N instead of 8000
#   --keycloak-port N  let Keycloak listen on 127.0.0.1:N instead of 8080
#   --module FILE      use this mod_mcp_oauth.so instead of building one
#   --help             this text
#
# Missing packages are installed with apt-get, by sudo if need be; the MCP SDK comes from PyPI into an environment of its
# own. Everything is written below MCP_QUICKSTART_DIR (default: /var/cache/mod_mcp_oauth/quickstart for root,
# ~/.cache/mod_mcp_oauth/quickstart for others); delete it to start afresh. MCP_KEYCLOAK_DIR names another place for Keycloak,
# JAVA_HOME the Java for it (17 or newer), CHROMIUM the browser.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/../.." && pwd)
. "$here/setup.sh"
. "$here/keycloak.sh"
. "$here/chromium.sh"
. "$here/keycloak/show.sh"

SDK='mcp==2.3.0'
demo='' keycloak='' port=8000 keycloak_port=8080 MODULE=''
while [ $# -gt 0 ]; do
    case $1 in
        --demo) demo=1 ;;
        --keycloak) keycloak=1 ;;
        --port) port=${2:-}; shift ;;
        --keycloak-port) keycloak_port=${2:-}; shift ;;
        --module) MODULE=${2:-}; shift ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) die "unknown option $1; run.sh --help lists them" ;;
    esac
    shift || die "an argument is missing; run.sh --help tells which"
done
is_port() { [[ $1 =~ ^[0-9]+$ ]] && [ "$1" -gt 0 ] && [ "$1" -lt 65536 ]; }
is_port "$port" || die "--port takes a number from 1 to 65535"
is_port "$keycloak_port" || die "--keycloak-port takes a number from 1 to 65535"
[ -z "$keycloak" ] || [ "$port" != "$keycloak_port" ] || die "httpd and Keycloak cannot both listen on port $port"
[ -z "$MODULE" ] || [ -f "$MODULE" ] || die "--module: there is no file $MODULE"
[ -z "$MODULE" ] || MODULE=$(readlink -e "$MODULE")

if [ "$(id -u)" = 0 ]; then cache=/var/cache; else cache=${XDG_CACHE_HOME:-$HOME/.cache}; fi
dir=${MCP_QUICKSTART_DIR:-$cache/mod_mcp_oauth/quickstart}
url=http://localhost:$port/mcp
issuer=http://localhost:$port/demo-issuer
[ -z "$keycloak" ] || issuer=http://localhost:$keycloak_port/realms/mcp-demo
template=$here${keycloak:+/keycloak}/httpd.conf.in

# Sets base, where all is kept that is made once, and dir, where this run writes.
prepare() {
    [ -n "$MODULE" ] || need_build_tools
    need apache2-bin has_command /usr/sbin/apache2
    need apache2-dev has_command apxs
    need python3 has_command python3
    need python3-venv find_python
    need curl has_command curl
    need ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
    [ -z "$keycloak" ] || need_for_keycloak
    install_missing

    umask 022
    base=$dir
    dir=$base${keycloak:+/with-keycloak}
    mkdir -p "$dir/run" "$dir/public" "$dir/htdocs" || die "cannot create $dir; choose another with MCP_QUICKSTART_DIR"
    base=$(cd "$base" && pwd)
    dir=$(cd "$dir" && pwd)
    mkdir -p -m 0700 "$dir/tokens"
    rm -f "$dir"/*.log
    check_reachable "$dir" MCP_QUICKSTART_DIR
    [ -n "$MODULE" ] || build_module "$base/build"
    python_environment "$base/venv" "$SDK"
    [ -z "$keycloak" ] || prepare_keycloak
}

make_tokens() {
    rm -f "$dir"/tokens/*
    "$base/venv/bin/python" "$here/tokens.py" --dir "$dir/tokens" --issuer "$issuer" --audience "$url" \
        reader=calc:list tools=calc:list,calc:use everything=calc:list,calc:use,calc:divide || die "no tokens were made"
    # The one public part; the rest stays where only this user can look.
    install -m 0644 "$dir/tokens/jwks.json" "$dir/public/jwks.json"
}

start_servers() {
    local backend httpd
    httpd=$(httpd_program)
    backend=$(free_ports 1)
    fill "$template" DIR "$dir" PORT "$port" BACKEND "$backend" ISSUER "$issuer" MODULE "$MODULE" \
        USER "$(httpd_user)" \
        LOADMODULES "$(load_lines "$httpd" mpm_event watchdog authn_core authz_core unixd log_config proxy proxy_http socache_shmcb)" \
        >"$dir/httpd.conf"
    start "$dir/server.log" "$base/venv/bin/python" "$here/server.py" "$backend"
    server=$child
    wait_for_port "$backend" "$server" "$dir/server.log" "the calculator"
    start "$dir/httpd.out" "$httpd" -f "$dir/httpd.conf" -DFOREGROUND
    gateway=$child
    wait_for_port "$port" "$gateway" "$dir/httpd.out" "httpd"
}

instructions() {
    local accept="-H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream'"
    cat <<T

The calculator is at $url. Three access tokens, good for 8 hours:

READER='$(cat "$dir/tokens/reader.token")'
TOOLS='$(cat "$dir/tokens/tools.token")'
EVERYTHING='$(cat "$dir/tokens/everything.token")'

Paste these three lines into another terminal. READER may list, TOOLS may also add and multiply, EVERYTHING may also
divide. Then try:

# nobody: 401, and where to find the authorization server
curl -i $url -d '{}'
curl http://localhost:$port/.well-known/oauth-protected-resource/mcp

# the reader may list, but not add: 403 names the scope that is missing
curl $url -H "Authorization: Bearer \$READER" $accept -d '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
curl -i $url -H "Authorization: Bearer \$READER" $accept -d '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"add","arguments":{"a":2,"b":40}}}'

# with the right token
curl $url -H "Authorization: Bearer \$TOOLS" $accept -d '{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"add","arguments":{"a":2,"b":40}}}'
curl $url -H "Authorization: Bearer \$EVERYTHING" $accept -d '{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"divide","arguments":{"a":84,"b":2}}}'

# what the MCP server sees: X-Mcp-User, and no token
curl $url -H "Authorization: Bearer \$TOOLS" $accept -d '{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"headers","arguments":{}}}'

configuration $dir/httpd.conf
logs          $dir/error.log, access.log, server.log
Ctrl-C ends httpd and the calculator.
T
}

free_port_or_die() { # free_port_or_die PORT OPTION
    port_is_free "$1" || die "something listens on 127.0.0.1:$1 already; stop it, or choose another port with $2"
}
free_port_or_die "$port" --port
[ -z "$keycloak" ] || free_port_or_die "$keycloak_port" --keycloak-port
prepare
trap stop_children EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if [ -n "$keycloak" ]; then start_realm; else make_tokens; fi
start_servers

if [ -n "$demo" ]; then
    if [ -n "$keycloak" ]; then keycloak_demo
    else "$base/venv/bin/python" "$here/demo.py" "$url" "$dir/tokens" "$issuer"; fi
    exit
fi
if [ -n "$keycloak" ]; then keycloak_instructions; else instructions; fi
wait -n "${children[@]}"
for log in "$dir"/*.log; do printf -- '-- %s\n' "$log"; tail -n 5 "$log"; done >&2
die "${keycloak:+Keycloak, }httpd or the calculator ended by itself; their logs are in $dir"
