"""WebSocket frames are worked off in portions, too: a client or server may send thousands of tiny ones at once."""

from mitmproxy.proxy import events
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import HttpStream
from mitmproxy.proxy.layers.websocket import WebsocketLayer

from proxy_policies.patches.patch import Section
from proxy_policies.patches.turns import take_turn

PER_PORTION = 16
"""Messages, pings and what is made of them in one turn of the event loop: some milliseconds."""


class TakingTurns(HttpStream):
    """A request that may become a WebSocket connection."""

    _passed = 0
    """Events and commands of the WebSocket connection since its last turn."""

    def passthrough(self, event: events.Event) -> CommandGenerator[None]:
        """Carry events in and commands out; after so many of them others go first."""
        if not isinstance(self.child_layer, WebsocketLayer):
            yield from super().passthrough(event)
            return
        yield from self._count()
        for command in super().passthrough(event):
            yield command
            yield from self._count()

    def _count(self) -> CommandGenerator[None]:
        self._passed += 1
        if self._passed >= PER_PORTION:
            self._passed = 0
            yield from take_turn(self.context.client)


SECTION = Section(
    mixin=TakingTurns,
    why="thousands of tiny WebSocket frames that come at once keep everybody else waiting",
    upstream="not reported: send 60 000 pings at once over a WebSocket connection, and ask for a page beside it",
    remove_when="mitmproxy bounds what it does of a connection's bytes in one turn of the event loop",
    test="tests/e2e/limits/test_fairness.py::test_tiny_websocket_frames_leave_others_their_turn",
)
