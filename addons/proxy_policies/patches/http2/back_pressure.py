"""Reading no further from a peer while HTTP/2 windows of the other side hold back what it has sent.

mitmproxy waits for sockets only. What a flow-control window holds back (RFC 9113, section 5.2) it keeps, however much
that is: a client that takes nothing of a download, or an origin that takes nothing of an upload, fills the memory.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Protocol
from weakref import WeakSet, WeakValueDictionary

from mitmproxy.connection import Client, Connection
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer
from mitmproxy.proxy.server import ConnectionHandler

from proxy_policies.patches.http_stream.stored_bodies import UNSENT_LIMIT

SHARED_LIMIT = 16 * 1024 * 1024
"""Bytes held back of what came on an HTTP/2 connection before nothing more is read from that: others share it."""
LOOK_EVERY = 1.0
"""Seconds between looks at windows of peers that say nothing: their streams may have ended without them."""


class Side(Protocol):
    """A layer that speaks HTTP/2 with a client or an origin."""

    conn: Connection
    context: Context
    h2_conn: Any

    def unsent(self) -> int:
        """Count the bytes that windows hold back."""


class Windows:
    """The HTTP/2 sides of one client: its own, and those of its origins."""

    def __init__(self) -> None:
        self._sides: WeakSet[Side] = WeakSet()
        self.received = asyncio.Event()
        """One of the peers has said something; a window may be open again."""

    def add(self, side: Side) -> None:
        """Take note of a side, and of one more whose bytes may be held back."""
        self._sides.add(side)

    def is_full(self, source: Connection) -> bool:
        """Return whether too much of what came from a client or an origin is held back by the other side."""
        limit = SHARED_LIMIT if source.alpn == b"h2" else UNSENT_LIMIT
        others = [side for side in self._sides if side.conn is not source and side.unsent() > limit]
        return bool(others) and sum(_held_back(side, source) for side in others) > limit


def _held_back(side: Side, source: Connection) -> int:
    """Count the bytes that a side holds back of what came from a source: to an origin it comes from the client."""
    if not isinstance(side.conn, Client):
        return side.unsent() if isinstance(source, Client) else 0
    buffers = side.h2_conn.stream_buffers
    return sum(len(part.data) for id in list(buffers) if _source_of(side, id) is source for part in buffers[id])


def _source_of(side: Side, stream_id: int) -> Connection | None:
    """Return the origin's connection on which a client's stream is responded to."""
    https = [layer for layer in side.context.layers if isinstance(layer, HttpLayer)]
    flow = getattr(https[-1].streams.get(stream_id), "flow", None) if https else None
    return flow.server_conn if flow is not None else None


_windows: WeakValueDictionary[str, Windows] = WeakValueDictionary()


def windows_of(client: Client) -> Windows:
    """Return what is known of a client's windows, which the caller has to hold."""
    return _windows.setdefault(client.id, Windows())


async def taken(handler: ConnectionHandler) -> None:
    """Wait, in the task that reads a connection, until enough of what came on it was taken by the other side."""
    windows = _windows.get(handler.client.id)
    if windows is None:
        return
    reading = asyncio.current_task()
    source = next((one for one, io in handler.transports.items() if io.handler is reading), None)
    while source is not None and source in handler.transports and windows.is_full(source):
        windows.received.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(windows.received.wait(), LOOK_EVERY)
