"""Reads no more from a peer than the other side accepts, if at least one of them speaks HTTP/2 or HTTP/3.

mitmproxy waits for sockets only, and for all sockets of a client at once. It keeps data that a flow-control window
holds back (RFC 9113, section 5.2; RFC 9000, section 4) without limit; and a stream whose origin does not read an upload
stops all others.

Here each stream of such a peer has its own window, reopened as the other side accepts its data: no other stream has to
wait. An HTTP/1 peer has one exchange at a time: nothing more is read from it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Coroutine
from typing import Any, Protocol
from weakref import WeakSet, WeakValueDictionary

from mitmproxy.connection import Client, Connection
from mitmproxy.proxy import commands
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpLayer, HttpStream
from mitmproxy.proxy.layers.http._events import RequestData, ResponseData
from mitmproxy.proxy.layers.tcp import TCPLayer
from mitmproxy.proxy.server import ConnectionHandler
from mitmproxy.proxy.tunnel import TunnelLayer

from proxy_policies.background.tasks import spawn
from proxy_policies.patches import client_sides
from proxy_policies.patches.client_handlers import unsent_by, unsent_to
from proxy_policies.patches.http_stream.backlogs import Backlogged
from proxy_policies.patches.http_stream.stored_bodies import UNSENT_LIMIT

WINDOW_CHECK_INTERVAL = 1.0
"""Seconds between checks of the windows of silent peers: their streams may have ended without a frame from them."""
HOOK_CHECK_INTERVAL = 0.1
"""Seconds between checks of streams that wait for a hook: there is no event for a hook's end."""
STREAM_WINDOW = 1 << 20
"""Bytes of a stream that a peer may send before the other side accepts them: as Go's http2 server (1 MiB)."""
MULTIPLEXED = (b"h2", b"h3")
"""The protocols whose connections carry many streams, each with its own window."""


class WindowedSide(Protocol):
    """A layer that speaks HTTP/2 or HTTP/3 with a client or an origin."""

    conn: Connection
    context: Context
    our_stream_id: dict[int, int]
    """Only on an origin's side: its streams by those of the client; the reverse:"""
    their_stream_id: dict[int, int]

    def unsent(self) -> int:
        """Count the bytes that flow-control windows hold back."""

    def unsent_of(self, stream_id: int) -> int:
        """Count those of one stream."""

    def unsent_by_stream(self) -> dict[int, int]:
        """Return those counts of the streams that have any."""

    def waiting_streams(self) -> Collection[int]:
        """Return the streams whose own windows will be reopened once their data is accepted."""


class Acknowledge(commands.RequestWakeup):
    """Makes a side reopen the windows of streams whose data the other side has accepted."""

    def __init__(self) -> None:
        super().__init__(0)


class Windows:
    """The HTTP/2 sides of one client: its own, and those of its origins."""

    def __init__(self) -> None:
        self._sides: WeakSet[WindowedSide] = WeakSet()
        self._release: asyncio.Task[None] | None = None
        self.received = asyncio.Event()
        """A peer has sent something; a window may be open again."""

    def add(self, side: WindowedSide) -> None:
        """Register a side, whose data may be held back."""
        self._sides.add(side)

    def is_full(self, source: Connection) -> bool:
        """Return whether to stop reading an HTTP/1 peer, because the other side holds back too much of its data."""
        if source.alpn in MULTIPLEXED:
            return False
        others = [side for side in self._sides if side.conn is not source and side.unsent() > UNSENT_LIMIT]
        return bool(others) and sum(_held_back_of(side, source) for side in others) > UNSENT_LIMIT

    def holds_back(self, side: WindowedSide, stream_id: int) -> bool:
        """Return whether the other side holds back too much of the data of a peer's stream."""
        if not isinstance(side.conn, Client):
            stream_id = side.their_stream_id.get(stream_id, 0)
        stream = _stream_of(side, stream_id)
        is_ahead = side.conn is not side.context.client and _runs_ahead(stream)
        unsent = 0 if is_ahead else self._unsent_by_the_other(side, stream, stream_id)
        return _paused(stream) + unsent > UNSENT_LIMIT

    def _unsent_by_the_other(self, side: WindowedSide, stream: HttpStream | None, stream_id: int) -> int:
        client = side.context.client
        if side.conn is not client:
            return unsent_to(client, client) + sum(it.unsent_of(stream_id) for it in self._sides if it.conn is client)
        origin = _origin_of(stream)
        buffered = (it.unsent_of(it.our_stream_id.get(stream_id, -1)) for it in self._sides if it.conn is origin)
        return unsent_to(client, _carrier_of(side, origin)) + sum(buffered)

    def reopen_as_accepted(self, handler: ConnectionHandler) -> None:
        """Reopen the windows of waiting streams as the other side accepts their data."""
        if self._with_waiting_streams() and (self._release is None or self._release.done()):
            self._release = spawn(self._reopen(handler))

    def _with_waiting_streams(self) -> list[WindowedSide]:
        return [side for side in self._sides if side.waiting_streams()]

    async def _reopen(self, handler: ConnectionHandler) -> None:
        while handler.client in handler.transports and (waiting := self._with_waiting_streams()):
            for side in waiting:
                if not all(self.holds_back(side, stream_id) for stream_id in side.waiting_streams()):
                    await handler.server_event(client_sides.wake(side, Acknowledge()))
            await self._something_accepted(handler)

    async def _something_accepted(self, handler: ConnectionHandler) -> None:
        """Wait until a peer has sent something, a socket accepts data again, or a hook may have ended."""
        self.received.clear()
        full = [it for it in handler.transports if unsent_by(handler, it) > UNSENT_LIMIT]
        waits: list[Coroutine[Any, Any, Any]] = [self.received.wait(), *(_drained(handler, it) for it in full)]
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, timeout=HOOK_CHECK_INTERVAL, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()


