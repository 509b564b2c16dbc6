"""Runs the unit tests against mutants of the sources, and counts those that no test notices. mutate.sh --help tells more.

All mutants of a file are compiled in at once, each behind a switch. So one compilation serves thousands of runs; and a run with
none switched on tells which places a test comes by at all: only those are worth running.
"""
import argparse
import hashlib
import json
import math
import os
import pathlib
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from scanner import PLACES, Scanner

ROOMS = "token", "keys", "rpc", "policy"
CEILING = 20  # percent of a room's mutants that may survive
COMPILER = os.environ.get("CC", "gcc")
HERE = pathlib.Path(__file__).resolve().parent
SWITCH = HERE / "switch.h"


def digest(*paths):
    return hashlib.sha256(b"\0".join(p.read_bytes() for p in paths)).hexdigest()


def compile_object(o, c, flags):
    return subprocess.run([COMPILER, *flags, "-w", "-c", "-o", o, c], capture_output=True, text=True)


def children_time():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Build:
    """The sources with their mutants, and the unit tests, compiled one way."""

    def __init__(self, bench, name, *extra):
        self.bench, self.dir, self.flags = bench, bench.work / name, [*bench.flags, *extra]
        self.schema = bench.work / "schema"
        self.programs = {}
        (self.dir / "test").mkdir(parents=True, exist_ok=True)
        self.newest = max(p.stat().st_mtime for p in bench.headers)
        objects = []
        for path in bench.pure:
            room, noun = path.parent.name, path.stem
            o = self.dir / f"{room}-{noun}.o"
            if room in ROOMS:
                self.mutated(path, o)
            elif self.is_stale(o, path):
                self.compile(o, path)
            objects.append(o)
        self.library = self.dir / "libmcp.a"
        if any(self.is_stale(self.library, o) for o in objects):
            self.library.unlink(missing_ok=True)
            subprocess.run(["ar", "rcs", self.library, *objects], check=True)
        for path in bench.tests.values():
            self.test(path)

    def is_stale(self, o, c):
        return not o.exists() or o.stat().st_mtime < max(c.stat().st_mtime, self.newest)

    def compile(self, o, c):
        got = compile_object(o, c, self.flags)
        if got.returncode:
            sys.exit(f"error: {c} does not compile:\n{got.stderr}")

    def mutated(self, path, o):
        name = f"{path.parent.name}-{path.stem}"
        out, listing = self.schema / path.parent.name / path.name, self.schema / f"{name}.json"
        if self.is_stale(listing, path):
            out.parent.mkdir(parents=True, exist_ok=True)
            self.rewrite(path, name, out, o, listing)
        elif self.is_stale(o, path):
            self.compile(o, out)
        self.bench.mutants[name] = json.loads(listing.read_text())

    def rewrite(self, path, name, out, o, listing):
        skip = set()
        while True:
            scanner = Scanner(path, self.bench.clang_flags, skip)
            out.write_text(f'#define MUTANT_FILE "{name}"\n#define MUTANT_PLACES {PLACES}\n#include "{SWITCH}"\n'
                           f'#line 1 "{path}"\n{scanner.rewritten()}', "latin-1")
            got = compile_object(o, out, self.flags)
            if got.returncode == 0:
                break
            # A place where no expression of this kind may stand.
            wrong = {int(n) for n in re.findall(re.escape(str(path)) + r":(\d+):\d+: error", got.stderr)} - skip
            if not wrong:
                sys.exit(f"error: {out} does not compile:\n{got.stderr}")
            skip |= wrong
        if skip:
            print(f"note: no mutants at {path}, lines {sorted(skip)}", file=sys.stderr)
        listing.write_text(json.dumps(scanner.mutants))

    def test(self, path):
        """Compiles and links; a test that cannot be built is one that fails."""
        program, o = self.dir / "test" / path.stem, self.dir / "test" / f"{path.stem}.o"
        got = None
        # What some tests include is a source.
        if self.is_stale(o, path) or re.search(r'#include ".*\.c"', path.read_text()):
            got = compile_object(o, path, self.flags)
        if not (got and got.returncode) and (self.is_stale(program, o) or self.is_stale(program, self.library)):
            command = [COMPILER, *self.flags, "-o", program, o, self.library, *self.bench.libs]
            got = subprocess.run(command, capture_output=True, text=True)
        if got and got.returncode:
            print(f"FAIL {path.name} cannot be built:\n{got.stderr}")
            self.bench.failed += 1
        else:
            self.programs[path.stem] = program

    def measure(self):
        """The time each test takes with no mutant switched on, and what it comes by. One that fails even so is left out."""
        path = self.dir / "measured.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        self.seconds, self.seen = {}, {}
        for test in sorted(self.programs):
            state = digest(self.programs[test])
            if known.get(test, {}).get("state") != state:
                known[test] = {"state": state, **self.try_out(test)}
                path.write_text(json.dumps(known))
            if not known[test]["good"]:
                print(f"FAIL {test} without any mutant ({self.dir.name})")
                self.bench.failed += 1
                del self.programs[test]
                del known[test]
                continue
            self.seconds[test] = known[test]["seconds"]
            for name, places in known[test]["seen"].items():
                for i in places:
                    self.seen.setdefault((name, i), []).append(test)

    def try_out(self, test):
        with tempfile.TemporaryDirectory(dir=self.dir) as seen:
            busy, begin = children_time(), time.monotonic()
            status = self.run(test, {"MCP_MUTANT_SEEN": seen}, 60, 600)
            seconds = [children_time() - busy, time.monotonic() - begin]
            places = {p.name: [i for i, byte in enumerate(p.read_bytes()) if byte] for p in pathlib.Path(seen).iterdir()}
        return {"good": not status, "seconds": seconds, "seen": places}

    def run(self, test, environment, processor, clock):
        """0 if all checks passed. What does not end in so many seconds has failed; what fails is not waited for."""
        memory = [] if self.dir.name == "asan" else [f"--as={2 << 30}"]
        command = ["prlimit", f"--cpu={math.ceil(processor)}", "--core=0", *memory, self.programs[test]]
        child = subprocess.Popen(command, env={**self.bench.environment, **environment}, start_new_session=True,
                                 cwd=self.dir, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

        def end():
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

        timer = threading.Timer(clock, end)
        timer.start()
        try:
            return any(line.startswith(b"not ok") for line in child.stdout) or child.wait()
        finally:
            timer.cancel()
            end()  # and its children
            child.stdout.close()
            child.wait()

    def kill(self, name, i, known):
        """The test that notices, or None. known: tests, in the state by which they are known to notice nothing."""
        noun = name.split("-")[1]
        tests = [t for t in self.seen.get((name, i), ()) if t in self.programs and known.get(t) != self.bench.states[t]]
        for test in sorted(tests, key=lambda t: (t != noun, self.seconds[t])):
            processor, clock = self.seconds[test]
            if self.run(test, {"MCP_MUTANT": f"{name}:{i}"}, 2 + 5 * processor, min(120, 10 + 10 * clock)):
                return test
            known[test] = self.bench.states[test]
        return None


# --- counting ------------------------------------------------------------------------------------------------------

class Bench:
    """What was asked for, what is known of former runs, and the counts."""

    def __init__(self, options):
        self.work, self.options = options.work, options
        source = HERE.parent.parent
        self.clang_flags = ["-std=c99", "-D_GNU_SOURCE", f"-I{source}/src", *options.flags]
        # The mutants of what a test includes come before the original.
        self.flags = ["-O1", f"-I{self.work}/schema", f"-I{source}/test/unit", *self.clang_flags]
        asked = subprocess.run([COMPILER, "-print-file-name=include"], capture_output=True, text=True, check=True)
        self.clang_flags += "-isystem", asked.stdout.strip()
        self.libs = options.libs
        self.source = source
        self.pure = [p for room in ("base", "net", *ROOMS) for p in sorted(source.glob(f"src/{room}/*.c"))]
        self.headers = [*source.glob("src/**/*.h"), *source.glob("test/unit/*.h"), *HERE.iterdir()]
        # Torture looks for crashes when memory runs out, which takes long, and hardly at verdicts.
        units = [p for p in sorted(source.glob("test/unit/*.c")) if not p.stem.startswith("torture")]
        self.tests = {p.stem: p for p in units}
        self.states = {test: digest(p, *sorted(source.glob("test/unit/*.h"))) for test, p in self.tests.items()}
        # Without the vectors of third parties, which not everybody has.
        self.environment = {k: v for k, v in os.environ.items() if k != "MCP_VECTORS"}
        self.environment["ASAN_OPTIONS"] = "hard_rss_limit_mb=2048"
        self.mutants = {}
        self.passed = self.failed = 0
        self.path = self.work / "results.json"
        self.results = json.loads(self.path.read_text()) if self.path.exists() else {}

    def chosen(self):
        """(name of the file, number of the mutant) of all that are to be judged."""
        names = {f"{p.parent.name}-{p.stem}": p for p in self.pure if p.parent.name in ROOMS}
        wanted = {n: p for n, p in names.items() if self.options.room in (None, p.parent.name) and
                  (not self.options.file or p.resolve() == pathlib.Path(self.options.file).resolve())}
        if not wanted:
            sys.exit("error: there is no such file in these rooms")
        self.files = wanted
        share = 1
        if self.options.sample:
            share = min(1, self.options.sample / sum(len(self.mutants[n]) for n in wanted))
        for name in wanted:
            everything = range(1, len(self.mutants[name]) + 1)
            yield name, random.Random(f"{self.options.seed} {name}").sample(everything, round(share * len(everything)))

    def known(self, name):
        """Former results of a file: per mutant the test that notices it, or those that do not. None if the file has changed."""
        state = digest(self.files[name])
        if self.results.get(name, {}).get("state") != state:
            self.results[name] = {"state": state, "killed": {}, "survived": {}, "equal": []}
        return self.results[name]

    def save(self):
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.results, indent=1))
        new.replace(self.path)

    def key(self, name, i):
        m = self.mutants[name][i - 1]
        return f"{m['line']}:{m['column']}: {m['old']} -> {m['new']}"

    def judge(self, build, name, numbers):
        """Runs the tests of build against those mutants of a file that are not known to be noticed."""
        known = self.known(name)

        def one(i):
            key = self.key(name, i)
            # A test that has changed since has to show again that it notices.
            test, state = known["killed"].get(key, (None, None))
            if (test and state == self.states.get(test)) or key in known["equal"]:
                return
            before = known["survived"].setdefault(key, {}).setdefault(build.dir.name, {})
            test = build.kill(name, i, before)
            if test:
                known["killed"][key] = test, self.states[test]
                known["survived"].pop(key, None)
            else:
                known["killed"].pop(key, None)

        pool = ThreadPoolExecutor(self.options.jobs)
        try:
            list(pool.map(one, sorted(numbers)))
        finally:
            pool.shutdown(cancel_futures=True)
            self.save()

    def equal(self, build, name, numbers):
        """Sorts out the survivors that the compiler makes the same code of as of the original."""
        known, c = self.known(name), build.schema / self.files[name].parent.name / self.files[name].name
        original = None

        def code(i):
            o = self.work / "one.o"
            compile_object(o, c, [*build.flags, "-O2", f"-DMUTANT_ONLY={i}"])
            return o.read_bytes()

        for i in numbers:
            key = self.key(name, i)
            if key in known["survived"] and "different" not in known["survived"][key]:
                original = original or code(0)
                if code(i) == original:
                    known["equal"].append(key)
                    del known["survived"][key]
                else:
                    known["survived"][key]["different"] = True
        self.save()

    def report(self, chosen):
        print(f"{'file':32} {'mutants':>8} {'killed':>8} {'survive':>8} {'%':>6}")
        lines, rooms = [], {}
        for name, numbers in chosen:
            known, path = self.known(name), self.files[name].relative_to(self.source)
            left = [i for i in sorted(numbers) if self.key(name, i) in known["survived"]]
            count = sum(self.key(name, i) not in known["equal"] for i in numbers)
            self.row(path, count, len(left))
            room = rooms.setdefault(path.parent.name, [0, 0])
            room[0] += count
            room[1] += len(left)
            for i in left:
                m = self.mutants[name][i - 1]
                tests = ", ".join(sorted(known["survived"][self.key(name, i)].get("plain", ()))) or "no test comes by"
                lines.append(f"{path}:{m['line']}:{m['column']} ({tests})\n- {m['old']}\n+ {m['new']}\n")
        (self.work / "survivors.txt").write_text("\n".join(lines), "latin-1")
        for room, (count, left) in rooms.items():
            self.row(room, count, left)
        self.row("all", *map(sum, zip(*rooms.values())))
        print(f"survivors: {self.work}/survivors.txt")
        for room, (count, left) in rooms.items():
            good = count > 0 and left * 100 <= CEILING * count
            self.passed, self.failed = self.passed + good, self.failed + (not good)
            print(f"{'ok  ' if good else 'FAIL'} {room}: at most {CEILING} % of the mutants survive")

    @staticmethod
    def row(what, count, left):
        print(f"{str(what):32} {count:8} {count - left:8} {left:8} {100 * left / max(1, count):6.1f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--flags", type=str.split, default=[])
    parser.add_argument("--libs", type=str.split, default=[])
    parser.add_argument("--room", choices=ROOMS)
    parser.add_argument("--file")
    parser.add_argument("--sample", type=int)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--plain", action="store_true")
    bench = Bench(parser.parse_args())
    plain = Build(bench, "plain")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # not before: libclang's callbacks would swallow it
    plain.measure()
    chosen = list(bench.chosen())
    for name, numbers in chosen:
        print(f"{name}: {len(numbers)} mutants", file=sys.stderr)
        bench.judge(plain, name, numbers)
        bench.equal(plain, name, numbers)
    if not bench.options.plain:
        # What only a sanitizer notices: the unit tests pass under it, too.
        print("the survivors under the sanitizers", file=sys.stderr)
        asan = Build(bench, "asan", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
        asan.measure()
        for name, numbers in chosen:
            bench.judge(asan, name, [i for i in numbers if bench.key(name, i) in bench.known(name)["survived"]])
    bench.report(chosen)
    print(f"{bench.passed} passed, {bench.failed} failed")
    sys.exit(bench.failed > 0)


main()
