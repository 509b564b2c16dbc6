#!/usr/bin/env python3
"""Walks through what the quickstart shows and judges each answer. Needs nothing but Python.

usage: demo.py MCP_URL TOKEN_DIR ISSUER     exit 0 only if every answer was the expected one
"""
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request

ANSWER_LIMIT = 10.0
failed = 0


def check(what, ok, seen):
    global failed
    failed += not ok
    print(f"{'ok  ' if ok else 'FAIL'} {what}\n       {seen}", flush=True)


def send(url, token=None, message=None, **more):
    """(status, headers, body); the body as JSON where it is JSON."""
    headers = {"Accept": "application/json, text/event-stream", **more}
    data = None
    if message is not None:
        headers["Content-Type"] = "application/json"
        data = json.dumps({"jsonrpc": "2.0", "id": 1, **message}).encode()
    if token:
        headers["Authorization"] = "Bearer " + token
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=ANSWER_LIMIT)
    except urllib.error.HTTPError as e:
        answer = e
    with answer:
        body = answer.read().decode()
    try:
        body = json.loads(body)
    except ValueError:
        pass
    return answer.status, answer.headers, body


def challenge(headers):
    """The parameters of WWW-Authenticate: Bearer."""
    text = headers.get("WWW-Authenticate") or ""
    return dict(re.findall(r'([a-z_]+)="([^"]*)"', text)) if text.startswith("Bearer ") else {}


def call(tool, **arguments):
    return {"method": "tools/call", "params": {"name": tool, "arguments": arguments}}


def text_of(body):
    try:
        return "" if body["result"].get("isError") else body["result"]["content"][0]["text"]
    except (TypeError, KeyError, IndexError):
        return ""


def number_of(body):
    try:
        return float(text_of(body))
    except ValueError:
        return None


def brief(body):
    return (body if isinstance(body, str) else json.dumps(body))[:300]


def without_token(url):
    parts = urllib.parse.urlsplit(url)
    metadata = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path}"
    status, headers, body = send(url, None, {"method": "tools/list"})
    seen = challenge(headers)
    check("no token: 401, and the answer says where to look",
          status == 401 and seen.get("resource_metadata") == metadata and "error" not in seen,
          f"{status} WWW-Authenticate: {headers.get('WWW-Authenticate')}")
    return metadata


def metadata_document(url, metadata, issuer):
    status, _, body = send(metadata)
    ok = status == 200 and isinstance(body, dict)
    ok = ok and body.get("resource") == url and body.get("authorization_servers") == [issuer]
    check("the metadata document names this resource and its authorization server", ok, f"{status} {brief(body)}")


def damaged_token(url, tokens):
    status, headers, _ = send(url, tokens["reader"][:-8] + "AAAAAAAA", {"method": "tools/list"})
    check("a token with a wrong signature: 401 invalid_token",
          status == 401 and challenge(headers).get("error") == "invalid_token",
          f"{status} WWW-Authenticate: {headers.get('WWW-Authenticate')}")


def listing(url, tokens):
    status, _, body = send(url, tokens["reader"], {"method": "tools/list"})
    names = [t["name"] for t in body["result"]["tools"]] if status == 200 and "result" in body else []
    check("the reader's token: tools/list answers 200", {"add", "multiply", "divide"} <= set(names),
          f"{status} {', '.join(names) or brief(body)}")


def refused(url, who, token, tool, missing):
    status, headers, body = send(url, token, call(tool, a=84, b=2))
    seen = challenge(headers)
    ok = status == 403 and seen.get("error") == "insufficient_scope" and missing in seen.get("scope", "").split()
    ok = ok and isinstance(body, dict) and body.get("error", {}).get("code") == 403 and body.get("id") == 1
    check(f"{who} calls {tool}: 403 insufficient_scope, and {missing} is named as missing", ok,
          f"{status} WWW-Authenticate: {headers.get('WWW-Authenticate')}")


def allowed(url, who, token, tool, a, b, expected):
    status, _, body = send(url, token, call(tool, a=a, b=b))
    check(f"{who} calls {tool}: {a:g}, {b:g} -> {expected:g}", status == 200 and number_of(body) == expected,
          f"{status} {text_of(body) or brief(body)}")


def what_the_server_sees(url, tokens):
    status, _, body = send(url, tokens["tools"], call("headers"), **{"X-Mcp-User": "somebody-else"})
    try:
        seen = json.loads(text_of(body))
    except ValueError:
        seen = {}
    check("the MCP server does not see the token", bool(seen) and tokens["tools"] not in json.dumps(seen)
          and "authorization" not in seen, f"headers there: {', '.join(sorted(seen)) or brief(body)}")
    check("the MCP server learns who is calling, whatever the client claims", seen.get("x-mcp-user") == "tools",
          f"X-Mcp-User: {seen.get('x-mcp-user')}")


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    url, folder, issuer = sys.argv[1:]
    tokens = {}
    for name in ("reader", "tools", "everything"):
        with open(f"{folder}/{name}.token") as f:
            tokens[name] = f.read().strip()

    metadata = without_token(url)
    metadata_document(url, metadata, issuer)
    damaged_token(url, tokens)
    listing(url, tokens)
    refused(url, "the reader", tokens["reader"], "add", "calc:use")
    allowed(url, "tools", tokens["tools"], "add", 2, 40, 42)
    allowed(url, "tools", tokens["tools"], "multiply", 6, 7, 42)
    refused(url, "tools", tokens["tools"], "divide", "calc:divide")
    allowed(url, "everything", tokens["everything"], "divide", 84, 2, 42)
    what_the_server_sees(url, tokens)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
