"""A client that speaks HTTP inside mitmproxy's layers: in TLS, in a tunnel opened for it, or after SOCKS.

The layers have handled everything before HTTP, with their hooks. Then the client's socket is borrowed, and that of the
origin if mitmproxy has already connected it, until the client leaves or sends a request that needs mitmproxy.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable

from mitmproxy.connection import Client, Connection, Server
from mitmproxy.proxy.layers.tls import ClientTLSLayer, ServerTLSLayer
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from OpenSSL import SSL

from proxy_policies.connection.borrowed_socket import BorrowedSocket
from proxy_policies.connection.client_connection import ClientConnection, ConnectionOwner
from proxy_policies.connection.http_layer import LayeredHttp
from proxy_policies.connection.responders import Responders
from proxy_policies.connection.tunnel_takeover import TunnelTakeover
from proxy_policies.exchange.origin_connections import Destination, Origin
from proxy_policies.http1.request_heads import HEAD_END
from proxy_policies.patches import resets
from proxy_policies.patches.client_handlers import handler_of


class ConnectedOrigin(Origin):
    """A connection to an origin that mitmproxy opened. `close` makes mitmproxy close it."""

    def __init__(self, client: Client, server: Server, borrowed: BorrowedSocket, close: Callable[[], None]) -> None:
        self.server, self.stream = server, borrowed.stream
        self.is_reused, self.is_idle = True, False  # it may have died meanwhile, like a reused one
        self.is_shareable = False
        self._data = ServerConnectionHookData(server, client)
        self._borrowed, self._close = borrowed, close
        self.stream.on_readable = self._on_readable

    def give_back(self) -> None:
        """Return the connection to mitmproxy if it is usable."""
        if self.is_usable and not self.stream.received:
            self._borrowed.give_back()
        else:
            self.close()

    def _closed(self) -> None:
        self._close()


class LayeredClient(ClientConnection):
    """A borrowed client, until it leaves or is handed back.

    `end` is then called with the bytes not responded to, or with None if the client has left.
    """

    def __init__(
        self,
        owner: ConnectionOwner,
        responders: Responders,
        client: Client,
        borrowed: BorrowedSocket,
        destination: Destination | None,
        end: Callable[[bytes | None], None],
    ) -> None:
        super().__init__(owner, responders, client, borrowed.stream, destination)
        self._borrowed, self._call_at_end = borrowed, end
        self._connected: ConnectedOrigin | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def adopt(self, origin: ConnectedOrigin, destination: Destination) -> None:
        """Send requests on a connection that mitmproxy opened."""
        self._connected = origin
        self.origins.keep(origin, destination)

    def start(self) -> None:
        """Respond to data already received, and start reading."""
        self.stream.start_reading()
        if self.stream.received or self.stream.is_at_end:
            self._readable()

    def feed(self, data: bytes | None) -> None:
        """Receive data that mitmproxy's layers have already decrypted; b"" is the end, None a cut connection."""
        stream = self.stream
        if data:
            stream.feed(data)
        else:
            stream.is_at_end = True
        if data is None:
            stream.error = stream.error or ConnectionResetError()
        stream.notify()

    def hand_over(self) -> None:
        """Return the connection to mitmproxy, with the bytes not responded to."""
        stream = self.stream
        if stream.error is not None or (stream.is_at_end and HEAD_END.search(stream.received) is None):
            self.leave()  # mitmproxy would not see an end that was read here, and would wait for more
            return
        self._end()
        self._owner.handed_over(self)
        rest = stream.take()
        self._borrowed.give_back()
        self._finish(rest)

    def _left(self) -> None:
        self._end()
        resets.withhold_alert(self.client)  # if one was due, it was already sent
        self._finish(None)

    def _end(self) -> None:
        self._is_over = True
        if self._connected is not None and self.origins.forget(self._connected):
            self._connected.give_back()
        self._close_origins()

    def _finish(self, rest: bytes | None) -> None:
        if not self.over.done():
            self._call_at_end(rest)
            self.over.set_result(None)

    def disconnected(self) -> None:
        """Note that mitmproxy has closed the connection."""
        if self.exchange is not None:
            self.exchange.presence.left()
        self.stream.fail_silently()
        self.leave()


def can_borrow(asked: LayeredHttp, takeover: TunnelTakeover) -> bool:
    """Return whether the client's socket can be borrowed, and the origin's if that is connected."""
    client, server = asked.context.client, asked.context.server
    sides = (client, server) if server.connected else (client,)
    return all(takeover.watched(client, side) for side in sides)


async def borrow(
    asked: LayeredHttp, takeover: TunnelTakeover, owner: ConnectionOwner, responders: Responders
) -> LayeredClient:
    """Borrow the sockets of a client and its origin, and return the client; raises OSError if they are gone."""
    client, server, destination = asked.context.client, asked.context.server, asked.destination
    if asked.is_cut:
        raise ConnectionResetError
    of_client = _borrowed(takeover, client, client, asked.tls_of(ClientTLSLayer))
    of_origin = None
    if destination and server.connected:
        of_origin = _borrowed(takeover, client, server, asked.tls_of(ServerTLSLayer))
        await of_origin.flush()
    await of_client.flush()
    of_client.begin(bytes(asked.said))
    connection = LayeredClient(owner, responders, client, of_client, destination, asked.end)
    of_client.stream.is_at_end = of_client.stream.is_at_end or asked.is_at_end
    asked.feed = connection.feed
    connection.origins.first = server
    if destination and of_origin:
        of_origin.begin()
        origin = ConnectedOrigin(client, server, of_origin, functools.partial(_close, client, server))
        connection.adopt(origin, destination)
    return connection


def _borrowed(takeover: TunnelTakeover, client: Client, side: Connection, tls: SSL.Connection | None) -> BorrowedSocket:
    watched = takeover.watched(client, side)
    if watched is None:
        raise OSError("the connection has gone")
    return BorrowedSocket(watched, tls)


def _close(client: Client, server: Server) -> None:
    """Make mitmproxy close a connection to an origin."""
    handler = handler_of(client.id)
    if handler is not None and server in handler.transports:
        handler.close_connection(server)
