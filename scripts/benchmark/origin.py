"""What the proxies stand in front of: `python origin.py http PORT` or `python origin.py tunnel PORT`, until killed.

http: `/hit/SIZE/…` answers that many bytes, cacheable for an hour; `/miss/…` what may not be stored; `/html/…` text
that can be compressed. tunnel: the first line says what happens next: `down BYTES`, `up BYTES` or `echo`.
"""

from __future__ import annotations

import asyncio
import functools
import random
import sys
import tempfile

ZEROS = tempfile.TemporaryFile()  # noqa: SIM115 -- as long as the process
ZEROS_SIZE = 1 << 26
ZEROS.truncate(ZEROS_SIZE)
WORDS = [
    "the",
    "proxy",
    "keeps",
    "a",
    "copy",
    "of",
    "each",
    "answer",
    "and",
    "says",
    "how",
    "old",
    "it",
    "is",
    "when",
    "somebody",
    "asks",
    "again",
    "<p>",
    "</p>",
]


@functools.cache
def body(size: int, html: bool) -> bytes:
    """Make a body: zeros, or words in a random order, which compress about as well as pages do."""
    if not html:
        return bytes(size)
    rng = random.Random(1)  # noqa: S311 - a body's words are no secret
    return " ".join(f"{rng.choice(WORDS)}{rng.randrange(100)}" for _ in range(size // 4)).encode()[:size]


@functools.lru_cache(1000)
def answer(kind: str, size: int) -> bytes:
    """Make a whole answer."""
    media = "text/html; charset=utf-8" if kind == "html" else "application/octet-stream"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length: {size}\r\n"
    cache = "no-store" if kind == "miss" else "public, max-age=3600"
    return f'{head}Cache-Control: {cache}\r\nETag: "{size}"\r\n\r\n'.encode() + body(size, kind == "html")


class Http(asyncio.Protocol):
    """Answers requests without bodies, pipelined or not."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete: /KIND/SIZE/…, whatever comes before it in the target."""
        *heads, self.buffer = (self.buffer + data).split(b"\r\n\r\n")
        for head in heads:
            target = head.split(b" ", 2)[1].decode()
            kind, size = target.removeprefix("http://").partition("/")[2].split("/")[:2]
            self.transport.write(answer(kind, int(size)))


async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send, swallow or echo."""
    verb, _, count = (await reader.readline()).decode().strip().partition(" ")
    left = int(count or 0)
    try:
        while verb == "down" and left > 0:
            loop = asyncio.get_running_loop()  # sendfile: the load must cost less than what it measures
            left -= await loop.sendfile(writer.transport, ZEROS, 0, min(left, ZEROS_SIZE), fallback=False)
        while verb == "up" and left > 0:
            left -= len(await reader.readexactly(min(left, 1 << 16)))
        if verb == "up":
            writer.write(b"!")
        while verb == "echo" and (data := await reader.read(1 << 16)):
            writer.write(data)
    except (OSError, EOFError):
        pass
    finally:
        writer.close()


async def main(kind: str, port: int) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    if kind == "http":
        server = await loop.create_server(Http, "127.0.0.1", port, backlog=1024)
    else:
        server = await asyncio.start_server(tunnel, "127.0.0.1", port, backlog=1024, limit=1 << 20)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
