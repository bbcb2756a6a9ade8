"""The response side: what an origin's response head leads to."""

import asyncio
import math
import time
import uuid
from typing import assert_never

from mitmproxy import http

from proxy_policies import exchange, trace
from proxy_policies.body import Stage
from proxy_policies.cache import invalidation, joining, reviving
from proxy_policies.cache.collapsing import Outcome
from proxy_policies.cache.decision import why_forwarded
from proxy_policies.cache.entry import Stored
from proxy_policies.cache.flows import Desk, Visit, answered, behind, land, request_as_sent, sent_of, target_of
from proxy_policies.cache.keeping import AtEnd, CodedVariants, Keeping
from proxy_policies.cache.key import key_of, without_query
from proxy_policies.cache.purge import Selector
from proxy_policies.cache.ranges import strong_validator
from proxy_policies.cache.response_decision import (
    DontStore,
    Exchange,
    Freshen,
    Join,
    Refetch,
    ResponseDecision,
    ResponseHead,
    ServeStale,
    Store,
    decide_response,
    decide_storing,
)
from proxy_policies.cache.status import CacheStatus
from proxy_policies.fields import Fields
from proxy_policies.streaming import declared_length

STORING = 5.0
"""Seconds within which an answer that has come whole is encoded and stored, or it is not."""


async def receive(desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response) -> None:
    """Handle the head of an origin's response: decide, and carry it out."""
    if response.status_code < 200:
        return
    now = time.time()
    await _invalidate(desk, visit, response, now)
    judged = Exchange(
        request=request_as_sent(flow, visit),
        decision=visit.decision,
        asked_at=visit.asked_at,
        overrides_for=visit.treatment.overrides_for,
        max_object=desk.max_object,
        id=uuid.uuid4().hex,
        strict=desk.strict,
        sent_elsewhere=sent_of(flow.request) != visit.sent and key_of(target_of(flow)) != visit.target,
    )
    head = ResponseHead(response.status_code, response.reason, Fields(response.headers.fields))
    decided = decide_response(judged, head, now)
    if isinstance(decided, ServeStale) and not await reviving.stand_in(desk, flow, visit, response, decided, now):
        decided = decide_storing(judged, head, now)  # the stale one is gone
    await _carry_out(desk, flow, visit, response, decided, now)


async def _carry_out(
    desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response, decided: ResponseDecision, now: float
) -> None:
    match decided:
        case ServeStale():
            pass  # done
        case Freshen():
            await reviving.freshen(desk, flow, visit, response, decided, now)
        case Refetch():
            await reviving.refetch(desk, flow, visit, response)
        case Join():
            if await reviving.join(desk, flow, visit, response, decided):
                await _pass_on(desk, flow, visit, response, decided.then, now)
        case Store() | DontStore():
            await _pass_on(desk, flow, visit, response, decided, now)
        case _:
            assert_never(decided)


async def _invalidate(desk: Desk, visit: Visit, response: http.Response, now: float) -> None:
    fields, request = Fields(response.headers.fields), visit.request
    for key in invalidation.invalidated(request.method, request.key, response.status_code, fields):
        await desk.purge(Selector("key", without_query(key, visit.treatment.ignore_query)), now)


async def _pass_on(
    desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response, decided: Store | DontStore, now: float
) -> None:
    """Let an answer go to the client, into the store or past it, and say in Cache-Status how it went."""
    if isinstance(decided, Store):
        _keep(desk, flow, visit, response, decided.entry, now)
        _say(desk, flow, visit, response, decided)
        return
    if decided.removes is not None:
        await desk.store.remove(decided.removes)
    # A 304 is an answer to one client's condition, a 5xx says nothing of what the answer is otherwise.
    says_little = response.status_code == 304 or response.status_code >= 500
    land(desk, visit, Outcome.FAILED if says_little else Outcome.UNSHARED)
    _say(desk, flow, visit, response, decided)


def _keep(desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response, entry: Stored, now: float) -> None:
    """Put the tap that stores into the body's way."""
    # A POST that is stored has just invalidated what it stores.
    since = math.nextafter(now, math.inf) if visit.request.method == "POST" else visit.asked_at

    def ended(stored: Stored | None) -> None:
        if stored is None:
            land(desk, visit, Outcome.FAILED)
        elif stored.span is not None:
            behind(joining.join(desk.store, stored, desk.max_object), f"join the parts of {stored.key}")

    known, writing = exchange.of(flow), desk.store.write(entry, since)
    keeping = Keeping(writing, entry, desk.max_object, ended, _length_to_complete(entry, response))
    known.response_body.tap(Stage.CACHE, keeping)
    if incoming := answered(desk, visit, entry, declared_length(response)):
        known.response_body.tap(Stage.CACHE, incoming)
    # Those who wait for the end go on when the encoded form is kept, too: they need not all make it again.
    known.response_body.tap(Stage.CLIENT, AtEnd(lambda: land(desk, visit, Outcome.STORED)))
    if entry.status == 200:
        known.variants = CodedVariants(desk.store, entry, desk.max_object, is_stored=False)
    visit.stored = True


def _length_to_complete(entry: Stored, response: http.Response) -> int | None:
    """Give the length of a whole of which the rest could be asked for, should it break off."""
    ranged = response.headers.get("accept-ranges", "").strip().lower() != "none"
    return declared_length(response) if entry.status == 200 and ranged and strong_validator(entry) else None


def _say(desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response, decided: Store | DontStore) -> None:
    why, origin, is_stored = why_forwarded(visit.decision), exchange.of(flow).origin, isinstance(decided, Store)
    status = CacheStatus(
        fwd=why.value,
        fwd_status=origin.status if origin else None,
        stored=is_stored and desk.store.takes(declared_length(response)),
        collapsed=None if visit.waited is None else False,
        detail="" if is_stored else decided.why,
    )
    fields = Fields(response.headers.fields)
    if "cache-status" in fields:
        before = fields.get("cache-status")
        response.headers["Cache-Status"] = f"{before}, {status}" if before else str(status)
    else:
        response.headers.fields = fields.adding("Cache-Status", str(status)).raw
    verdict = "stored" if is_stored else "not stored"
    trace.note(flow, "cache", verdict, decided.why, fwd=why.value, key=visit.request.key)


def ended(desk: Desk, visit: Visit) -> None:
    """Let nobody wait for an exchange that is over without storing."""
    if not visit.stored:
        land(desk, visit, Outcome.FAILED)
    elif visit.leader is not None:  # as a rule it is stored in a moment, unless somebody took the body away from us
        asyncio.get_running_loop().call_later(STORING, land, desk, visit, Outcome.FAILED)
