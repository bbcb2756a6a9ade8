"""The closing alert of mitmproxy's TLS, in memory."""

import contextlib
from typing import Any

import pytest
import trustme
from mitmproxy.options import Options
from mitmproxy.proxy import commands
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.tls import ServerTLSLayer
from mitmproxy.test import tflow
from OpenSSL import SSL

from proxy_policies.patches import closing_alerts, resets


@pytest.fixture
def made(ca: trustme.CA) -> tuple[Any, SSL.Connection]:
    """Return a layer whose TLS stands, and what its peer has of it."""
    ours, theirs = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD)), SSL.Context(SSL.TLS_SERVER_METHOD)
    ca.issue_cert("localhost").configure_cert(theirs)
    peer = SSL.Connection(theirs)
    ours.set_connect_state()
    peer.set_accept_state()
    for _ in range(4):
        for one, other in ((ours, peer), (peer, ours)):
            with contextlib.suppress(SSL.WantReadError):
                one.do_handshake()
            move(one, other)
    layer = ServerTLSLayer(Context(tflow.tclient_conn(), Options()))
    layer.tls = ours
    return layer, peer


def move(one: SSL.Connection, other: SSL.Connection) -> None:
    with contextlib.suppress(SSL.WantReadError):
        other.bio_write(one.bio_read(65536))


def closed(layer: Any, peer: SSL.Connection) -> bool:
    """Close it, and return whether the peer got a closing alert."""
    close = closing_alerts.PATCH.wrap(type(layer).send_close)
    for command in close(layer, commands.CloseConnection(layer.conn)):
        if isinstance(command, commands.SendData):
            peer.bio_write(command.data)
    try:
        peer.recv(100)
    except SSL.ZeroReturnError:
        return True
    except SSL.WantReadError:
        return False
    raise AssertionError("something was said")


def test_it_is_said_once(made: tuple[Any, SSL.Connection]) -> None:
    layer, peer = made
    assert closed(layer, peer)
    close = closing_alerts.PATCH.wrap(type(layer).send_close)
    assert [type(command) for command in close(layer, commands.CloseConnection(layer.conn))] == [
        commands.CloseConnection
    ]


def test_what_a_layer_says_after_it_ends_nothing(made: tuple[Any, SSL.Connection]) -> None:
    """HTTP/2 says that a stream is reset on a connection that was closed in the same turn."""
    layer, peer = made
    assert closed(layer, peer)
    assert [type(command) for command in layer.send_data(b"more")] == [commands.SendData]


def test_what_is_cut_has_none(made: tuple[Any, SSL.Connection]) -> None:
    layer, peer = made
    resets.withhold_alert(layer.conn)
    assert not closed(layer, peer)


def test_a_handshake_that_is_not_over(made: tuple[Any, SSL.Connection]) -> None:
    layer, peer = made
    layer.tls = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD))
    layer.tls.set_connect_state()
    assert not closed(layer, peer)
