# Sourced after conf/quickstart/setup.sh: how tests are counted (test/run.sh); and for test/sanitize.sh and test/valgrind.sh how unit
# tests and parts of the Apache::Test suite run under something that watches. Bash. Expects $source and $build, where the tests are built.

passed=0 failed=0
unit_names=() suite_files=() suite_mpm=event

# choose ARGUMENT   a part of what there is to run: an MPM, a unit test's noun, or a file of test/t
choose() {
    case $1 in
        event | worker | prefork) suite_mpm=$1 ;;
        *.t)
            [ -f "$source/test/t/${1#t/}" ] || die "there is no test/t/${1#t/}"
            suite_files+=("t/${1#t/}")
            ;;
        *)
            [ -f "$source/test/unit/$1.c" ] || die "$1 is no MPM, no file of test/t and no unit test; --help tells more"
            unit_names+=("$1")
            ;;
    esac
}

# read_arguments ARGUMENT...   of a script whose parts are --unit and --httpd: sets both, what is chosen of them, and what happens at
# its end
read_arguments() {
    local argument
    unit='' httpd=''
    for argument; do
        case $argument in
            --unit) unit=1 ;;
            --httpd) httpd=1 ;;
            -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;;
            -*) die "unknown option $argument; ${0##*/} --help lists them" ;;
            *) choose "$argument" ;;
        esac
    done
    [ ${#unit_names[@]} = 0 ] || unit=1
    [ ${#suite_files[@]} = 0 ] || httpd=1
    [ -n "$unit$httpd" ] || unit=1 httpd=1
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

finish() {
    local status=$?
    stop_suite
    end_with_counts "$status" "$passed" "$failed"
}

count() { # count GOOD BAD WHAT
    passed=$((passed + $1)) failed=$((failed + $2))
    if [ "$2" = 0 ] && [ "$1" -gt 0 ]; then printf 'ok   %s: %d passed\n' "$3" "$1"
    else printf 'FAIL %s: %d passed, %d failed\n' "$3" "$1" "$2"; fi
}

need_suite() {
    need_build_tools
    need libapache2-mod-perl2 perl -MApache::TestRun -e1
    need libwww-perl perl -MLWP::UserAgent -e1
    need libio-socket-ssl-perl perl -MIO::Socket::SSL -e1
    need curl has_command curl
    need openssl has_command openssl
    need redis-server has_command redis-server
    need memcached has_command memcached
}

# build_tests TARGET...   the module, and these beside it
build_tests() {
    build_module "$build"
    make -C "$build" -j"$(nproc)" "$@" </dev/null >"$build/check-build.out" 2>&1 ||
        { tail -n 30 "$build/check-build.out" >&2; die "the tests do not compile; all of it is in $build/check-build.out"; }
}

# judge_tap STATUS OUTPUT   sets good and bad. A test that ends before its plan, or badly, has failed.
judge_tap() {
    local plan
    good=$(grep -c '^ok ' "$2")
    bad=$(grep -c '^not ok ' "$2")
    plan=$(sed -n 's/^1\.\.\([0-9][0-9]*\)$/\1/p' "$2" | tail -n 1)
    if [ "$bad" = 0 ] && { [ "$1" != 0 ] || [ "$((good + bad))" != "${plan:--1}" ]; }; then
        bad=1
        printf 'ended with status %s after %s of %s checks\n' "$1" "$good" "${plan:-an unknown number of}"
    fi
    grep -A 3 '^not ok ' "$2"
    return 0
}

# prove_counts LOG   prints "tests failed skipped" of the last run of prove or t/TEST in LOG, nothing if there was none
prove_counts() {
    awk '
        /^Files=[0-9]+, Tests=[0-9]+/ { split($2, t, /[=,]/); tests = t[2]; seen = 1 }
        /\(Wstat: .* Tests: [0-9]+ Failed: [0-9]+\)/ { n = $0; sub(/.*Failed: /, "", n); bad += n + 0 }
        / \.\.+ skipped/ { skipped++ }
        /less [0-9]+ skipped/ { n = $0; sub(/.*less /, "", n); skipped += n + 0; less += n + 0 }
        END { if (seen) print tests - less, bad + 0, skipped + 0 }' "$1"
}

# judge_suite STATUS OUTPUT   sets good and bad for a run of t/TEST; what skips itself has failed
judge_suite() {
    local tests not_ok skipped
    read -r tests not_ok skipped <<<"$(prove_counts "$2")"
    good=$((${tests:-0} - ${not_ok:-0})) bad=$((${not_ok:-0} + ${skipped:-0}))
    [ "$bad" -gt 0 ] || [ "$1" = 0 ] && [ "$good" -gt 0 ] || bad=1
    [ "$bad" = 0 ] || { grep -nE '^not ok|Failed test|Failed: | skipped|Wstat' "$2" | head -n 20; tail -n 5 "$2"; }
}

# run_suite OUTPUT HTTPD   the Apache::Test suite, or the chosen files of it, with that program as httpd; sets status and logs,
# where its error log is
run_suite() {
    logs=$build/test/run-$suite_mpm
    [ "${MCP_HTTP:-h1}" = h1 ] || logs=$logs-$MCP_HTTP
    logs=$logs/t/logs
    (
        cd "$build" || exit 1
        export srcdir=$source builddir=$build PERL=perl HTTPD=$2 APXS MODULE_SO=$MODULE APACHE_TEST_ULIMIT_SET=1 APACHE_TEST_STARTUP_TIMEOUT=300
        export HTTPD_LIBEXECDIR MCP_MINT=$build/test/tools/mint MCP_SHIM=$build/test/tools/.libs/shim.so
        APXS=$(command -v apxs) HTTPD_LIBEXECDIR=$(apxs -q exp_libexecdir)
        # A session of its own, for httpd signals its whole process group when it stops.
        exec setsid --wait sh "$source/test/httpd.sh" "$suite_mpm" "${suite_files[@]}"
    ) </dev/null >"$1" 2>&1 &
    suite=$!
    wait "$suite"
    status=$?
    suite=
}

# What a run that was interrupted left behind: its session, and each httpd, which has one of its own; the command line tells.
stop_suite() {
    local file pid
    [ -n "${suite:-}" ] || return 0
    for pid in $(pgrep -P "$suite"); do kill -TERM -- "-$pid"; done 2>/dev/null
    kill -TERM "$suite" 2>/dev/null
    for file in /proc/[0-9]*/cmdline; do
        pid=${file#/proc/} pid=${pid%/cmdline}
        [ "$pid" = $$ ] || ! grep -qsF "$build/test/run-" "$file" || kill -TERM "$pid" 2>/dev/null
    done
}

# crashes   lines of the suite's error log that tell of a child that died of itself
crashes() {
    [ -f "$logs/error_log" ] || return 0
    grep -E 'exit signal (Segmentation|Abort|Bus|Illegal|Floating|Trap)|free\(\): |corruption \(|stack smashing' "$logs/error_log"
    return 0
}
