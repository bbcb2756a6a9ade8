"""From mitmproxy's flows to the cache's values, and back."""

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mitmproxy import http

from proxy_policies import exchange
from proxy_policies.body import Replace, Stage
from proxy_policies.cache.answer import Answer
from proxy_policies.cache.collapsing import Flight, Outcome, Tower
from proxy_policies.cache.decision import Decision, Request, Why
from proxy_policies.cache.entry import Stored
from proxy_policies.cache.keeping import CodedVariants
from proxy_policies.cache.key import Target, key_of
from proxy_policies.cache.rules import NO_TREATMENT, CacheRule, Treatment
from proxy_policies.cache.store import WHOLE, Body, BodySource, Store
from proxy_policies.fields import Fields, RawFields

logger = logging.getLogger(__name__)

REFRESH = "refresh"
"""The purpose of a request of ours that refreshes what was answered stale."""
REFETCH = "refetch"
"""The purpose of a request of ours that must not be answered from the store."""
TAKEOVER = "takeover"
"""The purpose of a request of ours that leads a crowd in place of one whose client left."""


@dataclass(slots=True)
class Desk:
    """What both sides of the cache work with."""

    store: Store
    max_object: int
    """Bytes of the largest body stored."""
    strict: bool = False
    rules: tuple[CacheRule, ...] = ()
    tower: Tower = field(default_factory=Tower)
    refreshing: set[str] = field(default_factory=set)
    """Ids of entries that a refresh is under way for."""


class Sent(NamedTuple):
    """What of a request its key is made of, just as it lies there: while that is the same, the key is."""

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
    """What the request's key was made of."""
    purpose: str = ""
    """What a request of our own is for."""
    flight: Flight | None = None
    waited: Why | None = None
    """Why it would have gone forward when it began to wait for another's answer; None: it did not wait."""
    stored: bool = False


def visit_of(flow: http.HTTPFlow) -> Visit | None:
    """Give what the cache noted of a flow."""
    stored = exchange.of(flow).stored
    return stored if isinstance(stored, Visit) else None


def sent_of(request: http.Request) -> Sent:
    """See what is sent upstream."""
    data = request.data
    return Sent(data.scheme, data.host, data.port, data.path, data.authority, data.http_version, request.headers.fields)


def key_of_flow(flow: http.HTTPFlow, treatment: Treatment = NO_TREATMENT) -> str:
    """Compute the cache key of what is sent upstream."""
    request = flow.request
    target = Target(request.scheme, request.host, request.port, request.path, request.host_header or "")
    return treatment.key(key_of(target), request.headers)


def request_of(flow: http.HTTPFlow, treatment: Treatment = NO_TREATMENT) -> Request:
    """See a flow's request as the cache does."""
    request = flow.request
    has_body = bool(request.stream or request.raw_content)
    return Request(request.method, key_of_flow(flow, treatment), Fields(request.headers.fields), has_body)


async def put(flow: http.HTTPFlow, answer: Answer, body: Body) -> None:
    """Answer a request that has not gone out, or whose answer did not come."""
    flow.response = http.Response(
        b"HTTP/1.1",
        answer.status,
        answer.reason.encode("utf-8", "surrogateescape"),
        http.Headers(answer.fields.raw),
        await _taken(flow, answer, body),
        None,
        flow.request.timestamp_start,
        None,
    )


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


def land(visit: Visit, outcome: Outcome) -> None:
    """Tell those who wait for this visit's flight, if it leads one."""
    if visit.flight is not None:
        visit.flight.land(outcome, time.time())
        visit.flight = None
