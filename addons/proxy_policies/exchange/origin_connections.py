"""Connections to origins: dialled with mitmproxy's hooks, and kept while their client's connection lasts."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from mitmproxy import ctx
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.server_hooks import (
    ServerConnectedHook,
    ServerConnectErrorHook,
    ServerConnectHook,
    ServerConnectionHookData,
    ServerDisconnectedHook,
)
from mitmproxy.utils import human

from proxy_policies.background import spawn
from proxy_policies.byte_streams.byte_stream import ByteStream
from proxy_policies.byte_streams.socket_stream import SocketStream
from proxy_policies.exchange.tls_handshake import Handshake, HandshakeError
from proxy_policies.outbound import dial

logger = logging.getLogger("mitmproxy.proxy.server")
"""Its lines look like mitmproxy's own, prefixed with the client."""

Trigger = Callable[[StartHook], Coroutine[Any, Any, None]]
"""Triggers a hook, and waits until every addon has handled it."""


class Destination(NamedTuple):
    """Where requests go."""

    scheme: str
    """http or https."""
    host: str
    port: int


class OriginError(Exception):
    """An origin cannot be reached, or its response is invalid; the text is for the client."""


class Origin:
    """One connection to an origin."""

    def __init__(self, client: Client, server: Server, trigger: Trigger) -> None:
        self.server = server
        self.is_reused = False
        """It has carried a request before this one."""
        self.is_idle = False
        self.stream: ByteStream
        self._data = ServerConnectionHookData(server, client)
        self._trigger = trigger
        self._name = ""

    def _log(self, line: str, level: int = logging.INFO) -> None:
        logger.log(level, line, extra={"client": self._data.client.peername})

    async def connect(self) -> None:
        """Dial, and set up TLS if required, with their hooks; raises OriginError."""
        server = self.server
        await self._trigger(ServerConnectHook(self._data))
        if server.error:
            self._log(
                f"server connection to {human.format_address(server.address)} killed before connect: {server.error}"
            )
            await self._trigger(ServerConnectErrorHook(self._data))
            raise OriginError(f"Connection killed: {server.error}")
        server.timestamp_start = time.time()
        try:
            sock = await self._dial()
        except (OSError, asyncio.CancelledError) as error:
            server.error = str(error) or "connection cancelled"
            self._log(f"error establishing server connection: {server.error}")
            await self._trigger(ServerConnectErrorHook(self._data))
            if isinstance(error, asyncio.CancelledError):
                raise
            raise OriginError(server.error) from error
        try:
            await self._connected(sock)
        except BaseException:
            self.close()
            raise

    async def _dial(self) -> socket.socket:
        host, port = self.server.address or ("", 0)
        sock = await dial.connect(host, port, timeout=_timeout(), local_addr=self.server.sockname)
        self.server.peername, self.server.sockname = sock.getpeername(), sock.getsockname()
        return sock

    async def _connected(self, sock: socket.socket) -> None:
        server = self.server
        server.timestamp_tcp_setup, server.state = time.time(), ConnectionState.OPEN
        self.stream = SocketStream(sock, self._on_readable)
        address, peer = server.address, server.peername
        self._name = human.format_address(address)
        if address and peer and address[0] != peer[0]:
            self._name += f" ({human.format_address(peer)})"
        self._log(f"server connect {self._name}")
        await self._trigger(ServerConnectedHook(self._data))
        if server.tls:
            await self._secure(self.stream)

    async def _secure(self, below: ByteStream) -> None:
        handshake = Handshake(self._data.client, self.server, below, self._trigger, self._log)
        try:
            async with asyncio.timeout(_timeout()):
                self.stream = await handshake.run()
        except HandshakeError as error:
            raise OriginError(str(error)) from error
        except TimeoutError as error:
            self.server.error = "TLS handshake timed out"
            raise OriginError(self.server.error) from error
        self.stream.on_readable = self._on_readable

    def _on_readable(self) -> None:
        """Close an idle connection that ends, or sends data unasked."""
        if self.is_idle:
            self.close()

    @property
    def is_usable(self) -> bool:
        """Return whether a request can be sent on it."""
        return self.is_idle and not self.stream.is_closed and not self.stream.is_at_end

    def keep(self) -> None:
        """Keep the connection for the next request."""
        self.is_idle = True
        self.stream.start_reading()

    def close(self, *, is_done: bool = False) -> None:
        """Close the connection and trigger its hook. `is_done`: nothing is in progress, so end it properly."""
        if self.server.state is ConnectionState.CLOSED:
            return
        if is_done or self.is_idle:
            self.stream.close()
        if self.stream.unsent or not self.stream.is_closed:
            self.stream.fail_silently()
        self.is_idle = False
        self._closed()

    def _closed(self) -> None:
        self.server.state, self.server.timestamp_end = ConnectionState.CLOSED, time.time()
        self._log(f"server disconnect {self._name}")
        spawn(self._trigger(ServerDisconnectedHook(self._data)))


class Origins:
    """One client's connections to origins."""

    def __init__(self, client: Client, trigger: Trigger, destination: Destination | None) -> None:
        self._client, self._trigger, self._destination = client, trigger, destination
        self.first = _server(destination) if destination else Server(address=None)
        """The server that flows show before one is connected, as in mitmproxy; never connected itself."""
        self._kept: dict[Destination, Origin] = {}

    def idle(self, destination: Destination) -> Origin | None:
        """Return a kept connection."""
        origin = self._kept.pop(destination, None)
        if origin is None or not origin.is_usable:
            return None
        origin.is_idle, origin.is_reused = False, True
        return origin

    def new(self, destination: Destination) -> Origin:
        """Create a connection that is still to be dialled."""
        server = _server(destination)
        if server.tls:  # the address of a redirected client or a tunnel is not a server name
            asked = self.first.sni or self._client.sni if destination == self._destination else None
            server.sni = asked or destination.host
        return Origin(self._client, server, self._trigger)

    def keep(self, origin: Origin, destination: Destination) -> None:
        """Keep a connection for the next request to the same destination."""
        if (before := self._kept.pop(destination, None)) is not None:
            before.close()
        self._kept[destination] = origin
        origin.keep()

    def forget(self, origin: Origin) -> bool:
        """Stop keeping a connection; return False if it was not kept."""
        kept = [destination for destination, other in self._kept.items() if other is origin]
        for destination in kept:
            del self._kept[destination]
        return bool(kept)

    def close(self) -> None:
        """Close all idle connections."""
        for origin in list(self._kept.values()):
            origin.close()
        self._kept.clear()


def _timeout() -> float:
    """Return the seconds that dialling may take, and then TLS."""
    seconds: float = ctx.master.addons.get("dial").connect_timeout
    return seconds


def _server(destination: Destination) -> Server:
    is_tls = destination.scheme == "https"
    return Server(address=(destination.host, destination.port), tls=is_tls)
