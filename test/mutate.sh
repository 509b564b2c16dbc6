#!/bin/bash
# usage: mutate.sh [--room token|keys|rpc|policy] [--file F] [--sample N] [--seed S] [--jobs N] [--plain] [--help]
#
# How much do the unit tests notice? Changes the sources of src/token, src/keys, src/rpc and src/policy at one place at a time,
# and runs the tests: a mutant that no test fails for survives. At most 20 % of each room may. The changes:
#
#   a == b and the like   the negation, and the neighbour: < for <=; a constant or ceiling on the right is off by one
#   a && b, a || b        a, or b
#   if (c), c ? a : b     c is 1, or 0; of a loop: 0
#   return x              !x of an int; success for a status, or a failure for success; NULL for a pointer
#   f();                  of void: left out
#
# First the plain programs run; then, for what survived, those with AddressSanitizer and UBSan. What the compiler makes the same
# code of is no mutant. What does not end within several times the usual time is noticed. Left out are torture*.c, which takes
# long, and the vectors of third parties.
#
#   --room ROOM  only this room
#   --file F     only this file
#   --sample N   about N mutants, chosen by chance from all these files alike
#   --seed S     another choice (default 1)
#   --jobs N     at the same time (default 1)
#   --plain      without the sanitizers: quicker, and a few more survive
#
# Everything is written below MCP_MUTATE_DIR (default: build/mutate in the source tree); survivors.txt there lists the survivors,
# and which tests came by them. What is known stays there: the next time, only changed files, survivors and what changed tests
# had noticed are run; to begin anew, delete it. The last line is "N passed, N failed"; exit 0 only if nothing failed.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/.." && pwd)
. "$source/conf/quickstart/setup.sh"

options=()
while [ $# -gt 0 ]; do
    case $1 in
        --room | --file | --sample | --seed | --jobs) options+=("$1" "${2:-}"); shift ;;
        --plain) options+=("$1") ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) die "unknown option $1; mutate.sh --help lists them" ;;
    esac
    shift || die "an argument is missing; mutate.sh --help tells which"
done

need_build_tools
need python3 has_command python3
need python3-venv find_python
need libaprutil1-dev has_command apu-1-config
need util-linux has_command prlimit
install_missing

dir=${MCP_MUTATE_DIR:-$source/build/mutate}
mkdir -p "$dir" || die "cannot create $dir; choose another directory with MCP_MUTATE_DIR"
dir=$(cd "$dir" && pwd)
python_environment "$dir/python" libclang==14.0.6
flags="-DMCP_VERSION=\"0\" $(apr-1-config --includes --cppflags | tr '\n' ' ') $(apu-1-config --includes)"
libs="$(apr-1-config --link-ld) $(apu-1-config --link-ld) -ljansson -lcurl -lssl -lcrypto -lpthread -lm"
PYTHONDONTWRITEBYTECODE=1 exec nice -n 12 "$dir/python/bin/python" -u "$here/mutate/run.py" --work "$dir" \
    --flags="$flags" --libs="$libs" "${options[@]}"
