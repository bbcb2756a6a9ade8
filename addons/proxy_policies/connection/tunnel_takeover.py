"""Hands untouched tunnels from mitmproxy's read loop to the relay. Tried on mitmproxy 12.2.

mitmproxy has one task per connection, which loops on `reader.read()`. We put a `TakeoverReader` in the reader's place
before the loop picks it up. Once the connection is one side of an untouched tunnel, `read()` carries that direction to
its end and returns b"" only then, so the task, its cancellation and the disconnect hooks stay mitmproxy's.

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

LAST_CHUNK_TIMEOUT = 1.0  # seconds that an end of file waits for the chunk before it to come out of the layers

Relayed = Callable[[bool, int], None]
"""Called with every piece relayed: whether it came from the client, and its bytes."""
Broken = Callable[[bool, OSError], None]
"""Called when a connection broke: whether it is the client's, and how."""


class TakeoverReader:
    """Stands where mitmproxy expects a connection's reader."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.end = StreamEnd(reader, writer)
        self.tunnel: TunnelPair | None = None
        self.is_tunnel_to_be = False
        self.has_ended = False
        """Its end of file was mitmproxy's to pass on."""
        self._is_reading = False
        self._borrower: Callable[[bytes], None] | None = None
        self._inside: bytes | None = None  # given to mitmproxy last, and not seen to come out again
        self._out = asyncio.Event()

    async def read(self, limit: int) -> bytes:
        """Return the next chunk; once the tunnel is ours, carry it to its end and return b""."""
        if self.tunnel and self._inside is None:
            return await self.tunnel.relay_direction(self)
        data = await self._read(limit)
        while data and self._borrower is not None:
            self._borrower(data)
            if self._borrower is not None:  # else it was given back at that, to be read on
                self._pause()  # a reader that had stopped its transport, for it had too much, has started it again
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
        """Stop reading until `give_back`, and return what was read already; what is on its way goes to the borrower."""
        self._borrower, self.is_tunnel_to_be = borrower, False
        if self._is_reading:  # whoever reads has been given all that was there
            self._pause()
            return b""
        return self.end.take_buffered()

    def _pause(self) -> None:
        with contextlib.suppress(RuntimeError):  # closed, or at its end of file
            self.end.transport.pause_reading()

    def give_back(self) -> None:
        """Read on."""
        self._borrower = None
        with contextlib.suppress(RuntimeError):
            self.end.transport.resume_reading()

    async def _at_end(self) -> bytes:
        """End of file before the switch: mitmproxy would make a full close of it, so take the tunnel over if we can."""
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
        """Take note that the tunnel's layer has sent `data` on."""
        if data is self._inside and len(data) > 1:  # all equal single bytes are one object: they prove nothing
            self._inside = None
            self._out.set()


class TunnelPair:
    """The two connections of an untouched tunnel. Either direction may join first; the tunnel ends with both.

    A connection that breaks takes the other with it, by a reset; mitmproxy would make an end of file of it.
    """

    def __init__(self, client: TakeoverReader, server: TakeoverReader, relayed: Relayed, broken: Broken | None) -> None:
        self._client, self._server, self._relayed, self._broken = client, server, relayed, broken
        self._open = {side for side in (client, server) if not side.has_ended}
        self._over = asyncio.Event()
        self._carrying: set[asyncio.Future[None]] = set()

    async def relay_direction(self, source: TakeoverReader) -> bytes:
        """Carry what comes from `source`, wait until the other direction has ended too, and return b""."""
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
        """Take note that nothing more comes from `source`."""
        self._open.discard(source)
        if not self._open:
            self._over.set()

    async def _break_off(self) -> None:
        """Reset both connections, once nobody holds a duplicate of their sockets."""
        for carrying in self._carrying:
            carrying.cancel()
        await asyncio.wait(self._carrying)
        for side in (self._client, self._server):
            side.end.reset()


def _breaking(error: BaseException | None) -> OSError | None:
    """Return how a direction's source failed, if it did. A sink that takes no more may still have something to say."""
    return error if isinstance(error, OSError) and not isinstance(error, WriteError) else None


class TunnelTakeover:
    """Watches connections, finds tunnels, and switches them over."""

    @property
    def patch(self) -> Replacement:
        """The place where bytes come out of a tunnel's layer."""
        return Replacement(
            owner=TCPLayer,
            attribute="relay_messages",
            wrap=self._observe,
            seen_on="12.2",
            why="passed-through tunnels stay in mitmproxy's layers",
        )

    def watch(self, client: Client, connection: Connection) -> None:
        """Stand in for the connection's reader, if it is a stream that asyncio reads."""
        handler = handler_of(client.id)
        io = handler.transports.get(connection) if handler else None
        if io and isinstance(io.reader, asyncio.StreamReader) and isinstance(io.writer, asyncio.StreamWriter):
            io.reader = TakeoverReader(io.reader, io.writer)  # type: ignore[assignment]

    def watched(self, client: Client, connection: Connection) -> TakeoverReader | None:
        """Return what stands in for the connection's reader."""
        handler = handler_of(client.id)
        io = handler.transports.get(connection) if handler else None
        reader: object = io and io.reader
        return reader if isinstance(reader, TakeoverReader) else None

    def expect_tunnel(self, client: Client, server: Server) -> None:
        """Take note that a CONNECT was answered with 200 on these connections."""
        for connection in (client, server):
            if watched := self.watched(client, connection):
                watched.is_tunnel_to_be = True

    def _observe(
        self, original: Callable[..., Iterator[commands.Command]]
    ) -> Callable[..., Iterator[commands.Command]]:
        """Wrap `TCPLayer.relay_messages`: when it has run, its commands have been carried out."""

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
            broken: Broken | None = getattr(layer, "broken", None)
            client.tunnel = server.tunnel = TunnelPair(client, server, self._reporter(layer), broken)
        (client if event.connection == context.client else server).forwarded(event.data)

    def _reporter(self, layer: TCPLayer) -> Relayed:
        """Tell mitmproxy's idle watchdog, and the layer if it wants to know (`relayed(from_client, size)`)."""
        handler = handler_of(layer.context.client.id)
        active: Callable[[], None] = handler.timeout_watchdog.register_activity if handler else lambda: None
        told: Relayed | None = getattr(layer, "relayed", None)

        def relayed(from_client: bool, size: int) -> None:
            active()
            if told is not None:
                told(from_client, size)

        return relayed


def is_untouched(layer: TCPLayer) -> bool:
    """Return whether a TCP layer only passes bytes on: nobody looks at its messages, no TLS or proxy is wrapped around.

    mitmproxy's own (`ignore=True`) keeps no flow; one of ours that keeps a flow for show says `is_passthrough = True`.
    """
    context: Any = layer.context
    plain = not context.client.tls and not context.server.tls and not context.server.via
    return plain and (layer.flow is None or bool(getattr(layer, "is_passthrough", False)))
