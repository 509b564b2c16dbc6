#!/bin/sh
# K12: what threads share, under ThreadSanitizer: the unit tests that have threads of their own, built once more with it. (keyshare
# is not among them: its readers look at what is written meanwhile on purpose, and find out afterwards.)
# From the environment: CC, THREADS_CPPFLAGS, THREADS_LIBS, srcdir, builddir.
set -u
dir=${builddir:-.}/test/run-threads
rm -rf "$dir"
mkdir -p "$dir"
flags="-std=c99 -D_GNU_SOURCE -g -O1 -fsanitize=thread -I$srcdir/src -I$srcdir/test/unit $THREADS_CPPFLAGS"
echo 'int main(void) { return 0; }' >"$dir/try.c"
$CC -fsanitize=thread -o "$dir/try" "$dir/try.c" || { echo "SKIP: $CC has no ThreadSanitizer"; exit 77; }

# Some kernels place memory more randomly than the sanitizer can bear.
run=
"$dir/try" >/dev/null 2>&1 || run='setarch -R'
$run "$dir/try" || { echo "SKIP: ThreadSanitizer does not run here"; exit 77; }

# The tests of limiter.c, meter.c, replay.c and tally.c include them.
objects=
for f in "$srcdir"/src/base/*.c "$srcdir"/src/keys/*.c "$srcdir"/src/net/breaker.c "$srcdir"/src/net/url.c "$srcdir"/src/token/*.c; do
    case $f in */attempt.c | */endpoint.c | */keysource.c | */keyshare.c | */limiter.c | */meter.c | */replay.c | */tally.c) continue ;; esac
    object=$dir/$(basename "$f" .c).o
    $CC $flags -c -o "$object" "$f" || exit 1
    objects="$objects $object"
done
bad=0
for noun in breaker cache demand flight keycache limiter meter replay tally waiters; do
    $CC $flags -o "$dir/$noun" "$srcdir/test/unit/$noun.c" $objects $THREADS_LIBS || exit 1
    TSAN_OPTIONS=halt_on_error=1:exitcode=66 $run "$dir/$noun" >"$dir/$noun.out" 2>&1
    status=$?
    if [ $status = 0 ] && grep -q '^ok' "$dir/$noun.out" && ! grep -q '^not ok' "$dir/$noun.out"; then
        echo "$noun: $(grep -c '^ok' "$dir/$noun.out") checks, no race"
    else
        echo "$noun: status $status"
        grep -v '^ok' "$dir/$noun.out"
        bad=1
    fi
done
exit $bad
