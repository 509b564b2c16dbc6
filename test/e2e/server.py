#!/usr/bin/env python3
"""An MCP server on the official Python SDK, mcp 1.x or 2.x, whichever is installed, with everything a proxy could break.

usage: server.py PORT     http://127.0.0.1:PORT/mcp, with sessions

tools: add, divide; slow: progress on the way; announce: a notification outside of any answer; headers: what HTTP headers
arrived; ask: a question to the user (elicitation) in the middle of the call.
"""
import asyncio
import json
import sys
import warnings
from typing import Annotated

from pydantic import BaseModel

warnings.filterwarnings("ignore")
port = int(sys.argv[1])
try:
    from mcp.server.mcpserver import Context, MCPServer
    from mcp.server.mcpserver.resolve import Elicit, Resolve

    mcp, modern = MCPServer("e2e-python-2"), True
except ImportError:
    from mcp.server.fastmcp import Context, FastMCP

    mcp, modern = FastMCP("e2e-python-1", host="127.0.0.1", port=port), False


class Name(BaseModel):
    name: str


@mcp.tool()
def add(a: float, b: float) -> float:
    """Add two numbers"""
    return a + b


@mcp.tool()
def divide(a: float, b: float) -> float:
    """Divide two numbers"""
    return a / b


@mcp.tool()
async def slow(ctx: Context, seconds: float = 1.5, steps: int = 3) -> str:
    """Take a while, telling progress on the way"""
    for i in range(steps):
        await ctx.report_progress(i + 1, steps, f"step {i + 1}")
        await asyncio.sleep(seconds / steps)
    return f"slept {seconds}"


@mcp.tool()
async def announce(ctx: Context) -> str:
    """Tell listeners that the list of tools changed"""
    if modern and (ctx.protocol_version or "") >= "2026":
        await ctx.notify_tools_changed()
    else:
        await ctx.session.send_tool_list_changed()
    return "announced"


@mcp.tool()
def headers(ctx: Context) -> str:
    """The HTTP request headers that reached this server"""
    return json.dumps(dict(ctx.request_context.request.headers))


if modern:
    def question() -> Elicit[Name]:
        return Elicit("Who are you?", Name)

    @mcp.tool()
    async def ask(answer: Annotated[Name, Resolve(question)]) -> str:
        """Ask the user"""
        return f"hello {answer.name}"
else:
    @mcp.tool()
    async def ask(ctx: Context) -> str:
        """Ask the user"""
        answer = await ctx.elicit("Who are you?", Name)
        return f"hello {answer.data.name}" if answer.action == "accept" else answer.action


if modern:
    mcp.run(transport="streamable-http", host="127.0.0.1", port=port)
else:
    mcp.run(transport="streamable-http")
