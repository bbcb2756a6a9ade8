"""Requests sent again over HTTP/1.1, and the streams that come of them."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy_policies.capture.check.http_client import (
    EVENTS_PER_TURN,
    IncomingResponse,
    RequestConnection,
    SendError,
    head_and_body,
)
from proxy_policies.capture.model import Body, Request

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


ONE, TWO = chunk(b": alive\n\ndata: 1\n\n"), chunk(b"data: 2\n\n")


@asynccontextmanager
async def answering(answer: bytes, stays: bool = False) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if stays:
            await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


REQUEST = Request("GET", "http://a.test/x#part", (("X-A", "1"), ("Connection", "close")))


async def test_a_stream_is_taken_as_far_as_it_is_wanted() -> None:
    async with answering(HEAD + ONE + TWO + ONE, stays=True) as port:
        connection = RequestConnection(port, 20)
        body = (await connection.send(REQUEST, frames=2)).response.body
        none = (await connection.send(REQUEST, frames=0)).response.body
        await connection.close()
    assert body.content.startswith(b": alive\n\ndata: 1\n\ndata: 2\n\n")
    assert (body.cut, none.cut) == ("client", "client")


async def test_a_stream_that_breaks_off_or_does_not_end_is_what_has_come() -> None:
    async with answering(HEAD + ONE) as port:
        assert (await RequestConnection(port, 20).send(REQUEST)).response.body.cut == "server"
    async with answering(HEAD + ONE, stays=True) as port:
        connection = RequestConnection(port, 0.3)
        assert (await connection.send(REQUEST)).response.body.cut == "not over within 0.3 s"


async def test_a_stream_with_an_unknown_coding_is_kept_as_received() -> None:
    coded = HEAD.replace(b"Transfer-", b"Content-Encoding: x-odd\r\nTransfer-")
    async with answering(coded + ONE) as port:
        body = (await RequestConnection(port, 20).send(REQUEST)).response.body
    assert (body.cut, body.content) == ("server", b": alive\n\ndata: 1\n\n")


async def test_anything_else_must_come_whole() -> None:
    async with answering(PLAIN) as port:
        with pytest.raises(SendError, match="incomplete response"):
            await RequestConnection(port, 20).send(REQUEST)
    async with answering(PLAIN, stays=True) as port:
        with pytest.raises(SendError, match=r"no answer within 0\.3 s"):
            await RequestConnection(port, 0.3).send(REQUEST)


def test_a_request_is_written_as_it_was_recorded() -> None:
    assert head_and_body(REQUEST) == b"GET http://a.test/x HTTP/1.1\r\nX-A: 1\r\n\r\n"
    posted = Request("POST", "http://a.test/", (("content-LENGTH", "9"),), Body(b"1234"))
    assert head_and_body(posted) == b"POST http://a.test/ HTTP/1.1\r\ncontent-LENGTH: 4\r\n\r\n1234"


async def test_interim_responses_are_bounded() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    whole = PLAIN.replace(b": 20", b": 4")
    async with answering(interim * 200 + whole) as port:
        connection = RequestConnection(port, 20)
        assert (await connection.send(REQUEST)).response.status == 200
        await connection.close()
    async with answering(interim * 300 + whole) as port:
        with pytest.raises(SendError, match="over 256 interim responses"):
            await RequestConnection(port, 20).send(REQUEST)


async def test_others_have_their_turn_while_thousands_of_chunks_come() -> None:
    """`mirror` does this beside clients that wait."""
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    chunks, reader, answer = 3000, asyncio.StreamReader(), IncomingResponse("GET")
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    reader.feed_data(head + chunk(b"x") * chunks + b"0\r\n\r\n")  # all of it is there
    other = asyncio.ensure_future(take_turns())
    await RequestConnection(0, 20)._receive(reader, REQUEST, answer)
    other.cancel()
    assert len(answer.result().body.content) == chunks
    assert turns > chunks // EVENTS_PER_TURN // 2


async def test_what_unpacks_to_too_much_is_not_kept() -> None:
    packed = gzip.compress(bytes(2 << 20))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with answering(head + packed) as port:
        connection = RequestConnection(port, 20, limit=1 << 20)
        body = (await connection.send(REQUEST)).response.body
        await connection.close()
    assert (body.content, body.dropped) == (b"", len(packed))
