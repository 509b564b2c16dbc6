#!/bin/bash
# usage: keycloak.sh --module FILE [--mpm event|worker|prefork] [--help]
#
# mod_mcp_oauth with a real Keycloak: tokens by password, client credentials and login form, audiences, roles as rules, key
# rotation, DPoP, and introspection as in conf/examples/introspection.conf, until Keycloak hangs and ends. Ends with a line
# "N passed, N failed".
#
#   --module FILE  the mod_mcp_oauth.so to test
#   --mpm NAME     default event
#
# Needs Java 17 or newer (JAVA_HOME, or what is in PATH). Everything is written below MCP_E2E_DIR (default: build/e2e of the
# source tree), Keycloak included, unless MCP_KEYCLOAK_DIR names another place for it: 170 MB, which Maven fetches once.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/../.." && pwd)
. "$source/conf/quickstart/setup.sh"
. "$source/conf/quickstart/keycloak.sh"
. "$here/common.sh"
. "$here/provider/checks.sh"

MODULE='' mpm=event
while [ $# -gt 0 ]; do
    case $1 in
        --module) MODULE=${2:-}; shift ;;
        --mpm) mpm=${2:-}; shift ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) die "unknown option $1; keycloak.sh --help lists them" ;;
    esac
    shift || die "an argument is missing; keycloak.sh --help tells which"
done
module_check

# --- the gateway ----------------------------------------------------------------------------------------------

prepare() {
    need_keycloak
    need_gateway
    install_missing
    check_java
    make_directories "keycloak-$mpm"
    mkdir -p -m 0700 "$dir/conf"
    install_keycloak "${MCP_KEYCLOAK_DIR:-$cache/keycloak}"
    node_environment "$cache/provider" "$here/provider/package.json"
    # Node finds packages beside the script or above; the source tree holds none.
    work=$cache/provider/keycloak-$mpm
    mkdir -p "$work"
    cp "$here"/provider/oauth.mjs "$here"/keycloak/*.mjs "$work/"
}

make_realm() {
    "$NODE" "$work/realm.mjs" "$keycloak" "$admin_password" "$dir/conf/mcp-client-secret" "http://localhost:$p_jwt/mcp" "http://localhost:$p_asked" ||
        die "the realm could not be made"
}

# The example as it is shipped, but for its addresses, and for how long an answer counts.
example() {
    local file=$dir/introspection.conf
    sed -e "s|localhost:8080|localhost:$p_keycloak|" -e "s|:8000|:$p_asked|" -e "s|127.0.0.1:3001|127.0.0.1:$p_backend|" \
        -e 's|^\( *McpOAuthIntrospectionCacheTTL *\)60s|\12s|' "$source/conf/examples/introspection.conf" >"$file"
    grep -q '^ *McpOAuthIntrospectionCacheTTL *2s' "$file" && grep -q "127.0.0.1:$p_backend/mcp" "$file" && ! grep -qE '^[^#]*:(8000|8080|3001)' "$file" ||
        die "conf/examples/introspection.conf is not what this test knows"
    cat "$file"
}

start_gateway() {
    local more=''
    # prefork: one process for each of the idle connections that clients keep
    [ "$mpm" != prefork ] || more=$'StartServers 4\nMaxRequestWorkers 32'
    {
        fill "$here/keycloak/gateway.conf.in" DIR "$dir" ISSUER "$issuer" MODULE "$MODULE" MPM "$more" USER "$(httpd_user)" \
            JWT "$p_jwt" FOUND "$p_found" WRONG "$p_wrong" BACKEND "$p_backend" \
            LOADMODULES "$(load_lines "$(httpd_program)" "mpm_$mpm" watchdog authn_core authz_core unixd log_config headers proxy proxy_http socache_shmcb)"
        example
    } >"$dir/httpd.conf"
    wrong_secret=wrong-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    export MCP_WRONG_SECRET=$wrong_secret
    start_httpd "$p_jwt"
    httpd_pid=$child
}

# What httpd wrote down, after it has ended.
afterwards() {
    local secret
    secret=$(cut -c1-24 "$dir/conf/mcp-client-secret")
    if grep -q 'mcp_oauth:warn.*MCP0330' "$dir/error.log"; then verdict ok "error log: a warning that Keycloak could not be asked"
    else verdict FAIL "error log: no warning that Keycloak could not be asked"; fi
    clean_logs "$secret|$wrong_secret"
}

end_cleanly
prepare
read -r p_keycloak p_backend p_jwt p_asked p_found p_wrong <<<"$(free_ports 6)"
keycloak=http://localhost:$p_keycloak
issuer=$keycloak/realms/mcp-demo
start_keycloak "$p_keycloak" "$dir/keycloak.log"
make_realm
start_gateway
run_checks 60 "$keycloak_pid" "$keycloak" "$admin_password" "$p_backend" \
    "http://localhost:$p_jwt/mcp" "http://localhost:$p_asked/mcp" "http://localhost:$p_found/mcp" "http://localhost:$p_wrong/mcp"
kill -0 "$httpd_pid" 2>/dev/null || verdict FAIL "httpd ended by itself"
stop_children
afterwards
end_with_counts 0 "$passed" "$failed"
