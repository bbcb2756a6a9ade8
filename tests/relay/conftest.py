"""Connections to link: a pair of real TCP sockets for each end, our side as streams, the peer's as a socket."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from proxy_policies.relay import sockets, streams
from proxy_policies.relay.copying import Copy
from proxy_policies.relay.link import End
from proxy_policies.relay.splice import PIPES

Peer = socket.socket
MakeEnd = Callable[[], Awaitable[tuple[End, Peer]]]


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    for sock in (near, far):
        sock.setblocking(False)
    return near, far


@pytest.fixture
async def make_end() -> AsyncIterator[MakeEnd]:
    made: list[tuple[End, Peer]] = []

    async def make() -> tuple[End, Peer]:
        near, far = tcp_pair()
        reader, writer = await asyncio.open_connection(sock=near)
        made.append((End(reader, writer), far))
        return made[-1]

    yield make
    for end, far in made:
        far.close()
        end.writer.transport.abort()
    await asyncio.sleep(0)  # the transports close in the loop's next round


WAYS = ["splice", "copy", "streams"]


def force(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave only one way to carry bytes."""
    if way == "copy":
        monkeypatch.setattr(sockets, "movers", lambda source, sink: [lambda: Copy(source, sink)])
    elif way == "streams":
        monkeypatch.setattr(sockets, "carry", streams.carry)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    force(request.param, monkeypatch)
    return str(request.param)


def open_descriptors() -> int:
    """Count this process's descriptors, idle pipes left out."""
    PIPES.close()
    return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else os.dup(0)
