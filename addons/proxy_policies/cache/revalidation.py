"""Answers from the store after asking the origin: after a 304, a failure, or for the rest of a stored beginning."""

import time

from mitmproxy import http
from mitmproxy.flow import Error

from proxy_policies import subrequest, trace
from proxy_policies.body import Stage
from proxy_policies.cache.body_taps import MAX_COMPLETED, PrependBody
from proxy_policies.cache.collapsing import LeaderOutcome
from proxy_policies.cache.response import CachedResponse, build_response
from proxy_policies.cache.rfc9111.decision import ForwardReason, forward_reason
from proxy_policies.cache.rfc9111.entry import StoredResponse
from proxy_policies.cache.rfc9111.response_decision import Freshen, Join, ServeStale, stale_on_failure
from proxy_policies.cache.status import CacheStatus
from proxy_policies.cache.stores.store import BytesBody, StoredBody, read_whole
from proxy_policies.cache.transactions import (
    REFETCH,
    CacheEngine,
    Transaction,
    offer_variants,
    release_followers,
    replace_response,
    set_response,
)
from proxy_policies.fields import Fields
from proxy_policies.flows import flow_state

FAILED = "the origin failed"
"""Cache-Status detail if there was no response, or none that could be passed on."""


# RFC 5861, section 4, and RFC 9111, section 4.2.4: a failing origin


async def serve_stale_for_5xx(
    engine: CacheEngine,
    flow: http.HTTPFlow,
    transaction: Transaction,
    response: http.Response,
    decided: ServeStale,
    now: float,
) -> bool:
    """Send a stale response in place of a 5xx; return whether it still existed."""
    entry, body = decided.entry, await engine.store.body(decided.entry)
    if body is None:
        return False
    ttl, origin = entry.ttl(now), response.status_code
    status = CacheStatus(fwd=ForwardReason.STALE, fwd_status=origin, ttl=ttl, detail="stale-if-error")
    made = build_response(transaction.request, entry, now, status)
    await replace_response(flow, response, made, body)
    offer_variants(engine, flow, entry, made)
    trace.note(flow, "cache", "stale", f"the origin said {origin}", key=entry.key)
    release_followers(engine, transaction, LeaderOutcome.FAILED)
    return True


async def serve_stale_for_failure(engine: CacheEngine, flow: http.HTTPFlow, transaction: Transaction) -> None:
    """Serve stale if the origin cannot be reached or broke off, this is allowed, and nothing was sent."""
    error = flow.error.msg if flow.error else ""
    has_left = flow_state.state_of(flow).client_left or not flow.client_conn.connected
    if error and error != Error.KILLED_MESSAGE and not has_left:
        await _stand_in_for_error(engine, flow, transaction, error)
    release_followers(engine, transaction, LeaderOutcome.FAILED)


async def _stand_in_for_error(engine: CacheEngine, flow: http.HTTPFlow, transaction: Transaction, error: str) -> None:
    now = time.time()
    entry = stale_on_failure(transaction.request, transaction.decision, now)
    body = await engine.store.body(entry) if entry is not None else None
    if entry is None or body is None:
        status = CacheStatus(fwd=forward_reason(transaction.decision), detail=FAILED)
        flow_state.state_of(flow).error_fields = Fields.of(("Cache-Status", str(status)))
        return
    status = CacheStatus(fwd=ForwardReason.STALE, ttl=entry.ttl(now), detail=f"stale-if-error: {FAILED}")
    made = build_response(transaction.request, entry, now, status)
    await set_response(flow, made, body)
    offer_variants(engine, flow, entry, made)
    trace.note(flow, "cache", "stale", f"{FAILED}: {error}", key=entry.key)


# RFC 9111, section 4.3.3: handling a validation response


