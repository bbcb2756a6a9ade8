"""Passes a cut connection on as cut: in TCP flows, tunnels, and protocols that HTTP was upgraded to.

mitmproxy ends the other side normally, so its peer takes what it received as complete.
"""

import functools
from collections.abc import Callable

from mitmproxy import flow
from mitmproxy.connection import Connection, ConnectionState
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.tcp import TcpEndHook, TCPLayer

from proxy_policies.patch import Companion
from proxy_policies.patches import resets
from proxy_policies.patches.back_pressure import MULTIPLEXED

Relay = Callable[[TCPLayer, events.Event], CommandGenerator[None]]


def _passing_resets_on(original: Relay) -> Relay:
    @functools.wraps(original)
    def relay_messages(layer: TCPLayer, event: events.Event) -> CommandGenerator[None]:
        if isinstance(event, events.ConnectionClosed) and layer.flow and (why := layer.context.client.error):
            layer.flow.error = flow.Error(why)
        if isinstance(event, events.ConnectionClosed) and (cut := _cut_connection(layer, event)):
            yield from _cut_off(layer, event, cut, original)
        else:
            yield from original(layer, event)

    return relay_messages


def _cut_connection(layer: TCPLayer, event: events.ConnectionClosed) -> Connection | None:
    """Return the connection that was cut, if any; if both have ended, the layer closes both at the first event."""
    for connection in (layer.context.client, layer.context.server):
        has_ended = connection is event.connection or not connection.state & ConnectionState.CAN_READ
        if has_ended and resets.was_cut(connection, layer.context):
            return connection
    return None


def _cut_off(
    layer: TCPLayer, event: events.ConnectionClosed, cut: Connection, original: Relay
) -> CommandGenerator[None]:
    """Signal that one side's data is incomplete: by a reset, or by TLS without an alert if that is how it ended."""
    client, server = layer.context.client, layer.context.server
    other = server if cut is client else client
    if resets.was_reset(cut, layer.context):
        yield from _break_off(layer, resets.reset)
    elif other.tls:
        resets.withhold_alert(other)
        yield from original(layer, event)
    else:
        yield from _break_off(layer, resets.cut)


def _break_off(layer: TCPLayer, break_connection: Callable[[Connection, Context], None]) -> CommandGenerator[None]:
    """Close both connections, by a reset where they carry nothing else."""
    layer._handle_event = layer.done
    for connection in (layer.context.client, layer.context.server):
        if connection.alpn not in MULTIPLEXED:
            break_connection(connection, layer.context)
        yield commands.CloseConnection(connection)
    if layer.flow:
        yield TcpEndHook(layer.flow)
        layer.flow.live = False


COMPANION = Companion(
    owner=TCPLayer,
    attribute="relay_messages",
    wrap=_passing_resets_on,
    seen_on="12.2.1 to 12.3.1",
    why="data cut off by a reset, or without TLS's closing alert, looks complete to the other side of a TCP flow",
    test="tests/e2e/passthrough/test_resets.py::test_flows_of_bytes",
    source_sha256={"12.2.1 to 12.3.1": "3b3d49a9f63b7d4097fe86a26ee72020605693116c3a6a2874c62ed2422ce660"},
)
