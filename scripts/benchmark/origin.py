"""The origin behind the proxies: `python origin.py http|https|tunnel PORT`, until killed.

http, https: the response to `/hit/SIZE/…` has that many bytes, cacheable for an hour; `/miss/…` may not be stored;
`/html/…` is text that can be compressed, `/json/…` a document that may not be stored. tunnel: the first line is the
command: `down BYTES`, `up BYTES` or `echo`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import random
import socketserver
import ssl
import sys
import tempfile
from pathlib import Path

from scripts.benchmark import bulk

from proxy_policies.reverse_tunnel import certificates

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
    """Return a body: zeros, or words in random order, which compress about as well as pages."""
    if not html:
        return bytes(size)
    rng = random.Random(1)  # noqa: S311 - a body's words are no secret
    return " ".join(f"{rng.choice(WORDS)}{rng.randrange(100)}" for _ in range(size // 4)).encode()[:size]


MEDIA_TYPES = {"html": "text/html; charset=utf-8", "json": "application/json"}


def document(size: int) -> bytes:
    """Return a JSON document of at least 40 bytes, padded with spaces; one of another size has other values."""
    item = {"id": size, "name": f"order {size}", "price": size / 7, "open": True, "href": f"/api/orders/{size}"}
    items = [item | {"id": size + number} for number in range(max(0, size - 40) // 130)]
    return json.dumps({"items": items, "total": size}).encode().ljust(size)


@functools.lru_cache(1000)
def answer(kind: str, size: int) -> bytes:
    """Return a whole response."""
    media = MEDIA_TYPES.get(kind, "application/octet-stream")
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length: {size}\r\n"
    cache = "no-store" if kind in ("miss", "json") else "public, max-age=3600"
    return f'{head}Cache-Control: {cache}\r\nETag: "{size}"\r\n\r\n'.encode() + (
        document(size) if kind == "json" else body(size, kind == "html")
    )


class Http(asyncio.Protocol):
    """Answers requests without bodies, pipelined or not."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        """Answer every complete request for /KIND/SIZE/…, in origin or absolute form."""
        *heads, self.buffer = (self.buffer + data).split(b"\r\n\r\n")
        for head in heads:
            target = head.split(b" ", 2)[1].decode()
            kind, size = target.removeprefix("http://").partition("/")[2].split("/")[:2]
            self.transport.write(answer(kind, int(size)))


class Tunnel(socketserver.StreamRequestHandler):
    """Sends, discards or echoes, mostly in the kernel: a tunnel's speed must not depend on its other end."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Carry out the command in the first line."""
        verb, _, count = self.rfile.readline().decode().strip().partition(" ")
        with contextlib.suppress(OSError):
            match verb:
                case "down":
                    bulk.send(self.request, int(count))
                case "up":
                    already = self.rfile.peek() if int(count) else b""  # type: ignore[attr-defined]
                    bulk.discard(self.request, int(count) - len(already))
                    self.request.sendall(b"!")
                case "echo":
                    while data := self.rfile.read1(1 << 16):
                        self.request.sendall(data)


class Tunnels(socketserver.ThreadingTCPServer):
    """A thread for each connection."""

    request_queue_size = 1024
    daemon_threads = True
    allow_reuse_address = True


def tls() -> ssl.SSLContext:
    """Return a server's context with a new certificate, which clients do not verify."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        certificates.make_leaf("home", "origin").save(Path(folder))
        context.load_cert_chain(Path(folder, certificates.CERT), Path(folder, certificates.KEY))
    return context


async def serve_http(port: int, context: ssl.SSLContext | None) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Http, "127.0.0.1", port, backlog=1024, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "tunnel":
        Tunnels(("127.0.0.1", int(sys.argv[2])), Tunnel).serve_forever()
    else:
        asyncio.run(serve_http(int(sys.argv[2]), tls() if sys.argv[1] == "https" else None))
