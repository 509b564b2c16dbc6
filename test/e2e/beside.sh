#!/bin/bash
# usage: beside.sh --module FILE [--mpm event|worker|prefork] [--help]
#
# mod_mcp_oauth in one httpd with mod_auth_openidc and mod_oauth2, in both orders of loading: each judges its own location, and
# none gets in the way of another, also after a graceful restart. Ends with a line "N passed, N failed".
#
#   --module FILE  the mod_mcp_oauth.so to test
#   --mpm NAME     default event
#
# The two others are Debian's packages. Everything is written below MCP_E2E_DIR (default: build/e2e of the source tree).
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/../.." && pwd)
. "$source/conf/quickstart/setup.sh"
. "$here/common.sh"

MODULE='' mpm=event
while [ $# -gt 0 ]; do
    case $1 in
        --module) MODULE=${2:-}; shift ;;
        --mpm) mpm=${2:-}; shift ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) die "unknown option $1; beside.sh --help lists them" ;;
    esac
    shift || die "an argument is missing; beside.sh --help tells which"
done
module_check

prepare() {
    need libapache2-mod-auth-openidc test -f "$(apxs -q exp_libexecdir)/mod_auth_openidc.so"
    need libapache2-mod-oauth2 test -f "$(apxs -q exp_libexecdir)/mod_oauth2.so"
    need_gateway
    install_missing
    make_directories "beside-$mpm"
    python_environment "$cache/mcp2" "$(cat "$here/requirements-mcp2.txt")"
}

make_tokens() {
    "$cache/mcp2/bin/python" "$here/beside/tokens.py" "$dir/tokens" "$issuer" "$issuer/aud" user=mcp:use "admin=mcp:use admin" || die "no tokens were made"
    install -m 0644 "$dir/tokens/jwks.json" "$dir/tokens/cert.pem" "$dir/public/"
    install -m 0644 "$dir/tokens/jwks.json" "$dir/htdocs/"
}

# start_all FIRST...   httpd with the three modules, loaded in this order
start_all() {
    local libexec order=() name
    libexec=$(apxs -q exp_libexecdir)
    for name; do
        case $name in
            ours) order+=("LoadModule mcp_oauth_module \"$MODULE\"") ;;
            openidc) order+=("LoadModule auth_openidc_module \"$libexec/mod_auth_openidc.so\"") ;;
            oauth2) order+=("LoadModule oauth2_module \"$libexec/mod_oauth2.so\"") ;;
        esac
    done
    fill "$here/beside/httpd.conf.in" DIR "$dir" PORT "$port" ISSUER "$issuer" BACKEND "$backend" USER "$(httpd_user)" \
        ORDER "$(printf '%s\n' "${order[@]}")" \
        LOADMODULES "$(load_lines "$(httpd_program)" "mpm_$mpm" watchdog authn_core authz_core authz_user unixd log_config proxy proxy_http socache_shmcb)" \
        >"$dir/httpd.conf"
    start_httpd "$port"
    gateway=$child
}

code() { # code PATH [TOKEN]   prints the status of a GET
    curl -s -m 20 --noproxy '*' -o /dev/null -w '%{http_code}' ${2:+-H "Authorization: Bearer $2"} "http://localhost:$port$1"
}
expect() { # expect WANT WHAT PATH [TOKEN]
    local got
    got=$(code "$3" "${4:-}")
    if [ "$got" = "$1" ]; then verdict ok "$round: $2"
    else verdict FAIL "$round: $2: $got instead of $1"; fi
}

checks() {
    local user admin bad name
    user=$(cat "$dir/tokens/user.token") admin=$(cat "$dir/tokens/admin.token")
    bad=${user%?????}AAAAA
    for name in ours openidc oauth2; do
        expect 200 "/$name takes a good token" "/$name" "$user"
        expect 401 "/$name refuses a bad signature" "/$name" "$bad"
        expect 401 "/$name refuses who has none" "/$name"
    done
    expect 403 "AuthType mcp-oauth and Require mcp-scope refuse who lacks the scope" /ours/require "$user"
    expect 200 "AuthType mcp-oauth and Require mcp-scope let the right one pass" /ours/require "$admin"
    expect 200 "our metadata is there" /.well-known/oauth-protected-resource/ours
    expect 200 "what nobody protects is open" /jwks.json
    if curl -s -m 20 --noproxy '*' -D - -o /dev/null "http://localhost:$port/oauth2" | grep -qi 'resource_metadata'; then
        verdict FAIL "$round: the refusal of another module bears our challenge"
    else
        verdict ok "$round: the refusal of another module is its own"
    fi
}

reload() {
    local tries before
    before=$(grep -c 'resuming normal operations' "$dir/error.log")
    kill -USR1 "$gateway"
    for ((tries = 0; tries < 200; tries++)); do
        [ "$(grep -c 'resuming normal operations' "$dir/error.log")" -gt "$before" ] && return
        sleep 0.1
    done
    verdict FAIL "$round: no graceful restart"
}

end_cleanly
prepare
read -r port backend <<<"$(free_ports 2)"
issuer=https://issuer.example
make_tokens
start "$dir/backend.log" "$(find_python)" "$here/beside/backend.py" "$backend"
wait_for_port "$backend" "$child" "$dir/backend.log" "the backend"
for order in 'ours openidc oauth2' 'oauth2 openidc ours'; do
    round="loaded as ${order// /, }"
    # shellcheck disable=SC2086
    start_all $order
    checks
    round="$round, after a reload"
    reload
    checks
    kill -0 "$gateway" 2>/dev/null || verdict FAIL "$round: httpd ended by itself"
    stop "$gateway"
done
if grep -qE 'exit signal|AH00052|Sanitizer|stack smashing|double free' "$dir/error.log" "$dir/httpd.out"; then verdict FAIL "error log: a child of httpd crashed"
else verdict ok "error log: no child of httpd crashed"; fi
stop_children
end_with_counts 0 "$passed" "$failed"
