"""From mitmproxy's flows to the cache's values, and back."""

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from mitmproxy import http
from mitmproxy.proxy.mode_specs import ReverseMode

from proxy_policies import exchange, subrequest
from proxy_policies.addresses import plain_address
from proxy_policies.body import Replace, Stage
from proxy_policies.cache.answer import Answer
from proxy_policies.cache.collapsing import CollapsedForwarding, Leader, Outcome
from proxy_policies.cache.decision import Decision, Miss, Request, Why
from proxy_policies.cache.entry import Stored
from proxy_policies.cache.incoming import IncomingBody, IncomingReader, Room
from proxy_policies.cache.keeping import CodedVariants
from proxy_policies.cache.key import Target, key_of, normal_authority
from proxy_policies.cache.own_fields import Client, own_fields
from proxy_policies.cache.purge import Selector
from proxy_policies.cache.rules import CacheRule
from proxy_policies.cache.store import WHOLE, Body, BodySource, Store
from proxy_policies.cache.treatment import NO_TREATMENT, Treatment
from proxy_policies.fields import Fields, RawFields
from proxy_policies.patches.asked_host import asked_host

logger = logging.getLogger(__name__)

REFRESH = "refresh"
"""The purpose of a request of ours that refreshes what was answered stale."""
REFETCH = "refetch"
"""The purpose of a request of ours that must not be answered from the store."""


@dataclass(slots=True)
class Desk:
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

    async def purge(self, selector: Selector, now: float, soft: bool = False) -> int:
        """Purge what is stored, and what is about to be."""
        self.collapsed.purge(selector)
        return await self.store.purge(selector, now, soft)


class Sent(NamedTuple):
    """What of a request its target is read from, just as it lies there: while that is the same, the target is."""

    scheme: bytes
    host: str
    port: int
    path: bytes
    authority: bytes
    http_version: bytes
    fields: RawFields


@dataclass(slots=True)
class Visit:
    """One flow's dealings with the cache."""

    request: Request
    """As the client asked, before any validator of ours."""
    decision: Decision
    treatment: Treatment
    asked_at: float
    sent: Sent
    target: str
    """`key_of` what `sent` is for."""
    purpose: str = ""
    """What a request of our own is for."""
    leader: Leader | None = None
    """What others may follow of it."""
    waited: Why | None = None
    """Why it would have gone forward when it began to wait for another's answer; None: it did not wait."""
    incoming: IncomingReader | None = None
    """The body of a leader's answer, which is still coming."""
    length: int | None = None
    """Bytes that it will have, if that is known."""
    unconditional: bool = False
    """It goes forward without the client's own conditions, so that others may have the answer."""
    stored: bool = False


def visit_of(flow: http.HTTPFlow) -> Visit | None:
    """Give what the cache noted of a flow."""
    stored = exchange.of(flow).stored
    return stored if isinstance(stored, Visit) else None


def sent_of(request: http.Request) -> Sent:
    """See what is sent upstream."""
    data = request.data
    return Sent(data.scheme, data.host, data.port, data.path, data.authority, data.http_version, request.headers.fields)


def target_of(flow: http.HTTPFlow) -> Target:
    """See whom a request is for, and how its origin is asked."""
    data, client = flow.request.data, flow.client_conn
    scheme = data.scheme.decode("latin-1")
    hosts = (value for name, value in data.headers.fields if name.lower() == b"host")
    return Target(
        # Reverse mode alone tells apart what the client asks for and what the origin is asked.
        ("https" if client.tls else "http") if isinstance(client.proxy_mode, ReverseMode) else scheme,
        (asked_host(flow.request) or "").encode("utf-8", "surrogateescape"),
        data.path,
        scheme,
        data.host,
        data.port,
        (*hosts, data.authority) if data.authority else tuple(hosts),
        _server_name(flow) if scheme == "https" else "",
    )


def _server_name(flow: http.HTTPFlow) -> str:
    """Return the name that TLS tells the origin, empty where it is the host that is dialled.

    As mitmproxy's `HttpLayer.get_connection` has it: reverse mode's choice, else the client's, on the way to where the
    client's connection leads; a request for anywhere else has the name of that.
    """
    server, data = flow.server_conn, flow.request.data
    return (server.sni or flow.client_conn.sni or "") if server.address == (data.host, data.port) else ""


def key_of_flow(flow: http.HTTPFlow, target: Target, treatment: Treatment = NO_TREATMENT) -> str:
    """Compute the cache key of a request: its target, what we say besides, and what rules put in or leave out.

    A request of our own has the key of the one that it was made like.
    """
    like = subrequest.template(flow)
    asked = visit_of(like) if like is not None else None
    if asked is not None:
        return asked.request.key
    return treatment.key(key_of(target), flow.request.headers, _own_fields(flow, target))


