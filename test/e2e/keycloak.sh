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
# source tree), Keycloak included: 170 MB, which Maven fetches once.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/../.." && pwd)
. "$source/conf/quickstart/setup.sh"
. "$here/common.sh"
. "$here/provider/checks.sh"

KEYCLOAK=26.4.7
KEYCLOAK_SHA256=dd9834c023460be856f731423d86228c23b5d002194a2064642bec0cc6573eaa
MAVEN_DEPENDENCY=org.apache.maven.plugins:maven-dependency-plugin:3.8.1

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

# --- Keycloak -----------------------------------------------------------------------------------------------

java_is_new() {
    local version
    version=$("${JAVA_HOME:+$JAVA_HOME/bin/}java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge 17 ]
}

# Sets home. The options of "build" are those that "start --optimized" cannot change: here a database in memory, so every start
# is a fresh Keycloak.
install_keycloak() {
    local place=$cache/keycloak zip=keycloak-quarkus-dist-$KEYCLOAK.zip
    home=$place/keycloak-$KEYCLOAK
    [ "$(cat "$home/.built" 2>/dev/null)" = "$KEYCLOAK_SHA256" ] && return 0
    say "installing Keycloak $KEYCLOAK into $place"
    rm -rf "$place" && mkdir -p "$place" || die "cannot write $place"
    mvn -B -q -Dstyle.color=never "-Dmaven.repo.local=$place/maven" "$MAVEN_DEPENDENCY:copy" "-DoutputDirectory=$place" \
        "-Dartifact=org.keycloak:keycloak-quarkus-dist:$KEYCLOAK:zip" </dev/null >&2 || die "Maven could not fetch Keycloak; is its repository reachable?"
    printf '%s  %s\n' "$KEYCLOAK_SHA256" "$place/$zip" | sha256sum --check --status || die "$place/$zip is not the file that was asked for"
    unzip -q "$place/$zip" -d "$place" || die "$place/$zip could not be unpacked"
    rm -rf "$place/$zip" "$place/maven"
    "$home/bin/kc.sh" build --db=dev-mem </dev/null >"$place/build.log" 2>&1 || die "Keycloak could not be built; its log is $place/build.log"
    printf '%s\n' "$KEYCLOAK_SHA256" >"$home/.built"
}

keycloak_answers() { curl -sf -m 5 --noproxy '*' -o /dev/null "http://127.0.0.1:$p_keycloak/realms/master"; }

start_keycloak() {
    local tries
    admin_password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    start "$dir/keycloak.log" env JAVA_OPTS_KC_HEAP='-Xms64m -Xmx400m' KC_BOOTSTRAP_ADMIN_USERNAME=admin KC_BOOTSTRAP_ADMIN_PASSWORD="$admin_password" \
        "$home/bin/kc.sh" start --optimized --cache=local --http-enabled=true --http-host=127.0.0.1 --http-port="$p_keycloak" --hostname="$keycloak"
    keycloak_pid=$child
    for ((tries = 0; tries < 900; tries++)); do
        keycloak_answers && break
        kill -0 "$keycloak_pid" 2>/dev/null || break
        sleep 0.2
    done
    keycloak_answers || { tail -n 20 "$dir/keycloak.log" >&2; die "Keycloak did not start; its log is $dir/keycloak.log"; }
    "$NODE" "$work/realm.mjs" "$keycloak" "$admin_password" "$dir/conf/mcp-client-secret" "http://localhost:$p_jwt/mcp" "http://localhost:$p_asked" ||
        die "the realm could not be made"
}

# --- the gateway ----------------------------------------------------------------------------------------------

prepare() {
    need default-jre-headless java_is_new
    need maven has_command mvn
    need unzip has_command unzip
    need_gateway
    install_missing
    java_is_new || die "Keycloak needs Java 17 or newer: install one, and name it with JAVA_HOME if it is not the first in PATH"
    make_directories "keycloak-$mpm"
    mkdir -p -m 0700 "$dir/conf"
    install_keycloak
    node_environment "$cache/provider" "$here/provider/package.json"
    # Node finds packages beside the script or above; the source tree holds none.
    work=$cache/provider/keycloak-$mpm
    mkdir -p "$work"
    cp "$here"/provider/oauth.mjs "$here"/keycloak/*.mjs "$work/"
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
start_keycloak
start_gateway
run_checks 60 "$keycloak_pid" "$keycloak" "$admin_password" "$p_backend" \
    "http://localhost:$p_jwt/mcp" "http://localhost:$p_asked/mcp" "http://localhost:$p_found/mcp" "http://localhost:$p_wrong/mcp"
kill -0 "$httpd_pid" 2>/dev/null || verdict FAIL "httpd ended by itself"
stop_children
afterwards
end_with_counts 0 "$passed" "$failed"
