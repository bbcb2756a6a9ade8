"""The response side: what an origin's response head leads to."""

import math
import time
import uuid

from mitmproxy import http

from proxy_policies import exchange, trace
from proxy_policies.body import Stage
from proxy_policies.cache import freshness, invalidation, joining, reviving
from proxy_policies.cache.collapsing import Outcome
from proxy_policies.cache.decision import Pass, why_forwarded
from proxy_policies.cache.directives import parse_request, parse_response
from proxy_policies.cache.entry import Stored
from proxy_policies.cache.flows import Desk, Visit, behind, key_of_flow, land, sent_of
from proxy_policies.cache.keeping import AtEnd, CodedVariants, Keeping
from proxy_policies.cache.key import selecting, url_of, vary_names
from proxy_policies.cache.purge import Selector, tags_of
from proxy_policies.cache.ranges import strong_validator
from proxy_policies.cache.status import CacheStatus
from proxy_policies.cache.storing import Exchange, Verdict, may_store, stored_fields
from proxy_policies.fields import Fields, format_date
from proxy_policies.streaming import declared_length


async def receive(desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response) -> None:
    """Handle the head of an origin's response: freshen, stand in, complete, or store."""
    if response.status_code < 200:
        return
    now = time.time()
    await _invalidate(desk, flow, visit, response, now)
    if await reviving.stand_in(desk, flow, visit, response, now):
        return
    if await reviving.validated(desk, flow, visit, response, now):
        return
    if await reviving.head_updated(desk, flow, visit, response, now):
        return
    if await reviving.completed(desk, flow, visit, response, now):
        return
    _store(desk, flow, visit, response, now)


async def _invalidate(desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response, now: float) -> None:
    fields = Fields(response.headers.fields)
    for key in invalidation.invalidated(flow.request.method, visit.request.key, response.status_code, fields):
        await desk.store.purge(Selector("key", key), now)


def _store(desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response, now: float) -> None:
    """Put the tap that stores into the body's way, if it may be stored, and say in Cache-Status how it went."""
    refused = _refusal(desk, flow, visit, response)
    verdict = Verdict(False, refused) if refused else _judge(desk, visit, response, now)
    if verdict:
        _keep(desk, flow, visit, response, now)
    else:
        # A 304 is an answer to one client's condition: the next in the crowd asks for itself.
        land(visit, Outcome.LEFT if response.status_code == 304 else Outcome.UNSHARED)
    _say(flow, visit, response, verdict)


def _refusal(desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response) -> str:
    """Say what keeps a response out that section 3 does not know of."""
    if isinstance(visit.decision, Pass) and visit.request.method != "POST":
        return visit.decision.detail or visit.decision.why
    if sent_of(flow.request) != visit.sent and key_of_flow(flow, visit.treatment) != visit.request.key:
        return "it was sent elsewhere than its URL says"
    if (declared_length(response) or 0) > desk.max_object:
        return "larger than cache_max_object"
    return ""


def _judge(desk: Desk, visit: Visit, response: http.Response, now: float) -> Verdict:
    request, overrides = visit.request, visit.treatment.overrides
    status, fields = response.status_code, Fields(response.headers.fields)
    asked = parse_request(request.fields)
    context = Exchange(request.method, url_of(request.key), request.fields, asked, desk.strict, overrides)
    return may_store(
        context, status, fields, lambda: freshness.read_facts(status, fields, visit.asked_at, now, overrides)
    )


def _entry(visit: Visit, response: http.Response, now: float) -> Stored:
    fields = Fields(response.headers.fields)
    kept = stored_fields(fields, parse_response(fields))
    return Stored(
        key=visit.request.key,
        status=response.status_code,
        reason=response.reason,
        # A recipient with a clock adds the Date that is missing (RFC 9110, section 6.6.1).
        fields=kept if "date" in kept else kept.adding("Date", format_date(now)),
        selecting=selecting(vary_names(fields) or (), visit.request.fields),
        requested_at=visit.asked_at,
        received_at=now,
        size=0,
        id=uuid.uuid4().hex,
        tags=tags_of(fields),
        overrides=visit.treatment.overrides,
    )


def _keep(desk: Desk, flow: http.HTTPFlow, visit: Visit, response: http.Response, now: float) -> None:
    entry = _entry(visit, response, now)
    # A POST that is stored has just invalidated what it stores.
    since = math.nextafter(now, math.inf) if visit.request.method == "POST" else visit.asked_at

    def ended(stored: Stored | None) -> None:
        if stored is None:
            land(visit, Outcome.FAILED)
        elif stored.span is not None:
            behind(joining.join(desk.store, stored, desk.max_object), f"join the parts of {stored.key}")

    known, writing = exchange.of(flow), desk.store.write(entry, since)
    keeping = Keeping(writing, entry, desk.max_object, ended, _length_to_complete(entry, response))
    known.response_body.tap(Stage.CACHE, keeping)
    # Those who wait go on when the encoded form is kept, too: they need not all make it again.
    known.response_body.tap(Stage.CLIENT, AtEnd(lambda: land(visit, Outcome.STORED)))
    if entry.status == 200:
        known.variants = CodedVariants(desk.store, entry, desk.max_object, is_stored=False)
    visit.stored = True


def _length_to_complete(entry: Stored, response: http.Response) -> int | None:
    """Give the length of a whole of which the rest could be asked for, should it break off."""
    ranged = response.headers.get("accept-ranges", "").strip().lower() != "none"
    return declared_length(response) if entry.status == 200 and ranged and strong_validator(entry) else None


def _say(flow: http.HTTPFlow, visit: Visit, response: http.Response, verdict: Verdict) -> None:
    why, origin = why_forwarded(visit.decision), exchange.of(flow).origin
    status = CacheStatus(
        fwd=why.value,
        fwd_status=origin.status if origin else None,
        stored=bool(verdict),
        collapsed=None if visit.waited is None else False,
        detail="" if verdict else verdict.why,
    )
    fields = Fields(response.headers.fields)
    if "cache-status" in fields:
        before = fields.get("cache-status")
        response.headers["Cache-Status"] = f"{before}, {status}" if before else str(status)
    else:
        response.headers.fields = fields.adding("Cache-Status", str(status)).raw
    trace.note(flow, "cache", "stored" if verdict else "not stored", verdict.why, fwd=why.value, key=visit.request.key)


def ended(visit: Visit) -> None:
    """Let nobody wait for an exchange that is over without storing."""
    if not visit.stored:
        land(visit, Outcome.UNSHARED)
