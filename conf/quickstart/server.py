#!/usr/bin/env python3
"""A calculator as an MCP server, with the official Python SDK (mcp 2.x).

usage: server.py [PORT]     default 3001; http://127.0.0.1:PORT/mcp

It knows nothing of tokens: who may call what is decided in front of it.
"""
import json
import sys

from mcp.server.mcpserver import Context, MCPServer

mcp = MCPServer("calculator")


@mcp.tool()
def add(a: float, b: float) -> float:
    """Add two numbers"""
    return a + b


@mcp.tool()
def multiply(a: float, b: float) -> float:
    """Multiply two numbers"""
    return a * b


@mcp.tool()
def divide(a: float, b: float) -> float:
    """Divide two numbers"""
    if b == 0:
        raise ValueError("division by zero")
    return a / b


@mcp.tool()
def headers(ctx: Context) -> str:
    """The HTTP request headers that reached this server"""
    return json.dumps(dict(ctx.headers or {}))


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 3001
    mcp.run(transport="streamable-http", host="127.0.0.1", port=port, stateless_http=True, json_response=True)
