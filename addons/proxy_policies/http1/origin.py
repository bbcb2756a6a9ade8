"""Connections to origins: dialled with mitmproxy's hooks, and kept while their client's connection lasts."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

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

from proxy_policies import dial
from proxy_policies.background import spawn
from proxy_policies.connection.socket_stream import SocketStream

logger = logging.getLogger("mitmproxy.proxy.server")
"""Its lines look as mitmproxy's own, with the client in front."""

Trigger = Callable[[StartHook], Coroutine[Any, Any, None]]
"""Triggers a hook, and waits until every addon is through with it."""


class OriginError(Exception):
    """An origin that cannot be reached, or that answers what is no response; the text is for the client."""


class Origin:
    """One connection to an origin."""

    def __init__(self, client: Client, server: Server, trigger: Trigger) -> None:
        self.server = server
        self.is_reused = False
        """It has carried a request before this one."""
        self.is_idle = False
        self.stream: SocketStream
        self._data = ServerConnectionHookData(server, client)
        self._trigger = trigger
        self._name = ""

    def _log(self, line: str) -> None:
        logger.info(line, extra={"client": self._data.client.peername})

    async def connect(self) -> None:
        """Dial, with the hooks about it; raises OriginError."""
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
        await self._connected(sock)

    async def _dial(self) -> socket.socket:
        host, port = self.server.address or ("", 0)
        timeout = ctx.master.addons.get("dial").connect_timeout
        sock = await dial.connect(host, port, timeout=timeout, local_addr=self.server.sockname)
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

    def _on_readable(self) -> None:
        """Close an idle connection that ends, or that says what nobody asked for."""
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

    def close(self, reset: bool = False) -> None:
        """Close the connection; the hook about it follows."""
        if self.server.state is ConnectionState.CLOSED:
            return
        self.is_idle = False
        if reset:
            self.stream.reset()
        else:
            self.stream.fail_silently()
        self.server.state, self.server.timestamp_end = ConnectionState.CLOSED, time.time()
        self._log(f"server disconnect {self._name}")
        spawn(self._trigger(ServerDisconnectedHook(self._data)))


class Origins:
    """The connections that one client has to origins."""

    def __init__(self, client: Client, trigger: Trigger, address: tuple[str, int] | None) -> None:
        self._client, self._trigger = client, trigger
        self.first = Server(address=address)
        """What flows show before they are connected, as in mitmproxy: it never is itself."""
        self._kept: dict[tuple[str, int], Origin] = {}

    def idle(self, host: str, port: int) -> Origin | None:
        """Return a kept connection."""
        origin = self._kept.pop((host, port), None)
        if origin is None or not origin.is_usable:
            return None
        origin.is_idle, origin.is_reused = False, True
        return origin

    def new(self, host: str, port: int) -> Origin:
        """Make a connection that is still to be dialled."""
        return Origin(self._client, Server(address=(host, port)), self._trigger)

    def keep(self, origin: Origin, host: str, port: int) -> None:
        """Keep a connection for the next request to the same place."""
        if (before := self._kept.pop((host, port), None)) is not None:
            before.close()
        self._kept[host, port] = origin
        origin.keep()

    def close(self) -> None:
        """Close all that are idle."""
        for origin in list(self._kept.values()):
            origin.close()
        self._kept.clear()
