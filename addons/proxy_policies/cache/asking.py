"""The request side: look up, decide, and carry the decision out."""

import time

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
)
from proxy_policies.cache.flows import REFETCH, REFRESH, Desk, Visit, behind, put, request_of
from proxy_policies.cache.keeping import CodedVariants
from proxy_policies.cache.rules import treatment_of
from proxy_policies.cache.status import CacheStatus
from proxy_policies.cache.store import read_whole
from proxy_policies.fields import tokens

VARIANT_MOST = 8 * 1024 * 1024
"""Bytes of an encoded form that is read into memory for encoding to send."""


async def ask(desk: Desk, flow: http.HTTPFlow) -> None:
    """Answer a request from the store, or send it on with what the decision adds."""
    treatment = treatment_of(desk.rules, lambda rule: rule.matches(flow))
    request = request_of(flow, treatment)
    visit = Visit(request, Miss(Why.URI_MISS), treatment, time.time(), subrequest.purpose(flow))
    exchange.of(flow).stored = visit
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
    deadline = time.monotonic() + WAIT
    while True:
        decision = decide(visit.request, await desk.store.lookup(visit.request.key), time.time())
        if visit.purpose == REFRESH:
            return _refreshed(visit.request, decision)
        if not _collapsible(visit.request, decision) or desk.tower.is_unshared(visit.request.key, time.time()):
            return decision
        flight = desk.tower.find(visit.request.key)
        if flight is None:
            visit.flight = desk.tower.lead(visit.request.key)
            return decision
        left = deadline - time.monotonic()
        if left <= 0 or await flight.wait(left) not in (Outcome.STORED, Outcome.LEFT):
            return decision
        visit.collapsed = True


def _collapsible(request: Request, decision: Decision) -> bool:
    waits = isinstance(decision, Miss | Validate) and decision.why is not Why.REQUEST
    return waits and request.method == "GET" and "range" not in request.fields


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
    made = answer(visit.request, hit.entry, now, status, hit.part)
    await put(flow, made, body)
    known = exchange.of(flow)
    known.hit = True
    if made.status == hit.entry.status == 200 and made.part is not None:
        known.variants = await variants(desk, visit.request, hit)
    trace.note(
        flow, "cache", "hit", hit.detail or f"fresh for {hit.entry.ttl(now):.0f} s",
        age=int(hit.age), status=made.status, key=hit.entry.key,
    )  # fmt: skip
    if hit.refresh:
        refresh_behind(desk, flow, visit, hit)


async def variants(desk: Desk, request: Request, hit: Hit) -> CodedVariants:
    """Open the encoded forms that the client may accept."""
    loaded = {}
    for coding in tokens(request.fields.get("accept-encoding")):
        name = coding.partition(";")[0].strip()
        body = await desk.store.body(hit.entry, name)
        data = await read_whole(body, VARIANT_MOST) if body is not None else None
        if data is not None:
            loaded[name] = data
    return CodedVariants(desk.store, hit.entry, desk.max_object, loaded)


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


def is_idle(flow: http.HTTPFlow) -> bool:
    """Say whether the cache has no business with a flow: it is answered, broken, or a server replay is on."""
    return bool(flow.response or flow.error or ctx.options.server_replay)
