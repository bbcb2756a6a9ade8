"""The layer of an untouched tunnel. Tested with mitmproxy 12.2.

mitmproxy's `TCPLayer` either has a flow, and keeps every byte in memory, or has none, and is invisible to users. This
layer has a flow without bytes.

Code that relays the bytes without this layer, such as `connection/tunnel_takeover.py`, recognises it by
`is_passthrough`, and reports the bytes with `relayed`.
"""

import errno
import time
from dataclasses import dataclass

from mitmproxy import flow as flows
from mitmproxy import tcp
from mitmproxy.connection import Client, Connection, ConnectionState, Server
from mitmproxy.proxy import commands, events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.tcp import TcpEndHook, TcpErrorHook, TCPLayer, TcpStartHook
from mitmproxy.utils import human

from proxy_policies.addresses import format_target
from proxy_policies.flows.flow_state import state_of
from proxy_policies.passthrough.tunnel import CLIENT, ENDED_BY_US, TARGET, Tunnel
from proxy_policies.patches import resets
from proxy_policies.relay import link


def tunnel_of(flow: tcp.TCPFlow) -> Tunnel | None:
    """Return the tunnel of a flow; None for other TCP flows."""
    tunnel = state_of(flow).tunnel
    return tunnel if isinstance(tunnel, Tunnel) else None


@dataclass(frozen=True, slots=True)
class TunnelFlow:
    """The flow that users see, and its tunnel."""

    flow: tcp.TCPFlow
    tunnel: Tunnel

    def note_error(self, error: str) -> None:
        """Note the error with which the tunnel ended, "" for none; the first one is kept."""
        if error and self.flow.error is None:
            self.flow.error = flows.Error(error)


def make_tunnel_flow(client: Client, server: Server, why: str) -> TunnelFlow:
    """Return a new flow for an untouched tunnel; `why` says why it is untouched."""
    flow = tcp.TCPFlow(client, server, live=True)
    host, port, *_ = server.address or ("unknown", 0)
    tunnel = Tunnel(human.format_address(client.peername), format_target(host, port), why, time.time())
    state_of(flow).tunnel = tunnel
    return TunnelFlow(flow, tunnel)


class TunnelLayer(TCPLayer):
    """Relays bytes in both directions. `shown` is the flow that users see; mitmproxy's own `flow` is None."""

    is_passthrough = True

    def __init__(self, context: Context, why: str) -> None:
        super().__init__(context, ignore=True)
        made = make_tunnel_flow(context.client, context.server, why)
        self.shown, self.tunnel, self._note_error = made.flow, made.tunnel, made.note_error

    def relayed(self, from_client: bool, size: int) -> None:
        """Count bytes that were relayed, here or elsewhere."""
        self.tunnel.count(from_client, size)

    def broken(self, by_client: bool, error: OSError) -> None:
        """Note that one side's connection failed, here or elsewhere."""
        self._note_error(link.broken_by(CLIENT if by_client else TARGET, error))

    def start(self, event: events.Start) -> CommandGenerator[None]:
        """Connect to the target, if not connected yet, and trigger the flow's hooks."""
        yield from super().start(event)
        yield TcpStartHook(self.shown)
        if self._handle_event == self.done:
            self.shown.error = flows.Error(self.context.server.error or "no connection")
            self.shown.live = False
            yield TcpErrorHook(self.shown)

    _handle_event = start

    def relay_messages(self, event: events.Event) -> CommandGenerator[None]:
        """Relay bytes and half-closes."""
        if isinstance(event, events.DataReceived):
            client, server = self.context.client, self.context.server
            from_client = event.connection is client
            self.relayed(from_client, len(event.data))
            yield commands.SendData(server if from_client else client, event.data)
            return
        if isinstance(event, events.ConnectionClosed):
            self._closed(event.connection)
        yield from super().relay_messages(event)
        if self._handle_event == self.done and self.shown.live:
            self.shown.live = False
            yield TcpEndHook(self.shown)

    def _closed(self, connection: Connection) -> None:
        """Note an error if a connection's end is not that of its stream: it was reset, or we closed it."""
        if resets.was_reset(connection, self.context):
            self.broken(connection == self.context.client, ConnectionResetError(errno.ECONNRESET, ""))
        elif connection != self.context.client or connection.state is not ConnectionState.CLOSED:
            return
        elif self._target_may_send():
            self._note_error(ENDED_BY_US)

    def _target_may_send(self) -> bool:
        """Return whether the target has not ended its stream; if it had, we would close the client regularly."""
        return bool(self.context.server.state & ConnectionState.CAN_READ)
