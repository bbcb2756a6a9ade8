"""The layer of an untouched tunnel. Tested with mitmproxy 12.2.

mitmproxy's `TCPLayer` either has a flow, and keeps every byte in memory, or has none, and is invisible to users. This
layer has a flow without bytes.

Code that relays the bytes without this layer, such as `connection/tunnel_takeover.py`, recognises it by
`is_passthrough`, and reports the bytes with `relayed`.
"""

import errno

from mitmproxy.connection import Connection, ConnectionState
from mitmproxy.proxy import events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.tcp import TcpEndHook, TcpErrorHook, TCPLayer, TcpStartHook

from proxy_policies.passthrough.tunnel import CLIENT, ENDED_BY_US, TARGET, Tunnel
from proxy_policies.patches import resets
from proxy_policies.relay import link


class TunnelLayer(TCPLayer):
    """Relays bytes in both directions. `shown` is the flow that users see; mitmproxy's own `flow` is None."""

    is_passthrough = True

    def __init__(self, context: Context, why: str) -> None:
        super().__init__(context, ignore=True)
        self.tunnel = Tunnel(client=context.client, server=context.server, why=why)
        self.shown = self.tunnel.make_flow()

    def relayed(self, from_client: bool, size: int) -> None:
        """Count bytes that were relayed, here or elsewhere."""
        (self.tunnel.add_up if from_client else self.tunnel.add_down)(size)

    def broken(self, by_client: bool, error: OSError) -> None:
        """Note that one side's connection failed, here or elsewhere."""
        self._note_error(link.broken_by(CLIENT if by_client else TARGET, error))

    def _note_error(self, error: str) -> None:
        """Note why the tunnel ends; the first reason is kept."""
        self.tunnel.error = self.tunnel.error or error

    def start(self, event: events.Start) -> CommandGenerator[None]:
        """Connect to the target, if not connected yet, and trigger the flow's hooks."""
        yield from super().start(event)
        self.tunnel.log_opening()
        yield TcpStartHook(self.shown)
        if self._handle_event == self.done:
            self._note_error(self.context.server.error or "no connection")
            self.tunnel.close(self.shown)
            yield TcpErrorHook(self.shown)

    _handle_event = start

    def relay_messages(self, event: events.Event) -> CommandGenerator[None]:
        """Relay bytes and half-closes."""
        if isinstance(event, events.DataReceived):
            self.relayed(event.connection is self.context.client, len(event.data))
        elif isinstance(event, events.ConnectionClosed):
            self._closed(event.connection)
        yield from super().relay_messages(event)
        if self._handle_event == self.done and self.shown.live:
            self.tunnel.close(self.shown)
            yield TcpEndHook(self.shown)

    def _closed(self, connection: Connection) -> None:
        """Note an error if a connection's end is not that of its stream: it was reset, or we closed it."""
        if resets.was_reset(connection, self.context):
            self.broken(connection == self.context.client, ConnectionResetError(errno.ECONNRESET, ""))
        elif connection != self.context.client or connection.state is not ConnectionState.CLOSED:
            return
        elif self._target_may_send():
            self._note_error(connection.error or ENDED_BY_US)

    def _target_may_send(self) -> bool:
        """Return whether the target has not ended its stream; if it had, we would close the client regularly."""
        return bool(self.context.server.state & ConnectionState.CAN_READ)
