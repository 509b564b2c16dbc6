"""Idle event streams: a server that keeps them open, and a client that holds many.

usage: streams.py serve PORT
       streams.py hold PORT NUMBER TOKENFILE     prints "open" when each has had its first event; ends with its standard input
"""

import asyncio
import sys

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
EVENT = b": ready\n\n"


async def answer(reader, writer):
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + EVENT)
        await writer.drain()
        await reader.read()  # until the other side goes
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()


async def serve(port):
    server = await asyncio.start_server(answer, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


async def open_one(port, token, gate):
    async with gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        fields = ["GET /mcp HTTP/1.1", "Host: localhost", "Accept: text/event-stream", f"Authorization: Bearer {token}"]
        writer.write("\r\n".join([*fields, "", ""]).encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            sys.exit(f"streams.py: {head.splitlines()[0].decode()}")
        await reader.readuntil(EVENT)
        return writer


async def hold(port, number, token_file):
    with open(token_file, encoding="ascii") as f:
        token = f.readline().strip()
    gate = asyncio.Semaphore(8)
    streams = await asyncio.wait_for(asyncio.gather(*(open_one(port, token, gate) for _ in range(number))), 120)
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for writer in streams:
        writer.close()


if sys.argv[1] == "serve":
    asyncio.run(serve(int(sys.argv[2])))
else:
    asyncio.run(hold(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
