#!/usr/bin/env python3
"""A real MCP client on the official Python SDK, mcp 1.x or 2.x, whichever is installed.

usage: client.py ERA URL TOKEN_DIR      ERA legacy|auto (only mcp 2.x knows another than legacy); tokens: see run.sh
Prints one "ok" or "FAIL" line for each thing tried; exit 0 only if there was no FAIL.
"""
import asyncio
import contextlib
import datetime
import importlib.metadata
import json
import re
import sys
import time
import traceback
import urllib.parse
import warnings

warnings.filterwarnings("ignore")
V2 = importlib.metadata.version("mcp") >= "2"
if V2:
    import httpx2 as httpx
    import mcp_types as types
    from mcp.client import Client
else:
    import httpx
    import mcp.types as types
    from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

era, url, folder = sys.argv[1:]
parts = urllib.parse.urlsplit(url)
METADATA = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path}"
kind = parts.path.split("/")[1]
everything = kind == "everything"
TIMEOUT = 10.0
failed = 0


def check(what, ok, seen=""):
    global failed
    failed += not ok
    text = re.sub(r"\s+", " ", str(seen))[:240]
    print(f"{'ok  ' if ok else 'FAIL'} {what}{': ' + text if text else ''}", flush=True)


def token(name):
    with open(f"{folder}/{name}.token") as f:
        return f.read().strip()


def text_of(result):
    return result.content[0].text if result.content else ""


def number_of(result):
    found = re.findall(r"-?\d+(?:\.\d+)?", text_of(result))
    return float(found[-1]) if found else None


async def until(test, seconds=5.0):
    end = time.monotonic() + seconds
    while not test() and time.monotonic() < end:
        await asyncio.sleep(0.02)
    return test()


class Seen:
    """What one client heard: HTTP exchanges, notifications, questions of the server."""

    def __init__(self):
        self.http, self.notes, self.asked = [], [], []


async def message_handler(seen, message):
    # 1.x wraps notifications in a root model, 2.x does not
    seen.notes.append(getattr(getattr(message, "root", message), "method", type(message).__name__))


def handlers(seen):
    async def sampling(context, params):
        seen.asked.append("sampling/createMessage")
        return types.CreateMessageResult(role="assistant", model="m", content=types.TextContent(type="text", text="sampled-here"))

    async def elicitation(context, params):
        seen.asked.append("elicitation/create")
        return types.ElicitResult(action="accept", content={"name": "Ada"})

    async def roots(context):
        seen.asked.append("roots/list")
        return types.ListRootsResult(roots=[types.Root(uri="file:///tmp", name="tmp")])

    async def message(m):
        await message_handler(seen, m)

    return dict(sampling_callback=sampling, elicitation_callback=elicitation, list_roots_callback=roots, message_handler=message)


class Session:
    """The same few verbs over both SDKs."""

    def __init__(self, seen, raw, version, session_id):
        self.seen, self.raw, self.version, self.session_id = seen, raw, version, session_id
        self.modern = version >= "2026"

    async def tools(self):
        return [t.name for t in (await self.raw.list_tools()).tools]

    async def call(self, name, arguments=None, progress=None):
        limit = TIMEOUT if V2 else datetime.timedelta(seconds=TIMEOUT)
        return await self.raw.call_tool(name, arguments or {}, read_timeout_seconds=limit, progress_callback=progress)


@contextlib.asynccontextmanager
async def connected(seen, name):
    """name: the token to use, None for none."""
    headers = {"X-Mcp-User": "forged"}
    if name:
        headers["Authorization"] = "Bearer " + token(name)
    async with httpx.AsyncClient(headers=headers, timeout=httpx.Timeout(TIMEOUT, read=60)) as http:
        inner = http._transport.handle_async_request

        async def spy(request):
            answer = await inner(request)
            session = request.headers.get("mcp-session-id") or answer.headers.get("mcp-session-id")
            seen.http.append((request.method, answer.status_code, answer.headers.get("www-authenticate", ""), session))
            return answer

        http._transport.handle_async_request = spy
        session_id = lambda: next((h[3] for h in seen.http if h[3]), None)
        if V2:
            async with Client(streamable_http_client(url, http_client=http), mode=era, read_timeout_seconds=TIMEOUT, **handlers(seen)) as c:
                yield Session(seen, c, c.protocol_version, session_id())
        else:
            async with streamable_http_client(url, http_client=http) as (read, write, _):
                async with ClientSession(read, write, read_timeout_seconds=datetime.timedelta(seconds=TIMEOUT), **handlers(seen)) as s:
                    started = await s.initialize()
                    yield Session(seen, s, started.protocolVersion, session_id())


