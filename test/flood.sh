#!/bin/bash
# usage: flood.sh [--quick] [--module SO] [--help] [SCENARIO...]
#
# Floods: an httpd of its own with mod_mcp_oauth in front of an MCP server, good requests, and somebody who wants to use up what
# there is. Bounds hold, and good requests keep their throughput. The last line is "N passed, N failed"; exit 0 only if nothing
# failed. Scenarios, all of them by default:
#
#   TOKENS   100,000 different good tokens: the cache keeps its bounds, those that are in use stay in it (R09)
#   GARBAGE  100,000 tokens with wrong signatures, and 100,000 that are none
#   BODIES   10^5 keys, elements, objects, and as deep; within the limit of a body and above it
#   SLOW     bodies that come a byte at a time, with mod_reqtimeout: they are ended, and the workers come back
#   JWKS     a key set of 1 MiB, and longer ones: the old keys stay
#   KIDS     made-up key ids: that is R08 of test/load.sh
#
# A flood costs CPU whatever answers it. So good requests beside it are compared, in turns, with good requests beside one of the
# same rate that asks as little of the module as can be: known tokens in place of new ones, no token in place of a bad one, one
# long text in place of many keys, the same path without the module. At least 0.9 of that throughput remains.
#
#   --quick      small numbers and short turns, which cannot tell 0.85 from 0.95: at least 0.5 remains; about 4 minutes
#   --module SO  the mod_mcp_oauth.so to test (default: it is built first)
#
# Everything is written below MCP_FLOOD_DIR (default: build/flood of the source tree).
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/.." && pwd)
. "$source/conf/quickstart/setup.sh"
. "$here/soak/common.sh"

MODULE='' quick=() scenarios=() kids=''
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=(--quick) ;;
        --module) MODULE=${2:-}; shift ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        -*) die "unknown option $1; flood.sh --help lists them" ;;
        KIDS | kids) kids=yes ;;
        *) scenarios+=("$1") ;;
    esac
    shift || die "an argument is missing; flood.sh --help tells which"
done
[ -z "$MODULE" ] || [ -f "$MODULE" ] || die "--module: there is no file $MODULE"

trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Adds what test/load.sh counts.
kids() {
    local passed=0 failed=0 more_passed more_failed long=(--long --mpm event)
    [ ${#quick[@]} = 0 ] || long=()
    read -r passed failed <"$dir/result"
    MCP_LOAD_DIR=$dir/load setsid "$here/load.sh" "${long[@]}" --module "$MODULE" R08 </dev/null >"$dir/kids.out" 2>&1 &
    children+=($!)
    wait $!
    sed '$d' "$dir/kids.out"
    read -r more_passed _ more_failed _ <<<"$(tail -n 1 "$dir/kids.out")"
    if ! [[ "$more_passed $more_failed" =~ ^[0-9]+\ [0-9]+$ ]]; then
        cat "$dir/kids.out"
        more_passed=0 more_failed=1
    fi
    printf '%d %d\n' $((passed + more_passed)) $((failed + more_failed)) >"$dir/result"
    [ "$more_failed" = 0 ]
}

[ ${#scenarios[@]} -gt 0 ] || [ -n "$kids" ] || kids=all
prepare flood MCP_FLOOD_DIR event
echo '0 0' >"$dir/result"
status=0
if [ ${#scenarios[@]} -gt 0 ] || [ "$kids" = all ]; then
    run_driver "$here/flood/run.pl" "${quick[@]}" -- "${scenarios[@]}" || status=$?
fi
[ -z "$kids" ] || kids || status=$?
exit "$status"
