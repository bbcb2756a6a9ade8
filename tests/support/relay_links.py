"""Links of real TCP connections, with each transfer method; the peers are bare sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from proxy_policies.relay import sockets, streams
from proxy_policies.relay.link import ByteCounts, StreamEnd, relay_sockets, relay_streams
from proxy_policies.relay.sockets import Copy
from proxy_policies.relay.splice import PIPES
from tests.support.relay_peers import tcp_pair

Peer = socket.socket
MakeEnd = Callable[[], Awaitable[tuple[StreamEnd, Peer]]]
WAYS = ["splice", "copy", "streams"]
JOINED_WAYS = ["splice", "copy"]


def force(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make links use one transfer method."""
    if way == "copy":
        monkeypatch.setattr(sockets, "transfers", lambda source, sink: [lambda: Copy(source, sink)])
    elif way == "streams":
        monkeypatch.setattr(sockets, "copy_until_eof", streams.copy_until_eof)


@dataclass
class Link:
    """Two peers and the link between them; `let_go` closes our sides of both connections."""

    client: Peer
    server: Peer
    running: asyncio.Task[ByteCounts]
    counts: ByteCounts
    let_go: Callable[[], Awaitable[None]]


MakeLink = Callable[..., Awaitable[Link]]


async def link_streams(idle: float = 20) -> Link:
    """Link two peers as streams."""
    (a, client), (b, server) = tcp_pair(), tcp_pair()
    ends = [StreamEnd(*await asyncio.open_connection(sock=sock)) for sock in (a, b)]

    async def let_go() -> None:
        for end in ends:
            end.writer.close()
            with contextlib.suppress(OSError):
                await end.writer.wait_closed()

    counts = ByteCounts()
    return Link(client, server, asyncio.create_task(relay_streams(*ends, idle=idle, counts=counts)), counts, let_go)


async def join_sockets(idle: float = 20) -> Link:
    """Link two peers as sockets."""
    (a, client), (b, server) = tcp_pair(), tcp_pair()

    async def let_go() -> None:
        a.close()
        b.close()

    counts = ByteCounts()
    return Link(client, server, asyncio.create_task(relay_sockets(a, b, idle=idle, counts=counts)), counts, let_go)


def open_descriptors() -> int:
    """Count this process's descriptors, without idle pipes."""
    PIPES.close()
    return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else os.dup(0)
