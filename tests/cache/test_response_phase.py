"""The response side: what an origin's head leads to."""

import asyncio
import random
from typing import Any

import pytest

from proxy_policies.cache import request_phase, response_phase
from proxy_policies.cache.rfc9111.selectors import ALL
from proxy_policies.cache.transactions import CacheEngine, Transaction, transaction_of
from tests.support.cache_cases import stored
from tests.support.cache_flows import KEY, body_of, engine, request, respond
from tests.support.cache_stores import content, keep

pytestmark = pytest.mark.usefixtures("mitmproxy_context")


async def exchange(made: CacheEngine, *fields: tuple[str, str], status: int = 200, method: str = "GET") -> str:
    """Ask, be answered with `hello`, and return Cache-Status."""
    flow = request(method=method)
    await request_phase.handle_request(made, flow)
    response, transaction = respond(flow, *fields, status=status), transaction_of(flow)
    assert isinstance(transaction, Transaction)
    await response_phase.handle_response(made, flow, transaction, response)
    assert await body_of(flow, b"hello") == b"hello"
    response_phase.finish(made, transaction)
    return str(response.headers["Cache-Status"])


async def test_what_may_be_stored_is_once_its_body_has_come() -> None:
    made = engine()
    status = await exchange(made, ("Cache-Control", "max-age=60"))
    assert status == "proxy-policies; fwd=uri-miss; fwd-status=200; stored"
    (entry,) = await made.store.lookup(KEY)
    assert await content(made.store, entry) == b"hello"


async def test_a_script_that_seeds_random_does_not_make_two_responses_one() -> None:
    made, ids = engine(), set()
    for _ in range(2):
        random.seed(1)
        await exchange(made, ("Cache-Control", "max-age=60"))
        ids |= {entry.id for entry in await made.store.lookup(KEY)}
        await made.store.purge(ALL)
    assert len(ids) == 2


@pytest.mark.parametrize("fields", [("Cache-Control", "no-store"), ("Cache-Control", "private"), ("Vary", "*")])
async def test_what_may_not_be_stored_says_why(fields: tuple[str, str]) -> None:
    made = engine()
    assert "; detail=" in await exchange(made, fields)
    assert not await made.store.lookup(KEY)


async def test_an_unsafe_request_purges() -> None:
    made = engine()
    await keep(made.store, stored("Cache-Control: max-age=60"), b"old")
    await exchange(made, method="POST")
    assert not await made.store.lookup(KEY)


async def test_a_response_that_is_not_stored_leads_no_followers() -> None:
    made = engine()
    await exchange(made, ("Cache-Control", "no-store"))
    assert not made.collapsed.by_client


async def test_interim_heads_are_ignored() -> None:
    made, flow = engine(), request()
    await request_phase.handle_request(made, flow)
    transaction = transaction_of(flow)
    assert transaction is not None
    response = respond(flow, status=103)
    await response_phase.handle_response(made, flow, transaction, response)
    assert "cache-status" not in response.headers


async def begun(made: CacheEngine) -> tuple[Any, Transaction]:
    """Ask, and get the head of a response that may be stored, as its last hook before the body is stored sees it."""
    flow = request()
    await request_phase.handle_request(made, flow)
    response, transaction = respond(flow, ("Cache-Control", "max-age=60")), transaction_of(flow)
    assert isinstance(transaction, Transaction)
    await response_phase.handle_response(made, flow, transaction, response)
    return flow, transaction


@pytest.mark.parametrize("is_removed", [False, True])
async def test_only_a_body_that_is_not_stored_at_once_is_waited_for(
    is_removed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers = list[object]()
    monkeypatch.setattr(asyncio.get_running_loop(), "call_later", lambda *timer: timers.append(timer))
    made = engine()
    flow, transaction = await begun(made)
    response_phase.finish(made, transaction)
    if not is_removed:
        await body_of(flow, b"hello")
    await asyncio.sleep(0)
    assert bool(timers) is is_removed
