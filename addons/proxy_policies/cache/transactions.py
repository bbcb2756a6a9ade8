"""From mitmproxy's flows to the cache's values, and back."""

import logging
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from mitmproxy import http
from mitmproxy.proxy.mode_specs import ReverseMode

from proxy_policies import flow_state, subrequest
from proxy_policies.addresses import normalize_address
from proxy_policies.body import Replace, Stage
from proxy_policies.cache.added_fields import Client, own_fields
from proxy_policies.cache.body_taps import EncodedVariants
from proxy_policies.cache.collapsing import CollapsedForwarding, Leader, Outcome
from proxy_policies.cache.incoming_body import IncomingBody, IncomingReader, Room
from proxy_policies.cache.response import CachedResponse
from proxy_policies.cache.rfc9111.decision import Decision, ForwardReason, Miss, Request
from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.key import Target, key_of, normal_authority
from proxy_policies.cache.rfc9111.ranges import parse_content_range
from proxy_policies.cache.rules import NO_EFFECTS, CacheRule, RuleEffects
from proxy_policies.cache.stores.store import MAX_WHOLE, Body, BodySource, Checkpoint, Store
from proxy_policies.fields import Fields, RawFields, fields_of
from proxy_policies.requested_host import requested_host

logger = logging.getLogger(__name__)

REFRESH = "refresh"
"""The purpose of a request of ours that refreshes what was answered stale."""
REFETCH = "refetch"
"""The purpose of a request of ours that must not be answered from the store."""


@dataclass(slots=True)
class CacheEngine:
    """What both sides of the cache work with."""

    store: Store
    max_object: int
    """Bytes of the largest body stored."""
    strict: bool = False
    rules: tuple[CacheRule, ...] = ()
    collapsed: CollapsedForwarding = field(default_factory=CollapsedForwarding)
    room: Room = field(default_factory=Room)
    refreshing: set[str] = field(default_factory=set)
    """Ids of entries that a refresh is under way for."""


class UpstreamTarget(NamedTuple):
    """What of a request its target is read from, just as it lies there: while that is the same, the target is."""

    scheme: bytes
    host: str
    port: int
    path: bytes
    authority: bytes
    http_version: bytes
    fields: RawFields


@dataclass(slots=True)
class Transaction:
    """One flow's dealings with the cache."""

    request: Request
    """As the client asked, before any validator of ours."""
    decision: Decision
    effects: RuleEffects
    asked_at: float
    sent: UpstreamTarget
    target: str
    """`key_of` what `sent` is for."""
    purpose: str = ""
    """What a request of our own is for."""
    leader: Leader | None = None
    """What others may follow of it."""
    waited: ForwardReason | None = None
    """Why it would have gone forward when it began to wait for another's answer; None: it did not wait."""
    incoming: IncomingReader | None = None
    """The body of a leader's answer, which is still coming."""
    length: int | None = None
    """Bytes that it will have, if that is known."""
    is_head_enough: bool = False
    """The head of a leader's answer answers it, for which `length` is what is known of its body."""
    unconditional: bool = False
    """It goes forward without the client's own conditions, so that others may have the answer."""
    stored: bool = False
    since: Checkpoint = None
    """How far the store's purges had come when it went forward: one after that beats its answer."""


def transaction_of(flow: http.HTTPFlow) -> Transaction | None:
    """Return what the cache noted of a flow."""
    stored = flow_state.state_of(flow).cache_transaction
    return stored if isinstance(stored, Transaction) else None


def upstream_target_of(request: http.Request) -> UpstreamTarget:
    """Return what is sent upstream."""
    data = request.data
    return UpstreamTarget(
        data.scheme, data.host, data.port, data.path, data.authority, data.http_version, request.headers.fields
    )


def target_of(flow: http.HTTPFlow) -> Target:
    """Return what a request is for, and how it is sent to the origin."""
    data, client = flow.request.data, flow.client_conn
    scheme = data.scheme.decode("latin-1")
    hosts = tuple([value for name, value in data.headers.fields if len(name) == 4 and name.lower() == b"host"])
    return Target(
        # Only in reverse mode do the client's URL and the origin's differ.
        ("https" if client.tls else "http") if isinstance(client.proxy_mode, ReverseMode) else scheme,
        (requested_host(flow.request) or "").encode("utf-8", "surrogateescape"),
        data.path,
        scheme,
        data.host,
        data.port,
        (*hosts, data.authority) if data.authority else hosts,
        _server_name(flow) if scheme == "https" else "",
    )


def _server_name(flow: http.HTTPFlow) -> str:
    """Return the server name in TLS to the origin, empty where it is the host that is dialled.

    As mitmproxy's `HttpLayer.get_connection` has it: reverse mode's choice, else the client's, on the way to where the
    client's connection leads; a request for anywhere else has the name of that.
    """
    server, data = flow.server_conn, flow.request.data
    return (server.sni or flow.client_conn.sni or "") if server.address == (data.host, data.port) else ""


def key_of_flow(flow: http.HTTPFlow, target: Target, effects: RuleEffects = NO_EFFECTS) -> str:
    """Compute the cache key of a request: its target, what we say besides, and what rules put in or leave out.

    A request of our own has the key of the one that it was made like.
    """
    if (like := subrequest.template(flow)) is not None and (asked := transaction_of(like)):
        return asked.request.key
    return effects.key(key_of(target), flow.request.headers, _own_fields(flow, target))


