#!/bin/bash
# usage: run.sh [--rounds N] [--seconds S] [--module SO] [--only PART,...] [--quick] [--output FILE] [--help]
#
# Measures what the module costs, beside httpd without it and beside mod_auth_openidc and mod_oauth2, and writes
# docs/performance.md with its picture. All run at the same time and are measured in turns. Installs what is missing
# (apt-get, pip), starts servers of its own on free ports and no service of the system. About 15 minutes, on a machine that has
# nothing else to do.
#
#   --rounds N     how often each variant of the part "requests" is measured (default 7)
#   --seconds S    how long each time (default 3)
#   --module SO    the mod_mcp_oauth.so to measure (default: it is built first, with -O2)
#   --only PARTS   of requests, algorithms, bodies, children, latency, instructions, memory, streams
#   --quick        to see whether it runs: one short round of everything, two of the instruction counts; the numbers say nothing
#   --output FILE  where the text goes, its picture beside it as .svg (default: docs/performance.md; with --quick or --only
#                  below MCP_BENCH_DIR)
#
# Everything else is written below MCP_BENCH_DIR (default: build/bench of the source tree); results.json there has all numbers.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/.." && pwd)
. "$source/conf/quickstart/setup.sh"

read -r load _ </proc/loadavg # before anything is built
all=requests,algorithms,bodies,children,latency,instructions,memory,streams
MODULE='' rounds='' seconds='' only='' quick=() output=''
while [ $# -gt 0 ]; do
    case $1 in
        --rounds) rounds=${2:-}; shift ;;
        --seconds) seconds=${2:-}; shift ;;
        --module) MODULE=${2:-}; shift ;;
        --only) only=${2:-}; shift ;;
        --output) output=${2:-}; shift ;;
        --quick) quick=(--quick) ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) die "unknown option $1; run.sh --help lists them" ;;
    esac
    shift || die "an argument is missing; run.sh --help tells which"
