# Sourced by test/soak.sh and test/flood.sh: what they need, their programs, and the end of a run. Bash; expects $here and $source.

# What is left when the driver was killed outright: the rest of its session, and httpd, whose pid file tells.
stop_rest() {
    local file pid stat
    for stat in /proc/[0-9]*/stat; do
        read -r pid file <"$stat" || continue
        set -- ${file##*) }
        [ -z "${driver:-}" ] || [ "$4" != "$driver" ] || kill -KILL "$pid"
    done
    for file in "$dir"/run-*/httpd/run/httpd.pid; do
        pid=$(cat "$file" 2>/dev/null) || continue
        grep -qsF "$dir/" "/proc/$pid/cmdline" && stop "$pid"
    done
}

# Also when something ended the script on the way: then that is a failure.
finish() {
    local status=$? passed=0 failed=0
    stop_children
    [ -z "${dir:-}" ] || { stop_rest; read -r passed failed <"$dir/result"; } 2>/dev/null
    end_with_counts "$status" "$passed" "$failed"
}

# prepare NAME VARIABLE MPM   sets dir (which $VARIABLE may name), builds the programs, writes the LoadModule lines
prepare() {
    need_build_tools
    need perl perl -MJSON::PP -MTime::HiRes -MIO::Socket::INET -MDigest::SHA -e1
    install_missing

    own_directory "$2" "$1"
    rm -rf "$dir/result" "$dir"/run-*

    # Each stream takes two descriptors of httpd, one of its client and one of the MCP server.
    ulimit -n "$(ulimit -Hn)" 2>/dev/null
    [ "$(ulimit -n)" = unlimited ] || [ "$(ulimit -n)" -ge 4096 ] || die "ulimit -n is $(ulimit -n), and 4096 are needed"

    [ -n "$MODULE" ] || build_module "$dir/build"
    MODULE=$(readlink -e "$MODULE")
    mkdir -p "$dir/tools"
    compile mint tools/mint.c
    compile tokens flood/tokens.c
    compile backend soak/backend.c
    compile client soak/client.c
    httpd=$(httpd_program)
    load_lines "$httpd" "mpm_$3" watchdog authn_core authz_core unixd log_config alias proxy proxy_http reqtimeout >"$dir/modules.conf"
}

compile() {
    gcc -O2 -D_GNU_SOURCE -o "$dir/tools/$1" "$here/$2" $(pkg-config --cflags --libs jansson libcrypto) || die "test/$2 does not compile"
}

# run_driver FILE ARGUMENT...   in a session of its own
run_driver() {
    local file=$1
    shift
    setsid perl "$file" --dir "$dir" --tools "$dir/tools" --module "$MODULE" --httpd "$httpd" "$@" </dev/null &
    driver=$!
    children+=("$driver")
    wait "$driver"
}
