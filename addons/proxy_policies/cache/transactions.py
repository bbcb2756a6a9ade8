"""Converts mitmproxy's flows to the cache's values, and back."""

import time
from dataclasses import dataclass, field
from typing import NamedTuple

from mitmproxy import http
from mitmproxy.proxy.mode_specs import ReverseMode

from proxy_policies import subrequest
from proxy_policies.addresses import normalize_address
from proxy_policies.body import Replace, Stage
from proxy_policies.cache.added_fields import KeyParts, own_fields
from proxy_policies.cache.body_taps import EncodedVariants
from proxy_policies.cache.collapsing import CollapsedForwarding, Leader, LeaderOutcome
from proxy_policies.cache.incoming_body import IncomingBody, IncomingReader, Room
from proxy_policies.cache.response import CachedResponse
from proxy_policies.cache.rfc9111.decision import URI_MISS, Decision, ForwardReason, Request
from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.key import OWN, Target, key_of, normal_authority
from proxy_policies.cache.rfc9111.ranges import parse_content_range
from proxy_policies.cache.rules import NO_EFFECTS, CacheRule, RuleEffects
from proxy_policies.cache.stores.store import MAX_WHOLE, BodySource, Checkpoint, Store, StoredBody
from proxy_policies.fields import Fields, RawFields, fields_of
from proxy_policies.flows import flow_state

REFRESH = "refresh"
"""The purpose of our own request that refreshes an entry served stale."""
REFETCH = "refetch"
"""The purpose of our own request that must not be answered from the store."""


@dataclass(slots=True)
class CacheEngine:
    """The state shared by the cache's request and response side."""

    store: Store
    max_object: int
    """Bytes of the largest body stored."""
    strict: bool = False
    rules: tuple[CacheRule, ...] = ()
    is_replaying: bool = False
    """mitmproxy's server replay is on, which answers requests."""
    collapsed: CollapsedForwarding = field(default_factory=CollapsedForwarding)
    room: Room = field(default_factory=Room)
    refreshing: set[str] = field(default_factory=set)
    """Ids of entries being refreshed."""


class UpstreamTarget(NamedTuple):
    """The raw values from which a request's target is derived: while they are unchanged, so is the target."""

    scheme: bytes
    host: str
    port: int
    path: bytes
    authority: bytes
    http_version: bytes
    fields: RawFields


@dataclass(slots=True)
class Transaction:
    """One flow's state in the cache."""

    request: Request
    """As the client sent it, without our validators."""
    decision: Decision
    effects: RuleEffects
    asked_at: float
    sent: UpstreamTarget
    target: str
    """The key of the target in `sent`."""
    purpose: str = ""
    """The purpose of a request of our own."""
    leader: Leader | None = None
    """The leader that others may follow."""
    waited: ForwardReason | None = None
    """Why it would have been forwarded when it began to wait for another's response; None: it did not wait."""
    incoming: IncomingReader | None = None
    """The arriving body of a leader's response."""
    length: int | None = None
    """Its final size in bytes, if known."""
    is_head_enough: bool = False
    """The head of a leader's response is enough; `length` is its body's, if known."""
    unconditional: bool = False
    """It is forwarded without the client's own conditions, so that others may use the response."""
    stored: bool = False
    since: Checkpoint = None
    """The store's checkpoint when it was forwarded: a later purge prevents storing the response."""


def transaction_of(flow: http.HTTPFlow) -> Transaction | None:
    """Return the cache's transaction for a flow."""
    stored = flow_state.state_of(flow).cache_transaction
    return stored if isinstance(stored, Transaction) else None


def upstream_target_of(request: http.Request) -> UpstreamTarget:
    """Return the target values of an upstream request."""
    data = request.data
    return UpstreamTarget(
        data.scheme, data.host, data.port, data.path, data.authority, data.http_version, data.headers.fields
    )


def target_of(flow: http.HTTPFlow) -> Target:
    """Return a request's target, and how it is sent to the origin."""
    data, client = flow.request.data, flow.client_conn
    scheme = data.scheme.decode("latin-1")
    hosts = tuple(fields_of(data.headers).raw_lines("host"))
    return Target(
        # Only in reverse mode do the client's URL and the origin's differ.
        ("https" if client.tls else "http") if type(client.proxy_mode) is ReverseMode else scheme,
        (flow_state.requested_host(flow.request) or "").encode("utf-8", "surrogateescape"),
        data.path,
        scheme,
        data.host,
        data.port,
        (*hosts, data.authority) if data.authority else hosts,
        _server_name(flow) if scheme == "https" else "",
    )


def _server_name(flow: http.HTTPFlow) -> str:
    """Return the TLS server name for the origin, empty if it is the dialled host.

    As in mitmproxy's `HttpLayer.get_connection`: reverse mode's choice, else the client's, for the client's original
    destination; a request to any other destination uses that one's name.
    """
    server, data = flow.server_conn, flow.request.data
    return (server.sni or flow.client_conn.sni or "") if server.address == (data.host, data.port) else ""


def key_of_flow(flow: http.HTTPFlow, target: Target, effects: RuleEffects = NO_EFFECTS) -> str:
    """Return the cache key of a request: its target and the fields that we add, as changed by rules.

    A request of our own has the key of the one it was derived from.
    """
    like = subrequest.template(flow) if flow.is_replay else None
    if like is not None and (asked := transaction_of(like)):
        return asked.request.key
    key, own = key_of(target), _own_fields(flow, target)
    if effects is not NO_EFFECTS:
        key = effects.key(key, flow.request.data.headers)
    return key + OWN + own if own else key  # no rule excludes the fields that we add ourselves


