"""The request side: look up, decide, follow another request or lead others, and execute the decision."""

import asyncio
import time
from collections.abc import Collection, Sequence

from mitmproxy import http

from proxy_policies import subrequest, trace
from proxy_policies.background.tasks import spawn
from proxy_policies.cache import collapsed_flows, collapsing
from proxy_policies.cache.collapsing import Identity, Leader, LeaderOutcome
from proxy_policies.cache.response import CachedResponse, build_response, hit_status
from proxy_policies.cache.rfc9111 import validation
from proxy_policies.cache.rfc9111.decision import (
    Bypass,
    CompletePartial,
    Decision,
    ForwardReason,
    Hit,
    Miss,
    OnlyIfCached504,
    Request,
    Validate,
    decide,
    forward_reason,
    goes_forward,
)
from proxy_policies.cache.rfc9111.key import VaryKey
from proxy_policies.cache.rules import NO_EFFECTS, RuleEffects, effects_for
from proxy_policies.cache.status import CacheStatus
from proxy_policies.cache.transactions import (
    REFETCH,
    REFRESH,
    CacheEngine,
    Transaction,
    begin_transaction,
    offer_variants,
    set_response,
)
from proxy_policies.flows import flow_state

NOT_REFRESHED = frozenset({*validation.CONDITIONALS, "range"})
"""Fields that only concern this client's use of a response."""


async def handle_request(engine: CacheEngine, flow: http.HTTPFlow) -> None:
    """Answer a request from the store, or forward it with the decision's fields."""
    transaction = begin_transaction(flow, _effects(engine, flow), time.time())
    state = flow_state.state_of(flow)
    state.cache_transaction, state.is_awaited_whole = transaction, transaction.purpose == REFETCH
    transaction.decision = _bypass_reason(flow, transaction) or await _decide(engine, flow, transaction)
    transaction.asked_at, transaction.since = time.time(), engine.store.checkpoint
    await _execute(engine, flow, transaction)


def _effects(engine: CacheEngine, flow: http.HTTPFlow) -> RuleEffects:
    return effects_for(engine.rules, lambda rule: rule.matches(flow)) if engine.rules else NO_EFFECTS


def _bypass_reason(flow: http.HTTPFlow, transaction: Transaction) -> Decision | None:
    """Return another reason not to look a request up."""
    if transaction.effects.bypass:
        return Bypass(ForwardReason.BYPASS, "a cache rule says so")
    if "upgrade" in transaction.request.fields:
        return Bypass(ForwardReason.BYPASS, "upgrade")
    if transaction.purpose == REFETCH or (flow.is_replay == "request" and not transaction.purpose):
        return Miss(ForwardReason.BYPASS, "replayed")
    return None


async def _decide(engine: CacheEngine, flow: http.HTTPFlow, transaction: Transaction) -> Decision:
    if transaction.purpose == REFRESH:
        return _refreshed(
            transaction.request,
            decide(transaction.request, await engine.store.lookup(transaction.request.key), time.time()),
        )
    return await _look_up(engine, flow, transaction)


async def _look_up(engine: CacheEngine, flow: http.HTTPFlow, transaction: Transaction) -> Decision:
    """Decide; a request to be forwarded follows a leader whose response may serve it, else it leads itself."""
    asked, waits, conditions = engine.collapsed.moment(), 0, collapsing.conditions_of(transaction.request)
    tried: list[Leader] = []
    while True:
        stored, now = await engine.store.lookup(transaction.request.key), time.time()
        decision = decide(transaction.request, stored, now)
        if not goes_forward(decision):
            return decision
        await engine.store.read_checkpoint()
        heads = [leader.entry for leader in tried if leader.entry]
        names = collapsing.names_in((*stored, *heads))
        identity = collapsing.identity_of(transaction.request, names)
        is_vain = waits >= collapsing.MAX_WAITS or _is_unshared(engine, identity, conditions)
        if is_vain or not collapsing.may_follow(transaction.request, decision, heads):
            break
        fresh = waits == 0 and collapsing.expects_fresh(decision)
        leader = _leader_for(engine, transaction.request, names, identity, conditions, asked, fresh, tried)
        if leader is None:
            break
        if await collapsed_flows.is_purged(engine, leader):
            leader.shareable = False
            continue
        tried.append(leader)
        is_headless = leader.entry is None
        transaction.waited = transaction.waited or forward_reason(decision)
        if hit := await collapsed_flows.follow(engine, transaction, leader, asked):
            return hit
        waits += is_headless or leader.outcome is LeaderOutcome.FAILED
    return await _lead(engine, flow, transaction, decision, identity, conditions)


def _is_unshared(engine: CacheEngine, identity: Identity, conditions: VaryKey) -> bool:
    return engine.collapsed.is_unshared(identity, time.monotonic(), conditions)


def _leader_for(
    engine: CacheEngine,
    request: Request,
    names: Collection[str],
    identity: Identity,
    conditions: VaryKey,
    asked: int,
    fresh: bool,
    tried: Sequence[Leader],
) -> Leader | None:
    """Return the leader to follow: one with the same identity, or one that fetches the whole of a requested part."""
    now = time.monotonic()
    found = engine.collapsed.find(identity, asked, now, fresh=fresh, excluded=tried, conditions=conditions)
    if found is None and "range" in request.fields:
        found = engine.collapsed.find_whole(request, names, now)
    return None if found in tried else found


