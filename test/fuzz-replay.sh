#!/bin/sh
# The seeds of test/fuzz through their targets, built with the compiler of this build: no fuzzer is needed. A target without a seed,
# a directory of seeds without a target, and a target that was not built are failures.
# From the environment: srcdir, builddir.
set -u
bad=0
fail() { echo "$*" >&2; bad=1; }
targets=0
for file in "$srcdir"/test/fuzz/fuzz_*.c; do
    noun=$(basename "$file" .c)
    noun=${noun#fuzz_}
    program=${builddir:-.}/test/fuzz/replay_$noun
    [ -x "$program" ] || { fail "$noun: $program was not built"; continue; }
    [ -d "$srcdir/test/fuzz/corpus/$noun" ] || { fail "$noun: no seeds in test/fuzz/corpus"; continue; }
    said=$("$program" "$srcdir/test/fuzz/corpus/$noun" 2>&1) || fail "$noun: failed"
    echo "$noun: $said"
    targets=$((targets + 1))
done
for seeds in "$srcdir"/test/fuzz/corpus/*/; do
    noun=$(basename "$seeds")
    [ -f "$srcdir/test/fuzz/fuzz_$noun.c" ] || fail "test/fuzz/corpus/$noun: there is no such target"
done
for words in "$srcdir"/test/fuzz/*.dict; do
    noun=$(basename "$words" .dict)
    [ -f "$srcdir/test/fuzz/fuzz_$noun.c" ] || fail "$words: there is no such target"
done
[ "$targets" -gt 0 ] || fail "nothing was replayed"
exit $bad
