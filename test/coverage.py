#!/usr/bin/env python3
"""Coverage of lines and branches, from the counters that gcov wrote: test/coverage.sh calls it.

usage: coverage.py BUILD SOURCE REPORT

Reads every object with counters below BUILD, and takes of them what stands below SOURCE/src and in SOURCE/mod_mcp_oauth.c. A
source that several objects hold (unit tests include some) has the counts of all of them. Prints a table with the totals, writes
REPORT/uncovered.txt (what never ran, and which branches were never taken) and an annotated copy of each source that is not
covered whole. The last line is "LINES BRANCHES": percentages, rounded down to a tenth.

A branch is one way out of a condition, as the compiler sees it without optimization: "a && b" has four. Those for exceptions, of
which C has none, are left out."""
import collections
import json
import os
import subprocess
import sys


class Source:
    """What is known of one file: counts by line, and by line and function those of each branch."""

    def __init__(self):
        self.lines = collections.Counter()
        self.branches = {}

    def add(self, line):
        number = line["line_number"]
        self.lines[number] += line["count"]
        counts = [b["count"] for b in line["branches"] if not b["throw"]]
        if not counts:
            return
        key = number, line.get("function_name", "")
        known = self.branches.setdefault(key, counts)
        # An object that was compiled with other macros has other branches; the one that came first counts.
        if known is not counts and len(known) == len(counts):
            self.branches[key] = [a + b for a, b in zip(known, counts)]

    def missing(self):
        """{line: (its branches that were never taken, all of them)}"""
        found = {}
        for (number, _), counts in self.branches.items():
            untaken, total = found.get(number, ((), 0))
            found[number] = untaken + tuple(total + i for i, n in enumerate(counts) if not n), total + len(counts)
        return {n: f for n, f in found.items() if f[0]}

    def figures(self):
        """(lines covered, lines, branches taken, branches)"""
        taken = [n > 0 for counts in self.branches.values() for n in counts]
        return sum(n > 0 for n in self.lines.values()), len(self.lines), sum(taken), len(taken)


def objects(build):
    """Those of the module first: their branches are the ones that count."""
    found = []
    for folder, folders, files in os.walk(build):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".gcno") and "conftest" not in name:
                found.append(os.path.join(folder, name))
    return sorted(found, key=lambda f: os.path.relpath(f, build).startswith("test"))


def read(build, source):
    wanted = os.path.join(source, "src") + os.sep
    sources = collections.defaultdict(Source)
    for note in objects(build):
        out = subprocess.run(["gcov", "--json-format", "--branch-probabilities", "--stdout", note], cwd=build,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if out.returncode:
            sys.exit(f"gcov {note}: {out.stderr.decode(errors='replace')}")
        for text in out.stdout.splitlines():
            data = json.loads(text)
            for file in data["files"]:
                path = os.path.normpath(os.path.join(data["current_working_directory"], file["file"]))
                if not path.startswith(wanted) and path != os.path.join(source, "mod_mcp_oauth.c"):
                    continue
                for line in file["lines"]:
                    sources[os.path.relpath(path, source)].add(line)
    return sources


def floored(part, whole):
    return (part * 1000 // whole) / 10 if whole else 100.0


def row(name, figures):
    lines, all_lines, branches, all_branches = figures
    return (f"{name:<34}{lines:>7}{all_lines:>7}{floored(lines, all_lines):>7.1f}"
            f"{branches:>8}{all_branches:>7}{floored(branches, all_branches):>7.1f}")


def annotate(name, found, source, report):
    """Writes the annotated copy, and returns the lines of uncovered.txt."""
    missing = found.missing()
    if not missing and all(found.lines.values()):
        return []
    bare = []
    with open(os.path.join(source, name), encoding="utf-8") as text, \
            open(os.path.join(report, name.replace("/", "-") + ".txt"), "w", encoding="utf-8") as out:
        for number, line in enumerate(text, 1):
            line = line.rstrip("\n")
            count = found.lines.get(number)
            note = ""
            if count == 0:
                note = "never"
            elif number in missing:
                note = "branch " + ",".join(map(str, missing[number][0])) + f" of {missing[number][1]}"
            out.write(f"{'' if count is None else count or '#####':>10} {note:<16.16}{number:>5}  {line}\n")
            if note:
                bare.append(f"{name}:{number}: {note}: {line.strip()}\n")
    return bare


def main():
    build, source, report = (os.path.realpath(a) for a in sys.argv[1:4])
    sources = read(build, source)
    if not sources:
        sys.exit(f"no counters below {build}")
    os.makedirs(report, exist_ok=True)
    for name in os.listdir(report):
        if name.endswith(".txt"):
            os.unlink(os.path.join(report, name))
    total = [0, 0, 0, 0]
    print(f"{'file':<34}{'lines':>7}{'of':>7}{'%':>7}{'branches':>8}{'of':>7}{'%':>7}")
    with open(os.path.join(report, "uncovered.txt"), "w", encoding="utf-8") as out:
        for name in sorted(sources):
            figures = sources[name].figures()
            print(row(name, figures))
            total = [a + b for a, b in zip(total, figures)]
            out.writelines(annotate(name, sources[name], source, report))
    print(row("all", total))
    print(floored(total[0], total[1]), floored(total[2], total[3]))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main()
