"""Tunnels through a proxy, and servers at their other end, in asyncio."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    """Serve on a free port, which is yielded; each connection is closed when `serve` returns."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def connect(proxy: int, port: int, head: str = "", early: bytes = b"") -> Streams:
    """Open a tunnel to a port of 127.0.0.1 by CONNECT. Raise AssertionError with the response if it is not a 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{head}\r\n".encode() + early)
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200"), answer
    return reader, writer


async def connect_socks(proxy: int, port: int) -> Streams:
    """Open a tunnel to a port of 127.0.0.1 by SOCKS5."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
    writer.write(b"\x05\x01\x00")
    assert await reader.readexactly(2) == b"\x05\x00"
    writer.write(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + port.to_bytes(2, "big"))
    assert (await reader.readexactly(10))[:2] == b"\x05\x00"
    return reader, writer


async def send_in_chunks(writer: asyncio.StreamWriter, data: bytes, rng: random.Random) -> None:
    """Send data in chunks of random sizes and at random moments, then half-close."""
    view = memoryview(data)
    while view:
        size = rng.choice((1, 1, 7, 500, 1460, 20_000, 65_536, 200_000))
        writer.write(bytes(view[:size]))
        view = view[size:]
        if rng.random() < 0.3:
            await writer.drain()
            await asyncio.sleep(rng.choice((0, 0, 0.001)))
    writer.write_eof()


async def receive_all(reader: asyncio.StreamReader) -> bytes:
    """Return everything until end of file."""
    return await reader.read(-1)


def digest(data: bytes) -> str:
    """Return the size and hash of data, by which failed comparisons stay short."""
    return f"{len(data)} bytes, {hashlib.sha256(data).hexdigest()}"
