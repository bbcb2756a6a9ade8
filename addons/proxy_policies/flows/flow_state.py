"""What policies know about a flow while it is live.

Policies that must not import each other share data here: the cache stores the encoded variants for encoding, hops
stores the fields as received for capture. None of it is saved with the flow.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from mitmproxy import http
from mitmproxy.flow import Flow

from proxy_policies import trace
from proxy_policies.body import Pipeline, Tap
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.fields import NO_FIELDS, Fields, fields_of
from proxy_policies.flows.request_summary import RequestSummary


class OriginHead(NamedTuple):
    """A response head as the origin sent it."""

    status: int
    reason: str
    fields: Fields
    http_version: str


class Source(Protocol):
    """A response body that is not in memory, read piece by piece at the client's pace."""

    async def read(self) -> bytes:
        """Return the next piece, b"" at the end; raises OSError if reading fails."""

    async def close(self) -> None:
        """Release it, whether or not it was read to the end."""


class BacklogBody(Protocol):
    """The part of a response that waits for a client slower than others who want it."""

    def feed(self, data: bytes) -> None:
        """Queue data to be sent; never waits."""

    def finish(self) -> None:
        """Accept no more data."""


class EncodedBody(Protocol):
    """One encoded form of a stored response."""

    size: int

    async def read(self) -> bytes | None:
        """Return all of it; None if it cannot be read."""

    def source(self) -> Source:
        """Return a source that reads it in pieces."""


class Variants(Protocol):
    """The encoded forms of one stored response, kept beside its identity form."""

    async def find(self, coding: str) -> EncodedBody | None:
        """Open an encoded form; None if it is not kept."""

    def keep(self, coding: str) -> Tap | None:
        """Return the tap that keeps the encoder's output; None if it is not worth keeping."""


class TunnelBytes(Protocol):
    """Bytes of payload that a tunnel has carried so far."""

    up: int
    down: int


@dataclass(slots=True, eq=False)
class FlowState:
    """One request and its response, as our policies see them."""

    received: Fields | None = None
    """The request's fields as the client sent them."""
    origin: OriginHead | None = None
    """None if the response is not from an origin connection: a hit, map_local, another addon."""
    request_pipeline: Pipeline | None = None
    """What the request's body passes through; None as long as no policy has asked for `request_body`."""
    response_pipeline: Pipeline | None = None
    hit: bool = False
    """The cache answered."""
    replayed: bool = False
    """A capture answered: the exchange must not be recorded again."""
    early_request: Tap | None = None
    """Sees the body of a request that is answered before it is complete, which no hook would see."""
    needs_full_body: bool = False
    """A policy needs the whole request body before it can answer: do not stream it."""
    is_awaited_whole: bool = False
    """We sent this request for another flow, which waits for the whole response: do not stream it."""
    wanted: Callable[[], bool] | None = None
    """Returns True if others wait for the response: the exchange continues for them even if its client leaves."""
    backlog: Callable[[], tuple[BacklogBody, Source]] | None = None
    """Creates the buffer for a client that is slower than others who want the response."""
    cache_transaction: object | None = None
    """The cache's transaction for the flow; the cache's own type."""
    recording: object | None = None
    """What a capture collects about the exchange until it is written; capture's own type."""
    variants: Variants | None = None
    client_left: bool = False
    """The client caused the error: it closed, or cancelled its request."""
    error_fields: Fields = NO_FIELDS
    """Fields to add to mitmproxy's own response when the origin fails; set in the `error` hook."""
    content: bytes | None = None
    """The whole body as the origin or the cache returned it; None for one that is sent in pieces."""
    original_request: RequestSummary | None = None
    """The original request of a WebSocket connection."""
    removed: Mapping[bool, int] = field(default_factory=dict)
    """Octets of messages already removed from a stream's flow, by whether its client sent them."""
    plain: int | None = None
    """Bytes of the response's body before encoding, so far; None if it is not encoded here."""
    user: str = ""
    """For a stream: the user who opened its tunnel."""
    tunnel: TunnelBytes | None = None
    """For an untouched tunnel, whose flow keeps none of its bytes, and for a session of the reverse tunnel."""
    source: Source | None = None
    """The source of a response body that is too large to be put into the response."""

    @property
    def request_body(self) -> Pipeline:
        """The pipeline of the request's body."""
        if self.request_pipeline is None:
            self.request_pipeline = Pipeline()
        return self.request_pipeline

    @property
    def response_body(self) -> Pipeline:
        """The pipeline of the response's body."""
        if self.response_pipeline is None:
            self.response_pipeline = Pipeline()
        return self.response_pipeline


_ATTRIBUTE = "policy_flow_state"
_REQUESTED_HOST = "policy_requested_host"
"""Attributes of the flow, and of its request; mitmproxy saves and copies only the attributes it knows."""


def state_of(flow: Flow) -> FlowState:
    """Return a flow's state; empty at first."""
    try:
        return flow.policy_flow_state  # type: ignore[attr-defined,no-any-return]
    except AttributeError:
        state = vars(flow)[_ATTRIBUTE] = FlowState()
        return state


def requested_host(request: http.Request) -> str | None:
    """Return :authority or Host as the client sent it; the present value for a request that no client sent.

    In reverse mode, mitmproxy overwrites it before any addon sees the request.
    """
    attributes = vars(request)
    return attributes[_REQUESTED_HOST] if _REQUESTED_HOST in attributes else host_of(request)


def note_requested_host(request: http.Request, host: str | None) -> None:
    """Note the host of a request that is, or will be, overwritten."""
    vars(request)[_REQUESTED_HOST] = host


def host_of(request: http.Request) -> str | None:
    """Return the host without decoding IDNA, as mitmproxy's `host_header` and `authority` would."""
    if request.data.authority:
        return request.data.authority.decode("utf-8", "surrogateescape")
    return request.headers.get("host")


class FlowStateAddon:
    """First to see a head: notes it before any policy changes it."""

    name = "flow-state"
    fast_paths = NO_OBJECTION

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Note the fields as the client sent them; a replayed flow starts anew."""
        vars(flow)[_ATTRIBUTE] = FlowState(received=fields_of(flow.request.data.headers))
        if flow.is_replay == "request":
            trace.restart(flow)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Note the head as the origin sent it, if it is an origin's."""
        response = flow.response
        if response is not None and is_from_origin(response):
            state_of(flow).origin = OriginHead(
                response.status_code, response.reason, fields_of(response.data.headers), response.http_version
            )


def is_from_origin(response: http.Response) -> bool:
    """Return whether a response is the origin's, not an addon's: as its head is read, it has neither body nor end."""
    return response.raw_content is None and response.timestamp_end is None