def _own_fields(flow: http.HTTPFlow, target: Target) -> str:
    received, client = flow_state.state_of(flow).received, flow.client_conn
    if received is None:
        return ""
    scheme = target.scheme.lower()
    peer = normalize_address(client.peername[0]) if client.peername else ""
    said = KeyParts(scheme, normal_authority(scheme, target.authority), peer)
    # A replayed flow includes the fields that we added when it was recorded.
    states_uri = type(client.proxy_mode) is ReverseMode or flow.is_replay == "request"
    return own_fields(received.raw, flow.request.data.headers.fields, said, states_uri=states_uri)


def request_of(flow: http.HTTPFlow, target: Target, effects: RuleEffects = NO_EFFECTS) -> Request:
    """Return a flow's request as the cache sees it; its method as received: methods are case-sensitive."""
    request = flow.request
    has_body = bool(request.stream or request.raw_content)
    method = request.data.method.decode("latin-1")
    return Request(method, key_of_flow(flow, target, effects), fields_of(request.data.headers), has_body)


CREDENTIALS = (b"authorization", b"cookie")


def request_as_sent(flow: http.HTTPFlow, transaction: Transaction) -> Request:
    """Return the request as its client sent it, with credentials added by an addon after us.

    mitmproxy's stickycookie and stickyauth add them after the look-up: the response is to a request with them.
    """
    known, sent = transaction.request.fields, flow.request.data.headers.fields
    if sent == known.raw:
        return transaction.request
    added = [line for line in sent if line[0].lower() in CREDENTIALS and line not in known.raw]
    return transaction.request._replace(fields=Fields((*known.raw, *added))) if added else transaction.request


def begin_transaction(flow: http.HTTPFlow, effects: RuleEffects, now: float) -> Transaction:
    """Start the transaction of a flow, before any look-up."""
    target, purpose = target_of(flow), subrequest.purpose(flow) if flow.is_replay else ""
    request = request_of(flow, target, effects)
    return Transaction(request, URI_MISS, effects, now, upstream_target_of(flow.request), key_of(target), purpose)


async def set_response(flow: http.HTTPFlow, answer: CachedResponse, body: StoredBody) -> None:
    """Answer a request that was not forwarded, or got no response."""
    put_bytes(flow, answer, await _body_bytes(flow, answer, body))


def put_bytes(flow: http.HTTPFlow, answer: CachedResponse, content: bytes) -> None:
    """Answer with a body in memory."""
    reason = answer.reason.encode("utf-8", "surrogateescape")
    start, headers = flow.request.timestamp_start, http.Headers(answer.fields.raw)
    flow.response = http.Response(b"HTTP/1.1", answer.status, reason, headers, content, None, start, None)


async def replace_response(
    flow: http.HTTPFlow, response: http.Response, answer: CachedResponse, body: StoredBody
) -> None:
    """Replace the origin's response, of which only the head has been received."""
    response.status_code = answer.status
    response.reason = answer.reason
    response.headers = http.Headers(answer.fields.raw)
    data = await _body_bytes(flow, answer, body)
    if flow_state.state_of(flow).source is None:
        flow_state.state_of(flow).response_body.add(Stage.ORIGIN, Replace(data))


async def _body_bytes(flow: http.HTTPFlow, answer: CachedResponse, body: StoredBody) -> bytes:
    """Return the bytes to send of a stored body; if large, none, and set a source for them."""
    if answer.part is None:
        return b""
    if answer.length > MAX_WHOLE:
        flow_state.state_of(flow).source = BodySource(body, answer.part)
        return b""
    if body.in_memory is not None:
        return body.in_memory if answer.part == (0, body.size) else body.in_memory[slice(*answer.part)]
    return b"".join([piece async for piece in body.chunks(*answer.part)])


def offer_variants(engine: CacheEngine, flow: http.HTTPFlow, entry: StoredResponse, made: CachedResponse) -> None:
    """Make a stored response's encoded forms available to encoding, if the whole of it is sent."""
    state = flow_state.state_of(flow)
    if flow.response is not None:
        state.content = flow.response.raw_content
    if made.status == 200:
        state.variants = EncodedVariants(engine.store, entry, engine.max_object, is_stored=True)


def announce_response(
    engine: CacheEngine, transaction: Transaction, entry: StoredResponse, length: int | None
) -> IncomingBody | None:
    """Pass the head of a storable response to followers; return the tap that passes them its body."""
    leader = transaction.leader
    if leader is None:
        return None
    leader.length, leader.body = length, IncomingBody(engine.room, leader.changed)
    engine.collapsed.answered(leader, _as_it_will_be(entry, length), time.monotonic())
    return leader.body


def _as_it_will_be(entry: StoredResponse, length: int | None) -> StoredResponse:
    """Return the entry of an arriving response as it will be stored, as far as is known."""
    if length is None:
        return entry
    span = parse_content_range(entry.fields.get("content-range"), length) if entry.status == 206 else None
    return entry.replace(size=length, span=span)


def announce_head(
    engine: CacheEngine, transaction: Transaction, described: StoredResponse | None, length: int | None = None
) -> None:
    """Pass to followers the response described by a head, or by a 304 to their leader's conditions.

    None: it is not for others. `length` is the body's, as declared in the head.
    """
    leader = transaction.leader
    if leader is not None and leader.conditions and described is not None:
        leader.is_head_only, leader.length = True, length
        engine.collapsed.answered(leader, _as_it_will_be(described, length), time.monotonic())


def release_followers(
    engine: CacheEngine, transaction: Transaction, outcome: LeaderOutcome, entry: StoredResponse | None = None
) -> None:
    """Pass the outcome of a response to followers, and the stored entry."""
    leader, transaction.leader = transaction.leader, None
    if leader is not None:
        leader.entry = entry or leader.entry
        engine.collapsed.end(leader, outcome, time.monotonic())
