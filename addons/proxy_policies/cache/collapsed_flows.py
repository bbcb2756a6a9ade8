"""Following: a request gets the response to another one, its leader, whose body may still be arriving."""

import time
from collections.abc import Sequence
from dataclasses import replace

from mitmproxy import ctx, http

from proxy_policies.cache import collapsing
from proxy_policies.cache.collapsing import Leader, LeaderOutcome
from proxy_policies.cache.incoming_body import MAX_HELD, IncomingBody, IncomingPart, IncomingReader, Room
from proxy_policies.cache.response import CachedResponse, build_response
from proxy_policies.cache.rfc9111.decision import Hit, Request
from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.status import CacheStatus
from proxy_policies.cache.transactions import CacheEngine, Transaction, put_bytes
from proxy_policies.flows import flow_state
from proxy_policies.patches.client_handlers import set_write_limit


async def is_purged(engine: CacheEngine, leader: Leader) -> bool:
    """Return whether a known purge, by any process, selects a leader's response, or may."""
    known = engine.store.checkpoint
    if leader.checkpoint == known:
        return False
    tags = leader.entry.tags if leader.entry else None
    if await engine.store.is_purged(leader.identity[0], tags, leader.checkpoint):
        return True
    leader.checkpoint = known
    return False


async def follow(engine: CacheEngine, transaction: Transaction, leader: Leader, asked: int) -> Hit | None:
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


def backlog() -> tuple[IncomingBody, IncomingReader]:
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
