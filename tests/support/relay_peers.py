"""The peers at both ends of a link, as bare sockets, and their actions."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import socket

MIB = 1 << 20


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    for sock in (near, far):
        sock.setblocking(False)
    return near, far


async def send(sock: socket.socket, data: bytes, rng: random.Random, *, eof: bool = True) -> None:
    """Send in chunks of random sizes, then half-close."""
    loop = asyncio.get_running_loop()
    view = memoryview(data)
    while view:
        size = rng.choice((1, 2, 100, 1460, 65_536, 300_000))
        await loop.sock_sendall(sock, view[:size])
        view = view[size:]
    if eof:
        sock.shutdown(socket.SHUT_WR)


async def receive(sock: socket.socket) -> bytes:
    """Return everything until end of file."""
    loop = asyncio.get_running_loop()
    data = bytearray()
    while chunk := await loop.sock_recv(sock, 100_000):
        data += chunk
    return bytes(data)


async def send_until_full(sock: socket.socket) -> int:
    """Send until nothing was accepted for a while; return the number of bytes accepted, in whole MiB."""
    sent = 0
    with contextlib.suppress(TimeoutError):
        while True:
            await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(sock, bytes(MIB)), 0.3)
            sent += MIB
    return sent


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
