"""The response side: handles the head of an origin's response."""

import asyncio
import random
import time
from typing import assert_never

from mitmproxy import http

from proxy_policies import trace
from proxy_policies.background.tasks import spawn
from proxy_policies.body import Stage
from proxy_policies.cache import partial_merge, revalidation
from proxy_policies.cache.body_taps import EncodedVariants, OnComplete, OnFinish, StoreTap
from proxy_policies.cache.collapsing import LeaderOutcome
from proxy_policies.cache.rfc9111 import invalidation
from proxy_policies.cache.rfc9111.decision import forward_reason
from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.key import key_of, matches, without_query
from proxy_policies.cache.rfc9111.ranges import strong_validator
from proxy_policies.cache.rfc9111.response_decision import (
    DontStore,
    Freshen,
    Join,
    Refetch,
    ResponseContext,
    ResponseHead,
    ServeStale,
    StoreResponse,
    decide_response,
    decide_storing,
    described_by_304,
    described_by_head,
)
from proxy_policies.cache.rfc9111.selectors import Selector
from proxy_policies.cache.rules import NO_EFFECTS
from proxy_policies.cache.status import CacheStatus
from proxy_policies.cache.transactions import (
    CacheEngine,
    Transaction,
    announce_head,
    announce_response,
    release_followers,
    request_as_sent,
    target_of,
    upstream_target_of,
)
from proxy_policies.fields import fields_of, set_fields
from proxy_policies.flows import flow_state
from proxy_policies.http1.framing import has_no_body
from proxy_policies.streaming.decision import known_length

STORING = 5.0
"""Seconds after which a complete response that was not encoded and stored counts as failed."""

LENGTH_UNKNOWN = "stored if it ends within cache_max_object"
"""Cache-Status detail for a head sent before the body's length is known."""
_random = random.Random()  # noqa: S311 -- ids are no secrets
"""Ours alone: a script that seeds the module's would repeat ids, and one response would get the body of another."""
DELIMITING = frozenset({"content-length", "transfer-encoding"})


async def handle_response(
    engine: CacheEngine, flow: http.HTTPFlow, transaction: Transaction, response: http.Response
) -> None:
    """Handle the head of an origin's response: decide, and execute the decision."""
    if response.data.status_code < 200:
        return
    now = time.time()
    if transaction.request.method not in invalidation.SAFE_METHODS:
        await _invalidate(engine, transaction, response)
    context = ResponseContext(
        request=request_as_sent(flow, transaction),
        decision=transaction.decision,
        asked_at=transaction.asked_at,
        overrides_for=None if transaction.effects is NO_EFFECTS else transaction.effects.overrides_for,
        max_object=engine.max_object,
        id=f"{_random.getrandbits(128):032x}",
        strict=engine.strict,
        sent_elsewhere=upstream_target_of(flow.request) != transaction.sent
        and key_of(target_of(flow)) != transaction.target,
    )
    head = ResponseHead(response.data.status_code, response.reason, fields_of(response.data.headers))
    decided = decide_response(context, head, now)
    if isinstance(decided, ServeStale) and not await revalidation.serve_stale_for_5xx(
        engine, flow, transaction, response, decided, now
    ):
        decided = decide_storing(context, head, now)  # the stale response is gone
    if not isinstance(decided, (StoreResponse, DontStore)):
        await _carry_out(engine, flow, transaction, response, decided, now)
        return
    if head.status == 304:
        announce_head(engine, transaction, described_by_304(context, head.fields, now))
    elif context.request.method == "HEAD":
        announce_head(engine, transaction, described_by_head(context, head, now), known_length(response))
    _pass_on(engine, flow, transaction, response, decided)


async def _carry_out(
    engine: CacheEngine,
    flow: http.HTTPFlow,
    transaction: Transaction,
    response: http.Response,
    decided: ServeStale | Freshen | Join | Refetch,
    now: float,
) -> None:
    match decided:
        case ServeStale():
            pass  # done
        case Freshen():
            await revalidation.freshen(engine, flow, transaction, response, decided, now)
        case Refetch():
            await revalidation.refetch(engine, flow, transaction, response)
        case Join():
            if await revalidation.join(engine, flow, transaction, response, decided):
                _pass_on(engine, flow, transaction, response, decided.then)
        case _:
            assert_never(decided)


async def _invalidate(engine: CacheEngine, transaction: Transaction, response: http.Response) -> None:
    fields, request = fields_of(response.data.headers), transaction.request
    for key in invalidation.invalidated(request.method, request.key, response.data.status_code, fields):
        await engine.store.purge(Selector("key", without_query(key, transaction.effects.ignore_query)))


def _pass_on(
    engine: CacheEngine,
    flow: http.HTTPFlow,
    transaction: Transaction,
    response: http.Response,
    decided: StoreResponse | DontStore,
) -> None:
    """Pass a response to the client, stored or not, and set Cache-Status."""
    if isinstance(decided, StoreResponse):
        _start_storing(engine, flow, transaction, response, decided.entry)
    else:
        # A 5xx says nothing about other responses; a head may have been enough for followers.
        is_head_only = transaction.leader is not None and transaction.leader.is_head_only
        says_little = response.status_code >= 500 or is_head_only
        release_followers(engine, transaction, LeaderOutcome.FAILED if says_little else LeaderOutcome.UNSHARED)
    if decided.removes is not None:
        _remove_at_end(engine, flow, transaction, decided.removes)
    _set_cache_status(engine, flow, transaction, response, decided)


