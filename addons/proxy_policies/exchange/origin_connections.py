"""Connections to origins: dialled with mitmproxy's hooks, and kept while their client's connection lasts.

When a client leaves, those that other clients may share (`may_share`) are pooled for the clients that follow.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import OrderedDict
from typing import NamedTuple

from mitmproxy import ctx, http
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.proxy.server_hooks import (
    ServerConnectedHook,
    ServerConnectErrorHook,
    ServerConnectHook,
    ServerConnectionHookData,
    ServerDisconnectedHook,
)
from mitmproxy.utils import human

from proxy_policies.background.tasks import spawn
from proxy_policies.byte_streams.byte_stream import ByteStream, SocketStream
from proxy_policies.exchange.tls_handshake import Handshake, HandshakeError, Trigger
from proxy_policies.fields import fields_of
from proxy_policies.outbound import dial

logger = logging.getLogger("mitmproxy.proxy.server")
"""Its lines look like mitmproxy's own, prefixed with the client."""
MAX_POOLED = 64
"""Idle connections in the pool; the one that has been idle longest is closed first."""
POOLED_FOR = 4.0
"""Seconds that a connection stays in the pool: less than the 5 after which Apache and Node close it."""
CREDENTIALS = frozenset({"authorization", "proxy-authorization"})


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
        self.is_shareable = not server.tls
        """Another client may use it after this one, as far as the requests up to now are concerned."""
        self.stream: ByteStream
        self._data = ServerConnectionHookData(server, client)
        self._trigger = trigger
        self._name = ""

    def _log(self, line: str, level: int = logging.INFO) -> None:
        logger.log(level, line, extra={"client": self._data.client.peername})

    async def connect(self) -> None:
        """Dial, and set up TLS if required, with their hooks; raises OriginError."""
        server = self.server
        await self._trigger(ServerConnectHook, self._data)
        if server.error:
            self._log(
                f"server connection to {human.format_address(server.address)} killed before connect: {server.error}"
            )
            await self._trigger(ServerConnectErrorHook, self._data)
            raise OriginError(f"Connection killed: {server.error}")
        server.timestamp_start = time.time()
        try:
            sock = await self._dial()
        except (OSError, asyncio.CancelledError) as error:
            server.error = str(error) or "connection cancelled"
            self._log(f"error establishing server connection: {server.error}")
            await self._trigger(ServerConnectErrorHook, self._data)
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
        await self._trigger(ServerConnectedHook, self._data)
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

    def is_silent(self) -> bool:
        """Return whether the origin has sent nothing unasked, not even what is still in the kernel."""
        try:
            self.stream.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def use_for(self, client: Client, trigger: Trigger) -> None:
        """Use the connection for another client."""
        self._data, self._trigger = ServerConnectionHookData(self.server, client), trigger

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
        spawn(self._trigger(ServerDisconnectedHook, self._data))


PoolKey = tuple[ProxyMode, Destination]
"""Addons may treat the clients of different modes differently."""


class OriginPool:
    """Idle connections that clients have left."""

    def __init__(self) -> None:
        self._idle: OrderedDict[Origin, tuple[PoolKey, float]] = OrderedDict()
        """In the order in which they became idle, and when, in seconds."""
        self._by_key: dict[PoolKey, list[Origin]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def put(self, key: PoolKey, origin: Origin) -> None:
        """Keep a connection for a while."""
        loop = asyncio.get_running_loop()
        self._idle[origin] = key, loop.time()
        self._by_key.setdefault(key, []).append(origin)
        if len(self._idle) > MAX_POOLED:
            self._close(next(iter(self._idle)))
        if self._timer is None:
            self._timer = loop.call_later(POOLED_FOR, self._expire)

    def take(self, key: PoolKey) -> Origin | None:
        """Return the connection that became idle last; None if there is none."""
        while found := self._by_key.get(key):
            origin = found[-1]
            self._remove(origin)
            if origin.is_usable and origin.is_silent():
                return origin
            origin.close()
        return None

    def close(self) -> None:
        """Close all connections."""
        while self._idle:
            self._close(next(iter(self._idle)))

    def _expire(self) -> None:
        loop, self._timer = asyncio.get_running_loop(), None
        while self._idle:
            origin, (_, since) = next(iter(self._idle.items()))
            if since + POOLED_FOR > loop.time():
                self._timer = loop.call_at(since + POOLED_FOR, self._expire)
                return
            self._close(origin)

    def _close(self, origin: Origin) -> None:
        self._remove(origin)
        origin.close()

    def _remove(self, origin: Origin) -> None:
        key, _ = self._idle.pop(origin)
        self._by_key[key].remove(origin)
        if not self._by_key[key]:
            del self._by_key[key]


def may_share(request: http.Request) -> bool:
    """Return whether a request may be sent on a connection that other clients have used, or will use.

    Only a GET without content: an origin that frames a content differently would take a part of it for the next
    client's request. And none with credentials, because some schemes authenticate the connection (NTLM, Negotiate).
    """
    data = request.data
    is_bare = data.method == b"GET" and not (data.content or data.trailers)
    return is_bare and not fields_of(request.data.headers).has_any(CREDENTIALS)


class Origins:
    """One client's connections to origins."""

    def __init__(self, client: Client, trigger: Trigger, destination: Destination | None, pool: OriginPool) -> None:
        self._client, self._trigger, self._destination, self._pool = client, trigger, destination, pool
        self.first = _server(destination) if destination else Server(address=None)
        """The server that flows show before one is connected, as in mitmproxy; never connected itself."""
        self._is_reported = False
        """Its error was the response to a request."""
        self._kept: dict[Destination, Origin] = {}

    def idle(self, destination: Destination, *, is_shareable: bool) -> Origin | None:
        """Return a kept connection, with `is_shareable` also one from the pool."""
        origin = self._kept.pop(destination, None)
        if origin is None or not origin.is_usable:
            origin = self._pool.take((self._client.proxy_mode, destination)) if is_shareable else None
            if origin is None:
                return None
            origin.use_for(self._client, self._trigger)
        origin.is_idle, origin.is_reused = False, True
        return origin

    def new(self, destination: Destination) -> Origin:
        """Create a connection that is still to be dialled.

        Raise OriginError if one was opened before there was a request, and failed: the first gets its error.
        """
        if destination == self._destination and self.first.error and not self._is_reported:
            self._is_reported = True
            raise OriginError(self.first.error)
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
        """Move idle connections to the pool, and close those that are not to be shared."""
        for destination, origin in list(self._kept.items()):
            if origin.is_shareable and origin.is_usable:
                self._pool.put((self._client.proxy_mode, destination), origin)
            else:
                origin.close()
        self._kept.clear()


def _timeout() -> float:
    """Return the seconds that dialling may take, and then TLS."""
    seconds: float = ctx.master.addons.get("dial").connect_timeout
    return seconds


def _server(destination: Destination) -> Server:
    is_tls = destination.scheme == "https"
    return Server(address=(destination.host, destination.port), tls=is_tls)
