"""How WebSocket connections end (RFC 6455, section 7).

mitmproxy tells the other side that one was closed normally (1000) where it broke without a closing frame. And where it
closes one itself, for a fault or a message too big, it closes the socket at once, on a client that is still sending.
"""

from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import ErrorCode, RequestData, ResponseData, ResponseProtocolError
from mitmproxy.proxy.layers.websocket import WebsocketLayer
from wsproto.connection import ConnectionState
from wsproto.frame_protocol import CloseReason

from proxy_policies.patches import resets
from proxy_policies.patches.lingering import LeaveTaking
from proxy_policies.patches.patch import Section


class Ending(HttpStream):
    """A request that may become a WebSocket connection."""

    def passthrough(self, event: events.Event) -> CommandGenerator[None]:
        """Carry events in and commands out; once the connection has broken nothing is said any more."""
        for command in super().passthrough(event):
            if _is_end(command) and self._is_closed_by_us:
                yield SendHttp(LeaveTaking(self.stream_id, "EOF", ErrorCode.PASSTHROUGH_CLOSE), self.context.client)
            elif not self._is_broken:
                yield command
            elif not _is_said(command):
                if isinstance(command, SendHttp):
                    resets.withhold_alert(command.connection)
                yield command

    @property
    def _is_closed_by_us(self) -> bool:
        """Return whether both sides were sent a closing frame, and neither has sent one."""
        layer = self.child_layer
        if not isinstance(layer, WebsocketLayer):
            return False
        return all(side.state is ConnectionState.LOCAL_CLOSING for side in (layer.client_ws, layer.server_ws))

    @property
    def _is_broken(self) -> bool:
        socket = self.flow.websocket
        return socket is not None and socket.close_code == CloseReason.ABNORMAL_CLOSURE


def _is_end(command: commands.Command) -> bool:
    return isinstance(command, SendHttp) and isinstance(command.event, ResponseProtocolError)


def _is_said(command: commands.Command) -> bool:
    return isinstance(command, SendHttp) and isinstance(command.event, RequestData | ResponseData)


SECTION = Section(
    mixin=Ending,
    why="a WebSocket connection that broke looks closed normally to the other side; why one is closed is not read",
    upstream="not reported: kill a WebSocket server: its client is sent 1000 (normal closure)",
    remove_when="mitmproxy sends no closing frame where none came",
    test="tests/e2e/messages/test_upgrades.py::test_a_websocket_that_broke_was_not_closed",
)
