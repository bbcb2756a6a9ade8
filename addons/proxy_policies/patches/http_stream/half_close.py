"""Keeping the half-close of a tunnel: one side has said all it has to say, and goes on listening.

mitmproxy makes a full close of it inside CONNECT and after an upgrade, and what the other side still says is lost.
"""

from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import TCPLayer
from mitmproxy.proxy.layers import http as layers
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    RequestData,
    RequestEndOfMessage,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseProtocolError,
)

from proxy_policies.patches.patch import Section


class HalfClosing(layers.HttpStream):
    """A request, which may become a tunnel."""

    def passthrough(self, event: events.Event) -> CommandGenerator[None]:
        """Carry events into a tunnel's layers, and their commands out: a half-close stays one."""
        is_upgrade = isinstance(self.child_layer, TCPLayer)
        if self.child_layer is None or not (is_upgrade or self.flow.request.method.upper() == "CONNECT"):
            yield from super().passthrough(event)
            return
        for command in self.child_layer.handle_event(self._in_tunnel(event)):
            yield self._out_of_tunnel(command, is_upgrade)

    def _in_tunnel(self, event: events.Event) -> events.Event:
        if isinstance(event, RequestData):
            return events.DataReceived(self.context.client, event.data)
        if isinstance(event, RequestEndOfMessage):
            return events.ConnectionClosed(self.context.client)
        if isinstance(event, ResponseData):
            return events.DataReceived(self.context.server, event.data)
        if isinstance(event, ResponseEndOfMessage):
            return events.ConnectionClosed(self.context.server)
        return event

    def _out_of_tunnel(self, command: commands.Command, is_upgrade: bool) -> commands.Command:
        is_half = isinstance(command, commands.CloseTcpConnection) and command.half_close
        if is_half or not isinstance(command, commands.ConnectionCommand):
            return command
        if command.connection != self.context.client:
            return self._to_server(command) if is_upgrade else command
        if isinstance(command, commands.SendData):
            return layers.SendHttp(ResponseData(self.stream_id, command.data), command.connection)
        if isinstance(command, commands.CloseConnection):
            end = ResponseProtocolError(self.stream_id, "EOF", ErrorCode.PASSTHROUGH_CLOSE)
            return layers.SendHttp(end, command.connection)
        return command

    def _to_server(self, command: commands.ConnectionCommand) -> commands.Command:
        """Send by the HTTP connection that was upgraded."""
        if isinstance(command, commands.SendData):
            return layers.SendHttp(RequestData(self.stream_id, command.data), command.connection)
        if isinstance(command, commands.CloseConnection):
            end = RequestProtocolError(self.stream_id, "EOF", ErrorCode.PASSTHROUGH_CLOSE)
            return layers.SendHttp(end, command.connection)
        return command


SECTION = Section(
    mixin=HalfClosing,
    why="a half-closed tunnel loses what the other side still says",
    upstream=(
        'not reported, but known to `HttpStream.passthrough` ("just always full close for now"): shut down '
        "one's half of a CONNECT tunnel, and read on"
    ),
    remove_when="`HttpStream.passthrough` passes a half-close on",
    test="tests/e2e/passthrough/test_connect.py::test_a_half_close_stays_one",
)