async def _lead(
    engine: CacheEngine,
    flow: http.HTTPFlow,
    transaction: Transaction,
    decision: Decision,
    identity: Identity,
    conditions: VaryKey,
) -> Decision:
    """Forward the request as a leader; beside others, without the client's conditions, so that all may use it."""
    request = transaction.request
    if not collapsing.may_lead(request, decision):
        return decision
    asks, beside = request, engine.collapsed.is_led(identity) and not _is_unshared(engine, identity, conditions)
    if beside:
        asks = request._replace(fields=request.fields.without(collapsing.CONDITIONS))
        conditions = collapsing.conditions_of(asks)
    known = engine.store.checkpoint
    leader = engine.collapsed.lead(identity, flow.client_conn.id, time.monotonic(), conditions, known)
    state, transaction.leader = flow_state.state_of(flow), leader
    state.wanted, state.backlog = lambda: leader.is_needed, collapsed_flows.backlog
    if beside and collapsing.may_gather(request, decision):
        await asyncio.sleep(collapsing.gathering_time(decision))
    leader.began = engine.collapsed.moment()
    if not beside or asks.fields == request.fields:
        return decision
    transaction.unconditional = True
    return decide(asks, await engine.store.lookup(request.key), time.time())


def _refreshed(request: Request, decision: Decision) -> Decision:
    """Turn a hit within stale-while-revalidate into the request that refreshes it."""
    if not isinstance(decision, Hit):
        return decision
    entry = decision.entry
    if not validation.has_validator(entry):
        return Miss(ForwardReason.STALE, fallback=entry)
    return Validate((entry,), validation.conditional(request.fields, [entry]), ForwardReason.STALE)


async def _execute(engine: CacheEngine, flow: http.HTTPFlow, transaction: Transaction) -> None:
    match transaction.decision:
        case Hit() as hit:
            await _serve(engine, flow, transaction, hit)
        case OnlyIfCached504(detail):
            flow.response = http.Response.make(504, b"", {"Cache-Status": str(CacheStatus(detail=detail))})
            trace.note(flow, "cache", "refused", detail, key=transaction.request.key)
        case Validate(fields=fields) | CompletePartial(fields=fields):
            flow.request.headers = http.Headers(fields.raw)
        case Miss() if transaction.unconditional:
            flow.request.headers = http.Headers(transaction.request.fields.without(collapsing.CONDITIONS).raw)


async def _serve(engine: CacheEngine, flow: http.HTTPFlow, transaction: Transaction, hit: Hit) -> None:
    now = time.time()
    status = hit_status(hit, now)
    if transaction.waited is not None:
        status = status._replace(hit=False, fwd=transaction.waited, collapsed=True)
    made = build_response(transaction.request, hit.entry, now, status, hit.part)
    if transaction.incoming is not None or transaction.is_head_enough:
        await collapsed_flows.put_incoming(flow, made, transaction.incoming, transaction.length)
    elif not await _answer_from_store(engine, flow, hit, made):
        transaction.decision = Miss(ForwardReason.URI_MISS, "removed in the meantime")
        return
    flow_state.state_of(flow).hit = True
    trace.note(
        flow, "cache", "hit", hit.detail or f"fresh for {hit.entry.ttl(now):.0f} s",
        age=int(hit.age), status=made.status, key=hit.entry.key, **({"collapsed": True} if transaction.waited else {}),
    )  # fmt: skip
    if hit.refresh:
        refresh_in_background(engine, flow, transaction, hit)


async def _answer_from_store(engine: CacheEngine, flow: http.HTTPFlow, hit: Hit, made: CachedResponse) -> bool:
    """Answer with a stored body; return False if it is gone, or cannot be read."""
    body = await engine.store.body(hit.entry)
    if body is None:
        return False
    try:
        await set_response(flow, made, body)
    except OSError:
        return False
    offer_variants(engine, flow, hit.entry, made)
    return True


def refresh_in_background(engine: CacheEngine, flow: http.HTTPFlow, transaction: Transaction, hit: Hit) -> None:
    """Refresh a whole entry in the background, one refresh at a time, whatever part this client requested."""
    if hit.entry.id in engine.refreshing:
        return
    engine.refreshing.add(hit.entry.id)

    async def refresh() -> None:
        try:
            await subrequest.send(flow, transaction.request.fields.without(NOT_REFRESHED), REFRESH)
        finally:
            engine.refreshing.discard(hit.entry.id)

    spawn(refresh(), failure=f"cache: could not refresh {hit.entry.key}")


def transaction_for_early_response(engine: CacheEngine, flow: http.HTTPFlow) -> Transaction | None:
    """Begin a transaction for an upload that its origin answers before it is complete; None for others.

    No stored response could have answered it.
    """
    if flow.request.timestamp_end is not None or engine.is_replaying:
        return None
    now = time.time()
    transaction = begin_transaction(flow, _effects(engine, flow), now)
    transaction.decision = _bypass_reason(flow, transaction) or decide(transaction.request, (), now)
    transaction.since = engine.store.checkpoint
    flow_state.state_of(flow).cache_transaction = transaction
    return transaction


def is_not_ours(engine: CacheEngine, flow: http.HTTPFlow) -> bool:
    """Return whether the cache must ignore a flow: it is answered, failed, or a server replay is on."""
    return bool(flow.response or flow.error or engine.is_replaying)
