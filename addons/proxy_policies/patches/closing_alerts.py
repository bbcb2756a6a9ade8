"""Sends TLS's closing alert, which says that no more data follows (RFC 8446, section 6.1; RFC 9112, section 9.8).

mitmproxy never sends it: a recipient cannot tell whether a body that ends with its connection is complete.
"""

import functools
from collections.abc import Callable
from weakref import WeakSet

from mitmproxy.connection import Connection, ConnectionState
from mitmproxy.proxy import commands
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.tls import TLSLayer
from mitmproxy.proxy.server import ConnectionHandler
from OpenSSL import SSL

from proxy_policies.patch import Companion, Patch
from proxy_policies.patches import resets

Close = Callable[[TLSLayer, commands.CloseConnection], CommandGenerator[None]]

_alerted: WeakSet[TLSLayer] = WeakSet()
"""Layers that have sent their closing alert."""
_closed_idle: WeakSet[Connection] = WeakSet()
"""Clients whose idle connections we close."""


def close_idle(handler: ConnectionHandler) -> None:
    """Close a client's idle connection, after its layers have sent TLS's closing alert and HTTP/2's GOAWAY."""
    io = handler.transports.get(handler.client)
    if io is not None and io.handler is not None:
        _closed_idle.add(handler.client)
        io.handler.cancel("idle")
    elif io is not None and io.writer is not None:
        io.writer.close()


def is_closed_idle(connection: Connection) -> bool:
    """Return whether a connection is a client's idle one that we are closing."""
    return connection in _closed_idle


def _with_alert(original: Close) -> Close:
    @functools.wraps(original)
    def send_close(layer: TLSLayer, command: commands.CloseConnection) -> CommandGenerator[None]:
        yield from _send_alert(layer)
        yield from original(layer, command)

    return send_close


def _with_alert_on_receive(
    original: Callable[[TLSLayer], CommandGenerator[None]],
) -> Callable[[TLSLayer], CommandGenerator[None]]:
    @functools.wraps(original)
    def receive_close(layer: TLSLayer) -> CommandGenerator[None]:
        # mitmproxy closes connections to origins when their client has left, without a layer's command
        if layer.conn.state is ConnectionState.CLOSED and layer.conn is not layer.context.client:
            yield from _send_alert(layer)
        _forget_fatal_alert(layer.tls)
        yield from original(layer)
        if is_closed_idle(layer.conn):
            yield from _send_alert(layer)

    return receive_close


def _forget_fatal_alert(tls: SSL.Connection) -> None:
    """Distinguish a fatal alert from a closing one: OpenSSL notes both, and mitmproxy would not report the end."""
    if tls.get_shutdown() & SSL.RECEIVED_SHUTDOWN:
        try:
            tls.recv(1)
        except SSL.ZeroReturnError:
            return
        except SSL.Error:
            tls.set_shutdown(tls.get_shutdown() & ~SSL.RECEIVED_SHUTDOWN)


def _send_alert(layer: TLSLayer) -> CommandGenerator[None]:
    if layer.tls is None or layer in _alerted or resets.is_cut(layer.conn):
        return
    try:
        layer.tls.shutdown()
    except SSL.Error:  # handshake unfinished, connection failed, or alert sent without the layers
        return
    _alerted.add(layer)
    # Otherwise sending on a connection that a layer has closed would raise, and end the layer.
    layer.tls.set_shutdown(layer.tls.get_shutdown() & ~SSL.SENT_SHUTDOWN)
    yield from layer.tls_interact()


PATCH = Patch(
    owner=TLSLayer,
    attribute="send_close",
    wrap=_with_alert,
    seen_on="12.2.1 to 12.3.1",
    why="TLS ends without its closing alert: clients cannot tell whether a body that ends with its connection is "
    "complete, and peers do not trust a half-close",
    upstream=(
        'not reported, but known to `TLSLayer.send_close` ("We should probably shutdown the TLS connection properly '
        'here"): `curl --http1.0 -kx` to an HTTPS server that sends no Content-Length: "unexpected eof while reading"'
    ),
    remove_when="`TLSLayer` sends a closing alert, except after a truncated message",
    test="tests/e2e/messages/test_ends.py::test_a_whole_answer_has_an_end",
    source_sha256={"12.2.1 to 12.3.1": "d9b1161f42db999295477ac867c64d5fb489bff6f0a167cab48c948d2d018d7a"},
    companions=(
        Companion(
            owner=TLSLayer,
            attribute="receive_close",
            wrap=_with_alert_on_receive,
            seen_on="12.2.1 to 12.3.1",
            why="the same when a connection to an origin is closed because its client has left; "
            "after a fatal alert, no end is noticed",
            test="tests/e2e/messages/test_ends.py::test_a_connection_of_no_more_use_has_an_end",
            source_sha256={"12.2.1 to 12.3.1": "244aa237c481fc55ecb5dcb2cc0f41020ce85190074d53d381507ccf8bf03379"},
        ),
    ),
)
