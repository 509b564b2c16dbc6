#!/bin/bash
# usage: fuzz.sh [--list] [--help] SECONDS [TARGET...]
#
# Fuzzing with libFuzzer under AddressSanitizer and UndefinedBehaviorSanitizer: each target of test/fuzz (all by default)
# runs for SECONDS, one after the other, beginning with its seeds and with what earlier runs have found. A target fails when
# an input ends it: something that must hold does not, a sanitizer reports, it takes longer than 10 s, needs more than 1 GiB,
# or loses memory. That input is left behind, made small, and said how to try it again. The last line is "N passed, N failed"; exit 0 only if nothing
# failed. test/fuzz/README.md tells more.
#
#   --list   the targets' names
#
# Everything is written below MCP_FUZZ_DIR (default: build/fuzz of the source tree): corpus/TARGET grows from run to run,
# found/TARGET has inputs that failed. MCP_VECTORS, if it is set, is a directory with further seeds: those in vectors/NAME.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/.." && pwd)
. "$source/conf/quickstart/setup.sh"

INPUT_MAX=4096 # bytes
list_targets() { (cd "$here/fuzz" && printf '%s\n' fuzz_*.c) | sed 's/^fuzz_//; s/\.c$//'; }

seconds='' targets=()
while [ $# -gt 0 ]; do
    case $1 in
        --list) list_targets; exit 0 ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        -*) die "unknown option $1; fuzz.sh --help lists them" ;;
        *) if [ -z "$seconds" ]; then seconds=$1; else targets+=("$1"); fi ;;
    esac
    shift
done
case $seconds in
    '' | *[!0-9]* | 0) die "how many seconds for each target? fuzz.sh --help tells more" ;;
esac
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(list_targets)
for target in "${targets[@]}"; do
    [ -f "$here/fuzz/fuzz_$target.c" ] || die "there is no target $target; fuzz.sh --list lists them"
done

