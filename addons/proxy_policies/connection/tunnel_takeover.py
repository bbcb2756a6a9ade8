"""Hands untouched tunnels from mitmproxy's read loop to the relay. Tested on mitmproxy 12.2.

mitmproxy has one task per connection, which loops on `reader.read()`. We replace the reader with a `TakeoverReader`
before the loop uses it. Once the connection is one side of an untouched tunnel, `read()` relays that direction to
its end and returns b"" only then, so mitmproxy keeps the task, its cancellation and the disconnect hooks.

The rule that keeps the bytes in order: while a hook is pending mitmproxy queues chunks inside its layers, so a
direction switches only once the very bytes object that `read()` returned last has come out of the tunnel's layer.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from mitmproxy.connection import Client, Connection, Server
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layers import TCPLayer

from proxy_policies.patch import Replacement
from proxy_policies.patches.client_handlers import handler_of
from proxy_policies.relay import link
from proxy_policies.relay.ends import StreamEnd, WriteError

LAST_CHUNK_TIMEOUT = 1.0  # seconds that an end of file waits for the chunk before it to leave the layers

Relayed = Callable[[bool, int], None]
"""Called for every piece relayed: whether it is from the client, and its size in bytes."""
OnBroken = Callable[[bool, OSError], None]
"""Called when a connection breaks: whether it is the client's, and the error."""


class TakeoverReader:
    """Takes the place of a connection's reader in mitmproxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.end = StreamEnd(reader, writer)
        self.tunnel: TunnelPair | None = None
        self.is_tunnel_to_be = False
        self.has_ended = False
        """Its end of file was left to mitmproxy to pass on."""
        self._is_reading = False
        self._borrower: Callable[[bytes], None] | None = None
        self._inside: bytes | None = None  # last chunk given to mitmproxy that has not left its layers
        self._out = asyncio.Event()

    async def read(self, limit: int) -> bytes:
        """Return the next chunk; once the tunnel is ours, relay it to its end and return b""."""
        if self.tunnel and self._inside is None:
            return await self.tunnel.relay_direction(self)
        data = await self._read(limit)
        while data and self._borrower is not None:
            self._borrower(data)
            if self._borrower is not None:  # otherwise the call gave it back, and reading continues
                self._pause()  # the reader resumes a transport that it had paused because of a full buffer
            data = await self._read(limit)
        if data:
            self._inside = data
            self._out.clear()
            return data
        return await self._at_end()

    async def _read(self, limit: int) -> bytes:
        self._is_reading = True
        try:
            return await self.end.reader.read(limit)
        finally:
            self._is_reading = False

    def borrow(self, borrower: Callable[[bytes], None]) -> bytes:
        """Stop reading until `give_back`, and return buffered data; a pending read's data goes to the borrower."""
        self._borrower, self.is_tunnel_to_be = borrower, False
        if self._is_reading:  # the pending reader was already given everything
            self._pause()
            return b""
        return self.end.take_buffered()

    def _pause(self) -> None:
        with contextlib.suppress(RuntimeError):  # closed, or at its end of file
            self.end.transport.pause_reading()

    def give_back(self) -> None:
        """Resume reading."""
        self._borrower = None
        with contextlib.suppress(RuntimeError):
            self.end.transport.resume_reading()

    async def _at_end(self) -> bytes:
        """Handle an end of file before the switch: mitmproxy would close fully, so take the tunnel over if possible."""
        if self.is_tunnel_to_be and self._inside is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._out.wait(), LAST_CHUNK_TIMEOUT)
        if self.tunnel and self._inside is None:
            return await self.tunnel.relay_direction(self)
        self.has_ended = True
        if self.tunnel:
            self.tunnel.close(self)
        return b""

    def exception(self) -> BaseException | None:
        """Return what broke the connection, as asyncio's reader does."""
        return self.end.reader.exception()

    def forwarded(self, data: bytes) -> None:
        """Note that the tunnel's layer has forwarded `data`."""
        if data is self._inside and len(data) > 1:  # equal single bytes are the same object, so they prove nothing
            self._inside = None
            self._out.set()


