"""Makes bodies and compares what the gate and real interpreters understand.

usage: fuzz.py --judge FILE --node FILE --go FILE [--go2 FILE] [--found FILE] [--seconds N] [--seed N] [--record] CORPUS…

--node is the interpreter, --go and --go2 are read.go, compiled with either version of encoding/json. Ends with
status 1 when anything differed, or when too little was allowed to prove anything.
"""
import argparse
import json
import os
import sys
import time

from compare import Program, corpus_line, corpus_read, difference
from generate import Generator

ROUND = 400
ENOUGH = 0.3
FINDS_MAX = 20


class Court:
    """The judge and the readers, asked together."""

    def __init__(self, judge, readers):
        self.judge = Program(judge)
        self.readers = [Program(*reader) for reader in readers]

    def hear(self, bodies):
        """One (verdict, readings) for each body."""
        for program in [self.judge, *self.readers]:
            program.ask(bodies)
        verdicts = self.judge.answers()
        readings = [{} for _ in bodies]
        for reader in self.readers:
            for merged, answer in zip(readings, reader.answers()):
                merged.update(answer)
        return list(zip(verdicts, readings))

    def dismiss(self):
        for program in [self.judge, *self.readers]:
            program.child.kill()


def differences(verdict, readings):
    return {(name, what) for name, reading in readings.items() if (what := difference(verdict, reading))}


def minimise(court, body, wanted):
    """The shortest body found by leaving parts out that still shows the wanted difference."""
    size = max(1, len(body) // 2)
    while size:
        parts = [body[:at] + body[at + size:] for at in range(0, len(body), size)]
        smaller = [part for part, heard in zip(parts, court.hear(parts)) if wanted in differences(*heard)]
        if smaller:
            body = min(smaller, key=len)
            size = min(size, max(1, len(body) // 2))
        else:
            size //= 2
    return body


def show(body, verdict, readings):
    print(f"  body: {body!r}\n  gate: {json.dumps(verdict)}")
    for name, reading in readings.items():
        print(f"  {name}: {json.dumps(reading)}")
    sys.stdout.flush()


class Hunt:
    def __init__(self, court, found):
        self.court = court
        self.found = found
        self.bodies = self.allowed = self.compared = self.differing = 0
        self.refused, self.read, self.kinds = {}, {}, set()

    def add(self, body, verdict, readings):
        self.bodies += 1
        if "refused" in verdict:
            self.refused[verdict["refused"]] = self.refused.get(verdict["refused"], 0) + 1
            return
        self.allowed += 1
        for name, reading in readings.items():
            if "error" not in reading:
                self.read[name] = self.read.get(name, 0) + 1
                self.compared += 1
        differing = differences(verdict, readings)
        self.differing += bool(differing)
        method = verdict["messages"][0]["operations"][0][2] if verdict["messages"] else None
        for name, what in sorted(differing):
            if (what, method) not in self.kinds and len(self.kinds) < FINDS_MAX:
                self.kinds.add((what, method))
                self.report(body, name, what)

    def report(self, body, name, what):
        body = minimise(self.court, body, (name, what))
        verdict, readings = self.court.hear([body])[0]
        print(f"FOUND: another {what} than {name}")
        show(body, verdict, readings)
        with open(self.found, "a", encoding="ascii") as file:
            file.write(corpus_line(f"another {what} than {name}", body, verdict, readings))

    def line(self):
        share = self.allowed / self.bodies if self.bodies else 0
        return f"{self.bodies} bodies, {share:.0%} allowed, {self.compared} readings compared, {self.differing} differ"


def culprit(court, judge, bodies):
    """One of them ended. When it was the judge: which body did that?"""
    ended = court.judge.child.poll() is not None
    court.dismiss()
    if not ended:
        return "a reader must not end"
    for body in bodies:
        alone = Program(judge)
        alone.ask([body])
        try:
            alone.answers()
        except EOFError as e:
            return f"{e}: {body!r}"
    return "no single body does it"


def hunt(args, corpus):
    generator = Generator(args.seed, corpus)
    this = Hunt(Court(args.judge, args.readers), args.found)
    begin = said = time.monotonic()
    bodies = corpus
    while time.monotonic() - begin < args.seconds:
        try:
            for body, (verdict, readings) in zip(bodies, this.court.hear(bodies)):
                this.add(body, verdict, readings)
        except EOFError as e:
            print(f"FOUND: {e}; {culprit(this.court, args.judge, bodies)}")
            return 1
        if time.monotonic() - said > 60:
            said = time.monotonic()
            print(f"{said - begin:.0f} s: {this.line()}", flush=True)
        bodies = [generator.body() for _ in range(ROUND)]
    print("allowed and understood, by reading: " + ", ".join(f"{name} {n}" for name, n in sorted(this.read.items())))
    print("refused: " + ", ".join(f"{slug} {n}" for slug, n in sorted(this.refused.items(), key=lambda item: -item[1])))
    print(f"seed {args.seed}: {this.line()}")
    if this.allowed < ENOUGH * this.bodies:
        print(f"less than {ENOUGH:.0%} allowed: that proves too little")
        return 1
    return 1 if this.differing else 0


def record(args):
    """Writes the corpus again with what gate and readers say now."""
    court = Court(args.judge, args.readers)
    bad = 0
    for file in args.corpus:
        cases = [case for _, case in corpus_read([file])]
        heard = court.hear([case["body"] for case in cases])
        for case, (verdict, readings) in zip(cases, heard):
            for name, what in sorted(differences(verdict, readings)):
                print(f"{file} ({case['why']}): another {what} than {name}")
                show(case["body"], verdict, readings)
                bad = 1
        with open(file, "w", encoding="ascii") as out:
            out.writelines(corpus_line(case["why"], case["body"], *said) for case, said in zip(cases, heard))
        print(f"{file}: {len(cases)} bodies")
    return bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--judge", required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("--go", required=True)
    parser.add_argument("--go2")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1000000)
    parser.add_argument("--found", default="found.jsonl")
    parser.add_argument("--record", action="store_true")
    parser.add_argument("corpus", nargs="+")
    args = parser.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    args.readers = [[sys.executable, os.path.join(here, "read.py")], [args.node, os.path.join(here, "read.mjs")], [args.go, "go"]]
    if args.go2:
        args.readers.append([args.go2, "go2"])
    if args.record:
        return record(args)
    return hunt(args, [case["body"] for _, case in corpus_read(args.corpus)])


if __name__ == "__main__":
    sys.exit(main())