def _own_fields(flow: http.HTTPFlow, target: Target) -> str:
    received, client = exchange.of(flow).received, flow.client_conn
    if received is None:
        return ""
    scheme = target.scheme.lower()
    peer = plain_address(client.peername[0]) if client.peername else ""
    said = Client(scheme, normal_authority(scheme, target.authority), peer)
    # A flow that is replayed says all that we said when it was recorded.
    states_uri = isinstance(client.proxy_mode, ReverseMode) or flow.is_replay == "request"
    return own_fields(received.raw, flow.request.headers.fields, said, states_uri=states_uri)


def request_of(flow: http.HTTPFlow, target: Target, treatment: Treatment = NO_TREATMENT) -> Request:
    """See a flow's request as the cache does; its method as it came: methods are case-sensitive."""
    request = flow.request
    has_body = bool(request.stream or request.raw_content)
    method = request.data.method.decode("latin-1")
    return Request(method, key_of_flow(flow, target, treatment), Fields(request.headers.fields), has_body)


CREDENTIALS = (b"authorization", b"cookie")


def request_as_sent(flow: http.HTTPFlow, visit: Visit) -> Request:
    """See the request as its client asked, with the credentials that an addon after us has put on it.

    mitmproxy's stickycookie and stickyauth do, after the look-up: the answer is the one to a request with them.
    """
    known = visit.request.fields
    added = [line for line in flow.request.headers.fields if line[0].lower() in CREDENTIALS and line not in known.raw]
    return replace(visit.request, fields=Fields((*known.raw, *added))) if added else visit.request


def begin_visit(flow: http.HTTPFlow, treatment: Treatment, now: float) -> Visit:
    """Begin to deal with a flow of which nothing is known to be stored."""
    target, purpose = target_of(flow), subrequest.purpose(flow)
    request = request_of(flow, target, treatment)
    return Visit(request, Miss(Why.URI_MISS), treatment, now, sent_of(flow.request), key_of(target), purpose)


async def put(flow: http.HTTPFlow, answer: Answer, body: Body) -> None:
    """Answer a request that has not gone out, or whose answer did not come."""
    put_bytes(flow, answer, await _taken(flow, answer, body))


def put_bytes(flow: http.HTTPFlow, answer: Answer, content: bytes) -> None:
    """Answer with a body that is at hand."""
    reason = answer.reason.encode("utf-8", "surrogateescape")
    start, headers = flow.request.timestamp_start, http.Headers(answer.fields.raw)
    flow.response = http.Response(b"HTTP/1.1", answer.status, reason, headers, content, None, start, None)


async def put_in_place(flow: http.HTTPFlow, response: http.Response, answer: Answer, body: Body) -> None:
    """Put an answer in place of the origin's, whose head has come and whose body is still to come."""
    response.status_code = answer.status
    response.reason = answer.reason
    response.headers = http.Headers(answer.fields.raw)
    data = await _taken(flow, answer, body)
    if exchange.of(flow).source is None:
        exchange.of(flow).response_body.add(Stage.ORIGIN, Replace(data))


async def _taken(flow: http.HTTPFlow, answer: Answer, body: Body) -> bytes:
    """Take what an answer sends of a stored body: the bytes, or none and a source of them where they are many."""
    if answer.part is None:
        return b""
    if answer.length > WHOLE:
        exchange.of(flow).source = BodySource(body, answer.part)
        return b""
    if body.held is not None:
        return body.held if answer.part == (0, body.size) else body.held[slice(*answer.part)]
    return b"".join([piece async for piece in body.chunks(*answer.part)])


def offer_variants(desk: Desk, flow: http.HTTPFlow, entry: Stored, made: Answer) -> None:
    """Let encoding find the forms that are kept of a stored response, where the whole of it is sent."""
    if made.status == 200:
        exchange.of(flow).variants = CodedVariants(desk.store, entry, desk.max_object, is_stored=True)


_behind: set[asyncio.Task[None]] = set()


def behind(work: Coroutine[Any, Any, object], what: str) -> None:
    """Do something that no client waits for; a failure is logged."""

    async def guarded() -> None:
        try:
            await work
        except Exception:
            logger.exception(f"cache: could not {what}")

    task = asyncio.get_running_loop().create_task(guarded())
    _behind.add(task)
    task.add_done_callback(_behind.discard)


def answered(desk: Desk, visit: Visit, entry: Stored, length: int | None) -> IncomingBody | None:
    """Tell the followers the head of an answer that may be stored; gives the tap that gives them its body."""
    leader = visit.leader
    if leader is None:
        return None
    leader.length, leader.body = length, IncomingBody(desk.room, leader.changed)
    desk.collapsed.answered(leader, entry, time.time())
    return leader.body


def land(desk: Desk, visit: Visit, outcome: Outcome, entry: Stored | None = None) -> None:
    """Tell the followers what became of an answer, and of which entry it made."""
    leader, visit.leader = visit.leader, None
    if leader is not None:
        leader.entry = entry or leader.entry
        desk.collapsed.end(leader, outcome, time.time())
