"""Answers from the store where an origin was asked: after a 304, a failure, or for the rest of a stored beginning."""

import time

from mitmproxy import http
from mitmproxy.flow import Error

from proxy_policies import exchange, subrequest, trace
from proxy_policies.body import Stage
from proxy_policies.cache.answer import Answer, answer
from proxy_policies.cache.collapsing import Outcome
from proxy_policies.cache.decision import Why, why_forwarded
from proxy_policies.cache.entry import Stored
from proxy_policies.cache.flows import REFETCH, Desk, Visit, land, offer_variants, put, put_in_place
from proxy_policies.cache.keeping import COMPLETED_MOST, Precede
from proxy_policies.cache.response_decision import Freshen, Join, ServeStale, stale_on_failure
from proxy_policies.cache.status import CacheStatus
from proxy_policies.cache.store import Body, BytesBody, read_whole
from proxy_policies.fields import Fields

FAILED = "the origin failed"
"""What Cache-Status says where there was no answer, or none that could be passed on."""


# RFC 5861, section 4, and RFC 9111, section 4.2.4: a failing origin


async def stand_in(
    desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response, decided: ServeStale, now: float
) -> bool:
    """Send a stale response in place of a 5xx; says whether it was there still."""
    entry, body = decided.entry, await desk.store.body(decided.entry)
    if body is None:
        return False
    ttl, origin = entry.ttl(now), response.status_code
    status = CacheStatus(fwd=Why.STALE, fwd_status=origin, ttl=ttl, detail="stale-if-error")
    made = answer(visit.request, entry, now, status)
    await put_in_place(flow, response, made, body)
    offer_variants(desk, flow, entry, made)
    trace.note(flow, "cache", "stale", f"the origin said {origin}", key=entry.key)
    land(desk, visit, Outcome.FAILED)
    return True


async def failed(desk: Desk, flow: http.HTTPFlow, visit: Visit) -> None:
    """Answer a request whose origin cannot be reached or broke off, if that is allowed and nothing was sent."""
    error = flow.error.msg if flow.error else ""
    has_left = exchange.of(flow).client_left or not flow.client_conn.connected
    if error and error != Error.KILLED_MESSAGE and not has_left:
        await _stand_in_for_error(desk, flow, visit, error)
    land(desk, visit, Outcome.FAILED)


async def _stand_in_for_error(desk: Desk, flow: http.HTTPFlow, visit: Visit, error: str) -> None:
    now = time.time()
    entry = stale_on_failure(visit.request, visit.decision, now)
    body = await desk.store.body(entry) if entry is not None else None
    if entry is None or body is None:
        status = CacheStatus(fwd=why_forwarded(visit.decision), detail=FAILED)
        exchange.of(flow).error_fields = Fields.of(("Cache-Status", str(status)))
        return
    status = CacheStatus(fwd=Why.STALE, ttl=entry.ttl(now), detail=f"stale-if-error: {FAILED}")
    made = answer(visit.request, entry, now, status)
    await put(flow, made, body)
    offer_variants(desk, flow, entry, made)
    trace.note(flow, "cache", "stale", f"{FAILED}: {error}", key=entry.key)


# RFC 9111, section 4.3.3: handling a validation response


async def freshen(
    desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response, decided: Freshen, now: float
) -> None:
    """Freshen what a 304 or a HEAD is about, or remove it, and answer from it."""
    body = await desk.store.body(decided.old)
    if decided.new is None:
        await desk.store.remove(decided.old)
    else:
        await desk.store.update(decided.old, decided.new)
    if not decided.has_body:
        _answer_head(desk, flow, visit, response, decided.shown, now)
    elif body is None:
        await refetch(desk, flow, visit, response)
    else:
        await _answer_validated(desk, flow, visit, response, decided, body, now)


async def _answer_validated(
    desk: Desk,
    flow: http.HTTPFlow,
    visit: Visit,
    response: http.Response,
    decided: Freshen,
    body: Body,
    now: float,
) -> None:
    shown, new = decided.shown, decided.new
    waited = None if visit.waited is None else False
    status = CacheStatus(
        fwd=why_forwarded(visit.decision),
        fwd_status=304,
        ttl=shown.ttl(now),
        stored=new is not None and desk.store.takes(None),
        collapsed=waited,
        detail="" if new is not None else decided.why,
    )
    made = answer(visit.request, shown, now, status)
    await put_in_place(flow, response, made, body)
    if new is not None:
        offer_variants(desk, flow, new, made)
    trace.note(flow, "cache", "validated", "the origin said 304" if new is not None else decided.why, key=shown.key)
    land(desk, visit, Outcome.UNSHARED if new is None else Outcome.STORED, new)


def _answer_head(
    desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response, shown: Stored, now: float
) -> None:
    status = CacheStatus(fwd=Why.STALE, fwd_status=200, ttl=shown.ttl(now), stored=desk.store.takes(None))
    response.headers = http.Headers(answer(visit.request, shown, now, status).fields.raw)
    trace.note(flow, "cache", "updated", "by a HEAD", key=shown.key)


async def refetch(desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response) -> None:
    """Fetch again, without our conditions, when the response to them fits nothing that is stored.

    The request that does that is one of its own, and stores what it gets.
    """
    again = await subrequest.send(flow, visit.request.fields, REFETCH)
    land(desk, visit, Outcome.FAILED)
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


# Section 3.4: combining partial content


async def join(desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response, decided: Join) -> bool:
    """Send a stored beginning ahead of the rest that came; where it is gone, fetch the whole.

    Says whether it is joined: then the whole that follows may be stored.
    """
    body = await desk.store.body(decided.entry)
    beginning = await read_whole(body, COMPLETED_MOST) if body is not None else None
    if beginning is None:
        await refetch(desk, flow, visit, response)
        return False
    response.status_code, response.reason = decided.head.status, decided.head.reason
    response.headers = http.Headers(decided.head.fields.raw)
    exchange.of(flow).response_body.add(Stage.ORIGIN, Precede(beginning))
    return True
