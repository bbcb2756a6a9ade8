"""A WebSocket connection that broke is not said to have been closed (RFC 6455, section 7.1.5).

mitmproxy tells the other side that it was closed normally (1000) where no closing frame came.
"""

from mitmproxy.proxy import commands, events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import RequestData, ResponseData
from wsproto.frame_protocol import CloseReason

from proxy_policies.patches.patch import Section


class Breaking(HttpStream):
    """A request that may become a WebSocket connection."""

    def passthrough(self, event: events.Event) -> CommandGenerator[None]:
        """Carry events in and commands out; once the connection has broken nothing is said any more."""
        for command in super().passthrough(event):
            if not (_is_said(command) and self._is_broken):
                yield command

    @property
    def _is_broken(self) -> bool:
        socket = self.flow.websocket
        return socket is not None and socket.close_code == CloseReason.ABNORMAL_CLOSURE


def _is_said(command: commands.Command) -> bool:
    return isinstance(command, SendHttp) and isinstance(command.event, RequestData | ResponseData)


SECTION = Section(
    mixin=Breaking,
    why="a WebSocket connection that broke looks closed normally to the other side",
    upstream="not reported: kill a WebSocket server: its client is told 1000 (normal closure)",
    remove_when="mitmproxy sends no closing frame where none came",
    test="tests/e2e/messages/test_upgrades.py::test_a_websocket_that_broke_was_not_closed",
)
