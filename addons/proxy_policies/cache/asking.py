"""The request side: look up, decide, and carry the decision out."""

import time
from dataclasses import replace

from mitmproxy import ctx, http

from proxy_policies import exchange, subrequest, trace
from proxy_policies.cache import following, validation
from proxy_policies.cache.answer import answer, hit_status
from proxy_policies.cache.collapsing import CONDITIONS
from proxy_policies.cache.decision import Complete, Decision, Hit, Miss, Pass, Refuse, Request, Validate, Why, decide
from proxy_policies.cache.flows import REFETCH, REFRESH, Desk, Visit, begin_visit, behind, offer_variants, put
from proxy_policies.cache.rules import treatment_of
from proxy_policies.cache.status import CacheStatus


async def ask(desk: Desk, flow: http.HTTPFlow) -> None:
    """Answer a request from the store, or send it on with what the decision adds."""
    treatment = treatment_of(desk.rules, lambda rule: rule.matches(flow))
    visit = begin_visit(flow, treatment, time.time())
    known = exchange.of(flow)
    known.stored, known.awaited = visit, visit.purpose == REFETCH
    visit.decision = _kept_out(flow, visit) or await _decide(desk, flow, visit)
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


async def _decide(desk: Desk, flow: http.HTTPFlow, visit: Visit) -> Decision:
    if visit.purpose == REFRESH:
        return _refreshed(visit.request, decide(visit.request, await desk.store.lookup(visit.request.key), time.time()))
    return await following.collapse(desk, flow, visit)


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
        case Miss() if visit.unconditional:
            flow.request.headers = http.Headers(visit.request.fields.without(CONDITIONS).raw)


async def _serve(desk: Desk, flow: http.HTTPFlow, visit: Visit, hit: Hit) -> None:
    now = time.time()
    status = hit_status(hit, now)
    if visit.waited is not None:
        status = replace(status, hit=False, fwd=visit.waited, collapsed=True)
    made = answer(visit.request, hit.entry, now, status, hit.part)
    if visit.incoming is not None:
        await following.put_incoming(flow, made, visit.incoming, visit.length)
    elif (body := await desk.store.body(hit.entry)) is not None:
        await put(flow, made, body)
        offer_variants(desk, flow, hit.entry, made)
    else:
        visit.decision = Miss(Why.URI_MISS, "gone meanwhile")
        return
    exchange.of(flow).hit = True
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
