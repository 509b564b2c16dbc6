#!/usr/bin/env python3
"""Walks through the quickstart with Keycloak and judges each step. The clients are those of the official SDKs, with their own
OAuth code; only the user is played: by posted forms, or in a headless Chromium (CHROMIUM names it).

usage: walk.py MCP_URL ISSUER DIR BASE NODE      DIR: users and logs; BASE: venv, venv1, node
The password of admin comes on standard input. Exit 0 only if every step was as expected.
"""
import base64
import hashlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import demo  # noqa: E402  ../demo.py
from demo import challenge, check, send  # noqa: E402
from realm import Keycloak  # noqa: E402

CLIENT_LIMIT = 150
ALL = ["mcp:run", "calc:list", "calc:use", "calc:divide"]
NAMES = {"typescript1": "TypeScript SDK 1", "typescript2": "TypeScript SDK 2",
         "python1": "Python SDK 1", "python2": "Python SDK 2"}
url, issuer, folder, base, node = sys.argv[1:] if len(sys.argv) == 6 else sys.exit(__doc__)
admin_password = sys.stdin.readline().strip()
origin = "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(url))
metadata = f"{origin}/.well-known/oauth-protected-resource/mcp"
server_metadata = "{0.scheme}://{0.netloc}/.well-known/oauth-authorization-server{0.path}".format(urllib.parse.urlsplit(issuer))
endpoint = f"{issuer}/protocol/openid-connect"
PROGRAMS = {
    "typescript1": [node, f"{base}/node/client.mjs", "1"], "typescript2": [node, f"{base}/node/client.mjs", "2"],
    "python1": [f"{base}/venv1/bin/python", f"{HERE}/client.py"], "python2": [f"{base}/venv/bin/python", f"{HERE}/client.py"],
}
VISIT = [node, f"{HERE}/login.mjs"]
with open(f"{folder}/users") as f:
    passwords = dict(line.split() for line in f)


# --- clients ---------------------------------------------------------------------------------------------------------

def callback():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return f"http://localhost:{s.getsockname()[1]}/callback"


class Run:
    """What one client did as one user."""

    def __init__(self, program, user, steps, path="", login="forms", client_id=None):
        self.who, self.user, self.address = f"{NAMES[program]}, {user}", user, url + path
        wish = {"url": self.address, "callback": callback(), "user": user, "password": passwords[user], "login": login,
                "client_id": client_id, "steps": steps, "visit": VISIT}
        done = subprocess.run([*PROGRAMS[program], json.dumps(wish)], capture_output=True, text=True, timeout=CLIENT_LIMIT)
        try:
            self.report = json.loads(done.stdout)
        except ValueError:
            self.report = {"http": [], "logins": [], "tokens": [], "results": {}, "error": done.stderr[-300:]}

    def __getattr__(self, name):
        return self.report.get(name)

    def judge(self, what, ok, seen):
        check(f"{self.who}: {what}", bool(ok), re.sub(r"\s+", " ", str(seen))[:400])

    def had(self, address, status):
        return any(h["url"] == address and h["status"] == status for h in self.http)

    def answers(self, rpc):
        """The answers of httpd to this message."""
        return [h for h in self.http if h["url"] == self.address and h["rpc"] == rpc]

    def value(self, step):
        return self.results.get(step, {}).get("value")

    def why(self, step):
        return self.results.get(step, {}).get("error") or self.error

    def asked(self, i=0):
        return (self.logins[i].get("scope") or "").split() if len(self.logins) > i else []

    def granted(self, i=0):
        return self.tokens[i].split() if len(self.tokens) > i else []

    def pages(self, i=0):
        return [p["kind"] for p in self.logins[i].get("pages", [])] if len(self.logins) > i else []

    def consents(self, i=0):
        return [asks for p in self.logins[i].get("pages", []) for asks in p.get("asks", [])] if len(self.logins) > i else []


