"""Answers from the store where an origin was asked: after a 304, a failure, or for the rest of a stored beginning."""

import time

from mitmproxy import http
from mitmproxy.flow import Error

from proxy_policies import exchange, subrequest, trace
from proxy_policies.body import Stage
from proxy_policies.cache import freshness, ranges, validation
from proxy_policies.cache.answer import Answer, answer
from proxy_policies.cache.asking import hand_over
from proxy_policies.cache.collapsing import Outcome
from proxy_policies.cache.decision import Complete, Validate, Why, fallback, why_forwarded
from proxy_policies.cache.directives import parse_request
from proxy_policies.cache.entry import Span, Stored
from proxy_policies.cache.flows import REFETCH, Desk, Visit, land, offer_variants, put, put_in_place
from proxy_policies.cache.keeping import COMPLETED_MOST, Precede
from proxy_policies.cache.status import CacheStatus
from proxy_policies.cache.store import Body, BytesBody, read_whole
from proxy_policies.fields import Fields

FAILED = "the origin failed"
"""What Cache-Status says where there was no answer, or none that could be passed on."""
FAILURES = frozenset({500, 502, 503, 504})
"""What RFC 5861, section 4, counts as an error."""


# RFC 5861, section 4, and RFC 9111, section 4.2.4: a failing origin


async def stand_in(desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response, now: float) -> bool:
    """Send a stale response in place of a 5xx, if that is allowed; says whether it did."""
    if response.status_code not in FAILURES:
        return False
    found = await _stale(desk, visit, now)
    if found is None:
        return False
    entry, body = found
    ttl, origin = entry.ttl(now), response.status_code
    status = CacheStatus(fwd=Why.STALE, fwd_status=origin, ttl=ttl, detail="stale-if-error")
    made = answer(visit.request, entry, now, status)
    await put_in_place(flow, response, made, body)
    offer_variants(desk, flow, entry, made)
    trace.note(flow, "cache", "stale", f"the origin said {origin}", key=entry.key)
    land(visit, Outcome.FAILED)
    return True


async def failed(desk: Desk, flow: http.HTTPFlow, visit: Visit) -> None:
    """Answer a request whose origin cannot be reached or broke off, if that is allowed and nothing was sent."""
    error = flow.error.msg if flow.error else ""
    if exchange.of(flow).client_left or not flow.client_conn.connected:
        hand_over(desk, flow, visit)
    elif error and error != Error.KILLED_MESSAGE:
        await _stand_in_for_error(desk, flow, visit, error)
    land(visit, Outcome.FAILED)


async def _stand_in_for_error(desk: Desk, flow: http.HTTPFlow, visit: Visit, error: str) -> None:
    now = time.time()
    found = await _stale(desk, visit, now)
    if found is None:
        status = CacheStatus(fwd=why_forwarded(visit.decision), detail=FAILED)
        exchange.of(flow).error_fields = Fields.of(("Cache-Status", str(status)))
        return
    entry, body = found
    status = CacheStatus(fwd=Why.STALE, ttl=entry.ttl(now), detail=f"stale-if-error: {FAILED}")
    made = answer(visit.request, entry, now, status)
    await put(flow, made, body)
    offer_variants(desk, flow, entry, made)
    trace.note(flow, "cache", "stale", f"{FAILED}: {error}", key=entry.key)


async def _stale(desk: Desk, visit: Visit, now: float) -> tuple[Stored, Body] | None:
    entry = fallback(visit.decision)
    if entry is None or not freshness.stale_on_error(entry.facts, -entry.ttl(now), parse_request(visit.request.fields)):
        return None
    body = await desk.store.body(entry)
    return None if body is None else (entry, body)


# RFC 9111, section 4.3.3: handling a validation response


