"""Telling a connection that was cut from one that has ended, and cutting one where only that tells an end from a break.

mitmproxy's `handle_connection` takes every OSError while it reads for an end of file: to the layers a reset looks like
an end, and a body that ends with its connection (RFC 9112, section 8) looks whole. The reader still knows: the seam is
that a connection's reader can be found by the layers. In the other direction mitmproxy has no command for a reset:
`cut` asks for one at the close.
"""

import functools
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakSet

from mitmproxy.connection import Connection
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.tls import ServerTLSLayer
from mitmproxy.proxy.server import ConnectionHandler
from mitmproxy.proxy.tunnel import TunnelLayer
from OpenSSL import SSL

from proxy_policies.patches.patch import Patch
from proxy_policies.relay.ends import reset_on_close

_readers: dict[Connection, Any] = {}
"""Of every connection that is being read; asyncio's readers keep the error that ended them."""
_to_cut: WeakSet[Connection] = WeakSet()


def was_cut(connection: Connection, context: Context) -> bool:
    """Return True if a connection that has ended was reset, or its TLS had no closing alert (RFC 9112, section 9.8)."""
    below = [layer for layer in context.layers if isinstance(layer, TunnelLayer) and layer.conn is connection]
    if any(map(_is_broken, (connection, *(layer.tunnel_connection for layer in below)))):
        return True
    return any(isinstance(layer, ServerTLSLayer) and not _has_close_notify(layer) for layer in below)


def _is_broken(connection: Connection) -> bool:
    reader = _readers.get(connection)
    return reader is not None and reader.exception() is not None


def _has_close_notify(layer: ServerTLSLayer) -> bool:
    tls = layer.tls
    return tls is None or bool(tls.get_shutdown() & SSL.RECEIVED_SHUTDOWN)


def cut(connection: Connection) -> None:
    """Have a connection end with a reset when it is closed: its peer must not take what it got for the whole."""
    _to_cut.add(connection)


def _noting(original: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(original)
    async def handle_connection(self: ConnectionHandler, connection: Connection) -> None:
        reader = self.transports[connection].reader
        if hasattr(reader, "exception"):  # mitmproxy's readers of datagrams have none
            _readers[connection] = reader
        try:
            await original(self, connection)
        finally:
            _readers.pop(connection, None)

    return handle_connection


def _cutting(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def close_connection(self: ConnectionHandler, connection: Connection, half_close: bool = False) -> None:
        writer: Any = self.transports[connection].writer
        if connection in _to_cut and not half_close and writer is not None:
            sock = writer.get_extra_info("socket")
            if sock is not None:
                reset_on_close(sock)
        original(self, connection, half_close)

    return close_connection


PATCHES = (
    Patch(
        owner=ConnectionHandler,
        attribute="handle_connection",
        wrap=_noting,
        versions="12.2",
        why="a reset looks like an end: a body that was cut is taken for whole, and stored",
    ),
    Patch(
        owner=ConnectionHandler,
        attribute="close_connection",
        wrap=_cutting,
        versions="12.2",
        why="a client cannot tell a body that was cut from a whole one that ends with its connection",
    ),
)
