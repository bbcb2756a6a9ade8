"""For tests of the fast paths: which path was taken, as the proxy counts it, and clients."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.connect_tunnels import Streams, connect, digest, receive_all, send_in_chunks, serving
from tests.support.mitmdump import Mitmdump

Start = Callable[..., Mitmdump]

ALL = ("--set", "fast_lane=on")
FRESH = ("Cache-Control", "max-age=1000")
PATIENT = """
from proxy_policies.passthrough import tunnel
tunnel.DIAL_TIMEOUT = 100
"""
"""A script for tests that count tunnels: on a loaded machine a dial may take half a second, and would be left to
mitmproxy's layers."""


def hits(proxy: Mitmdump) -> int:
    """Return the number of responses sent from the cache without calling hooks."""
    return proxy.counts()["hits"]


def tunnels(proxy: Mitmdump) -> int:
    """Return the number of tunnels opened without mitmproxy's layers."""
    return proxy.counts()["tunnels"]


def handed_over(proxy: Mitmdump) -> int:
    """Return the number of connections handed to mitmproxy's layers."""
    return proxy.counts()["handed over"]


def script(folder: Path, text: str) -> tuple[str, str]:
    """Write a script; return the arguments that load it."""
    path = folder / "extra.py"
    path.write_text(text)
    return "-s", str(path)


class Connection:
    """A client connection that reads whole responses."""

    def __init__(self, port: int, receives: int = 0) -> None:
        self.socket = socket.socket()
        if receives:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(100)
        self.socket.connect(("127.0.0.1", port))
        self.buffer = b""

    def ask(self, request: bytes, *, in_pieces: bool = False) -> bytes:
        """Send a request, whole or in two pieces, and return the response, head and body."""
        if in_pieces:
            self.socket.sendall(request[:9])
            time.sleep(0.004)  # so that the proxy reads it by itself
            request = request[9:]
        self.socket.sendall(request)
        return self.response(has_body=True)

    def response(self, *, has_body: bool) -> bytes:
        """Read one response, head and body."""
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        length = re.search(rb"(?im)^content-length: (\d+)\r?$", head)
        size = int(length[1]) if length and has_body and status not in (204, 304) else 0
        while len(self.buffer) < size:
            self._more()
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return head + b"\r\n\r\n" + body

    def _more(self) -> None:
        data = self.socket.recv(65536)
        assert data, "closed"
        self.buffer += data


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what is received."""
    while data := await reader.read(100_000):
        writer.write(data)


async def exchange(proxy: int, port: int, head: str = "") -> None:
    """Open a tunnel to an echo service, use it, and close it."""
    async with asyncio.timeout(100):
        reader, writer = await connect(proxy, port, head)
        writer.write(b"ping\n")
        assert await reader.readexactly(5) == b"ping\n"
        writer.write_eof()
        assert await receive_all(reader) == b""
        writer.close()


async def both_ways(proxy: int, seed: int, size: int, open_tunnel: Callable[..., object] = connect) -> None:
    """Send random bytes through one tunnel in both directions at once, in random chunks."""
    rng = random.Random(seed)
    up, down = rng.randbytes(rng.randrange(size)), rng.randbytes(rng.randrange(size))
    arrived: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got, _ = await asyncio.gather(receive_all(reader), send_in_chunks(writer, down, random.Random(seed + 1)))
        arrived.set_result(got)
        await writer.drain()

    async with serving(serve) as port:
        streams: Streams = await open_tunnel(proxy, port)  # type: ignore[misc]
        reader, writer = streams
        got, _ = await asyncio.gather(receive_all(reader), send_in_chunks(writer, up, rng))
        assert (digest(await arrived), digest(got)) == (digest(up), digest(down))
        writer.close()


async def many(proxy: int, tunnels: int, size: int, **keywords: Callable[..., object]) -> None:
    """Do the same with many tunnels, twenty at a time."""
    places = asyncio.Semaphore(20)

    async def one(seed: int) -> None:
        async with places, asyncio.timeout(60):
            await both_ways(proxy, seed, size, **keywords)

    await asyncio.gather(*(one(seed) for seed in range(tunnels)))
