#!/bin/bash
# usage: run.sh [--unit | --deep | --load | --e2e] [--no-keycloak] [--help]
#
# Tests everything, on a fresh machine too: installs what is missing (apt-get), builds out of tree, runs the load test in its short
# form, "make check", the end-to-end tests (clients and servers, a browser, the conformance suite, real authorization servers, other
# modules beside this one), and beside both the same tests under sanitizers and Valgrind and with coverage; then the packages
# (installed into the system and removed again), and the quickstart's demos. The last line is "N passed, N failed"; exit 0 only if
# nothing failed.
# What was skipped, or could not run, counts as failed.
#
#   --unit         only "make check": unit tests, guards, and the Apache::Test suites; under event and worker, too, which otherwise
#                  run with coverage and under sanitizers alone
#   --deep         only sanitizers, coverage and Valgrind
#   --load         only the load test, in its short form (test/load.sh --long is the one for releases)
#   --e2e          only the end-to-end tests and the demos
#   --no-keycloak  leave out what needs a Keycloak (test/e2e/keycloak.sh, and the quickstart's demo with it): Java, 170 MB from
#                  Maven, and some minutes; so does MCP_TEST_NO_KEYCLOAK=1
#
# Everything is written below MCP_TEST_DIR (default: build in the source tree); MCP_KEYCLOAK_DIR names another place for Keycloak.
# CONFIGURE_FLAGS goes to configure.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/.." && pwd)
. "$source/conf/quickstart/setup.sh"
. "$here/tools/judge.sh"

unit=1 deep=1 load=1 e2e=1 keycloak=1 part=''
[ -z "${MCP_TEST_NO_KEYCLOAK:-}" ] || keycloak=''
for option; do
    case $option in
        --unit | --deep | --load | --e2e)
            [ -z "$part" ] || die "$part and $option cannot both be the only part"
            part=$option
            ;;
        --no-keycloak) keycloak='' ;;
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; exit 0 ;;
        *) die "unknown option $option; run.sh --help lists them" ;;
    esac
done
case $part in
    --unit) deep='' load='' e2e='' ;;
    --deep) unit='' load='' e2e='' ;;
    --load) unit='' deep='' e2e='' ;;
    --e2e) unit='' deep='' load='' ;;
esac