async def validated(desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response, now: float) -> bool:
    """Freshen what a 304 is about, and answer from it; says whether it was a 304 to a question of ours."""
    decision = visit.decision
    if response.status_code != 304 or not isinstance(decision, Validate):
        return False
    fields = Fields(response.headers.fields)
    own_tags = visit.request.fields.get("if-none-match")
    entry = validation.selected(decision.entries, fields, own_tags)
    if entry is None and own_tags is not None:
        return False  # it is about the client's copy: the client gets it
    new = None if entry is None else validation.freshened(entry, fields, visit.asked_at, now)
    if entry is not None and new is not None:
        await desk.store.update(entry, new)
    body = await desk.store.body(new) if new is not None else None
    if new is None or body is None:
        await _refetch(flow, visit, response)
        return True
    waited = None if visit.waited is None else False
    status = CacheStatus(fwd=decision.why, fwd_status=304, ttl=new.ttl(now), stored=True, collapsed=waited)
    made = answer(visit.request, new, now, status)
    await put_in_place(flow, response, made, body)
    offer_variants(desk, flow, new, made)
    trace.note(flow, "cache", "validated", "the origin said 304", key=new.key)
    land(visit, Outcome.STORED)
    return True


async def _refetch(flow: http.HTTPFlow, visit: Visit, response: http.Response) -> None:
    """Fetch again, without our conditions, when the response to them fits nothing that is stored.

    The request that does that is one of its own, and stores what it gets.
    """
    again = await subrequest.send(flow, visit.request.fields, REFETCH)
    land(visit, Outcome.LEFT)
    got = again.response if again else None
    if got is None or got.raw_content is None:
        status = CacheStatus(fwd=why_forwarded(visit.decision), fwd_status=response.status_code, detail=FAILED)
        await put_in_place(flow, response, _bad_gateway(status), BytesBody(b""))
        return
    fields = Fields(got.headers.fields).without(["transfer-encoding"])
    whole = fields.replacing("Content-Length", str(len(got.raw_content)))
    made = Answer(got.status_code, got.reason, whole, (0, len(got.raw_content)))
    await put_in_place(flow, response, made, BytesBody(got.raw_content))


def _bad_gateway(status: CacheStatus) -> Answer:
    fields = Fields.of(("Content-Length", "0"), ("Cache-Status", str(status)))
    return Answer(502, "Bad Gateway", fields, (0, 0))


# Section 4.3.5: freshening by HEAD


async def head_updated(desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response, now: float) -> bool:
    """Freshen a stored response by a 200 to HEAD that describes it still, and answer as a GET now would be.

    One that does not describe it removes it. Says whether it answered.
    """
    entry = fallback(visit.decision)
    if flow.request.method != "HEAD" or response.status_code != 200 or entry is None:
        return False
    fields = Fields(response.headers.fields)
    if not validation.head_agrees(entry, fields):
        await desk.store.remove(entry)
        return False
    new = validation.freshened(entry, fields, visit.asked_at, now)
    await desk.store.update(entry, new)
    status = CacheStatus(fwd=Why.STALE, fwd_status=200, ttl=new.ttl(now), stored=True)
    response.headers = http.Headers(answer(visit.request, new, now, status).fields.raw)
    trace.note(flow, "cache", "updated", "by a HEAD", key=entry.key)
    return True


# Section 3.4: combining partial content


async def completed(desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response, now: float) -> bool:
    """Send a stored beginning ahead of the rest that came; what cannot be joined for certain is fetched whole.

    Says whether it was fetched: then that has stored it, too.
    """
    decision = visit.decision
    if not isinstance(decision, Complete) or response.status_code not in (206, 416):
        return False
    entry, fields = decision.entry, Fields(response.headers.fields)
    whole, body = _continued(entry, fields), await desk.store.body(entry)
    beginning = await read_whole(body, COMPLETED_MOST) if body is not None else None
    if beginning is None or whole is None:
        await _refetch(flow, visit, response)
        return True
    new = validation.freshened(entry, fields, visit.asked_at, now)
    head = new.fields.without(["content-range"]).replacing("Content-Length", str(whole.size))
    response.status_code, response.reason = 200, "OK"
    response.headers = http.Headers(head.raw)
    exchange.of(flow).response_body.add(Stage.ORIGIN, Precede(beginning))
    return False


def _continued(entry: Stored, fields: Fields) -> Span | None:
    """Give the whole that a stored beginning and a response make; None unless they are of one whole for certain."""
    tag, held = ranges.strong_validator(entry), entry.span
    length = fields.get("content-length") or ""
    rest = ranges.parse_content_range(fields.get("content-range"), int(length) if length.isdigit() else 0)
    if held is None or rest is None or tag is None or fields.get("etag") != tag:
        return None
    ends = rest.first == held.last + 1 and rest.last + 1 == rest.length == held.length
    return Span(0, rest.last, rest.length) if ends else None
