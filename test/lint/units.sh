#!/bin/sh
# No test is forgotten: what lies in test/ is what "make check" builds, runs and ships.
set -u
bad=0
fail() { echo "$*" >&2; bad=1; }
makefile=$srcdir/Makefile.am
[ -f "$makefile" ] || { echo "$makefile: not found" >&2; exit 1; }

# The words of a variable of Makefile.am, continued lines joined.
words() {
    sed -e ':a' -e '/\\$/N; s/\\\n/ /; ta' "$makefile" | sed -n "s/^$1[[:space:]]*=//p" | tr -s ' \t' '\n\n' | sed '/^$/d'
}

# --- test/unit: one program per noun
units=$(words UNIT_TESTS)
checks=$(words check_PROGRAMS)
tests=$(words TESTS)
[ -n "$units" ] && [ -n "$tests" ] || fail "$makefile: UNIT_TESTS or TESTS is empty: the search is broken"
echo "$tests" | grep -qxF '$(UNIT_TESTS)' || fail "TESTS does not hold \$(UNIT_TESTS)"
echo "$checks" | grep -qxF '$(UNIT_TESTS)' || fail "check_PROGRAMS does not hold \$(UNIT_TESTS)"
n=0
for f in "$srcdir"/test/unit/*.c; do
    [ -f "$f" ] || break
    n=$((n + 1))
    noun=$(basename "$f" .c)
    echo "$units" | grep -qxF "test/unit/$noun.tap" || fail "$f: UNIT_TESTS does not hold test/unit/$noun.tap"
    words "test_unit_${noun}_tap_SOURCES" | grep -qxF "test/unit/$noun.c" || fail "$f: no test_unit_${noun}_tap_SOURCES with it"
    grep -q '^static void test(' "$f" || fail "$f: has no test()"
    grep -Eq '(^|[^A-Z_])(OK|STR_IS)\(' "$f" || fail "$f: checks nothing"
done
[ $n -gt 0 ] || fail "$srcdir/test/unit: no file found"
for t in $units; do
    noun=$(basename "$t" .tap)
    [ -f "$srcdir/test/unit/$noun.c" ] || fail "UNIT_TESTS: there is no test/unit/$noun.c"
done
for f in "$srcdir"/test/unit/*; do
    case $f in
        *.c | *.h | *.o | *.tap | *.trs | *.log | *.gcno | *.gcda) ;; # some of them built in the source tree
        *) fail "$f: neither .c nor .h" ;;
    esac
done

# --- shell tests: guards, and what needs httpd
n=0
for f in "$srcdir"/test/lint/*.sh "$srcdir"/test/*.sh; do
    [ -f "$f" ] || continue
    n=$((n + 1))
    name=${f#"$srcdir"/}
    case $name in
        test/httpd.sh | test/run.sh | test/load.sh | test/package.sh | test/soak.sh | test/flood.sh | test/coverage.sh | \
            test/fuzz.sh | test/mutate.sh | test/sanitize.sh | test/valgrind.sh) ;; # run by others
        *) { words LINT_TESTS; words HTTPD_TESTS; } | grep -qxF "$name" || fail "$f: neither LINT_TESTS nor HTTPD_TESTS holds it" ;;
    esac
done
[ $n -gt 0 ] || fail "$srcdir/test: no shell test found"
for list in LINT_TESTS HTTPD_TESTS; do
    echo "$tests" | grep -qxF "\$($list)" || fail "TESTS does not hold \$($list)"
    for t in $(words $list); do
        [ -f "$srcdir/$t" ] || fail "$list: there is no $t"
    done
done

# --- test/t: Apache::Test finds *.t below areas, and nothing else
words EXTRA_DIST | grep -qxF test/t || fail "EXTRA_DIST does not hold test/t"
list=$(cd "$srcdir/test/t" && find . -type f | sed 's:^\./::' | LC_ALL=C sort)
n=0
for f in $list; do
    case $f in
        TEST | lib/*.pm | conf/*.conf.in | htdocs/*) continue ;;
    esac
    if ! echo "$f" | grep -Eqx '[a-z0-9]+/[a-z0-9]+([_-][a-z0-9]+)*\.t'; then
        fail "test/t/$f: would not be found, or is no test; a test is AREA/NAME.t in small letters, digits, - and _"
        continue
    fi
    n=$((n + 1))
    grep -Eq '^use (MCP::Test|Apache::Test)\b' "$srcdir/test/t/$f" || fail "test/t/$f: uses neither MCP::Test nor Apache::Test"
    grep -Eq '\b(done_testing|plan tests)\b' "$srcdir/test/t/$f" || fail "test/t/$f: would pass when it ends half-way; write done_testing"
    grep -Eq 'need_module .*mcp_oauth' "$srcdir/test/t/$f" && fail "test/t/$f: may skip itself"
done
[ $n -gt 0 ] || fail "$srcdir/test/t: no test found"
[ "$n" = "$(cd "$srcdir/test/t" && find . -name '*.t' | wc -l)" ] || fail "test/t: not every *.t was looked at"

echo "$(echo "$units" | wc -l) unit tests, $n functional tests"
exit $bad
