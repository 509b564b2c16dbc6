#!/bin/bash
# usage: sanitize.sh [--unit] [--httpd] [--help] [event|worker|prefork] [TEST...]
#
# Everything under AddressSanitizer and UndefinedBehaviorSanitizer: the unit tests, with leak detection; mcp-oauth-verify and its
# test; and the Apache::Test suite under mpm_event or the MPM named, the runtimes preloaded into httpd. A report is a failure,
# whichever process wrote it; so is a child of httpd that crashes. (Leaks of httpd's processes are found by valgrind.sh.) The last
# line is "N passed, N failed".
#
#   --unit   only the unit tests and mcp-oauth-verify
#   --httpd  only the suite
#   TEST     only these: a unit test's noun (jws), a file of the suite (t/gate/http2.t)
#
# MCP_HTTP is h1 (default), h2c or h2, as for httpd.sh. gcc builds (CC names another one): httpd needs the runtimes of its compiler.
# Everything is written below MCP_SANITIZE_DIR (default: build/sanitize in the source tree).
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/.." && pwd)
. "$source/conf/quickstart/setup.sh"
. "$here/tools/judge.sh"

read_arguments "$@"

prepare() {
    local flags='-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all' name
    CC=${CC:-gcc}
    need_suite
    install_missing
    own_directory MCP_SANITIZE_DIR sanitize
    build=$dir
    runtimes=
    for name in asan ubsan; do
        runtimes=$runtimes$("$CC" -print-file-name=lib$name.so):
        case $runtimes in *:lib$name.so: | lib$name.so:) die "$CC has no lib$name.so" ;; esac
    done
    export CC CFLAGS=$flags LDFLAGS='-fsanitize=address,undefined'
    say "with $("$CC" --version | head -n 1)"
    build_tests check TESTS=
    # The clock that the shim moves is asked for before the runtimes are ready.
    rm -f "$build"/test/tools/shim.l[ao]
    make -C "$build" CFLAGS='-g -O1' LDFLAGS= test/tools/shim.la </dev/null >>"$build/check-build.out" 2>&1 ||
        die "the shim does not compile; see $build/check-build.out"
    unset CFLAGS LDFLAGS
    reports=$build/reports
    rm -rf "$reports"
    mkdir -p "$reports"
    chmod 1777 "$reports" # httpd's children are not root
}

# options NAME MORE   what the runtimes are told; reports go to files that begin with NAME
options() {
    export ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1:log_path=$reports/$1$2
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:log_path=$reports/$1$2
}

# show_reports NAME   prints reports; sets found, their number. Those that only say that an allocation failed are none.
show_reports() {
    local file
    found=0
    for file in "$reports/$1".*; do
        grep -qsE 'ERROR: |runtime error: |fatal error' "$file" || continue
        found=$((found + 1))
        printf '%s:\n' "$file"
        head -n 60 "$file"
    done
}

run_units() {
    local noun names=("${unit_names[@]}") out=$build/unit
    mkdir -p "$out"
    [ ${#names[@]} -gt 0 ] || for noun in "$source"/test/unit/*.c; do noun=${noun##*/}; names+=("${noun%.c}"); done
    export srcdir=$source
    for noun in "${names[@]}"; do
        options "$noun" ''
        (cd "$build" && exec "./test/unit/$noun.tap") </dev/null >"$out/$noun.out" 2>"$out/$noun.err"
        tell_unit $? "test/unit/$noun" "$noun"
    done
    [ ${#unit_names[@]} = 0 ] || return 0
    options verify :detect_leaks=0 # the tool that makes its tokens leaves all to the end of the process
    (cd "$build" && MCP_MINT=$build/test/tools/mint PERL=perl exec sh "$here/verify.sh") </dev/null >"$out/verify.out" 2>"$out/verify.err"
    tell_unit $? test/verify verify
}

tell_unit() { # tell_unit STATUS WHAT NAME
    judge_tap "$1" "$build/unit/$3.out" >"$build/unit/$3.judged"
    show_reports "$3" >>"$build/unit/$3.judged"
    [ "$bad" -ge "$found" ] || bad=$found
    count "$good" "$bad" "$2"
    [ "$bad" = 0 ] || { cat "$build/unit/$3.judged"; tail -n 20 "$build/unit/$3.err"; } | sed 's/^/     /'
}

under_httpd() {
    local wrapper=$build/httpd-sanitized
    printf '#!/bin/sh\nLD_PRELOAD="%s$LD_PRELOAD" exec %s "$@"\n' "$runtimes" "$(httpd_program)" >"$wrapper"
    chmod 755 "$wrapper"
    # httpd has handlers of its own for fatal signals, which would hide the report.
    # And no leaks: the pools of APR may be mapped by themselves (Debian's are), where they are not looked for, so that all that only
    # a pool points to would be one.
    options httpd :detect_leaks=0:abort_on_error=1:handle_segv=2:handle_sigbus=2:handle_sigfpe=2:handle_sigill=2:handle_abort=2
    say "the suite under mpm_$suite_mpm"
    run_suite "$build/suite.out" "$wrapper"
    judge_suite "$status" "$build/suite.out" >"$build/suite.judged"
    show_reports httpd >>"$build/suite.judged"
    crashes >"$build/suite.crashes"
    found=$((found + $(wc -l <"$build/suite.crashes")))
    count "$good" $((bad + found)) "test/httpd.sh $suite_mpm (${MCP_HTTP:-h1})"
    [ $((bad + found)) = 0 ] || cat "$build/suite.judged" "$build/suite.crashes" | sed 's/^/     /'
}

prepare
[ -z "$unit" ] || run_units
[ -z "$httpd" ] || under_httpd
exit 0
