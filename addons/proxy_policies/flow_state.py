"""What we know of a flow while it lives.

Policies that must not import each other meet here: the cache leaves the
encoded variants for encoding to find, hops leaves the fields as they were
received for capture to record. Nothing of this is saved with the flow.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from mitmproxy import http
from mitmproxy.flow import Flow

from proxy_policies import trace
from proxy_policies.asked import Asked
from proxy_policies.body import Pipeline, Tap
from proxy_policies.fast_paths import NO_OBJECTION
from proxy_policies.fields import NO_FIELDS, Fields, fields_of


class OriginHead(NamedTuple):
    """A response head as the origin sent it."""

    status: int
    reason: str
    fields: Fields
    http_version: str


class Source(Protocol):
    """A response body that is not in memory, read piece by piece as the client takes it."""

    async def read(self) -> bytes:
        """Return the next piece, b"" at the end; raises OSError when it cannot be read on."""

    async def close(self) -> None:
        """Let go of it, read to the end or not."""


class BacklogBody(Protocol):
    """What of a response waits for a client that is slower than others who want it."""

    def feed(self, data: bytes) -> None:
        """Take what is to be sent; never waits."""

    def finish(self) -> None:
        """Take no more."""


class EncodedBody(Protocol):
    """One encoded form of a stored response."""

    size: int

    async def read(self) -> bytes | None:
        """Return all of it; None when it cannot be read."""

    def source(self) -> Source:
        """Return a source that reads it in pieces."""


class Variants(Protocol):
    """The encoded forms of one stored response, kept beside its identity form."""

    async def find(self, coding: str) -> EncodedBody | None:
        """Open an encoded form; None when it is not kept."""

    def keep(self, coding: str) -> Tap | None:
        """Return the tap that keeps what the encoder makes; None when it would not be worth it."""


class ByteCounts(Protocol):
    """What went through a tunnel so far, in bytes of payload."""

    bytes_up: int
    bytes_down: int


@dataclass(slots=True, eq=False)
class FlowState:
    """One request and its response, as our policies see them."""

    received: Fields | None = None
    """The request's fields as the client sent them."""
    origin: OriginHead | None = None
    """None when the answer did not come over an origin connection: a hit, map_local, another addon."""
    request_body: Pipeline = field(default_factory=Pipeline)
    response_body: Pipeline = field(default_factory=Pipeline)
    hit: bool = False
    """The cache answered."""
    replayed: bool = False
    """A capture answered: nothing of it is to be recorded again."""
    early_request: Tap | None = None
    """Sees the request's body as it comes, where it is answered before it is whole: then no hook sees any of it."""
    needs_full_body: bool = False
    """A policy needs the request's body whole before it can answer: it is not to be streamed."""
    has_followers: bool = False
    """Another exchange waits for this one's whole response: it is not to be streamed."""
    wanted: Callable[[], bool] | None = None
    """True if others wait for the response: the exchange goes on for them when its client has left."""
    backlog: Callable[[], tuple[BacklogBody, Source]] | None = None
    """Makes room for what the client is too slow for, while others want the response."""
    cache_transaction: object | None = None
    """What the cache answers from, or stores into; the cache's own type."""
    recording: object | None = None
    """What is collected of the exchange for a capture, until it is written; capture's own type."""
    variants: Variants | None = None
    client_left: bool = False
    """The error is the client's: it closed, or took its request back."""
    error_fields: Fields = NO_FIELDS
    """Fields for the answer that mitmproxy gives by itself when the origin fails; set in the `error` hook."""
    content: bytes | None = None
    """The whole body as the origin sent it or the cache gave it; None for one that is sent in pieces."""
    asked: Asked | None = None
    """What was asked for, of a request that became a WebSocket connection."""
    removed: Mapping[bool, int] = field(default_factory=dict)
    """Octets of messages that the flow of a stream has no more, by whether its client had sent them."""
    plain: int | None = None
    """Bytes of the response's body that were encoded, as far as it has come; None where it is not encoded here."""
    user: str = ""
    """Of a stream: who opened the tunnel in which it runs."""
    tunnel: ByteCounts | None = None
    """Of an untouched tunnel, whose flow keeps none of its bytes; passthrough's own type."""
    source: Source | None = None
    """Where the response's body comes from, when it is too large to be put into the response."""


_ATTRIBUTE = "policy_flow_state"
"""Of the flow: what mitmproxy saves and copies of a flow are the attributes that it knows of."""


def state_of(flow: Flow) -> FlowState:
    """Return what we know of a flow; empty at first."""
    attributes = vars(flow)
    state: FlowState | None = attributes.get(_ATTRIBUTE)
    if state is None:
        state = attributes[_ATTRIBUTE] = FlowState()
    return state


class FlowStateAddon:
    """First to see a head: notes it down before any policy touches it."""

    name = "flow-state"
    fast_paths = NO_OBJECTION

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Note the fields as the client sent them; a replayed flow starts anew."""
        vars(flow)[_ATTRIBUTE] = FlowState(received=fields_of(flow.request.headers))
        if flow.is_replay == "request":
            trace.restart(flow)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Note the head as the origin sent it, if it was an origin."""
        response = flow.response
        if response is not None and is_from_origin(response):
            state_of(flow).origin = OriginHead(
                response.status_code, response.reason, fields_of(response.headers), response.http_version
            )


def is_from_origin(response: http.Response) -> bool:
    """Return whether a response is the origin's, not an addon's: when its head is read it has neither body nor end."""
    return response.raw_content is None and response.timestamp_end is None
