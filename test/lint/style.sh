#!/bin/sh
# House style of the C files: functions that are not used here, length of files, clang-format.
# Exit 77 (skip) only when clang-format is missing and nothing else is wrong.
set -u
bad=0
fail() { echo "$*" >&2; bad=1; }

files=$(find "$srcdir/mod_mcp_oauth.c" "$srcdir/src" "$srcdir/test/unit" "$srcdir/test/tools" "$srcdir/test/differential" \
    "$srcdir/test/fuzz" "$srcdir/test/mutate" "$srcdir/bench" \
    -type f \( -name '*.c' -o -name '*.h' \) 2>/dev/null | LC_ALL=C sort)
for must in mod_mcp_oauth.c src/base/status.h src/httpd/directives.c test/unit/tap.h test/tools/mint.c; do
    echo "$files" | grep -qxF "$srcdir/$must" || fail "$srcdir/$must: not found: the search is broken"
done
[ $bad = 0 ] || exit 1
set -f
IFS='
'
set -- $files
unset IFS
set +f

# Each of them has a bounded or checked counterpart (apr_cpystrn, apr_snprintf, apr_strtoi64, apr_strtok, …).
banned='strcpy|strcat|stpcpy|sprintf|vsprintf|atoi|atol|atoll|atof|strtok|gets|alloca|localtime|gmtime|mktemp|tmpnam'
said=$(grep -nE "(^|[^A-Za-z0-9_])($banned)[[:space:]]*\(" "$@" /dev/null)
[ -z "$said" ] || fail "functions that are not used here:
$said"
said=$(grep -nE '(^|[^A-Za-z])(TO[D]O|FIX[M]E|XX[X]|HAC[K])([^A-Za-z]|$)' "$@" /dev/null)
[ -z "$said" ] || fail "unfinished by its own word:
$said"

for f in "$@"; do
    case $f in
        "$srcdir"/src/*) n=$(wc -l <"$f"); [ "$n" -le 600 ] || fail "$f: $n lines; a file over 600 lines is two nouns" ;;
    esac
    [ -z "$(tail -c 1 "$f")" ] || fail "$f: the last line has no end"
done

if [ -z "${CLANG_FORMAT:-}" ]; then
    [ $bad = 0 ] || exit 1
    echo "SKIP: clang-format is not installed"
    exit 77
fi
[ -f "$srcdir/.clang-format" ] || fail "$srcdir/.clang-format is missing"
# Whether it notices anything at all: a copy with one blank too many must be refused.
probe=$PWD/test/run-style.$$
mkdir -p "$probe" && cp "$srcdir/.clang-format" "$probe/" && printf 'int  a;\n' >"$probe/probe.c" || fail "cannot write $probe"
"$CLANG_FORMAT" --style=file --fallback-style=none --dry-run -Werror "$probe/probe.c" 2>/dev/null &&
    fail "$CLANG_FORMAT accepts anything"
rm -rf "$probe"
"$CLANG_FORMAT" --style=file --fallback-style=none --dry-run -Werror "$@" || fail "run clang-format -i on the files above"
echo "$# files"
exit $bad
