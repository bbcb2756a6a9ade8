"""Which connections are at work, by mitmproxy's own layers."""

from typing import Any

import pytest
from mitmproxy.connection import Client
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import HttpLayer, TCPLayer, WebsocketLayer
from mitmproxy.proxy.layers.http import HTTPMode, HttpStream
from mitmproxy.proxy.layers.modes import HttpProxy
from mitmproxy.test.tflow import twebsocketflow

from proxy_policies.signals.flows import are_in_use


@pytest.fixture
def context() -> Context:
    """Return what a new connection of a client has."""
    return Context(Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=0), Options())


def http(context: Context) -> HttpLayer:
    HttpProxy(context)
    return HttpLayer(context, HTTPMode.regular)


def tunnel(context: Context) -> Any:
    """Return the stream of a CONNECT on a connection that speaks HTTP."""
    layer = http(context)
    stream = layer.streams[1] = HttpStream(context.fork(), 1)
    return stream


def test_a_client_that_has_said_nothing(context: Context) -> None:
    HttpProxy(context)
    assert not are_in_use(context.layers)


def test_http(context: Context) -> None:
    layer = http(context)
    assert not are_in_use(context.layers)
    layer.streams[1] = HttpStream(context.fork(), 1)
    assert are_in_use(context.layers)


def test_a_relay(context: Context) -> None:
    TCPLayer(context, ignore=True)
    assert are_in_use(context.layers)


def test_a_tunnel_is_at_work_if_what_is_in_it_is(context: Context) -> None:
    stream = tunnel(context)
    inside = HttpLayer(stream.context, HTTPMode.transparent)
    assert not are_in_use(context.layers)
    inside.streams[1] = HttpStream(stream.context.fork(), 1)
    assert are_in_use(context.layers)


@pytest.mark.parametrize("relay", ["tcp", "websocket"])
def test_a_relay_in_a_tunnel(context: Context, relay: str) -> None:
    stream = tunnel(context)
    if relay == "tcp":
        TCPLayer(stream.context, ignore=True)
    else:
        WebsocketLayer(stream.context, twebsocketflow())
    assert are_in_use(context.layers)
