"""Hands a client's connection over to mitmproxy, which owns it from then on."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from mitmproxy import ctx
from mitmproxy.connection import Client
from mitmproxy.proxy import mode_servers, server_hooks
from mitmproxy.proxy.commands import StartHook

from proxy_policies.background.tasks import spawn
from proxy_policies.byte_streams.byte_stream import SocketStream

logger = logging.getLogger(__name__)

_on_handover: list[Callable[[Client], None]] = []

ReceiveClient = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Continued:
    """Changes to mitmproxy's handler for a client that the addons already know."""

    client: Client
    _is_announced = False

    def continue_client(self, client: Client) -> None:
        """Continue with an existing client."""
        handler: Any = self
        made, handler.client = handler.client, client
        handler.transports[client] = handler.transports.pop(made)
        handler.layer.context.client = client

    def log(self, message: str, *arguments: Any, **keywords: Any) -> None:
        """Log, but do not repeat that the client has connected."""
        if message == "client connect" and not self._is_announced:
            self._is_announced = True
            return
        super().log(message, *arguments, **keywords)  # type: ignore[misc]

    async def handle_hook(self, hook: StartHook) -> None:
        """Trigger a hook, but do not repeat `client_connected`."""
        if isinstance(hook, server_hooks.ClientConnectedHook):
            for continued in _on_handover:
                continued(self.client)
        else:
            await super().handle_hook(hook)  # type: ignore[misc]


@functools.cache
def _continued(handler: type) -> Any:
    """Derive from mitmproxy's current handler, including our patches."""
    return type("ContinuedHandler", (Continued, handler), {})


def on_handover(callback: Callable[[Client], None]) -> Callable[[], None]:
    """Call a function with every client handed over after the addons were notified of it; return the undo function."""
    _on_handover.append(callback)
    return lambda: _on_handover.remove(callback)


def begin_client(instance: Any, stream: SocketStream, peername: tuple[Any, ...], header: bytes = b"") -> None:
    """Give mitmproxy a connection as if it had accepted it itself."""

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport: Any = writer.transport
        transport._extra["peername"] = peername  # the socket no longer knows it once its peer has reset the connection
        await instance.handle_stream(reader, writer)

    data = header + bytes(stream.received)
    spawn(_adopt(stream.detach(), data, receive))


def continue_client(instance: Any, client: Client, stream: SocketStream) -> None:
    """Give mitmproxy the connection of a client that the addons know; nothing may be waiting to be sent."""

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = _continued(mode_servers.ProxyConnectionHandler)(
            ctx.master, reader, writer, ctx.options, instance.mode
        )
        handler.continue_client(client)
        handler.layer = instance.make_top_layer(handler.layer.context)
        with instance.manager.register_connection(client.id, handler):
            await handler.handle_client()

    data = bytes(stream.received)
    spawn(_adopt(stream.detach(), data, receive))


async def _adopt(sock: socket.socket, data: bytes, receive: ReceiveClient) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    if data:
        reader.feed_data(data)
    protocol = asyncio.StreamReaderProtocol(reader, receive, loop=loop)
    try:
        await loop.connect_accepted_socket(lambda: protocol, sock)
    except OSError as error:
        logger.debug(f"a connection was lost before it began: {error}")
        sock.close()