def _http_layer(side: client_sides.AnySide) -> HttpLayer | None:
    """Return the innermost layer that has both sides."""
    return next((it for it in reversed(side.context.layers) if isinstance(it, HttpLayer)), None)


def _stream_of(side: WindowedSide, stream_id: int) -> HttpStream | None:
    """Return the layer that handles a client's stream, if there is one."""
    http = _http_layer(side)
    return http.streams.get(stream_id) if http else None


def _origin_of(stream: HttpStream | None) -> Connection | None:
    """Return the origin's connection that serves a client's stream."""
    flow = getattr(stream, "flow", None)
    return flow.server_conn if flow is not None else None


def _carrier_of(side: client_sides.AnySide, origin: Connection | None) -> Connection | None:
    """Return the connection that carries the one to an origin, which may be one to an upstream proxy."""
    http = _http_layer(side)
    top = http.connections.get(origin) if http and origin else None
    return top.tunnel_connection if isinstance(top, TunnelLayer) else origin


def _runs_ahead(stream: HttpStream | None) -> bool:
    """Return whether a client's stream gets a response that others want, however slow the client is."""
    return isinstance(stream, Backlogged) and stream.runs_ahead()


def _paused(stream: HttpStream | None) -> int:
    """Count the body bytes that wait for a hook or a connection."""
    if stream is None or not stream._paused:
        return 0
    return sum(len(it.data) for it in stream._paused_event_queue if isinstance(it, RequestData | ResponseData))


def _held_back_of(side: WindowedSide, source: Connection) -> int:
    """Count the bytes from a source that a side holds back; an origin's side only gets the client's."""
    if not isinstance(side.conn, Client):
        return side.unsent() if isinstance(source, Client) else 0
    streams = ((unsent, _stream_of(side, it)) for it, unsent in side.unsent_by_stream().items())
    return sum(unsent for unsent, of in streams if _origin_of(of) is source and not _runs_ahead(of))


_windows: WeakValueDictionary[str, Windows] = WeakValueDictionary()


def windows_of(client: Client) -> Windows:
    """Return a client's windows; the caller must keep a reference."""
    return _windows.setdefault(client.id, Windows())


def peer_sent_something(client: Client) -> None:
    """Check again whether data that was held back has been accepted: a window may be open now."""
    if (windows := _windows.get(client.id)) is not None:
        windows.received.set()


async def drained(handler: ConnectionHandler) -> None:
    """Wait, in the task that reads a connection of a multiplexing client, until both accept their data.

    It does not wait for other origins, since the other streams need not wait for them; nor for a client behind others.
    """
    source = _read_by_this_task(handler)
    waits_for = {source or handler.client}
    for connection in waits_for if runs_ahead(handler) else {handler.client, *waits_for}:
        await _drained(handler, connection)


def runs_ahead(handler: ConnectionHandler) -> bool:
    """Return whether this task reads a response that others want, whose client is behind."""
    client = handler.client
    if unsent_by(handler, client) <= UNSENT_LIMIT or (side := client_sides.side_of(client)) is None:
        return False
    source, http = _read_by_this_task(handler), _http_layer(side)
    streams = list(http.streams.values()) if http else []
    return source is not client and any(
        _runs_ahead(it) and _carrier_of(side, _origin_of(it)) is source for it in streams
    )


def is_raw(handler: ConnectionHandler) -> bool:
    """Return whether a client's bytes are passed on as they are, in both directions."""
    side = client_sides.side_of(handler.client)
    return side.is_tunnel if side is not None else isinstance(handler.layer.context.layers[-1], TCPLayer)


async def passed_on(handler: ConnectionHandler) -> None:
    """Wait, in the task that reads one end of raw bytes, until the other end accepts them.

    mitmproxy waits for both: nothing is sent to one end while the other does not read.
    """
    source = _read_by_this_task(handler)
    for connection in list(handler.transports):
        if connection is not source:
            await _drained(handler, connection)


async def _drained(handler: ConnectionHandler, connection: Connection) -> None:
    io = handler.transports.get(connection)
    if io is None or io.writer is None:
        return
    try:
        await io.writer.drain()
    except OSError as error:
        if io.handler is not None:
            io.handler.cancel(f"Error sending data: {error}")


def _read_by_this_task(handler: ConnectionHandler) -> Connection | None:
    reading = asyncio.current_task()
    return next((one for one, io in handler.transports.items() if io.handler is reading), None)


async def accepted(handler: ConnectionHandler) -> None:
    """Wait, in the task that reads a connection, until the other side has accepted enough of its data."""
    windows = _windows.get(handler.client.id)
    if windows is None:
        return
    windows.reopen_as_accepted(handler)
    source = _read_by_this_task(handler)
    while source is not None and source in handler.transports and windows.is_full(source):
        windows.received.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(windows.received.wait(), WINDOW_CHECK_INTERVAL)
