"""The request side: look up, decide, and carry the decision out."""

import time
from dataclasses import replace

from mitmproxy import ctx, http

from proxy_policies import exchange, subrequest, trace
from proxy_policies.cache import validation
from proxy_policies.cache.answer import answer, hit_status
from proxy_policies.cache.collapsing import WAIT, Outcome
from proxy_policies.cache.decision import (
    Complete,
    Decision,
    Hit,
    Miss,
    Pass,
    Refuse,
    Request,
    Validate,
    Why,
    decide,
    why_forwarded,
)
from proxy_policies.cache.flows import (
    REFETCH,
    REFRESH,
    TAKEOVER,
    Desk,
    Visit,
    begin_visit,
    behind,
    offer_variants,
    put,
)
from proxy_policies.cache.rules import treatment_of
from proxy_policies.cache.status import CacheStatus


async def ask(desk: Desk, flow: http.HTTPFlow) -> None:
    """Answer a request from the store, or send it on with what the decision adds."""
    treatment = treatment_of(desk.rules, lambda rule: rule.matches(flow))
    visit = begin_visit(flow, treatment, time.time())
    known = exchange.of(flow)
    known.stored, known.awaited = visit, visit.purpose == REFETCH
    visit.decision = _kept_out(flow, visit) or await _decide(desk, visit)
    visit.asked_at = time.time()
    await _carry_out(desk, flow, visit)


def _kept_out(flow: http.HTTPFlow, visit: Visit) -> Decision | None:
    """Say what else keeps a request from being looked up."""
    if visit.treatment.bypass:
        return Pass(Why.BYPASS, "a cache rule says so")
    if "upgrade" in flow.request.headers:
        return Pass(Why.BYPASS, "upgrade")
    if visit.purpose == REFETCH or (flow.is_replay == "request" and not visit.purpose):
        return Miss(Why.BYPASS, "replayed")
    return None


async def _decide(desk: Desk, visit: Visit) -> Decision:
    """Decide; a miss waits for one that is under way already, or leads."""
    key, deadline = visit.request.key, time.monotonic() + WAIT
    while True:
        stored, now = await desk.store.lookup(key), time.time()
        decision = decide(visit.request, stored, now)
        if visit.purpose == REFRESH:
            return _refreshed(visit.request, decision)
        if visit.purpose == TAKEOVER:
            visit.flight = None if isinstance(decision, Hit) else desk.tower.find(key, now)
            return decision
        if not _collapsible(visit.request, decision) or desk.tower.is_unshared(key, now):
            return decision
        flight = desk.tower.find(key, now)
        if flight is None:
            visit.flight = desk.tower.lead(key, now)
            return decision
        visit.waited, left = why_forwarded(decision), deadline - time.monotonic()
        if left <= 0 or await flight.wait(left) not in (Outcome.STORED, Outcome.LEFT):
            return decision


def _collapsible(request: Request, decision: Decision) -> bool:
    is_forwarded = isinstance(decision, (Miss, Validate, Complete)) and why_forwarded(decision) is not Why.REQUEST
    return is_forwarded and request.method == "GET" and "range" not in request.fields


def _refreshed(request: Request, decision: Decision) -> Decision:
    """Make of an answer within stale-while-revalidate the question that goes with it."""
    if not isinstance(decision, Hit):
        return decision
    entry = decision.entry
    if not validation.has_validator(entry):
        return Miss(Why.STALE)
    return Validate((entry,), validation.conditional(request.fields, [entry]), Why.STALE)


async def _carry_out(desk: Desk, flow: http.HTTPFlow, visit: Visit) -> None:
    match visit.decision:
        case Hit() as hit:
            await _serve(desk, flow, visit, hit)
        case Refuse(detail):
            flow.response = http.Response.make(504, b"", {"Cache-Status": str(CacheStatus(detail=detail))})
            trace.note(flow, "cache", "refused", detail, key=visit.request.key)
        case Validate(fields=fields) | Complete(fields=fields):
            flow.request.headers = http.Headers(fields.raw)


async def _serve(desk: Desk, flow: http.HTTPFlow, visit: Visit, hit: Hit) -> None:
    now = time.time()
    body = await desk.store.body(hit.entry)
    if body is None:
        visit.decision = Miss(Why.URI_MISS, "gone meanwhile")
        return
    status = hit_status(hit, now)
    if visit.waited is not None:
        status = replace(status, hit=False, fwd=visit.waited, collapsed=True)
    made = answer(visit.request, hit.entry, now, status, hit.part)
    await put(flow, made, body)
    exchange.of(flow).hit = True
    offer_variants(desk, flow, hit.entry, made)
    trace.note(
        flow, "cache", "hit", hit.detail or f"fresh for {hit.entry.ttl(now):.0f} s",
        age=int(hit.age), status=made.status, key=hit.entry.key, **({"collapsed": True} if visit.waited else {}),
    )  # fmt: skip
    if hit.refresh:
        refresh_behind(desk, flow, visit, hit)


def refresh_behind(desk: Desk, flow: http.HTTPFlow, visit: Visit, hit: Hit) -> None:
    """Refresh an entry in the background, once at a time."""
    if hit.entry.id in desk.refreshing:
        return
    desk.refreshing.add(hit.entry.id)

    async def refresh() -> None:
        try:
            await subrequest.send(flow, visit.request.fields, REFRESH)
        finally:
            desk.refreshing.discard(hit.entry.id)

    behind(refresh(), f"refresh {hit.entry.key}")


def hand_over(desk: Desk, flow: http.HTTPFlow, visit: Visit) -> None:
    """Ask in place of a client that left, if others wait for its answer: no matter who of them leaves next."""
    flight, visit.flight = visit.flight, None
    if flight is None:
        return
    if visit.purpose or not flight.waiting:
        flight.land(Outcome.LEFT, time.time())
        return

    trace.note(flow, "cache", "handed over", f"{flight.waiting} wait for the answer", key=visit.request.key)

    async def lead() -> None:
        try:
            await subrequest.send(flow, visit.request.fields, TAKEOVER)
        finally:
            flight.land(Outcome.LEFT, time.time())

    behind(lead(), f"ask for {visit.request.key} in place of a client that left")


def unasked(desk: Desk, flow: http.HTTPFlow) -> Visit | None:
    """Note an upload that its origin answers before it has come whole, when nobody has asked us yet; None for others.

    Nothing that is stored could have answered it.
    """
    if flow.request.timestamp_end is not None or ctx.options.server_replay:
        return None
    treatment, now = treatment_of(desk.rules, lambda rule: rule.matches(flow)), time.time()
    visit = begin_visit(flow, treatment, now)
    visit.decision = decide(visit.request, (), now)
    exchange.of(flow).stored = visit
    return visit


def is_idle(flow: http.HTTPFlow) -> bool:
    """Say whether the cache has no business with a flow: it is answered, broken, or a server replay is on."""
    return bool(flow.response or flow.error or ctx.options.server_replay)
