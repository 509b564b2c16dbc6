#!/bin/sh
# usage: differential.sh [--seconds N [--seed N] | --record] [--help]
#
# B01 B02 B03: a body that the gate allows says nothing else to backends in Python, Node or Go (test/differential/README.md). Without an
# option: the corpus with its recorded readings, part of "make check".
#
#   --seconds N  makes bodies for N seconds and asks the real interpreters: python3, node and go, none of which may be missing
#   --seed N     of the bodies; the last line says which it was
#   --record     asks the interpreters about the corpus again, and writes it
#
# From the environment: MCP_JUDGE, the program (default: test/differential/judge of the working directory), PYTHON, NODE, GO, MCP_FOUND,
# where finds go (default: found.jsonl of the working directory).
set -u
script=$0
here=$(cd "$(dirname "$script")" && pwd)/differential
die() { echo "differential.sh: $*" >&2; exit 1; }

seconds='' seed='' record=''
while [ $# -gt 0 ]; do
    case $1 in
        --seconds | --seed)
            case ${2:-} in '' | *[!0-9]*) die "$1 needs a number" ;; esac
            [ "$1" = --seed ] && seed=$2 || seconds=$2
            shift ;;
        --record) record=1 ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p;}' "$script"; exit 0 ;;
        *) die "unknown option $1; differential.sh --help lists them" ;;
    esac
    shift
done
[ -z "$seed" ] || [ -n "$seconds" ] || die "--seed goes with --seconds"

judge=${MCP_JUDGE:-$PWD/test/differential/judge}
python=${PYTHON:-python3} node=${NODE:-node} go=${GO:-go}
PYTHONDONTWRITEBYTECODE=1 GOTOOLCHAIN=local
export PYTHONDONTWRITEBYTECODE GOTOOLCHAIN
has() { command -v "$1" >/dev/null; }
[ -x "$judge" ] || die "there is no judge at $judge; make check builds it"
for f in seeds generated; do
    [ -s "$here/corpus/$f.jsonl" ] || die "there is no $here/corpus/$f.jsonl"
done

if [ -z "$seconds$record" ]; then
    has "$python" || { echo "SKIP: $python is missing"; exit 77; }
    exec "$python" "$here/compare.py" "$judge" "$here"/corpus/*.jsonl
fi

for program in "$python" "$node" "$go"; do
    has "$program" || die "$program is missing: only the real interpreters tell what a body says to them"
done
work=$(mktemp -d) || die "no temporary directory"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
set -- --judge "$judge" --node "$node" --go "$work/read" --found "${MCP_FOUND:-found.jsonl}"
"$go" build -o "$work/read" "$here/read.go" || die "read.go does not compile"
# encoding/json on top of its second version, which is to come
if GOEXPERIMENT=jsonv2 "$go" build -o "$work/read2" "$here/read.go" 2>/dev/null; then set -- "$@" --go2 "$work/read2"
else echo "this Go has no second version of encoding/json"; fi
"$python" --version && "$node" --version && "$go" version || die "an interpreter does not run"
[ -z "$seconds" ] || set -- "$@" --seconds "$seconds"
[ -z "$seed" ] || set -- "$@" --seed "$seed"
[ -z "$record" ] || set -- "$@" --record
"$python" "$here/fuzz.py" "$@" "$here"/corpus/*.jsonl
