#!/usr/bin/env python3
"""usage: report.py RESULTS.json TEMPLATE OUTPUT.md

Makes a page and, beside it, a picture (SVG) of what measure.py found. Parts that were not measured are left out."""

import json
import re
import statistics
import sys
import textwrap

import picture

NAMES = {
    "bare": "bare: mod_proxy alone",
    "none": "no rules",
    "acl10": "10 rules",
    "acl1000": "1,000 rules",
    "alike1000": "1,000 rules for this tool",
    "shadow": "Shadow, allowed",
    "shadow_deny": "Shadow, would be refused",
    "bare_list": "bare, `tools/list`",
    "list": "list filter",
    "fresh": "10 rules, every token new",
    "openidc": "mod_auth_openidc",
    "oauth2": "mod_oauth2",
    "openidc_fresh": "mod_auth_openidc, every token new",
    "oauth2_fresh": "mod_oauth2, every token new",
}
ORDER = [
    "bare",
    "none",
    "acl10",
    "acl1000",
    "alike1000",
    "shadow",
    "shadow_deny",
    "fresh",
    "openidc",
    "openidc_fresh",
    "oauth2",
    "oauth2_fresh",
    "bare_list",
    "list",
]
# Of the contract: ratios to bare that must be reached, and those it states for the other modules.
TARGETS = {"acl10": 1.05, "fresh": 1.5}
STATED = {"openidc": 2.3, "oauth2": 2.5}
PLACES = {
    "module": "the module itself",
    "openssl": "OpenSSL: the SHA-256 of the token",
    "httpd": "httpd and its other modules",
    "apr": "APR: tables, pools, brigades",
    "other": "C library and the rest",
}
TOLERANCE = 1.02  # "no more than" between two measured variants


def number(x, digits=None):
    """Thousands separated, and about three figures that mean something."""
    if digits is None:
        digits = 0 if abs(x) >= 100 else 1 if abs(x) >= 10 else 2
    return f"{x:,.{digits}f}"


def spread(values, digits=2, factor=1.0):
    values = [v * factor for v in values]
    middle = number(statistics.median(values), digits)
    return middle if len(values) == 1 else f"{middle} ({number(min(values), digits)} to {number(max(values), digits)})"


def wrap(text):
    return textwrap.fill(text, 126, break_long_words=False, break_on_hyphens=False)


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def size_name(size):
    return f"{size} B" if size < 1024 else f"{size // 1024} KiB" if size < 1 << 20 else f"{size >> 20} MiB"