done
[ -n "$rounds" ] || rounds=$([ ${#quick[@]} = 0 ] && echo 7 || echo 1)
[ -n "$seconds" ] || seconds=$([ ${#quick[@]} = 0 ] && echo 3 || echo 1)
[[ $rounds =~ ^[1-9][0-9]*$ && $seconds =~ ^[1-9][0-9]*$ ]] || die "--rounds and --seconds are whole numbers above 0"
[ -z "$MODULE" ] || [ -f "$MODULE" ] || die "--module: there is no file $MODULE"
for part in ${only//,/ }; do
    [[ ,$all, == *,$part,* ]] || die "--only: there is no part $part; run.sh --help lists them"
done

# --- what is needed ---------------------------------------------------------------------------------------------

# Debian starts a service when its package is installed, unless this file forbids it.
policy=/usr/sbin/policy-rc.d our_policy=''

drop_policy() {
    [ -n "$our_policy" ] || return 0
    as_root rm -f "$policy"
    our_policy=''
}

install_without_starting() {
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ ! -e "$policy" ] && command -v apt-get >/dev/null; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && our_policy=1 && as_root chmod 755 "$policy" ||
            die "cannot write $policy"
    fi
    install_missing
    drop_policy
}

has_module() { [ -f "$(apxs -q exp_libexecdir)/mod_$1.so" ]; }

prepare() {
    need_build_tools
    need libapache2-mod-auth-openidc has_module auth_openidc
    need libapache2-mod-oauth2 has_module oauth2
    need nginx-light test -x /usr/sbin/nginx
    need wrk has_command wrk
    need valgrind has_command valgrind
    need curl has_command curl
    need openssl has_command openssl
    need python3 has_command python3
    need python3-venv find_python
    install_without_starting

    own_directory MCP_BENCH_DIR bench
    rm -rf "$dir/run"
    mkdir "$dir/run"
    # 1,000 streams are 3,000 descriptors.
    [ "$(ulimit -n)" = unlimited ] || [ "$(ulimit -n)" -ge 8192 ] || ulimit -n 8192 ||
        die "this needs 8192 descriptors: ulimit -n"

    python_environment "$dir/python" cryptography matplotlib
    flags='flags not known'
    if [ -z "$MODULE" ]; then
        export CFLAGS='-g -O2' CONFIGURE_FLAGS=''
        build_module "$dir/build"
        flags=$CFLAGS
    fi
    MODULE=$(readlink -e "$MODULE")
    gcc -std=c99 -D_GNU_SOURCE -O2 -o "$dir/steady" "$here/steady.c" || die "bench/steady.c does not compile"
}

# --- the machine, in words --------------------------------------------------------------------------------------

package_version() { dpkg-query -W -f '${Version}' "$1" 2>/dev/null || echo unknown; }

revision() {
    local git=(git -c safe.directory="$source" -C "$source") commit changed=''
    commit=$("${git[@]}" rev-parse --short=10 HEAD 2>/dev/null) || { echo 'no commit known'; return; }
    [ -z "$("${git[@]}" status --porcelain -- src mod_mcp_oauth.c configure.ac Makefile.am)" ] ||
        changed=', with changes that are not committed'
    echo "commit $commit$changed"
}

virtualization() {
    systemd-detect-virt --vm 2>/dev/null || { grep -qw hypervisor /proc/cpuinfo && echo unknown; } || echo none
}

# NAME=VALUE arguments as a JSON object.
json_object() {
    "$dir/python/bin/python" -c 'import json, sys; print(json.dumps(dict(a.split("=", 1) for a in sys.argv[1:])))' "$@"
}

facts() {
    json_object \
        "date=$(date -u +%Y-%m-%d)" \
        "cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1 | tr -s ' ')" \
        "cores=$(nproc)" \
        "memory=$(awk '/^MemTotal/ { printf "%.1f GiB", $2 / 1048576 }' /proc/meminfo)" \
        "virtual=$(virtualization)" \
        "load=$load" \
        "kernel=$(uname -sr)" \
        "system=$(. /etc/os-release && echo "$PRETTY_NAME")" \
        "httpd=$("$(httpd_program)" -v | sed -n 's/^Server version: //p')" \
        "openssl=$(openssl version | cut -d ' ' -f 1,2)" \
        "compiler=$(gcc --version | head -n 1)" \
        "flags=$flags" \
        "nginx=$(/usr/sbin/nginx -v 2>&1 | sed 's/.*: //')" \
        "wrk=$(wrk -v 2>&1 | sed -n '1s/^wrk \([^ ]*\).*/\1/p')" \
        "valgrind=$(valgrind --version)" \
        "module=$(sed -n 's/^AC_INIT(\[[^]]*\], *\[\([0-9.]*\)\].*/\1/p' "$source/configure.ac")" \
        "revision=$(revision)" \
        "openidc=$(package_version libapache2-mod-auth-openidc)" \
        "oauth2=$(package_version libapache2-mod-oauth2)" \
        "liboauth2=$(package_version liboauth2-0)"
}

# --- the run ----------------------------------------------------------------------------------------------------

trap 'stop_children; drop_policy' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

prepare
if [ -z "$output" ]; then
    output=$dir/performance.md
    [ ${#quick[@]} -gt 0 ] || [ -n "$only" ] || output=$source/docs/performance.md
fi
export PYTHONDONTWRITEBYTECODE=1
"$dir/python/bin/python" "$here/measure.py" --dir "$dir/run" --httpd "$(httpd_program)" --modules "$(apxs -q exp_libexecdir)" \
    --module "$MODULE" --steady "$dir/steady" --facts "$(facts)" --rounds "$rounds" --seconds "$seconds" \
    --only "${only:-$all}" "${quick[@]}" --output "$dir/results.json" </dev/null &
children+=($!)
wait $! || die "the measurement failed; logs are below $dir/run"
children=()
"$dir/python/bin/python" "$here/report.py" "$dir/results.json" "$here/performance.md.in" "$output" ||
    die "no report was written"
say "written: $output"