finish() {
    local status=$?
    stop_children
    end_with_counts "$status" "$passed" "$failed"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

prepare() {
    need_build_tools
    need libapache2-mod-perl2 perl -MApache::TestRun -e1
    need libwww-perl perl -MLWP::UserAgent -e1
    need libio-socket-ssl-perl perl -MIO::Socket::SSL -e1
    need curl has_command curl
    need openssl has_command openssl
    need python3 has_command python3
    need python3-venv find_python
    need redis-server has_command redis-server
    need memcached has_command memcached
    need ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
    need valgrind has_command valgrind
    need gcc has_command gcov
    need_node
    install_missing

    own_directory MCP_TEST_DIR test "$source/build"
    build=$dir
    # Releases of clang-format differ in what they think right; distributions have different ones.
    python_environment "$build/clang-format" clang-format==14.0.6
    export CLANG_FORMAT=$build/clang-format/bin/clang-format
    build_module "$build"
}

# Automake leaves a .trs beside the .log of each test; a shell test has one result, though a whole suite may stand behind it.
judge() { # judge TRS
    local trs=$1 log=${1%.trs}.log good bad tests not_ok skipped
    good=$(grep -cE '^:test-result: (PASS|XFAIL)' "$trs")
    bad=$(grep -cE '^:test-result: (FAIL|ERROR|XPASS|SKIP)' "$trs")
    read -r tests not_ok skipped <<<"$(prove_counts "$log")"
    if [ -n "${tests:-}" ]; then
        good=$((tests - not_ok))
        not_ok=$((not_ok + skipped))
        if [ "$bad" = 0 ] || [ "$not_ok" -gt 0 ]; then bad=$not_ok; fi
    fi
    [ $((good + bad)) -gt 0 ] || bad=1
    trs=${trs#"$build"/}
    count "$good" "$bad" "${trs%.trs}"
    [ "$bad" = 0 ] || { grep -nE '^not ok|^:test-result: (FAIL|ERROR|SKIP)|# SKIP|Failed test| skipped' "$log" | head -20; tail -n 30 "$log"; } | sed 's/^/     /'
}

# The results of make check itself: builds of other parts lie below it.
results() {
    find "$build" \( -path "$build/e2e" -o -path "$build/quickstart" -o -path "$build/sanitize" -o -path "$build/coverage" \
        -o -path "$build/valgrind" \) -prune -o -name '*.trs' -print | LC_ALL=C sort
}

make_check() {
    local status before=$failed trs found=0 others=()
    results | xargs -r rm -f
    # The event MPM has its suite with coverage, the worker MPM under the sanitizers.
    [ -z "$deep" ] || others=("HTTPD_TESTS=$(make -C "$build" -pn TESTS= 2>/dev/null |
        sed -n '/^HTTPD_TESTS = /{s///;s: test/httpd-\(event\|worker\)\.sh::g;p;q}')")
    # Compiled in parallel; run one after another, because some of them measure time.
    make -C "$build" -j"$(nproc)" check TESTS= </dev/null >"$build/check-build.out" 2>&1 ||
        { tail -n 30 "$build/check-build.out" >&2; die "the test programs do not compile; all of it is in $build/check-build.out"; }
    say "make check in $build"
    make -C "$build" -k check "${others[@]}" </dev/null >"$build/check.out" 2>&1
    status=$?
    while IFS= read -r trs; do
        judge "$trs"
        found=$((found + 1))
    done < <(results)
    if [ "$found" = 0 ] || { [ $status != 0 ] && [ "$failed" = "$before" ]; }; then
        tail -n 20 "$build/check.out"
        count 0 1 "make check (status $status, $found tests)"
    fi
}

# What ends with a line of its own counts: test/load.sh, test/e2e/*.sh
judge_run() { # judge_run WHAT LOG
    local good bad
    read -r good bad <<<"$(sed -n '$s/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$2")"
    if [ -n "${bad:-}" ]; then count "$good" "$bad" "$1"
    else count 0 1 "$1, which did not come to its end"; fi
}

# One after another, beside the other parts: most of either is waiting.
begin_deep() {
    export MCP_SANITIZE_DIR=$build/sanitize MCP_COVERAGE_DIR=$build/coverage MCP_VALGRIND_DIR=$build/valgrind
    start "$build/deep.out" bash -c '
        trap "kill \$running; wait \$running; exit 143" TERM
        for part in "sanitize worker" coverage valgrind; do
            read -r name mpm <<<"$part"
            "$0/$name.sh" $mpm >"$1/$name.out" 2>&1 & running=$!
            wait $running
        done' "$here" "$build"
    deep=$child
}

end_deep() {
    local name
    wait "$deep"
    for name in sanitize coverage valgrind; do
        sed '$d' "$build/$name.out"
        judge_run "test/$name" "$build/$name.out"
    done
}

under_load() {
    MCP_LOAD_DIR=$build/load "$here/load.sh" --module "$MODULE" </dev/null | tee "$build/load.out" | sed '$d'
    judge_run test/load "$build/load.out"
}

end_to_end() { # end_to_end SCRIPT   of test/e2e
    MCP_E2E_DIR=$build/e2e "$here/e2e/$1.sh" --module "$MODULE" </dev/null | tee "$build/e2e-$1.out" | sed '$d'
    judge_run "test/e2e/$1" "$build/e2e-$1.out"
}

demo() { # demo LOG OPTION...   of conf/quickstart/run.sh
    local log=$1 status bad port keycloak_port
    shift
    read -r port keycloak_port <<<"$(free_ports 2)"
    MCP_QUICKSTART_DIR=$build/quickstart "$source/conf/quickstart/run.sh" "$@" --demo --module "$MODULE" \
        --port "$port" --keycloak-port "$keycloak_port" </dev/null | tee "$log"
    status=${PIPESTATUS[0]}
    bad=$(grep -c '^FAIL ' "$log")
    [ "$status" = 0 ] || [ "$bad" -gt 0 ] || bad=1
    count "$(grep -c '^ok ' "$log")" "$bad" "conf/quickstart/run.sh${1:+ $1} --demo"
}

packages() {
    "$here/package.sh" </dev/null | tee "$build/package.out" | sed '$d'
    judge_run test/package "$build/package.out"
}

prepare
[ -z "$load" ] || under_load # first, for it measures
[ -z "$deep" ] || begin_deep
[ -z "$unit" ] || make_check
if [ -n "$e2e" ]; then
    # One Keycloak for all that need it.
    export MCP_KEYCLOAK_DIR=${MCP_KEYCLOAK_DIR:-$build/e2e/keycloak}
    for script in run browser conformance ${keycloak:+keycloak} provider beside; do end_to_end "$script"; done
fi
[ -z "$deep" ] || end_deep
if [ -n "$e2e" ]; then
    packages
    demo "$build/demo.out"
    if [ -n "$keycloak" ]; then demo "$build/demo-keycloak.out" --keycloak
    else printf 'left out, as told: what needs a Keycloak\n'; fi
fi
exit 0
