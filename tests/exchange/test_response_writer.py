"""What is sent of a response, and whether the connection goes on."""

import socket
from collections.abc import AsyncIterator, Callable

import pytest
from mitmproxy import http

from proxy_policies.byte_streams.byte_stream import SocketStream
from proxy_policies.exchange.response_writer import ResponseWriter, SplitError
from proxy_policies.fields import Fields
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
