"""The side that speaks HTTP with a client is found, and timed out by an event that reaches it."""

import gc

import pytest
from mitmproxy.connection import Client
from mitmproxy.options import Options
from mitmproxy.proxy import commands, events, layers
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator, Layer
from mitmproxy.proxy.layers.http import HTTPMode

from proxy_policies.patches.client_sides import TimedOut, register, side_of, time_out, why_timed_out
from proxy_policies.waits import Waiting


class Side(Layer):
    """A layer that reads nothing."""

    is_tunnel = False

    def waiting(self) -> Waiting:
        raise NotImplementedError

    def is_full(self) -> bool:
        return False

    def unsent(self) -> int:
        return 0

    def _handle_event(self, event: events.Event) -> CommandGenerator[None]:
        yield from ()


@pytest.fixture
def client() -> Client:
    return Client(peername=("127.0.0.1", 1), sockname=("127.0.0.1", 2), timestamp_start=0)


def test_the_innermost_side_is_found_while_it_lives(client: Client) -> None:
    context = Context(client, Options())
    outer, inner = Side(context), Side(context)
    register(client, outer)
    assert side_of(client) is outer
    register(client, inner)
    assert side_of(client) is inner
    del outer, inner
    context.layers.clear()
    gc.collect()
    assert side_of(client) is None


def test_a_timeout_finds_its_way_through_each_http_layer(client: Client) -> None:
    """mitmproxy's HTTP layer passes a reply on to the child that its command came from."""
    context = Context(client, Options(http_connect_send_host_header=True))
    top = layers.HttpLayer(context, HTTPMode.regular)
    nested = layers.HttpLayer(context, HTTPMode.transparent)
    side = Side(context)
    event = time_out(side, "it was silent")
    assert why_timed_out(event) == "it was silent"
    assert isinstance(event, events.Wakeup)
    assert top.command_sources == {event.command: nested}
    assert nested.command_sources == {event.command: side}


def test_other_events_disconnect_no_client(client: Client) -> None:
    assert why_timed_out(events.Wakeup(commands.RequestWakeup(1))) == ""
    assert why_timed_out(events.DataReceived(client, b"x")) == ""
    assert TimedOut("x").delay == 0
