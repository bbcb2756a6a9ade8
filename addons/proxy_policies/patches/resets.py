"""Distinguishes connections that were cut from those that have ended, and cuts those whose message is incomplete.

mitmproxy's `handle_connection` treats every OSError while reading as an end of file: to the layers a reset looks like
an end, and a body that ends with its connection (RFC 9112, section 8) looks complete. The reader still has the error,
so the layers must be able to find it. In the other direction, mitmproxy has no command for a reset.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet, WeakValueDictionary

from mitmproxy.connection import Connection
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.tls import TLSLayer
from mitmproxy.proxy.server import ConnectionIO
from mitmproxy.proxy.tunnel import TunnelLayer
from OpenSSL import SSL

from proxy_policies.byte_streams.socket_options import reset_on_close
from proxy_policies.relay.ends import StreamEnd

_transports: WeakValueDictionary[Connection, ConnectionIO] = WeakValueDictionary()
"""The transport of every open connection; asyncio's readers keep the error that ended them."""
_reset: WeakSet[Connection] = WeakSet()
"""Connections that were reset, and are closed: a layer may be notified later."""
_cut: WeakSet[Connection] = WeakSet()
"""Connections that end in the middle of a message."""


def register(connection: Connection, transport: ConnectionIO) -> None:
    """Make a connection's reader and writer available to the layers."""
    _transports[connection] = transport


@contextmanager
def registered(connection: Connection, transport: ConnectionIO) -> Iterator[None]:
    """Register a connection while it is being read, and remember whether it was reset."""
    register(connection, transport)
    try:
        yield
    finally:
        if _is_broken(connection):
            _reset.add(connection)
        _transports.pop(connection, None)


def was_reset(connection: Connection, context: Context) -> bool:
    """Return whether a connection that has ended was reset."""
    return any(map(_is_broken, _carriers(connection, context)))


def was_cut(connection: Connection, context: Context) -> bool:
    """Return whether a connection that has ended was reset, or its TLS had no closing alert (RFC 9112, section 9.8)."""
    tls = [layer for layer in _below(connection, context) if isinstance(layer, TLSLayer)]  # the last is innermost
    return bool(tls and not _has_close_notify(tls[-1])) or was_reset(connection, context)


def _carriers(connection: Connection, context: Context) -> list[Connection]:
    """Return a connection and those that carry it, such as one to an upstream proxy: one of them has the socket."""
    return [connection, *(layer.tunnel_connection for layer in _below(connection, context))]


def _below(connection: Connection, context: Context) -> list[TunnelLayer]:
    return [layer for layer in context.layers if isinstance(layer, TunnelLayer) and layer.conn is connection]


def _is_broken(connection: Connection) -> bool:
    if connection in _reset:
        return True
    transport = _transports.get(connection)
    error_of = getattr(transport and transport.reader, "exception", None)  # mitmproxy's readers of datagrams have none
    return error_of is not None and error_of() is not None


def _has_close_notify(layer: TLSLayer) -> bool:
    tls = layer.tls
    return tls is None or bool(tls.get_shutdown() & SSL.RECEIVED_SHUTDOWN)


def reset(connection: Connection, context: Context) -> None:
    """Reset a connection at once: its peer must not take what it received as complete."""
    for transport in map(_transports.get, _carriers(connection, context)):
        if transport is not None and isinstance(transport.writer, asyncio.StreamWriter):  # no other writer can
            reader: Any = transport.reader
            StreamEnd(reader, transport.writer).reset()


def cut(connection: Connection, context: Context, is_on: bool = True) -> None:
    """Make a connection end with a reset when it is closed: its peer must not take what it received as complete."""
    if is_on:
        withhold_alert(connection)
    else:
        _cut.discard(connection)
    for transport in map(_transports.get, _carriers(connection, context)):
        writer: Any = transport and transport.writer
        if writer is not None and (sock := writer.get_extra_info("socket")) is not None:
            reset_on_close(sock, is_on)


def withhold_alert(connection: Connection) -> None:
    """Make TLS end without its closing alert: a message is incomplete, which its framing shows, too."""
    _cut.add(connection)


def is_cut(connection: Connection) -> bool:
    """Return whether a connection is to end in the middle of a message."""
    return connection in _cut
