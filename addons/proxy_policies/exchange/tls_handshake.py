"""Sets up TLS with an origin through mitmproxy's own layer, with its hooks, options and messages, over our stream."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from mitmproxy import ctx
from mitmproxy.connection import Client, Server
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator, Layer
from mitmproxy.proxy.layers.tls import ServerTLSLayer
from mitmproxy.proxy.tunnel import TunnelState

from proxy_policies.byte_streams.byte_stream import ByteStream
from proxy_policies.byte_streams.tls_stream import TlsStream

HTTP2 = b"h2"

Trigger = Callable[[type[commands.StartHook], Any], Coroutine[Any, Any, None]]
"""Triggers a hook with its argument, and waits until every addon has handled it."""


class HandshakeError(Exception):
    """TLS could not be set up; the text is for the client."""


class _Inside(Layer):
    """Collects data that an origin sent along with the end of the handshake."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.said = b""

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        if isinstance(event, events.DataReceived):
            self.said += event.data
        yield from ()


class Handshake:
    """The handshake with one origin, over `below`."""

    def __init__(
        self, client: Client, server: Server, below: ByteStream, trigger: Trigger, log: Callable[[str, int], None]
    ) -> None:
        self._server, self._below, self._trigger, self._log = server, below, trigger, log
        context = Context(client, ctx.options)
        context.server = server
        self._layer = ServerTLSLayer(context)
        self._inside = self._layer.child_layer = _Inside(context)

    async def run(self) -> TlsStream:
        """Return the stream inside TLS. Raises HandshakeError; the caller closes the stream below."""
        below, layer = self._below, self._layer
        await self._handle(events.Start())
        while layer.tunnel_state is TunnelState.ESTABLISHING and not self._server.error:
            came = bool(below.received) or await below.wait()  # more may have arrived during a hook
            await self._handle(
                events.DataReceived(self._server, below.take()) if came else events.ConnectionClosed(self._server)
            )
        if layer.tunnel_state is not TunnelState.OPEN or self._server.error:
            raise HandshakeError(self._server.error or "connection closed")
        if self._server.alpn == HTTP2:
            raise HandshakeError("an addon had HTTP/2 offered to an origin; it must not declare `exchanges`")
        below.stop_reading()
        stream = TlsStream(below, layer.tls)
        if self._inside.said:
            stream.feed(self._inside.said)
        return stream

    async def _handle(self, event: events.Event) -> None:
        """Pass an event to the layer, and execute its commands."""
        pending = deque([event])
        while pending:
            for command in list(self._layer.handle_event(pending.popleft())):
                await self._carry_out(command)
                if isinstance(command, commands.StartHook) and command.blocking:
                    pending.append(events.HookCompleted(command))

    async def _carry_out(self, command: commands.Command) -> None:
        match command:
            case commands.SendData():
                self._below.write(command.data)
            case commands.StartHook():
                await self._trigger(type(command), *command.args())
            case commands.CloseConnection():
                self._server.error = self._server.error or "connection closed"
            case commands.Log():
                self._log(command.message, command.level)
