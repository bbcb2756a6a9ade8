"""Answers from the store where an origin was asked."""

import pytest
from mitmproxy.flow import Error

from proxy_policies.cache import request_phase, response_phase, revalidation
from proxy_policies.cache.transactions import CacheEngine, transaction_of
from proxy_policies.flows import flow_state
from tests.support.cache_cases import stored
from tests.support.cache_flows import KEY, body_of, engine, request, respond
from tests.support.cache_stores import keep

pytestmark = pytest.mark.usefixtures("mitmproxy_context")


async def stale(*lines: str) -> CacheEngine:
    made = engine()
    await keep(made.store, stored("Cache-Control: max-age=0", 'ETag: "a"', *lines), b"kept")
    return made


async def test_a_304_freshens_and_answers() -> None:
    made = await stale()
    flow = request()
    await request_phase.handle_request(made, flow)
    response = respond(flow, ("ETag", '"a"'), ("Cache-Control", "max-age=60"), status=304)
    transaction = transaction_of(flow)
    assert transaction is not None
    await response_phase.handle_response(made, flow, transaction, response)
    assert (response.status_code, await body_of(flow)) == (200, b"kept")
    assert "fwd=stale; fwd-status=304" in response.headers["Cache-Status"]
    (entry,) = await made.store.lookup(KEY)
    assert entry.fields.get("cache-control") == "max-age=60"


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_5xx_is_stood_in_for_where_that_is_allowed(allowed: bool) -> None:
    made = await stale(
        *(["Cache-Control: stale-if-error=9000000000"] if allowed else ["Cache-Control: must-revalidate"])
    )
    flow = request()
    await request_phase.handle_request(made, flow)
    transaction, response = transaction_of(flow), respond(flow, status=503)
    assert transaction is not None
    await response_phase.handle_response(made, flow, transaction, response)
    assert response.status_code == (200 if allowed else 503)
    assert await body_of(flow, b"broken") == (b"kept" if allowed else b"broken")


@pytest.mark.parametrize("allowed", [True, False])
async def test_so_is_an_origin_that_cannot_be_reached(allowed: bool) -> None:
    made = await stale(
        *(["Cache-Control: stale-if-error=9000000000"] if allowed else ["Cache-Control: must-revalidate"])
    )
    flow = request()
    await request_phase.handle_request(made, flow)
    transaction = transaction_of(flow)
    assert transaction is not None
    flow.error = Error("refused")
    await revalidation.serve_stale_for_failure(made, flow, transaction)
    assert (flow.response is not None) is allowed
    if not allowed:
        told = flow_state.state_of(flow).error_fields
        assert told is not None
        assert "the origin failed" in (told.get("cache-status") or "")


async def test_a_flow_that_was_killed_gets_no_answer() -> None:
    made = await stale("Cache-Control: stale-if-error=9000000000")
    flow = request()
    await request_phase.handle_request(made, flow)
    transaction = transaction_of(flow)
    assert transaction is not None
    flow.error = Error(Error.KILLED_MESSAGE)
    await revalidation.serve_stale_for_failure(made, flow, transaction)
    assert flow.response is None
