"""The layer of an untouched tunnel. Tried on mitmproxy 12.2.

A `TCPLayer` that keeps a flow keeps every byte of it in memory, and one that keeps
none is not to be seen. This one shows a flow and stores nothing in it.

Whoever carries the bytes past this layer (`connection/tunnel_takeover.py` does) finds `is_passthrough`
on it, and reports the bytes by `relayed`.
"""

import errno
import time
from dataclasses import dataclass

from mitmproxy import flow as flows
from mitmproxy import tcp
from mitmproxy.connection import Client, Connection, ConnectionState, Server
from mitmproxy.proxy import events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.tcp import TcpEndHook, TcpErrorHook, TCPLayer, TcpStartHook
from mitmproxy.utils import human

from proxy_policies.addresses import format_target
from proxy_policies.flow_state import state_of
from proxy_policies.passthrough.tunnel import CLIENT, ENDED_BY_US, TARGET, Tunnel
from proxy_policies.patches import resets
from proxy_policies.relay import link


def tunnel_of(flow: tcp.TCPFlow) -> Tunnel | None:
    """Return the tunnel that a flow shows; None for every other TCP flow."""
    tunnel = state_of(flow).tunnel
    return tunnel if isinstance(tunnel, Tunnel) else None


@dataclass(frozen=True, slots=True)
class TunnelFlow:
    """The flow that users see of a tunnel, and the tunnel."""

    flow: tcp.TCPFlow
    tunnel: Tunnel

    def broke_off(self, why: str) -> None:
        """Take note why it ended before its ends did ("": they did); the first reason counts."""
        if why and self.flow.error is None:
            self.flow.error = flows.Error(why)


def make_tunnel_flow(client: Client, server: Server, why: str) -> TunnelFlow:
    """Make the flow that shows an untouched tunnel."""
    flow = tcp.TCPFlow(client, server, live=True)
    host, port, *_ = server.address or ("unknown", 0)
    tunnel = Tunnel(human.format_address(client.peername), format_target(host, port), why, time.time())
    state_of(flow).tunnel = tunnel
    return TunnelFlow(flow, tunnel)


class TunnelLayer(TCPLayer):
    """Passes bytes on both ways. `shown` is the flow that users see; mitmproxy's own `flow` is None."""

    is_passthrough = True

    def __init__(self, context: Context, why: str) -> None:
        super().__init__(context, ignore=True)
        made = make_tunnel_flow(context.client, context.server, why)
        self.shown, self.tunnel, self._broke_off = made.flow, made.tunnel, made.broke_off

    def relayed(self, from_client: bool, size: int) -> None:
        """Take note of bytes that went through, here or elsewhere."""
        self.tunnel.count(from_client, size)

    def broken(self, by_client: bool, error: OSError) -> None:
        """Take note that one side's connection broke, here or elsewhere."""
        self._broke_off(link.broken_by(CLIENT if by_client else TARGET, error))

    def start(self, event: events.Start) -> CommandGenerator[None]:
        """Connect, if that is still to be done, and show the tunnel."""
        yield from super().start(event)
        yield TcpStartHook(self.shown)
        if self._handle_event == self.done:
            self.shown.error = flows.Error(self.context.server.error or "no connection")
            self.shown.live = False
            yield TcpErrorHook(self.shown)

    _handle_event = start

    def relay_messages(self, event: events.Event) -> CommandGenerator[None]:
        """Pass bytes and half-closes on."""
        if isinstance(event, events.DataReceived):
            self.relayed(event.connection == self.context.client, len(event.data))
        elif isinstance(event, events.ConnectionClosed):
            self._closed(event.connection)
        yield from super().relay_messages(event)
        if self._handle_event == self.done and self.shown.live:
            self.shown.live = False
            yield TcpEndHook(self.shown)

    def _closed(self, connection: Connection) -> None:
        """Take note of what a connection's end is if it is none of the stream."""
        if resets.was_reset(connection, self.context):
            self.broken(connection == self.context.client, ConnectionResetError(errno.ECONNRESET, ""))
        elif connection == self.context.client and connection.state is ConnectionState.CLOSED and self._is_heard():
            self._broke_off(ENDED_BY_US)

    def _is_heard(self) -> bool:
        """Return whether the target may still say something: otherwise a client is closed because both have ended."""
        return bool(self.context.server.state & ConnectionState.CAN_READ)
