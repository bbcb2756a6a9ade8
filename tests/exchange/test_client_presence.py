"""A client that leaves while something is waited for."""

import asyncio

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from proxy_policies.byte_streams.byte_stream import SocketStream
from proxy_policies.exchange.client_presence import ClientLeft, ClientPresence
from proxy_policies.exchange.response_writer import ResponseWriter
from proxy_policies.fields import NO_FIELDS
from proxy_policies.finished.reporting import CLIENT_LEFT
from proxy_policies.flows import flow_state
from proxy_policies.http1.plain_messages import RequestHead


@pytest.fixture
def flow() -> http.HTTPFlow:
    return tflow.tflow()


@pytest.fixture
def presence(flow: http.HTTPFlow) -> ClientPresence:
    class Stream:
        """Nothing is sent here."""

    stream: SocketStream = Stream()  # type: ignore[assignment]
    return ClientPresence(flow, ResponseWriter(stream, RequestHead(b"GET", b"", b"/", NO_FIELDS, 0, True)))


async def test_what_comes_is_returned(presence: ClientPresence) -> None:
    waiting: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(waiting.set_result, "came")
    assert await presence.wait(waiting) == "came"
    assert (presence.steps, presence.is_waiting_for_peer) == (1, False)
    presence.check()


async def test_nothing_is_waited_for_when_the_client_leaves(presence: ClientPresence) -> None:
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(presence.left)
    with pytest.raises(ClientLeft, match=CLIENT_LEFT):
        await presence.wait(waiting)
    assert waiting.cancelled()
    later: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with pytest.raises(ClientLeft):
        await presence.wait(later)
    with pytest.raises(ClientLeft):
        presence.check()
    assert presence.is_response_wanted


async def test_the_first_reason_counts(presence: ClientPresence) -> None:
    presence.left("too slow")
    presence.left()
    assert presence.why_left == "too slow"


async def test_others_may_want_the_response(flow: http.HTTPFlow, presence: ClientPresence) -> None:
    flow_state.state_of(flow).wanted = lambda: True
    waiting: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(presence.left)
    asyncio.get_running_loop().call_later(0.01, waiting.set_result, "for others")
    assert await presence.wait(waiting) == "for others"
    assert not presence.is_response_wanted
    presence.check()


async def test_an_end_is_no_leaving_but_of_an_endless_stream(flow: http.HTTPFlow, presence: ClientPresence) -> None:
    presence.ended()
    assert not presence.why_left
    flow.response = http.Response.make(200, b"", {"Content-Type": "text/event-stream"})
    presence._writer.is_begun = True
    presence.ended()
    assert presence.why_left == CLIENT_LEFT


async def test_a_half_closed_client_that_is_sent_nothing_has_left(
    presence: ClientPresence,
) -> None:
    presence.ended()
    presence._writer.bytes_sent = 1
    presence._look()
    assert not presence.why_left, "it was sent a byte since"
    presence._look()
    assert presence.why_left == CLIENT_LEFT
    presence.close()


async def test_one_that_is_sent_nothing_at_all_has_left_at_the_first_look(presence: ClientPresence) -> None:
    presence.ended()
    presence._look()
    assert presence.why_left == CLIENT_LEFT
    presence.close()


async def test_a_cancelled_exchange_is_cancelled(presence: ClientPresence) -> None:
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(presence.wait(waiting))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
