"""A request and its response, in place of mitmproxy's `HttpStream`: each of its sections does one thing otherwise."""

from mitmproxy.proxy.layers import http as layers

from proxy_policies.patches.generators import in_place_of
from proxy_policies.patches.http_stream import (
    answers,
    flushing,
    half_close,
    interim,
    leaving_clients,
    noted_host,
    redialling,
    reporting,
    retry,
    stored_bodies,
    streamed_later,
    upstream_connect,
    websocket_ends,
    websocket_responder,
    websocket_turns,
)
from proxy_policies.patches.patch import Patch


class HttpExchange(
    reporting.Reporting,
    leaving_clients.Outliving,
    flushing.Flushing,
    retry.Retrying,
    upstream_connect.ConnectsFirst,
    half_close.HalfClosing,
    answers.Answers,
    stored_bodies.StoredBodies,
    streamed_later.StreamedLater,
    interim.PassingOn,
    noted_host.Noting,
    redialling.Redialling,
    websocket_responder.PlayedWebSockets,
    websocket_ends.Ending,
    websocket_turns.TakingTurns,
    layers.HttpStream,
):
    """A request and its response. The first is outermost."""


PATCH = Patch(
    owner=layers,
    attribute="HttpStream",
    wrap=in_place_of(HttpExchange),
    seen_on="12.2.1 to 12.3.1",
    why="what happens between a request and its response is otherwise than it should be, or closed to addons",
    upstream="see its sections",
    remove_when="its last section goes",
    test=retry.SECTION.test,
    source_sha256={"12.2.1 to 12.3.1": "7a1f2f6e3b4f7a65d10bda7d1856dafc4c9053d7db8beca2f23c7664a47e87fc"},
    sections=(
        reporting.SECTION,
        leaving_clients.SECTION,
        flushing.SECTION,
        retry.SECTION,
        upstream_connect.SECTION,
        half_close.SECTION,
        answers.SECTION,
        stored_bodies.SECTION,
        streamed_later.SECTION,
        interim.SECTION,
        noted_host.SECTION,
        redialling.SECTION,
        websocket_responder.SECTION,
        websocket_ends.SECTION,
        websocket_turns.SECTION,
    ),
)