class Report:
    def __init__(self, results):
        self.results, self.parts, self.facts = results, results["parts"], results["facts"]

    def values(self, part, name, what):
        return [r[what] for r in self.parts[part]["rounds"][name]]

    def ratios(self, part, name, reference, what="cpu"):
        """One for each round."""
        pairs = zip(self.values(part, name, what), self.values(part, reference, what))
        return [a / b for a, b in pairs]

    def median(self, part, name, what="cpu"):
        return statistics.median(self.values(part, name, what))

    def request_ratios(self, name, what="cpu"):
        return self.ratios("requests", name, self.parts["requests"]["compared"][name], what)

    # --- targets ---

    def targets(self):
        rows = []

        def row(what, target, found, met):
            rows.append([what, target, found, "met" if met else "**missed**"])

        if "requests" in self.parts:
            self.cpu_targets(row)
        if "memory" in self.parts:
            m = self.parts["memory"]
            row("memory of a cached token", "≤ 2 KiB", f"{number(m['resident'], 0)} bytes", m["resident"] <= 2048)
            row("memory for a body of 1 MiB", "≤ 3 × its size", f"{number(m['body']['acl10'])} ×", m["body"]["acl10"] <= 3)
        if "streams" in self.parts:
            more = self.stream_growth()
            found = f"{number(abs(more), 0)} bytes {'over' if more >= 0 else 'below'} bare"
            row("memory of an idle event stream", "≤ 1 KiB over bare", found, more <= 1024)
        return table(["", "target", "found", ""], rows) if rows else "None of them was measured."

    def cpu_targets(self, row):
        for name, limit in TARGETS.items():
            found = self.request_ratios(name)
            cached = ", cached token" if name == "acl10" else ""
            row(
                f"CPU time of a call, {NAMES[name]}{cached}",
                f"≤ {limit} × bare",
                spread(found) + " ×",
                statistics.median(found) <= limit,
            )
        counts = self.parts.get("instructions", {}).get("counts", {})
        for name in ("acl1000", "alike1000"):
            found = self.ratios("requests", name, "acl10")
            row(f"{NAMES[name]} beside 10: CPU time", "no more", spread(found) + " ×", statistics.median(found) <= TOLERANCE)
            if name in counts:
                times = counts[name] / counts["acl10"]
                row(f"{NAMES[name]} beside 10: instructions", "no more", f"{number(times, 3)} ×", times <= TOLERANCE)
        bound = self.parts["requests"]["bound"]
        row(
            "entries of the token cache",
            f"≤ {number(bound['limit'], 0)}, as configured",
            f"{number(bound['entries'], 0)} after {number(bound['misses'], 0)} verified tokens",
            bound["entries"] <= bound["limit"],
        )

    def stream_growth(self, what="all"):
        return self.median("streams", "acl10", what) - self.median("streams", "bare", what)

    # --- the parts ---

    def machine(self):
        f = self.facts
        virtual = "" if f["virtual"] == "none" else f", virtual machine ({f['virtual']})"
        module = f"mod_mcp_oauth {f['module']}, {f['revision']}; {f['compiler']}, {f['flags']}"
        rows = [
            ["processor", f"{f['cpu']}, {f['cores']} processors{virtual}"],
            ["memory", f["memory"]],
            ["system", f"{f['system']}, {f['kernel']}"],
            ["httpd", f["httpd"]],
            ["OpenSSL", f["openssl"]],
            ["module", module],
            ["others", f"mod_auth_openidc {f['openidc']}, mod_oauth2 {f['oauth2']} with liboauth2 {f['liboauth2']}"],
            ["tools", f"{f['nginx']}, wrk {f['wrk']}, {f['valgrind']}"],
            ["date, load before", f"{f['date']}, {f['load']}"],
        ]
        return "\n".join(["| | |", "| --- | --- |", *(f"| {a} | {b} |" for a, b in rows)])

    def requests_table(self):
        part, rows = self.parts["requests"], []
        counts = self.parts.get("instructions", {}).get("counts", {})
        for name in ORDER:
            cpu, rate = self.values("requests", name, "cpu"), self.median("requests", name, "rate")
            ratio, flow, wanted = "1", "1", ""
            if name in part["compared"]:
                ratio, flow = spread(self.request_ratios(name)), spread(self.request_ratios(name, "rate"))
            if name in TARGETS:
                wanted = f"≤ {TARGETS[name]}"
            if name in STATED:
                wanted = f"(stated: {STATED[name]})"
            instructions = number(counts[name], 0) if name in counts else "–"
            time = number(statistics.median(cpu) * 1e6, 1) + " µs"
            rows.append([NAMES[name], time, ratio, wanted, flow, number(rate, 0), instructions])
        head = ["variant", "CPU time", "ratio to bare", "target", "throughput, ratio to bare", "requests/s", "instructions"]
        return table(head, rows)

    def requests_mean(self):
        def more(name, reference="bare"):
            found = (self.median("requests", name) - self.median("requests", reference)) * 1e6
            return f"{number(abs(found), 1)} µs {'more' if found >= 0 else 'less'}"

        return wrap(
            f"For one call, the module with 10 rules takes {more('acl10')} CPU time than mod_proxy alone, and {more('fresh')} "
            f"when it has to verify the signature. mod_auth_openidc takes {more('openidc')} than mod_proxy alone, mod_oauth2 "
            f"{more('oauth2')}; neither reads the message. With every token new it is {more('openidc_fresh')} and "
            f"{more('oauth2_fresh')}. Filtering the list takes {more('list', 'bare_list')} than passing it on."
        )

    def algorithms_table(self):
        rows = []
        for name in self.parts["algorithms"]["sizes"]:
            extra = [a - b for a, b in zip(self.values("algorithms", name, "cpu"), self.values("algorithms", "bare", "cpu"))]
            rows.append(
                [
                    name,
                    number(self.median("algorithms", name) * 1e6, 1) + " µs",
                    spread(self.ratios("algorithms", name, "bare")),
                    spread(extra, 1, 1e6) + " µs",
                    number(self.median("algorithms", name, "rate"), 0),
                ]
            )
        return table(["algorithm", "CPU time", "ratio to bare", "more than bare", "requests/s"], rows)

    def bodies_table(self):
        rows = []
        for size in self.parts["bodies"]["sizes"]:
            ours, bare = f"ours {size}", f"bare {size}"
            rows.append(
                [
                    size_name(size),
                    number(self.median("bodies", bare) * 1e6) + " µs",
                    number(self.median("bodies", ours) * 1e6) + " µs",
                    spread(self.ratios("bodies", ours, bare)),
                    spread(self.ratios("bodies", ours, bare, "rate")),
                ]
            )
        return table(["body", "bare, CPU time", "module, CPU time", "ratio to bare", "throughput, ratio to bare"], rows)

    def bodies_mean(self):
        size = self.parts["bodies"]["sizes"][-1]
        more = self.median("bodies", f"ours {size}") - self.median("bodies", f"bare {size}")
        return (
            f"For {size_name(size)} the module takes {number(more * 1e3)} ms more than mod_proxy alone: "
            f"{number(more / size * 1e9)} ns for a byte."
        )

    def children_table(self):
        rows = []
        for n in self.parts["children"]["numbers"]:
            ours, bare = f"ours {n}", f"bare {n}"
            times = [number(self.median("children", name) * 1e6, 1) + " µs" for name in (bare, ours)]
            rows.append(
                [
                    n,
                    *times,
                    spread(self.ratios("children", ours, bare)),
                    number(self.median("children", bare, "rate"), 0),
                    number(self.median("children", ours, "rate"), 0),
                ]
            )
        head = ["children", "bare, CPU time", "module, CPU time", "ratio to bare", "bare, requests/s", "module, requests/s"]
        return table(head, rows)

    def latency_table(self):
        rows = [
            [NAMES[name], *(spread(self.values("latency", name, q), 2, 1e-3) + " ms" for q in ("p50", "p99"))]
            for name in self.parts["latency"]["rounds"]
        ]
        return table(["variant", "p50", "p99"], rows)

    def instructions_table(self):
        counts, rows = self.parts["instructions"]["counts"], []
        for name in ORDER:
            if name not in counts:
                continue
            reference = "bare_list" if name == "list" else "bare"
            more = counts[name] - counts[reference]
            rows.append(
                [
                    NAMES[name],
                    number(counts[name], 0),
                    number(more, 0) if name not in ("bare", "bare_list") else "",
                    number(counts[name] / counts[reference], 2),
                ]
            )
        return table(["variant", "instructions", "more than bare", "ratio to bare"], rows)

    def places_table(self):
        places = self.parts["instructions"]["places"]
        rows = []
        for place, name in PLACES.items():
            bare, ours = (places[variant].get(place, 0) for variant in ("bare", "acl10"))
            rows.append([name, number(bare, 0), number(ours, 0), number(ours - bare, 0)])
        return table(["", "bare", "10 rules", "more"], rows)

    def memory_table(self):
        m = self.parts["memory"]
        return table(
            ["", "found"],
            [
                ["a cached token, resident memory", f"{number(m['resident'], 0)} bytes"],
                ["a cached token, as the module counts (`token_cache` of its status)", f"{number(m['counted'], 0)} bytes"],
                ["a body of 1 MiB, httpd without the module", f"{number(m['body']['bare'])} × its size"],
                ["a body of 1 MiB, 10 rules", f"{number(m['body']['acl10'])} × its size"],
            ],
        )

    def streams_table(self):
        names = {"bare": "bare: mod_proxy alone", "acl10": "10 rules"}
        rows = [
            [text, spread(self.values("streams", name, "all"), 0), spread(self.values("streams", name, "stacks"), 0)]
            for name, text in names.items()
        ]
        more = [number(self.stream_growth(what), 0) for what in ("all", "stacks")]
        return table(["variant", "bytes of one stream", "of these, the thread's stack"], [*rows, ["difference", *more]])

    def warning(self):
        text = []
        if self.results["quick"]:
            text.append("**This was a quick run: it shows that everything works, its numbers say nothing.**")
        if float(self.facts["load"]) > 0.25 * float(self.facts["cores"]):
            text.append("**The machine was busy when the run began** (load below): do not trust times and ratios.")
        return wrap(" ".join(text)) + "\n\n" if text else ""

    def words(self):
        """What stands between @ signs in the template."""
        p, r = self.parts, self.results
        words = {
            "WARNING": self.warning(),
            "TARGETS": self.targets(),
            "MACHINE": self.machine(),
            "TOKEN": r["token_size"],
            "ROUNDS": r["rounds"],
            "SECONDS": r["seconds"],
            "FEWROUNDS": r["few"],
            "SHORT": r["short"],
            "CORES": self.facts["cores"],
        }
        if "requests" in p:
            q = p["requests"]
            words |= {
                "REQUESTS": self.requests_table(),
                "REQUESTSMEAN": self.requests_mean(),
                "LISTTOOLS": q["list_tools"],
                "LISTSIZE": number(q["list_size"], 0),
                "MANY": number(r["many"], 0),
                "LIMIT": number(q["bound"]["limit"], 0),
            }
        if "bodies" in p:
            words |= {"BODIES": self.bodies_table(), "BODIESMEAN": self.bodies_mean()}
        if "latency" in p:
            words |= {
                "LATENCY": self.latency_table(),
                "RATE": number(p["latency"]["rate"], 0),
                "LSECONDS": p["latency"]["seconds"],
            }
        if "memory" in p:
            words |= {"MEMORY": self.memory_table(), "MTOKENS": number(p["memory"]["tokens"], 0)}
        if "streams" in p:
            words |= {
                "STREAMS": self.streams_table(),
                "NUMBER": number(p["streams"]["number"], 0),
                "FEW": p["streams"]["few"],
            }
        if "instructions" in p:
            words["PLACES"] = self.places_table()
        for part, make in (
            ("algorithms", self.algorithms_table),
            ("children", self.children_table),
            ("instructions", self.instructions_table),
        ):
            if part in p:
                words[part.upper()] = make()
        return words


def fill(template, words, parts):
    def section(match):
        return match.group(2) if match.group(1) in parts else ""

    text = re.sub(r"^@begin (\w+)@\n(.*?)^@end \1@\n", section, template, flags=re.M | re.S)
    text = re.sub(r"@([A-Z]+)@", lambda m: str(words[m.group(1)]), text)
    return re.sub(r" +$", "", text, flags=re.M)


def main():
    results, template, output = sys.argv[1:]
    with open(results, encoding="ascii") as f:
        report = Report(json.load(f))
    drawn = output[:-3] if output.endswith(".md") else output
    picture.draw(report, drawn + ".svg")
    with open(template, encoding="utf-8") as f:
        text = fill(f.read(), report.words() | {"PICTURE": drawn.rsplit("/", 1)[-1] + ".svg"}, report.parts)
    with open(output, "w", encoding="utf-8") as f:
        f.write(text)


if __name__ == "__main__":
    main()
