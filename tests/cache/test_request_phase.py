"""The request side: what a decision does to a flow."""

import pytest
from mitmproxy import http

from proxy_policies import trace
from proxy_policies.cache import request_phase
from proxy_policies.cache.rfc9111.decision import Bypass, Hit, Miss, Validate
from proxy_policies.cache.rules import parse_cache_rule
from proxy_policies.cache.transactions import transaction_of
from proxy_policies.rules import parse_rule
from tests.support.cache_cases import stored
from tests.support.cache_flows import engine, request
from tests.support.cache_stores import keep

FAR = 10_000_000_000
"""Seconds: what is stored by the tests' clock is fresh by this machine's."""


pytestmark = pytest.mark.usefixtures("mitmproxy_context")


async def test_a_fresh_response_answers() -> None:
    made = engine()
    await keep(made.store, stored(f"Cache-Control: max-age={FAR}"), b"0123456789")
    flow = request()
    await request_phase.handle_request(made, flow)
    assert flow.response is not None
    assert (flow.response.status_code, flow.response.raw_content) == (200, b"0123456789")
    assert flow.response.headers["Cache-Status"].startswith("proxy-policies; hit; ttl=")
    transaction = transaction_of(flow)
    assert transaction is not None
    assert isinstance(transaction.decision, Hit)
    assert trace.notes(flow)[0]["verdict"] == "hit"


async def test_a_miss_goes_on_as_it_came() -> None:
    flow = request(("X-A", "b"))
    before = flow.request.headers.fields
    await request_phase.handle_request(engine(), flow)
    transaction = transaction_of(flow)
    assert flow.response is None
    assert flow.request.headers.fields == before
    assert transaction is not None
    assert isinstance(transaction.decision, Miss)


async def test_a_stale_response_is_validated() -> None:
    made = engine()
    await keep(made.store, stored("Cache-Control: max-age=0", 'ETag: "a"'), b"0123456789")
    flow = request()
    await request_phase.handle_request(made, flow)
    transaction = transaction_of(flow)
    assert transaction is not None
    assert isinstance(transaction.decision, Validate)
    assert flow.request.headers["If-None-Match"] == '"a"'
    assert "if-none-match" not in transaction.request.fields


async def test_only_if_cached_is_refused() -> None:
    flow = request(("Cache-Control", "only-if-cached"))
    await request_phase.handle_request(engine(), flow)
    assert flow.response is not None
    assert flow.response.status_code == 504


@pytest.mark.parametrize("why", ["rule", "upgrade"])
async def test_what_is_not_looked_up(why: str) -> None:
    made = engine()
    await keep(made.store, stored(f"Cache-Control: max-age={FAR}"), b"0123456789")
    if why == "rule":
        made.rules = (parse_cache_rule(parse_rule("//bypass")),)
    flow = request(*([("Upgrade", "websocket")] if why == "upgrade" else []))
    await request_phase.handle_request(made, flow)
    transaction = transaction_of(flow)
    assert flow.response is None
    assert transaction is not None
    assert isinstance(transaction.decision, Bypass)


async def test_a_body_that_is_gone_makes_it_a_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine()
    await keep(made.store, stored(f"Cache-Control: max-age={FAR}"), b"0123456789")

    async def gone(*_: object) -> None:
        return None

    monkeypatch.setattr(made.store, "body", gone)
    flow = request()
    await request_phase.handle_request(made, flow)
    transaction = transaction_of(flow)
    assert flow.response is None
    assert transaction is not None
    assert isinstance(transaction.decision, Miss)


def test_whose_flow_it_is() -> None:
    made, flow = engine(), request()
    assert not request_phase.is_not_ours(made, flow)
    made.is_replaying = True
    assert request_phase.is_not_ours(made, flow)
    made.is_replaying = False
    flow.response = http.Response.make(200)
    assert request_phase.is_not_ours(made, flow)


def test_an_upload_that_is_answered_early() -> None:
    flow = request(method="POST")
    assert request_phase.transaction_for_early_response(engine(), flow) is None
    flow.request.timestamp_end = None
    noted = request_phase.transaction_for_early_response(engine(), flow)
    assert noted is not None
    assert transaction_of(flow) is noted
