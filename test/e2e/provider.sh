#!/bin/bash
# usage: provider.sh --module FILE [--mpm event|worker|prefork] [--help]
#
# mod_mcp_oauth with a certified authorization server (npm oidc-provider): RFC 9068 tokens by every kind of key, resource
# indicators, opaque tokens and their introspection, plain, signed and failing, DPoP, and the official TypeScript client in
# front of it all. Ends with a line "N passed, N failed".
#
#   --module FILE  the mod_mcp_oauth.so to test
#   --mpm NAME     default event
#
# Everything is written below MCP_E2E_DIR (default: build/e2e of the source tree), npm packages included.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/../.." && pwd)
. "$source/conf/quickstart/setup.sh"
. "$here/common.sh"
. "$here/provider/checks.sh"

MODULE='' mpm=event
while [ $# -gt 0 ]; do
    case $1 in
        --module) MODULE=${2:-}; shift ;;
        --mpm) mpm=${2:-}; shift ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) die "unknown option $1; provider.sh --help lists them" ;;
    esac
    shift || die "an argument is missing; provider.sh --help tells which"
done
module_check

prepare() {
    need_gateway
    install_missing
    make_directories "provider-$mpm"
    node_environment "$cache/provider" "$here/provider/package.json"
    # Node finds packages beside the script or above; the source tree holds none.
    work=$cache/provider/provider-$mpm
    mkdir -p "$work"
    cp "$here"/provider/*.mjs "$work/"
    mkdir -p -m 0700 "$dir/conf"
    (umask 077 && printf 'plain server-secret\n' >"$dir/conf/plain-secret")
    export MCP_SIGNED_SECRET='signed server-secret'
}

start_gateway() {
    local more=$'ServerLimit 1\nStartServers 1\nThreadsPerChild 32\nMaxRequestWorkers 32'
    processes=1
    [ "$mpm" != prefork ] || { more=$'StartServers 16\nMaxRequestWorkers 32' processes=32; }
    fill "$here/provider/gateway.conf.in" DIR "$dir" ISSUER "$issuer" MODULE "$MODULE" MPM "$more" USER "$(httpd_user)" \
        MAIN "$p_main" PLAIN "$p_plain" SIGNED "$p_signed" BACKEND "$p_backend" \
        LOADMODULES "$(load_lines "$(httpd_program)" "mpm_$mpm" watchdog authn_core authz_core unixd log_config headers proxy proxy_http socache_shmcb)" \
        >"$dir/httpd.conf"
    start_httpd "$p_main"
    httpd_pid=$child
}

end_cleanly
prepare
read -r p_issuer p_backend p_main p_plain p_signed <<<"$(free_ports 5)"
issuer=http://localhost:$p_issuer
start "$dir/issuer.log" "$NODE" "$work/issuer.mjs" "$p_issuer"
wait_for_port "$p_issuer" "$child" "$dir/issuer.log" 'the authorization server'
start_gateway
run_checks 60 "$issuer" "$p_backend" "http://localhost:$p_main" "http://localhost:$p_plain" "http://localhost:$p_signed" "$processes"
kill -0 "$httpd_pid" 2>/dev/null || verdict FAIL "httpd ended by itself"
stop_children
clean_logs '(plain|signed)([ +]|%20)server-secret'
end_with_counts 0 "$passed" "$failed"
