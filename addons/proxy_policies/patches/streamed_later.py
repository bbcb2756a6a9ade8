"""A body that is streamed by a late decision still goes through its pipeline.

`stream_large_bodies` decides when too much of a body has come, and addons behind all scripts may.
"""

import functools
from collections.abc import Callable

from mitmproxy import http
from mitmproxy.proxy.layer import CommandGenerator
from mitmproxy.proxy.layers.http import HttpStream

from proxy_policies import flow_state
from proxy_policies.body import Pipeline
from proxy_policies.patches.patch import Patch
from proxy_policies.streaming import Stream, attach


def take_back(message: http.Message | None, pipeline: Pipeline) -> None:
    """Make the pipeline the stream of a message that somebody has asked to be streamed."""
    if message is not None and message.stream and not isinstance(message.stream, Stream):
        attach(message, pipeline)


def _request(
    original: Callable[[HttpStream], CommandGenerator[None]],
) -> Callable[[HttpStream], CommandGenerator[None]]:
    @functools.wraps(original)
    def start_request_stream(self: HttpStream) -> CommandGenerator[None]:
        take_back(self.flow.request, flow_state.state_of(self.flow).request_body)
        yield from original(self)

    return start_request_stream


def _response(
    original: Callable[[HttpStream], CommandGenerator[None]],
) -> Callable[[HttpStream], CommandGenerator[None]]:
    @functools.wraps(original)
    def start_response_stream(self: HttpStream) -> CommandGenerator[None]:
        take_back(self.flow.response, flow_state.state_of(self.flow).response_body)
        yield from original(self)

    return start_response_stream


WHY = "a late decision to stream would send a body past its pipeline: not stored, nor recorded"

PATCHES = (
    Patch(owner=HttpStream, attribute="start_request_stream", wrap=_request, versions="12.2", why=WHY),
    Patch(owner=HttpStream, attribute="start_response_stream", wrap=_response, versions="12.2", why=WHY),
)
