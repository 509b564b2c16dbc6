"""What Python backends understand of bodies; see README.md of this directory for the lines that are read and printed.

python: json.loads of the bytes, as the MCP SDK reads them. pydantic: its own parser, which the SDK's older transport uses, when
it is installed.
"""
import json
import sys

try:
    from pydantic_core import from_json
except ImportError:
    from_json = None

BY_NAME = {"tools/call", "prompts/get"}
BY_URI = {"resources/read", "resources/subscribe", "resources/unsubscribe"}
BY_TASK = {"tasks/get", "tasks/cancel", "tasks/result", "tasks/update", "notifications/tasks/status"}
VERSION = "io.modelcontextprotocol/protocolVersion"


class Refused(Exception):
    pass


def string(holder, name):
    value = holder.get(name)
    if not isinstance(value, str):
        raise Refused(f"{name} is no string")
    return value


def mapping(value, what):
    if not isinstance(value, dict):
        raise Refused(f"{what} is no object")
    return value


def strings(value):
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise Refused("no list of strings")
    return value


def read_operand(method, params):
    if method in BY_NAME:
        return {"name": string(params, "name")}
    if method in BY_URI:
        return {"uri": string(params, "uri")}
    if method in BY_TASK:
        return {"taskId": string(params, "taskId")}
    if method == "completion/complete":
        ref = mapping(params.get("ref"), "ref")
        kind = string(ref, "type")
        if kind == "ref/prompt":
            return {"type": kind, "name": string(ref, "name")}
        if kind == "ref/resource":
            return {"type": kind, "uri": string(ref, "uri")}
        raise Refused("unknown ref")
    if method == "subscriptions/listen":
        wanted = mapping(params.get("notifications"), "notifications")
        lists = ("resourceSubscriptions", "taskIds")
        operand = {name: strings(wanted.get(name)) for name in lists}
        operand["more"] = any(value for name, value in wanted.items() if name not in lists)
        return operand
    return None


def read_id(value):
    if value is None:
        return None
    if isinstance(value, str):
        return "s" + value
    if isinstance(value, int) and not isinstance(value, bool):
        return "n" + str(value)
    raise Refused("id is neither string nor integer")


def read_message(message):
    try:
        mapping(message, "message")
        if message.get("jsonrpc") != "2.0":
            raise Refused("not JSON-RPC 2.0")
        identity = read_id(message.get("id"))
        if "method" not in message:
            if "result" not in message and "error" not in message:
                raise Refused("neither request nor response")
            return {"id": identity, "method": None}
        method = string(message, "method")
        params = mapping({} if message.get("params") is None else message["params"], "params")
        meta = mapping({} if params.get("_meta") is None else params["_meta"], "_meta")
        version = meta.get(VERSION)
        if version is not None and not isinstance(version, str):
            raise Refused("version is no string")
        return {"id": identity, "method": method, "operand": read_operand(method, params), "version": version}
    except Refused as e:
        return {"error": str(e)}


def read(parse, body):
    try:
        root = parse(body)
    except (ValueError, RecursionError, MemoryError) as e:
        return {"error": type(e).__name__}
    batch = isinstance(root, list)
    return {"batch": batch, "messages": [read_message(message) for message in (root if batch else [root])]}


def main():
    source, sink = sys.stdin.buffer, sys.stdout
    while head := source.read(4):
        body = source.read(int.from_bytes(head, "big"))
        readings = {"python": read(json.loads, body)}
        if from_json:
            readings["pydantic"] = read(from_json, body)
        sink.write(json.dumps(readings, separators=(",", ":")) + "\n")
        sink.flush()


if __name__ == "__main__":
    main()
