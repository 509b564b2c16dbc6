#!/bin/bash
# usage: load.sh [--long] [--module SO] [--mpm event|prefork|all] [--help] [SCENARIO...]
#
# Load and faults at the same time: an httpd of its own with mod_mcp_oauth in front of static files, an authorization server
# that fails on command, and clients that count what gets lost. The last line is "N passed, N failed"; exit 0 only if
# nothing failed. Scenarios, all of them by default:
#
#   R02    the authorization server goes away: under load, while children die, over a graceful and a full restart
#   R05    key rotations with overlap
#   R06    key rotations, the new key in use at once
#   R08    a flood of made-up kids while the authorization server hangs (R03)
#   R12    graceful restarts
#   R13    children that end by MaxConnectionsPerChild, and by kill -9
#   R22    one issuer hangs, the other rotates its key
#   ONE    32 prefork children: one fetch per interval for all of them
#   FLAT   descriptors and memory over many refreshes
#
#   --long       as before a release: 10 s before and 60 s after each fault, under both MPMs, and R08 keeps 0.9 of its
#                throughput (otherwise half of it: rounds are too short to tell more); otherwise about 3 minutes in all
#   --module SO  the mod_mcp_oauth.so to test (default: it is built first)
#   --mpm NAME   default event, with --long all
#
# Everything is written below MCP_LOAD_DIR (default: build/load of the source tree).
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/.." && pwd)
. "$source/conf/quickstart/setup.sh"

MODULE='' mpm='' long=() scenarios=()
while [ $# -gt 0 ]; do
    case $1 in
        --long) long=(--long) ;;
        --module) MODULE=${2:-}; shift ;;
        --mpm) mpm=${2:-}; shift ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        -*) die "unknown option $1; load.sh --help lists them" ;;
        *) scenarios+=("$1") ;;
    esac
    shift || die "an argument is missing; load.sh --help tells which"
done
[ -z "$MODULE" ] || [ -f "$MODULE" ] || die "--module: there is no file $MODULE"
[ -n "$mpm" ] || mpm=$([ ${#long[@]} = 0 ] && echo event || echo all)
case $mpm in
    event | prefork) mpms=$mpm ;;
    all) mpms='event prefork' ;;
    *) die "--mpm is event, prefork or all" ;;
esac

# What is left when the driver was killed outright: the rest of its session, and httpd, whose pid file tells.
stop_rest() {
    local file pid stat
    for stat in /proc/[0-9]*/stat; do
        read -r pid file <"$stat" || continue
        set -- ${file##*) }
        [ -z "${driver:-}" ] || [ "$4" != "$driver" ] || kill -KILL "$pid"
    done
    for file in "$dir"/*/run/httpd.pid; do
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
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

prepare() {
    local name
    need_build_tools
    need perl perl -MJSON::PP -MTime::HiRes -MIO::Socket::INET -e1
    install_missing

    own_directory MCP_LOAD_DIR load
    rm -rf "$dir/result" "$dir"/run-*

    [ -n "$MODULE" ] || build_module "$dir/build"
    MODULE=$(readlink -e "$MODULE")
    gcc -O1 -D_GNU_SOURCE -o "$dir/mint" "$here/tools/mint.c" $(pkg-config --cflags --libs jansson libcrypto) ||
        die "test/tools/mint.c does not compile"
    httpd=$(httpd_program)
    for name in $mpms prefork; do
        load_lines "$httpd" "mpm_$name" watchdog authn_core authz_core unixd log_config alias >"$dir/modules-$name.conf"
    done
}

prepare
setsid perl "$here/load/run.pl" "${long[@]}" --dir "$dir" --module "$MODULE" --mint "$dir/mint" --httpd "$httpd" \
    --mpms "$mpms" -- "${scenarios[@]}" </dev/null &
driver=$!
children+=("$driver")
wait "$driver"
exit $?
