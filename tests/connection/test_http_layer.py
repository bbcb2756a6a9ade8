"""The layer before HTTP: where it is put, and when it asks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy.connection import Client, ConnectionState, Server
from mitmproxy.options import Options
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import Layer
from mitmproxy.proxy.layers.http import HttpLayer, HTTPMode
from mitmproxy.proxy.layers.tcp import TCPLayer
from mitmproxy.proxy.layers.tls import ClientTLSLayer, ServerTLSLayer
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.proxy.server import ConnectionIO

from proxy_policies.connection.http_layer import (
    HttpConnectionHook,
    LayeredHttp,
    PolicyHttpLayer,
    has_layers_around,
    put_before_http,
)
from proxy_policies.exchange.origin_connections import Destination
from proxy_policies.patches import resets


@pytest.fixture
def context() -> Context:
    client = Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), state=ConnectionState.OPEN)
    context = Context(client, Options())
    context.server = Server(address=("a.test", 443))
    return context


def yes(_: LayeredHttp) -> bool:
    return True


def no(_: LayeredHttp) -> bool:
    return False


class Http(HttpLayer):
    """Notes the events that reach mitmproxy's layer."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, HTTPMode.transparent)
        self.seen: list[Any] = []

    def handle_event(self, event: events.Event) -> Any:
        self.seen.append(event.data if isinstance(event, events.DataReceived) else type(event).__name__)
        yield from ()


def test_where_it_is_put(context: Context) -> None:
    made = put_before_http(HttpLayer(context, HTTPMode.transparent), yes)
    assert isinstance(made, PolicyHttpLayer)
    assert [type(layer) for layer in context.layers] == [HttpLayer]


@pytest.mark.parametrize("kinds", [(ClientTLSLayer,), (ServerTLSLayer, ClientTLSLayer), (ServerTLSLayer,)])
def test_where_it_is_put_in_tls(context: Context, kinds: tuple[type[Any], ...]) -> None:
    context.layers.append(TCPLayer(context))  # TLS wants to know what is above
    layers: list[Any] = [kind(context) for kind in kinds]
    for above, below in zip(layers, [*layers[1:], HttpLayer(context, HTTPMode.transparent)], strict=True):
        above.child_layer = below
    assert put_before_http(layers[0], yes) is layers[0]
    assert isinstance(layers[-1].child_layer, PolicyHttpLayer)


@pytest.mark.parametrize(
    ("mode", "transport", "around", "expected"),
    [
        ("regular", "tcp", 1, False),
        ("regular", "tcp", 3, True),
        ("socks5", "tcp", 1, True),
        ("regular", "udp", 3, False),
    ],
)
def test_what_is_around(context: Context, mode: str, transport: Any, around: int, expected: bool) -> None:
    context.client.proxy_mode, context.client.transport_protocol = ProxyMode.parse(mode), transport
    for _ in range(around):
        TCPLayer(context)
    assert has_layers_around(context, HttpLayer(context, HTTPMode.transparent)) is expected


def test_other_protocols_are_left_alone(context: Context) -> None:
    tcp: Layer = TCPLayer(context)
    assert put_before_http(tcp, yes) is tcp


def received(context: Context, data: bytes) -> events.DataReceived:
    return events.DataReceived(context.client, data)


@pytest.mark.parametrize("wanted", [yes, no])
def test_what_mitmproxy_gets(context: Context, wanted: Any) -> None:
    http = Http(context)
    layer = PolicyHttpLayer(http, wanted)
    asked = list(layer.handle_event(events.Start()))
    if wanted is yes:
        (hook,) = asked
        assert isinstance(hook, HttpConnectionHook)
        assert not list(layer.handle_event(received(context, b"one")))
        given: list[bytes | None] = []
        hook.data.feed = given.append
        assert not list(layer.handle_event(received(context, b"two")))
        assert (bytes(hook.data.said), given) == (b"one", [b"two"])
        hook.data.end(b"the rest")
        assert not list(layer.handle_event(received(context, b" of it")))
        assert not list(layer.handle_event(events.ConnectionClosed(context.server)))
        assert not list(layer.handle_event(events.HookCompleted(hook)))
        assert http.seen == ["Start", b"the rest of it", "ConnectionClosed"]
    else:
        assert (asked, http.seen) == ([], ["Start"])
    assert not list(layer.handle_event(received(context, b"more")))
    assert http.seen[-1] == b"more"


def test_a_client_that_has_left(context: Context) -> None:
    http = Http(context)
    layer = PolicyHttpLayer(http, yes)
    (hook,) = layer.handle_event(events.Start())
    assert isinstance(hook, HttpConnectionHook)
    hook.data.end(None)
    (closing,) = layer.handle_event(events.HookCompleted(hook))
    assert isinstance(closing, commands.CloseConnection)
    assert not list(layer.handle_event(events.ConnectionClosed(context.client)))
    assert http.seen == []


@pytest.mark.parametrize("error", [None, ConnectionResetError()], ids=["ended", "reset"])
def test_an_end_of_a_client(context: Context, error: Exception | None) -> None:
    """A broken connection can be distinguished from one that has ended."""
    layer = PolicyHttpLayer(Http(context), yes)
    (hook,) = layer.handle_event(events.Start())
    assert isinstance(hook, HttpConnectionHook)
    given: list[bytes | None] = []
    hook.data.feed = given.append
    reader: Any = SimpleNamespace(exception=lambda: error)
    with resets.registered(context.client, ConnectionIO(None, reader, None)):
        list(layer.handle_event(events.ConnectionClosed(context.client)))
    assert given == [b"" if error is None else None]


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], HTTPMode, bool]] = {
    "plain": ({}, {}, HTTPMode.transparent, True),
    "a proxy": ({}, {}, HTTPMode.regular, True),
    "a proxy behind another": ({}, {}, HTTPMode.upstream, False),
    "HTTP/1.1": ({"alpn": b"http/1.1"}, {}, HTTPMode.transparent, True),
    "HTTP/2": ({"alpn": b"h2"}, {}, HTTPMode.transparent, False),
    "HTTP/2 to the origin": ({}, {"state": ConnectionState.OPEN, "alpn": b"h2"}, HTTPMode.transparent, False),
    "an origin through another proxy": ({}, {"via": ("http", ("b.test", 1))}, HTTPMode.transparent, False),
    "TLS to the origin is to come": ({}, {"state": ConnectionState.OPEN, "tls": True}, HTTPMode.transparent, False),
    "TLS that nobody made": ({"tls": True}, {}, HTTPMode.transparent, False),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_plain(context: Context, case: str) -> None:
    client, server, mode, expected = CASES[case]
    for connection, values in ((context.client, client), (context.server, server)):
        for name, value in values.items():
            setattr(connection, name, value)
    assert LayeredHttp(context, mode).is_plain is expected


def test_where_requests_go(context: Context) -> None:
    assert LayeredHttp(context, HTTPMode.transparent).destination == Destination("http", "a.test", 443)
    context.server.tls = True
    assert LayeredHttp(context, HTTPMode.transparent).destination == Destination("https", "a.test", 443)
    assert LayeredHttp(context, HTTPMode.regular).destination is None