def came_in(run, registers, scopes):
    """From the first 401 to the token."""
    first = run.http[0] if run.http else {}
    codes = [f"{h['method']} {urllib.parse.urlsplit(h['url']).path} {h['status']}" for h in run.http[:5]]
    told = challenge({"WWW-Authenticate": first.get("challenge", "")})
    run.judge("401, and from there by itself to Keycloak" + (", where it registers" if registers else " as mcp-public"),
              first.get("status") == 401 and told.get("resource_metadata") == metadata and told.get("scope", "").split() == scopes
              and run.had(metadata, 200) and run.had(server_metadata, 200)
              and any(h["status"] == 201 for h in run.http) == registers, ", ".join(codes) or run.error)
    login = run.logins[0] if run.logins else {}
    run.judge("asks for a code with PKCE, for this resource and the scopes of the 401",
              login.get("code_challenge_method") == "S256" and login.get("resource") == url and set(scopes) <= set(run.asked()),
              " ".join(f"{k}={login.get(k)}" for k in ("code_challenge_method", "resource", "scope")))
    run.judge("gets a token when the user has logged in", run.had(f"{endpoint}/token", 200) and "mcp:run" in run.granted(),
              run.tokens or run.error)


def calls(run, **expected):
    tools = run.value("list") or []
    run.judge("tools/list", {"add", "multiply", "divide"} <= set(tools), f"{run.protocol} {tools or run.why('list')}")
    for tool, number in expected.items():
        value = run.value(tool)
        run.judge(f"{tool} -> {number}", value is not None and float(value) == number, value or run.why(tool))


def told_to_ask(run):
    """Was the first call of divide answered with 403, and calc:divide named as missing?"""
    answers = run.answers("tools/call divide")
    told = challenge({"WWW-Authenticate": answers[0]["challenge"]}) if answers else {}
    ok = answers and answers[0]["status"] == 403 and told.get("error") == "insufficient_scope"
    return ok and "calc:divide" in told.get("scope", "").split()


def refused_divide(run):
    answers = [h["status"] for h in run.answers("tools/call divide")]
    got = any("calc:divide" in tokens.split() for tokens in run.tokens)
    run.judge("divide: 403, whatever scopes it asks for", told_to_ask(run) and set(answers) == {403} and not got
              and run.value("divide") is None, f"{answers}, scopes of the tokens: {run.tokens}; {run.why('divide')}")


# --- the steps ---------------------------------------------------------------------------------------------------------

def without_token():
    demo.without_token(url)
    demo.metadata_document(url, metadata, issuer)
    status, _, body = send(server_metadata)
    body = body if isinstance(body, dict) else {}
    ok = status == 200 and body.get("issuer") == issuer and "S256" in body.get("code_challenge_methods_supported", [])
    check("Keycloak's metadata: clients can register there, and use PKCE", ok and bool(body.get("registration_endpoint")),
          f"{status} {body.get('registration_endpoint')}")


def alice_everywhere():
    for program in NAMES:
        chromium = program == "typescript2"
        run = Run(program, "alice", ["list", "add", "divide", "headers"], login="chromium" if chromium else "forms")
        came_in(run, True, ALL)
        run.judge("Keycloak asks alice for her password and her consent" + (", in Chromium" if chromium else ""),
                  run.pages() == ["login", "consent"] and {"See the tools", "Add and multiply", "Divide"} <= set(run.consents()),
                  f"{run.pages()} {run.consents()}")
        calls(run, add=42, divide=42)
        try:
            seen = json.loads(run.value("headers") or "{}")
        except ValueError:
            seen = {}
        run.judge("the MCP server learns that it is alice, and sees no token", seen.get("x-mcp-user") == "alice"
                  and "authorization" not in seen and "eyJ" not in json.dumps(seen),
                  f"headers there: {', '.join(sorted(seen)) or run.why('headers')}")


def bob_and_carol():
    for program in ("typescript2", "python1"):
        run = Run(program, "bob", ["list", "add", "divide"])
        came_in(run, True, ALL)
        calls(run, add=42)
        refused_divide(run)
    for program in ("typescript1", "python2"):
        run = Run(program, "carol", ["list", "add"])
        came_in(run, True, ALL)
        answers = [h["status"] for h in run.http if h["url"] == url and h["status"] != 401]
        run.judge("who has no role may do nothing: 403", set(answers) == {403} and not run.results and run.granted()
                  and not any(scope.startswith("calc:") for tokens in run.tokens for scope in tokens.split()),
                  f"{answers}, scopes of the tokens: {run.tokens}")


