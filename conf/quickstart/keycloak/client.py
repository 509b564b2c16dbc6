#!/usr/bin/env python3
"""A real MCP client on the official Python SDK, mcp 1.x or 2.x, with the SDK's own OAuth code; only the user is played.

usage: client.py '{"url", "callback", "user", "password", "login": "forms"|"chromium", "client_id", "steps", "visit"}'
visit is the command that logs in (node login.mjs); the rest, and what is printed, is as in client.mjs.
"""
import asyncio
import datetime
import importlib.metadata
import json
import sys
import urllib.parse
import warnings

warnings.filterwarnings("ignore")
VERSION = importlib.metadata.version("mcp")
V2 = VERSION >= "2"
if V2:
    import httpx2 as httpx
    from mcp.client import Client
    from mcp.client.auth.oauth2 import AuthorizationCodeResult
else:
    import httpx
    from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata

TIMEOUT = 30.0
ARGUMENTS = {"add": {"a": 2, "b": 40}, "multiply": {"a": 6, "b": 7}, "divide": {"a": 84, "b": 2}}
wish = json.loads(sys.argv[1])
report = {"http": [], "logins": [], "tokens": [], "results": {}}


def innermost(error):
    while getattr(error, "exceptions", None):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


class Memory(TokenStorage):
    def __init__(self):
        self.tokens = self.client = None
        if wish.get("client_id"):
            self.client = OAuthClientInformationFull(client_id=wish["client_id"], redirect_uris=[wish["callback"]],
                                                     token_endpoint_auth_method="none")

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens
        report["tokens"].append(tokens.scope or "")

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


class User:
    """Sits at the browser."""
    back = {}

    async def go(self, address):
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)
        login = {name: asked.get(name, [None])[0] for name in ("scope", "resource", "code_challenge_method", "prompt")}
        report["logins"].append(login)
        command = [*wish["visit"], wish["login"], wish["callback"], wish["user"], wish["password"], address]
        visit = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        out, err = await visit.communicate()
        if visit.returncode:
            raise RuntimeError(f"the login failed: {err.decode()[-300:]}")
        seen = json.loads(out)
        login["pages"] = seen["pages"]
        self.back = {k: v[0] for k, v in urllib.parse.parse_qs(urllib.parse.urlsplit(seen["callback"]).query).items()}

    async def answer(self):
        if "code" not in self.back:
            raise RuntimeError(f"Keycloak answers {self.back.get('error')}: {self.back.get('error_description')}")
        if V2:
            return AuthorizationCodeResult(code=self.back["code"], state=self.back.get("state"), iss=self.back.get("iss"))
        return self.back["code"], self.back.get("state")


def watch(http):
    """Also sees the requests of the OAuth code, which event hooks do not."""
    inner = http._transport.handle_async_request

    async def watched(request):
        answer = await inner(request)
        try:
            message = json.loads(request.content)
            rpc = " ".join(filter(None, [message["method"], message.get("params", {}).get("name")]))
        except Exception:  # a form, nothing, or a stream
            rpc = None
        report["http"].append({"method": request.method, "url": str(request.url).split("?")[0], "status": answer.status_code,
                               "rpc": rpc, "challenge": answer.headers.get("www-authenticate", "")})
        return answer

    http._transport.handle_async_request = watched


async def step(session, name):
    if name == "list":
        return [tool.name for tool in (await session.list_tools()).tools]
    limit = TIMEOUT if V2 else datetime.timedelta(seconds=TIMEOUT)
    result = await session.call_tool(name, ARGUMENTS.get(name, {}), read_timeout_seconds=limit)
    text = result.content[0].text if result.content else ""
    if getattr(result, "is_error", None) or getattr(result, "isError", None):
        raise RuntimeError(text)
    return text


async def steps(session):
    for name in wish["steps"]:
        try:
            report["results"][name] = {"value": await step(session, name)}
        except Exception as e:
            report["results"][name] = {"error": innermost(e)}


async def main():
    user = User()
    metadata = OAuthClientMetadata(client_name=f"Python SDK {VERSION}", redirect_uris=[wish["callback"]], response_types=["code"],
                                   grant_types=["authorization_code", "refresh_token"], token_endpoint_auth_method="none",
                                   **({"application_type": "native"} if V2 else {}))
    auth = OAuthClientProvider(server_url=wish["url"], client_metadata=metadata, storage=Memory(), redirect_handler=user.go,
                               callback_handler=user.answer)
    async with httpx.AsyncClient(auth=auth, timeout=TIMEOUT, follow_redirects=True) as http:
        watch(http)
        if V2:
            async with Client(streamable_http_client(wish["url"], http_client=http), mode="auto") as client:
                report["protocol"] = client.protocol_version
                await steps(client)
        else:
            async with streamable_http_client(wish["url"], http_client=http) as (read, write, _):
                async with ClientSession(read, write) as session:
                    report["protocol"] = (await session.initialize()).protocolVersion
                    await steps(session)


try:
    asyncio.run(asyncio.wait_for(main(), 4 * TIMEOUT))
except BaseException as e:
    report["error"] = innermost(e)
print(json.dumps(report))