def _own_fields(flow: http.HTTPFlow, target: Target) -> str:
    received, client = flow_state.state_of(flow).received, flow.client_conn
    if received is None:
        return ""
    scheme = target.scheme.lower()
    peer = normalize_address(client.peername[0]) if client.peername else ""
    said = Client(scheme, normal_authority(scheme, target.authority), peer)
    # A flow that is replayed says all that we said when it was recorded.
    states_uri = isinstance(client.proxy_mode, ReverseMode) or flow.is_replay == "request"
    return own_fields(received.raw, flow.request.headers.fields, said, states_uri=states_uri)


def request_of(flow: http.HTTPFlow, target: Target, effects: RuleEffects = NO_EFFECTS) -> Request:
    """Return a flow's request as the cache sees it; its method as received: methods are case-sensitive."""
    request = flow.request
    has_body = bool(request.stream or request.raw_content)
    method = request.data.method.decode("latin-1")
    return Request(method, key_of_flow(flow, target, effects), fields_of(request.headers), has_body)


CREDENTIALS = (b"authorization", b"cookie")


def request_as_sent(flow: http.HTTPFlow, transaction: Transaction) -> Request:
    """Return the request as its client sent it, with the credentials that an addon after us has put on it.

    mitmproxy's stickycookie and stickyauth do, after the look-up: the answer is the one to a request with them.
    """
    known = transaction.request.fields
    if flow.request.headers.fields == known.raw:
        return transaction.request
    added = [line for line in flow.request.headers.fields if line[0].lower() in CREDENTIALS and line not in known.raw]
    return transaction.request._replace(fields=Fields((*known.raw, *added))) if added else transaction.request


def begin_transaction(flow: http.HTTPFlow, effects: RuleEffects, now: float) -> Transaction:
    """Begin to deal with a flow of which nothing is known to be stored."""
    target, purpose = target_of(flow), subrequest.purpose(flow)
    request = request_of(flow, target, effects)
    return Transaction(
        request, Miss(ForwardReason.URI_MISS), effects, now, upstream_target_of(flow.request), key_of(target), purpose
    )


async def set_response(flow: http.HTTPFlow, answer: CachedResponse, body: Body) -> None:
    """Answer a request that has not gone out, or whose answer did not come."""
    put_bytes(flow, answer, await _body_bytes(flow, answer, body))


def put_bytes(flow: http.HTTPFlow, answer: CachedResponse, content: bytes) -> None:
    """Answer with a body that is at hand."""
    reason = answer.reason.encode("utf-8", "surrogateescape")
    start, headers = flow.request.timestamp_start, http.Headers(answer.fields.raw)
    flow.response = http.Response(b"HTTP/1.1", answer.status, reason, headers, content, None, start, None)


async def replace_response(flow: http.HTTPFlow, response: http.Response, answer: CachedResponse, body: Body) -> None:
    """Put an answer in place of the origin's, whose head has come and whose body is still to come."""
    response.status_code = answer.status
    response.reason = answer.reason
    response.headers = http.Headers(answer.fields.raw)
    data = await _body_bytes(flow, answer, body)
    if flow_state.state_of(flow).source is None:
        flow_state.state_of(flow).response_body.add(Stage.ORIGIN, Replace(data))


async def _body_bytes(flow: http.HTTPFlow, answer: CachedResponse, body: Body) -> bytes:
    """Take what an answer sends of a stored body: the bytes, or none and a source of them where they are many."""
    if answer.part is None:
        return b""
    if answer.length > MAX_WHOLE:
        flow_state.state_of(flow).source = BodySource(body, answer.part)
        return b""
    if body.in_memory is not None:
        return body.in_memory if answer.part == (0, body.size) else body.in_memory[slice(*answer.part)]
    return b"".join([piece async for piece in body.chunks(*answer.part)])


def offer_variants(engine: CacheEngine, flow: http.HTTPFlow, entry: StoredResponse, made: CachedResponse) -> None:
    """Let encoding find the forms that are kept of a stored response, where the whole of it is sent."""
    state = flow_state.state_of(flow)
    if flow.response is not None:
        state.content = flow.response.raw_content
    if made.status == 200:
        state.variants = EncodedVariants(engine.store, entry, engine.max_object, is_stored=True)


def answered(
    engine: CacheEngine, transaction: Transaction, entry: StoredResponse, length: int | None
) -> IncomingBody | None:
    """Give followers the head of a response that may be stored; return the tap that gives them its body."""
    leader = transaction.leader
    if leader is None:
        return None
    leader.length, leader.body = length, IncomingBody(engine.room, leader.changed)
    engine.collapsed.answered(leader, _as_it_will_be(entry, length), time.monotonic())
    return leader.body


def _as_it_will_be(entry: StoredResponse, length: int | None) -> StoredResponse:
    """Return a response whose body is coming as it is stored then, as far as that is known."""
    if length is None:
        return entry
    span = parse_content_range(entry.fields.get("content-range"), length) if entry.status == 206 else None
    return entry.replace(size=length, span=span)


def answered_by_head(
    engine: CacheEngine, transaction: Transaction, described: StoredResponse | None, length: int | None = None
) -> None:
    """Give followers the whole that a head, or a 304 to their leader's conditions, describes.

    None: it is not for others. `length` is what the head says of the body.
    """
    leader = transaction.leader
    if leader is not None and leader.conditions and described is not None:
        leader.is_head_only, leader.length = True, length
        engine.collapsed.answered(leader, _as_it_will_be(described, length), time.monotonic())


def complete_flight(
    engine: CacheEngine, transaction: Transaction, outcome: Outcome, entry: StoredResponse | None = None
) -> None:
    """Give followers the outcome of a response, and the entry that was stored."""
    leader, transaction.leader = transaction.leader, None
    if leader is not None:
        leader.entry = entry or leader.entry
        engine.collapsed.end(leader, outcome, time.monotonic())