def _remove_at_end(engine: CacheEngine, flow: http.HTTPFlow, transaction: Transaction, old: StoredResponse) -> None:
    """Remove a stored response once its replacement is complete; one that breaks off may still need the old one."""
    work = OnFinish(
        lambda: spawn(
            _remove_outdated(engine, transaction, old),
            eager=True,
            failure=f"cache: could not remove what was stored for {old.key}",
        )
    )
    flow_state.state_of(flow).response_body.tap(Stage.CACHE, work)


async def _remove_outdated(engine: CacheEngine, transaction: Transaction, old: StoredResponse) -> None:
    """Remove a stored response, and others that the request selects and that were there: they would be used next."""
    asked, fields = transaction.asked_at, transaction.request.fields
    for entry in await engine.store.lookup(old.key):
        if entry.id == old.id or (entry.received_at <= asked and matches(entry.vary_key, entry.fields, fields)):
            await engine.store.remove(entry)


def _start_storing(
    engine: CacheEngine,
    flow: http.HTTPFlow,
    transaction: Transaction,
    response: http.Response,
    entry: StoredResponse,
) -> None:
    """Add the storing tap to the body's pipeline."""
    # A POST that is stored has just invalidated its own key.
    since = engine.store.checkpoint if transaction.request.method == "POST" else transaction.since

    def finish(stored: StoredResponse | None) -> None:
        if stored is None:
            release_followers(engine, transaction, LeaderOutcome.FAILED)
        elif stored.span is not None:
            joining = partial_merge.merge_parts(engine.store, stored, engine.max_object)
            spawn(joining, failure=f"cache: could not join the parts of {stored.key}")

    state, writing = flow_state.state_of(flow), engine.store.write(since)
    length, is_delimited = _length_to_complete(entry, response), _is_delimited(response)
    keeping = StoreTap(writing, entry, engine.max_object, finish, length, is_delimited=is_delimited)
    state.response_body.tap(Stage.CACHE, keeping)
    if incoming := announce_response(engine, transaction, entry, known_length(response)):
        state.response_body.tap(Stage.CACHE, incoming)
    # Followers wait until the encoded form is kept, too, so that they need not all repeat the encoding.
    state.response_body.tap(
        Stage.CLIENT, OnComplete(lambda: release_followers(engine, transaction, LeaderOutcome.STORED))
    )
    if entry.status == 200:
        state.variants = EncodedVariants(engine.store, entry, engine.max_object, is_stored=False)
    transaction.stored = True


def _length_to_complete(entry: StoredResponse, response: http.Response) -> int | None:
    """Return the length of a body whose rest could be requested if it breaks off; else None."""
    ranged = (fields_of(response.data.headers).get("accept-ranges") or "").strip().lower() != "none"
    return known_length(response) if entry.status == 200 and ranged and strong_validator(entry) else None


def _is_delimited(response: http.Response) -> bool:
    """Return whether a body's framing marks its end, and not the connection's end (RFC 9112, section 6.3)."""
    is_framed = not response.data.http_version.startswith(b"HTTP/1")
    return is_framed or fields_of(response.data.headers).has_any(DELIMITING)


def _set_cache_status(
    engine: CacheEngine,
    flow: http.HTTPFlow,
    transaction: Transaction,
    response: http.Response,
    decided: StoreResponse | DontStore,
) -> None:
    why, origin = str(forward_reason(transaction.decision)), flow_state.state_of(flow).origin
    fields, is_stored, detail = fields_of(response.data.headers), isinstance(decided, StoreResponse), decided.why
    will_fit = False
    if is_stored:
        length = 0 if has_no_body(flow.request.method, response.data.status_code) else known_length(response)
        will_fit = length is not None and engine.store.takes(length)
        detail = LENGTH_UNKNOWN if length is None else ""
    status = CacheStatus(
        fwd=why,
        fwd_status=origin.status if origin else None,
        stored=will_fit,
        collapsed=None if transaction.waited is None else False,
        detail=detail,
    )
    if "cache-status" in fields:
        before = fields.get("cache-status")
        response.headers["Cache-Status"] = f"{before}, {status}" if before else str(status)
    else:
        set_fields(response.data.headers, fields.adding("Cache-Status", str(status)))
    verdict = "stored" if is_stored else "not stored"
    trace.note(flow, "cache", verdict, decided.why, fwd=why, key=transaction.request.key)


def finish(engine: CacheEngine, transaction: Transaction) -> None:
    """Release requests that wait for an exchange that ended without storing."""
    if not transaction.stored:
        release_followers(engine, transaction, LeaderOutcome.FAILED)
    elif transaction.leader is not None:  # stored by the hooks that follow, unless an addon removes the body
        asyncio.get_running_loop().call_soon(_await_storing, engine, transaction)


def _await_storing(engine: CacheEngine, transaction: Transaction) -> None:
    """Release requests that wait for a response if it is not encoded and stored in time."""
    if transaction.leader is not None:
        asyncio.get_running_loop().call_later(STORING, release_followers, engine, transaction, LeaderOutcome.FAILED)
