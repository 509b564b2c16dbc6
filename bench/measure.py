#!/usr/bin/env python3
"""Runs the measurements of run.sh and writes what they gave as JSON; report.py makes text and picture of it.

usage: measure.py --dir DIR --httpd FILE --modules DIR --module FILE --steady FILE --facts JSON --rounds N --seconds S
                  --only PART,... [--quick] --output FILE
"""

import argparse
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import time

import servers
import tokens
from servers import Httpd, Plan, Trouble, rules

HERE = os.path.dirname(os.path.abspath(__file__))
PARTS = ["requests", "algorithms", "bodies", "children", "latency", "instructions", "memory", "streams"]
BODIES = {100: 16000, 1024: 16000, 16 * 1024: 4000, 128 * 1024: 600, 1024 * 1024: 80}  # size: how many at a time
CHILDREN = [1, 2, 4, 8]
PLACES = {  # of instructions, by the file's name; the first that fits
    "module": r"/mod_mcp_oauth\.so",
    "httpd": r"/(apache2|httpd)$|/mod_[^/]*\.so",
    "apr": r"/libapr",
    "openssl": r"/lib(crypto|ssl)",
    "other": "",
}

# Of the part "requests": name, instance, tokens, what it is compared with. An instance may be measured twice.
REQUESTS = [
    ("bare", "bare", "one", None),
    ("none", "none", "one", "bare"),
    ("acl10", "acl10", "one", "bare"),
    ("acl1000", "acl1000", "one", "bare"),
    ("alike1000", "alike1000", "one", "bare"),
    ("shadow", "shadow", "one", "bare"),
    ("shadow_deny", "shadow_deny", "one", "bare"),
    ("bare_list", "bare_list", "one", None),
    ("list", "list", "one", "bare_list"),
    ("openidc", "openidc", "one", "bare"),
    ("oauth2", "oauth2", "one", "bare"),
    ("fresh", "fresh", "many", "bare"),
    ("openidc_fresh", "openidc", "many", "bare"),
    ("oauth2_fresh", "oauth2", "many", "bare"),
]

PLANS = {
    "bare": Plan("bare"),
    "none": Plan("ours"),
    "acl10": Plan("ours", "McpOAuthACL On\n" + rules(10)),
    "acl1000": Plan("ours", "McpOAuthACL On\n" + rules(1000)),
    "alike1000": Plan("ours", "McpOAuthACL On\n" + servers.rules_alike(1000)),
    "shadow": Plan("ours", "McpOAuthACL Shadow\n" + rules(10)),
    "shadow_deny": Plan("ours", "McpOAuthACL Shadow\n" + rules(10, granted="scope-of-others")),
    "bare_list": Plan("bare", answer="list"),
    "list": Plan("ours", "McpOAuthACL On\nMcpOAuthFilterLists On\n" + servers.list_rules(), answer="list"),
    "openidc": Plan("openidc"),
    "oauth2": Plan("oauth2"),
    "fresh": Plan("ours", "McpOAuthACL On\n" + rules(10), cache=1000),
}


def say(text):
    print(text, file=sys.stderr, flush=True)


def call_body(size):
    """A tools/call of exactly size bytes. What is longer than 100 carries a text, as a tool that edits documents does."""

    def body(text):
        return json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "add", "arguments": {"text": text}}},
            separators=(",", ":"),
        )

    line, room = 'The quick brown fox said "no" \n', size - len(body(""))
    if size <= 200:
        return body("x" * room)
    count = room // (len(body(line)) - len(body("")))
    text = line * count
    return body(text + "x" * (size - len(body(text))))


