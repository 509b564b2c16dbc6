"""Compares what the gate understood of a body with what a reader understood, and replays the corpus (compare.py JUDGE CORPUS…)."""
import base64
import json
import subprocess
import sys
import threading


class Program:
    """A judge or reader that answers each body with a line of JSON."""

    def __init__(self, *command):
        self.command = command
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def _write(self, bodies):
        try:
            for body in bodies:
                self.child.stdin.write(len(body).to_bytes(4, "big") + body)
            self.child.stdin.flush()
        except OSError:
            pass  # it ended: the missing answers tell

    def ask(self, bodies):
        """Begins to send; answers() has the lines."""
        self.asked = len(bodies)
        self.writer = threading.Thread(target=self._write, args=(bodies,), daemon=True)
        self.writer.start()

    def answers(self):
        lines = []
        for _ in range(self.asked):
            line = self.child.stdout.readline()
            if not line.endswith(b"\n"):
                raise EOFError(f"{self.command[0]} ended with status {self.child.wait()} after {len(lines)} answers")
            lines.append(json.loads(line))
        self.writer.join()
        return lines


def operations_of(message):
    """What a backend would do, in the words of the access rules; last whether it subscribes to anything else as well."""
    method, operand = message["method"], message.get("operand")
    if method is None:
        return [["response", "none", None, None, None]], False
    if operand is None:
        return [["method", "none", method, None, None]], False
    if method == "subscriptions/listen":
        entries = [["method", "resource", "resources/subscribe", uri, method] for uri in operand["resourceSubscriptions"]]
        entries += [["method", "task", "tasks/get", task, method] for task in operand["taskIds"]]
        return entries, operand["more"] or not entries
    if method == "completion/complete":
        prompt = operand["type"] == "ref/prompt"
        return [["method", "prompt" if prompt else "resource", method, operand["name" if prompt else "uri"], None]], False
    kind = {"tools": "tool", "prompts": "prompt", "resources": "resource", "tasks": "task", "notifications": "task"}
    return [["method", kind[method.partition("/")[0]], method, next(iter(operand.values())), None]], False


def id_differs(text, seen):
    """text: of the id as the gate would repeat it."""
    if text is None or seen is None:
        return (text is None) != (seen is None)
    try:
        meant = json.loads(text)
    except ValueError:
        return True
    if isinstance(meant, str):
        return seen != "s" + meant
    if not isinstance(meant, int) or isinstance(meant, bool):
        return True
    return abs(meant) < 2**53 if seen == "n~" else seen != "n" + str(meant)


def message_difference(judged, seen):
    if "error" in seen:
        return None
    operations, more = operations_of(seen)
    plain = ["method", "none", "subscriptions/listen", None, None]
    # The gate may judge more than a typed reader would do, and must not judge less.
    listens = seen["method"] == "subscriptions/listen"
    mine = [operation for operation in judged["operations"] if not listens or operation != plain]
    if mine != operations or (more and plain not in judged["operations"]):
        return "operation"
    kind = "response" if seen["method"] is None else "notification" if seen["id"] is None else "request"
    if kind != judged["kind"]:
        return "kind"
    if id_differs(judged["id"], seen["id"]):
        return "id"
    if seen["method"] is not None and seen["version"] != judged["version"]:
        return "version"
    return None


def difference(verdict, reading):
    """What the two understood differently, in one word; None when nothing."""
    if "refused" in verdict or "error" in reading:
        return None
    if verdict["batch"] != reading["batch"]:
        return "batch"
    if len(verdict["messages"]) != len(reading["messages"]):
        return "count"
    if verdict["operations"] != [operation for judged in verdict["messages"] for operation in judged["operations"]]:
        return "sum"
    for judged, seen in zip(verdict["messages"], reading["messages"]):
        what = message_difference(judged, seen)
        if what:
            return what
    return None


def corpus_read(files):
    for file in files:
        with open(file, encoding="ascii") as lines:
            for number, line in enumerate(lines, 1):
                case = json.loads(line)
                case["body"] = base64.b64decode(case["body"], validate=True)
                yield f"{file}:{number} ({case['why']})", case


def corpus_line(why, body, verdict, readings):
    """Readers that understood the same share an entry."""
    alike = {}
    for name, reading in readings.items():
        said = {"error": reading["error"][:60]} if "error" in reading else reading
        alike.setdefault(json.dumps(said, sort_keys=True), ([], said))[0].append(name)
    case = {
        "why": why,
        "body": base64.b64encode(body).decode(),
        "allowed": "refused" not in verdict,
        "readings": {" ".join(names): said for names, said in alike.values()},
    }
    return json.dumps(case, separators=(",", ":")) + "\n"


def replay(judge, files):
    cases = list(corpus_read(files))
    program = Program(judge)
    program.ask([case["body"] for _, case in cases])
    bad = allowed = compared = 0
    for (where, case), verdict in zip(cases, program.answers()):
        allowed += "refused" not in verdict
        if case["allowed"] and "refused" in verdict:
            print(f"{where}: was allowed, and is now refused: {verdict['refused']}")
            bad += 1
        for name, reading in case["readings"].items():
            compared += len(name.split()) if "refused" not in verdict and "error" not in reading else 0
            what = difference(verdict, reading)
            if what:
                print(f"{where}: another {what} than {name}\n  gate: {json.dumps(verdict)}\n  {name}: {json.dumps(reading)}")
                bad += 1
    print(f"{len(cases)} bodies, {allowed} allowed, {compared} readings compared, {bad} wrong")
    return 1 if bad or not compared else 0


if __name__ == "__main__":
    sys.exit(replay(sys.argv[1], sys.argv[2:]))