async def freshen(
    engine: CacheEngine,
    flow: http.HTTPFlow,
    transaction: Transaction,
    response: http.Response,
    decided: Freshen,
    now: float,
) -> None:
    """Freshen or remove the entry that a 304 or a HEAD is about, and answer from it."""
    body = await engine.store.body(decided.old)
    if decided.new is None:
        await engine.store.remove(decided.old)
    else:
        await engine.store.update(decided.old, decided.new, transaction.since)
    if not decided.has_body:
        release_followers(engine, transaction, LeaderOutcome.STORED, decided.new)
        _answer_head(engine, flow, transaction, response, decided.shown, now)
    elif body is None:
        await refetch(engine, flow, transaction, response)
    else:
        await _answer_validated(engine, flow, transaction, response, decided, body, now)


async def _answer_validated(
    engine: CacheEngine,
    flow: http.HTTPFlow,
    transaction: Transaction,
    response: http.Response,
    decided: Freshen,
    body: StoredBody,
    now: float,
) -> None:
    shown, new = decided.shown, decided.new
    waited = None if transaction.waited is None else False
    status = CacheStatus(
        fwd=forward_reason(transaction.decision),
        fwd_status=304,
        ttl=shown.ttl(now),
        stored=new is not None and engine.store.takes(None),
        collapsed=waited,
        detail="" if new is not None else decided.why,
    )
    made = build_response(transaction.request, shown, now, status)
    await replace_response(flow, response, made, body)
    if new is not None:
        offer_variants(engine, flow, new, made)
    trace.note(flow, "cache", "validated", "the origin said 304" if new is not None else decided.why, key=shown.key)
    release_followers(engine, transaction, LeaderOutcome.UNSHARED if new is None else LeaderOutcome.STORED, new)


def _answer_head(
    engine: CacheEngine,
    flow: http.HTTPFlow,
    transaction: Transaction,
    response: http.Response,
    shown: StoredResponse,
    now: float,
) -> None:
    status = CacheStatus(fwd=ForwardReason.STALE, fwd_status=200, ttl=shown.ttl(now), stored=engine.store.takes(None))
    response.headers = http.Headers(build_response(transaction.request, shown, now, status).fields.raw)
    trace.note(flow, "cache", "updated", "by a HEAD", key=shown.key)


async def refetch(engine: CacheEngine, flow: http.HTTPFlow, transaction: Transaction, response: http.Response) -> None:
    """Fetch again without our conditions, because the response to them matches no stored one.

    This is a separate request, whose response is stored.
    """
    again = await subrequest.send(flow, transaction.request.fields, REFETCH)
    release_followers(engine, transaction, LeaderOutcome.FAILED)
    got = again.response if again else None
    if got is None or got.raw_content is None:
        status = CacheStatus(fwd=forward_reason(transaction.decision), fwd_status=response.status_code, detail=FAILED)
        await replace_response(flow, response, _bad_gateway(status), BytesBody(b""))
        return
    fields = Fields(got.headers.fields).without(["transfer-encoding"])
    whole = fields.replacing("Content-Length", str(len(got.raw_content)))
    made = CachedResponse(got.status_code, got.reason, whole, (0, len(got.raw_content)))
    await replace_response(flow, response, made, BytesBody(got.raw_content))


def _bad_gateway(status: CacheStatus) -> CachedResponse:
    fields = Fields.of(("Content-Length", "0"), ("Cache-Status", str(status)))
    return CachedResponse(502, "Bad Gateway", fields, (0, 0))


# Section 3.4: combining partial content


async def join(
    engine: CacheEngine, flow: http.HTTPFlow, transaction: Transaction, response: http.Response, decided: Join
) -> bool:
    """Send a stored beginning before the received rest; if it is gone, fetch the whole.

    Return whether they were joined: then the whole may be stored.
    """
    body = await engine.store.body(decided.entry)
    beginning = await read_whole(body, MAX_COMPLETED) if body is not None else None
    if beginning is None:
        await refetch(engine, flow, transaction, response)
        return False
    response.status_code, response.reason = decided.head.status, decided.head.reason
    response.headers = http.Headers(decided.head.fields.raw)
    flow_state.state_of(flow).response_body.add(Stage.ORIGIN, PrependBody(beginning))
    return True