def step_up():
    for program in ("typescript2", "python1", "python2"):
        login = "chromium" if program == "typescript2" else "forms"
        run = Run(program, "alice", ["list", "add", "divide", "add"], "/step-up", login, "mcp-public")
        run.who = f"step-up, {run.who}"
        came_in(run, False, ALL[:3])
        run.judge("divide without its scope: 403 insufficient_scope, and it is named", "calc:divide" not in run.granted()
                  and told_to_ask(run), [h["challenge"] for h in run.answers("tools/call divide")][:1] or run.why("divide"))
        consented = run.pages(1)[-1:] == ["consent"] and "Divide" in run.consents(1)
        run.judge("comes back to Keycloak for it", len(run.logins) == 2 and "calc:divide" in run.asked(1)
                  and "calc:divide" in run.granted(1) and (login == "forms" or consented),
                  f"asks for {run.asked(1)}; pages: {run.pages(1)} {run.consents(1)}")
        calls(run, add=42, divide=42)
        adds = [h["status"] for h in run.answers("tools/call add")]
        run.judge("may still do what it could before", adds == [200, 200], f"add before and after: {adds}")
    run = Run("typescript2", "bob", ["list", "divide"], "/step-up", "forms", "mcp-public")
    run.who = f"step-up, {run.who}"
    came_in(run, False, ALL[:3])
    refused_divide(run)


def token_for(user, scope):
    """As mcp-public, by hand."""
    verifier, back = secrets.token_urlsafe(32), callback()
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {"response_type": "code", "client_id": "mcp-public", "redirect_uri": back, "scope": scope, "state": "s",
             "code_challenge": digest, "code_challenge_method": "S256"}
    address = f"{endpoint}/auth?{urllib.parse.urlencode(asked)}"
    visit = [*VISIT, "forms", back, user, passwords[user], address]
    done = subprocess.run(visit, capture_output=True, text=True, timeout=CLIENT_LIMIT)
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(json.loads(done.stdout)["callback"]).query)["code"][0]
    form = {"grant_type": "authorization_code", "client_id": "mcp-public", "redirect_uri": back, "code": code,
            "code_verifier": verifier}
    with urllib.request.urlopen(f"{endpoint}/token", urllib.parse.urlencode(form).encode(), timeout=30) as answer:
        return json.load(answer)


def other_audience():
    status, headers, body = send(url, token_for("alice", "other:run")["access_token"], {"method": "tools/list"})
    check("a token of the same Keycloak for another server: 401 invalid_token",
          status == 401 and challenge(headers).get("error") == "invalid_token",
          f"{status} WWW-Authenticate: {headers.get('WWW-Authenticate')}")
    status, _, body = send(url, token_for("alice", "mcp:run calc:list")["access_token"], {"method": "tools/list"})
    check("a token for this server, got in the same way: 200", status == 200 and "result" in body, f"{status} {demo.brief(body)}")


def scope_without_role():
    """Somebody takes the role away from the scope calc:divide in Keycloak: now it is granted to whoever asks for it."""
    kc = Keycloak("{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(issuer)), admin_password)
    scope = next(scope["id"] for scope in kc.get("/client-scopes") if scope["name"] == "calc:divide")
    kc.admin("DELETE", f"/mcp-demo/client-scopes/{scope}/scope-mappings/realm", [kc.get("/roles/calc:divide")])
    token = token_for("bob", " ".join(ALL))
    status, _, body = send(url, token["access_token"], demo.call("divide", a=84, b=2))
    check("bob has the scope calc:divide, but not the role: 403", "calc:divide" in token["scope"].split() and status == 403,
          f"scope of the token: {token['scope']}; {status} {demo.brief(body)}")


def logs():
    with open(f"{folder}/access.log") as access, open(f"{folder}/error.log") as error:
        lines, messages = access.read().splitlines(), error.read()
    wanted = (r" alice .* 200 .* tools/call divide allow ", r" bob .* 403 .* tools/call divide deny ")
    found = [next((line for line in lines if re.search(pattern, line)), "") for pattern in wanted]
    check("the access log tells who did what", all(found), "; ".join(found))
    tokens = re.search(r"eyJ[\w-]{20}", "\n".join([*lines, messages]))
    check("no log holds a token", len(lines) > 50 and not tokens, f"{len(lines)} lines in the access log")


def main():
    for step in (without_token, alice_everywhere, bob_and_carol, step_up, other_audience, scope_without_role, logs):
        try:
            step()
        except Exception as e:
            check(f"{step.__name__} comes to its end", False, f"{type(e).__name__}: {e}")
    return 1 if demo.failed else 0


if __name__ == "__main__":
    sys.exit(main())