class TunnelPair:
    """The two connections of an untouched tunnel. Either direction may join first; the tunnel ends with both.

    If one connection breaks, the other is reset; mitmproxy would turn that into an end of file.
    """

    def __init__(
        self, client: TakeoverReader, server: TakeoverReader, relayed: Relayed, broken: OnBroken | None
    ) -> None:
        self._client, self._server, self._relayed, self._broken = client, server, relayed, broken
        self._open = {side for side in (client, server) if not side.has_ended}
        self._over = asyncio.Event()
        self._carrying: set[asyncio.Future[None]] = set()

    async def relay_direction(self, source: TakeoverReader) -> bytes:
        """Relay data from `source`, wait until the other direction has ended, too, and return b""."""
        sink = self._server if source is self._client else self._client
        tally = functools.partial(self._relayed, source is self._client)
        carrying = asyncio.ensure_future(link.relay_one_way(source.end, sink.end, tally))
        self._carrying.add(carrying)
        try:
            await asyncio.wait({carrying})
            if not carrying.cancelled() and (error := _breaking(carrying.exception())) is not None:
                if self._broken is not None:
                    self._broken(source is self._client, error)
                await self._break_off()
        finally:
            carrying.cancel()
            self.close(source)
        await self._over.wait()
        return b""

    def close(self, source: TakeoverReader) -> None:
        """Note that `source` has ended."""
        self._open.discard(source)
        if not self._open:
            self._over.set()

    async def _break_off(self) -> None:
        """Reset both connections, once no task holds a duplicate of their sockets."""
        for carrying in self._carrying:
            carrying.cancel()
        await asyncio.wait(self._carrying)
        for side in (self._client, self._server):
            side.end.reset()


def _breaking(error: BaseException | None) -> OSError | None:
    """Return the error of a direction's source, if any. A sink that accepts no more data may still send some."""
    return error if isinstance(error, OSError) and not isinstance(error, WriteError) else None


class TunnelTakeover:
    """Watches connections, finds tunnels, and hands them to the relay."""

    @property
    def patch(self) -> Replacement:
        """The patch of the method through which bytes leave a tunnel's layer."""
        return Replacement(
            owner=TCPLayer,
            attribute="relay_messages",
            wrap=self._observe,
            seen_on="12.2",
            why="passed-through tunnels stay in mitmproxy's layers",
        )

    def watch(self, client: Client, connection: Connection) -> None:
        """Replace the connection's reader, if it is an asyncio stream."""
        handler = handler_of(client.id)
        io = handler.transports.get(connection) if handler else None
        if io and isinstance(io.reader, asyncio.StreamReader) and isinstance(io.writer, asyncio.StreamWriter):
            io.reader = TakeoverReader(io.reader, io.writer)  # type: ignore[assignment]

    def watched(self, client: Client, connection: Connection) -> TakeoverReader | None:
        """Return the `TakeoverReader` of a connection, if it has one."""
        handler = handler_of(client.id)
        io = handler.transports.get(connection) if handler else None
        reader: object = io and io.reader
        return reader if isinstance(reader, TakeoverReader) else None

    def expect_tunnel(self, client: Client, server: Server) -> None:
        """Note that a CONNECT was answered with 200 on these connections."""
        for connection in (client, server):
            if watched := self.watched(client, connection):
                watched.is_tunnel_to_be = True

    def _observe(
        self, original: Callable[..., Iterator[commands.Command]]
    ) -> Callable[..., Iterator[commands.Command]]:
        """Wrap `TCPLayer.relay_messages`: once it has run, its commands have been executed."""

        @functools.wraps(original)
        def relay_messages(layer: TCPLayer, event: events.Event) -> Iterator[commands.Command]:
            yield from original(layer, event)
            if isinstance(event, events.DataReceived) and is_untouched(layer):
                self._forwarded(layer, event)

        return relay_messages

    def _forwarded(self, layer: TCPLayer, event: events.DataReceived) -> None:
        context = layer.context
        client, server = (self.watched(context.client, side) for side in (context.client, context.server))
        if client is None or server is None:
            return
        if client.tunnel is None:
            broken: OnBroken | None = getattr(layer, "broken", None)
            client.tunnel = server.tunnel = TunnelPair(client, server, self._reporter(layer), broken)
        (client if event.connection == context.client else server).forwarded(event.data)

    def _reporter(self, layer: TCPLayer) -> Relayed:
        """Notify mitmproxy's idle watchdog, and the layer if it has a `relayed(from_client, size)`."""
        handler = handler_of(layer.context.client.id)
        active: Callable[[], None] = handler.timeout_watchdog.register_activity if handler else lambda: None
        told: Relayed | None = getattr(layer, "relayed", None)

        def relayed(from_client: bool, size: int) -> None:
            active()
            if told is not None:
                told(from_client, size)

        return relayed


def is_untouched(layer: TCPLayer) -> bool:
    """Return whether a TCP layer only passes bytes on: no addon sees its messages, no TLS or proxy surrounds it.

    mitmproxy's own (`ignore=True`) has no flow; ours has one only for display, and sets `is_passthrough = True`.
    """
    context: Any = layer.context
    plain = not context.client.tls and not context.server.tls and not context.server.via
    return plain and (layer.flow is None or bool(getattr(layer, "is_passthrough", False)))
