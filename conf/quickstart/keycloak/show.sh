# Sourced by run.sh: what is different with --keycloak. Bash.

need_for_keycloak() {
    need_keycloak
    [ -n "$demo" ] || return 0
    need_node
    need_chromium
}

prepare_keycloak() {
    check_java
    install_keycloak "${MCP_KEYCLOAK_DIR:-$base/keycloak}"
    [ -n "$demo" ] || return 0
    python_environment "$base/venv1" 'mcp==1.30.0'
    node_environment "$base/node" "$here/keycloak/package.json"
    # Node finds packages beside the script; the source tree holds none.
    cp "$here"/keycloak/*.mjs "$base/node/"
    CHROMIUM=$(find_chromium) || npm_chromium "$base/chromium" "$here/keycloak/chromium.json"
}

# Starts Keycloak and makes the realm; writes the users with their passwords to $dir/users.
start_realm() {
    export no_proxy="localhost,127.0.0.1${no_proxy:+,$no_proxy}"
    export NO_PROXY=$no_proxy
    say "starting Keycloak; that takes 15 to 40 seconds"
    start_keycloak "$keycloak_port" "$dir/keycloak.log"
    rm -f "$dir/users"
    (umask 077 && exec "$base/venv/bin/python" "$here/keycloak/realm.py" "http://localhost:$keycloak_port" "$url" \
        <<<"$admin_password" >"$dir/users") || die "the realm could not be made"
}

keycloak_demo() {
    CHROMIUM=$CHROMIUM "$base/venv/bin/python" -B "$here/keycloak/walk.py" "$url" "$issuer" "$dir" "$base" "$NODE" \
        <<<"$admin_password"
}

keycloak_instructions() {
    local keycloak_url=http://localhost:$keycloak_port alice bob carol name password
    while read -r name password; do
        case $name in alice) alice=$password ;; bob) bob=$password ;; carol) carol=$password ;; esac
    done <"$dir/users"
    cat <<T

The calculator is at $url, for the users of Keycloak:

    alice  password $alice   may list, add, multiply and divide
    bob    password $bob     may list, add and multiply
    carol  password $carol   may do nothing

Point a client at it. It finds Keycloak, registers there, and opens the login page in a browser; Keycloak asks what the
client may do, and the client calls what the user has allowed and is allowed.

Claude Code    claude mcp add --transport http calculator $url
               then /mcp in claude, calculator, Authenticate
VS Code        .vscode/mcp.json:
               {"servers": {"calculator": {"type": "http", "url": "$url"}}}
MCP Inspector  npx @modelcontextprotocol/inspector --cli $url --transport http --method tools/list

By hand:       curl -i $url -d '{}'
               curl http://localhost:$port/.well-known/oauth-protected-resource/mcp

Keycloak remembers who has logged in in a browser. To become somebody else, use a private window, or log out at
$keycloak_url/realms/mcp-demo/protocol/openid-connect/logout

Step-up: $url/step-up asks for less at first. Calling divide as alice gets 403, and the client comes back to
Keycloak for one more scope. That takes a client that may ask for any scope, such as mcp-public, which is public (no secret)
and may return to any port of localhost:

    claude mcp add --transport http --client-id mcp-public --callback-port 8765 step-up $url/step-up

console        $keycloak_url/admin, user admin, password $admin_password
configuration  $dir/httpd.conf; the realm is made by $here/keycloak/realm.py
logs           $dir/access.log, error.log, server.log, keycloak.log
Keycloak forgets everything when it ends: clients that have registered must be removed and added again then.
Ctrl-C ends httpd, the calculator and Keycloak.
T
}
