"""A body that is streamed by a late decision still goes through its pipeline.

`stream_large_bodies` decides when too much of a body has come, and addons behind all scripts may.
"""

from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import HttpStream

from proxy_policies import flow_state
from proxy_policies.patches.patch import Section
from proxy_policies.streaming import take_back


class StreamedLater(HttpStream):
    """A request and its response, which somebody has asked to be streamed."""

    def start_request_stream(self) -> CommandGenerator[None]:
        """Stream the request through its pipeline."""
        take_back(self.flow.request, flow_state.state_of(self.flow).request_body)
        yield from super().start_request_stream()

    def start_response_stream(self) -> CommandGenerator[None]:
        """Stream the response through its pipeline."""
        take_back(self.flow.response, flow_state.state_of(self.flow).response_body)
        yield from super().start_response_stream()


SECTION = Section(
    mixin=StreamedLater,
    why="a late decision to stream sends a body past its pipeline: not stored, not recorded",
    upstream=("not reported, a feature: `stream_large_bodies` overwrites a callable that an addon has set as `stream`"),
    remove_when="mitmproxy leaves a callable `stream` alone, or asks addons when it decides to stream",
    test="tests/e2e/messages/test_bodies.py::test_what_is_streamed_by_a_late_decision_is_stored_all_the_same",
)
