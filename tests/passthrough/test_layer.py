"""The layer of an untouched tunnel."""

from collections.abc import Iterator

import pytest
from mitmproxy.connection import ConnectionState
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.commands import StartHook
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.tcp import TcpEndHook, TcpErrorHook, TcpStartHook
from mitmproxy.test import taddons, tflow

from proxy_policies.flows.flow_state import state_of
from proxy_policies.passthrough.layer import TunnelLayer


@pytest.fixture
def layer() -> Iterator[TunnelLayer]:
    with taddons.context() as context:
        context.master.addons.add(type("Proxyserver", (), {"name": "proxyserver", "connections": {}})())
        around = Context(tflow.tclient_conn(), context.options)
        around.client.state = ConnectionState.OPEN
        around.server = tflow.tserver_conn()
        around.server.state = ConnectionState.OPEN
        yield TunnelLayer(around, "not in inspect_hosts")


def given(layer: TunnelLayer, event: events.Event) -> list[commands.Command]:
    """Return what an event leads to; hooks that are waited for are through at once."""
    commanded = list(layer.handle_event(event))
    if commanded and isinstance(commanded[-1], StartHook) and commanded[-1].blocking:
        commanded += given(layer, events.HookCompleted(commanded[-1]))
    return commanded


def test_bytes_pass_and_are_counted_but_not_kept(layer: TunnelLayer) -> None:
    client, server = layer.context.client, layer.context.server
    assert [type(command) for command in given(layer, events.Start())] == [TcpStartHook]
    (sent,) = given(layer, events.DataReceived(client, b"up"))
    assert isinstance(sent, commands.SendData)
    assert (sent.connection, sent.data) == (server, b"up")
    given(layer, events.DataReceived(server, b"down!"))
    tunnel = state_of(layer.shown).tunnel
    assert tunnel is layer.tunnel
    assert (tunnel.up, tunnel.down, layer.shown.messages) == (2, 5, [])


def test_it_ends_when_both_sides_have(layer: TunnelLayer) -> None:
    given(layer, events.Start())
    for connection in (layer.context.client, layer.context.server):
        connection.state &= ~ConnectionState.CAN_READ
        done = given(layer, events.ConnectionClosed(connection))
    assert any(isinstance(command, TcpEndHook) for command in done)
    assert not layer.shown.live


def test_a_target_that_cannot_be_reached(layer: TunnelLayer) -> None:
    layer.context.server.state, layer.context.server.timestamp_start = ConnectionState.CLOSED, None
    (dial,) = given(layer, events.Start())
    assert isinstance(dial, commands.OpenConnection)
    layer.context.server.error = "refused"
    seen = given(layer, events.OpenConnectionCompleted(dial, "refused"))
    assert [type(command) for command in seen if isinstance(command, StartHook)] == [TcpStartHook, TcpErrorHook]
    assert layer.shown.error is not None
    assert layer.shown.error.msg == "refused"
