"""Collapsed forwarding on flows: leading, following, and sending followers a body that is still arriving."""

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import replace

from mitmproxy import ctx, http

from proxy_policies.cache import collapsing
from proxy_policies.cache.collapsing import Identity, Leader, LeaderOutcome
from proxy_policies.cache.incoming_body import MAX_HELD, IncomingBody, IncomingPart, IncomingReader, Room
from proxy_policies.cache.response import CachedResponse, build_response
from proxy_policies.cache.rfc9111.decision import (
    CacheStatus,
    Decision,
    Hit,
    Request,
    decide,
    forward_reason,
    goes_forward,
)
from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.key import VaryKey
from proxy_policies.cache.transactions import CacheEngine, Transaction, put_bytes
from proxy_policies.flows import flow_state
from proxy_policies.patches.client_handlers import set_write_limit


async def collapse(engine: CacheEngine, flow: http.HTTPFlow, transaction: Transaction) -> Decision:
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
        if await _is_purged(engine, leader):
            leader.shareable = False
            continue
        tried.append(leader)
        is_headless = leader.entry is None
        transaction.waited = transaction.waited or forward_reason(decision)
        if hit := await _follow(engine, transaction, leader, asked):
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


async def _is_purged(engine: CacheEngine, leader: Leader) -> bool:
    """Return whether a known purge, by any process, selects a leader's response, or may."""
    known = engine.store.checkpoint
    if leader.checkpoint == known:
        return False
    tags = leader.entry.tags if leader.entry else None
    if await engine.store.is_purged(leader.identity[0], tags, leader.checkpoint):
        return True
    leader.checkpoint = known
    return False


async def _follow(engine: CacheEngine, transaction: Transaction, leader: Leader, asked: int) -> Hit | None:
    """Wait for a leader's response; None if it does not serve this request."""
    await leader.until(lambda: leader.entry)
    validated = leader.began is None or leader.began >= asked
    if leader.entry is None or not (hit := _served(transaction, leader.entry, validated)):
        return None
    if _needs_no_body(transaction.request, hit):
        transaction.is_head_enough, transaction.length = True, leader.length
        return hit
    comes = not leader.is_head_only and (leader.length is not None or _takes_all(transaction.request, leader.entry))
    # A body that arrives at once is first encoded and kept, so that followers need not all repeat that.
    await leader.until(lambda: comes and (body := leader.body) and body.size and not body.is_finished)
    if leader.outcome is LeaderOutcome.STORED and (
        found := await _stored(engine, transaction, leader.entry, validated)
    ):
        return found
    if not comes or leader.body is None or (reader := leader.body.open()) is None:
        return None
    transaction.incoming, transaction.length = reader, leader.length
    _let_run_ahead(leader)
    return hit


def _needs_no_body(request: Request, hit: Hit) -> bool:
    """Return whether a head answers a request: a HEAD, or one answered with 304."""
    return build_response(request, hit.entry, time.time(), CacheStatus(), hit.part).part is None


def _takes_all(request: Request, entry: StoredResponse) -> bool:
    """Return whether a body is sent as it arrives, whatever its length."""
    return entry.status != 206 and "range" not in request.fields


def _served(transaction: Transaction, entry: StoredResponse, validated: bool) -> Hit | None:
    return collapsing.served_by(transaction.request, (entry,), time.time(), validated=validated)


async def _stored(engine: CacheEngine, transaction: Transaction, entry: StoredResponse, validated: bool) -> Hit | None:
    """Decide on a leader's response as stored."""
    found = [stored for stored in await engine.store.lookup(entry.key) if stored.id == entry.id]
    return _served(transaction, found[0], validated) if found else None


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
    state.wanted, state.backlog = lambda: leader.is_needed, _backlog
    if beside and collapsing.may_gather(request, decision):
        await asyncio.sleep(collapsing.gathering_time(decision))
    leader.began = engine.collapsed.moment()
    if not beside or asks.fields == request.fields:
        return decision
    transaction.unconditional = True
    return decide(asks, await engine.store.lookup(request.key), time.time())


def _backlog() -> tuple[IncomingBody, IncomingReader]:
    """Create the buffer for a leader's slow client, as for a slow follower."""
    body = IncomingBody(Room(), lambda: None)
    return body, body.open_alone()


async def put_incoming(
    flow: http.HTTPFlow, made: CachedResponse, reader: IncomingReader | None, length: int | None
) -> None:
    """Answer with a body that is still arriving, or with a head alone."""
    if length is None:
        made = replace(made, fields=made.fields.without(["content-length"]))
    put_bytes(flow, made, b"")
    if reader is None:
        return
    if made.part is None:
        await reader.close()
    else:
        flow_state.state_of(flow).source = reader if length is None else IncomingPart(reader, *made.part)


def _let_run_ahead(leader: Leader) -> None:
    """Let a leader's client be slower than its followers, first by the bytes held of a body, then by its backlog."""
    fastlane = ctx.master.addons.get("fastlane")
    if fastlane is not None and (ours := fastlane.find(leader.client)) is not None:
        ours.stream.high_water = MAX_HELD
    set_write_limit(leader.client, MAX_HELD)


async def finish_for_followers(led: Sequence[Leader]) -> None:
    """Wait, after a client has left, until the followers of its requests have their responses."""
    for leader in led:
        await leader.unneeded()
