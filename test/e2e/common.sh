# What the end-to-end tests share. To be sourced after conf/quickstart/setup.sh, with MODULE, here and source set.

passed=0 failed=0

verdict() { # verdict ok|FAIL TEXT
    if [ "$1" = ok ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    printf '%-4s %s\n' "$1" "$2"
}

module_check() {
    [ -n "$MODULE" ] || die "--module is missing; $(basename "$0") --help tells more"
    [ -f "$MODULE" ] || die "--module: there is no file $MODULE"
    MODULE=$(readlink -e "$MODULE")
}

end_cleanly() { # whatever ends the script ends its children
    trap stop_children EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

need_gateway() { # httpd, and what the servers and clients are written in
    need apache2-bin has_command /usr/sbin/apache2
    need apache2-dev has_command apxs
    need curl has_command curl
    need python3 has_command python3
    need python3-venv find_python
    need_node
}

make_directories() { # make_directories NAME   sets cache, and dir, which is NAME in it and empty
    umask 022
    cache=${MCP_E2E_DIR:-$source/build/e2e}
    mkdir -p "$cache" || die "cannot create $cache"
    cache=$(cd "$cache" && pwd)
    dir=$cache/$1
    rm -rf "$dir"
    mkdir -p "$dir/run" "$dir/public" "$dir/htdocs"
    mkdir -p -m 0700 "$dir/tokens"
    check_reachable "$dir" MCP_E2E_DIR
}

python_sdks() {
    python_environment "$cache/mcp1" "$(cat "$here/requirements-mcp1.txt")"
    python_environment "$cache/mcp2" "$(cat "$here/requirements-mcp2.txt")"
}

# The official servers, each on a port of its own.
servers='python1 python2 ts2 everything'

choose_ports() { # sets gateway, base, and port by server
    local p1 p2 p3 p4
    read -r gateway p1 p2 p3 p4 <<<"$(free_ports 5)"
    declare -gA port=([python1]=$p1 [python2]=$p2 [ts2]=$p3 [everything]=$p4)
    base=http://localhost:$gateway
}

start_servers() { # start_servers SERVER.py SERVER.mjs NODE_MODULES
    local name python1 python2 ts2 everything
    start "$dir/python1.log" "$cache/mcp1/bin/python" "$1" "${port[python1]}"; python1=$child
    start "$dir/python2.log" "$cache/mcp2/bin/python" "$1" "${port[python2]}"; python2=$child
    start "$dir/ts2.log" "$NODE" "$2" "${port[ts2]}"; ts2=$child
    start "$dir/everything.log" env PORT="${port[everything]}" "$NODE" \
        "$3/@modelcontextprotocol/server-everything/dist/index.js" streamableHttp; everything=$child
    for name in $servers; do
        wait_for_port "${port[$name]}" "${!name}" "$dir/$name.log" "the MCP server $name"
    done
}

start_httpd() { # start_httpd PORT   with $dir/httpd.conf
    start "$dir/httpd.out" "$(httpd_program)" -f "$dir/httpd.conf" -DFOREGROUND
    wait_for_port "$1" "$child" "$dir/httpd.out" httpd
}
