"""What a client is sent, and when it has left."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from proxy_policies.byte_streams.byte_stream import SocketStream
from proxy_policies.exchange.client_side import ClientLeft, ClientPresence, ResponseWriter, SplitError
from proxy_policies.fields import NO_FIELDS, Fields
from proxy_policies.finished.reporting import CLIENT_LEFT
from proxy_policies.flows import flow_state
from proxy_policies.http1.framing import DRAIN_LIMIT
from proxy_policies.http1.plain_messages import RequestHead

Sent = Callable[[], bytes]


@pytest.fixture
async def client() -> AsyncIterator[tuple[SocketStream, Sent]]:
    """A client's stream, and a function that gives what it was sent."""
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    peer.settimeout(0.2)
    stream = SocketStream(ours)

    def sent() -> bytes:
        try:
            return peer.recv(1 << 20)
        except TimeoutError:
            return b""

    yield stream, sent
    stream.fail_silently()
    peer.close()


def request(method: bytes = b"GET", length: int = 0, persists: bool = True) -> RequestHead:
    return RequestHead(method, b"", b"/", Fields.of(("Host", "a")), length, persists)


def response(status: int = 200, /, **fields: str) -> http.Response:
    made = http.Response.make(status)
    made.headers = http.Headers([(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()])
    made.raw_content = None
    return made


async def test_a_whole_body_goes_out_with_its_head(client: tuple[SocketStream, Sent]) -> None:
    stream, sent = client
    writer = ResponseWriter(stream, request())
    writer.send_head(response(), 5, b"hello")
    writer.send_end()
    assert sent() == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    assert writer.persists


async def test_a_body_of_unknown_length_is_chunked(client: tuple[SocketStream, Sent]) -> None:
    stream, sent = client
    writer = ResponseWriter(stream, request())
    writer.send_head(response(), None)
    writer.send(b"one")
    writer.send(b"")
    writer.send_end([(b"X-Sum", b"3")])  # type: ignore[arg-type]
    assert sent() == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\nX-Sum: 3\r\n\r\n"
    assert writer.persists


@pytest.mark.parametrize(
    ("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)], ids=lambda value: str(value)
)
async def test_no_body_where_none_may_be(client: tuple[SocketStream, Sent], method: bytes, status: int) -> None:
    stream, sent = client
    writer = ResponseWriter(stream, request(method))
    writer.send_head(response(status), 5, b"hello")
    writer.send_end()
    assert sent().endswith(b"\r\n\r\n")


async def test_more_than_was_said_is_cut_and_less_ends_the_connection(client: tuple[SocketStream, Sent]) -> None:
    stream, sent = client
    writer = ResponseWriter(stream, request())
    writer.send_head(response(content_length="3"), None)
    writer.send(b"hello")
    writer.send_end()
    assert sent().endswith(b"\r\n\r\nhel")
    assert writer.persists
    writer = ResponseWriter(stream, request())
    writer.send_head(response(content_length="9"), None)
    writer.send(b"hello")
    writer.send_end()
    assert not writer.persists


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        (request(persists=False), {}),
        (request(), {"connection": "close"}),
        (request(), {"transfer_encoding": "gzip"}),
        (request(length=DRAIN_LIMIT + 1), {}),
    ],
    ids=["the client's wish", "the origin's fields", "ends by its close", "a large upload that nobody read"],
)
async def test_the_connection_ends(
    client: tuple[SocketStream, Sent], asked: RequestHead, fields: dict[str, str]
) -> None:
    stream, sent = client
    writer = ResponseWriter(stream, asked)
    writer.send_head(response(**fields), None)
    assert b"\r\nconnection: close\r\n" in sent().lower()
    assert not writer.persists
    assert writer.must_be_cut is ("transfer_encoding" in fields)


async def test_a_line_end_in_a_head_is_not_sent(client: tuple[SocketStream, Sent]) -> None:
    stream, sent = client
    writer = ResponseWriter(stream, request())
    made = response()
    made.headers.fields = ((b"X", b"a\r\nSet-Cookie: b"),)
    with pytest.raises(SplitError):
        writer.send_head(made, 0)
    assert (writer.is_begun, sent()) == (False, b"")


async def test_what_is_sent_can_be_learned_from(client: tuple[SocketStream, Sent]) -> None:
    stream, sent = client
    writer = ResponseWriter(stream, request())
    writer.wire = []
    writer.send_head(response(), 2, b"hi")
    assert b"".join(writer.wire) == sent()


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
