#!/bin/bash
# usage: valgrind.sh [--unit] [--httpd] [--help] [event|worker|prefork] [TEST...]
#
# Unit tests, and a few files of the Apache::Test suite that enter every room, under valgrind's memcheck: the short form, beside
# sanitize.sh, which runs everything. What memcheck sees and they do not: memory that was never written, and which leaks of the
# libraries are ours (definitely lost, with a frame of this module). An error with a frame of ours is a failure; one that has
# none, or that test/valgrind.supp names with a reason, is not. The last line is "N passed, N failed".
#
#   --unit   only the unit tests
#   --httpd  only the suite, httpd and all its children under valgrind (default: mpm_event)
#   TEST     only these: a unit test's noun (jws), a file of the suite (t/gate/rpc.t)
#
# Everything is written below MCP_VALGRIND_DIR (default: build/valgrind in the source tree).
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(cd "$here/.." && pwd)
. "$source/conf/quickstart/setup.sh"
. "$here/tools/judge.sh"

# Each room once: token, keys, ACL, gate and mirror, proxy, metadata, session, introspection, lists, streams, and a restart.
SUITE='t/token/format.t t/keys/fetch.t t/acl/operands.t t/gate/rpc.t t/proxy/headers.t t/metadata/document.t t/session/restart.t
    t/introspection/answers.t t/lists/sse.t'

read_arguments "$@"

# left_out NOUN   prints why this unit test is not run, unless it is named
left_out() {
    case $1 in
        torture*) echo 'has a heap of its own, and forks a process for each allocation' ;;
        breaker | keycache | limiter | meter | replay | tally) echo 'threads that compete for a time; valgrind runs one thread at a time' ;;
        keyshare) echo 'its readers look at what is written meanwhile, on purpose' ;;
        curl | jsontext | keystore) echo 'measures time' ;;
    esac
}

# RSA keys for the unit tests: see test/tools/keys.c.
make_keys() {
    local bits n
    keys=$build/keys
    mkdir -p "$keys"
    for bits in 1024 2048 3072 4096; do
        for n in 1 2 3 4; do
            [ -s "$keys/$bits.$n.pem" ] || openssl genrsa -out "$keys/$bits.$n.pem" "$bits" 2>/dev/null || die "openssl cannot make a key"
        done
    done
    gcc -std=c99 -D_GNU_SOURCE -g -O1 -shared -fPIC -o "$keys/keys.so" "$here/tools/keys.c" -lcrypto -ldl || die "test/tools/keys.c does not compile"
}

prepare() {
    need_suite
    need valgrind has_command valgrind
    need openssl has_command openssl
    install_missing
    own_directory MCP_VALGRIND_DIR valgrind
    build=$dir
    # Otherwise names of functions are all that a report has of the C library.
    export CFLAGS='-g -O1 -fno-omit-frame-pointer'
    build_tests check TESTS=
    unset CFLAGS
    make_keys
    reports=$build/reports
    rm -rf "$reports"
    mkdir -p "$reports"
    chmod 1777 "$reports" # httpd's children are not root
    memcheck="$(command -v valgrind) -q --fair-sched=try --num-callers=40 --leak-check=full --show-leak-kinds=definite
        --errors-for-leak-kinds=definite --fullpath-after= --suppressions=$here/valgrind.supp"
    memcheck=$(echo $memcheck)
}

# show_reports NAME   prints those errors that have a frame of ours; sets found, their number. The paths of httpd's own sources and
# of the libraries' are relative, or there are none.
show_reports() {
    local file
    found=0
    for file in "$reports/$1".*; do
        [ -s "$file" ] || continue
        # Each line begins with the number of its process, and errors of several processes may be interleaved.
        awk -v ours="($source/" '
            match($0, /^==[0-9]+== ?/) { pid = substr($0, 1, RLENGTH); text = substr($0, RLENGTH + 1) }
            text == "" { tell(pid); next }
            { block[pid] = block[pid] "\n" text }
            END { for (pid in block) tell(pid) }
            function tell(pid) {
                if (index(block[pid], ours)) print pid block[pid]
                delete block[pid]
            }' "$file" >"$reports/ours"
        found=$((found + $(grep -c '^==[0-9]' "$reports/ours")))
        cat "$reports/ours"
    done
    rm -f "$reports/ours"
}

run_unit() { # run_unit NOUN
    local out=$build/unit/$1
    (cd "$build" && exec env MCP_KEYS="$keys" LD_PRELOAD="$keys/keys.so" timeout 120 $memcheck --log-file="$reports/$1.%p" "./test/unit/$1.tap") </dev/null >"$out.out" 2>"$out.err"
    echo $? >"$out.status"
}

run_units() {
    local noun names=("${unit_names[@]}") why running=0
    mkdir -p "$build/unit"
    export srcdir=$source
    [ ${#names[@]} -gt 0 ] || for noun in "$source"/test/unit/*.c; do
        noun=${noun##*/} noun=${noun%.c}
        why=$(left_out "$noun")
        if [ -n "$why" ]; then printf '     test/unit/%s is left out: %s\n' "$noun" "$why"
        else names+=("$noun"); fi
    done
    for noun in "${names[@]}"; do
        run_unit "$noun" &
        running=$((running + 1))
        [ $running -lt "$(nproc)" ] || { wait -n; running=$((running - 1)); }
    done
    wait
    for noun in "${names[@]}"; do
        judge_tap "$(cat "$build/unit/$noun.status")" "$build/unit/$noun.out" >"$build/unit/$noun.judged"
        show_reports "$noun" >>"$build/unit/$noun.judged"
        [ "$bad" -ge "$found" ] || bad=$found
        count "$good" "$bad" "test/unit/$noun"
        [ "$bad" = 0 ] || { cat "$build/unit/$noun.judged"; tail -n 20 "$build/unit/$noun.err"; } | sed 's/^/     /'
    done
}

under_httpd() {
    local wrapper=$build/httpd-valgrind program
    program=$(httpd_program)
    # What only asks for something (-V, -l) needs no watching, and is asked for often.
    cat >"$wrapper" <<W
#!/bin/sh
case " \$* " in *" -V "* | *" -v "* | *" -l "* | *" -t "*) exec $program "\$@" ;; esac
exec $memcheck --trace-children=yes --trace-children-skip='*/sh,*/dash,*/perl*' --log-file=$reports/httpd.%p $program "\$@"
W
    chmod 755 "$wrapper"
    [ ${#suite_files[@]} -gt 0 ] || suite_files=($SUITE)
    say "${#suite_files[@]} files of the suite under mpm_$suite_mpm"
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