class Bench:
    def __init__(self, options, machine):
        self.o, self.machine = options, machine
        self.results = {
            "facts": json.loads(options.facts),
            "rounds": options.rounds,
            "seconds": options.seconds,
            "quick": options.quick,
            "token_size": tokens.SIZE,
            "parts": {},
        }
        self.results |= {"few": self.few(), "short": self.short()}
        self.authority = tokens.Authority(os.path.join(options.dir, "tokens"))
        self.many = self.results["many"] = 3000 if options.quick else 20000
        self.turn = 0  # of the httpds that are started anew for each measurement
        self.position = {}  # by instance: how many tokens of a file it has seen
        self.backend = servers.start_nginx(self.machine)
        say("making tokens")
        self.one = self.authority.tokens("one", "RS256", 1)
        self.lots = self.authority.tokens("many", "RS256", self.many)
        self.call = self.body("call", call_body(100))
        self.list = self.body("list", json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}))

    def body(self, name, text):
        return self.authority.write(name + ".json", text)

    def start(self, name, plan, single=(), backend=None, settings=None):
        return Httpd(self.machine, self.authority, name, plan, backend or self.backend, single, settings)

    # --- load ---

    def wrk(self, httpd, token_file, body, seconds, connections=8, threads=1):
        """Full load for some seconds: CPU seconds of the children for one request, and requests per second."""
        first = self.position.get((httpd.name, token_file), 0)
        before = httpd.cpu()
        done = subprocess.run(
            [
                "wrk",
                f"-t{threads}",
                f"-c{connections}",
                f"-d{seconds}s",
                "--timeout",
                "30s",
                "-s",
                os.path.join(HERE, "post.lua"),
                f"http://127.0.0.1:{httpd.port}/mcp",
                "--",
                token_file,
                body,
                str(first),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        cpu = httpd.cpu() - before
        lines = done.stdout.strip().splitlines()
        if done.returncode or not lines or not lines[-1].startswith("{"):
            raise Trouble(f"wrk failed on {httpd.name}: {done.stdout[-500:]} {done.stderr[-500:]}")
        counted = json.loads(lines[-1])
        if counted["errors"] or counted["refused"] or not counted["requests"] or "Non-2xx" in done.stdout:
            raise Trouble(f"{httpd.name}: not all answers were good: {counted}; see {httpd.dir}/error.log")
        # What was under way at the end is not counted, but its tokens are used.
        self.position[httpd.name, token_file] = first + counted["requests"] + connections
        return {
            "cpu": cpu / counted["requests"],
            "rate": counted["requests"] / (counted["microseconds"] / 1e6),
            "requests": counted["requests"],
        }

    def steady(self, port, token_file, body, *how):
        done = subprocess.run(
            [self.o.steady, "--port", str(port), "--path", "/mcp", "--tokens", token_file, "--body", body, *map(str, how)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Trouble(f"port {port}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def counted(self, httpd, body, requests):
        """As wrk(), for an exact number of requests: of large ones those under way at the end of some seconds would be many."""
        before = httpd.cpu()
        done = self.steady(httpd.port, self.one, body, "--connections", 8, "--count", requests)
        return {"cpu": (httpd.cpu() - before) / requests, "rate": requests / done["seconds"], "requests": requests}

    def interleaved(self, names, rounds, measure):
        """Each round measures each name, beginning with another one; {name: [result of each round]}."""
        found = {name: [] for name in names}
        for r in range(rounds):
            shift = r * len(names) // max(rounds, 1)
            for name in names[shift:] + names[:shift]:
                found[name].append(measure(name))
            say(f"  round {r + 1} of {rounds}")
        return found

    def cache_change(self, httpd, run):
        """Runs run(); its result, and by how much the module's counts of hits and misses grew."""
        before = httpd.status()["token_cache"]
        result = run()
        after = httpd.status()["token_cache"]
        return result, after["hits"] - before["hits"], after["misses"] - before["misses"]

    # --- parts ---

    def requests(self):
        up = {name: self.start(name, plan) for name, plan in PLANS.items()}
        bodies = {name: self.list if "list" in name else self.call for name in PLANS}
        files = {"one": self.one, "many": self.lots}
        by_name = {name: (up[instance], files[kind]) for name, instance, kind, _ in REQUESTS}
        names = [name for name, *_ in REQUESTS]
        # The reference twice in each round: its mean counts.
        order = names[:7] + ["bare again"] + names[7:]
        by_name["bare again"] = by_name["bare"]

        for name in names:  # warm: threads, backend connections
            httpd, file = by_name[name]
            self.steady(httpd.port, file, bodies[httpd.name], "--connections", 8, "--count", 500)
            self.position[httpd.name, file] = 500

        def measure(name):
            httpd, file = by_name[name]
            run = lambda: self.wrk(httpd, file, bodies[httpd.name], self.o.seconds)
            if httpd.plan.kind != "ours":
                return run()
            result, hits, misses = self.cache_change(httpd, run)
            if file is self.lots and (hits or misses < result["requests"]):
                raise Trouble(f"{name}: tokens were not new: {hits} hits, {misses} misses, {result['requests']} requests")
            if file is self.one and misses:
                raise Trouble(f"{name}: the token was not cached: {misses} misses")
            return result

        found = self.interleaved(order, self.o.rounds, measure)
        found["bare"] = [{key: (a[key] + b[key]) / 2 for key in a} for a, b in zip(found["bare"], found.pop("bare again"))]
        self.cut_list_check(up["list"])
        fresh = up["fresh"].status()["token_cache"]
        bound = {
            "entries": fresh["entries"],
            "misses": fresh["misses"],
            "limit": PLANS["fresh"].cache,
        }
        self.stop(up)
        return {
            "rounds": found,
            "compared": {name: with_ for name, _, _, with_ in REQUESTS if with_},
            "bound": bound,
            "list_size": len(servers.list_answer()),
            "list_tools": servers.LIST_TOOLS,
        }

    def cut_list_check(self, httpd):
        """A filter that filters nothing would be cheap."""
        with open(self.one, encoding="ascii") as f:
            token = f.readline().strip()
        got = subprocess.run(
            [
                "curl",
                "-s",
                "-H",
                f"Authorization: Bearer {token}",
                "-H",
                "Content-Type: application/json",
                "-H",
                "Accept: application/json, text/event-stream",
                "--data-binary",
                f"@{self.list}",
                f"http://127.0.0.1:{httpd.port}/mcp",
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        left = len(json.loads(got)["result"]["tools"])
        if left != servers.LIST_TOOLS // 2:
            raise Trouble(f"the list filter left {left} tools")

    def algorithms(self):
        count = 600 if self.o.quick else 3000
        files = {alg: self.lots if alg == "RS256" else self.authority.tokens(alg, alg, count) for alg in tokens.ALGORITHMS}
        up = {
            "bare": self.start("algorithms-bare", PLANS["bare"]),
            "ours": self.start(
                "algorithms-ours", Plan("ours", "McpOAuthACL On\n" + rules(10), cache=200, jwks=self.authority.all_jwks)
            ),
        }
        sizes = {}
        for alg, file in files.items():
            with open(file, encoding="ascii") as f:
                sizes[alg] = len(f.readline().strip())

        def measure(name):
            if name == "bare":
                return self.wrk(up["bare"], self.lots, self.call, self.short())
            result, hits, misses = self.cache_change(
                up["ours"], lambda: self.wrk(up["ours"], files[name], self.call, self.short())
            )
            if hits or misses < result["requests"]:
                raise Trouble(f"{name}: tokens were not new: {hits} hits, {misses} misses")
            return result

        for httpd in up.values():
            self.steady(httpd.port, self.one, self.call, "--connections", 8, "--count", 500)
        found = self.interleaved(["bare", *tokens.ALGORITHMS], self.few(), measure)
        self.stop(up)
        return {"rounds": found, "sizes": sizes}

    def bodies(self):
        up = {"bare": self.start("bodies-bare", PLANS["bare"]), "ours": self.start("bodies-ours", PLANS["acl10"])}
        files = {size: self.body(f"call-{size}", call_body(size)) for size in BODIES}
        names = [f"{kind} {size}" for size in BODIES for kind in up]

        def measure(name):
            kind, size = name.split()
            return self.counted(up[kind], files[int(size)], BODIES[int(size)] // (8 if self.o.quick else 1))

        found = self.interleaved(names, self.few(), measure)
        self.stop(up)
        return {"rounds": found, "sizes": list(BODIES)}

    def children(self):
        up = {
            f"{kind} {n}": self.start(f"children-{kind}-{n}", plan.wider(64, n))
            for n in CHILDREN
            for kind, plan in (("bare", PLANS["bare"]), ("ours", PLANS["acl10"]))
        }
        for httpd in up.values():
            self.steady(httpd.port, self.one, self.call, "--connections", 32, "--count", 1000)
        found = self.interleaved(list(up), self.few(), lambda n: self.wrk(up[n], self.one, self.call, self.short(), 32, 1))
        self.stop(up)
        return {"rounds": found, "numbers": CHILDREN}

    def latency(self):
        names = ["bare", "acl10", "fresh", "openidc", "oauth2"]
        rate, seconds = 1000, 1 if self.o.quick else 5
        up = {name: self.start("latency-" + name, PLANS[name].wider(64)) for name in names}
        for httpd in up.values():
            self.steady(httpd.port, self.one, self.call, "--connections", 8, "--count", 1000)
        files = {name: self.lots if name == "fresh" else self.one for name in names}
        found = self.interleaved(
            names,
            self.few(),
            lambda name: self.steady(
                up[name].port, files[name], self.call, "--connections", 32, "--rate", rate, "--seconds", seconds
            ),
        )
        self.stop(up)
        return {"rounds": found, "rate": rate, "seconds": seconds}

    def instructions(self):
        if self.o.quick:
            names = ["bare", "acl10"]
        else:
            names = [name for name, *_ in REQUESTS]
        kinds = {name: (instance, kind) for name, instance, kind, _ in REQUESTS}
        with concurrent.futures.ThreadPoolExecutor(min(len(names), os.cpu_count() or 1)) as pool:
            places = dict(zip(names, pool.map(lambda name: self.callgrind(name, *kinds[name]), names)))
        counts = {name: sum(places[name].values()) for name in names}
        return {"counts": counts, "places": {name: places[name] for name in ("bare", "acl10")}}

    def callgrind(self, name, instance, kind):
        """Instructions of one request by where they are: those of a run with 1,200 requests less those of a run with 200, by 1,000."""
        file, body = (self.one if kind == "one" else self.lots), (self.list if "list" in name else self.call)
        counts = []
        for requests in (200, 1200):
            out = os.path.join(self.machine.folder, "callgrind", f"{name}.{requests}")
            httpd = self.start(
                f"callgrind-{name}-{requests}",
                PLANS[instance],
                ("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"),
            )
            self.steady(httpd.port, file, body, "--connections", 1, "--count", requests)
            httpd.stop()
            counts.append(self.by_place(out))
            if not counts[-1]:
                raise Trouble(f"callgrind left no count of {name}; see {httpd.dir}")
        less, more = counts
        found = {place: (more[place] - less.get(place, 0)) / 1000 for place in more}
        say(f"  {name}: {sum(found.values()):.0f} instructions")
        return found

    @staticmethod
    def by_place(out):
        """Instructions of a file of callgrind's, by kind of library. A line behind calls= counts what was called once more."""
        found, names, place, called = {}, {}, None, False
        with open(out, encoding="ascii", errors="replace") as f:
            for line in f:
                if line.startswith(("ob=", "cob=")):
                    number, _, name = line.partition("=")[2].strip().partition(" ")
                    if name:
                        names[number] = name
                    if line.startswith("ob="):
                        place = next(p for p, like in PLACES.items() if re.search(like, names[number]))
                elif line.startswith("calls="):
                    called = True
                elif re.match(r"[-+*\d]", line):
                    if not called:
                        found[place] = found.get(place, 0) + int(line.split()[1])
                    called = False
        return found

    def memory(self):
        """Of one cached token, and of one body of 1 MiB."""
        httpd = self.start("memory", Plan("ours", "McpOAuthACL On\n" + rules(10), cache=100000))
        self.steady(httpd.port, self.one, self.call, "--connections", 8, "--count", self.many)
        before, status = httpd.anonymous(), httpd.status()["token_cache"]
        self.steady(httpd.port, self.lots, self.call, "--connections", 8, "--count", self.many)
        after, full = httpd.anonymous(), httpd.status()["token_cache"]
        held = full["entries"] - status["entries"]
        if abs(held - self.many) > 8:  # each of the connections may be the last to tell the page, of what it saw before another
            raise Trouble(f"{self.many} tokens became {held} cache entries")
        httpd.stop()
        return {
            "tokens": held,
            "resident": (after - before) / held,
            "counted": (full["bytes"] - status["bytes"]) / held,
            "body": {kind: self.body_memory(kind) for kind in ("bare", "acl10")},
        }

    def body_memory(self, name):
        """By how much the peak of a child with one connection grows by one body of 1 MiB."""
        httpd, size = self.start("body-memory-" + name, PLANS[name]), 1024 * 1024
        self.steady(httpd.port, self.one, self.call, "--connections", 1, "--count", 500)
        (pid,) = httpd.pids
        before = kilobytes_peak(pid)
        self.steady(httpd.port, self.one, self.body("one-mib", call_body(size)), "--connections", 1, "--count", 1)
        after = kilobytes_peak(pid)
        httpd.stop()
        return 1024 * (after - before) / size

    def streams(self):
        """Memory of a child for each idle event stream, bare and ours."""
        few, many = (50, 150) if self.o.quick else (200, 1000)
        port = servers.free_port()
        log = os.path.join(self.machine.folder, "streams.log")
        server = self.machine.start([sys.executable, os.path.join(HERE, "streams.py"), "serve", str(port)], log)
        servers.wait_for_port(port, server, log)
        found = self.interleaved(["bare", "acl10"], self.few(), lambda name: self.stream_memory(name, port, few, many))
        self.machine.stop([server])
        return {"few": few, "number": many, "rounds": found}

    def stream_memory(self, name, port, few, many):
        """Bytes of one stream: by how much the child grows from few streams to many; what it needs once does not count. With
        the usual many arenas of malloc, chance decides by kilobytes how full their pages are: here there is one."""
        self.turn += 1
        httpd = self.start(
            f"streams-{name}-{self.turn}", PLANS[name].wider(many + 64), backend=port, settings={"MALLOC_ARENA_MAX": "1"}
        )
        (pid,) = httpd.pids
        clients, sizes = [], []
        try:
            for number in (few, many - few):
                command = [sys.executable, os.path.join(HERE, "streams.py"), "hold", str(httpd.port), str(number), self.one]
                clients.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
                if clients[-1].stdout.readline() != "open\n":
                    raise Trouble(f"{name}: not all of {many} event streams opened; see {httpd.dir}/error.log")
                sizes.append((httpd.anonymous(), stacks(pid)))
            more, of_stacks = (b - a for a, b in zip(*sizes))
            return {"all": more / (many - few), "stacks": of_stacks / (many - few)}
        finally:
            for client in clients:
                client.stdin.close()
                client.wait()
            httpd.stop()

    # --- all of it ---

    def few(self):
        return 1 if self.o.quick else 3

    def short(self):
        return 1 if self.o.quick else 2

    def stop(self, up):
        self.machine.stop([httpd.process for httpd in up.values()])

    def run(self, parts):
        os.makedirs(os.path.join(self.machine.folder, "callgrind"))
        self.machine.own(os.path.join(self.machine.folder, "callgrind"))
        for part in parts:
            began = time.monotonic()
            say(f"measuring: {part}")
            self.results["parts"][part] = getattr(self, part)()
            self.results["parts"][part]["took"] = time.monotonic() - began
            say(f"  {part} took {time.monotonic() - began:.0f} s")


def kilobytes_peak(pid):
    return servers.kilobytes(pid, "status", "VmHWM")


def stacks(pid):
    """Bytes of the threads' stacks that are resident: mappings of the size that a new thread gets, behind a guard page."""
    size, rss, total = 0, 0, 0
    guard = False
    with open(f"/proc/{pid}/smaps", encoding="ascii") as f:
        for line in f:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+)", line)
            if head:
                mine = guard and head.group(3) == "rw-p" and head.group(4) == "0"
                size = int(head.group(2), 16) - int(head.group(1), 16)
                guard = head.group(3) == "---p" and size == 4096
            elif line.startswith("Rss:") and mine and size >= 1 << 20:
                total += 1024 * int(line.split()[1])
    return total


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("dir", "httpd", "modules", "module", "steady", "facts", "output"):
        ap.add_argument("--" + name, required=True)
    ap.add_argument("--rounds", type=int, required=True)
    ap.add_argument("--seconds", type=int, required=True)
    ap.add_argument("--only", required=True)
    ap.add_argument("--quick", action="store_true")
    options = ap.parse_args()
    parts = [part for part in PARTS if part in options.only.split(",")]

    machine = servers.Machine(options.dir, options.httpd, options.modules, options.module)

    def end(number, _):
        machine.close()
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    try:
        bench = Bench(options, machine)
        bench.run(parts)
    except Trouble as e:
        sys.exit(f"error: {e}")
    finally:
        machine.close()
        machine.stop()
    with open(options.output, "w", encoding="ascii") as f:
        json.dump(bench.results, f, indent=1)


if __name__ == "__main__":
    main()