async def allowed():
    seen = Seen()
    async with connected(seen, "admin") as s:
        expected = "2026-07-28" if V2 and era == "auto" and kind in ("python2", "ts2") else "2025-11-25"
        check("discover" if s.modern else "initialize", s.version == expected, s.version)
        tools = await s.tools()
        check("tools/list", ("get-sum" if everything else "divide") in tools, f"{len(tools)} tools")
        total = number_of(await s.call("get-sum" if everything else "add", {"a": 2, "b": 40}))
        check("tools/call", total == 42, total)
        special = await (s.call("echo", {"message": "x42"}) if everything else s.call("divide", {"a": 84, "b": 2}))
        check("tools/call of the tool that needs more scope", "42" in text_of(special), text_of(special))
        await progress(s)
        if not everything:
            headers = text_of(await s.call("headers"))
            sees = json.loads(headers)
            check("the server sees the user, and no token", sees.get("x-mcp-user") == "admin" and "authorization" not in sees
                  and token("admin") not in headers, sees.get("x-mcp-user"))
        await server_asks(s)
        await standing(s)
        session = s.session_id
    if session:
        end = next((h[1] for h in seen.http if h[0] == "DELETE"), None)
        check("the session ends by DELETE", end in (200, 202, 204), end)
    codes = [h[1] for h in seen.http]
    # A client that tries server/discover first is told so by servers that do not know it, with 400.
    rest = codes[1:] if V2 and era == "auto" and not s.modern and codes[0] == 400 else codes
    check("nothing else was refused", not set(rest) & {400, 401, 403, 413, 415, 500, 502, 503}, codes)


async def progress(s):
    begun, at = time.monotonic(), []

    async def arrived(done, total, message):
        at.append(time.monotonic() - begun)

    if everything:
        await s.call("trigger-long-running-operation", {"duration": 1.5, "steps": 3}, arrived)
    else:
        await s.call("slow", {"seconds": 1.5, "steps": 3}, arrived)
    total = time.monotonic() - begun
    check("progress arrives while the call runs", bool(at) and at[0] < total - 0.4,
          f"at {','.join(f'{t:.2f}' for t in at)} of {total:.2f} s")


async def server_asks(s):
    if kind == "ts2" and not s.modern:
        return  # without a session it cannot ask
    if everything:
        method, result = "sampling/createMessage", await s.call("trigger-sampling-request", {"prompt": "hi", "maxTokens": 10})
    else:
        method, result = "elicitation/create", await s.call("ask")
    text = text_of(result)
    check(f"the server asks, the client answers ({method})", method in s.seen.asked and re.search("sampled-here|hello Ada", text), text)


async def standing(s):
    """What comes outside of any answer: on the GET stream, or on subscriptions/listen since 2026-07-28."""
    if s.modern:
        async with s.raw.listen(tools_list_changed=True) as subscription:
            waiting = asyncio.create_task(subscription.__aiter__().__anext__())
            await s.call("announce")
            event = await asyncio.wait_for(waiting, 5)
        check("subscriptions/listen brings a notification", "Tools" in type(event).__name__, type(event).__name__)
        return
    if not s.session_id:
        return  # no session, no standing stream
    await until(lambda: any(h[0] == "GET" for h in s.seen.http))
    get = next((h[1] for h in s.seen.http if h[0] == "GET"), None)
    check("GET stream opens", get == 200, get)
    if everything:
        await until(lambda: "roots/list" in s.seen.asked)
        check("GET stream brings a request (roots/list)", "roots/list" in s.seen.asked, s.seen.asked)
        return
    await s.call("announce")
    changed = "notifications/tools/list_changed"
    await until(lambda: changed in s.seen.notes)
    check("GET stream brings a notification", changed in s.seen.notes, s.seen.notes)


async def refused_tool():
    """mcp 1.x takes its transport down with the first 403; only 2.x can go on."""
    seen, result = Seen(), None
    with contextlib.suppress(Exception):
        async with connected(seen, "user") as s:
            with contextlib.suppress(Exception):
                result = await (s.call("echo", {"message": "x"}) if everything else s.call("divide", {"a": 1, "b": 1}))
            if V2:
                total = number_of(await s.call("get-sum" if everything else "add", {"a": 2, "b": 40}))
                check("the same connection goes on after it", total == 42, total)
    no = next((h for h in seen.http if h[1] == 403), None)
    named = no and 'error="insufficient_scope"' in no[2] and 'scope="mcp:use mcp:admin"' in no[2]
    check("the tool without its scope: 403, the scope is named", named and result is None, no or seen.http)


async def refused_at_once(name, what, good):
    seen, error = Seen(), None
    try:
        async with connected(seen, name):
            pass
    except Exception as e:
        error = e
    first = seen.http[0] if seen.http else None
    ok = error is not None and first and first[1] == 401 and f'resource_metadata="{METADATA}"' in first[2] and good(first[2])
    check(f"{what}: 401 at once", ok and all(h[1] == 401 for h in seen.http if h[0] == "POST"), first or error)


async def main():
    await allowed()
    await refused_tool()
    await refused_at_once(None, "no token", lambda c: "error=" not in c)
    for name in ("foreign", "expired"):
        await refused_at_once(name, f"{name} token", lambda c: 'error="invalid_token"' in c)


try:
    asyncio.run(asyncio.wait_for(main(), 90))
except BaseException as e:
    check("no surprise", False, "".join(traceback.format_exception(e))[-1500:])
sys.exit(1 if failed else 0)
