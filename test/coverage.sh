#!/bin/bash
# usage: coverage.sh [--unit-only | --report-only] [--help]
#
# How much of src the tests run, lines and branches: builds with gcov's counters and without optimization, out of tree, runs the
# unit tests, those of mcp-oauth-verify and of configurations, and the Apache::Test suite under the event MPM, and prints a table.
# The last line is "N passed, N failed": a check for each test program, and two for the floors, 95 % of the lines and 85 % of the
# branches. exit 0 only if nothing failed. What is not covered stands below MCP_COVERAGE_DIR in report/uncovered.txt, and in an
# annotated copy of each source.
#
#   --unit-only    without the Apache::Test suite, and so without the floors
#   --report-only  no test is run: what the last run has counted is judged once more
#
# Everything is written below MCP_COVERAGE_DIR (default: build/coverage of the source tree).
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/.." && pwd)
. "$source/conf/quickstart/setup.sh"
. "$here/tools/judge.sh"

line_floor=95 branch_floor=85
only=''
for option; do
    case $option in
        --unit-only | --report-only)
            [ -z "$only" ] || die "$only and $option do not go together"
            only=$option
            ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) die "unknown option $option; coverage.sh --help lists them" ;;
    esac
done

# The suite's httpd is a daemon of its own session: its pid file tells.
stop_httpd() {
    local file pid tries
    for file in "$build"/test/run-*/t/logs/httpd.pid; do
        pid=$(cat "$file" 2>/dev/null) && grep -qsF "$build/" "/proc/$pid/cmdline" || continue
        kill -TERM "$pid"
        for ((tries = 0; tries < 100; tries++)); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    done
}

finish() {
    local status=$?
    stop_children
    [ -z "${build:-}" ] || stop_httpd
    end_with_counts "$status" "$passed" "$failed"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

check() { # check GOOD WHAT
    if [ "$1" = 1 ]; then
        passed=$((passed + 1))
        printf 'ok   %s\n' "$2"
    else
        failed=$((failed + 1))
        printf 'FAIL %s\n' "$2"
    fi
}

prepare() {
    need_build_tools
    need gcc has_command gcov
    need python3 has_command python3
    need libapache2-mod-perl2 perl -MApache::TestRun -e1
    need libwww-perl perl -MLWP::UserAgent -e1
    need libio-socket-ssl-perl perl -MIO::Socket::SSL -e1
    install_missing

    own_directory MCP_COVERAGE_DIR coverage
    build=$dir/build
}

build_all() {
    # Threads count as well, hence atomic. Not --coverage: libtool hands on to the linker what begins with -fprofile.
    export CFLAGS='-O0 -g -fprofile-arcs -ftest-coverage -fprofile-update=atomic'
    build_module "$build"
    make -C "$build" -j"$(nproc)" check TESTS= </dev/null >"$dir/check-build.out" 2>&1 ||
        { tail -n 30 "$dir/check-build.out" >&2; die "the test programs do not compile; all of it is in $dir/check-build.out"; }
}

# Whoever comes first would own the file of counters, and httpd's children are not root: all are there before, for everybody to
# write. An empty one is as good as none.
clear_counters() {
    local note
    find "$build" -name '*.gcda' -delete
    while IFS= read -r note; do
        : >"${note%.gcno}.gcda"
        chmod 666 "${note%.gcno}.gcda"
    done < <(find "$build" -name '*.gcno')
}

run_tests() { # run_tests TEST...   programs of make check, one after another
    local trs log skipped start=$SECONDS
    find "$build" -name '*.trs' -delete
    start "$dir/check.out" make -C "$build" -k check TESTS="$*"
    wait "$child"
    while IFS= read -r trs; do
        log=${trs%.trs}.log
        read -r _ _ skipped <<<"$(prove_counts "$log")" # a file of a suite that skips itself has failed
        if grep -qE '^:test-result: (FAIL|ERROR|XPASS|SKIP)' "$trs" || ! grep -q '^:test-result: PASS' "$trs" || [ "${skipped:-0}" -gt 0 ]; then
            check 0 "${log#"$build"/}"
            { grep -anE '^not ok|# SKIP| skipped|Failed test|\(Wstat:' "$log" | head -20; tail -n 20 "$log"; } | sed 's/^/     /'
        else
            trs=${trs#"$build"/}
            check 1 "${trs%.trs}"
        fi
    done < <(find "$build/test" -name '*.trs' | LC_ALL=C sort)
    for trs; do
        trs=$build/${trs%.*}.trs
        [ -e "$trs" ] || check 0 "${trs#"$build"/}, which did not come to its end"
    done
    say "$# programs took $((SECONDS - start)) s"
}

# Programs of one of the lists in Makefile.am, whether written on one line or several.
listed() { make -C "$build" -pn TESTS= 2>/dev/null | sed -n "s/^$1 = //p" | head -n 1; }

reaches() { # reaches PERCENT FLOOR OF_WHAT
    check "$(awk -v n="$1" -v floor="$2" 'BEGIN { print (n >= floor) }')" "$3: $1 %, and $2 % are asked for"
}

report() {
    local lines branches
    find "$build" -name '*.gcda' -empty -delete
    python3 "$here/coverage.py" "$build" "$source" "$dir/report" >"$dir/table" || die "the counters cannot be read"
    sed '$d' "$dir/table"
    read -r lines branches <<<"$(tail -n 1 "$dir/table")"
    say "what is not covered: $dir/report/uncovered.txt"
    [ "$only" != --unit-only ] || return 0
    reaches "$lines" $line_floor lines
    reaches "$branches" $branch_floor branches
}

prepare
if [ "$only" != --report-only ]; then
    build_all
    clear_counters
    tests="$(listed UNIT_TESTS) test/verify.sh test/differential.sh test/conf.sh test/config.sh test/dump.sh"
    [ "$only" = --unit-only ] || tests="$tests test/httpd-event.sh"
    run_tests $tests
fi
report
exit 0
