"""Collapsed forwarding on flows: who leads, who follows, and how followers get a body that is still coming."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

from mitmproxy import ctx, http

from proxy_policies import exchange
from proxy_policies.cache import collapsing
from proxy_policies.cache.answer import Answer
from proxy_policies.cache.collapsing import Identity, Leader, Outcome
from proxy_policies.cache.decision import Decision, Hit, decide, why_forwarded
from proxy_policies.cache.entry import Stored
from proxy_policies.cache.flows import Desk, Visit, put_bytes
from proxy_policies.cache.incoming import HELD_MOST, IncomingReader


async def collapse(desk: Desk, flow: http.HTTPFlow, visit: Visit) -> Decision:
    """Decide; what would go forward follows a leader whose answer may serve it, else it goes, and leads."""
    asked, tried = desk.collapsed.moment(), list[Leader]()
    waits = 0
    while True:
        stored, now = await desk.store.lookup(visit.request.key), time.time()
        decision = decide(visit.request, stored, now)
        names = collapsing.names_in((*stored, *(leader.entry for leader in tried if leader.entry)))
        identity = collapsing.identity_of(visit.request, names)
        is_vain = waits >= collapsing.WAITS_MOST or desk.collapsed.is_unshared(identity, now)
        if is_vain or not collapsing.may_follow(visit.request, decision):
            break
        fresh = waits == 0 and collapsing.expects_fresh(decision)
        leader = desk.collapsed.find(identity, asked, now, fresh=fresh, excluded=tried)
        if leader is None:
            break
        tried.append(leader)
        waits += leader.entry is None
        visit.waited = visit.waited or why_forwarded(decision)
        if hit := await _follow(desk, visit, leader, asked):
            return hit
    return await _lead(desk, flow, visit, decision, identity)


async def _follow(desk: Desk, visit: Visit, leader: Leader, asked: int) -> Hit | None:
    """Wait for what a leader brings; None when it does not serve this request."""
    await leader.until(lambda: leader.entry)
    validated = leader.began is None or leader.began >= asked
    if leader.entry is None or not (hit := _served(visit, leader.entry, validated)):
        return None
    is_whole = leader.entry.status != 206 and "range" not in visit.request.fields
    if visit.request.method != "HEAD":
        # One that is there all at once is encoded and kept first: its followers need not all do that again.
        await leader.until(lambda: is_whole and (body := leader.body) and body.size and not body.is_over)
    if leader.outcome is Outcome.STORED and (found := await _stored(desk, visit, leader.entry, validated)):
        return found
    if not is_whole or leader.body is None or (reader := leader.body.open()) is None:
        return None
    visit.incoming, visit.length = reader, leader.length
    _let_run_ahead(leader)
    return replace(hit, entry=leader.entry.changed(size=leader.length or 0))


def _served(visit: Visit, entry: Stored, validated: bool) -> Hit | None:
    return collapsing.served_by(visit.request, (entry,), time.time(), validated=validated)


async def _stored(desk: Desk, visit: Visit, entry: Stored, validated: bool) -> Hit | None:
    """Decide on what a leader's answer has become in the store."""
    found = [stored for stored in await desk.store.lookup(entry.key) if stored.id == entry.id]
    return _served(visit, found[0], validated) if found else None


async def _lead(desk: Desk, flow: http.HTTPFlow, visit: Visit, decision: Decision, identity: Identity) -> Decision:
    """Go forward; beside others as somebody whose answer they may have, and without conditions of one client's."""
    request, now = visit.request, time.time()
    if not collapsing.may_lead(request, decision):
        return decision
    beside = desk.collapsed.is_led(identity) and not desk.collapsed.is_unshared(identity, now)
    conditional = collapsing.is_conditional(request)
    leader = desk.collapsed.lead(identity, flow.client_conn.id, now, shareable=beside or not conditional)
    visit.leader, exchange.of(flow).wanted = leader, lambda: leader.is_needed
    if beside and not collapsing.expects_fresh(decision):
        await asyncio.sleep(collapsing.gathering_time(decision))
    leader.began = desk.collapsed.moment()
    if beside and conditional:
        visit.unconditional = True
        bare = replace(request, fields=request.fields.without(collapsing.CONDITIONS))
        return decide(bare, await desk.store.lookup(request.key), now)
    return decision


async def put_incoming(flow: http.HTTPFlow, made: Answer, reader: IncomingReader, length: int | None) -> None:
    """Answer with a body that is still coming."""
    if length is None:
        made = replace(made, fields=made.fields.without(["content-length"]))
    put_bytes(flow, made, b"")
    if made.part is None:
        await reader.close()
    else:
        exchange.of(flow).source = reader


def _let_run_ahead(leader: Leader) -> None:
    """Let a leader's client be slower than its followers, by as much as is held of a body."""
    server = ctx.master.addons.get("proxyserver")
    handler = server.connections.get(leader.client) if server else None
    for connection, io in handler.transports.items() if handler else ():
        if connection.id == leader.client and isinstance(io.writer, asyncio.StreamWriter):
            io.writer.transport.set_write_buffer_limits(HELD_MOST)


async def finish_for_followers(led: Sequence[Leader]) -> None:
    """Wait, when a client has left, until the followers of what it had asked for have their answers."""
    for leader in led:
        await leader.unneeded()
