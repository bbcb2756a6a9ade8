"""An exchange whose client has left goes on while others wait for its response (`exchange.wanted`).

mitmproxy ends an exchange, and the connection to its origin, with the client that asked.
"""

from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers import http as layers
from mitmproxy.proxy.layers.http._events import RequestProtocolError, ResponseProtocolError

from proxy_policies import flow_state, trace
from proxy_policies.patches.patch import Section


class Outliving(layers.HttpStream):
    """A request and its response."""

    _has_left = False

    def handle_protocol_error(self, event: RequestProtocolError | ResponseProtocolError) -> CommandGenerator[None]:
        """Take no notice of a client that leaves, while its response is wanted."""
        if isinstance(event, RequestProtocolError) and self._goes_on:
            if not self._has_left:
                trace.note(self.flow, "cache", "goes on", "the client left, and others wait for the response")
            self._has_left = True
            return
        yield from super().handle_protocol_error(event)

    def check_killed(self, emit_error_hook: bool) -> CommandGenerator[bool]:
        """Likewise, where it left while a hook was at work."""
        return _not_killed() if self._goes_on and not self.flow.error else super().check_killed(emit_error_hook)

    @property
    def _goes_on(self) -> bool:
        wanted = flow_state.state_of(self.flow).wanted
        return wanted is not None and self.client_state == self.state_done and wanted()


def _not_killed() -> CommandGenerator[bool]:
    yield from ()
    return False


SECTION = Section(
    mixin=Outliving,
    why="a client that leaves takes away the response that others wait for",
    upstream=(
        "not reported, a feature: without it the exchange that a crowd follows ends with the client that asked first"
    ),
    remove_when="mitmproxy lets an addon keep an exchange going whose client has left",
    test="tests/e2e/cache/test_collapsing.py::test_a_leader_that_resets_its_connection_takes_nothing_away",
)
