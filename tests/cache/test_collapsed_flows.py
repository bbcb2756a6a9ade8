"""Collapsed forwarding on flows: who leads, and what followers get."""

import asyncio

import pytest
from mitmproxy import http

from proxy_policies.cache import collapsed_flows, request_phase, response_phase
from proxy_policies.cache.rfc9111.selectors import Selector
from proxy_policies.cache.transactions import CacheEngine, transaction_of
from tests.support.cache_flows import KEY, body_of, engine, request, respond

pytestmark = pytest.mark.usefixtures("mitmproxy_context")


async def lead(made: CacheEngine) -> http.HTTPFlow:
    flow = request()
    await request_phase.handle_request(made, flow)
    assert transaction_of(flow) is not None
    return flow


async def answer(made: CacheEngine, flow: http.HTTPFlow, control: str) -> None:
    transaction = transaction_of(flow)
    assert transaction is not None
    response = respond(flow, ("Cache-Control", control))
    await response_phase.handle_response(made, flow, transaction, response)
    await body_of(flow, b"hello")
    response_phase.finish(made, transaction)


async def test_one_goes_forward_and_the_other_has_its_answer() -> None:
    made = engine()
    first, second = await lead(made), request()
    waiting = asyncio.create_task(request_phase.handle_request(made, second))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await answer(made, first, "max-age=60")
    await asyncio.wait_for(waiting, 100)
    assert second.response is not None
    assert second.response.raw_content == b"hello"
    assert "collapsed" in second.response.headers["Cache-Status"]


async def test_what_may_not_be_shared_has_the_other_go_forward_too() -> None:
    made = engine()
    first, second = await lead(made), request()
    waiting = asyncio.create_task(request_phase.handle_request(made, second))
    await asyncio.sleep(0.01)
    await answer(made, first, "no-store")
    await asyncio.wait_for(waiting, 100)
    assert second.response is None


async def test_a_client_that_leaves_waits_for_those_who_follow_it() -> None:
    made = engine()
    first = await lead(made)
    led = made.collapsed.by_client[first.client_conn.id]
    assert len(led) == 1
    await asyncio.wait_for(collapsed_flows.finish_for_followers(led), 100)  # it has no followers


PURGES = [(Selector("key", KEY), True), (Selector("tag", "t"), True), (Selector("key", f"{KEY}other"), False)]


@pytest.mark.parametrize(("selector", "is_meant"), PURGES)
async def test_a_request_after_a_purge_does_not_follow_a_purged_response(selector: Selector, is_meant: bool) -> None:
    made = engine()
    first, early, late = await lead(made), request(), request()
    waiting = [asyncio.create_task(request_phase.handle_request(made, early))]
    await asyncio.sleep(0.01)
    await made.store.purge(selector)  # by whichever process
    waiting.append(asyncio.create_task(request_phase.handle_request(made, late)))
    await asyncio.sleep(0.01)
    assert waiting[1].done() is is_meant
    await answer(made, first, "max-age=60")
    await asyncio.wait_for(asyncio.gather(*waiting), 100)
    assert (early.response is None, late.response is None) == (False, is_meant)
    assert len(await made.store.lookup(KEY)) == (selector.value != KEY)
