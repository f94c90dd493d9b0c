# SPDX-License-Identifier: MIT
# A server made with the library "mcp" from the Python package index, of either generation: tests/lua/mcp.lua talks to it.
import asyncio
import os
import sys

try:
    from mcp.server import MCPServer as Server
    from mcp.server.mcpserver import Image
except ImportError:
    from mcp.server.fastmcp import FastMCP as Server, Image

server = Server("probe")


@server.tool()
def add(a: int, b: int = 2) -> int:
    """Adds two numbers"""
    return a + b


@server.tool()
def greet(name: str) -> str:
    """Greets somebody"""
    return "hello " + name


@server.tool()
def weather(city: str) -> dict[str, float]:
    """Degrees and wind of a city"""
    return {"degrees": 3.5, "wind": float(len(city))}


@server.tool()
def picture() -> Image:
    """A picture"""
    return Image(data=b"\x89PNG\r\n\x1a\n" + bytes(32), format="png")


@server.tool()
def fails() -> str:
    """Fails"""
    raise ValueError("no such city")


@server.tool()
async def slow(seconds: float) -> str:
    """Takes its time"""
    await asyncio.sleep(seconds)
    return "done"


@server.tool()
def crash() -> str:
    """Ends the server"""
    os._exit(9)


print("the probe is up", file=sys.stderr, flush=True)
server.run()