passed=0 failed=0
# Also when something ended the script on the way: then that is a failure.
finish() {
    local status=$?
    stop_children
    end_with_counts "$([ "$failed" = 0 ] && echo "$status" || echo 0)" "$passed" "$failed"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# A clang whose libFuzzer works: sets CLANG.
find_clang() {
    local candidate
    for candidate in clang clang-19 clang-18 clang-17 clang-16 clang-15 clang-14; do
        command -v "$candidate" >/dev/null || continue
        printf '%s\n' '#include <stddef.h>' '#include <stdint.h>' \
            'int LLVMFuzzerTestOneInput(const uint8_t *d, size_t n) { return d && n ? 0 : 0; }' >"$dir/try.c"
        "$candidate" -fsanitize=fuzzer,address,undefined -o "$dir/try" "$dir/try.c" 2>/dev/null || continue
        CLANG=$candidate
        return 0
    done
    return 1
}

# Debian's clang needs a package of its own for the run-time libraries, from version 14 on.
need_clang() {
    local version
    find_clang && return 0
    need clang has_command clang
    install_missing
    find_clang && return 0
    version=$(clang -dumpversion) || die "clang does not run"
    missing+=("libclang-rt-${version%%.*}-dev")
    install_missing
    find_clang || die "clang cannot build with -fsanitize=fuzzer,address,undefined"
}

# The pure rooms without libcurl's file: nothing here uses the network. No httpd header is on the way.
build() {
    local flags room file objects=() links
    flags="-std=c99 -D_GNU_SOURCE -g -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all -I$source/src"
    flags="$flags $(apr-1-config --includes --cppflags) $(pkg-config --cflags jansson libcrypto libcurl)"
    links="$(apr-1-config --link-ld) $(apu-1-config --link-ld) $(pkg-config --libs jansson libcrypto libcurl) -lpthread -lm"
    rm -rf "$dir/objects" && mkdir -p "$dir/objects" "$dir/bin" || die "cannot write to $dir"
    say "building ${#targets[@]} targets in $dir"
    for room in base net keys token rpc policy; do
        for file in "$source/src/$room"/*.c; do
            [ "$file" != "$source/src/net/curl.c" ] || continue
            objects+=("$dir/objects/$room-$(basename "$file" .c).o")
            "$CLANG" $flags -fsanitize=fuzzer-no-link,address,undefined -c -o "${objects[-1]}" "$file" ||
                die "$file does not compile"
        done
    done
    for target in "${targets[@]}"; do
        "$CLANG" $flags -fsanitize=fuzzer,address,undefined -o "$dir/bin/$target" "$here/fuzz/fuzz_$target.c" \
            "${objects[@]}" $links || die "test/fuzz/fuzz_$target.c does not compile"
    done
}

# Makes an input that failed small, as far as that goes within some seconds, and says how to try it.
keep() {
    local target=$1 input=$2 small
    small=$dir/found/$target/small-$(basename "$input")
    timeout 120 "$dir/bin/$target" -minimize_crash=1 -max_total_time=30 -timeout=10 -rss_limit_mb=1024 \
        -exact_artifact_path="$small" "$input" >"$dir/minimize.log" 2>&1 </dev/null
    [ -s "$small" ] || small=$input
    printf '  %s (%s bytes); again:\n    %s %s\n' "$small" "$(stat -c %s "$small")" "$dir/bin/$target" "$small"
}

# number NAME FILE   what libFuzzer says last of NAME in its lines of progress
number() { grep -oE "(^| )$1: [0-9]+" "$2" | tail -n 1 | grep -oE '[0-9]+$' || echo 0; }

run_target() {
    local target=$1 log=$dir/log/$1.log seeds=("$dir/corpus/$1" "$here/fuzz/corpus/$1") options input status before
    local known=$dir/known
    mkdir -p "${seeds[0]}" "$dir/found/$target" "$dir/log"
    [ -d "${seeds[1]}" ] || die "test/fuzz/corpus/$target: there are no seeds"
    [ -z "${MCP_VECTORS:-}" ] || [ ! -d "$MCP_VECTORS/$target" ] || seeds+=("$MCP_VECTORS/$target")
    options="-max_total_time=$seconds -max_len=$INPUT_MAX -timeout=10 -rss_limit_mb=1024 -print_final_stats=1"
    [ ! -f "$here/fuzz/$target.dict" ] || options="$options -dict=$here/fuzz/$target.dict"
    ls "$dir/found/$target" >"$known"
    before=$SECONDS
    ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1:detect_stack_use_after_return=1 \
        UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        start "$log" "$dir/bin/$target" $options -artifact_prefix="$dir/found/$target/" "${seeds[@]}"
    wait "$child"
    status=$?
    children=()
    printf '%-14s %s  %9s inputs in %4s s, cov %s, ft %s\n' "$target" "$([ $status = 0 ] && echo ok || echo FAILED)" \
        "$(grep -oE 'number_of_executed_units: *[0-9]+' "$log" | grep -oE '[0-9]+$' || echo '?')" $((SECONDS - before)) \
        "$(number cov "$log")" "$(number ft "$log")"
    if [ $status = 0 ] && grep -q 'number_of_executed_units' "$log"; then
        passed=$((passed + 1))
        return
    fi
    failed=$((failed + 1))
    grep -m 3 -E 'does not hold|ERROR: |runtime error|SUMMARY' "$log" | sed 's/^/  /'
    printf '  %s\n' "$log"
    for input in "$dir/found/$target"/*; do
        [ ! -f "$input" ] || grep -qxF "$(basename "$input")" "$known" || keep "$target" "$input"
    done
}

dir=${MCP_FUZZ_DIR:-$source/build/fuzz}
mkdir -p "$dir" || die "cannot create $dir; choose another directory with MCP_FUZZ_DIR"
dir=$(cd "$dir" && pwd)
need pkg-config has_command pkg-config
need libjansson-dev has_header jansson.h
need libcurl4-openssl-dev has_header curl/curl.h
need libssl-dev has_header openssl/evp.h
need libapr1-dev has_command apr-1-config
need libaprutil1-dev has_command apu-1-config
install_missing
need_clang
build
for target in "${targets[@]}"; do
    run_target "$target"
done
exit 0
